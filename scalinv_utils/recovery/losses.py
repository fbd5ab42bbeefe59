"""How far the output of a transform is from its target, as one number that can be differentiated.

Every loss takes two lists of tensors, output and target, and returns a scalar, a sum over all
coefficients (for "mse" their mean):

    l2     sum (o - t)^2                       the misfit that the consistency reports
    l1     sum |o - t|                         does not favour the loud coefficients
    power  sum (g(o) - g(t))^2,  g(o) = o (o^2 + f^2)^((p-1)/2)      about |o|^p above the floor f
    log    sum (g(o) - g(t))^2,  g(o) = asinh(o / f)                 about log |o| above the floor f

Both g are odd and smooth: the sign of a signed coefficient (order 0 of a scattering transform)
counts, and there is no infinite slope at a zero, which |o|^p with p < 1 and log |o| have.

`L2ToL1` and `CoarseToFine` are losses that change on the way; `advance` is how the descent asks.
"""

import copy
import math

import torch

from .._validation import check_choice, check_count, check_number, check_positive
from ..transforms.scattering import or_one

__all__ = [
    "LOSSES",
    "NAMED",
    "CoarseToFine",
    "L2ToL1",
    "log",
    "order_loss",
    "power",
    "resolve",
    "safe_modulus",
]


def l2(output, target):
    return sum((o - t).square().sum() for o, t in zip(output, target))


def l1(output, target):
    return sum((o - t).abs().sum() for o, t in zip(output, target))


def mse(output, target):
    return l2(output, target) / _count(target)


LOSSES = {"l2": l2, "l1": l1, "mse": mse}


def power(p=2 / 3, floor=1e-3):
    """The squared difference of compressed coefficients, sign(o) |o|^p above a floor.

    p = 2/3 is the choice of Decorsiere, Sondergaard, MacDonald and Dau (2015), IEEE/ACM TASLP
    23(1), who fit |c|^p without a floor (their paper was not re-read for this; LTFAT's
    ``decolbfgs`` has the same p).

    Parameters
    ----------
    p : float
        1 is "l2" (whatever the floor); above 1 the loud count more.
    floor : float
        Where compression ends, relative to the largest modulus of the target.

    Returns
    -------
    callable
        loss(output, target).
    """
    p, floor = check_positive(p, "p"), check_positive(floor, "floor")
    return _compressed(
        lambda o, f: o * (o.square() + f * f) ** ((p - 1) / 2), floor, f"power {p:.3g}"
    )


def log(floor=1e-2):
    """The squared difference of logarithms above a floor: asinh(o / floor).

    Parameters
    ----------
    floor : float
        Below it the scale is linear; relative to the largest modulus of the target.

    Returns
    -------
    callable
        loss(output, target).
    """
    return _compressed(lambda o, f: torch.asinh(o / f), check_positive(floor, "floor"), "log")


def _compressed(compress, floor, name):
    def loss(output, target):
        level = floor * max(float(t.abs().max()) for t in target)
        return sum(
            (compress(o, level) - compress(t, level)).square().sum() for o, t in zip(output, target)
        )

    loss.__name__ = name
    return loss


def safe_modulus(c):
    """|c|, with the gradient c/|c| and 0 where c is zero (a subgradient), never NaN.

    Written as ``(c.real**2 + c.imag**2).sqrt()`` the same function has NaN for a gradient at
    every zero, because the slope of the root is infinite there.

    Parameters
    ----------
    c : complex Tensor, or real Tensor of shape (..., 2) that holds real and imaginary parts

    Returns
    -------
    real Tensor, shape of c, or without its last axis
    """
    return c.abs() if c.is_complex() else torch.linalg.vector_norm(c, dim=-1)


class L2ToL1:
    """The sum of squares first, the sum of moduli later.

    So does the script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021) after iteration 50.
    The sum of moduli is multiplied by twice the rms misfit at the swap: there its gradient with
    respect to the coefficients is as long as that of the squares, and one lr serves both. It does
    not get shorter later on, as that of the squares does: let lr decay.

    Parameters
    ----------
    after : int, optional
        Swap at this iteration. Default 50, where `below_db` is not given.
    below_db : float, optional
        Swap as soon as the consistency is below this level.
    """

    def __init__(self, after=None, below_db=None):
        self.below_db = -math.inf if below_db is None else check_number(below_db, "below_db")
        default = 50 if below_db is None else math.inf
        self.after = default if after is None else check_count(after, "after", 0)
        self.swapped, self.weight = False, None
        self.__name__ = "l2 to l1"

    def __call__(self, output, target):
        if not self.swapped:
            return l2(output, target)
        if self.weight is None:
            self.weight = 2 * math.sqrt(float(l2(output, target).detach()) / _count(target))
        return self.weight * l1(output, target)

    def advance(self, iteration, consistency_db):
        """Note an iteration; whether the loss is another one from here on."""
        swap = not self.swapped and (iteration >= self.after or consistency_db < self.below_db)
        self.swapped |= swap
        return swap


class CoarseToFine:
    """Low frequencies first: a loss over the lowest rows, more and more of them.

    For outputs of shape (..., n_freqs, n_samples) with falling frequencies, as a `Scalogram` has
    them. The idea of going from low to high frequencies is that of Waldspurger (2017),
    arXiv:1512.07024, whose algorithm continues phases analytically; here only the descent goes
    that way.

    Parameters
    ----------
    n_stages : int
        Each adds an equal number of rows; the last one has all.
    every : int
        Iterations per stage.
    loss : as in `invert_gradient`
        What is taken of the rows.
    """

    def __init__(self, n_stages=4, every=10, loss="l2"):
        self.n_stages, self.every = check_count(n_stages, "n_stages"), check_count(every, "every")
        self.loss, self.stage = resolve(loss), 1
        if hasattr(self.loss, "advance"):
            raise ValueError(f"loss must be one that stays the same, got {name_of(loss)!r}")
        self.__name__ = f"coarse to fine {name_of(loss)}"

    def __call__(self, output, target):
        return self.loss(self._lowest(output), self._lowest(target))

    def _lowest(self, tensors):
        return [t[..., -math.ceil(t.shape[-2] * self.stage / self.n_stages) :, :] for t in tensors]

    def advance(self, iteration, consistency_db):
        """Note an iteration; whether the loss is another one from here on."""
        before = self.stage
        self.stage = min(1 + iteration // self.every, self.n_stages)
        return self.stage > before


def order_loss(scattering, *, weights=None):
    """A loss for `invert_gradient` in which every order has a say of its own.

    Sum over orders of weight * ||S_order - target_order||^2 / ||target_order||^2, for each signal
    of a batch by itself. In plain "l2" order 2 counts by its share of the energy, which is small.

    Parameters
    ----------
    scattering : Scattering
    weights : dict of int to float, optional
        Zero or positive, by order. Default: 1 for each. An order left out has no say.

    Returns
    -------
    callable
        ``loss(output, target)`` on lists of one tensor each, as `invert_gradient` takes it.

    Raises
    ------
    ValueError, TypeError
        A weight for an order that `scattering` has not, a negative one, or none above zero.
    """
    weights = dict.fromkeys(scattering.orders, 1.0) if weights is None else weights
    _check_weights(weights, scattering.orders)

    def loss(output, target):
        output, target = scattering.split(output[0]), scattering.split(target[0])
        return sum(
            weight
            * (
                (output[order] - target[order]).square().sum((-2, -1))
                / or_one(target[order].square().sum((-2, -1)))
            ).sum()
            for order, weight in weights.items()
        )

    loss.__name__ = "l2 by order"
    return loss


def _check_weights(weights, orders):
    if not isinstance(weights, dict):
        raise TypeError(f"weights must be a dict of order to number, got {weights!r}")
    for order, weight in weights.items():
        check_choice(order, orders, "weights")
        if check_number(weight, f"weights[{order}]") < 0:
            raise ValueError(f"weights[{order}] must be zero or positive, got {weight!r}")
    if not any(weights.values()):
        raise ValueError(f"weights must have one above zero, got {weights!r}")


# What `invert_gradient` knows by name.
NAMED = {**LOSSES, "power": power(), "log": log(), "l2_to_l1": L2ToL1()}


def resolve(loss):
    """A loss by its name, or the callable itself; one that changes as a fresh copy of its own."""
    loss = loss if callable(loss) else NAMED[check_choice(loss, NAMED, "loss")]
    return copy.copy(loss) if hasattr(loss, "advance") else loss


def name_of(choice):
    return choice if isinstance(choice, str) else getattr(choice, "__name__", "custom")


def _count(tensors):
    return sum(t.numel() for t in tensors)
