"""A long scalogram that is read piece by piece, by whatever process needs the piece."""

from __future__ import annotations

import hashlib
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from .._levels import unit
from .._room import check_room
from .._validation import check_magnitudes
from ..transforms.long import Pieces
from ..transforms.scalogram import Scalogram
from ._phase_gradient import REACHED_DOWN_TO
from ._workers import Shared
from .many import digest_of

__all__ = ["Piece", "Source"]

# Each sample takes so many bytes: its peak, and whether it sounds, before and after a comparison.
BYTES_PER_SAMPLE = 24.0


@dataclass(frozen=True)
class Piece:
    """A piece of a scalogram that is read when it is called for.

    Attributes
    ----------
    S : array or Mapped
        The whole scalogram, or the columns of the piece alone.
    pieces : Shared
        A `Pieces`.
    k : int
        The number of the piece.
    level : float
        The unit of the scalogram.
    read : bool
        Whether S holds the columns of the piece alone.
    """

    S: Any
    pieces: Shared
    k: int
    level: float
    read: bool = False

    def columns(self) -> torch.Tensor:
        """Read the columns of the piece."""
        if self.read:
            return self.S
        S = self.S.opened() if isinstance(self.S, Mapped) else self.S
        return self.pieces().of(S, self.k)

    def __call__(self) -> torch.Tensor:
        """Return the piece in units of the level."""
        pieces = self.pieces()
        first, shape = int(pieces.columns(self.k)[0]), pieces.W.shape
        return check_magnitudes(self.columns(), shape, f"S from column {first} on") / self.level


@dataclass(frozen=True)
class Mapped:
    """Where a memory map lies, so that other processes can open it too."""

    path: str
    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    order: Any

    @classmethod
    def of(cls, S: Any) -> Mapped | None:
        """Describe a memory map of a whole file; None if S is a part of one, or none at all."""
        if not isinstance(S, np.memmap) or isinstance(S.base, np.ndarray) or not S.filename:
            return None
        if S.mode == "c":  # what was written to it is not in the file
            return None
        order = "C" if S.flags.c_contiguous else "F"
        return cls(str(S.filename), S.dtype, S.shape, S.offset, order)

    def opened(self) -> np.ndarray:
        """Map the file."""
        return np.memmap(self.path, self.dtype, "r", self.offset, self.shape, self.order)


class Source:
    """A long scalogram, looked through once.

    Parameters
    ----------
    S : array
    W : Scalogram
        The transform of a piece.
    jobs : int or None
        The number of processes that read pieces; None if they may be on other machines.
    """

    def __init__(self, S: Any, W: Scalogram, jobs: int | None) -> None:
        if len(shape := tuple(getattr(S, "shape", ()))) != 2:
            raise TypeError(
                "S must be one scalogram, an array of two axes that can be sliced along time, got "
                f"{type(S).__name__}" + (f" of shape {shape}" if shape else "")
            )
        if shape[0] != W.n_freqs:
            raise ValueError(f"S must have the {W.n_freqs} rows of W, got shape {shape}")
        what = f"what is kept of its {shape[1]:,} samples"
        check_room(BYTES_PER_SAMPLE * shape[1], "S", what, "recover one part after the other")
        self.S, self.jobs = S, jobs
        self.pieces = Pieces(W.in_double(), shape[1])
        self._shared, self.level = Shared(self.pieces), 1.0
        self.peaks = torch.zeros(shape[1], dtype=torch.float64)
        self.loud = torch.zeros(shape[1], dtype=torch.bool)
        for k in range(self.pieces.count):
            self._look_at(k)
        self.level = float(unit(self.peaks))
        parts = self.parts()
        # One silence does not tear a ring apart: its ends are neighbours.
        if len(parts) - bool(self.loud[0] and self.loud[-1]) > 1:
            silences = [f"{a:.2f} to {b:.2f} s" for (_, a), (b, _) in zip(parts, parts[1:])]
            warnings.warn(
                f"S is silent from {', '.join(silences)}: nothing ties the phase of what comes "
                "before to what comes after, and each part comes back up to a rotation of its own",
                stacklevel=3,
            )

    def _look_at(self, k: int) -> None:
        peaks = Piece(self.S, self._shared, k, self.level)().amax(0)
        columns = self.pieces.columns(k)
        self.peaks[columns] = peaks
        self.loud[columns] |= peaks > REACHED_DOWN_TO * peaks.max()

    def piece(self, k: int) -> Piece:
        """Give piece k in a form in which it travels lightly to where it is needed."""
        piece = Piece(self.S, self._shared, k, self.level)
        if self.jobs == 1:
            return piece
        if self.jobs is not None and (mapped := Mapped.of(self.S)):
            return replace(piece, S=mapped)
        return replace(piece, S=piece.columns(), read=True)

    def fingerprint(self, seed: int) -> str:
        """Make a few letters that depend on S, on W and on the seed."""
        told = hashlib.blake2b(digest_of(self.pieces.W, {"seed": seed}), digest_size=8)
        told.update(self.peaks.numpy().tobytes())
        return told.hexdigest()

    def parts(self) -> list[tuple[float, float]]:
        """List the first and the last second of each part between silences."""
        edges = torch.diff(self.loud.int(), prepend=torch.zeros(1), append=torch.zeros(1))
        first, last = torch.where(edges > 0)[0], torch.where(edges < 0)[0]
        rate = self.pieces.W.sample_rate
        return [(int(a) / rate, int(b) / rate) for a, b in zip(first, last)]
