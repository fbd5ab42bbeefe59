"""Exercises of notebook 04, Griffin-Lim."""

from typing import Any

import torch

from ...recovery._griffin_lim import raar
from ...transforms.scalogram import Scalogram
from ._machinery import compare, exercise


def _two_noises() -> torch.Tensor:
    """Draw the signal to be found and the signal to start from."""
    return torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(4))


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor]:
    """Make a transform, the scalogram of one noise, and another noise in the band to start from."""
    W = Scalogram(128, wavelet="cauchy", voices_per_octave=6)
    solution, start = W.project(_two_noises())
    return W, W.magnitude(solution), start


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
    "04.1",
    "Write one step of fast Griffin-Lim: the new coefficients c and the new t.",
    "First t, exactly as in plain Griffin-Lim: `W.impose`, `W.inverse`, `W`. Then step past it, by "
    "`momentum` times the way from the *previous* t to this one. Return both.",
    fast_step,
    [_from_c, _backwards, _between, _plain],
    r"In a formula: $t = \Pi_W\Pi_S\,c$ and $c = t + \alpha\,(t - t_\text{old})$. The new c "
    "is still the transform of a signal, because t and the previous t are, and W is linear. The "
    "proof of section 4 covers the way from c to t, which cannot raise the misfit. It does not "
    "cover the way on from t to the new c, which can. Some libraries extrapolate between the two "
    "projections instead of after them; that is another rule with other numbers.",
)
def check_fast_step(answer: Any) -> str | None:
    """Check the answer to exercise 04.1 on three steps."""
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


def raar_step(c, S, W, beta):
    """Average c with its double reflection, and mix in the nearest fitting point."""
    fitting = W.impose(S, c)
    at_fitting = 2 * fitting - c
    at_both = 2 * W(W.inverse(at_fitting)) - at_fitting
    return beta * (at_both + c) / 2 + (1 - beta) * fitting


def _other_order(c, S, W, beta):
    at_consistent = 2 * W(W.inverse(c)) - c
    at_both = 2 * W.impose(S, at_consistent) - at_consistent
    return beta * (at_both + c) / 2 + (1 - beta) * W.impose(S, c)


def _projects(c, S, W, beta):
    fitting = W.impose(S, c)
    return beta * (W(W.inverse(fitting)) + c) / 2 + (1 - beta) * fitting


def _no_average(c, S, W, beta):
    fitting = W.impose(S, c)
    reflected = 2 * fitting - c
    return beta * (2 * W(W.inverse(reflected)) - reflected) + (1 - beta) * fitting


def _weights_swapped(c, S, W, beta):
    return raar_step(c, S, W, 1 - beta)


def _sum_of_the_two(c, S, W, beta):
    return raar_step(c, S, W, beta) + c / 2


@exercise(
    "04.2",
    "Write one step of RAAR: the next coefficients.",
    "Make three arrays one after the other: the nearest fitting point of c; the reflection of c "
    "at it, which lies as far behind that point as c lies before it; the reflection of *that* at "
    "its own nearest consistent point. A solution is its own reflection at both sets, so a right "
    "step leaves it where it is.",
    raar_step,
    [_other_order, _projects, _no_average, _weights_swapped, _sum_of_the_two],
    r"In a formula: $c \leftarrow \tfrac{\beta}{2}\,(R_W R_S\,c + c) + (1-\beta)\,\Pi_S\,c$ with "
    r"$R = 2\,\Pi - 1$. The reflections cancel in part, and "
    r"$c \leftarrow \beta\,\big(\Pi_W(2\,\Pi_S\,c - c) + c\big) + (1-2\beta)\,\Pi_S\,c$ "
    r"is the same rule. The signal that RAAR answers with is $W^+(2\,\Pi_S\,c - c)$.",
)
def check_raar_step(answer: Any) -> str | None:
    """Check the answer to exercise 04.2: two properties, then the signals of the package's rule."""
    W, S, x = _small_problem()
    solution = W(W.project(_two_noises()[0]))
    complaint = compare(
        answer(solution, S, W, 0.9), solution, "the step from a solution, which should stay there,"
    ) or compare(
        answer(W(x), S, W, 0.0), W.impose(S, W(x)), "the step with beta = 0, the fitting point,"
    )
    if complaint:
        return complaint
    c = W(x)
    rule = raar(S, W, c, beta=0.7)
    next(rule)
    for count in (1, 2, 3):
        c = answer(c, S, W, 0.7)
        signal = W.inverse(2 * W.impose(S, c) - c)
        what = f"with beta = 0.7 the signal after step {count}, compared with the package's rule,"
        complaint = compare(signal, next(rule)[0], what)
        if complaint:
            return complaint
    return None
