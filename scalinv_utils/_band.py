"""Tell how much of a signal lies in the band of a transform: the rest, no scalogram shows."""

import math
import warnings
from typing import Any

import numpy as np
import torch

from ._levels import unit

__all__ = [
    "check_heard",
    "check_kept",
    "check_starts",
    "hears",
    "on_grid",
    "percent_lost",
    "restricted",
    "shares",
]

# Less than this share of the energy is next to nothing; less than a hundredth is worth a word.
NEXT_TO_NOTHING, LITTLE = 1e-9, 0.01

# The filter of a change of rate lets so much of the energy through that it should remove.
THROUGH_FILTER = 1e-6

# Rounding errors of a DFT stay below this many units of the last digit, relative to the signal.
ROUNDING_EPS = 64


def shares(x: torch.Tensor, band: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the share of the energy in a band: without the mean, and of all energy.

    Parameters
    ----------
    x : real Tensor, shape (..., n_samples)
    band : Tensor of bool, shape (n_samples // 2 + 1,)
        If 0 Hz belongs to it, the mean counts in both.

    Returns
    -------
    share, of_all : Tensors, shape (...)
        Both are 1 for silence.

    Examples
    --------
    >>> share, of_all = shares(torch.tensor([2.0, 0.0, 2.0, 0.0]), torch.tensor([0, 0, 1]) > 0)
    >>> float(share), float(of_all)
    (1.0, 0.5)
    """
    x = x.detach()
    energy = torch.fft.rfft(x / unit(x, -1)).abs().square()
    energy[..., 1 : (x.shape[-1] + 1) // 2] *= 2
    heard, total = (energy * band).sum(-1), energy.sum(-1)
    moving = total if bool(band[0]) else energy[..., 1:].sum(-1)
    silent = total == 0
    share, of_all = (torch.where(part > 0, heard / part, 0.0) for part in (moving, total))
    return share.masked_fill(silent, 1.0), of_all.masked_fill(silent, 1.0)


def hears(x: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Tell for each signal, shape (..., n_samples), whether its part in a band is more than leaked.

    Examples
    --------
    >>> x = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, 3.0, 4.0]])
    >>> hears(x, torch.tensor([False, True, False]))
    tensor([False,  True])
    """
    return _enough(*shares(x, band), x.dtype)


def _enough(share: torch.Tensor, of_all: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return (share >= NEXT_TO_NOTHING) & (of_all >= (ROUNDING_EPS * torch.finfo(dtype).eps) ** 2)


def restricted(x: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Restrict x, shape (..., n_samples), to a band; what is no more than rounding becomes zero.

    Examples
    --------
    >>> restricted(torch.tensor([1.0, 0.7, 0.1, 0.2]), torch.tensor([1, 0, 0]) > 0)
    tensor([0.5000, 0.5000, 0.5000, 0.5000])
    """
    kept = torch.fft.irfft(torch.fft.rfft(x) * band, n=x.shape[-1])
    nothing = shares(x, band)[1] < (ROUNDING_EPS * torch.finfo(x.dtype).eps) ** 2
    return kept.masked_fill(nothing[..., None], 0.0)


def on_grid(band: torch.Tensor, n_before: int, n_samples: int) -> torch.Tensor:
    """Mark the DFT bins of longer signals that lie in a band, or between two bins of it.

    Parameters
    ----------
    band : Tensor of bool, shape (n_before // 2 + 1,)
        The band, for signals of n_before samples.
    n_before, n_samples : int

    Returns
    -------
    Tensor of bool, shape (n_samples // 2 + 1,)

    Examples
    --------
    >>> on_grid(torch.tensor([False, True, True]), 4, 8).tolist()
    [False, False, True, True, True]
    """
    bins = torch.where(band)[0].cpu().double()
    # Between two bins lie frequencies that are heard if both are.
    place = torch.fft.rfftfreq(n_samples, dtype=torch.float64) * n_before
    above = torch.searchsorted(bins, place)
    below = torch.searchsorted(bins, place, right=True) - 1
    inside = (above < len(bins)) & (below >= 0)
    width = bins[above.clamp_max(len(bins) - 1)] - bins[below.clamp_min(0)]
    return inside & (width <= 1)


def check_heard(x: torch.Tensor, band: torch.Tensor, sample_rate: float, name: str) -> None:
    """Raise or warn as `Scalogram.check_heard` says; x is checked already."""
    share, of_all = (part.flatten() for part in shares(x, band))
    unheard = ~_enough(share, of_all, x.dtype)
    if not (share < LITTLE).any() and not unheard.any():
        return
    where = _intervals(band, sample_rate / x.shape[-1])
    if unheard.any():
        worst = int(unheard.to(torch.uint8).argmax())
        raise ValueError(
            f"{_member(name, worst, x)} must have energy in the band of W, {where}, got "
            f"{float(torch.minimum(share, of_all)[worst]):.1g} of its energy there: W would show "
            "rounding errors or leakage, and not the signal. Take W with f_min, f_max or a lowpass "
            "that reach it, or a longer signal"
        )
    if x.requires_grad:
        return
    worst = int(share.argmin())
    warnings.warn(
        f"W hears {where}: {percent_lost(float(share[worst]))} of the energy of "
        f"{_member(name, worst, x)} lies outside and will not be recovered. Compare with "
        f"W.project({name}), or take W with another f_min, f_max or a lowpass",
        stacklevel=3,
    )


def check_starts(x: torch.Tensor, S: torch.Tensor, W: Any) -> None:
    """Raise or warn as `check_heard` for starts, called init; those for silence do not matter.

    Parameters
    ----------
    x : real Tensor, shape (..., n_samples)
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    """
    x, silent = W.check_signal(x), ~S.any(-1).any(-1)
    if silent.shape == x.shape[:-1]:
        x = x.masked_fill(silent[..., None].to(x.device), 0.0)
    check_heard(x, W.band, W.sample_rate, "init")


def check_kept(x: torch.Tensor, resampled: torch.Tensor, new_rate: float, name: str) -> None:
    """Raise or warn if a change of rate removed nearly all of a signal; the mean does not count.

    Parameters
    ----------
    x, resampled : real Tensors, shape (..., n_samples) with two lengths
    new_rate : float
        Samples per second of what is left.
    name : str
        Name that the caller gives x; the messages use it.
    """
    x, mean = x.detach(), x.detach().mean(-1, keepdim=True)
    level = unit(x, -1)
    before, after = (((y - mean) / level).square().mean(-1).flatten() for y in (x, resampled))
    moving = before >= (ROUNDING_EPS * torch.finfo(x.dtype).eps) ** 2
    share = torch.where(moving, after / before, 1.0)
    worst = int(share.argmin())
    if share[worst] >= LITTLE:
        return
    said, what = percent_lost(float(share[worst])), _member(name, worst, x)
    if share[worst] < THROUGH_FILTER:
        raise ValueError(
            f"{what} must have energy below {new_rate / 2:.6g} Hz, half of the new rate, got "
            f"{said} of its energy above: nothing would be left. Take a higher rate"
        )
    warnings.warn(
        f"Resampling to {new_rate:.6g} Hz removes what lies above {new_rate / 2:.6g} Hz: {said} of "
        f"the energy of {what}. Take a higher rate to keep it",
        stacklevel=3,
    )


def _intervals(band: torch.Tensor, spacing: float) -> str:
    """Write a band as the intervals that it consists of, in Hz; of many, the first and the last."""
    bins = np.flatnonzero(band.cpu().numpy())
    parts = np.split(bins, np.flatnonzero(np.diff(bins) > 1) + 1)
    words = [f"{part[0] * spacing:.6g} to {part[-1] * spacing:.6g} Hz" for part in parts]
    return " and ".join(words if len(words) <= 3 else [words[0], "...", words[-1]])


def percent_lost(share: float) -> str:
    """Write what is lost where a small share is left, with digits that tell it from everything.

    Examples
    --------
    >>> percent_lost(0.003), percent_lost(2e-7)
    ('99.7 %', '99.99998 %')
    """
    digits = min(max(1, math.ceil(-math.log10(max(share, 1e-16))) - 2), 14)
    return f"{100 * (1 - share):.{digits}f} %"


def _member(name: str, place: int, x: torch.Tensor) -> str:
    """Name one member of a batch."""
    if x.ndim == 1:
        return name
    index = np.unravel_index(place, x.shape[:-1])
    return f"{name}[{', '.join(map(str, index))}]"
