"""Recover a signal from a measured scalogram: predict a dense Cauchy scalogram, correct, fit.

    1.  The lifted power predicts the scalogram of a dense Cauchy bank (`_lifted_completion`).
    2.  Its phase is integrated; the signal is W'^+ of the result, folded back by E^+.
    3.  Rounds: predict anew about the estimate, correct the phase, and descend on the likelihood
        of the values that are known: L-BFGS, then damped steps of Gauss and Newton on all unknowns
        (or conjugate gradients where there are too many). The estimate's spectrum is the next prior.

Several widths of the Cauchy wavelets are tried until one of them explains what is known. Where the
signal was extended by its mirror image, the circle of rotations is no freedom: the one is taken
whose extension is nearest to such an image, which leaves the sign.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
import torch

from ..measured import Measured
from ..metrics import analytic, decibels
from ..transforms.scalogram import Scalogram
from ._gauss_newton import gauss_newton
from ._gradient_descent import descend_lbfgs
from ._griffin_lim import random_angles
from ._levenberg_marquardt import is_small, levenberg_marquardt
from ._lifted_completion import Completion, filled, is_liftable
from ._lifted_power import spectrum_of
from ._objective import Objective
from ._phase_gradient import REACHED_DOWN_TO, corrected, integrated, paths_of
from ._phase_relations import phase_derivatives
from ._stages import Run, Stage
from .losses import Loss, gaussian, l2

__all__ = ["EXACT_GOAL_DB", "cost_of", "stages_for"]

# Widths of the Cauchy wavelets, tried in turn.
BETAS = (40.0, 25.0, 80.0)

# Rounds of one width: the largest number, steps of a descent in each, and the least gain.
ROUNDS_OF_ONE, DESCENT, NEWTON_ALL, NEWTON_CG, LEAST_GAIN = 8, 30, 6, 60, 0.5

# After these rounds the prior spectrum is taken from the estimate.
LEARNS_AFTER = (0, 2)

# Exact values are explained below this misfit, others where chi^2 is below this many per value.
EXACT_GOAL_DB, EXPLAINED_CHI2 = -100.0, 1.05

# The last descent.
LAST_DESCENT = 200


def stages_for(M: Measured, seed: int) -> list[Stage]:
    """List the stages: one for each width, and a last descent."""
    if is_liftable(M):
        starts = [
            Stage(f"completed, beta {beta:g}", functools.partial(_widen, beta=beta, seed=seed), 600)
            for beta in BETAS
        ]
    else:
        starts = [Stage("filled in", functools.partial(_integrate_filled, seed=seed), 1)]
    return [*starts, Stage("last descent", _finish, LAST_DESCENT)]


def cost_of(M: Measured, x: torch.Tensor) -> float:
    """Compute what x leaves unexplained: chi^2 per known value, or the squared misfit if exact."""
    misfit = M.misfit(M.magnitude(x))
    if M.sigma is None:
        return float(misfit.square().sum() / M.S.square().sum())
    return float((misfit / M.sigma).square().sum()) / int(M.known.sum())


def _is_explained(M: Measured, x: torch.Tensor) -> bool:
    goal = 10 ** (EXACT_GOAL_DB / 10) if M.sigma is None else EXPLAINED_CHI2
    return cost_of(M, x) < goal


def _widen(S: torch.Tensor, M: Measured, run: Run, *, beta: float, seed: int) -> None:
    """Carry out the stage: rounds with a Cauchy bank of this beta; keep the better signal."""
    so_far = getattr(run, "x", None)
    if so_far is not None and _is_explained(M, so_far):
        return
    completion = Completion(M, beta)
    x = _started(M, completion, run, seed)
    best, cost = x, cost_of(M, x)
    for k in range(ROUNDS_OF_ONE):
        if run.stopped:
            break
        x = _descended(M, _corrected(M, completion, best), run)
        gain, after = decibels(cost) / 2 - decibels(cost_of(M, x)) / 2, cost_of(M, x)
        if after < cost:
            best, cost = x, after
        if _is_explained(M, best):
            break
        if k in LEARNS_AFTER:
            completion.set_spectrum(spectrum_of(M.extension(best), M.W))
        elif gain < LEAST_GAIN:
            break
    run.x = best if so_far is None or cost < cost_of(M, so_far) else so_far


def _started(M: Measured, completion: Completion, run: Run, seed: int) -> torch.Tensor:
    """Integrate the phase of the predicted scalogram."""
    W, dense = completion.W, completion.start
    phase = random_angles(dense, seed).to("cpu", torch.float64)
    x = _folded(M, integrated(dense, W, paths_of(dense, W, REACHED_DOWN_TO), phase))
    run.step(x, M.consistency_db(x))
    return x


def _corrected(M: Measured, completion: Completion, x: torch.Tensor) -> torch.Tensor:
    """Correct the phase of x on the dense bank, towards the power predicted about x."""
    W, extended = completion.W, M.extension(x)
    c = W.coefficients(extended)
    target = completion.target(extended, c)
    known = phase_derivatives(target, W, exact=False)
    phase = torch.zeros(target.shape, dtype=torch.float64)
    paths = paths_of(target, W, REACHED_DOWN_TO)
    return _folded(M, corrected(target, W, c, known, paths, phase))


def _folded(M: Measured, y: torch.Tensor) -> torch.Tensor:
    """Make a signal of an extended one: of all its rotations the one nearest to an extension."""
    y = M.W.project(y)
    if M.extension.is_identity:
        return y
    pair = torch.stack([analytic(y).real, -analytic(y).imag])
    rest = pair - M.extension(M.extension.inverse(pair))
    turn = torch.linalg.eigh(rest @ rest.T)[1][:, 0]
    return M.extension.inverse(turn @ pair)


def _descended(
    M: Measured, x: torch.Tensor, run: Run, n_iter: int = DESCENT, n_newton: int = NEWTON_ALL
) -> torch.Tensor:
    """Descend on the likelihood: L-BFGS, then steps of Gauss and Newton."""
    x = _lbfgs(M, x, n_iter, run.step)
    if run.stopped:
        return x
    if is_small(M):
        return levenberg_marquardt(M, x, n_newton, run.step)
    if M.sigma is not None or M.at_most.any():
        return x
    y = gauss_newton(M.S, M, x, NEWTON_CG)
    run.step(y, M.consistency_db(y))
    return y if cost_of(M, y) < cost_of(M, x) else x


def _lbfgs(
    M: Measured, x: torch.Tensor, n_iter: int, step: Callable[[torch.Tensor, float], bool]
) -> torch.Tensor:
    """Run L-BFGS on the whitened change of x."""
    latest = x

    def fitted(u: torch.Tensor) -> torch.Tensor:
        return M.S + M.misfit(M.magnitude(x + M.whiten(u)))

    def report(u: torch.Tensor, fit: float) -> bool:
        nonlocal latest
        latest = x + M.whiten(u.detach())
        return step(latest, fit)

    loss: Loss = l2 if M.sigma is None else gaussian(M.sigma)
    objective = Objective(M.S, fitted, loss)
    descend_lbfgs(objective, torch.zeros_like(x), n_iter, report, precondition=False)
    return latest


def _integrate_filled(S: torch.Tensor, M: Measured, run: Run, *, seed: int) -> None:
    raise NotImplementedError


def _finish(S: torch.Tensor, M: Measured, run: Run) -> None:
    """Carry out the stage: descend from the best signal until little is gained."""
    if not _is_explained(M, run.x):
        run.x = _descended(M, run.x, run, LAST_DESCENT, LAST_DESCENT)
    run.step(run.x, M.consistency_db(run.x))
