"""Turn any bank's known values into the scalogram of a dense Cauchy bank: the power is linear in
the lifted signal, which all rows and columns see.

With X the DFT of x and v_L(k) = conj(X(k)) X(k + L), the power of row j has at lag L the spectrum
Z_j(L) = 1/N sum_k conj(psi_j(k)) psi_j(k + L) v_L(k) = (B_L v_L)_j (`_lifted_power`). If only every
h-th column from o_j on is known, lags that are M = N/h apart fall on one another,

    z_j(l)  =  sum_m exp(2 pi i (l + m M) o_j / N) Z_j(l + m M)

and all rows, with their different B_L and offsets, separate them again. A row with a smaller hop
counts as several rows with the same large one. With a prior E_k = E|X(k)|^2 and errors of energy n
in each row the best linear prediction of another bank, B', is

    Z'(L)  =  B'_L D B_L^H  alpha,    alpha = (sum_L' B_L' D B_L'^H + n)^-1 z,    D = diag E_k E_k+L

one system for each l. The other bank need not have the wavelet of the first. A Cauchy bank is the
best choice: its phase relation is exact and of first order, so that what is wrong in a prediction
stays where it is, and its filters are wide, so that each of its rows averages over many of those
that are known. Six voices of gmw predict a gmw bank to -17 dB, from which nothing follows, and a
Cauchy bank with beta 45 to -26 dB, from which the signal does.

The prediction errs where the known values do not tell enough, but less so the closer an estimate y
is: corrections aim at P' = |W' y|^2 + prediction(S^2 - |W y|^2), which at the solution is right.

The completion was derived for this project, not taken from the literature.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from scipy.linalg import cho_factor, cho_solve

from ..measured import Measured
from ..transforms.scalogram import Scalogram
from ._lifted_power import REACHES, spectrum_from_rows

__all__ = [
    "LONGEST_LIFTABLE",
    "Completion",
    "OwnBank",
    "filled",
    "has_dense_rows",
    "is_liftable",
]

# Longer signals take too long. Rows may repeat after so many columns of the grid at most.
LONGEST_LIFTABLE, MOST_PHASES = 8192, 32

# The dense bank: rows per octave, and how far beyond the rows of W it reaches.
DENSE_VOICES, BEYOND = 32, 0.97

# Rows with less than this share of their power at negative frequencies take part, if they are more
# than this share of all.
LEAK, SHARE_OF_ROWS = 2e-2, 0.5

# Rows are dense if there are this many per octave, in units of the root of the time-bandwidth
# product. A prediction takes so many where there are more.
DENSE_ENOUGH, ENOUGH_ROWS = 1.1, 1.0

# This share of its mean diagonal is added to a system. Factors are kept up to so many numbers.
LIFTED_RIDGE, MOST_KEPT = 1e-10, 2**24


def is_liftable(M: Measured) -> bool:
    """Check that the transform is short, and that most rows pass hardly any negative frequency."""
    return M.W.n_samples <= LONGEST_LIFTABLE and bool(_one_sided(M).mean() > SHARE_OF_ROWS)


def _one_sided(M: Measured) -> np.ndarray:
    """Tell which rows pass hardly any negative frequency."""
    power, half = M.W.filters.square(), M.W.n_samples // 2 + 1
    return (power[:, half:].sum(1) < LEAK * power.sum(1)).numpy()


def filled(M: Measured) -> torch.Tensor:
    """Guess the values of S that are not known: mirrored columns, else the neighbours in time.

    Returns
    -------
    Tensor, shape of M.S
    """
    if bool(M.known.all()):
        return M.S
    times = M.columns.times
    mirrored = M.extension.mirrored(times)
    grid = (mirrored - M.columns.offsets[:, None]).div(M.columns.hop, rounding_mode="floor")
    taken = torch.gather(M.S, -1, grid.clamp(0, M.S.shape[1] - 1))
    outside = ~M.extension.within(times)
    plane = torch.where(outside & ~M.known, taken * (mirrored >= 0), M.S).numpy().copy()
    known = (M.known | outside).numpy()
    for row in np.flatnonzero(~known.all(1) & known.any(1)):
        places = np.flatnonzero(known[row])
        plane[row] = np.interp(np.arange(plane.shape[1]), places, plane[row, places])
    return torch.from_numpy(plane)


class OwnBank:
    """The rows of a scalogram as they are, where they are dense: only columns are missing.

    A signal that was extended by its mirror image is taken to be its even extension, of nearly
    twice its length. Its scalogram is even too, so that all columns of it are known: nearly, as
    libraries cut the extension off and go on from there periodically.

    Parameters
    ----------
    M : Measured
        One with `has_dense_rows`.

    Attributes
    ----------
    W : Scalogram
        Its transform, for signals as long as the extension.
    extension : Extension
    start : Tensor, shape (n_freqs, n_extended)
        The scalogram of the extension.
    """

    def __init__(self, M: Measured) -> None:
        self.M, self.W, self.extension, self.start = M, M.W, M.extension, filled(M)
        if M.ends in ("reflect", "symmetric"):
            self.extension = M.extension.even(M.ends)
            self.W = M.W.like(self.extension.n_padded)
            self.start = self.extension(M.S[:, M.extension.left :][:, : M.n_samples])


def has_dense_rows(M: Measured) -> bool:
    """Check that rows and columns of a wavelet transform are close enough to differentiate."""
    whole = M.columns.shape == M.W.shape and M.W.has_wavelet and M.W.is_one_sided
    return whole and M.W.voices_per_octave > DENSE_ENOUGH * M.W.time_bandwidth**0.5


class Completion:
    """The prediction of a dense Cauchy bank from what is known of a scalogram.

    Parameters
    ----------
    M : Measured
        One that `is_liftable`.
    beta : float
        The exponent of the Cauchy wavelets.

    Attributes
    ----------
    W : Scalogram
        The dense bank.
    extension : Extension
        That of M.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(256, 8000, voices_per_octave=8)
    >>> x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    >>> completion = Completion(Measured(W.magnitude(x), W), 40)
    >>> metrics.misfit_db(completion.start, completion.W.magnitude(x)) < -25
    True
    """

    def __init__(self, M: Measured, beta: float) -> None:
        self.M, self.extension = M, M.extension
        own = M.W.frequencies[torch.from_numpy(_one_sided(M))]
        f_min, f_max = float(own.min()) * BEYOND, float(own.max()) / BEYOND
        self.W = Scalogram(
            M.W.n_samples,
            M.W.sample_rate,
            wavelet=("cauchy", {"beta": beta}),
            voices_per_octave=DENSE_VOICES,
            f_min=f_min,
            f_max=min(f_max, M.W.sample_rate / 2),
        )
        n_bins = M.W.n_samples // 2 + 1
        self._psi = M.W.responses[:, :n_bins].numpy()
        self._phi = self.W.filters[:, :n_bins].numpy()
        self._plane, self._phases = filled(M), _repeats(M)
        self._hop = M.columns.hop * self._phases
        self._lay_out_rows()
        self.set_spectrum(spectrum_from_rows(self._plane.square().mean(-1).numpy(), M.W))

    def _lay_out_rows(self) -> None:
        """List the rows of the large hop: their row of W, first sample and energy of errors."""
        M, phases = self.M, self._phases
        # Values that were guessed count as known, where nothing repeats.
        self._heard = M.known if phases > 1 else torch.ones_like(M.known)
        heard = self._heard[:, :phases] & torch.from_numpy(_enough(M))[:, None]
        self._chosen = np.flatnonzero(heard.flatten().numpy())
        self._rows = self._chosen // phases
        self._starts = M.columns.times[:, :phases].flatten().numpy()[self._chosen]
        variances = _variances(M, self._plane).unflatten(-1, (-1, phases)).sum(-2).flatten()
        self._errors = self._hop**2 * variances.numpy()[self._chosen]

    def set_spectrum(self, spectrum: np.ndarray) -> None:
        """Take another prior E_k, shape (n_bins,)."""
        self._spectrum = spectrum
        self._factors: dict[int, tuple[np.ndarray, bool]] = {}

    @property
    def start(self) -> torch.Tensor:
        """The dense scalogram predicted from the known values alone."""
        return self._predicted(self._plane.square()).clamp_min(0).sqrt()

    def target(self, x: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Predict the dense scalogram from an estimate, extended: x and its c = W' x.

        Parameters
        ----------
        x : real Tensor, shape (n_padded,)
        c : complex Tensor, shape (n_dense, n_padded)

        Returns
        -------
        Tensor, shape (n_dense, n_padded)
        """
        own = self.M.columns.coefficients(x).abs().square()
        missing = torch.where(self._heard, self._plane.square() - own, 0.0)
        return (c.abs().square() + self._predicted(missing)).clamp_min(0).sqrt()

    def _predicted(self, power: torch.Tensor) -> torch.Tensor:
        """Predict the power of the dense bank from that of the grid, shape (n_freqs, n_grid)."""
        n_samples = self.M.W.n_samples
        every = power.unflatten(-1, (-1, self._phases)).movedim(-1, 1).flatten(0, 1)
        z = self._hop * np.fft.fft(every.numpy()[self._chosen])
        Z = np.zeros((self.W.n_freqs, n_samples // 2 + 1), complex)
        for lag in range(n_samples // self._hop // 2 + 1):
            parts = list(self._aliases(lag))
            if parts:
                alpha = cho_solve(self._factor(lag, parts), z[:, lag])
            for alias, B, turns in parts:
                own = np.zeros(len(B), complex)
                np.add.at(own, self._rows, turns.conj() * alpha)
                Z[:, abs(alias)] = self._part(B, own, alias)
        return torch.from_numpy(np.fft.irfft(Z, n=n_samples))

    def _part(self, B: np.ndarray, alpha: np.ndarray, alias: int) -> np.ndarray:
        """Compute B' D B^H alpha of one alias; a negative one gives what its positive shall be."""
        reach, phi = abs(alias), self._phi
        lifted = self._weighted(B, reach).conj().T @ alpha
        pairs = phi[:, : phi.shape[1] - reach] * phi[:, reach:]
        return pairs @ (lifted if alias >= 0 else lifted.conj())

    def _aliases(self, lag: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
        """Generate (alias, B, phase factors of the rows) for each alias that a filter reaches."""
        psi, step = self._psi, self.M.W.n_samples // self._hop
        n_bins, peak = psi.shape[1], np.square(np.abs(psi)).max()
        for alias in range(lag - n_bins // step * step, n_bins - 1, step):
            reach = abs(alias)
            if reach >= n_bins - 1:
                continue
            B = psi[:, : n_bins - reach].conj() * psi[:, reach:]
            if np.abs(B).max() < REACHES * peak:
                continue
            turns = np.exp(2j * np.pi / self.M.W.n_samples * alias * self._starts)
            yield alias, B if alias >= 0 else B.conj(), turns

    def _weighted(self, B: np.ndarray, reach: int) -> np.ndarray:
        E = self._spectrum
        return B * (E[: len(E) - reach] * E[reach:] / self.M.W.n_samples**2)

    def _factor(
        self, lag: int, parts: list[tuple[int, np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, bool]:
        """Factorise the system of one lag, or take it from those that are kept."""
        if lag in self._factors:
            return self._factors[lag]
        K, pairs = np.diag(self._errors), np.ix_(self._rows, self._rows)
        for alias, B, turns in parts:
            covariance = (self._weighted(B, abs(alias)) @ B.conj().T)[pairs]
            real = not self._starts.any()
            K = K + (covariance if real else covariance * np.outer(turns, turns.conj()))
        K[np.diag_indices_from(K)] += LIFTED_RIDGE * np.trace(K).real / len(K)
        factor = cho_factor(K, lower=True, overwrite_a=True)
        if (len(self._factors) + 1) * K.size <= MOST_KEPT:
            self._factors[lag] = factor
        return factor


def _enough(M: Measured) -> np.ndarray:
    """Choose rows: where all columns are there, as many as tell the others, and no more."""
    chosen = _one_sided(M)
    if M.columns.shape != M.W.shape or not M.W.has_wavelet:
        return chosen
    nearest, last = 1 / (ENOUGH_ROWS * M.W.time_bandwidth**0.5), -np.inf
    for row, place in enumerate(np.abs(M.W.log_scales - M.W.log_scales[0]) / np.log(2)):
        chosen[row] &= place - last >= nearest * (1 - 1e-9)
        last = place if chosen[row] else last
    return chosen


def _repeats(M: Measured) -> int:
    """Find after how many columns of the grid the known places repeat; 1 if they are filled in."""
    if not M.extension.is_identity:
        return 1
    for phases in range(1, MOST_PHASES + 1):
        if M.S.shape[1] % phases == 0 and bool((M.known == M.known.roll(phases, 1)).all()):
            return phases
    return 1


def _variances(M: Measured, plane: torch.Tensor) -> torch.Tensor:
    """Compute the variance of the errors of S^2, 4 sigma^2 S^2 + 2 sigma^4, on the grid."""
    if M.sigma is None:
        return torch.zeros_like(plane)
    usual = torch.where(M.known, M.sigma, 0.0).amax(-1, keepdim=True)
    sigma = torch.where(M.known, M.sigma, usual)
    return 4 * (sigma * plane).square() + 2 * sigma**4
