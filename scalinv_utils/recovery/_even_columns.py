"""Sample a signal so that its known columns, evenly spaced between samples, are every h-th.

A picture of K columns shows the times t_0 + k N / K, which are whole numbers of samples for few N.
On the nearest samples the columns are neither even nor in place; values with errors, as those of
pictures, are better taken to be where they are even. With N' = h K samples in the same
time and the start at t_0 the k-th column is the sample h k, exactly:

    y'(u) = x(t_0 + u N / N'),    X(k) = N / N' exp(-2 pi i k t_0 / N) Y'(k)

The prediction of aliases needs values at every h-th sample (`_lifted_completion`), and a descent on
them computes K columns and not N.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..measured import Measured

__all__ = ["Even", "evened"]

# Columns are even if they lie this near to even places, in samples, and there are so many of them.
NEAR_EVEN, FEWEST = 0.75, 8


@dataclass(frozen=True, eq=False)
class Even:
    """The same values, for a signal of another rate and start.

    Attributes
    ----------
    M : Measured
        With a hop, for signals of shape (n_even,).
    first : float
        The place of its first sample in the given signal, in samples.
    n_samples : int
        Length of the given signal.
    """

    M: Measured
    first: float
    n_samples: int

    def back(self, y: torch.Tensor) -> torch.Tensor:
        """Sample y, shape (n_even,), as the given signal was, shape (n_samples,)."""
        bins = torch.arange(self.n_samples // 2 + 1)
        turn = torch.exp(-2j * np.pi * self.first / self.n_samples * bins)
        spectrum = torch.fft.rfft(y)[: len(bins)] * turn
        return torch.fft.irfft(spectrum, n=self.n_samples) * (self.n_samples / len(y))


def evened(M: Measured) -> Even | None:
    """Find even columns in M, with errors, and sample the signal anew; None if M has no such."""
    on_samples = M.columns.shape == M.W.shape and M.extension.is_identity
    if M.sigma is None or not (on_samples and M.W.has_wavelet):
        return None
    columns = np.flatnonzero(M.known.any(0).numpy())
    # A place half way between two samples may be known at both.
    runs = np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)
    step = M.n_samples / len(runs)
    offsets = np.array([run.mean() for run in runs]) - step * np.arange(len(runs))
    first = (offsets.max() + offsets.min()) / 2
    if len(runs) < FEWEST or step < 2 or np.abs(offsets - first).max() > NEAR_EVEN:
        return None
    return Even(_sampled_anew(M, [int(run[0]) for run in runs]), first, M.n_samples)


def _sampled_anew(M: Measured, columns: list[int]) -> Measured:
    """Give the values in these columns to a transform that has them at every hop-th sample."""
    hop = -(-M.n_samples // len(columns))
    n_even = hop * len(columns)
    W = M.W.like(n_even, sample_rate=M.W.sample_rate * n_even / M.n_samples)
    assert M.sigma is not None
    known = M.known[:, columns]
    sigma = torch.where(known, M.sigma[:, columns], 1.0)
    floor = float(M.S[M.at_most].max()) if M.at_most.any() else None
    return Measured(M.S[:, columns], W, known=known, hop=hop, sigma=sigma, floor=floor)
