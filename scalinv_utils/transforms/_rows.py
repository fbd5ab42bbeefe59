"""The rows of a bank: their order, their spacing, and the shape of their filters."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike

from .._room import check_room
from .._validation import check_coefficients, check_count, check_numbers

__all__ = [
    "are_log_uniform",
    "blocks",
    "check_filters",
    "check_fits",
    "check_frequencies",
    "largest",
    "time_bandwidth",
    "voices_per_octave",
    "without_empty_half",
]

# Steps in log scale that differ by less than this are equal; so is a number of voices and the
# nearest whole number.
UNIFORM = 1e-6

# Arrays of all rows are worked on in blocks of so many numbers, so that what is made on the way
# takes little memory.
NUMBERS_PER_BLOCK = 2**20

# Making a transform and holding it ready takes so many bytes for each row and sample: the filters
# at all frequencies, a copy of their non-negative half, and its complex form.
BYTES_EACH = 24


def check_frequencies(frequencies: ArrayLike) -> np.ndarray:
    """Return centre frequencies as an array; refuse those that are not monotonic and positive."""
    array = check_numbers(frequencies, "frequencies").detach().cpu().double().numpy()
    if array.ndim != 1:
        raise ValueError(f"frequencies must be one for each row, got shape {array.shape}")
    steps = np.diff(array)
    if array.min() <= 0 or not ((steps > 0).all() or (steps < 0).all()):
        raise ValueError(
            "frequencies must be positive and all ascending or all descending, in Hz, got "
            f"{len(array)} from {array[0]:.4g} to {array[-1]:.4g}, the lowest {array.min():.4g}"
        )
    return array


def voices_per_octave(frequencies: np.ndarray) -> float:
    """Count the steps per octave; a whole number where the rows are spaced for one."""
    octaves = abs(float(np.log2(frequencies[-1] / frequencies[0])))
    voices = (len(frequencies) - 1) / octaves if octaves else 1.0
    return round(voices) if abs(voices - round(voices)) < UNIFORM * voices else voices


def are_log_uniform(log_scales: np.ndarray) -> bool:
    """Tell whether the scales grow by one ratio from row to row."""
    steps = np.diff(log_scales)
    return not len(steps) or bool(steps.min() > 0 and np.ptp(steps) < UNIFORM * steps.max())


def check_fits(n_freqs: int, n_samples: int, rows: str = "frequencies") -> None:
    """Refuse a transform that would not fit into memory, before anything of its size is made.

    `rows` is the argument that decides on their number.
    """
    check_room(
        BYTES_EACH * n_freqs * n_samples,
        f"n_samples and {rows}",
        f"{n_freqs:,} filters for {n_samples:,} samples",
        "take fewer rows, or the Scalogram of a piece of a long signal, with "
        "transforms.magnitude_of_long and recovery.recover_long",
    )


def blocks(n_rows: int, n_columns: int) -> Iterator[slice]:
    """Generate slices of rows that together hold no more than a block's numbers."""
    step = max(1, NUMBERS_PER_BLOCK // n_columns)
    return (slice(first, min(first + step, n_rows)) for first in range(0, n_rows, step))


def largest(rows: np.ndarray) -> float:
    """Find the largest modulus without an array of all moduli."""
    return max(float(np.abs(rows[part]).max()) for part in blocks(*rows.shape))


def check_filters(
    filters: ArrayLike, frequencies: ArrayLike, n_samples: int | None
) -> tuple[np.ndarray, np.ndarray, int]:
    """Return (filters, frequencies, n_samples); refuse what does not fit together."""
    array = check_coefficients(filters, name="filters").detach().cpu().numpy()
    if array.ndim != 2 or not np.abs(array).max(1).all():
        raise ValueError(
            "filters must have the shape (n_freqs, n_bins) and no row that is zero everywhere, "
            f"got shape {array.shape}"
        )
    frequencies = check_frequencies(frequencies)
    if len(frequencies) != len(array):
        raise ValueError(
            f"frequencies must be one for each of {len(array)} filters, got {len(frequencies)}"
        )
    length = array.shape[1] if n_samples is None else check_count(n_samples, "n_samples")
    if array.shape[1] not in (length, length // 2 + 1):
        raise ValueError(
            f"filters must have n_samples = {length} bins, or {length // 2 + 1} if they "
            f"are one-sided, got {array.shape[1]}"
        )
    wide = array.astype(complex if np.iscomplexobj(array) else float)
    return wide, frequencies, length


def without_empty_half(filters: np.ndarray, n_samples: int) -> np.ndarray:
    """Leave the negative bins out if no filter reaches them."""
    n_bins = n_samples // 2 + 1
    leaks = largest(filters[:, n_bins:]) if filters.shape[1] > n_bins else 0
    return filters if leaks > np.finfo(float).eps * largest(filters) else filters[:, :n_bins]


def time_bandwidth(filters: np.ndarray) -> float:
    """Compute the median over the rows of (mean / deviation)^2 / 2 of their power over frequency.

    The filters are given at non-negative frequencies.

    For a Gaussian response exp(-P^2 (log w - log p)^2 / 2), narrow, it is P^2.
    """
    power, bins = np.square(filters[filters.any(1)]), np.arange(filters.shape[1])
    mean = power @ bins / power.sum(1)
    variance = (power * np.square(bins - mean[:, None])).sum(1) / power.sum(1)
    return float(np.median(np.square(mean) / (2 * np.maximum(variance, 1e-3))))
