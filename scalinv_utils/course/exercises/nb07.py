"""Exercises of notebook 07, tuning the descent."""

import math
from typing import Any

import torch

from ._machinery import compare, exercise


def longest_step(momentum):
    """Compute the length at which steps begin to explode, in Griffin-Lim steps."""
    return 2 * (1 + momentum)


def _without_momentum(momentum):
    return 2.0


def _as_if_added_up(momentum):
    return 2 * (1 - momentum)


def _geometric(momentum):
    return 2 / (1 - momentum)


def _nesterov(momentum):
    return 2 * (1 + momentum) / (1 + 2 * momentum)


@exercise(
    "07.1",
    "Find the step, in Griffin-Lim steps, above which descent with momentum m explodes on the "
    "loss x²/2.",
    "On $x^2/2$ the gradient is $x$, and $v' = m\\,v + x$, $x' = x - s\\,v'$. The worst case is a "
    "signal that changes its sign at each step: put $x' = -x$ and $v' = -v$ into both rules.",
    longest_step,
    [_without_momentum, _as_if_added_up, _geometric, _nesterov],
    "At the limit $v' = -v$ gives $v = -x/(1 + m)$, and $x' = -x$ gives $2x = s\\,v'$: hence "
    "$s = 2(1 + m)$. Momentum allows longer steps. It brakes where the gradient "
    "changes its sign at each step.",
)
def check_longest_step(answer: Any) -> str | None:
    """Check the answer to exercise 07.1 at four momenta."""
    for momentum in (0.0, 0.25, 0.5, 0.9):
        complaint = compare(
            answer(momentum), longest_step(momentum), f"the limit at momentum {momentum}"
        )
        if complaint:
            return complaint
    return None


def bold_step(x, v, g, loss, lr, evaluate):
    """Make one step of the bold driver with momentum 0.9; return x, v, g, loss and lr after it."""
    new_v = 0.9 * v + g
    new_x = x - lr * new_v
    new_loss, new_g = evaluate(new_x)
    if new_loss < loss:
        return new_x, new_v, new_g, new_loss, 1.1 * lr
    return x, v, g, loss, 0.5 * lr


def _keeps_everything(x, v, g, loss, lr, evaluate):
    v = 0.9 * v + g
    x = x - lr * v
    new_loss, g = evaluate(x)
    return x, v, g, new_loss, (1.1 if new_loss < loss else 0.5) * lr


def _stale_gradient(x, v, g, loss, lr, evaluate):
    new_v = 0.9 * v + g
    new_x = x - lr * new_v
    new_loss, new_g = evaluate(new_x)
    if new_loss < loss:
        return new_x, new_v, new_g, new_loss, 1.1 * lr
    return x, v, new_g, loss, 0.5 * lr


def _keeps_the_velocity(x, v, g, loss, lr, evaluate):
    new_v = 0.9 * v + g
    new_x = x - lr * new_v
    new_loss, new_g = evaluate(new_x)
    if new_loss < loss:
        return new_x, new_v, new_g, new_loss, 1.1 * lr
    return x, new_v, g, loss, 0.5 * lr


def _never_grows(x, v, g, loss, lr, evaluate):
    *kept, new_lr = bold_step(x, v, g, loss, lr, evaluate)
    return (*kept, min(new_lr, lr))


@exercise(
    "07.2",
    "Write one step of the bold driver: momentum 0.9, lr times 1.1 on success, times 0.5 on "
    "failure.",
    "Compute the new velocity and the new point under *new names*, and evaluate there. Only then "
    "decide which of the two sets to return. `evaluate(x)` returns the loss and the gradient.",
    bold_step,
    [_keeps_everything, _stale_gradient, _keeps_the_velocity, _never_grows],
    "After a failure four things are as before: signal, velocity, gradient, loss. The package's "
    "`BoldDriver` adds one rule: after three failures in a row it forgets the velocity, which "
    "may point uphill for any lr.",
)
def check_bold_step(answer: Any) -> str | None:
    """Check the answer to exercise 07.2 on a success and on a failure."""
    curvature = torch.tensor([1.0, 5.0], dtype=torch.float64)

    def evaluate(x: torch.Tensor) -> tuple[float, torch.Tensor]:
        return float((curvature * x * x).sum() / 2), curvature * x

    x = torch.tensor([1.0, -1.0], dtype=torch.float64)
    for lr, case in ((0.05, "a step that succeeds"), (3.0, "a step that fails")):
        v = torch.tensor([0.1, -0.2], dtype=torch.float64)
        loss, g = evaluate(x)
        expected = bold_step(x, v, g, loss, lr, evaluate)
        result = answer(x, v, g, loss, lr, evaluate)
        if not isinstance(result, (tuple, list)) or len(result) != 5:
            return "the answer should return five things: x, v, g, loss and lr."
        for got, right, name in zip(result, expected, ("x", "v", "g", "loss", "lr")):
            complaint = compare(got, right, f"{name} after {case}")
            if complaint:
                return complaint
    return None


def compressed(o, f):
    """Compress o to the power 2/3 of |o| above f, with the sign of o, smooth at 0."""
    return o * (o**2 + f**2) ** (-1 / 6)


def _plain_power(o, f):
    return o.sign() * o.abs() ** (2 / 3)


def _without_sign(o, f):
    return (o**2 + f**2) ** (1 / 3)


def _wrong_slope(o, f):
    return o.sign() * ((o.abs() + f) ** (2 / 3) - f ** (2 / 3))


def _wrong_exponent(o, f):
    return o * (o**2 + f**2) ** (-1 / 3)


@exercise(
    "07.3",
    "Write a compression of torch operations that is odd, rises, is close to sign(o)·|o|^(2/3) "
    "where |o| is far above f, and has the slope f^(-1/3) at zero.",
    "A factor $o$ makes it odd and gives it a straight beginning. The other factor has to behave "
    "like $|o|^{-1/3}$ far out and be $f^{-1/3}$ at zero: a power of a sum, for example.",
    compressed,
    [_plain_power, _without_sign, _wrong_exponent, _wrong_slope],
    "The plain power has an infinite slope at zero: there autograd multiplies infinity by zero "
    "and returns NaN. The floor f prevents that and changes almost nothing far above it.",
)
def check_compressed(answer: Any) -> str | None:
    """Check the answer to exercise 07.3 by what was asked for: any formula that has it is right."""
    f = 0.01
    o = torch.logspace(-4, 4, 81, dtype=torch.float64)
    values = answer(o, f)
    complaint = compare(answer(-o, f), -_tensor(values), "g(-o), which should be -g(o),")
    if complaint:
        return complaint
    loud = o >= 1000 * f
    far = compare(
        _tensor(values)[loud], o[loud] ** (2 / 3), "g(o) for o of 1000 f and more", rtol=0.01
    )
    if far:
        return far
    if (_tensor(values).diff() <= 0).any():
        return "g falls somewhere: louder coefficients should stay louder."
    zero = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(answer(zero, f).sum(), zero)
    return compare(slope, [f ** (-1 / 3)], "the slope at zero", rtol=1e-3)


def _tensor(values: Any) -> torch.Tensor:
    return torch.as_tensor(values).detach()


def cosine_factor(k, n_iter):
    """Compute half a period of a cosine, from 1 at k = 0 to 0 at k = n_iter."""
    return (1 + math.cos(math.pi * k / n_iter)) / 2


def _whole_period(k, n_iter):
    return (1 + math.cos(2 * math.pi * k / n_iter)) / 2


def _quarter_period(k, n_iter):
    return math.cos(math.pi * k / n_iter / 2)


def _linear(k, n_iter):
    return 1 - k / n_iter


@exercise(
    "07.4",
    "Write the factor for the learning rate that falls along half a period of a cosine, from 1 "
    "at iteration 0 to 0 at iteration n_iter.",
    "A cosine falls from 1 to −1 while its argument goes from 0 to π. Shift and halve it.",
    cosine_factor,
    [_whole_period, _quarter_period, _linear],
    "The curve is flat at both ends: the steps stay long for many iterations, then short for many, "
    "and pass quickly from one to the other.",
)
def check_cosine_factor(answer: Any) -> str | None:
    """Check the answer to exercise 07.4 at six iterations."""
    for k in (0, 10, 25, 50, 77, 100):
        complaint = compare(answer(k, 100), cosine_factor(k, 100), f"the factor at k = {k} of 100")
        if complaint:
            return complaint
    return None
