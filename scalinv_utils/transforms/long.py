"""Scalograms of long sounds, piece by piece: exact, and in the memory of one piece.

A long sound has a scalogram like any other, with W.n_freqs rows and a column for each sample; its
last sample is followed by its first. Only its bank of filters would be as large as the scalogram
itself. So W is the transform of a piece, and describes the wavelets: a column needs no more of the
sound than the longest wavelet reaches (`CircleBank`). What must be in memory besides a piece is the
analytic signal, 16 bytes per sample.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from .._arrays import numbers_of
from .._band import check_heard, on_grid
from .._levels import unit
from .._room import check_room
from .._tensors import double
from .._validation import check_count, check_flag, check_instance, check_signal
from ._circle import CircleBank, reach
from .scalogram import Scalogram

__all__ = ["Pieces", "magnitude_of_long", "rise"]

# A piece is at least so many times as long as the longest wavelet reaches.
LEAST_REACHES = 8


class Pieces:
    """Overlapping pieces of a long sound, and the windows that go with them.

    Parameters
    ----------
    W : Scalogram
        The transform of a piece.
    n_samples : int
        The length of the sound, at least that of a piece.

    Attributes
    ----------
    count : int
        The number of pieces.
    reach : int
        The number of samples that the longest wavelet reaches.
    taper : Tensor, shape (W.n_samples,)
        0 at both ends of a piece and 1 in between. Signals are multiplied by it.
    opening : Tensor, shape (W.n_samples,)
        A rise that is twice as long, for the columns of a piece that is recovered alone.
    known : Tensor, shape (W.n_samples,)
        1 where the coefficients of a tapered piece are those of the whole sound, to rounding.
    trusted : Tensor, shape (W.n_samples,)
        1 further inside, where what is recovered hardly depends on the ends.

    Raises
    ------
    ValueError, TypeError
        If W has a lowpass or no wavelet, a piece is short for its longest wavelet, or the sound is
        shorter than a piece.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> pieces = Pieces(Scalogram(2048, 8000, f_min=800), 5000)
    >>> total = torch.zeros(5000, dtype=torch.float64)
    >>> for k in range(pieces.count):
    ...     total[pieces.columns(k)] += pieces.share(k)
    >>> bool(torch.allclose(total, torch.ones_like(total)))
    True
    """

    def __init__(self, W: Scalogram, n_samples: int) -> None:
        check_instance(W, Scalogram, "W")
        if W.lowpass is not None or not W.has_wavelet:
            raise ValueError("W must have a wavelet and no lowpass for long scalograms")
        self.W, self.n_samples = W, check_count(n_samples, "n_samples", W.n_samples)
        self.reach = reach(W)
        if W.n_samples < LEAST_REACHES * self.reach:
            raise ValueError(
                f"W must be at least {LEAST_REACHES} times as long as its longest wavelet reaches "
                f"({self.reach} samples), got n_samples = {W.n_samples}; take "
                f"W.like({_round(2 * LEAST_REACHES * self.reach)}) or a larger f_min"
            )
        half = self.fade = self.reach // 2
        self.taper = self._inside(0, half)
        self.opening = self._inside(half, 2 * half)
        self.known = self._inside(2 * half, half)
        self.trusted = self._inside(3 * half, half)
        # Shares of the sound begin where pieces are trusted, and overlap by a fade.
        self._first = 4 * half
        self.count = math.ceil(n_samples / (W.n_samples - 2 * self._first - half))
        self._starts = [round(k * n_samples / self.count) for k in range(self.count + 1)]

    @functools.cached_property
    def bank(self) -> CircleBank:
        """The wavelets of W on all frequencies of a piece."""
        return CircleBank(self.W)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the bank out of copies and pickles."""
        return {name: value for name, value in self.__dict__.items() if name != "bank"}

    def _inside(self, first: int, fade: int) -> torch.Tensor:
        """Make a window of a piece: 0 up to `first`, then a rise over `fade`; falls alike."""
        window = torch.ones(self.W.n_samples, dtype=torch.float64)
        window[:first], window[first : first + fade] = 0, rise(fade)
        return window * window.flip(0)

    def hop(self, k: int) -> int:
        """Count the samples from the start of piece k to that of the next."""
        return self._starts[k + 1] - self._starts[k]

    def columns(self, k: int) -> torch.Tensor:
        """Give the indices of the samples of piece k; the last sample is followed by the first."""
        return (self._starts[k] - self._first + torch.arange(self.W.n_samples)) % self.n_samples

    def share(self, k: int) -> torch.Tensor:
        """Make the window of piece k with which all pieces add up to 1."""
        last, fade = self._first + self.hop(k), self.fade
        window = torch.zeros(self.W.n_samples, dtype=torch.float64)
        window[self._first : last + fade] = 1
        window[self._first : self._first + fade] = rise(fade)
        window[last : last + fade] = rise(fade).flip(0)
        return window

    def of(self, S: Any, k: int) -> torch.Tensor:
        """Read the columns of piece k from an array that can be sliced along time."""
        columns = self.columns(k)
        first, last = int(columns[0]), int(columns[-1]) + 1
        if first < last:
            return _read(S, first, last)
        return torch.cat([_read(S, first, self.n_samples), _read(S, 0, last)], 1)


def rise(fade: int) -> torch.Tensor:
    """Make the rise of a window that has very many derivatives (Vorbis' window, squared)."""
    t = (torch.arange(fade, dtype=torch.float64) + 0.5) / fade
    return torch.sin(math.pi / 2 * torch.sin(math.pi / 2 * t) ** 2) ** 2


def _round(n_samples: int) -> int:
    """Round up to a power of two."""
    return 2 ** math.ceil(math.log2(n_samples))


def _read(S: Any, first: int, last: int) -> torch.Tensor:
    return double(numbers_of(S[:, first:last], "S", "a scalogram")).cpu()


def magnitude_of_long(x: ArrayLike, W: Scalogram, out: Any = None, *, progress: bool = True) -> Any:
    """Compute the scalogram of a long sound, as ``W.like(len(x)).magnitude(x)`` would.

    Parameters
    ----------
    x : real array, shape (n_samples,)
        The sound; its last sample is followed by its first.
    W : Scalogram
        The transform of a piece, such as ``Scalogram(32768, 16000, f_min=50)``: longer pieces take
        more memory and less time. It has a wavelet and no lowpass.
    out : array, shape (W.n_freqs, n_samples), optional
        Where to write: anything that takes ``out[:, first:last] = numbers``, as a numpy memmap
        does, in its own dtype. Default: a new numpy array of W's dtype.
    progress : bool
        Show a progress bar.

    Returns
    -------
    array
        `out`, or the new array.

    Raises
    ------
    ValueError, TypeError
        If x is bad or shorter than a piece, `out` has another shape, or `Pieces` refuses W.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(2048, 8000, wavelet="cauchy", f_min=800)
    >>> x = signals.linear_chirp(3000, 8000, 1500, 3000)
    >>> S = magnitude_of_long(x, W, progress=False)
    >>> bool(abs(S - W.like(3000).magnitude(x).numpy()).max() < 1e-12)
    True
    """
    sound = double(check_signal(x, name="x", ndim=1)).cpu()
    pieces, shape = Pieces(W, len(sound)), (W.n_freqs, len(sound))
    check_heard(sound, on_grid(W.band, W.n_samples, len(sound)), W.sample_rate, "x")
    level, parts = unit(sound), list(_parts(pieces))
    if out is None:
        n_bytes = shape[0] * shape[1] * W.filters.element_size()
        check_room(n_bytes, "x", "its scalogram would", "give an array on the disk as out")
        out = np.empty(shape, torch.empty(0, dtype=W.filters.dtype).numpy().dtype)
    elif tuple(out.shape) != shape:
        raise ValueError(f"out must have shape {shape}, got {tuple(out.shape)}")
    spectrum = torch.fft.rfft(sound / level)
    spectrum[1 : (len(sound) + 1) // 2] *= 2
    analytic = torch.fft.ifft(spectrum, n=len(sound))
    made = _magnitudes(analytic, pieces, parts)
    shown = check_flag(progress, "progress")
    for first, last, S in tqdm(made, total=len(parts), unit="piece", disable=not shown):
        out[:, first:last] = (S * level).numpy()
    return out


def _parts(pieces: Pieces) -> Iterator[tuple[int, int]]:
    """Generate the first and the last column (without it) that each step computes."""
    size = pieces.W.n_samples - 2 * (pieces.fade + pieces.reach)
    for first in range(0, pieces.n_samples, size):
        yield first, min(first + size, pieces.n_samples)


def _magnitudes(
    z: torch.Tensor, pieces: Pieces, parts: list[tuple[int, int]]
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Generate columns of the scalogram of the analytic signal z, part by part."""
    bank, before = pieces.bank, pieces.fade + pieces.reach
    c = torch.empty(bank.shape, dtype=z.dtype)
    for first, last in parts:
        columns = (first - before + torch.arange(bank.n_samples)) % len(z)
        bank.coefficients(pieces.taper * z[columns], out=c)
        yield first, last, c[:, before : before + last - first].abs()
