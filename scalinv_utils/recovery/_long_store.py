"""Keep on the disk what was done of a long recovery, piece by piece."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import torch

from .._whole_file import write_whole

__all__ = ["Store"]

# The file of the sound after the last complete round.
STATE = "rounds.pt"


class Store:
    """A folder that keeps one recovery; without a folder nothing is kept.

    Parameters
    ----------
    folder : str or path, or None
    key : str
        Letters that stand for the scalogram, its transform and the options.

    Raises
    ------
    ValueError
        If the folder belongs to another recovery.
    """

    def __init__(self, folder: str | os.PathLike[str] | None, key: str) -> None:
        self.folder, self.key = None if folder is None else Path(folder), key
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self._read(STATE)
        if held is not None and held["key"] != key:
            raise ValueError(
                f"folder must be empty or belong to this S, W and seed, got {str(folder)!r} with "
                "pieces of another recovery"
            )

    def state(self) -> dict[str, Any] | None:
        """Return what was kept after the last complete round; None if there was none."""
        return self._read(STATE)

    def keep(self, number: int, state: dict[str, Any]) -> None:
        """Keep what is known after a round, whose pieces are needed no more."""
        if self.folder is None:
            return
        self._write(STATE, state)
        for path in self.folder.glob(f"{number:03d}-*.pt"):
            path.unlink()

    def piece(self, number: int, k: int) -> torch.Tensor | None:
        """Return piece k of a round if it is there."""
        held = self._read(self._name(number, k))
        return None if held is None else held["z"]

    def has(self, number: int, k: int) -> bool:
        """Tell whether piece k of a round is there."""
        return self.folder is not None and (self.folder / self._name(number, k)).exists()

    def keep_piece(self, number: int, k: int, z: torch.Tensor) -> None:
        """Keep piece k of a round."""
        if self.folder is not None:
            self._write(self._name(number, k), {"z": z})

    def _name(self, number: int, k: int) -> str:
        """Name the file of a piece; with the key, since a folder may hold others' first pieces."""
        return f"{number:03d}-{k:05d}-{self.key}.pt"

    def _read(self, name: str) -> dict[str, Any] | None:
        if self.folder is None or not (path := self.folder / name).exists():
            return None
        return torch.load(path, weights_only=True)

    def _write(self, name: str, content: dict[str, Any]) -> None:
        assert self.folder is not None
        held = io.BytesIO()
        torch.save({"key": self.key, **content}, held)
        write_whole(self.folder / name, held.getvalue())
