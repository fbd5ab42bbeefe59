"""Pieces of a long scalogram are read by whatever process needs them, and travel lightly."""

import pickle

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram
from scalinv_utils.recovery._long_source import Mapped, Source
from scalinv_utils.recovery._workers import Shared

N, RATE = 5001, 8000


@pytest.fixture(scope="module")
def W():
    return Scalogram(2048, RATE, wavelet="cauchy", voices_per_octave=4, f_min=800)


@pytest.fixture
def S(W, tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "S.npy", 7.0 * rng.random((W.n_freqs, N)))
    return np.load(tmp_path / "S.npy", mmap_mode="r")


@pytest.mark.parametrize("jobs", [1, 2, -1, None])
def test_a_piece_is_that_of_the_array_wherever_it_is_read(W, S, jobs):
    source, around = Source(S, W, jobs), 0
    for k in range(source.pieces.count):
        read = pickle.loads(pickle.dumps(source.piece(k)))
        columns = source.pieces.columns(k)
        assert torch.equal(read() * source.level, torch.from_numpy(np.array(S))[:, columns])
        around += int(columns[0]) > int(columns[-1])
    assert around == 2  # the first and the last piece go on at the other end


def test_a_memory_map_travels_as_its_path_and_other_arrays_as_their_columns(W, S):
    heavy = 2048 * W.n_freqs * 8
    transform = len(pickle.dumps(Source(S, W, 2).piece(0).pieces))
    for given, jobs, wanted in [(S, 2, 0), (S, None, heavy), (np.array(S), 2, heavy)]:
        sent = len(pickle.dumps(Source(given, W, jobs).piece(1)))
        assert abs(sent - transform - wanted) < 4000


def test_maps_of_whole_files_are_opened_again(tmp_path):
    for order in "CF":
        made = np.memmap(tmp_path / order, "f4", "w+", offset=64, shape=(3, 5), order=order)
        made[:] = np.arange(15).reshape(3, 5)
        made.flush()
        again = Mapped.of(made).opened()
        assert np.array_equal(again, made) and again.dtype == np.float32
        assert Mapped.of(made[:, 1:]) is None and Mapped.of(made.T) is None
        with pytest.raises(ValueError, match="read-only"):
            again[0, 0] = 1
    assert Mapped.of(np.zeros((3, 5))) is None
    assert Mapped.of(np.memmap(tmp_path / "C", "f4", "c", shape=(3, 5))) is None


def test_what_is_shared_is_made_once_and_forgotten_with_the_next():
    things = [["a"], ["b"]]
    first, second = (pickle.dumps(Shared(thing)) for thing in things)
    made = pickle.loads(first)()
    assert made == ["a"] and pickle.loads(first)() is made
    assert pickle.loads(second)() == ["b"] and pickle.loads(first)() is not made
    here = Shared(things[0])
    assert here() is things[0] and pickle.dumps(here) == first and here() is things[0]
