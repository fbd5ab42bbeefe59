"""The phase hidden in the modulus: its gradient, integrated from the peaks outwards.

For c = W x = |c| exp(i phi), s the scale in samples, p the wavelet's peak frequency (rad/sample at
scale 1) and P^2 its time-bandwidth product,

    dphi/dt      =  p/s (1 - dlog|c|/dlog s / P^2)        rad/sample
    dphi/dlog s  =  P^2 s/p  dlog|c|/dt                   rad

Exact for Cauchy wavelets, where they are the Cauchy-Riemann equations; to first order for all
others. Two integrations turn them into a signal:

    heap         phase differences added up along paths that avoid the zeros: always on from the
                 largest point reached so far (Prusa, Balazs, Sondergaard 2017,
                 doi:10.1109/TASLP.2017.2678166; for wavelets Holighaus, Koliander, Prusa, Abreu
                 2019, arXiv:1906.00738)
    correction   what the relations get wrong they get wrong alike for two scalograms that are
                 close. Given an estimate d = W y, integrate only the difference between what they
                 say of S and what they say of |d|, and turn the phase of d by it: at the solution
                 the difference is zero, whatever the wavelet.

A correction mends what is wrong far and wide and breaks what lies next to a zero, where differences
between neighbours say little. A few steps of fast Griffin-Lim, which see no further than a wavelet,
do the opposite. So each round has both, and then mends the few places where the misfit stands
(`patches`).

The correction is derived here, not taken from the literature; its evidence is the numbers in the
tests and in notebook 05.
"""

import functools
import itertools
import math

import numpy as np
import torch

from .._validation import check_choice, check_count, check_share
from ..metrics import consistency_db, decibels
from ..transforms._derivatives import scale_derivative, time_derivative
from ._griffin_lim import random_angles, settle
from ._heap_integration import Paths
from ._local_refinement import mend
from ._phase_equation import solve_phase_equation
from ._stages import Run, Stage, silence_of

__all__ = ["integrate_phase", "phase_derivatives", "phase_gradient"]

PHASE_METHODS = ("heap", "eigen")

# Relative to the maximum of S: below it nothing is integrated. Double precision still knows the
# derivatives of the modulus there.
REACHED_DOWN_TO = 1e-6

# Numbers that stay in a processor's cache.
CACHED_NUMBERS = 2**17

# Power is floored this far below its maximum, where rounding makes up its derivatives.
DERIVATIVE_POWER_FLOOR = 1e-14

# Steps of fast Griffin-Lim in a round, with this momentum. Each round that brings nothing adds as many
# to all that follow. In the few places where most of the error stands there are MENDING times as many.
SETTLING_STEPS, MOMENTUM, MENDING = 10, 0.9, 3

# The iteration ends below ENOUGH_DB, or after PATIENT_ROUNDS rounds without a gain of 1 dB, or at the
# first of them below GOOD_DB. Not sooner: what S hardly sees is still 30 dB behind the fit.
PATIENT_ROUNDS, GOOD_DB, ENOUGH_DB = 4, -180.0, -195.0


def phase_gradient(
    S, W, *, method="heap", seed=0, callback=None, keep_every=None, progress=False, **options
):
    """Recover a signal by the phase that its scalogram's modulus implies.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        The scalogram. A batch is iterated as a whole; its history is that of the whole.
    W : Scalogram
        Any wavelet; 16 voices per octave or more.
    method : "heap" or "eigen"
        "heap": integrate the phase's gradient, then correct it (this module; fast). "eigen": the
        phase equation, one linear system per round (`solve_phase_equation`, which see; one
        scalogram only).
    seed : int
        Of the random phases that islands start from and that points below the tolerance get.
    callback : callable, optional
        ``callback(iteration, x, consistency_db)`` after each iteration, x a copy; a true return
        value stops.
    keep_every : int, optional
        Keep a copy of the signal every so many iterations in ``Recovery.iterates``.
    progress : bool
        Show a progress bar on runs longer than two seconds.
    n_iter : int, of "heap"
        Rounds after the heap at most, default 30; with 0 it is the one-shot method of the
        literature. Round 1 settles what the heap gave, all others correct it first.
    tolerance : float in (0, 1), of "heap"
        Points below this share of the maximum of S are not integrated. Default 1e-6.
    **options
        All else goes to `solve_phase_equation` for "eigen".

    Returns
    -------
    Recovery
        The iterate with the best consistency. ``details``, of "heap": "islands", the number of
        points where an integration started.

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting input, an unknown method or option.

    Examples
    --------
    >>> W = Scalogram(2048, sample_rate=8000, voices_per_octave=32)    # doctest: +SKIP
    >>> phase_gradient(W.magnitude(x), W).signal                       # doctest: +SKIP
    """
    common = {"seed": seed, "callback": callback, "keep_every": keep_every, "progress": progress}
    if check_choice(method, PHASE_METHODS, "method") == "eigen":
        return solve_phase_equation(S, W, **common, **options)
    return _heap(S, W, **common, **options)


def phase_derivatives(S, W):
    """The gradient of the phase from the modulus alone.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        A scalogram, its rows neighbours in scale. Its level does not matter.
    W : Scalogram

    Returns
    -------
    dphi_dt : Tensor, shape of S
        Instantaneous frequency in rad/sample.
    dphi_dlogs : Tensor, shape of S
        In rad per unit of the natural logarithm of scale.
        Both float64, and zero in the row of a lowpass.

    Notes
    -----
    Holighaus, Koliander, Prusa, Abreu (2019), arXiv:1906.00738. The derivatives of log S = 1/2
    log P are taken as P'/(2 P): P = S^2 is smooth where S has a zero, and log S is not. In time
    by the DFT, in scale by finite differences of order 8. Silence gives each row its centre
    frequency.
    """
    S = W.check_scalogram(S).detach().double().cpu()
    rows = _wavelets(W)
    power = S[..., rows, :].numpy() ** 2
    power += DERIVATIVE_POWER_FLOOR * (power.max() or 1.0)
    centre = W.peak / W.scales.cpu().double().numpy()[rows, None]
    dphi_dt, dphi_dlogs = torch.zeros_like(S), torch.zeros_like(S)
    in_time, in_scale = dphi_dlogs.numpy()[..., rows, :], dphi_dt.numpy()[..., rows, :]
    D = scale_derivative(power.shape[-2], W.voices_per_octave)
    # Block by block, so that what is in between stays in the cache.
    for few in _blocks(power.shape[-2], CACHED_NUMBERS // power.shape[-1]):
        P = power[..., few, :]
        in_time[..., few, :] = W.time_bandwidth / centre[few] * (time_derivative(P) / (2 * P))
    for few in _blocks(power.shape[-1], CACHED_NUMBERS // power.shape[-2]):
        P = power[..., few]
        in_scale[..., few] = centre * (1 - D @ P / (2 * P) / W.time_bandwidth)
    return dphi_dt, dphi_dlogs


def _blocks(n, size):
    return (slice(first, first + max(size, 1)) for first in range(0, n, max(size, 1)))


def integrate_phase(S, W, dphi_dt, dphi_dlogs, start, *, tolerance=REACHED_DOWN_TO):
    """Add up a phase gradient along paths through large moduli.

    From the largest point on, the largest of all neighbours of points reached so far is always
    next, to a tenth of a decibel: a queue as rough as that is several times as fast as a heap.
    Where no neighbour is left, the largest point not yet reached starts another island. The last
    sample is a neighbour of the first. Phase differences are integrals of cubics through four
    points.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
    W : Scalogram
    dphi_dt, dphi_dlogs : real Tensors, shape of S
        As `phase_derivatives` gives them.
    start : real Tensor, shape of S
        The phase of the points where an island starts and of those that are never reached.
    tolerance : float in (0, 1)
        Points below this share of the maximum of S are never reached.

    Returns
    -------
    phase : Tensor, shape of S, in rad
        The row of a lowpass gets 0.
    order : integer Tensor, shape of S
        0 for the point reached first, and so on; -1 for those never reached.
    n_islands : int
        How often an integration started.
    """
    S = W.check_scalogram(S)
    paths = _paths(S, W, check_share(tolerance, "tolerance"))
    phase, order = _from(start, W), torch.full(S.shape, -1, dtype=torch.int32)
    for item, part in paths.items():
        order[item][_wavelets(W)] = torch.from_numpy(part.order)
    _integrate(paths, W, (dphi_dt, dphi_dlogs), phase)
    return phase, order, sum(part.n_islands for part in paths.values())


def _from(start, W):
    """A copy of the phase to start from, in double precision; zero in the row of a lowpass."""
    phase = torch.as_tensor(start).to("cpu", torch.float64, copy=True)
    phase[..., _wavelets(W).stop :, :] = 0
    return phase


def _wavelets(W):
    """The rows that are not a lowpass."""
    return slice(int((W.frequencies > 0).sum()))


def _paths(S, W, tolerance):
    """The `Paths` of each scalogram of a batch, by its index."""
    moduli = S.detach().double().cpu()[..., _wavelets(W), :].numpy()
    threshold = tolerance * float(moduli.max())
    return {item: Paths(moduli[item], threshold) for item in np.ndindex(S.shape[:-2])}


def _integrate(paths, W, gradient, phase):
    """Replace `phase`, where paths lead, by the integral of a gradient along them."""
    rows, spacing = _wavelets(W), math.log(2) / W.voices_per_octave
    for item, part in paths.items():
        part.add_up(*(f[item][rows].numpy() for f in gradient), spacing, phase[item][rows].numpy())


def _heap(S, W, *, seed, callback, keep_every, progress, n_iter=30, tolerance=REACHED_DOWN_TO):
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
    stage = functools.partial(integrate_and_correct, seed=seed, n_iter=n_iter, tolerance=tolerance)
    run.details["islands"] = 0
    return run.through([Stage("phase gradient", stage, n_iter)], S, W, silence_of(S)).recovery()


def integrate_and_correct(S, W, run, *, seed=0, n_iter=30, tolerance=REACHED_DOWN_TO, given=None):
    """Carry out the stage: rounds until one is good enough or no better; it hands on the best.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    run : Run
    seed, n_iter, tolerance
        As for `phase_gradient`.
    given : real Tensor, shape of S, optional
        The scalogram against which the run counts the fit, where S is a denoised version of it.
    """
    norm, best = float(S.norm()), (math.inf, None)
    start = _from(random_angles(S, seed), W)
    rounds = _rounds(S, W, start, tolerance)
    for x, residual, run.details["islands"] in itertools.islice(rounds, n_iter + 1):
        fit = decibels(residual / norm)
        arrived = fit < ENOUGH_DB or (fit < GOOD_DB and fit > best[0] - 1)
        best = min(best, (fit, x), key=lambda pair: pair[0])
        if run.step(x, fit if given is None else consistency_db(x, given, W)) or arrived:
            break
    run.x = best[1]


def _rounds(S, W, phase, tolerance):
    """(x, ||  |W x| - S  ||, islands): the heap alone, settled, and then round by round.

    A round that has made things worse is taken back: the next one goes on from the best x.
    """
    known, paths = phase_derivatives(S, W), _paths(S, W, tolerance)
    _integrate(paths, W, known, phase)
    islands = sum(part.n_islands for part in paths.values())
    x = W.inverse(_turn(S.to(S.dtype.to_complex()), phase))
    c = W.coefficients(x)
    yield x, float((W.modulus(c) - S).norm()), islands
    least, failures, n_steps = math.inf, 0, SETTLING_STEPS
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


def _turn(c, phase):
    """c exp(i phase) in place, row by row: beyond the cache, temporary arrays cost most."""
    for row in range(c.shape[-2]):
        turn = phase[..., row, :].to(c.real)
        c[..., row, :] *= torch.polar(torch.ones_like(turn), turn)
    return c
