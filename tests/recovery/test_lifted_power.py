"""The power, linear in the lifted signal: known answers, and noise that it takes off."""

import numpy as np
import pytest
import torch

from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals
from scalinv_utils.metrics import misfit_db
from scalinv_utils.recovery import _lifted_power as lifted
from scalinv_utils.recovery.denoising import denoise
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 512, 8000.0


@pytest.fixture(scope="module", params=["cauchy", "gmw"])
def W(request):
    return Scalogram(N, RATE, wavelet=request.param, voices_per_octave=16)


def drawn(W, spectrum, seed):
    """A Gaussian signal with this E|X(k)|^2 on the band."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(N // 2 + 1, dtype=torch.complex128, generator=generator)
    return torch.fft.irfft(X * torch.from_numpy(spectrum).sqrt() * W.band, n=N)


def spectrum(W):
    return 1e-3 + np.exp(-((np.arange(N // 2 + 1) - 80) ** 2) / 800)


def test_the_power_is_linear_in_the_lifted_signal(W):
    X = torch.fft.rfft(drawn(W, spectrum(W), 0)).numpy()
    Z = np.fft.rfft(W.magnitude(torch.fft.irfft(torch.from_numpy(X), n=N)).square().numpy())
    psi, n_bins = W.filters.numpy(), W.filters.shape[1]
    for lag in (0, 1, 17):
        B = psi[:, : n_bins - lag] * psi[:, lag:] / N
        assert np.allclose(Z[:, lag], B @ (X[: n_bins - lag].conj() * X[lag:]))


def test_the_filter_errs_as_a_gaussian_posterior_says(W):
    # Lag by lag E|Z_est - Z|^2 = trace(K - K (K + n)^-1 K), over draws of signal and noise.
    E, lag, noise = spectrum(W), 9, np.full(W.n_freqs, 3.0)
    psi, n_bins = W.filters.numpy(), W.filters.shape[1]
    B = psi[:, : n_bins - lag] * psi[:, lag:] / N
    K = (B * E[: n_bins - lag] * E[lag:] * W.band.numpy()[: n_bins - lag]) @ B.T
    expected = np.trace(K - K @ np.linalg.solve(K + np.diag(noise), K))
    rng, errors = np.random.default_rng(0), []
    for seed in range(200):
        Z = np.fft.rfft(W.magnitude(drawn(W, E, seed)).square().numpy())
        added = rng.standard_normal((2, W.n_freqs)) * np.sqrt(noise / 2)
        estimate = lifted._wiener(Z + (added[0] + 1j * added[1])[:, None], W, noise, E)
        errors.append(np.abs(estimate - Z)[:, lag] ** 2)
    assert np.sum(np.mean(errors, 0)) == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("model", lifted.MODELS)
def test_bias_and_variance_of_the_power(model):
    rng, ratio = np.random.default_rng(0), np.array([0.0, 0.5, 2.0, 5.0])
    n = rng.standard_normal((2, 400_000, 1))
    power = {
        "gaussian": (ratio + n[0]) ** 2,
        "clipped": np.maximum(ratio + n[0], 0) ** 2,
        "rice": np.abs(ratio + n[0] + 1j * n[1]) ** 2,
    }[model]
    bias, variance = lifted.MODELS[model](ratio)
    assert np.allclose(power.mean(0) - ratio**2, bias, atol=0.06)
    assert np.allclose(power.var(0), variance, rtol=0.02)


@pytest.mark.parametrize("snr_db", [10, 20, 40])
@pytest.mark.parametrize("name", ["speech", "guitar", "AM-FM tone"])
def test_the_level_is_found(W, name, snr_db):
    S = scalogram(W, name)
    sigma = float(S.square().mean().sqrt()) * 10 ** (-snr_db / 20)
    assert lifted.noise_level(noisy(S, snr_db), W) == pytest.approx(sigma, rel=0.04)


@pytest.mark.parametrize("snr_db", [10, 20, 30])
def test_rows_together_say_more_than_one_by_one(W, snr_db):
    for name in ("speech", "guitar", "crow"):
        S = scalogram(W, name)
        given = noisy(S, snr_db)
        cleaned = lifted.denoise_jointly(given, W, lifted.noise_level(given, W))
        assert misfit_db(cleaned, S) < misfit_db(denoise(given, W), S) - 4


def scalogram(W, name):
    known = name in signals.RECORDINGS
    x = signals.recording(name, int(RATE), N)[0] if known else signals.synthetic(name, N, RATE)
    return W.magnitude(W.project(x))


def test_long_ones_are_denoised_row_by_row():
    W = Scalogram(N, RATE, lowpass="signed")
    S = W.magnitude(signals.linear_chirp(N, RATE))
    assert torch.equal(lifted.denoise_jointly(S.clamp_min(0), W, 0.1), denoise(S.clamp_min(0), W))
