"""Sounds of any length, slice by slice: what recover() needs grows with a slice, not with the sound.

A smooth window w_k cuts slice k out of the sound; the windows overlap and add up to 1. What is kept
of the sound is the scalogram of each slice (the *sliced* transform of Holighaus, Doerfler, Velasco
and Grill 2013, doi:10.1109/TASL.2012.2234114, arXiv:1210.0084). Each comes back alone, up to a
rotation of its own:

    y_k = Re exp(i theta_k) (w_k x)_+         (.)_+ the analytic signal

Where two slices overlap both hold the same piece of x, under two windows: u = w_{k+1} (w_k x)_+
and v = w_k (w_{k+1} x)_+ agree but for what the windows smear across 0 Hz. So well above 0 Hz, with
a weight g there, the angle between the two rotations is that of

    sum_f  g(f) conj(V(f)) U(f)

Turned by it the slices add up to the sound, up to the one rotation of the first of them. What that
loses is what the windows carry over the edges of the band of W, and it shrinks with their length.
"""

import math

import torch
from tqdm.auto import tqdm

from .._validation import check_count, check_signal
from ..metrics import analytic, decibels
from ._pipeline import recover
from ._stages import Run

__all__ = ["Slices"]

# Two slices are compared above about so many times the lowest centre frequency.
CLEAR = 4.0


class Slices:
    """Overlapping slices of W.n_samples samples each, their scalograms, and the way back.

    Parameters
    ----------
    W : Scalogram
        The transform of one slice.
    overlap : int, optional
        Samples that two neighbours share, at most half of a slice; by default a quarter. The
        longest wavelet should be shorter.

    Attributes
    ----------
    hop : int
        Samples from the start of one slice to that of the next.
    window : Tensor, shape (W.n_samples,)
        Rises over `overlap` samples, stays at 1, and falls again.

    Raises
    ------
    ValueError, TypeError
        An overlap that is no whole number between 1 and half of a slice.

    Examples
    --------
    >>> slices = Slices(Scalogram(8192, 16000, "cauchy", 32, f_min=60))    # doctest: +SKIP
    >>> slices.recover(slices.magnitude(x), len(x)).signal                 # doctest: +SKIP
    """

    def __init__(self, W, *, overlap=None):
        overlap = W.n_samples // 4 if overlap is None else check_count(overlap, "overlap")
        if overlap > W.n_samples // 2:
            raise ValueError(
                f"overlap must be at most half of a slice, {W.n_samples // 2} samples, "
                f"got {overlap}"
            )
        self.W, self.overlap, self.hop = W, overlap, W.n_samples - overlap
        # Very smooth (Vorbis' window, squared): what it adds to the band of x is below -100 dB.
        t = (torch.arange(overlap, dtype=torch.float64) + 0.5) / overlap
        rise = torch.sin(math.pi / 2 * torch.sin(math.pi / 2 * t) ** 2) ** 2
        self.window = torch.cat([rise, torch.ones(self.hop - overlap), rise.flip(0)])
        f = torch.fft.fftfreq(overlap, 1 / W.sample_rate, dtype=torch.float64).clamp_min(0)
        lowest = float(W.frequencies[W.frequencies > 0].min())
        self._far_from_zero = 1 - torch.exp(-((f / (CLEAR * lowest)) ** 4))

    def count(self, n_samples):
        """How many slices a sound of so many samples has."""
        return math.ceil((check_count(n_samples, "n_samples") + self.overlap) / self.hop)

    def project(self, x):
        """x restricted to the band that W sees, shape (n_samples,): what can come back of it."""
        x, edges = self._check(x), torch.where(self.W.band)[0] / self.W.n_samples
        spectrum, f = torch.fft.rfft(x), torch.fft.rfftfreq(len(x), dtype=torch.float64)
        return torch.fft.irfft(spectrum * ((f >= edges[0]) & (f <= edges[-1])), n=len(x))

    def split(self, x):
        """Generate the slices w_k x in the band of W, each of shape (W.n_samples,).

        Parameters
        ----------
        x : real array, shape (n_samples,)
            Of any length. Silence is put before and after it.
        """
        x = self._check(x)
        for k in range(self.count(len(x))):
            first = k * self.hop - self.overlap
            part = x[max(first, 0) : first + len(self.window)]
            before = max(-first, 0)
            after = len(self.window) - before - len(part)
            yield self.W.project(self.window * torch.nn.functional.pad(part, (before, after)))

    def magnitude(self, x):
        """Generate the scalogram of each slice, shape W.shape, one at a time."""
        return (self.W.magnitude(part) for part in self.split(x))

    def recover(self, scalograms, n_samples, *, method=recover, callback=None, progress=True):
        """The sound behind the scalograms of its slices.

        Parameters
        ----------
        scalograms : iterable of real arrays, each of shape W.shape
            In order; only one is held at a time, so that a generator will do.
        n_samples : int
            Length of the sound.
        method : callable
            ``method(S, W, progress=False)`` returns the Recovery of one slice.
        callback : callable, optional
            ``callback(k, x, consistency_db)`` after slice k (from 0), x a copy of the whole sound
            as far as it is known; a true return value stops.
        progress : bool
            Show a progress bar on work longer than two seconds.

        Returns
        -------
        Recovery
            ``consistency_db``: that of all slices together. ``history``: consistency of each slice
            and time after it. ``details``: "links_db", how strong
            the overlap with the slice before is, relative to the slice: where it is very weak (a
            pause) the phase between what was before and what comes after is not determined.

        Raises
        ------
        ValueError, TypeError
            Scalograms that do not fit, or too few or too many of them.
        """
        run, links, energies, before = Run("slices", callback), [], [], None
        n_padded = self.count(n_samples) * self.hop + self.overlap
        sound = torch.zeros(n_padded, dtype=torch.float64)
        for k, S in enumerate(self._counted(scalograms, n_samples, progress)):
            result = method(S, self.W, progress=False)
            turned, link = self._turn(analytic(result.signal.double()), before)
            links.append(link)
            energies.append(float(torch.as_tensor(S).double().square().sum()))
            sound[k * self.hop :][: len(turned)] += turned.real
            before = turned
            if run.step(sound[self.overlap :][:n_samples], result.consistency_db):
                break
        recovery = run.recovery(links_db=links[1:])
        recovery.consistency_db = _together(recovery.history["consistency_db"], energies)
        return recovery

    @staticmethod
    def _check(x):
        x = check_signal(x, name="x").double()
        if x.ndim != 1:
            raise ValueError(f"x must be one signal, shape (n_samples,), got {tuple(x.shape)}")
        return x

    def _counted(self, scalograms, n_samples, progress):
        """The scalograms, as many as there should be."""
        expected, k = self.count(n_samples), -1
        bar = tqdm(scalograms, total=expected, unit="slice", delay=2, disable=not progress)
        for k, S in enumerate(bar):
            if k == expected:
                break
            yield S
        if k + 1 != expected:
            raise ValueError(
                f"scalograms must hold {expected} slices for {n_samples} samples, "
                f"got {'more' if k == expected else k + 1}"
            )

    def _turn(self, z, before):
        """Analytic slice z in the rotation of the one before, and the level of what they share."""
        if before is None:
            return z, 0.0
        rise, fall = self.window[: self.overlap], self.window[-self.overlap :]
        u = torch.fft.fft(rise * before[-self.overlap :])
        v = torch.fft.fft(fall * z[: self.overlap])
        shared = torch.vdot(v, self._far_from_zero * u) / self.overlap
        if self.W.lowpass is not None:
            shared = shared.real.to(z.dtype)  # a lowpass leaves a sign and no rotation
        level = decibels(shared.abs().sqrt() / z.norm()) if z.any() else -math.inf
        return z * (torch.sgn(shared) if shared != 0 else 1), level


def _together(levels, energies):
    """Combine the consistency of slices, each counted by the energy of its scalogram; in dB."""
    squares = [10 ** (level / 10) * energy for level, energy in zip(levels, energies)]
    return decibels((sum(squares) / (sum(energies) or 1.0)) ** 0.5)
