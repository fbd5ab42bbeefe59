"""Read the scalograms of PyWavelets' cwt.

PyWavelets integrates the wavelet on 2^precision points, takes from the integral the points nearest
below those that scale s needs, convolves, and differentiates:

    p_m      =  conj Psi(t_m),   m = 0 ... M - 1,   in falling order of t,   p_-1 = p_M = 0
    h_m      =  -sqrt(s) (p_{m+1} - p_m),           m = -1 ... M - 1
    coef(t)  =  sum_n x(n) h_{t + f - n},           f = floor((M - 2) / 2)

x is zero outside the signal. For each scale this is a filter of finite length, so that its response
on the DFT grid of a padded signal is exact: computed here and by PyWavelets 1.9, the coefficients
agree to rounding (-280 dB in double precision, -110 dB in single).
"""

import inspect
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import next_fast_len

from .._validation import check_count, check_positive
from ..transforms.scalogram import Scalogram
from ._measured import Measured
from ._planes import check_plane, check_rows

__all__ = ["from_pywt"]


def from_pywt(
    coefs: ArrayLike,
    scales: ArrayLike,
    wavelet: Any,
    *,
    sampling_period: float = 1.0,
    precision: int | None = None,
) -> Measured:
    """Read the scalogram that ``coefs, _ = pywt.cwt(x, scales, wavelet)`` returns.

    Parameters
    ----------
    coefs : complex or real array, shape (n_scales, n_samples)
        The coefficients of a complex wavelet or their modulus.
    scales : array, shape (n_scales,)
        As pywt.cwt took them, in rising or falling order.
    wavelet : str or pywt.ContinuousWavelet
        As pywt.cwt took it. It has to be complex: "cmorB-C", "cgauP", "shanB-C", "fbspM-B-C".
    sampling_period : float
        Seconds per sample.
    precision : int, optional
        As in the call of pywt.cwt. Default: that of the PyWavelets that is installed, which is 12,
        or 10 before version 1.9.

    Returns
    -------
    Measured

    Raises
    ------
    ImportError
        If PyWavelets is not installed.
    TypeError
        If coefs or scales are not numeric.
    ValueError
        If coefs is negative or not finite, the scales do not fit its rows, or the wavelet is
        unknown or real: the modulus of a real coefficient only drops its sign, and vanishes twice
        in each period whatever the level of the sound.

    Notes
    -----
    Both of pywt's methods, "conv" and "fft", give the same numbers. Coefficients in single
    precision are taken to come from a signal in single precision: pywt then rounds the wavelet as
    well. The formulas are those of PyWavelets 1.9 (Lee et al. 2019, doi:10.21105/joss.01237).

    Examples
    --------
    In an environment that has PyWavelets::

        scales = np.geomspace(2, 64, 80)
        coefs, _ = pywt.cwt(x, scales, "cmor1.5-1.0", sampling_period=1 / 8000)
        M = from_pywt(abs(coefs), scales, "cmor1.5-1.0", sampling_period=1 / 8000)
    """
    S = check_plane(coefs, "coefs")
    scales = check_rows(scales, "scales", len(S), "coefs")
    period = check_positive(sampling_period, "sampling_period")
    wavelet = _complex_wavelet(wavelet)
    single = getattr(coefs, "dtype", None) in (np.float32, np.complex64)
    precision = _default_precision() if precision is None else check_count(precision, "precision")
    taps = _taps(wavelet, scales, precision, np.dtype(np.float32 if single else np.float64))
    n_samples = S.shape[-1]
    filters = _responses(taps, n_samples)
    frequencies = _pywt().scale2frequency(wavelet, scales, precision) / period
    W = Scalogram.from_filters(filters, frequencies, 1 / period, n_samples=filters.shape[-1])
    pad = (0, filters.shape[-1] - n_samples)
    return Measured(S, W, ends="zero", pad=pad, n_samples=n_samples)


def _pywt() -> Any:
    """Import PyWavelets, which need not be installed."""
    try:
        import pywt  # pyright: ignore[reportMissingImports]  # It is optional.
    except ImportError:
        raise ImportError(
            "from_pywt needs PyWavelets for its wavelets: pip install pywavelets"
        ) from None
    return pywt


def _default_precision() -> int:
    """Return the precision that pywt.cwt takes if it is told none; before 1.9 it was always 10."""
    taken = inspect.signature(_pywt().cwt).parameters.get("precision")
    return 10 if taken is None else taken.default


def _complex_wavelet(wavelet: Any) -> Any:
    """Make pywt's complex wavelet of a name, or say why it is none."""
    pywt = _pywt()
    try:
        made = pywt.DiscreteContinuousWavelet(wavelet) if isinstance(wavelet, str) else wavelet
    except (ValueError, TypeError) as error:
        raise ValueError(f"wavelet must be one that pywt knows, got {wavelet!r}: {error}") from None
    if not isinstance(made, pywt.ContinuousWavelet | pywt.Wavelet):
        raise TypeError(f"wavelet must be a name or a pywt.ContinuousWavelet, got {wavelet!r}")
    if not getattr(made, "complex_cwt", False):
        raise ValueError(
            f"wavelet must be complex (cmorB-C, cgauP, shanB-C or fbspM-B-C), got the real "
            f"{getattr(made, 'name', made)!r}: the modulus of its coefficients vanishes twice in "
            f"each period, and what lies between two zeros is known up to its sign only"
        )
    return made


def _taps(
    wavelet: Any, scales: np.ndarray, precision: int, dtype: np.dtype
) -> list[tuple[int, np.ndarray]]:
    """Compute for each scale the time of the first tap and the taps h."""
    integral, t = _pywt().integrate_wavelet(wavelet, precision=precision)
    # Both are rounded as pywt rounds them, because the rounding of t decides which points it takes.
    p, t = np.conj(integral).astype(np.result_type(dtype, np.complex64)), t.astype(dtype)
    taps = []
    for scale in scales:
        nearest = np.arange(scale * (t[-1] - t[0]) + 1) / (scale * (t[1] - t[0]))
        nearest = nearest.astype(int)
        points = p[nearest[nearest < len(p)]][::-1].astype(complex)
        if len(points) < 2:
            raise ValueError(f"scales must be long enough for two points, got {scale:.4g}")
        h = -np.sqrt(scale) * np.diff(points, prepend=0, append=0)
        taps.append((-1 - (len(points) - 2) // 2, h))
    return taps


def _responses(taps: list[tuple[int, np.ndarray]], n_samples: int) -> np.ndarray:
    """Compute the responses of the filters on the DFT grid of a signal that is padded with zeros.

    Taps that reach from no sample of the signal to another are left out, and the padding is so long
    that no other tap reaches the signal from its wrong end.
    """
    reach = max(max(-first, first + len(h)) for first, h in taps)
    n_padded = cast(int, next_fast_len(n_samples + min(reach, n_samples)))
    responses = np.zeros((len(taps), n_padded), complex)
    for row, (first, h) in zip(responses, taps):
        times = first + np.arange(len(h))
        near = np.abs(times) < n_samples
        row[times[near]] = h[near]
    return np.fft.fft(responses)
