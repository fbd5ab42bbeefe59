"""The bound has the right matrices and null space, and the errors of noisy data obey it."""

import numpy as np
import pytest
import torch
from scipy import special
from scipy.special import i0e, i1e
from small import N, noise, scalogram

from scalinv_utils import bounds, metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.transforms._derivatives import scale_derivative, time_derivative
from scalinv_utils.transforms.scalogram import Scalogram

STRICTLY_ANALYTIC = ["gmw", "cauchy", "bump"]


def dense(seed, W):
    """Make a signal without silence: noise in the band of the filters."""
    return W.project(noise(seed, W.n_samples))


def coordinates(v, W):
    return bounds.band_basis(W).T @ v


@pytest.mark.parametrize(
    "options",
    [{}, {"wavelet": "morlet"}, {"lowpass": "modulus"}, {"lowpass": "signed"}, {"n_samples": 63}],
)
def test_band_basis_is_orthonormal_and_spans_the_band(options):
    W = scalogram(**options)
    basis = bounds.band_basis(W)
    x = noise(1, W.n_samples)
    assert torch.allclose(basis.T @ basis, torch.eye(basis.shape[1]).double(), atol=1e-12)
    assert torch.allclose(basis @ (basis.T @ x), W.project(x), atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"wavelet": "cauchy"},
        {"wavelet": "morlet"},
        {"lowpass": "modulus"},
        {"lowpass": "signed"},
        {"n_samples": 63},
    ],
)
def test_fisher_information_is_the_square_of_the_jacobian(options):
    W = scalogram(**options)
    x = dense(2, W)
    J = bounds.jacobian(x, W).flatten(0, 1)
    assert torch.allclose(bounds.fisher_information(x, W), J.T @ J, rtol=0, atol=1e-10)
    weight = noise(3, *W.shape).abs()
    weighted = J.T @ (weight.flatten()[:, None] * J)
    assert torch.allclose(
        bounds.fisher_information(x, W, weight=weight), weighted, rtol=0, atol=1e-10
    )


def test_fisher_information_of_complex_filters_counts_their_phases():
    frequencies, bins = np.linspace(3600, 600, 20), np.arange(33) * 8000 / 64
    gammatones = (1 + 1j * (bins - frequencies[:, None]) / 300) ** -3
    W = Scalogram.from_filters(gammatones, frequencies, 8000, n_samples=64)
    x = dense(3, W)
    basis = bounds.band_basis(W)
    J = torch.autograd.functional.jacobian(lambda v: W.magnitude(basis @ v).flatten(), basis.T @ x)
    assert torch.allclose(bounds.fisher_information(x, W), J.T @ J, atol=1e-12)


def test_jacobian_predicts_a_small_step_and_comes_row_by_row():
    W = scalogram()
    x, step = dense(4, W), 1e-6 * dense(5, W)
    J = bounds.jacobian(x, W)
    moved = W.magnitude(x + step) - W.magnitude(x - step)
    assert metrics.misfit_db(2 * J @ coordinates(step, W), moved) < -100
    assert torch.equal(bounds.jacobian(x, W, rows=slice(3, 5)), J[3:5])


@pytest.mark.parametrize("wavelet", STRICTLY_ANALYTIC)
def test_the_null_space_is_the_hilbert_rotation_and_nothing_else(wavelet):
    W = scalogram(wavelet=wavelet)
    x = dense(6, W)
    values, vectors = torch.linalg.eigh(bounds.fisher_information(x, W))
    rotation = coordinates(metrics.analytic(x).imag, W)
    rotation /= rotation.norm()
    assert abs(values[0]) < 1e-14 * values[-1] and values[1] > 1e-5 * values[-1]
    assert 1 - abs(vectors[:, 0] @ rotation) < 1e-12


@pytest.mark.parametrize(
    "options", [{"wavelet": ("morlet", {"mu": 5})}, {"lowpass": "modulus"}, {"lowpass": "signed"}]
)
def test_negative_frequencies_and_lowpass_rows_break_the_rotation(options):
    W = Scalogram(N, voices_per_octave=8, **options)
    F = bounds.fisher_information(dense(7, W), W)
    eigenvalues = torch.linalg.eigvalsh(F)
    assert eigenvalues[0] > 1e-13 * eigenvalues[-1]


@pytest.mark.parametrize("wavelet", STRICTLY_ANALYTIC)
def test_half_of_the_information_is_in_the_modulus_in_pairs(wavelet):
    # F + H^T F H = W*W. In whitened coordinates two eigenvalues of a pair add up to 1, and x itself
    # has the eigenvalue 1.
    W = scalogram(wavelet=wavelet)
    x = dense(8, W)
    gain = W.gain[W.band].repeat(2).rsqrt()
    whitened = gain[:, None] * bounds.fisher_information(x, W) * gain
    values = torch.linalg.eigvalsh(whitened)
    assert torch.allclose(values + values.flip(0), torch.ones_like(values), atol=1e-10)
    along = coordinates(W.unwhiten(x), W)
    assert torch.allclose(whitened @ along, along, atol=1e-10)


def test_bound_of_a_single_coefficient_by_hand():
    # With all weight on one coefficient, F = weight J^T J has one eigenvalue, weight |J|^2, and its
    # direction is J.
    W = scalogram()
    x = dense(9, W)
    weight = torch.zeros(W.shape)
    weight[10, 7] = 4.0
    J = bounds.jacobian(x, W)[10, 7]
    bound = bounds.cramer_rao(x, W, weight=weight)
    assert float(bound.eigenvalues[-1]) == pytest.approx(4 * float(J @ J))
    # What no coefficient tells is floored, so that every bound is a number.
    assert bound.eigenvalues[0] == pytest.approx(1e-15 * bound.eigenvalues[-1])
    d = bound.directions[-1]
    assert abs(float(d @ (bounds.band_basis(W) @ J))) == pytest.approx(float(J.norm()))


def test_bound_for_known_phase_is_the_frame():
    # A signed lowpass row is linear in x, so that its information is its own W*W.
    W = scalogram(lowpass="signed")
    x = dense(10, W)
    weight = torch.zeros(W.shape)
    weight[-1] = 1
    response = W.filters[-1][: W.n_samples // 2 + 1][W.band]
    expected = torch.cat([response, response[1:]]).square()
    F = bounds.fisher_information(x, W, weight=weight)
    assert torch.allclose(F, torch.diag(expected), atol=1e-10)


def test_bound_scales_with_noise_signal_and_number_of_coefficients():
    W = scalogram()
    x = dense(11, W)
    bound = bounds.cramer_rao(x, W)
    assert bound.error_db(30.0) == pytest.approx(bound.error_db(10.0) - 20)
    assert bounds.cramer_rao(3 * x, W).error_db(10.0) == pytest.approx(bound.error_db(10.0))
    halved = bounds.cramer_rao(x, W, weight=0.5 * torch.ones(W.shape))
    assert halved.error_db(10.0) == pytest.approx(bound.error_db(10.0) + 10 * np.log10(2))


@pytest.mark.parametrize("options", [{}, {"lowpass": "signed"}, {"n_samples": 63}])
def test_samples_and_frequencies_share_out_the_total(options):
    W = scalogram(**options)
    bound = bounds.cramer_rao(dense(12, W), W)
    total = 20 * np.log10(float(bound.x.norm())) + bound.error_db(20.0)
    hertz, per_frequency = bound.per_frequency(20.0)
    assert len(hertz) == len(per_frequency) == int(W.band.sum())
    for share in (bound.per_sample(20.0), per_frequency):
        assert 20 * np.log10(float(share.norm())) == pytest.approx(total)


def test_directions_are_orthonormal_ordered_and_leave_out_the_rotation():
    W = scalogram()
    bound = bounds.cramer_rao(dense(13, W), W)
    D = bound.directions
    # A sine and a cosine for each bin of the band (0 and N/2 are outside), less the rotation.
    assert D.shape == (2 * int(W.band.sum()) - 1, N) and len(bound.eigenvalues) == len(D)
    assert torch.allclose(D @ D.T, torch.eye(len(D)).double(), atol=1e-10)
    assert (D @ bound.rotation).abs().max() < 1e-10 and (bound.eigenvalues.diff() >= 0).all()
    J = bounds.jacobian(bound.x, W).flatten(0, 1)
    gain = (J @ coordinates(D[0], W)).square().sum()
    assert float(gain) == pytest.approx(float(bound.eigenvalues[0]))
    assert bound.condition == pytest.approx(float(bound.eigenvalues[-1] / gain) ** 0.5)


def test_more_rows_and_shorter_hops_lower_the_bound():
    x = signals.recording("speech", 4000, N)[0]
    coarse, fine = (Scalogram(N, 4000, voices_per_octave=v, f_min=400) for v in (8, 16))
    assert (
        bounds.cramer_rao(x, fine).error_db(40.0) < bounds.cramer_rao(x, coarse).error_db(40.0) - 2
    )
    errors = []
    for hop in (1, 2, 4):
        weight = torch.zeros(fine.shape)
        weight[:, ::hop] = 1
        errors.append(bounds.cramer_rao(x, fine, weight=weight).error_db(40.0))
    assert errors[0] < errors[1] - 2.9 < errors[2] - 5.5


@pytest.mark.parametrize("name", ["speech", "white noise"])
def test_maximum_likelihood_from_the_truth_meets_the_bound(name):
    W = Scalogram(256, 4000, wavelet="cauchy", voices_per_octave=12)
    x = (
        signals.recording(name, 4000, 256)[0]
        if name in signals.RECORDINGS
        else signals.synthetic(name, 256, 4000)
    )
    x = W.project(x)
    S = W.magnitude(x)
    levels = [
        metrics.waveform_error_db(
            bounds.maximum_likelihood(bounds.noisy(S, 40.0, seed, clip=False), W, x), x
        )
        for seed in range(8)
    ]
    measured, _ = metrics.mean_error_db(levels)
    assert measured == pytest.approx(bounds.cramer_rao(x, W).error_db(40.0), abs=1.0)


@pytest.mark.parametrize("name", ["speech", "guitar"])
def test_recover_from_nothing_comes_close_to_the_bound(name):
    W = Scalogram(256, 4000, wavelet="cauchy", voices_per_octave=12)
    x = W.project(signals.recording(name, 4000, 256)[0])
    S = bounds.noisy(W.magnitude(x), 40.0)
    y = recover(S, W, progress=False).signal
    assert metrics.waveform_error_db(y, x) < bounds.cramer_rao(x, W).error_db(40.0) + 3
    # Without the truth the bound is taken at the recovered signal, with the misfit for the noise.
    blind = bounds.cramer_rao(y, W).error_db(-metrics.consistency_db(y, S, W))
    assert blind == pytest.approx(bounds.cramer_rao(x, W).error_db(40.0), abs=1.0)


def test_maximum_likelihood_without_noise_returns_the_signal():
    W = scalogram(voices_per_octave=16)
    x = dense(14, W)
    start = x + 0.03 * dense(15, W)
    answer = bounds.maximum_likelihood(W.magnitude(x), W, start)
    assert metrics.waveform_error_db(answer, x) < -250 < metrics.waveform_error_db(start, x)


def test_the_fit_needs_few_steps(monkeypatch):
    """Near the answer of an exact scalogram each step squares the error."""
    W = scalogram(voices_per_octave=16)
    x, taken = dense(14, W), []
    information = bounds.fisher_information
    monkeypatch.setattr(
        bounds, "fisher_information", lambda *given: taken.append(1) or information(*given)
    )
    answer = bounds.maximum_likelihood(W.magnitude(x), W, x + 0.03 * dense(15, W))
    assert metrics.waveform_error_db(answer, x) < -250 and len(taken) <= 8


def test_sums_over_pairs_of_bins_have_quiet_bins_too():
    rng = np.random.default_rng(0)
    psi = torch.from_numpy(rng.uniform(1, 2, (3, 9)) * 10.0 ** -rng.integers(2, 9, (3, 9)))
    psi[:, 0], psi[:, 8] = 1e-12, 1e-13  # towards its ends a filter falls off
    W = Scalogram.from_filters(psi, [3, 2, 1], n_samples=16)
    p, q = noise(1, 3, 16), torch.complex(noise(2, 3, 16), noise(3, 3, 16))
    times = np.arange(16)
    wanted = np.zeros((2, 9, 9), complex)
    for k in range(9):
        for l in range(9):
            pair = W.responses[:, k] * W.responses[:, l]
            for part, plane, difference in ((0, p, k - l), (1, q, -k - l)):
                turns = torch.from_numpy(np.exp(-2j * np.pi * difference * times / 16))
                wanted[part, k, l] = complex((pair[:, None] * plane * turns).sum())
    for found, exact in zip(bounds.pair_sums(W, p, q), wanted):
        assert found.numpy() == pytest.approx(exact, rel=1e-6, abs=0)


def test_mean_error_is_that_of_the_squares():
    level, bar = metrics.mean_error_db([-20.0, -20.0, -1000.0])
    assert level == pytest.approx(-20 + 10 * np.log10(2 / 3))
    assert bar == pytest.approx(10 / np.log(10) * 0.5)  # the squares are 1, 1 and 0
    assert metrics.mean_error_db([-7000.0, -7000.0]) == (-7000.0, 0.0)
    with pytest.raises(ValueError, match="levels must"):
        metrics.mean_error_db([-20.0])


def test_noisy_has_the_level_asked_for():
    S = scalogram().magnitude(dense(16, scalogram()))
    added = bounds.noisy(S, 20.0, seed=1, clip=False) - S
    assert metrics.misfit_db(S + added, S) == pytest.approx(-20, abs=0.3)
    assert torch.equal(bounds.noisy(S, 0.0, 1), bounds.noisy(S, 0.0, 1, clip=False).clamp_min(0))


def test_rice_information_between_silence_and_certainty():
    ratio = torch.tensor([0.0, 0.01, 1.0, 50.0, 1e6])
    information = bounds.rice_information(ratio)
    assert information[0] == 0 and information[1] == pytest.approx(1e-4, rel=0.02)
    assert information[3] == pytest.approx(1 - 1 / (2 * 50**2), abs=1e-4)
    assert information[4] == pytest.approx(1) and (information.diff() > 0).all()
    # A Monte Carlo estimate at ratio 1: the variance of the score of Rice's distribution.
    draw = np.hypot(*(noise(seed, 400_000).numpy() + shift for seed, shift in ((17, 1.0), (18, 0))))
    score = draw * i1e(draw) / i0e(draw) - 1
    assert information[2] == pytest.approx(score.var(), rel=0.02)


@pytest.mark.parametrize("beta", [15, 30, 60])
def test_cauchy_wavelets_satisfy_cauchy_riemann(beta):
    # log|c| alone determines both derivatives of the phase; tested where |c| is above -60 dB:
    # dphi/dt = (beta - dlog|c|/dlog s)/s,  dphi/dlog s = s dlog|c|/dt
    W = Scalogram(256, 4000, wavelet=("gmw", {"gamma": 1, "beta": beta}), voices_per_octave=128)
    x = W.project(signals.crossing_chirps(256, 4000))
    c, s = W(x).numpy(), W.scales.numpy()[:, None]
    along = scale_derivative(len(s), W.voices_per_octave)
    in_time, in_scale = time_derivative(c) / c, along @ c / c  # d log c = d log|c| + i dphi
    loud = np.abs(c) > 1e-3 * np.abs(c).max()
    inner = np.zeros_like(loud)
    inner[4:-4] = True  # where the stencil is centred
    frequency = (beta - in_scale.real) / s
    residuals = [
        (frequency - in_time.imag) / in_time.imag,
        (s * in_time.real - in_scale.imag) / np.abs(in_scale),
    ]
    for residual in residuals:
        assert np.abs(residual[loud & inner]).max() < 1e-6


@pytest.mark.parametrize(
    "call",
    [
        lambda W: bounds.cramer_rao(torch.zeros(N), W),
        lambda W: bounds.cramer_rao(torch.ones(N), W),  # all energy at 0 Hz: silence for W
        lambda W: bounds.cramer_rao(noise(1, N + 1), W),
        lambda W: bounds.cramer_rao(noise(1, 2, N), W),
        lambda W: bounds.cramer_rao(torch.full((N,), torch.nan), W),
        lambda W: bounds.cramer_rao(noise(1), W, weight=torch.ones(3, N)),
        lambda W: bounds.cramer_rao(noise(1), W, weight=-torch.ones(W.shape)),
        lambda W: bounds.fisher_information(noise(1), W, weight=torch.ones(2, *W.shape)),
        lambda W: bounds.cramer_rao(noise(1), W).error_db(float("nan")),
        lambda W: bounds.maximum_likelihood(torch.ones(3, N), W, noise(1)),
        lambda W: bounds.maximum_likelihood(torch.full(W.shape, torch.inf), W, noise(1)),
        lambda W: bounds.maximum_likelihood(W.magnitude(noise(1)), W, torch.zeros(N)),
        lambda W: bounds.rice_information([-torch.inf]),
    ],
)
def test_bad_input_is_named(call):
    with pytest.raises(ValueError, match=r"\b(x|weight|snr_db|S|init|ratio) must"):
        call(scalogram())


def test_clipping_costs_information_below_the_noise_only():
    r = torch.tensor([0.0, 1.0, 8.0], dtype=torch.float64)
    told = bounds.censored_information(r)
    assert float(told[0]) == pytest.approx(0.5 + 1 / np.pi) and float(told[2]) == pytest.approx(1)
    # Monte Carlo of the squared score at r = 1.
    t = 1 + np.random.default_rng(0).standard_normal(400_000)
    hazard = np.exp(-0.5) / np.sqrt(2 * np.pi) / special.ndtr(-1.0)
    score = np.where(t > 0, t - 1, -hazard)
    assert float(told[1]) == pytest.approx(np.square(score).mean(), rel=0.01)


@pytest.mark.parametrize("noise", ["clipped", "rice"])
def test_the_bound_for_another_noise_is_higher_and_meets_the_usual_one(noise):
    W = scalogram()
    x = dense(0, W)
    usual = bounds.cramer_rao(x, W)
    for snr_db, gap in ((5, 0.05), (60, -0.01)):
        other = bounds.cramer_rao(x, W, noise=noise, snr_db=snr_db)
        assert other.error_db(snr_db) > usual.error_db(snr_db) + gap
    assert other.error_db(60) == pytest.approx(usual.error_db(60), abs=0.1)
