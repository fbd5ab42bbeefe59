"""Remove from a scalogram the power that varies faster in time than that of any signal can.

A row is c = x * psi, and the spectrum of its power |c|^2 is the spectrum of c correlated with
itself. Where the autocorrelation of psi_hat vanishes, that spectrum vanishes for every signal:
everything found there must be noise. Its energy gives the noise level of the row, and power
spectral subtraction then removes that level from the other bins too (Boll 1979,
doi:10.1109/TASSP.1979.1163209, for speech; here the spectrum is that of the row's power over time).

Phase relations divide by the power and differentiate it: they gain far more from the denoising
than S itself does.
"""

import torch
from numpy.typing import ArrayLike

from .._levels import unit
from .._validation import check_instance
from ..transforms.scalogram import Scalogram

__all__ = ["OUTSIDE", "autocorrelation", "denoise"]

# Bins where the autocorrelation of a filter is this small, relative to its maximum, hold noise
# only. The noise level is known if they make up at least the share ENOUGH of all bins.
OUTSIDE = 1e-10
ENOUGH = 1 / 16

# The energy removed from each bin, in units of the noise's mean energy there: exp(-4), that is 2 %,
# of the bins of noise exceed it.
OVERSUBTRACTION = 4.0


def denoise(S: ArrayLike, W: Scalogram) -> torch.Tensor:
    """Remove the noise that the bins which no signal can reach reveal.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        A scalogram with noise that is about white in time.
    W : Scalogram

    Returns
    -------
    real Tensor, shape of S
        A cleaner scalogram, dtype and device of W; without noise it differs from S by about 1e-4.
        The row of a lowpass stays as it is. No gradient flows back to S.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.bounds import noisy
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(512, 8000, f_max=1000)
    >>> S = W.magnitude(signals.linear_chirp(512, 8000, 300, 900))
    >>> S_noisy = noisy(S, 10)
    >>> bool((denoise(S_noisy, W) - S).norm() < 0.8 * (S_noisy - S).norm())
    True
    """
    check_instance(W, Scalogram, "W")
    S, wavelets = W.check_scalogram(S).detach(), W.frequencies > 0
    level = unit(S, (-2, -1))
    S = S / level
    power = S[..., wavelets, :].square()
    spectrum = torch.fft.rfft(power)
    energy = _squared(spectrum)
    excess = OVERSUBTRACTION * _noise_energy(energy, power, W.filters[wavelets])
    gain = 1 - excess / energy.clamp_min(torch.finfo(S.dtype).tiny)
    cleaned = S.clone()
    cleaned[..., wavelets, :] = (
        torch.fft.irfft(gain.clamp_min(0) * spectrum, n=W.n_samples).clamp_min(0).sqrt()
    )
    return cleaned * level


def _noise_energy(energy: torch.Tensor, power: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
    """Estimate the mean energy of the noise per bin of each row, shape (..., n_rows, 1).

    The upper filters are too wide to leave enough bins empty. They get the level of the first
    narrower row in proportion to their power, because noise on S is proportional to S in S^2.
    """
    outside = autocorrelation(filters, power.shape[-1]) < OUTSIDE
    known = outside.to(power.dtype).mean(-1) > ENOUGH
    if not known.any():
        return torch.zeros_like(power[..., :1])
    share = (energy * outside).sum(-1) / outside.sum(-1).clamp_min(1)
    share = share / power.mean(-1).clamp_min(torch.finfo(power.dtype).tiny)
    rows = torch.arange(len(known), device=known.device)
    rows = rows.clamp_min(int(known.to(torch.uint8).argmax()))
    return (share[..., rows] * power.mean(-1)).unsqueeze(-1)


def autocorrelation(filters: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Correlate each filter with itself over frequency, at the bins of a real DFT; maximum 1."""
    in_time = torch.fft.ifft(filters.square(), n=n_samples)
    correlation = torch.fft.rfft(_squared(in_time)).real
    return correlation / correlation[..., :1].clamp_min(torch.finfo(filters.dtype).tiny)


def _squared(z: torch.Tensor) -> torch.Tensor:
    """Compute |z|^2; torch's modulus of complex numbers takes ten times as long."""
    return z.real.square() + z.imag.square()
