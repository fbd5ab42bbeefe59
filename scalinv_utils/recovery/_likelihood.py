"""How likely a signal is, given a noisy scalogram: curvature, chi^2, and expected residuals."""

import math

import numpy as np
import torch
from scipy.special import erfcx, i0e, i1e, ndtr

from . import losses
from .losses import Loss

__all__ = ["Likelihood"]


def _gaussian(o: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Compute the second derivative of `losses.gaussian` in o, both in units of sigma."""
    return np.ones_like(o)


def _clipped(o: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Compute the same of `losses.tobit`; phi(o) / Phi(-o) is the hazard."""
    ratio = np.where(t > 0, 0, o)
    hazard = math.sqrt(2 / math.pi) / erfcx(ratio / math.sqrt(2))
    return np.where(t > 0, 1.0, hazard * (hazard - ratio))


def _rice(o: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Compute the same of `losses.rice`, at least 0: R = I1/I0, R' = 1 - R/z - R^2, z = o t."""
    z = o * t
    ratio = i1e(z) / i0e(z)
    rising = np.where(z > 1e-6, 1 - ratio / np.maximum(z, 1e-6) - ratio**2, 0.5)
    return np.maximum(1 - t**2 * rising, 0)


def _expected(r: np.ndarray, model: str) -> np.ndarray:
    """Compute the mean of (S - m)^2 under the model, in units of sigma, at r = m / sigma."""
    if model == "gaussian":
        return np.ones_like(r)
    if model == "clipped":
        return ndtr(r) - r * np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi) + r**2 * ndtr(-r)
    half = r**2 / 4
    mean = math.sqrt(math.pi / 2) * ((1 + 2 * half) * i0e(half) + 2 * half * i1e(half))
    return 2 + 2 * r**2 - 2 * r * mean


CURVATURE = {"gaussian": _gaussian, "clipped": _clipped, "rice": _rice}
LOSS_OF = {"gaussian": losses.gaussian, "clipped": losses.tobit, "rice": losses.rice}


class Likelihood:
    """The negative logarithm of the likelihood of a modulus.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
        The noisy scalogram.
    sigma : float
        Standard deviation of the noise.
    model : "gaussian", "clipped" or "rice"
    """

    def __init__(self, S: torch.Tensor, sigma: float, model: str = "clipped") -> None:
        self.S, self.sigma, self.model = S, sigma, model
        self.loss: Loss = LOSS_OF[model](sigma)

    def curvature(self, modulus: torch.Tensor) -> np.ndarray:
        """Compute the second derivative, not below 0; an array of S's shape."""
        o, t = (plane.cpu().numpy() / self.sigma for plane in (modulus, self.S))
        return CURVATURE[self.model](o, t) / self.sigma**2

    def chi2(self, modulus: torch.Tensor) -> float:
        """Compute minus twice the logarithm: chi^2 where nothing was clipped."""
        return 2 * float(self.loss([modulus], [self.S]))

    def surprise(self, modulus: torch.Tensor, n_fitted: int = 0) -> float:
        """Compare the squared residuals with those of the noise; 1 for the right signal.

        An answer that has fitted so many unknowns leaves so many coefficients fewer.
        """
        expected = _expected(modulus.cpu().numpy() / self.sigma, self.model).sum() * self.sigma**2
        left = 1 - n_fitted / modulus.numel()
        return float((self.S - modulus).square().sum() / expected) / left

    def excess(self, modulus: torch.Tensor) -> np.ndarray:
        """Compute squared residuals beyond those of the noise, in units of sigma^2."""
        squares = (self.S - modulus).square().cpu().numpy() / self.sigma**2
        return squares - _expected(modulus.cpu().numpy() / self.sigma, self.model)
