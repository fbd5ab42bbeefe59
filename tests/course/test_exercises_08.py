"""Exercises of notebook 08: right answers in other forms pass, plausible wrong ones do not."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils.course import exercises


def with_numpy(x, psi, psi2, phi):
    row = x.numpy()
    for filter_hat in (psi, psi2):
        row = np.abs(np.fft.ifft(np.fft.fft(row) * filter_hat.numpy()))
    return np.fft.ifft(np.fft.fft(row) * phi.numpy()).real


def left_complex(x, psi, psi2, phi):
    row = x
    for filter_hat in (psi, psi2):
        row = torch.fft.ifft(torch.fft.fft(row) * filter_hat).abs()
    return torch.fft.ifft(torch.fft.fft(row) * phi)


def with_a_real_transform_at_the_end(x, psi, psi2, phi):
    row = x
    for filter_hat in (psi, psi2):
        row = torch.fft.ifft(torch.fft.fft(row) * filter_hat).abs()
    return torch.fft.irfft(torch.fft.rfft(row) * phi[: len(x) // 2 + 1], len(x))


def of_squares(x, psi, psi2, phi):
    envelope = torch.fft.ifft(torch.fft.fft(x) * psi).abs() ** 2
    modulation = torch.fft.ifft(torch.fft.fft(envelope) * psi2).abs()
    return torch.fft.ifft(torch.fft.fft(modulation) * phi).real


@pytest.mark.parametrize("answer", [with_numpy, left_complex, with_a_real_transform_at_the_end])
def test_a_row_may_be_computed_in_several_ways(answer):
    feedback = exercises.check("08.1", answer)
    assert feedback.passed is True, feedback.text


@pytest.mark.parametrize(
    "answer", [of_squares, lambda x, psi, psi2, phi: 1j * left_complex(x, psi, psi2, phi)]
)
def test_another_row_is_refused(answer):
    assert exercises.check("08.1", answer).passed is False


@pytest.mark.parametrize(
    "answer",
    [
        lambda T, rate, fs: 20 * math.log10(math.exp(-((10 * T * rate / fs) ** 2) / 2)),
        lambda T, rate, fs: -10 * (10 * T * rate / fs) ** 2 * math.log10(math.e),
        lambda T, rate, fs: 20 * np.log10(np.exp(-0.5 * (rate / fs / (0.1 / T)) ** 2)),
    ],
)
def test_a_gain_may_be_computed_in_several_ways(answer):
    assert exercises.check("08.2", answer).passed is True


def test_an_attenuation_is_told_from_a_wrong_number():
    right = exercises.get("08.2").solution
    positive = exercises.check("08.2", lambda T, rate, fs: -right(T, rate, fs))
    natural = exercises.check("08.2", lambda T, rate, fs: right(T, rate, fs) * math.log(10) / 20)
    assert positive.passed is False and "negative" in positive.text
    assert natural.passed is False and "negative" not in natural.text


@pytest.mark.parametrize(
    ("answer", "is_right"),
    [
        (lambda S1, S2, parents, eps: S2 / (eps + S1.index_select(0, parents)), True),
        (lambda S1, S2, parents, eps: [(b / (S1[p] + eps)) for b, p in zip(S2, parents)], True),
        (lambda S1, S2, parents, eps: S2 / (S1[parents].mean(-1, keepdim=True) + eps), False),
        (lambda S1, S2, parents, eps: S2 / S1[parents].clamp_min(eps), False),
    ],
)
def test_the_parent_form_may_be_written_in_several_ways(answer, is_right):
    assert exercises.check("08.3", answer).passed is is_right
