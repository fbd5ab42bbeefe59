"""Start from the phase that a dense bank's scalogram implies, wherever that scalogram came from.

A bank predicts a dense scalogram from what is known (`_lifted_completion`). Its phase is integrated
(`_phase_gradient`), W'^+ gives a signal, and E^+ folds it back to its length. Where the signal was
extended by its mirror image, the circle of rotations is no freedom: the rotation is taken whose
extension is nearest to such an image, which leaves the sign.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from .._levels import unit
from .._validation import check_choice, check_count
from ..measured import Measured
from ..metrics import analytic
from ..transforms.scalogram import Scalogram
from ._gauss_newton import gauss_newton
from ._griffin_lim import random_angles
from ._lifted_completion import (
    LONGEST_LIFTABLE,
    Completion,
    OwnBank,
    has_dense_rows,
    is_liftable,
)
from ._phase_equation import solve_phase_equation
from ._phase_gradient import (
    REACHED_DOWN_TO,
    corrected,
    heap,
    integrate_and_correct,
    integrated,
    paths_of,
)
from ._phase_relations import phase_derivatives
from ._result import Recovery
from ._stages import Callback, Run, Stage, measured_of, scalogram_of

__all__ = [
    "CAUCHY_BETAS",
    "folded",
    "integrate_own",
    "phase_gradient",
    "start_from_phase",
    "started",
    "turned",
]

PHASE_METHODS = ("heap", "eigen")
NAME = "phase gradient (dense bank)"

# Widths of the Cauchy wavelets of a dense bank, in the order in which they are tried.
CAUCHY_BETAS = (40.0, 25.0, 80.0)

# A start for a descent: rounds, and conjugate-gradient steps in each. Fewer voices than these are
# completed.
START_TURNS, START_NEWTON, SPARSE = 4, 30, 16


def phase_gradient(
    S: ArrayLike | Measured,
    W: Scalogram | None = None,
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
    S : real array, shape (..., n_freqs, n_samples), or Measured
        The scalogram. Leading axes are a batch: its members are recovered one by one, each as if
        it were alone, and its history is that of the batch as a whole. For a `Measured` "heap"
        takes a dense bank's scalogram, predicted from what is known. No gradient flows back to S.
    W : Scalogram
        Any wavelet will do, with 16 voices per octave or more. The signal gets its dtype and its
        device, in which rounds of "heap" are computed too; only phases are integrated on the CPU,
        so that each correction moves two arrays of the shape of S. Not needed with a `Measured`.
    method : "heap" or "eigen"
        "heap" integrates the phase's gradient, then corrects it (this module; fast). "eigen"
        solves the phase equation, one linear system per round (`solve_phase_equation`; one
        scalogram only).
    seed : int
        Seed for the random phases assigned to each island's starting point and to points below
        `tolerance`.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` after each iteration, with a copy of
        the signal. A true return value stops. For a batch it gets all
        signals, zeros where they are not known yet, and the fit of the member in work.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate in ``Recovery.iterates``.
    progress : bool
        Show a progress bar on runs longer than two seconds.
    n_iter : int
        For "heap": the largest number of rounds after the heap integration, 30 by default (4 for
        a `Measured` and for a bank made from filters). With 0 this is the one-shot method of the
        literature. Round 1 only takes steps of fast Griffin-Lim from the result of the heap
        integration; all later rounds correct the phase first.
    tolerance : float in (0, 1)
        For "heap" on a scalogram of a wavelet: points below this share of the maximum of S are not
        integrated, 1e-6 by default.
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
    if M := measured_of(S, W):
        check_choice(method, ("heap",), "method")
        run = Run(NAME, callback, keep_every=keep_every, progress=progress, result="best")
        return _of_measured(M, seed, run, **options)
    given, W = scalogram_of(S, W)
    common = {"seed": seed, "callback": callback, "keep_every": keep_every, "progress": progress}
    if check_choice(method, PHASE_METHODS, "method") == "eigen":
        return solve_phase_equation(given, W, **common, **options)
    return heap(given, W, **common, **options)


def _of_measured(M: Measured, seed: int, run: Run, n_iter: int = START_TURNS) -> Recovery:
    """Integrate on the dense bank, and correct n_iter times; the best fit counts."""
    n_iter = check_count(n_iter, "n_iter", 0)
    if not (has_dense_rows(M) or is_liftable(M)):
        raise ValueError(
            "S must be the scalogram of a wavelet with dense rows and all columns, or of a signal "
            f"of at most {LONGEST_LIFTABLE} samples, for its phase to be integrated, got {M!r}; "
            "griffin_lim, invert_gradient and recover take it"
        )
    run.unit = float(unit(M.S))
    M = M.at_level(run.unit)
    silence = None if M.S.any() else M.S.new_zeros(M.n_samples)

    def stage(S: torch.Tensor, W: Scalogram, run: Run) -> None:
        if has_dense_rows(M):
            integrate_own(OwnBank(M), run, seed, n_iter)
            return
        bank = Completion(M, CAUCHY_BETAS[0])
        x = started(bank, seed)
        for _ in range(n_iter):
            if run.step(x, M.consistency_db(x)):
                return
            x = turned(bank, x)
        run.step(x, M.consistency_db(x))

    return run.through([Stage("phase gradient", stage, n_iter)], M.S, M, silence).recovery()


def start_from_phase(S: torch.Tensor, W: Scalogram, *, seed: int = 0) -> torch.Tensor:
    """Start a descent from the phase that the modulus implies, on completed rows if there are few.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    seed : int
        As for `phase_gradient`.

    Returns
    -------
    Tensor, shape (..., n_samples)
    """
    few = W.voices_per_octave < SPARSE and W.lowpass is None and S.ndim == 2 and bool(S.any())
    level = float(unit(S))
    if not few or not is_liftable(M := Measured(S / level, W)):
        return phase_gradient(S, W, seed=seed).signal
    bank = Completion(M, CAUCHY_BETAS[0])
    x = started(bank, seed)
    for _ in range(START_TURNS):
        x = min(x, gauss_newton(M.S, M, turned(bank, x), START_NEWTON), key=M.consistency_db)
    return x * level


def started(bank: Completion, seed: int) -> torch.Tensor:
    """Integrate the phase of the dense scalogram, and fold the signal back."""
    W, dense = bank.W, bank.start
    phase = random_angles(dense, seed).to("cpu", torch.float64)
    return folded(bank, integrated(dense, W, paths_of(dense, W, REACHED_DOWN_TO), phase))


def turned(bank: Completion, x: torch.Tensor) -> torch.Tensor:
    """Correct the phase of x on the dense bank, towards the scalogram predicted about x."""
    W, extended = bank.W, bank.M.extension(x)
    c = W.coefficients(extended)
    target = bank.target(extended, c)
    known = phase_derivatives(target, W, exact=False)
    phase = torch.zeros(target.shape, dtype=torch.float64)
    paths = paths_of(target, W, REACHED_DOWN_TO)
    return folded(bank, corrected(target, W, c, known, paths, phase))


def integrate_own(bank: OwnBank, run: Run, seed: int, n_iter: int) -> torch.Tensor:
    """Integrate and correct on rows that are dense themselves; the run sees folded signals."""

    def report(iteration: int, y: torch.Tensor, fit: float) -> bool:
        return run.step(folded(bank, y), fit)

    inner = Run("start", report, result="best")
    integrate_and_correct(bank.start, bank.W, inner, seed=seed, n_iter=n_iter)
    return folded(bank, inner.x)


def folded(bank: Completion | OwnBank, y: torch.Tensor) -> torch.Tensor:
    """Make a signal of an extended one: of all its rotations the one nearest to an extension."""
    y, extension = bank.M.W.project(y) if isinstance(bank, Completion) else y, bank.extension
    if extension.is_identity:
        return y
    pair = torch.stack([analytic(y).real, -analytic(y).imag])
    rest = pair - extension(extension.inverse(pair))
    turn = torch.linalg.eigh(rest @ rest.T)[1][:, 0]
    return extension.inverse(turn @ pair)
