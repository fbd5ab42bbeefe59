"""Cut a scalogram into regions: each peak of the modulus, and all that is downhill from it.

Inside a region the modulus is well above the noise and determines all differences of phase. Two
regions meet in a valley, where it may not. The regions are catchment basins (a watershed): points
are visited from the largest modulus to the smallest, and each joins the region of its largest
neighbour. Regions that hardly stand out above the saddle towards another one are joined to it.
"""

from __future__ import annotations

import numpy as np

from .._compiled import njit

__all__ = ["regions"]

# A region of its own has a peak of at least PEAK_LEAST standard deviations of the noise, and STANDS
# times as large as its highest saddle.
PEAK_LEAST, STANDS = 3.0, 1.12


def regions(modulus: np.ndarray, sigma: float) -> tuple[np.ndarray, int]:
    """Label the region of each coefficient.

    Parameters
    ----------
    modulus : real array, shape (n_rows, n_samples)
        The last sample is a neighbour of the first.
    sigma : float
        Standard deviation of the noise, in units of the modulus.

    Returns
    -------
    labels : integer array, shape of modulus
        From 0 to n_regions - 1.
    n_regions : int

    Examples
    --------
    >>> two_peaks = np.array([[1.0, 9.0, 9.5, 2.0, 8.0, 1.5]])
    >>> labels, n_regions = regions(two_peaks, sigma=1.0)
    >>> labels.tolist(), n_regions
    ([[0, 0, 0, 0, 1, 1]], 2)
    """
    order = np.argsort(-modulus, axis=None, kind="stable")
    labels, peaks, saddles, heights = _flood(np.ascontiguousarray(modulus), order)
    joined = _join(peaks, saddles, heights, PEAK_LEAST * sigma)
    kept, names = np.unique(joined, return_inverse=True)
    return names[labels], len(kept)


@njit()
def _flood(
    modulus: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Visit the points in order: (labels, peak of each basin, pairs of basins, their saddles)."""
    n_rows, n_samples = modulus.shape
    labels = np.full((n_rows, n_samples), -1)
    peaks = [0.0 for _ in range(0)]  # so that its type is known
    saddles, heights = [(0, 0) for _ in range(0)], [0.0 for _ in range(0)]
    for point in order:
        row, column = point // n_samples, point % n_samples
        height, mine, largest = float(modulus[row, column]), -1, -1.0
        for j in range(max(row - 1, 0), min(row + 2, n_rows)):
            for t in range(column - 1, column + 2):
                near = t % n_samples
                if labels[j, near] >= 0 and modulus[j, near] > largest:
                    mine, largest = labels[j, near], modulus[j, near]
        if mine < 0:
            mine = len(peaks)
            peaks.append(height)
        labels[row, column] = mine
        for j in range(max(row - 1, 0), min(row + 2, n_rows)):
            for t in range(column - 1, column + 2):
                other = labels[j, t % n_samples]
                if other >= 0 and other != mine:
                    saddles.append((mine, other))
                    heights.append(height)
    pairs = np.zeros((len(saddles), 2), np.int64)
    for i, (one, other) in enumerate(saddles):
        pairs[i, 0], pairs[i, 1] = one, other
    return labels, np.array(peaks), pairs, np.array(heights)


@njit()
def _join(peaks: np.ndarray, saddles: np.ndarray, heights: np.ndarray, least: float) -> np.ndarray:
    """Join basins across their saddles, the highest first: the region of each basin."""
    region = np.arange(len(peaks))
    for i in range(len(heights)):
        low, high = saddles[i]
        while region[low] != low:
            low = region[low]
        while region[high] != high:
            high = region[high]
        if peaks[low] > peaks[high]:
            low, high = high, low
        if low != high and peaks[low] < max(least, STANDS * heights[i]):
            region[low] = high
    for basin in range(len(peaks)):
        while region[region[basin]] != region[basin]:
            region[basin] = region[region[basin]]
    return region
