"""Recover a signal by the best pipeline of this project, a list of stages."""

import functools
import math
from typing import Literal

import torch
from numpy.typing import ArrayLike

from .._levels import norm, unit
from .._tensors import doubles_on
from .._validation import check_choice, check_count, check_positive
from ..measured import Measured
from ..metrics import decibels
from ..transforms.scalogram import Scalogram
from ._gradient_descent import descend_lbfgs
from ._griffin_lim import alternate, fast
from ._lifted_completion import is_liftable
from ._lifted_power import MODELS, applies_to, noise_level
from ._lowpass_start import ROTATIONS, start_with_lowpass
from ._measured import carry_out, completed_stages
from ._members import Index, one_by_one
from ._noisy import Noisy
from ._objective import Objective
from ._phase_gradient import integrate_and_correct
from ._result import Recovery
from ._slips import TURNS, undo_slips
from ._stages import (
    Callback,
    Run,
    Stage,
    at_unit,
    measured_of,
    scalogram_of,
    scalograms_of,
    silence_of,
)
from .denoising import denoise

__all__ = ["recover"]

# Stages are left out once the modulus fits this well. The polish ends there too, or when it gains
# less than STALLED_DB over POLISH_PATIENCE iterations.
GOAL_DB = -150.0
POLISH_ITERATIONS, POLISH_PATIENCE, STALLED_DB = 300, 25, 0.003

# Exact scalograms with fewer voices than this are completed too.
SPARSE_VOICES = 20

# Iterations of fast Griffin-Lim from random phases, for a scalogram that no signal has.
ALTERNATIONS = 500

# The denoised scalogram gets a start of its own if it differs from S by more than this,
# relative to S.
NOISE_FREE_DB = -60.0


def recover(
    S: ArrayLike | Measured,
    W: Scalogram | None = None,
    *,
    noise: Literal["clipped", "gaussian", "rice"] = "clipped",
    sigma: float | None = None,
    seed: int = 0,
    callback: Callback | None = None,
    keep_every: int | None = None,
    progress: bool = True,
) -> Recovery:
    """Recover the waveform behind a scalogram by the best pipeline that this project knows.

    The phase's gradient, integrated and corrected, gives a start (`phase_gradient`); L-BFGS in
    whitened variables polishes the fit.

    A scalogram that contains more than the scalogram of a signal can, such as noise, is denoised
    first, in time and scale together. The phase is integrated on the result, and the last steps
    make S as it was given most likely. Where the answer leaves more unexplained than noise of
    this level would, as with a scalogram that was edited, the fit counts: other starts follow,
    and the best fit is kept. No step sees anything but S. Above 2,048 samples regions are not
    searched, and above 8,192 each row is denoised by itself; both cost accuracy.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples), or Measured
        A scalogram, or a batch of them, each recovered as if it were alone. It is the modulus: a
        `Measured` takes power, decibels and every hop-th column of one scalogram, says what is
        known of it, and which W it belongs to.
    W : Scalogram
        Any wavelet will do, and not only a wavelet: where a method needs what a bank does not
        have, the next best start is used, and named in "stages". Dense rows (32 voices per
        octave) determine the phase best. All is computed in float64, on the device of W if that
        has float64 (CUDA), else on the CPU (MPS). On the CPU in any case are the integration of
        phases, the algebra that noise and few rows need, and every `Measured`. The signal gets
        the dtype and the device of W. No gradient flows back to S.
    noise : "clipped", "gaussian" or "rice"
        How noise came into S, if there is any. "clipped": white and Gaussian on the modulus, and
        negative values were put to zero. "gaussian": the same, and negative values were kept.
        "rice": complex, on the coefficients before their modulus was taken.
    sigma : float, optional
        Standard deviation of the noise ("rice": of its real part), in units of S. Default: read
        from each scalogram, where its power varies faster in time than that of any scalogram;
        none for a bank made from filters. A `Measured` has its own, and errors that are Gaussian.
    seed : int
        Seed for the random phases assigned to each island's starting point: the same seed gives
        the same signal.
    callback : callable, optional
        Called as ``callback(iteration, x, consistency_db)`` after each iteration, with a copy of
        the signal. A true return value stops; the best signal so far is kept.
    keep_every : int, optional
        Keep a copy of every `keep_every`-th iterate in ``Recovery.iterates``.
    progress : bool
        Show progress bars on stages longer than two seconds.

    Returns
    -------
    Recovery
        Its signal is the best iterate. ``details`` has "stages", a list of (stage, the best
        consistency in dB after it) in the order in which they ran; "noise_db", the level of the
        part that denoising removed, relative to S; "islands", the number of points where an
        integration of the phase started; and for a noisy scalogram "sigma" and "reduced_chi2", what
        was left unexplained relative to noise of this level, in squares, before any fit without
        denoising.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W.
    KeyboardInterrupt
        After Ctrl-C. Its attribute ``recovery`` is the Recovery so far; in a notebook that is
        ``sys.last_value.recovery`` after the cell was stopped. The other methods do the same.

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
    check_choice(noise, MODELS, "noise")
    seed = check_count(seed, "seed", 0)
    sigma = None if sigma is None else check_positive(sigma, "sigma")
    planes = S if isinstance(S, Measured) else scalograms_of(S, W, "recover", noise == "gaussian")

    def alone(index: Index, callback: Callback | None) -> Recovery:
        run = Run(
            "recover",
            callback,
            keep_every=keep_every,
            progress=progress,
            result="best",
            goal_db=GOAL_DB,
        )
        part = planes if isinstance(planes, Measured) else planes[index]
        run.details["stages"] = run.stages
        with run.interruptible():
            if M := measured_of(part, W, sigma):
                return _recover_measured(M, run, seed)
            return _recover_modulus(*scalogram_of(part, W), run, noise, sigma, seed)

    if isinstance(planes, Measured):
        return alone((), callback)
    return one_by_one(alone, tuple(planes.shape[:-2]), norm(planes, (-2, -1)), callback)


def _recover_modulus(
    signed: torch.Tensor, W: Scalogram, run: Run, noise: str, sigma: float | None, seed: int
) -> Recovery:
    """Recover from one scalogram, whose moduli may be negative if the noise may have made them."""
    signed, W = at_unit(signed, W, run), W.in_double(doubles_on(W.filters.device))
    signed = signed.to(W.filters)
    sigma = None if sigma is None else sigma / run.unit
    S = _moduli(signed, W)
    silence = silence_of(S)
    cleaned = denoise(S, W) if silence is None else S
    noise_db = decibels((cleaned - S).norm() / S.norm()) if silence is None else -math.inf
    is_start = noise_db > NOISE_FREE_DB and bool(cleaned.any())
    stages = _stages(cleaned if is_start else None, seed)
    if noise_db <= NOISE_FREE_DB:
        if W.lowpass is None:
            stages[1:1] = _more_stages(S, W, seed)
        elif W.has_wavelet:
            start = functools.partial(start_with_lowpass, seed=seed)
            stages[:1] = [Stage("wavelets, turned by the lowpass", start, ROTATIONS)]
    sigma = _level(signed, W, sigma, noise) if noise_db > NOISE_FREE_DB else 0.0
    if sigma > 0 and (noisy := Noisy(signed, W, sigma, seed=seed, model=noise)).cleaned.any():
        run.through(noisy.stages, S, noisy.W)
        explained = noisy.explains(run.x)
        stages = [] if explained else [*_stages(None, seed), noisy.refinement, *_other_start(seed)]
        run.result = "last" if explained and not run.stopped else "best"
        run.details["sigma"] = sigma * run.unit
        run.details["reduced_chi2"] = noisy.surprise(run.x)
    return run.through(stages, S, W, silence).recovery(noise_db=noise_db)


def _moduli(S: torch.Tensor, W: Scalogram) -> torch.Tensor:
    """Put the negative values of the rows that are moduli to zero."""
    n_moduli = W.n_freqs - int(W.lowpass == "signed")
    return torch.cat([S[:n_moduli].clamp_min(0), S[n_moduli:]])


def _recover_measured(M: Measured, run: Run, seed: int) -> Recovery:
    """Run the stages of a measured scalogram; a long record ends with its last signal."""
    run.goal_db, run.unit = -math.inf, float(unit(M.S))
    M = M.at_level(run.unit)
    if M.S.any():
        carry_out(M, run, seed)
    else:
        run.step(M.S.new_zeros(M.n_samples), -math.inf)
    # The last signal is the likeliest; a run that was stopped may have ended in a poor start.
    run.result = "best" if run.stopped else "last"
    return run.recovery()


def _level(S: torch.Tensor, W: Scalogram, sigma: float | None, noise: str) -> float:
    """Find the deviation of the noise; 0 where nothing tells it, or W is none for `Noisy`."""
    if not applies_to(W):
        return 0.0
    return noise_level(S, W, model=noise) if sigma is None else sigma


def _stages(cleaned: torch.Tensor | None, seed: int) -> list[Stage]:
    """List the stages: a start and a polish, and before them the same from a denoised S."""
    polish = Stage("polish", _polish, POLISH_ITERATIONS)
    start = functools.partial(integrate_and_correct, seed=seed)
    stages = [Stage("phase gradient", start, 30), polish]
    if cleaned is None:
        return stages
    denoised = functools.partial(_integrate_denoised, cleaned=cleaned, seed=seed)
    return [Stage("phase gradient, denoised", denoised, 30), polish, *stages]


def _more_stages(S: torch.Tensor, W: Scalogram, seed: int) -> list[Stage]:
    """List what may help between start and polish where S is exact."""
    if not W.is_log_uniform:
        return []
    stages: list[Stage] = []
    if W.voices_per_octave < SPARSE_VOICES and is_liftable(M := Measured(S, W)):
        stages = completed_stages(M, seed)
    return [*stages, Stage("slips undone", undo_slips, TURNS)]


def _other_start(seed: int) -> list[Stage]:
    """List stages for a scalogram that no signal has: its best fit need not have its phase."""
    from_noise = functools.partial(
        alternate, iterate=fast, init="random", seed=seed, n_iter=ALTERNATIONS
    )
    return [
        Stage("fast Griffin-Lim", from_noise, ALTERNATIONS),
        Stage("polish", _polish, POLISH_ITERATIONS),
    ]


def _integrate_denoised(
    S: torch.Tensor, W: Scalogram, run: Run, *, cleaned: torch.Tensor, seed: int
) -> None:
    """Carry out the stage: integrate the phase of the denoised S; the fit is that to S."""
    integrate_and_correct(cleaned, W, run, seed=seed, given=S)


def _polish(S: torch.Tensor, W: Scalogram, run: Run) -> None:
    """Carry out the stage: L-BFGS in variables in which W is a tight frame, until it stalls."""
    objective = Objective(S, lambda u: W.modulus(W.coefficients(W.whiten(u))), "l2")
    fits: list[float] = []

    def step(u: torch.Tensor, fit: float) -> bool:
        fits.append(fit)
        stalled = len(fits) > POLISH_PATIENCE and fits[-1 - POLISH_PATIENCE] - fit < STALLED_DB
        return run.step(W.whiten(u), fit) or fit < GOAL_DB or stalled

    descend_lbfgs(objective, W.unwhiten(run.x), POLISH_ITERATIONS, step, precondition=False)
