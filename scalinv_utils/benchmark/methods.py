"""Who takes part in the benchmark: this project's methods, the published recipe, and the peers.

Each contestant is a function of (problem, seed) that returns an `Answer`. Most see nothing but the
scalogram `problem.S`. Those marked `own` analyse the signal by a transform of their own library and
recover it from the modulus of that: they are peers of the whole way, not of one step. Those marked
`cheats` know the true phase: what they miss, no recovery by that library could find.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from .. import metrics
from ..recovery._gradient_descent import invert_gradient
from ..recovery._griffin_lim import RULES, griffin_lim, random_angles
from ..recovery._phase_equation import solve_phase_equation
from ..recovery._phase_gradient import phase_gradient
from ..recovery._pipeline import recover
from ..transforms.decimated import Decimated
from ..transforms.scalogram import Scalogram

__all__ = ["CONTESTANTS", "Answer", "Contestant", "CountedScalogram", "Problem", "available"]

ITERATIONS = 100

# librosa's own default, and a hop at which a constant-Q transform has lost nothing yet.
LIBROSA_ITERATIONS, CQT_HOP = 32, 4


class CountedScalogram(Scalogram):
    """A Scalogram that counts how often it is computed: analyses, syntheses, backward passes."""

    evaluations = 0

    def coefficients(self, x, out=None):
        self.evaluations += 1
        c = super().coefficients(x, out)
        if c.requires_grad:
            c.register_hook(self._count)
        return c

    def adjoint(self, c):
        self.evaluations += 1
        return super().adjoint(c)

    def refit(self, S, x):
        before = self.evaluations
        y = super().refit(S, x)
        self.evaluations = before + 2  # one analysis, one synthesis, in whatever way
        return y

    def _count(self, gradient):
        self.evaluations += 1


@dataclass
class Problem:
    """What is given: a scalogram S of W; and, for scoring and for peers alone, the signal x."""

    x: torch.Tensor
    S: torch.Tensor
    W: CountedScalogram


@dataclass
class Answer:
    """A signal; of contestants with a transform of their own also what W cannot know.

    Attributes
    ----------
    signal : real Tensor, shape (n_samples,)
    evaluations : int, optional
        How often the contestant's own transform was computed. Default: what W has counted.
    consistency_db : float, optional
        The fit in the contestant's own transform. Default: that of the scalogram S.
    """

    signal: torch.Tensor
    evaluations: int | None = None
    consistency_db: float | None = None


@dataclass(frozen=True)
class Contestant:
    """A method and what the benchmark has to know of it.

    Attributes
    ----------
    solve : callable
        ``solve(problem, seed) -> Answer``
    seeded : bool
        Whether the answer depends on the seed; if not, it runs once.
    own : str, optional
        The transform of its own that it inverts, in words. None: it inverts the given scalogram.
    cheats : bool
        Whether it knows the true phase.
    needs : str, optional
        A package beyond the course's own dependencies.
    any_device : bool
        Whether it computes where W is; the others compute on the CPU.
    variant : bool
        Whether it is another contestant on other data: it is in the tables and in no ranking.
    """

    solve: Callable
    seeded: bool = True
    own: str | None = None
    cheats: bool = False
    needs: str | None = None
    any_device: bool = False
    variant: bool = False


def available(name):
    """Whether the package that a contestant needs is installed."""
    needs = CONTESTANTS[name].needs
    return needs is None or importlib.util.find_spec(needs) is not None


# --- Phases that cost nothing -------------------------------------------------------------------


def zero_phase(problem, seed):
    return Answer(problem.W.inverse(problem.S))


def random_phase(problem, seed):
    angles = random_angles(problem.S, seed).to(problem.S.device)
    return Answer(problem.W.inverse(torch.polar(problem.S.double(), angles)))


# --- This project's methods ---------------------------------------------------------------------


def alternating(rule):
    """Alternating projections by one of the rules of `griffin_lim`."""
    return lambda problem, seed: Answer(
        griffin_lim(problem.S, problem.W, n_iter=ITERATIONS, rule=rule, seed=seed).signal
    )


def descent(optimizer):
    """Gradient descent on the scalogram from noise."""
    return lambda problem, seed: Answer(
        invert_gradient(
            problem.S, problem.W, optimizer=optimizer, n_iter=ITERATIONS, seed=seed
        ).signal
    )


def whitened_lbfgs(problem, seed):
    """L-BFGS from noise in variables in which W is a tight frame."""
    W = problem.W
    run = invert_gradient(
        problem.S,
        lambda u: W.magnitude(W.whiten(u)),
        n_iter=ITERATIONS,
        n_samples=W.n_samples,
        seed=seed,
    )
    return Answer(W.whiten(run.signal))


def heap(problem, seed):
    return Answer(phase_gradient(problem.S, problem.W, n_iter=0, seed=seed).signal)


def corrected_heap(problem, seed):
    return Answer(phase_gradient(problem.S, problem.W, seed=seed).signal)


def phase_equation(problem, seed):
    return Answer(solve_phase_equation(problem.S, problem.W, seed=seed).signal)


def best_pipeline(problem, seed):
    return Answer(recover(problem.S, problem.W, seed=seed, progress=False).signal)


def best_pipeline_decimated(problem, seed):
    """`recover` from those columns of each row that `Decimated` keeps; the others are forgotten."""
    W, decimated = problem.W, Decimated(problem.W)
    parts = decimated.keep(problem.S)
    y = recover(decimated.complete(parts), W, seed=seed, progress=False).signal
    flat = [
        torch.cat([part.flatten() for part in kept]) for kept in (decimated.magnitude(y), parts)
    ]
    return Answer(y, W.evaluations, metrics.misfit_db(*flat))


# --- Published descents on kymatio --------------------------------------------------------------


def published_sgd(problem, seed):
    """The script behind dsp.stackexchange.com/q/78530 (J. Muradeli 2021), on kymatio's scalogram.

    Nesterov SGD at lr 500, mean of squares, 100 iterations; half-way the loss becomes the mean
    of moduli, and lr is halved there and at every fifth iteration after.
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


def kymatio_descent(problem, seed, n_iter=200, lr=100.0, faster=1.1, slower=0.55):
    """The descent of kymatio's example reconstruct_torch.py: two orders, averaged, bold driver.

    Its settings (J=6, Q=16, lr 100, 200 iterations). A step that raises the loss is taken back; the
    example then goes on with the gradient of the rejected point, this one does not.
    """
    from kymatio.torch import Scattering1D

    analyse, peak = Scattering1D(J=6, shape=problem.W.n_samples, Q=16), problem.x.abs().max()
    target = analyse((problem.x / peak).float())
    y, best = _noise(problem.x, seed).float(), math.inf
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


def _unaveraged(n_samples):
    """kymatio's first order without averaging at the full rate, (n_paths, n_samples), order 0 out.

    Order 0 would be the signal itself.
    """
    from kymatio.torch import Scattering1D

    bank = Scattering1D(
        J=6, shape=n_samples, Q=8, T=0, max_order=1, oversampling=6, out_type="list"
    ).double()
    return lambda y: torch.stack([path["coef"] for path in bank(y)[1:]])


def _noise(x, seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(x.shape, dtype=x.dtype, generator=generator)


def _own_answer(y, analyse, target, evaluations):
    with torch.no_grad():
        return Answer(y, evaluations, metrics.misfit_db(analyse(y), target))


# --- librosa ------------------------------------------------------------------------------------


def librosa_stft(problem, seed):
    """``librosa.griffinlim`` on an STFT with as many magnitudes per sample as the scalogram."""
    import librosa

    x, n_fft = problem.x.numpy(), 2 * (problem.W.n_freqs - 1)

    def analyse(y):
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


def librosa_cqt(problem, seed):
    """``librosa.griffinlim_cqt`` on the constant-Q transform that librosa inverts best.

    That is 12 bins per octave and its own filters. With the rows and the bandwidth of the
    scalogram ``librosa.icqt`` is no inverse even of true coefficients.
    """
    import librosa

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


def librosa_inverse(problem, seed):
    """``librosa.icqt`` of ``librosa.cqt``, modulus and phase: the limit of `librosa_cqt`."""
    import librosa

    analyse, settings = _cqt(problem.W)
    c = analyse(problem.x)
    y = librosa.icqt(c.numpy(), length=len(problem.x), **settings)
    return _own_answer(torch.from_numpy(y).double(), lambda y: analyse(y).abs(), c.abs(), 2)


def _cqt(W, bins_per_octave=12):
    """librosa's constant-Q transform over the band of W, and the settings its inverse takes.

    From the lowest frequency whose filter, Q periods long, fits into the signal.
    """
    import librosa

    Q = 1 / (2 ** (1 / bins_per_octave) - 1)
    fmin = Q * W.sample_rate / W.n_samples
    n_bins = int(bins_per_octave * math.log2(0.45 * W.sample_rate / fmin))
    settings = dict(
        sr=W.sample_rate, hop_length=CQT_HOP, fmin=fmin, bins_per_octave=bins_per_octave
    )
    return lambda y: torch.from_numpy(librosa.cqt(y.numpy(), n_bins=n_bins, **settings)), settings


# --- ssqueezepy ---------------------------------------------------------------------------------


def ssqueezepy_inverse(problem, seed):
    """``ssqueezepy.icwt`` of ``ssqueezepy.cwt``, modulus and phase: the limit of its inverse."""
    from ssqueezepy import cwt, icwt

    wavelet = problem.W.ssqueezepy_wavelet()

    def analyse(y):
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

#: By the name that tables and plots show, recover() first.
CONTESTANTS = {
    "recover": Contestant(best_pipeline),
    "phase equation": Contestant(phase_equation),
    "heap, corrected": Contestant(corrected_heap),
    "heap": Contestant(heap),
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
}
