"""Recovery, the result that every method returns, and recover(), the best pipeline here."""

import math
import time
from dataclasses import dataclass, field

import torch

from .denoising import denoise
from .metrics import analytic, consistency_db, decibels
from .validation import check_callable, check_count

__all__ = ["Recovery", "Recorder", "recover"]

# Copies of the signal share blocks of so many. Each with memory of its own, between the large arrays
# that come and go, they would keep that memory from being used again: 10 MB a run in notebook 04.
BLOCK = 32

# A stage is left out when the modulus fits this well; the polish ends there, and when it gains no
# more than PROGRESS_DB over PATIENCE iterations.
GOAL_DB = -120.0
POLISH_ITERATIONS, PATIENCE, PROGRESS_DB = 300, 25, 0.003

# Where denoising changes S by more than this, relative to S, it is worth a start of its own.
QUIET_DB = -60.0


@dataclass(eq=False)
class Recovery:
    """What an inversion method gives back.

    Attributes
    ----------
    signal : real Tensor, shape (..., n_samples)
        The recovered signal.
    method : str
        Which method made it, with its main settings.
    history : dict of lists
        Per iteration, the start (iteration 0) included: "consistency_db" (how well the modulus
        is fitted, in dB) and "seconds" (since the start).
    iterates : list of (int, Tensor)
        (iteration, copy of the signal then), every `keep_every` iterations.
    details : dict
        What only some methods know, such as the spectral gap of the eigenvector method.
    """

    signal: torch.Tensor
    method: str
    history: dict = field(default_factory=lambda: {"consistency_db": [], "seconds": []})
    iterates: list = field(default_factory=list)
    details: dict = field(default_factory=dict)

    @property
    def analytic(self):
        """The analytic signal of the recovered signal, complex, shape (..., n_samples)."""
        return analytic(self.signal)

    @property
    def seconds(self):
        """How long the method ran."""
        return self.history["seconds"][-1] if self.history["seconds"] else 0.0

    @property
    def consistency_db(self):
        """The fit of the modulus at the end, in dB; NaN is never among them, -inf is silence."""
        return self.history["consistency_db"][-1] if self.history["consistency_db"] else None

    def __repr__(self):
        fit = "no fit recorded" if self.consistency_db is None else f"{self.consistency_db:.1f} dB"
        return (f"Recovery({self.method!r}, {tuple(self.signal.shape)}, consistency {fit}, "
                f"{max(len(self.history['seconds']) - 1, 0)} iterations, {self.seconds:.1f} s)")

    def save(self, path):
        """Write everything to one .pt file that `Recovery.load` reads back."""
        iterates = [(k, x.clone()) for k, x in self.iterates]  # without the rest of their blocks
        torch.save({**vars(self), "iterates": iterates}, path)

    @classmethod
    def load(cls, path):
        """Read what `save` wrote, onto the CPU.

        Only tensors and plain Python values are ever unpickled: a file from elsewhere runs no code.
        """
        return cls(**torch.load(path, weights_only=True, map_location="cpu"))


class Recorder:
    """Keeps the history and the iterates of one run, for every method alike.

    Parameters
    ----------
    method : str
        What the Recovery will be called.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` with a copy of the signal. A true
        return value stops the method after this iteration.
    keep_every : int, optional
        Keep a copy of the signal every so many iterations (and the last one).
    """

    def __init__(self, method, callback=None, keep_every=None):
        self.recovery = Recovery(signal=None, method=method)
        if callback is not None:
            check_callable(callback, "callback", "a function of (iteration, x, consistency_db)")
        if keep_every is not None:
            check_count(keep_every, "keep_every")
        self.callback, self.keep_every = callback, keep_every
        self._start = time.perf_counter()

    def record(self, x, consistency_db):
        """Note one iterate; returns whether the callback asks to stop."""
        history = self.recovery.history
        iteration = len(history["seconds"])
        history["consistency_db"].append(float(consistency_db))
        history["seconds"].append(time.perf_counter() - self._start)
        if self.keep_every and iteration % self.keep_every == 0:
            self.recovery.iterates.append((iteration, self._copy(x)))
        # A copy: torch's .detach() shares memory, and every stored frame would be the last one.
        return bool(self.callback and self.callback(iteration, x.detach().clone(),
                                                    float(consistency_db)))

    def _copy(self, x):
        place = len(self.recovery.iterates) % BLOCK
        if place == 0:
            self._block = x.detach().new_empty((BLOCK, *x.shape))
        return self._block[place].copy_(x.detach())

    def finish(self, x, **details):
        """The Recovery, its signal set to x."""
        self.recovery.signal = x.detach().clone()
        self.recovery.details.update(details)
        last = len(self.recovery.history["seconds"]) - 1
        if self.keep_every and self.recovery.iterates[-1][0] != last:
            self.recovery.iterates.append((last, self.recovery.signal.clone()))
        return self.recovery


def recover(S, W, seed=0, callback=None, keep_every=None, progress=True):
    """The waveform behind a scalogram: the best pipeline this project knows.

    The phase's gradient, integrated and corrected, gives a start (`phase_gradient`); L-BFGS in
    whitened variables polishes the fit. A scalogram that contains more than a scalogram can, noise
    say, is denoised for the start and polished as it is; a second start leaves out the denoising,
    and the better fit is kept. No step sees anything but S.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        The scalogram: one at a time.
    W : Scalogram
        Of any wavelet. Dense rows (32 voices per octave) carry the phase best.
    seed : int
        Of the random phases where an island starts: the same seed gives the same signal.
    callback : callable, optional
        ``callback(iteration, x, consistency_db)`` after each step; a true return value stops
        and keeps the best signal so far.
    keep_every : int, optional
        Keep a copy of the signal every so many steps in ``Recovery.iterates``.
    progress : bool
        Show progress bars on work longer than two seconds.

    Returns
    -------
    Recovery
        The best signal seen. ``details``: "stages", (stage, the best consistency in dB after it)
        in the order they ran; "best_consistency_db"; "noise_db", the level of what denoising
        took off, relative to S.

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting magnitudes.
    """
    S = _one_scalogram(S, W)
    run = _Pipeline(S, W, Recorder("recover", callback, keep_every), seed, progress)
    if not S.any():
        run.note(0, torch.zeros(W.n_samples, dtype=S.dtype), -math.inf)
        return run.finish(noise_db=-math.inf)
    cleaned = denoise(S, W)
    noise_db = decibels((cleaned - S).norm() / S.norm())
    if noise_db > QUIET_DB:
        run.stage("phase gradient, denoised", lambda: run.start(cleaned))
        run.stage("polish", run.polish)
    run.stage("phase gradient", lambda: run.start(S))
    run.stage("polish", run.polish)
    return run.finish(noise_db=noise_db)


def _one_scalogram(S, W):
    """S as one float64 scalogram of W."""
    S = W.check_scalogram(S).detach().double()
    if S.ndim != 2:
        raise ValueError(f"S must be one scalogram of shape (n_freqs, n_samples) = {W.shape}, "
                         f"got shape {tuple(S.shape)}")
    return S


class _Pipeline:
    """The stages of `recover`: each goes on from the latest signal, the best one is kept."""

    def __init__(self, S, W, recorder, seed, progress):
        self.S, self.W, self.recorder = S, W, recorder
        self.seed, self.progress = seed, progress
        self.best, self.best_db, self.stages, self.stopped = None, math.inf, [], False

    def note(self, _, x, consistency_db):
        """Record and keep the best; whether the callback asks to stop."""
        self.latest = x
        if self.best is None or consistency_db < self.best_db:
            self.best, self.best_db = x, consistency_db
        self.stopped |= self.recorder.record(x, consistency_db)
        return self.stopped

    def stage(self, name, run):
        if not (self.stopped or self.best_db < GOAL_DB):
            run()
            self.stages.append((name, self.best_db))

    def start(self, S):
        from .phase_gradient import phase_gradient

        def note(k, x, fit):
            return self.note(k, x, fit if S is self.S else consistency_db(x, self.S, self.W))

        self.latest = phase_gradient(S, self.W, seed=self.seed, progress=self.progress,
                                     callback=note).signal

    def polish(self):
        from .gradient import invert_gradient

        W, fits = self.W, []

        def after(k, u, fit):
            fits.append(fit)
            stalled = k >= PATIENCE and fits[-1 - PATIENCE] - fit < PROGRESS_DB
            return self.note(k, W.whiten(u), fit) or fit < GOAL_DB or stalled

        invert_gradient(self.S, lambda u: W.magnitude(W.whiten(u)), init=W.unwhiten(self.latest),
                        n_iter=POLISH_ITERATIONS, precondition=False, progress=self.progress,
                        callback=after)

    def finish(self, **details):
        return self.recorder.finish(self.best, stages=self.stages,
                                    best_consistency_db=self.best_db, **details)
