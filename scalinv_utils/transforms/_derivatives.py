"""Differentiate on the grid of a scalogram: in time by the DFT, in scale by finite differences."""

import functools

import numpy as np
from scipy import fft, special

__all__ = ["scale_derivative", "time_derivative"]

# Number of rows that one difference in scale combines.
STENCIL = 9

# The derivative falls to zero as erfc does between -FALL and FALL: by rounding errors at its ends.
FALL = 6.0


def time_derivative(c: np.ndarray, band: float = 1.0) -> np.ndarray:
    """Differentiate periodic rows in time (per sample) by their DFT.

    The factor i w jumps at Nyquist's frequency. So the kernel falls no faster than 1/t, and carries
    what is wrong in loud places, such as the rounding of single precision, into quiet ones. If c
    ends below Nyquist's frequency, the factor may fall smoothly from there on, and the kernel soon
    ends.

    Parameters
    ----------
    c : real or complex array, shape (..., n_samples)
    band : float in (0, 1]
        Share of Nyquist's frequency up to which c has a spectrum.

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
        return np.asarray(fft.ifft(_factor(n, band, True) * np.asarray(fft.fft(c))))
    return np.asarray(fft.irfft(_factor(n, band, False) * np.asarray(fft.rfft(c)), n=n))


@functools.lru_cache(maxsize=16)
def _factor(n: int, band: float, two_sided: bool) -> np.ndarray:
    """Make the factor i w of a derivative, in rad per sample, which may fall above `band`."""
    f = np.fft.fftfreq(n) if two_sided else np.fft.rfftfreq(n)
    factor = 2j * np.pi * f
    if band < 1:
        factor *= special.erfc(FALL * (4 * np.abs(f) - 1 - band) / (1 - band)) / 2
    factor.flags.writeable = False
    return factor


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
