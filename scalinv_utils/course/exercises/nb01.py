"""Exercises of notebook 01, what the modulus keeps."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from ... import metrics
from ...transforms.scalogram import Scalogram
from .. import signals
from ._letters import compare_letters
from ._machinery import compare, exercise

CHIRP_SAMPLES, CHIRP_RATE = 256, 2000  # samples, Hz


def instantaneous_frequency(c, sample_rate):
    """Compute the turn from one sample to the next, in Hz; time is periodic."""
    turn = torch.angle(c.roll(-1, dims=-1) * c.conj())  # between -pi and pi
    return turn * sample_rate / (2 * math.pi)


def _in_radians(c, sample_rate):
    return torch.angle(c.roll(-1, dims=-1) * c.conj())


def _per_sample(c, sample_rate):
    return torch.angle(c.roll(-1, dims=-1) * c.conj()) / (2 * math.pi)


def _jumps(c, sample_rate):
    return (c.angle().roll(-1, dims=-1) - c.angle()) * sample_rate / (2 * math.pi)


def _backwards(c, sample_rate):
    return -instantaneous_frequency(c, sample_rate)


def _one_short(c, sample_rate):
    return instantaneous_frequency(c, sample_rate)[..., :-1]


def _crude_derivative(c, sample_rate):
    change = (c.roll(-1, dims=-1) - c.roll(1, dims=-1)) / 2
    return (change / c).imag * sample_rate / (2 * math.pi)


# Ways to differentiate differ by less than this on the chirp of exercise 01.1, in the rows and at
# the times where it is loud, away from the ends; the wrong ones by more.
OTHER_DERIVATIVE = 0.02


@exercise(
    "01.1",
    "Compute the instantaneous frequency, in Hz, from complex coefficients.",
    "How far does $c$ turn from one sample to the next? The angle of the *quotient* of two "
    "neighbours says it, or of `c.roll(-1, dims=-1) * c.conj()`, which has the same angle and "
    "divides by nothing. A turn of $2\\pi$ per sample is `sample_rate` hertz.",
    instantaneous_frequency,
    [_in_radians, _per_sample, _jumps, _backwards, _one_short, _crude_derivative],
    "The difference of two angles jumps by $2\\pi$ wherever the phase passes from $\\pi$ to "
    "$-\\pi$. The angle of the product does not, as long as $c$ turns by less than $\\pi$ per "
    "sample, that is below half the sample rate. Differences to the sample before, an unwrapped "
    "phase and Im(c'/c) with the DFT's derivative are right, too.",
)
def check_instantaneous_frequency(answer: Any) -> str | None:
    """Check the answer to exercise 01.1 on a tone, exactly, and on a chirp, to 2 %."""
    W = Scalogram(CHIRP_SAMPLES, CHIRP_RATE, wavelet="cauchy", voices_per_octave=4)
    ends = slice(2, -2)  # how time goes on there is the learner's choice
    cycles = 51
    hertz = cycles * CHIRP_RATE / CHIRP_SAMPLES
    row = W(signals.tones(CHIRP_SAMPLES, CHIRP_RATE, [hertz]))[6]
    complaint = _compare_inside(answer(row, CHIRP_RATE), torch.full_like(row.real, hertz), ends)
    if complaint:
        return f"{complaint} Tried on one row and a tone of {hertz:.0f} Hz."
    rows = W(signals.exponential_chirp(CHIRP_SAMPLES, CHIRP_RATE, 60, 500))
    right = instantaneous_frequency(rows, CHIRP_RATE)
    loud = rows.abs() > 0.3 * rows.abs().max()
    loud[:, :16] = loud[:, -16:] = False
    given = torch.as_tensor(answer(rows, CHIRP_RATE))
    if given.shape != rows.shape:
        return f"the frequency should have the shape {tuple(rows.shape)} of several rows."
    return compare(given[loud], right[loud], "the frequency on a chirp", OTHER_DERIVATIVE)


def _compare_inside(got: Any, expected: torch.Tensor, inside: slice) -> str | None:
    """Compare a row without its ends; its shape and kind of numbers are those of the whole row."""
    values = got.detach().cpu().numpy() if isinstance(got, torch.Tensor) else np.asarray(got)
    if values.shape != tuple(expected.shape):
        return f"the frequency should have the shape {tuple(expected.shape)} of the row."
    return compare(values[inside], expected[inside], "the frequency")


def turned(x, theta):
    """Turn every positive frequency by theta: cos(theta) x - sin(theta) Hx."""
    spectrum = torch.fft.rfft(x)  # non-negative frequencies: a real x needs no others
    return torch.fft.irfft(spectrum * torch.exp(torch.tensor(1j * theta)), n=x.shape[-1])


def _other_way(x, theta):
    return turned(x, -theta)


def _only_the_cosine(x, theta):
    return math.cos(theta) * x


def _turned_all(x, theta):
    return torch.fft.ifft(torch.fft.fft(x) * torch.exp(torch.tensor(1j * theta))).real


def _complex_answer(x, theta):
    return metrics.analytic(x) * torch.exp(torch.tensor(1j * theta))


def _delayed(x, theta):
    return x.roll(round(len(x) * theta / (2 * math.pi)), dims=-1)


@exercise(
    "01.2",
    "Turn a real signal of even length by the angle theta, with `torch.fft` only.",
    "Multiply the spectrum at all *positive* frequencies by $e^{i\\theta}$. The negative ones must "
    "stay the mirror image of them, or the result is not real: `torch.fft.rfft` and "
    "`torch.fft.irfft` look after that.",
    turned,
    [_other_way, _only_the_cosine, _turned_all, _complex_answer, _delayed],
    "At 90° this is minus the Hilbert transform, at 180° a change of sign. A turn is not a delay: "
    "a delay turns each frequency by an angle of its own, in proportion to it. "
    "`metrics.hilbert_rotation` is the package's version.",
)
def check_turned(answer: Any) -> str | None:
    """Check the answer to exercise 01.2 on a chirp and four angles."""
    x = signals.exponential_chirp(CHIRP_SAMPLES, CHIRP_RATE, 50, 800)
    x = Scalogram(CHIRP_SAMPLES, CHIRP_RATE, wavelet="cauchy", voices_per_octave=4).project(x)
    for degrees in (0, 180, 90, 37):
        theta = math.radians(degrees)
        complaint = compare(
            answer(x, theta), metrics.hilbert_rotation(x, theta), f"a chirp turned by {degrees}°"
        )
        if complaint:
            return complaint
    return None


def _rows_of_rows(W: Scalogram, x: torch.Tensor) -> torch.Tensor:
    return W(W.magnitude(x)).abs()  # most of a row's energy lies below the band of W


def _with_a_click(W: Scalogram, x: torch.Tensor) -> torch.Tensor:
    return W.magnitude(x + signals.clicks(CHIRP_SAMPLES, CHIRP_RATE, [0.05]))


# The measurements of exercise 01.3, functions of the transform and the sound.
MEASUREMENTS: dict[str, Callable[[Scalogram, torch.Tensor], torch.Tensor]] = {
    "A": lambda W, x: (W.magnitude(x) ** 2).sum(-1),
    "B": _with_a_click,
    "C": lambda W, x: torch.log(W.magnitude(x) + 1e-3),
    "D": lambda W, x: W(x).real.abs()[:, ::10],
    "E": _rows_of_rows,
    "F": lambda W, x: W.magnitude(x**2),
}

# A measurement that differs by less than this between x and Hx cannot tell them apart.
BLIND_DB = -200


@exercise(
    "01.3",
    "Which of the measurements A to F can tell a sound x from its Hilbert transform Hx?",
    "Whatever is computed *from* the moduli of Wx alone cannot know more than they do. "
    "Which of the six look at something else?",
    "BDF",
    ["B", "BD", "BF", "DF", "BCDF", "ABDF", "ACE", "BDFX", 6],
    "A, C and E are computed from $|Wx|$ alone, which is the same for both. In B the click does "
    "not turn along with the sound: a known reference breaks the circle. D looks at the real "
    "part. In F the square mixes positive and negative frequencies before the wavelets see them.",
)
def check_measurements(answer: Any) -> str | None:
    """Check the letters of exercise 01.3: try each measurement on a chirp."""
    W = Scalogram(CHIRP_SAMPLES, CHIRP_RATE, wavelet="cauchy", voices_per_octave=4, f_min=150)
    x = W.project(signals.exponential_chirp(CHIRP_SAMPLES, CHIRP_RATE, 30, 800))
    Hx = metrics.hilbert_rotation(x, -math.pi / 2)
    telling = [
        name
        for name, measure in MEASUREMENTS.items()
        if float(metrics.misfit_db(measure(W, Hx), measure(W, x))) > BLIND_DB
    ]
    return compare_letters(
        answer,
        telling,
        "".join(MEASUREMENTS),
        "Try each measurement on a sound and on `hilbert_rotation(sound, -np.pi / 2)`: "
        "`metrics.misfit_db` of the two is below −200 dB where it cannot tell them apart.",
    )
