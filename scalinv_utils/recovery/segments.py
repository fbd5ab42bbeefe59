"""Recover sounds of any length slice by slice, in the memory of one slice and of the sound.

A smooth window w_k cuts slice k out of the sound; the windows overlap and add up to 1. The data are
the scalograms of all slices (the *sliced* transform of Holighaus, Doerfler, Velasco and Grill 2013,
doi:10.1109/TASL.2012.2234114, arXiv:1210.0084). Each slice is recovered alone, up to a rotation of
its own:

    y_k = Re exp(i theta_k) (w_k x)_+         (.)_+ the analytic signal

Where two slices overlap, both hold the same piece of x, under two windows: u = w_{k+1} (w_k x)_+
and v = w_k (w_{k+1} x)_+ agree except for the part that the windows smear across 0 Hz. So well
above 0 Hz, with a weight g there, the angle between the two rotations is that of

    sum_f  g(f) conj(V(f)) U(f)

Turned by it, the slices add up to the sound, up to the one rotation of the first slice, but for
what the windows carry over the edges of the band of W. That is the first guess; then all rotations
and the sound are found together, so that each slice is accounted for (`_joints`).
"""

import math
from collections.abc import Callable, Iterable, Iterator

import torch
from numpy.typing import ArrayLike

from .._band import check_heard, on_grid, restricted
from .._levels import norm, unit
from .._tensors import double
from .._validation import (
    check_callable,
    check_count,
    check_flag,
    check_instance,
    check_numbers,
    check_signal,
)
from ..metrics import Level, analytic, decibels
from ..transforms.long import rise
from ..transforms.scalogram import Scalogram
from ._interrupts import BAR_AFTER, Bar, interruptible, kept
from ._joints import Cutting, joined
from ._members import together
from ._pipeline import recover
from ._result import Recovery
from ._stages import Callback, Run

__all__ = ["Slices"]

# Two slices are compared above about this many times the lowest centre frequency.
CLEAR = 4.0

# Steps that find sound and rotations together.
JOINING_STEPS = 6


class Slices:
    """Cut sounds into overlapping slices of W.n_samples samples, and recover them from scalograms.

    Parameters
    ----------
    W : Scalogram
        The transform of one slice.
    overlap : int, optional
        Number of samples that two neighbours share, at most half of a slice; by default a quarter.
        The longest wavelet should be shorter.

    Attributes
    ----------
    hop : int
        Number of samples from the start of one slice to that of the next.
    window : Tensor, shape (W.n_samples,)
        The window rises over `overlap` samples, stays at 1, and falls again.

    Raises
    ------
    ValueError, TypeError
        If the overlap is no whole number between 1 and half of a slice.

    Examples
    --------
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=32, f_min=800)
    >>> slices, x = Slices(W), signals.linear_chirp(500, 8000, 1500, 3000)
    >>> y = slices.recover(slices.magnitude(x), 500).signal
    >>> slices.count(500), metrics.waveform_error_db(y, slices.project(x)) < -30
    (3, True)
    """

    def __init__(self, W: Scalogram, *, overlap: int | None = None) -> None:
        check_instance(W, Scalogram, "W")
        overlap = W.n_samples // 4 if overlap is None else check_count(overlap, "overlap")
        if overlap > W.n_samples // 2:
            raise ValueError(
                f"overlap must be at most half of a slice, {W.n_samples // 2} samples, "
                f"got {overlap}"
            )
        self.W, self.overlap, self.hop = W, overlap, W.n_samples - overlap
        # The window is so smooth that the part that it adds beyond the band of x is below -100 dB.
        edge = rise(overlap)
        self.window = torch.cat([edge, torch.ones(self.hop - overlap), edge.flip(0)])
        f = torch.fft.fftfreq(overlap, 1 / W.sample_rate, dtype=torch.float64).clamp_min(0)
        lowest = float(W.frequencies[W.frequencies > 0].min())
        self._far_from_zero = 1 - torch.exp(-((f / (CLEAR * lowest)) ** 4))

    def count(self, n_samples: int) -> int:
        """Count the slices of a sound of `n_samples` samples."""
        return math.ceil((check_count(n_samples, "n_samples") + self.overlap) / self.hop)

    def project(self, x: ArrayLike) -> torch.Tensor:
        """Restrict x to the band that W sees, which is the part that can be recovered.

        Parameters
        ----------
        x : real array, shape (n_samples,)

        Returns
        -------
        real Tensor, shape (n_samples,)
        """
        x = self._check(x)
        return restricted(x, self._band(len(x)))

    def _band(self, n_samples: int) -> torch.Tensor:
        """Mark the DFT bins of a sound that W sees."""
        return on_grid(self.W.band, self.W.n_samples, n_samples)

    def _cutting(self, n_samples: int) -> Cutting:
        """Describe how a sound is cut into slices."""
        bands = self._band(n_samples), self.W.band.cpu()
        return Cutting(self.window, self.hop, self.count(n_samples), n_samples, *bands)

    def split(self, x: ArrayLike) -> Iterator[torch.Tensor]:
        """Generate the slices w_k x in the band of W, each of shape (W.n_samples,).

        Parameters
        ----------
        x : real array, shape (n_samples,)
            A sound of any length. Silence is put before and after it.
        """
        x = self._check(x)
        for k in range(self.count(len(x))):
            first = k * self.hop - self.overlap
            part = x[max(first, 0) : first + len(self.window)]
            before = max(-first, 0)
            after = len(self.window) - before - len(part)
            yield self.W.project(self.window * torch.nn.functional.pad(part, (before, after)))

    def magnitude(self, x: ArrayLike) -> Iterator[torch.Tensor]:
        """Generate the scalogram of each slice, shape W.shape, one at a time.

        Parameters
        ----------
        x : real array, shape (n_samples,)
            A sound of any length.

        Raises
        ------
        ValueError, TypeError
            If x is bad, or next to none of its energy is in the band of W; a single slice may lack
            energy there.
        """
        x = self._check(x)
        check_heard(x, self._band(len(x)), self.W.sample_rate, "x")
        return (self.W.modulus(self.W.coefficients(part)) for part in self.split(x))

    def recover(
        self,
        scalograms: Iterable[ArrayLike],
        n_samples: int,
        *,
        method: Callable[..., Recovery] = recover,
        callback: Callback | None = None,
        progress: bool = True,
    ) -> Recovery:
        """Recover the sound behind the scalograms of its slices.

        Parameters
        ----------
        scalograms : iterable of real arrays, each of shape W.shape
            The scalograms in order. Only one is held at a time, so that a generator saves memory.
        n_samples : int
            Length of the sound.
        method : callable
            ``method(S, W, progress=False)`` returns the Recovery of one slice.
        callback : callable, optional
            Called as ``callback(k, x, consistency_db)`` after slice k (from 0), with a copy of the
            whole sound as far as it is known. A true return value stops.
        progress : bool
            Show a progress bar on work longer than two seconds.

        Returns
        -------
        Recovery
            The signal is float64 and on the CPU. While the last steps put the slices together, it
            takes about 200 bytes per sample. ``consistency_db`` is that of all slices together.
            ``history`` has the consistency of each slice and the time after it. ``details`` has
            "links_db", the level of each slice's overlap with the slice before, relative to the
            slice: where it is very low (a pause), the phase of the later part relative to the
            earlier one is not determined.

        Raises
        ------
        ValueError, TypeError
            If scalograms do not fit W, or there are too few or too many of them.
        """
        check_callable(method, "method", "a function of (S, W) with progress=False")
        check_instance(scalograms, Iterable, "scalograms")
        progress = check_flag(progress, "progress")
        sound = _Sound(self, n_samples, Run("slices", callback))
        with interruptible(sound.so_far):
            for k, S in enumerate(self._counted(scalograms, n_samples, progress)):
                try:
                    result = method(S, self.W, progress=False)
                except KeyboardInterrupt as interrupt:
                    if part := kept(interrupt):
                        sound.run.callback = None
                        sound.add(k, S, part)
                    raise
                if sound.add(k, S, result):
                    return sound.recovery()
            return sound.recovery(sound.joined(progress))

    @staticmethod
    def _check(x: ArrayLike) -> torch.Tensor:
        """Check that x is one signal, and return it in double precision on the CPU."""
        return double(check_signal(x, name="x", ndim=1)).cpu()

    def _counted(
        self, scalograms: Iterable[ArrayLike], n_samples: int, progress: bool
    ) -> Iterator[ArrayLike]:
        """Generate the scalograms, and refuse too few and too many."""
        expected, k = self.count(n_samples), -1
        if progress:
            scalograms = Bar(scalograms, total=expected, unit="slice", delay=BAR_AFTER)
        for k, S in enumerate(scalograms):
            if k == expected:
                break
            yield S
        if k + 1 != expected:
            raise ValueError(
                f"scalograms must hold {expected} slices for {n_samples} samples, "
                f"got {'more' if k == expected else k + 1}"
            )

    def _turn(self, z: torch.Tensor, before: torch.Tensor | None) -> tuple[torch.Tensor, float]:
        """Turn analytic slice z like the one before; return it and their shared level."""
        if before is None:
            return z, 0.0
        loudness = unit(z)  # of both, so that their product neither under- nor overflows
        rise, fall = self.window[: self.overlap] / loudness, self.window[-self.overlap :] / loudness
        u = torch.fft.fft(rise * before[-self.overlap :])
        v = torch.fft.fft(fall * z[: self.overlap])
        shared = torch.vdot(v, self._far_from_zero * u) / self.overlap
        if self.W.lowpass is not None:
            shared = shared.real.to(z.dtype)  # a lowpass leaves a sign and no rotation
        level = decibels(shared.abs().sqrt() / (z / loudness).norm()) if z.any() else -math.inf
        return z * (torch.sgn(shared) if shared != 0 else 1), level


class _Sound:
    """A sound that is put together slice by slice, in a run of its own."""

    def __init__(self, slices: Slices, n_samples: int, run: Run) -> None:
        self.slices, self.n_samples, self.run = slices, n_samples, run
        self.links: list[float] = []
        self.norms: list[float] = []
        n_padded = slices.count(n_samples) * slices.hop + slices.overlap
        self._padded = torch.zeros(n_padded, dtype=torch.float64)
        self._before: torch.Tensor | None = None
        # One block: small ones between those of a method's work would keep its memory in pieces.
        self._parts = torch.empty(slices.count(n_samples), slices.W.n_samples, dtype=torch.float64)

    def add(self, k: int, S: ArrayLike, result: Recovery) -> bool:
        """Add slice k, turned like the one before; return whether the run is to stop."""
        fit = _fit(result)
        turned, link = self.slices._turn(analytic(double(result.signal).cpu()), self._before)
        self.links.append(link)
        self.norms.append(float(norm(double(check_numbers(S, "S")))))
        self._padded[k * self.slices.hop :][: len(turned)] += turned.real
        self._before = turned
        self._parts[k] = turned.real
        return self.run.step(self._sum(), fit, grows=True)

    def _sum(self) -> torch.Tensor:
        return self._padded[self.slices.overlap :][: self.n_samples]

    def joined(self, progress: bool) -> torch.Tensor:
        """Find the sound and all rotations together."""
        steps: Iterable[int] = range(JOINING_STEPS)
        if progress:
            steps = Bar(steps, desc="joints", unit="step", delay=BAR_AFTER, leave=False)
        cutting, turning = self.slices._cutting(self.n_samples), self.slices.W.lowpass is None
        return self.slices.project(joined(self._parts, cutting, turning, steps))

    def recovery(self, x: torch.Tensor | None = None) -> Recovery:
        """Make the Recovery; its fit is that of all slices together."""
        recovery = self._judged(self.run.recovery())
        recovery.signal = recovery.signal if x is None else x
        return recovery

    def so_far(self) -> Recovery | None:
        """Make the Recovery of the slices before an interrupt; None if there are none."""
        recovery = self.run.so_far()
        return recovery and self._judged(recovery)

    def _judged(self, recovery: Recovery) -> Recovery:
        recovery.consistency_db = self._fit()
        recovery.details["links_db"] = self.links[1 : len(recovery.history["consistency_db"])]
        return recovery

    def _fit(self) -> Level:
        """Compute the fit of the slices so far together."""
        fits = self.run.history["consistency_db"]
        return together(fits, self.norms[: len(fits)])


def _fit(result: Recovery) -> float:
    """Return the consistency of a slice's recovery, and refuse a recovery without one."""
    if not isinstance(result, Recovery) or result.consistency_db is None:
        raise TypeError(f"method must return a Recovery with a consistency, got {result!r}")
    return result.consistency_db
