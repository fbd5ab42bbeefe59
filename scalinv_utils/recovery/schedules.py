"""How the learning rate changes on the way: by a plan, or by success and failure.

A plan is a function of the iteration, 0, 1, 2 ..., that returns a factor for the learning rate.
`BoldDriver` needs no plan: it tries a step, keeps it if the loss fell and grows, takes it back if
the loss rose and shrinks.
"""

import math

import torch

from .._validation import check_count, check_number, check_positive
from ._errors import DivergenceError

__all__ = ["BoldDriver", "cosine_decay", "step_decay"]


def step_decay(every=5, factor=0.5, start=51):
    """lr times `factor` at iteration `start` and every so many iterations after it.

    The defaults are those of the script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021).

    Parameters
    ----------
    every, start : int
        In iterations.
    factor : float

    Returns
    -------
    callable
        iteration -> factor for lr.
    """
    every, start = check_count(every, "every"), check_count(start, "start", 0)
    check_positive(factor, "factor")
    return lambda k: factor ** (1 + (k - start) // every) if k >= start else 1.0


def cosine_decay(n_iter, final=0.0):
    """lr times half a period of a cosine, from 1 at the start to `final` after `n_iter` iterations.

    Loshchilov and Hutter (2017), arXiv:1608.03983, without their restarts.

    Parameters
    ----------
    n_iter : int
    final : float in [0, 1]

    Returns
    -------
    callable
        iteration -> factor for lr.
    """
    n_iter = check_count(n_iter, "n_iter")
    if not 0 <= check_number(final, "final") <= 1:
        raise ValueError(f"final must be in [0, 1], got {final!r}")
    return lambda k: final + (1 - final) * (1 + math.cos(math.pi * min(k / n_iter, 1))) / 2


class BoldDriver:
    """Descent with momentum whose learning rate grows on success and shrinks on failure.

        v' = momentum v + g;   x' = x - lr v'
        loss(x') < loss(x):    x, v, g, loss = those at x';   lr = grow lr
        otherwise:             x, v, g, loss stay as they were;   lr = shrink lr

    A rejected step leaves no trace but the smaller lr: neither the signal nor the velocity nor the
    gradient is that of the rejected point. When `patience` steps in a row fail, the velocity is
    cleared: it may point uphill, and then no lr is small enough.

    The name and the idea: Battiti (1989), Complex Systems 3; Vogl et al. (1988),
    doi:10.1007/BF00332914 (neither re-read for this). For scattering: Anden, Lostanlen, Mallat
    (2019), arXiv:1807.08869; their code takes grow 1.1, shrink 0.5 and momentum 0.9.

    Parameters
    ----------
    evaluate : callable
        x -> (loss, gradient), a float and a Tensor of the shape of x. A loss that is not finite
        counts as failure, and so does a `DivergenceError` on the way.
    x : real Tensor
    lr : float
        The first learning rate.
    momentum : float in [0, 1)
    grow, shrink : float
        At least 1; between 0 and 1.
    patience : int

    Attributes
    ----------
    x, loss, gradient, velocity, lr
        Those of the last accepted point, and the learning rate of the next step.
    accepted, rejected : int
        How many steps were.
    """

    def __init__(self, evaluate, x, lr, momentum=0.9, grow=1.1, shrink=0.5, patience=3):
        self.evaluate, self.x, self.lr = evaluate, x, check_positive(lr, "lr")
        if not 0 <= check_number(momentum, "momentum") < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        if check_number(grow, "grow") < 1:
            raise ValueError(f"grow must be at least 1, got {grow!r}")
        if not 0 < check_number(shrink, "shrink") < 1:
            raise ValueError(f"shrink must be between 0 and 1, got {shrink!r}")
        self.momentum, self.grow, self.shrink = momentum, grow, shrink
        self.patience, self.failures = check_count(patience, "patience"), 0
        self.accepted = self.rejected = 0
        self.velocity = torch.zeros_like(x)
        self.refresh()

    def refresh(self):
        """Evaluate the present point again: after the loss itself has changed."""
        self.loss, self.gradient = self.evaluate(self.x)

    def step(self):
        """One evaluation; whether the step was accepted."""
        velocity = self.momentum * self.velocity + self.gradient
        x = self.x - self.lr * velocity
        try:
            loss, gradient = self.evaluate(x)
        except DivergenceError:  # a step too far is a failed step
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
