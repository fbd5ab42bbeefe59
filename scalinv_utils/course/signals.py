"""The signals of the course: synthetic ones, the recordings, and any sound file.

Everything comes back as a real float64 tensor of shape (n_samples,). Frequencies are in Hz, times
in seconds. The synthetic signals have a peak of about 1 and are the same on every call; their
default frequencies are fractions of `sample_rate`, so that they fit any rate.
"""

import math
from dataclasses import dataclass
from fractions import Fraction
from importlib import resources

import numpy as np
import torch
from scipy.signal import resample_poly

from .._validation import check_choice, check_count, check_positive, check_signal

__all__ = [
    "RECORDINGS",
    "SYNTHETIC",
    "Recording",
    "am_fm_tone",
    "clicks",
    "crossing_chirps",
    "cut",
    "exponential_chirp",
    "fade",
    "linear_chirp",
    "load",
    "loudest",
    "published_chirp",
    "published_cosine",
    "recording",
    "resample",
    "synthetic",
    "tones",
    "white_noise",
]


# --- Synthetic signals ---------------------------------------------------------------------------


def linear_chirp(n_samples, sample_rate=8000.0, start=None, end=None):
    """A tone whose frequency moves at a constant number of hertz per second.

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
        A frequency that is not positive or lies above half of `sample_rate`.
    """
    t, duration = _time(n_samples, sample_rate)
    start = _frequency(start, 0.02, sample_rate, "start")
    end = _frequency(end, 0.4, sample_rate, "end")
    return torch.cos(2 * math.pi * (start * t + (end - start) * t**2 / (2 * duration)))


def exponential_chirp(n_samples, sample_rate=8000.0, start=None, end=None):
    """A tone whose frequency moves at a constant number of octaves per second.

    Parameters, result and errors as for `linear_chirp`; default `start` 0.01 `sample_rate`.
    """
    t, duration = _time(n_samples, sample_rate)
    start = _frequency(start, 0.01, sample_rate, "start")
    end = _frequency(end, 0.4, sample_rate, "end")
    rate = math.log(end / start) / duration
    if rate == 0:  # the formula below would divide zero by zero
        return torch.cos(2 * math.pi * start * t)
    return torch.cos(2 * math.pi * start * torch.expm1(rate * t) / rate)


def am_fm_tone(
    n_samples, sample_rate=8000.0, carrier=None, deviation=None, modulation=None, depth=0.5
):
    """A tone with tremolo and vibrato: amplitude and frequency modulated at one common rate.

    Parameters
    ----------
    n_samples : int
    sample_rate : float
        Samples per second.
    carrier : float, optional
        Centre frequency, Hz. Default 0.1 `sample_rate`.
    deviation : float, optional
        Largest departure from `carrier`, Hz. Default a quarter of it.
    modulation : float, optional
        Modulations per second, Hz. Default: four over the whole signal.
    depth : float
        Amplitude swings between 1 - depth and 1; from 0 to 1.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        A frequency beyond half of `sample_rate`, or a `depth` outside [0, 1].
    """
    t, duration = _time(n_samples, sample_rate)
    carrier = _frequency(carrier, 0.1, sample_rate, "carrier")
    deviation = check_positive(carrier / 4 if deviation is None else deviation, "deviation")
    modulation = check_positive(4 / duration if modulation is None else modulation, "modulation")
    _frequency(carrier + deviation, None, sample_rate, "carrier + deviation")
    if not 0 <= depth <= 1:
        raise ValueError(f"depth must lie between 0 and 1, got {depth!r}")
    amplitude = 1 - depth * (1 + torch.cos(2 * math.pi * modulation * t)) / 2
    phase = carrier * t + deviation * torch.sin(2 * math.pi * modulation * t) / (
        2 * math.pi * modulation
    )
    return amplitude * torch.cos(2 * math.pi * phase)


def crossing_chirps(n_samples, sample_rate=8000.0, low=None, high=None):
    """Two linear chirps, one rising from `low` to `high` and one falling, that cross half way.

    Parameters and errors as for `linear_chirp` with `low` and `high` in Hz, default 0.05 and 0.35
    times `sample_rate`. Where they cross they interfere: the hard spot for phase retrieval.
    """
    low = _frequency(low, 0.05, sample_rate, "low")
    high = _frequency(high, 0.35, sample_rate, "high")
    rising = linear_chirp(n_samples, sample_rate, low, high)
    return (rising + linear_chirp(n_samples, sample_rate, high, low)) / 2


def tones(n_samples, sample_rate=8000.0, frequencies=None, amplitudes=None):
    """Steady tones that begin and end with the signal.

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
        A frequency beyond half of `sample_rate`, no frequency, or as many amplitudes as do not fit.
    """
    t, _ = _time(n_samples, sample_rate)
    if frequencies is None:
        frequencies = [fraction * sample_rate for fraction in (0.03, 0.1, 0.3)]
    frequencies = check_signal(frequencies, name="frequencies", ndim=1).double()
    for frequency in frequencies.tolist():
        _frequency(frequency, None, sample_rate, "frequencies")
    count = len(frequencies)
    amplitudes = [1 / count] * count if amplitudes is None else amplitudes
    amplitudes = check_signal(amplitudes, name="amplitudes", ndim=1).double()
    if len(amplitudes) != count:
        raise ValueError(
            f"amplitudes must have one entry per frequency ({count}), got {len(amplitudes)}"
        )
    return amplitudes @ torch.cos(2 * math.pi * frequencies[:, None] * t)


def clicks(n_samples, sample_rate=8000.0, times=None):
    """Unit impulses in silence.

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
        A time outside the signal.
    """
    _, duration = _time(n_samples, sample_rate)
    times = [duration / 4, duration / 2, duration * 3 / 4] if times is None else times
    index = torch.round(check_signal(times, name="times", ndim=1).double() * sample_rate).long()
    if index.min() < 0 or index.max() >= n_samples:
        raise ValueError(
            f"times must lie within the signal, from 0 up to {duration:.4g} s, got {list(times)}"
        )
    x = torch.zeros(n_samples, dtype=torch.float64)
    x[index] = 1
    return x


def white_noise(n_samples, sample_rate=8000.0, seed=0):
    """Gaussian white noise scaled to a peak of 1; the same for the same `seed`.

    `sample_rate` (Hz) changes nothing: it is there so that all synthetic signals are called alike.
    """
    n_samples = check_count(n_samples, "n_samples")
    check_positive(sample_rate, "sample_rate")
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal(n_samples))
    return noise / noise.abs().max()


def published_cosine(n_samples=2048):
    """The signal of the published snippet: cos(40 t) for t from 0 to 1, about 6.4 cycles in all.

    At 2048 samples that is 0.0031 cycles per sample, below the lowest first-order filter of
    ``Scattering1D(J=6, Q=8)``: nearly all of its scattering energy is in the average (order 0),
    so it hardly tests phase retrieval. Its time axis is one second: ``sample_rate = n_samples``.
    Source: Stack Exchange, Signal Processing, question 78530 (2021).
    """
    t, _ = _time(n_samples, n_samples)
    return torch.cos(40 * t)


def published_chirp(n_samples=2048):
    """The exponential chirp behind the published animation: 8 to 0.4 `n_samples` cycles a second.

    Its time axis is one second: ``sample_rate = n_samples``. It crosses nearly all filters, and so
    tests what `published_cosine` does not.
    Source: the script that goes with Stack Exchange, Signal Processing, question 78530 (2021).
    """
    n_samples = check_count(n_samples, "n_samples")
    return exponential_chirp(n_samples, n_samples, 8, 0.4 * n_samples)


#: Synthetic signals by name; each is called as ``function(n_samples, sample_rate)``.
SYNTHETIC = {
    "linear chirp": linear_chirp,
    "exponential chirp": exponential_chirp,
    "AM-FM tone": am_fm_tone,
    "crossing chirps": crossing_chirps,
    "three tones": tones,
    "clicks": clicks,
    "white noise": white_noise,
}


def synthetic(name, n_samples, sample_rate=8000.0):
    """The synthetic signal called `name` (a key of `SYNTHETIC`) with its default parameters."""
    return SYNTHETIC[check_choice(name, SYNTHETIC, "name")](n_samples, sample_rate)


def _time(n_samples, sample_rate):
    """Times of the samples and the duration, both in seconds."""
    n_samples = check_count(n_samples, "n_samples")
    check_positive(sample_rate, "sample_rate")
    return torch.arange(n_samples, dtype=torch.float64) / sample_rate, n_samples / sample_rate


def _frequency(value, default, sample_rate, name):
    """`value` in Hz, or `default` times the sampling rate; refused when it would alias."""
    check_positive(sample_rate, "sample_rate")
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
    """A recording that comes with the package. `sample_rate` in Hz is the file's own."""

    title: str
    credit: str
    licence: str
    filename: str
    sample_rate: int


#: The recordings by name. Show `credit` and `licence` wherever a recording is published.
RECORDINGS = {
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


def recording(name, sample_rate=None, n_samples=None, start=None):
    """One of the recordings that come with the package, whole or a stretch of it.

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
        An unknown name, or a stretch that is not inside the recording.
    """
    entry = RECORDINGS[check_choice(name, RECORDINGS, "name")]
    with resources.as_file(resources.files(__package__) / "data" / entry.filename) as path:
        if path.suffix == ".csv":
            x, rate = torch.from_numpy(np.loadtxt(path)), entry.sample_rate
            x = x / x.abs().max()
        else:
            x, rate = load(path)
    if sample_rate is not None:
        x, rate = resample(x, rate, sample_rate), sample_rate
    return cut(x, rate, n_samples, start), rate


def cut(x, sample_rate, n_samples=None, start=None):
    """`n_samples` of a mono signal, from `start` seconds on.

    Parameters
    ----------
    x : array, shape (n,)
    sample_rate : float
        Samples per second of `x`.
    n_samples : int, optional
        Default: to the end.
    start : float, optional
        Seconds. Default: the beginning if `n_samples` is None, else the loudest stretch (largest
        energy; the earliest one if several tie).

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError
        The stretch does not lie inside `x`.
    """
    x = check_signal(x, ndim=1)
    check_positive(sample_rate, "sample_rate")
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
        first = round(start * sample_rate) if math.isfinite(start) else -1
    length = available - first if wanted is None else wanted
    if first < 0 or length < 1 or first + length > available:
        raise ValueError(
            f"start must leave room for the stretch: from 0 to "
            f"{(available - (wanted or 1)) / sample_rate:.4g} s, got {start!r}"
        )
    return x[first : first + length].clone()


def loudest(x, n_samples):
    """First index of the stretch of `n_samples` of a mono signal with the largest energy."""
    energy = torch.nn.functional.pad(x.square().cumsum(0), (1, 0))
    return int(torch.argmax(energy[n_samples:] - energy[: len(energy) - n_samples]))


# --- Files ---------------------------------------------------------------------------------------


def load(path, sample_rate=None, seconds=None):
    """A sound file as one mono signal.

    Parameters
    ----------
    path : str, path or binary file object
        WAV, FLAC, OGG, MP3, AIFF and whatever else libsndfile reads.
    sample_rate : float, optional
        Resample to this many samples per second. Default: the file's own rate.
    seconds : float, optional
        Read no more than the beginning of the file. Default: all of it.

    Returns
    -------
    x : Tensor, shape (n_samples,)
        Full scale is 1. Channels are averaged.
    sample_rate : float
        Hz.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        The file is no audio, is empty, or holds NaN or infinite samples.
    """
    import soundfile

    source = path if hasattr(path, "read") else open(path, "rb")
    try:
        with soundfile.SoundFile(source) as file:
            rate = file.samplerate
            length = -1 if seconds is None else round(check_positive(seconds, "seconds") * rate)
            samples = file.read(length, dtype="float64", always_2d=True)
    # Beside its own error soundfile raises TypeError for the header-less files named *.raw.
    except (soundfile.LibsndfileError, TypeError) as error:
        raise ValueError(
            f"path must be an audio file that libsndfile reads (WAV, FLAC, OGG, MP3 ...), "
            f"got {_named(path)}: {error}"
        ) from error
    finally:
        if source is not path:
            source.close()
    x = check_signal(samples.mean(axis=1), name=f"path ({_named(path)})")
    return (x, rate) if sample_rate is None else (resample(x, rate, sample_rate), sample_rate)


def resample(x, sample_rate, new_rate):
    """`x` at another sampling rate, by a polyphase filter with linear phase.

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
        A rate that is not positive, or a ratio outside 1/100,000 to 100,000.
    """
    x = check_signal(x)
    check_positive(sample_rate, "sample_rate")
    ratio = check_positive(new_rate, "new_rate") / sample_rate
    if not 1e-5 <= ratio <= 1e5:
        raise ValueError(
            f"new_rate must be between 1/100,000 and 100,000 times sample_rate "
            f"({sample_rate:.6g} Hz), got {new_rate!r}"
        )
    ratio = Fraction(ratio).limit_denominator(100_000)
    if ratio == 1:
        return x
    samples = resample_poly(x.detach().cpu().numpy(), ratio.numerator, ratio.denominator, axis=-1)
    return torch.from_numpy(samples).to(x.device)


def fade(x, sample_rate, seconds=0.01):
    """`x` with a raised-cosine fade-in and fade-out, so that a cut does not click.

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
    """
    x = check_signal(x)
    check_positive(sample_rate, "sample_rate")
    length = min(round(check_positive(seconds, "seconds") * sample_rate), x.shape[-1] // 2)
    ramp = torch.arange(length, dtype=x.dtype, device=x.device) + 0.5
    ramp = torch.sin(math.pi / 2 * ramp / max(length, 1)) ** 2
    gain = torch.ones(x.shape[-1], dtype=x.dtype, device=x.device)
    gain[:length] = ramp
    gain[len(gain) - length :] = ramp.flip(0)
    return x * gain


def _named(path):
    return type(path).__name__ if hasattr(path, "read") else repr(str(path))
