"""Read any sound file that libsndfile knows as one mono signal: block by block, and with a sentence
on all that was left out.

Files are not to be trusted. A header may promise more than there is, or nothing at all: then the
blocks are counted. A small file may hold hours: then reading stops before memory is short.
Channels may cancel each other: then the loudest one is taken.
"""

import contextlib
import io
import math
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

import numpy as np
import soundfile

from .._room import MOST_OF_SMALL, SMALL_FILE, room
from .._validation import check_count, check_positive
from .._whole_file import check_path
from ._sound_header import foreign, may_be_mp3, repaired

__all__ = ["Sound", "SoundFileError", "read_sound"]

Source = str | os.PathLike[str] | BinaryIO
Reason = Literal["unreadable", "empty", "not finite", "too long"]

# So many values are decoded at once: few, because a damaged block is lost as a whole.
VALUES_PER_BLOCK = 4096

# libsndfile says "as many as there are" by a number above this one.
UNKNOWN_LENGTH = 2**62

# Channels that are less alike than this are not averaged: the same sound in opposite polarity has
# the correlation -1, two unlike ones and the parts I and Q of a complex signal have 0.
ALIKE = 0.1

# A channel varies if its variance is above the rounding error of its mean square.
SILENT_VARIANCE = 1e-13

# Less than this share of a promised length is missing only because MP3 counts in whole frames.
TOLERATED = 0.01


class SoundFileError(ValueError):
    """Report a sound file that holds no usable signal.

    Attributes
    ----------
    reason : "unreadable", "empty", "not finite" or "too long"
        libsndfile cannot read the file, it has no samples, it holds NaN or infinite samples, or its
        samples do not fit into memory.

    Examples
    --------
    >>> import io
    >>> from scalinv_utils.course import signals
    >>> try:
    ...     signals.load(io.BytesIO(b"a letter"))
    ... except signals.SoundFileError as error:
    ...     print(error.reason)
    unreadable
    """

    # The default lets pickle make the error from its message alone, before it restores `reason`.
    def __init__(self, message: str, reason: Reason = "unreadable"):
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, eq=False)
class Sound:
    """A sound that was read.

    Attributes
    ----------
    samples : float64 array, shape (n_samples,)
    sample_rate : int
        Hz.
    lasts : float or None
        Seconds that the whole file lasts, as it says; None if it does not say.
    said : list of str
        Sentences on what was left out.
    """

    samples: np.ndarray
    sample_rate: int
    lasts: float | None
    said: list[str] = field(default_factory=list)


def read_sound(
    path: Source,
    *,
    seconds: float | None = None,
    most_samples: int | None = None,
    channel: int | None = None,
) -> Sound:
    """Read the beginning of a sound file, or all of it.

    Parameters
    ----------
    path : str, path or binary file object
    seconds : float, optional
        Read no more than this. Default: all.
    most_samples : int, optional
        Read no more samples of a channel than this, whatever the rate. Default: as many as half of
        the free memory holds, and 250 MB for a file of less than 10 MB whose `seconds` are not
        given; a file with more is refused.
    channel : int, optional
        The channel to take, from 0. Default: the average of all channels that are not silent; the
        loudest one if the average would lose sound.

    Raises
    ------
    FileNotFoundError, OSError
        The file cannot be opened.
    SoundFileError
        It holds no usable signal.
    TypeError, ValueError
        An argument is not of its kind.

    Examples
    --------
    >>> import io, numpy as np, soundfile
    >>> file, x = io.BytesIO(), np.sin(np.arange(800))
    >>> soundfile.write(file, np.stack([x, -x / 2], axis=1), 8000, format="WAV")
    >>> sound = read_sound(file)
    >>> print(sound.said[0])
    Channel 0 of 2 was taken, the loudest: the channels are not alike (correlation -1.00), and \
their average would lose sound. channel=1 takes the other one.
    """
    if seconds is not None:
        check_positive(seconds, "seconds")
    if most_samples is not None:
        check_count(most_samples, "most_samples")
    if channel is not None:
        check_count(channel, "channel", 0)
    with _source(path) as source:
        return _Reading(source, _named(path), seconds, most_samples).sound(channel)


class _Reading:
    """One file while it is read; it is opened anew for each pass, since not every format rewinds.

    Only the first `n_frames` frames are read.
    """

    def __init__(
        self, source: BinaryIO, name: str, seconds: float | None, most_samples: int | None
    ) -> None:
        self.name, self.said = name, []
        self.source, self.quiet = _mended(source, name), may_be_mp3(source)
        with self._opened() as file:
            self.rate, self.channels = file.samplerate, file.channels
            self.promised = file.frames if file.frames < UNKNOWN_LENGTH else None
        self.most, self.limit = room() // np.dtype(float).itemsize, "half of the free memory holds"
        is_small = source.seek(0, io.SEEK_END) < SMALL_FILE and seconds is most_samples is None
        if is_small and self.most > (usual := int(MOST_OF_SMALL) // np.dtype(float).itemsize):
            self.most, self.limit = usual, "so small a file may take"
        asked = math.inf if seconds is None else max(round(min(seconds * self.rate, 2.0**53)), 1)
        self.n_frames = min(asked, UNKNOWN_LENGTH if most_samples is None else most_samples)
        self._refuse_if_long(self.expected())

    def sound(self, channel: int | None) -> Sound:
        """Read one channel, or what the channels have in common."""
        looked_at = list(range(self.channels)) if channel is None else [channel]
        if channel is not None and channel >= self.channels:
            raise ValueError(
                f"channel must be below {self.channels}, the number of channels of {self.name}, "
                f"got {channel}"
            )
        used, sentence = looked_at, None
        if len(looked_at) > 1:
            used, sentence = _Likeness(self.blocks(), self.channels).chosen()
        self.said += [sentence] if sentence else []
        samples, bad = _Growing(self.expected()), 0
        for block in self.blocks():
            self._refuse_if_long(samples.total + len(block))
            samples.append(_average(block[:, used]))
            bad += int(np.count_nonzero(~np.isfinite(block[:, looked_at])))
        self._refuse_if_useless(bad, samples.total * len(looked_at))
        self._say_what_is_missing(samples.total)
        lasts = None if self.promised is None else max(self.promised, samples.total) / self.rate
        return Sound(samples.whole(), self.rate, lasts, self.said)

    def expected(self) -> int:
        """Return how many samples there will be, as the header says; 0 if it does not say."""
        return int(min(self.n_frames, self.promised or 0))

    def blocks(self) -> Iterator[np.ndarray]:
        """Generate the frames in blocks of shape (n, channels), one memory for all of them."""
        left, any_read = self.n_frames, False
        with self._opened() as file:
            block = np.empty((max(1, VALUES_PER_BLOCK // self.channels), self.channels))
            while left > 0:
                try:
                    with _without_chatter(self.quiet):
                        part = file.read(out=block[: min(left, len(block))])
                except soundfile.LibsndfileError as error:
                    if not any_read:
                        raise self._unreadable(error.error_string) from error
                    return  # what is missing is said
                if not len(part):
                    return
                any_read = True
                left -= len(part)
                yield part

    def _opened(self) -> "_Forward":
        self.source.seek(0)
        try:
            with _without_chatter(self.quiet):
                return _Forward(self.source)
        # Beside its own error soundfile raises TypeError for the header-less files named *.raw.
        except (soundfile.LibsndfileError, TypeError) as error:
            raise self._unreadable(getattr(error, "error_string", str(error))) from error

    def _unreadable(self, why: str) -> SoundFileError:
        if "SF_INFO struct incomplete" in why:
            why = "its header says an impossible sampling rate or number of channels"
        return SoundFileError(
            f"path must be an audio file that libsndfile reads (WAV, FLAC, OGG, MP3 ...), got "
            f"{self.name}: {foreign(self.source) or why.strip().rstrip('.')}",
            "unreadable",
        )

    def _refuse_if_long(self, n_frames: int) -> None:
        if n_frames > self.most:
            raise SoundFileError(
                f"path must hold a sound that fits into memory, got {self.name} with "
                f"{n_frames / self.rate:.0f} s or more at {self.rate} Hz, and {self.limit} "
                f"{self.most / self.rate:.0f} s unasked: load(path, seconds=...) reads the "
                f"beginning, and scalinv_utils.recovery.segments.Slices recovers a long sound in "
                f"pieces",
                "too long",
            )

    def _say_what_is_missing(self, total: int) -> None:
        expected = self.expected()
        if 0 < total < (1 - TOLERATED) * expected:
            self.said.append(
                f"The file breaks off after {total / self.rate:.2f} s of "
                f"{expected / self.rate:.2f} s: what follows is damaged or missing."
            )

    def _refuse_if_useless(self, bad: int, n_values: int) -> None:
        if n_values == 0:
            raise SoundFileError(
                f"path ({self.name}) must hold at least one sample, got none", "empty"
            )
        if bad:
            raise SoundFileError(
                f"path ({self.name}) must be finite, got {bad} NaN or infinite of {n_values} "
                f"values",
                "not finite",
            )


class _Forward(soundfile.SoundFile):
    """A sound file that is read from beginning to end.

    soundfile seeks after each block otherwise, and no file of unknown length can be searched.
    """

    def seekable(self) -> bool:
        return False


class _Likeness:
    """How alike the channels of some blocks are: means, energies and correlations in one pass.

    Each channel is measured relative to its own peak so far, so that no square under- or overflows.
    """

    def __init__(self, blocks: Iterator[np.ndarray], channels: int) -> None:
        self.peaks, self.sums = np.zeros(channels), np.zeros(channels)
        self.products, self.n_frames = np.zeros((channels, channels)), 0
        for block in blocks:
            self._add(np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0))

    def _add(self, block: np.ndarray) -> None:
        peaks = np.maximum(self.peaks, np.abs(block).max(axis=0))
        scale = np.where(peaks > 0, peaks, 1.0)
        shrunk, part = self.peaks / scale, block / scale
        self.products = self.products * np.outer(shrunk, shrunk) + part.T @ part
        self.sums = self.sums * shrunk + part.sum(axis=0)
        self.peaks, self.n_frames = peaks, self.n_frames + len(block)

    def chosen(self) -> tuple[list[int], str | None]:
        """Choose the channels to average, and say so if others that sound are left out."""
        n_frames = max(self.n_frames, 1)
        means, mean_squares = self.sums / n_frames, self.products / n_frames
        covariance = mean_squares - np.outer(means, means)
        variance = np.diagonal(covariance)
        sounding = np.flatnonzero(variance > SILENT_VARIANCE * np.diagonal(mean_squares))
        if len(sounding) < 2:
            return (sounding.tolist() or list(range(len(variance)))), None
        spread = np.sqrt(variance[sounding])
        least = (covariance[np.ix_(sounding, sounding)] / np.outer(spread, spread)).min()
        if least >= ALIKE:
            return sounding.tolist(), None
        loudest = int(sounding[np.argmax(self.peaks[sounding] * spread)])
        return [loudest], _choice(loudest, len(variance), round(float(least), 2))


def _choice(channel: int, channels: int, likeness: float) -> str:
    """Say which channel was taken, and why the average was not."""
    other = (
        f"channel={1 - channel} takes the other one"
        if channels == 2
        else ("channel= takes another one")
    )
    unlike = abs(likeness) < ALIKE and channels == 2
    return (
        f"Channel {channel} of {channels} was taken, the loudest: the channels are not alike "
        f"(correlation {likeness + 0.0:.2f}), and their average would lose sound. {other}"
        + (", and if they are I and Q, each is a signal of its own." if unlike else ".")
    )


@contextlib.contextmanager
def _source(path: Source) -> Iterator[BinaryIO]:
    """Open a file by its name, or check one that is open already, which stays open."""
    if isinstance(path, str | os.PathLike):
        with open(check_path(path), "rb") as file:
            yield file
    else:
        yield _binary(path)


def _binary(file: object) -> BinaryIO:
    """Return an open file if bytes can be read from it anywhere."""
    wanted = "path must be the name of a file or a binary file object"
    if isinstance(file, bytes | bytearray | memoryview):
        raise TypeError(f"{wanted}, got bytes; io.BytesIO(content) makes a file object of them")
    if not all(hasattr(file, name) for name in ("read", "seek", "tell")):
        raise TypeError(f"{wanted}, got {type(file).__name__}")
    opened: BinaryIO = file  # pyright: ignore[reportAssignmentType]
    if not getattr(opened, "seekable", lambda: True)():
        raise ValueError(
            f"{wanted} that can be rewound, got {type(file).__name__}; io.BytesIO(file.read()) "
            f"makes one of a stream"
        )
    if not isinstance(opened.read(0), bytes):
        raise TypeError(f"{wanted}, got one opened as text; open it by open(path, 'rb')")
    return opened


def _mended(source: BinaryIO, name: str) -> BinaryIO:
    """Look past junk and missing lengths in the header; refuse a file without any bytes."""
    if source.seek(0, io.SEEK_END) == 0:
        raise SoundFileError(
            f"path must be an audio file that libsndfile reads (WAV, FLAC, OGG, MP3 ...), got "
            f"{name}: it has no bytes",
            "unreadable",
        )
    return repaired(source)


def _average(channels: np.ndarray) -> np.ndarray:
    """Average channels; each is divided first, so that no sum overflows."""
    if channels.shape[1] == 1:
        return channels[:, 0]
    with np.errstate(invalid="ignore"):  # infinite values are counted and refused
        return (channels / channels.shape[1]).sum(axis=1)


class _Growing:
    """Samples that are collected in one array.

    Room is made for as many as are expected. The system lends memory where something is written, so
    that a header that promises too much costs nothing; and it moves large arrays without a copy.
    """

    def __init__(self, expected: int) -> None:
        self._array, self.total = np.empty(expected), 0

    def append(self, x: np.ndarray) -> None:
        """Add samples at the end."""
        needed = self.total + len(x)
        if needed > len(self._array):
            self._array.resize(max(needed, len(self._array) * 9 // 8), refcheck=False)
        self._array[self.total : needed] = x
        self.total = needed

    def whole(self) -> np.ndarray:
        """Return all samples."""
        self._array.resize(self.total, refcheck=False)
        return self._array


_chatter = threading.Lock()


@contextlib.contextmanager
def _without_chatter(needed: bool) -> Iterator[None]:
    """Keep the notes of mpg123 off the screen: it writes them to the process's standard error.

    They stand in the way of our own sentences, in a notebook in red. libsndfile has no switch for
    them. Other threads lose what they write there during one block, which is a millisecond.
    """
    if not needed or sys.__stderr__ is None:  # None: descriptor 2 may be anybody's file
        yield
        return
    with _chatter, contextlib.ExitStack() as undo:
        kept = os.dup(2)
        undo.callback(os.close, kept)
        undo.callback(os.dup2, kept, 2)
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield


def _named(path: Source) -> str:
    """Name a file for a message: its path, or the type of an open file."""
    return type(path).__name__ if hasattr(path, "read") else repr(str(path))
