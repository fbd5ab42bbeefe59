"""Differentiate on the grid of a scalogram: in time by the DFT, in scale by finite differences."""

import numpy as np
from scipy import fft

__all__ = ["scale_derivative", "time_derivative"]

# Number of rows that one difference in scale combines.
STENCIL = 9


def time_derivative(c: np.ndarray) -> np.ndarray:
    """Differentiate periodic rows in time (per sample) by their DFT.

    Parameters
    ----------
    c : real or complex array, shape (..., n_samples)

    Returns
    -------
    array, shape (..., n_samples)
        Real if c is real.

    Examples
    --------
    >>> angle = 2 * np.pi * np.arange(64) / 64
    >>> slope = time_derivative(np.sin(3 * angle))
    >>> bool(np.allclose(slope, 2 * np.pi * 3 / 64 * np.cos(3 * angle)))
    True
    """
    n = c.shape[-1]
    if np.iscomplexobj(c):
        spectrum = np.asarray(fft.fft(c))
        return np.asarray(fft.ifft(2j * np.pi * np.fft.fftfreq(n) * spectrum))
    spectrum = np.asarray(fft.rfft(c))
    return np.asarray(fft.irfft(2j * np.pi * np.fft.rfftfreq(n) * spectrum, n=n))


def scale_derivative(n_rows: int, voices_per_octave: float) -> np.ndarray:
    """Make the matrix of d/dlog s for rows of falling frequency.

    The differences have order 8 (nine rows each) and are one-sided at the ends. A single row has
    no derivative and gets zero.

    Parameters
    ----------
    n_rows : int
    voices_per_octave : int
        Rows per octave.

    Returns
    -------
    array, shape (n_rows, n_rows)

    Examples
    --------
    >>> log_s = np.log(2) / 8 * np.arange(20)
    >>> bool(np.allclose(scale_derivative(20, 8) @ log_s**2, 2 * log_s))
    True
    """
    width = min(STENCIL, n_rows)
    D = np.zeros((n_rows, n_rows))
    for row in range(n_rows if width > 1 else 0):
        first = min(max(row - width // 2, 0), n_rows - width)
        offsets = np.arange(first, first + width) - row
        moments = np.vander(offsets.astype(float), increasing=True).T
        D[row, first : first + width] = np.linalg.solve(moments, np.eye(width)[1])
    return D * (voices_per_octave / np.log(2))
