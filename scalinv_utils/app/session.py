"""Recover a sound of your own step by step, without a widget, as notebook 10 and its app do.

There are four steps::

    x, rate = open_sound("my.wav", content)   # the bytes of a file as one mono signal
    part = prepare(x, rate)                   # a stretch of it at 8 kHz, and what was done to it
    task = pose(part.x)                       # its scalogram, all that a method is given
    attempt = solve(task, "recover()")        # a waveform, its scores, and their meaning
"""

import io
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import ArrayLike

from .. import metrics
from .._validation import check_choice, check_count, check_signal
from ..course import audio, signals
from ..course._memory import give_back
from ..course._sound_file import SoundFileError, read_sound
from ..recovery._dense_start import phase_gradient
from ..recovery._gradient_descent import invert_gradient
from ..recovery._griffin_lim import griffin_lim, random_angles
from ..recovery._pipeline import recover
from ..recovery._result import Recovery
from ..transforms.scalogram import Scalogram

__all__ = [
    "LENGTHS",
    "METHODS",
    "RATE",
    "VOICES",
    "WAVELETS",
    "Attempt",
    "Progress",
    "Stretch",
    "Task",
    "largest_file",
    "open_sound",
    "pose",
    "prepare",
    "solve",
    "verdict",
]

#: Samples per second of all signals here: speech stays clear, and a scalogram stays small.
RATE = 8000

#: Numbers of samples by name. A recovery of the longest one adds about 0.5 GB to the kernel at
#: most; Binder gives 2 GB to all processes together. At twice that length, Griffin-Lim's arrays
#: alone take 0.4 GB.
LENGTHS = {"a quarter of a second": 2048, "half a second": 4096}
SHORTEST, LONGEST = 1024, max(LENGTHS.values())

#: Rows reach down to this many Hz, or as far as wavelets fit into the stretch.
LOWEST = 50.0

#: The wavelets by their usual names.
WAVELETS = {"Cauchy": "cauchy", "generalised Morse": "gmw", "Morlet": "morlet"}
VOICES = (8, 16, 32)

# No more than the beginning of a long file is decoded.
LONGEST_READ = 300.0  # seconds

# Nor more than this many samples, 300 s at 48 kHz: a small file of silence may hold hours.
MOST_READ = 14_400_000

# A file has to fit into one message from the browser. Servers take 10 MiB unless they are told
# otherwise; the commands `lab` and `app` tell theirs, and say so in this variable.
UPLOAD, SMALLEST_LIMIT = "SCALINV_LARGEST_FILE", 10_000_000

# Less than this share of the energy between LOWEST and half of RATE is nothing that could be
# recovered: the filters' own leakage would be amplified and played as the original. What
# is below LOWEST is removed before the fades if it has more than the share TOO_LOW, and what is
# outside is said from MENTIONED on.
NOTHING_LEFT, TOO_LOW, MENTIONED = 1e-3, 0.1, 1e-2

# So many samples around a stretch are filtered with it: 2 s, the filters' response lasts 0.1 s.
AROUND = 2 * RATE

# Players amplify by 40 dB at most: a peak below this is played below -20 dB of full scale.
QUIET = 0.1 * audio.FULL_SCALE / audio.LARGEST_GAIN

# A score below this is good: it stands for an error of a tenth.
GOOD_SCORE_DB = -20.0

# The answers to files that `signals.load` refuses, by its reason.
REFUSALS = {
    "unreadable": (
        "cannot be read as a sound. WAV, FLAC, OGG and MP3 can; from any other format a sound "
        "editor exports them."
    ),
    "empty": "is a sound file without any sound: 0 samples.",
    "not finite": (
        "holds samples that are no numbers (NaN or infinite): export it again, as 16-bit WAV for "
        "example."
    ),
    "too long": "holds more sound than fits into memory: cut out the part that you want.",
}


# --- From a file to a scalogram ------------------------------------------------------------------


def largest_file() -> int:
    """Return how many bytes a file may have, so that the server at hand lets it through.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> session.largest_file() >= 10_000_000
    True
    """
    return max(int(os.environ.get(UPLOAD, 0)), SMALLEST_LIMIT)


def too_large(name: str, n_bytes: int) -> str:
    """Say that a file is too large, and what to do."""
    return (
        f"{name} has {n_bytes / 1e6:.1f} MB, and at most {largest_file() / 1e6:.0f} MB can be "
        f"sent: cut out the part that you want, or export it as FLAC, OGG or MP3."
    )


@dataclass(frozen=True, eq=False)
class Stretch:
    """Stretch of a sound: `x` at RATE, from `start` seconds on; `words` say what was done.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import signals
    >>> part = session.prepare(signals.tones(8000), 8000, n_samples=2048, start=0.5)
    >>> part.x.shape, part.start
    (torch.Size([2048]), 0.5)
    """

    x: torch.Tensor
    start: float
    words: str


@dataclass(frozen=True, eq=False)
class Task:
    """Signal in the band of a transform, and its scalogram, from which a method recovers it.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import signals
    >>> task = session.pose(signals.tones(1024, session.RATE), voices_per_octave=8)
    >>> task.S.shape == task.W.shape
    True
    """

    x: torch.Tensor
    W: Scalogram
    S: torch.Tensor


def open_sound(
    name: str, content: bytes, said: list[str] | None = None
) -> tuple[torch.Tensor, float]:
    """Read the bytes of a sound file as one mono signal.

    Parameters
    ----------
    name : str
        Name of the file, for the messages.
    content : bytes
        WAV, FLAC, OGG, MP3 or another format that libsndfile reads.
    said : list of str, optional
        Sentences on what was left out are added to it: channels, and what follows the beginning.

    Returns
    -------
    x : Tensor, shape (n_samples,)
        Channels that are alike are averaged; of others the loudest is taken. The first
        five minutes of a long file are read, and fewer at a very high rate.
    sample_rate : float
        Hz.

    Raises
    ------
    ValueError
        The file holds no sound; the message is one sentence that says what is wrong with it.

    Examples
    --------
    >>> import io
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import audio, signals
    >>> file = io.BytesIO()
    >>> gain = audio.save_wav(file, signals.tones(800), 8000)
    >>> x, rate = session.open_sound("tones.wav", file.getvalue())
    >>> x.shape, rate
    (torch.Size([800]), 8000)
    """
    if len(content) == 0:
        raise ValueError(f"{name} is empty: the file has no bytes.")
    if len(content) > largest_file():
        raise ValueError(too_large(name, len(content)))
    try:
        file = io.BytesIO(content)
        sound = read_sound(file, seconds=LONGEST_READ, most_samples=MOST_READ)
    except SoundFileError as error:
        raise ValueError(f"{name} {REFUSALS[error.reason]}") from error
    x, rate = torch.from_numpy(sound.samples), sound.sample_rate
    if said is not None:
        said += sound.said
        if (sound.lasts or 0) * rate > len(x) and len(x) in (MOST_READ, round(LONGEST_READ * rate)):
            said.append(
                f"The file lasts {sound.lasts:.0f} s; its first {len(x) / rate:.4g} s were read."
            )
    return x, rate


def prepare(
    x: ArrayLike,
    sample_rate: float,
    n_samples: int = LONGEST,
    start: float | None = None,
    said: Sequence[str] = (),
) -> Stretch:
    """Cut out the stretch of a sound that is used, at RATE and with its ends faded.

    Parameters
    ----------
    x : array, shape (n,)
        Mono, of any length.
    sample_rate : float
        Any rate, in Hz.
    n_samples : int
        At most this many samples at RATE. A shorter sound is used whole; one shorter than
        0.13 s is followed by silence, as low notes need room.
    start : float, optional
        Where the stretch begins, seconds. Default: where it is loudest.
    said : sequence of str
        The sentences of `open_sound`; they come first.

    Returns
    -------
    Stretch

    Raises
    ------
    ValueError
        The stretch is silent: its scalogram is zero, and so is every answer. Or next to nothing of
        it lies in the band, from LOWEST to half of RATE, so that there is nothing to recover.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import signals
    >>> session.prepare(signals.tones(4000), 8000).words
    'The sound lasts 0.50 s at 8,000 samples per second.'
    """
    n_samples = check_count(n_samples, "n_samples", SHORTEST)
    raw = check_signal(x, ndim=1).double()
    whole = signals.polyphase(raw, sample_rate, RATE).double()
    first = _first(whole, n_samples, start)
    part = whole[first : first + n_samples]
    said = [*said, *_where(len(whole), len(part), first, sample_rate, start, bool(said))]
    before = _cut_from(raw, sample_rate, first / RATE, len(part) / RATE)
    if not before.abs().max() > 0:
        raise ValueError(
            "This stretch is silent. The scalogram of silence is zero, and silence "
            "comes back from it: choose another stretch."
        )
    part, outside = _in_band(whole, first, len(part), energy=float(before.square().mean()))
    said += outside
    if (peak := float(part.abs().max())) < QUIET:
        said.append(
            f"The sound is very quiet: its peak is {-metrics.decibels(peak):.0f} dB below full "
            f"scale, and players amplify by 40 dB at most. You will hear little or nothing; make "
            f"it louder in a sound editor first."
        )
    part = signals.fade(part, RATE)
    if len(part) < SHORTEST:
        said.append(f"Silence was added up to {_seconds(SHORTEST)}: low notes need room.")
        part = torch.nn.functional.pad(part, (0, SHORTEST - len(part)))
    return Stretch(part, first / RATE, " ".join(said))


def _where(
    n_whole: int, n_part: int, first: int, sample_rate: float, start: float | None, less: bool
) -> list[str]:
    """Say how long a sound is, and which stretch is used; a file may hold more: `less`."""
    subject = "What was read" if less else "The sound"
    said = [f"{subject} lasts {_seconds(n_whole)} at {sample_rate:,.6g} samples per second."]
    if sample_rate != RATE:
        said.append(f"It was resampled to {RATE:,}: all that follows ends at {RATE // 2:,} Hz.")
    if n_part < n_whole:
        where = ", where it is loudest" if start is None else ""
        said.append(f"Used: {_seconds(n_part)} from {first / RATE:.2f} s on{where}.")
        if n_part >= LONGEST:
            said.append(
                f"No more than {_seconds(LONGEST)} is used at a time, so that the recovery stays "
                f"below 1 GB of memory, which Binder and old laptops have to spare."
            )
    return said


def _cut_from(x: torch.Tensor, sample_rate: float, start: float, seconds: float) -> torch.Tensor:
    """Cut a stretch out of a sound at its own rate; it has one sample at least."""
    first = min(round(start * sample_rate), len(x) - 1)
    return x[first : first + max(round(seconds * sample_rate), 1)]


def _in_band(
    whole: torch.Tensor, first: int, n_samples: int, energy: float
) -> tuple[torch.Tensor, list[str]]:
    """Cut out a stretch without what lies below LOWEST, and say what share that was.

    `energy` is that of the stretch before it was resampled, per sample. Low frequencies
    have to go before the ends are faded: the filters see nothing of a tone of 5 Hz but its fades,
    and these would be recovered.
    """
    part = whole[first : first + n_samples]
    begin = max(first - AROUND, 0)  # what is further away is not heard, and may be minutes
    around = whole[begin : first + n_samples + AROUND]
    high = _high_pass(around)[first - begin :][:n_samples]
    share = float(high.square().mean()) / energy
    band = f"between {LOWEST:.0f} and {RATE // 2:,} Hz, where the wavelets are"
    if share < NOTHING_LEFT:
        raise ValueError(
            f"Next to nothing of this stretch lies {band}: {100 * share:.1g} % of its energy. "
            f"There is nothing to recover: choose another stretch or another sound."
        )
    low = float((part - high).square().mean()) / energy
    if low > TOO_LOW:
        part = high
    if 1 - share <= MENTIONED:
        return part, []
    return part, [f"{_percent(1 - share)} of its energy does not lie {band}: it is lost."]


def _high_pass(x: torch.Tensor) -> torch.Tensor:
    """Remove what lies below LOWEST, the mean included; both ends are mirrored, so as not to jump.

    The filter rises from LOWEST / 2 to LOWEST.
    """
    mirrored = torch.fft.rfft(torch.cat([x, x.flip(0)]))
    hertz = torch.fft.rfftfreq(2 * len(x), 1 / RATE, dtype=x.dtype)
    gain = torch.sin(math.pi / 2 * (2 * hertz / LOWEST - 1).clamp(0, 1)) ** 2
    return torch.fft.irfft(mirrored * gain, 2 * len(x))[: len(x)]


def _percent(share: float) -> str:
    """Write a share with as many digits as tell it from nothing and from everything."""
    return f"{100 * share:.{0 if 0.02 < share < 0.98 else 1 if share < 0.998 else 2}f} %"


def pose(x: torch.Tensor, wavelet: str = "cauchy", voices_per_octave: int = 32) -> Task:
    """Compute the scalogram of a stretch, from which it is to be recovered.

    Parameters
    ----------
    x : Tensor, shape (n_samples,)
        The stretch, at RATE.
    wavelet, voices_per_octave
        As `Scalogram` takes them.

    Returns
    -------
    Task
        Its x lacks the frequencies that no wavelet covers: 0 Hz, and those below the lowest row.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import signals
    >>> task = session.pose(signals.tones(1024, session.RATE), "gmw", voices_per_octave=8)
    >>> bool(task.W.frequencies[-1] >= session.LOWEST)
    True
    """
    W = Scalogram(len(x), RATE, wavelet=wavelet, voices_per_octave=voices_per_octave)
    if W.frequencies[-1] < LOWEST:
        W = Scalogram(
            len(x), RATE, wavelet=wavelet, voices_per_octave=voices_per_octave, f_min=LOWEST
        )
    x = W.project(x)
    return Task(x, W, W.magnitude(x))


def _first(x: torch.Tensor, n_samples: int, start: float | None) -> int:
    """Find the first sample of the stretch: the loudest, or the nearest possible to `start` (s)."""
    if start is None:
        return signals.loudest(x, n_samples) if len(x) > n_samples else 0
    return min(max(round(start * RATE), 0), max(len(x) - n_samples, 0))


def _seconds(n_samples: int) -> str:
    return f"{n_samples / RATE:.2f} s"


# --- From a scalogram to a waveform --------------------------------------------------------------

# Each method takes (S, W, seed, callback). The number is that of the steps that it takes; None
# where the method stops by itself, at a step that nobody knows before.
METHODS: dict[str, tuple[Callable[..., Recovery], int | None]] = {
    "recover()": (
        lambda S, W, seed, callback: recover(S, W, seed=seed, callback=callback, progress=False),
        None,
    ),
    "phase gradient, heap": (
        lambda S, W, seed, callback: phase_gradient(S, W, seed=seed, callback=callback, n_iter=0),
        1,
    ),
    "L-BFGS from noise": (
        lambda S, W, seed, callback: invert_gradient(
            S, W, seed=seed, callback=callback, n_iter=100
        ),
        None,
    ),
    "fast Griffin-Lim": (
        lambda S, W, seed, callback: griffin_lim(S, W, seed=seed, callback=callback, n_iter=100),
        100,
    ),
    "Griffin-Lim": (
        lambda S, W, seed, callback: griffin_lim(
            S, W, seed=seed, callback=callback, n_iter=100, momentum=0
        ),
        100,
    ),
}


@dataclass(frozen=True, eq=False)
class Attempt:
    """Recovered waveform with its scores and the task.

    Attributes
    ----------
    task : Task
    method : str
    y : Tensor, shape (n_samples,)
        The recovered signal, turned so that it fits the original: no scalogram shows this turn.
    wreck : Tensor, shape (n_samples,)
        The signal that the right moduli give with random phases.
    consistency_db, waveform_db, island_db : float
        The scores of `metrics`.
    n_islands : int
        Number of the parts that silence separates.
    seconds : float
        Duration of the recovery.
    """

    task: Task
    method: str
    y: torch.Tensor
    wreck: torch.Tensor
    consistency_db: float
    waveform_db: float
    island_db: float
    n_islands: int
    seconds: float

    @property
    def made_with(self) -> str:
        """Say which method and which scalogram the result was made with.

        Examples
        --------
        >>> from scalinv_utils.app import session
        >>> from scalinv_utils.course import signals
        >>> task = session.pose(signals.tones(1024, session.RATE), voices_per_octave=8)
        >>> session.solve(task, "phase gradient, heap").made_with
        'phase gradient, heap, from a scalogram of Cauchy wavelets with 8 voices per octave'
        """
        W = self.task.W
        names = {kind: name for name, kind in WAVELETS.items()}
        wavelet = names.get(W.wavelet[0], W.wavelet[0])
        return (
            f"{self.method}, from a scalogram of {wavelet} wavelets with {W.voices_per_octave} "
            f"voices per octave"
        )

    def sounds(self) -> dict[str, torch.Tensor]:
        """Return the sounds to listen to by label, all on one scale."""
        x = self.task.x
        return {
            "original": x,
            "random phase": self.wreck,
            "recovered": self.y,
            "original minus recovered": x - self.y,
        }

    def meanings(self) -> list[tuple[str, str, str]]:
        """Return each score as (name, value, meaning) in words."""
        return [
            (
                "consistency",
                f"{self.consistency_db:.1f} dB",
                "how far its scalogram is from the given one; anybody with the scalogram can say",
            ),
            (
                "waveform error",
                f"{self.waveform_db:.1f} dB",
                "how far it is from the original after one turn; "
                "only people with the original can say",
            ),
            (
                "island error",
                f"{self.island_db:.1f} dB",
                f"the same with a turn for each part that silence separates: {self.n_islands} here",
            ),
        ]


def solve(
    task: Task,
    method: str = "recover()",
    seed: int = 0,
    callback: Callable[[int, torch.Tensor, float], Any] | None = None,
) -> Attempt:
    """Recover the waveform behind `task.S`, and score it.

    Parameters
    ----------
    task : Task
    method : str
        A key of METHODS.
    seed : int
    callback : callable, optional
        ``callback(iteration, x, consistency_db)``; a true return value stops the method.

    Returns
    -------
    Attempt

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> from scalinv_utils.course import signals
    >>> task = session.pose(signals.tones(1024, session.RATE), voices_per_octave=8)
    >>> stop_early = lambda iteration, x, consistency_db: iteration >= 3
    >>> attempt = session.solve(task, "fast Griffin-Lim", callback=stop_early)
    >>> attempt.y.shape, list(attempt.sounds())[:2]
    (torch.Size([1024]), ['original', 'random phase'])
    """
    run, _ = METHODS[check_choice(method, METHODS, "method")]
    give_back()
    began = time.perf_counter()
    y = run(task.S, task.W, seed, callback).signal
    seconds = time.perf_counter() - began
    give_back()
    x, W, S = task.x, task.W, task.S
    return Attempt(
        task,
        method,
        metrics.align(y, x),
        _wreck(task, seed),
        float(metrics.consistency_db(y, S, W)),
        float(metrics.waveform_error_db(y, x)),
        float(metrics.island_error_db(y, x, W)),
        metrics.islands(S)[1],
        seconds,
    )


def verdict(consistency_db: float, waveform_db: float, island_db: float) -> str:
    """Say in one sentence what three scores mean together.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> session.verdict(-130, -120, -121)
    'This is the original waveform, but for one turn that no scalogram can know.'
    """
    if consistency_db > GOOD_SCORE_DB:
        return (
            "The scalogram is not matched yet: the method has not arrived, or was stopped "
            "too early."
        )
    if waveform_db < GOOD_SCORE_DB:
        return "This is the original waveform, but for one turn that no scalogram can know."
    if island_db < GOOD_SCORE_DB:
        return (
            "Each part is right by itself. Silence lies between the parts, and no scalogram "
            "tells how they are turned against each other."
        )
    return (
        "The scalograms agree and the sounds do not: a picture that fits is no proof of the "
        "waveform."
    )


def _wreck(task: Task, seed: int) -> torch.Tensor:
    """Make the signal of the right moduli with random phases."""
    return task.W.inverse(torch.polar(task.S, random_angles(task.S, seed)))


# --- How long it will take -----------------------------------------------------------------------


class Progress:
    """Progress of a method for a progress bar, from the method's callbacks.

    Parameters
    ----------
    steps : int or None
        The steps that the method takes; None if it stops by itself. Then nobody knows how much is
        left, and nothing is said about it.
    clock : callable
        A function that returns the time in seconds.

    Attributes
    ----------
    fraction : float or None
        Share of the steps that are done, from 0 to 1, if it is known.
    words : str
        The step, the fit, and the time that is left or, where that is not known, has gone by.

    Examples
    --------
    >>> from scalinv_utils.app import session
    >>> progress = session.Progress(4, clock=iter([0.0, 1.0]).__next__)
    >>> progress.step(1, -12.0)
    >>> progress.words
    'step 1 of 4, fits to -12 dB, 3 s left'
    >>> progress = session.Progress(None, clock=iter([0.0, 1.0]).__next__)
    >>> progress.step(1, -12.0)
    >>> progress.words
    'step 1, fits to -12 dB, 1 s so far; it stops by itself'
    """

    RECENT = 10  # The speed is that of so many steps: the first steps of a method may be slower.

    def __init__(self, steps: int | None, clock: Callable[[], float] = time.perf_counter):
        self.steps, self._clock = steps, clock
        self.times = [clock()]
        self.fraction, self.words = None if steps is None else 0.0, "getting ready ..."

    def step(self, iteration: int, consistency_db: float) -> None:
        """Take note of one step."""
        self.times.append(self._clock())
        fit = f"fits to {consistency_db:.0f} dB"
        if self.steps is None:
            gone = _rounded(self.times[-1] - self.times[0])
            self.words = f"step {iteration}, {fit}, {gone} so far; it stops by itself"
            return
        self.fraction = min(iteration / self.steps, 1.0)
        recent = self.times[-self.RECENT - 1 :]
        left = max(self.steps - iteration, 0) * (recent[-1] - recent[0]) / (len(recent) - 1)
        self.words = f"step {iteration} of {self.steps}, {fit}, {_rounded(left)} left"


def _rounded(seconds: float) -> str:
    """Round a duration up to few digits, since an estimate has no more."""
    if seconds < 10:
        return f"{math.ceil(seconds)} s"
    if seconds < 90:
        return f"{math.ceil(seconds / 5) * 5} s"
    return f"{math.ceil(seconds / 60)} min"
