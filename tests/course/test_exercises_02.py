"""Exercises of notebook 02: right answers in many forms pass, plausible wrong ones do not."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad, trapezoid

from scalinv_utils.course import exercises

# --- 02.1, the constant of the one-integral formula ----------------------------------------------


def by_rows(psi, voices):
    return 0.5 * psi(2 ** (np.arange(-30 * voices, 30 * voices) / voices)).sum()


def by_quadrature(psi, voices):
    return voices / (2 * math.log(2)) * quad(lambda u: psi(np.exp(u)), -5, 5)[0]


def by_trapezoids(psi, voices):
    w = np.geomspace(0.01, 100, 3000)
    return voices / np.log(4) * trapezoid(psi(w) / w, w)


def evenly_in_frequency(psi, voices):
    w = np.arange(0.01, 100, 0.01)
    return voices / np.log(4) * np.sum(psi(w) / w) * 0.01


def as_tensor(psi, voices):
    return torch.tensor(by_trapezoids(psi, voices))


@pytest.mark.parametrize(
    "answer", [by_rows, by_quadrature, by_trapezoids, evenly_in_frequency, as_tensor]
)
def test_the_constant_may_be_found_in_many_ways(answer):
    assert exercises.check("02.1", answer).passed is True


@pytest.mark.parametrize(
    "answer",
    [
        lambda psi, voices: 2 * by_rows(psi, voices),
        lambda psi, voices: by_rows(psi, voices) / voices,
        lambda psi, voices: voices / 2 * trapezoid(psi(np.geomspace(0.01, 100, 3000))),
        lambda psi, voices: 4.3307,
        lambda psi, voices: psi(np.geomspace(0.01, 100, 3000)),
    ],
)
def test_other_constants_fail(answer):
    assert exercises.check("02.1", answer).passed is False


# --- 02.2, the winding number --------------------------------------------------------------------


def by_unwrapping(loop):
    angles = np.unwrap(np.angle(np.append(loop.numpy(), loop.numpy()[0])))
    return (angles[-1] - angles[0]) / (2 * np.pi)


def by_wrapping_differences(loop):
    steps = torch.diff(torch.angle(loop), append=torch.angle(loop[:1]))
    return int(torch.round(((steps + math.pi) % (2 * math.pi) - math.pi).sum() / (2 * math.pi)))


def by_contour_integral(loop):
    after = loop.roll(-1)
    return float((2 * (after - loop) / (after + loop)).imag.sum()) / (2 * math.pi)


def by_crossings(loop):
    real, imag = loop.real.tolist(), loop.imag.tolist()
    turns = 0
    for k in range(len(real)):
        below, above = imag[k - 1] < 0, imag[k] < 0
        if below != above and real[k] > 0:
            turns += 1 if below else -1
    return turns


@pytest.mark.parametrize(
    "answer", [by_unwrapping, by_wrapping_differences, by_contour_integral, by_crossings]
)
def test_turns_may_be_counted_in_many_ways(answer):
    assert exercises.check("02.2", answer).passed is True


@pytest.mark.parametrize(
    "answer",
    [
        lambda loop: abs(by_unwrapping(loop)),
        lambda loop: np.unwrap(np.angle(loop.numpy()))[-1] / (2 * np.pi),
        lambda loop: by_unwrapping(loop) * 2 * np.pi,
        lambda loop: ((loop.roll(-1) - loop) / loop).sum() / (2 * math.pi),
        lambda loop: 1,
    ],
)
def test_other_counts_fail(answer):
    assert exercises.check("02.2", answer).passed is False


# --- 02.3, what follows from the theorems --------------------------------------------------------


@pytest.mark.parametrize("answer", ["BDG", "gdb", "B, D, G", ["B", "D", "G"], {"B", "D", "G"}])
def test_the_letters_may_be_written_in_many_ways(answer):
    assert exercises.check("02.3", answer).passed is True


@pytest.mark.parametrize("answer", ["", "  ", ", "])
def test_no_letters_are_no_answer(answer):
    assert exercises.check("02.3", answer).passed is None


def test_every_wrong_set_of_letters_gets_the_same_words():
    sets = ["".join(s) for n in range(1, 8) for s in itertools.combinations("ABCDEFG", n)]
    told = {exercises.check("02.3", letters).text for letters in sets if letters != "BDG"}
    assert len(told) == 1


def test_the_hint_of_the_letters_does_not_count_them():
    hint = exercises.hint("02.3").text.lower()
    assert not any(number in hint for number in ("two", "three", "four", "3"))
