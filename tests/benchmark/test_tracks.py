"""The tracks: what they pose is true of the sound they were made of, and the grid is small."""

import importlib.util
import math

import pytest
import torch

from scalinv_utils import Scalogram, metrics
from scalinv_utils.benchmark.cuts import CUTS
from scalinv_utils.benchmark.methods import CONTESTANTS
from scalinv_utils.benchmark.scores import fit_db
from scalinv_utils.benchmark.tracks import OPTIONAL, TRACKS, cells, own_columns, posed

# How well the truth fits what is posed, in dB, where it is not exact.
ROUGH = {
    **{("noise on S", str(snr)): 0.5 - snr for snr in range(10, 70, 10)},
    ("rounding", "float16"): -65,
    ("rounding", "8-bit dB"): -38,
    ("rounding", "8-bit linear"): -38,
    ("rounding", "picture"): -35,
    ("foreign", "ssqueezepy"): -80,
    ("constant Q", "librosa"): -10,  # librosa cuts off what rings beyond the ends
}
GRID = [(name, point) for name, track in TRACKS.items() for point in track.points]


def test_the_grid_is_small_and_a_third_of_it_is_held_out():
    assert len(cells()) <= 20_000
    assert all(1 <= len(track.wavelets) <= 2 for track in TRACKS.values())
    stored = cells(preset="stored")
    assert len(stored) < 2000 and len(set(stored)) == len(stored)
    for name, track in TRACKS.items():
        assert set(track.methods) <= set(CONTESTANTS) and track.methods[0] == "recover"
        there = {cell.cut for cell in stored if cell.track == name}
        if there:
            assert len(there) == track.n_stored
            assert 3 * sum(CUTS[cut].held_out for cut in there) == len(there)


def test_few_cuts_meet_the_whole_grid():
    for held_out in (0, 1):
        met = {
            (cell.wavelet, cell.point)
            for cell in cells(["rounding"], "stored")
            if CUTS[cell.cut].held_out == held_out
        }
        assert len(met) == 8


def test_long_tracks_take_only_cuts_that_are_long_enough():
    assert {CUTS[cell.cut].samples >= 16384 for cell in cells(["long"])} == {True}
    assert {cell.cut for cell in cells(["exact"])} == set(CUTS)


@pytest.mark.parametrize("track, point", GRID)
def test_the_truth_fits_what_is_posed(track, point):
    if point in OPTIONAL and not importlib.util.find_spec(point):
        pytest.skip(f"needs {point}")
    n_samples = 4096 if track == "constant Q" else 256
    problem = posed(track, point, "cards 1", TRACKS[track].wavelets[-1], 1, n_samples)
    fit = fit_db(problem.x, problem)
    if track == "edited":
        assert problem.leaves_open == "all" and -40 < fit < 20
    else:
        assert fit < ROUGH.get((track, point), -180)
    if track == "noise on S":
        assert abs(fit + problem.snr_db) < 3  # negative values were put to zero


def test_what_is_open_is_a_sign_where_a_lowpass_or_a_mirror_tells_the_rest():
    assert posed("lowpass", "signed", "cards 1", "gmw", 0, 256).leaves_open == "sign"
    assert posed("ends", "reflect", "cards 1", "gmw", 0, 256).leaves_open == "sign"
    assert posed("ends", "zero", "cards 1", "gmw", 0, 256).leaves_open == "rotation"
    assert posed("exact", "", "cards 1", "gmw", 0, 256).leaves_open == "rotation"


def test_noise_on_the_sound_has_its_level_and_its_seed():
    clean = posed("exact", "", "cards 1", "gmw", 0, 256).x
    first, other = (posed("noise on the sound", "20", "cards 1", "gmw", s, 256) for s in (0, 1))
    assert abs(metrics.misfit_db(first.x, clean) + 20) < 1.5
    assert not torch.equal(first.x, other.x) and first.snr_db is None


@pytest.mark.parametrize("per_sample", [5.0, 10.0, 30.0])
def test_own_columns_keep_as_much_as_is_asked_for(per_sample):
    hops = own_columns(Scalogram(1024, 8000), per_sample)
    assert per_sample <= sum(1 / hop for hop, _ in hops) < 1.15 * per_sample
    assert all(math.log2(hop).is_integer() and 0 <= offset < hop for hop, offset in hops)


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="track must be one of 'exact'"):
        cells(["magic"])
    with pytest.raises(ValueError, match="preset"):
        cells(["exact"], "half")
