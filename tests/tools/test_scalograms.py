"""Files that hold a scalogram: what is written is found again, in every format, and read lazily."""

import json
import sys

import numpy as np
import pytest
import scipy.io

from scalinv_utils import Scalogram
from scalinv_utils.tools import _scalograms
from scalinv_utils.tools._scalograms import arrays_in, chosen, created, opened

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")

W = Scalogram(64, 8000, wavelet=("gmw", {"gamma": 2, "beta": 30}), voices_per_octave=8)
SHAPE = (W.n_freqs, 100)
NUMBERS = np.arange(SHAPE[0] * SHAPE[1], dtype=float).reshape(SHAPE)


def written(path, dtype=np.float64):
    with created(path, W, SHAPE, dtype) as out:
        for first in range(0, SHAPE[1], 30):
            out[:, first : first + 30] = NUMBERS[:, first : first + 30]
    return path


def same(W, other):
    return W.shape == other.shape and np.array_equal(W.filters, other.filters)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ending", _scalograms.ENDINGS)
def test_what_is_written_is_found_again(tmp_path, ending, dtype):
    path = written(tmp_path / f"S{ending}", dtype)
    written(path, dtype)  # an earlier one is replaced
    with opened(path) as (S, told):
        assert S.shape == SHAPE and S.dtype == dtype and same(told, W)
        assert np.array_equal(S[:, 7:50], NUMBERS[:, 7:50])
    beside = {"S.json"} if ending == ".npy" else set()
    assert {p.name for p in tmp_path.iterdir()} == {path.name} | beside


@pytest.mark.parametrize("ending", [".h5", ".zarr"])
def test_a_piece_is_read_from_few_chunks_and_no_other_column(tmp_path, ending):
    with opened(written(tmp_path / f"S{ending}")) as (S, _):
        assert S.chunks == (SHAPE[0], 4)  # a sixteenth of a piece
        assert isinstance(S, h5py.Dataset | zarr.Array)


@pytest.mark.parametrize("ending", _scalograms.ENDINGS)
def test_what_is_not_complete_has_no_name(tmp_path, ending):
    with (
        pytest.raises(KeyboardInterrupt),
        created(tmp_path / f"S{ending}", W, SHAPE, np.float64) as out,
    ):
        out[:, :10] = NUMBERS[:, :10]
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_other_things_is_not_replaced(tmp_path):
    (tmp_path / "S.zarr").mkdir()
    (tmp_path / "S.zarr/letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="must be free or a folder of zarr"):
        written(tmp_path / "S.zarr")
    assert (tmp_path / "S.zarr/letter.txt").exists()


def of_others(path, arrays):
    """Write arrays by the library of a format, as somebody else would."""
    if path.suffix == ".zarr":
        group = zarr.create_group(path)
        for name, array in arrays.items():
            group.create_array(name, data=array)
    elif path.suffix == ".mat":
        scipy.io.savemat(path, arrays)
    else:
        with h5py.File(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
    return path


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".zarr", ".mat"])
def test_the_only_array_of_two_axes_is_found_or_one_is_named(tmp_path, ending):
    describe(tmp_path / "S.json")
    path = of_others(tmp_path / f"S{ending}", {"row": np.ones((1, 5)), "S": NUMBERS})
    with opened(path) as (S, told):
        assert np.array_equal(S[:, :], NUMBERS) and same(told, W)
    with opened(path, "row") as (S, _):
        assert S.shape == (1, 5)
    with (
        pytest.raises(ValueError, match="--dataset must name an array of .*, got 'T'"),
        opened(path, "T"),
    ):
        pass


@pytest.mark.parametrize("ending", [".h5", ".zarr", ".mat"])
def test_of_two_arrays_one_has_to_be_named(tmp_path, ending):
    path = of_others(tmp_path / f"S{ending}", {"S": NUMBERS, "T": NUMBERS})
    with pytest.raises(ValueError, match="--dataset must name the scalogram .*: S, T$"):
        with arrays_in(path) as held:
            chosen(held, None, path)


def describe(path, **changed):
    told = {"n_samples": 64, "sample_rate": 8000, "wavelet": "gmw"}
    told |= {"parameters": {"gamma": 2, "beta": 30}, "frequencies": W.frequencies.tolist()}
    path.write_text(json.dumps({k: v for k, v in (told | changed).items() if v is not None}))


def test_an_array_in_a_group_is_found(tmp_path):
    describe(tmp_path / "S.json")
    with opened(of_others(tmp_path / "S.h5", {"run/second": NUMBERS})) as (S, _):
        assert S.shape == SHAPE
    with opened(tmp_path / "S.h5", "run/second") as (S, _):
        assert S.shape == SHAPE


def of_matlab(path, arrays):
    """Write a .mat file of version 7.3: the axes stand in reverse, complex numbers are pairs."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in arrays.items():
            if np.iscomplexobj(array):
                pairs = np.zeros(array.shape, [("real", float), ("imag", float)])
                pairs["real"], pairs["imag"] = array.real, array.imag
                array = pairs
            file[name] = array.T
    content = bytearray(path.read_bytes())
    content[:128] = b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM"
    path.write_bytes(content)
    return path


def test_matlab_stores_axes_in_reverse_and_complex_numbers_as_pairs(tmp_path):
    describe(tmp_path / "S.json")
    path = of_matlab(tmp_path / "S.mat", {"S": NUMBERS * np.exp(0.3j), "f": np.ones((40, 1))})
    with opened(path) as (S, _):
        assert S.shape == SHAPE and np.allclose(S[:, 5:70], NUMBERS[:, 5:70], rtol=1e-15)


@pytest.mark.parametrize(
    "change, words",
    [
        (dict(frequencies=None), "must have n_samples, .*, got none for frequencies"),
        (dict(wavelet="none"), "wavelet"),
        ("{", "S.json must describe the transform in JSON"),
        (None, "S.json must describe the transform, as `analyse` writes it"),
    ],
)
def test_a_transform_that_is_not_described_is_refused(tmp_path, change, words):
    path = of_others(tmp_path / "S.h5", {"S": NUMBERS})
    if isinstance(change, dict):
        describe(tmp_path / "S.json", **change)
    elif change:
        (tmp_path / "S.json").write_text(change)
    with pytest.raises(ValueError, match=words), opened(path):
        pass


@pytest.mark.parametrize(
    "name, words",
    [
        ("S.h5", "S.h5 must be an HDF5 file"),
        ("S.mat", "S.mat must be a .mat file"),
        ("S.zarr", "S.zarr must be a folder of zarr"),
        ("none.npy", "none.npy"),
        ("none.zarr", "none.zarr"),
    ],
)
def test_what_is_no_such_file_is_said(tmp_path, name, words):
    if name.startswith("S"):
        (tmp_path / name).write_bytes(b"no such thing" * 20)
    with pytest.raises((ValueError, OSError), match=words), arrays_in(tmp_path / name):
        pass


@pytest.mark.parametrize("name, library", [("S.h5", "h5py"), ("S.zarr", "zarr")])
def test_a_library_that_is_missing_is_named(tmp_path, monkeypatch, name, library):
    path = written(tmp_path / name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=f"needs {library}.*pip install {library}"):
        with arrays_in(path):
            pass
    with pytest.raises(ImportError, match=f"needs {library}"):
        written(path)
    assert path.exists()
