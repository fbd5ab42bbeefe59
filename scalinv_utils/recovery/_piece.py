"""Recover one piece of a long scalogram, next to the rest of the sound as it is known so far.

Let z be the analytic signal of the sound so far, u the taper of the piece, c = W' u z, and v the
window of the columns where c does not depend on the taper. There the given modulus S counts,
towards the ends that of the sound so far. The squares are mixed, which are smooth at zeros too:

    T^2  =  |c|^2 + v (S^2 - |c|^2)

T is reached by a change e of the piece, with coefficients c + W' e: first by a correction of the
phase as in `_phase_gradient`, then by steps of fast Griffin-Lim. At the solution e is zero,
whatever W' makes of a piece: errors of pieces do not stay.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch

from .._levels import unit
from ..transforms._circle import CircleBank
from ..transforms.long import Pieces
from ._gauss_newton import gauss_newton
from ._griffin_lim import random_angles, settle
from ._local_refinement import mend
from ._phase_gradient import MENDING, MOMENTUM, NEWTON_STEPS, SETTLING_STEPS, add_integral, turn
from ._phase_relations import phase_derivatives

__all__ = ["begun", "changed", "misfit"]

# Corrections of a piece alone, before it knows its neighbours.
FIRST_TURNS = 1


@dataclass(frozen=True)
class Nearby:
    """The map e -> c + W' e, with what `mend` asks of a transform."""

    bank: CircleBank
    c: torch.Tensor

    def __getattr__(self, name: str) -> object:
        return getattr(self.bank, name)

    def coefficients(self, e: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute c + W' e."""
        return self.bank.coefficients(e, out).add_(self.c)


def begun(S: torch.Tensor, pieces: Pieces, seed: int) -> torch.Tensor:
    """Recover a piece from its own columns alone, those near its ends fading out.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, W.n_samples)
        The columns of the piece.
    pieces : Pieces
    seed : int
        Seed of the phases where integrations start.

    Returns
    -------
    complex Tensor, shape (W.n_samples,)
        An analytic signal; zero where S is.
    """
    level = unit(S)
    T = S / level * pieces.opening
    if not T.any():
        return torch.zeros(S.shape[-1], dtype=T.dtype.to_complex())
    phase = random_angles(T, seed).double()
    add_integral(T, pieces.W, phase_derivatives(T, pieces.W), phase)
    bank = pieces.bank
    z = bank.inverse(torch.polar(T, phase))
    for _ in range(FIRST_TURNS):
        near = Nearby(bank, bank.coefficients(z))
        z = z + _settled(near, T, _turned(T, near.c, pieces))
    return z * level


def changed(S: torch.Tensor, z: torch.Tensor, pieces: Pieces, newton: bool = False) -> torch.Tensor:
    """Find the change of a piece of the sound so far that brings it closer to S.

    Parameters
    ----------
    S, pieces
        As for `begun`.
    z : complex Tensor, shape (W.n_samples,)
        The analytic signal of the sound so far, on the samples of the piece.
    newton : bool
        Take a step of Gauss and Newton in place of those of Griffin-Lim.

    Returns
    -------
    complex Tensor, shape (W.n_samples,)
    """
    level = unit(S)
    S, z, bank = S / level, z / level, pieces.bank
    near = Nearby(bank, bank.coefficients(pieces.taper * z))
    T = _mixed(S, bank.modulus(near.c), pieces)
    if not T.any():
        return torch.zeros_like(z)
    e = _turned(T, near.c, pieces)
    c = near.coefficients(e)
    T = _mixed(S, bank.modulus(c), pieces)
    if newton:
        fewer = bank.painless
        kept = fewer.sampled(T), fewer.sampled(c)
        return gauss_newton(kept[0], fewer, e, NEWTON_STEPS, kept[1]) * level
    return _settled(near, T, e) * level


def misfit(S: torch.Tensor, z: torch.Tensor, pieces: Pieces) -> torch.Tensor:
    """Compute |W' u z| - S on the columns that count for the piece."""
    c = pieces.bank.coefficients(pieces.taper * z)
    return (pieces.bank.modulus(c) - S) * (pieces.known == 1)


def _mixed(S: torch.Tensor, near: torch.Tensor, pieces: Pieces) -> torch.Tensor:
    """Compute T of the modulus near by, which is overwritten."""
    power = near.square_()
    change = S.square().sub_(power).mul_(pieces.known)
    return power.add_(change).clamp_min_(0).sqrt_()


def _turned(T: torch.Tensor, c: torch.Tensor, pieces: Pieces) -> torch.Tensor:
    """Find the change that turns c by the integral of the difference between gradients."""
    bank, gradient = pieces.bank, phase_derivatives(T, pieces.W, exact=False)
    for known, estimated in zip(
        gradient, phase_derivatives(bank.modulus(c), pieces.W, exact=False)
    ):
        known.sub_(estimated)
    phase, within = torch.zeros_like(T), T.clone()
    # The ends of a piece are no neighbours. A path from one to the other, where all differences are
    # zero, would keep two parts as they are that a pause in between holds together less well.
    within[:, 0] = 0
    add_integral(within, pieces.W, gradient, phase)
    wanted = turn(c.clone(), phase)
    return bank.inverse(bank.impose(T, wanted, out=wanted).sub_(c))


def _settled(near: Nearby, T: torch.Tensor, e: torch.Tensor) -> torch.Tensor:
    """Take steps of fast Griffin-Lim, and more where most of the misfit is."""
    fewer = near.bank.painless
    refit = functools.partial(fewer.refit, fewer.sampled(T), c=fewer.sampled(near.c))
    e = settle(refit, e, SETTLING_STEPS, MOMENTUM)
    return mend(T, near, e, MENDING * SETTLING_STEPS, MOMENTUM, torch.empty_like(near.c))[0]
