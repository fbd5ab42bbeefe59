"""What is wrong in few places is mended there: stretches of a scalogram, cut out with a margin.

Once the phase has been corrected, nearly all that is left of the error stands in a few short
stretches, around zeros where a path went wrong. Let y be the signal so far and c = W y. A change e
of it that stays within a stretch has there the coefficients

    W (y + e) = c + W_p e

with W_p the same wavelets for signals as short as the stretch, periodic as all transforms here are:
where e and its wavelets have died away before the ends, that is exact. So whatever needs only W and
its inverse can work on e -> c + W_p e instead, and costs what the stretch costs.
"""

import numpy as np
import torch
from scipy.fft import prev_fast_len
from scipy.ndimage import find_objects, label, maximum_filter1d

from ..transforms.scalogram import DURATIONS, Scalogram
from ._griffin_lim import settle

__all__ = ["Patch", "mend", "patches"]

# All but this share of the squared error is to be in the patches, and they in this part of the
# columns: else the whole is as cheap.
LEFT_OUT, SMALL_PART = 0.01, 0.5

# Mending ends where it gains less than this.
GAIN_DB = 10.0


class Patch:
    """Some columns of a scalogram: which change e of the signal there makes |c + W e| = S?

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
        The given scalogram.
    W : Scalogram
        Of the whole signal, without a lowpass.
    c : complex Tensor, shape (..., n_freqs, n_samples)
        W y of the signal so far.
    columns : integer Tensor, shape (n_columns,)
        Neighbours in time, the first sample being that of the last.

    Attributes
    ----------
    W : Scalogram
        The same wavelets for signals as long as the patch.
    S, c : Tensors, shape (..., n_freqs, n_columns)
        What was given, on these columns.
    """

    def __init__(self, S, W, c, columns):
        self.columns, self.S, self.c = columns, S[..., columns], c[..., columns]
        self.W = _shorter(W, len(columns))

    def coefficients(self, e):
        """Compute c + W e, shape (..., n_freqs, n_columns)."""
        return self.W.coefficients(e).add_(self.c)

    def refit(self, e):
        """Find the e whose c + W e is closest to having modulus S and its own phase."""
        return self.W.inverse(self.W.impose(self.S, self.coefficients(e)) - self.c)


def _shorter(W, n_samples):
    """Make the transform with the rows of W for shorter signals."""
    f_min, f_max = float(W.frequencies[-1]), float(W.frequencies[0])
    # A hair lower and not above Nyquist, whatever single precision has made of the two.
    return Scalogram(
        n_samples,
        W.sample_rate,
        wavelet=W.wavelet,
        voices_per_octave=W.voices_per_octave,
        f_min=f_min * (1 - 1e-6),
        f_max=min(f_max, W.sample_rate / 2),
    ).to(W.filters)


def patches(S, W, c, error):
    """The patches that hold the error; none if they would be no cheaper than the whole.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    c : complex Tensor, shape (..., n_freqs, n_samples)
        W y of the signal so far.
    error : real Tensor, shape (..., n_samples)
        The squared error of each column.

    Returns
    -------
    list of Patch
    """
    if W.lowpass is not None or 2 * _margin(W) > SMALL_PART * W.n_samples:
        return []
    wrong = _worst(error.reshape(-1, W.n_samples).sum(0).cpu().numpy())
    wrong = maximum_filter1d(wrong, 2 * _margin(W) + 1, mode="wrap")
    if wrong.mean() > SMALL_PART:
        return []
    return [Patch(S, W, c, columns) for columns in _stretches(wrong)]


def mend(S, W, x, n_steps, momentum, c):
    """Settle x where its misfit stands, as long as that is in few places and helps much.

    Parameters
    ----------
    S : real Tensor, shape (..., n_freqs, n_samples)
    W : Scalogram
    x : real Tensor, shape (..., n_samples)
        The signal so far.
    n_steps, momentum : int, float
        Of `griffin_lim.settle`, in each patch.
    c : complex Tensor, shape of S
        Memory to work in.

    Returns
    -------
    (x, residual)
        The signal and || |W x| - S ||, a float.
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


def _column_errors(S, W, c):
    """The squared misfit of each column; double, as squares of small numbers are too small."""
    return (W.modulus(c) - S).double().square_().sum(-2)


def _worst(error):
    """The fewest columns that together hold all but LEFT_OUT of the error, as a mask."""
    falling = np.argsort(-error)
    few = np.searchsorted(error[falling].cumsum(), (1 - LEFT_OUT) * error.sum()) + 1
    mask = np.zeros(len(error), bool)
    mask[falling[:few]] = True
    return mask


def _margin(W):
    """Samples that the longest wavelet lasts, as `Scalogram` counts it for its f_min."""
    return int(DURATIONS * W.time_spread * W.sample_rate / float(W.frequencies[-1]))


def _stretches(mask):
    """The columns of each run of true in a periodic mask; at its end cut to what the FFT likes."""
    first = int(np.argmin(mask))
    for (run,) in find_objects(label(np.roll(mask, -first))[0]):
        length = prev_fast_len(run.stop - run.start)
        yield torch.from_numpy((first + run.start + np.arange(length)) % len(mask))
