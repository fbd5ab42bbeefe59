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
from numba import njit
from scipy.linalg import cholesky

from ..transforms.scalogram import Scalogram
from ._gradient_descent import descend_lbfgs
from ._likelihood import Likelihood
from ._objective import Objective

__all__ = ["LONGEST_DENSE", "descend"]

# The cost grows with the cube of the length: above this it exceeds that of all else.
LONGEST_DENSE = 2048

# The metric has this share of one that lets loud parts turn, and of a multiple of the identity.
LIGHT, METRIC_RIDGE = 1e-2, 1e-9

# Responses below this share of the largest are left out of the metric.
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
    hessian = _hessian(c, curvature, W) + LIGHT * _metric(c, curvature, W)
    hessian[np.diag_indices_from(hessian)] += METRIC_RIDGE * hessian.diagonal().mean()
    C = torch.from_numpy(cholesky(hessian, overwrite_a=True))

    def signal(v: torch.Tensor) -> torch.Tensor:
        return _signal(torch.linalg.solve_triangular(C, v[:, None], upper=True)[:, 0], W)

    X = torch.fft.rfft(x)[W.band]
    objective = Objective(likelihood.S, lambda v: W.magnitude(signal(v)), likelihood.loss)
    descend_lbfgs(
        objective,
        C @ torch.cat([X.real, X.imag]),
        n_iter,
        lambda v, fit: step(signal(v), fit),
        precondition=False,
    )


def _bins(W: Scalogram) -> np.ndarray:
    return np.flatnonzero(W.band.numpy())


def _hessian(c: torch.Tensor, curvature: np.ndarray, W: Scalogram) -> np.ndarray:
    """Compute the matrix of the form above in the real and imaginary parts of dX."""
    u = c.numpy() / np.maximum(np.abs(c.numpy()), np.finfo(float).tiny)
    return _form(curvature / 2, curvature / 2 * np.square(u.conj()), W)


def _metric(c: torch.Tensor, curvature: np.ndarray, W: Scalogram) -> np.ndarray:
    """Compute the matrix of sum |dc|^2 f'' / (1 + f'' o^2)^2: loud parts may turn."""
    weight = curvature / np.square(1 + curvature * np.square(np.abs(c.numpy())))
    return _form(weight, np.zeros((len(weight), 1), complex), W)


def _form(p: np.ndarray, q: np.ndarray, W: Scalogram) -> np.ndarray:
    """Compute the matrix of sum p |dc|^2 + Re(q dc^2) in the real and imaginary parts of dX."""
    bins = _bins(W)
    psi = W.filters.numpy()[:, : bins[-1] + 1]
    seen = psi > SEEN * psi.max()
    ends = np.stack([seen.argmax(1), psi.shape[1] - seen[:, ::-1].argmax(1)], 1)
    spectra = np.fft.rfft(p), np.fft.fft(q) if q.shape == p.shape else q
    A, B = (M[np.ix_(bins, bins)] / W.n_samples**2 for M in _accumulate(*spectra, psi, ends))
    cross = -(A.imag + B.imag)
    return np.block([[A.real + B.real, cross], [cross.T, A.real - B.real]])


@njit(cache=True)
def _accumulate(
    p: np.ndarray, q: np.ndarray, psi: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add up A and B over the rows; ends are the first and last bin of each filter."""
    n, n_samples = psi.shape[1], q.shape[1]  # without q: 1, and its spectrum is zero
    A, B = np.zeros((n, n), np.complex128), np.zeros((n, n), np.complex128)
    for j in range(len(psi)):
        first, last = ends[j]
        for k in range(first, last):
            for l in range(k, last):
                weight = psi[j, k] * psi[j, l]
                A[k, l] += weight * p[j, l - k].conjugate()
                B[k, l] += weight * q[j, (n_samples - k - l) % n_samples]
    for k in range(n):
        for l in range(k):
            A[k, l], B[k, l] = A[l, k].conjugate(), B[l, k]
    return A, B


def _signal(parts: torch.Tensor, W: Scalogram) -> torch.Tensor:
    """Make the signal whose spectrum on the band has these real and imaginary parts."""
    spectrum = torch.zeros(W.n_samples // 2 + 1, dtype=torch.complex128)
    spectrum = spectrum.masked_scatter(W.band, torch.complex(*parts.reshape(2, -1)))
    return torch.fft.irfft(spectrum, n=W.n_samples)
