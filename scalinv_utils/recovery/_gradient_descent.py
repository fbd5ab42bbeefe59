"""Recover signals by descent: start somewhere, compare transforms, backpropagate, update.

The recipe follows J. Muradeli's 2021 answer at dsp.stackexchange.com/q/78530:

    x <- start;   repeat:   loss = sum |S(x) - S|^2;   x <- x - lr * dloss/dx

`invert_gradient` is that loop for a `Scalogram`, a kymatio ``Scattering1D`` or any function made
of torch operations, with the optimisers of torch (SGD with momentum, Adam), L-BFGS of scipy and a
bold driver. Each piece is chosen by its name or given as a callable: losses in `losses`, plans
for the learning rate and the bold driver in `schedules`.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeResult, minimize

from .._levels import rms
from .._validation import (
    check_callable,
    check_choice,
    check_count,
    check_flag,
    check_instance,
    check_number,
    check_positive,
)
from ..measured import Measured
from ._batches import members_of
from ._errors import DivergenceError
from ._members import Index, one_by_one
from ._objective import Equaliser, Objective, griffin_lim_step, spectral_gain
from ._result import Recovery
from ._stages import Callback, Run, Stage
from .losses import LOSSES, Loss, name_of
from .schedules import BoldDriver, Plan

__all__ = [
    "LOSSES",
    "OPTIMIZERS",
    "griffin_lim_step",
    "invert_gradient",
    "random_start",
    "spectral_gain",
]

OPTIMIZERS = ("lbfgs", "sgd", "adam", "bold")
LR_UNITS = ("own", "griffin-lim")

# L-BFGS keeps this many gradients.
REMEMBERED_GRADIENTS = 20

# An optimiser by its name, or a function from the list of parameters to a torch optimiser.
Optimizer = str | Callable[[list[torch.Tensor]], torch.optim.Optimizer]
# (x, consistency in dB) -> whether to stop.
Step = Callable[[torch.Tensor, float], Any]
# (objective, x, n_iter, step) -> details, if there are any.
Descent = Callable[[Objective, torch.Tensor, int, Step], dict[str, Any] | None]


def invert_gradient(
    target: Any,
    transform: Callable[..., Any] | None = None,
    *,
    init: ArrayLike | None = None,
    optimizer: Optimizer = "lbfgs",
    loss: str | Loss = "l2",
    n_iter: int = 200,
    lr: float | None = None,
    momentum: float = 0.9,
    n_samples: int | None = None,
    seed: int = 0,
    keep_every: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
    lr_unit: Literal["own", "griffin-lim"] = "own",
    schedule: Plan | None = None,
    precondition: bool | None = None,
    joint: bool = False,
) -> Recovery:
    """Find a signal whose transform is the given one, by descent.

    Parameters
    ----------
    target : real array, or list of them (or of kymatio's dicts with "coef")
        The output of the transform for the unknown signal. The signal gets the dtype and the
        device of the transform's filters, or of the target if the transform is a plain function.
        Leading axes are a batch: its members are recovered one by one, each as if it were alone,
        unless transform or loss make them depend on each other. No gradient flows back to it.
    transform : Scalogram, kymatio Scattering1D, or any differentiable callable
        Not needed where the target is a `Measured`. A Scalogram stands for its magnitude. Any
        other transform must be made of torch operations.
    init : real array, or "noise", "coloured", "phase_gradient"
        The signal to start from. "noise", the default, is white noise (`seed`) at the level where
        its transform has the target's norm; for a Scalogram it is restricted to the band of the
        filters. "coloured" is noise shaped by the target in frequency and time: the given moduli
        with the phases of noise (after the colouring by S1 in the code of Anden, Lostanlen and
        Mallat 2019, arXiv:1807.08869, which shapes the spectrum only). "phase_gradient" takes the
        phase that the modulus implies (`phase_gradient`); it needs a Scalogram.
    optimizer : "lbfgs", "sgd", "adam", "bold" or a callable
        "lbfgs" is scipy's L-BFGS-B (Byrd et al. 1995, doi:10.1137/0916069), which scipy 1.15
        rewrote: 20 recoveries by 1.14 and by 1.15 to 1.17 agreed to 1e-8 dB after 50 iterations,
        and to 1 dB after 400, because long runs amplify rounding. "bold" is momentum with a
        learning rate that grows on success and shrinks on failure (`schedules.BoldDriver`). A
        callable takes the list of parameters and returns a torch
        optimiser whose step needs no closure. Results do not depend on the level of the target,
        but for a callable, whose steps are its own.
    loss : "l2", "l1", "mse", "power", "log", "l2_to_l1" or a callable
        See `losses`. A callable takes the lists (output, target) and returns a scalar; if it has
        a method ``advance(iteration, consistency_db)``, that is called after each iteration and
        returns whether the loss has changed.
    n_iter : int
        The largest number of iterations; L-BFGS ends sooner if it cannot improve any more.
    lr : float, optional
        Learning rate of "sgd", "adam" and "bold". The default is one step of Griffin-Lim for
        "sgd" and "bold", and a tenth of the start's rms level for "adam".
    momentum : float in [0, 1)
        Momentum of "sgd" and "bold".
    n_samples : int, optional
        Length of the signal, needed if neither `init` nor `transform` tells it.
    seed : int
        Seed of the white noise, 0 or above. Members of a batch get the noise that each gets alone,
        but those whose targets are equal get noises of their own.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate in ``Recovery.iterates``.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` after each iteration, with a copy of
        the signal. A true return value stops the descent. For a batch it gets all
        signals, zeros where they are not known yet, and the fit of the member in work.
    progress : bool
        Show a progress bar on runs longer than two seconds.
    lr_unit : "own" or "griffin-lim"
        With "griffin-lim", which "sgd" and "bold" take, lr counts Griffin-Lim steps
        (`griffin_lim_step`; for other losses than "l2", steps that are as long at the start), so
        that one number fits every normalisation and level.
    schedule : callable, optional
        iteration -> factor for lr (`schedules`), for "sgd", "adam" and callables.
    precondition : bool, optional
        Whether "lbfgs" descends in variables in which the transform responds to all frequencies
        more alike, half way to whitening; by default it does. The response comes from W*W for a
        Scalogram, and from an estimate (`spectral_gain`, 8 backward passes) otherwise.
    joint : bool
        Descend on the sum of the losses of a batch. A transform that takes a batch in hardly more
        time than one signal, such as scattering, makes this faster, but members share their steps:
        loud ones come first, and a quiet one next to a loud one may not be recovered at all.

    Returns
    -------
    Recovery
        ``history`` has n_iter + 1 entries at most, the first for the start. ``details`` has
        "evaluations", how often the transform was evaluated, most often with a gradient, and for
        "bold" also "accepted" and "rejected", the numbers of steps.

    Raises
    ------
    ValueError, TypeError
        If input is bad, the optimiser or the loss is unknown, torch cannot differentiate the
        transform, or the descent diverged (lr too large).

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> S = W.magnitude(W.project(signals.linear_chirp(128)))
    >>> invert_gradient(S, W, n_iter=50).consistency_db < -30
    True
    """
    target, transform, loss = _of_measured(target, transform, loss)
    objective = Objective(target, transform, loss, scaled=not callable(optimizer))
    name = optimizer if callable(optimizer) else check_choice(optimizer, OPTIMIZERS, "optimizer")
    _check_options(name, lr, lr_unit, schedule, precondition)
    n_iter = check_count(n_iter, "n_iter")
    method = f"gradient descent ({name_of(name)}, {name_of(loss)})"
    descend = _descent(name, lr, lr_unit, momentum, schedule, precondition)
    joint = check_choice(joint, (False, True), "joint")
    init, shape, members = _split(objective, init, n_samples, joint)

    def alone(index: Index, callback: Callback | None) -> Recovery:
        own = members[index] if members else objective
        run = Run(method, callback, keep_every=keep_every, progress=progress)
        given = init[index] if isinstance(init, torch.Tensor) else init
        start = own.start(given, n_samples, seed)
        run.unit = own.level

        def stage(objective: Objective, transform: Any, run: Run) -> None:
            run.details.update(descend(objective, start, n_iter, run.step) or {})

        silence = start if own.silent else None
        run.through([Stage(name_of(name), stage, n_iter)], own, transform, silence)
        return run.recovery(evaluations=own.evaluations)

    norms = [own.norm * own.unit for own in members.values()] if members else []
    return one_by_one(alone, shape, torch.tensor(norms, dtype=torch.float64), callback)


def _split(
    objective: Objective, init: ArrayLike | None, n_samples: int | None, joint: bool
) -> tuple[Any, tuple[int, ...], dict[Index, Objective] | None]:
    """Find (start, shape of the batch, its members); (start, (), None) if it cannot be split."""
    if init is None or isinstance(init, str):
        wanted = objective.shape(n_samples)
    else:
        init = objective.given(init)
        wanted = tuple(init.shape)
    if not isinstance(wanted, tuple) or joint:
        return init, (), None
    members = members_of(objective, wanted[:-1], wanted[-1])
    return init, wanted[:-1] if members else (), members


class _Fitted:
    """The modulus of a measured scalogram as a transform with a length and a band."""

    def __init__(self, M: Measured) -> None:
        self.M, self.n_samples = M, M.n_samples

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self.M.fitted(x)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Restrict x to what W sees of its extension."""
        return self.M.project(x)


def _of_measured(
    target: Any, transform: Callable[..., Any] | None, loss: str | Loss
) -> tuple[Any, Callable[..., Any], str | Loss]:
    """Take target, transform and loss out of a `Measured`, or check that there is a transform."""
    if not isinstance(target, Measured):
        if transform is None:
            raise TypeError("transform must be given with a target that is no Measured, got None")
        return target, transform, loss
    if target.is_plain:
        return target.S, target.W, loss
    return target.S, _Fitted(target), loss


def _descent(
    name: Optimizer,
    lr: float | None,
    lr_unit: str,
    momentum: float,
    schedule: Plan | None,
    precondition: bool | None,
) -> Descent:
    """Choose the loop of an optimiser."""
    if name == "lbfgs":
        return functools.partial(descend_lbfgs, precondition=precondition is not False)
    if name == "bold":
        return functools.partial(_descend_bold, lr=lr, lr_unit=lr_unit, momentum=momentum)
    if callable(name):
        return functools.partial(
            _descend_torch, make=lambda objective, x: name([x]), schedule=schedule
        )
    make = _torch_optimizer(name, lr, lr_unit, momentum)
    return functools.partial(_descend_torch, make=make, schedule=schedule)


def random_start(
    target: Any,
    transform: Callable[..., Any],
    n_samples: int | tuple[int, ...],
    *,
    seed: int = 0,
    coloured: bool = False,
) -> torch.Tensor:
    """Make white noise in the band, scaled so that its transform has the norm of the target.

    For a transform without a band (one that is no Scalogram) the noise is not restricted. For a
    transform of degree one, transform(a x) = a transform(x), the scale is exact.

    Parameters
    ----------
    target, transform : as in `invert_gradient`
    n_samples : int, or tuple of int for a batch: (..., n_samples)
    seed : int
        Seed of the noise, 0 or above.
    coloured : bool
        Shape the noise by the target, as ``init="coloured"`` of `invert_gradient` does.

    Returns
    -------
    real Tensor, shape (n_samples,), or the tuple given as `n_samples`

    Raises
    ------
    ValueError, TypeError
        If target, transform, length or seed is bad.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> S = W.magnitude(signals.linear_chirp(128))
    >>> x = random_start(S, W, 128)
    >>> round(float(W.magnitude(x).norm() / S.norm()), 6)
    1.0
    """
    objective = Objective(target, transform, "l2")
    check_flag(coloured, "coloured")
    members = None
    if isinstance(n_samples, tuple):
        *batch, length = (check_count(n, "n_samples") for n in n_samples)
        members = members_of(objective, tuple(batch), length)
    if not isinstance(n_samples, tuple) or not members:
        return (objective.coloured if coloured else objective.noise)(n_samples, seed)
    starts = [(own.coloured if coloured else own.noise)(length, seed) for own in members.values()]
    return torch.stack(starts).reshape(n_samples)


def _check_options(
    name: Optimizer,
    lr: float | None,
    lr_unit: str,
    schedule: Plan | None,
    precondition: bool | None,
) -> None:
    """Refuse options that the optimiser would ignore."""
    if lr is not None and name not in ("sgd", "adam", "bold"):
        raise ValueError(
            f"lr must be None but for optimizer 'sgd', 'adam' and 'bold', "
            f"got {lr!r} for {name_of(name)!r}"
        )
    if check_choice(lr_unit, LR_UNITS, "lr_unit") != "own" and name not in ("sgd", "bold"):
        raise ValueError(
            f"lr_unit must be 'own' but for optimizer 'sgd' and 'bold', "
            f"got {lr_unit!r} for {name_of(name)!r}"
        )
    if schedule is not None:
        check_callable(schedule, "schedule", "a function from the iteration to a factor for lr")
        if name in ("lbfgs", "bold"):
            raise ValueError(
                f"schedule must be None for optimizer 'lbfgs' and 'bold', which "
                f"choose their own steps, got {name_of(schedule)!r}"
            )
    wished = precondition is not None and check_flag(precondition, "precondition")
    if wished and name != "lbfgs":
        raise ValueError(
            f"precondition must be None or False but for optimizer 'lbfgs', "
            f"got {precondition!r} for {name_of(name)!r}"
        )


class _Steps:
    """Count iterations, and tell a loss that changes during the descent how far it is."""

    def __init__(self, objective: Objective, step: Step) -> None:
        self.objective, self.step = objective, step
        self.done, self.changed, self.stop = -1, False, False  # the start is not an iteration

    def __call__(self, x: torch.Tensor, consistency_db: float) -> bool:
        """Hand on one iterate, and return whether the descent is to stop."""
        self.done += 1
        self.stop = self.step(x, consistency_db)
        self.changed = self.objective.advance(self.done, consistency_db)
        return self.stop


def _descend_torch(
    objective: Objective,
    x: torch.Tensor,
    n_iter: int,
    step: Step,
    *,
    make: Callable[[Objective, torch.Tensor], torch.optim.Optimizer],
    schedule: Plan | None,
) -> None:
    """Run the loop of the recipe: loss, backpropagate, update."""
    x = x.clone().requires_grad_()
    optimizer, steps = make(objective, x), _Steps(objective, step)
    check_instance(optimizer, torch.optim.Optimizer, "what optimizer returns")
    plan = schedule and torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    loss, consistency = objective(x)
    steps(x, consistency)
    while not steps.stop and steps.done < n_iter:
        if steps.changed:
            loss, _ = objective(x)
        optimizer.zero_grad()
        loss.backward(inputs=[x])
        optimizer.step()
        if plan:
            plan.step()
        loss, consistency = objective(x)
        steps(x, consistency)


def _descend_bold(
    objective: Objective,
    x: torch.Tensor,
    n_iter: int,
    step: Step,
    *,
    lr: float | None,
    lr_unit: str,
    momentum: float,
) -> dict[str, int]:
    """Run `BoldDriver` until the iterations are used up; a step that fails counts as one."""

    def evaluate(point: torch.Tensor) -> tuple[float, torch.Tensor]:
        nonlocal latest_db
        loss, gradient, latest_db = objective.value_and_gradient(point)
        return loss, gradient

    latest_db, steps = math.inf, _Steps(objective, step)
    driver = BoldDriver(evaluate, x, _first_lr(lr, lr_unit, objective, x), momentum)
    if not torch.isfinite(driver.gradient).all():
        raise DivergenceError
    consistency = latest_db
    steps(driver.x, consistency)
    while not steps.stop and steps.done < n_iter:
        if steps.changed:
            driver.refresh()
        if driver.step():
            consistency = latest_db
        steps(driver.x, consistency)
    return {"accepted": driver.accepted, "rejected": driver.rejected}


def descend_lbfgs(
    objective: Objective, x: torch.Tensor, n_iter: int, step: Step, *, precondition: bool
) -> None:
    """Run scipy's L-BFGS-B, and begin anew whenever the loss has changed.

    Parameters
    ----------
    objective : Objective
    x : real Tensor, shape (..., n_samples)
        The signal to start from.
    n_iter : int
        The largest number of iterations.
    step : callable
        Called as ``step(x, consistency_db)`` after each iteration; a true return value stops.
    precondition : bool
        Whether to descend in the variables of an `Equaliser`.
    """
    steps = _Steps(objective, step)
    loss, consistency = objective(x)
    if steps(x, consistency):
        return
    variables = Equaliser(objective, x) if precondition else None
    while True:
        before = steps.done
        x = _lbfgs_run(objective, x, loss.item(), n_iter - before, steps, variables)
        if steps.stop or not steps.changed or steps.done in (before, n_iter):
            return
        loss, _ = objective(x)


def _lbfgs_run(
    objective: Objective,
    x: torch.Tensor,
    loss: float,
    n_iter: int,
    steps: _Steps,
    variables: Equaliser | None,
) -> torch.Tensor:
    """Run L-BFGS on u, where x = level A u: the first step depends on neither level nor bands."""
    level = float(x.square().mean().sqrt()) or 1.0
    scale = abs(loss) or 1.0  # makes the loss a number near one: that of the start is its unit
    to_signal = variables.to_signal if variables else lambda u: u
    from_signal = variables.from_signal if variables else lambda u: u
    latest_db = math.inf

    def signal(u: np.ndarray) -> torch.Tensor:
        return to_signal(torch.as_tensor(u).reshape(x.shape).to(x)) * level

    def value(u: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal latest_db
        loss, gradient, latest_db = objective.value_and_gradient(signal(u))
        gradient = to_signal(gradient) * (level / scale)
        return loss / scale, gradient.cpu().double().flatten().numpy()

    def after(intermediate_result: OptimizeResult) -> None:
        if steps(signal(intermediate_result.x), latest_db) or steps.changed:
            raise StopIteration

    options = dict(maxiter=n_iter, maxfun=10 * n_iter, maxcor=REMEMBERED_GRADIENTS, ftol=0, gtol=0)
    start = (from_signal(x) / level).cpu().double().flatten().numpy()
    result = minimize(value, start, jac=True, method="L-BFGS-B", callback=after, options=options)
    return signal(result.x)


def _first_lr(lr: float | None, lr_unit: str, objective: Objective, x: torch.Tensor) -> float:
    """Convert lr to the loss's own units; the default is one Griffin-Lim step."""
    if lr is not None and lr_unit == "own":
        return objective.own_lr(check_positive(lr, "lr", limited=False))
    return objective.lr_unit(x) * (1.0 if lr is None else check_positive(lr, "lr", limited=False))


def _torch_optimizer(
    name: str, lr: float | None, lr_unit: str, momentum: float
) -> Callable[[Objective, torch.Tensor], torch.optim.Optimizer]:
    """Return a function that makes the named torch optimiser, with this package's default lr."""

    def make(objective: Objective, x: torch.Tensor) -> torch.optim.Optimizer:
        if name == "adam":
            own = lr if lr is None else check_positive(lr, "lr", limited=False) / objective.level
            first = 0.1 * float(rms(x)) if own is None else own
            return torch.optim.Adam([x], lr=check_positive(first, "lr", limited=False))
        inertia = check_number(momentum, "momentum")
        if not 0 <= inertia < 1:
            raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
        first = check_positive(_first_lr(lr, lr_unit, objective, x), "lr", limited=False)
        return torch.optim.SGD([x], lr=first, momentum=inertia)

    return make
