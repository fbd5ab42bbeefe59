"""Take off a scalogram what no scalogram can have: power that varies too fast in time.

A row is c = x * psi, and its power |c|^2 has the spectrum of c correlated with itself. Where the
autocorrelation of psi_hat vanishes, that spectrum vanishes, whatever the signal: all there is
must be noise. It tells the noise level of the row, which power spectral subtraction then removes
from the other bins too (Boll 1979, doi:10.1109/TASSP.1979.1163209, for speech; here the spectrum
is that of the row's power over time).

Phase relations divide by the power and differentiate it: they gain far more than S itself does.
"""

import torch

__all__ = ["denoise"]

# Bins where the autocorrelation of a filter is this small, relative to its maximum, hold noise
# only; this share of all bins is enough to know its level.
OUTSIDE = 1e-10
ENOUGH = 1 / 16

# Times the mean energy of the noise in a bin: exp(-4), 2 % of the bins of noise, exceed it.
OVERSUBTRACTION = 4.0


def denoise(S, W):
    """The scalogram without what its power cannot contain.

    Parameters
    ----------
    S : real array, shape (..., n_freqs, n_samples)
        A scalogram and noise that is about white in time.
    W : Scalogram

    Returns
    -------
    real Tensor, shape of S
        S to about 1e-4 where it has no noise, a cleaner scalogram where it has. The row of a
        lowpass is left as it is.

    Raises
    ------
    ValueError, TypeError
        NaN, infinite, negative or ill-fitting magnitudes.
    """
    S, wavelets = W.check_scalogram(S).detach(), W.frequencies > 0
    power = S[..., wavelets, :].square()
    spectrum = torch.fft.rfft(power)
    energy = spectrum.abs().square()
    excess = OVERSUBTRACTION * _noise_energy(energy, power, W.filters[wavelets])
    gain = 1 - excess / energy.clamp_min(torch.finfo(S.dtype).tiny)
    cleaned = S.clone()
    cleaned[..., wavelets, :] = (
        torch.fft.irfft(gain.clamp_min(0) * spectrum, n=W.n_samples).clamp_min(0).sqrt()
    )
    return cleaned


def _noise_energy(energy, power, filters):
    """Mean energy of the noise per bin of each row, shape (..., n_rows, 1).

    Filters too wide to leave enough bins empty (the upper ones) get what the first narrower row
    has, in proportion to their power: noise on S is in S^2 proportional to S.
    """
    outside = _autocorrelation(filters, power.shape[-1]) < OUTSIDE
    known = outside.double().mean(-1) > ENOUGH
    if not known.any():
        return torch.zeros_like(power[..., :1])
    share = (energy * outside).sum(-1) / outside.sum(-1).clamp_min(1)
    share = share / power.mean(-1).clamp_min(torch.finfo(power.dtype).tiny)
    rows = torch.arange(len(known)).clamp_min(int(known.double().argmax()))
    return (share[..., rows] * power.mean(-1)).unsqueeze(-1)


def _autocorrelation(filters, n_samples):
    """Of each filter over frequency, at the bins of a real DFT, relative to its maximum."""
    in_time = torch.fft.ifft(filters.square(), n=n_samples)
    correlation = torch.fft.rfft(in_time.abs().square()).real
    return correlation / correlation[..., :1].clamp_min(torch.finfo(filters.dtype).tiny)
