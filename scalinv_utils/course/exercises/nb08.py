"""Exercises of notebook 08, inverting scattering."""

import math
from typing import Any

import torch

from ._machinery import compare, exercise


def _filters() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make a noise and three filters (frequency domain): a band, a slower one and a lowpass."""
    frequency = torch.fft.fftfreq(256, dtype=torch.float64)

    def bump(centre: float, width: float) -> torch.Tensor:
        return torch.exp(-(((frequency - centre) / width) ** 2) / 2)

    x = torch.randn(256, dtype=torch.float64, generator=torch.Generator().manual_seed(8))
    return x, bump(0.2, 0.03), bump(0.02, 0.008), bump(0.0, 0.002)


def convolve(u, filter_hat):
    """Convolve periodically with a filter that is given in the frequency domain."""
    return torch.fft.ifft(torch.fft.fft(u) * filter_hat)


def second_order(x, psi, psi2, phi):
    """Compute | | x * psi | * psi2 | * phi, with filters given in the frequency domain."""
    envelope = convolve(x, psi).abs()
    modulation = convolve(envelope, psi2).abs()
    return convolve(modulation, phi).real


def _no_first_modulus(x, psi, psi2, phi):
    return convolve(convolve(convolve(x, psi), psi2).abs(), phi).real


def _no_second_modulus(x, psi, psi2, phi):
    return convolve(convolve(convolve(x, psi).abs(), psi2), phi).real


def _averaged_too_early(x, psi, psi2, phi):
    average = convolve(convolve(x, psi).abs(), phi).real
    return convolve(convolve(average, psi2).abs(), phi).real


def _not_averaged(x, psi, psi2, phi):
    return convolve(convolve(x, psi).abs(), psi2).abs()


def _first_order(x, psi, psi2, phi):
    return convolve(convolve(x, psi).abs(), phi).real


@exercise(
    "08.1",
    "Write one coefficient row of order 2: | | x ∗ ψ | ∗ ψ₂ | ∗ φ.",
    "Three convolutions, and a modulus after each of the first two. `convolve(u, filter_hat)` of "
    "section 2 does one: `torch.fft.ifft(torch.fft.fft(u) * filter_hat)`. The result is real: "
    "its imaginary part is rounding, so return `.real`.",
    second_order,
    [_no_first_modulus, _no_second_modulus, _averaged_too_early, _not_averaged, _first_order],
    "An average before the second wavelet leaves nothing for it to find: it removes the "
    "modulations to which this wavelet responds.",
)
def check_second_order(answer: Any) -> str | None:
    """Check the answer to exercise 08.1 on a noise."""
    x, psi, psi2, phi = _filters()
    row = answer(x, psi, psi2, phi)
    if isinstance(row, torch.Tensor) and row.is_complex() and row.imag.norm() < 1e-9 * row.norm():
        row = row.real  # the imaginary part is rounding
    return compare(row, second_order(x, psi, psi2, phi), "the row")


def tremolo_left_db(T, rate_hz, sample_rate):
    """Compute the gain of the average for an envelope that beats at rate_hz, in dB."""
    width = 0.1 / T * sample_rate  # Hz
    gain = math.exp(-((rate_hz / width) ** 2) / 2)
    return 20 * math.log10(gain)


def _power(T, rate_hz, sample_rate):
    return tremolo_left_db(T, rate_hz, sample_rate) / 2


def _no_half(T, rate_hz, sample_rate):
    return 2 * tremolo_left_db(T, rate_hz, sample_rate)


def _width_of_one(T, rate_hz, sample_rate):
    return tremolo_left_db(10 * T, rate_hz, sample_rate)


def _attenuation(T, rate_hz, sample_rate):
    return -tremolo_left_db(T, rate_hz, sample_rate)


def _box(T, rate_hz, sample_rate):
    angle = math.pi * rate_hz * T / sample_rate
    return 20 * math.log10(abs(math.sin(angle) / angle))


@exercise(
    "08.2",
    "How many decibels of an envelope that beats at rate_hz does an average of T samples leave? "
    "(A negative number, the gain.)",
    "The average is a Gaussian in frequency, exp(−f²/2w²), and w is 0.1/T cycles per *sample*. "
    "Bring rate_hz and w to the same unit first. The decibels of an amplitude are 20 log₁₀ of it.",
    tremolo_left_db,
    [_power, _no_half, _width_of_one, _box, _attenuation],
    "The decibels go with the *square* of rate times T: twice the average, four times the "
    "attenuation. The loss is not gradual: modulations up to about 0.1/T are kept, and those a "
    "few times faster are gone.",
)
def check_tremolo_left(answer: Any) -> str | None:
    """Check the answer to exercise 08.2 on three averages."""
    for T, rate_hz, sample_rate in [(16, 44.0, 4000.0), (64, 5.0, 8000.0), (4, 20.0, 1000.0)]:
        got, expected = answer(T, rate_hz, sample_rate), tremolo_left_db(T, rate_hz, sample_rate)
        if compare(got, -expected) is None:
            return "that is by how much the average turns the beat down; the gain is its negative."
        complaint = compare(
            got,
            expected,
            f"the level for T={T}, {rate_hz:g} Hz at {sample_rate:g} Hz",
        )
        if complaint:
            return complaint
    return None


def parent_ratio(S1, S2, parents, eps):
    """Divide each row of S2 by the row of S1 that it was made from."""
    return S2 / (S1[parents] + eps)


def _in_order(S1, S2, parents, eps):
    return S2 / (S1.repeat(len(S2) // len(S1) + 1, 1)[: len(S2)] + eps)


def _total(S1, S2, parents, eps):
    return S2 / (S1.sum(0) + eps)


def _no_eps(S1, S2, parents, eps):
    return S2 / S1[parents]


def _eps_outside(S1, S2, parents, eps):
    return S2 / S1[parents] + eps


def _upside_down(S1, S2, parents, eps):
    return S1[parents] / (S2 + eps)


@exercise(
    "08.3",
    "Divide every row of order 2 by its parent of order 1, plus eps.",
    "`parents` holds, for every row of S2, the number of a row of S1. Indexing with it, "
    "`S1[parents]`, lines the two up: row by row, frame by frame.",
    parent_ratio,
    [_in_order, _total, _no_eps, _eps_outside, _upside_down],
    "The quotient says how deep the envelope is modulated, from 0 (steady) to about 1, and no "
    "longer how loud it is. Without eps a silent parent makes NaN.",
)
def check_parent_ratio(answer: Any) -> str | None:
    """Check the answer to exercise 08.3 on rows in another order, one of them silent."""
    generator = torch.Generator().manual_seed(3)
    S1 = torch.rand(3, 4, dtype=torch.float64, generator=generator)
    S2 = torch.rand(5, 4, dtype=torch.float64, generator=generator)
    S1[1], S2[3] = 0.0, 0.0  # a silent row and its child
    parents = torch.tensor([0, 2, 0, 1, 2])
    return compare(answer(S1, S2, parents, 0.1), parent_ratio(S1, S2, parents, 0.1), "the ratio")
