"""Derivatives of what stands on the grid of a scalogram: in time by DFT, in scale by differences."""

import numpy as np

__all__ = ["scale_derivative", "time_derivative"]

STENCIL = 9


def time_derivative(c):
    """d/dt (per sample) of periodic rows, real or complex, by their DFT; the shape of c."""
    n = c.shape[-1]
    if np.iscomplexobj(c):
        return np.fft.ifft(2j * np.pi * np.fft.fftfreq(n) * np.fft.fft(c, axis=-1), axis=-1)
    return np.fft.irfft(2j * np.pi * np.fft.rfftfreq(n) * np.fft.rfft(c, axis=-1), n=n, axis=-1)


def scale_derivative(n_rows, voices_per_octave):
    """The matrix of d/dlog s over rows of falling frequency, shape (n_rows, n_rows).

    Of order STENCIL - 1, one-sided at the ends; a single row has no derivative and gets zero.
    """
    width = min(STENCIL, n_rows)
    D = np.zeros((n_rows, n_rows))
    for row in range(n_rows if width > 1 else 0):
        first = min(max(row - width // 2, 0), n_rows - width)
        offsets = np.arange(first, first + width) - row
        moments = np.vander(offsets.astype(float), increasing=True).T
        D[row, first : first + width] = np.linalg.solve(moments, np.eye(width)[1])
    return D * (voices_per_octave / np.log(2))
