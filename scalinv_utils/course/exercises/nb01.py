"""Exercises of notebook 01, what the modulus keeps."""

import math
from collections.abc import Callable
from typing import Any

import torch

from ... import metrics
from ...transforms.scalogram import Scalogram
from .. import signals
from ._machinery import compare, exercise

CHIRP_SAMPLES, CHIRP_RATE = 256, 2000  # samples, Hz


def instantaneous_frequency(c, sample_rate):
    """Compute the turn from one sample to the next, in Hz; time is periodic."""
    turn = torch.angle(c.roll(-1, dims=-1) * c.conj())  # between -pi and pi, never a jump
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


@exercise(
    "01.1",
    "Compute the instantaneous frequency, in Hz, from complex coefficients.",
    "How far does $c$ turn from one sample to the next? The angle of the *quotient* of two "
    "neighbours says it, or of `c.roll(-1, dims=-1) * c.conj()`, which has the same angle and "
    "divides by nothing. A turn of $2\\pi$ per sample is `sample_rate` hertz.",
    instantaneous_frequency,
    [_in_radians, _per_sample, _jumps, _backwards, _one_short],
    "The difference of two angles jumps by $2\\pi$ wherever the phase passes from $\\pi$ to "
    "$-\\pi$; the angle of a product never does. It is the same trick as taking the log of a "
    "ratio instead of the difference of two logs that have branches.",
)
def check_instantaneous_frequency(answer: Any) -> str | None:
    """Check the answer to exercise 01.1 on rows of a chirp."""
    W = Scalogram(CHIRP_SAMPLES, CHIRP_RATE, wavelet="cauchy", voices_per_octave=4)
    rows = W(signals.exponential_chirp(CHIRP_SAMPLES, CHIRP_RATE))[4:12]
    for c, name in [(rows[3], "one row"), (rows, "several rows")]:
        complaint = compare(
            answer(c, CHIRP_RATE),
            instantaneous_frequency(c, CHIRP_RATE),
            f"the frequency of {name} of a chirp",
        )
        if complaint:
            return complaint
    return None


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


# The measurements of exercise 01.3: a wavelet, options of the transform, and a function of the
# coefficients.
MEASUREMENTS = {
    "A": ("gmw", {}, torch.abs),
    "B": ("cauchy", {"lowpass": "signed"}, lambda c: torch.cat([c[:-1].abs(), c[-1:].real])),
    "C": ("cauchy", {}, lambda c: c.abs() ** 2),
    "D": ("cauchy", {}, lambda c: c.real.abs()),
    "E": ("cauchy", {"lowpass": "modulus"}, torch.abs),
    "F": ("cauchy", {}, lambda c: torch.log(c.abs() + 1e-3)),
    "G": ("cauchy", {}, lambda c: c.abs().cumsum(-1)),
}

# A measurement that differs by less than this between x and Hx cannot tell them apart.
BLIND_DB = -200


@exercise(
    "01.3",
    "Which of the measurements A to G can tell a sound from its Hilbert transform?",
    "Whatever is computed *from* the moduli of analytic wavelets cannot know more than they do. "
    "Which of the seven look at something else?",
    "BDE",
    ["B", "BD", "BE", "BCDE", "ABDE", "ACFG", "BDEH", 7],
    "A, C, F and G are functions of $|Wx|$ alone, which is the same for both. B and E have a row "
    "that also passes negative frequencies, D looks at the real part. Note that E has no sign at "
    "all: a modulus of a *real* number is enough.",
)
def check_measurements(answer: Any) -> str | None:
    """Check the letters of exercise 01.3: try each measurement on a chirp."""
    if not isinstance(answer, (str, list, tuple, set)):
        return f'the answer should be letters, such as "AB", and is {type(answer).__name__}.'
    letters = set("".join(map(str, answer)).upper()) - set(" ,")
    if letters - set(MEASUREMENTS):
        return (
            f"there are measurements A to G, and no "
            f"{', '.join(sorted(letters - set(MEASUREMENTS)))}."
        )
    seen = {name: _difference_db(*measurement) for name, measurement in MEASUREMENTS.items()}
    for name in sorted(letters):
        if seen[name] < BLIND_DB:
            return (
                f"{name} cannot: tried on a chirp and its Hilbert transform, the measurements "
                f"differ by {seen[name]:.0f} dB, which is rounding."
            )
    missing = sum(level > BLIND_DB for level in seen.values()) - len(letters)
    return f"right so far, and {missing} more." if missing else None


def _difference_db(
    wavelet: str, options: dict[str, Any], keep: Callable[[torch.Tensor], torch.Tensor]
) -> float:
    """Compare a measurement of a chirp with that of its Hilbert transform, in dB."""
    W = Scalogram(
        CHIRP_SAMPLES, CHIRP_RATE, wavelet=wavelet, voices_per_octave=4, f_min=150, **options
    )
    x = W.project(signals.exponential_chirp(CHIRP_SAMPLES, CHIRP_RATE, 30, 800))
    spectrum = torch.fft.rfft(x)
    spectrum[0] = 0  # a constant has no Hilbert transform
    x = torch.fft.irfft(spectrum, n=CHIRP_SAMPLES)
    rotated = metrics.hilbert_rotation(x, -math.pi / 2)
    return float(metrics.misfit_db(keep(W(rotated)), keep(W(x))))
