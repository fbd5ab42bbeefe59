"""The likelihood of a noisy scalogram: its value, its slope and curvature, and what it expects."""

import numpy as np
import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.recovery import losses
from scalinv_utils.recovery._likelihood import LOSS_OF, Likelihood, _expected, _rice
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE, SIGMA = 256, 8000.0, 0.05
MODELS = list(LOSS_OF)


@pytest.fixture(scope="module")
def W():
    return Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=16)


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64, generator=generator)


def given(W, model, seed=0):
    """(x, S): a signal, and its scalogram with noise of this model."""
    x = W.project(signals.recording("speech", int(RATE), N)[0])
    n = SIGMA * draw(2, *W.shape, seed=seed)
    if model == "rice":
        return x, (W(x) + torch.complex(n[0], n[1])).abs()
    S = W.magnitude(x) + n[0]
    return x, S if model == "gaussian" else S.clamp_min(0)


def moduli(W):
    """Values from well below the noise to well above it."""
    return 0.3 * draw(*W.shape, seed=9).abs() + 0.01


def slope(likelihood, o):
    o = o.clone().requires_grad_()
    return torch.autograd.grad(likelihood.loss([o], [likelihood.S]), o)[0]


@pytest.mark.parametrize("model", MODELS)
def test_the_loss_is_half_of_chi2(W, model):
    _, S = given(W, model)
    likelihood = Likelihood(S, SIGMA, model)
    for o in (moduli(W), S.abs()):
        half = likelihood.chi2(o) / 2
        assert float(likelihood.loss([o], [S])) == pytest.approx(half, rel=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_the_slope_of_the_loss_is_that_of_chi2(W, model):
    _, S = given(W, model)
    likelihood, o, d, h = Likelihood(S, SIGMA, model), moduli(W), draw(*W.shape, seed=5), 1e-6
    difference = (likelihood.chi2(o + h * d) - likelihood.chi2(o - h * d)) / (4 * h)
    assert float((slope(likelihood, o) * d).sum()) == pytest.approx(difference, rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_the_curvature_is_the_slope_of_the_slope(W, model):
    _, S = given(W, model)
    likelihood, o, h = Likelihood(S, SIGMA, model), moduli(W), 1e-5
    difference = ((slope(likelihood, o + h) - slope(likelihood, o - h)) / (2 * h)).numpy()
    curvature = likelihood.curvature(o)
    # Only Rice's can be negative, and is cut off at 0.
    assert (difference.min() < -1) == (model == "rice")
    expected = np.maximum(difference, 0)
    assert np.allclose(curvature, expected, rtol=1e-3, atol=1e-3 / SIGMA**2)


def test_far_above_the_noise_all_models_are_one(W):
    S = torch.full(W.shape, 40 * SIGMA)
    o = S + SIGMA
    for model in MODELS:
        assert np.allclose(Likelihood(S, SIGMA, model).curvature(o), 1 / SIGMA**2, rtol=2e-3)


@pytest.mark.parametrize("model", MODELS)
def test_the_expected_residual_is_that_of_drawn_noise(model):
    r, n = np.array([0.0, 0.5, 2.0, 8.0]), draw(2, 400_000, 1).numpy()
    drawn = {
        "gaussian": r + n[0],
        "clipped": np.maximum(r + n[0], 0),
        "rice": np.abs(r + n[0] + 1j * n[1]),
    }[model]
    assert np.allclose(np.square(drawn - r).mean(0), _expected(r, model), rtol=0.01)


@pytest.mark.parametrize("model", MODELS)
def test_the_right_signal_surprises_no_one(W, model):
    x, S = given(W, model)
    surprise = Likelihood(S, SIGMA, model).surprise
    assert type(surprise(W.magnitude(x))) is float
    assert surprise(W.magnitude(x)) == pytest.approx(1, abs=0.05)
    assert surprise(4 * W.magnitude(x)) > 1.5


def test_weights_of_coefficients(W):
    _, S = given(W, "gaussian")
    o, sigma = S + 1, torch.full(W.shape, SIGMA)
    sigma[3] = torch.inf
    expected = (W.n_freqs - 1) * N / (2 * SIGMA**2)
    assert float(losses.gaussian(sigma)([o], [S])) == pytest.approx(expected)
    with pytest.raises(ValueError, match="sigma"):
        losses.tobit(torch.zeros(3))


def test_the_curvature_of_rice_is_that_of_its_series_where_the_modulus_is_small():
    z = np.array([0, 1e-7, 1e-5, 5e-4, 2e-3])  # R' = 1/2 - 3 z^2 / 16 + O(z^4)
    assert _rice(z, np.ones(5)) == pytest.approx(0.5 + 3 * z**2 / 16, abs=1e-10)
