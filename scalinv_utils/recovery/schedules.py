"""Change the learning rate during a descent: by a plan, or by success and failure.

A plan is a function of the iteration, 0, 1, 2 ..., that returns a factor for the learning rate.
`BoldDriver` needs no plan: it tries a step. If the loss fell, it keeps the step and lets the
learning rate grow; if the loss rose, it takes the step back and lets the learning rate shrink.
"""

import math
from collections.abc import Callable

import torch

from .._validation import check_count, check_number, check_positive
from ._errors import DivergenceError

__all__ = ["BoldDriver", "Plan", "cosine_decay", "step_decay"]

# Iteration -> factor for the learning rate.
Plan = Callable[[int], float]


def step_decay(every: int = 5, factor: float = 0.5, start: int = 51) -> Plan:
    """Multiply lr by `factor` at iteration `start`, and again every `every` iterations after it.

    The defaults are those of the script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021).

    Parameters
    ----------
    every, start : int
        Numbers of iterations.
    factor : float

    Returns
    -------
    callable
        iteration -> factor for lr.

    Examples
    --------
    >>> plan = step_decay(every=10, factor=0.5, start=20)
    >>> [plan(k) for k in (0, 19, 20, 30)]
    [1.0, 1.0, 0.5, 0.25]
    """
    every, start = check_count(every, "every"), check_count(start, "start", 0)
    factor = check_positive(factor, "factor")
    return lambda k: factor ** (1 + (k - start) // every) if k >= start else 1.0


def cosine_decay(n_iter: int, final: float = 0.0) -> Plan:
    """Multiply lr by half a cosine, from 1 at the start to `final` after `n_iter` iterations.

    This is the plan of Loshchilov and Hutter (2017), arXiv:1608.03983, without their restarts.

    Parameters
    ----------
    n_iter : int
    final : float in [0, 1]

    Returns
    -------
    callable
        iteration -> factor for lr.

    Examples
    --------
    >>> plan = cosine_decay(100)
    >>> [round(plan(k), 3) for k in (0, 50, 100)]
    [1.0, 0.5, 0.0]
    """
    n_iter = check_count(n_iter, "n_iter")
    final = check_number(final, "final")
    if not 0 <= final <= 1:
        raise ValueError(f"final must be in [0, 1], got {final!r}")
    return lambda k: final + (1 - final) * (1 + math.cos(math.pi * min(k / n_iter, 1))) / 2


class BoldDriver:
    """Descend with momentum, by a learning rate that grows on success and shrinks on failure.

    One step is, with the gradient g of the loss at x,

        v' = momentum v + g;   x' = x - lr v'
        loss(x') < loss(x):    x, v, g, loss = those at x';   lr = grow lr
        otherwise:             x, v, g, loss stay as they were;   lr = shrink lr

    A rejected step changes only lr: signal, velocity and gradient stay those of the last accepted
    point. When `patience` steps in a row fail, the velocity is cleared: it may point uphill, and
    then no lr is small enough.

    The name and the idea come from Battiti (1989), Complex Systems 3, and Vogl et al. (1988),
    doi:10.1007/BF00332914 (neither was re-read for this). Anden, Lostanlen and Mallat (2019),
    arXiv:1807.08869, use it for scattering; their code takes grow 1.1, shrink 0.5 and momentum 0.9.

    Parameters
    ----------
    evaluate : callable
        x -> (loss, gradient), a float and a Tensor of the shape of x. A step fails if its loss or
        gradient is not finite, and if `evaluate` raises a `DivergenceError`.
    x : real Tensor
        The signal to start from.
    lr : float
        The first learning rate.
    momentum : float in [0, 1)
    grow : float
        The factor for lr after an accepted step, at least 1.
    shrink : float
        The factor for lr after a rejected step, between 0 and 1.
    patience : int
        The number of failures in a row after which the velocity is cleared.

    Attributes
    ----------
    x, gradient, velocity : real Tensors
    loss : float
        Like x, gradient and velocity, the value at the last accepted point.
    lr : float
        The learning rate of the next step.
    accepted, rejected : int
        The numbers of accepted and of rejected steps.

    Raises
    ------
    ValueError, TypeError
        If a number is out of its range.

    Examples
    --------
    >>> import torch
    >>> driver = BoldDriver(lambda x: (float(x @ x), 2 * x), torch.ones(3), lr=0.01)
    >>> all(driver.step() for _ in range(5))
    True
    >>> round(driver.lr, 4), driver.loss < 3.0
    (0.0161, True)
    """

    def __init__(
        self,
        evaluate: Callable[[torch.Tensor], tuple[float, torch.Tensor]],
        x: torch.Tensor,
        lr: float,
        momentum: float = 0.9,
        grow: float = 1.1,
        shrink: float = 0.5,
        patience: int = 3,
    ) -> None:
        self.evaluate, self.x, self.lr = evaluate, x, check_positive(lr, "lr", limited=False)
        momentum = check_number(momentum, "momentum")
        grow, shrink = check_number(grow, "grow"), check_number(shrink, "shrink")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        if grow < 1:
            raise ValueError(f"grow must be at least 1, got {grow!r}")
        if not 0 < shrink < 1:
            raise ValueError(f"shrink must be between 0 and 1, got {shrink!r}")
        self.momentum, self.grow, self.shrink = momentum, grow, shrink
        self.patience, self.failures = check_count(patience, "patience"), 0
        self.accepted = self.rejected = 0
        self.velocity = torch.zeros_like(x)
        self.refresh()

    def refresh(self) -> None:
        """Evaluate the present point again, after the loss itself has changed."""
        self.loss, self.gradient = self.evaluate(self.x)

    def step(self) -> bool:
        """Try one step, which costs one evaluation; return whether it was accepted."""
        velocity = self.momentum * self.velocity + self.gradient
        x = self.x - self.lr * velocity
        try:
            loss, gradient = self.evaluate(x)
        except DivergenceError:  # a step that goes too far is a failed step
            loss, gradient = math.inf, self.gradient
        if loss < self.loss and torch.isfinite(gradient).all():
            self.x, self.velocity, self.loss, self.gradient = x, velocity, loss, gradient
            self.lr, self.failures, self.accepted = self.lr * self.grow, 0, self.accepted + 1
            return True
        self.lr, self.failures = self.lr * self.shrink, self.failures + 1
        self.rejected += 1
        if self.failures >= self.patience:
            self.velocity = torch.zeros_like(self.x)
        return False
