"""Start from the wavelets alone where there is a lowpass, which tells by how much to turn.

Rows of analytic wavelets leave a rotation x -> Re exp(i theta) x_+ open. What lies below them is in
the row of a lowpass, which does not turn: it ties theta, as weakly as the two overlap. So wavelets
are inverted first, without the lowpass. Then its row is added, which is real, and the sum is
settled by a few steps of fast Griffin-Lim. A row without a sign of its own changes it at its zeros.
The rotation that fits best is the start.
"""

import functools
import math
from collections.abc import Iterator

import torch

from ..metrics import hilbert_rotation
from ..transforms.scalogram import Scalogram
from ._griffin_lim import settle
from ._phase_gradient import MOMENTUM, SETTLING_STEPS, best_of, integrate_and_correct
from ._stages import Run

__all__ = ["start_with_lowpass"]

ROTATIONS = 32


def start_with_lowpass(S: torch.Tensor, W: Scalogram, run: Run, *, seed: int) -> None:
    """Carry out the stage: hand the best of some rotations to the run.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
        With a wavelet and a lowpass.
    run : Run
    seed : int
        As for `phase_gradient`.
    """
    rows, alone = S[:-1], Run("wavelets alone")
    alone.x = S.new_zeros(W.n_samples)
    if rows.any():
        integrate_and_correct(rows, W.like(), alone, seed=seed)
    run.x = best_of(_turned(alone.x, S, W), S, run)


def _turned(x: torch.Tensor, S: torch.Tensor, W: Scalogram) -> Iterator[tuple[torch.Tensor, float]]:
    """Generate (y, || |W y| - S ||) for rotations of x, each with what the lowpass hears."""
    refit = functools.partial(W.painless.refit, W.painless.sampled(S))
    low = S[-1] if W.lowpass == "signed" else S[-1] * signs(S[-1])
    for k in range(ROTATIONS):
        c = W.coefficients(hilbert_rotation(x, 2 * math.pi * k / ROTATIONS))
        c[-1] = low.to(c.dtype)
        y = settle(refit, W.inverse(c), SETTLING_STEPS, MOMENTUM)
        yield y, float((W.modulus(W.coefficients(y)) - S).norm())


def signs(modulus: torch.Tensor) -> torch.Tensor:
    """Find the signs of a smooth real row from its modulus, up to one for all.

    At each minimum the value predicted by the cubic through four neighbours, with and without a
    change of sign between them, is compared with that of the modulus.

    Examples
    --------
    >>> row = torch.arange(60).double().mul(0.1 * torch.pi).cos() + 0.3
    >>> bool(torch.equal(signs(row.abs()) * row.abs() * row[0].sign(), row))
    True
    """
    before, after = modulus.roll(1), modulus.roll(-1)
    changing, staying = (
        (4 * (before + sign * after) - (modulus.roll(2) + sign * modulus.roll(-2))) / 6
        for sign in (-1, 1)
    )
    crossed = (changing.abs() - modulus).abs() < (staying - modulus).abs()
    crossed &= (modulus <= before) & (modulus < after)
    late = crossed & (changing > 0)  # the minimum still has the sign of what comes before it
    return 1 - 2 * ((late.roll(1) | (crossed & ~late)).cumsum(0) % 2).to(modulus)
