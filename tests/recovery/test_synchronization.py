"""Regions that were turned against each other are turned back, by least squares on the power."""

import math

import numpy as np
import pytest
import torch

from scalinv_utils import bounds, metrics
from scalinv_utils.recovery import _synchronization as synchronization
from scalinv_utils.recovery._lifted_power import MODELS
from scalinv_utils.recovery._regions import regions
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE, SNR_DB = 512, 8000.0, 20


@pytest.fixture(scope="module")
def W():
    return Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=16)


def am_tones(W, hertz=(500.0, 1300.0, 2900.0), rate=2):
    """Tones whose amplitudes swell `rate` times, one after another: so many separate blobs each."""
    t = torch.arange(W.n_samples, dtype=torch.float64) / W.n_samples
    x = torch.zeros(W.n_samples, dtype=torch.float64)
    for k, f in enumerate(hertz):
        cycles = round(f * W.n_samples / W.sample_rate)
        swell = 0.1 + 0.9 * (math.pi * (rate * t + k / 3)).sin().square()
        x += swell * (2 * math.pi * cycles * t + k).cos()
    return W.project(x)


def level(x, W):
    return bounds.cramer_rao(x, W).sigma(SNR_DB)


def turned(x, W, sigma, seed=None, angles=None):
    """Turn each region of x by an angle: (signal, angles, labels)."""
    c = W.coefficients(x)
    labels, n_regions = regions(c.abs().numpy(), sigma)
    if angles is None:
        angles = np.random.default_rng(seed).uniform(-np.pi, np.pi, n_regions)
    return W.inverse(c * torch.from_numpy(np.exp(1j * angles)[labels])), angles, labels


@pytest.fixture
def all_of_it(monkeypatch):
    """Leave nothing out: no coefficient of a part, and no product."""
    monkeypatch.setattr(synchronization, "SUPPORT", 0.0)
    monkeypatch.setattr(synchronization, "KEPT", 1000)
    monkeypatch.setattr(synchronization, "INFORMED", 1e-200)


def misfits(tied, x, S, W, sigma, model, trials):
    """Sum the squares of (1) from the parts' signals, at each array of angles."""
    bias, variance = MODELS[model](W.magnitude(x).numpy() / sigma)
    wanted = (S.numpy() / sigma) ** 2 - bias
    for angles in trials:
        y = torch.from_numpy(np.real(np.exp(1j * angles) @ tied.parts))
        power = (W.magnitude(y).numpy() / sigma) ** 2
        yield float(np.sum((power - wanted) ** 2 / variance))


@pytest.mark.parametrize("model", MODELS)
def test_the_cost_is_the_misfit_of_the_power(all_of_it, model):
    W = Scalogram(256, RATE, wavelet="cauchy", voices_per_octave=8)
    x = am_tones(W)
    S, sigma = bounds.noisy(W.magnitude(x), SNR_DB), level(x, W)
    tied = synchronization.ties(x, S, W, sigma, model)
    rng = np.random.default_rng(0)
    assert len(tied.parts) > 3
    trials = [rng.uniform(-np.pi, np.pi, len(tied.parts)) for _ in range(4)]
    expected = np.array(list(misfits(tied, x, S, W, sigma, model, trials)))
    costs = np.array([tied.cost(angles) for angles in trials])
    assert np.allclose(np.diff(costs), np.diff(expected), rtol=1e-6)


def test_what_is_left_out_hardly_counts(W):
    x = am_tones(W)
    S, sigma = bounds.noisy(W.magnitude(x), SNR_DB), level(x, W)
    tied = synchronization.ties(x, S, W, sigma, "clipped")
    trials = [np.zeros(len(tied.parts)), 0.3 * np.random.default_rng(1).standard_normal(6)]
    at_truth, away = misfits(tied, x, S, W, sigma, "clipped", trials)
    costs = [tied.cost(angles) for angles in trials]
    assert costs[1] - costs[0] == pytest.approx(away - at_truth, rel=0.01)


def test_the_parts_add_up_to_the_signal(W):
    x = am_tones(W)
    tied = synchronization.ties(x, W.magnitude(x), W, level(x, W), "gaussian")
    assert metrics.misfit_db(torch.from_numpy(tied.parts.sum(0).real), x) < -200
    assert (tied.pairs[:, 0] > tied.pairs[:, 1]).all()
    assert np.abs(np.fft.fft(tied.parts)[:, N // 2 + 1 :]).max() < 1e-9  # analytic


def test_exact_data_cost_least_at_the_truth(W):
    x = am_tones(W)
    sigma = level(x, W)
    S = (W.magnitude(x).square() + sigma**2).sqrt()  # its power has the bias of the noise
    tied = synchronization.ties(x, S, W, sigma, "gaussian")
    zero = np.zeros(len(tied.parts))
    gradient, hessian = tied.derivatives(zero)
    eigenvalues, vectors = np.linalg.eigh(hessian)
    assert np.allclose(vectors[:, 0].std(), 0, atol=1e-6)  # all turn together: free
    assert eigenvalues[1] > 1e6 * abs(eigenvalues[0])
    # No step that is worth a unit of chi^2 is left.
    step = np.linalg.pinv(hessian, rcond=1e-8) @ gradient
    assert gradient @ step < 0.1
    rng = np.random.default_rng(0)
    for size in (0.1, 0.5, 3.0):
        for _ in range(5):
            assert tied.cost(size * rng.standard_normal(len(zero))) > tied.cost(zero)


def test_all_turn_together_for_nothing(W):
    x = am_tones(W)
    tied = synchronization.ties(x, W.magnitude(x), W, level(x, W), "gaussian")
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, len(tied.parts))
    assert tied.cost(angles + 1.0) == pytest.approx(tied.cost(angles), rel=1e-10)


def test_the_gradient_agrees_with_differences(W):
    x = am_tones(W)
    S, sigma = bounds.noisy(W.magnitude(x), SNR_DB), level(x, W)
    tied = synchronization.ties(x, S, W, sigma, "clipped")
    angles = np.random.default_rng(0).uniform(-np.pi, np.pi, len(tied.parts))
    h = 1e-5 * np.eye(len(angles))
    differences = [(tied.cost(angles + d) - tied.cost(angles - d)) / 2e-5 for d in h]
    gradient, hessian = tied.derivatives(angles)
    assert np.allclose(gradient, differences, rtol=1e-5, atol=1e-6 * np.abs(gradient).max())
    assert np.allclose(hessian, hessian.T)
    assert np.linalg.eigvalsh(hessian).min() > -1e-6 * hessian.max()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [2, 3])
def test_regions_that_were_turned_are_turned_back(W, rate, seed):
    x = am_tones(W, rate=rate)
    S, sigma = bounds.noisy(W.magnitude(x), SNR_DB), level(x, W)
    start, angles, _ = turned(x, W, sigma, seed)
    found = synchronization.synchronise(start, S, W, sigma, "clipped")
    assert len(angles) == 3 * rate
    assert metrics.waveform_error_db(start, x) > -5
    assert metrics.waveform_error_db(found, x) < -15


def test_what_agrees_stays(W):
    x = am_tones(W)
    S, sigma = bounds.noisy(W.magnitude(x), SNR_DB), level(x, W)
    found = synchronization.synchronise(x, S, W, sigma, "clipped")
    assert metrics.waveform_error_db(found, x) < -25


def test_one_region_stays_as_it_is(W):
    t = torch.arange(N, dtype=torch.float64) / N
    x = W.project((2 * math.pi * 60 * t).cos() * torch.exp(-(((t - 0.5) / 0.05) ** 2)))
    sigma = level(x, W)
    assert regions(W.magnitude(x).numpy(), sigma)[1] == 1
    S = bounds.noisy(W.magnitude(x), SNR_DB)
    assert torch.equal(synchronization.synchronise(x, S, W, sigma, "clipped"), x)


def test_regions_turn_once_more(W):
    x = am_tones(W)
    sigma = level(x, W)
    angles = np.array([0.3, -0.2, 0.1, 0.0, -0.3, 0.2])
    once, _, labels = turned(x, W, sigma, angles=angles)
    further = synchronization.turn_further(x, once, W, sigma)
    change = (W.coefficients(further) * W.coefficients(x).conj()).numpy()
    found = [np.angle(change[labels == r].sum()) for r in range(len(angles))]
    assert np.allclose(found, 2 * angles, atol=0.03)
    twice = turned(x, W, sigma, angles=2 * angles)[0]
    assert metrics.misfit_db(further, twice) < -40
    assert metrics.misfit_db(once, twice) > -15


def test_without_a_turn_nothing_turns(W):
    x = am_tones(W)
    same = synchronization.turn_further(x, x, W, level(x, W))
    assert metrics.misfit_db(same, x) < -200


def test_the_pairs_that_tell_most_are_the_unknowns(monkeypatch):
    information = np.zeros((4, 4))
    information[[1, 2, 3, 3], [0, 1, 0, 2]] = 5, 4, 3, 0.4
    assert synchronization._informed(information).tolist() == [[1, 0], [2, 1], [3, 0]]
    monkeypatch.setattr(synchronization, "MOST_PAIRS", 2)
    assert synchronization._informed(information).tolist() == [[1, 0], [2, 1]]


# -- pieces ------------------------------------------------------------------------------------


def made_of(angles, information=100.0, noise=0.0):
    """Ties whose data say U_rs = exp(i (angle_r - angle_s)), each with so much information."""
    pairs = np.array([(r, s) for r in range(len(angles)) for s in range(r)])
    U = np.exp(1j * (angles[pairs[:, 0]] - angles[pairs[:, 1]]))
    rng = np.random.default_rng(0)
    M = information * np.eye(2 * len(pairs))
    b = M @ np.concatenate([U.real, U.imag]) + noise * rng.standard_normal(2 * len(pairs))
    return synchronization.Ties(np.zeros((len(angles), 4), complex), pairs, M, b)


def apart(found, angles):
    """The largest difference of two sets of angles after one turn of all."""
    turn = np.exp(1j * (found - angles))
    return np.abs(np.angle(turn / turn[0])).max()


@pytest.mark.parametrize("seed", range(3))
def test_angles_are_found_from_what_the_ties_say(seed):
    angles = np.random.default_rng(seed).uniform(-np.pi, np.pi, 5)
    assert apart(synchronization._angles(made_of(angles)), angles) < 1e-3
    assert apart(synchronization._angles(made_of(angles, noise=10.0)), angles) < 0.3


def test_what_ties_are_sure_of_counts_more():
    # The tie of 1 and 0 says little and wrongly that they are opposite.
    tied = made_of(np.zeros(3))
    first = 0 if tuple(tied.pairs[0]) == (1, 0) else 1
    for part in (first, first + 3):
        tied.M[part, part], tied.b[part] = 0.1, -0.1 * (part == first)
    assert apart(synchronization._angles(tied), np.zeros(3)) < 0.05


def test_the_better_of_two_starts_is_taken(monkeypatch):
    tied = made_of(np.array([0.0, 1.0, 2.0]))
    monkeypatch.setattr(synchronization, "_refined", lambda tied, start: start)
    found = synchronization._angles(tied)
    assert tied.cost(found) < tied.cost(np.zeros(3)) and apart(found, np.array([0, 1, 2])) < 0.01
    monkeypatch.setattr(synchronization, "_leading", lambda H: np.exp(1j * np.array([0, 3, 0])))
    alike = made_of(np.zeros(3))
    assert synchronization._angles(alike).tolist() == [0, 0, 0]


def test_the_leading_vector_is_that_of_the_normalised_matrix():
    angles = np.array([0.3, -2.0, 1.0, 0.0])
    v = np.exp(1j * angles)
    weights = np.random.default_rng(0).random((4, 4))
    H = np.outer(v, v.conj()) * (weights + weights.T)
    assert apart(np.angle(synchronization._leading(H)), angles) < 1e-9
    H[3], H[:, 3] = 0, 0  # one that nothing ties
    assert np.isfinite(synchronization._leading(H)).all()


def test_newton_steps_end_when_they_gain_a_tenth_and_are_damped_when_they_fail():
    angles = np.array([0.0, 0.4, -0.7])
    tied, costs = made_of(angles), []
    cost = tied.cost
    tied.cost = lambda at: costs.append(cost(at)) or costs[-1]
    found = synchronization._refined(tied, np.zeros(3))
    assert apart(found, angles) < 1e-3 and len(costs) < 8
    gains = -np.diff(costs)
    assert 0 < gains[-1] < 0.1 and (gains[:-1] >= 0.1).all()
    # Where no step gains, thirty are tried, each damped ten times as much.
    asked = []

    class Stuck:
        def cost(self, angles):
            return 1.0

        def derivatives(self, angles):
            return np.ones(2), np.diag([1.0, 3.0])

    solve = np.linalg.solve

    def noting(A, b):
        asked.append(A[0, 0] - 1)
        return solve(A, b)

    np.linalg.solve = noting
    try:
        assert synchronization._refined(Stuck(), np.zeros(2)).tolist() == [0, 0]
    finally:
        np.linalg.solve = solve
    # The damping is relative to the mean of the diagonal, 2.
    assert np.allclose(asked, [2e-3 * 10.0**k for k in range(30)])


def test_coefficients_of_parts_are_sorted_by_place_and_the_smallest_join_the_largest(monkeypatch):
    monkeypatch.setattr(synchronization, "KEPT", 2)
    supports = [
        (np.array([0, 2]), np.array([1.0, 5j])),
        (np.array([2, 3]), np.array([2.0 + 0j, 4.0])),
        (np.array([2]), np.array([-3.0 + 0j])),
    ]
    d, region, ends = synchronization._by_coefficient(supports, 5, 0.5)
    # At place 2 the smallest of three, 2, joins the largest, 5i; all in units of 0.5.
    assert d.tolist() == [2, 4 + 10j, -6, 8]
    assert region.tolist() == [0, 0, 2, 1] and ends.tolist() == [0, 1, 1, 3, 4, 4]


def test_information_and_normal_equations_are_those_of_their_definition():
    d = np.array([2.0, 1j, 3.0, 1.0])
    region, ends = np.array([0, 1, 0, 2]), np.array([0, 2, 4])
    weight, power = np.array([0.5, 2.0]), np.array([7.0, 11.0])
    information = synchronization._information(d, region, ends, weight, 3)
    wanted = np.zeros((3, 3))
    wanted[1, 0], wanted[2, 0] = 4 * 0.5 * 4, 4 * 2.0 * 9
    assert np.allclose(information, wanted)
    numbers = np.full((3, 3), -1)
    numbers[1, 0], numbers[2, 0] = 0, 1
    M, b = synchronization._normal_equations(d, region, ends, weight, power, numbers, 2)
    # |sum d u|^2 = sum |d|^2 + 2 Re(d_1 conj(d_0) U_10): slopes in Re U and Im U.
    z = [2 * d[1] * d[0].conjugate(), 2 * d[3] * d[2].conjugate()]
    rows = np.array([[z[0].real, 0, -z[0].imag, 0], [0, z[1].real, 0, -z[1].imag]])
    rest = power - [4 + 1, 9 + 1]
    assert np.allclose(M, rows.T @ (weight[:, None] * rows))
    assert np.allclose(b, rows.T @ (weight * rest))
    numbers[2, 0] = -1  # a pair that is no unknown
    M, b = synchronization._normal_equations(d, region, ends, weight, power, numbers, 1)
    assert M.shape == (2, 2) and np.allclose(M[0, 0], 0.5 * z[0].real ** 2)


def test_a_pair_needs_half_a_unit_of_information():
    information = np.zeros((2, 2))
    for value, pairs in ((0.49, []), (0.51, [[1, 0]])):
        information[1, 0] = value
        assert synchronization._informed(information).tolist() == pairs


def test_every_step_that_gains_is_taken_and_the_last_one_gains_little():
    costs, asked = iter([10.0, 9.5, 9.2, 9.3, 9.15]), []

    class Falling:
        def cost(self, angles):
            return next(costs)

        def derivatives(self, angles):
            asked.append(angles[0])
            return np.ones(2), np.eye(2)

    found = synchronization._refined(Falling(), np.zeros(2))
    # Steps of 1 / (1 + damping): two that gain, one that does not, and one that gains 0.05.
    steps = [1 / (1 + d) for d in (1e-3, 2e-4, 4e-4)]
    assert asked == pytest.approx([0, -steps[0], -sum(steps[:2]), -sum(steps[:2])])
    assert found == pytest.approx(-sum(steps))
