"""Every contestant answers with a signal, by the seed, and its evaluations are counted."""

import numpy as np
import pytest
import torch

from scalinv_utils import metrics
from scalinv_utils.benchmark import methods
from scalinv_utils.benchmark.methods import CONTESTANTS, CountedScalogram, Problem
from scalinv_utils.course import signals
from scalinv_utils.recovery import Recovery


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
    monkeypatch.setattr(methods, "MANY", 4)
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


def test_where_recover_takes_longest_others_may_take_as_long(problem, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 2)
    monkeypatch.setattr(methods, "MANY", 7)
    for name in ("L-BFGS", "fast Griffin-Lim"):
        counts = []
        for who in (name, f"{name}, 1000"):
            problem.W.evaluations = 0
            CONTESTANTS[who].solve(problem, 0)
            counts.append(problem.W.evaluations)
        assert counts[1] - counts[0] >= 2 * (7 - 2)


def test_those_who_know_the_phase_come_close_to_the_signal(problem):
    y = methods.ssqueezepy_inverse(problem, 0).signal
    assert metrics.waveform_error_db(y, problem.x) < -20


# -- librosa, by a stand-in that notes what it is asked ----------------------------------------


class Librosa:
    """Transforms by a plain STFT, and inverses that return the signal they are told."""

    def __init__(self, x):
        self.x, self.asked = x, {}

    def stft(self, y, **options):
        self.asked["stft"] = options
        return np.stack([y, 2j * y])

    cqt = stft

    def _inverse(name):
        def inverse(self, C, **options):
            self.asked[name] = C.shape, np.iscomplexobj(C), options
            return (1.1 * self.x.numpy()).astype(np.float32)

        return inverse

    griffinlim, griffinlim_cqt, icqt = map(_inverse, ("griffinlim", "griffinlim_cqt", "icqt"))


@pytest.fixture
def librosa(problem, monkeypatch):
    stand_in = Librosa(problem.x)
    monkeypatch.setattr(methods, "_librosa", lambda: stand_in)
    return stand_in


def test_librosa_inverts_an_stft_with_as_many_values(problem, librosa):
    answer = methods.librosa_stft(problem, 3)
    n_fft = 2 * (problem.W.n_freqs - 1)
    assert librosa.asked["stft"] == {"n_fft": n_fft, "hop_length": 1}
    shape, is_complex, options = librosa.asked["griffinlim"]
    assert shape == (2, 512) and not is_complex
    assert options == {
        "n_iter": 32,
        "hop_length": 1,
        "n_fft": n_fft,
        "momentum": 0.99,
        "random_state": 3,
        "length": 512,
    }
    # The fit is that in the transform of the contestant: a tenth too loud.
    assert answer.consistency_db == pytest.approx(-20, abs=1e-3)
    assert answer.evaluations == 2 * 32 + 1 and answer.signal.dtype == torch.float64


@pytest.mark.parametrize(
    "solve, name, evaluations",
    [("librosa_cqt", "griffinlim_cqt", 65), ("librosa_inverse", "icqt", 2)],
)
def test_librosa_inverts_a_constant_q_transform(problem, librosa, solve, name, evaluations):
    answer = getattr(methods, solve)(problem, 3)
    # The lowest filter is 512 samples long: Q of 12 bins per octave periods.
    fmin = 4000 / 512 / (2 ** (1 / 12) - 1)
    settings = {"sr": 4000, "hop_length": 4, "fmin": pytest.approx(fmin), "bins_per_octave": 12}
    n_bins = int(12 * np.log2(0.45 * 4000 / fmin))
    assert librosa.asked["stft"] == {"n_bins": n_bins, **settings} and n_bins == 45
    shape, is_complex, options = librosa.asked[name]
    more = {"n_iter": 32, "momentum": 0.99, "random_state": 3} if name != "icqt" else {}
    assert options == {"length": 512, **more, **settings} and is_complex == (name == "icqt")
    assert answer.consistency_db == pytest.approx(-20, abs=1e-3)
    assert answer.evaluations == evaluations


# -- what the descents do ----------------------------------------------------------------------


class Plain:
    """Stand for kymatio: the identity, with a record of what was asked and of all signals."""

    made, seen = [], []

    def __init__(self, **options):
        Plain.made.append(options)
        Plain.seen.clear()

    def double(self):
        return self

    def __call__(self, y):
        Plain.seen.append(y.detach().clone())
        if Plain.made[-1].get("out_type") == "list":
            return [{"coef": 0 * y}, {"coef": y}, {"coef": 2 * y}]
        return y


@pytest.fixture
def plain(monkeypatch):
    Plain.made.clear()
    monkeypatch.setattr("kymatio.torch.Scattering1D", Plain)
    return Plain


def test_the_published_loop_is_sgd_with_a_loss_that_changes_half_way(problem, plain, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 14)
    answer = methods.published_sgd(problem, 2)
    assert plain.made == [
        {
            "J": 6,
            "shape": 512,
            "Q": 8,
            "T": 0,
            "max_order": 1,
            "oversampling": 6,
            "out_type": "list",
        }
    ]
    peak = problem.x.abs().max()
    x = problem.x / peak
    noise = torch.randn(512, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y, velocity, lr = noise / noise.abs().max(), torch.zeros_like(x), 500.0
    target = torch.stack([x, 2 * x])
    for k in range(14):
        if k in (11,):  # after the half, where k is 1 more than a multiple of 5
            lr /= 2
        off = (torch.stack([y, 2 * y]) - target) / target.max()
        slope = 2 * off if k < 7 else off.sign()
        gradient = (slope[0] + 2 * slope[1]) / target.max() / off.numel()
        velocity = 0.9 * velocity + gradient
        y = y - lr * (gradient + 0.9 * velocity)
    assert metrics.misfit_db(answer.signal, peak * y) < -200
    assert answer.evaluations == 28 and len(plain.seen) == 1 + 14 + 1
    found = metrics.misfit_db(y, x)
    assert answer.consistency_db == pytest.approx(found, abs=1e-6)


def test_the_example_of_kymatio_takes_back_steps_that_raise_the_loss(problem, plain):
    answer = methods.kymatio_descent(problem, 2, n_iter=6)
    assert plain.made == [{"J": 6, "shape": 512, "Q": 16}]
    peak = problem.x.abs().max()
    x = (problem.x / peak).float()
    noise = torch.randn(512, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y, lr, best = noise.float(), 100.0, float("inf")
    for _ in range(6):
        loss = float((y - x).norm())
        if loss < best:
            accepted, best, gradient = y, loss, (y - x) / (y - x).norm()
            lr *= 1.1
        else:
            lr *= 0.55
        y = accepted - lr * gradient
    assert metrics.misfit_db(answer.signal, peak * accepted.double()) < -80
    assert answer.evaluations == 12 and answer.signal.dtype == torch.float64


def test_the_example_of_kymatio_takes_200_iterations(problem, plain):
    assert methods.kymatio_descent(problem, 2).evaluations == 400
    assert len(plain.seen) == 200 + 2  # those of the target and of the fit


def test_methods_get_the_iterations_the_rule_and_the_seed(problem, monkeypatch):
    asked = []

    def noting(S, W, **options):
        asked.append(options)
        return Recovery(problem.x, "known", consistency_db=0.0)

    for name in ("griffin_lim", "invert_gradient", "phase_gradient", "recover"):
        monkeypatch.setattr(methods, name, noting)
    monkeypatch.setattr(methods, "solve_phase_equation", noting)
    wanted = {
        "Griffin-Lim": {"n_iter": 100, "rule": "gl", "seed": 5},
        "RAAR": {"n_iter": 100, "rule": "raar", "seed": 5},
        "SGD": {"optimizer": "sgd", "n_iter": 100, "seed": 5},
        "L-BFGS, whitened": {"n_iter": 100, "n_samples": 512, "seed": 5},
        "heap": {"n_iter": 0, "seed": 5},
        "heap, corrected": {"seed": 5},
        "phase equation": {"seed": 5},
        "recover": {"seed": 5, "progress": False},
        "recover, decimated": {"seed": 5, "progress": False},
    }
    for name, options in wanted.items():
        CONTESTANTS[name].solve(problem, 5)
        assert asked.pop() == options, name


def test_the_counts_are_those_of_whole_transforms(problem):
    W = CountedScalogram(64)
    x = signals.white_noise(64)
    assert CountedScalogram.evaluations == W.evaluations == 0
    kept = W.painless.sampled(W.magnitude(x))
    W.painless.refit(kept, x)
    assert W.evaluations == 1 + 2
    W.painless.adjoint(W.painless.coefficients(x))
    assert W.evaluations == 3 + 2
    W.evaluations = 0
    W.adjoint(W(x))
    assert W.evaluations == 2
    W.magnitude(x.clone().requires_grad_()).sum().backward()
    assert W.evaluations == 2 + 2


def test_who_is_who():
    assert {name for name, who in CONTESTANTS.items() if who.cheats} == {
        "librosa CQT, true phase",
        "ssqueezepy, true phase",
    }
    assert [name for name, who in CONTESTANTS.items() if not who.seeded] == [
        "zero phase",
        "librosa CQT, true phase",
        "ssqueezepy, true phase",
    ]
    assert [name for name, who in CONTESTANTS.items() if who.variant] == ["recover, decimated"]
    assert [name for name, who in CONTESTANTS.items() if not who.any_device][:2] == [
        "phase equation",
        "recover, decimated",
    ]
    devices = [name for name, who in CONTESTANTS.items() if who.any_device]
    assert devices[:3] == ["recover", "heap, corrected", "heap"]
    assert devices[3:] == ["L-BFGS", "L-BFGS, whitened", "SGD", "Adam"] + [
        "Griffin-Lim",
        "fast Griffin-Lim",
        "accelerated Griffin-Lim",
        "ADMM",
        "RAAR",
        "zero phase",
        "random phase",
        "L-BFGS, 1000",
        "fast Griffin-Lim, 1000",
    ]
    assert [name for name, who in CONTESTANTS.items() if who.only_tracks] == [
        *devices[-2:],
        "LTFAT",
    ]
