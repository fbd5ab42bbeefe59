"""Exercises of notebook 04, Griffin-Lim."""

from typing import Any

import torch

from ...transforms.scalogram import Scalogram
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor]:
    """Make a transform, the scalogram of one noise, and another noise in the band to start from."""
    W = Scalogram(128, wavelet="cauchy", voices_per_octave=6)
    signals = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    return W, W.magnitude(signals[0]), W.project(signals[1])


def griffin_lim_step(x, S, W):
    """Make the next signal: keep the phase of Wx, impose S, come back by the dual."""
    c = W(x)
    return W.inverse(S * c / c.abs())


def _adjoint_instead_of_dual(x, S, W):
    c = W(x)
    return W.adjoint(S * c / c.abs())


def _no_phase(x, S, W):
    return W.inverse(S)


def _modulus_twice(x, S, W):
    return W.inverse(S * W(x))


def _conjugate(x, S, W):
    c = W(x).conj()
    return W.inverse(S * c / c.abs())


@exercise(
    "04.1",
    "Write one step of Griffin-Lim as a map from a signal to the next signal.",
    "Three calls in a row: `W(x)` gives coefficients, a division by their modulus leaves the "
    "phase, and `W.inverse` leads back to a signal. `S` enters in only one of these places.",
    griffin_lim_step,
    [_adjoint_instead_of_dual, _no_phase, _modulus_twice, _conjugate],
    "`W.adjoint` in place of `W.inverse` is wrong here, because the frame is not tight: the step "
    "would no longer be a projection, and the proof that the misfit never grows would be lost.",
)
def check_griffin_lim_step(answer: Any) -> str | None:
    """Check the answer to exercise 04.1 on two steps."""
    W, S, x = _small_problem()
    for count in (1, 2):
        step = answer(x, S, W)
        complaint = compare(step, griffin_lim_step(x, S, W), f"the signal after step {count}")
        if complaint:
            return complaint
        x = step
    return None


def fast_step(c, t_old, S, W, momentum):
    """Project both ways, then go on in the direction of the last move."""
    t = W(W.inverse(W.impose(S, c)))
    return t + momentum * (t - t_old), t


def _from_c(c, t_old, S, W, momentum):
    t = W(W.inverse(W.impose(S, c)))
    return t + momentum * (t - c), t


def _backwards(c, t_old, S, W, momentum):
    t = W(W.inverse(W.impose(S, c)))
    return t - momentum * (t - t_old), t


def _between(c, t_old, S, W, momentum):
    fitted = W.impose(S, c)
    return W(W.inverse(fitted + momentum * (fitted - t_old))), fitted


def _plain(c, t_old, S, W, momentum):
    t = W(W.inverse(W.impose(S, c)))
    return t, t


@exercise(
    "04.2",
    "Write one step of fast Griffin-Lim: the new coefficients c and the new t.",
    "First t, exactly as in plain Griffin-Lim: `W.impose`, `W.inverse`, `W`. Then step past it, by "
    "`momentum` times the way from the *previous* t to this one. Return both.",
    fast_step,
    [_from_c, _backwards, _between, _plain],
    "c is no longer consistent and need not fit, which is why the proof does not cover this rule. "
    "Some libraries extrapolate between the two projections instead of after them; that is another "
    "rule with other numbers, so compare like with like.",
)
def check_fast_step(answer: Any) -> str | None:
    """Check the answer to exercise 04.2 on three steps."""
    W, S, x = _small_problem()
    c = t = W(x)
    for count in (1, 2, 3):
        result = answer(c, t, S, W, 0.9)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return "the answer should return two things, the new c and the new t."
        expected = fast_step(c, t, S, W, 0.9)
        for got, wanted, name in zip(result, expected, ("c", "t")):
            complaint = compare(got, wanted, f"{name} after step {count}")
            if complaint:
                return complaint
        c, t = expected
    return None
