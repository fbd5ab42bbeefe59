"""How likely a signal is, given a noisy scalogram: value, curvature, and expected residuals."""

import functools
import math

import numpy as np
import torch
from scipy.special import erfcx, i0e, i1e, log_ndtr, ndtr

from . import losses
from .losses import Loss

__all__ = ["Likelihood"]

Terms = tuple[np.ndarray, np.ndarray]


def _gaussian(o: np.ndarray, t: np.ndarray) -> Terms:
    """Compute -log likelihood and its second derivative in o, both in units of sigma."""
    return (o - t) ** 2 / 2, np.ones_like(o)


def _clipped(o: np.ndarray, t: np.ndarray) -> Terms:
    """Compute the same with negative values put to zero; phi(o) / Phi(-o) is the hazard."""
    value, curvature = _gaussian(o, t)
    zero = t <= 0
    ratio = o[zero]
    hazard = math.sqrt(2 / math.pi) / erfcx(ratio / math.sqrt(2))
    value[zero], curvature[zero] = -log_ndtr(-ratio), hazard * (hazard - ratio)
    return value, curvature


def _rice(o: np.ndarray, t: np.ndarray) -> Terms:
    """Compute the same of noise on c: R = I1/I0, R' = 1 - R/z - R^2 at z = o t."""
    z = o * t
    ratio = i1e(z) / i0e(z)
    rising = np.where(z > 1e-6, 1 - ratio / np.maximum(z, 1e-6) - ratio**2, 0.5)
    return (o - t) ** 2 / 2 - np.log(i0e(z)), np.maximum(1 - t**2 * rising, 0)


def _expected(r: np.ndarray, model: str) -> np.ndarray:
    """Compute the mean of (S - m)^2 under the model, in units of sigma, at r = m / sigma."""
    if model == "gaussian":
        return np.ones_like(r)
    if model == "clipped":
        return ndtr(r) - r * np.exp(-(r**2) / 2) / math.sqrt(2 * math.pi) + r**2 * ndtr(-r)
    half = r**2 / 4
    mean = math.sqrt(math.pi / 2) * ((1 + 2 * half) * i0e(half) + 2 * half * i1e(half))
    return 2 + 2 * r**2 - 2 * r * mean


TERMS = {"gaussian": _gaussian, "clipped": _clipped, "rice": _rice}
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
        self._terms = functools.partial(TERMS[model], t=S.numpy() / sigma)

    def curvature(self, modulus: torch.Tensor) -> np.ndarray:
        """Compute the second derivative, not below 0; an array of S's shape."""
        return self._terms(modulus.numpy() / self.sigma)[1] / self.sigma**2

    def chi2(self, modulus: torch.Tensor) -> float:
        """Compute minus twice the logarithm: chi^2 where nothing was clipped."""
        return 2 * float(self._terms(modulus.numpy() / self.sigma)[0].sum())

    def surprise(self, modulus: torch.Tensor) -> float:
        """Compare the squared residuals with those of the noise; 1 for the right signal."""
        expected = _expected(modulus.numpy() / self.sigma, self.model).sum() * self.sigma**2
        return float((self.S - modulus).square().sum() / expected)

    def excess(self, modulus: torch.Tensor) -> np.ndarray:
        """Compute squared residuals beyond those of the noise, in units of sigma^2."""
        squares = (self.S - modulus).square().numpy() / self.sigma**2
        return squares - _expected(modulus.numpy() / self.sigma, self.model)
