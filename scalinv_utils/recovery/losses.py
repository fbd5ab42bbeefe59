"""Measure how far the output of a transform is from its target, by one differentiable number.

Every loss takes two lists of tensors, output and target, and returns a scalar, a sum over all
coefficients (for "mse" their mean):

    l2     sum (o - t)^2                       the misfit that the consistency reports
    l1     sum |o - t|                         does not favour the loud coefficients
    power  sum (g(o) - g(t))^2,  g(o) = o (o^2 + f^2)^((p-1)/2)      about |o|^p above the floor f
    log    sum (g(o) - g(t))^2,  g(o) = asinh(o / f)                 about log |o| above the floor f

Both g are odd and smooth: the sign of a signed coefficient (order 0 of a scattering transform)
counts, and the slope at a zero is finite, unlike that of |o|^p with p < 1 and of log |o|.

Where the noise is known, the negative logarithm of the likelihood is a loss without bias:

    gaussian   sum (o - t)^2 / (2 sigma^2)                noise on the modulus, negative values kept
    tobit      the same where t is not 0, -log Phi(-o / sigma) where it is     negative put to 0
    rice       sum (o^2 + t^2) / (2 sigma^2) - log I_0(o t / sigma^2)     noise on c, not on |c|

`L2ToL1` and `CoarseToFine` are losses that change during the descent, which calls their method
`advance` after each iteration.
"""

import copy
import functools
import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from numpy.typing import ArrayLike

from .._arrays import numbers_of
from .._validation import check_choice, check_count, check_instance, check_number, check_positive
from ..transforms.scattering import Scattering, or_one

__all__ = [
    "LOSSES",
    "NAMED",
    "CoarseToFine",
    "L2ToL1",
    "Loss",
    "degree_of",
    "is_own",
    "gaussian",
    "log",
    "order_loss",
    "power",
    "resolve",
    "rice",
    "safe_modulus",
    "tobit",
]


# (output, target) -> loss. A loss that changes has a method ``advance`` besides, see `L2ToL1`.
Loss = Callable[[list[torch.Tensor], list[torch.Tensor]], torch.Tensor]


def degree_of(loss: Loss) -> float | None:
    """Return d if the loss of a * output and a * target is |a|^d times that of both, else None.

    None stands for losses that know a level, such as the deviation of a noise, and for those from
    elsewhere, also where they inherit from one of this module or wrap it.

    Examples
    --------
    >>> degree_of(l2), degree_of(power(p=0.5)), degree_of(gaussian(0.1))
    (2.0, 1.0, None)
    """
    return getattr(loss, "degree", None) if is_own(loss) else None


def is_own(loss: Loss) -> bool:
    """Tell whether a loss is one of this module: what inherits from one, or wraps it, is not.

    Examples
    --------
    >>> is_own(l2), is_own(L2ToL1(5)), is_own(max)
    (True, True, False)
    """
    code = getattr(loss, "__code__", None)
    return code.co_filename == __file__ if code else type(loss).__module__ == __name__


def _of_degree(degree: float, loss: Loss) -> Loss:
    """Note the degree of a loss."""
    loss.degree = degree
    return loss


def l2(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
    """Sum the squared differences."""
    return _sum((o - t).square().sum() for o, t in zip(output, target))


def l1(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
    """Sum the moduli of the differences."""
    return _sum((o - t).abs().sum() for o, t in zip(output, target))


def mse(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
    """Take the mean of the squared differences."""
    return l2(output, target) / _count(target)


LOSSES: dict[str, Loss] = {
    "l2": _of_degree(2.0, l2),
    "l1": _of_degree(1.0, l1),
    "mse": _of_degree(2.0, mse),
}


def power(p: float = 2 / 3, floor: float = 1e-3) -> Loss:
    """Make a loss of compressed coefficients, sign(o) |o|^p above a floor.

    The loss is the sum of the squared differences of the compressed coefficients. p = 2/3 is the
    choice of Decorsiere, Sondergaard, MacDonald and Dau (2015), IEEE/ACM TASLP 23(1), who fit
    |c|^p without a floor (their paper was not re-read for this; LTFAT's ``decolbfgs`` has the
    same p).

    Parameters
    ----------
    p : float
        With p = 1 the loss is "l2", whatever the floor; with a larger p loud coefficients count
        more.
    floor : float
        The modulus below which nothing is compressed, relative to the largest modulus of the
        target.

    Returns
    -------
    callable
        loss(output, target).

    Examples
    --------
    >>> import torch
    >>> loss = power(p=2 / 3, floor=1e-9)
    >>> round(float(loss([torch.tensor([8.0])], [torch.tensor([1.0])])), 3)  # (4 - 1)^2
    9.0
    """
    p, floor = check_positive(p, "p"), check_positive(floor, "floor")
    compressed = _compressed(
        lambda o, f: o * (o.square() + f * f) ** ((p - 1) / 2), floor, f"power {p:.3g}"
    )
    return _of_degree(2.0 * p, compressed)


def log(floor: float = 1e-2) -> Loss:
    """Make a loss of logarithms above a floor: the squared difference of asinh(o / floor).

    Parameters
    ----------
    floor : float
        The modulus below which the scale is linear, relative to the largest modulus of the target.

    Returns
    -------
    callable
        loss(output, target).

    Examples
    --------
    >>> import torch
    >>> loss, target = log(floor=1e-6), torch.tensor([1.0, 0.01])
    >>> round(float(loss([torch.tensor([1.0, 0.001])], [target])), 2)  # log(10)^2
    5.3
    """
    floor = check_positive(floor, "floor")
    return _of_degree(0.0, _compressed(lambda o, f: torch.asinh(o / f), floor, "log"))


def _compressed(
    compress: Callable[[torch.Tensor, float], torch.Tensor], floor: float, name: str
) -> Loss:
    """Make the loss sum (g(o) - g(t))^2 with g(o) = compress(o, floor times the largest |t|)."""

    def loss(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
        level = floor * max(float(t.abs().max()) for t in target)
        return _sum(
            (compress(o, level) - compress(t, level)).square().sum() for o, t in zip(output, target)
        )

    loss.__name__ = name
    return loss


def gaussian(sigma: float | ArrayLike) -> Loss:
    """Make the negative log-likelihood under Gaussian noise on the modulus, negative values kept.

    Parameters
    ----------
    sigma : float or real array
        Standard deviation of the noise. An array, of the shape of the target or one that
        broadcasts to it, gives each coefficient its own weight. Infinite means not measured.

    Returns
    -------
    callable
        ``loss(output, target)``.

    Raises
    ------
    ValueError
        If sigma is not positive everywhere.

    Examples
    --------
    >>> import torch
    >>> float(gaussian(0.5)([torch.ones(3)], [torch.zeros(3)]))
    6.0
    """
    sigma = _deviation(sigma)

    def term(o: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return ((o - t) / _of(sigma, o)).square().sum() / 2

    return _likelihood(term, "gaussian", sigma)


def tobit(sigma: float | ArrayLike) -> Loss:
    """Make the negative log-likelihood under Gaussian noise whose negative values were put to zero.

    This is the censored regression of Tobin (1958), doi:10.2307/1907382: a zero says that modulus
    and noise together were at most zero. Least squares take it for a measured zero; they pull
    quiet parts down, and lift others in exchange. A negative value, which only a row with a sign
    can have, was seen as it is.

    Parameters
    ----------
    sigma : float or real array
        As for `gaussian`.

    Returns
    -------
    callable
        ``loss(output, target)``.

    Raises
    ------
    ValueError
        If sigma is not positive everywhere.

    Examples
    --------
    >>> import torch
    >>> round(float(tobit(1.0)([torch.tensor([1.0, 0.0])], [torch.tensor([3.0, 0.0])])), 3)
    2.693
    """
    sigma = _deviation(sigma)

    def term(o: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        seen, ratio = t != 0, o / _of(sigma, o)
        residual = torch.where(seen, ratio - t / _of(sigma, o), 0.0)
        censored = (-ratio).expand_as(t)[~seen]
        return residual.square().sum() / 2 - torch.special.log_ndtr(censored).sum()

    return _likelihood(term, "tobit", sigma)


def rice(sigma: float | ArrayLike) -> Loss:
    """Make the negative log-likelihood under complex Gaussian noise added before the modulus.

    The density is Rice's (1944), doi:10.1002/j.1538-7305.1944.tb00874.x; terms that do not depend
    on the output are left out.

    Parameters
    ----------
    sigma : float or real array
        Standard deviation of the noise in the real part, and in the imaginary part; otherwise as
        for `gaussian`.

    Returns
    -------
    callable
        ``loss(output, target)``.

    Raises
    ------
    ValueError
        If sigma is not positive everywhere.

    Examples
    --------
    >>> import torch
    >>> o, t = torch.ones(1).double(), torch.zeros(1).double()
    >>> float(rice(1.0)([o], [t]))  # only |n|^2 / 2 is left
    0.5
    """
    sigma = _deviation(sigma)

    def term(o: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        a, b = o / _of(sigma, o), t / _of(sigma, o)
        # log I0(a b) = a b + log i0e(a b): together with a^2/2 a square that does not overflow.
        return ((a - b).square() / 2 - torch.log(torch.special.i0e(a * b))).sum()

    return _likelihood(term, "rice", sigma)


def _likelihood(
    term: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    name: str,
    sigma: float | torch.Tensor,
) -> Loss:
    def loss(output: Any, target: Any) -> torch.Tensor:
        return sum((term(o, t) for o, t in zip(output, target)), output[0].new_zeros(()))

    loss.__name__ = name
    loss.of_a_batch = isinstance(sigma, torch.Tensor) and sigma.ndim > 2
    return loss


def _of(sigma: float | torch.Tensor, o: torch.Tensor) -> float | torch.Tensor:
    """Bring deviations to the type and the device of what is compared."""
    return sigma.to(o) if isinstance(sigma, torch.Tensor) else sigma


def _deviation(sigma: float | ArrayLike) -> float | torch.Tensor:
    if not getattr(sigma, "ndim", isinstance(sigma, (list, tuple))):
        return check_positive(sigma, "sigma")
    wanted = "a positive number or an array of them"  # infinite where nothing is known
    deviation = numbers_of(sigma, "sigma", wanted)
    if deviation.is_complex():
        raise TypeError(f"sigma must be {wanted}, got complex numbers")
    if not (deviation > 0).all():
        raise ValueError(f"sigma must be positive everywhere, got {float(deviation.min())!r}")
    return deviation


def safe_modulus(c: torch.Tensor) -> torch.Tensor:
    """Compute |c| with the gradient c/|c|, which is 0 (a subgradient) where c is 0, never NaN.

    Written as ``(c.real**2 + c.imag**2).sqrt()`` the same function has a NaN gradient at every
    zero, because the slope of the root is infinite there.

    Parameters
    ----------
    c : complex Tensor, or real Tensor of shape (..., 2) that holds real and imaginary parts

    Returns
    -------
    real Tensor, shape of c, or without its last axis

    Examples
    --------
    >>> import torch
    >>> c = torch.tensor([3.0 + 4.0j, 0.0], requires_grad=True)
    >>> modulus = safe_modulus(c)
    >>> modulus.sum().backward()
    >>> modulus.tolist(), c.grad.abs().tolist()
    ([5.0, 0.0], [1.0, 0.0])
    """
    return c.abs() if c.is_complex() else torch.linalg.vector_norm(c, dim=-1)


class L2ToL1:
    """Take the sum of squares first, and the sum of moduli later.

    The script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021) does so after iteration 50.
    The sum of moduli is multiplied by twice the rms misfit at the swap: there its gradient with
    respect to the coefficients is as long as that of the squares, and one lr serves both. It does
    not get shorter later on, as that of the squares does: let lr decay.

    Parameters
    ----------
    after : int, optional
        Swap at this iteration. The default is 50, or never if `below_db` is given.
    below_db : float, optional
        Swap as soon as the consistency is below this level.

    Examples
    --------
    >>> import torch
    >>> loss, output, target = L2ToL1(after=2), [torch.tensor([3.0])], [torch.tensor([0.0])]
    >>> float(loss(output, target))  # 3^2
    9.0
    >>> loss.advance(2, -10.0), float(loss(output, target))  # 2 * 3 * |3|
    (True, 18.0)
    """

    def __init__(self, after: int | None = None, below_db: float | None = None) -> None:
        self.below_db = -math.inf if below_db is None else check_number(below_db, "below_db")
        default = 50 if below_db is None else math.inf
        self.after = default if after is None else check_count(after, "after", 0)
        self.swapped, self.degree = False, 2.0
        self.weight: float | None = None
        self.__name__ = "l2 to l1"

    def __call__(self, output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
        """Evaluate the present loss."""
        if not self.swapped:
            return l2(output, target)
        if self.weight is None:
            self.weight = 2 * math.sqrt(float(l2(output, target).detach()) / _count(target))
        return self.weight * l1(output, target)

    def advance(self, iteration: int, consistency_db: float) -> bool:
        """Take note of an iteration, and return whether the loss changes from here on."""
        swap = not self.swapped and (iteration >= self.after or consistency_db < self.below_db)
        self.swapped |= swap
        return swap


class CoarseToFine:
    """Take a loss over the rows of the lowest frequencies only, and of more rows at each stage.

    It is for outputs of shape (..., n_freqs, n_samples) with falling frequencies, as a `Scalogram`
    has them. The idea of going from low to high frequencies is that of Waldspurger (2017),
    arXiv:1512.07024, whose algorithm continues phases analytically; here only the descent goes
    that way.

    Parameters
    ----------
    n_stages : int
        Each stage adds an equal number of rows; the last one has all.
    every : int
        Iterations per stage.
    loss : as in `invert_gradient`
        The loss over the rows; it must be one that does not change during the descent.

    Raises
    ------
    ValueError, TypeError
        If a number is out of range, or the loss is unknown or changes.

    Examples
    --------
    >>> import torch
    >>> loss = CoarseToFine(n_stages=2, every=10)
    >>> output, target = [torch.ones(4, 5)], [torch.zeros(4, 5)]
    >>> float(loss(output, target)), loss.advance(10, -20.0), float(loss(output, target))
    (10.0, True, 20.0)
    """

    def __init__(self, n_stages: int = 4, every: int = 10, loss: str | Loss = "l2") -> None:
        self.n_stages, self.every = check_count(n_stages, "n_stages"), check_count(every, "every")
        self.loss, self.stage = resolve(loss), 1
        if hasattr(self.loss, "advance"):
            raise ValueError(f"loss must be one that stays the same, got {name_of(loss)!r}")
        self.degree = degree_of(self.loss)
        self.__name__ = f"coarse to fine {name_of(loss)}"

    def __call__(self, output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
        """Evaluate the loss over the rows of the present stage."""
        return self.loss(self._lowest(output), self._lowest(target))

    def _lowest(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        """Return the rows of the present stage."""
        return [t[..., -math.ceil(t.shape[-2] * self.stage / self.n_stages) :, :] for t in tensors]

    def advance(self, iteration: int, consistency_db: float) -> bool:
        """Take note of an iteration, and return whether the loss changes from here on."""
        before = self.stage
        self.stage = min(1 + iteration // self.every, self.n_stages)
        return self.stage > before


def order_loss(scattering: Scattering, *, weights: dict[int, float] | None = None) -> Loss:
    """Make a loss for `invert_gradient` in which every scattering order has its own weight.

    It is, for each signal of a batch by itself,

        sum over orders of  weight * ||S_order - target_order||^2 / ||target_order||^2

    In plain "l2" order 2 counts by its share of the energy, which is small.

    Parameters
    ----------
    scattering : Scattering
        The transform that gives output and target.
    weights : dict of int to float, optional
        A weight for each order, zero or positive; 1 for each order by default. An order that is
        left out does not count.

    Returns
    -------
    callable
        ``loss(output, target)`` on lists of one tensor each, as `invert_gradient` takes it.

    Raises
    ------
    ValueError, TypeError
        If an order is not one of `scattering`, a weight is negative, or none is above zero.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scattering
    >>> scattering = Scattering(256, J=4, Q=2)
    >>> target = scattering(torch.arange(256).double().sin())
    >>> loss = order_loss(scattering, weights={1: 1, 2: 3})
    >>> round(float(loss([1.1 * target], [target])), 6)  # (1 + 3) * 0.1^2
    0.04
    """
    orders = check_instance(scattering, Scattering, "scattering").orders
    weights = dict.fromkeys(orders, 1.0) if weights is None else weights
    weights = _checked_weights(weights, orders)

    def loss(output: list[torch.Tensor], target: list[torch.Tensor]) -> torch.Tensor:
        rows, wanted = scattering.split(output[0]), scattering.split(target[0])
        return _sum(
            weight
            * (
                (rows[order] - wanted[order]).square().sum((-2, -1))
                / or_one(wanted[order].square().sum((-2, -1)))
            ).sum()
            for order, weight in weights.items()
        )

    loss.__name__ = "l2 by order"
    return _of_degree(0.0, loss)


def _checked_weights(weights: dict[int, float], orders: Iterable[int]) -> dict[int, float]:
    """Refuse weights that are no dict, unknown orders, negative weights, and zeros only."""
    if not isinstance(weights, dict):
        raise TypeError(f"weights must be a dict of order to number, got {weights!r}")
    checked = {
        check_choice(order, orders, "weights"): check_number(weight, f"weights[{order}]")
        for order, weight in weights.items()
    }
    for order, weight in checked.items():
        if weight < 0:
            raise ValueError(f"weights[{order}] must be zero or positive, got {weight!r}")
    if not any(checked.values()):
        raise ValueError(f"weights must have one above zero, got {weights!r}")
    return checked


# The losses that `invert_gradient` knows by name.
NAMED: dict[str, Loss] = {**LOSSES, "power": power(), "log": log(), "l2_to_l1": L2ToL1()}


def resolve(loss: str | Loss) -> Loss:
    """Look up a loss by its name, or pass on a callable; a loss that changes is copied."""
    loss = loss if callable(loss) else NAMED[check_choice(loss, NAMED, "loss")]
    return copy.copy(loss) if hasattr(loss, "advance") else loss


def name_of(choice: object) -> str:
    """Name a choice that is a string or a callable."""
    return choice if isinstance(choice, str) else getattr(choice, "__name__", "custom")


def _sum(terms: Iterable[torch.Tensor]) -> torch.Tensor:
    """Add up at least one tensor; unlike Python's sum the result is always a tensor."""
    return functools.reduce(torch.add, terms)


def _count(tensors: list[torch.Tensor]) -> int:
    """Count the numbers in all tensors together."""
    return sum(t.numel() for t in tensors)
