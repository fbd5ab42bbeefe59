"""Scalogram: a differentiable wavelet transform with its adjoint and its exact inverse.

All computations take place in the Fourier domain. A wavelet at scale s is the row psi_hat(s w) of a
filter bank, sampled on the DFT grid, so that for a real signal x with DFT X

    analysis   (W x)_j  = IDFT( psi_hat(s_j w) X )
    adjoint     W* c    = Re IDFT( sum_j conj(psi_hat(s_j w)) DFT(c_j) )
    W*W         multiplies X by  D(w) = (1/2) sum_j |psi_hat(s_j w)|^2 + |psi_hat(-s_j w)|^2
    dual        x       = D^{-1} W* c     wherever D does not vanish

W*W is diagonal in the Fourier domain, so that its inverse costs one division: the canonical dual
frame needs no iteration.
"""

import copy
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from .. import _band
from .._compiled import ssqueezepy
from .._tensors import like, require_single_or_double
from .._validation import (
    check_choice,
    check_coefficients,
    check_count,
    check_instance,
    check_labels,
    check_magnitudes,
    check_number,
    check_positive,
    check_signal,
)
from . import _rows, _wavelets
from ._filter_bank import Bank, analyse, imposed, modulus, synthesise
from ._painless import Painless

__all__ = ["Scalogram"]

Kind = TypeVar("Kind")

LOWPASS = (None, "modulus", "signed")

# A DFT bin belongs to the analysed band if the filters together pass at least this share of the
# power that they pass at their best bin. The share bounds the frame's condition number B/A.
BAND_FLOOR = 1e-3

# A wavelet is taken to last this many standard deviations; by default the lowest wavelet is the
# longest that still fits into the signal.
DURATIONS = 8.0

MIN_SAMPLES = 16

# No signal that fits into a memory has more octaves between its length and half its rate.
MOST_OCTAVES = 64

# A filter value below this share of the largest one is set to zero.
NEGLIGIBLE_RESPONSE = 1e-20


class Scalogram(nn.Module):
    """Wavelet transform of real signals, periodic in time, one coefficient per sample and row.

    Parameters
    ----------
    n_samples : int
        Length of the signals, at least 16 (about 32 with the default f_min).
    sample_rate : float
        Samples per second, in Hz.
    wavelet : str, (str, dict), ssqueezepy.Wavelet or callable
        "gmw" (generalised Morse, gamma 3, beta 60: ssqueezepy's default), "cauchy" (Morse with
        gamma 1, beta 30), "morlet", or (name, {parameters}) as ``ssqueezepy.Wavelet`` takes them.
        A callable is psi_hat at scale 1: angular frequencies in rad/sample, an array of any shape,
        to real responses. MATLAB's default, Morse (3, 60), is ("gmw", {"gamma": 3, "beta": 20}).
    voices_per_octave : int
        Rows per octave.
    f_min, f_max : float, optional
        Lowest and highest centre frequency in Hz. The default f_max is the Nyquist frequency;
        the default f_min is the lowest frequency whose wavelet still fits into the signal
        (8 standard deviations in time).
    lowpass : None, "modulus" or "signed"
        Add a last row (frequency 0) that covers the frequencies below the band of the wavelets.
        With "modulus" the scalogram keeps the modulus of this row, with "signed" its sign too, as
        kymatio's order 0 does. In both cases the rotation x -> Re(exp(i theta) x_analytic) changes
        the scalogram, which it does not without a lowpass.

    Attributes
    ----------
    frequencies : Tensor, shape (n_freqs,)
        Centre (peak) frequencies in Hz, descending (`from_frequencies` keeps the order given).
    scales : Tensor, shape (n_freqs,)
        The same as scales in ssqueezepy's convention, in samples.
    filters : Tensor, shape (n_freqs, n_bins)
        Frequency responses in ssqueezepy's normalisation: Morse wavelets peak at 2, so that a
        unit cosine gives modulus 1 at its own frequency (morlet peaks at 1.883). n_bins is
        n_samples // 2 + 1 if no filter passes negative frequencies, otherwise n_samples.
    gain : Tensor, shape (n_samples // 2 + 1,)
        The diagonal D of W*W over the non-negative DFT bins.
    band : Tensor of bool, shape (n_samples // 2 + 1,)
        True for the non-negative DFT bins that the filters see: those where they pass at least a
        thousandth of their best power. Neither 0 Hz (unless there is a lowpass) nor the Nyquist
        frequency belongs to the band: they have no Hilbert partner.
    angles : Tensor or None, shape of filters
        Phases of the responses in rad; None if all are real, as those of wavelets are.
    wavelet : (str, dict)
        The wavelet spelt out as (name, {parameters}); ("filters", {}) if there is none.
    peak : float
        Angular frequency, in radians per sample, where the wavelet of scale 1 peaks.
    voices_per_octave : int or float
        Rows per octave; for rows of one's own, the number of steps over the octaves they span.

    Raises
    ------
    ValueError, TypeError
        If a parameter is out of range; the message says which one, what it got and what it takes.

    Notes
    -----
    The filters come from ssqueezepy; rows of W agree with ``ssqueezepy.cwt(x, padtype=None)``.
    Results have the dtype and the device of the transform, whatever those of the input: float64 and
    the CPU unless it is converted (``.float()``, ``.to("cuda")``). For frames and duals see
    Mallat, A Wavelet Tour of Signal Processing, 3rd ed. (2009), section 5.1; for Morse wavelets
    Lilly and Olhede (2009), doi:10.1109/TSP.2008.2007607.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(256, 8000, wavelet="cauchy", voices_per_octave=8, f_min=500)
    >>> x = torch.cos(2 * torch.pi * 1000 * torch.arange(256).double() / 8000)
    >>> S = W.magnitude(x)
    >>> S.shape == (W.n_freqs, 256)
    True
    >>> loudest = S.mean(-1).argmax()
    >>> print(f"{W.frequencies[loudest]:.0f} Hz, modulus {S[loudest].mean():.3f}")
    1000 Hz, modulus 1.000
    >>> bool(torch.allclose(W.inverse(W(x)), x))
    True
    """

    __call__: Callable[[ArrayLike], torch.Tensor]  # torch types every module's call as Any
    frequencies: torch.Tensor
    scales: torch.Tensor
    filters: torch.Tensor
    gain: torch.Tensor
    band: torch.Tensor
    angles: torch.Tensor | None
    voices_per_octave: float

    def __init__(
        self,
        n_samples: int,
        sample_rate: float = 1.0,
        *,
        wavelet: _wavelets.WaveletLike = "gmw",
        voices_per_octave: int = 16,
        f_min: float | None = None,
        f_max: float | None = None,
        lowpass: Literal["modulus", "signed"] | None = None,
    ):
        self._begin(n_samples, sample_rate, _wavelets.understood(wavelet), lowpass)
        self.voices_per_octave = check_count(voices_per_octave, "voices_per_octave")
        self._sample_wavelet(self._frequency_grid(f_min, f_max), "f_min and f_max")

    @classmethod
    def from_frequencies(
        cls,
        n_samples: int,
        sample_rate: float = 1.0,
        *,
        frequencies: ArrayLike,
        wavelet: _wavelets.WaveletLike = "gmw",
    ) -> "Scalogram":
        """Make a transform whose rows have the centre frequencies given.

        Parameters
        ----------
        n_samples : int
            Length of the signals, at least 16.
        sample_rate : float
            Samples per second, in Hz.
        frequencies : real array, shape (n_freqs,)
            Centre (peak) frequencies in Hz, all ascending or all descending, in the order of the
            rows: linear, logarithmic, or anything between.
        wavelet : str, (str, dict), ssqueezepy.Wavelet or callable
            As for `Scalogram`.

        Returns
        -------
        Scalogram

        Raises
        ------
        ValueError, TypeError
            If the frequencies are not monotonic, not positive, or a wavelet at one of them passes
            no DFT bin; otherwise as `Scalogram`.

        Examples
        --------
        >>> W = Scalogram.from_frequencies(256, 8000, frequencies=range(500, 3500, 100))
        >>> W.shape, float(W.frequencies[0])
        ((30, 256), 500.0)
        """
        W = cls.__new__(cls)
        W._begin(n_samples, sample_rate, _wavelets.understood(wavelet), None)
        checked = _rows.check_frequencies(frequencies)
        W.voices_per_octave = _rows.voices_per_octave(checked)
        W._sample_wavelet(checked, "frequencies")
        heard = W.filters.any(1)
        if not heard.all():
            raise ValueError(
                "frequencies must be those of wavelets that pass a DFT frequency (a multiple of "
                f"{W.sample_rate / W.n_samples:.4g} Hz), got {W.frequencies[~heard][0]:.4g} Hz"
            )
        return W

    @classmethod
    def from_filters(
        cls,
        filters: ArrayLike,
        frequencies: ArrayLike,
        sample_rate: float = 1.0,
        *,
        n_samples: int | None = None,
    ) -> "Scalogram":
        """Make a transform from any bank of filters, c_j = IDFT(filters_j DFT(x)).

        Parameters
        ----------
        filters : real or complex array, shape (n_freqs, n_samples) or (n_freqs, n_samples // 2 + 1)
            Frequency responses on the DFT grid; the second shape means that no filter passes
            negative frequencies. Each row needs one filter that is not zero everywhere.
        frequencies : real array, shape (n_freqs,)
            Centre frequencies in Hz, monotonic, for pictures and for methods that need the order.
        sample_rate : float
            Samples per second, in Hz.
        n_samples : int, optional
            Length of the signals. Default: the number of bins, for two-sided filters.

        Returns
        -------
        Scalogram
            Its ``wavelet`` is ("filters", {}): the phase's gradient, which is known for wavelets,
            is not known for it.

        Raises
        ------
        ValueError, TypeError
            If shapes do not fit each other, or filters or frequencies are not finite.

        Examples
        --------
        >>> import torch
        >>> W = Scalogram(64)
        >>> same = Scalogram.from_filters(W.filters, W.frequencies, n_samples=64)
        >>> x = torch.arange(64).double().sin()
        >>> bool(torch.allclose(W.magnitude(x), same.magnitude(x)))
        True
        """
        filters, frequencies, n_samples = _rows.check_filters(filters, frequencies, n_samples)
        W = cls.__new__(cls)
        W._begin(n_samples, sample_rate, None, None)
        W.voices_per_octave = _rows.voices_per_octave(frequencies)
        scales = W.peak * W.sample_rate / (2 * np.pi * frequencies)
        W._register(frequencies, scales, _rows.without_empty_half(filters, W.n_samples), "filters")
        return W

    def like(
        self,
        n_samples: int | None = None,
        *,
        frequencies: ArrayLike | None = None,
        sample_rate: float | None = None,
    ) -> "Scalogram":
        """Make a transform with the same wavelet for another length, other rows or another rate.

        Parameters
        ----------
        n_samples : int, optional
            Length of its signals. Default: as here.
        frequencies : real array, optional
            Centre frequencies of its rows in Hz. Default: as here.
        sample_rate : float, optional
            Samples per second of its signals, in Hz. Default: as here.

        Returns
        -------
        Scalogram
            Without a lowpass, of the dtype and on the device of this one.

        Raises
        ------
        ValueError
            If this transform was made from filters.

        Examples
        --------
        >>> W = Scalogram(256, 8000)
        >>> W.like(512).shape == (W.n_freqs, 512)
        True
        """
        if self._psi is None:
            raise ValueError(
                "W must have a wavelet to be sampled on another grid, got a bank made from "
                "filters; make it anew by Scalogram.from_filters with filters on that grid"
            )
        own = self.frequencies[self.frequencies > 0]
        made = Scalogram.from_frequencies(
            self.n_samples if n_samples is None else n_samples,
            self.sample_rate if sample_rate is None else sample_rate,
            frequencies=own if frequencies is None else frequencies,
            wavelet=self._psi,
        )
        return made.to(self.filters.device, self.filters.dtype)

    def in_double(self, device: torch.device | str = "cpu") -> "Scalogram":
        """Return the transform in float64 on a device: itself if it is there, or else a copy."""
        there = self.filters.device == torch.device(device)
        if there and self.filters.dtype == torch.float64:
            return self
        # The device comes first: not every one has double precision.
        return copy.deepcopy(self).to(device).double()

    def _begin(
        self,
        n_samples: int,
        sample_rate: float,
        wavelet: tuple[_wavelets.Named, _wavelets.Response] | None,
        lowpass: str | None,
    ) -> None:
        """Keep what does not depend on the rows; without a wavelet the peak is one rad/sample."""
        super().__init__()
        self.n_samples = check_count(n_samples, "n_samples", MIN_SAMPLES)
        self.sample_rate = float(check_positive(sample_rate, "sample_rate"))
        self.lowpass = check_choice(lowpass, LOWPASS, "lowpass")
        self._psi: _wavelets.Response | None = None
        self.wavelet, self.peak = ("filters", {}), 1.0
        if wavelet is not None:
            self.wavelet, self._psi = wavelet
            self.peak = _wavelets.peak_frequency(self._psi)

    def _sample_wavelet(self, frequencies: np.ndarray, argument: str) -> None:
        """Sample the wavelet at the scales of these centre frequencies in Hz."""
        _rows.check_fits(len(frequencies), self.n_samples)
        scales = self.peak * self.sample_rate / (2 * np.pi * frequencies)
        filters = _filter_bank(self.psi, scales, self.n_samples, self.lowpass is not None)
        if self.lowpass:
            frequencies, scales = np.append(frequencies, 0.0), np.append(scales, np.inf)
        self._register(frequencies, scales, filters, argument)

    def _register(
        self, frequencies: np.ndarray, scales: np.ndarray, filters: np.ndarray, argument: str
    ) -> None:
        """Keep the rows, which an argument set; complex ones as modulus and angle."""
        angles = torch.tensor(np.angle(filters)) if np.iscomplexobj(filters) else None
        real = np.abs(filters) if angles is not None else filters
        for name, value in (("frequencies", frequencies), ("scales", scales), ("filters", real)):
            self.register_buffer(name, torch.tensor(value))
        self.register_buffer("angles", angles)
        self._register_frame_operator(argument)
        self._kept: dict[type, Any] = {}

    def extra_repr(self) -> str:
        """Describe the transform inside the parentheses of its ``repr``."""
        name, parameters = self.wavelet
        lowest, highest = self.frequencies[self.frequencies > 0].aminmax()
        return (
            f"{name} {parameters}, {self.n_freqs} x {self.n_samples}, "
            f"{lowest:.4g} to {highest:.4g} Hz at {self.sample_rate:g} Hz, "
            f"{self.voices_per_octave:.4g} voices per octave, lowpass={self.lowpass!r}"
        )

    # -- the transform -------------------------------------------------------------------------

    def forward(self, x: ArrayLike) -> torch.Tensor:
        """Compute the complex coefficients W x of a real signal; write ``W(x)``.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        complex Tensor, shape (..., n_freqs, n_samples)
        """
        return self.coefficients(self.check_signal(x))

    def coefficients(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute W x without checking x first, for inner loops and for ``torch.func``.

        The result may be written into `out`, a complex Tensor whose values are no longer needed.
        Pass `out` only where nothing is differentiated.
        """
        return analyse(x, self._bank) if out is None else self._bank.analyse(x, out)

    def magnitude(self, x: ArrayLike) -> torch.Tensor:
        """Compute the scalogram |W x|.

        The row of a "signed" lowpass keeps its sign. The gradient at a zero of W x is zero.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        real Tensor, shape (..., n_freqs, n_samples), in the units of x

        Raises
        ------
        ValueError, TypeError
            If x is bad (`check_signal`), or W hears next to nothing of it (`check_heard`).
        """
        x = self.check_signal(x)
        _band.check_heard(x, self.band, self.sample_rate, "x")
        return self.modulus(self.coefficients(x))

    def modulus(self, c: torch.Tensor) -> torch.Tensor:
        """Compute |c|; the row of a "signed" lowpass keeps its sign."""
        check_instance(c, torch.Tensor, "c")
        if self.lowpass != "signed":
            return modulus(c)
        return torch.cat([modulus(c[..., :-1, :]), c[..., -1:, :].real], dim=-2)

    def impose(
        self, S: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Give the coefficients c the modulus S: S c/|c|, and S where c is zero.

        S and c have the shape (..., n_freqs, n_samples) and are not checked first
        (`check_scalogram` does that). The result may be written into `out`, which may be c.

        Examples
        --------
        >>> W = Scalogram(64)
        >>> c = W(torch.arange(64).double().sin())
        >>> bool(torch.allclose(W.impose(2 * c.abs(), c), 2 * c))
        True
        """
        check_instance(S, torch.Tensor, "S")
        check_instance(c, torch.Tensor, "c")
        if self.lowpass != "signed":
            return imposed(S, c, out)
        moduli = imposed(S[..., :-1, :], c[..., :-1, :])
        return torch.cat([moduli, S[..., -1:, :].to(c)], dim=-2)

    def adjoint(self, c: ArrayLike) -> torch.Tensor:
        """Compute W* c, the real signal with Re<W x, c> = <x, W* c> for every real x.

        Parameters
        ----------
        c : complex array, shape (..., n_freqs, n_samples)

        Returns
        -------
        real Tensor, shape (..., n_samples)

        Examples
        --------
        >>> W, x = Scalogram(64), torch.arange(64).double().sin()
        >>> bool(torch.allclose(W(x).abs().square().sum(), x @ W.adjoint(W(x))))
        True
        """
        return synthesise(self._check_coefficients(c), self._bank)

    def inverse(self, c: ArrayLike) -> torch.Tensor:
        """Invert W by the canonical dual frame: (W*W)^{-1} W* c on the analysed band.

        ``inverse(W(x)) == project(x)`` to rounding. For coefficients c that no signal has, the
        result is the signal whose coefficients fit c best in least squares.

        Parameters
        ----------
        c : complex array, shape (..., n_freqs, n_samples)

        Returns
        -------
        real Tensor, shape (..., n_samples)
        """
        return self.precondition(self.adjoint(c))

    def precondition(self, x: torch.Tensor) -> torch.Tensor:
        """Compute (W*W)^{-1} x on the band, shape (..., n_samples); x is not checked first."""
        return self.filtered(x, self._inverse_gain)

    def project(self, x: ArrayLike) -> torch.Tensor:
        """Restrict x to the band that the filters see, shape (..., n_samples).

        Examples
        --------
        >>> W = Scalogram(64)
        >>> bool(W.project(torch.ones(64)).abs().max() < 1e-12)  # 0 Hz lies outside the band
        True
        """
        return _band.restricted(self.check_signal(x), self.band)

    def whiten(self, x: ArrayLike) -> torch.Tensor:
        """Compute (W*W)^{-1/2} x on the band: W applied to it is a tight frame with bound 1."""
        return self.filtered(self.check_signal(x), self._inverse_gain.sqrt())

    def unwhiten(self, x: ArrayLike) -> torch.Tensor:
        """Compute (W*W)^{1/2} x on the band, the inverse of `whiten` there."""
        return self.filtered(self.check_signal(x), torch.where(self.band, self.gain, 0.0).sqrt())

    def share_in_band(self, x: ArrayLike) -> Any:
        """Compute the share of the energy of x in the band: what a scalogram can tell of x.

        The mean of x does not count, unless a lowpass hears it. Silence has the share 1.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        float from 0 to 1 (a Tensor for a batch)

        Examples
        --------
        >>> W = Scalogram(256, 8000, f_min=1000)
        >>> t = torch.arange(256).double() / 8000
        >>> x = torch.cos(2 * torch.pi * 2000 * t) + 3 * torch.cos(2 * torch.pi * 250 * t)
        >>> round(W.share_in_band(x), 3)
        0.1
        """
        share = _band.shares(self.check_signal(x), self.band)[0]
        return share if share.ndim else float(share)

    def check_heard(self, x: ArrayLike, name: str = "x") -> None:
        """Refuse signals with next to no energy in the band; warn if nearly all lies outside.

        Parameters
        ----------
        x : real array, shape (..., n_samples)
        name : str
            Name that the caller gives this argument; the messages use it.

        Raises
        ------
        ValueError
            If less than a billionth of the energy (-90 dB) lies in the band, or so little that it
            consists of rounding errors. A method would then recover something else than x.

        Warns
        -----
        UserWarning
            If less than a hundredth of the energy (-20 dB) lies in the band. A signal that requires
            a gradient, which is sought and not given, gets no warning.

        Examples
        --------
        >>> W = Scalogram(256, 8000, f_min=1000)
        >>> W.check_heard(torch.cos(2 * torch.pi * 250 / 8000 * torch.arange(256)))
        Traceback (most recent call last):
            ...
        ValueError: x must have energy in the band of W, 843.75 to 3968.75 Hz, got ...
        """
        _band.check_heard(self.check_signal(x), self.band, self.sample_rate, name)

    # -- what is known about it ----------------------------------------------------------------

    @property
    def n_freqs(self) -> int:
        """Number of rows of a scalogram, a lowpass included."""
        return self.filters.shape[0]

    @property
    def shape(self) -> tuple[int, int]:
        """Lengths of the last two axes of a scalogram, (n_freqs, n_samples)."""
        return self.n_freqs, self.n_samples

    @property
    def frame_bounds(self) -> tuple[float, float]:
        """Frame bounds (A, B): A ||x||^2 <= ||W x||^2 <= B ||x||^2 for every x in the band."""
        gain = self.gain[self.band]
        return float(gain.min()), float(gain.max())

    @property
    def psi(self) -> _wavelets.Response:
        """The wavelet's response: angular frequencies at scale 1, in rad/sample, to real numbers.

        Raises
        ------
        ValueError
            If the transform was made from filters, which need not be those of one wavelet.
        """
        if self._psi is None:
            raise ValueError("W must have a wavelet, got a bank that was made from filters")
        return self._psi

    @property
    def has_wavelet(self) -> bool:
        """Whether the rows are one wavelet at several scales; False for `from_filters`."""
        return self._psi is not None

    @property
    def log_scales(self) -> np.ndarray:
        """Natural logarithms of the scales of the rows that are no lowpass, shape (n_rows,)."""
        scales = self.scales.detach().cpu().double().numpy()
        return np.log(scales[np.isfinite(scales)])

    @property
    def is_log_uniform(self) -> bool:
        """Whether the rows fall in frequency by one ratio, as those of ``Scalogram(...)`` do."""
        return _rows.are_log_uniform(self.log_scales)

    @property
    def is_one_sided(self) -> bool:
        """Whether no filter passes negative frequencies."""
        return self.filters.shape[-1] <= self.n_samples // 2 + 1

    @property
    def responses(self) -> torch.Tensor:
        """The filters with their phases, shape (n_freqs, n_bins); real where all phases are 0."""
        return self.filters if self.angles is None else torch.polar(self.filters, self.angles)

    def ssqueezepy_wavelet(self, dtype: str = "float64") -> ssqueezepy.Wavelet:
        """Make the `ssqueezepy.Wavelet` that these rows are sampled from."""
        return _wavelets.ssqueezepy_wavelet(_wavelets.named(self.wavelet), dtype)

    @property
    def is_cauchy(self) -> bool:
        """Whether W x samples, up to a factor per row, one function analytic in time + i scale."""
        name, parameters = self.wavelet
        return name in _wavelets.MORSE and parameters["gamma"] == 1

    @cached_property
    def time_bandwidth(self) -> float:
        """P^2 = -d^2 log psi_hat / d(log w)^2 at the peak: beta gamma for Morse wavelets.

        For a bank of filters it is the median over the rows, from the spread of their power.
        """
        if self._psi is None:
            positive = self.filters[:, : self.n_samples // 2 + 1]
            return _rows.time_bandwidth(positive.detach().cpu().double().numpy())
        psi, h = self._psi, 1e-3
        left, centre, right = np.log(psi(self.peak * np.exp([-h, 0.0, h])))
        return float((2 * centre - left - right) / h**2)

    @cached_property
    def time_spread(self) -> float:
        """Standard deviation in time of |psi|^2, in periods of the centre frequency."""
        if self._psi is None:  # as for a Gaussian response of the same time-bandwidth product
            return float(np.sqrt(self.time_bandwidth / 2) / (2 * np.pi))
        return _wavelets.time_spread(self._psi, self.peak)

    def response(self, frequency: float) -> torch.Tensor:
        """Compute the modulus in each wavelet row of a unit cosine at `frequency` Hz.

        Returns
        -------
        Tensor, shape (n_freqs,)
            Real; zero in the row of a lowpass.

        Examples
        --------
        >>> W = Scalogram(256, 8000, f_min=500)
        >>> round(float(W.response(1000).max()), 3)
        1.0
        """
        psi, frequency = self.psi, check_number(frequency, "frequency")
        wavelets = self.frequencies > 0
        angular = self.scales[wavelets] * (2 * np.pi * frequency / self.sample_rate)
        response = torch.zeros_like(self.frequencies)
        response[wavelets] = torch.from_numpy(psi(angular.cpu().numpy()) / 2).to(response)
        return response

    # -- construction --------------------------------------------------------------------------

    def _frequency_grid(self, f_min: float | None, f_max: float | None) -> np.ndarray:
        """Space centre frequencies in Hz from f_max down to f_min, V to the octave."""
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
        # The ratio of two numbers may overflow where neither does.
        octaves = np.log2(f_max / f_min) if f_max / f_min < math.inf else math.inf
        if octaves > MOST_OCTAVES:
            raise ValueError(
                f"f_min must be at most {MOST_OCTAVES} octaves below f_max = {f_max:g} Hz, got "
                f"{f_min:.4g} Hz"
            )
        n_rows = int(self.voices_per_octave * octaves + 1e-9) + 1
        _rows.check_fits(n_rows, self.n_samples, "voices_per_octave")
        steps = np.arange(n_rows)
        return f_max * 2.0 ** (-steps / self.voices_per_octave)

    def _register_frame_operator(self, argument: str) -> None:
        """Compute the diagonal D of W*W over the non-negative bins, and where to invert it."""
        n_bins = self.n_samples // 2 + 1
        power = torch.zeros(self.n_samples, dtype=self.filters.dtype)
        power[: self.filters.shape[-1]] = self.filters.square().sum(0)
        gain = (power[:n_bins] + power[-torch.arange(n_bins) % self.n_samples]) / 2
        band = gain >= BAND_FLOOR * gain.max()
        if self.n_samples % 2 == 0:
            band[-1] = False
        if not (gain[band] > 0).any():
            raise ValueError(
                f"{argument} must leave room for a DFT frequency (a multiple "
                f"of {self.sample_rate / self.n_samples:.4g} Hz), got rows "
                f"from {self.frequencies.min():.4g} to {self.frequencies.max():.4g} Hz, "
                "which are neither kHz nor cycles per sample"
            )
        self.register_buffer("gain", gain)
        self.register_buffer("band", band)

    @property
    def _bank(self) -> Bank:
        """Filters as the inner loop needs them."""
        return self._made(Bank, lambda: Bank(self.filters, self.n_samples, self.angles))

    @property
    def painless(self) -> Painless:
        """The same transform with no more coefficients in each row than its band needs."""
        return self._made(Painless, self._at_lowest_rates)

    def _at_lowest_rates(self) -> Painless:
        half, signed = self._inverse_gain, self.lowpass == "signed"
        dual = torch.cat([half, half[1 : (self.n_samples + 1) // 2].flip(0)])
        return Painless(self.responses, self.n_samples, dual, signed=signed)

    def _made(self, kind: type[Kind], make: Callable[[], Kind]) -> Kind:
        """Keep what is made of the filters until they change their type or device."""
        filters, made = self._kept.get(kind, (None, None))
        if filters is not self.filters:
            made = make()
            self._kept[kind] = self.filters, made
        return made

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], *args: Any) -> "Scalogram":
        """Convert type or device for ``.float()`` and ``.to()``; refuse half precision."""
        require_single_or_double(fn(self.gain[:1]).dtype, "W")
        return super()._apply(fn, *args)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the buffers of the inner loop out of copies and pickles."""
        return {**self.__dict__, "_kept": {}}

    @property
    def _inverse_gain(self) -> torch.Tensor:
        return torch.where(self.band, 1 / self.gain.clamp_min(torch.finfo(self.gain.dtype).tiny), 0)

    def filtered(self, x: torch.Tensor, response: torch.Tensor) -> torch.Tensor:
        """Filter a real signal by a real response over the non-negative DFT bins."""
        return torch.fft.irfft(torch.fft.rfft(x) * response, n=self.n_samples)

    # -- bad input -----------------------------------------------------------------------------

    def check_signal(self, x: ArrayLike) -> torch.Tensor:
        """Return a signal of this transform as a Tensor of its dtype and on its device.

        Raises
        ------
        TypeError
            If x is complex or not numeric.
        ValueError
            If x has NaN or infinite entries, its last axis is not n_samples long, or its level
            does not fit into single precision and this transform is in that.
        """
        return like(check_signal(x, name="x", n_samples=self.n_samples), self.filters, "x")

    def _check_coefficients(self, c: ArrayLike) -> torch.Tensor:
        checked = check_coefficients(c, self.shape)
        return checked.to(self.filters.device, self.filters.dtype.to_complex())

    def check_scalogram(self, S: ArrayLike, name: str = "S") -> torch.Tensor:
        """Return a scalogram of this transform as a Tensor of its dtype and on its device.

        Raises
        ------
        TypeError
            If S is complex or not numeric.
        ValueError
            If S has NaN, infinite or negative entries (the row of a "signed" lowpass may be
            negative), or its shape is not (..., n_freqs, n_samples).
        """
        n_signed = int(self.lowpass == "signed")
        moduli = check_magnitudes(S, self.shape, name, n_signed)
        check_labels(S, self.frequencies, name)
        return like(moduli, self.filters, name)


def _filter_bank(
    psi: _wavelets.Response, scales: np.ndarray, n_samples: int, with_lowpass: bool
) -> np.ndarray:
    """Sample the rows psi_hat(s w), without the negative bins if no filter reaches them."""
    w = 2 * np.pi * np.fft.fftfreq(n_samples)
    n_bins = n_samples // 2 + 1
    w[n_samples // 2] = abs(w[n_samples // 2])
    rows = np.empty((len(scales), n_samples))
    parts = list(_rows.blocks(len(scales), n_samples))
    for part in parts:
        rows[part] = psi(np.outer(scales[part], w))
    if n_samples % 2 == 0:
        # Half of the Nyquist bin belongs to negative frequencies (as in ssqueezepy's cwt).
        rows[:, n_samples // 2] /= 2
    # Negligible filter values become zero, because products with them cost time; those that single
    # precision could hold only as subnormal numbers would cost most.
    negligible = NEGLIGIBLE_RESPONSE * _rows.largest(rows)
    for part in parts:
        rows[part][np.abs(rows[part]) < negligible] = 0
    if with_lowpass:
        return np.vstack([rows, _lowpass(rows, n_bins)])
    return _rows.without_empty_half(rows, n_samples)


def _lowpass(rows: np.ndarray, n_bins: int) -> np.ndarray:
    """Make the even response that raises the frame operator below the band to its plateau."""
    gain = (rows**2).sum(0)[:n_bins] / 2
    edge = int(np.argmax(gain > 0.5 * gain.max()))
    plateau = int(np.argmax(gain[: 2 * edge]))
    half = np.sqrt((gain[plateau] - gain) * (np.arange(n_bins) < plateau))
    n_negative = rows.shape[1] - n_bins
    return np.concatenate([half, half[1 : n_negative + 1][::-1]])
