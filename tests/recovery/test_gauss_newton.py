"""A step of Gauss and Newton solves the linearised problem."""

import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db
from scalinv_utils.recovery._gauss_newton import gauss_newton
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 256, 8000.0


def near(W, share):
    """Make (S, a signal that differs from its source by noise of this share)."""
    x, noise = W.project(signals.am_fm_tone(N, RATE)), W.project(signals.white_noise(N))
    return W.magnitude(x), x + share * x.norm() / noise.norm() * noise


@pytest.mark.parametrize("lowpass", [None, "signed"])
def test_the_misfit_falls(lowpass):
    W = Scalogram(N, RATE, lowpass=lowpass)
    S, y = near(W, 1e-5)
    assert consistency_db(gauss_newton(S, W, y, 60), S, W) < consistency_db(y, S, W) - 10


def test_more_steps_fit_better():
    W = Scalogram(N, RATE)
    S, y = near(W, 1e-7)
    fits = [consistency_db(gauss_newton(S, W, y, n), S, W) for n in (0, 3, 10, 30)]
    assert fits == sorted(fits, reverse=True) and fits[0] == consistency_db(y, S, W), fits


def test_a_solution_stays():
    W = Scalogram(N, RATE)
    x = W.project(torch.stack([signals.am_fm_tone(N, RATE), signals.exponential_chirp(N, RATE)]))
    y = gauss_newton(W.magnitude(x), W, x, 3)
    assert torch.allclose(x, y, atol=1e-9)
