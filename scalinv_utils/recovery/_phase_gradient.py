"""Recover the phase from the modulus: integrate its gradient from the peaks outwards.

For c = W x = |c| exp(i phi), s the scale in samples, p the wavelet's peak frequency (rad/sample at
scale 1) and P^2 its time-bandwidth product,

    dphi/dt      =  p/s (1 - dlog|c|/dlog s / P^2)        rad/sample
    dphi/dlog s  =  P^2 s/p  dlog|c|/dt                   rad

The relations are exact for Cauchy wavelets, where they are the Cauchy-Riemann equations, and hold
to first order for all others, many of which have exact relations of their own
(`_phase_relations`). Two integrations turn them into a signal:

    heap         Phase differences are added up along paths that avoid the zeros: the next point is
                 always the largest neighbour of all points reached so far (Prusa, Balazs,
                 Sondergaard 2017, doi:10.1109/TASLP.2017.2678166; for wavelets Holighaus,
                 Koliander, Prusa, Abreu 2019, arXiv:1906.00738).
    correction   The errors of the relations are nearly equal for two scalograms that are close.
                 Given an estimate d = W y, only the difference between the gradients that they
                 give for S and for |d| is integrated, and the phase of d is turned by it: at the
                 solution the difference is zero, whatever the wavelet.

A correction removes errors that extend over large parts of the plane, and adds errors next to
zeros, where differences between neighbours say little. A few steps of fast Griffin-Lim, which
reach no further than a wavelet, do the opposite. So each round has both, and then refines the few
places that hold most of the misfit (`patches`).

The correction was derived for this project, not taken from the literature; its evidence is the
numbers in the tests and in notebook 05.
"""

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._validation import check_choice, check_count, check_share
from ..metrics import consistency_db, decibels
from ..transforms.scalogram import Scalogram
from ._griffin_lim import random_angles, settle
from ._heap_integration import Paths
from ._local_refinement import mend
from ._phase_equation import solve_phase_equation
from ._phase_relations import phase_derivatives
from ._result import Recovery
from ._stages import Callback, Run, Stage, silence_of

__all__ = ["integrate_phase", "phase_gradient"]

PHASE_METHODS = ("heap", "eigen")

# Points below this share of the maximum of S are not integrated. At this level double precision
# still resolves the derivatives of the modulus.
REACHED_DOWN_TO = 1e-6

# A round has SETTLING_STEPS steps of fast Griffin-Lim with this MOMENTUM. Each round without a gain
# adds as many to all that follow. The few places that hold most of the error get MENDING times as
# many.
SETTLING_STEPS, MOMENTUM, MENDING = 10, 0.9, 3

# The iteration ends below ENOUGH_DB, or after PATIENT_ROUNDS rounds without a gain of 1 dB, or at
# the first of them below NEARLY_ENOUGH_DB. It does not end sooner, because the parts of the signal
# that S hardly depends on are still 30 dB behind the fit.
PATIENT_ROUNDS, NEARLY_ENOUGH_DB, ENOUGH_DB = 4, -180.0, -195.0


def phase_gradient(
    S: ArrayLike,
    W: Scalogram,
    *,
    method: Literal["heap", "eigen"] = "heap",
    seed: int = 0,
    callback: Callback | None = None,
    keep_every: int | None = None,
    progress: bool = False,
    **options: Any,
) -> Recovery:
    """Recover a signal by the phase that its scalogram's modulus implies.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        The scalogram. A batch is iterated as a whole; its history is that of the whole.
    W : Scalogram
        Any wavelet will do, with 16 voices per octave or more.
    method : "heap" or "eigen"
        "heap" integrates the phase's gradient, then corrects it (this module; fast). "eigen"
        solves the phase equation, one linear system per round (`solve_phase_equation`; one
        scalogram only).
    seed : int
        Seed for the random phases assigned to each island's starting point and to points below
        `tolerance`.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` after each iteration, with a copy of
        the signal. A true return value stops.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate in ``Recovery.iterates``.
    progress : bool
        Show a progress bar on runs longer than two seconds.
    n_iter : int
        For "heap": the largest number of rounds after the heap integration, 30 by default. With 0
        this is the one-shot method of the literature. Round 1 only takes steps of fast Griffin-Lim
        from the result of the heap integration; all later rounds correct the phase first.
    tolerance : float in (0, 1)
        For "heap": points below this share of the maximum of S are not integrated, 1e-6 by
        default.
    exact : bool
        For "heap": start from the wavelet's own phase relation if it has one, as
        `phase_derivatives` does with this option. Corrections keep the tangent relation.
    **options
        For "eigen": the other options of `solve_phase_equation`.

    Returns
    -------
    Recovery
        The iterate with the best consistency. For "heap", ``details`` has "islands", the number
        of points where an integration started.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W, or the method
        or an option is unknown.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(128, 8000, 800, 3000))
    >>> phase_gradient(W.magnitude(x), W).consistency_db < -100
    True
    """
    common = {"seed": seed, "callback": callback, "keep_every": keep_every, "progress": progress}
    if check_choice(method, PHASE_METHODS, "method") == "eigen":
        return solve_phase_equation(S, W, **common, **options)
    return _heap(S, W, **common, **options)


def integrate_phase(
    S: ArrayLike,
    W: Scalogram,
    dphi_dt: torch.Tensor,
    dphi_dlogs: torch.Tensor,
    start: ArrayLike,
    *,
    tolerance: float = REACHED_DOWN_TO,
) -> tuple[torch.Tensor, torch.Tensor, int]:
    """Add up a phase gradient along paths through large moduli.

    The integration starts at the largest point. The next point is always the largest of all
    neighbours of points reached so far, to a tenth of a decibel: such a rough queue is several
    times as fast as a heap. If no neighbour is left, the largest point not yet reached starts
    another island. The last sample is a neighbour of the first. Phase differences are integrals
    of cubics through four points.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
    W : Scalogram
    dphi_dt, dphi_dlogs : real Tensors, shape of S
        The gradient, as `phase_derivatives` gives it.
    start : real array, shape of S
        The phase of the points where an island starts and of those that are never reached.
    tolerance : float in (0, 1)
        Points below this share of the maximum of S are never reached.

    Returns
    -------
    phase : Tensor, shape of S
        The phase in rad, 0 in the row of a lowpass.
    order : integer Tensor, shape of S
        The rank of each point: 0 if reached first, -1 if never.
    n_islands : int
        The number of points where an integration started.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W, or `tolerance`
        is out of range.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(128, 8000, 800, 3000))
    >>> S = W.magnitude(x)
    >>> phase, order, n_islands = integrate_phase(
    ...     S, W, *phase_derivatives(S, W), torch.zeros_like(S)
    ... )
    >>> metrics.waveform_error_db(W.inverse(torch.polar(S, phase)), x) < -60
    True
    """
    S = W.check_scalogram(S)
    paths = _paths(S, W, check_share(tolerance, "tolerance"))
    phase, order = _from(start, W), torch.full(S.shape, -1, dtype=torch.int32)
    for item, part in paths.items():
        order[item][_wavelets(W)] = torch.from_numpy(part.order)
    _integrate(paths, W, (dphi_dt, dphi_dlogs), phase)
    return phase, order, sum(part.n_islands for part in paths.values())


def _from(start: ArrayLike, W: Scalogram) -> torch.Tensor:
    """Copy the phase to start from, in double precision; zero in the row of a lowpass."""
    phase = torch.as_tensor(start).to("cpu", torch.float64, copy=True)
    phase[..., _wavelets(W).stop :, :] = 0
    return phase


def _wavelets(W: Scalogram) -> slice:
    """Select the rows that are not a lowpass."""
    return slice(int((W.frequencies > 0).sum()))


def _paths(S: torch.Tensor, W: Scalogram, tolerance: float) -> dict[tuple[int, ...], Paths]:
    """Find the `Paths` of each scalogram of a batch, by its index."""
    moduli = S.detach().double().cpu()[..., _wavelets(W), :].numpy()
    threshold = tolerance * float(moduli.max())
    return {item: Paths(moduli[item], threshold) for item in np.ndindex(S.shape[:-2])}


def _integrate(
    paths: dict[tuple[int, ...], Paths],
    W: Scalogram,
    gradient: Sequence[torch.Tensor],
    phase: torch.Tensor,
) -> None:
    """Replace `phase`, where paths lead, by the integral of a gradient along them."""
    rows, spacing = _wavelets(W), math.log(2) / W.voices_per_octave
    for item, part in paths.items():
        in_time, in_scale = (f[item][rows].numpy() for f in gradient)
        part.add_up(in_time, in_scale, spacing, phase[item][rows].numpy())


def _heap(
    S: ArrayLike,
    W: Scalogram,
    *,
    seed: int,
    callback: Callback | None,
    keep_every: int | None,
    progress: bool,
    n_iter: int = 30,
    tolerance: float = REACHED_DOWN_TO,
    exact: bool = False,
) -> Recovery:
    """Run the stage of this module alone."""
    S = W.check_scalogram(S).detach()
    check_count(n_iter, "n_iter", 0)
    check_share(tolerance, "tolerance")
    check_count(seed, "seed", 0)
    run = Run(
        "phase gradient (heap)",
        callback,
        keep_every=keep_every,
        progress=progress,
        result="best",
    )
    stage = functools.partial(
        integrate_and_correct, seed=seed, n_iter=n_iter, tolerance=tolerance, exact=exact
    )
    run.details["islands"] = 0
    return run.through([Stage("phase gradient", stage, n_iter)], S, W, silence_of(S)).recovery()


def integrate_and_correct(
    S: torch.Tensor,
    W: Scalogram,
    run: Run,
    *,
    seed: int = 0,
    n_iter: int = 30,
    tolerance: float = REACHED_DOWN_TO,
    exact: bool = False,
    given: torch.Tensor | None = None,
) -> None:
    """Carry out the stage: rounds until one is good enough or gains nothing; hand on the best.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    run : Run
    seed, n_iter, tolerance, exact
        As for `phase_gradient`.
    given : real Tensor, shape of S, optional
        The scalogram against which the run records the fit, if S is a denoised version of it.
    """
    norm, best = float(S.norm()), (math.inf, torch.empty(0))  # no signal yet
    start = _from(random_angles(S, seed), W)
    rounds = _rounds(S, W, start, tolerance, exact)
    for x, residual, run.details["islands"] in itertools.islice(rounds, n_iter + 1):
        fit = decibels(residual / norm)
        arrived = fit < ENOUGH_DB or (fit < NEARLY_ENOUGH_DB and fit > best[0] - 1)
        best = min(best, (fit, x), key=lambda pair: pair[0])
        if run.step(x, fit if given is None else consistency_db(x, given, W)) or arrived:
            break
    run.x = best[1]


def _rounds(
    S: torch.Tensor, W: Scalogram, phase: torch.Tensor, tolerance: float, exact: bool
) -> Iterator[tuple[torch.Tensor, float, int]]:
    """Generate (x, || |W x| - S ||, islands): the heap integration, then the result of each round.

    A round that has made things worse is taken back: the next one goes on from the best x.
    """
    known, paths = phase_derivatives(S, W), _paths(S, W, tolerance)
    _integrate(paths, W, phase_derivatives(S, W, exact=True) if exact else known, phase)
    islands = sum(part.n_islands for part in paths.values())
    x = W.inverse(_turn(S.to(S.dtype.to_complex()), phase))
    c = W.coefficients(x)
    yield x, float((W.modulus(c) - S).norm()), islands
    least, nearest, failures, n_steps = math.inf, x, 0, SETTLING_STEPS
    while failures < PATIENT_ROUNDS:
        x = settle(functools.partial(W.refit, S), x, n_steps, MOMENTUM)
        x, residual = mend(S, W, x, MENDING * SETTLING_STEPS, MOMENTUM, c)
        yield x, residual, islands
        if decibels(residual) > decibels(least) - 1:
            failures, n_steps = failures + 1, n_steps + SETTLING_STEPS
        else:
            failures = 0
        if residual < least:
            least, nearest = residual, x
        c = W.coefficients(nearest, out=c)
        estimated = phase_derivatives(W.modulus(c), W)
        _integrate(
            paths,
            W,
            [torch.sub(*pair, out=pair[1]) for pair in zip(known, estimated)],
            phase.zero_(),
        )
        x = W.inverse(W.impose(S, _turn(c, phase), out=c))


def _turn(c: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Multiply c by exp(i phase) in place, row by row, so that temporary arrays fit the cache."""
    for row in range(c.shape[-2]):
        turn = phase[..., row, :].to(c.real)
        c[..., row, :] *= torch.polar(torch.ones_like(turn), turn)
    return c
