"""How good a recovered signal is, told without the truth: noise, fit, error, and loose parts.

The Cramer-Rao bound at the estimate is its error bar. Often one thing makes it large: two loud
parts that a quiet valley separates may turn against each other. So the phases of the regions of
the scalogram get error bars of their own. To first order the phase of region r changes with the
signal by

    d theta_r  =  Im sum_r conj(c) dc / sum_r |c|^2  =  a_r . dx

and with the covariance C of the signal, the inverse of Fisher's information without the rotation
of all, the difference of two phases has the variance (a_r - a_s).C (a_r - a_s). Regions whose
difference is known are tied into one part.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse.csgraph import connected_components

from .._levels import unit
from .._validation import check_choice, check_positive, check_signal
from ..bounds import Bound, band_basis, cramer_rao
from ..measured import Measured
from ..metrics import analytic, decibels
from ..transforms.scalogram import Scalogram
from ._lifted_power import MODELS, applies_to, noise_level
from ._likelihood import Likelihood
from ._noisy import EXPLAINED
from ._regions import regions
from ._stages import one_scalogram, scalogram_of

__all__ = ["ErrorBars", "error_bars"]

# Two regions are tied if the difference of their phases is known to this many rad.
KNOWN = 0.5


@dataclass(frozen=True, eq=False)
class ErrorBars:
    """Tell how much a noisy scalogram leaves open about a recovered signal.

    Attributes
    ----------
    sigma : float
        Standard deviation of the noise, in units of the scalogram.
    reduced_chi2 : float
        Squared residuals over those that the noise leaves. Near 1 nothing is left to explain;
        well above 1 the scalogram is not that of a signal with noise, or the signal is wrong.
    error_db : float
        Cramer-Rao bound on the waveform error at the estimate, in dB.
    within_db : float
        The same if each part may be turned by itself before errors are taken.
    parts : integer array, shape (n_freqs, n_samples)
        The part of each coefficient: 0 is the loudest.
    phase_deviations : array, shape (n_parts,)
        Standard deviation of the phase between each part and the loudest, in rad; to first order,
        so that values above about 1 only say that the phase is open.
    """

    sigma: float
    reduced_chi2: float
    error_db: float
    within_db: float
    parts: np.ndarray
    phase_deviations: np.ndarray

    @property
    def n_parts(self) -> int:
        """Number of parts that are not tied to each other."""
        return len(self.phase_deviations)

    def __str__(self) -> str:
        if self.reduced_chi2 > EXPLAINED:
            return (
                f"noise of {self.sigma:.3g} leaves residuals unexplained: their squares are "
                f"{self.reduced_chi2:.3g} times as large. Either the signal is wrong, or no signal "
                "has this scalogram; its error is not known"
            )
        said = (
            f"noise of {self.sigma:.3g}, which explains the residuals to a factor of "
            f"{self.reduced_chi2:.2f}; as good as {self.error_db:.1f} dB"
        )
        if self.n_parts == 1:
            return said
        return f"{said}, and {self.within_db:.1f} dB within each of {self.n_parts} loose parts"


def error_bars(
    x: ArrayLike,
    S: ArrayLike | Measured,
    W: Scalogram | None = None,
    *,
    noise: Literal["clipped", "gaussian", "rice"] = "clipped",
    sigma: float | None = None,
) -> ErrorBars:
    """Tell how good a signal is that was recovered from a noisy scalogram.

    Parameters
    ----------
    x : real array, shape (n_samples,)
        The recovered signal.
    S : real array, shape (n_freqs, n_samples), or Measured
        The scalogram as it was given. A `Measured` brings the error of each value, and needs no
        other argument; it has to be periodic.
    W : Scalogram
        Without a lowpass, and with a band of positive frequencies. The cost grows with the cube of
        its length: about a second at 1024 samples.
    noise, sigma
        As for `recover`; not with a `Measured`.

    Returns
    -------
    ErrorBars

    Raises
    ------
    ValueError, TypeError
        If x or S does not fit W, W has a lowpass or is too long, no level of noise can be read
        from S and none is given, or a `Measured` is exact or not periodic.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, bounds, metrics, recover
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    >>> S = bounds.noisy(W.magnitude(x), 20)
    >>> y = recover(S, W).signal
    >>> bars = error_bars(y, S, W)
    >>> abs(bars.error_db - metrics.waveform_error_db(y, x)) < 3
    True
    """
    check_choice(noise, MODELS, "noise")
    if isinstance(S, Measured):
        return _of_measured(x, S)
    plane, W = scalogram_of(S, W)
    given = one_scalogram(plane, W, "error_bars", noise == "gaussian")
    W = W.in_double()
    _require_short(W)
    level = float(unit(given))
    told = None if sigma is None else check_positive(sigma, "sigma") / level
    sigma = noise_level(given / level, W, model=noise) if told is None else told
    if sigma == 0:
        raise ValueError("sigma must be given: S has no bin that tells the level of its noise")
    y = _heard(x, W) / level
    modulus = W.magnitude(y)
    bound = cramer_rao(y, W, noise=noise, snr_db=_snr_db(modulus, sigma))
    chi2 = Likelihood(given / level, sigma, noise).surprise(modulus, len(bound.fisher))
    return _bars(bound, modulus, sigma, chi2, level)


def _heard(x: ArrayLike, W: Scalogram) -> torch.Tensor:
    """Check x, and restrict it to the band of W."""
    W.check_heard(check_signal(x, name="x"))
    return W.project(x).detach()


def _of_measured(x: ArrayLike, M: Measured) -> ErrorBars:
    """Tell the same with an error for each value that is known; sigma is their rms."""
    if M.sigma is None or not M.extension.is_identity:
        raise ValueError(f"S must have errors and be periodic to have error bars, got {M!r}")
    _require_short(M.W)
    level = float(unit(M.S))
    M = M.at_level(level)
    assert M.sigma is not None
    y = _heard(x, M.W) / level
    modulus = M.magnitude(y)
    counts = M.known & ~(M.at_most & (modulus <= M.S))
    sigma = float(M.sigma[M.known].square().mean().sqrt())
    weight = torch.where(counts, (sigma / M.sigma).square(), 0.0)
    bound = cramer_rao(y, M.W, weight=M.columns.spread(weight))
    squares = torch.where(counts, (M.misfit(modulus) / M.sigma).square(), 0.0).sum()
    chi2 = float(squares) / max(int(counts.sum()) - len(bound.fisher), 1)
    return _bars(bound, M.W.magnitude(y), sigma, chi2, level)


def _require_short(W: Scalogram) -> None:
    if not applies_to(W):
        raise ValueError(f"W must be short and without a lowpass, got {W!r}")


def _snr_db(modulus: torch.Tensor, sigma: float) -> float:
    return decibels(modulus.square().mean().sqrt() / sigma)


def _bars(
    bound: Bound, modulus: torch.Tensor, sigma: float, chi2: float, level: float
) -> ErrorBars:
    """Gather what the bound at the estimate says; signal and sigma were divided by a level."""
    snr_db = _snr_db(modulus, sigma)
    labels, parts, deviations = _parts(bound, bound.sigma(snr_db))
    return ErrorBars(
        sigma * level,
        chi2,
        bound.error_db(snr_db),
        _within_db(bound, parts[labels], len(deviations), snr_db),
        parts[labels],
        deviations,
    )


def _parts(bound: Bound, sigma: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tie regions: (region of each coefficient, part of each region, deviations of the parts)."""
    c = bound.W.coefficients(bound.x)
    labels, n_regions = regions(bound.W.modulus(c).numpy(), sigma)
    energy = np.bincount(labels.ravel(), weights=c.abs().square().numpy().ravel())
    slopes = torch.stack([_phase_slope(c, labels == r, bound.W) for r in range(n_regions)])
    spread = (slopes @ bound.directions.T / bound.eigenvalues.sqrt() * sigma).numpy()
    covariance = spread @ spread.T
    variance = covariance.diagonal()
    between = np.sqrt(np.maximum(variance[:, None] + variance - 2 * covariance, 0))
    _, part = connected_components(between < KNOWN, directed=False)
    order = np.argsort(-np.bincount(part, weights=energy), kind="stable")
    part = np.argsort(order)[part]
    loudest = [_loudest(energy, part == p) for p in range(len(order))]
    return labels, part, between[loudest, loudest[0]]


def _loudest(energy: np.ndarray, among: np.ndarray) -> int:
    return int(np.where(among, energy, -1).argmax())


def _phase_slope(c: torch.Tensor, region: np.ndarray, W: Scalogram) -> torch.Tensor:
    """Compute a_r: Im sum_r conj(c) dc = Re <i c on region r, W dx>."""
    inside = torch.where(torch.from_numpy(region), c, 0)
    return W.adjoint(1j * inside) / inside.abs().square().sum()


def _within_db(bound: Bound, parts: np.ndarray, n_parts: int, snr_db: float) -> float:
    """Bound the error after each part was turned: the information without all these directions."""
    W, c, basis = bound.W, bound.W.coefficients(bound.x), band_basis(bound.W)
    turns = [
        analytic(W.inverse(torch.where(torch.from_numpy(parts == p), c, 0))).imag
        for p in range(n_parts)
    ]
    turning = basis.T @ torch.stack(turns, 1)
    rest = torch.linalg.qr(turning, mode="complete")[0][:, n_parts:]
    values = torch.linalg.eigvalsh(rest.T @ bound.fisher @ rest)
    deviation = (1 / values.clamp_min(bound.eigenvalues[0])).sum().sqrt() * bound.sigma(snr_db)
    return decibels(deviation / bound.x.norm())
