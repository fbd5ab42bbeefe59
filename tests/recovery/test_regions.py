"""Regions of a modulus: which peaks are regions of their own, and where these meet."""

import numpy as np
import pytest
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scalinv_utils.recovery._regions import PEAK_LEAST, STANDS, regions


def labelled(*rows, sigma=1.0):
    labels, n_regions = regions(np.array(rows, float), sigma)
    return labels.tolist(), n_regions


def test_two_peaks_share_the_valley_between_them():
    # Each place belongs to the side of its largest neighbour; the last one is next to the first.
    labels, n_regions = labelled([1, 5, 9, 5, 4, 2, 3, 8, 7, 1.5])
    assert n_regions == 2
    assert labels == [[0, 0, 0, 0, 0, 0, 1, 1, 1, 1]]


def test_rows_are_neighbours_also_across_corners():
    assert labelled([9, 0, 0, 0], [0, 8, 0, 0], [0, 0, 7, 0])[1] == 1
    apart = [9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 7, 0]
    assert labelled(*apart)[1] == 2


def test_time_is_a_circle_and_frequency_is_not():
    (row,), n_regions = labelled([9, 5, 1, 1, 1, 5, 8.5])
    assert n_regions == 1 and set(row) == {0}
    # The same along the rows: the first and the last are no neighbours.
    column = [[v, v] for v in (9, 5, 1, 1, 1, 5, 8.5)]
    assert labelled(*column)[1] == 2


@pytest.mark.parametrize("n_shift", range(0, 12, 3))
def test_a_shift_in_time_shifts_the_regions(n_shift):
    modulus = np.abs(np.random.default_rng(0).standard_normal((6, 12))) * 10
    labels, n_regions = regions(modulus, 1.0)
    shifted, n_shifted = regions(np.roll(modulus, n_shift, 1), 1.0)
    assert n_regions == n_shifted > 2
    pairs = set(zip(np.roll(labels, n_shift, 1).ravel(), shifted.ravel()))
    assert len(pairs) == n_regions  # one new name for each old one


@pytest.mark.parametrize("share, n_regions", [(0.98, 1), (1.02, 2)], ids=["ripple", "peak"])
def test_a_region_stands_out_above_its_saddle(share, n_regions):
    saddle = 50.0
    assert labelled([0, 90, saddle, share * STANDS * saddle, 0])[1] == n_regions


@pytest.mark.parametrize("share, n_regions", [(0.98, 1), (1.02, 2)], ids=["noise", "signal"])
def test_a_region_stands_out_above_the_noise(share, n_regions):
    sigma = 0.2
    peak = share * PEAK_LEAST * sigma
    assert labelled([0, 9, 0, peak, 0], sigma=sigma)[1] == n_regions


def test_small_peaks_join_the_larger_neighbour_over_the_highest_saddle():
    # The ripple 5.1 lies between 9 and 7; its saddle towards 7 is the higher one.
    labels, n_regions = labelled([0, 9, 1, 5.1, 5, 7, 0, 0])
    assert n_regions == 2
    assert labels[0][3] == labels[0][5] != labels[0][1]


def test_ripples_join_one_after_another():
    # Three ripples on one hill: each is joined to one that is joined itself.
    assert labelled([0, 9, 8.9, 9.1, 9.0, 9.2, 9.1, 9.3, 0])[1] == 1


def test_silence_and_noise_are_one_region():
    assert labelled([0.0] * 5, [0.0] * 5)[1] == 1
    noise = np.abs(np.random.default_rng(1).standard_normal((8, 32)))
    assert regions(noise, noise.max())[1] == 1


def n_pieces(labels):
    """Count the connected pieces of equal labels, on the circle of time."""
    place = np.arange(labels.size).reshape(labels.shape)
    ends = []
    for down, right in ((0, 1), (1, -1), (1, 0), (1, 1)):
        here, near = place[: len(place) - down], np.roll(place, -right, 1)[down:]
        same = labels.ravel()[here] == labels.ravel()[near]
        ends.append([here[same], near[same]])
    i, k = np.concatenate(ends, 1)
    graph = coo_array((np.ones(len(i)), (i, k)), shape=(labels.size, labels.size))
    return connected_components(graph, directed=False)[0]


@pytest.mark.parametrize("seed", range(3))
def test_every_coefficient_has_a_label(seed):
    modulus = np.abs(np.random.default_rng(seed).standard_normal((12, 40)))
    modulus = ndimage.gaussian_filter(modulus, 1.0, mode=("nearest", "wrap"))
    labels, n_regions = regions(modulus, modulus.max() / 20)
    assert labels.shape == modulus.shape and n_regions > 3
    assert np.array_equal(np.unique(labels), np.arange(n_regions))
    assert n_pieces(labels) == n_regions


@pytest.mark.parametrize("level", [1e-9, 1e9], ids=["tiny", "huge"])
def test_the_level_does_not_matter(level):
    modulus = np.abs(np.random.default_rng(3).standard_normal((8, 30)))
    labels, n_regions = regions(modulus, 0.3)
    scaled, n_scaled = regions(level * modulus, 0.3 * level)
    assert n_regions == n_scaled and np.array_equal(labels, scaled)
