"""Tell how much of a signal lies in the band of a transform: the rest, no scalogram shows."""

import warnings

import numpy as np
import torch

from ._levels import unit

__all__ = ["check_heard", "restricted", "shares"]

# Less than this share of the energy is next to nothing; less than a hundredth is worth a word.
NEXT_TO_NOTHING, LITTLE = 1e-9, 0.01

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


def check_heard(x: torch.Tensor, band: torch.Tensor, sample_rate: float, name: str) -> None:
    """Raise or warn as `Scalogram.check_heard` says; x is checked already."""
    share, of_all = (part.flatten() for part in shares(x, band))
    rounding = (ROUNDING_EPS * torch.finfo(x.dtype).eps) ** 2
    unheard = (share < NEXT_TO_NOTHING) | (of_all < rounding)
    if not (share < LITTLE).any() and not unheard.any():
        return
    seen = np.flatnonzero(band.cpu().numpy()) * sample_rate / x.shape[-1]
    where = f"{seen[0]:.6g} to {seen[-1]:.6g} Hz"
    if unheard.any():
        worst = int(unheard.to(torch.uint8).argmax())
        raise ValueError(
            f"{_member(name, worst, x)} must have energy in the band of W, {where}, got "
            f"{float(torch.minimum(share, of_all)[worst]):.1g} of its energy there: W would show "
            "rounding errors or leakage, and not the signal. Take W with f_min, f_max or a lowpass "
            "that reach it, or a longer signal"
        )
    worst = int(share.argmin())
    warnings.warn(
        f"W hears {where}: {100 * (1 - float(share[worst])):.3g} % of the energy of "
        f"{_member(name, worst, x)} lies outside and will not be recovered. Compare with "
        f"W.project({name}), or take W with another f_min, f_max or a lowpass",
        stacklevel=3,
    )


def _member(name: str, place: int, x: torch.Tensor) -> str:
    """Name one member of a batch."""
    if x.ndim == 1:
        return name
    index = np.unravel_index(place, x.shape[:-1])
    return f"{name}[{', '.join(map(str, index))}]"
