"""Decimate a scalogram: keep in each row as many samples as the row needs, and lose nothing.

Row j of W passes a band of b_j DFT bins and suppresses all others. Its power |c_j|^2 is therefore a
sum of at most 2 b_j - 1 exponentials in time, and M_j >= 2 b_j of its N samples determine it: every
h_j-th sample is kept, and all others follow by the sampling theorem. Rows of low frequency have
narrow bands, and most rows of a scalogram have a low frequency.

    h_j = the largest power of two that divides N with N / h_j >= 2 b_j
    c_j(h_j n) = 1/N sum_k psi_j(k) X(k) exp(2 pi i k n / M_j)          one short inverse FFT

The *power* is band-limited, not the modulus: the power is interpolated, then the root is taken.
(Non-stationary Gabor frames in the painless case rest on the same fact, that narrow bands may be
sampled more slowly: Balazs, Doerfler, Jaillet, Holighaus and Velasco 2011,
doi:10.1016/j.cam.2011.09.011.)
"""

from collections.abc import Iterable, Iterator

import torch
from numpy.typing import ArrayLike
from torch.nn.functional import pad

from .._levels import unit
from .._validation import check_instance, check_magnitudes, check_share
from ._filter_bank import modulus
from ._painless import bands
from .scalogram import Scalogram

__all__ = ["Decimated"]

# Filter values below this share of the filter's peak are outside its band, and may alias.
ALIASING_TOLERANCE = 1e-10


class Decimated:
    """The scalogram of W with a sampling rate for each row.

    Parameters
    ----------
    W : Scalogram
        A transform without a "signed" lowpass. Rows that reach into negative frequencies keep every
        sample.
    tolerance : float in (0, 1)
        Filter values below this share of the filter's peak may alias.

    Attributes
    ----------
    W : Scalogram
    hops : list of int
        Distance in samples between two that are kept, for each row.
    n_kept : int
        Number of magnitudes that are kept of one signal, out of W.n_freqs * W.n_samples.

    Raises
    ------
    ValueError, TypeError
        If the tolerance is out of range, or W has a lowpass row that keeps its sign.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> D = Decimated(Scalogram(512, 8000, voices_per_octave=16))
    >>> x = torch.cos(2 * torch.pi * 1000 / 8000 * torch.arange(512))
    >>> parts = D.magnitude(x)
    >>> sum(part.numel() for part in parts) == D.n_kept < 0.6 * D.W.n_freqs * 512
    True
    >>> bool(torch.allclose(D.complete(parts), D.W.magnitude(x), atol=1e-6))
    True
    """

    def __init__(self, W: Scalogram, *, tolerance: float = ALIASING_TOLERANCE):
        tolerance = check_share(tolerance, "tolerance")
        if check_instance(W, Scalogram, "W").lowpass == "signed":
            raise ValueError("W must have no 'signed' lowpass: its row is no modulus")
        self.W, self._responses = W, W.responses
        passed = list(_passed(W.filters, tolerance, W.n_samples))
        self.hops = [_hop(len(band), W.n_samples) for band in passed]
        self._groups = list(_groups(self.hops, passed))
        self.n_kept = sum(W.n_samples // hop for hop in self.hops)

    def magnitude(self, x: ArrayLike) -> list[torch.Tensor]:
        """Compute the decimated scalogram, differentiably.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        list of Tensors, each (..., rows of one hop, n_samples / hop); units of x
            The groups of rows go from high to low frequency, as the rows of W do.
        """
        x = self.W.check_signal(x)
        self.W.check_heard(x)
        spectrum = torch.fft.fft(x)[..., None, :]
        return [modulus(self._rows(spectrum, *group)) for group in self._groups]

    def keep(self, S: ArrayLike) -> list[torch.Tensor]:
        """Decimate a scalogram of W, shape (..., n_freqs, n_samples), that is known already.

        Examples
        --------
        >>> W = Scalogram(256)
        >>> parts = Decimated(W).keep(torch.ones(W.shape))
        >>> sum(len(part) for part in parts) == W.n_freqs
        True
        """
        checked = self.W.check_scalogram(S)
        return [checked[..., rows, ::hop] for rows, hop, _ in self._groups]

    def complete(self, parts: Iterable[ArrayLike]) -> torch.Tensor:
        """Interpolate a decimated scalogram to that of W, shape (..., n_freqs, n_samples).

        Parameters
        ----------
        parts : list of real arrays, as `magnitude` returns them

        Raises
        ------
        ValueError, TypeError
            If there are too few or too many parts, or a part has the wrong shape or NaN, infinite
            or negative magnitudes.
        """
        try:
            parts = list(parts)
        except TypeError:
            raise TypeError(f"parts must be a list of arrays, got {type(parts).__name__}") from None
        if len(parts) != len(self._groups):
            raise ValueError(
                f"parts must hold {len(self._groups)} arrays, one for each hop, got {len(parts)}"
            )
        return torch.cat(
            [
                self._interpolated(part, k, *group)
                for k, (part, group) in enumerate(zip(parts, self._groups))
            ],
            dim=-2,
        )

    def _rows(self, spectrum: torch.Tensor, rows: slice, hop: int, band: slice) -> torch.Tensor:
        """Compute the coefficients of one group of rows at the samples that are kept."""
        product = spectrum[..., band] * self._responses[rows, band]
        n_kept = self.W.n_samples // hop
        # Bins n_kept apart fall on one bin of the short FFT; in each row only one of them is not 0.
        folded = pad(product, (0, -product.shape[-1] % n_kept)).unflatten(-1, (-1, n_kept)).sum(-2)
        return torch.fft.ifft(folded.roll(band.start, -1)) / hop

    def _interpolated(
        self, part: ArrayLike, k: int, rows: slice, hop: int, band: slice
    ) -> torch.Tensor:
        """Interpolate the power of part number k to every sample, and take its root."""
        shape = rows.stop - rows.start, self.W.n_samples // hop
        given = check_magnitudes(part, shape, f"parts[{k}]").to(self.W.filters)
        level = unit(given, (-2, -1))
        power = (given / level).square()
        power = hop * torch.fft.irfft(torch.fft.rfft(power), n=self.W.n_samples)
        return power.clamp_min(0).sqrt() * level


def _passed(filters: torch.Tensor, tolerance: float, n_samples: int) -> Iterator[range]:
    """Find the bins that each filter passes; take all if negative frequencies are among them."""
    for band in bands(filters, tolerance):
        yield band if band.stop <= n_samples // 2 + 1 else range(n_samples)


def _hop(width: int, n_samples: int) -> int:
    """Find the largest power of two that divides n_samples and leaves 2 `width` samples or more."""
    hop = 1
    while n_samples % (2 * hop) == 0 and n_samples // (2 * hop) >= 2 * width:
        hop *= 2
    return hop


def _groups(hops: list[int], bands: list[range]) -> Iterator[tuple[slice, int, slice]]:
    """Yield (rows, hop, band) for neighbouring rows of one hop; the band covers all of theirs."""
    first = 0
    for row in range(1, len(hops) + 1):
        if row == len(hops) or hops[row] != hops[first]:
            among = bands[first:row]
            yield (
                slice(first, row),
                hops[first],
                slice(min(b.start for b in among), max(b.stop for b in among)),
            )
            first = row
