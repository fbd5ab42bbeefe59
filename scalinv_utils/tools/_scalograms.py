"""Scalograms on the disk: arrays that are read and written along time, in files of several formats.

    ending        the array                               the description of the transform
    .npy          the only one                            a .json file of the same name
    .h5, .hdf5    the only one of two axes, or a name     its attribute "transform", or a .json file
    .zarr         likewise; the file is a folder          likewise
    .mat          likewise; version 7.3 is HDF5           a .json file

The attribute holds what the .json file would hold. An array is never read whole here, except from a
.mat file of version 7 or older.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .._room import check_room, for_file
from .._whole_file import write_whole
from ..measured._files import listed
from ..measured._mat import OtherFormat, variables
from ..recovery._long_source import BYTES_PER_SAMPLE
from ..transforms.scalogram import Scalogram

__all__ = ["ENDINGS", "READ_ENDINGS", "arrays_in", "chosen", "created", "description", "opened"]

# The endings of files that are written, and of those that are read.
ENDINGS = (".npy", ".h5", ".hdf5", ".zarr")
READ_ENDINGS = (*ENDINGS, ".mat")

# The attribute of an array that describes its transform.
ATTRIBUTE = "transform"

# A piece is read from so many chunks: at both ends at most one is read in vain.
CHUNKS_OF_A_PIECE = 16

# One of these files says that a folder belongs to zarr.
SIGNS_OF_ZARR = ("zarr.json", ".zarray", ".zgroup")

# The words that describe a transform; those of the wavelet's parameters may be left out.
NEEDED = ("n_samples", "sample_rate", "wavelet", "frequencies")


class Reversed:
    """An array in an HDF5 file of MATLAB, whose axes stand in reverse order.

    Attributes
    ----------
    shape : tuple of int
        As in MATLAB.
    """

    def __init__(self, stored: Any) -> None:
        self.stored, self.shape = stored, tuple(stored.shape[::-1])
        self.chunks, self.dtype = stored.chunks, stored.dtype
        self.attrs: dict[str, Any] = {}

    def __getitem__(self, place: tuple[slice, slice]) -> np.ndarray:
        """Read a part; of complex numbers, which MATLAB stores as pairs, the modulus."""
        part = self.stored[place[::-1]].T
        return part if part.dtype.names is None else np.hypot(part["real"], part["imag"])


@contextmanager
def opened(path: Path, name: str | None = None) -> Iterator[tuple[Any, Scalogram]]:
    """Open a scalogram on the disk for as long as the context lasts.

    Parameters
    ----------
    path : Path
        A file or a folder with one of `READ_ENDINGS`.
    name : str, optional
        The name of the array. Default: that of the only one of two axes.

    Yields
    ------
    array, shape (n_freqs, n_samples)
        It has a shape and can be sliced along time.
    Scalogram
        The transform of a piece.

    Raises
    ------
    ValueError
        If the array cannot be told from others, or nothing describes its transform.
    OSError
        If the file cannot be read.
    ImportError
        If the library of the format is not installed; the sentence says what to install.
    """
    with arrays_in(path) as held:
        S = chosen(held, name, path)
        text = getattr(S, "attrs", {}).get(ATTRIBUTE)
        beside = description(path)
        if text is None and not beside.exists():
            raise ValueError(f"{beside} must describe the transform, as `analyse` writes it")
        place = f"the attribute {ATTRIBUTE!r} in {path}"
        yield S, _transform(beside.read_text(), beside) if text is None else _transform(text, place)


@contextmanager
def arrays_in(path: Path) -> Iterator[Mapping[str, Any]]:
    """Open the arrays of a file by their names, for as long as the context lasts."""
    path.stat()  # says in one sentence that there is no such file
    ending = path.suffix
    if ending == ".npy":
        yield {"S": np.load(path, mmap_mode="r")}
    elif ending == ".zarr":
        yield _zarr_arrays(path)
    elif ending == ".mat" and (held := _old_mat_arrays(path)) is not None:
        yield held
    else:
        with _hdf5_file(path) as file:
            names = _hdf5_arrays(file)
            yield {k: Reversed(a) for k, a in names.items()} if ending == ".mat" else names


def chosen(held: Mapping[str, Any], name: str | None, path: Path, option: str = "--dataset") -> Any:
    """Return the array of a name, or the only one of two axes."""
    if name is None:
        planes = [k for k, a in held.items() if len(a.shape) == 2 and min(a.shape) > 1]
        if len(planes) != 1:
            raise ValueError(
                f"{option} must name the scalogram where not exactly one array has two axes; those "
                f"with two axes in {path}: {listed(planes)}"
            )
        name = planes[0]
    if name not in held:
        raise ValueError(f"{option} must name an array of {path}, {listed(held)}, got {name!r}")
    _check_small(held[name], path)
    return held[name]


def _check_small(S: Any, path: Path) -> None:
    """Refuse a small file of which one chunk, or what each sample takes, fills the memory."""
    chunk = math.prod(getattr(S, "chunks", None) or (0,)) * S.dtype.itemsize
    with for_file(path.stat().st_size if path.is_file() else math.inf):
        check_room(2.0 * chunk, f"{path}", "its chunks", "store it in smaller chunks")
        check_room(
            BYTES_PER_SAMPLE * max(S.shape, default=0),
            f"{path}",
            "its samples",
            "cut it into pieces",
        )


def _old_mat_arrays(path: Path) -> dict[str, Any] | None:
    """Read the arrays of a .mat file of version 7 or older; None if it is of version 7.3."""
    try:
        with path.open("rb") as file:
            names = tuple(variables(file, ()))
            file.seek(0)
            held = variables(file, names)
    except OtherFormat:
        return None
    except ValueError as error:
        raise ValueError(f"{path} must be a .mat file: {error}") from None
    arrays = {name: array for name, array in held.items() if array is not None}
    return {name: np.abs(a) if np.iscomplexobj(a) else a for name, a in arrays.items()}


def _hdf5_file(path: Path, mode: str = "r") -> Any:
    """Open an HDF5 file."""
    try:
        import h5py
    except ImportError:
        raise ImportError(f"{path} needs h5py, which reads HDF5: pip install h5py") from None
    try:
        return h5py.File(path, mode)
    except OSError as error:
        raise OSError(f"{path} must be an HDF5 file: {error}") from None


def _hdf5_arrays(file: Any) -> dict[str, Any]:
    """List the arrays of an HDF5 file by their names, those in groups too."""
    found: dict[str, Any] = {}
    file.visititems(lambda name, item: found.update({name: item} if hasattr(item, "shape") else {}))
    return found


def _zarr(path: Path) -> Any:
    """Import zarr."""
    try:
        import zarr
    except ImportError:
        raise ImportError(f"{path} needs zarr, version 3: pip install zarr") from None
    return zarr


def _zarr_arrays(path: Path) -> dict[str, Any]:
    """List the arrays in a folder of zarr by their names; a single one at its top is called S."""
    try:
        held = _zarr(path).open(path, mode="r")
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} must be a folder of zarr: {error}") from None
    if hasattr(held, "shape"):
        return {"S": held}
    members = sorted(held.members(max_depth=None), key=lambda member: member[0])
    return {name: item for name, item in members if hasattr(item, "shape")}


@contextmanager
def created(path: Path, W: Scalogram, shape: tuple[int, int], dtype: type) -> Iterator[Any]:
    """Make an array to write to; its file takes its name when the context ends well.

    Parameters
    ----------
    path : Path
        Its ending is one of `ENDINGS`.
    W : Scalogram
        The transform of a piece, which is written too.
    shape : (int, int)
    dtype : type

    Yields
    ------
    array
        It takes ``out[:, first:last] = numbers``.
    """
    if path.is_dir() and not any((path / sign).exists() for sign in SIGNS_OF_ZARR):
        raise ValueError(f"{path} must be free or a folder of zarr, got another folder")
    partial = path.with_name(path.name + ".partial")
    _remove(partial)
    chunks = shape[0], min(-(-W.n_samples // CHUNKS_OF_A_PIECE), shape[1])
    try:
        out, close = MAKERS[path.suffix](partial, shape, dtype, chunks, _described(W))
        try:
            yield out
        finally:
            close()
        if path.suffix == ".npy":
            write_whole(description(path), _described(W))
        if path.is_dir():
            _remove(path)
        partial.replace(path)
    finally:
        _remove(partial)


Made = tuple[Any, Callable[[], Any]]


def _new_npy(path: Path, shape: tuple, dtype: type, chunks: tuple, text: str) -> Made:
    out = np.lib.format.open_memmap(path, "w+", dtype, shape)
    return out, out.flush


def _new_hdf5(path: Path, shape: tuple, dtype: type, chunks: tuple, text: str) -> Made:
    file = _hdf5_file(path, "w")
    out = file.create_dataset("S", shape, dtype, chunks=chunks)
    out.attrs[ATTRIBUTE] = text
    return out, file.close


def _new_zarr(path: Path, shape: tuple, dtype: type, chunks: tuple, text: str) -> Made:
    told = {ATTRIBUTE: text}
    zarr = _zarr(path)
    out = zarr.create_array(path, shape=shape, dtype=dtype, chunks=chunks, attributes=told)
    return out, lambda: None


# What makes an empty array, by the ending of its file.
MAKERS = {".npy": _new_npy, ".h5": _new_hdf5, ".hdf5": _new_hdf5, ".zarr": _new_zarr}


def _remove(path: Path) -> None:
    """Remove a file or a folder if it is there."""
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def description(path: Path) -> Path:
    """Name the file that describes the transform of a scalogram on the disk."""
    return path.with_suffix(".json")


def _described(W: Scalogram) -> str:
    """Describe a transform in JSON."""
    name, parameters = W.wavelet
    words = {"n_samples": W.n_samples, "sample_rate": W.sample_rate, "wavelet": name}
    return json.dumps(words | {"parameters": parameters, "frequencies": W.frequencies.tolist()})


def _transform(text: str, place: Path | str) -> Scalogram:
    """Make the transform that a text describes, which stands at a place."""
    try:
        told = json.loads(text)
    except ValueError as error:
        raise ValueError(f"{place} must describe the transform in JSON: {error}") from None
    lacking = [word for word in NEEDED if word not in told]
    if lacking:
        raise ValueError(f"{place} must have {', '.join(NEEDED)}, got none for {lacking[0]}")
    return Scalogram.from_frequencies(
        told["n_samples"],
        told["sample_rate"],
        frequencies=told["frequencies"],
        wavelet=(told["wavelet"], told.get("parameters", {})),
    )
