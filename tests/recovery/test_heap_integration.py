"""Paths reach every point once, and gradients add up along them to their function."""

import numpy as np
import pytest

from scalinv_utils.recovery._heap_integration import Paths, integration_weights


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
