"""Fit a measured scalogram by damped steps of Gauss and Newton on all unknowns at once.

With residuals r = |c| - S, c = W x, u = c/|c| and weights w = 1/sigma^2, a step d solves

    (H + lambda diag H) d  =  -g,       g = W* (w r u),       d.(H d) = sum w Re(conj(u) W d)^2

in the spectrum of x on the band (Levenberg 1944, doi:10.1090/qam/10666; Marquardt 1963,
doi:10.1137/0111030). H is a dense matrix, added up in one place (`_fisher`), so that the steps
reach the bottom of narrow valleys along which conjugate gradients crawl. lambda falls after a step
that gains and grows after one that does not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from ..measured import Measured
from ._fisher import LONGEST_DENSE, hessian, signal_of

__all__ = ["is_small", "levenberg_marquardt"]

# The damping: first, least, and its factors after a success and a failure, of which MOST_FAILURES
# may follow each other. Diagonal elements are at least DIAGONAL_FLOOR of the largest.
FIRST_DAMPING, LEAST_DAMPING, EASED, STIFFENED, MOST_FAILURES = 1e-3, 1e-14, 1 / 6, 8.0, 6
DIAGONAL_FLOOR = 1e-6

# Steps end when one gains less than this and, where there are errors, lowers chi^2 by less than
# this. The last hundredths of a decibel count there: loud parts may still turn against each other,
# along a valley that is flat beside what the errors leave.
LEAST_GAIN_DB, LEAST_GAIN_CHI2 = 0.02, 1.0


def is_small(M: Measured) -> bool:
    """Check that the signal is short, and periodic or not extended."""
    one_sided = M.W.is_one_sided and M.W.angles is None
    return M.W.n_samples <= LONGEST_DENSE and M.extension.is_identity and one_sided


def levenberg_marquardt(
    M: Measured,
    x: torch.Tensor,
    n_steps: int,
    step: Callable[[torch.Tensor, float], bool],
) -> torch.Tensor:
    """Take steps from x until they gain nothing.

    Parameters
    ----------
    M : Measured
        One that `is_small`.
    x : real Tensor, shape (n_samples,)
    n_steps : int
        The largest number of steps.
    step : callable
        ``step(x, consistency_db)`` after each; a true return value stops.

    Returns
    -------
    Tensor, shape of x
    """
    weight = torch.ones_like(M.S) if M.sigma is None else M.sigma.square().reciprocal()
    damping, cost = FIRST_DAMPING, _cost(M, x, weight)
    for _ in range(n_steps):
        H, gradient = _normal_equations(M, x, weight)
        for _ in range(MOST_FAILURES):
            trial = x - signal_of(torch.from_numpy(_damped(H, damping, gradient)), M.W)
            after = _cost(M, trial, weight)
            if after < cost:
                break
            damping *= STIFFENED
        else:
            return x
        arrived = _is_little(cost, after, M)
        x, cost, damping = trial, after, max(damping * EASED, LEAST_DAMPING)
        if step(x, M.consistency_db(x)) or arrived:
            break
    return x


def _is_little(before: float, after: float, M: Measured) -> bool:
    """Tell whether a step gained little: in decibels, and of chi^2 where there are errors."""
    if 10 * np.log10(before / max(after, np.finfo(float).tiny)) >= LEAST_GAIN_DB:
        return False
    return M.sigma is None or before - after < LEAST_GAIN_CHI2


def _cost(M: Measured, x: torch.Tensor, weight: torch.Tensor) -> float:
    return float((M.misfit(M.magnitude(x)).square() * weight).sum())


def _normal_equations(
    M: Measured, x: torch.Tensor, weight: torch.Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """Compute H and g in the real and imaginary parts of the spectrum on the band."""
    c = M.coefficients(x)
    residual = M.misfit(M.W.modulus(c))
    counts = weight * M.known * ~(M.at_most & (residual <= 0))
    full = M.W.coefficients(M.extension(x))
    H = hessian(full, M.columns.spread(counts).numpy(), M.W)
    pulled = M.adjoint(residual * counts * torch.sgn(c))
    G = (2 / M.W.n_samples * torch.fft.rfft(pulled))[M.W.band].numpy()
    return H, np.concatenate([G.real, G.imag])


def _damped(H: np.ndarray, damping: float, gradient: np.ndarray) -> np.ndarray:
    diagonal = H.diagonal()
    damped = H.copy()
    damped[np.diag_indices_from(H)] += damping * np.maximum(
        diagonal, DIAGONAL_FLOOR * diagonal.max()
    )
    return cho_solve(cho_factor(damped, lower=True, overwrite_a=True), gradient)
