"""Read the scalograms of ssqueezepy's cwt.

ssqueezepy pads a signal of N samples to M, a power of two, filters it on the DFT grid of M samples,
and cuts the coefficients to the signal:

    M        =  2^(1 + round(log2 N))
    right    =  floor((M - N) / 2),   left = M - N - right
    Wx_j     =  IDFT( psi_hat(s_j w) DFT(padded x) )         at the samples left to left + N - 1

Half of the Nyquist bin belongs to negative frequencies. With ``l1_norm=False``, row j is sqrt(s_j)
times as large, and a Morse wavelet has energy 1 in place of the peak 2. Computed in double
precision, this map agrees with ssqueezepy 0.6.6 to -108 dB for its default wavelet and to -128 dB
for Morlet's, which is the accuracy of its single precision.
"""

from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike

from .._compiled import ssqueezepy
from .._validation import check_choice, check_positive
from ..transforms._wavelets import WaveletLike, named, peak_frequency, understood
from ..transforms.scalogram import Scalogram
from ._measured import Measured
from ._planes import check_plane, check_rows

__all__ = ["from_ssqueezepy"]

Ends = Literal["periodic", "zero", "reflect", "symmetric"]

# How Measured calls the samples that each padtype puts around the signal.
ENDS_OF_PADTYPE: dict[str | None, Ends] = {
    "reflect": "reflect",
    "symmetric": "symmetric",
    "zero": "zero",
    None: "periodic",
}


def from_ssqueezepy(
    Wx: ArrayLike,
    wavelet: WaveletLike,
    scales: ArrayLike,
    *,
    sample_rate: float = 1.0,
    padtype: Literal["reflect", "symmetric", "zero"] | None = "reflect",
    l1_norm: bool = True,
) -> Measured:
    """Read the scalogram that ``Wx, scales = ssqueezepy.cwt(x, wavelet)`` returns.

    Parameters
    ----------
    Wx : complex or real array, shape (n_rows, n_samples)
        The coefficients or their modulus.
    wavelet : str, (str, dict) or ssqueezepy.Wavelet
        As ssqueezepy.cwt takes it.
    scales : array, shape (n_rows,)
        As ssqueezepy.cwt returns them.
    sample_rate : float
        Samples per second, in Hz.
    padtype : "reflect", "symmetric", "zero" or None
        As in the call of ssqueezepy.cwt.
    l1_norm : bool
        As in the call of ssqueezepy.cwt.

    Returns
    -------
    Measured

    Raises
    ------
    TypeError
        If Wx or the scales are not numeric, or the wavelet is none.
    ValueError
        If Wx is negative or not finite, the scales do not fit its rows, the wavelet is unknown, or
        the padding is one of those that no transform here describes.

    Notes
    -----
    The paddings "wrap" (about half of the signal once more on either side) and "replicate" (the
    first and the last sample repeated) are not read, nor are ``order=1``, ``rpadded=True`` and
    batches. The formulas are those of ssqueezepy 0.6.6 (Muradeli 2020, doi:10.5281/zenodo.5080508).

    Examples
    --------
    >>> import numpy as np, ssqueezepy
    >>> from scalinv_utils.measured import from_ssqueezepy
    >>> Wx, scales = ssqueezepy.cwt(np.random.default_rng(0).standard_normal(300))
    >>> M = from_ssqueezepy(np.abs(Wx), "gmw", scales, sample_rate=8000)
    >>> M
    Measured((221, 512), hop 1, 59% of them known, exact, ends 'reflect', of 300 samples at 8000 Hz)
    """
    S = check_plane(Wx, "Wx")
    scales = check_rows(scales, "scales", len(S), "Wx")
    sample_rate = check_positive(sample_rate, "sample_rate")
    ends, pad = _padding(padtype, S.shape[-1])
    wavelet, factor = _plain(wavelet, check_choice(l1_norm, (True, False), "l1_norm"))
    S = S / factor if l1_norm else S / torch.from_numpy(factor * np.sqrt(scales))[:, None]
    _, psi = understood(wavelet)
    W = Scalogram.from_frequencies(
        S.shape[-1] + sum(pad),
        sample_rate,
        frequencies=peak_frequency(psi) * sample_rate / (2 * np.pi * scales),
        wavelet=wavelet,
    )
    return Measured(S, W, ends=ends, pad=pad, n_samples=S.shape[-1])


def _padding(padtype: str | None, n_samples: int) -> tuple[Ends, tuple[int, int]]:
    """Say with which samples, and with how many on the left and right, ssqueezepy pads."""
    if isinstance(padtype, str) and padtype in ("wrap", "replicate"):
        raise ValueError(
            f"padtype must be 'reflect', 'symmetric', 'zero' or None, got {padtype!r}, which puts "
            f"neither zeros nor a mirror image around the signal"
        )
    ends = ENDS_OF_PADTYPE[check_choice(padtype, ENDS_OF_PADTYPE, "padtype")]
    if padtype is None:
        return ends, (0, 0)
    added = 2 ** (1 + round(np.log2(n_samples))) - n_samples
    return ends, (added - added // 2, added // 2)


def _plain(wavelet: WaveletLike, l1_norm: bool) -> tuple[WaveletLike, float]:
    """Return the wavelet that peaks at 2, and how many times as large ssqueezepy's is.

    Without `l1_norm`, ssqueezepy gives Morse wavelets the energy 1, unless they name their norm.
    """
    if isinstance(wavelet, ssqueezepy.Wavelet) or callable(wavelet):
        return wavelet, 1.0
    name, parameters = named(wavelet)
    norm = parameters.pop("norm", "bandpass" if l1_norm else "energy")
    if name != "gmw" or norm == "bandpass":
        return (name, parameters), 1.0
    plain, theirs = (name, parameters), (name, {**parameters, "norm": norm})
    psi, psi_theirs = understood(plain)[1], understood(theirs)[1]
    peak = peak_frequency(psi)
    return plain, float(psi_theirs(peak) / psi(peak))
