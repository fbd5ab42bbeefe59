"""The phase equation holds at the true signal and finds it, and its gap warns of islands."""

import numpy as np
import pytest

from scalinv_utils import metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery._phase_equation import PhaseEquation, solve_phase_equation, spectral_gap
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
