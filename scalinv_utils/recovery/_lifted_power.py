"""The power of a scalogram is linear in the lifted signal: noise is what lies outside its range.

With X the DFT of x, c_j = IDFT(psi_j X), and v_O(k) = conj(X(k)) X(k + O), the O-th diagonal of the
lifted matrix, the DFT over time of the power of row j is, at lag O,

    Z_j(O)  =  1/N sum_k psi_j(k) psi_j(k + O) v_O(k)  =  (B_O v_O)_j

one linear map B_O for all rows together. Where every entry of a row of B_O vanishes there is noise
only, which tells its level. Elsewhere the rows, which overlap, have to agree: with a prior spectrum
E_k = E |X(k)|^2 of a Gaussian signal, and noise of energy n_j in each bin of row j, the best linear
estimate of the power is Wiener's,

    Z  <-  K (K + diag n)^-1 Z,        K = B_O diag(E_k E_{k+O}) B_O^T

one system of at most n_freqs equations for each lag. It denoises in time and in scale, while
`denoising.denoise`, which sees one row at a time, does so in time only.

Noise on S has a mean and a variance in S^2 that depend on S and on how the noise came about
(`MODELS`); both are taken at an earlier estimate of S.
"""

import math

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtr

from ..transforms.scalogram import Scalogram
from .denoising import OUTSIDE, autocorrelation, denoise

__all__ = [
    "MODELS",
    "REACHES",
    "applies_to",
    "denoise_jointly",
    "flat_spectrum",
    "noise_level",
    "spectrum_from_rows",
    "spectrum_of",
]

# Above this length the systems would take longer than the rest of a recovery.
LONGEST_LIFTED = 8192

# A row takes part at a lag where B_O reaches this share of its largest value at lag 0.
REACHES = 1e-6

# The prior spectrum is a mean over this many bins, and nowhere below this share of its maximum; if
# it is read from the mean power of the rows, that is not below this share of its maximum.
SMOOTHED_BINS, SPECTRUM_FLOOR, ROWS_FLOOR = 9, 1e-7, 1e-4

# The level is sought between these shares of the rms of S, and known to this relative accuracy.
LEVELS, ACCURACY = (1e-9, 2.0), 1e-3

# Its search looks at every so many columns.
EVERY = 4

Moments = tuple[np.ndarray, np.ndarray]


def _gaussian(ratio: np.ndarray) -> Moments:
    """Compute the mean of (ratio + n)^2 beyond ratio^2, and its variance: n normal, variance 1."""
    return np.ones_like(ratio), 4 * ratio**2 + 2


def _clipped(ratio: np.ndarray) -> Moments:
    """Compute the same of max(ratio + n, 0)^2, from incomplete moments of the normal density."""
    density, share, cut = (
        np.exp(-(ratio**2) / 2) / math.sqrt(2 * math.pi),
        ndtr(ratio),
        ndtr(-ratio),
    )
    # Terms that cancel far above the noise, ratio^2 and ratio^4, are left out of both differences.
    bias = share - ratio**2 * cut + ratio * density
    fourth = (6 * ratio**2 + 3) * share + (ratio**3 + 5 * ratio) * density - ratio**4 * cut
    return bias, fourth - 2 * ratio**2 * bias - bias**2


def _rice(ratio: np.ndarray) -> Moments:
    """Compute the same of |ratio + n|^2: n complex, variance 1 in each part."""
    return np.full_like(ratio, 2.0), 4 * ratio**2 + 4


#: How noise of unit variance changes the power: ratio -> (bias, variance).
MODELS = {"gaussian": _gaussian, "clipped": _clipped, "rice": _rice}


def noise_level(S: ArrayLike, W: Scalogram, *, model: str = "clipped") -> float:
    """Estimate the standard deviation of the noise on a scalogram from the scalogram alone.

    In bins of the power's spectrum that no signal reaches, the energy of row j is on average
    v_j = sum_t var(S^2). The level is the one that makes the energies most likely (they are
    exponentially distributed),

        min over sigma of  sum_j bins_j (log v_j + energy_j / v_j)

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        At a level whose fourth powers can be computed.
    W : Scalogram
    model : str
        A key of `MODELS`.

    Returns
    -------
    float
        In units of S; 0 where no row has a bin to tell it.
    """
    W = W.in_double()
    S = torch.as_tensor(S).detach().to(W.filters)
    wavelets = W.frequencies > 0
    power = S[wavelets].square()
    outside = (autocorrelation(W.filters[wavelets], W.n_samples) < OUTSIDE).numpy()
    bins, loud = outside.sum(1), power.sum(1).numpy() > 0
    heard = (bins > 0) & loud
    if not heard.any():
        return 0.0
    energy = (torch.fft.rfft(power).abs().square().numpy() * outside).sum(1)[heard]
    smooth = denoise(S.abs(), W)[wavelets, ::EVERY].square().numpy()[heard]
    return _most_likely(energy, bins[heard], smooth, W.n_samples, model)


def _most_likely(
    energy: np.ndarray, bins: np.ndarray, power: np.ndarray, n_samples: int, model: str
) -> float:
    """Find the level by a golden section over its logarithm."""

    def cost(log_sigma: float) -> float:
        sigma = math.exp(log_sigma)
        modulus = _without_bias(power, sigma, model)
        expected = n_samples * sigma**4 * MODELS[model](modulus / sigma)[1].mean(1)
        return float((bins * np.log(expected) + energy / expected).sum())

    rms = math.sqrt(float(power.mean())) or 1.0
    low, high = (math.log(level * rms) for level in LEVELS)
    golden = (math.sqrt(5) - 1) / 2
    while high - low > ACCURACY:
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if cost(left) < cost(right) else (left, high)
    return math.exp((low + high) / 2)


def _without_bias(power: np.ndarray, sigma: float, model: str) -> np.ndarray:
    """Find the modulus whose square has, with the noise, this mean: by a table of ratios."""
    ratios = np.concatenate([np.linspace(0, 4, 257), np.geomspace(4.05, 1e9, 400)])
    means = ratios**2 + MODELS[model](ratios)[0]
    return sigma * np.interp(power / sigma**2, means, ratios)


def denoise_jointly(
    S: ArrayLike,
    W: Scalogram,
    sigma: float,
    *,
    spectrum: np.ndarray | None = None,
    about: ArrayLike | None = None,
    model: str = "clipped",
) -> torch.Tensor:
    """Estimate the scalogram behind a noisy one, from all rows and columns together.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        Negative values are noise that was not clipped.
    W : Scalogram
        A long one, and one with negative frequencies or a lowpass, gets `denoise` instead.
    sigma : float
        Standard deviation of the noise.
    spectrum : real array, shape (n_bins,), optional
        The prior E|X(k)|^2, as `spectrum_of` estimates it. Default: from the mean power of S.
    about : real array, shape of S, optional
        An earlier estimate, where bias and variance of the noise are taken. Default: `denoise`.
    model : str
        A key of `MODELS`.

    Returns
    -------
    Tensor, shape of S
    """
    own, W = W.filters, W.in_double()
    S = torch.as_tensor(S).detach().to(W.filters)
    if not applies_to(W):
        return denoise(S.abs(), W).to(own)
    if about is None:
        about = _without_bias(denoise(S.abs(), W).square().numpy(), sigma, model)
    bias, variance = MODELS[model](torch.as_tensor(about).cpu().numpy() / sigma)
    power = S.square().numpy() - sigma**2 * bias
    if spectrum is None and power.mean(1).max() <= 0:
        return torch.zeros_like(S).to(own)  # no row has more power than the noise
    noise = sigma**4 * variance.sum(1)
    spectrum = spectrum_from_rows(power.mean(1), W) if spectrum is None else spectrum
    cleaned = np.fft.irfft(_wiener(np.fft.rfft(power), W, noise, spectrum), n=W.n_samples)
    return torch.from_numpy(cleaned).clamp_min(0).sqrt().to(own)


def applies_to(W: Scalogram) -> bool:
    """Whether W is short enough and sees positive frequencies only."""
    return W.n_samples <= LONGEST_LIFTED and W.is_one_sided and W.lowpass is None


def spectrum_of(x: ArrayLike, W: Scalogram) -> np.ndarray:
    """Estimate the prior spectrum from a signal: its power spectrum, smoothed.

    Parameters
    ----------
    x : real array, shape (n_samples,)
    W : Scalogram

    Returns
    -------
    array, shape (n_bins,)
    """
    energy = torch.fft.rfft(torch.as_tensor(x)).abs().square().cpu().numpy()
    smooth = np.convolve(energy, np.full(SMOOTHED_BINS, 1 / SMOOTHED_BINS), "same")
    return np.maximum(smooth, SPECTRUM_FLOOR * smooth.max())


def spectrum_from_rows(mean: np.ndarray, W: Scalogram) -> np.ndarray:
    """Find the spectrum, flat along each filter, that would give the rows this mean power.

    Parameters
    ----------
    mean : real array, shape (n_freqs,)
    W : Scalogram

    Returns
    -------
    array, shape (n_bins,)
    """
    psi = W.filters.cpu().double().numpy()
    return flat_spectrum(mean, psi[:, : W.n_samples // 2 + 1], W.n_samples)


def flat_spectrum(mean: np.ndarray, psi: np.ndarray, n_samples: int) -> np.ndarray:
    """Find the same spectrum for rows psi, shape (n_rows, n_bins), of any filter bank."""
    level = np.maximum(mean, ROWS_FLOOR * mean.max()) / (np.square(psi).sum(1) / n_samples**2)
    peaks, bins = psi.argmax(1).clip(1), np.arange(psi.shape[1]).clip(1)
    rising = np.argsort(peaks, kind="stable")
    return np.exp(np.interp(np.log(bins), np.log(peaks[rising]), np.log(level[rising])))


def _wiener(Z: np.ndarray, W: Scalogram, noise: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Filter the spectra of the power, shape (n_freqs, n_lags), lag by lag; lag 0 stays."""
    filtered = np.zeros_like(Z)
    filtered[:, 0] = Z[:, 0]
    psi, n_samples = W.filters.numpy(), W.n_samples
    n_bins, peak = psi.shape[1], np.square(psi).max(1)
    for lag in range(1, min(Z.shape[1], n_bins - 1)):
        B = psi[:, : n_bins - lag] * psi[:, lag:]
        rows = B.max(1) > REACHES * peak
        if not rows.any():
            break
        seen = slice(*_ends(B[rows].max(0) > 0))
        B = B[rows, seen]
        prior = (spectrum[: n_bins - lag] * spectrum[lag:])[seen] / n_samples**2
        filtered[rows, lag] = _smooth(B, prior, noise[rows], Z[rows, lag])
    return filtered


def _ends(mask: np.ndarray) -> tuple[int, int]:
    places = np.flatnonzero(mask)
    return places[0], places[-1] + 1


def _smooth(B: np.ndarray, prior: np.ndarray, noise: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Compute K (K + diag noise)^-1 z, as z - noise (K + diag noise)^-1 z."""
    K = (B * prior) @ B.T
    K[np.diag_indices_from(K)] += noise
    return z - noise * cho_solve(cho_factor(K, lower=True, overwrite_a=True), z)
