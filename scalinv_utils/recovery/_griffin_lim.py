"""Recover signals by Griffin-Lim and its descendants: alternate between two sets until they agree.

Coefficients c that solve the problem lie in two sets at once:

    consistent    c = W x for some signal x;   nearest point  P1 c = W W^+ c
    fitting       |c| = S;                     nearest point  P2 c = S c/|c|

W^+ is ``W.inverse``, so that P1 is exactly the orthogonal projection. Each rule below is a
generator of pairs (x, W x), where x = W^+(...) is the signal of its latest projection P1: the
rule's estimate. The loop around the rules is the same for all.

For "gl" the misfit || |W x| - S || never grows, whatever S: see `gl`. No rule is certain to find
the global minimum, and a good fit does not prove a good waveform: see notebook 04.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from numpy.typing import ArrayLike

from .._arrays import numbers_of
from .._levels import norm, unit
from .._tensors import detached, repetitions
from .._validation import check_choice, check_count, check_instance, check_number, check_signal
from ..measured import Measured
from ..metrics import decibels
from ..transforms.scalogram import Scalogram
from ._full_plane import FullPlane
from ._members import Index, one_by_one
from ._result import Recovery
from ._stages import Callback, Run, Stage, at_unit, check_start, scalogram_of

__all__ = [
    "RULES",
    "Rule",
    "accelerated",
    "admm",
    "alternate",
    "fast",
    "gl",
    "griffin_lim",
    "raar",
    "random_angles",
    "settle",
]

STARTS_BY_PHASE = ("random", "zero")

Pairs = Iterator[tuple[torch.Tensor, torch.Tensor]]

# (S, W, c) -> the pairs (x, W x) of its iterations, from the coefficients c.
Rule = Callable[[torch.Tensor, Scalogram, torch.Tensor], Pairs]


def gl(S: torch.Tensor, W: Scalogram, c: torch.Tensor) -> Pairs:
    """Project by turns (Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317).

        c <- P1 P2 c

    With c = W x, || |W x| - S || = || c - P2 c || is the distance to the fitting set. P1 is an
    orthogonal projection and P2 a nearest point, so neither step can increase it. In the signal
    domain the step is x <- x - (W*W)^{-1} grad 1/2 || |W x| - S ||^2.
    """
    while True:
        x = W.inverse(W.impose(S, c))
        c = W.coefficients(x)
        yield x, c


def fast(S: torch.Tensor, W: Scalogram, c: torch.Tensor, momentum: float = 0.99) -> Pairs:
    """Project by turns with momentum: the fast Griffin-Lim algorithm.

        t = P1 P2 c,   c = t + momentum (t - t_old)

    It is that of Perraudin, Balazs and Sondergaard (2013), doi:10.1109/WASPAA.2013.6701851. The
    misfit may grow on the way. A momentum above 1 is usually unstable; 0 is `gl`.

    The rule works in two arrays of its own: the W x of a pair is overwritten when the next pair is
    made.
    """
    c, t_old = c.clone(), c.clone()
    while True:
        x = W.inverse(W.impose(S, c, out=c))
        t = W.coefficients(x, out=c)
        c, t_old = torch.lerp(t_old, t, 1 + momentum, out=t_old), t
        yield x, t


def settle(
    refit: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, n_steps: int, momentum: float
) -> torch.Tensor:
    """Run `fast` from a signal, and return only the last signal.

    W is linear, so t + momentum (t - t_old) = W (x + momentum (x - x_old)): the coefficients need
    not be kept.

    Parameters
    ----------
    refit : callable
        x -> W^+ P2 W x, one step of Griffin-Lim, as `Painless.refit` makes it.
    x : real Tensor, shape (..., n_samples)
        The signal to start from.
    n_steps : int
    momentum : float

    Returns
    -------
    Tensor, shape of x

    Examples
    --------
    >>> import functools
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> S = W.magnitude(signals.linear_chirp(128))
    >>> x = W.project(signals.white_noise(128))
    >>> y = settle(functools.partial(W.painless.refit, W.painless.sampled(S)), x, 50, 0.9)
    >>> metrics.consistency_db(y, S, W) < metrics.consistency_db(x, S, W) - 10
    True
    """
    x_old = x
    for _ in range(n_steps):
        x, x_old = refit(x + momentum * (x - x_old)), x
    return x


def accelerated(
    S: torch.Tensor,
    W: Scalogram,
    c: torch.Tensor,
    alpha: float = 0.99,
    beta: float = 0.99,
    gamma: float = 1.25,
) -> Pairs:
    """Project by turns with momentum and over-relaxation: accelerated Griffin-Lim.

        t = (1 - gamma) d + gamma P1 P2 c,   c = t + alpha (t - t_old),   d = t + beta (t - t_old)

    It is that of Nenov, Nguyen, Balazs and Bot (2023), arXiv:2306.12504. gamma = 1 is `fast`. The
    defaults did best of a small grid on the signals of this course; far from alpha = beta it
    diverges easily.
    """
    t_old = d = c
    while True:
        x = W.inverse(W.impose(S, c))
        projected = W.coefficients(x)
        t = (1 - gamma) * d + gamma * projected
        c, d, t_old = t + alpha * (t - t_old), t + beta * (t - t_old), t
        yield x, projected


def admm(S: torch.Tensor, W: Scalogram, c: torch.Tensor, rho: float = 0.1) -> Pairs:
    """Run the alternating direction method of multipliers.

        z = P2(c - u),   c = (rho (z + u) + P1(z + u)) / (1 + rho),   u = u + z - c

    It is that of Masuyama, Yatabe and Oikawa (2019), doi:10.1109/LSP.2018.2884026. rho = 0 demands
    exact consistency, rho = 1 is `gl`.
    """
    u = torch.zeros_like(c)
    while True:
        z = W.impose(S, c - u)
        x = W.inverse(z + u)
        projected = W.coefficients(x)
        c = (rho * (z + u) + projected) / (1 + rho)
        u = u + z - c
        yield x, projected


def raar(S: torch.Tensor, W: Scalogram, c: torch.Tensor, beta: float = 0.9) -> Pairs:
    """Run relaxed averaged alternating reflections (Luke 2005, doi:10.1088/0266-5611/21/1/004).

        c <- beta/2 (R1 R2 c + c) + (1 - beta) P2 c

    R1 = 2 P1 - 1 and R2 = 2 P2 - 1 are reflections at the two sets.
    """
    while True:
        fitted = W.impose(S, c)
        reflected = 2 * fitted - c
        x = W.inverse(reflected)
        projected = W.coefficients(x)
        c = beta / 2 * (2 * projected - reflected + c) + (1 - beta) * fitted
        yield x, projected


RULES: dict[str, Rule] = {
    "gl": gl,
    "fast": fast,
    "accelerated": accelerated,
    "admm": admm,
    "raar": raar,
}


def griffin_lim(
    S: ArrayLike | Measured,
    W: Scalogram | None = None,
    *,
    n_iter: int = 200,
    momentum: float = 0.99,
    init: ArrayLike | None = None,
    seed: int = 0,
    rule: str | Rule = "fast",
    keep_every: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Recovery:
    """Find a signal with a given scalogram by alternating projections.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples), or Measured
        The scalogram. Only the row of a "signed" lowpass may be negative. Leading axes are a
        batch: its members are recovered one by one, each as if it were alone, and its history is
        that of the batch as a whole. With a `Measured` each step takes what is known, and keeps
        the signal's own coefficients elsewhere. No gradient flows back to S.
    W : Scalogram
        The signal gets its dtype and its device. Not needed with a `Measured`.
    n_iter : int
        Number of iterations. Each costs one analysis and one synthesis, whichever the rule.
    momentum : float
        Momentum of the rule "fast", at least 0; with 0 it is Griffin and Lim's own algorithm.
    init : None or "random", "zero", a real signal, or complex coefficients
        The start: random phases (`seed`), phase 0 everywhere, a signal of shape (..., n_samples),
        or complex numbers of the shape of S, of which only the phase counts. The default is
        "random". For wavelets zero phase is a poor start: the rows of a steady tone cancel.
    seed : int
        Seed of the random phases, 0 or above. Members of a batch get the phases that each gets
        alone, but those that are equal get phases of their own.
    rule : "fast", "gl", "accelerated", "admm", "raar" or a callable
        A callable takes (S, W, c) and generates (x, W x), as the functions in ``RULES`` do:
        ``functools.partial(RULES["admm"], rho=0.5)``.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate in ``Recovery.iterates``.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` after each iteration, with a copy of
        the signal. A true return value stops. For a batch it gets all
        signals, zeros where they are not known yet, and the fit of the member in work.
    progress : bool
        Show a progress bar on runs longer than two seconds.

    Returns
    -------
    Recovery
        ``history`` has n_iter + 1 entries, the first for the start.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W, or the start or
        the rule is bad.

    Examples
    --------
    >>> import functools
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> S = W.magnitude(signals.linear_chirp(128))
    >>> griffin_lim(S, W, n_iter=100).consistency_db < -25
    True
    >>> griffin_lim(S, W, n_iter=5, rule=functools.partial(RULES["admm"], rho=0.5)).method
    'griffin_lim (custom)'
    """
    S, plane, level = _on_plane(S, W)
    n_iter = check_count(n_iter, "n_iter")
    check_count(seed, "seed", 0)
    name, iterate = _rule(rule, momentum)
    init = _checked(init, S, plane)
    shape = tuple(S.shape[:-2])
    repeated = repetitions([S], shape)

    def alone(index: Index, callback: Callback | None) -> Recovery:
        run = Run(f"griffin_lim ({name})", callback, keep_every=keep_every, progress=progress)
        member = at_unit(S[index], plane, run)
        run.unit *= level
        begin = init
        if isinstance(init, torch.Tensor):
            begin = init[index] if init.is_complex() else init[index] / run.unit
        stage = functools.partial(
            alternate,
            iterate=iterate,
            init=begin,
            seed=seed,
            n_iter=n_iter,
            repetition=int(repeated[index]),
        )
        silence = None if member.any() else member.new_zeros(plane.n_samples)
        return run.through([Stage(name, stage, n_iter)], member, plane, silence).recovery()

    return one_by_one(alone, shape, norm(S, (-2, -1)), callback)


def _on_plane(S: ArrayLike | Measured, W: Scalogram | None) -> tuple[torch.Tensor, Any, float]:
    """Return (S, W, level), the scalogram checked, or a measured one / level on the full plane."""
    if isinstance(S, Measured) and not S.is_plain:
        scalogram_of(S, W)
        level = float(unit(S.S))
        plane = FullPlane(S.at_level(level))
        return plane.S, plane, level
    given, W = scalogram_of(S, W)
    return detached(W.check_scalogram(given), "S", "griffin_lim"), W, 1.0


@torch.no_grad()
def alternate(
    S: torch.Tensor,
    W: Scalogram,
    run: Run,
    *,
    iterate: Rule,
    init: str | torch.Tensor,
    seed: int,
    n_iter: int,
    repetition: int = 0,
) -> None:
    """Carry out the stage: `n_iter` steps of a rule."""
    total = float(S.norm())
    start = _start(init, S, W, seed, repetition)
    for x, c in itertools.islice(_pairs(S, W, iterate, start), n_iter + 1):
        if run.step(x, decibels(float((W.modulus(c) - S).norm()) / total)):
            break


def _pairs(S: torch.Tensor, W: Scalogram, iterate: Rule, x: torch.Tensor) -> Pairs:
    """Generate (x, W x), the start first."""
    c = W.coefficients(x)
    pairs = check_instance(iterate(S, W, c), Iterator, "what rule returns")
    yield x, c
    del c  # its memory is freed if the rule works on a copy
    yield from pairs


def _rule(rule: str | Rule, momentum: float) -> tuple[str, Rule]:
    """Look up (name, generator function) of a rule."""
    if callable(rule):
        return getattr(rule, "__name__", "custom"), rule
    check_choice(rule, RULES, "rule")
    if rule != "fast":
        return rule, RULES[rule]
    momentum = check_number(momentum, "momentum", wanted := "a finite number of at least 0")
    if momentum < 0:
        raise ValueError(f"momentum must be {wanted}, got {momentum!r}")
    return f"fast, momentum {momentum:g}", functools.partial(fast, momentum=momentum)


def _checked(init: ArrayLike | None, S: torch.Tensor, W: Any) -> str | torch.Tensor:
    """Return the name of a start, or a start that is a signal or coefficients, as a Tensor."""
    if init is None or isinstance(init, str):
        return check_choice("random" if init is None else init, STARTS_BY_PHASE, "init")
    wanted = "'random', 'zero', a real signal or complex coefficients"
    init = detached(numbers_of(init, "init", wanted), "init", "griffin_lim")
    if init.is_complex():
        if init.shape != S.shape:
            raise ValueError(
                f"init must have the shape of S, {tuple(S.shape)}, if it is "
                f"complex, got {tuple(init.shape)}"
            )
        if not torch.isfinite(init).all():
            raise ValueError("init must be finite, got NaN or infinite values")
        return init
    x = check_signal(init, name="init")
    if x.shape != (*S.shape[:-2], W.n_samples):
        raise ValueError(
            f"init must have the shape {(*S.shape[:-2], W.n_samples)} of the "
            f"signal, or be complex of the shape of S, got {tuple(x.shape)}"
        )
    check_start(x, S, W)
    return x


def _start(
    init: str | torch.Tensor, S: torch.Tensor, W: Scalogram, seed: int, repetition: int
) -> torch.Tensor:
    """Make the signal to start from, in the band of W."""
    if isinstance(init, str):
        return W.inverse(W.impose(S, _phase(init, S, seed, repetition)))
    if init.is_complex():
        return W.inverse(W.impose(S, init.to(W.filters.dtype.to_complex()).to(W.filters.device)))
    return W.project(init)


def _phase(kind: str, S: torch.Tensor, seed: int, repetition: int) -> torch.Tensor:
    """Make complex numbers of modulus 1 and the shape of S: seeded random ones, or all 1."""
    if kind == "zero":
        return torch.ones_like(S, dtype=S.dtype.to_complex())
    angles = random_angles(S, seed, repetition)
    # The type is changed first: not every device has double precision.
    return torch.polar(torch.ones_like(angles), angles).to(S.dtype.to_complex()).to(S.device)


def random_angles(S: torch.Tensor, seed: int, repetition: int = 0) -> torch.Tensor:
    """Draw an angle in rad for each coefficient, float64 on the CPU; equal seeds, equal angles."""
    generator = torch.Generator().manual_seed(check_count(seed, "seed", 0))
    for _ in range(repetition):  # the draws of earlier repetitions
        torch.rand(S.shape, dtype=torch.float64, generator=generator)
    return 2 * math.pi * torch.rand(S.shape, dtype=torch.float64, generator=generator)
