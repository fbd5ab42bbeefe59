"""Recover a long sound from the scalogram of the whole of it, piece by piece.

Pieces are recovered alone first, then in rounds next to what is known of their neighbours
(`_piece`). After each round they are turned so that they agree where they overlap (`_ring`): with
z_k the analytic signal of piece k and q the window of trusted samples, the link of two pieces is

    l_k  =  sum_t  q_k(t) q_{k+1}(t) conj(z_{k+1}(t)) z_k(t)

Errors of pieces do not stay, since each round begins with exact coefficients of the sound so far.
On recordings with Cauchy wavelets each round gained 10 to 30 dB.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from .._validation import check_count, check_flag, check_number
from ..metrics import decibels
from ..transforms._circle import CIRCLE_FLOOR
from ..transforms.scalogram import BAND_FLOOR, Scalogram
from ._interrupts import BAR_AFTER, Bar
from ._long_source import Piece, Source
from ._long_store import Store
from ._phase_gradient import NEWTON_BELOW_DB, PATIENT_ROUNDS, SLOW_DB
from ._piece import begun, changed, misfit
from ._result import Recovery
from ._ring import levels_db, turns
from ._stages import Callback, Run
from ._workers import check_jobs, in_order

__all__ = ["recover_long"]


def recover_long(
    S: Any,
    W: Scalogram,
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = 1,
    n_rounds: int = 12,
    goal_db: float = -185.0,
    seed: int = 0,
    callback: Callback | None = None,
    progress: bool = True,
) -> Recovery:
    """Recover a long sound from the scalogram of the whole of it, in the memory of a few pieces.

    Parameters
    ----------
    S : array, shape (W.n_freqs, n_samples)
        The scalogram of the whole sound, a column for each sample, as `magnitude_of_long` makes it:
        anything that has a shape and can be sliced along time, such as a numpy memmap or a dask
        array. The last column is followed by the first. Pieces are read in each round, and never
        changed.
    W : Scalogram
        The transform of a piece, with a wavelet and without a lowpass, such as
        ``Scalogram(32768, 16000, wavelet="cauchy", voices_per_octave=32, f_min=50)``. A piece takes
        about 150 bytes per value of its scalogram, and the sound as many for each sample.
    folder : str or path, optional
        Pieces are stored there as they come: the same call goes on where an earlier one ended,
        however it ended.
    jobs : int, optional
        The number of processes: 1 computes in this one, -1 takes all cores, None leaves it to
        joblib's ``parallel_config``. More than one need joblib.
    n_rounds : int
        The largest number of rounds after the first signal.
    goal_db : float
        Rounds end below this consistency, and where four of them gain less than 1 dB.
    seed : int
        Seed of the phases where integrations start.
    callback : callable, optional
        Called as ``callback(round, x, consistency_db)`` after each round, with a copy of the
        sound. A true return value stops.
    progress : bool
        Show a progress bar with the time left of each round.

    Returns
    -------
    Recovery
        The sound after the best round, float64 and on the CPU; ``history`` has one entry per round.
        ``details`` has "parts", the first and the last second of each part that silence does not
        interrupt; "links_db", the level of what each piece shares with the next, relative to the
        highest; and "misfit_db", the misfit of each second of the result, relative to S.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, does not fit W or is shorter than a piece, or
        the folder holds pieces of another scalogram.
    KeyboardInterrupt
        After Ctrl-C. Its attribute ``recovery`` is the Recovery after the last complete round.

    Warns
    -----
    UserWarning
        If S is silent in between: nothing ties the phase of what comes before to what comes after,
        and each part comes back up to a rotation of its own.

    Notes
    -----
    The method was derived for this project, not taken from the literature; the correction of pieces
    is that of `phase_gradient`. A pause takes more rounds, and most with wavelets whose phase
    relation is not exact, such as gmw: the parts before and after it come together last. Keep S in
    double precision where you can: the phase crosses a pause along a path, where rounding errors of
    single precision add up. Two words with a pause then end at -112 dB, and a minute that is at
    -108 dB after six rounds and at -129 after eight is at -76 after six. For scalograms of slices
    of the sound use `Slices`.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> from scalinv_utils.recovery import recover_long
    >>> from scalinv_utils.transforms import magnitude_of_long
    >>> W = Scalogram(2048, 8000, wavelet="cauchy", voices_per_octave=32, f_min=800)
    >>> x = signals.am_fm_tone(5000, 8000)
    >>> S = magnitude_of_long(x, W, progress=False)
    >>> y = recover_long(S, W, progress=False).signal
    >>> metrics.waveform_error_db(y, W.like(5000).project(x)) < -120
    True
    """
    n_rounds, seed = check_count(n_rounds, "n_rounds", 0), check_count(seed, "seed", 0)
    goal_db, progress = check_number(goal_db, "goal_db"), check_flag(progress, "progress")
    run = Run("recover_long", callback, result="best")
    jobs = check_jobs(jobs)
    source = Source(S, W, jobs)
    store = Store(folder, source.fingerprint(seed))
    sound = _Sound(source, store, jobs, seed, progress)
    with run.interruptible():
        _in_rounds(sound, run, n_rounds, goal_db)
    return run.recovery(**sound.details())


def _in_rounds(sound: _Sound, run: Run, n_rounds: int, goal_db: float) -> None:
    """Take rounds until one is good enough or several gain nothing; begin with those kept."""
    run.unit = sound.source.level
    fit = sound.begin()
    run.step(sound.signal(), fit)
    while sound.plan.number < n_rounds and not run.stopped:
        if sound.plan.best < goal_db or sound.plan.failures == PATIENT_ROUNDS:
            break
        fit = sound.go_on()
        run.step(sound.signal(), fit)


@dataclass
class _Plan:
    """How far the rounds are, and what the next one does; as in `rounds` of `_phase_gradient`.

    Attributes
    ----------
    number : int
        The last complete round; -1 before the first.
    best : float
        The best consistency so far, in dB.
    failures : int
        The number of rounds since one gained 1 dB.
    newton : bool
        Whether the next round takes a step of Gauss and Newton.
    """

    number: int = -1
    best: float = math.inf
    failures: int = 0
    newton: bool = False

    def after(self, fit: float) -> bool:
        """Take note of the fit of one more round; return whether it is the best so far."""
        gain = self.best - fit
        self.newton = gain < SLOW_DB and fit < NEWTON_BELOW_DB and not (self.newton and gain < 1)
        self.failures = 0 if gain > 1 else self.failures + 1
        self.number, self.best = self.number + 1, min(fit, self.best)
        return gain > 0


class _Sound:
    """The analytic signal so far, and what a round does with it.

    Attributes
    ----------
    z : complex Tensor, shape (n_samples,)
        That of the best round.
    latest : complex Tensor, shape (n_samples,)
        That of the last round.
    """

    z: torch.Tensor
    latest: torch.Tensor

    def __init__(
        self, source: Source, store: Store, jobs: int | None, seed: int, progress: bool
    ) -> None:
        self.source, self.pieces, self.store = source, source.pieces, store
        self.jobs, self.seed, self.progress = jobs, seed, progress
        self.plan, self.links = _Plan(), [0.0] * self.pieces.count
        self.z = self.latest = torch.zeros(self.pieces.n_samples, dtype=torch.complex128)
        self.misfit = torch.zeros(self.pieces.n_samples, dtype=torch.float64)

    def begin(self) -> float:
        """Take up what is kept, or carry out the first round; return the consistency in dB."""
        if (kept := self.store.state()) is None:
            return self.go_on()
        self.plan, self.links = _Plan(**kept["plan"]), kept["links"]
        self.z = self.latest = kept["z"]
        self.misfit, fit = self._fit()
        return fit

    def go_on(self) -> float:
        """Carry out the next round from the best one so far; return its consistency in dB."""
        number = self.plan.number + 1
        self.latest, links = self._joined(self._pieces(number))
        misfit, fit = self._fit()
        if self.plan.after(fit):
            self.z, self.links, self.misfit = self.latest, links, misfit
        state = {"plan": asdict(self.plan), "z": self.z, "links": self.links}
        self.store.keep(number, state)
        return fit

    def _pieces(self, number: int) -> Iterator[torch.Tensor]:
        """Generate the pieces of a round in order; those that are kept are not computed again."""
        todo = [k for k in range(self.pieces.count) if not self.store.has(number, k)]
        about = self.z if number else None
        tasks = ((*self._at(k, about), self.seed, self.plan.newton) for k in todo)
        made = in_order(_solved, tasks, self.jobs)
        for k in self._watched(f"round {number}"):
            if (piece := self.store.piece(number, k)) is None:
                self.store.keep_piece(number, k, piece := next(made))
            yield piece

    def _at(self, k: int, z: torch.Tensor | None) -> tuple[Piece, torch.Tensor | None]:
        """Cut out piece k of S, and that of a signal if there is any."""
        return self.source.piece(k), None if z is None else z[self.pieces.columns(k)]

    def _watched(self, name: str) -> Iterator[int]:
        """Generate the numbers of all pieces, under a progress bar."""
        numbers = range(self.pieces.count)
        options = {"desc": name, "unit": "piece", "delay": BAR_AFTER, "leave": False}
        yield from Bar(numbers, **options) if self.progress else numbers

    def _joined(self, made: Iterator[torch.Tensor]) -> tuple[torch.Tensor, list[float]]:
        """Turn the pieces so that they agree where they overlap, and add them up."""
        first = before = next(made)
        shares, links = [self._share(0, first)], []
        for k, z in enumerate(made):
            links.append(self._link(before, z, k))
            shares.append(self._share(k + 1, z))
            before = z
        links.append(self._link(before, first, self.pieces.count - 1))
        total = torch.zeros_like(self.z)
        for (columns, share), turn in zip(shares, turns(np.array(links))):
            total.index_add_(0, columns, share * complex(turn))
        return self._within(total, CIRCLE_FLOOR), levels_db(np.array(links))

    def _share(self, k: int, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cut out what piece k adds to the sound, with its columns."""
        share = self.pieces.share(k)
        within = share > 0
        return self.pieces.columns(k)[within], (share * z)[within]

    def _link(self, z: torch.Tensor, after: torch.Tensor, k: int) -> complex:
        """Compute l_k."""
        hop, trusted = self.pieces.hop(k), self.pieces.trusted
        shared = trusted[hop:] * trusted[: len(trusted) - hop]
        return complex(torch.vdot(after[: len(shared)], shared * z[hop:]))

    def _fit(self) -> tuple[torch.Tensor, float]:
        """Compute the misfit of each column in units of all, and the consistency in dB."""
        tasks = (self._at(k, self.latest) for k in range(self.pieces.count))
        made = in_order(_misfits, tasks, self.jobs)
        errors, total = torch.zeros_like(self.misfit), 0.0
        for k in self._watched("fit"):
            error, energy = next(made)
            errors.index_add_(0, self.pieces.columns(k), self.pieces.share(k) * error)
            total += float((self.pieces.share(k) * energy).sum())
        errors /= total or 1.0
        return errors, decibels(errors.sum().sqrt())

    def signal(self) -> torch.Tensor:
        """Return the latest sound, restricted to the band of W as ``W.project`` does."""
        return self._within(self.latest, BAND_FLOOR, below_nyquist=True).real

    def _within(self, z: torch.Tensor, floor: float, below_nyquist: bool = False) -> torch.Tensor:
        """Restrict z to positive frequencies where the gain of W is not below its floor."""
        heard = torch.zeros(len(z), dtype=torch.bool)
        heard[: len(z) // 2 + 1] = self.pieces.bank.band(len(z), floor)
        heard[(len(z) + 1) // 2 :] &= not below_nyquist
        return torch.fft.ifft(torch.fft.fft(z) * heard)

    def details(self) -> dict[str, Any]:
        """Tell what the recovery knows beside the sound."""
        seconds = self.misfit.split(round(self.pieces.W.sample_rate))
        misfits = [decibels(part.sum().sqrt()) for part in seconds]
        return {"parts": self.source.parts(), "links_db": self.links, "misfit_db": misfits}


def _solved(piece: Piece, z: torch.Tensor | None, seed: int, newton: bool) -> torch.Tensor:
    """Recover one piece, in whatever process, alone or next to the sound so far."""
    S, pieces = piece(), piece.pieces()
    return begun(S, pieces, seed) if z is None else z + changed(S, z, pieces, newton)


def _misfits(piece: Piece, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the squared misfit and the energy of each column of one piece."""
    S = piece()
    return misfit(S, z, piece.pieces()).square().sum(0), S.square().sum(0)
