"""The phase equation holds at the true signal and finds it, and its gap warns of islands."""

import numpy as np
import pytest
import torch
from scipy import linalg

from scalinv_utils import metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery._phase_equation import (
    PhaseEquation,
    _factorise,
    _inverse_step,
    _ridge,
    solve_phase_equation,
    spectral_gap,
)
from scalinv_utils.transforms._derivatives import scale_derivative, time_derivative
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 512, 8000.0


def transform(wavelet="cauchy", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet=wavelet, voices_per_octave=32, **options)


def chirp(W):
    return W.project(signals.linear_chirp(W.n_samples, RATE, 300.0, 3000.0))


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw", "morlet"])
def test_the_true_signal_solves_the_equations(wavelet):
    W = transform(wavelet)
    x = chirp(W)
    S, c = W.magnitude(x).numpy(), W(x).numpy()
    equation = PhaseEquation(S, W)
    A = equation.matrix(equation.consistent_frequency(c))
    A = A + np.triu(A, 1).conj().T
    X = np.fft.rfft(x.numpy())[equation.bins] / equation.whitening
    residual = (X.conj() @ A @ X).real / (X.conj() @ X).real
    assert residual < 1e-6 * np.linalg.eigvalsh(A)[-1]


def test_the_gap_collapses_across_silence():
    W = transform()
    tones = signals.tones(N, RATE, [250.0, 3000.0])
    gaps = []
    for x in (W.project(tones), chirp(W)):
        gaps.append(spectral_gap(W.magnitude(x), W, x))
    assert 1 <= gaps[0] < gaps[1]


def test_solving_needs_few_rounds_on_a_cauchy_scalogram():
    W = transform()
    x = chirp(W)
    recovery = solve_phase_equation(W.magnitude(x), W)
    assert metrics.waveform_error_db(recovery.signal, x) < -60


# -- pieces ------------------------------------------------------------------------------------


def small():
    W = Scalogram(64, RATE, wavelet="gmw", voices_per_octave=16)
    x = W.project(signals.white_noise(64, RATE))
    return W, x, W.magnitude(x).numpy()


def full(A):
    return A + np.triu(A, 1).conj().T


def test_the_matrix_is_that_of_the_sum_of_squares():
    W, x, S = small()
    equation, rng = PhaseEquation(S, W), np.random.default_rng(0)
    assert equation.rows.tolist() == list(range(0, W.n_freqs, 2))  # 8 of 16 per octave
    w = rng.standard_normal(equation.power.shape)
    X = rng.standard_normal(len(equation.angular)) + 1j * rng.standard_normal(len(equation.angular))
    bins, t = np.arange(64)[equation.bins], np.arange(64)
    waves = np.exp(2j * np.pi * np.outer(bins, t) / 64)
    c = (equation.filters * X) @ waves
    slope_of_c = (equation.filters * X * 2j * np.pi * bins / 64) @ waves
    modulus = np.sqrt(equation.power)
    slope = equation.power_slope / (2 * modulus)
    s = W.scales.numpy()[equation.rows, None]
    wanted = np.sum(s**2 * np.abs(modulus * slope_of_c - (slope + 1j * w * modulus) * c) ** 2)
    A = full(equation.matrix(w))
    assert (X.conj() @ A @ X).real == pytest.approx(wanted)
    weight = rng.random(equation.power.shape)
    G = full(equation.weighted_gram(weight))
    assert (X.conj() @ G @ X).real == pytest.approx(np.sum(weight * np.abs(c) ** 2))


def test_the_power_has_a_floor_and_its_slopes_are_those_of_all_rows():
    W, x, S = small()
    equation = PhaseEquation(S, W)
    power = S**2
    floored = power[equation.rows] + 1e-12 * power.max()
    assert equation.power == pytest.approx(floored, rel=1e-15, abs=0)
    D = scale_derivative(W.n_freqs, 16)
    assert equation.log_slope == pytest.approx(((D @ power)[equation.rows]) / (2 * floored))
    first = equation.first_order_frequency()
    centre = (2 * np.pi * W.frequencies.numpy() / RATE)[equation.rows, None]
    assert first == pytest.approx(centre * (1 - equation.log_slope / W.time_bandwidth))


def test_frequencies_of_an_estimate_are_its_own_and_limited():
    W, x, S = small()
    equation, c = PhaseEquation(S, W), W(x).numpy()
    turn = np.imag(time_derivative(c) / c)[equation.rows]
    centre = (2 * np.pi * W.frequencies.numpy() / RATE)[equation.rows, None]
    own = equation.consistent_frequency(c)
    inside = np.abs(turn) < 9 * centre
    assert own[inside] == pytest.approx(turn[inside], rel=1e-4, abs=1e-4)
    # Another modulus is told by the gap between the slopes of both.
    louder = np.exp(0.3 * np.arange(W.n_freqs) * np.log(2) / 16)[:, None] * c
    gap = PhaseEquation(S, W).consistent_frequency(louder) - own
    inside &= np.abs(own + gap) < 9 * centre
    wanted = np.broadcast_to(centre * 0.3 / W.time_bandwidth, gap.shape)
    assert np.median(gap[inside] / wanted[inside]) == pytest.approx(1, abs=0.1)
    spike = c.copy()
    spike[:, 5] *= np.exp(1j * 3.0)  # a jump of the phase turns fast
    assert (np.abs(equation.consistent_frequency(spike)) <= 10 * centre * (1 + 1e-12)).all()


def test_signals_and_whitened_coordinates():
    W, x, S = small()
    equation = PhaseEquation(S, W)
    gain = W.gain.numpy()[equation.bins]
    spectrum = np.fft.rfft(x.numpy())[equation.bins]
    assert equation.analyse(x) == pytest.approx(spectrum / np.sqrt(gain))
    assert metrics.misfit_db(equation.synthesise(spectrum * np.sqrt(gain)), x) < -250


@pytest.mark.parametrize("ridge", [1e-6, 1e-2])
def test_the_gap_is_the_ratio_of_the_two_largest_eigenvalues(ridge):
    W, x, S = small()
    c = W(x).numpy()
    equation = PhaseEquation(S / S.max(), W)
    A = full(equation.matrix(equation.consistent_frequency(c / np.abs(c).max())))
    A += ridge * np.trace(A).real / len(A) * np.eye(len(A))
    values = linalg.eigvalsh(full(equation.weighted_gram(equation.power)), A)
    gap = spectral_gap(S, W, x, ridge=ridge)
    assert gap == pytest.approx(values[-1] / values[-2], rel=1e-3) and gap > 1
    assert spectral_gap(1e100 * S, W, x, ridge=ridge) == pytest.approx(gap, rel=1e-6)


@pytest.mark.parametrize(
    "ridge, fits", [(1e-15, True), (1.0, True), (0.9e-15, False), (1.1, False)]
)
def test_ridges_keep_a_matrix_definite(ridge, fits):
    if fits:
        assert _ridge(ridge, "ridge") == ridge
        return
    with pytest.raises(ValueError, match="ridge must be from 1e-15 to 1"):
        _ridge(ridge, "ridge")


def test_a_step_of_inverse_iteration_solves_the_system_and_sets_the_level():
    W, x, S = small()
    equation = PhaseEquation(S, W)
    A = full(equation.matrix(equation.first_order_frequency()))
    factor = _factorise(np.triu(A.copy()), 1e-3)
    c = W(x)
    y, d = _inverse_step(equation, factor, torch.from_numpy(S), c)
    A += 1e-3 * np.trace(A).real / len(A) * np.eye(len(A))
    wanted = equation.synthesise(np.linalg.solve(A, equation.analyse(W.adjoint(c))))
    assert metrics.misfit_db(y / y.norm(), wanted / wanted.norm()) < -150
    # Of all levels the one that fits S best.
    fits = [metrics.misfit_db(W.magnitude(k * y), torch.from_numpy(S)) for k in (0.99, 1, 1.01)]
    assert fits[1] == min(fits) and metrics.misfit_db(W.magnitude(y), d.abs()) < -200


def test_rounds_take_their_ridges_in_turn_until_one_is_good_enough():
    W = transform(n_samples=128)
    S = W.magnitude(chirp(W))
    everything = solve_phase_equation(S, W, target_db=-1000)
    assert len(everything.history["seconds"]) == 6
    fits = everything.history["consistency_db"]
    early = solve_phase_equation(S, W, target_db=0.5 * (fits[1] + fits[2]))
    assert early.history["consistency_db"] == fits[:3]
    one = solve_phase_equation(S, W, ridges=[1e-3], target_db=-1000)
    assert one.history["consistency_db"] == fits[:1]
    other = solve_phase_equation(S, W, ridges=[1e-3], seed=1, target_db=-1000)
    assert other.history["consistency_db"] != fits[:1]
    for bad, name in (({"ridges": []}, "ridges"), ({"ridges": [2]}, "ridges")):
        with pytest.raises(ValueError, match=name):
            solve_phase_equation(S, W, **bad)
