"""What a descent needs to know of target, transform and loss, whichever optimiser runs it.

`Objective` evaluates; `Equaliser` changes variables so that frequencies are felt more alike;
`griffin_lim_step` gives learning rates their unit.
"""

from itertools import chain

import numpy as np
import torch

from .._validation import check_callable, check_count, check_signal
from ..metrics import decibels
from ._errors import DivergenceError
from ._phase_gradient import phase_gradient
from .losses import LOSSES, resolve

__all__ = ["Equaliser", "Objective", "griffin_lim_step", "spectral_gain"]

# Starts are a random stream of their own: where the unknown signal is itself noise made with
# seed 0, seed 0 must not start at the solution.
START_STREAM = 1
NAMED_STARTS = ("noise", "coloured", "phase_gradient")

# The power gain of the transform is taken to be at least this share of its maximum.
GAIN_FLOOR = 1e-2

# How much of the whitening: 0 is none, 1 is all of it.
WHITENING = 0.5

PROBES = 8
POWER_ITERATIONS = 12


class Objective:
    """The target, the transform and the loss; what any optimiser needs to know of them."""

    def __init__(self, target, transform, loss):
        self.transform = transform
        self.analyse = _analysis(transform)
        self.target = _check_target(target, transform)
        self.loss = resolve(loss)
        self.evaluations = 0
        self.norm = _norm(self.target)
        self.silent = self.norm == 0

    def __call__(self, x):
        """(loss, consistency in dB) at x."""
        if not torch.isfinite(x).all():
            raise DivergenceError
        self.evaluations += 1
        output = self.analyse(x)
        loss = self.loss(output, self.target)
        if not torch.isfinite(loss):
            raise DivergenceError
        with torch.no_grad():
            residual = _norm([o - t for o, t in zip(output, self.target)])
        return loss, decibels(residual / self.norm)

    def value_and_gradient(self, x):
        """Evaluate (loss, gradient, consistency in dB) at x; the loss is a float."""
        x = x.detach().clone().requires_grad_()
        loss, consistency_db = self(x)
        (gradient,) = torch.autograd.grad(loss, x)
        return loss.item(), gradient, consistency_db

    def gradient(self, x, loss=None):
        """The gradient of the loss (or of another one) at x."""
        x = x.detach().clone().requires_grad_()
        self.evaluations += 1
        (gradient,) = torch.autograd.grad((loss or self.loss)(self.analyse(x), self.target), x)
        return gradient

    def advance(self, iteration, consistency_db):
        """Tell a loss that changes on the way how far the descent is; whether it has changed."""
        return hasattr(self.loss, "advance") and self.loss.advance(iteration, consistency_db)

    def lr_unit(self, x):
        """The lr that moves x as far as one Griffin-Lim step does, whatever the loss.

        For "l2" it is `griffin_lim_step`; for any other loss that times the ratio of the lengths
        of the two gradients at x.
        """
        unit = self._griffin_lim_step(x)
        loss = getattr(self.loss, "loss", self.loss)  # of `CoarseToFine` what it takes of the rows
        if loss is LOSSES["mse"]:
            return unit * sum(t.numel() for t in self.target)
        if loss is LOSSES["l2"]:
            return unit
        other = float(self.gradient(x).norm())
        if other == 0 or not np.isfinite(other):
            return unit
        return unit * float(self.gradient(x, LOSSES["l2"]).norm()) / other

    def _griffin_lim_step(self, x):
        """Exact where the frame bounds are known, else measured."""
        if hasattr(self.transform, "frame_bounds") and x.any():  # at silence: no gradient
            return 1 / (2 * self.transform.frame_bounds[1])
        self.evaluations += 2 * POWER_ITERATIONS
        return griffin_lim_step(self.analyse, x)

    # -- where to start --------------------------------------------------------------------------

    def noise(self, n_samples, seed):
        """White noise whose transform has the norm of the target."""
        shape = n_samples if isinstance(n_samples, tuple) else (n_samples,)
        shape = [check_count(n, "n_samples") for n in shape]
        generator = np.random.default_rng([check_count(seed, "seed", 0), START_STREAM])
        x = torch.from_numpy(generator.standard_normal(shape)).to(self.target[0])
        # What no filter sees no descent can change: noise out of the band would stay for ever.
        x = self.transform.project(x) if hasattr(self.transform, "project") else x
        return self._at_level(x)

    def coloured(self, n_samples, seed):
        """Noise shaped by the target in frequency and in time: J^T S, J the Jacobian at noise.

        One backward pass. For a scalogram it is W* (S c/|c|): the given moduli with the phases
        of noise.
        """
        x = self.noise(n_samples, seed).requires_grad_()
        (shaped,) = torch.autograd.grad(self.analyse(x), x, grad_outputs=self.target)
        self.evaluations += 1
        return self._at_level(shaped)

    def phase_gradient(self, n_samples, seed):
        """The phase that the modulus implies; only a `Scalogram` has the formula."""
        if not hasattr(self.transform, "impose"):
            raise ValueError(
                f"init must be 'noise', 'coloured' or a signal for a transform that "
                f"is no Scalogram, got 'phase_gradient' for "
                f"{type(self.transform).__name__}"
            )
        return phase_gradient(self.target[0], self.transform, seed=seed).signal.to(self.target[0])

    def _at_level(self, x):
        with torch.no_grad():
            return x * (self.norm / (_norm(self.analyse(x)) or 1.0))

    def start(self, init, n_samples, seed):
        """Where the descent begins; the transform must give there what the target has."""
        named = init is None or isinstance(init, str) and init in NAMED_STARTS
        x = (
            getattr(self, init or "noise")(self._shape(n_samples), seed)
            if named
            else self._given(init)
        )
        output = self.analyse(x.requires_grad_())
        self._require_fit(output, x)
        _require_scalar(self.loss(output, self.target))
        return x.detach()

    def _given(self, init):
        x = check_signal(init, name="init").detach().to(self.target[0])
        known = _transform_samples(self.transform)
        if known and x.shape[-1] != known:
            raise ValueError(
                f"init must have {known} samples, as the transform takes, "
                f"got shape {tuple(x.shape)}"
            )
        return torch.zeros_like(x) if self.silent else x.clone()

    def _shape(self, n_samples):
        """Of the default start. Who knows the signal's length also knows the target's batch."""
        known = _transform_samples(self.transform)
        if known is None and n_samples is None:
            raise ValueError(
                "n_samples must be given: neither init nor transform tells the length, got None"
            )
        if known is None:
            return n_samples
        if n_samples not in (None, known):
            raise ValueError(
                f"n_samples must be {known}, as the transform takes, got {n_samples!r}"
            )
        return (*self.target[0].shape[: -2 if len(self.target) == 1 else -1], known)

    def _require_fit(self, output, x):
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
        if self.silent and _norm(output):
            raise ValueError(
                "target must not be all zero: this transform does not map silence "
                "to zero, and errors are relative to the target's norm"
            )


class Equaliser:
    """A change of variables x = A u in which the transform feels the frequencies more alike.

    A is a filter with zero phase and the response gain(f)^(-1/4), where gain is the power that
    the transform passes at f: exact for a `Scalogram` (from its W*W), estimated by
    `spectral_gain` for any other transform. Gradient descent in u is gradient descent in x
    preconditioned by A^2 = gain^(-1/2), half way (in dB) between none and full whitening. Full
    whitening gives away too much where one band holds nearly all of the target: on kymatio's
    scattering of a slow cosine, 80 iterations of L-BFGS end at -43 dB without, at -40 dB with
    half of it, and at -27 dB with all of it.

    Parameters
    ----------
    objective : Objective
    x : real Tensor, shape (..., n_samples)
        Where the gain is estimated.
    """

    def __init__(self, objective, x):
        gain = getattr(objective.transform, "gain", None)
        if not isinstance(gain, torch.Tensor) or gain.shape != (x.shape[-1] // 2 + 1,):
            gain = spectral_gain(objective.analyse, x)
            objective.evaluations += PROBES
        highest = float(gain.max())
        flat = torch.ones_like(gain)
        self.response = (
            (gain / highest).clamp_min(GAIN_FLOOR) ** (-0.5 * WHITENING) if highest > 0 else flat
        )

    def to_signal(self, u):
        """A u, which is also A^T u: for gradients."""
        return self._multiply(u, self.response)

    def from_signal(self, x):
        return self._multiply(x, 1 / self.response)

    def _multiply(self, x, response):
        return torch.fft.irfft(torch.fft.rfft(x) * response, n=x.shape[-1])


def spectral_gain(transform, x, *, n_probes=PROBES, seed=0):
    """How much power a transform passes at each frequency, near x: the diagonal of J^T J.

    The mean power spectrum of J^T n over white noises n (a stochastic estimate of a diagonal:
    Bekas, Kokiopoulou and Saad 2007, doi:10.1016/j.apnum.2007.01.003, not re-read for this),
    averaged over a twentieth of an octave or so around each frequency.

    Parameters
    ----------
    transform : callable, Scalogram or kymatio Scattering1D
    x : real array, shape (..., n_samples)
    n_probes : int
        One backward pass each.
    seed : int

    Returns
    -------
    Tensor, shape (n_samples // 2 + 1,)
        Zero where x is a signal at which the transform has no gradient, such as silence.
    """
    analyse = _analysis(transform)
    x = _like_own(transform, check_signal(x).detach()).clone().requires_grad_()
    output, generator, power = analyse(x), torch.Generator().manual_seed(seed), 0.0
    for _ in range(check_count(n_probes, "n_probes")):
        probes = [
            torch.randn(o.shape, generator=generator, dtype=torch.float64).to(o) for o in output
        ]
        (v,) = torch.autograd.grad(output, x, grad_outputs=probes, retain_graph=True)
        power = power + torch.fft.rfft(v).abs().square().reshape(-1, v.shape[-1] // 2 + 1).mean(0)
    return _smoothed(power / n_probes).nan_to_num(0.0, 0.0, 0.0)


def _smoothed(power, relative=0.1):
    """The mean over the bins k - h to k + h, h = relative k + 2."""
    total = torch.cat([power.new_zeros(1), power.cumsum(0)])
    k = torch.arange(len(power), device=power.device)
    h = (relative * k).long() + 2
    low, high = (k - h).clamp_min(0), (k + h + 1).clamp_max(len(power))
    return (total[high] - total[low]) / (high - low)


def griffin_lim_step(transform, x, *, n_power=POWER_ITERATIONS):
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
            raise ValueError(
                "x must be a signal where the transform has a gradient, got one "
                "where it is zero or not finite, as at silence; start elsewhere or "
                "choose lr"
            )
    return 0.5 / float(v.norm())


def _transform_samples(transform):
    """The signal length a Scalogram or a kymatio Scattering1D was made for, or None."""
    if hasattr(transform, "n_samples"):
        return transform.n_samples
    shape = getattr(transform, "shape", None)
    return shape if isinstance(shape, int) else (shape[-1] if shape else None)


def _analysis(transform):
    """The transform as a function from a signal to a list of real tensors."""
    function = check_callable(
        getattr(transform, "magnitude", transform),
        "transform",
        "a Scalogram, a Scattering1D or a function of a signal",
    )

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
