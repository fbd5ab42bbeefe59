"""Recover a signal from a measured scalogram: predict a dense Cauchy scalogram, correct, fit.

    1.  The lifted power predicts the scalogram of a dense Cauchy bank (`_lifted_completion`).
    2.  Its phase is integrated; the signal is W'^+ of the result, folded back by E^+.
    3.  Rounds: predict anew about the estimate, correct the phase, and descend on the likelihood
        of the values that are known: L-BFGS, then damped steps of Gauss and Newton on all unknowns,
        unless they are too many. The estimate's spectrum is the next prior.
    4.  If something is left unexplained, steps on the misfits of |c|^p, with p from 2, 3 or 4 down
        to 1, lead out of the bottom that the rounds ended in.

Columns of a picture, which lie between samples, come first as every h-th sample of another rate
(`_even_columns`).

Several widths of the Cauchy wavelets are tried until one of them explains what is known. Signals
that are too long for that start from rows filled in along time, or from noise, and only descend.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from ..measured import Measured
from ..metrics import decibels
from ._dense_start import CAUCHY_BETAS, integrate_own, started, turned
from ._even_columns import evened
from ._fisher import LONGEST_DENSE
from ._gradient_descent import descend_lbfgs
from ._griffin_lim import random_angles
from ._levenberg_marquardt import is_small, levenberg_marquardt
from ._lifted_completion import Completion, OwnBank, filled, has_dense_rows, is_liftable
from ._lifted_power import spectrum_of
from ._objective import Objective
from ._phase_gradient import REACHED_DOWN_TO, integrated, paths_of
from ._stages import Run, Stage
from .losses import Loss, gaussian, l2

__all__ = ["carry_out", "completed_stages", "cost_of"]

Map = Callable[[torch.Tensor], torch.Tensor]

# Rounds of one width: the largest number, steps of a descent in each, and the least gain.
ROUNDS_OF_ONE, DESCENT, NEWTON_ALL, LEAST_GAIN_OF_ROUND = 8, 30, 6, 0.5

# After these rounds the prior spectrum is taken from the estimate.
LEARNS_AFTER = (0, 2)

# Exact values are explained below this misfit, others where chi^2 is below this many per value.
EXACT_GOAL_DB, EXPLAINED_CHI2 = -150.0, 1.05

# Powers of the modulus whose misfits lead out of a bottom, each with its number of steps, and where
# in this list the first, second and third try begin.
POWERS, FIRST_POWERS = ((4, 6), (3, 6), (2, 6), (1, 15)), (2, 1, 0)

# Rounds on rows that are dense themselves. Their answer is good enough below this squared misfit.
OWN_ROUNDS, GOOD, TINY = 12, 1e-6, 1e-300

# Errors are relative if they differ by this factor; then a descent on the plain misfit comes first
# while that is above so many times what the errors explain.
UNEQUAL, LOUD_OPEN, LOUD_FIRST = 10.0, 1.5, 200

# The last descent: with steps of Newton after it, where there are none, and of a long record.
LAST_DESCENT, LAST_NEWTON, LAST_ALONE, LONG_DESCENT = 60, 40, 400, 500


def carry_out(M: Measured, run: Run, seed: int) -> None:
    """Carry out all stages; of even columns first on samples that they lie on."""
    if (even := evened(M)) is None:
        run.through(_stages_for(M, seed), M.S, M)
        return

    def report(iteration: int, y: torch.Tensor, fit: float) -> bool:
        return run.step(even.back(y), fit)

    inner = Run(run.method, report, progress=run.progress)
    inner.stages = run.stages
    carry_out(even.M, inner, seed)
    run.x = even.back(inner.x)
    run.through([Stage("on the samples", _finish, LAST_DESCENT)], M.S, M)


def _stages_for(M: Measured, seed: int) -> list[Stage]:
    """List the stages: starts from dense banks, and a last descent."""
    own = has_dense_rows(M) and M.sigma is None
    starts = [Stage("own rows", functools.partial(_own_rows, seed=seed), OWN_ROUNDS)] if own else []
    n_iter = sum(n_steps for first in FIRST_POWERS for _, n_steps in POWERS[first:])
    powers = Stage("powers", _through_powers, n_iter, functools.partial(_is_open, M))
    ends = [powers] * is_small(M) + [Stage("last descent", _finish, LAST_DESCENT)]
    if is_liftable(M):
        starts += completed_stages(M, seed)
    elif not own:
        fill = functools.partial(_integrate_filled, seed=seed)
        starts = [Stage("filled in", fill, 1), Stage("descent", _descend_long, LONG_DESCENT)]
        return starts + ends * is_small(M)
    # Powers come after the first start, which is needed most often, and after all.
    return starts[:1] + ends[:-1] * (len(starts) > 1) + starts[1:] + ends


def completed_stages(M: Measured, seed: int) -> list[Stage]:
    """List one stage for each width of the Cauchy wavelets; S and W of their run do not matter."""
    n_iter = ROUNDS_OF_ONE * (DESCENT + NEWTON_ALL)
    return [
        Stage(
            f"completed, beta {beta:g}",
            functools.partial(_in_rounds, M=M, beta=beta, seed=seed),
            n_iter,
            functools.partial(_is_open, M),
        )
        for beta in CAUCHY_BETAS[: _n_widths(M)]
    ]


def _n_widths(M: Measured) -> int:
    """Count the widths that are worth their time: rounds of long signals take longest."""
    if M.W.n_samples > LONGEST_DENSE:
        return 1
    return len(CAUCHY_BETAS) if M.sigma is None and is_small(M) else 2


def cost_of(M: Measured, x: torch.Tensor) -> float:
    """Compute what x leaves unexplained: chi^2 per known value, or the squared misfit if exact."""
    misfit = M.misfit(M.magnitude(x))
    if M.sigma is None:
        return float(misfit.square().sum() / M.S.square().sum())
    return float((misfit / M.sigma).square().sum()) / int(M.known.sum())


def _is_explained(M: Measured, x: torch.Tensor) -> bool:
    goal = 10 ** (EXACT_GOAL_DB / 10) if M.sigma is None else EXPLAINED_CHI2
    return cost_of(M, x) < goal


def _is_loud_part_open(M: Measured, x: torch.Tensor) -> bool:
    """Whether errors are relative, and the plain misfit has more energy than they explain."""
    if M.sigma is None:
        return False
    sigma = M.sigma[M.known]
    misfit = M.misfit(M.magnitude(x)).square().sum()
    relative = float(sigma.max()) > UNEQUAL * float(sigma.min())
    return relative and float(misfit) > LOUD_OPEN * float(sigma.square().sum())


def _so_far(run: Run) -> torch.Tensor | None:
    """Fetch the signal so far, if there is one, to the CPU: stages before may be elsewhere."""
    x = getattr(run, "x", None)
    return None if x is None else x.cpu()


def _is_open(M: Measured, run: Run) -> bool:
    """Whether there is no signal yet, or none that makes other starts needless."""
    x = _so_far(run)
    if x is None or M.sigma is not None or not has_dense_rows(M):
        return x is None or not _is_explained(M, x)
    return cost_of(M, x) > GOOD


def _own_rows(S: torch.Tensor, M: Measured, run: Run, *, seed: int) -> None:
    """Carry out the stage: the phase of the rows as they are, and descents as long as they gain."""
    x = integrate_own(OwnBank(M), run, seed, OWN_ROUNDS)
    run.x = _while_it_gains(M, x, run, functools.partial(_descended, M, run=run))


def _while_it_gains(M: Measured, x: torch.Tensor, run: Run, change: Map) -> torch.Tensor:
    """Change x again as long as that gains; keep the better one."""
    cost, gain = cost_of(M, x), math.inf
    while gain > LEAST_GAIN_OF_ROUND and not (run.stopped or _is_explained(M, x)):
        y = change(x)
        gain = decibels(cost / max(cost_of(M, y), TINY)) / 2
        x, cost = (y, cost_of(M, y)) if gain > 0 else (x, cost)
    return x


def _through_powers(S: torch.Tensor, M: Measured, run: Run) -> None:
    """Carry out the stage: leave a bottom of the misfit of |c| by those of its powers.

    |c| has a cusp at each zero of c, which holds zeros that are in a wrong place. Its powers have
    none, and the higher they are, the less the zeros weigh.
    """

    def lowered(x: torch.Tensor, first: int) -> torch.Tensor:
        for power, n_steps in POWERS[first:]:
            x = x if run.stopped else levenberg_marquardt(M, x, n_steps, run.step, power)
        return x

    for first in FIRST_POWERS:
        if _is_open(M, run):
            run.x = _while_it_gains(M, run.x, run, functools.partial(lowered, first=first))


def _in_rounds(
    S: torch.Tensor, W: object, run: Run, *, M: Measured, beta: float, seed: int
) -> None:
    """Carry out the stage: rounds with a dense bank; keep the better signal."""
    so_far = _so_far(run)
    bank = Completion(M, beta)
    best = x = started(bank, seed)
    run.step(x, M.consistency_db(x))
    cost = cost_of(M, x)
    for k in range(ROUNDS_OF_ONE):
        if run.stopped or _is_explained(M, best):
            break
        x = _descended(M, turned(bank, best), run)
        gain = (decibels(cost) - decibels(cost_of(M, x))) / 2
        if gain > 0:
            best, cost = x, cost_of(M, x)
        if k in LEARNS_AFTER:
            bank.set_spectrum(spectrum_of(M.extension(best), M.W))
        elif gain < LEAST_GAIN_OF_ROUND:
            break
    run.x = best if so_far is None or cost < cost_of(M, so_far) else so_far


def _descended(
    M: Measured, x: torch.Tensor, run: Run, n_iter: int = DESCENT, n_newton: int = NEWTON_ALL
) -> torch.Tensor:
    """Descend on the likelihood: L-BFGS, then steps of Gauss and Newton on all unknowns.

    Where errors are relative, as those of decibels, quiet values weigh as much as loud ones. The
    loud ones come first then, until they fit as well as their errors let them.
    """
    small, periodic = is_small(M), M.extension.is_identity
    if _is_loud_part_open(M, x):
        x = _lbfgs(M, x, LOUD_FIRST, run, l2, M.whiten if periodic else None)
    loss = l2 if M.sigma is None else gaussian(M.sigma)
    more = 1 if M.W.n_samples <= LONGEST_DENSE else 2
    x = _lbfgs(M, x, more * n_iter, run, loss, M.whiten)
    if run.stopped or periodic and not small or M.sigma is None and _is_explained(M, x):
        return x
    if small:
        return levenberg_marquardt(M, x, n_newton, run.step)
    # Equalised descents come down where whitened ones are stuck, which end more exactly.
    x = _lbfgs(M, x, 2 * n_iter, run, loss, None)
    return _lbfgs(M, x, 2 * DESCENT, run, loss, M.whiten)


def _lbfgs(
    M: Measured, x: torch.Tensor, n_iter: int, run: Run, loss: Loss, whiten: Map | None
) -> torch.Tensor:
    """Run L-BFGS on the whitened change of x or, without whitening, on x itself, equalised.

    An extended signal reaches beyond the band of W, where whitening would be as far off as 1e3.
    """
    latest = x

    def signal(u: torch.Tensor) -> torch.Tensor:
        return u if whiten is None else x + whiten(u)

    def report(u: torch.Tensor, fit: float) -> bool:
        nonlocal latest
        latest = signal(u.detach())
        return run.step(latest, fit)

    objective = Objective(M.S, lambda u: M.fitted(signal(u)), loss)
    start = x if whiten is None else torch.zeros_like(x)
    descend_lbfgs(objective, start, n_iter, report, precondition=whiten is None)
    return latest


def _integrate_filled(S: torch.Tensor, M: Measured, run: Run, *, seed: int) -> None:
    """Carry out the stage: a start for a long signal, from rows filled in along time, or noise."""
    W = M.W
    if W.has_wavelet and W.is_one_sided:
        dense = _along_time(M)
        phase = random_angles(dense, seed).to("cpu", torch.float64)
        y = integrated(dense, W, paths_of(dense, W, REACHED_DOWN_TO), phase)
        x = M.extension.inverse(y)
    else:
        angles = random_angles(M.S, seed)
        x = M.columns.hop * M.adjoint(torch.polar(M.S, angles))
        x = _whitened_band(M, _whitened_band(M, x))
    run.step(x, M.consistency_db(x))


def _along_time(M: Measured) -> torch.Tensor:
    """Interpolate the rows of the grid linearly to every sample of the extended signal."""
    plane, n_samples = filled(M), M.W.n_samples
    rows = []
    for row, times in zip(plane, M.columns.times):
        rows.append(np.interp(np.arange(n_samples), times, row, period=n_samples))
    return torch.from_numpy(np.stack(rows))


def _whitened_band(M: Measured, x: torch.Tensor) -> torch.Tensor:
    """Whiten x on the band of W only: few columns of a long signal say nothing beyond it."""
    return M.extension.inverse(M.W.whiten(M.extension(x)))


def _descend_long(S: torch.Tensor, M: Measured, run: Run) -> None:
    """Carry out the stage: one long descent on the plain misfit."""
    run.x = _lbfgs(M, run.x, LONG_DESCENT, run, l2, functools.partial(_whitened_band, M))


def _finish(S: torch.Tensor, M: Measured, run: Run) -> None:
    """Carry out the stage: descend from the best signal until little is gained.

    Values with errors are explained before their likelihood is at its maximum.
    """
    explained, short = _is_explained(M, run.x), M.W.n_samples <= LONGEST_DENSE
    if M.sigma is not None or not (explained or is_small(M)):
        n_iter = LAST_DESCENT if is_small(M) or explained else LAST_ALONE
        run.x = _descended(M, run.x, run, n_iter, LAST_NEWTON)
    elif short or not explained:
        # Exact values determine more than the goal asks for, most where nothing lies beyond the
        # band, which descents fill a little and these steps leave as it is.
        starts = (run.x, M.W.project(run.x)) if M.extension.is_identity else (run.x,)
        ends = [levenberg_marquardt(M, x, LAST_NEWTON, run.step) for x in starts]
        run.x = min(ends, key=functools.partial(cost_of, M))
    run.step(run.x, M.consistency_db(run.x))
