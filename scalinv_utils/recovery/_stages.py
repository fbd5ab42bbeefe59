"""Carry out a method stage by stage, and record its progress in one run.

A *stage* is a function of (S, W, run): the scalogram, its transform, and the run, which knows the
signal so far. It starts, refines or polishes, hands every iterate to `run.step`, ends when that
says so, and leaves in `run.x` the signal from which the next stage goes on.

The *run* does once the work that every method needs: it answers silence, records the history,
copies iterates, calls the callback, moves the progress bar, stops, and keeps the best signal.

Stages work at a level near one, where no square under- or overflows: a method divides S by its
`unit` and tells the run, which multiplies by it whatever it hands out.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from numpy.typing import ArrayLike

from .._band import check_starts
from .._levels import unit
from .._tensors import detached, double
from .._validation import (
    check_callable,
    check_count,
    check_flag,
    check_instance,
    check_labels,
    check_magnitudes,
)
from ..measured import Measured
from ..transforms.scalogram import Scalogram
from ._interrupts import BAR_AFTER, Bar, interruptible
from ._result import Recovery

__all__ = [
    "Run",
    "Stage",
    "at_unit",
    "check_start",
    "measured_of",
    "one_scalogram",
    "scalogram_of",
    "scalograms_of",
    "silence_of",
]

# This many copies of the signal share one block. If each copy were allocated alone, between the
# large arrays that come and go, it would keep their memory from being used again: 10 MB for each
# run in notebook 04.
COPIES_PER_BLOCK = 32

Callback = Callable[[int, torch.Tensor, float], Any]


@dataclass(frozen=True)
class Stage:
    """One part of a method.

    Attributes
    ----------
    name : str
    carry_out : callable
        ``carry_out(S, W, run)``.
    n_iter : int
        The largest number of iterations after its start, for the progress bar.
    is_needed : callable
        ``is_needed(run)``: whether there is anything left to do. Default: there is.
    """

    name: str
    carry_out: Callable[[Any, Any, Run], None]
    n_iter: int
    is_needed: Callable[[Run], bool] = lambda run: True


class Run:
    """One run of a method.

    Parameters
    ----------
    method : str
        The name that the `Recovery` gets.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` with a copy of the signal. A true
        return value stops the run after this iteration.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate, and of the last one.
    progress : bool
        Show a progress bar on stages longer than two seconds.
    result : "last" or "best"
        Which iterate becomes the recovered signal.
    goal_db : float
        Stages are left out once the best fit is below this level.

    Attributes
    ----------
    unit : float
        The factor of all signals of the stages before they are handed out.
    like : Tensor or None
        A Tensor whose dtype and device the signals that are handed out get; None: as they are.
    x : Tensor
        The latest signal; stages go on from it.
    best_db : float
        The best fit so far.
    stages : list of (str, float)
        The stages that were carried out, each with the best fit after it.
    details : dict
        The entries of ``Recovery.details``.
    """

    x: torch.Tensor
    # Signals with their fits, each pair bound at once: an interrupt may come anywhere.
    _best: tuple[torch.Tensor, float]
    _last: tuple[torch.Tensor, float]
    _block: torch.Tensor

    def __init__(
        self,
        method: str,
        callback: Callback | None = None,
        *,
        keep_every: int | None = None,
        progress: bool = False,
        result: Literal["last", "best"] = "last",
        goal_db: float = -math.inf,
    ) -> None:
        if callback is not None:
            check_callable(callback, "callback", "a function of (iteration, x, consistency_db)")
        if keep_every is not None:
            keep_every = check_count(keep_every, "keep_every")
        self.method, self.callback, self.keep_every = method, callback, keep_every
        progress = check_flag(progress, "progress")
        self.progress, self.result, self.goal_db = progress, result, goal_db
        self.history: dict[str, list[float]] = {"consistency_db": [], "seconds": []}
        self.iterates: list[tuple[int, torch.Tensor]] = []
        self.details: dict[str, Any] = {}
        self.stages: list[tuple[str, float]] = []
        self.best_db, self.stopped = math.inf, False
        self.unit: float = 1.0
        self.like: torch.Tensor | None = None
        self._bar: Bar | None = None
        self._start = time.perf_counter()

    def through(
        self, stages: Sequence[Stage], S: Any, W: Any, silence: torch.Tensor | None = None
    ) -> Run:
        """Carry out stages in turn, until one is stopped or the goal is reached.

        Parameters
        ----------
        stages : sequence of Stage
        S, W
            The given scalogram and its transform, passed on to each stage.
        silence : Tensor, optional
            The recovered signal if S is silent; then no stage runs. None if S is not silent.

        Returns
        -------
        Run
            This run.
        """
        if silence is not None:
            self.step(silence, -math.inf)
            return self
        for stage in stages:
            if self.stopped or self.best_db < self.goal_db:
                break
            if stage.is_needed(self):
                self._carry_out(stage, S, W)
                self.stages.append((stage.name, self.best_db))
        return self

    def _carry_out(self, stage: Stage, S: Any, W: Any) -> None:
        """Carry out one stage, under a progress bar."""
        # The start is not an iteration: its step brings the bar from -1 to 0.
        options = {"initial": -1, "desc": stage.name, "delay": BAR_AFTER, "leave": False}
        bar = Bar(total=stage.n_iter, **options) if self.progress else contextlib.nullcontext()
        with self.interruptible(), bar as self._bar:
            stage.carry_out(S, W, self)
        self._bar = None

    def step(self, x: torch.Tensor, consistency_db: float, *, grows: bool = False) -> bool:
        """Record one iterate, and return whether the stage is to stop.

        It is copied, since optimisers write all into one place, unless it only `grows`: copies of
        a sound for each of its slices would take a time that is quadratic in its length.
        """
        fit, iteration = float(consistency_db), len(self.history["seconds"])
        self.x = x
        self._last = x.detach() if grows else x.detach().clone(), fit
        if iteration == 0 or fit < self.best_db:
            self.best_db, self._best = fit, self._last
        self.history["consistency_db"].append(fit)
        self.history["seconds"].append(time.perf_counter() - self._start)
        if self.keep_every and iteration % self.keep_every == 0:
            self.iterates.append((iteration, self._copy(x)))
        if self._bar is not None:
            self._bar.update()
            self._bar.set_postfix_str(f"{fit:.1f} dB", refresh=False)
        if self.callback and self.callback(iteration, self._out(x), fit):
            self.stopped = True
        return self.stopped

    def _out(self, x: torch.Tensor) -> torch.Tensor:
        """Copy a signal of a stage in the units, the dtype and on the device of the caller."""
        x = x.detach() * self.unit
        return x if self.like is None else x.to(self.like)

    def _copy(self, x: torch.Tensor) -> torch.Tensor:
        """Copy the signal into the next place of the present block."""
        x, place = self._out(x), len(self.iterates) % COPIES_PER_BLOCK
        if place == 0:
            self._block = x.new_empty((COPIES_PER_BLOCK, *x.shape))
        return self._block[place].copy_(x)

    def recovery(self, **details: Any) -> Recovery:
        """Make the Recovery: its signal is the last or the best iterate, as `result` says."""
        last = len(self.history["seconds"]) - 1
        if self.keep_every and (not self.iterates or self.iterates[-1][0] != last):
            self.iterates.append((last, self._out(self._last[0])))
        x, fit = self._best if self.result == "best" else self._last
        details = {**self.details, **details}
        return Recovery(self._out(x), self.method, fit, self.history, self.iterates, details)

    def interruptible(self) -> contextlib.AbstractContextManager[None]:
        """Give an interrupt of what is inside the Recovery of this run."""
        return interruptible(self.so_far)

    def so_far(self) -> Recovery | None:
        """Make the Recovery of a run that was interrupted, perhaps in the middle of a step."""
        n_steps = len(self.history["seconds"])
        del self.history["consistency_db"][n_steps:]
        return self.recovery(interrupted=True) if n_steps else None


def scalogram_of(S: Any, W: Scalogram | None) -> tuple[Any, Scalogram]:
    """Take a scalogram and its transform out of a `Measured`, or check that there are both.

    Raises
    ------
    TypeError
        If there is no W.
    ValueError
        If S is a Measured that belongs to another W.
    """
    if not isinstance(S, Measured):
        if W is None:
            raise TypeError("W must be given with a scalogram that is no Measured, got None")
        return S, check_instance(W, Scalogram, "W")
    if W is not None and W is not S.W and W is not S.given:
        raise ValueError("W must be left out, or be S.W, where S is a Measured, got another W")
    return S.S, S.W


def measured_of(S: Any, W: Scalogram | None, sigma: float | None = None) -> Measured | None:
    """Return S as a `Measured` if nothing else describes it; None if it is |W x|, W of a wavelet.

    A bank that was made from filters has no phase relation, which the methods for wavelets need.

    Raises
    ------
    ValueError, TypeError
        As `scalogram_of` and `Measured`.
    """
    given, W = scalogram_of(S, W)
    if isinstance(S, Measured):
        return None if S.is_plain and W.has_wavelet else S
    if not W.has_wavelet:
        return Measured(given, W, sigma=sigma)
    return None


def silence_of(S: torch.Tensor) -> torch.Tensor | None:
    """Return the silent signal where the scalogram S is silent, None where it is not."""
    return None if S.any() else S.new_zeros(S.shape[:-2] + S.shape[-1:])


def at_unit(S: torch.Tensor, W: Scalogram, run: Run) -> torch.Tensor:
    """Divide S by its unit, which the run is told; signals get the dtype and the device of W."""
    run.unit, run.like = float(unit(S)), W.filters
    return S / run.unit


def one_scalogram(S: ArrayLike, W: Scalogram, where: str, negative: bool = False) -> torch.Tensor:
    """Check that S is one scalogram of W, as `scalograms_of` does, and return it on the CPU."""
    plane = scalograms_of(S, W, where, negative).cpu()
    if plane.ndim != 2:
        raise ValueError(
            f"S must be one scalogram of shape (n_freqs, n_samples) = {W.shape}, got shape "
            f"{tuple(plane.shape)}; take those of a batch one after the other, and read a "
            "picture's channels with measured.from_image"
        )
    return plane


def scalograms_of(S: ArrayLike, W: Any, where: str, negative: bool = False) -> torch.Tensor:
    """Check that S holds scalograms of W, and return them in double precision.

    Where noise may have made them `negative`, they still are to be real, finite and of W's shape.
    `where` names the method.
    """
    S, W = scalogram_of(S, W)
    n_signed = W.n_freqs if negative else int(W.lowpass == "signed")
    moduli = check_magnitudes(S, W.shape, n_signed=n_signed)
    check_labels(S, W.frequencies, "S")
    return double(detached(moduli, "S", where))


def check_start(x: torch.Tensor, S: torch.Tensor, transform: Any) -> None:
    """Refuse a start, called init, that a Scalogram does not hear, or say how little it hears.

    A transform with the attribute M, a `Measured`, hears what the W of that hears, unless the
    signal is extended first. Other transforms have no band.
    """
    M = getattr(transform, "M", None)
    W = M.W if isinstance(M, Measured) and M.extension.is_identity else transform
    if isinstance(W, Scalogram):
        check_starts(x, S, W)
