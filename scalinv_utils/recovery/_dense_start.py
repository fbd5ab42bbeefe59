"""Start from the phase that a dense bank's scalogram implies, wherever that scalogram came from.

A bank predicts a dense scalogram from what is known (`_lifted_completion`). Its phase is integrated
(`_phase_gradient`), W'^+ gives a signal, and E^+ folds it back to its length. Where the signal was
extended by its mirror image, the circle of rotations is no freedom: the rotation is taken whose
extension is nearest to such an image, which leaves the sign.
"""

from __future__ import annotations

import torch

from ..measured import Measured
from ..metrics import analytic
from ..transforms.scalogram import Scalogram
from ._gauss_newton import gauss_newton
from ._griffin_lim import random_angles
from ._lifted_completion import Bank, Completion, OwnBank, has_dense_rows, is_liftable
from ._phase_gradient import REACHED_DOWN_TO, corrected, integrated, paths_of, phase_gradient
from ._phase_relations import phase_derivatives

__all__ = ["CAUCHY_BETAS", "bank_of", "folded", "start_from_phase", "started", "turned"]

# Widths of the Cauchy wavelets of a dense bank, in the order in which they are tried.
CAUCHY_BETAS = (40.0, 25.0, 80.0)

# A start for a descent: rounds, and conjugate-gradient steps in each. Fewer voices than these are
# completed.
START_TURNS, START_NEWTON, SPARSE = 4, 30, 16


def bank_of(M: Measured) -> Bank:
    """Choose the dense bank that is tried first.

    Raises
    ------
    ValueError
        If rows or columns are too few for one, and the signal is too long to predict more.
    """
    if has_dense_rows(M):
        return OwnBank(M)
    if is_liftable(M):
        return Completion(M, CAUCHY_BETAS[0])
    raise ValueError(
        "S must be the scalogram of a wavelet with dense rows and all columns, or of a signal of "
        f"at most 4096 samples, for its phase to be integrated; got {M!r}. griffin_lim, "
        "invert_gradient and recover take it"
    )


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
    if not few or not is_liftable(M := Measured(S, W)):
        return phase_gradient(S, W, seed=seed).signal
    bank = Completion(M, CAUCHY_BETAS[0])
    x = started(bank, seed)
    for _ in range(START_TURNS):
        x = min(x, gauss_newton(M.S, M, turned(bank, x), START_NEWTON), key=M.consistency_db)
    return x


def started(bank: Bank, seed: int) -> torch.Tensor:
    """Integrate the phase of the dense scalogram, and fold the signal back."""
    W, dense = bank.W, bank.start
    phase = random_angles(dense, seed).to("cpu", torch.float64)
    return folded(bank.M, integrated(dense, W, paths_of(dense, W, REACHED_DOWN_TO), phase))


def turned(bank: Bank, x: torch.Tensor) -> torch.Tensor:
    """Correct the phase of x on the dense bank, towards the scalogram predicted about x."""
    W, extended = bank.W, bank.M.extension(x)
    c = W.coefficients(extended)
    target = bank.target(extended, c)
    known = phase_derivatives(target, W, exact=False)
    phase = torch.zeros(target.shape, dtype=torch.float64)
    paths = paths_of(target, W, REACHED_DOWN_TO)
    return folded(bank.M, corrected(target, W, c, known, paths, phase))


def folded(M: Measured, y: torch.Tensor) -> torch.Tensor:
    """Make a signal of an extended one: of all its rotations the one nearest to an extension."""
    y = M.W.project(y)
    if M.extension.is_identity:
        return y
    pair = torch.stack([analytic(y).real, -analytic(y).imag])
    rest = pair - M.extension(M.extension.inverse(pair))
    turn = torch.linalg.eigh(rest @ rest.T)[1][:, 0]
    return M.extension.inverse(turn @ pair)
