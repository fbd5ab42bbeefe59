"""Compare the ways to read an array as a scalogram, and choose the one that explains it.

A reading turns what was given into moduli of a filter bank: it takes a root of powers or a power of
ten of decibels, turns rows or axes around, and may take another wavelet. `_agreement` tells for
each how well a signal and noise explain it. A reading replaces the plain one if that fails, and if
it explains the array by a clear factor better.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from ..transforms import _wavelets
from ._agreement import LEAST_HEARD, Bank, Convert, Noisy, chi_squared, noise_needed, with_wavelet
from ._values import RANGES_DB

__all__ = ["CANDIDATES", "Reading", "best_reading"]

# The plain reading fails if chi^2 is above this for each number, and another one replaces it if it
# divides chi^2 by this.
FAILS, BETTER = 5.0, 3.0

# A reading that needs less noise than this is exact; otherwise other wavelets are tried, too.
EXACT_DB = -80.0

# The wavelets that are tried; the best of them at a first look are tried in full.
SHORTLIST = 3
CANDIDATES: list[_wavelets.Named] = [
    *(("gmw", {"gamma": 3, "beta": beta}) for beta in (5, 10, 20, 40, 60, 120)),
    *(("cauchy", {"gamma": 1, "beta": beta}) for beta in (10, 20, 30, 60, 120)),
    ("morlet", {"mu": 13.4}),
]

SCALES: dict[str, Convert] = {
    "": np.abs,
    "power": lambda S: np.sqrt(np.abs(S)),
    "decibels": lambda S: 10 ** (S / 20),
}
ORDERS: dict[str, Convert] = {"": lambda S: S, "upside down": np.flipud, "transposed": np.transpose}


@dataclass(frozen=True)
class Reading:
    """One way to read an array.

    Attributes
    ----------
    scale, turn : str
        Keys of `SCALES` and `ORDERS`; empty for what needs no change.
    wavelet : (str, dict) or None
        Another wavelet than that of W.
    noise_db : float
        The noise that it needs, relative to rms S.
    chi2 : float
        How far a signal and that noise explain it: 1 is all.
    """

    scale: str = ""
    turn: str = ""
    wavelet: _wavelets.Named | None = None
    noise_db: float = 0.0
    chi2: float = np.inf

    @property
    def fails(self) -> bool:
        """Whether signal and noise do not explain the array."""
        return self.chi2 > FAILS

    @property
    def exact(self) -> bool:
        """Whether hardly any noise is needed."""
        return self.noise_db < EXACT_DB

    @property
    def changes(self) -> int:
        """How many things it changes."""
        return bool(self.scale) + bool(self.turn) + (self.wavelet is not None)

    def same(self, other: Reading) -> bool:
        """Whether another reading makes the same moduli of the same filters."""
        return (self.scale, self.turn, self.wavelet) == (other.scale, other.turn, other.wavelet)

    def modulus(self, S: np.ndarray) -> np.ndarray:
        """Turn what was given into moduli."""
        return SCALES[self.scale](ORDERS[self.turn](S))

    def case(self, S: np.ndarray, profile: Convert) -> Noisy:
        """Turn what was given, and its noise with it."""
        turned = ORDERS[self.turn](S)
        return Noisy(turned, SCALES[self.scale], profile(turned))

    def bank(self, bank: Bank, frequencies: np.ndarray) -> Bank:
        """Exchange the wavelet of a bank, where this reading has one of its own."""
        return bank if self.wavelet is None else with_wavelet(bank, self.wavelet, frequencies)


def best_reading(
    S: np.ndarray, bank: Bank, frequencies: np.ndarray, *, from_db: bool
) -> tuple[Reading, Reading]:
    """Judge the plain reading, and where it fails choose another.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_columns)
    bank : Bank
    frequencies : array, shape (n_freqs,)
        Centre frequencies in cycles per sample.
    from_db : bool
        S was made of decibels.

    Returns
    -------
    plain, best : Reading
        The same one where the plain reading holds.
    """
    judge = functools.partial(_judged, S, bank, frequencies)
    plain, *others = judge([Reading(), *_turned(S, bank, from_db)], _uniform)
    best = _better(plain, others)
    if not best.exact:
        starts = [best] if best is plain else [best, plain]
        known = [replace(start, wavelet=w) for start in starts for w in CANDIDATES]
        seen = _judged(S, bank.coarse, frequencies, [best, *known], _uniform)[1:]
        first, *others = judge([best, *_shortlist(seen)], _uniform)
        best = _better(first, others)
    # Noise that grows with S, such as that of rounded decibels, may explain a reading as well.
    judged = zip(*(judge([plain, best], profile) for profile in (_uniform, np.abs)))
    plain, best = (min(both, key=_chi2) for both in judged)
    return plain, plain if best.same(plain) else _better(plain, [best])


def _shortlist(readings: list[Reading]) -> list[Reading]:
    """Choose those that explain most, and those that need least noise."""
    by_noise = sorted(readings, key=lambda reading: reading.noise_db)
    chosen = sorted(readings, key=_chi2)[:SHORTLIST]
    return chosen + [reading for reading in by_noise[:SHORTLIST] if reading not in chosen]


def _chi2(reading: Reading) -> float:
    return reading.chi2


def _uniform(S: np.ndarray) -> np.ndarray:
    """Give every value noise of the rms of S."""
    return np.full_like(S, np.sqrt(np.mean(np.square(S))))


def _turned(S: np.ndarray, bank: Bank, from_db: bool) -> list[Reading]:
    """List the readings with the wavelet of W that S admits, without the plain one."""
    scales = [""] if from_db else ["", "power"]
    if not from_db and S.min() >= 0 and RANGES_DB[0] < S.max() < RANGES_DB[1]:
        scales += ["decibels"]
    square = S.shape[0] == S.shape[1] == bank.n_samples
    turns = [turn for turn in ORDERS if turn != "transposed" or square]
    turns = [turn for turn in turns if bank.heard(ORDERS[turn](S)) > LEAST_HEARD]
    return [Reading(scale, turn) for scale in scales for turn in turns if scale or turn]


def _judged(
    S: np.ndarray,
    bank: Bank,
    frequencies: np.ndarray,
    readings: list[Reading],
    profile: Convert,
) -> list[Reading]:
    """Fill in noise and chi^2, this at the least noise that one of the readings needs."""
    cases = [reading.case(S, profile) for reading in readings]
    banks = [reading.bank(bank, frequencies) for reading in readings]
    if all(reading.wavelet is None for reading in readings):
        needed = noise_needed(cases, bank)
    else:
        needed = [noise_needed([case], its)[0] for case, its in zip(cases, banks)]
    chi2 = [chi_squared(case, its, min(needed)) for case, its in zip(cases, banks)]
    return [replace(r, noise_db=n, chi2=c) for r, n, c in zip(readings, needed, chi2)]


def _better(plain: Reading, others: list[Reading]) -> Reading:
    """Choose the simplest of the good ones, or the plain one where it holds or is about as good."""
    if not others:
        return plain
    least = BETTER * min(reading.chi2 for reading in others)
    good = [reading for reading in others if reading.chi2 <= least]
    best = min(good, key=lambda r: (not r.exact, r.changes, r.chi2))
    return best if plain.fails and BETTER * best.chi2 < plain.chi2 else plain
