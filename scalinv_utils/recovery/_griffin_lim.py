"""Griffin-Lim and its descendants: alternate between two sets until they agree.

Coefficients c that solve the problem lie in two sets at once:

    consistent    c = W x for some signal x;   nearest point  P1 c = W W^+ c
    fitting       |c| = S;                     nearest point  P2 c = S c/|c|

W^+ is ``W.inverse``, so P1 is the orthogonal projection, exactly. Each rule below is a generator of
pairs (x, W x), x = W^+(...) being the signal of its latest projection P1: the rule's estimate. The
loop around them is the same for all.

For "gl" the misfit || |W x| - S || never grows, whatever S: see `gl`. None of them is certain to
find the global minimum, and a good fit is no proof of a good waveform: notebook 04.
"""

import functools
import itertools
import math

import torch

from .._validation import check_choice, check_count, check_signal
from ..metrics import decibels
from ._stages import Run, Stage, silence_of

__all__ = [
    "RULES",
    "accelerated",
    "admm",
    "fast",
    "gl",
    "griffin_lim",
    "raar",
    "random_angles",
    "settle",
]

STARTS_BY_PHASE = ("random", "zero")


def gl(S, W, c):
    """c <- P1 P2 c (Griffin and Lim 1984, doi:10.1109/TASSP.1984.1164317).

    With c = W x, || |W x| - S || = || c - P2 c || is the distance to the fitting set. P1 is an
    orthogonal projection and P2 a nearest point, so neither step can increase it. In the signal
    domain the step is x <- x - (W*W)^{-1} grad 1/2 || |W x| - S ||^2.
    """
    while True:
        x = W.inverse(W.impose(S, c))
        c = W.coefficients(x)
        yield x, c


def fast(S, W, c, momentum=0.99):
    """t = P1 P2 c,  c = t + momentum (t - t_old) (Perraudin, Balazs, Sondergaard 2013).

    doi:10.1109/WASPAA.2013.6701851. Not monotone; above 1 usually unstable; 0 is `gl`.

    In two arrays of its own: the W x of a pair is overwritten when the next pair is made.
    """
    c, t_old = c.clone(), c.clone()
    while True:
        x = W.inverse(W.impose(S, c, out=c))
        t = W.coefficients(x, out=c)
        c, t_old = torch.lerp(t_old, t, 1 + momentum, out=t_old), t
        yield x, t


def settle(refit, x, n_steps, momentum):
    """Run `fast` from a signal, where nobody asks for what is in between.

    W is linear, so t + momentum (t - t_old) = W (x + momentum (x - x_old)): the coefficients need
    not be kept.

    Parameters
    ----------
    refit : callable
        x -> W^+ P2 W x, one step of Griffin-Lim.
    x : real Tensor, shape (..., n_samples)
    n_steps : int
    momentum : float

    Returns
    -------
    Tensor, shape of x
    """
    x_old = x
    for _ in range(n_steps):
        x, x_old = refit(x + momentum * (x - x_old)), x
    return x


def accelerated(S, W, c, alpha=0.99, beta=0.99, gamma=1.25):
    """t = (1 - gamma) d + gamma P1 P2 c,  c = t + alpha (t - t_old),  d = t + beta (t - t_old).

    Nenov, Nguyen, Balazs and Bot (2023), arXiv:2306.12504. gamma = 1 is `fast`. The defaults did
    best of a small grid on the signals of this course; far from alpha = beta it diverges easily.
    """
    t_old = d = c
    while True:
        x = W.inverse(W.impose(S, c))
        projected = W.coefficients(x)
        t = (1 - gamma) * d + gamma * projected
        c, d, t_old = t + alpha * (t - t_old), t + beta * (t - t_old), t
        yield x, projected


def admm(S, W, c, rho=0.1):
    """z = P2(c - u),  c = (rho (z + u) + P1(z + u)) / (1 + rho),  u = u + z - c.

    Masuyama, Yatabe and Oikawa (2019), doi:10.1109/LSP.2018.2884026: rho = 0 asks for consistency
    exactly, rho = 1 is `gl`.
    """
    u = torch.zeros_like(c)
    while True:
        z = W.impose(S, c - u)
        x = W.inverse(z + u)
        projected = W.coefficients(x)
        c = (rho * (z + u) + projected) / (1 + rho)
        u = u + z - c
        yield x, projected


def raar(S, W, c, beta=0.9):
    """c <- beta/2 (R1 R2 c + c) + (1 - beta) P2 c, with reflections R = 2 P - 1.

    Relaxed averaged alternating reflections (Luke 2005, doi:10.1088/0266-5611/21/1/004).
    """
    while True:
        fitted = W.impose(S, c)
        reflected = 2 * fitted - c
        x = W.inverse(reflected)
        projected = W.coefficients(x)
        c = beta / 2 * (2 * projected - reflected + c) + (1 - beta) * fitted
        yield x, projected


RULES = {"gl": gl, "fast": fast, "accelerated": accelerated, "admm": admm, "raar": raar}


def griffin_lim(
    S,
    W,
    *,
    n_iter=200,
    momentum=0.99,
    init=None,
    seed=0,
    rule="fast",
    keep_every=None,
    callback=None,
    progress=False,
):
    """Find a signal with a given scalogram by alternating projections.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        The scalogram. Only the row of a "signed" lowpass may be negative. Leading axes are a
        batch; its history is that of the batch as a whole.
    W : Scalogram
    n_iter : int
        Each iteration costs one analysis and one synthesis, whichever the rule.
    momentum : float
        Of rule "fast", at least 0; with 0 it is Griffin and Lim's own algorithm.
    init : None or "random", "zero", a real signal, or complex coefficients
        Where to start: random phases (`seed`), phase 0 everywhere, a signal of shape
        (..., n_samples), or complex numbers of the shape of S, of which only the phase counts.
        For wavelets zero phase is a poor start: the rows of a steady tone cancel.
    seed : int
    rule : "fast", "gl", "accelerated", "admm", "raar" or a callable
        A callable takes (S, W, c) and generates (x, W x), as the functions of this module do:
        ``functools.partial(admm, rho=0.5)``.
    keep_every : int, optional
        Keep a copy of the signal every so many iterations in ``Recovery.iterates``.
    callback : callable, optional
        ``callback(iteration, x, consistency_db)`` after each iteration, x a copy; a true return
        value stops.
    progress : bool
        Show a progress bar on runs longer than two seconds.

    Returns
    -------
    Recovery
        ``history`` has n_iter + 1 entries, the first for the start.

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting input, or an unknown rule.

    Examples
    --------
    >>> W = Scalogram(2048, sample_rate=8000)                          # doctest: +SKIP
    >>> griffin_lim(W.magnitude(x), W).signal                          # doctest: +SKIP
    """
    S = W.check_scalogram(S).detach()
    n_iter = check_count(n_iter, "n_iter")
    name, iterate = _rule(rule, momentum)
    run = Run(f"griffin_lim ({name})", callback, keep_every=keep_every, progress=progress)
    alternate = functools.partial(_alternate, iterate=iterate, init=init, seed=seed, n_iter=n_iter)
    return run.through([Stage(name, alternate, n_iter)], S, W, silence_of(S)).recovery()


@torch.no_grad()
def _alternate(S, W, run, *, iterate, init, seed, n_iter):
    """Carry out the stage: as many steps of a rule as are asked for."""
    norm = float(S.norm())
    for x, c in itertools.islice(_pairs(S, W, iterate, init, seed), n_iter + 1):
        if run.step(x, decibels(float((W.modulus(c) - S).norm()) / norm)):
            break


def _pairs(S, W, iterate, init, seed):
    """Generate (x, W x), the start first."""
    x = _start(init, S, W, seed)
    c = W.coefficients(x)
    pairs = iterate(S, W, c)
    yield x, c
    del c  # memory that a rule which copies it does not need any more
    yield from pairs


def _rule(rule, momentum):
    """(name, generator function) of a rule."""
    if callable(rule):
        return getattr(rule, "__name__", "custom"), rule
    check_choice(rule, RULES, "rule")
    if rule != "fast":
        return rule, RULES[rule]
    if isinstance(momentum, bool) or not isinstance(momentum, (int, float)):
        raise TypeError(f"momentum must be a number of at least 0, got {momentum!r}")
    if not (math.isfinite(momentum) and momentum >= 0):
        raise ValueError(f"momentum must be a finite number of at least 0, got {momentum!r}")
    return f"fast, momentum {momentum:g}", functools.partial(fast, momentum=momentum)


def _start(init, S, W, seed):
    """The signal to start from, in the band of W."""
    if init is None or isinstance(init, str):
        kind = check_choice("random" if init is None else init, STARTS_BY_PHASE, "init")
        return W.inverse(W.impose(S, _phase(kind, S, seed)))
    init = torch.as_tensor(init)
    if init.is_complex():
        if init.shape != S.shape:
            raise ValueError(
                f"init must have the shape of S, {tuple(S.shape)}, where it is "
                f"complex, got {tuple(init.shape)}"
            )
        if not torch.isfinite(init).all():
            raise ValueError("init must be finite, got NaN or infinite values")
        return W.inverse(W.impose(S, init.to(W.filters.device, W.filters.dtype.to_complex())))
    x = check_signal(init, name="init")
    if x.shape != S.shape[:-2] + S.shape[-1:]:
        raise ValueError(
            f"init must have the shape {tuple(S.shape[:-2] + S.shape[-1:])} of the "
            f"signal, or be complex of the shape of S, got {tuple(x.shape)}"
        )
    return W.project(x).detach()


def _phase(kind, S, seed):
    """Unit numbers of the shape of S: seeded random ones, or all 1."""
    if kind == "zero":
        return torch.ones_like(S, dtype=S.dtype.to_complex())
    angles = random_angles(S, seed)
    return torch.polar(torch.ones_like(angles), angles).to(S.device).to(S.dtype.to_complex())


def random_angles(S, seed):
    """An angle in rad for each coefficient, float64 on the CPU: the same for the same seed."""
    generator = torch.Generator().manual_seed(check_count(seed, "seed", 0))
    return 2 * math.pi * torch.rand(S.shape, dtype=torch.float64, generator=generator)
