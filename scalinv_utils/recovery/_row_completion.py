"""Complete a scalogram of few rows: its power is linear in the lifted signal, which all rows see.

With X the DFT of x, the DFT over time of the power of row j is, at lag O,

    Z_j(O)  =  1/N sum_k psi_j(k) psi_j(k + O) conj(X(k)) X(k + O)

so that rows which are not there can be predicted from those that are. For X with independent
values of variance E_k, the best linear prediction of a denser bank's rows is

    Z'  =  A Z,        A  =  K' K^-1,        K' = B' diag(E_k E_{k+O}) B^T,    K = B diag(..) B^T

where B has the products psi_j(k) psi_j(k + O) of the rows that are given, and B' those of the
denser bank. K has one row and one column for each row given: one small system for each lag.

With fewer than some 16 voices per octave, corrections of the phase (`_phase_gradient`) fail as the
derivative between rows does. On completed rows it does not. What A cannot know is wrong in the
rows between, but less so the closer an estimate y is: corrections aim at the power

    P'  =  |W' y|^2 + A (S^2 - |W y|^2)

which at the solution is that of the denser bank W', whatever A. All other steps use S alone.

The completion was derived for this project, not taken from the literature.
"""

import functools
import itertools

import numpy as np
import torch

from ..transforms.scalogram import Scalogram
from ._griffin_lim import random_angles
from ._lifted_power import REACHES, spectrum_from_rows
from ._phase_gradient import (
    REACHED_DOWN_TO,
    best_of,
    corrected,
    integrate_and_correct,
    integrated,
    paths_of,
    phase_gradient,
    rounds,
)
from ._phase_relations import phase_derivatives
from ._stages import Run, Stage

__all__ = ["Completion", "complete_and_correct", "is_completable", "start_from_phase"]

# Transforms with fewer voices than FEW are completed to at least DENSE voices per octave. Those of
# signals longer than LONGEST_COMPLETED are not: A would take hundreds of megabytes.
FEW, DENSE, LONGEST_COMPLETED = 16, 30, 4096

# K is solved with this share of its mean diagonal added.
PREDICTION_RIDGE = 1e-12

# The largest number of rounds, and the `last_steps` of Gauss and Newton, taken below this fit.
COMPLETED_ROUNDS, LAST_STEPS, LAST_BELOW_DB = 60, 16, -50.0


def is_completable(W: Scalogram) -> bool:
    """Check that W is short, has few voices, and neither a lowpass nor negative frequencies."""
    few = W.voices_per_octave < FEW and W.n_freqs > 1 and W.n_samples <= LONGEST_COMPLETED
    return few and W.is_one_sided and W.lowpass is None


class Completion:
    """The prediction of a denser bank's rows from those of a scalogram.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
        The scalogram, whose mean power tells the prior spectrum.
    W : Scalogram
        One that `is_completable`.

    Attributes
    ----------
    W : Scalogram
        The denser bank.
    every : int
        Each so-many-th of its rows is a row of the given transform.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(256, 8000, voices_per_octave=12)
    >>> x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    >>> S = W.magnitude(x)
    >>> completion = Completion(S, W)
    >>> dense = completion(S.square()).sqrt()
    >>> float((dense - completion.W.magnitude(x)).norm() / dense.norm()) < 0.02
    True
    """

    def __init__(self, S: torch.Tensor, W: Scalogram) -> None:
        self.every = -(-DENSE // W.voices_per_octave)
        self.W = Scalogram(
            W.n_samples,
            W.sample_rate,
            wavelet=W.wavelet,
            voices_per_octave=self.every * W.voices_per_octave,
            f_min=float(W.frequencies[-1]) * (1 - 1e-6),
            f_max=min(float(W.frequencies[0]), W.sample_rate / 2),
        ).to(W.filters)
        spectrum = spectrum_from_rows(S.square().mean(-1).cpu().double().numpy(), W)
        self._A = _predictors(self.W.filters.cpu().double().numpy(), self.every, spectrum)

    def __call__(self, power: torch.Tensor) -> torch.Tensor:
        """Predict the power of the denser bank's rows, shape (n_dense, n_samples), at least 0."""
        return self._predicted(power).clamp_min(0)

    def target(self, S: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Predict the denser scalogram from S and an estimate's coefficients c = W' y.

        Parameters
        ----------
        S : real Tensor, shape (n_freqs, n_samples)
        c : complex Tensor, shape (n_dense, n_samples)

        Returns
        -------
        Tensor, shape (n_dense, n_samples)
        """
        power = c.abs().square()
        missing = self._predicted(S.square() - power[:: self.every])
        return (power + missing).clamp_min(0).sqrt()

    def _predicted(self, power: torch.Tensor) -> torch.Tensor:
        """Apply A lag by lag."""
        n_lags = len(self._A)
        Z = np.fft.rfft(power.cpu().double().numpy())
        given = np.ascontiguousarray(Z[:, :n_lags].T).view(float).reshape(n_lags, -1, 2)
        dense = np.zeros((self.W.n_freqs, Z.shape[1]), complex)
        dense[:, :n_lags] = (self._A @ given).reshape(n_lags, -1).view(complex).T
        return torch.from_numpy(np.fft.irfft(dense, n=self.W.n_samples)).to(power)


def _predictors(psi: np.ndarray, every: int, spectrum: np.ndarray) -> np.ndarray:
    """Compute A for each lag that a filter reaches, shape (n_lags, n_dense, n_given)."""
    n_bins, peak, predictors = psi.shape[1], np.square(psi).max(1), []
    for lag in range(n_bins - 1):
        B = psi[:, : n_bins - lag] * psi[:, lag:]
        if (B.max(1) < REACHES * peak).all():
            break
        B *= np.sqrt(spectrum[: n_bins - lag] * spectrum[lag:])
        given = B[::every]
        K = given @ given.T
        K[np.diag_indices_from(K)] += PREDICTION_RIDGE * np.trace(K) / len(K)
        predictors.append(np.linalg.solve(K, given @ B.T).T)
    return np.stack(predictors)


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
    if S.ndim > 2 or not (is_completable(W) and S.any()):
        return phase_gradient(S, W, seed=seed).signal
    run = Run("start", result="best")
    stages = [
        Stage("phase gradient", functools.partial(integrate_and_correct, seed=seed), 0),
        Stage("completed rows", functools.partial(complete_and_correct, seed=seed), 0),
    ]
    return run.through(stages, S, W).recovery().signal


def complete_and_correct(S: torch.Tensor, W: Scalogram, run: Run, *, seed: int = 0) -> None:
    """Carry out the stage: rounds with corrections on completed rows; hand on the best signal.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
        One that `is_completable`.
    run : Run
        Its signal so far is handed on if none of this stage fits better.
    seed : int
        Seed for the random phases, as for `phase_gradient`.
    """
    completion, so_far, fit_so_far = Completion(S, W), run.x, run.best_db
    dense = completion(S.square()).sqrt()
    phase = random_angles(dense, seed).to("cpu", torch.float64)
    x = integrated(dense, completion.W, paths_of(dense, completion.W, REACHED_DOWN_TO), phase)

    def correct(x: torch.Tensor) -> torch.Tensor:
        c = completion.W.coefficients(x)
        target = completion.target(S, c)
        known = phase_derivatives(target, completion.W, exact=False)
        paths = paths_of(target, completion.W, REACHED_DOWN_TO)
        return W.project(corrected(target, completion.W, c, known, paths, phase))

    start = correct(W.project(x))
    iterates = rounds(S, W, start, correct, newton_below_db=LAST_BELOW_DB, last_steps=LAST_STEPS)
    best = best_of(itertools.islice(iterates, COMPLETED_ROUNDS + 1), S, run)
    run.x = best if run.best_db < fit_so_far else so_far
