"""recover(): the best pipeline of this project."""

import math

import torch

from ..metrics import consistency_db, decibels
from ._gradient_descent import invert_gradient
from ._phase_gradient import phase_gradient
from ._result import Recorder
from .denoising import denoise

__all__ = ["recover"]

# A stage is left out when the modulus fits this well; the polish ends there, and when it gains no
# more than PROGRESS_DB over PATIENCE iterations.
GOAL_DB = -120.0
POLISH_ITERATIONS, PATIENCE, PROGRESS_DB = 300, 25, 0.003

# Where denoising changes S by more than this, relative to S, it is worth a start of its own.
QUIET_DB = -60.0


def recover(S, W, *, seed=0, callback=None, keep_every=None, progress=True):
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
        raise ValueError(
            f"S must be one scalogram of shape (n_freqs, n_samples) = {W.shape}, "
            f"got shape {tuple(S.shape)}"
        )
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
        def note(k, x, fit):
            return self.note(k, x, fit if S is self.S else consistency_db(x, self.S, self.W))

        self.latest = phase_gradient(
            S, self.W, seed=self.seed, progress=self.progress, callback=note
        ).signal

    def polish(self):
        W, fits = self.W, []

        def after(k, u, fit):
            fits.append(fit)
            stalled = k >= PATIENCE and fits[-1 - PATIENCE] - fit < PROGRESS_DB
            return self.note(k, W.whiten(u), fit) or fit < GOAL_DB or stalled

        invert_gradient(
            self.S,
            lambda u: W.magnitude(W.whiten(u)),
            init=W.unwhiten(self.latest),
            n_iter=POLISH_ITERATIONS,
            precondition=False,
            progress=self.progress,
            callback=after,
        )

    def finish(self, **details):
        return self.recorder.finish(
            self.best, stages=self.stages, best_consistency_db=self.best_db, **details
        )
