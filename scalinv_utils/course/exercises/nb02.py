"""Exercises of notebook 02, why inversion is possible."""

import math
from typing import Any

import numpy as np
import torch

from ._machinery import _NotAnswered, compare, exercise


def one_integral_constant(psi, voices):
    """Sum psi(w) / w finely over log w: K is V / (2 ln 2) times the integral over w > 0."""
    step = 1e-3
    log_w = np.arange(math.log(1e-3), math.log(1e3), step)
    integral = psi(np.exp(log_w)).sum() * step  # dw / w is d log w
    return voices / (2 * math.log(2)) * integral


def _without_the_half(psi, voices):
    return 2 * one_integral_constant(psi, voices)


def _without_the_voices(psi, voices):
    return one_integral_constant(psi, 1)


def _in_octaves(psi, voices):
    return one_integral_constant(psi, voices) * math.log(2)


def _without_the_division(psi, voices):
    w = np.arange(1e-3, 1e3, 1e-2)
    return voices / (2 * math.log(2)) * psi(w).sum() * 1e-2


def _squared(psi, voices):
    return one_integral_constant(lambda w: psi(w) ** 2, voices)


def _bump(w: np.ndarray) -> np.ndarray:
    """Compute a hump that is no Morse wavelet: a Gaussian of the log of frequency."""
    return 2 * np.exp(-(np.log(w / 3) ** 2) / (2 * 0.2**2))


def _cauchy(w: np.ndarray) -> np.ndarray:
    return 2 * np.exp(8 * (np.log(w / 8) + 1 - w / 8))


@exercise(
    "02.1",
    "Compute the constant K of the one-integral formula from the wavelet's spectrum.",
    "Along the rows $\\log s$ goes in steps of $\\ln 2 / V$, so that a sum over rows is "
    "$V/\\ln 2$ times an integral over $\\log s$. With $w = s\\omega$ that is "
    "$\\int \\hat\\psi(w)\\,\\mathrm dw/w$. And the real part takes half of it. "
    "`np.geomspace` or a sum over even steps of $\\log w$ will do for the integral.",
    one_integral_constant,
    [_without_the_half, _without_the_voices, _in_octaves, _without_the_division, _squared],
    "Every program has its own factor here, because every program has its own wavelet height, "
    "voices and power of $s$: that is why an inverse taken from one and coefficients from another "
    "are off by a factor.",
)
def check_one_integral_constant(answer: Any) -> str | None:
    """Check the answer to exercise 02.1 on two wavelets."""
    for psi, voices, name in [
        (_cauchy, 16, "a Cauchy wavelet of beta 8 and 16 voices"),
        (_bump, 12, "another wavelet and 12 voices"),
    ]:
        complaint = compare(
            answer(psi, voices),
            one_integral_constant(psi, voices),
            f"the constant for {name}",
            rtol=1e-3,
        )
        if complaint:
            return complaint
    return None


def winding_number(loop):
    """Count how often the values turn about zero along a closed loop, in full turns."""
    turn = torch.angle(loop.roll(-1) * loop.conj())  # the last step leads back to the first point
    return round(float(turn.sum()) / (2 * math.pi))


def _not_closed(loop):
    return float(torch.angle(loop[1:] * loop[:-1].conj()).sum()) / (2 * math.pi)


def _clockwise(loop):
    return -winding_number(loop)


def _radians(loop):
    return float(torch.angle(loop.roll(-1) * loop.conj()).sum())


def _of_wrapped_angles(loop):
    return float((loop.angle().roll(-1) - loop.angle()).sum()) / (2 * math.pi)


def _by_modulus(loop):
    return int((loop.abs() < loop.abs().max() / 10).any())


@exercise(
    "02.2",
    "Count how often a complex function turns about zero along a closed loop.",
    "Add up the angle from each point of the loop to the next, by the angle of a product as in "
    "exercise 01.1, *including* the step from the last point to the first. How much is a full "
    "turn?",
    winding_number,
    [_not_closed, _clockwise, _radians, _of_wrapped_angles, _by_modulus],
    "The answer is a whole number to rounding, whatever the loop: that makes it a count. For "
    "a holomorphic function it is the number of zeros inside (the argument principle).",
)
def check_winding_number(answer: Any) -> str | None:
    """Check the answer to exercise 02.2 on four loops."""
    around = torch.exp(2j * math.pi * torch.arange(200, dtype=torch.float64) / 200)
    cases = {
        "a loop about one zero": (around - 0.3, 1),
        "a loop about two of three zeros": ((around - 0.3) * (around + 0.5j) * (around - 2), 2),
        "a loop about no zero": (around - 2, 0),
        "a loop about a double zero, the other way round": (around.conj() ** 2, -2),
    }
    for name, (loop, expected) in cases.items():
        # A sum of small steps in place of angles is right to a few parts in ten thousand.
        complaint = compare(answer(loop), expected, name, rtol=1e-3)
        if complaint:
            return complaint
    return None


# The statements that follow from the theorems, and why each of the others does not.
FOLLOWS = "BDG"
DOES_NOT_FOLLOW = {
    "A": "uniqueness says nothing of neighbours, and far-apart signals with close scalograms exist",
    "C": "the theorem is about infinitely many exact values; a few rows may determine a signal and "
    "tell little about it",
    "E": "for gmw no first-order *relation* is exact, but wherever the modulus determines the "
    "signal, it determines the phase, too",
    "F": "a scalogram is the modulus of something in the range of W, and most pictures are not",
}


@exercise(
    "02.3",
    "Which of the statements A to G follow from the theorems?",
    "Read the last column of the table next to each statement: is this what the theorem says, or "
    "what it does not say? For a statement on pictures, think of the face.",
    FOLLOWS,
    ["B", "BD", "BDGA", "BCDG", "BDEG", "BDFG", "ACEF", "DG", "ABCDEFG", "BDH", 3],
    "B is Mallat and Waldspurger's theorem, D is the relation in the box, and G is the second half "
    "of Cahill, Casazza and Daubechies'. "
    + " ".join(f"Not {letter}: {reason}." for letter, reason in DOES_NOT_FOLLOW.items()),
)
def check_statements(answer: Any) -> str | None:
    """Check the letters of exercise 02.3; a complaint tells neither letters nor their number."""
    if not isinstance(answer, (str, list, tuple, set)):
        return f'the answer should be letters, such as "AB", and is {type(answer).__name__}.'
    letters = set("".join(map(str, answer)).upper()) - set(" ,;.")
    if not letters:
        raise _NotAnswered("")
    if letters - set(FOLLOWS) - set(DOES_NOT_FOLLOW):
        return "there are statements A to G, and no others."
    if letters != set(FOLLOWS):
        return (
            "these are not the statements that follow. Compare each one with the columns "
            "*if* and *it does not say*."
        )
    return None
