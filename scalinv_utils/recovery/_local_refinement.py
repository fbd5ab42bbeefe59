"""Refine only the segments that hold most of the residual.

Once the phase has been corrected, nearly all of the remaining error lies in a few short segments
(stretches of columns, cut out with a margin), around zeros where a path went wrong. Let y be the
signal so far and c = W y. A change e of y that stays within a segment has there the coefficients

    W (y + e) = c + W_p e

with W_p the same wavelets for signals as short as the segment, periodic as all transforms here are.
This is exact if e and its wavelets have died away before the ends. A method that needs only W and
its inverse can therefore work on e -> c + W_p e instead, at the cost of the segment alone.
"""

from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from scipy.fft import prev_fast_len
from scipy.ndimage import find_objects, label, maximum_filter1d

from .._tensors import double
from ..transforms.scalogram import DURATIONS, Scalogram
from ._griffin_lim import settle

__all__ = ["Patch", "mend", "patches"]

# The patches hold all but the share LEFT_OUT of the squared error. They are used if they cover at
# most the share SMALL_PART of the columns: otherwise the whole scalogram is as cheap.
LEFT_OUT, SMALL_PART = 0.01, 0.5

# The length of a long patch is a multiple of this, so that `Painless` can keep few coefficients.
MANY_HOPS = 32

# Mending ends when a round gains less than this.
GAIN_DB = 10.0


class Patch:
    """Some columns of a scalogram, and the map e -> c + W e whose modulus is to become S there.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
        The given scalogram.
    W : Scalogram
        The transform of the whole signal, without a lowpass.
    c : complex Tensor, shape (..., n_freqs, n_samples)
        The coefficients W y of the signal so far.
    columns : integer Tensor, shape (n_columns,)
        Consecutive columns; the first sample of the signal follows its last one.

    Attributes
    ----------
    W : Painless
        The same wavelets for signals as long as the patch.
    S, c : Tensors, shape (..., n_kept)
        What W keeps of the given scalogram and coefficients.
    """

    def __init__(
        self, S: torch.Tensor, W: Scalogram, c: torch.Tensor, columns: torch.Tensor
    ) -> None:
        self.columns, self.W = columns.to(S.device), W.like(len(columns)).painless
        self.S, self.c = (self.W.sampled(plane[..., self.columns]) for plane in (S, c))

    def refit(self, e: torch.Tensor) -> torch.Tensor:
        """Find the e whose c + W e is closest to having modulus S and its own phase."""
        return self.W.refit(self.S, e, self.c)


def patches(S: torch.Tensor, W: Scalogram, c: torch.Tensor, error: torch.Tensor) -> list[Patch]:
    """Cut out the patches that hold the error; none if they would be no cheaper than the whole.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    c : complex Tensor, shape (..., n_freqs, n_samples)
        The coefficients W y of the signal so far.
    error : real Tensor, shape (..., n_samples)
        The squared error of each column.

    Returns
    -------
    list of Patch
    """
    if W.lowpass is not None or not W.has_wavelet or 2 * _margin(W) > SMALL_PART * W.n_samples:
        return []
    wrong = _worst(error.reshape(-1, W.n_samples).sum(0).cpu().numpy())
    wrong = maximum_filter1d(wrong, 2 * _margin(W) + 1, mode="wrap")
    if wrong.mean() > SMALL_PART:
        return []
    return [Patch(S, W, c, columns) for columns in _stretches(wrong)]


@torch.no_grad()
def mend(
    S: torch.Tensor,
    W: Any,
    x: torch.Tensor,
    n_steps: int,
    momentum: float,
    c: torch.Tensor,
) -> tuple[torch.Tensor, float]:
    """Refine x where its misfit lies, as long as that is in few places and gains GAIN_DB a round.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
        Or anything that gives coefficients, moduli and itself for another length.
    x : real Tensor, shape (..., n_samples)
        The signal so far.
    n_steps, momentum : int, float
        Number of steps and momentum of `settle` in each patch.
    c : complex Tensor, shape of S
        Memory that is overwritten.

    Returns
    -------
    x : Tensor, shape of x
        The refined signal, or x itself if nothing was gained.
    residual : float
        Its misfit || |W x| - S ||.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(512, 8000, f_min=1000)
    >>> x = W.project(signals.linear_chirp(512, 8000, 1500, 3000))
    >>> wrong = x.clone()
    >>> wrong[250:254] *= -1
    >>> S = W.magnitude(x)
    >>> mended, residual = mend(S, W, wrong, 30, 0.9, torch.empty_like(W(x)))
    >>> residual < 0.1 * float((W.magnitude(wrong) - S).norm())
    True
    """
    c = W.coefficients(x, out=c)
    error, gain = _column_errors(S, W, c), np.inf
    while gain >= 10 ** (GAIN_DB / 10) and (places := patches(S, W, c, error)):
        mended = x.clone()
        for patch in places:
            e = torch.zeros_like(x[..., patch.columns])
            mended[..., patch.columns] += settle(patch.refit, e, n_steps, momentum)
        c = W.coefficients(mended, out=c)
        after = _column_errors(S, W, c)
        gain = float(error.sum() / after.sum())
        if gain > 1:
            x, error = mended, after
    return x, float(error.sum().sqrt())


def _column_errors(S: torch.Tensor, W: Scalogram, c: torch.Tensor) -> torch.Tensor:
    """Sum the squared misfit of each column, in double precision: small squares would underflow."""
    return double(W.modulus(c) - S).square_().sum(-2)


def _worst(error: np.ndarray) -> np.ndarray:
    """Mark the fewest columns that together hold all but LEFT_OUT of the error, in a mask."""
    falling = np.argsort(-error)
    few = np.searchsorted(error[falling].cumsum(), (1 - LEFT_OUT) * error.sum()) + 1
    mask = np.zeros(len(error), bool)
    mask[falling[:few]] = True
    return mask


def _margin(W: Scalogram) -> int:
    """Count the samples that the longest wavelet lasts, as `Scalogram` does for its f_min."""
    return int(DURATIONS * W.time_spread * W.sample_rate / float(W.frequencies.min()))


def _stretches(mask: np.ndarray) -> Iterator[torch.Tensor]:
    """Generate the columns of each run of true in a periodic mask.

    The end of a run is cut to a length for which the FFT is fast.
    """
    first = int(np.argmin(mask))
    labelled: Any = label(np.roll(mask, -first))
    for (run,) in find_objects(labelled[0]):
        length = _fast_length(run.stop - run.start)
        yield torch.from_numpy((first + run.start + np.arange(length)) % len(mask))


def _fast_length(n: int) -> int:
    """Round down to a length for which the FFT is fast, and which many hops divide if it is long.

    Examples
    --------
    >>> _fast_length(1000)
    960
    """
    step = MANY_HOPS if n >= MANY_HOPS**2 // 2 else 1
    return step * cast(int, prev_fast_len(n // step))
