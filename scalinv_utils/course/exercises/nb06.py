"""Exercises of notebook 06, gradient inversion."""

from typing import Any

import torch

from ...transforms.scalogram import Scalogram
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor]:
    """Make a transform, the scalogram of one noise, and another noise to start from."""
    W = Scalogram(128, f_min=0.1, voices_per_octave=4)
    signals = torch.randn(2, 128, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    return W, W.magnitude(signals[0]), signals[1]


def intensity_gradient(y, S, W):
    """Compute the gradient of 1/4 || |Wy|^2 - S^2 ||^2."""
    c = W(y)
    return W.adjoint((c.abs() ** 2 - S**2) * c)


def _amplitude_gradient(y, S, W):
    c = W(y)
    return W.adjoint((c.abs() - S) * torch.sgn(c))


def _four_times(y, S, W):
    return 4 * intensity_gradient(y, S, W)


def _without_phase(y, S, W):
    return W.adjoint(W.magnitude(y) ** 2 - S**2)


def _dual(y, S, W):
    c = W(y)
    return W.inverse((c.abs() ** 2 - S**2) * c)


@exercise(
    "06.1",
    "Write the gradient of the intensity loss, a quarter of the sum of (|Wy|² − S²)².",
    r"Follow the derivation above with $|c|^2 = c\,\bar c$ in place of $|c|$: when $c$ changes by "
    r"$\delta c$, $|c|^2$ changes by $2\,\mathrm{Re}(\bar c\,\delta c)$. No division is needed. "
    "`W(y)` gives $c$, and `W.adjoint` takes you back.",
    intensity_gradient,
    [_amplitude_gradient, _four_times, _without_phase, _dual],
    "This is the gradient of *Wirtinger flow* (Candès, Li and Soltanolkotabi 2015). It has no "
    "corner at zero, but loud coefficients weigh with the cube of their level: quiet ones are "
    "fitted late.",
)
def check_intensity_gradient(answer: Any) -> str | None:
    """Check the answer to exercise 06.1 against autograd."""
    W, S, x = _small_problem()
    leaf = x.clone().requires_grad_()
    loss = 0.25 * (W.magnitude(leaf).square() - S.square()).square().sum()
    (expected,) = torch.autograd.grad(loss, leaf)
    return compare(answer(x, S, W), expected, "the gradient")


def momentum_step(y, v, g, lr, momentum):
    """Make one step of descent with momentum from y, with velocity v and gradient g at y."""
    v = momentum * v + g
    return y - lr * v, v


def _averaged(y, v, g, lr, momentum):
    v = momentum * v + (1 - momentum) * g
    return y - lr * v, v


def _late(y, v, g, lr, momentum):
    return y - lr * v, momentum * v + g


def _forgetful(y, v, g, lr, momentum):
    return y - lr * g, v


def _uphill(y, v, g, lr, momentum):
    v = momentum * v + g
    return y + lr * v, v


@exercise(
    "06.2",
    "Write one step of descent with momentum: the new y and the new velocity v.",
    "The velocity remembers old gradients: keep `momentum` times the old one and add the new "
    "gradient. *Then* move `y` against the new velocity, `lr` times as far. Return both.",
    momentum_step,
    [_averaged, _late, _forgetful, _uphill],
    "While the gradient keeps its direction the velocity grows to 1/(1 − momentum) gradients: "
    "0.9 makes ten. Some books put lr into the velocity; as long as lr is constant the path is "
    "the same, and this check accepts it.",
)
def check_momentum_step(answer: Any) -> str | None:
    """Check the answer to exercise 06.2 against PyTorch's own SGD."""
    gradients = torch.randn(5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x, v = torch.zeros(2, 8, dtype=torch.float64)
    reference = x.clone().requires_grad_()
    optimizer = torch.optim.SGD([reference], lr=0.3, momentum=0.9)
    for step, g in enumerate(gradients, 1):
        reference.grad = g.clone()
        optimizer.step()
        result = answer(x, v, g, 0.3, 0.9)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            return "the answer should return two things, the new y and the new v."
        x, v = result
        complaint = compare(x, reference, f"y after step {step}")
        if complaint:
            return complaint
    return None


def summed_lr(lr, n, divisor):
    """Find the learning rate on the sum of squares that takes the steps of lr on the mean."""
    return lr / (n * divisor**2)


def _inverted(lr, n, divisor):
    return lr * n * divisor**2


def _only_mean(lr, n, divisor):
    return lr / n


def _divisor_once(lr, n, divisor):
    return lr / (n * divisor)


@exercise(
    "06.3",
    "lr belongs to the mean of ((S(y) − S)/divisor)² over n coefficients. Which learning rate "
    "takes the same steps on the plain sum of (S(y) − S)²?",
    "A step is lr times the gradient. Write the first loss as a factor times the second: the "
    "gradients have the same ratio as the losses. How often does `divisor` enter a square?",
    summed_lr,
    [_inverted, _only_mean, _divisor_once],
    "A learning rate copied from someone else's code carries their number of coefficients and "
    "their divisor along.",
)
def check_summed_lr(answer: Any) -> str | None:
    """Check the answer to exercise 06.3 on three cases."""
    for lr, n, divisor in [(500.0, 77824, 0.5), (1.0, 10, 1.0), (40000.0, 4032, 3.0)]:
        complaint = compare(
            answer(lr, n, divisor),
            summed_lr(lr, n, divisor),
            f"the learning rate for lr={lr:g}, n={n}, divisor={divisor:g}",
        )
        if complaint:
            return complaint
    return None
