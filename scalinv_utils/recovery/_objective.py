"""Evaluate target, transform and loss for a descent, whichever optimiser runs it.

`Objective` evaluates; `Equaliser` changes variables so that the transform responds to all
frequencies more alike; `griffin_lim_step` gives learning rates their unit.
"""

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import _levels
from .._tensors import detached
from .._validation import check_callable, check_count, check_numbers, check_signal
from ..metrics import decibels
from ..transforms.scalogram import Scalogram
from ._dense_start import start_from_phase
from ._errors import DivergenceError
from ._stages import check_start
from .losses import LOSSES, Loss, degree_of, resolve

__all__ = ["Equaliser", "Objective", "griffin_lim_step", "spectral_gain"]

# The stream of random numbers that starts are drawn from. It is one of its own: if the unknown
# signal is itself noise made with seed 0, a start with seed 0 must not be the solution.
START_STREAM = 1
NAMED_STARTS = ("noise", "coloured", "phase_gradient")

# The power gain of the transform is taken to be at least this share of its maximum.
GAIN_FLOOR = 1e-2

# Factors between levels stay between this power of two and its inverse.
LARGEST_EXPONENT = 1000.0

# The share of the whitening that is applied: 0 is none, 1 is all of it.
WHITENING = 0.5

# Backward passes of `spectral_gain`, and iterations of `griffin_lim_step`.
PROBES = 8
POWER_ITERATIONS = 12

# The method that a word about gradients names.
WHERE = "invert_gradient"

# From a signal to the flat list of the transform's tensors.
Analysis = Callable[[torch.Tensor], list[torch.Tensor]]


class Objective:
    """Evaluate a loss, its gradient and the consistency, for any optimiser.

    Squares of a very quiet or a very loud target would under- or overflow, and optimisers have
    constants of their own. So an optimiser sees signals in units of `level`, and a loss that knows
    no level (`losses.degree_of`) sees output and target in units of `unit`. Both are powers of two.

    Parameters
    ----------
    target, transform, loss : as in `invert_gradient`
    scaled : bool
        With False both units are one, for an optimiser whose steps have units of their own.

    Attributes
    ----------
    analyse : callable
        From a signal to the flat list of the transform's tensors.
    target : list of Tensor
    evaluations : int
        How often the transform was evaluated.
    unit, level : float
        `start` sets the level.
    norm : float
        The norm of the target / unit.
    silent : bool
        Whether the target is zero everywhere.
    repetition : int
        How many draws of random numbers to leave out before that of a start.
    """

    def __init__(self, target: Any, transform: Any, loss: str | Loss, scaled: bool = True) -> None:
        self.transform: Any = transform
        self.analyse = _analysis(transform)
        self.target = _check_target(target, transform)
        self.loss, self.scaled = resolve(loss), scaled
        self.evaluations = self.repetition = 0
        self.silent = not any(t.any() for t in self.target)
        loudest = max(float(_levels.unit(t)) for t in self.target)
        self.unit = loudest if scaled and not self.silent else 1.0
        self.level = 1.0
        self._goal = self._in_units(self.target)
        self.norm = _norm(self._goal)

    def _in_units(self, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
        return tensors if self.unit == 1.0 else [t / self.unit for t in tensors]

    def outputs(self, u: torch.Tensor) -> list[torch.Tensor]:
        """Compute the outputs, in their unit, of a signal in units of the level."""
        return self._in_units(self.analyse(u if self.level == 1.0 else u * self.level))

    def _loss_of(self, output: list[torch.Tensor], loss: Loss) -> torch.Tensor:
        """Evaluate a loss of outputs in their unit, in that unit if it has a degree."""
        if degree_of(loss) is None and self.unit != 1.0:
            return loss([o * self.unit for o in output], self.target)
        return loss(output, self._goal)

    def own_lr(self, lr: float) -> float:
        """Convert a learning rate in the units of the loss and the signal to the units used here.

        In these, dx = -lr dL/dx is du = -lr unit^d / level^2 dL'/du, d the degree of the loss L.
        """
        exponent = (degree_of(self.loss) or 0.0) * math.log2(self.unit) - 2 * math.log2(self.level)
        return lr * 2.0 ** min(max(exponent, -LARGEST_EXPONENT), LARGEST_EXPONENT)

    def member(self, index: tuple[int | slice, ...]) -> "Objective":
        """Make the objective of one member of a batch."""
        transform = getattr(self.transform, "member", lambda index: self.transform)(index)
        target = [t[index] for t in self.target]
        target = target[0] if len(target) == 1 else target
        return Objective(target, transform, self.loss, scaled=self.scaled)

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, float]:
        """Evaluate (loss, consistency in dB) at x, in units of the level as all below."""
        if not torch.isfinite(x).all():
            raise DivergenceError
        self.evaluations += 1
        output = self.outputs(x)
        loss = self._loss_of(output, self.loss)
        if not torch.isfinite(loss):
            raise DivergenceError
        with torch.no_grad():
            residual = _norm([o - t for o, t in zip(output, self._goal)])
        return loss, decibels(residual / self.norm)

    def value_and_gradient(self, x: torch.Tensor) -> tuple[float, torch.Tensor, float]:
        """Evaluate (loss, gradient, consistency in dB) at x; the loss is a float."""
        x = x.detach().clone().requires_grad_()
        loss, consistency_db = self(x)
        (gradient,) = torch.autograd.grad(loss, x)
        return loss.item(), gradient, consistency_db

    def gradient(self, x: torch.Tensor, loss: Loss | None = None) -> torch.Tensor:
        """Evaluate the gradient of the loss, or of another one, at x."""
        x = x.detach().clone().requires_grad_()
        self.evaluations += 1
        value = self._loss_of(self.outputs(x), loss or self.loss)
        return torch.autograd.grad(value, x)[0]

    def advance(self, iteration: int, consistency_db: float) -> bool:
        """Tell a loss that changes how far the descent is, and return whether it has changed."""
        advance = getattr(self.loss, "advance", None)
        return advance is not None and advance(iteration, consistency_db)

    def lr_unit(self, x: torch.Tensor) -> float:
        """Compute the lr that moves x as far as one Griffin-Lim step does, whatever the loss.

        For "l2" it is `griffin_lim_step`; for any other loss it is that times the ratio of the
        lengths of the two gradients at x.
        """
        unit = self._griffin_lim_step(x)
        loss = getattr(self.loss, "loss", self.loss)  # `CoarseToFine` has the loss over its rows
        if loss is LOSSES["mse"]:
            return unit * sum(t.numel() for t in self.target)
        if loss is LOSSES["l2"]:
            return unit
        other = float(self.gradient(x).norm())
        if other == 0 or not np.isfinite(other):
            return unit
        return unit * float(self.gradient(x, LOSSES["l2"]).norm()) / other

    def _griffin_lim_step(self, x: torch.Tensor) -> float:
        """Take the step from the frame bounds if they are known, and measure it otherwise."""
        if hasattr(self.transform, "frame_bounds") and x.any():  # at silence there is no gradient
            ratio = self.unit / self.level
            return ratio * ratio / (2 * self.transform.frame_bounds[1])
        self.evaluations += 2 * POWER_ITERATIONS
        return griffin_lim_step(self.outputs, x)

    # -- starts ----------------------------------------------------------------------------------

    def noise(self, n_samples: int | tuple[int, ...], seed: int) -> torch.Tensor:
        """Make white noise whose transform has the norm of the target."""
        shape = n_samples if isinstance(n_samples, tuple) else (n_samples,)
        shape = [check_count(n, "n_samples") for n in shape]
        generator = np.random.default_rng([check_count(seed, "seed", 0), START_STREAM])
        for _ in range(self.repetition):
            generator.standard_normal(shape)
        x = torch.from_numpy(generator.standard_normal(shape)).to(self.target[0])
        # No descent can change what no filter sees: noise outside the band would stay for ever.
        x = self.transform.project(x) if hasattr(self.transform, "project") else x
        return self._at_level(x)

    def coloured(self, n_samples: int | tuple[int, ...], seed: int) -> torch.Tensor:
        """Shape noise by the target in frequency and in time: J^T S, J the Jacobian at noise.

        It costs one backward pass. For a scalogram it is W* (S c/|c|): the given moduli with the
        phases of noise.
        """
        x = self.noise(n_samples, seed).requires_grad_()
        (shaped,) = torch.autograd.grad(self.analyse(x), x, grad_outputs=self._goal)
        self.evaluations += 1
        return self._at_level(shaped)

    def phase_gradient(self, n_samples: int | tuple[int, ...], seed: int) -> torch.Tensor:
        """Start from the phase that the modulus implies; only a `Scalogram` has the formula."""
        if not hasattr(self.transform, "impose"):
            raise ValueError(
                f"init must be 'noise', 'coloured' or a signal for a transform that "
                f"is no Scalogram, got 'phase_gradient' for "
                f"{type(self.transform).__name__}"
            )
        return start_from_phase(self.target[0], self.transform, seed=seed).to(self.target[0])

    def _at_level(self, x: torch.Tensor) -> torch.Tensor:
        """Scale x so that its transform has the norm of the target, if it is of degree one."""
        with torch.no_grad():
            own = float(_levels.norm(torch.stack([_levels.norm(o) for o in self.analyse(x)])))
            return x * (self.norm * self.unit / (own or 1.0))

    def start(self, init: ArrayLike | None, n_samples: int | None, seed: int) -> torch.Tensor:
        """Make the start, and check that the transform gives there the shapes of the target.

        A signal comes from `given`. Its unit becomes the level in units of which it is returned.
        """
        init = "noise" if init is None else init
        if isinstance(init, str) and init in NAMED_STARTS:
            x = getattr(self, init)(self.shape(n_samples), seed)
        else:
            x = self._own(init)
        if self.scaled:
            self.level = float(_levels.unit(x)) if x.any() else self.unit
        x = (x.detach() / self.level).requires_grad_()
        output = self.outputs(x)
        self._require_fit(output, x)
        _require_scalar(self._loss_of(output, self.loss))
        return x.detach()

    def given(self, init: ArrayLike) -> torch.Tensor:
        """Check a start that is a signal; for a silent target it is silence."""
        x = self._own(init)
        check_start(x, self.target[0], self.transform)
        return x

    def _own(self, init: ArrayLike) -> torch.Tensor:
        """Return a start of the type and the device of the target, silence if that is silent."""
        known = _transform_samples(self.transform)
        x = detached(check_signal(init, name="init", n_samples=known), "init", WHERE)
        x = x.to(self.target[0])
        if self.silent:
            return torch.zeros_like(x)
        return x.clone()

    def shape(self, n_samples: int | None) -> int | tuple[int, ...]:
        """Find the shape of a named start.

        If the transform fixes the length, the batch axes are those of the target.
        """
        known = _transform_samples(self.transform)
        if known is None:
            if n_samples is None:
                raise ValueError(
                    "n_samples must be given: neither init nor transform tells the length, got None"
                )
            return n_samples
        if n_samples is not None and check_count(n_samples, "n_samples") != known:
            raise ValueError(
                f"n_samples must be {known}, as the transform takes, got {n_samples!r}"
            )
        return (*self.target[0].shape[: -2 if len(self.target) == 1 else -1], known)

    def _require_fit(self, output: list[torch.Tensor], x: torch.Tensor) -> None:
        """Refuse an output that is complex or has no gradient, or that the target does not fit."""
        if any(o.is_complex() for o in output):
            raise TypeError(
                "transform must return real numbers, got complex ones; take their modulus first"
            )
        if not any(o.requires_grad for o in output):
            raise ValueError(
                "transform must be made of torch operations, got a result that has no gradient"
            )
        shapes = [[tuple(t.shape) for t in tensors] for tensors in (self.target, output)]
        if shapes[0] != shapes[1]:
            raise ValueError(
                f"target must have the shape that transform gives for a signal of "
                f"shape {tuple(x.shape)}, {_brief(shapes[1])}, got "
                f"{_brief(shapes[0])}"
            )
        if self.silent and any(o.any() for o in output):
            raise ValueError(
                "target must not be all zero: this transform does not map silence "
                "to zero, and errors are relative to the target's norm"
            )


class Equaliser:
    """Change variables, x = A u, so that the transform responds to all frequencies more alike.

    A is a filter with zero phase and the response gain(f)^(-1/4), where gain is the power that
    the transform passes at f: exact for a `Scalogram` (from its W*W), estimated by
    `spectral_gain` for any other transform. Gradient descent in u is gradient descent in x
    preconditioned by A^2 = gain^(-1/2), half way (in dB) between none and full whitening. Full
    whitening loses too much if one band holds nearly all of the target: on kymatio's scattering
    of a slow cosine, 80 iterations of L-BFGS end at -43 dB without whitening, at -40 dB with half
    of it, and at -27 dB with all of it.

    Parameters
    ----------
    objective : Objective
    x : real Tensor, shape (..., n_samples)
        The signal at which the gain is estimated.
    """

    def __init__(self, objective: Objective, x: torch.Tensor) -> None:
        gain = getattr(objective.transform, "gain", None)
        if not isinstance(gain, torch.Tensor) or gain.shape != (x.shape[-1] // 2 + 1,):
            gain = spectral_gain(objective.outputs, x)
            objective.evaluations += PROBES
        highest = float(gain.max())
        flat = torch.ones_like(gain)
        self.response = (
            (gain / highest).clamp_min(GAIN_FLOOR) ** (-0.5 * WHITENING) if highest > 0 else flat
        )

    def to_signal(self, u: torch.Tensor) -> torch.Tensor:
        """Compute A u, which is also A^T u and so turns gradients in x into gradients in u."""
        return self._multiply(u, self.response)

    def from_signal(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the u with A u = x."""
        return self._multiply(x, 1 / self.response)

    def _multiply(self, x: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        """Filter x by a response over the DFT bins."""
        return torch.fft.irfft(torch.fft.rfft(x) * response, n=x.shape[-1])


def spectral_gain(
    transform: Callable[..., Any], x: ArrayLike, *, n_probes: int = PROBES, seed: int = 0
) -> torch.Tensor:
    """Estimate the power that a transform passes at each frequency, near x.

    It is the diagonal of J^T J over frequency, J the Jacobian at x, estimated by the mean power
    spectrum of J^T n over white noises n (a stochastic estimate of a diagonal: Bekas, Kokiopoulou
    and Saad 2007, doi:10.1016/j.apnum.2007.01.003, not re-read for this), averaged over about
    0.3 octaves around each frequency.

    Parameters
    ----------
    transform : callable, Scalogram or kymatio Scattering1D
    x : real array, shape (..., n_samples)
        The signal at which the Jacobian is taken.
    n_probes : int
        The number of noises; each costs one backward pass.
    seed : int
        Seed of the noises.

    Returns
    -------
    Tensor, shape (n_samples // 2 + 1,)
        It is zero if x is a signal at which the transform has no gradient, such as silence.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils.course import signals
    >>> lowpass = lambda x: torch.fft.irfft(torch.fft.rfft(x) * (torch.arange(65) < 20), n=128)
    >>> gain = spectral_gain(lowpass, signals.white_noise(128))
    >>> bool(gain[:15].min() > 1e3 * gain[30:].max())
    True
    """
    analyse = _analysis(transform)
    x = _like_own(transform, check_signal(x).detach()).clone().requires_grad_()
    output, generator = analyse(x), torch.Generator().manual_seed(seed)
    power = x.new_zeros(x.shape[-1] // 2 + 1)
    for _ in range(check_count(n_probes, "n_probes")):
        probes = [
            torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o) for o in output
        ]
        (v,) = torch.autograd.grad(output, x, grad_outputs=probes, retain_graph=True)
        power = power + torch.fft.rfft(v).abs().square().reshape(-1, v.shape[-1] // 2 + 1).mean(0)
    return _smoothed(power / n_probes).nan_to_num(0.0, 0.0, 0.0)


def _smoothed(power: torch.Tensor, relative: float = 0.1) -> torch.Tensor:
    """Average over the bins k - h to k + h, h = relative k + 2."""
    total = torch.cat([power.new_zeros(1), power.cumsum(0)])
    k = torch.arange(len(power), device=power.device)
    h = (relative * k).long() + 2
    low, high = (k - h).clamp_min(0), (k + h + 1).clamp_max(len(power))
    return (total[high] - total[low]) / (high - low)


def griffin_lim_step(
    transform: Callable[..., Any], x: ArrayLike, *, n_power: int = POWER_ITERATIONS
) -> float:
    """Find the learning rate at which plain descent on the "l2" loss is a Griffin-Lim step.

    Gradient descent on sum |S(x) - S|^2 with lr = 1/(2B), B the largest eigenvalue of J^T J
    (the upper frame bound of a wavelet transform), is the Griffin-Lim update of a tight frame.
    B is found by `n_power` power iterations at x, J v by a finite difference.

    Parameters
    ----------
    transform : Scalogram, kymatio Scattering1D, or any differentiable callable
    x : real array, shape (..., n_samples)
        The signal at which the Jacobian J is taken.
    n_power : int
        The number of power iterations.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If input is bad, or the gradient vanishes at x: at silence a modulus has none.

    Examples
    --------
    >>> from scalinv_utils.course import signals
    >>> round(griffin_lim_step(lambda x: 3 * x, signals.white_noise(128)), 4)  # 1 / (2 * 3^2)
    0.0556
    """
    analyse, x = _analysis(transform), _like_own(transform, check_signal(x).detach())
    v = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0)).to(x)
    h = (1e-3 if x.dtype == torch.float32 else 1e-6) * (float(_levels.norm(x)) or 1.0)
    for _ in range(check_count(n_power, "n_power")):
        v = v / v.norm()
        x0 = x.clone().requires_grad_()
        out = analyse(x0)
        with torch.no_grad():
            jv = [(b - a) / h for a, b in zip(out, analyse(x + h * v))]
        (v,) = torch.autograd.grad(out, x0, grad_outputs=jv)
        if not (v.any() and torch.isfinite(v).all()):
            raise ValueError(
                "x must be a signal where the transform has a gradient, got one "
                "where it is zero or not finite, as at silence; start elsewhere or "
                "choose lr"
            )
    return 0.5 / float(v.norm())


def _transform_samples(transform: Any) -> int | None:
    """Find the signal length that a Scalogram or a kymatio Scattering1D was made for, or None."""
    if hasattr(transform, "n_samples"):
        return transform.n_samples
    shape = getattr(transform, "shape", None)
    return shape if isinstance(shape, int) else (shape[-1] if shape else None)


def _analysis(transform: Callable[..., Any]) -> Analysis:
    """Turn the transform into a function from a signal to a list of real tensors."""
    if isinstance(transform, Scalogram):  # without the checks of `magnitude`
        return lambda x: [transform.modulus(transform.coefficients(x))]
    wanted = "a Scalogram, a Scattering1D or a function of a signal"
    if isinstance(transform, type):
        raise TypeError(f"transform must be {wanted}, got the class {transform.__name__}")
    function = check_callable(getattr(transform, "magnitude", transform), "transform", wanted)

    def analyse(x: torch.Tensor) -> list[torch.Tensor]:
        output = _as_list(function(x))
        for part in output:
            if not isinstance(part, torch.Tensor):
                raise TypeError(f"transform must return Tensors, got {type(part).__name__}")
        return output

    return analyse


def _as_list(output: Any) -> list[Any]:
    """Flatten a tensor, or kymatio's list of dicts, or any list or dict of those, into a list."""
    if isinstance(output, dict):
        output = [output["coef"]] if "coef" in output else list(output.values())
    if isinstance(output, (list, tuple)):
        return [tensor for part in output for tensor in _as_list(part)]
    return [output]


def _check_target(target: Any, transform: Any) -> list[torch.Tensor]:
    """Check the target, and return it as a flat list of tensors."""
    if hasattr(transform, "check_scalogram"):
        return [detached(transform.check_scalogram(target, "target"), "target", WHERE)]
    parts = _as_list(target)
    if not parts:
        raise ValueError(f"target must hold at least one tensor, got {target!r}")
    checked = [detached(check_numbers(part, "target"), "target", WHERE) for part in parts]
    return [_like_own(transform, part) for part in checked]


def _like_own(transform: Any, tensor: torch.Tensor) -> torch.Tensor:
    """Convert a tensor to the dtype and device of the transform's own tensors, if it has any."""
    if isinstance(transform, Scalogram):
        return transform.check_signal(tensor)
    if not isinstance(transform, torch.nn.Module):
        return tensor
    own = chain(transform.parameters(), transform.buffers())
    return tensor.to(next((t for t in own if t.is_floating_point()), tensor))


def _require_scalar(loss: Any) -> None:
    """Refuse a loss that is no differentiable scalar."""
    if not (isinstance(loss, torch.Tensor) and loss.ndim == 0 and loss.requires_grad):
        got = f"shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else repr(loss)
        raise TypeError(f"loss must return a Tensor of shape () made from output, got {got}")


def _brief(shapes: Sequence[tuple[int, ...]]) -> str:
    """List at most three shapes."""
    return ", ".join(map(str, shapes[:3])) + (f" and {len(shapes) - 3} more" * (len(shapes) > 3))


def _norm(tensors: Sequence[torch.Tensor]) -> float:
    """Compute the norm of all tensors together."""
    return float(torch.linalg.vector_norm(torch.stack([t.detach().norm() for t in tensors])))
