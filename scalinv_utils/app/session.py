"""What happens to a sound of your own, step by step and without a widget; notebook 10 and its app.

x, rate = open_sound("my.wav", content)      a file's bytes, as one mono signal
part = prepare(x, rate)                      a stretch of it at 8 kHz, and what was done
problem = pose(part.x)                       its scalogram: all that a method gets to see
attempt = solve(problem, "recover()")        a waveform, its scores, and what they mean
"""

import io
import math
import time
from dataclasses import dataclass

import torch

from .. import metrics
from .._validation import check_choice, check_count
from ..course import signals
from ..course._memory import give_back
from ..recovery._gradient_descent import invert_gradient
from ..recovery._griffin_lim import griffin_lim, random_angles
from ..recovery._phase_gradient import phase_gradient
from ..recovery._pipeline import recover
from ..transforms.scalogram import Scalogram

__all__ = [
    "LENGTHS",
    "METHODS",
    "RATE",
    "VOICES",
    "WAVELETS",
    "Attempt",
    "Problem",
    "Progress",
    "Stretch",
    "open_sound",
    "pose",
    "prepare",
    "solve",
    "verdict",
]

#: Samples per second of everything here: speech stays clear, and a scalogram stays small.
RATE = 8000

#: Samples by name. With the longest a recovery adds about 0.5 GB to the kernel at most; Binder
#: gives 2 GB to everything. At twice that, Griffin-Lim's arrays alone take 0.4 GB.
LENGTHS = {"a quarter of a second": 2048, "half a second": 4096}
SHORTEST, LONGEST = 1024, max(LENGTHS.values())

#: Rows reach down to this many Hz, or as far as wavelets fit into the stretch.
LOWEST = 50.0

#: The wavelets by the names that people give them.
WAVELETS = {"Cauchy": "cauchy", "generalised Morse": "gmw", "Morlet": "morlet"}
VOICES = (8, 16, 32)

# No more than the beginning of a long file is decoded.
LONGEST_READ = 300.0  # seconds

# A score below this is good: an error of a tenth.
GOOD_DB = -20.0


# --- From a file to a scalogram ------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Stretch:
    """What is used of a sound: `x` at RATE, from `start` seconds on; `words` say what was done."""

    x: torch.Tensor
    start: float
    words: str


@dataclass(frozen=True, eq=False)
class Problem:
    """A signal in the band of a transform, and its scalogram: the task for a method."""

    x: torch.Tensor
    W: Scalogram
    S: torch.Tensor


def open_sound(name, content):
    """The bytes of a sound file as one mono signal.

    Parameters
    ----------
    name : str
        What the file is called, for the messages.
    content : bytes
        WAV, FLAC, OGG, MP3 and whatever else libsndfile reads.

    Returns
    -------
    x : Tensor, shape (n_samples,)
        Channels are averaged. Of a file longer than five minutes, the first five.
    sample_rate : float
        Hz.

    Raises
    ------
    ValueError
        A file that holds no sound: one sentence that says what is wrong with it.
    """
    if len(content) == 0:
        raise ValueError(f"{name} is empty: the file has no bytes.")
    try:
        return signals.load(io.BytesIO(content), seconds=LONGEST_READ)
    except ValueError as error:
        if "finite" in str(error):
            raise ValueError(
                f"{name} holds samples that are no numbers (NaN or infinite): "
                f"export it again, as 16-bit WAV for example."
            ) from error
        if "at least one sample" in str(error):
            raise ValueError(f"{name} is a sound file without any sound: 0 samples.") from error
        raise ValueError(
            f"{name} cannot be read as a sound. WAV, FLAC, OGG and MP3 can; from "
            f"any other format a sound editor exports them."
        ) from error


def prepare(x, sample_rate, n_samples=LONGEST, start=None):
    """The stretch of a sound that is used, at RATE and with its ends faded.

    Parameters
    ----------
    x : array, shape (n,)
        Mono, of any length.
    sample_rate : float
        Hz; any.
    n_samples : int
        At most this many samples at RATE. A shorter sound is used whole; one shorter than
        0.13 s is followed by silence, as low notes need room.
    start : float, optional
        Seconds. Default: where the stretch is loudest.

    Returns
    -------
    Stretch

    Raises
    ------
    ValueError
        Silence: its scalogram is zero, and so is every answer.
    """
    n_samples = check_count(n_samples, "n_samples", SHORTEST)
    whole = signals.resample(x, sample_rate, RATE).double()
    said = [f"The sound lasts {_seconds(len(whole))} at {sample_rate:,.6g} samples per second."]
    if sample_rate != RATE:
        said.append(f"It was resampled to {RATE:,}: all that follows ends at {RATE // 2:,} Hz.")
    first = _first(whole, n_samples, start)
    part = whole[first : first + n_samples]
    if len(part) < len(whole):
        where = ", where it is loudest" if start is None else ""
        said.append(f"Used: {_seconds(len(part))} from {first / RATE:.2f} s on{where}.")
        if n_samples >= LONGEST:
            said.append(
                f"No more than {_seconds(LONGEST)} at a time: so the recovery stays below "
                f"1 GB of memory, which Binder and old laptops have to spare."
            )
    if not part.abs().max() > 0:
        raise ValueError(
            "This stretch is silent. The scalogram of silence is zero, and silence "
            "comes back from it: choose another stretch."
        )
    part = signals.fade(part, RATE)
    if len(part) < SHORTEST:
        said.append(f"Silence was added up to {_seconds(SHORTEST)}: low notes need room.")
        part = torch.nn.functional.pad(part, (0, SHORTEST - len(part)))
    return Stretch(part, first / RATE, " ".join(said))


def pose(x, wavelet="cauchy", voices_per_octave=32):
    """The scalogram of a stretch: the task.

    Parameters
    ----------
    x : Tensor, shape (n_samples,)
        At RATE.
    wavelet, voices_per_octave
        As `Scalogram` takes them.

    Returns
    -------
    Problem
        Its x lacks what no wavelet hears: 0 Hz, and what is lower than the lowest row.
    """
    W = Scalogram(len(x), RATE, wavelet=wavelet, voices_per_octave=voices_per_octave)
    if W.frequencies[-1] < LOWEST:
        W = Scalogram(
            len(x), RATE, wavelet=wavelet, voices_per_octave=voices_per_octave, f_min=LOWEST
        )
    x = W.project(x)
    return Problem(x, W, W.magnitude(x))


def _first(x, n_samples, start):
    """The first sample of the stretch: the loudest, or as near to `start` seconds as there is."""
    if start is None:
        return signals.loudest(x, n_samples) if len(x) > n_samples else 0
    return min(max(round(start * RATE), 0), max(len(x) - n_samples, 0))


def _seconds(n_samples):
    return f"{n_samples / RATE:.2f} s"


# --- From a scalogram to a waveform --------------------------------------------------------------

# Each takes (S, W, seed, callback) and is listed with the most steps that one start of it takes.
METHODS = {
    "recover()": (
        lambda S, W, seed, callback: recover(S, W, seed=seed, callback=callback, progress=False),
        300,
    ),
    "phase gradient, heap": (
        lambda S, W, seed, callback: phase_gradient(S, W, seed=seed, callback=callback, n_iter=0),
        1,
    ),
    "L-BFGS from noise": (
        lambda S, W, seed, callback: invert_gradient(
            S, W, seed=seed, callback=callback, n_iter=100
        ),
        100,
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
    """A recovered waveform beside the truth.

    Attributes
    ----------
    problem : Problem
    method : str
    y : Tensor, shape (n_samples,)
        The recovered signal, after the one turn that no scalogram can know.
    wreck : Tensor, shape (n_samples,)
        What the right moduli give with random phases.
    consistency_db, waveform_db, island_db : float
        The scores of `metrics`.
    n_islands : int
    seconds : float
    """

    problem: Problem
    method: str
    y: torch.Tensor
    wreck: torch.Tensor
    consistency_db: float
    waveform_db: float
    island_db: float
    n_islands: int
    seconds: float

    def sounds(self):
        """What to listen to, by label: all on one scale."""
        x = self.problem.x
        return {
            "original": x,
            "random phase": self.wreck,
            "recovered": self.y,
            "original minus recovered": x - self.y,
        }

    def meanings(self):
        """(score, value, what it means) for people."""
        return [
            (
                "consistency",
                f"{self.consistency_db:.1f} dB",
                "how far its scalogram is from the given one; anybody with the scalogram can say",
            ),
            (
                "waveform error",
                f"{self.waveform_db:.1f} dB",
                "how far it is from the original after one turn; only who has the original can say",
            ),
            (
                "island error",
                f"{self.island_db:.1f} dB",
                f"the same with a turn for each part that silence separates: {self.n_islands} here",
            ),
        ]


def solve(problem, method="recover()", seed=0, callback=None):
    """Recover the waveform behind `problem.S`, and score it.

    Parameters
    ----------
    problem : Problem
    method : str
        A key of METHODS.
    seed : int
    callback : callable, optional
        ``callback(iteration, x, consistency_db)``; a true return value stops the method.

    Returns
    -------
    Attempt
    """
    run, _ = METHODS[check_choice(method, METHODS, "method")]
    give_back()
    began = time.perf_counter()
    y = run(problem.S, problem.W, seed, callback).signal
    seconds = time.perf_counter() - began
    give_back()
    x, W, S = problem.x, problem.W, problem.S
    return Attempt(
        problem,
        method,
        metrics.align(y, x),
        _wreck(problem, seed),
        metrics.consistency_db(y, S, W),
        metrics.waveform_error_db(y, x),
        metrics.island_error_db(y, x, W),
        metrics.islands(S)[1],
        seconds,
    )


def verdict(consistency_db, waveform_db, island_db):
    """What three scores say together, in one sentence."""
    if consistency_db > GOOD_DB:
        return (
            "The scalogram is not matched yet: the method has not arrived, or was stopped "
            "too early."
        )
    if waveform_db < GOOD_DB:
        return "This is the original waveform, but for one turn that no scalogram can know."
    if island_db < GOOD_DB:
        return (
            "Each part is right by itself. Silence lies between the parts, and no scalogram "
            "tells how they are turned against each other."
        )
    return (
        "The scalograms agree and the sounds do not: a picture that fits is no proof of the "
        "waveform."
    )


def _wreck(problem, seed):
    """The right moduli with random phases."""
    return problem.W.inverse(torch.polar(problem.S, random_angles(problem.S, seed)))


# --- How long it will take -----------------------------------------------------------------------


class Progress:
    """What a progress bar shows, from a method's callbacks.

    Parameters
    ----------
    steps : int
        The most steps that one start takes. A method may try another start: then as many again.
    clock : callable
        Seconds.

    Attributes
    ----------
    fraction : float
        From 0 to 1.
    words : str
        The step, the fit, and the most time that is left.
    """

    RECENT = 10  # steps that the speed is taken from: the first steps of a method may be slower

    def __init__(self, steps, clock=time.perf_counter):
        self._start, self._clock = steps, clock
        self.steps, self.times = steps, [clock()]
        self.fraction, self.words = 0.0, "getting ready ..."

    def step(self, iteration, consistency_db):
        """Take note of one step."""
        self.times.append(self._clock())
        while iteration > self.steps:
            self.steps += self._start
        self.fraction = iteration / self.steps
        recent = self.times[-self.RECENT - 1 :]
        left = (self.steps - iteration) * (recent[-1] - recent[0]) / (len(recent) - 1)
        self.words = (
            f"step {iteration} of at most {self.steps}, fits to {consistency_db:.0f} dB, "
            f"at most {_rounded(left)} left"
        )


def _rounded(seconds):
    """Seconds as a person says them: no digit that a guess does not have."""
    if seconds < 10:
        return f"{math.ceil(seconds)} s"
    if seconds < 90:
        return f"{math.ceil(seconds / 5) * 5} s"
    return f"{math.ceil(seconds / 60)} min"
