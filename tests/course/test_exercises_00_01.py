"""Exercises of notebooks 00 and 01: right answers in other forms, and letters that give no hold."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils import metrics
from scalinv_utils.course import exercises


@pytest.mark.parametrize("id", ["00.1", "01.3"])
class TestLetters:
    def test_any_spelling_of_the_right_letters(self, id):
        right = exercises.get(id).solution
        for spelt in (right.lower(), ", ".join(right), list(right), set(right), right[::-1]):
            assert exercises.check(id, spelt).passed is True

    def test_all_wrong_sets_get_the_same_words(self, id):
        right = exercises.get(id).solution
        wrong = [right[:-1], right[1:], "ABCDEF", "A", "F", "ACE"]
        texts = {exercises.check(id, letters).text for letters in wrong if letters != right}
        assert len(texts) == 1

    @pytest.mark.parametrize("blank", ["", " ", ",", [], set(), ...])
    def test_no_letters_are_no_answer(self, id, blank):
        assert exercises.check(id, blank).passed is None


def by_power(y, S, W):
    return 10 * np.log10(float(((W(y).abs() - S) ** 2).sum() / (S**2).sum()))


def in_numpy(y, S, W):
    difference = np.linalg.norm(W.magnitude(y).numpy() - S.numpy())
    return 20 * np.log10(difference / np.linalg.norm(S.numpy()))


@pytest.mark.parametrize("right", [by_power, in_numpy, metrics.consistency_db])
def test_the_consistency_in_other_forms(right):
    feedback = exercises.check("00.2", right)
    assert feedback.passed is True, feedback.text


def test_a_wrong_consistency_is_told_what_it_should_be():
    feedback = exercises.check("00.2", lambda y, S, W: -20.0)
    assert feedback.passed is False and "dB" in feedback.text


def test_right_and_wrong_look_different():
    assert exercises.check("00.1", "BD").text[0] != exercises.check("00.1", "A").text[0]


def backward(c, sample_rate):
    return torch.angle(c * c.roll(1, dims=-1).conj()) * sample_rate / (2 * math.pi)


def unwrapped(c, sample_rate):
    return np.gradient(np.unwrap(np.angle(c.numpy())), axis=-1) * sample_rate / (2 * math.pi)


def exact(c, sample_rate):
    angular = 2j * math.pi * torch.fft.fftfreq(c.shape[-1], dtype=torch.float64)
    return (torch.fft.ifft(angular * torch.fft.fft(c)) / c).imag * sample_rate / (2 * math.pi)


def logarithm(c, sample_rate):
    return torch.log(c.roll(-1, dims=-1) / c).imag * sample_rate / (2 * math.pi)


@pytest.mark.parametrize("right", [backward, unwrapped, exact, logarithm])
def test_the_frequency_with_another_derivative(right):
    feedback = exercises.check("01.1", right)
    assert feedback.passed is True, feedback.text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda c, rate: 2 * math.pi * backward(c, rate), "only the factor"),
        (lambda c, rate: backward(c, rate)[..., 1:], "shape"),
        (lambda c, rate: backward(c.conj(), rate), "times -1"),
        (lambda c, rate: backward(c, rate).mean(-1, keepdim=True) + 0 * c.real, "chirp"),
    ],
)
def test_wrong_frequencies_are_told_apart(wrong, words):
    feedback = exercises.check("01.1", wrong)
    assert feedback.passed is False and words in feedback.text, feedback.text


def by_two_parts(x, theta):
    spectrum = torch.fft.fft(x)
    frequency = torch.fft.fftfreq(len(x), dtype=torch.float64)
    hilbert = torch.fft.ifft(-1j * frequency.sign() * spectrum).real
    return math.cos(theta) * x - math.sin(theta) * hilbert


def by_the_analytic_signal(x, theta):
    turned = metrics.analytic(x) * complex(math.cos(theta), math.sin(theta))
    return turned.real


@pytest.mark.parametrize("right", [by_two_parts, by_the_analytic_signal, metrics.hilbert_rotation])
def test_the_turn_in_other_forms(right):
    feedback = exercises.check("01.2", right)
    assert feedback.passed is True, feedback.text
