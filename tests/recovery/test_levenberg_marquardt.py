"""The normal equations are those of autograd, and the steps reach the bottom."""

import numpy as np
import pytest
import torch
from small import error_db, noise

from scalinv_utils.measured import Measured
from scalinv_utils.recovery import _levenberg_marquardt as lm
from scalinv_utils.recovery._fisher import signal_of
from scalinv_utils.recovery._levenberg_marquardt import (
    LEAST_GAIN_DB,
    _normal_equations,
    is_small,
    levenberg_marquardt,
)
from scalinv_utils.transforms.scalogram import Scalogram

N = 64
W = Scalogram(N, 8000.0, voices_per_octave=16)
X = W.project(noise(1, N))
S = W.magnitude(X)
# Real filters that pass frequencies of both signs, and signals that are extended at their ends.
BOTH_SIDES = Scalogram.from_filters(
    torch.fft.fft(
        torch.fft.ifft(torch.nn.functional.pad(W.filters, (0, N - W.filters.shape[1]))).real
    ).real,
    W.frequencies,
    n_samples=N,
)
CASES = {
    "plain": {},
    "hop": {"hop": 4},
    "per-row hops": {"hop": [(4, j % 4) for j in range(W.n_freqs)]},
    "mask": {"known": noise(2, *W.shape) > 0},
    "sigma": {"sigma": 0.1 + noise(3, *W.shape).abs()},
    "floor": {"floor": float(S.median())},
    "all": {"hop": 2, "sigma": 0.2, "floor": float(S.median()), "known": noise(4, *W.shape) > 0},
}
every_case = pytest.mark.parametrize("options", CASES.values(), ids=CASES.keys())


def never(x, fit):
    return False


PADS = {"periodic": (0, 0), "zero": (16, 16), "reflect": (10, 22), "symmetric": (0, 32)}
# The filters of W, and such with phases that pass frequencies of both signs.
BANKS = {
    "one side": W,
    "both sides": Scalogram.from_filters(
        torch.fft.fft(torch.fft.ifft(W.filters, n=N) * torch.exp(1j * noise(8, N) / 9)),
        W.frequencies,
        n_samples=N,
    ),
}


def extended(ends, bank, **options):
    """Describe the scalogram of noise by a bank; return the noise too."""
    left, right = PADS[ends]
    n_samples, options = N - left - right, {"ends": ends, "pad": PADS[ends], **options}
    empty = Measured(torch.ones(bank.n_freqs, n_samples), bank, ends=ends, pad=PADS[ends])
    x = empty.project(noise(9, n_samples))
    return Measured(empty.magnitude(x)[:, left : left + n_samples], bank, **options), x


def parts_of(x):
    X = torch.fft.rfft(x)[W.band]
    return torch.cat([X.real, X.imag])


def check_normal_equations(M, x, signal, parts, power):
    """Compare H and g with the derivatives of the residual by automatic differentiation."""
    weight = torch.ones_like(M.S) if M.sigma is None else M.sigma**-2
    weight = weight.masked_fill(~M.known, 0)

    def residual(parts):
        modulus = M.magnitude(signal(parts))
        misfit = modulus**power - M.S**power
        misfit = torch.where(M.at_most & (modulus < M.S), 0, misfit)
        return (weight.sqrt() * misfit).flatten()

    J = torch.autograd.functional.jacobian(residual, parts)
    H, gradient = _normal_equations(M, x, weight, power)
    assert error_db(torch.from_numpy(gradient), J.T @ residual(parts)) < -200
    # The matrix leaves out responses below a ten-thousandth of a filter's peak.
    assert error_db(torch.from_numpy(H), J.T @ J) < -70


@every_case
@pytest.mark.parametrize("power", [1, 2, 3])
def test_the_normal_equations_are_those_of_autograd(options, power):
    x = X + 0.1 * W.project(noise(5, N))
    M = Measured(S, W, **options)
    check_normal_equations(M, x, lambda parts: signal_of(parts, W), parts_of(x), power)


@pytest.mark.parametrize("ends", PADS)
@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS.keys())
def test_of_extended_signals_and_other_filters_they_are_in_samples(ends, bank):
    M, x = extended(ends, bank, known=noise(2, bank.n_freqs, N - sum(PADS[ends])) > -1)
    y = x + 0.1 * noise(10, len(x))
    if ends == "periodic" and bank is W:
        check_normal_equations(M, W.project(y), lambda p: signal_of(p, W), parts_of(y), 2)
    else:
        check_normal_equations(M, y, lambda parts: parts, y, 2)


@pytest.mark.parametrize("ends", PADS)
@pytest.mark.parametrize("bank", BANKS.values(), ids=BANKS.keys())
def test_steps_of_extended_signals_and_other_filters_reach_the_bottom(ends, bank):
    M, x = extended(ends, bank)
    y = levenberg_marquardt(M, x + 1e-3 * M.project(noise(11, len(x))), 40, never)
    assert M.consistency_db(y) < -180


@pytest.mark.parametrize("power", [2, 3, 4])
def test_powers_reach_the_bottom_too(power):
    x = levenberg_marquardt(
        Measured(S, W, hop=2), X + 1e-3 * W.project(noise(6, N)), 40, never, power
    )
    assert Measured(S, W).consistency_db(x) < -120


def test_a_matrix_that_rounding_makes_indefinite_asks_for_more_damping():
    assert np.isinf(lm._damped(-np.eye(3), 0.5, np.ones(3))).all()


@every_case
def test_steps_from_nearby_reach_the_bottom(options):
    M = Measured(S, W, **options)
    start = X + 1e-3 * W.project(noise(6, N))
    x = levenberg_marquardt(M, start, 40, never)
    assert M.consistency_db(start) > -70 > -180 > M.consistency_db(x)
    # Where nothing more is known than the modulus, the rotation stays free.
    if not options:
        assert float((x - X).norm() / X.norm()) < 1e-2


def test_the_cost_never_grows_and_a_callback_stops():
    M = Measured(S, W, hop=4)
    fits, start = [], X + 0.3 * W.project(noise(7, N))
    levenberg_marquardt(M, start, 30, lambda x, fit: bool(fits.append(fit)))
    assert len(fits) > 3 and fits == sorted(fits, reverse=True)
    seen = []
    x = levenberg_marquardt(M, start, 30, lambda x, fit: bool(seen.append(x)) or len(seen) == 2)
    assert len(seen) == 2 and torch.equal(x, seen[-1])


def test_a_solution_stays_and_no_steps_change_nothing():
    M = Measured(S, W)
    assert torch.equal(levenberg_marquardt(M, X + 1, 0, never), X + 1)
    assert error_db(levenberg_marquardt(M, X, 5, never), X) < -200


def test_steps_end_when_they_gain_little():
    """Noisy values have a bottom above zero: the steps end there."""
    M = Measured((S + 0.1 * noise(8, *W.shape)).clamp_min(0), W, sigma=0.1)
    fits = [0.0]
    levenberg_marquardt(M, X, 100, lambda x, fit: bool(fits.append(fit)))
    assert len(fits) < 60 and abs(fits[-1] - fits[-2]) < 10 * LEAST_GAIN_DB


@pytest.mark.parametrize("gain", [0.9, 1.1])
def test_steps_with_errors_end_when_they_gain_less_than_one_of_chi2(monkeypatch, gain):
    M = Measured(S, W, sigma=0.1)
    asked = with_costs(monkeypatch, [5000.0 - gain * k for k in range(20)] + [5001.0] * 6)
    levenberg_marquardt(M, X, 99, never)
    # The damping is little, below 1e-9, after eight steps.
    assert len(asked) == (9 if gain < 1 else 25)


def test_it_is_for_short_signals_whose_extension_is_at_most_twice_as_long():
    assert is_small(Measured(S, W))
    long = Scalogram(4096, voices_per_octave=1)
    assert not is_small(Measured(torch.ones(long.shape), long))
    for n_samples, small in ((2048, True), (2049, False), (1000, True)):
        S_of = torch.ones(long.n_freqs, n_samples)
        M = Measured(S_of, long, ends="zero", pad=(4096 - n_samples, 0))
        assert is_small(M) == small


def with_costs(monkeypatch, costs):
    """Let steps have these costs one after the other; return the list of the dampings asked for."""
    asked, left = [], iter(costs)

    def damped(H, damping, gradient):
        asked.append(damping)
        return H

    monkeypatch.setattr(lm, "_damped", damped)
    monkeypatch.setattr(lm, "_normal_equations", lambda *args: (0 * parts_of(X).numpy(), 0))
    monkeypatch.setattr(lm, "_cost", lambda *args: next(left))
    return asked


def test_the_damping_falls_after_a_success_and_grows_after_a_failure(monkeypatch):
    asked, seen = with_costs(monkeypatch, [100.0, 90.0, 95.0, 80.0, *[99.0] * 6]), []
    levenberg_marquardt(Measured(S, W), X, 30, lambda x, fit: bool(seen.append(fit)))
    # One step that gains, one that fails and gains when damped more, and one that fails six times.
    first = 1e-3 / 6
    wanted = [1e-3, first, first * 8, *(first * 8 / 6 * 8**k for k in range(6))]
    assert asked == pytest.approx(wanted) and len(seen) == 2


def test_the_damping_has_a_least_value_and_steps_that_gain_little_are_the_last(monkeypatch):
    asked = with_costs(monkeypatch, [0.5**k for k in range(20)] + [0.5**19 * 0.996, 0.0])
    levenberg_marquardt(Measured(S, W), X, 99, never)
    # 0.4 % of the cost are 0.017 dB, less than 0.02 dB.
    assert len(asked) == 20 and asked[-1] == asked[-2] == 1e-14


def test_damping_is_relative_to_a_diagonal_that_has_a_floor():
    H = np.diag([4.0, 1e-9, 2.0]) + 0.1 * np.ones((3, 3)) * 1e-9
    gradient = np.array([1.0, 2.0, 3.0])
    wanted = H + 0.5 * np.diag([H[0, 0], 1e-6 * H[0, 0], H[2, 2]])
    assert lm._damped(H, 0.5, gradient) == pytest.approx(np.linalg.solve(wanted, gradient))
