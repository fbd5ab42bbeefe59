"""The phase relations against the true phase: with derivatives from the filters, and as in use."""

import math
import pickle
import statistics

import numpy as np
import pytest
import torch
from numpy.polynomial.polynomial import polyval

from scalinv_utils.course import signals
from scalinv_utils.metrics import decibels, waveform_error_db
from scalinv_utils.recovery import _phase_relations
from scalinv_utils.recovery._dense_start import phase_gradient
from scalinv_utils.recovery._phase_relations import (
    log_slope,
    phase_derivatives,
    power_band,
    power_derivative,
    scale_products,
)
from scalinv_utils.transforms._derivatives import scale_derivative, time_derivative
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 1024, 8000.0
SOUNDS = ("speech", "crow", "choir", "bell")

FAMILY = {
    "cauchy": "cauchy",
    "Morse 2": ("gmw", {"gamma": 2, "beta": 90}),
    "gmw": "gmw",
    "Morse 4": ("gmw", {"gamma": 4, "beta": 45}),
    "morlet": "morlet",
}


def transform(wavelet, voices_per_octave=32, **options):
    return Scalogram(N, RATE, wavelet=wavelet, voices_per_octave=voices_per_octave, **options)


def material(name, W):
    return W.project(signals.recording(name, RATE, N)[0])


def truth(W, x):
    """(c, c_t / c, c_ls / c), the last with the wavelet's derivative in log s as a filter."""
    spectrum = np.fft.fft(x.numpy())[: W.filters.shape[1]]
    s_w = W.scales.numpy()[:, None] * 2 * np.pi * np.arange(len(spectrum)) / N
    c, c_ls = (
        np.fft.ifft(filters * spectrum, n=N)
        for filters in (W.filters.numpy(), W.filters.numpy() * polyval(s_w, log_slope(W)))
    )
    return c, time_derivative(c) / c, c_ls / c


@pytest.mark.parametrize("wavelet", FAMILY.values(), ids=FAMILY)
def test_the_slope_is_that_of_the_wavelet(wavelet):
    W = transform(wavelet)
    w, h = W.peak * np.linspace(0.8, 1.2, 9), 1e-5
    slope = np.diff(np.log(W._psi(w * np.exp([[-h], [h]]))), axis=0)[0] / (2 * h)
    assert np.abs(slope - polyval(w, log_slope(W))).max() < 1e-6 * W.time_bandwidth


@pytest.mark.parametrize("wavelet", ["bump", ("morlet", {"mu": 5.0}), ("gmw", {"gamma": 2.5})])
def test_others_have_the_tangent_relation(wavelet):
    W = transform(wavelet)
    S = W.magnitude(material("crow", W))
    assert log_slope(W) is None
    for of_its_own, tangent in zip(
        *(phase_derivatives(S, W, exact=exact) for exact in (True, False))
    ):
        assert torch.equal(of_its_own, tangent)


@pytest.mark.parametrize("name", SOUNDS)
@pytest.mark.parametrize("wavelet", FAMILY.values(), ids=FAMILY)
def test_the_relation_holds_for_the_true_phase(wavelet, name):
    W = transform(wavelet)
    c, g, true = truth(W, material(name, W))
    P, s = np.abs(c) ** 2, W.scales.numpy()[:, None]
    got = scale_products(log_slope(W), s, P, time_derivative(P), g.imag) / P
    loud = P > 1e-6 * P.max()
    assert np.abs(got - true)[loud].max() < 1e-6 * np.abs(true)[loud].max()


# Relative errors of dphi/dt and dphi/dlog s where S is above -60 dB, as the modulus alone tells
# them: medians of the points, the worst of four recordings.
@pytest.mark.parametrize(
    ("wavelet", "voices", "in_time", "in_scale"),
    [
        ("cauchy", 32, -130, -120),
        ("gmw", 32, -80, -60),
        ("morlet", 32, -80, -60),
        ("gmw", 16, -60, -45),
        ("morlet", 16, -60, -45),
    ],
)
def test_the_modulus_alone_tells_the_gradient(wavelet, voices, in_time, in_scale):
    W = transform(wavelet, voices)
    for name in SOUNDS:
        c, g, c_ls = truth(W, material(name, W))
        loud = np.abs(c) > 1e-3 * np.abs(c).max()
        got = phase_derivatives(np.abs(c), W)
        for f, true, bound in zip(got, (g.imag, c_ls.imag), (in_time, in_scale)):
            error = np.median(np.abs(f.numpy() - true)[loud])
            level = decibels(error / np.median(np.abs(true)[loud]))
            assert level < bound


@pytest.mark.parametrize(("wavelet", "voices", "gain"), [("gmw", 16, 5), ("gmw", 32, 25)])
def test_the_power_is_better_predicted_than_by_polynomials(wavelet, voices, gain):
    W = transform(wavelet, voices)
    levels = []
    for D in (power_derivative(W), scale_derivative(W.n_freqs, voices)):
        for name in SOUNDS:
            c, _, c_ls = truth(W, material(name, W))
            P, loud = np.abs(c) ** 2, np.abs(c) > 1e-3 * np.abs(c).max()
            levels.append(decibels(np.median(np.abs(D @ P / (2 * P) - c_ls.real)[loud])))
    ours, polynomial = levels[: len(SOUNDS)], levels[len(SOUNDS) :]
    assert min(p - o for o, p in zip(ours, polynomial)) > gain


@pytest.mark.parametrize(("wavelet", "bound"), [("gmw", 2e-5), ("cauchy", 2e-6)])
def test_rows_whose_wavelets_end_at_nyquist_are_predicted_as_well(wavelet, bound):
    """Against differences between transforms whose rows are shifted by a thousandth."""
    W = Scalogram(1024, 8000, wavelet=wavelet, voices_per_octave=32, f_min=300)
    x = torch.randn(1024, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shifted = [
        W.like(frequencies=W.frequencies * np.exp(-k * 1e-3)).magnitude(x).square().numpy()
        for k in range(5)
    ]
    true = np.tensordot([-25 / 12, 4, -3, 4 / 3, -1 / 4], shifted, 1) / 1e-3
    error = np.linalg.norm(power_derivative(W) @ shifted[0] - true, axis=1)
    assert (error[:16] / np.linalg.norm(true, axis=1)[:16]).max() < bound


def test_the_power_derivative_knows_a_tone_and_few_rows():
    W = transform("gmw", 16, f_max=3000)
    S = W.magnitude(torch.cos(2 * torch.pi * 0.125 * torch.arange(N, dtype=torch.float64)))
    slope = power_derivative(W) @ S.square().numpy() / 2
    true = polyval(W.scales.numpy()[:, None] * 2 * np.pi * 0.125, log_slope(W)) * S.numpy() ** 2
    assert decibels(np.linalg.norm(slope - true) / np.linalg.norm(true)) < -40
    assert not power_derivative(transform("gmw", 4, f_min=1950, f_max=2000)).any()


@pytest.mark.parametrize("wavelet", ["Morse 2", "gmw", "Morse 4", "morlet"])
def test_the_heap_alone(wavelet):
    W = transform(FAMILY[wavelet])
    errors = []
    for name in SOUNDS:
        x = material(name, W)
        errors.append(waveform_error_db(phase_gradient(W.magnitude(x), W, n_iter=0).signal, x))
    assert statistics.median(errors) < -45 and max(errors) < -38, errors


def test_silence_turns_at_the_centre_frequencies():
    W = transform("gmw", 16)
    dphi_dt, dphi_dlogs = phase_derivatives(torch.zeros(W.shape), W)
    centre = 2 * torch.pi * W.frequencies[:, None] / RATE
    assert torch.allclose(dphi_dt, centre.expand(W.shape)) and dphi_dlogs.abs().max() < 1e-9


def test_derivatives_in_time_are_those_of_the_last_axis():
    t = 2 * np.pi * np.arange(8) / 8
    waves = np.stack([[np.sin(t), np.cos(2 * t)], [0 * t, np.cos(3 * t)], [np.sin(3 * t), 0 * t]])
    slopes = (
        np.pi
        / 4
        * np.stack(
            [
                [np.cos(t), -2 * np.sin(2 * t)],
                [0 * t, -3 * np.sin(3 * t)],
                [3 * np.cos(3 * t), 0 * t],
            ]
        )
    )
    assert np.allclose(time_derivative(waves), slopes)
    assert np.allclose(time_derivative(1j * waves), 1j * slopes)
    assert np.allclose(time_derivative(waves[..., :7])[0, 0].sum(), 0)  # an odd length too


def test_a_derivative_of_a_band_is_exact_in_it_and_local():
    """What a loud place gets wrong stays within the kernel, and not as 1/t everywhere."""
    t = np.arange(4096)
    for scale in (1.0, 1j):
        wave = scale * np.cos(2 * np.pi * 0.3 * t + 1)  # at 0.6 of Nyquist's frequency
        slope = scale * -0.6 * np.pi * np.sin(2 * np.pi * 0.3 * t + 1)
        inside = slice(400, -400)  # the wave does not close
        assert np.allclose(time_derivative(wave, 0.75)[inside], slope[inside], atol=1e-13)
        error = np.zeros(4096, type(scale))
        error[2048] = scale
        assert np.abs(time_derivative(error, 0.75)[[1700, 2400]]).max() < 1e-15
        assert np.abs(time_derivative(error)[[1700, 2400]]).min() > 1e-3


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw", "morlet", ("cauchy", {"beta": 100})])
def test_no_power_has_a_spectrum_above_its_band(wavelet):
    W = Scalogram(512, RATE, wavelet=wavelet, voices_per_octave=8)
    band = power_band(W)
    spectrum = np.abs(
        np.fft.rfft(W.magnitude(W.project(signals.white_noise(512))).square().numpy())
    )
    above = spectrum[:, math.ceil(256 * band) + 1 :]
    assert 0.5 < band < 0.95 and above.max() < 1e-13 * spectrum.max()


def test_rounding_errors_of_loud_places_do_not_reach_a_pause():
    W = Scalogram(4096, RATE, wavelet="cauchy", voices_per_octave=32, f_min=400)
    loud = torch.ones(4096).double()
    loud[1500:2500] = 1e-3
    S = W.magnitude(W.project(loud * signals.white_noise(4096)))
    pause = slice(1800, 2200)
    exact, rounded = (phase_derivatives(T, W)[1][:, pause] for T in (S, S.float()))
    away_from_zeros = S[:, pause] > 0.3 * S[:, pause].median()
    assert float((rounded - exact)[away_from_zeros].abs().max()) < 1e-4


def test_differences_in_scale_are_exact_for_polynomials_up_to_their_order():
    places = np.log(2) / 4 * np.arange(12)
    for n_rows, order in ((12, 8), (5, 4), (2, 1)):
        D, x = scale_derivative(n_rows, 4), places[:n_rows]
        for k in range(order + 1):
            assert np.allclose(D @ x**k, k * x ** max(k - 1, 0), atol=1e-7 * max(1, x[-1] ** k))
    assert scale_derivative(1, 4).tolist() == [[0]]
    assert np.flatnonzero(np.abs(scale_derivative(20, 4)[10]) > 1e-9).tolist() == [
        *range(6, 10),
        *range(11, 15),
    ]


def test_blocks_cover_a_range_and_are_never_empty():
    blocks = _phase_relations._blocks
    assert [(b.start, b.stop) for b in blocks(5, 2)] == [(0, 2), (2, 4), (4, 5)]
    assert [(b.start, b.stop) for b in blocks(2, 0)] == [(0, 1), (1, 2)]


def test_a_step_of_newton_changes_no_frequency_by_more_than_three_tenths():
    W = transform("gmw", 16)
    q, s = log_slope(W), np.ones((1, 1))
    P, P_t, L = np.ones((1, 4)), np.zeros((1, 4)), np.zeros((1, 4))
    # Where the power is steady, (1) is q(w) = 0, and one step goes towards the peak.
    for w, wanted in ((1.0, 1.0), (1.001, 1.0), (10.0, 7.0), (0.1, 0.13)):
        (found,) = _phase_relations._newton(q, s, P, P_t, L, np.full((1, 4), w * W.peak), 1.0)
        assert found == pytest.approx(wanted * W.peak, rel=1e-5)


def test_a_copy_in_another_process_finds_the_weights_of_the_first():
    # A transform comes anew with each task: weights kept for each copy would fill the memory.
    kinds = ("cauchy", {"beta": 31}), ("cauchy", {"beta": 32}), ("gmw", {"beta": 31})
    W, *others = (Scalogram(64, wavelet=kind, voices_per_octave=12) for kind in kinds)
    wanted = power_derivative(W)
    before = _phase_relations._stencil.cache_info()
    for copy in (pickle.loads(pickle.dumps(W)), W.like(64)):
        assert np.array_equal(power_derivative(copy), wanted)
    assert _phase_relations._stencil.cache_info().misses == before.misses
    assert len({each.psi for each in (W, *others)}) == 3
