"""Define `Recovery`, the result that every method returns."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import torch

from .._whole_file import check_path, write_whole
from ..metrics import analytic

__all__ = ["Recovery"]


@dataclass(eq=False)
class Recovery:
    """The recovered signal, and how a method arrived at it.

    Attributes
    ----------
    signal : real Tensor, shape (..., n_samples)
        The recovered signal.
    method : str
        The name of the method, with its main settings.
    consistency_db : float or None
        The fit of the modulus of `signal` to the given one, in dB. It is never NaN; it is -inf for
        silence and None if no fit was recorded.
    history : dict of lists
        Two lists with one entry per iteration, the start (iteration 0) included:
        "consistency_db", the fit of the iterate in dB, and "seconds", the time since the start.
    iterates : list of (int, Tensor)
        (iteration, copy of its signal) of every `keep_every`-th iteration.
    details : dict
        Facts that only some methods know, such as the number of islands. For a batch, counts
        are those of all members, and any other fact is a list with that of each.
    members : list of Recovery
        The recovery of each member of a batch, in order, with a history of its own. It is empty
        for a single signal, and where a method took the batch as a whole.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, griffin_lim
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000)
    >>> recovery = griffin_lim(W.magnitude(signals.linear_chirp(128)), W, n_iter=5)
    >>> recovery.signal.shape, len(recovery.history["seconds"])
    (torch.Size([128]), 6)
    """

    signal: torch.Tensor
    method: str
    consistency_db: float | None = None
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"consistency_db": [], "seconds": []}
    )
    iterates: list[tuple[int, torch.Tensor]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    members: list[Recovery] = field(default_factory=list)

    @property
    def analytic(self) -> torch.Tensor:
        """The analytic signal of the recovered signal, complex, shape (..., n_samples)."""
        return analytic(self.signal)

    @property
    def seconds(self) -> float:
        """The time that the method took, in seconds."""
        return self.history["seconds"][-1] if self.history["seconds"] else 0.0

    def __repr__(self) -> str:
        fit = "no fit recorded" if self.consistency_db is None else f"{self.consistency_db:.1f} dB"
        return (
            f"Recovery({self.method!r}, {tuple(self.signal.shape)}, consistency {fit}, "
            f"{max(len(self.history['seconds']) - 1, 0)} iterations, {self.seconds:.1f} s)"
        )

    def save(self, path: str | PathLike[str]) -> None:
        """Write everything to one .pt file that `Recovery.load` reads back.

        Parameters
        ----------
        path : str or path-like
            A file of this name is replaced when the new one is complete.

        Raises
        ------
        OSError
            If the file cannot be written; an earlier one is as it was.
        """
        content = io.BytesIO()
        torch.save(self._plain(), content)
        write_whole(path, content.getvalue())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Recovery:
        """Read a file that `save` wrote, onto the CPU.

        Only tensors and plain Python values are unpickled: a file from elsewhere runs no code.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Recovery

        Raises
        ------
        OSError
            If there is no such file.
        ValueError
            If `save` did not write it, or not to its end.
        """
        try:
            held = torch.load(check_path(path), weights_only=True, map_location="cpu")
            return cls._of_plain(held)
        except OSError:
            raise
        except Exception as error:  # damaged files make torch raise nearly anything
            raise ValueError(
                f"path must be a file of Recovery.save, got {str(path)!r}: {error}"
            ) from error

    def _plain(self) -> dict[str, Any]:
        """Tell all of it in tensors and plain values."""
        iterates = [(k, x.clone()) for k, x in self.iterates]  # without the rest of their blocks
        members = [member._plain() for member in self.members]
        return {**vars(self), "iterates": iterates, "members": members}

    @classmethod
    def _of_plain(cls, told: dict[str, Any]) -> Recovery:
        members = [cls._of_plain(member) for member in told.get("members", [])]
        known = {name: told[name] for name in cls.__dataclass_fields__ if name != "members"}
        return cls(**known, members=members)
