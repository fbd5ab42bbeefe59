"""Exercises of notebook 00, the whole story in short."""

from typing import Any

import torch

from ...metrics import analytic, consistency_db
from ...transforms.scalogram import Scalogram
from ._letters import compare_letters
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make a transform, the scalogram of one noise, that noise and another, both in the band."""
    W = Scalogram(128, wavelet="cauchy", voices_per_octave=6)
    signals = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x, y = W.project(signals)
    return W, W.magnitude(x), x, y


# The changes of exercise 00.1. H is the Hilbert transform: analytic(x) is x + i Hx.
CHANGES = {
    "A": lambda x: x.flip(0),
    "B": lambda x: 0.6 * x - 0.8 * analytic(x).imag,
    "C": lambda x: x.roll(1),
    "D": lambda x: x + 0.1,
    "E": lambda x: 0.5 * x + 0.5 * analytic(x).imag,
    "F": lambda x: x * (-1) ** torch.arange(len(x)),
}

# A change that alters the scalogram by less than this leaves it as it is, except for rounding.
SAME_DB = -200


@exercise(
    "00.1",
    "Which of the changes A to F leave the scalogram as it is?",
    "One of them is a turn: compare it with cos(θ) x − sin(θ) Hx. For another one, ask how a "
    "wavelet, which is a wave packet whose sum is zero, answers to a constant.",
    "BD",
    ["B", "D", "BDE", "ABD", "BCD", "BDF", "ACEF", "BE", "BDX", 3],
    "B is a turn: there is an angle with cos θ = 0.6 and sin θ = 0.8, about 53°. E is none, since "
    "0.5² + 0.5² is not 1. D adds a constant, which no wavelet hears. A reversal and a delay move "
    "the picture, and F moves every frequency f to 4000 Hz − f.",
)
def check_same_scalogram(answer: Any) -> str | None:
    """Check the letters of exercise 00.1: try each change on a noise."""
    W, S, x, _ = _small_problem()
    same = [name for name, change in CHANGES.items() if consistency_db(change(x), S, W) < SAME_DB]
    return compare_letters(
        answer,
        same,
        "".join(CHANGES),
        "Try each change: `metrics.consistency_db(changed, S, W)` is below −200 dB where the "
        "scalogram stays as it is.",
    )


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


def _of_the_sums(y, S, W):
    return 20 * torch.log10((W.magnitude(y) - S).abs().sum() / S.sum())


@exercise(
    "00.2",
    "Compute the consistency of a guess y in dB from its description in section 2.",
    "`W.magnitude(y)` is |Wy|, and a tensor's `.norm()` is the root of the sum of its squares. "
    "The error that silence makes is S itself, so this is what the error is divided by. "
    "A factor of ten is 20 dB.",
    consistency,
    [
        _ten,
        _upside_down,
        _of_the_norms,
        _relative_to_the_guess,
        _without_the_modulus,
        _of_the_sums,
    ],
    "In a formula: 20 log10 of ‖|Wy| − S‖ / ‖S‖. From here on the package's "
    "`metrics.consistency_db` computes it, so that all scores can be compared.",
)
def check_consistency(answer: Any) -> str | None:
    """Check the answer to exercise 00.2 on silence and on two sounds."""
    W, S, x, y = _small_problem()
    for name, guess in [
        ("silence", torch.zeros_like(x)),
        ("the sound, a tenth too loud", 1.1 * x),
        ("another sound", y),
    ]:
        right = consistency(guess, S, W)
        level = answer(guess, S, W)
        complaint = compare(level, right, f"the consistency of {name}")
        if complaint:
            return f"{complaint} It should be {float(right):.2f} dB."
    return None
