"""Store a measured scalogram in one file, and read arrays that other programs stored.

A file that `save` writes is numpy's .npz: the modulus at every sample, what is known of it, and the
transform, by the name of its wavelet or, where it has none, by its filters. It holds no code.
"""

import io
import json
import math
import os
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy

from .._room import BYTES_PER_KNOWN, MOST_OF_SMALL, check_room, for_file
from .._validation import check_choice
from .._whole_file import check_path, write_whole
from ..transforms.scalogram import Scalogram
from ._measured import Measured

__all__ = ["arrays_of", "listed", "load", "save"]

# A file with more arrays than this is none of a scalogram. So many names are told, so far.
MOST_ARRAYS, LISTED, LONGEST_LISTED = 1000, 10, 40

# The advice for a small file that holds much: an array has no limit but the memory.
READ_IT = "numpy.load reads the file, and Measured takes its array"

# numpy and zipfile raise these where a file is damaged; OSError: a place outside the file, and
# MemoryError: a compression that asks for more than there is.
DAMAGED_NPZ = (
    ValueError,
    TypeError,
    EOFError,
    OverflowError,
    MemoryError,
    OSError,
    KeyError,
    SyntaxError,
    NotImplementedError,
    RuntimeError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def save(M: Measured, path: str | PathLike[str]) -> None:
    """Write a measured scalogram to one .npz file that `load` reads back.

    Parameters
    ----------
    M : Measured
    path : str or path-like
        Its ending has to be .npz. A file of this name is replaced when the new one is complete.

    Raises
    ------
    ValueError
        If the path ends otherwise.
    OSError
        If the file cannot be written; an earlier one is as it was.

    Examples
    --------
    >>> import pathlib, tempfile, torch
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.measured import Measured, load, save
    >>> W = Scalogram(64)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "kept.npz"
    >>> save(Measured(W.magnitude(torch.arange(64).double().sin()), W), path)
    >>> load(path).W.shape == W.shape
    True
    """
    check_choice(Path(check_path(path)).suffix, (".npz",), "the ending of path")
    content, arrays = io.BytesIO(), _told(M) | _transform_to_arrays(M.W)
    # `load` refuses a small file that holds too much: it is written as a large one.
    is_small = BYTES_PER_KNOWN * math.prod(M.W.shape) < MOST_OF_SMALL
    (np.savez_compressed if is_small else np.savez)(content, **arrays)
    write_whole(path, content.getvalue())


def load(path: str | PathLike[str], W: Scalogram | None = None, **known: Any) -> Measured:
    """Read a scalogram from an .npy or .npz file.

    Parameters
    ----------
    path : str or path-like
        A file of `save`, an .npy file with one scalogram, or an .npz file with one array or with
        one of the name "S".
    W : Scalogram, optional
        The transform; a file of `save` has its own.
    **known
        More that is known of the scalogram, as `Measured` takes it. It replaces what the file says.

    Returns
    -------
    Measured

    Raises
    ------
    TypeError
        If W is not given and the file has none, or the array is not one of numbers.
    ValueError
        If the file is none of numpy's, or what it holds is no scalogram of W.
    OSError
        If the file cannot be opened.

    Examples
    --------
    >>> import numpy as np, pathlib, tempfile
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.measured import load
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "S.npy"
    >>> W = Scalogram(64)
    >>> np.save(path, np.ones(W.shape))
    >>> bool((load(path, W, sigma=0.01).sigma == 0.01).all())
    True
    """
    with for_file(os.path.getsize(check_path(path)), READ_IT):
        return _measured(arrays_of(path), path, W, known)


def _measured(
    held: dict[str, np.ndarray], path: str | PathLike[str], W: Scalogram | None, known: dict
) -> Measured:
    """Make what the arrays of a file say, the transform included."""
    told = json.loads(str(held["told"])) if "told" in held else {}
    told.update({name: held[name] for name in ("known", "sigma") if name in held})
    if W is None and told:
        W = _transform_from_arrays(held)
    if W is None:
        raise TypeError(f"W must be the transform of the scalogram, because {path} has none")
    return Measured(held["S"], W, **{**told, **known})


def _told(M: Measured) -> dict[str, Any]:
    """Say with every sample as a column what `Measured` was told."""
    left, hop = M.extension.left, M.columns.hop
    pad = left, M.extension.n_padded - left - M.n_samples
    places = np.arange(left, left + M.n_samples) - M.columns.offsets.numpy()[:, None]
    on_grid, place = places % hop == 0, places // hop % M.S.shape[1]
    S, known = (np.take_along_axis(a.numpy(), place, 1) for a in (M.S, M.known))
    floor = float(M.S[M.at_most].max()) if M.at_most.any() else None
    first = [(hop, int(n)) for n in np.argmax(on_grid, axis=1)]
    words = dict(hop=first, floor=floor, ends=M.ends, pad=pad, n_samples=M.n_samples)
    told = dict(S=np.where(on_grid, S, 0.0), known=known & on_grid, told=json.dumps(words))
    if M.sigma is not None:
        sigma = np.take_along_axis(M.sigma.numpy(), place, 1)
        told["sigma"] = np.where(told["known"], sigma, 1.0)  # what is not known needs none
    return told


def arrays_of(path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read the arrays of an .npy or .npz file; a single one is called S whatever its name."""
    # The file is opened here, because numpy leaves it open where it is none of its own.
    with open(check_path(path), "rb") as file:
        held = _read_all(file, path)
    if len(held) == 1:
        return {"S": next(iter(held.values()))}
    if "S" not in held:
        raise ValueError(f"path must hold an array S, got {path} with {listed(held)}")
    return held


def listed(names: Iterable[str]) -> str:
    """List the first names of the arrays in a file, and say how many there are more."""
    names = [name[:LONGEST_LISTED] for name in names]
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more or "none"


def _read_all(file: BinaryIO, path: str | PathLike[str]) -> dict[str, np.ndarray]:
    """Read every array of a file of numpy's by its name, or say that it is none."""
    wanted = f"path must be an .npy or .npz file of numbers, got {path}"
    try:
        is_zip = zipfile.is_zipfile(file)
        file.seek(0)
        if not is_zip:
            return {"S": _read_array(file, os.fstat(file.fileno()).st_size)}
        with zipfile.ZipFile(file) as parts:
            total = sum(part.file_size for part in parts.infolist())
            check_room(4.0 * total, "path", "its arrays and what is made of them", READ_IT)
            if len(parts.infolist()) > MOST_ARRAYS:
                raise ValueError(f"it holds {listed(parts.namelist())}")
            return {
                part.filename.removesuffix(".npy"): _read_part(parts, part)
                for part in parts.infolist()
            }
    except DAMAGED_NPZ as error:
        raise ValueError(f"{wanted}: {error or type(error).__name__}") from None


def _read_part(parts: zipfile.ZipFile, part: zipfile.ZipInfo) -> np.ndarray:
    # The array is looked at twice, because what is compressed is read from its beginning.
    with parts.open(part) as head, parts.open(part) as whole:
        return _read_array(whole, part.file_size, head)


def _read_array(file: Any, n_bytes: int, head: Any = None) -> np.ndarray:
    """Read one array, if as many numbers are there as its header says and memory has room."""
    begin = file if head is None else head
    version = npy.read_magic(begin)
    reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, _, dtype = reader(begin)
    promised = math.prod(shape) * dtype.itemsize
    if promised > n_bytes:
        raise ValueError(f"its header promises {promised:,} bytes, and it has {n_bytes:,}")
    n_bytes = max(promised, 8 * math.prod(shape))  # in double precision
    check_room(5.0 * n_bytes, "path", "its arrays and what is made of them", READ_IT)
    if head is None:
        file.seek(0)
    return npy.read_array(file, allow_pickle=False)


def _transform_to_arrays(W: Scalogram) -> dict[str, Any]:
    """Store a transform by the name of its wavelet, or else by its filters."""
    held = {"grid": (W.n_samples, W.sample_rate), "frequencies": W.frequencies.cpu().numpy()}
    try:
        W.ssqueezepy_wavelet()
        return {**held, "wavelet": json.dumps(W.wavelet)}
    except ValueError:
        return {**held, "filters": W.responses.cpu().numpy()}


def _transform_from_arrays(held: dict[str, np.ndarray]) -> Scalogram:
    """Make the transform that a file describes."""
    n_samples, rate = int(held["grid"][0]), float(held["grid"][1])
    frequencies = held["frequencies"]
    if "filters" in held:
        return Scalogram.from_filters(held["filters"], frequencies, rate, n_samples=n_samples)
    name, parameters = json.loads(str(held["wavelet"]))
    return Scalogram.from_frequencies(
        n_samples, rate, frequencies=frequencies, wavelet=(name, parameters)
    )
