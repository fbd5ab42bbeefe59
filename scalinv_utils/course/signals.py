"""Signals of the course: synthetic ones, the recordings, and any sound file.

Every function returns a real float64 tensor of shape (n_samples,), unless it changes a signal that
it is given. Frequencies are in Hz, times in seconds. The synthetic signals have a peak of about 1
and are the same on every call; their default frequencies are fractions of `sample_rate`, so that
they fit any rate.
"""

import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.signal import resample_poly

from .._band import check_kept
from .._room import check_room
from .._tensors import detached
from .._validation import check_choice, check_count, check_number, check_positive, check_signal
from ._sound_file import SoundFileError, read_sound

__all__ = [
    "RECORDINGS",
    "SYNTHETIC",
    "Recording",
    "SoundFileError",
    "am_fm_tone",
    "clicks",
    "crossing_chirps",
    "cut",
    "exponential_chirp",
    "fade",
    "linear_chirp",
    "load",
    "loudest",
    "polyphase",
    "published_chirp",
    "published_cosine",
    "recording",
    "resample",
    "synthetic",
    "tones",
    "white_noise",
]


# --- Synthetic signals ---------------------------------------------------------------------------


def linear_chirp(
    n_samples: int,
    sample_rate: float = 8000.0,
    start: float | None = None,
    end: float | None = None,
) -> torch.Tensor:
    """Make a tone whose frequency moves at a constant number of hertz per second.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    start, end : float, optional
        Instantaneous frequency at the first sample and after the last one, Hz. Default 0.02 and
        0.4 times `sample_rate`.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        A frequency is not positive or lies above half of `sample_rate`.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.linear_chirp(256, 8000, start=100, end=2000).shape
    torch.Size([256])
    """
    t, duration = _time(n_samples, sample_rate)
    start = _frequency(start, 0.02, sample_rate, "start")
    end = _frequency(end, 0.4, sample_rate, "end")
    return torch.cos(2 * math.pi * (start * t + (end - start) * t**2 / (2 * duration)))


def exponential_chirp(
    n_samples: int,
    sample_rate: float = 8000.0,
    start: float | None = None,
    end: float | None = None,
) -> torch.Tensor:
    """Make a tone whose frequency moves at a constant number of octaves per second.

    Parameters, result and errors are those of `linear_chirp`, except that `start` is 0.01 times
    `sample_rate` by default.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.exponential_chirp(256, 8000, start=100, end=1600).shape  # four octaves
    torch.Size([256])
    """
    t, duration = _time(n_samples, sample_rate)
    start = _frequency(start, 0.01, sample_rate, "start")
    end = _frequency(end, 0.4, sample_rate, "end")
    rate = math.log(end / start) / duration
    if rate == 0:  # the formula below would divide zero by zero
        return torch.cos(2 * math.pi * start * t)
    return torch.cos(2 * math.pi * start * torch.expm1(rate * t) / rate)


def am_fm_tone(
    n_samples: int,
    sample_rate: float = 8000.0,
    carrier: float | None = None,
    deviation: float | None = None,
    modulation: float | None = None,
    depth: float = 0.5,
) -> torch.Tensor:
    """Make a tone whose amplitude (tremolo) and frequency (vibrato) swing at one common rate.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    carrier : float, optional
        Centre frequency, Hz. Default 0.1 `sample_rate`.
    deviation : float, optional
        Largest departure from `carrier`, Hz. Default: a quarter of it.
    modulation : float, optional
        Modulations per second, Hz. Default: four over the whole signal.
    depth : float
        From 0 to 1: the amplitude swings between 1 - depth and 1.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        A frequency lies beyond half of `sample_rate`, or `depth` lies outside [0, 1].

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> x = signals.am_fm_tone(512, 8000, carrier=1000, deviation=200, modulation=40)
    >>> x.shape
    torch.Size([512])
    """
    t, duration = _time(n_samples, sample_rate)
    carrier = _frequency(carrier, 0.1, sample_rate, "carrier")
    deviation = check_positive(carrier / 4 if deviation is None else deviation, "deviation")
    modulation = check_positive(4 / duration if modulation is None else modulation, "modulation")
    _frequency(carrier + deviation, 0.0, sample_rate, "carrier + deviation")
    depth = check_number(depth, "depth")
    if not 0 <= depth <= 1:
        raise ValueError(f"depth must lie between 0 and 1, got {depth!r}")
    amplitude = 1 - depth * (1 + torch.cos(2 * math.pi * modulation * t)) / 2
    phase = carrier * t + deviation * torch.sin(2 * math.pi * modulation * t) / (
        2 * math.pi * modulation
    )
    return amplitude * torch.cos(2 * math.pi * phase)


def crossing_chirps(
    n_samples: int,
    sample_rate: float = 8000.0,
    low: float | None = None,
    high: float | None = None,
) -> torch.Tensor:
    """Add two linear chirps that cross half way: one rises from `low` to `high`, the other falls.

    Parameters and errors are those of `linear_chirp`, with `low` and `high` (Hz, default 0.05 and
    0.35 times `sample_rate`) in place of `start` and `end`. The chirps interfere where they cross,
    which makes this place hard for phase retrieval.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.crossing_chirps(256, 8000, low=500, high=1500).shape
    torch.Size([256])
    """
    low = _frequency(low, 0.05, sample_rate, "low")
    high = _frequency(high, 0.35, sample_rate, "high")
    rising = linear_chirp(n_samples, sample_rate, low, high)
    return (rising + linear_chirp(n_samples, sample_rate, high, low)) / 2


def tones(
    n_samples: int,
    sample_rate: float = 8000.0,
    frequencies: ArrayLike | None = None,
    amplitudes: ArrayLike | None = None,
) -> torch.Tensor:
    """Add steady tones that begin and end with the signal.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    frequencies : sequence of float, optional
        Hz. Default 0.03, 0.1 and 0.3 times `sample_rate`: three separate islands in a scalogram.
    amplitudes : sequence of float, optional
        One per frequency. Default: equal, adding up to 1.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        A frequency lies beyond half of `sample_rate`, there is no frequency, or the number of
        amplitudes is not that of the frequencies.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> x = signals.tones(80, 8000, [200, 400], [0.7, 0.2])
    >>> round(float(x[0]), 6)
    0.9
    """
    t, _ = _time(n_samples, sample_rate)
    if frequencies is None:
        frequencies = [fraction * sample_rate for fraction in (0.03, 0.1, 0.3)]
    hertz = check_signal(frequencies, name="frequencies", ndim=1).double()
    for frequency in hertz.tolist():
        _frequency(frequency, 0.0, sample_rate, "frequencies")
    count = len(hertz)
    if amplitudes is None:
        amplitudes = [1 / count] * count
    weights = check_signal(amplitudes, name="amplitudes", ndim=1).double()
    if len(weights) != count:
        raise ValueError(
            f"amplitudes must have one entry per frequency ({count}), got {len(weights)}"
        )
    return weights @ torch.cos(2 * math.pi * hertz[:, None] * t)


def clicks(
    n_samples: int, sample_rate: float = 8000.0, times: ArrayLike | None = None
) -> torch.Tensor:
    """Put unit impulses into silence.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    times : sequence of float, optional
        Seconds, each rounded to the nearest sample. Default: at 1/4, 1/2 and 3/4 of the signal.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        A time lies outside the signal.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.clicks(6, 2, times=[0, 1.5]).tolist()
    [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]
    """
    _, duration = _time(n_samples, sample_rate)
    sample_rate = check_positive(sample_rate, "sample_rate")
    if times is None:
        times = [duration / 4, duration / 2, duration * 3 / 4]
    seconds = check_signal(times, name="times", ndim=1).double()
    index = torch.round(seconds * sample_rate).long()
    if index.min() < 0 or index.max() >= n_samples:
        raise ValueError(
            f"times must lie within the signal, from 0 up to {duration:.4g} s, "
            f"got {seconds.tolist()}"
        )
    x = torch.zeros(n_samples, dtype=torch.float64)
    x[index] = 1
    return x


def white_noise(n_samples: int, sample_rate: float = 8000.0, seed: int = 0) -> torch.Tensor:
    """Draw Gaussian white noise with a peak of 1; the same `seed` gives the same noise.

    `sample_rate` (Hz) changes nothing: it is there so that all synthetic signals are called alike.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> float(signals.white_noise(256, seed=1).abs().max())
    1.0
    """
    n_samples = _count(n_samples)
    check_positive(sample_rate, "sample_rate")
    seed = check_count(seed, "seed", 0)
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(n_samples))
    return noise / noise.abs().max()


def published_cosine(n_samples: int = 2048) -> torch.Tensor:
    """Make the signal of the published snippet: cos(40 t) for t from 0 to 1, about 6.4 cycles.

    At 2048 samples that is 0.0031 cycles per sample, below the lowest first-order filter of
    ``Scattering1D(J=6, Q=8)``: nearly all of its scattering energy is in the average (order 0),
    so it hardly tests phase retrieval. Its time axis is one second: ``sample_rate = n_samples``.
    It was published in Stack Exchange, Signal Processing, question 78530 (2021).

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.published_cosine(4).round(decimals=2).tolist()
    [1.0, -0.84, 0.41, 0.15]
    """
    t, _ = _time(n_samples, n_samples)
    return torch.cos(40 * t)


def published_chirp(n_samples: int = 2048) -> torch.Tensor:
    """Make the exponential chirp of the published animation, 8 to 0.4 `n_samples` cycles a second.

    Its time axis is one second: ``sample_rate = n_samples``. It crosses nearly all filters, which
    `published_cosine` does not, and so it does test phase retrieval. It comes from the script that
    goes with Stack Exchange, Signal Processing, question 78530 (2021).

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.published_chirp(512).shape
    torch.Size([512])
    """
    n_samples = check_count(n_samples, "n_samples")
    return exponential_chirp(n_samples, n_samples, 8, 0.4 * n_samples)


#: Synthetic signals by name; each is called as ``function(n_samples, sample_rate)``.
SYNTHETIC: dict[str, Callable[..., torch.Tensor]] = {
    "linear chirp": linear_chirp,
    "exponential chirp": exponential_chirp,
    "AM-FM tone": am_fm_tone,
    "crossing chirps": crossing_chirps,
    "three tones": tones,
    "clicks": clicks,
    "white noise": white_noise,
}


def synthetic(name: str, n_samples: int, sample_rate: float = 8000.0) -> torch.Tensor:
    """Make the synthetic signal called `name`, a key of `SYNTHETIC`, with default parameters.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.synthetic("three tones", 256).shape
    torch.Size([256])
    """
    return SYNTHETIC[check_choice(name, SYNTHETIC, "name")](n_samples, sample_rate)


def _count(n_samples: int) -> int:
    """Return a number of samples that fit into memory a few times."""
    check_room(
        32 * check_count(n_samples, "n_samples"),
        "n_samples",
        f"{n_samples:.3g} samples and what they are computed from",
        "make a long signal in pieces",
    )
    return n_samples


def _time(n_samples: int, sample_rate: float) -> tuple[torch.Tensor, float]:
    """Return the times of the samples and the duration, both in seconds."""
    n_samples = _count(n_samples)
    sample_rate = check_positive(sample_rate, "sample_rate")
    return torch.arange(n_samples, dtype=torch.float64) / sample_rate, n_samples / sample_rate


def _frequency(value: float | None, default: float, sample_rate: float, name: str) -> float:
    """Return `value` (Hz), by default `default` times the sampling rate; refuse one that aliases.

    Raises
    ------
    ValueError
        The frequency is not positive or lies above half of `sample_rate`.
    """
    sample_rate = check_positive(sample_rate, "sample_rate")
    value = check_positive(default * sample_rate if value is None else value, name)
    if value > sample_rate / 2:
        raise ValueError(
            f"{name} must not exceed half of sample_rate, {sample_rate / 2:.6g} Hz, "
            f"got {value:.6g} Hz"
        )
    return value


# --- Recordings ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recording:
    """Describe a recording that comes with the package; `sample_rate` (Hz) is the file's own.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.RECORDINGS["bell"].licence
    'CC0'
    """

    title: str
    credit: str
    licence: str
    filename: str
    sample_rate: int


#: The recordings by name. Show `credit` and `licence` wherever a recording is published.
RECORDINGS: dict[str, Recording] = {
    "speech": Recording(
        title="somebody reading Sense and Sensibility",
        credit="LibriVox, packaged with the CMU PocketSphinx test data (BSD-2)",
        licence="public domain",
        filename="speech_librivox.wav",
        sample_rate=16000,
    ),
    "guitar": Recording(
        title="guitar harmonics",
        credit="BStateham, freesound 141524, via Sonic Pi",
        licence="CC0",
        filename="guit_harmonics.flac",
        sample_rate=44100,
    ),
    "crow": Recording(
        title="a crow's call",
        credit="davidworksonline, freesound 54973, via Sonic Pi",
        licence="CC0",
        filename="misc_crow.flac",
        sample_rate=44100,
    ),
    "choir": Recording(
        title="a choir",
        credit="Exsomniel, freesound 207809, via Sonic Pi",
        licence="CC0",
        filename="ambi_choir.flac",
        sample_rate=44100,
    ),
    "tabla": Recording(
        title="a tabla stroke with a gliding pitch",
        credit="dio_333, freesound 130406, via Sonic Pi",
        licence="CC0",
        filename="tabla_ghe1.flac",
        sample_rate=44100,
    ),
    "bell": Recording(
        title="a struck bell",
        credit="looppool, freesound 13116, via Sonic Pi",
        licence="CC0",
        filename="elec_bell.flac",
        sample_rate=44100,
    ),
    "ecg": Recording(
        title="an electrocardiogram",
        credit="MIT-BIH arrhythmia data, packaged with PyWavelets",
        licence="MIT",
        filename="ecg.csv",
        sample_rate=360,
    ),
}


def recording(
    name: str,
    sample_rate: float | None = None,
    n_samples: int | None = None,
    start: float | None = None,
) -> tuple[torch.Tensor, float]:
    """Read one of the recordings that come with the package, whole or a stretch of it.

    Parameters
    ----------
    name : str
        A key of `RECORDINGS`.
    sample_rate : float, optional
        Resample to this many samples per second. Default: the file's own rate.
    n_samples : int, optional
        Cut out this many samples (after resampling). Default: all.
    start : float, optional
        Where the cut begins, seconds. Default: where its energy is largest, so that a short cut is
        not silence.

    Returns
    -------
    x : Tensor, shape (n_samples,)
        Full scale is 1. The electrocardiogram, whose file holds integers of an unstated unit, is
        divided by its peak.
    sample_rate : float
        Hz.

    Raises
    ------
    ValueError
        The name is unknown, or the stretch does not lie inside the recording.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> x, rate = signals.recording("bell", sample_rate=8000, n_samples=512)
    >>> x.shape, rate
    (torch.Size([512]), 8000)
    """
    entry = RECORDINGS[check_choice(name, RECORDINGS, "name")]
    data = resources.files("scalinv_utils.course") / "data"
    with resources.as_file(data / entry.filename) as path:
        if path.suffix == ".csv":
            x, rate = torch.from_numpy(np.loadtxt(path)), float(entry.sample_rate)
            x = x / x.abs().max()
        else:
            x, rate = load(path)
    if sample_rate is not None:
        sample_rate = check_positive(sample_rate, "sample_rate")
        x, rate = resample(x, rate, sample_rate), sample_rate
    return cut(x, rate, n_samples, start), rate


def cut(
    x: ArrayLike, sample_rate: float, n_samples: int | None = None, start: float | None = None
) -> torch.Tensor:
    """Cut `n_samples` out of a mono signal, from `start` seconds on.

    Parameters
    ----------
    x : array, shape (n,)
    sample_rate : float
        Samples per second of `x`.
    n_samples : int, optional
        Length of the stretch. Default: to the end of `x`.
    start : float, optional
        Where the stretch begins, seconds. Default: at the beginning if `n_samples` is None, else
        where the energy is largest (the earliest place if several tie).

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        The stretch does not lie inside `x`.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.cut([0.0, 1.0, 2.0, 3.0], 2, n_samples=2, start=0.5).tolist()
    [1.0, 2.0]
    """
    x = check_signal(x, ndim=1)
    sample_rate = check_positive(sample_rate, "sample_rate")
    available = len(x)
    wanted = None if n_samples is None else check_count(n_samples, "n_samples")
    if wanted is not None and wanted > available:
        raise ValueError(
            f"n_samples must be at most {available}, the length at {sample_rate:.6g} Hz, "
            f"got {wanted}"
        )
    if start is None:
        first = 0 if wanted is None else loudest(x, wanted)
    else:
        first = check_number(start, "start") * sample_rate
        first = round(first) if abs(first) <= available else -1
    length = available - first if wanted is None else wanted
    if first < 0 or length < 1 or first + length > available:
        raise ValueError(
            f"start must leave room for the stretch: from 0 to "
            f"{(available - (wanted or 1)) / sample_rate:.4g} s, got {start!r}"
        )
    return x[first : first + length].clone()


def loudest(x: torch.Tensor, n_samples: int) -> int:
    """Find the first index of the stretch of `n_samples` of a mono signal with the largest energy.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils.course import signals
    >>> signals.loudest(torch.tensor([0.0, 1.0, 3.0, 2.0, 0.0]), 2)
    2
    """
    x = check_signal(x, ndim=1)
    n_samples = check_count(n_samples, "n_samples")
    if n_samples > len(x):
        raise ValueError(f"n_samples must be at most {len(x)}, the length of x, got {n_samples}")
    energy = torch.nn.functional.pad(x.square().cumsum(0), (1, 0))
    return int(torch.argmax(energy[n_samples:] - energy[: len(energy) - n_samples]))


# --- Files ---------------------------------------------------------------------------------------


def load(
    path: str | os.PathLike[str] | BinaryIO,
    sample_rate: float | None = None,
    seconds: float | None = None,
    channel: int | None = None,
) -> tuple[torch.Tensor, float]:
    """Read a sound file as one mono signal.

    Parameters
    ----------
    path : str, path or binary file object
        WAV, FLAC, OGG, Opus, MP3, AIFF or another format that libsndfile reads.
    sample_rate : float, optional
        Resample to this many samples per second. Default: the file's own rate.
    seconds : float, optional
        Read no more than the beginning of the file. Default: all of it.
    channel : int, optional
        The channel to take, from 0. Default: the average of all channels that are not silent. Where
        channels are not alike the average would lose sound (two in opposite polarity cancel, the
        parts I and Q of a complex signal are two signals): then the loudest channel, with a
        warning.

    Returns
    -------
    x : Tensor, shape (n_samples,)
        Full scale is 1.
    sample_rate : float
        Hz.

    Warns
    -----
    UserWarning
        A channel was left out that is not like the one taken, or the file breaks off, or nearly all
        of the energy lies above half of `sample_rate`.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    SoundFileError
        A ValueError with a `reason`: the file is no audio, is empty, holds NaN or infinite samples,
        or its samples do not fit into memory.

    Examples
    --------
    >>> import io
    >>> from scalinv_utils.course import audio, signals
    >>> file = io.BytesIO()
    >>> gain = audio.save_wav(file, signals.tones(800), 8000)
    >>> start = file.seek(0)
    >>> x, rate = signals.load(file)
    >>> x.shape, rate
    (torch.Size([800]), 8000)
    """
    if sample_rate is not None:
        sample_rate = check_positive(sample_rate, "sample_rate")
    sound = read_sound(path, seconds=seconds, channel=channel)
    for sentence in sound.said:
        warnings.warn(sentence, stacklevel=2)
    x, rate = torch.from_numpy(sound.samples), sound.sample_rate
    if sample_rate is None:
        return x, rate
    resampled = polyphase(x, rate, sample_rate)
    check_kept(x, resampled, sample_rate, "path")
    return resampled, sample_rate


def resample(x: ArrayLike, sample_rate: float, new_rate: float) -> torch.Tensor:
    """Resample `x` to another rate, by a polyphase filter with linear phase.

    Parameters
    ----------
    x : array, shape (..., n_samples)
    sample_rate, new_rate : float
        Samples per second now and wanted. Their ratio is taken as the nearest fraction with a
        denominator up to 100,000: exact for all whole rates of practical size.

    Returns
    -------
    Tensor, shape (..., ceil(n_samples * new_rate / sample_rate))

    Raises
    ------
    ValueError
        A rate is not positive, their ratio lies outside 1/100,000 to 100,000, the result does not
        fit into memory, or no more than a millionth of the energy (-60 dB) is left.

    Warns
    -----
    UserWarning
        Less than a hundredth of the energy (-20 dB) is left: the rest lies above half of the new
        rate. The mean does not count.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.resample(signals.tones(441, 44100), 44100, 8000).shape
    torch.Size([80])
    """
    x = check_signal(x)
    resampled = polyphase(x, sample_rate, new_rate)
    check_kept(x, resampled, new_rate, "x")
    return resampled


def polyphase(x: ArrayLike, sample_rate: float, new_rate: float) -> torch.Tensor:
    """Resample as `resample` does, whatever share of the energy is left.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.polyphase(signals.tones(441, 44100), 44100, 8000).shape
    torch.Size([80])
    """
    x = check_signal(x)
    sample_rate = check_positive(sample_rate, "sample_rate")
    new_rate = check_positive(new_rate, "new_rate")
    quotient = new_rate / sample_rate
    if not 1e-5 <= quotient <= 1e5:
        raise ValueError(
            f"new_rate must be between 1/100,000 and 100,000 times sample_rate "
            f"({sample_rate:.6g} Hz), got {new_rate!r}"
        )
    ratio = Fraction(quotient).limit_denominator(100_000)
    if ratio == 1:
        return x
    # The result, and what resample_poly and the copy of its slice take beside it.
    check_room(
        24 * x.numel() * max(float(ratio), 1.0),
        "new_rate",
        f"{x.numel() * float(ratio):.3g} samples at {new_rate:.6g} Hz",
        "cut x down first, or stay nearer to its rate",
    )
    samples = detached(x, "x", "resample").cpu().numpy()
    resampled = resample_poly(samples, ratio.numerator, ratio.denominator, axis=-1)
    return torch.from_numpy(resampled).to(x)


def fade(x: ArrayLike, sample_rate: float, seconds: float = 0.01) -> torch.Tensor:
    """Fade `x` in and out by a raised cosine, so that a cut does not click.

    Parameters
    ----------
    x : array, shape (..., n_samples)
    sample_rate : float
        Samples per second.
    seconds : float
        Length of each fade; at most half of the signal is used.

    Returns
    -------
    Tensor, shape (..., n_samples)

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> signals.fade([1.0] * 5, 100, seconds=0.02).round(decimals=2).tolist()
    [0.15, 0.85, 1.0, 0.85, 0.15]
    """
    x = check_signal(x)
    sample_rate = check_positive(sample_rate, "sample_rate")
    length = min(round(check_positive(seconds, "seconds") * sample_rate), x.shape[-1] // 2)
    ramp = torch.arange(length).to(x) + 0.5
    ramp = torch.sin(math.pi / 2 * ramp / max(length, 1)) ** 2
    gain = x.new_ones(x.shape[-1])
    gain[:length] = ramp
    gain[len(gain) - length :] = ramp.flip(0)
    return x * gain
