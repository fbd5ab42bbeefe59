"""Every score is right where the answer is known, and ignores only the changes that it should."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from small import N, complex_noise, cosine, error_db, noise, scalogram, scattering

from scalinv_utils.metrics import (
    analytic,
    best_phase,
    consistency_db,
    decibels,
    frequency_error_db,
    hilbert_rotation,
    island_error_db,
    islands,
    misfit_by_order,
    misfit_db,
    sign_error_db,
    waveform_error_db,
)

EXACT_DB = -250
SEEDS = st.integers(0, 10**6)
ANGLES = st.floats(-10, 10)
a_few = settings(max_examples=25)


def band_noise(seed):
    return scalogram().project(noise(seed))


def swap_one_half(x):
    return torch.cat([x[..., : N // 2], -x[..., N // 2 :]], -1)


# Changes of a signal that change its scalogram, so that every score must notice them.
CHANGES = {
    "shift": lambda x: x.roll(1),
    "sign of one half": swap_one_half,
    "louder": lambda x: 1.1 * x,
    "time reversed": lambda x: x.flip(-1),
    "phase of one partial": lambda x: x + cosine(40, phase=2.0) - cosine(40),
}
every_change = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)


# -- decibels, analytic signals ----------------------------------------------------------------


def test_decibels():
    assert decibels(1) == 0 and decibels(10) == 20 and decibels(0) == -math.inf
    assert decibels(math.inf) == math.inf
    assert isinstance(decibels(torch.tensor(0.5)), float)
    assert decibels([1, 0.1]).tolist() == [0, -20]


@pytest.mark.parametrize("n_samples", [32, 33])
def test_the_analytic_signal_of_a_cosine_is_an_exponential(n_samples):
    t = torch.arange(n_samples, dtype=torch.float64)
    expected = torch.polar(torch.ones_like(t), 2 * math.pi * 3 * t / n_samples + 0.4)
    assert torch.allclose(analytic(cosine(3, n_samples, 0.4)), expected, atol=1e-14)


@pytest.mark.parametrize("n_samples", [32, 33])
def test_the_real_part_of_the_analytic_signal_is_the_signal(n_samples):
    x = noise(1, 2, n_samples)
    assert torch.allclose(analytic(x).real, x, atol=1e-14)
    spectrum = torch.fft.fft(analytic(x))
    assert spectrum[..., n_samples // 2 + 1 :].abs().max() < 1e-13


def test_hilbert_rotation():
    x = cosine(5)
    assert torch.allclose(hilbert_rotation(x, 0.3), cosine(5, phase=0.3), atol=1e-14)
    half_turn = torch.tensor(math.pi, dtype=x.dtype)
    assert torch.allclose(hilbert_rotation(x, half_turn), -x, atol=1e-14)
    constant = torch.ones(8, dtype=torch.float64)
    assert torch.allclose(hilbert_rotation(constant, 1.0), math.cos(1) * constant)
    assert hilbert_rotation(x.float(), 1.0).dtype == torch.float32


def test_best_phase_is_the_least_squares_one():
    a, b = complex_noise(1, 2, N), complex_noise(2, 2, N)
    u = best_phase(a, b)
    assert u.shape == (2, 1) and torch.allclose(u.abs(), torch.ones(2, 1).double())
    for angle in np.linspace(-3, 3, 13):
        turned = u * complex(math.cos(angle), math.sin(angle))
        assert ((u * a - b).norm(dim=-1) <= (turned * a - b).norm(dim=-1) + 1e-12).all()
    assert best_phase(0 * a, b).tolist() == [[1], [1]]


# -- consistency -------------------------------------------------------------------------------


def test_consistency_of_known_cases():
    W, x = scalogram(), band_noise(3)
    S = W.magnitude(x)
    assert consistency_db(x, S, W) < -300
    assert consistency_db(2 * x, S, W) == pytest.approx(0)
    assert consistency_db(1.1 * x, S, W) == pytest.approx(-20)
    assert consistency_db(x, 2 * S, W) == pytest.approx(20 * math.log10(0.5))
    assert consistency_db(0 * x, S, W) == 0
    assert consistency_db(0 * x, 0 * S, W) == -math.inf
    assert consistency_db(x, 0 * S, W) == math.inf


def test_consistency_of_a_batch():
    W, x = scalogram(), band_noise(3)
    levels = consistency_db(torch.stack([1.1 * x, 1.01 * x, 0 * x]), W.magnitude(x), W)
    assert levels.tolist() == pytest.approx([-20, -40, 0])


def test_consistency_sees_the_sign_of_a_signed_lowpass_only():
    x = 1 + cosine(30)
    for lowpass, seen in (("signed", True), ("modulus", False), (None, False)):
        W = scalogram(lowpass=lowpass)
        assert (consistency_db(-x, W.magnitude(x), W) > -20) == seen


def test_misfit_is_consistency_for_any_transform():
    W, x = scalogram(), band_noise(4)
    S, other = W.magnitude(x), torch.stack([W.magnitude(1.1 * x), 0 * W.magnitude(x)])
    assert misfit_db(other, S).tolist() == pytest.approx([-20, 0])
    assert misfit_db(W.magnitude(noise(5)), S) == pytest.approx(consistency_db(noise(5), S, W))


# -- waveform ----------------------------------------------------------------------------------


@a_few
@given(seed=SEEDS, theta=ANGLES)
def test_waveform_error_forgives_a_hilbert_rotation(seed, theta):
    x = band_noise(seed)
    assert waveform_error_db(hilbert_rotation(x, theta), x) < EXACT_DB


@a_few
@given(seed=SEEDS, theta=ANGLES)
def test_waveform_error_is_the_same_for_all_rotations(seed, theta):
    x, ref = band_noise(seed), band_noise(seed + 1)
    expected = waveform_error_db(x, ref)
    assert waveform_error_db(hilbert_rotation(x, theta), ref) == pytest.approx(expected)


@every_change
def test_waveform_error_forgives_nothing_else(change):
    x = band_noise(6) + cosine(40)
    assert waveform_error_db(change(x), x) > -21
    assert sign_error_db(change(x), x) > -21


def test_waveform_error_of_known_cases():
    x = cosine(20)
    assert waveform_error_db(1.1 * x, x) == pytest.approx(-20)
    assert waveform_error_db(x + 0.01 * cosine(30), x) == pytest.approx(-40)
    assert waveform_error_db(0 * x, x) == 0
    assert waveform_error_db(0 * x, 0 * x) == -math.inf
    assert waveform_error_db(x, 0 * x) == math.inf
    batch = waveform_error_db(torch.stack([-x, 0.9 * x]), torch.stack([x, x]))
    assert batch[0] < EXACT_DB and batch[1] == pytest.approx(-20)


def test_sign_error_forgives_a_sign_and_no_rotation():
    x = band_noise(7)
    assert sign_error_db(-x, x) == -math.inf
    assert sign_error_db(hilbert_rotation(x, math.pi / 2), x) == pytest.approx(10 * math.log10(2))
    assert sign_error_db(hilbert_rotation(x, 0.1), x) > -21
    assert sign_error_db(torch.stack([1.1 * x, -0.9 * x]), torch.stack([x, x])).tolist() == (
        pytest.approx([-20, -20])
    )


def test_scores_take_mixed_precision_and_numpy():
    x = band_noise(8)
    assert -160 < waveform_error_db(x.float(), x.numpy()) < -130
    assert waveform_error_db(x.tolist(), x) < EXACT_DB


# -- islands -----------------------------------------------------------------------------------


def drawing(*rows):
    return [[float(point == "#") for point in row] for row in rows]


@pytest.mark.parametrize(
    "rows, expected",
    [
        (["......", "......"], 0),
        (["######", "######"], 1),
        (["#..#..", "......"], 2),
        (["##.#..", "..#..."], 1),
        (["#....#", "......"], 1),
        (["#.....", ".....#"], 1),
        ([".....#", "#....."], 1),
        (["#.....", "......", ".....#"], 2),
        (["#.#...", "......", "#.#..#"], 4),
        (["#...##", ".....#", "#....#"], 1),
        (["##..##", "......", ".####."], 2),
    ],
)
def test_islands_of_drawings(rows, expected):
    """Points touch along edges and corners, also across the ends of time, not of frequency."""
    labels, n_islands = islands(drawing(*rows))
    assert n_islands == expected
    assert sorted(set(labels.flatten()) - {0}) == list(range(1, expected + 1))
    assert (labels > 0).tolist() == (np.array(drawing(*rows)) > 0).tolist()


@a_few
@given(seed=SEEDS, shift=st.integers(1, 11))
def test_islands_are_periodic_in_time(seed, shift):
    S = (np.random.default_rng(seed).random((6, 12)) < 0.3).astype(float)
    labels, n_islands = islands(S)
    shifted, n_shifted = islands(np.roll(S, shift, axis=1))
    assert n_shifted == n_islands
    pairs = set(zip(np.roll(labels, shift, axis=1).flatten(), shifted.flatten()))
    assert len(pairs) == len(set(labels.flatten()))


def test_the_sea_level():
    S = [[1.0, 0.0, 0.1, 0.0, 0.001, 0.0]]
    assert [islands(S, floor_db=floor)[1] for floor in (0, -19, -21, -59, -61)] == [1, 1, 2, 2, 3]
    assert islands(S)[1] == 2


def two_tones(phase_low, phase_high):
    return cosine(24, 512, phase_low) + cosine(180, 512, phase_high)


def test_island_error_forgives_one_phase_per_island_only():
    W = scalogram(512)
    ref, x = two_tones(0, 0), two_tones(2.0, -1.0)
    assert islands(W.magnitude(ref))[1] == 2
    assert island_error_db(x, ref, W) < -120
    assert waveform_error_db(x, ref) > -6
    assert island_error_db(ref, ref, W) == -math.inf
    assert island_error_db(hilbert_rotation(x, 0.7), ref, W) < -120


def test_island_error_forgives_nothing_within_an_island():
    W = scalogram(512)
    ref = two_tones(0, 0)
    half = torch.cat([ref[:256], -ref[256:]])
    assert island_error_db(half, ref, W) > -1
    assert island_error_db(1.1 * ref, ref, W) == pytest.approx(-20)
    near, turned = (cosine(180, 512) + cosine(190, 512, phase) for phase in (0, 2))
    assert islands(W.magnitude(near))[1] == 1
    assert island_error_db(turned, near, W) > -10
    assert island_error_db(noise(9, 512), ref, W) > -3


@pytest.mark.parametrize("seed", [5, 18, 30, 33])
def test_island_error_of_equal_signals_is_none_on_every_processor(seed):
    # Where products are added without rounding between, <a, a> has a small imaginary part.
    x = noise(seed, 512)
    assert island_error_db(x.clone(), x, scalogram(512)) == -math.inf


def test_island_error_and_silence():
    W, x = scalogram(), noise(10)
    assert island_error_db(0 * x, x, W) == 0
    assert island_error_db(0 * x, 0 * x, W) == -math.inf
    assert island_error_db(x, 0 * x, W) == math.inf


def test_scores_leave_gradients_and_arguments_alone():
    W, x = scalogram(), band_noise(11).requires_grad_()
    before = x.detach().clone()
    assert isinstance(consistency_db(x, W.magnitude(x), W), float)
    assert isinstance(waveform_error_db(x, x), float)
    assert island_error_db(x, x, W) == -math.inf
    assert islands(W.magnitude(x))[1] >= 1
    assert x.grad is None and torch.equal(x, before)
    assert error_db(x.detach(), before) == -math.inf


# -- by order, by frequency --------------------------------------------------------------------


def test_a_score_for_each_order():
    W, S = scattering(), scattering()(noise(0, 256))
    louder = torch.where(W.order[:, None] == 2, 1.1 * S, S)
    assert misfit_by_order(louder, S, W) == {1: -math.inf, 2: pytest.approx(-20)}
    assert misfit_by_order(torch.stack([S, louder]), S, W)[2].shape == (2,)
    with pytest.raises(ValueError, match="output must have the shape"):
        misfit_by_order(S[1:], S, W)


def test_frequency_error_is_the_difference_of_two_tones_and_blind_to_phase():
    W = scalogram(512)
    x, y = cosine(100, 512), cosine(104, 512, phase=1.0)
    assert abs(frequency_error_db(y, x, W) - decibels(0.04)) < 0.01
    assert frequency_error_db(hilbert_rotation(x, 0.7), x, W) < -200
    silence = torch.zeros(512)
    assert frequency_error_db(silence, silence, W) == -math.inf
    assert frequency_error_db(x, silence, W) == -math.inf
    assert frequency_error_db(silence, x, W) == 0
