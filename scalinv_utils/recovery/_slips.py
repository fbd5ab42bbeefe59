"""Undo slips: the phase of the highest rows has turned once too often, or too little.

Where a signal has a zero just inside the upper edge of its scalogram, another signal with nearly
the same modulus has it just outside. Along the edge their coefficients differ by a factor of
modulus one, that of a zero at height w above or below the column t0 of a periodic signal,

    exp(+-i a(t)),        tan(a/2) = tan(pi (t - t0)/N) / tan(pi w/N),

which turns by 2 pi in all, most of it within w samples of t0. A start may decide wrongly, as
derivatives between rows are one-sided at the edge, and filters are cut off there. A descent cannot
undo that: the zero would have to cross the edge. So it is put across: the highest rows are turned
by this factor, and the signal is fitted again from there. Only the fit tells if that was right.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import torch

from ..metrics import decibels
from ..transforms.scalogram import Scalogram
from ._gauss_newton import gauss_newton
from ._griffin_lim import settle
from ._likelihood import Likelihood
from ._phase_gradient import REACHED_DOWN_TO, best_of, correction, paths_of, rounds
from ._stages import Run

__all__ = ["places_of_slips", "turned_back", "undo_slips"]

# A turn reaches down so many octaves, and w is so many scales of the highest row.
DEPTH, HEIGHT = 0.125, 0.85

# The misfit of rows down to so many octaves tells where a slip is.
SEEN_IN = (0.2, 0.375, 0.75)

# Noise: an area, of so many scales to each side, is suspected if its squared residuals are this
# many standard deviations larger than noise; at most so many are tried.
REACH, STANDING_OUT, MOST_PLACES = 3.0, 4.0, 8

# Without noise: so many turns are tried, each with steps of fast Griffin-Lim and of conjugate
# gradients; one is right if it gains this much. Rounds follow.
TURNS, SETTLING, TURNED_MOMENTUM, NEWTON, TURNED_GAIN_DB, ROUNDS_AFTER = 6, 30, 0.9, 20, 3.0, 30


def undo_slips(S: torch.Tensor, W: Scalogram, run: Run) -> None:
    """Carry out the stage, without noise: turn back, refit, and go on with rounds.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
    run : Run
        Its signal is the start.
    """
    x, turned = run.x.to(S), False
    least = _misfit(S, W, x)
    for _ in range(TURNS):
        fitted = [_fitted(S, W, start) for start in turned_back(x, _worst_column(S, W, x), W)]
        nearest = min(fitted, key=lambda y: _misfit(S, W, y))
        misfit = _misfit(S, W, nearest)
        if decibels(least) - decibels(misfit) < TURNED_GAIN_DB:
            break
        x, least, turned = nearest, misfit, True
        if run.step(x, decibels(misfit / float(S.norm()))):
            return
    if turned:
        correct = correction(S, W, paths_of(S, W, REACHED_DOWN_TO))
        run.x = best_of(itertools.islice(rounds(S, W, x, correct), ROUNDS_AFTER + 1), S, run)


def _fitted(S: torch.Tensor, W: Scalogram, x: torch.Tensor) -> torch.Tensor:
    kept = W.painless.sampled(S)
    x = settle(functools.partial(W.painless.refit, kept), x, SETTLING, TURNED_MOMENTUM)
    return gauss_newton(kept, W.painless, x, NEWTON)


def _misfit(S: torch.Tensor, W: Scalogram, x: torch.Tensor) -> float:
    return float((W.modulus(W.coefficients(x)) - S).norm())


def _worst_column(S: torch.Tensor, W: Scalogram, x: torch.Tensor) -> int:
    rows = _rows(W, SEEN_IN[0])
    return int((W.modulus(W.coefficients(x)) - S)[:rows].square().sum(0).argmax())


def turned_back(x: torch.Tensor, place: int, W: Scalogram) -> list[torch.Tensor]:
    """Put a zero across the upper edge, outwards and inwards.

    Parameters
    ----------
    x : real Tensor, shape (n_samples,)
    place : int
        The column t0.
    W : Scalogram

    Returns
    -------
    list of two Tensors, shape of x
        Starts for a descent.
    """
    c, n_samples = W.coefficients(x), W.n_samples
    times = torch.arange(n_samples, dtype=torch.float64, device=x.device)
    away = math.pi / n_samples * (times - place)
    width = math.tan(math.pi / n_samples * HEIGHT * float(W.scales[0]))
    angles = 2 * torch.atan2(away.sin(), away.cos() * width)
    turn = torch.ones_like(c)
    turn[: _rows(W, DEPTH)] = torch.polar(torch.ones_like(angles), angles)
    return [W.inverse(c * turn), W.inverse(c * turn.conj())]


def places_of_slips(x: torch.Tensor, W: Scalogram, likelihood: Likelihood) -> list[int]:
    """Find the columns where an area below the upper edge stands out of noise, the worst first.

    Parameters
    ----------
    x : real Tensor, shape (n_samples,)
        An estimate that is right but for slips.
    W : Scalogram
        Without a lowpass and without negative frequencies.
    likelihood : Likelihood
    """
    excess = likelihood.excess(W.modulus(W.coefficients(x)))
    standing = np.full(W.n_samples, -np.inf)
    for depth in SEEN_IN:
        rows, width = _rows(W, depth), _width(W, depth)
        box = np.ones(2 * width + 1)
        column = np.pad(excess[:rows].sum(0), width, mode="wrap")
        standing = np.maximum(
            standing, np.convolve(column, box, "valid") / np.sqrt(2 * rows * len(box))
        )
    places, apart = [], 2 * _width(W, SEEN_IN[0])
    while len(places) < MOST_PLACES and standing.max() > STANDING_OUT:
        places.append(int(standing.argmax()))
        standing[np.arange(places[-1] - apart, places[-1] + apart + 1) % W.n_samples] = -np.inf
    return places


def _rows(W: Scalogram, depth: float) -> int:
    return min(max(round(depth * W.voices_per_octave), 1), W.n_freqs)


def _width(W: Scalogram, depth: float) -> int:
    scale = float(W.scales[_rows(W, depth) - 1])
    return min(int(REACH * scale) + 1, (W.n_samples - 1) // 2)
