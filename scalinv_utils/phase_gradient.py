"""The phase hidden in the modulus: its gradient, integrated from the peaks outwards.

For c = W x = |c| exp(i phi), s the scale in samples, p the wavelet's peak frequency (rad/sample at
scale 1) and P^2 its time-bandwidth product,

    dphi/dt      =  p/s (1 - dlog|c|/dlog s / P^2)        rad/sample
    dphi/dlog s  =  P^2 s/p  dlog|c|/dt                   rad

Exact for Cauchy wavelets, where they are the Cauchy-Riemann equations; to first order for all
others. Two steps turn them into a signal:

    heap         phase differences added up along paths that avoid the zeros: always on from the
                 largest point reached so far (Prusa, Balazs, Sondergaard 2017,
                 doi:10.1109/TASLP.2017.2678166; for wavelets Holighaus, Koliander, Prusa, Abreu
                 2019, arXiv:1906.00738)
    correction   what the relations get wrong they get wrong alike for two scalograms that are
                 close. Given an estimate d = W y, integrate only the difference between what they
                 say of S and what they say of |d|, and turn the phase of d by it: at the solution
                 the difference is zero, whatever the wavelet.

The correction is derived here, not taken from the literature; its evidence is the numbers in the
tests and in notebook 05.
"""

import math
from itertools import islice

import numpy as np
import torch
from numba import njit
from tqdm.auto import tqdm

from .derivatives import scale_derivative, time_derivative
from .griffin_lim import fast, random_angles
from .metrics import decibels
from .patches import mend
from .recovery import Recorder
from .validation import check_choice, check_count, check_share

__all__ = ["integrate_phase", "phase_derivatives", "phase_gradient"]

METHODS = ("heap", "eigen")

# Moduli closer than this count as equal when the next point is chosen.
LEVEL_DB = 0.1

# Relative to the maximum of S: below it nothing is integrated. Double precision still knows the
# derivatives of the modulus there.
TOLERANCE = 1e-6

# In silence there is nothing to integrate.
NOTHING = float(np.finfo(float).tiny)

# Power is floored this far below its maximum, where rounding makes up its derivatives.
POWER_FLOOR = 1e-14

# Steps of fast Griffin-Lim after each integration, with this momentum: they mend what it gets wrong
# next to zeros. Each round that brings nothing adds as many to all that follow. In the few places
# where most of the error stands there are MENDING times as many.
SETTLING_STEPS, MOMENTUM, MENDING = 10, 0.9, 3

# The iteration ends below ENOUGH_DB, or after PATIENCE rounds without a gain of 1 dB, or at the
# first of them below GOOD_DB. Not sooner: what S hardly sees is still 30 dB behind the fit.
PATIENCE, GOOD_DB, ENOUGH_DB = 4, -180.0, -195.0


def phase_gradient(S, W, method="heap", seed=0, callback=None, keep_every=None, progress=False,
                   **options):
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
        Corrections at most, default 30; with 0 it is the one-shot method of the literature.
        Iteration 0 of the history is the heap alone.
    tolerance : float in (0, 1), of "heap"
        Points below this share of the maximum of S are not integrated. Default 1e-6.
    **options
        All else goes to `solve_phase_equation` for "eigen".

    Returns
    -------
    Recovery
        The iterate with the best consistency. ``details``, of "heap": "islands", the number of
        points where an integration started, and "best_consistency_db".

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting input, an unknown method or option.

    Examples
    --------
    >>> W = Scalogram(2048, sample_rate=8000, voices_per_octave=32)    # doctest: +SKIP
    >>> phase_gradient(W.magnitude(x), W).signal                       # doctest: +SKIP
    """
    if check_choice(method, METHODS, "method") == "heap":
        return _heap(S, W, seed, callback, keep_every, progress, **options)
    from .phase_equation import solve_phase_equation

    return solve_phase_equation(W.check_scalogram(S), W, seed=seed, callback=callback,
                                keep_every=keep_every, progress=progress, **options)


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
    wavelets = (W.frequencies > 0).cpu().numpy()
    power = S.numpy()[..., wavelets, :] ** 2
    power = power + POWER_FLOOR * (power.max() or 1.0)
    centre = W.peak / W.scales.cpu().double().numpy()[wavelets, None]
    dlogS_dt = time_derivative(power) / (2 * power)
    dlogS_dlogs = scale_derivative(power.shape[-2], W.voices_per_octave) @ power / (2 * power)
    dphi_dt, dphi_dlogs = torch.zeros_like(S), torch.zeros_like(S)
    dphi_dt[..., wavelets, :] = torch.from_numpy(centre * (1 - dlogS_dlogs / W.time_bandwidth))
    dphi_dlogs[..., wavelets, :] = torch.from_numpy(W.time_bandwidth / centre * dlogS_dt)
    return dphi_dt, dphi_dlogs


def integrate_phase(S, W, dphi_dt, dphi_dlogs, start, tolerance=TOLERANCE):
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
    S = W.check_scalogram(S).detach().double().cpu()
    rows = int((W.frequencies > 0).sum())
    threshold = max(check_share(tolerance, "tolerance") * float(S[..., :rows, :].max()), NOTHING)
    phase, order, n_islands = torch.zeros_like(S), torch.full(S.shape, -1, dtype=torch.int32), 0
    phase[..., :rows, :] = torch.as_tensor(start)[..., :rows, :]
    spacing = math.log(2) / W.voices_per_octave
    for item in np.ndindex(S.shape[:-2]):
        moduli = S[item][:rows].numpy()
        right = _steps(dphi_dt[item][:rows].T.numpy(), periodic=True).T
        # One row more, never used, so that all have the shape of S.
        down = np.pad(spacing * _steps(dphi_dlogs[item][:rows].numpy(), periodic=False),
                      ((0, 1), (0, 0)))
        n_islands += _fill(*_levels(moduli, threshold), np.ascontiguousarray(right), down,
                           phase[item][:rows].numpy(), order[item][:rows].numpy())
    return phase, order, n_islands


def _heap(S, W, seed, callback, keep_every, progress, n_iter=30, tolerance=TOLERANCE):
    """Integrate the gradient; then integrate what is left of it, again and again."""
    S = W.check_scalogram(S).detach()
    n_iter, start = check_count(n_iter, "n_iter", 0), random_angles(S, seed)
    check_share(tolerance, "tolerance")
    recorder = Recorder("phase gradient (heap)", callback, keep_every)
    norm = float(S.norm())
    if norm == 0:
        x = S.new_zeros(S.shape[:-2] + S.shape[-1:])
        recorder.record(x, -math.inf)
        return recorder.finish(x, islands=0, best_consistency_db=-math.inf)
    best = math.inf, None
    with tqdm(total=n_iter + 1, delay=2, leave=False, disable=not progress) as bar:
        for x, residual, n_islands in _rounds(S, W, start, tolerance):
            fit = decibels(residual / norm)
            arrived = fit < ENOUGH_DB or (fit < GOOD_DB and fit > best[0] - 1)
            best = min(best, (fit, x), key=lambda pair: pair[0])
            bar.update()
            stop = recorder.record(x, fit)
            if stop or len(recorder.recovery.history["seconds"]) > n_iter or arrived:
                break
    return recorder.finish(best[1], islands=n_islands, best_consistency_db=best[0])


def _rounds(S, W, start, tolerance):
    """(x, ||  |W x| - S  ||, islands): the heap alone, settled, and then round by round.

    A round that has made things worse is taken back: the next one goes on from the best x.
    """
    known = phase_derivatives(S, W)
    c, islands = _turned(S, W, torch.ones_like(S, dtype=S.dtype.to_complex()), known, start,
                         tolerance)
    x = W.inverse(W.impose(S, c))
    c = W.coefficients(x, out=c)
    yield x, float((W.modulus(c) - S).norm()), islands
    least, failures, n_steps = math.inf, 0, SETTLING_STEPS
    while failures < PATIENCE:
        x, c = next(islice(fast(S, W, c, MOMENTUM), n_steps - 1, None))
        x, residual = mend(S, W, x, c, MENDING * SETTLING_STEPS, MOMENTUM)
        yield x, residual, islands
        if decibels(residual) > decibels(least) - 1:
            failures, n_steps = failures + 1, n_steps + SETTLING_STEPS
        else:
            failures = 0
        if residual < least:
            least, nearest = residual, x
        c = W.coefficients(nearest, out=c)
        missing = [a - b for a, b in zip(known, phase_derivatives(W.modulus(c), W))]
        c, _ = _turned(S, W, c, missing, torch.zeros_like(start), tolerance)


def _turned(S, W, c, gradient, start, tolerance):
    """c, turned in place by the integral of a phase gradient, and the number of islands."""
    phase, _, islands = integrate_phase(S, W, *gradient, start, tolerance)
    c *= torch.polar(torch.ones_like(S), phase.to(S))
    return c, islands


def _steps(f, periodic):
    """Integrals of f from each row to the next one, unit spacing, by cubics through four rows.

    One step more where the rows are periodic; the trapezoidal rule at ends that are not.
    """
    if periodic:
        f = np.concatenate([f[-1:], f, f[:2]])
    inner = (13 * (f[1:-2] + f[2:-1]) - f[:-3] - f[3:]) / 24
    if periodic:
        return inner
    steps = (f[:-1] + f[1:]) / 2
    steps[1:-1] = inner
    return steps


def _levels(moduli, threshold):
    """The level of each point in steps of LEVEL_DB above the threshold, and the points by level.

    Points below the threshold get level -1.
    """
    known = moduli >= threshold
    above = 20 * np.log10(moduli / threshold, where=known, out=np.zeros_like(moduli))
    levels = np.where(known, (above / LEVEL_DB).clip(0, 2**15 - 1), -1).astype(np.int16)
    falling = np.argsort(-levels, axis=None, kind="stable")[: np.count_nonzero(known)]
    return levels, np.append(np.argmax(moduli), falling)


@njit(cache=True)
def _fill(levels, seeds, right, down, phase, order):
    """Fill `phase` and `order` in place from the largest point outwards; count the islands.

    The queue is a stack of points for each level: `newest` has the top of each stack, `below` what
    lies under a point. Unlike a binary heap it takes the same time however much it holds.
    """
    n_rows, n_samples = levels.shape
    reached = levels < 0  # what is too small counts as done
    newest = np.full(levels.max() + 1, -1, np.int32)
    below = np.empty(levels.size, np.int32)
    n_islands, count = 0, 0
    for seed in seeds:
        if reached.flat[seed]:
            continue
        n_islands += 1
        reached.flat[seed] = True
        level = levels.flat[seed]
        newest[level], below[seed] = seed, -1
        while level >= 0:
            point = newest[level]
            if point < 0:
                level -= 1
                continue
            newest[level] = below[point]
            row, t = point // n_samples, point % n_samples
            order[row, t] = count
            count += 1
            before, after = (t - 1) % n_samples, (t + 1) % n_samples
            neighbours = ((row, after, right[row, t]), (row, before, -right[row, before]),
                          (row + 1, t, down[row, t]), (row - 1, t, -down[row - 1, t]))
            for next_row, next_t, step in neighbours:
                if 0 <= next_row < n_rows and not reached[next_row, next_t]:
                    reached[next_row, next_t] = True
                    phase[next_row, next_t] = phase[row, t] + step
                    place, own = next_row * n_samples + next_t, levels[next_row, next_t]
                    newest[own], below[place] = place, newest[own]
                    level = max(level, own)
    return n_islands
