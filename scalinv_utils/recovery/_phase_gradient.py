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
                 solution the difference is zero, whatever the wavelet. It uses the relations
                 above: exact ones, of higher order, took more rounds on most recordings.

A correction removes errors that extend over large parts of the plane, and adds errors next to
zeros, where differences between neighbours say little. A few steps of fast Griffin-Lim, which
reach no further than a wavelet, do the opposite. So each round has both, and then refines the few
places that hold most of the misfit (`patches`). Close to the solution, where both may gain little,
a round refines by a step of Gauss and Newton instead (`gauss_newton`).

The correction was derived for this project, not taken from the literature; its evidence is the
numbers in the tests and in notebook 05.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._levels import norm
from .._tensors import detached, double
from .._validation import check_count, check_numbers, check_share
from ..metrics import consistency_db, decibels
from ..transforms.scalogram import Scalogram
from ._gauss_newton import gauss_newton
from ._griffin_lim import random_angles, settle
from ._heap_integration import Paths, integration_weights
from ._local_refinement import mend
from ._members import Index, one_by_one
from ._phase_relations import phase_derivatives
from ._result import Recovery
from ._stages import Callback, Run, Stage, at_unit, silence_of

__all__ = [
    "add_integral",
    "best_of",
    "corrected",
    "correction",
    "heap",
    "integrate_and_correct",
    "integrate_phase",
    "integrated",
    "paths_of",
    "rounds",
    "turn",
]

Gradient = tuple[torch.Tensor, torch.Tensor]
Correction = Callable[[torch.Tensor], torch.Tensor]

# Points below this share of the maximum of S are not integrated. At this level double precision
# still resolves the derivatives of the modulus.
REACHED_DOWN_TO = 1e-6

# Where the heap's result fits better than this, its phase is corrected before anything else: what
# is wrong then extends over large parts of the plane.
CLOSE_DB = -40.0

# A round has SETTLING_STEPS steps of fast Griffin-Lim with this MOMENTUM. Each round without a gain
# adds as many to all that follow, up to MOST_STEPS. The few places that hold most of the error get
# MENDING times as many.
SETTLING_STEPS, MOST_STEPS, MOMENTUM, MENDING = 10, 40, 0.9, 3

# Below NEWTON_BELOW_DB, a round that follows one with a gain of less than SLOW_DB takes so many
# conjugate-gradient steps of Gauss and Newton instead, unless they have just gained nothing.
NEWTON_STEPS, NEWTON_BELOW_DB, SLOW_DB = 30, -80.0, 10.0

# The iteration ends below ENOUGH_DB, or after PATIENT_ROUNDS rounds without a gain of 1 dB, or at
# the first of them below NEARLY_ENOUGH_DB. It does not end sooner, because the parts of the signal
# that S hardly depends on are still 30 dB behind the fit.
PATIENT_ROUNDS, NEARLY_ENOUGH_DB, ENOUGH_DB = 4, -180.0, -195.0


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
        Points below this share of the maximum of S are never reached; each member of a batch has a
        maximum of its own.

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
    paths = paths_of(S, W, check_share(tolerance, "tolerance"))
    phase, order = _from(start, W), torch.full(S.shape, -1, dtype=torch.int32)
    for item, part in paths.items():
        order[item][_wavelets(W)] = torch.from_numpy(part.order)
    _integrate(paths, W, (dphi_dt, dphi_dlogs), phase)
    return phase, order, sum(part.n_islands for part in paths.values())


def _from(start: ArrayLike, W: Scalogram) -> torch.Tensor:
    """Copy the phase to start from, in double precision; zero in the row of a lowpass."""
    phase = check_numbers(start, "start").to("cpu", torch.float64, copy=True)
    phase[..., _wavelets(W).stop :, :] = 0
    return phase


def _wavelets(W: Scalogram) -> slice:
    """Select the rows that are not a lowpass."""
    return slice(int((W.frequencies > 0).sum()))


def paths_of(S: torch.Tensor, W: Scalogram, tolerance: float) -> dict[tuple[int, ...], Paths]:
    """Find the `Paths` of each scalogram of a batch, by its index."""
    moduli = double(S.detach().cpu())[..., _wavelets(W), :].numpy()
    items = np.ndindex(S.shape[:-2])
    return {item: Paths(moduli[item], tolerance * float(moduli[item].max())) for item in items}


def _integrate(
    paths: dict[tuple[int, ...], Paths],
    W: Scalogram,
    gradient: Sequence[torch.Tensor],
    phase: torch.Tensor,
) -> None:
    """Replace `phase`, where paths lead, by the integral of a gradient along them."""
    rows, weights = _wavelets(W), integration_weights(W.log_scales)
    for item, part in paths.items():
        in_time, in_scale = (f[item][rows].numpy() for f in gradient)
        part.add_up(in_time, in_scale, weights, phase[item][rows].numpy())


def add_integral(
    S: torch.Tensor, W: Scalogram, gradient: Sequence[torch.Tensor], phase: torch.Tensor
) -> None:
    """Replace `phase`, where paths through S lead, by the integral of a gradient along them."""
    _integrate(paths_of(S, W, REACHED_DOWN_TO), W, gradient, phase)


def heap(
    S: ArrayLike,
    W: Scalogram,
    *,
    seed: int,
    callback: Callback | None,
    keep_every: int | None,
    progress: bool,
    n_iter: int = 30,
    tolerance: float = REACHED_DOWN_TO,
) -> Recovery:
    """Run the stage of this module alone; the parameters are those of `phase_gradient`."""
    S = detached(W.check_scalogram(S), "S", "phase_gradient")
    n_iter = check_count(n_iter, "n_iter", 0)
    tolerance = check_share(tolerance, "tolerance")
    seed = check_count(seed, "seed", 0)
    carry_out = functools.partial(
        integrate_and_correct, seed=seed, n_iter=n_iter, tolerance=tolerance
    )
    stages = [Stage("phase gradient", carry_out, n_iter)]

    def alone(index: Index, callback: Callback | None) -> Recovery:
        run = Run(
            "phase gradient (heap)",
            callback,
            keep_every=keep_every,
            progress=progress,
            result="best",
        )
        run.details["islands"] = 0
        member = at_unit(S[index], W, run)
        return run.through(stages, member, W, silence_of(member)).recovery()

    return one_by_one(alone, tuple(S.shape[:-2]), norm(S, (-2, -1)), callback)


def integrate_and_correct(
    S: torch.Tensor,
    W: Scalogram,
    run: Run,
    *,
    seed: int = 0,
    n_iter: int = 30,
    tolerance: float = REACHED_DOWN_TO,
    given: torch.Tensor | None = None,
) -> None:
    """Carry out the stage: rounds until one is good enough or gains nothing; hand on the best.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    run : Run
    seed, n_iter, tolerance
        As for `phase_gradient`.
    given : real Tensor, shape of S, optional
        The scalogram against which the run records the fit, if S is a denoised version of it.
    """
    paths = paths_of(S, W, tolerance)
    run.details["islands"] = sum(part.n_islands for part in paths.values())
    x = integrated(S, W, paths, _from(random_angles(S, seed), W))
    iterates = itertools.islice(rounds(S, W, x, correction(S, W, paths)), n_iter + 1)
    run.x = best_of(
        iterates, S, run, None if given is None else lambda x: consistency_db(x, given, W)
    )


def best_of(
    iterates: Iterable[tuple[torch.Tensor, float]],
    S: torch.Tensor,
    run: Run,
    fit_of: Callable[[torch.Tensor], float] | None = None,
) -> torch.Tensor:
    """Hand iterates (x, || |W x| - S ||) to the run until one is good enough; return the best.

    `fit_of` gives the fit that the run records, if it is not that to S.
    """
    total, best = float(S.norm()), (math.inf, torch.empty(0))  # no signal yet
    for x, residual in iterates:
        fit = decibels(residual / total)
        arrived = fit < ENOUGH_DB or (fit < NEARLY_ENOUGH_DB and fit > best[0] - 1)
        best = min(best, (fit, x), key=lambda pair: pair[0])
        if run.step(x, fit_of(x) if fit_of else fit) or arrived:
            break
    return best[1]


def correction(S: torch.Tensor, W: Scalogram, paths: dict[tuple[int, ...], Paths]) -> Correction:
    """Make the function that corrects the phase of a signal; its arrays serve all calls."""
    known = functools.cache(lambda: phase_derivatives(S, W, exact=False))  # the heap needs none
    c = torch.empty_like(S, dtype=S.dtype.to_complex())
    phase = torch.empty(S.shape, dtype=torch.float64)

    def correct(x: torch.Tensor) -> torch.Tensor:
        return corrected(S, W, W.coefficients(x, out=c), known(), paths, phase)

    return correct


def integrated(
    S: torch.Tensor, W: Scalogram, paths: dict[tuple[int, ...], Paths], phase: torch.Tensor
) -> torch.Tensor:
    """Make the signal whose phase is the integral of the gradient that S implies.

    `phase`, where the paths start, is overwritten.
    """
    _integrate(paths, W, phase_derivatives(S, W), phase)
    return W.inverse(turn(S.to(S.dtype.to_complex()), phase))


def corrected(
    S: torch.Tensor,
    W: Scalogram,
    c: torch.Tensor,
    known: Gradient,
    paths: dict[tuple[int, ...], Paths],
    phase: torch.Tensor,
) -> torch.Tensor:
    """Turn c by the integral of known - estimated gradient; c and `phase` are overwritten."""
    estimated = phase_derivatives(W.modulus(c), W, exact=False)
    difference = [torch.sub(*pair, out=pair[1]) for pair in zip(known, estimated)]
    _integrate(paths, W, difference, phase.zero_())
    return W.inverse(W.impose(S, turn(c, phase), out=c))


def rounds(
    S: torch.Tensor,
    W: Scalogram,
    x: torch.Tensor,
    correct: Correction,
    *,
    newton_below_db: float = NEWTON_BELOW_DB,
    last_steps: int = 0,
) -> Iterator[tuple[torch.Tensor, float]]:
    """Generate (x, || |W x| - S ||): the start, then the result of each round.

    A round that has made things worse is taken back: the next one goes on from the best x. Where
    no round gains any more, so many `last_steps` of Gauss and Newton follow each other, and the
    fit may grow meanwhile: the waveform comes closer before the fit does, as zeros have to move.
    """
    c, loudness, nearest = W.coefficients(x), decibels(S.norm()), x
    kept = W.painless.sampled(S)
    least, newton_below = float((W.modulus(c) - S).norm()), loudness + newton_below_db
    yield x, least
    if decibels(least) < loudness + CLOSE_DB:
        x = correct(x)
    least, failures, newton, n_steps = math.inf, 0, False, SETTLING_STEPS
    while failures < PATIENT_ROUNDS + last_steps * (decibels(least) < newton_below):
        last_resort = failures >= PATIENT_ROUNDS
        newton_steps = newton or last_resort
        x, residual = _refined(S, kept, W, x, None if newton_steps else n_steps, c, failures > 0)
        yield x, residual
        gain = decibels(least) - decibels(residual)
        newton = gain < SLOW_DB and not (newton and gain < 1)
        newton &= decibels(residual) < newton_below
        failures = failures + 1 if gain < 1 else 0
        n_steps = min(n_steps + SETTLING_STEPS * (0 < failures <= PATIENT_ROUNDS), MOST_STEPS)
        if gain > 0:
            least, nearest = residual, x
        if failures < PATIENT_ROUNDS:
            x = correct(nearest)
        elif failures == PATIENT_ROUNDS:
            x = nearest


def _refined(
    S: torch.Tensor,
    kept: torch.Tensor,
    W: Scalogram,
    x: torch.Tensor,
    n_steps: int | None,
    c: torch.Tensor,
    whole: bool,
) -> tuple[torch.Tensor, float]:
    """Take steps of fast Griffin-Lim, or one of Gauss and Newton for None; c is overwritten.

    `kept` is what W.painless keeps of S. Its few coefficients can be at rest in quiet places where
    the `whole` scalogram is not.
    """
    if n_steps is not None:
        step = functools.partial(_refit, S, W, c)
        step = step if whole else functools.partial(W.painless.refit, kept)
        x = settle(step, x, n_steps, MOMENTUM)
        return mend(S, W, x, MENDING * SETTLING_STEPS, MOMENTUM, c)
    x = gauss_newton(kept, W.painless, x, NEWTON_STEPS)
    return x, float((W.modulus(W.coefficients(x, out=c)) - S).norm())


def _refit(S: torch.Tensor, W: Scalogram, c: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Take a step of Griffin-Lim with all coefficients; c is overwritten."""
    c = W.coefficients(x, out=c)
    return W.inverse(W.impose(S, c, out=c))


def turn(c: torch.Tensor, phase: torch.Tensor) -> torch.Tensor:
    """Multiply c by exp(i phase) in place, row by row, so that temporary arrays fit the cache.

    Coefficients on another device are turned at once: the phase, from the CPU, gets there in one
    piece.
    """
    at_once = 1 if c.device.type == "cpu" else c.shape[-2]
    for row in range(0, c.shape[-2], at_once):
        turn = phase[..., row : row + at_once, :].to(c.real)
        c[..., row : row + at_once, :] *= torch.polar(torch.ones_like(turn), turn)
    return c
