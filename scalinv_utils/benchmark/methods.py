"""Define the contestants: this project's methods, the published recipe, and the peers.

Each contestant is a function of (problem, seed) that returns an `Answer`. Most see nothing but the
scalogram `problem.S`. Contestants marked `own` analyse the signal by a transform of their own
library and recover it from the modulus of that transform: they compare with the whole way from
signal to signal, not with one step of it. Contestants marked `cheats` know the true phase: no
recovery by that library could come closer to the signal.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import ArrayLike

from .. import metrics
from .._compiled import ssqueezepy
from ..recovery._dense_start import phase_gradient
from ..recovery._gradient_descent import invert_gradient
from ..recovery._griffin_lim import RULES, griffin_lim, random_angles
from ..recovery._phase_equation import solve_phase_equation
from ..recovery._pipeline import recover
from ..transforms._painless import Painless
from ..transforms.decimated import Decimated
from ..transforms.scalogram import Scalogram
from .ltfat import is_installed, recovered_by_ltfat

__all__ = ["CONTESTANTS", "Answer", "Contestant", "CountedScalogram", "Problem", "available"]

# As many iterations, and so many that no method of the tracks takes more time.
ITERATIONS, MANY = 100, 1000

# ssqueezepy has no type stubs, and the types inferred from its default values are wrong.
cwt: Callable[..., Any] = ssqueezepy.cwt
icwt: Callable[..., Any] = ssqueezepy.icwt

# 32 iterations are librosa's default. At a hop of 4 a constant-Q transform still loses nothing.
LIBROSA_ITERATIONS, CQT_HOP = 32, 4


class CountedScalogram(Scalogram):
    """A Scalogram that counts how often it is computed: analyses, syntheses, backward passes.

    Attributes
    ----------
    evaluations : int
        The count so far. It may be set back to 0.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils.benchmark.methods import CountedScalogram
    >>> W = CountedScalogram(128)
    >>> y = W.inverse(W(torch.ones(128)))
    >>> W.evaluations
    2
    """

    evaluations: int = 0

    def coefficients(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute W x and count it; its backward pass is counted when it runs."""
        self.evaluations += 1
        c = super().coefficients(x, out)
        if c.requires_grad:
            c.register_hook(self._count)
        return c

    def adjoint(self, c: ArrayLike) -> torch.Tensor:
        """Compute W* c and count it."""
        self.evaluations += 1
        return super().adjoint(c)

    @property
    def painless(self) -> "CountedPainless":
        """The transform at its lowest rates, which is counted as the whole one is."""
        return CountedPainless(super().painless, self)

    def _count(self, gradient: torch.Tensor) -> None:
        """Count a backward pass."""
        self.evaluations += 1


class CountedPainless:
    """A `Painless` that counts its calls with those of a `CountedScalogram`."""

    def __init__(self, fewer: Painless, W: CountedScalogram) -> None:
        self.fewer, self.W = fewer, W

    def __getattr__(self, name: str) -> Any:
        """Count an analysis or a synthesis as one, a step of Griffin-Lim as both."""
        self.W.evaluations += {"coefficients": 1, "adjoint": 1, "refit": 2}.get(name, 0)
        return getattr(self.fewer, name)


@dataclass
class Problem:
    """A scalogram to invert. Methods see S and W; only scores and peers see the signal x.

    Attributes
    ----------
    x : real Tensor, shape (n_samples,)
        The signal, in the band of W.
    S : real Tensor, shape (n_freqs, n_samples), or Measured
        Its scalogram, with or without noise, or what is known of it.
    W : Scalogram
        The transform that S belongs to. The count of a `CountedScalogram` is reported.
    leaves_open : "rotation", "sign" or "all"
        The part of the phase that the scalogram leaves open; "all" where no signal has it.
    snr_db : float, optional
        Level of the noise that was put on S, for its bound.
    """

    x: torch.Tensor
    S: Any
    W: Scalogram
    leaves_open: Literal["rotation", "sign", "all"] = "rotation"
    snr_db: float | None = None


@dataclass
class Answer:
    """The signal that a contestant recovered.

    A contestant with a transform of its own also says how often it computed that transform and
    how well the answer fits in it, which W cannot know.

    Attributes
    ----------
    signal : real Tensor, shape (n_samples,)
    evaluations : int, optional
        How often the contestant's own transform was computed. By default the count of W holds.
    consistency_db : float, optional
        The fit in the contestant's own transform. By default the fit to the scalogram S holds.
    seconds : float, optional
        The processor time of a contestant that works in a process of its own.
    """

    signal: torch.Tensor
    evaluations: int | None = None
    consistency_db: float | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Contestant:
    """A method and the facts about it that the benchmark needs.

    Attributes
    ----------
    solve : callable
        ``solve(problem, seed) -> Answer``
    seeded : bool
        Whether the answer depends on the seed. A method whose answer does not runs once.
    own : str, optional
        The transform of its own that it inverts, in words. With None it inverts the given
        scalogram.
    cheats : bool
        Whether it knows the true phase.
    needs : str, optional
        The package or programs that it needs beyond the course's own dependencies.
    is_there : callable, optional
        Tells whether that is installed. Default: whether there is a package of this name.
    any_device : bool
        Whether it computes on the device of W, all but paths through the plane. The others compute
        on the CPU.
    variant : bool
        Whether it is another contestant on other data. A variant is in the tables but in no
        ranking.
    only_tracks : bool
        Whether it takes part in tracks only.
    """

    solve: Callable[..., Answer]
    seeded: bool = True
    own: str | None = None
    cheats: bool = False
    needs: str | None = None
    is_there: Callable[[], bool] | None = None
    any_device: bool = False
    variant: bool = False
    only_tracks: bool = False


def available(name: str) -> bool:
    """Return whether what a contestant needs is installed.

    Examples
    --------
    >>> from scalinv_utils.benchmark.methods import available
    >>> available("recover")
    True
    """
    who = CONTESTANTS[name]
    if who.is_there is not None:
        return who.is_there()
    return who.needs is None or importlib.util.find_spec(who.needs) is not None


# --- Phases that need no computing ----------------------------------------------------------------


def zero_phase(problem: Problem, seed: int) -> Answer:
    """Invert the scalogram with every phase set to zero."""
    return Answer(problem.W.inverse(problem.S))


def random_phase(problem: Problem, seed: int) -> Answer:
    """Invert the scalogram with independent, uniformly random phases."""
    angles = random_angles(problem.S, seed).to(problem.S.device)
    return Answer(problem.W.inverse(torch.polar(problem.S.double(), angles)))


# --- This project's methods ---------------------------------------------------------------------


def alternating(rule: str, long: bool = False) -> Callable[[Problem, int], Answer]:
    """Make a contestant of alternating projections by one of the rules of `griffin_lim`."""

    def solve(problem: Problem, seed: int) -> Answer:
        n_iter = MANY if long else ITERATIONS
        return Answer(griffin_lim(problem.S, problem.W, n_iter=n_iter, rule=rule, seed=seed).signal)

    return solve


def descent(optimizer: str, long: bool = False) -> Callable[[Problem, int], Answer]:
    """Make a contestant of gradient descent on the scalogram from noise."""

    def solve(problem: Problem, seed: int) -> Answer:
        options: dict[str, Any] = {"optimizer": optimizer, "n_iter": MANY if long else ITERATIONS}
        return Answer(invert_gradient(problem.S, problem.W, seed=seed, **options).signal)

    return solve


def whitened_lbfgs(problem: Problem, seed: int) -> Answer:
    """Run L-BFGS from noise in variables in which W is a tight frame."""
    W = problem.W
    run = invert_gradient(
        problem.S,
        lambda u: W.magnitude(W.whiten(u)),
        n_iter=ITERATIONS,
        n_samples=W.n_samples,
        seed=seed,
    )
    return Answer(W.whiten(run.signal))


def heap(problem: Problem, seed: int) -> Answer:
    """Integrate the phase gradient along the heap's paths, without corrections."""
    return Answer(phase_gradient(problem.S, problem.W, n_iter=0, seed=seed).signal)


def corrected_heap(problem: Problem, seed: int) -> Answer:
    """Integrate the phase gradient along the heap's paths and correct the result."""
    return Answer(phase_gradient(problem.S, problem.W, seed=seed).signal)


def phase_equation(problem: Problem, seed: int) -> Answer:
    """Solve the phase equation."""
    return Answer(solve_phase_equation(problem.S, problem.W, seed=seed).signal)


def best_pipeline(problem: Problem, seed: int) -> Answer:
    """Run `recover` with its defaults."""
    return Answer(recover(problem.S, problem.W, seed=seed, progress=False).signal)


def best_pipeline_decimated(problem: Problem, seed: int) -> Answer:
    """Run `recover` on the columns of each row that `Decimated` keeps, without the others."""
    W, decimated = cast(CountedScalogram, problem.W), Decimated(problem.W)
    parts = decimated.keep(problem.S)
    y = recover(decimated.complete(parts), W, seed=seed, progress=False).signal
    flat = [
        torch.cat([part.flatten() for part in kept]) for kept in (decimated.magnitude(y), parts)
    ]
    return Answer(y, W.evaluations, float(metrics.misfit_db(*flat)))


# --- LTFAT ----------------------------------------------------------------------------------------


def ltfat(problem: Problem, seed: int) -> Answer:
    """Run LTFAT's integration of the phase and 500 steps of fast Griffin-Lim, in Octave."""
    y, seconds = recovered_by_ltfat(problem.S, problem.W, seed)
    return Answer(y, seconds=seconds)


# --- Published descents on kymatio --------------------------------------------------------------


def published_sgd(problem: Problem, seed: int) -> Answer:
    """Run the script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021).

    It inverts kymatio's scalogram by 100 iterations of Nesterov SGD at lr 500 on the mean of
    squares. Half-way the loss becomes the mean of moduli, and lr is halved there and at every
    fifth iteration after.
    """
    analyse, peak = _unaveraged(problem.W.n_samples), problem.x.abs().max()
    target = analyse(problem.x / peak)
    divisor, noise = target.max(), _noise(problem.x, seed)
    y = (noise / noise.abs().max()).requires_grad_()
    optimizer = torch.optim.SGD([y], lr=500, momentum=0.9, nesterov=True)
    for k in range(ITERATIONS):
        if k > ITERATIONS // 2 and k % 5 == 1:
            optimizer.param_groups[0]["lr"] /= 2
        optimizer.zero_grad()
        off = (analyse(y) - target) / divisor
        (off.square() if k < ITERATIONS // 2 else off.abs()).mean().backward()
        optimizer.step()
    return _own_answer(peak * y.detach(), analyse, peak * target, 2 * ITERATIONS)


def kymatio_descent(
    problem: Problem,
    seed: int,
    n_iter: int = 200,
    lr: float = 100.0,
    faster: float = 1.1,
    slower: float = 0.55,
) -> Answer:
    """Run the descent of kymatio's example reconstruct_torch.py.

    It inverts two averaged orders with the bold driver and the settings of the example (J=6, Q=16,
    lr 100, 200 iterations). A step that raises the loss is taken back. The example then goes on
    with the gradient of the rejected point; this function does not.
    """
    from kymatio.torch import Scattering1D

    analyse, peak = Scattering1D(J=6, shape=problem.W.n_samples, Q=16), problem.x.abs().max()
    target = analyse((problem.x / peak).float())
    y: torch.Tensor = _noise(problem.x, seed).float()
    accepted, gradient, best = y, torch.zeros_like(y), math.inf
    for _ in range(n_iter):
        y.requires_grad_()
        loss = (analyse(y) - target).norm()
        if loss < best:
            accepted, best = y.detach(), loss.item()
            (gradient,) = torch.autograd.grad(loss, y)
            lr *= faster
        else:
            lr *= slower
        y = accepted - lr * gradient
    return _own_answer(
        peak * accepted.double(), lambda y: analyse(y.float()), peak * target, 2 * n_iter
    )


def _unaveraged(n_samples: int) -> Callable[[torch.Tensor], torch.Tensor]:
    """Make kymatio's first order at the full rate, not averaged: shape (n_paths, n_samples).

    Order 0 is left out; without averaging it would be the signal itself.
    """
    from kymatio.torch import Scattering1D

    bank = Scattering1D(
        J=6, shape=n_samples, Q=8, T=0, max_order=1, oversampling=6, out_type="list"
    ).double()
    return lambda y: torch.stack([path["coef"] for path in bank(y)[1:]])


def _noise(x: torch.Tensor, seed: int) -> torch.Tensor:
    """Draw white Gaussian noise of the shape and type of x."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(x.shape, dtype=x.dtype, generator=generator)


def _own_answer(
    y: torch.Tensor,
    analyse: Callable[[torch.Tensor], torch.Tensor],
    target: torch.Tensor,
    evaluations: int,
) -> Answer:
    """Make an Answer whose fit is measured in the contestant's own transform."""
    with torch.no_grad():
        return Answer(y, evaluations, float(metrics.misfit_db(analyse(y), target)))


# --- librosa ------------------------------------------------------------------------------------


def _librosa() -> Any:
    """Import librosa, which need not be installed."""
    import librosa  # pyright: ignore[reportMissingImports]  # It is optional.

    return librosa


def librosa_stft(problem: Problem, seed: int) -> Answer:
    """Run ``librosa.griffinlim`` on an STFT with as many values per sample as the scalogram."""
    librosa = _librosa()
    x, n_fft = problem.x.numpy(), 2 * (problem.W.n_freqs - 1)

    def analyse(y: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.abs(librosa.stft(y.numpy(), n_fft=n_fft, hop_length=1)))

    target = analyse(problem.x)
    y = librosa.griffinlim(
        target.numpy(),
        n_iter=LIBROSA_ITERATIONS,
        hop_length=1,
        n_fft=n_fft,
        momentum=0.99,
        random_state=seed,
        length=len(x),
    )
    return _own_answer(torch.from_numpy(y).double(), analyse, target, 2 * LIBROSA_ITERATIONS + 1)


def librosa_cqt(problem: Problem, seed: int) -> Answer:
    """Run ``librosa.griffinlim_cqt`` on the constant-Q transform that librosa inverts best.

    This transform has 12 bins per octave and librosa's own filters. With the rows and the
    bandwidth of the scalogram, ``librosa.icqt`` inverts not even true coefficients.
    """
    librosa = _librosa()
    analyse, settings = _cqt(problem.W)
    target = analyse(problem.x).abs()
    y = librosa.griffinlim_cqt(
        target.numpy(),
        n_iter=LIBROSA_ITERATIONS,
        momentum=0.99,
        random_state=seed,
        length=len(problem.x),
        **settings,
    )
    return _own_answer(
        torch.from_numpy(y).double(), lambda y: analyse(y).abs(), target, 2 * LIBROSA_ITERATIONS + 1
    )


def librosa_inverse(problem: Problem, seed: int) -> Answer:
    """Apply ``librosa.icqt`` to the complex ``librosa.cqt``, which bounds `librosa_cqt`."""
    librosa = _librosa()
    analyse, settings = _cqt(problem.W)
    c = analyse(problem.x)
    y = librosa.icqt(c.numpy(), length=len(problem.x), **settings)
    return _own_answer(torch.from_numpy(y).double(), lambda y: analyse(y).abs(), c.abs(), 2)


def _cqt(
    W: Scalogram, bins_per_octave: int = 12
) -> tuple[Callable[[torch.Tensor], torch.Tensor], dict[str, Any]]:
    """Make librosa's constant-Q transform over the band of W, and the settings of its inverse.

    It begins at the lowest frequency whose filter, Q periods long, fits into the signal.
    """
    librosa = _librosa()
    Q = 1 / (2 ** (1 / bins_per_octave) - 1)
    fmin = Q * W.sample_rate / W.n_samples
    n_bins = int(bins_per_octave * math.log2(0.45 * W.sample_rate / fmin))
    settings = dict(
        sr=W.sample_rate, hop_length=CQT_HOP, fmin=fmin, bins_per_octave=bins_per_octave
    )
    return lambda y: torch.from_numpy(librosa.cqt(y.numpy(), n_bins=n_bins, **settings)), settings


# --- ssqueezepy ---------------------------------------------------------------------------------


def ssqueezepy_inverse(problem: Problem, seed: int) -> Answer:
    """Apply ``ssqueezepy.icwt`` to the complex ``ssqueezepy.cwt``: the limit of its inverse."""
    wavelet = problem.W.ssqueezepy_wavelet()

    def analyse(y: torch.Tensor) -> torch.Tensor:
        c, _ = cwt(y.numpy(), wavelet, nv=problem.W.voices_per_octave)
        return torch.from_numpy(np.abs(c))

    c, scales = cwt(problem.x.numpy(), wavelet, nv=problem.W.voices_per_octave)
    y = icwt(c, wavelet, scales, nv=problem.W.voices_per_octave)
    return _own_answer(
        torch.from_numpy(np.ascontiguousarray(y)).double(), analyse, torch.from_numpy(np.abs(c)), 2
    )


GRIFFIN_LIM_NAMES = {
    "gl": "Griffin-Lim",
    "fast": "fast Griffin-Lim",
    "accelerated": "accelerated Griffin-Lim",
    "admm": "ADMM",
    "raar": "RAAR",
}

#: The keys are the names that tables and plots show. recover() comes first.
CONTESTANTS: dict[str, Contestant] = {
    "recover": Contestant(best_pipeline, any_device=True),
    "phase equation": Contestant(phase_equation),
    "heap, corrected": Contestant(corrected_heap, any_device=True),
    "heap": Contestant(heap, any_device=True),
    "L-BFGS": Contestant(descent("lbfgs"), any_device=True),
    "L-BFGS, whitened": Contestant(whitened_lbfgs, any_device=True),
    "SGD": Contestant(descent("sgd"), any_device=True),
    "Adam": Contestant(descent("adam"), any_device=True),
    **{GRIFFIN_LIM_NAMES[rule]: Contestant(alternating(rule), any_device=True) for rule in RULES},
    "zero phase": Contestant(zero_phase, seeded=False, any_device=True),
    "random phase": Contestant(random_phase, any_device=True),
    "recover, decimated": Contestant(
        best_pipeline_decimated, variant=True, own="of each row the columns that determine it"
    ),
    "published SGD": Contestant(published_sgd, own="kymatio, order 1, J=6, Q=8, not averaged"),
    "kymatio descent": Contestant(kymatio_descent, own="kymatio, two orders, J=6, Q=16, averaged"),
    "librosa STFT": Contestant(librosa_stft, own="librosa.stft, hop 1", needs="librosa"),
    "librosa CQT": Contestant(librosa_cqt, own="librosa.cqt, hop 4", needs="librosa"),
    "librosa CQT, true phase": Contestant(
        librosa_inverse, seeded=False, cheats=True, own="librosa.cqt, hop 4", needs="librosa"
    ),
    "ssqueezepy, true phase": Contestant(
        ssqueezepy_inverse, seeded=False, cheats=True, own="ssqueezepy.cwt"
    ),
    f"L-BFGS, {MANY}": Contestant(descent("lbfgs", long=True), any_device=True, only_tracks=True),
    f"fast Griffin-Lim, {MANY}": Contestant(
        alternating("fast", long=True), any_device=True, only_tracks=True
    ),
    "LTFAT": Contestant(ltfat, needs="LTFAT and Octave", is_there=is_installed, only_tracks=True),
}
