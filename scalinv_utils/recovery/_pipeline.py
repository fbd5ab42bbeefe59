"""recover(): the best pipeline of this project, as a list of stages."""

import functools
import math

from ..metrics import decibels
from ._gradient_descent import descend_lbfgs
from ._objective import Objective
from ._phase_gradient import integrate_and_correct
from ._stages import Run, Stage, one_scalogram, silence_of
from .denoising import denoise

__all__ = ["recover"]

# A stage is left out when the modulus fits this well; the polish ends there, and when it gains no
# more than STALLED_DB over POLISH_PATIENCE iterations.
GOAL_DB = -120.0
POLISH_ITERATIONS, POLISH_PATIENCE, STALLED_DB = 300, 25, 0.003

# Where denoising changes S by more than this, relative to S, it is worth a start of its own.
NOISE_FREE_DB = -60.0


def recover(S, W, *, seed=0, callback=None, keep_every=None, progress=True):
    """Recover the waveform behind a scalogram by the best pipeline that this project knows.

    The phase's gradient, integrated and corrected, gives a start (`phase_gradient`); L-BFGS in
    whitened variables polishes the fit. A scalogram that contains more than a scalogram can, such
    as noise, is denoised for the start and polished as it is; a second start leaves out the
    denoising, and the better fit is kept. No step sees anything but S.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        The scalogram: one at a time.
    W : Scalogram
        Any wavelet will do. Dense rows (32 voices per octave) carry the phase best.
    seed : int
        Seed for the random phases assigned to each island's starting point: the same seed gives
        the same signal.
    callback : callable, optional
        ``callback(iteration, x, consistency_db)`` after each step; a true return value stops
        and keeps the best signal so far.
    keep_every : int, optional
        Keep a copy of the signal every so many steps in ``Recovery.iterates``.
    progress : bool
        Show progress bars on stages longer than two seconds.

    Returns
    -------
    Recovery
        The best signal seen. ``details``: "stages", (stage, the best consistency in dB after it)
        in the order they ran; "noise_db", the level of what denoising took off, relative to S;
        "islands", the number of points where an integration of the phase started.

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting magnitudes.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics, recover
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(256, 8000, 800, 3000))
    >>> y = recover(W.magnitude(x), W).signal
    >>> metrics.waveform_error_db(y, x) < -100
    True
    """
    S = one_scalogram(S, W)
    run = Run(
        "recover",
        callback,
        keep_every=keep_every,
        progress=progress,
        result="best",
        goal_db=GOAL_DB,
    )
    silence = silence_of(S)
    cleaned = denoise(S, W) if silence is None else S
    noise_db = decibels((cleaned - S).norm() / S.norm()) if silence is None else -math.inf
    stages = _stages(cleaned if noise_db > NOISE_FREE_DB else None, seed)
    recovery = run.through(stages, S, W, silence).recovery(noise_db=noise_db)
    recovery.details["stages"] = run.stages
    return recovery


def _stages(cleaned, seed):
    """List the stages: a start and a polish, and before them the same from a denoised S."""
    start = functools.partial(integrate_and_correct, seed=seed)
    denoised = functools.partial(_integrate_denoised, cleaned=cleaned, seed=seed)
    polish = Stage("polish", _polish, POLISH_ITERATIONS)
    from_denoised = [Stage("phase gradient, denoised", denoised, 30), polish]
    return [
        *(from_denoised if cleaned is not None else []),
        Stage("phase gradient", start, 30),
        polish,
    ]


def _integrate_denoised(S, W, run, *, cleaned, seed):
    """Carry out the stage: integrate the phase of the denoised scalogram; S tells the fit."""
    integrate_and_correct(cleaned, W, run, seed=seed, given=S)


def _polish(S, W, run):
    """Carry out the stage: L-BFGS in variables in which W is a tight frame, until it stalls."""
    objective = Objective(S, lambda u: W.magnitude(W.whiten(u)), "l2")
    fits = []

    def step(u, fit):
        fits.append(fit)
        stalled = len(fits) > POLISH_PATIENCE and fits[-1 - POLISH_PATIENCE] - fit < STALLED_DB
        return run.step(W.whiten(u), fit) or fit < GOAL_DB or stalled

    descend_lbfgs(objective, W.unwhiten(run.x), POLISH_ITERATIONS, step, precondition=False)
