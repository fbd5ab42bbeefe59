"""Read a scalogram that somebody brings to the app, examine it, and recover its signal.

There are three steps, none of which needs a widget::

    brought = read("S.npy", content, sample_rate=8000, seconds=0.256, f_min=60, f_max=4000)
    sentences = examined(brought)      # of `diagnose`
    answer = answered(brought)         # a waveform, its fit and, where there is one, its error bar
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from .._room import at_most
from .._validation import check_choice, check_count, check_positive
from ..course._memory import give_back
from ..diagnosis import diagnose
from ..measured import Measured, from_image, from_matlab, load
from ..measured._files import arrays_of
from ..recovery._error_bars import error_bars
from ..recovery._pipeline import recover
from ..transforms.scalogram import Scalogram

__all__ = ["SUFFIXES", "Answer", "Brought", "answered", "examined", "read"]

SUFFIXES = (".npy", ".npz", ".mat", ".png")

# Extended signals of more samples than this take too long for an app, or too much memory.
LONGEST_BROUGHT = 8192

# The contents of a file may take this many bytes: a few kilobytes may hold gigabytes of zeros.
MOST_MEMORY = 250e6

# The error bar of a longer signal takes as long as its recovery.
LONGEST_WITH_BAR = 2048


@dataclass(frozen=True, eq=False)
class Brought:
    """A scalogram that was brought: what is known of it, and the `name` of its file."""

    name: str
    M: Measured


@dataclass(frozen=True, eq=False)
class Answer:
    """The signal that was recovered.

    Attributes
    ----------
    brought : Brought
    y : Tensor, shape (n_samples,)
    consistency_db : float
        The fit to what is known of the scalogram.
    bar : str
        The sentence of `error_bars`; empty where that does not apply.
    seconds : float
        Duration of the recovery.
    """

    brought: Brought
    y: torch.Tensor
    consistency_db: float
    bar: str
    seconds: float


def read(
    name: str,
    content: bytes,
    *,
    sample_rate: float = 8000.0,
    seconds: float = 0.256,
    f_min: float = 50.0,
    f_max: float = 4000.0,
    wavelet: str = "gmw",
    scale: Literal["modulus", "power", "db"] = "modulus",
) -> Brought:
    """Read the bytes of a file that holds a scalogram.

    Parameters
    ----------
    name : str
        Name of the file; its ending says what it is: .npy, .npz, .mat (of MATLAB's cwt) or .png.
    content : bytes
    sample_rate : float
        Samples per second of the signal, in Hz.
    seconds : float
        Duration of the signal. Neither a .mat file nor one of `measured.save` needs it.
    f_min, f_max : float
        Frequencies of the last row and of the first row, in Hz, with equal ratios between rows.
    wavelet : str
        As `Scalogram` takes it. A .mat file is taken to be of MATLAB's default wavelet.
    scale : "modulus", "power" or "db"
        The scale of the numbers in an array; a picture is in dB.

    Returns
    -------
    Brought

    Raises
    ------
    ValueError, TypeError
        If a number is none, or the file holds no scalogram of this description; the message is a
        sentence.

    Examples
    --------
    >>> import io, numpy as np
    >>> from scalinv_utils.app import brought
    >>> file = io.BytesIO()
    >>> np.save(file, np.ones((40, 512)))
    >>> brought.read("S.npy", file.getvalue(), seconds=0.064, f_min=500).M.W.shape
    (40, 512)
    """
    check_choice(suffix := Path(name).suffix.lower(), SUFFIXES, "the ending of the file's name")
    rate = check_positive(sample_rate, "sample_rate")
    n_samples = check_count(round(check_positive(seconds, "seconds") * rate), "n_samples", 16)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"brought{suffix}"
        path.write_bytes(content)
        try:
            with at_most(MOST_MEMORY):
                if suffix == ".mat":
                    M = from_matlab(path, sample_rate=rate)
                elif suffix == ".png":
                    M = from_image(
                        path,
                        sample_rate=rate,
                        seconds=seconds,
                        f_min=f_min,
                        f_max=f_max,
                        wavelet=wavelet,
                    )
                else:
                    M = _array(path, rate, n_samples, f_min, f_max, wavelet, scale)
        except (ValueError, TypeError) as error:  # whoever reads it knows the file by its own name
            raise ValueError(str(error).replace(str(path), name)) from error
    if M.W.n_samples > LONGEST_BROUGHT:
        raise ValueError(
            f"The app takes at most {LONGEST_BROUGHT} samples with their padding, got "
            f"{M.W.n_samples}; recover() in a notebook takes more."
        )
    return Brought(name, M)


def _array(
    path: Path,
    sample_rate: float,
    n_samples: int,
    f_min: float,
    f_max: float,
    wavelet: str,
    scale: Literal["modulus", "power", "db"],
) -> Measured:
    """Read a file of numpy's: one that says all itself, or an array without any words."""
    held = arrays_of(path)
    if "told" in held:
        return load(path)
    S = held["S"]
    if S.ndim != 2:
        raise ValueError(f"The array must have two axes (rows, columns), got shape {S.shape}.")
    frequencies = np.geomspace(
        check_positive(f_max, "f_max"), check_positive(f_min, "f_min"), len(S)
    )
    W = Scalogram.from_frequencies(n_samples, sample_rate, frequencies=frequencies, wavelet=wavelet)
    return Measured(S, W, scale=scale, hop=max(round(n_samples / S.shape[1]), 1))


def examined(brought: Brought) -> str:
    """Say what `diagnose` finds; where columns are missing it sees the values alone."""
    return str(diagnose(brought.M))


def answered(
    brought: Brought,
    seed: int = 0,
    callback: Callable[[int, torch.Tensor, float], Any] | None = None,
) -> Answer:
    """Recover the signal behind a scalogram that was brought.

    Parameters
    ----------
    brought : Brought
    seed, callback
        As for `recover`.

    Returns
    -------
    Answer
    """
    give_back()
    began = time.perf_counter()
    recovery = recover(brought.M, seed=seed, callback=callback, progress=False)
    seconds = time.perf_counter() - began
    give_back()
    y = recovery.signal
    return Answer(brought, y, brought.M.consistency_db(y), _bar(brought.M, y), seconds)


def _bar(M: Measured, y: torch.Tensor) -> str:
    """Write the error bar of a noisy scalogram; exact ones and extended ones have none."""
    if len(y) > LONGEST_WITH_BAR:
        return ""
    try:
        return str(error_bars(y, M.S, M.W) if M.is_plain else error_bars(y, M))
    except ValueError:  # no noise that could be read, or none that a bar can be made of
        return ""
