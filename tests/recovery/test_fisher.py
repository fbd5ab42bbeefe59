"""Descents in Fisher's metric, which is the information, and the curved valleys they go along."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils import bounds, metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery import _fisher
from scalinv_utils.recovery._gradient_descent import descend_lbfgs
from scalinv_utils.recovery._likelihood import LOSS_OF, Likelihood
from scalinv_utils.recovery._objective import Objective
from scalinv_utils.transforms.scalogram import Scalogram

RATE, SNR_DB = 8000.0, 20


def transform(n_samples=256, wavelet="cauchy"):
    return Scalogram(n_samples, RATE, wavelet=wavelet, voices_per_octave=16)


def recorded(name, W):
    return W.project(signals.recording(name, int(RATE), W.n_samples)[0])


def parts_of(x, W):
    """The unknowns of the metric: real and imaginary parts of the spectrum on the band."""
    X = torch.fft.rfft(x)[W.band].numpy()
    return np.concatenate([X.real, X.imag])


def likelihood_of(x, W, model="clipped"):
    S = W.magnitude(x)
    return Likelihood(bounds.noisy(S, SNR_DB), bounds.cramer_rao(x, W).sigma(SNR_DB), model)


@pytest.mark.parametrize("model", LOSS_OF)
@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
def test_the_hessian_is_fishers_information(wavelet, model):
    W = transform(wavelet=wavelet)
    x = recorded("speech", W)
    c, likelihood = W(x), likelihood_of(x, W, model)
    curvature = likelihood.curvature(W.modulus(c))
    H = _fisher.hessian(c, curvature, W)
    for shift in (3, 40):
        d = W.project(x.roll(shift))
        J = ((c.conj() / c.abs()) * W(d)).real.numpy()
        along = parts_of(d, W)
        assert along @ H @ along == pytest.approx(float((curvature * J**2).sum()), rel=1e-3)


def test_for_equal_weights_it_is_that_of_the_bound():
    W = transform()
    x = recorded("speech", W)
    sigma = bounds.cramer_rao(x, W).sigma(SNR_DB)
    likelihood = Likelihood(W.magnitude(x), sigma, "gaussian")
    H = _fisher.hessian(W(x), likelihood.curvature(W.magnitude(x)), W)
    basis = bounds.band_basis(W)
    spectra = np.stack([parts_of(column, W) for column in basis.T], 1)
    F = bounds.fisher_information(x, W).numpy() / sigma**2
    assert np.abs(spectra.T @ H @ spectra - F).max() < 1e-3 * np.abs(F).max()


def test_the_metric_of_turning_parts():
    W = transform()
    x = recorded("speech", W)
    c, d = W(x), W.project(x.roll(3))
    curvature = likelihood_of(x, W).curvature(W.modulus(c))
    weight = torch.from_numpy(curvature) / (1 + torch.from_numpy(curvature) * c.abs() ** 2) ** 2
    along = parts_of(d, W)
    expected = float((weight * W(d).abs() ** 2).sum())
    assert along @ _fisher._metric(c, curvature, W) @ along == pytest.approx(expected, rel=1e-3)


def test_a_signal_and_its_unknowns():
    W = transform()
    x = recorded("speech", W)
    assert metrics.misfit_db(_fisher.signal_of(torch.from_numpy(parts_of(x, W)), W), x) < -250


def am_tones(W):
    """Three tones that swell one after another."""
    t = torch.arange(W.n_samples, dtype=torch.float64) / W.n_samples
    x = torch.zeros(W.n_samples, dtype=torch.float64)
    for k, f in enumerate((600.0, 1100.0, 2000.0)):
        swell = 0.1 + 0.9 * (math.pi * (2 * t + k / 3)).sin().square()
        x += swell * (2 * math.pi * round(f * W.n_samples / W.sample_rate) * t + k).cos()
    return W.project(x)


def frame_lbfgs(likelihood, x, W, n_iter, step):
    """The descent that `descend` replaces: in variables in which W is a tight frame."""
    objective = Objective(likelihood.S, lambda u: W.magnitude(W.whiten(u)), likelihood.loss)
    descend_lbfgs(
        objective,
        W.unwhiten(x),
        n_iter,
        lambda u, fit: step(W.whiten(u), fit),
        precondition=False,
    )


@pytest.mark.parametrize("n_iter", [8, 15])
@pytest.mark.parametrize("name", ["guitar", "three AM tones"])
def test_a_part_that_was_turned_is_turned_back(name, n_iter):
    # A curved valley: the truth, with its upper half turned.
    W = transform(512)
    x = am_tones(W) if name == "three AM tones" else recorded(name, W)
    likelihood = likelihood_of(x, W)
    c = W(x)
    c[W.frequencies > 1500] *= np.exp(0.4j)
    start = W.inverse(c)

    def after(descend):
        found = []
        descend(likelihood, start, W, n_iter, lambda y, fit: found.append(y.clone()))
        assert len(found) == n_iter + 1
        return found[-1]

    ours, theirs = after(_fisher.descend), after(frame_lbfgs)
    chi2 = [likelihood.chi2(W.magnitude(y)) for y in (start, ours, theirs)]
    errors = [metrics.waveform_error_db(y, x) for y in (start, ours, theirs)]
    assert chi2[1] < chi2[2] - 20 < chi2[0]
    assert errors[1] < errors[0] - 5 and errors[1] < errors[2] - 3


def test_it_starts_where_it_was_put_and_the_fit_is_told():
    W = transform()
    x = recorded("guitar", W)
    likelihood, told = likelihood_of(x, W), []
    _fisher.descend(likelihood, x, W, 3, lambda y, fit: told.append((y.clone(), fit)))
    assert metrics.misfit_db(told[0][0], x) < -150
    for y, fit in told:
        expected = metrics.consistency_db(y, likelihood.S, W)
        assert fit == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n_steps", [1, 3])
def test_a_true_return_value_stops(n_steps):
    W = transform()
    x = recorded("guitar", W)
    seen = []

    def step(y, fit):
        seen.append(fit)
        return len(seen) == n_steps

    _fisher.descend(likelihood_of(x, W), x.roll(1), W, 20, step)
    assert len(seen) == n_steps
