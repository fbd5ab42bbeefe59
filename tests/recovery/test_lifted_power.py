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


# -- pieces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", lifted.MODELS)
def test_the_bias_is_taken_off_again(model):
    sigma, ratios = 0.3, np.array([0.01, 0.4, 1.0, 3.99, 4.02, 50.0, 1e6])
    bias, _ = lifted.MODELS[model](ratios)
    power = sigma**2 * (ratios**2 + bias)
    found = lifted._without_bias(power, sigma, model)
    assert found / sigma == pytest.approx(ratios, abs=2e-2, rel=2e-3)
    # What is less than noise alone would give has no modulus.
    assert not lifted._without_bias(0.4 * sigma**2 * np.ones(2), sigma, model).any()


@pytest.mark.parametrize("model", lifted.MODELS)
def test_the_level_is_that_at_which_the_energies_are_most_likely(model):
    # Rows of one modulus: v = n_samples sigma^4 variance(modulus / sigma), known beforehand.
    modulus, sigma, n_samples = np.array([[1.0, 1.0], [3.0, 3.0]]), 0.2, 50
    bias, variance = lifted.MODELS[model](modulus / sigma)
    energy = n_samples * sigma**4 * variance[:, 0]
    power = modulus**2 + sigma**2 * bias
    found = lifted._most_likely(energy * 7, np.array([7, 7]), power, n_samples, model)
    assert found == pytest.approx(sigma, rel=2e-3)
    # Rows with more bins say more.
    odd = energy * [7 * 2.0, 1000]
    assert lifted._most_likely(odd, np.array([7, 1000]), power, n_samples, model) == pytest.approx(
        sigma, rel=0.02
    )
    # The search has ends: a thousand millionth and twice the rms.
    rms = np.sqrt(power.mean())
    low = lifted._most_likely(0 * energy, np.array([7, 7]), power, n_samples, model)
    assert low == pytest.approx(1e-9 * rms, rel=1e-2)
    high = lifted._most_likely(1e9 * energy, np.array([7, 7]), power, n_samples, model)
    assert high == pytest.approx(2 * rms, rel=1e-2)


def test_nothing_tells_a_level_where_nothing_is_heard():
    W = Scalogram(64, RATE, voices_per_octave=8)
    assert lifted.noise_level(torch.zeros(W.shape), W) == 0.0
    short = Scalogram.from_filters(torch.ones(2, 33), [2, 1], n_samples=64)
    assert lifted.noise_level(torch.ones(short.shape), short) == 0.0  # every lag is reached


def test_a_spectrum_is_smoothed_over_nine_bins_and_has_a_floor():
    W = Scalogram(128, RATE)
    x = torch.cos(2 * torch.pi * 20 / 128 * torch.arange(128).double())
    found = lifted.spectrum_of(x, W)
    wanted = np.full(65, 1e-7 * 64**2 / 9)
    wanted[16:25] = 64**2 / 9
    assert found == pytest.approx(wanted)


def test_the_flat_spectrum_gives_rows_their_mean_power():
    psi = np.zeros((3, 17))
    psi[0, 8], psi[1, 4], psi[2, 2] = 2.0, 1.0, 1.0
    spectrum = lifted.flat_spectrum(np.array([4.0, 1.0, 1e-9]), psi, 10)
    # Level = mean / (sum of psi^2 / N^2), the last row's not below a ten-thousandth of the loudest.
    assert spectrum[[8, 4, 2]] == pytest.approx([100, 100, 0.04])
    assert spectrum[12] == pytest.approx(100) and spectrum[0] == spectrum[1] == pytest.approx(0.04)
    assert spectrum[6] == pytest.approx(100)
    half = np.log(3 / 2) / np.log(2)  # bins count by their logarithms
    assert spectrum[3] == pytest.approx(0.04 ** (1 - half) * 100**half)
    W = Scalogram(64, RATE, voices_per_octave=8)
    mean = np.linspace(1, 2, W.n_freqs)
    same = lifted.flat_spectrum(mean, W.filters.numpy()[:, :33], 64)
    assert lifted.spectrum_from_rows(mean, W) == pytest.approx(same)


def test_smoothing_is_a_posterior_mean():
    rng = np.random.default_rng(0)
    B, prior, noise = rng.random((3, 5)), rng.random(5), rng.random(3)
    z = rng.standard_normal(3) + 1j * rng.standard_normal(3)
    K = B @ np.diag(prior) @ B.T
    wanted = K @ np.linalg.solve(K + np.diag(noise), z)
    assert lifted._smooth(B.copy(), prior, noise, z) == pytest.approx(wanted)


def test_the_filter_keeps_lag_zero_and_drops_what_no_filter_reaches():
    W = Scalogram(64, RATE, wavelet="cauchy", voices_per_octave=8, f_min=1000, f_max=1500)
    Z = np.ones((W.n_freqs, 33), complex)
    exact = lifted._wiener(Z, W, np.full(W.n_freqs, 1e-12), np.ones(33))
    assert (exact[:, 0] == 1).all()
    psi = W.filters.numpy()
    for lag in range(1, 33):
        reach = (psi[:, : psi.shape[1] - lag] * psi[:, lag:]).max(1, initial=0)
        heard = reach > 1e-6 * (psi**2).max(1)
        assert ((exact[:, lag] != 0) == heard).all(), lag
    # Where noise is far above the prior, next to nothing is left.
    quiet = lifted._wiener(Z, W, np.full(W.n_freqs, 1e12), np.ones(33))
    assert np.abs(quiet[:, 1:]).max() < 1e-6


def test_where_all_is_noise_nothing_is_left():
    W = Scalogram(64, RATE, voices_per_octave=8)
    S = 0.1 * torch.ones(W.shape)
    assert not lifted.denoise_jointly(S, W, 0.2).any()
    assert lifted.denoise_jointly(S, W, 0.001).any()


@pytest.mark.parametrize(
    "options, applies",
    [({}, True), ({"lowpass": "modulus"}, False), ({"wavelet": ("morlet", {"mu": 3})}, False)],
)
def test_short_one_sided_transforms_of_waves_alone_are_denoised_jointly(options, applies):
    assert lifted.applies_to(Scalogram(64, RATE, voices_per_octave=8, **options)) == applies
    long = Scalogram(8194, RATE, voices_per_octave=1)
    assert not lifted.applies_to(long)
    assert lifted.applies_to(Scalogram(8192, RATE, voices_per_octave=1))
