"""Exercises of notebook 00, the whole story in five minutes."""

from typing import Any

import torch

from ...metrics import consistency_db, hilbert_rotation
from ...transforms.scalogram import Scalogram
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make a transform, the scalogram of one noise, that noise and another, both in the band."""
    W = Scalogram(128, wavelet="cauchy", voices_per_octave=6)
    signals = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y = W.project(signals)
    return W, W.magnitude(x), x, y


CHANGES = {
    "A": lambda x: -x,
    "B": lambda x: x.roll(1),
    "C": lambda x: x.flip(0),
    "D": lambda x: hilbert_rotation(x, -torch.pi / 2),
    "E": lambda x: 2 * x,
    "F": lambda x: x + 0.1,
}

# A change that alters the scalogram by less than this leaves it as it is, except for rounding.
SAME_DB = -200


@exercise(
    "00.1",
    "Which of the changes A to F leave the scalogram as it is?",
    "Two of them multiply every coefficient by a number of modulus 1. For another one, ask what a "
    "wavelet, which is a wave packet with as much above as below zero, answers to a constant.",
    "ADF",
    ["A", "AD", "ADEF", "ABDF", "ACDF", "BCE", "ADFX", 3],
    "A and D belong together: the sign is a turn by 180°, the Hilbert transform one by 90°. F is "
    "of another kind: a constant lies outside the analysed band, and `W.project` removes it. A "
    "delay or a reversal moves the picture, a gain makes it brighter.",
)
def check_same_scalogram(answer: Any) -> str | None:
    """Check the letters of exercise 00.1: try each change on a noise."""
    if not isinstance(answer, (str, list, tuple, set)):
        return f'the answer should be letters, such as "AB", and is {type(answer).__name__}.'
    letters = set("".join(map(str, answer)).upper()) - set(" ,")
    if letters - set(CHANGES):
        return f"there are changes A to F, and no {', '.join(sorted(letters - set(CHANGES)))}."
    W, S, x, _ = _small_problem()
    misfit = {name: consistency_db(change(x), S, W) for name, change in CHANGES.items()}
    for name in sorted(letters):
        if misfit[name] > SAME_DB:
            return (
                f"{name} changes the scalogram: tried on a noise, the misfit is "
                f"{misfit[name]:.1f} dB."
            )
    missing = sum(level < SAME_DB for level in misfit.values()) - len(letters)
    return f"right so far, and {missing} more." if missing else None


def consistency(y, S, W):
    """Compute the misfit between the scalogram of y and S, in dB relative to S."""
    misfit = W.magnitude(y) - S
    return 20 * torch.log10(misfit.norm() / S.norm())


def _ten(y, S, W):
    return consistency(y, S, W) / 2


def _upside_down(y, S, W):
    return -consistency(y, S, W)


def _of_the_norms(y, S, W):
    return 20 * torch.log10((W.magnitude(y).norm() - S.norm()).abs() / S.norm())


def _relative_to_the_guess(y, S, W):
    return 20 * torch.log10((W.magnitude(y) - S).norm() / W.magnitude(y).norm())


def _without_the_modulus(y, S, W):
    return 20 * torch.log10((W(y) - S).norm() / S.norm())


@exercise(
    "00.2",
    "Write the consistency of a guess y in dB: 20 log10 of ‖|Wy| − S‖ / ‖S‖.",
    "`W.magnitude(y)` is |Wy|, and a tensor's `.norm()` is the root of the sum of its squares. "
    "Subtract first, take the norm of the difference, and divide by the norm of `S`.",
    consistency,
    [_ten, _upside_down, _of_the_norms, _relative_to_the_guess, _without_the_modulus],
    "−20 dB is a tenth of the norm, −100 dB a hundred-thousandth. From here on the package's "
    "`metrics.consistency_db` does it: one place for all scores, so that they can be compared.",
)
def check_consistency(answer: Any) -> str | None:
    """Check the answer to exercise 00.2 on two guesses."""
    W, S, x, y = _small_problem()
    for name, guess in [("a wrong guess", y), ("the signal, a tenth too loud", 1.1 * x)]:
        complaint = compare(
            answer(guess, S, W), consistency(guess, S, W), f"the consistency of {name}"
        )
        if complaint:
            return complaint
    return None
