"""Extend a signal beyond its ends as a library does before its transform, and undo it.

(E x)_t = x_{i(t)}, or 0 where i(t) is none          E^+ y = mean of y_t over all t with i(t) = k
"""

from __future__ import annotations

import math

import numpy as np
import torch

from .._validation import check_count
from ..transforms.scalogram import Scalogram

__all__ = ["ENDS", "Extension"]

ENDS = ("periodic", "zero", "reflect", "symmetric")


class Extension:
    """The map E from signals to extended signals.

    Parameters
    ----------
    n_samples : int
    ends : str
        One of `ENDS`.
    left, right : int
        Samples before and after the signal.

    Attributes
    ----------
    n_samples, n_padded, left : int

    Examples
    --------
    >>> Extension(3, "reflect", 2, 1)(torch.tensor([1.0, 2.0, 3.0])).tolist()
    [3.0, 2.0, 1.0, 2.0, 3.0, 2.0]
    """

    def __init__(self, n_samples: int, ends: str, left: int, right: int) -> None:
        self.n_samples, self.left, self.n_padded = n_samples, left, left + n_samples + right
        self.is_identity = left == right == 0
        within = np.arange(n_samples)
        if ends in ("reflect", "symmetric"):
            self._source = torch.from_numpy(np.pad(within, (left, right), mode=ends))
        else:
            self._source = torch.from_numpy(np.pad(within, (left, right), constant_values=-1))
        self._filled = self._source >= 0
        counts = torch.bincount(self._source[self._filled], minlength=n_samples)
        self._counts = counts.double()

    @classmethod
    def of(
        cls, W: Scalogram, ends: str, pad: tuple[int, int] | None, n_samples: int | None
    ) -> Extension:
        """Make the extension that a measurement describes; the parameters are its own."""
        if n_samples is not None:
            n_samples = check_count(n_samples, "n_samples")
        if pad is not None:
            left, right = _checked_pad(pad)
            n = W.n_samples - left - right if n_samples is None else n_samples
            if n < 1 or left + n + right != W.n_samples:
                raise ValueError(
                    f"pad must leave n_samples of W's {W.n_samples}, got pad ({left}, {right}) "
                    f"and n_samples = {n}"
                )
        else:
            n = W.n_samples if n_samples is None else n_samples
            if n != W.n_samples:
                raise ValueError(
                    f"pad must be given where n_samples, {n}, is not W's {W.n_samples}, got None"
                )
            left, right = _usual_pad(n, ends)
        if ends == "periodic" and left + right:
            raise ValueError(f"pad must be (0, 0) for periodic ends, got ({left}, {right})")
        if max(left, right) > n - (ends == "reflect") and ends in ("reflect", "symmetric"):
            raise ValueError(f"pad must be shorter than the signal of {n}, got ({left}, {right})")
        return cls(n, ends, left, right)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Extend signals, shape (..., n_samples), to (..., n_padded)."""
        if self.is_identity:
            return x
        return x[..., self._source.clamp_min(0)] * self._filled

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Compute E^T y, shape (..., n_samples), of extended signals."""
        if self.is_identity:
            return y
        zero = y.new_zeros((*y.shape[:-1], self.n_samples))
        return zero.index_add(-1, self._source[self._filled], y[..., self._filled])

    def inverse(self, y: torch.Tensor) -> torch.Tensor:
        """Compute E^+ y: the signal whose extension is closest to y."""
        return y if self.is_identity else self.adjoint(y) / self._counts.to(y)

    def inverse_adjoint(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the adjoint of `inverse`."""
        return x if self.is_identity else self(x / self._counts.to(x))

    def even(self, ends: str) -> Extension:
        """Make the extension by the whole mirror image, periodic from then on."""
        more = self.n_samples - 2 * (ends == "reflect")
        return Extension(self.n_samples, ends, 0, more)

    def mirrored(self, times: torch.Tensor) -> torch.Tensor:
        """Find the sample within the signal that an extended one repeats; -1 if it is a zero.

        Both are counted from the start of the extended signal. The scalogram of a mirror image is
        nearly the mirror image of the scalogram.
        """
        source = self._source[times]
        return torch.where(source >= 0, source + self.left, -1)

    def within(self, times: torch.Tensor) -> torch.Tensor:
        """Tell which samples of the extended signal belong to the signal itself."""
        return (times >= self.left) & (times < self.left + self.n_samples)


def _checked_pad(pad: tuple[int, int]) -> tuple[int, int]:
    try:
        left, right = pad
    except (TypeError, ValueError):
        raise TypeError(f"pad must be two numbers of samples (left, right), got {pad!r}") from None
    return check_count(left, "pad", 0), check_count(right, "pad", 0)


def _usual_pad(n_samples: int, ends: str) -> tuple[int, int]:
    """Pad as MATLAB's cwt ("symmetric") or ssqueezepy's (others) do by default."""
    if ends == "periodic":
        return 0, 0
    if ends == "symmetric":
        return n_samples // 2, n_samples // 2
    n_padded = 2 ** (1 + round(math.log2(n_samples)))
    right = (n_padded - n_samples) // 2
    return n_padded - n_samples - right, right
