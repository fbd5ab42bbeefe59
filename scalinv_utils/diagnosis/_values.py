"""Tell from the values of an array alone how they were stored: in dB, on a grid, above a floor.

A rounded array has values u_k = u_0 + step m_k with whole numbers m_k. The smallest gap between
two of its values is taken for the step; then every other gap has to be a whole number of steps,
which values that were not rounded fail at once. (Derived for this project.)
"""

from dataclasses import dataclass

import numpy as np

__all__ = ["Grid", "floor_share", "grid_of", "high_share", "looks_like_decibels", "negative_share"]

# An array with negative values is in dB if more than this share is negative, or if the lowest
# value lies further below zero than this share of the largest. Noise makes half of the silent
# values negative, and none of them that large.
MOSTLY, DEEP = 0.55, 0.6

# An array without negative values may be in dB if it spans from one of these to the other.
RANGES_DB = (15.0, 400.0)

# Values closer than this share of the range are one value; the values of a grid lie this close to
# it, in steps; and fewer values than this are no grid.
ONE_VALUE, ON_GRID, FEWEST_VALUES = 1e-6, 0.05, 4

# A floor holds this share of all values, and this many times as many as the next value of a grid.
FLOOR_SHARE, FLOOR_EXCESS = 0.01, 5


@dataclass(frozen=True)
class Grid:
    """Equally spaced values: their `step`, their number of `levels`, and whether in dB."""

    step: float
    levels: int
    in_db: bool

    @property
    def bits(self) -> int:
        """Number of bits that count the levels."""
        return int(np.ceil(np.log2(self.levels)))


def negative_share(S: np.ndarray) -> float:
    """Compute the share of negative values."""
    return float((S < 0).mean())


def looks_like_decibels(S: np.ndarray) -> bool:
    """Whether the negative values of S are too many or too large for noise on a modulus."""
    return negative_share(S) > MOSTLY or float(S.min()) < -DEEP * abs(float(S.max()))


def grid_of(S: np.ndarray) -> Grid | None:
    """Find the grid on which the values of S lie, themselves or their levels in dB."""
    found = _spacing(S)
    if found is not None or S.min() < 0:
        return found and Grid(*found, in_db=False)
    found = _spacing(20 * np.log10(S[S > 0]))
    return found and Grid(*found, in_db=True)


def _spacing(values: np.ndarray) -> tuple[float, int] | None:
    """Find (step, levels) of equally spaced values; None if they are not."""
    distinct = np.unique(values)
    if len(distinct) < FEWEST_VALUES:
        return None
    gaps = np.diff(distinct)
    gaps = gaps[gaps > ONE_VALUE * (distinct[-1] - distinct[0])]
    places = np.concatenate([[0], np.cumsum(np.round(gaps / gaps.min()))])
    on_grid = np.concatenate([[0], np.cumsum(gaps)])
    step = on_grid[-1] / places[-1]
    if len(places) < FEWEST_VALUES or np.abs(on_grid - step * places).max() > ON_GRID * step:
        return None
    return float(step), int(places[-1]) + 1


def floor_share(S: np.ndarray) -> float:
    """Compute the share of values at the minimum, where these are too many for chance; else 0."""
    distinct, counts = np.unique(S, return_counts=True)
    share = float(counts[0] / S.size)
    crowded = len(counts) > 1 and counts[0] > FLOOR_EXCESS * counts[1]
    return share if crowded and share > FLOOR_SHARE and distinct[0] != 0 else 0.0


def high_share(power: np.ndarray) -> np.ndarray:
    """Compute the share of each row's variation that lies in the highest quarter of the lags."""
    energy = np.square(np.abs(np.fft.rfft(power)))[:, 1:]
    total = np.maximum(energy.sum(1), np.finfo(float).tiny)
    return energy[:, -(energy.shape[1] // 4) :].sum(1) / total
