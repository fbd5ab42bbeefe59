"""Every contestant answers with a signal, by the seed, and its evaluations are counted."""

import pytest
import torch

from scalinv_utils import metrics
from scalinv_utils.benchmark import methods
from scalinv_utils.benchmark.methods import CONTESTANTS, CountedScalogram, Problem
from scalinv_utils.course import signals


@pytest.fixture(scope="module")
def problem():
    W = CountedScalogram(512, 4000, wavelet="cauchy", voices_per_octave=16)
    x = W.project(signals.linear_chirp(512, 4000))
    return Problem(x, W.magnitude(x), W)


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_contestant_answers_with_a_signal(name, problem, monkeypatch):
    if not methods.available(name):
        pytest.skip(f"{name} needs {CONTESTANTS[name].needs}")
    monkeypatch.setattr(methods, "ITERATIONS", 3)
    monkeypatch.setattr(methods, "LIBROSA_ITERATIONS", 2)
    solve = CONTESTANTS[name].solve
    if solve is methods.kymatio_descent:
        answer = solve(problem, 0, n_iter=3)
        assert answer.consistency_db < 0  # After three steps it is closer than silence.
    else:
        answer = solve(problem, 0)
    assert answer.signal.shape == problem.x.shape and answer.signal.dtype == torch.float64
    assert torch.isfinite(answer.signal).all()
    own = CONTESTANTS[name].own is not None
    assert own == (answer.evaluations is not None) == (answer.consistency_db is not None)


def test_the_seed_decides_and_only_where_it_is_said_to(problem, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 2)
    for name in ("Griffin-Lim", "SGD", "random phase", "zero phase"):
        first, again, other = (CONTESTANTS[name].solve(problem, seed).signal for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert torch.equal(first, other) != CONTESTANTS[name].seeded


def test_evaluations_count_the_backward_passes_too(problem, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 5)
    counts = {}
    for name in ("zero phase", "Griffin-Lim", "L-BFGS"):
        problem.W.evaluations = 0
        CONTESTANTS[name].solve(problem, 0)
        counts[name] = problem.W.evaluations
    assert counts["zero phase"] == 1
    assert counts["Griffin-Lim"] == 2 + 2 * 5  # The start takes two, and each iteration two.
    assert counts["L-BFGS"] >= 2 * 5 + 2


def test_those_who_know_the_phase_come_close_to_the_signal(problem):
    y = methods.ssqueezepy_inverse(problem, 0).signal
    assert metrics.waveform_error_db(y, problem.x) < -20
