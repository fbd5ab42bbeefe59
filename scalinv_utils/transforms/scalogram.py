"""Scalogram: a differentiable wavelet transform with its adjoint and its exact inverse.

Everything here happens in the Fourier domain. A wavelet at scale s is the row
psi_hat(s w) of a filter bank, sampled on the DFT grid, so that for a real signal x with DFT X

    analysis   (W x)_j  = IDFT( psi_hat(s_j w) X )
    adjoint     W* c    = Re IDFT( sum_j conj(psi_hat(s_j w)) DFT(c_j) )
    W*W         multiplies X by  D(w) = (1/2) sum_j |psi_hat(s_j w)|^2 + |psi_hat(-s_j w)|^2
    dual        x       = D^{-1} W* c     wherever D does not vanish

W*W is diagonal, so its inverse costs one division: the canonical dual frame needs no iteration.
"""

from functools import cached_property

import numpy as np
import torch
from torch import nn

from .._validation import (
    check_choice,
    check_coefficients,
    check_count,
    check_magnitudes,
    check_positive,
    check_signal,
)
from . import _wavelets
from ._filter_bank import Bank, analyse, modulus, plain, synthesise, turned

__all__ = ["Scalogram"]

LOWPASS = (None, "modulus", "signed")

# A DFT bin belongs to the analysed band when the filters together pass at least this share of
# the power that they pass at best. It bounds the frame's condition number B/A.
BAND_FLOOR = 1e-3

# By default the lowest wavelet's duration, this many standard deviations, fits into the signal.
DURATIONS = 8.0

MIN_SAMPLES = 16

# A response below this share of the best one is taken for zero.
NOTHING = 1e-20


class Scalogram(nn.Module):
    """Wavelet transform of real signals, periodic in time, one coefficient per sample and row.

    Parameters
    ----------
    n_samples : int
        Length of the signals, at least 16 (32 or so with the f_min of default).
    sample_rate : float
        In Hz.
    wavelet : str or (str, dict)
        "gmw" (generalised Morse, gamma 3, beta 60: ssqueezepy's default), "cauchy" (Morse with
        gamma 1, beta 30), "morlet", or (name, {parameters}) as ``ssqueezepy.Wavelet`` takes them.
    voices_per_octave : int
        Rows per octave.
    f_min, f_max : float, optional
        Lowest and highest centre frequency in Hz. By default the Nyquist frequency and the
        frequency whose wavelet still fits into the signal (8 standard deviations in time).
    lowpass : None, "modulus" or "signed"
        Add a last row (frequency 0) that fills what the wavelets leave open below their band.
        "modulus" keeps only its modulus in the scalogram, "signed" keeps its sign as kymatio's
        order 0 does. Either one breaks the rotation x -> Re(exp(i theta) x_analytic).

    Attributes
    ----------
    frequencies : Tensor, shape (n_freqs,)
        Centre (peak) frequencies in Hz, descending.
    scales : Tensor, shape (n_freqs,)
        The same as scales in ssqueezepy's convention, in samples.
    filters : Tensor, shape (n_freqs, n_bins)
        Frequency responses in ssqueezepy's normalisation: Morse wavelets peak at 2, so that a
        unit cosine gives modulus 1 at its own frequency (morlet peaks at 1.883). n_bins is
        n_samples // 2 + 1 when no filter passes negative frequencies.
    band : Tensor of bool, shape (n_samples // 2 + 1,)
        The non-negative DFT bins that the filters see: those where they pass at least a
        thousandth of their best power. Neither 0 Hz (unless there is a lowpass) nor the Nyquist
        frequency belongs to it: they have no Hilbert partner.

    Raises
    ------
    ValueError, TypeError
        A parameter out of range; the message names it, what it got and what it takes.

    Notes
    -----
    Filters come from ssqueezepy; rows of W agree with ``ssqueezepy.cwt(x, padtype=None)``.
    float64 unless converted (``.float()``). Frames and duals: Mallat, A Wavelet Tour of Signal
    Processing, 3rd ed. (2009), section 5.1. Morse wavelets: Lilly and Olhede (2009),
    doi:10.1109/TSP.2008.2007607.
    """

    def __init__(
        self,
        n_samples,
        sample_rate=1.0,
        *,
        wavelet="gmw",
        voices_per_octave=16,
        f_min=None,
        f_max=None,
        lowpass=None,
    ):
        super().__init__()
        self.n_samples = check_count(n_samples, "n_samples", MIN_SAMPLES)
        self.sample_rate = float(check_positive(sample_rate, "sample_rate"))
        self.voices_per_octave = check_count(voices_per_octave, "voices_per_octave")
        self.lowpass = check_choice(lowpass, LOWPASS, "lowpass")
        self.wavelet = _wavelets.named(wavelet)
        psi = self._psi
        self.peak = _wavelets.peak_frequency(psi)
        frequencies = self._frequency_grid(psi, f_min, f_max)
        scales = self.peak * self.sample_rate / (2 * np.pi * frequencies)
        filters = _filter_bank(psi, scales, self.n_samples, self.lowpass is not None)
        if self.lowpass:
            frequencies, scales = np.append(frequencies, 0.0), np.append(scales, np.inf)
        for name, value in (("frequencies", frequencies), ("scales", scales), ("filters", filters)):
            self.register_buffer(name, torch.tensor(value))
        self._register_frame_operator()
        self._laid_out = None

    def extra_repr(self):
        name, parameters = self.wavelet
        lowest, highest = self.frequencies[self.frequencies > 0].aminmax()
        return (
            f"{name} {parameters}, {self.n_freqs} x {self.n_samples}, "
            f"{lowest:.4g} to {highest:.4g} Hz at {self.sample_rate:g} Hz, "
            f"{self.voices_per_octave} voices per octave, lowpass={self.lowpass!r}"
        )

    # -- the transform -------------------------------------------------------------------------

    def forward(self, x):
        """Complex coefficients of a real signal.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        complex Tensor, shape (..., n_freqs, n_samples)
        """
        return self.coefficients(self.check_signal(x))

    def coefficients(self, x, out=None):
        """W x without looking at x first: for inner loops and for ``torch.func``.

        `out`, a complex Tensor that nobody needs any more, may be where the result is put; only
        where nothing is differentiated.
        """
        return analyse(x, self._bank) if out is None else self._bank.analyse(x, out)

    def magnitude(self, x):
        """The scalogram |W x|, shape (..., n_freqs, n_samples); units of x.

        The row of a "signed" lowpass keeps its sign. The gradient at a zero of W x is zero.
        """
        return self.modulus(self(x))

    def modulus(self, c):
        """|c|, but for the row of a "signed" lowpass, which keeps its sign."""
        if self.lowpass != "signed":
            return modulus(c)
        return torch.cat([modulus(c[..., :-1, :]), c[..., -1:, :].real], dim=-2)

    def impose(self, S, c, out=None):
        """The coefficients with modulus S and the phase of c: S c/|c| (S where c is zero).

        Tensors of shape (..., n_freqs, n_samples). Like `coefficients` it does not look at its
        input first (`check_scalogram` does) and may put its result into `out`, which may be c.
        """
        if self.lowpass != "signed" and S.shape == c.shape and plain(S, c):
            return turned(S.to(self.filters.dtype), c, modulus(c), at_zero=1.0, out=out)
        phase = torch.where(c == 0, torch.ones_like(c), torch.sgn(c))
        if self.lowpass == "signed":
            phase = torch.cat([phase[..., :-1, :], torch.ones_like(phase[..., -1:, :])], dim=-2)
        return S * phase

    def adjoint(self, c):
        """W* c, the real signal with Re<W x, c> = <x, W* c> for every real x.

        Parameters
        ----------
        c : complex array, shape (..., n_freqs, n_samples)

        Returns
        -------
        real Tensor, shape (..., n_samples)
        """
        return synthesise(self._check_coefficients(c), self._bank)

    def inverse(self, c):
        """Real signal by the canonical dual frame, (W*W)^{-1} W* c on the analysed band.

        ``inverse(W(x)) == project(x)`` to rounding; for any other c it is the least-squares fit.

        Parameters
        ----------
        c : complex array, shape (..., n_freqs, n_samples)

        Returns
        -------
        real Tensor, shape (..., n_samples)
        """
        return self._multiply(self.adjoint(c), self._inverse_gain)

    def refit(self, S, x):
        """The signal closest to having modulus S and the phase of W x: one step of Griffin-Lim.

        ``inverse(impose(S, coefficients(x)))`` without any array of the size of S. S of shape
        (..., n_freqs, n_samples), x of shape (..., n_samples); not checked first.
        """
        if self.lowpass == "signed" or not plain(S, x):
            return self.inverse(self.impose(S, self.coefficients(x)))
        return self._multiply(self._bank.refit(S.to(self.filters.dtype), x), self._inverse_gain)

    def project(self, x):
        """x restricted to the band that the filters see, shape (..., n_samples)."""
        return self._multiply(self.check_signal(x), self.band.to(self.gain.dtype))

    def whiten(self, x):
        """(W*W)^{-1/2} x on the band: W after it is a tight frame with bound 1."""
        return self._multiply(self.check_signal(x), self._inverse_gain.sqrt())

    def unwhiten(self, x):
        """(W*W)^{1/2} x on the band, the inverse of `whiten` there."""
        return self._multiply(self.check_signal(x), torch.where(self.band, self.gain, 0.0).sqrt())

    # -- what is known about it ----------------------------------------------------------------

    @property
    def n_freqs(self):
        return self.filters.shape[0]

    @property
    def shape(self):
        """(n_freqs, n_samples): the last two axes of a scalogram."""
        return self.n_freqs, self.n_samples

    @property
    def frame_bounds(self):
        """(A, B) with A ||x||^2 <= ||W x||^2 <= B ||x||^2 for every x in the band."""
        gain = self.gain[self.band]
        return float(gain.min()), float(gain.max())

    @property
    def _psi(self):
        return _wavelets.response(self.wavelet)

    def ssqueezepy_wavelet(self, dtype="float64"):
        """Make the `ssqueezepy.Wavelet` that these rows are sampled from."""
        return _wavelets.ssqueezepy_wavelet(self.wavelet, dtype)

    @property
    def is_cauchy(self):
        """Whether each scalogram samples one analytic function of the upper half-plane."""
        name, parameters = self.wavelet
        return name in _wavelets.MORSE and parameters["gamma"] == 1

    @cached_property
    def time_bandwidth(self):
        """P^2 = -d^2 log psi_hat / d(log w)^2 at the peak: beta gamma for Morse wavelets."""
        psi, h = self._psi, 1e-3
        left, centre, right = np.log(psi(self.peak * np.exp([-h, 0.0, h])))
        return float((2 * centre - left - right) / h**2)

    @cached_property
    def time_spread(self):
        """Standard deviation in time of |psi|^2, in periods of the centre frequency."""
        return _wavelets.time_spread(self._psi, self.peak)

    def response(self, frequency):
        """What each wavelet row answers to a unit cosine at `frequency` Hz, shape (n_freqs,)."""
        psi = self._psi
        wavelets = self.frequencies > 0
        angular = self.scales[wavelets] * (2 * np.pi * frequency / self.sample_rate)
        response = torch.zeros_like(self.frequencies)
        response[wavelets] = torch.from_numpy(psi(angular.cpu().numpy()) / 2).to(response)
        return response

    # -- construction --------------------------------------------------------------------------

    def _frequency_grid(self, psi, f_min, f_max):
        """Centre frequencies in Hz from f_max down to f_min, V to the octave."""
        nyquist = self.sample_rate / 2
        lowest = DURATIONS * self.time_spread * self.sample_rate / self.n_samples
        f_max = nyquist if f_max is None else float(check_positive(f_max, "f_max"))
        f_min = lowest if f_min is None else float(check_positive(f_min, "f_min"))
        if f_max > nyquist * (1 + 1e-12):
            raise ValueError(
                f"f_max must be at most the Nyquist frequency {nyquist:g} Hz, got {f_max:g} Hz"
            )
        if f_min >= f_max:
            raise ValueError(
                f"f_min must be below f_max = {f_max:g} Hz, got {f_min:.4g} Hz "
                f"(by default the lowest frequency whose wavelet fits into "
                f"n_samples = {self.n_samples})"
            )
        steps = np.arange(int(self.voices_per_octave * np.log2(f_max / f_min) + 1e-9) + 1)
        return f_max * 2.0 ** (-steps / self.voices_per_octave)

    def _register_frame_operator(self):
        """The diagonal D of W*W over the non-negative bins, and where it can be inverted."""
        n_bins = self.n_samples // 2 + 1
        power = torch.zeros(self.n_samples, dtype=self.filters.dtype)
        power[: self.filters.shape[-1]] = self.filters.square().sum(0)
        gain = (power[:n_bins] + power[-torch.arange(n_bins) % self.n_samples]) / 2
        band = gain >= BAND_FLOOR * gain.max()
        if self.n_samples % 2 == 0:
            band[-1] = False
        if not (gain[band] > 0).any():
            raise ValueError(
                f"f_min and f_max must leave room for a DFT frequency (a multiple "
                f"of {self.sample_rate / self.n_samples:.4g} Hz), got rows "
                f"from {self.frequencies[-1]:.4g} to {self.frequencies[0]:.4g} Hz"
            )
        self.register_buffer("gain", gain)
        self.register_buffer("band", band)

    @property
    def _bank(self):
        """The filters laid out for the inner loop; anew after a change of type or device."""
        if self._laid_out is None or self._laid_out.filters is not self.filters:
            self._laid_out = Bank(self.filters, self.n_samples)
        return self._laid_out

    def __getstate__(self):
        """Copies and pickles go without the buffers of the inner loop."""
        return {**self.__dict__, "_laid_out": None}

    @property
    def _inverse_gain(self):
        return torch.where(self.band, 1 / self.gain.clamp_min(torch.finfo(self.gain.dtype).tiny), 0)

    def _multiply(self, x, response):
        """Filter a real signal by a real response over the non-negative DFT bins."""
        return torch.fft.irfft(torch.fft.rfft(x) * response, n=self.n_samples)

    # -- bad input -----------------------------------------------------------------------------

    def check_signal(self, x):
        """x as a Tensor of this transform's dtype and device, if it can be a signal of it.

        Raises
        ------
        TypeError
            Complex or not numeric.
        ValueError
            NaN or infinite entries, or a last axis that is not n_samples long.
        """
        x = check_signal(x, name="x").to(self.filters)
        if x.shape[-1] != self.n_samples:
            raise ValueError(
                f"x must have n_samples = {self.n_samples} on its last axis, "
                f"got shape {tuple(x.shape)}"
            )
        return x

    def _check_coefficients(self, c):
        c = check_coefficients(c, self.shape)
        return c.to(self.filters.device, self.filters.dtype.to_complex())

    def check_scalogram(self, S, name="S"):
        """S as a Tensor of this transform's dtype and device, if it can be a scalogram of it.

        Raises
        ------
        TypeError
            Complex or not numeric.
        ValueError
            NaN, infinite or negative entries (the row of a "signed" lowpass may be negative),
            or a shape that is not (..., n_freqs, n_samples).
        """
        n_signed = int(self.lowpass == "signed")
        return check_magnitudes(S, self.shape, name, n_signed).to(self.filters)


def _filter_bank(psi, scales, n_samples, with_lowpass):
    """Rows psi_hat(s w); the negative bins are left out when no filter reaches them."""
    w = 2 * np.pi * np.fft.fftfreq(n_samples)
    n_bins = n_samples // 2 + 1
    w[n_samples // 2] = abs(w[n_samples // 2])
    rows = psi(np.outer(scales, w))
    if n_samples % 2 == 0:
        # Half of the Nyquist bin belongs to negative frequencies (as in ssqueezepy's cwt).
        rows[:, n_samples // 2] /= 2
    # What no arithmetic of ours can tell from zero is zero: it costs time, most of all where it
    # is too small for a normal number of single precision.
    rows[np.abs(rows) < NOTHING * np.abs(rows).max()] = 0
    if with_lowpass:
        return np.vstack([rows, _lowpass(rows, n_bins)])
    leaks = np.abs(rows[:, n_bins:]).max(initial=0) > np.finfo(float).eps * np.abs(rows).max()
    return rows if leaks else rows[:, :n_bins]


def _lowpass(rows, n_bins):
    """The even response that lifts the frame operator to its plateau below the band."""
    gain = (rows**2).sum(0)[:n_bins] / 2
    edge = int(np.argmax(gain > 0.5 * gain.max()))
    plateau = int(np.argmax(gain[: 2 * edge]))
    half = np.sqrt((gain[plateau] - gain) * (np.arange(n_bins) < plateau))
    n_negative = rows.shape[1] - n_bins
    return np.concatenate([half, half[1 : n_negative + 1][::-1]])
