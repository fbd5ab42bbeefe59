"""Fit a measured scalogram by damped steps of Gauss and Newton on all unknowns at once.

With residuals r = |c| - S, c = W x, u = c/|c| and weights w = 1/sigma^2, a step d solves

    (H + lambda diag H) d  =  -g,       g = W* (w r u),       d.(H d) = sum w Re(conj(u) W d)^2

in the spectrum of x on the band, or in the samples of x where it is extended (Levenberg 1944,
doi:10.1090/qam/10666; Marquardt 1963, doi:10.1137/0111030). H is a dense matrix, added up in one
place (`_fisher`), so that the steps reach the bottom of narrow valleys along which conjugate
gradients crawl. lambda falls after a step that gains and grows after one that does not.

The residuals may also be |c|^p - S^p. p = 2 is the misfit of Wirtinger flow (Candes, Li and
Soltanolkotabi 2015, doi:10.1109/TIT.2015.2399924), which has no cusp where c is zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from ..measured import Measured
from ._fisher import LONGEST_DENSE, hessian, hessian_in_samples, signal_of

__all__ = ["is_small", "levenberg_marquardt"]

# The damping: first, least, and its factors after a success and a failure, of which MOST_FAILURES
# may follow each other. Diagonal elements are at least DIAGONAL_FLOOR of the largest.
FIRST_DAMPING, LEAST_DAMPING, EASED, STIFFENED, MOST_FAILURES = 1e-3, 1e-14, 1 / 6, 8.0, 6
DIAGONAL_FLOOR = 1e-6

# Steps end when one of little damping gains less than this and, where there are errors, lowers
# chi^2 by less than this. Much damping hides how far a valley falls. The last hundredths of a
# decibel count where there are errors: loud parts may still turn against each other, along a
# valley that is flat beside what the errors leave.
LITTLE_DAMPING, LEAST_GAIN_DB, LEAST_GAIN_CHI2 = 1e-9, 0.02, 1.0


def is_small(M: Measured) -> bool:
    """Check that the signal is short; its extension may be twice as long."""
    return M.n_samples <= LONGEST_DENSE and M.W.n_samples <= 2 * LONGEST_DENSE


def _is_on_the_band(M: Measured) -> bool:
    """Whether steps are taken in the spectrum of x."""
    return M.extension.is_identity and M.W.is_one_sided and M.W.angles is None


def levenberg_marquardt(
    M: Measured,
    x: torch.Tensor,
    n_steps: int,
    step: Callable[[torch.Tensor, float], bool],
    power: int = 1,
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
    power : int
        The power of the modulus that is fitted.

    Returns
    -------
    Tensor, shape of x
    """
    weight = torch.ones_like(M.S) if M.sigma is None else M.sigma.square().reciprocal()
    damping, cost = FIRST_DAMPING, _cost(M, x, weight, power)
    for _ in range(n_steps):
        H, gradient = _normal_equations(M, x, weight, power)
        for _ in range(MOST_FAILURES):
            parts = torch.from_numpy(_damped(H, damping, gradient))
            trial = x - (signal_of(parts, M.W) if _is_on_the_band(M) else parts)
            after = _cost(M, trial, weight, power)
            if after < cost:
                break
            damping *= STIFFENED
        else:
            return x
        arrived = damping <= LITTLE_DAMPING and _is_little(cost, after, M)
        x, cost, damping = trial, after, max(damping * EASED, LEAST_DAMPING)
        if step(x, M.consistency_db(x)) or arrived:
            break
    return x


def _is_little(before: float, after: float, M: Measured) -> bool:
    """Tell whether a step gained little: in decibels, and of chi^2 where there are errors."""
    gain_db = 10 * np.log10(before / max(after, np.finfo(float).tiny))
    return gain_db < LEAST_GAIN_DB and (M.sigma is None or before - after < LEAST_GAIN_CHI2)


def _cost(M: Measured, x: torch.Tensor, weight: torch.Tensor, power: int) -> float:
    return float((_misfit(M, M.magnitude(x), power).square() * weight).sum())


def _misfit(M: Measured, modulus: torch.Tensor, power: int) -> torch.Tensor:
    """Compute |c|^p - S^p, or 0 where |c| is below a floor."""
    return (M.S + M.misfit(modulus)).pow(power) - M.S.pow(power)


def _normal_equations(
    M: Measured, x: torch.Tensor, weight: torch.Tensor, power: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute H and g in the real and imaginary parts of the spectrum, or in samples."""
    c = M.coefficients(x)
    modulus = M.W.modulus(c)
    residual, slope = _misfit(M, modulus, power), power * modulus.pow(power - 1)
    counts = weight * M.known * ~(M.at_most & (residual <= 0))
    full = M.W.coefficients(M.extension(x))
    everywhere = M.columns.spread(counts * slope.square()).numpy()
    pulled = M.adjoint(residual * counts * slope * torch.sgn(c))
    if not _is_on_the_band(M):
        return hessian_in_samples(full, everywhere, M), pulled.numpy()
    G = (2 / M.W.n_samples * torch.fft.rfft(pulled))[M.W.band].numpy()
    return hessian(full, everywhere, M.W), np.concatenate([G.real, G.imag])


def _damped(H: np.ndarray, damping: float, gradient: np.ndarray) -> np.ndarray:
    """Solve for a step, which is infinite where rounding has made the matrix indefinite."""
    damped, diagonal = H.copy(), np.maximum(H.diagonal(), DIAGONAL_FLOOR * H.diagonal().max())
    damped[np.diag_indices_from(H)] += damping * diagonal
    try:
        return cho_solve(cho_factor(damped, lower=True, overwrite_a=True), gradient)
    except np.linalg.LinAlgError:
        return np.full_like(gradient, np.inf)
