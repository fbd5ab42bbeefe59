"""Descend in Fisher's metric: what is left when L-BFGS crawls along a valley.

Noise leaves directions in which the likelihood is nearly flat: the rotation of one loud part of a
scalogram against another, across a quiet valley. Along them L-BFGS in the variables of a tight
frame takes hundreds of steps for a gain of a few units of chi^2, and these few are what separates
its answer from the Cramer-Rao bound. Its first steps see the curvature of a frame; the curvature
of the likelihood is another one. A coefficient c with modulus o = |c|, phase u = c/o and loss f(o)
adds to the Hessian

    f'' Re(conj(u) dc)^2  =  1/2 Re( f'' |dc|^2 + f'' conj(u)^2 dc^2 )

(what f'/o would add has the mean zero and a pole at the zeros of c: it is left out, which makes
this Fisher's information at the estimate). With dc_j = IDFT(psi_j dX) the sum over all
coefficients is, as in `bounds.fisher_information`, dX^H A dX + Re(dX^T B dX) with

    A_kl = 1/N^2 sum_j psi_jk psi_jl DFT(f''_j / 2)(k - l)
    B_kl = 1/N^2 sum_j psi_jk psi_jl DFT(conj(u_j)^2 f''_j / 2)(-k - l)

L-BFGS in variables in which this matrix is the identity starts with the right curvature, and finds
itself what was left out of it, which matters next to zeros.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import cholesky

from ..bounds import pair_sums
from ..measured import Measured
from ..transforms.scalogram import Scalogram
from ._gradient_descent import descend_lbfgs
from ._likelihood import Likelihood
from ._objective import Objective

__all__ = ["LONGEST_DENSE", "descend", "hessian", "hessian_in_samples", "signal_of"]

# The cost grows with the cube of the length: above this it exceeds that of all else.
LONGEST_DENSE = 2048

# The metric has this share of one that lets loud parts turn, and of a multiple of the identity.
LIGHT, METRIC_RIDGE = 1e-2, 1e-9

# Responses below this share of their filter's largest are left out of the metric.
SEEN = 1e-4


def descend(
    likelihood: Likelihood,
    x: torch.Tensor,
    W: Scalogram,
    n_iter: int,
    step: Callable[[torch.Tensor, float], bool],
) -> None:
    """Run L-BFGS in variables v = C X, where C^T C is Fisher's information on X at the start.

    Parameters
    ----------
    likelihood : Likelihood
    x : real Tensor, shape (n_samples,)
    W : Scalogram
        Without a lowpass and without negative frequencies.
    n_iter : int
    step : callable
        ``step(x, consistency_db)`` after each iteration; a true return value stops.
    """
    x = W.project(x)
    c = W.coefficients(x)
    curvature = likelihood.curvature(W.modulus(c))
    metric = hessian(c, curvature, W) + LIGHT * _metric(c, curvature, W)
    metric[np.diag_indices_from(metric)] += METRIC_RIDGE * metric.diagonal().mean()
    C = torch.from_numpy(cholesky(metric, overwrite_a=True)).to(x)

    def signal(v: torch.Tensor) -> torch.Tensor:
        return signal_of(torch.linalg.solve_triangular(C, v[:, None], upper=True)[:, 0], W)

    X = torch.fft.rfft(x)[W.band]
    objective = Objective(
        likelihood.S, lambda v: W.modulus(W.coefficients(signal(v))), likelihood.loss
    )
    descend_lbfgs(
        objective,
        C @ torch.cat([X.real, X.imag]),
        n_iter,
        lambda v, fit: step(signal(v), fit),
        precondition=False,
    )


def hessian(c: torch.Tensor, curvature: np.ndarray, W: Scalogram) -> np.ndarray:
    """Compute the matrix of the form above in the real and imaginary parts of dX."""
    return _form(*_weights(c, curvature), W)


def hessian_in_samples(c: torch.Tensor, curvature: np.ndarray, M: Measured) -> np.ndarray:
    """Compute it in the samples of x, which M extends: Re(E^T (F* A + F^T B) F E), F the DFT."""
    A, B = pair_sums(M.W, *_weights(c, curvature), share=SEEN)
    # A is the adjoint of itself, B its own transpose: rows are transformed instead of columns.
    n = M.W.n_samples
    half = M.extension.adjoint(torch.fft.fft(A, n=n).conj() + torch.fft.fft(B, n=n)).mT
    return M.extension.adjoint(torch.fft.fft(half, n=n).real / n**2).numpy()


def _weights(c: torch.Tensor, curvature: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute f''/2 and conj(u)^2 f''/2."""
    u = c / c.abs().clamp_min(torch.finfo(c.real.dtype).tiny)
    half = torch.from_numpy(curvature / 2).to(u.real)
    return half, half * u.conj().square()


def _metric(c: torch.Tensor, curvature: np.ndarray, W: Scalogram) -> np.ndarray:
    """Compute the matrix of sum |dc|^2 f'' / (1 + f'' o^2)^2: loud parts may turn."""
    weight = curvature / np.square(1 + curvature * np.square(np.abs(c.cpu().numpy())))
    return _form(torch.from_numpy(weight).to(c.real), None, W)


def _form(p: torch.Tensor, q: torch.Tensor | None, W: Scalogram) -> np.ndarray:
    """Compute the matrix of sum p |dc|^2 + Re(q dc^2) in the real and imaginary parts of dX."""
    seen = np.ix_(*2 * [np.flatnonzero(W.band.cpu().numpy())])
    A, B = (M.cpu().numpy()[seen] / W.n_samples**2 for M in pair_sums(W, p, q, share=SEEN))
    cross = -(A.imag + B.imag)
    return np.block([[A.real + B.real, cross], [cross.T, A.real - B.real]])


def signal_of(parts: torch.Tensor, W: Scalogram) -> torch.Tensor:
    """Make the signal whose spectrum on the band has these real and imaginary parts."""
    spectrum = parts.new_zeros(W.n_samples // 2 + 1, dtype=torch.complex128)
    spectrum = spectrum.masked_scatter(W.band, torch.complex(*parts.reshape(2, -1)))
    return torch.fft.irfft(spectrum, n=W.n_samples)
