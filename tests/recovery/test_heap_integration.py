"""Paths reach every point once, and gradients add up along them to their function."""

import heapq

import numpy as np
import pytest

from scalinv_utils.recovery._heap_integration import Paths, _levels, integration_weights


def hills(n_rows=20, n_samples=32):
    """Make two hills, the second one lower, in a plain of 0.001."""
    row, t = np.mgrid[:n_rows, :n_samples]
    first = np.exp(-((row - 6) ** 2 + (t - 8) ** 2) / 8)
    second = np.exp(-((row - 13) ** 2 + (t - 24) ** 2) / 8) / 2
    return np.maximum(first + second, 1e-3)


def test_every_point_above_the_threshold_is_reached_once_from_the_top_down():
    moduli = hills()
    paths = Paths(moduli, 0.01)
    assert paths.n_islands == 2
    assert sorted(paths.points) == list(np.flatnonzero(moduli >= 0.01))
    assert np.unravel_index(paths.points[0], moduli.shape) == (6, 8)
    order = paths.order
    assert (order.flat[paths.points] == np.arange(len(paths.points))).all()
    assert ((order == -1) == (moduli < 0.01)).all()
    assert Paths(moduli, 0.0005).n_islands == 1
    assert len(Paths(np.zeros((4, 5)), 0.0).points) == 0


@pytest.mark.parametrize("spacing", [1.0, 0.25])
def test_a_gradient_adds_up_to_its_function(spacing):
    """The sum is exact for functions whose gradient a cubic follows.

    Here it is a quartic of the row and a harmonic of time.
    """
    moduli = hills()
    row, t = np.mgrid[: moduli.shape[0], : moduli.shape[1]].astype(float)
    angular = 2 * np.pi / moduli.shape[1]
    true = (row / 10) ** 4 + 0.1 * np.sin(angular * t)
    in_time = 0.1 * angular * np.cos(angular * t)
    in_scale = 4 * (row / 10) ** 3 / 10 / spacing
    phase = true.copy()
    phase[6, 8] += 1.0  # This is the first start; the change reaches all of its island.
    paths = Paths(moduli, 0.01)
    weights = integration_weights(spacing * np.arange(len(moduli)))
    paths.add_up(in_time, in_scale, weights, phase)
    near = np.hypot(row - 6, t - 8) < 7
    assert np.abs(phase - true - 1)[near & (moduli >= 0.01)].max() < 1e-4
    assert np.abs(phase - true)[(row > 9) & (t > 16)].max() < 1e-4
    assert (phase == true)[moduli < 0.01].all()


def test_time_is_periodic_and_scale_is_not():
    moduli = np.roll(hills(), -8, axis=1)  # The first hill lies across the seam.
    assert Paths(moduli, 0.01).n_islands == 2
    # Along scale a roll cuts the first hill in two.
    assert Paths(np.roll(hills(), -6, axis=0), 0.01).n_islands == 3


def by_a_heap(moduli, threshold):
    """Reach all points by Python's own heap: the largest neighbour of those reached comes next."""
    n_rows, n_samples = moduli.shape
    left = {(r, t) for r, t in np.ndindex(moduli.shape) if moduli[r, t] >= threshold}
    order, n_islands = [], 0
    while left:
        start = max(left, key=lambda point: moduli[point])
        left.remove(start)
        heap, n_islands = [(-moduli[start], start)], n_islands + 1
        while heap:
            _, (r, t) = heapq.heappop(heap)
            order.append(r * n_samples + t)
            for point in ((r, t + 1), (r, t - 1), (r + 1, t), (r - 1, t)):
                point = point[0], point[1] % n_samples
                if point in left:
                    left.remove(point)
                    heapq.heappush(heap, (-moduli[point], point))
    return order, n_islands


@pytest.mark.parametrize("shape", [(6, 7), (1, 12), (12, 1), (5, 5)])
@pytest.mark.parametrize("step_db", [0.2, 3.0])
def test_the_order_is_that_of_a_heap(shape, step_db):
    rng = np.random.default_rng(len(str(shape)))
    levels = rng.permutation(np.prod(shape)).reshape(shape)
    moduli = 10 ** ((levels - 10) * step_db / 20)  # all at least a level apart
    for threshold in (1e-9, 1.0, moduli.max() * 0.999):
        paths = Paths(moduli, threshold)
        order, n_islands = by_a_heap(moduli, threshold)
        assert paths.points.tolist() == order and paths.n_islands == n_islands


def test_moduli_closer_than_a_tenth_of_a_decibel_count_as_equal():
    levels, seeds = _levels(np.array([[1.0, 10 ** (0.19 / 20), 10 ** (1.05 / 20), 0.99]]), 1.0)
    assert levels.tolist() == [[0, 1, 10, -1]]
    assert seeds.tolist() == [2, 2, 1, 0]
    assert _levels(np.array([[1e200, 1.0]]), 1e-100)[0].tolist() == [[2**15 - 1, 20000]]


def test_weights_integrate_cubics_between_uneven_rows():
    places = np.array([0.0, 1.0, 1.5, 3.0, 3.2, 5.0])
    weights = integration_weights(places)
    cubic, integral = np.poly1d([0.3, -1, 2, 0.7]), np.poly1d([0.3, -1, 2, 0.7]).integ()
    for k in (1, 2, 3):
        wanted = integral(places[k + 1]) - integral(places[k])
        assert weights[k] @ cubic(places[k - 1 : k + 3]) == pytest.approx(wanted)
    # At both ends it is the trapezoidal rule.
    assert weights[0].tolist() == [0, 0.5, 0.5, 0]
    assert weights[4] == pytest.approx([0, 0.9, 0.9, 0])


def test_steps_along_each_direction_add_the_integral_between_neighbours():
    rng = np.random.default_rng(3)
    in_time, in_scale = rng.standard_normal((2, 5, 6))
    weights = integration_weights(np.arange(5.0))
    moduli = np.full((5, 6), 0.1)
    moduli[2, 3] = 1.0
    for place, wanted in {
        (2, 4): (13 * (in_time[2, 3] + in_time[2, 4]) - in_time[2, 2] - in_time[2, 5]) / 24,
        (2, 2): -(13 * (in_time[2, 2] + in_time[2, 3]) - in_time[2, 1] - in_time[2, 4]) / 24,
        (3, 3): (in_scale[2, 3] + in_scale[3, 3]) * 13 / 24
        - (in_scale[1, 3] + in_scale[4, 3]) / 24,
        (1, 3): (in_scale[0, 3] + in_scale[3, 3]) / 24
        - (in_scale[1, 3] + in_scale[2, 3]) * 13 / 24,
    }.items():
        two = moduli.copy()
        two[place] = 0.9
        phase = np.full((5, 6), 7.0)
        paths = Paths(two, 0.5)
        paths.add_up(in_time, in_scale, weights, phase)
        assert phase[2, 3] == 7 and phase[place] == pytest.approx(7 + wanted)
        assert paths.points.tolist() == [2 * 6 + 3, place[0] * 6 + place[1]]
    # The seam: from the last sample to the first, and back.
    for first, second, sign in (((2, 5), (2, 0), 1), ((2, 0), (2, 5), -1)):
        two = np.full((5, 6), 0.1)
        two[first], two[second] = 1.0, 0.9
        phase = np.zeros((5, 6))
        Paths(two, 0.5).add_up(in_time, in_scale, weights, phase)
        row = in_time[2]
        wanted = sign * (13 * (row[5] + row[0]) - row[4] - row[1]) / 24
        assert phase[second] == pytest.approx(wanted)
    # At the first and the last row the rule is the trapezoidal one.
    for first, second, sign in (((0, 1), (1, 1), 1), ((4, 1), (3, 1), -1)):
        two = np.full((5, 6), 0.1)
        two[first], two[second] = 1.0, 0.9
        phase = np.zeros((5, 6))
        Paths(two, 0.5).add_up(in_time, in_scale, weights, phase)
        assert phase[second] == pytest.approx(sign * (in_scale[first] + in_scale[second]) / 2)
