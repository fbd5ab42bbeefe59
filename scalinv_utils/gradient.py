"""Descent on any differentiable transform: start somewhere, compare, backpropagate, update.

The recipe, after J. Muradeli's 2021 answer at dsp.stackexchange.com/q/78530:

    x <- start;   repeat:   loss = sum |S(x) - S|^2;   x <- x - lr * dloss/dx

`invert_gradient` is that loop for a `Scalogram`, a kymatio ``Scattering1D`` or any function made
of torch operations, with the optimisers of torch (SGD with momentum, Adam) and L-BFGS of scipy.
"""

import math
from itertools import chain

import numpy as np
import torch
from scipy.optimize import minimize
from tqdm.auto import tqdm

from .metrics import decibels
from .recovery import Recorder
from .validation import (check_callable, check_choice, check_count, check_number, check_positive,
                         check_signal)

__all__ = ["LOSSES", "OPTIMIZERS", "griffin_lim_step", "invert_gradient", "random_start"]

# Each takes the list of outputs and the list of targets; the sums run over all coefficients.
LOSSES = {
    "l2": lambda output, target: sum((o - t).square().sum() for o, t in zip(output, target)),
    "l1": lambda output, target: sum((o - t).abs().sum() for o, t in zip(output, target)),
    "mse": lambda output, target: LOSSES["l2"](output, target) / sum(t.numel() for t in target),
}
OPTIMIZERS = ("lbfgs", "sgd", "adam")

# Starts are a random stream of their own: where the unknown signal is itself noise made with
# seed 0, seed 0 must not start at the solution.
START_STREAM = 1

DIVERGED = ("lr is too large (try a tenth of it), or transform and loss have no finite value or "
            "gradient: the descent left the finite numbers")


def invert_gradient(target, transform, init=None, optimizer="lbfgs", loss="l2", n_iter=200,
                    lr=None, momentum=0.9, n_samples=None, seed=0, keep_every=None,
                    callback=None, progress=False):
    """Find a signal whose transform is the given one, by descent.

    Parameters
    ----------
    target : real Tensor, or list of Tensors (or of kymatio's dicts with "coef")
        What the transform gave for the unknown signal. The signal gets the dtype and the device
        of the transform's filters, or of the target where the transform is a plain function.
    transform : Scalogram, kymatio Scattering1D, or any differentiable callable
        Of a Scalogram the magnitude is taken. Must be made of torch operations.
    init : real array, optional
        Where to start. Default: white noise (`seed`), of a Scalogram what its filters see of it,
        whose transform has the target's norm.
    optimizer : "lbfgs", "sgd", "adam" or a callable
        "lbfgs" is scipy's L-BFGS-B (Byrd et al. 1995, doi:10.1137/0916069). A callable takes the
        list of parameters and returns a torch optimiser whose step needs no closure.
    loss : "l2" (sum of squares), "l1" (sum of moduli), "mse" (mean of squares) or a callable
        A callable takes the lists (output, target) and returns a scalar.
    n_iter : int
        Iterations at most; L-BFGS ends sooner when it cannot improve any more.
    lr : float, optional
        Learning rate of "sgd" and "adam", in their own units. Default for "sgd": one step of
        Griffin-Lim (`griffin_lim_step`); for "adam": a tenth of the start's rms level.
    momentum : float in [0, 1)
        Of "sgd".
    n_samples : int, optional
        Length of the signal where neither `init` nor `transform` tells it.
    seed : int
        Of the white noise; 0 or above.
    keep_every : int, optional
        Keep a copy of the signal every so many iterations in ``Recovery.iterates``.
    callback : callable, optional
        ``callback(iteration, x, consistency_db)`` after each iteration, x a copy; a true return
        value stops the descent.
    progress : bool
        Show a progress bar on runs longer than two seconds.

    Returns
    -------
    Recovery
        ``history`` has n_iter + 1 entries at most, the first for the start.

    Raises
    ------
    ValueError, TypeError
        Bad input, an unknown optimiser or loss, a transform that torch cannot differentiate, or a
        descent that diverged (lr too large).

    Examples
    --------
    >>> W = Scalogram(2048, sample_rate=8000)                          # doctest: +SKIP
    >>> invert_gradient(W.magnitude(x), W, n_iter=100).signal          # doctest: +SKIP
    """
    problem = _Problem(target, transform, loss)
    name = optimizer if callable(optimizer) else check_choice(optimizer, OPTIMIZERS, "optimizer")
    if lr is not None and name not in ("sgd", "adam"):
        raise ValueError(f"lr must be None but for optimizer 'sgd' and 'adam', got {lr!r} for "
                         f"{_name_of(name)!r}")
    n_iter = check_count(n_iter, "n_iter")
    recorder = Recorder(f"gradient descent ({_name_of(name)}, {_name_of(loss)})", callback,
                        keep_every)
    x = problem.start(init, n_samples, seed)
    if problem.silent:
        recorder.record(x, -math.inf)
        return recorder.finish(x)
    with tqdm(total=n_iter, delay=2, leave=False, disable=not progress) as bar:
        step = _Steps(recorder, bar)
        if name == "lbfgs":
            return recorder.finish(_descend_lbfgs(problem, x, n_iter, step))
        make = name if callable(name) else _torch_optimizer(name, lr, momentum, problem, x)
        return recorder.finish(_descend_torch(problem, x, make, n_iter, step))


def random_start(target, transform, n_samples, seed=0):
    """White noise in the band, scaled so that its transform has the norm of the target.

    A transform without a band (one that is no Scalogram) gets all of the noise. For a transform
    of degree one, transform(a x) = a transform(x), the scale is exact.

    Parameters
    ----------
    target, transform : as in `invert_gradient`
    n_samples : int, or tuple of int for a batch: (..., n_samples)
    seed : int
        0 or above.

    Returns
    -------
    real Tensor, shape (n_samples,)
    """
    return _Problem(target, transform, "l2").noise(n_samples, seed)


def griffin_lim_step(transform, x, n_power=12):
    """The learning rate at which plain descent on the "l2" loss is a Griffin-Lim step.

    Gradient descent on sum |S(x) - S|^2 with lr = 1/(2B), B the largest eigenvalue of J^T J
    (the upper frame bound of a wavelet transform), is the Griffin-Lim update of a tight frame.
    B is found by `n_power` power iterations at x, J v by a finite difference.

    Parameters
    ----------
    transform : Scalogram, kymatio Scattering1D, or any differentiable callable
    x : real array, shape (..., n_samples)
    n_power : int

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        Bad input, or an x where the gradient vanishes: at silence a modulus has none.
    """
    analyse, x = _analysis(transform), _like_own(transform, check_signal(x).detach())
    v = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0)).to(x)
    h = (1e-3 if x.dtype == torch.float32 else 1e-6) * (float(x.norm()) or 1.0)
    for _ in range(check_count(n_power, "n_power")):
        v = v / v.norm()
        x0 = x.clone().requires_grad_()
        out = analyse(x0)
        with torch.no_grad():
            jv = [(b - a) / h for a, b in zip(out, analyse(x + h * v))]
        (v,) = torch.autograd.grad(out, x0, grad_outputs=jv)
        if not (v.any() and torch.isfinite(v).all()):
            raise ValueError("x must be a signal where the transform has a gradient, got one "
                             "where it is zero or not finite, as at silence; start elsewhere or "
                             "choose lr")
    return 0.5 / float(v.norm())


class _Problem:
    """The target, the transform and the loss; what any optimiser needs to know of them."""

    def __init__(self, target, transform, loss):
        self.transform = transform
        self.analyse = _analysis(transform)
        self.target = _check_target(target, transform)
        self.loss = loss if callable(loss) else LOSSES[check_choice(loss, LOSSES, "loss")]
        self.norm = _norm(self.target)
        self.silent = self.norm == 0

    def __call__(self, x):
        """(loss, consistency in dB) at x."""
        if not torch.isfinite(x).all():
            raise ValueError(DIVERGED)
        output = self.analyse(x)
        loss = self.loss(output, self.target)
        if not torch.isfinite(loss):
            raise ValueError(DIVERGED)
        with torch.no_grad():
            residual = _norm([o - t for o, t in zip(output, self.target)])
        return loss, decibels(residual / self.norm)

    def noise(self, n_samples, seed):
        """White noise whose transform has the norm of the target."""
        shape = n_samples if isinstance(n_samples, tuple) else (n_samples,)
        shape = [check_count(n, "n_samples") for n in shape]
        generator = np.random.default_rng([check_count(seed, "seed", 0), START_STREAM])
        x = torch.from_numpy(generator.standard_normal(shape)).to(self.target[0])
        # What no filter sees no descent can change: noise out of the band would stay for ever.
        x = self.transform.project(x) if hasattr(self.transform, "project") else x
        with torch.no_grad():
            return x * (self.norm / (_norm(self.analyse(x)) or 1.0))

    def start(self, init, n_samples, seed):
        """Where the descent begins; the transform must give there what the target has."""
        x = self.noise(self._shape(n_samples), seed) if init is None else self._given(init)
        output = self.analyse(x.requires_grad_())
        self._require_fit(output, x)
        _require_scalar(self.loss(output, self.target))
        return x.detach()

    def _given(self, init):
        x = check_signal(init, name="init").detach().to(self.target[0])
        known = _transform_samples(self.transform)
        if known and x.shape[-1] != known:
            raise ValueError(f"init must have {known} samples, as the transform takes, "
                             f"got shape {tuple(x.shape)}")
        return torch.zeros_like(x) if self.silent else x.clone()

    def _shape(self, n_samples):
        """Of the default start. Who knows the signal's length also knows the target's batch."""
        known = _transform_samples(self.transform)
        if known is None and n_samples is None:
            raise ValueError("n_samples must be given: neither init nor transform tells the "
                             "length, got None")
        if known is None:
            return n_samples
        if n_samples not in (None, known):
            raise ValueError(f"n_samples must be {known}, as the transform takes, "
                             f"got {n_samples!r}")
        return (*self.target[0].shape[: -2 if len(self.target) == 1 else -1], known)

    def _require_fit(self, output, x):
        if any(o.is_complex() for o in output):
            raise TypeError("transform must return real numbers, got complex ones; take their "
                            "modulus first")
        if not any(o.requires_grad for o in output):
            raise ValueError("transform must be made of torch operations, got a result that has "
                             "no gradient")
        shapes = [[tuple(t.shape) for t in tensors] for tensors in (self.target, output)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"target must have the shape that transform gives for a signal of "
                             f"shape {tuple(x.shape)}, {_brief(shapes[1])}, got "
                             f"{_brief(shapes[0])}")
        if self.silent and _norm(output):
            raise ValueError("target must not be all zero: this transform does not map silence "
                             "to zero, and errors are relative to the target's norm")


class _Steps:
    """What happens after every iteration, whichever optimiser makes it."""

    def __init__(self, recorder, bar):
        self.recorder, self.bar = recorder, bar

    def __call__(self, x, consistency_db):
        stop = self.recorder.record(x, consistency_db)
        if len(self.recorder.recovery.history["seconds"]) > 1:
            self.bar.update()
            self.bar.set_postfix_str(f"{consistency_db:.1f} dB", refresh=False)
        return stop


def _descend_torch(problem, x, make_optimizer, n_iter, step):
    """The loop of the recipe: loss, backpropagate, update."""
    x = x.clone().requires_grad_()
    optimizer = make_optimizer([x])
    loss, consistency = problem(x)
    stop = step(x, consistency)
    for _ in range(n_iter):
        if stop:
            break
        optimizer.zero_grad()
        loss.backward(inputs=[x])
        optimizer.step()
        loss, consistency = problem(x)
        stop = step(x, consistency)
    return x


def _descend_lbfgs(problem, x, n_iter, step):
    """scipy's L-BFGS-B on u = x / level, which makes its first step independent of loudness."""
    level = float(x.square().mean().sqrt()) or 1.0
    latest = {}

    def signal(u):
        return torch.as_tensor(u).reshape(x.shape).to(x) * level

    def objective(u):
        point = signal(u).requires_grad_()
        loss, latest["consistency"] = problem(point)
        (gradient,) = torch.autograd.grad(loss, point)
        return loss.item() / scale, gradient.double().flatten().cpu().numpy() * (level / scale)

    def after(intermediate_result):
        if step(signal(intermediate_result.x), latest["consistency"]):
            raise StopIteration

    loss, consistency = problem(x)
    if step(x, consistency):
        return x
    # The loss relative to that of the start: a number near one, whatever the units.
    scale = abs(loss.item()) or 1.0
    result = minimize(objective, (x / level).double().flatten().cpu().numpy(), jac=True,
                      method="L-BFGS-B", callback=after,
                      options=dict(maxiter=n_iter, maxfun=10 * n_iter, maxcor=20, ftol=0, gtol=0))
    return signal(result.x)


def _torch_optimizer(name, lr, momentum, problem, x):
    """A function that makes the named torch optimiser, with this package's default lr."""
    if name == "adam":
        lr = 0.1 * float(x.square().mean().sqrt()) if lr is None else check_positive(lr, "lr")
        return lambda parameters: torch.optim.Adam(parameters, lr=lr)
    if not 0 <= check_number(momentum, "momentum") < 1:
        raise ValueError(f"momentum must be in [0, 1), got {momentum!r}")
    if lr is None:
        lr = griffin_lim_step(problem.analyse, x)
        lr *= sum(t.numel() for t in problem.target) if problem.loss is LOSSES["mse"] else 1
    check_positive(lr, "lr")
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, momentum=momentum)


def _transform_samples(transform):
    """The signal length a Scalogram or a kymatio Scattering1D was made for, or None."""
    if hasattr(transform, "n_samples"):
        return transform.n_samples
    shape = getattr(transform, "shape", None)
    return shape if isinstance(shape, int) else (shape[-1] if shape else None)


def _analysis(transform):
    """The transform as a function from a signal to a list of real tensors."""
    function = check_callable(getattr(transform, "magnitude", transform), "transform",
                              "a Scalogram, a Scattering1D or a function of a signal")

    def analyse(x):
        output = _as_list(function(x))
        for part in output:
            if not isinstance(part, torch.Tensor):
                raise TypeError(f"transform must return Tensors, got {type(part).__name__}")
        return output

    return analyse


def _as_list(output):
    """A tensor, or kymatio's list of dicts, or any list or dict of those, as a flat list."""
    if isinstance(output, dict):
        output = [output["coef"]] if "coef" in output else list(output.values())
    if isinstance(output, (list, tuple)):
        return [tensor for part in output for tensor in _as_list(part)]
    return [output]


def _check_target(target, transform):
    """The target as a flat list of tensors."""
    if hasattr(transform, "check_scalogram"):
        return [transform.check_scalogram(target, "target").detach()]
    parts = _as_list(target)
    if not parts:
        raise ValueError(f"target must hold at least one tensor, got {target!r}")
    return [_like_own(transform, check_signal(part, name="target").detach()) for part in parts]


def _like_own(transform, tensor):
    """A tensor in the dtype and on the device of the transform's own tensors, if it has any."""
    if not isinstance(transform, torch.nn.Module):
        return tensor
    own = chain(transform.parameters(), transform.buffers())
    return tensor.to(next((t for t in own if t.is_floating_point()), tensor))


def _require_scalar(loss):
    if not (isinstance(loss, torch.Tensor) and loss.ndim == 0 and loss.requires_grad):
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
        raise TypeError(f"loss must return a Tensor of shape () made from output, got {got}")


def _brief(shapes):
    return ", ".join(map(str, shapes[:3])) + (f" and {len(shapes) - 3} more" * (len(shapes) > 3))


def _norm(tensors):
    return float(torch.linalg.vector_norm(torch.stack([t.detach().norm() for t in tensors])))


def _name_of(choice):
    return choice if isinstance(choice, str) else getattr(choice, "__name__", "custom")
