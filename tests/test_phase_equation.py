"""The phase equation and recover(): the waveform comes back, on signals nothing was tuned on."""

import numpy as np
import pytest
import torch

from scalinv_utils import blocks, metrics, signals
from scalinv_utils.phase_equation import PhaseEquation, solve_phase_equation, spectral_gap
from scalinv_utils.recovery import recover
from scalinv_utils.transforms import Scalogram

N, RATE = 512, 8000.0


def transform(wavelet="cauchy", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet, voices_per_octave=32, **options)


def chirp(W):
    return W.project(signals.linear_chirp(W.n_samples, RATE, 300.0, 3000.0))


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw", "morlet"])
def test_the_true_signal_solves_the_equations(wavelet):
    W = transform(wavelet)
    x = chirp(W)
    S, c = W.magnitude(x).numpy(), W(x).numpy()
    equation = PhaseEquation(S, W, np.ones_like(S))
    A = equation.matrix(equation.consistent_frequency(c))
    A = A + np.triu(A, 1).conj().T
    X = np.fft.rfft(x.numpy())[equation.bins] / equation.whitening
    residual = (X.conj() @ A @ X).real / (X.conj() @ X).real
    assert residual < 1e-6 * np.linalg.eigvalsh(A)[-1]


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recover_finds_the_waveform(wavelet, seed):
    W = transform(wavelet)
    x = chirp(W)
    recovery = recover(W.magnitude(x), W, seed=seed, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -60
    assert recovery.details["best_consistency_db"] == min(recovery.history["consistency_db"])


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("name", ["crow", "tabla"])
def test_recover_finds_recordings(name, wavelet):
    W = transform(wavelet, n_samples=1024)
    x = W.project(signals.recording(name, int(RATE), 1024)[0])
    recovery = recover(W.magnitude(x), W, progress=False)
    assert metrics.island_error_db(recovery.signal, x, W) < -60


def test_one_seed_gives_one_signal():
    W = transform()
    S = W.magnitude(chirp(W))
    first, second = (recover(S, W, seed=3, progress=False).signal for _ in range(2))
    assert torch.equal(first, second)


def test_silence_comes_back_as_silence():
    W = transform()
    assert not recover(torch.zeros(W.shape), W, progress=False).signal.any()


def test_a_callback_stops_the_recovery_and_keeps_the_best():
    W = transform()
    recovery = recover(W.magnitude(chirp(W)), W, callback=lambda k, x, fit: True, progress=False)
    assert len(recovery.history["seconds"]) == 1 and torch.isfinite(recovery.signal).all()


def test_the_gap_collapses_across_silence():
    W = transform()
    tones = signals.tones(N, RATE, [250.0, 3000.0])
    gaps = []
    for x in (W.project(tones), chirp(W)):
        gaps.append(spectral_gap(W.magnitude(x), W, x))
    assert 1 <= gaps[0] < gaps[1]


def test_long_signals_fit_in_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "DENSE", 1024)
    monkeypatch.setattr(blocks, "BLOCK", 1024)
    W = transform(n_samples=2048)
    x = chirp(W)
    S = W.magnitude(x)
    y = blocks.solve_in_blocks(S, W).signal
    assert metrics.consistency_db(y, S, W) < -30


@pytest.mark.parametrize("S, message", [
    (torch.full((3, 4), 1.0), "S"), (torch.full((3, 4), -1.0), "S"),
    (torch.full((3, 4), float("nan")), "S"), (torch.ones(3, dtype=torch.complex128), "S"),
])
def test_bad_scalograms_are_refused_by_name(S, message):
    with pytest.raises((ValueError, TypeError), match=message):
        recover(S, transform(), progress=False)


def test_solving_needs_few_rounds_on_a_cauchy_scalogram():
    W = transform()
    x = chirp(W)
    recovery = solve_phase_equation(W.magnitude(x), W)
    assert metrics.waveform_error_db(recovery.signal, x) < -60
