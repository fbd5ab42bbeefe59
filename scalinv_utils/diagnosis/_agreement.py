"""Measure how well an array agrees with a filter bank: how much noise it would take to explain it.

With P the power (S^2) and Z its DFT over time, every scalogram of the filters psi has, lag by lag,
Z(O) = B_O v_O with (B_O)_jk = psi_j(k) psi_j(k + O) / N, as `recovery._lifted_power` explains. Two
numbers follow. The first is the noise on S that would leave as much outside the range of B_O,

    r = e (B_O B_O^T + e)^-1 Z,     noise in dB  =  10 log10  |r(P)|^2 / |r(dP/dS n)|^2

with n white, drawn once and scaled to the rms of S. It is the noise where there is noise, and about
-90 dB for an exact scalogram. The second asks at that noise, of variance n_j in row j, whether a
signal of this spectrum E is likely to have the power that S has, by chi^2 for each number,

    mean over j and O of   Z^H C^-1 Z,    C = B_O diag(E_k E_{k+O}) B_O^T + diag n

It is near 1 for a scalogram of these filters, noisy or not, and mostly far above 3 for all else.

A scalogram that was padded in time and cropped is not periodic. Its power gets the window sin^4
then: a smooth window on the power is nearly one on the signal, so that the same map holds in those
rows whose wavelets are short. (Derived for this project.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from ..recovery._lifted_power import flat_spectrum
from ..recovery.denoising import OUTSIDE, autocorrelation
from ..transforms import _wavelets

__all__ = [
    "Bank",
    "Convert",
    "Noisy",
    "bank_of",
    "chi_squared",
    "noise_needed",
    "seam",
    "windowed",
    "with_wavelet",
]

Convert = Callable[[np.ndarray], np.ndarray]

# Rows are thinned out to this many, and so many lags are looked at, the first half without gaps.
MOST_ROWS, N_LAGS = 128, 48

# e above, relative to the diagonal of B_0 B_0^T. Noise is taken to be at least this level in dB
# when chi^2 is computed: the prior spectrum is no more exact than that.
RIDGE, LEAST_NOISE_DB = 1e-9, -60.0

# The slope of the power is taken over this share of the rms of S, and no row is taken to have less
# noise in its power than this share of the noisiest one, in squares.
STEP, QUIETEST = 1e-6, 1e-6

# C gets this share of its largest entry on its diagonal, so that rounding leaves it definite.
JITTER = 1e-13

# chi^2 leaves the slowest lags out: the mean of the power is no noise, and the window spreads it.
FIRST_LAG = 4

# Under a window those rows count whose wavelets last less than the first of these shares of the
# signal for which they are so many and hold this share of the power.
SHORT_WAVELETS, FEWEST_ROWS, LEAST_HEARD = (1 / 64, 1 / 32, 1 / 16), 8, 0.05

# The seam: this share of the columns at each end.
SEAM = 0.02


@dataclass(frozen=True, eq=False)
class Bank:
    """Filters on the non-negative DFT bins, thinned out, and where their rows are in S.

    Attributes
    ----------
    psi : array, shape (n_rows, n_samples // 2 + 1)
    n_samples : int
    rows : integer array, shape (n_rows,)
    hop : int
        S has every so many columns.
    window : array, shape (n_samples // hop,), or None
        Weight of the power in time.
    n_lags : int
        Number of lags that are looked at.
    """

    psi: np.ndarray
    n_samples: int
    rows: np.ndarray
    hop: int = 1
    window: np.ndarray | None = None
    n_lags: int = N_LAGS

    @property
    def coarse(self) -> Bank:
        """Every second row and a third of the lags, for a first look."""
        return replace(self, psi=self.psi[::2], rows=self.rows[::2], n_lags=self.n_lags // 3)

    @property
    def lags(self) -> np.ndarray:
        """The lags that are looked at."""
        n_lags = self.n_samples // self.hop // 2 + 1
        first = np.arange(min(self.n_lags // 2, n_lags))
        later = np.geomspace(len(first), max(n_lags - 1, len(first)), self.n_lags - len(first))
        return np.unique(np.concatenate([first, np.round(later)]).astype(int).clip(0, n_lags - 1))

    def spectra(self, power: np.ndarray) -> np.ndarray:
        """Compute Z of a power, shape (n_freqs, n_columns), in these rows and at these lags."""
        power = power[self.rows] if self.window is None else power[self.rows] * self.window
        return self.hop * np.fft.rfft(power)[:, self.lags]

    def heard(self, S: np.ndarray) -> float:
        """Compute the share of the power of S that the window leaves in these rows; 1 without."""
        if self.window is None:
            return 1.0
        return float((np.square(S[self.rows]) * self.window).sum() / np.square(S).sum())

    def products(self, lag: int) -> np.ndarray:
        """Compute psi_j(k) psi_j(k + lag) at those k where they do not all vanish."""
        n_bins = self.psi.shape[1]
        return self.psi[:, : max(n_bins - lag, 0)] * self.psi[:, lag:]


def bank_of(psi: np.ndarray, n_samples: int, rows: np.ndarray, hop: int = 1) -> Bank:
    """Make a Bank of some of the rows psi, at most `MOST_ROWS` of them."""
    rows = rows[:: -(-len(rows) // MOST_ROWS)]
    return Bank(psi[rows], n_samples, rows, hop)


def windowed(bank: Bank, durations: np.ndarray, S: np.ndarray) -> Bank:
    """Put the window on a bank, and leave it those rows that are short, if S can be heard there.

    `durations` are those of all rows' wavelets, in samples.
    """
    n_columns = bank.n_samples // bank.hop
    window = np.sin(np.pi * (np.arange(n_columns) + 0.5) / n_columns) ** 4
    for share in SHORT_WAVELETS:
        short = durations[bank.rows] < share * bank.n_samples
        cut = replace(bank, psi=bank.psi[short], rows=bank.rows[short], window=window)
        if short.sum() >= FEWEST_ROWS and cut.heard(S) > LEAST_HEARD:
            return cut
    return replace(bank, window=window)


def with_wavelet(bank: Bank, wavelet: _wavelets.Named, frequencies: np.ndarray) -> Bank:
    """Sample another wavelet at the same centre `frequencies` of all rows, in cycles per sample."""
    response = _wavelets.response(wavelet)
    scales = _wavelets.peak_frequency(response) / (2 * np.pi * frequencies[bank.rows])
    psi = response(np.outer(scales, 2 * np.pi * np.arange(bank.psi.shape[1]) / bank.n_samples))
    if bank.n_samples % 2 == 0:
        psi[:, -1] /= 2
    return replace(bank, psi=psi)


@dataclass(frozen=True, eq=False)
class Noisy:
    """An array, how its moduli are made, and the noise that it may have.

    Attributes
    ----------
    S : real array, shape (n_freqs, n_columns)
    modulus : function
        Makes moduli of S.
    profile : real array, shape of S
        Standard deviation of noise of 0 dB.
    """

    S: np.ndarray
    modulus: Convert
    profile: np.ndarray

    @property
    def power(self) -> np.ndarray:
        """The power that the moduli have."""
        return np.square(self.modulus(self.S))

    @property
    def deviation(self) -> np.ndarray:
        """The standard deviation of noise of 0 dB on the power, to first order."""
        step = STEP * np.sqrt(np.mean(np.square(self.S)))
        change = self.modulus(self.S + step) ** 2 - self.modulus(np.abs(self.S - step)) ** 2
        return self.profile * change / (2 * step)


def noise_needed(cases: Sequence[Noisy], bank: Bank) -> list[float]:
    """Tell how much noise each case needs to be the scalogram of a signal, in dB.

    Parameters
    ----------
    cases : sequence of Noisy
    bank : Bank

    Returns
    -------
    list of float
    """
    white = np.random.default_rng(0).standard_normal(cases[0].S.shape)
    spectra = [bank.spectra(z) for case in cases for z in (case.power, case.deviation * white)]
    energy = _outside(np.array(spectra), bank).reshape(-1, 2)
    return [float(10 * np.log10(given / drawn)) for given, drawn in energy]


def _outside(spectra: np.ndarray, bank: Bank) -> np.ndarray:
    """Compute the energy of each of the spectra outside the range, shape (n_spectra,)."""
    weights = np.sqrt(np.square(np.square(bank.psi)).sum(1))[:, None]
    energy = np.zeros(len(spectra))
    for place, lag in enumerate(bank.lags):
        B = bank.products(lag) / weights
        factor = cho_factor(B @ B.T + RIDGE * np.eye(len(B)), lower=True, overwrite_a=True)
        z = spectra[:, :, place].T / weights
        rest = RIDGE * weights * cho_solve(factor, np.hstack([z.real, z.imag]))
        energy += np.square(rest).sum(0).reshape(2, -1).sum(0)
    return energy + np.finfo(float).tiny


def chi_squared(case: Noisy, bank: Bank, noise_db: float) -> float:
    """Compare the power with what a signal and this noise would leave, for each number of it.

    Parameters
    ----------
    case : Noisy
    bank : Bank
    noise_db : float
        Level of the noise; raised to `LEAST_NOISE_DB`.

    Returns
    -------
    float
    """
    level = bank.hop * 10 ** (max(noise_db, LEAST_NOISE_DB) / 20)
    weight = np.ones(case.S.shape[1]) if bank.window is None else bank.window
    variance = np.square(level * case.deviation[bank.rows] * weight).sum(1)
    noise = np.sqrt(np.maximum(variance, QUIETEST * variance.max()))[:, None]
    mean = (case.power[bank.rows] * weight).mean(1)
    prior = flat_spectrum(mean, bank.psi, bank.n_samples) / bank.n_samples
    z = bank.spectra(case.power) / noise
    return float(np.mean([_surprise(z, place, bank, prior, noise) for place in _moving(bank)]))


def _moving(bank: Bank) -> list[int]:
    """List the places of the lags that count: neither the slowest nor those without any power."""
    places = np.flatnonzero(bank.lags >= min(FIRST_LAG, bank.lags[-1]))
    return [int(place) for place in places if bank.lags[place] < bank.psi.shape[1]]


def _surprise(z: np.ndarray, place: int, bank: Bank, prior: np.ndarray, noise: np.ndarray) -> float:
    """Compute Z^H C^-1 Z for one lag, in units of the noise and for each row."""
    lag = bank.lags[place]
    B = bank.products(lag) / noise
    both = prior[: B.shape[1]] * prior[lag:]
    C = (B * both) @ B.T
    C[np.diag_indices_from(C)] += 1 + JITTER * C.max()
    factor = cho_factor(C, lower=True, overwrite_a=True)
    parts = np.stack([np.real(z[:, place]), np.imag(z[:, place])], 1)
    return float((parts * cho_solve(factor, parts)).sum() / len(B))


def seam(power: np.ndarray, psi: np.ndarray) -> tuple[float, float, float]:
    """Measure how much of the power that no signal can have lies where the end meets the start.

    Parameters
    ----------
    power : array, shape (n_freqs, n_samples)
    psi : array, shape (n_freqs, n_bins)

    Returns
    -------
    share : float
        Share of it in the first and last columns.
    excess : float
        The same over the share of S^2 or S^4 there, whichever is larger.
    level : float
        Energy of all of it, in dB relative to that of the power.
    """
    n_samples = power.shape[1]
    reach = autocorrelation(torch.from_numpy(psi), n_samples).numpy()
    beyond = np.fft.rfft(power) * (reach < OUTSIDE)
    rest = np.square(np.fft.irfft(beyond, n=n_samples))
    ends = np.r_[: int(SEAM * n_samples) + 1, n_samples - int(SEAM * n_samples) - 1 : n_samples]
    shares = [_share(part, ends) for part in (rest, power, np.square(power))]
    level = 10 * np.log10(max(rest.sum() / np.square(power).sum(), np.finfo(float).tiny))
    return shares[0], shares[0] / max(shares[1:]), float(level)


def _share(part: np.ndarray, columns: np.ndarray) -> float:
    return float(part[:, columns].sum() / max(part.sum(), np.finfo(float).tiny))
