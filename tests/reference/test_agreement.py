"""One and two threads, and the orders of rows, agree."""

import numpy as np
import pytest
import torch
from small import noise, scattering

from scalinv_utils import Scalogram, bounds, metrics, recover
from scalinv_utils.measured import Measured
from scalinv_utils.recovery import griffin_lim, invert_gradient, phase_gradient
from scalinv_utils.recovery._phase_relations import phase_derivatives
from scalinv_utils.recovery.denoising import denoise

N = 128
# A sum of a few numbers in another order differs in its last digits.
ROUNDING_DB = -270

W = Scalogram(N, wavelet="cauchy", voices_per_octave=16)
FREQUENCIES = W.frequencies.numpy()
X = W.project(noise(3, N))
S = W.magnitude(X)
RISING = Scalogram.from_frequencies(N, frequencies=FREQUENCIES[::-1].copy(), wavelet="cauchy")
FALLING = Scalogram.from_frequencies(N, frequencies=FREQUENCIES, wavelet="cauchy")


def agree(a, b, level=ROUNDING_DB):
    return metrics.misfit_db(a, b) < level


# -- orders of rows -------------------------------------------------------------------------------


def test_rows_in_the_opposite_order():
    assert torch.equal(RISING(X), W(X).flip(0))
    assert torch.equal(RISING.magnitude(X), S.flip(0))
    c = torch.complex(noise(4, *W.shape), noise(5, *W.shape))
    assert agree(RISING.adjoint(c.flip(0)), W.adjoint(c))
    assert agree(RISING.inverse(c.flip(0)), W.inverse(c))
    assert RISING.frame_bounds == pytest.approx(W.frame_bounds, rel=1e-14)
    assert agree(bounds.fisher_information(X, RISING), bounds.fisher_information(X, W))
    y = X + 0.1 * noise(6, N)
    for score in (metrics.island_error_db, metrics.frequency_error_db):
        assert score(y, X, RISING) == pytest.approx(score(y, X, W), abs=1e-9)
    assert metrics.consistency_db(y, S.flip(0), RISING) == pytest.approx(
        metrics.consistency_db(y, S, W), abs=1e-9
    )


def test_the_phase_of_rows_in_the_opposite_order():
    for rising, falling in zip(phase_derivatives(S.flip(0), RISING), phase_derivatives(S, W)):
        loud = S > 1e-3 * S.max()
        wrong = (rising.flip(0) - falling)[loud].abs() / falling[loud].abs().mean()
        assert wrong.median() < 1e-9


# Iterations of these maps amplify rounding less than this.
SHORT = {
    "griffin_lim": (lambda S, W: griffin_lim(S, W, n_iter=3, init=X), -250),
    "invert_gradient": (
        lambda S, W: invert_gradient(S, W, n_iter=3, init=X + 0.1 * noise(8, N)),
        -200,
    ),
    "maximum likelihood": (
        lambda S, W: bounds.maximum_likelihood(S, W, X + 1e-3 * noise(8, N)),
        -150,
    ),
}


@pytest.mark.parametrize("name", ["griffin_lim", "invert_gradient", "maximum likelihood"])
def test_methods_and_rows_in_the_opposite_order(name):
    method, level = SHORT[name]
    found, wanted = (method(*pair) for pair in ((S.flip(0), RISING), (S, FALLING)))
    found, wanted = (getattr(r, "signal", r) for r in (found, wanted))
    assert agree(found, wanted, level)


@pytest.mark.parametrize("method", [recover, phase_gradient])
def test_recoveries_from_rows_in_the_opposite_order(method):
    options = {"progress": False} if method is recover else {"n_iter": 0}
    rising = method(S.flip(0), RISING, **options)
    falling = method(S, FALLING, **options)
    if method is recover:
        assert metrics.waveform_error_db(rising.signal, X) < -190
        assert metrics.waveform_error_db(falling.signal, X) < -190
    else:
        assert metrics.waveform_error_db(rising.signal, falling.signal) < -100


def test_filters_in_any_order():
    """A bank of filters need not be sorted by what its filters hear, only by what it is told."""
    order = np.random.default_rng(0).permutation(W.n_freqs)
    labels = np.sort(FREQUENCIES)[::-1].copy()
    mixed = Scalogram.from_filters(W.filters[order], labels, n_samples=N)
    assert torch.equal(mixed(X), W(X)[order])
    c = torch.complex(noise(4, *W.shape), noise(5, *W.shape))
    assert agree(mixed.inverse(c[order]), W.inverse(c))
    for options in ({"init": X}, {"init": X + 0.1 * noise(8, N), "rule": "gl"}):
        found = griffin_lim(S[order], mixed, n_iter=3, **options)
        assert agree(found.signal, griffin_lim(S, W, n_iter=3, **options).signal, -240)
    weights = S.square()
    assert agree(
        bounds.fisher_information(X, mixed, weight=weights[order]),
        bounds.fisher_information(X, W, weight=weights),
    )


# -- threads --------------------------------------------------------------------------------------


@pytest.fixture
def threads():
    """Let a test choose the number of torch's threads."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


LARGE = Scalogram(2048, wavelet="gmw", voices_per_octave=12, f_min=0.01)
Y = LARGE.project(noise(3, 2048))
MODULI = LARGE.magnitude(Y)
F = scattering()
EACH = {
    "analysis": (lambda: LARGE(Y), None),
    "scalogram of a batch": (lambda: LARGE.magnitude(torch.stack([Y, 2 * Y])), None),
    "synthesis": (lambda: LARGE.inverse(LARGE(Y)), -280),
    "phase": (lambda: torch.stack(phase_derivatives(S, W)), None),
    "information": (lambda: bounds.fisher_information(X, W), -280),
    "scattering": (lambda: F(noise(1, 256)), -280),
    "denoised": (lambda: denoise(bounds.noisy(S, 20), W), -250),
    "griffin_lim": (lambda: griffin_lim(MODULI, LARGE, n_iter=3).signal, -240),
    "invert_gradient": (lambda: invert_gradient(MODULI, LARGE, n_iter=2).signal, -200),
    "measured": (lambda: griffin_lim(Measured(S, W, hop=2), n_iter=3).signal, -240),
}


@pytest.mark.parametrize("name", EACH)
def test_one_and_two_threads(name, threads):
    compute, level = EACH[name]
    results = []
    for number in (1, 2, 2):
        threads(number)
        results.append(compute())
    one, two, again = results
    assert torch.equal(two, again)
    assert torch.equal(one, two) if level is None else agree(two, one, level)


@pytest.mark.slow
def test_recoveries_with_two_threads_repeat_themselves(threads):
    threads(2)
    first = recover(S, W, progress=False).signal
    assert metrics.waveform_error_db(first, X) < -200
    assert all(torch.equal(recover(S, W, progress=False).signal, first) for _ in range(10))
