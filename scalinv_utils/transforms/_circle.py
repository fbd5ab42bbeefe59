"""Wavelets for pieces of analytic signals, with filters on the whole circle of frequencies.

The filters of a `Scalogram` end at the Nyquist frequency, where those of the highest rows are not
small: such wavelets die away like 1/t, and no piece of a sound is long enough for them. An analytic
signal z has nothing above that frequency. Wavelets whose filters go on beyond it give the same
coefficients, and die away in the highest rows as fast as in all others. So near a column t, what
lies far away does not count: for any window u that is 1 around t,

    (W x)(t)  =  (W' z)(t)  =  (W' u z)(t),        x = Re z

to rounding, if u is 1 for as long as the longest wavelet lasts (`reach`).
"""

from __future__ import annotations

import functools
import math

import numpy as np
import torch

from ._filter_bank import Bank, imposed, modulus
from ._painless import Painless
from .scalogram import NEGLIGIBLE_RESPONSE, Scalogram

__all__ = ["CIRCLE_FLOOR", "CircleBank", "reach"]

# A wavelet has died away where it is below this share of its largest value.
DIED_AWAY = 1e-13

# Filters end between these multiples of the Nyquist frequency.
END = (1.2, 1.95)

# Changes of a piece go on below the band of W, to where its gain falls under this share of the
# largest: with a sharp end at the band itself they would reach far in time.
CIRCLE_FLOOR = 1e-8


def reach(W: Scalogram) -> int:
    """Count the samples after which the longest wavelet of W has died away."""
    lowest = W.filters[int(W.frequencies.argmin())].detach().cpu().double()
    wavelet = torch.fft.ifft(lowest, n=W.n_samples).abs()
    large = torch.nonzero(wavelet > DIED_AWAY * wavelet.max())[:, 0]
    return int(torch.minimum(large, W.n_samples - large).max()) + 1


def _end(angular: np.ndarray) -> np.ndarray:
    """Bring filters smoothly to zero before the full rate, where the frequencies begin anew."""
    place = np.clip((angular / math.pi - END[0]) / (END[1] - END[0]), 0, 1)
    return np.cos(math.pi / 2 * np.sin(math.pi / 2 * place) ** 2) ** 2


class CircleBank:
    """The wavelets of W for analytic signals of a length of their own.

    Parameters
    ----------
    W : Scalogram
        A transform with a wavelet and without a lowpass; its length is that of the signals.

    Attributes
    ----------
    shape : (int, int)
        (n_freqs, n_samples).
    painless : Painless
        The same transform with no more coefficients in each row than its band needs.
    """

    lowpass, has_wavelet = None, True  # what `patches` asks of a transform

    def __init__(self, W: Scalogram) -> None:
        self.W, self.n_samples, self.frequencies = W, W.n_samples, W.frequencies
        self.shape, self.sample_rate, self.time_spread = W.shape, W.sample_rate, W.time_spread
        self._scales = W.scales.cpu().double().numpy()[:, None]
        filters = self._filters
        gain = filters.square().sum(0)
        heard = gain > CIRCLE_FLOOR * gain.max()
        # A piece's change is no whole analytic signal: its spectrum goes on beyond Nyquist.
        heard[round(END[0] / 2 * W.n_samples) :] = False
        self._gain = gain[: W.n_samples // 2 + 1]
        self._dual = torch.where(heard, 1 / gain, torch.zeros_like(gain))
        self.painless = Painless(filters, self.n_samples, self._dual, is_real=False)

    @property
    def _filters(self) -> torch.Tensor:
        """Compute the filter of each row at the bins of a DFT, from 0 to the full rate."""
        return self._at(np.arange(self.n_samples) / self.n_samples)

    @functools.cached_property
    def _bank(self) -> Bank:
        """Lay out the filters for whole rows, which patches do not need."""
        return Bank(self._filters, self.n_samples, is_real=False)

    def _at(self, places: np.ndarray) -> torch.Tensor:
        """Compute the filters at frequencies that are given as shares of the full rate."""
        angular = 2 * math.pi * places
        filters = self.W.psi(self._scales * angular) / 2 * _end(angular)
        # Products with negligible values cost time.
        filters[np.abs(filters) < NEGLIGIBLE_RESPONSE * self.W.psi(np.array(self.W.peak))] = 0
        return torch.from_numpy(filters)

    def band(self, n_samples: int, floor: float = CIRCLE_FLOOR) -> torch.Tensor:
        """Mark the DFT bins of signals of any length where the gain is not below its floor.

        The gain is computed on bins between two of the bank's own only if these disagree.
        """
        places = np.arange(n_samples // 2 + 1) / n_samples
        least = floor * float(self._gain.max())
        own = self._gain >= least
        before = np.minimum((places * self.n_samples).astype(int), len(own) - 1)
        after = np.minimum(before + 1, len(own) - 1)
        heard, unclear = own[before].clone(), own[before] != own[after]
        heard[unclear] = self._at(places[unclear]).square().sum(0) >= least
        return heard

    def like(self, n_samples: int) -> CircleBank:
        """Make the same wavelets for signals of another length."""
        return CircleBank(self.W.like(n_samples))

    def coefficients(self, z: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute W' z, shape (n_freqs, n_samples), of an analytic signal."""
        return self._bank.analyse(z, out)

    def inverse(self, c: torch.Tensor) -> torch.Tensor:
        """Compute the analytic signal, in or next to the band of W, whose W' z is closest to c."""
        return torch.fft.ifft(torch.fft.fft(self._bank.synthesise(c)) * self._dual)

    def modulus(self, c: torch.Tensor) -> torch.Tensor:
        """Compute |c|."""
        return modulus(c)

    def impose(
        self, S: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Give c the modulus S; a zero of c has phase 0. The result may be written into c."""
        return imposed(S, c, out)
