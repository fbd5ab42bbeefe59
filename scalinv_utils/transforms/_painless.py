"""Keep in each row of a transform as many coefficients as its band needs, and no more.

Row j passes b_j neighbouring DFT bins, the first of them k_j. Of its N coefficients every h_j-th
determines the row if M = N / h_j >= b_j are kept. With the weights sqrt(h_j),

    c_j(n)  =  sqrt(h_j)/N sum_k psi_j(k) X(k) exp(2 pi i (k - k_j) n / M)     one short inverse FFT

is again a frame for which W*W multiplies the DFT of a signal by the same D as before: no two bins
of one row fall together. The factor exp(-2 pi i k_j n / M), left out of the coefficients, is the
same for every signal, and no modulus depends on it.

Fewer moduli are imposed on the signal. Where S is exact and has many rows, steps of Griffin-Lim and
of Gauss and Newton gain as much with them as with all, and take a fraction of the time.

Frames of this kind are the painless case of nonstationary Gabor frames (Daubechies, Grossmann and
Meyer 1986, doi:10.1063/1.527388; Balazs, Doerfler, Jaillet, Holighaus and Velasco 2011,
doi:10.1016/j.cam.2011.09.011).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from ._filter_bank import gather, imposed

__all__ = ["Painless", "bands"]

# Values of a filter below so many units of rounding, relative to its largest, are outside its band.
BELOW_BAND = 8.0

# So many numbers are processed together: they stay in a processor's cache.
NUMBERS_AT_ONCE = 2**17


@dataclass(frozen=True)
class Part:
    """Neighbouring rows that keep every `hop`-th coefficient.

    Attributes
    ----------
    rows, bins : slice
        The rows, and the DFT bins that any of them passes.
    place : slice
        The place of their coefficients among all that are kept.
    hop, n_kept : int
        n_kept is the number of coefficients in each row.
    weights : complex Tensor, shape (n_rows, n_bins)
        The filters over sqrt(hop).
    signed : bool
        Whether it is the row of a lowpass that keeps its sign.
    """

    rows: slice
    bins: slice
    place: slice
    hop: int
    n_kept: int
    weights: torch.Tensor
    signed: bool

    def analyse(self, spectrum: torch.Tensor) -> torch.Tensor:
        """Compute the coefficients (..., n_rows, n_kept) of a spectrum (..., n_samples)."""
        product = spectrum[..., None, self.bins] * self.weights
        # The union of the bands may be wider than each of them.
        beyond = product.shape[-1] - self.n_kept
        if beyond > 0:
            product[..., :beyond] += product[..., self.n_kept :]
        return torch.fft.ifft(product[..., : self.n_kept], n=self.n_kept)

    def take(self, values: torch.Tensor) -> torch.Tensor:
        """Take what is kept of moduli or coefficients (..., n_freqs, n_samples), weighted."""
        kept = values[..., self.rows, :: self.hop] * self.hop**0.5
        if not values.is_complex():
            return kept
        turns = self.bins.start * torch.arange(self.n_kept, device=values.device) % self.n_kept
        angles = turns.to(values.real) * (-2 * torch.pi / self.n_kept)
        return kept * torch.polar(torch.ones_like(angles), angles)

    def seen(self, values: torch.Tensor) -> torch.Tensor:
        """View the values of these rows among all that are kept, shape (..., n_rows, n_kept)."""
        return values[..., self.place].unflatten(-1, (-1, self.n_kept))

    def impose(self, S: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        """Give c the modulus S, in place where possible."""
        return S.to(c.dtype) if self.signed else imposed(S, c, out=c)


class Painless:
    """A transform at the lowest rate that each of its rows allows.

    Parameters
    ----------
    filters : real or complex Tensor, shape (n_freqs, n_bins)
        Frequency responses on the first n_bins of n_samples DFT bins.
    n_samples : int
    dual : real Tensor, shape (n_samples,)
        1/D at each DFT bin, and 0 outside the band.
    is_real : bool
        Whether signals are real; else they are complex.
    signed : bool
        Whether the last row is a lowpass that keeps its sign.

    Attributes
    ----------
    n_kept : int
        The number of coefficients of one signal.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(64)
    >>> x = torch.arange(64).double().sin()
    >>> fewer = W.painless
    >>> fewer.n_kept < W.n_freqs * 64
    True
    >>> y = fewer.precondition(fewer.adjoint(fewer.coefficients(x)))
    >>> bool(torch.allclose(y, W.project(x)))
    True
    """

    def __init__(
        self,
        filters: torch.Tensor,
        n_samples: int,
        dual: torch.Tensor,
        *,
        is_real: bool = True,
        signed: bool = False,
    ) -> None:
        self.n_samples, self.is_real, self._dual = n_samples, is_real, dual
        self._parts = list(_parts(filters, n_samples, signed))
        self.n_kept = self._parts[-1].place.stop

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the coefficients that are kept, shape (..., n_kept), of (..., n_samples)."""
        spectrum = torch.fft.fft(x)
        c = spectrum.new_empty((*x.shape[:-1], self.n_kept))
        for part in self._parts:
            part.seen(c).copy_(part.analyse(spectrum))
        return c

    def adjoint(self, c: torch.Tensor) -> torch.Tensor:
        """Compute the adjoint of `coefficients` in the real inner product."""
        spectrum = c.new_zeros((*c.shape[:-1], self.n_samples))
        for part in self._parts:
            gather(spectrum, part.seen(c), part.bins, part.weights, factor=part.hop)
        return self._signal(spectrum)

    def sampled(self, values: torch.Tensor) -> torch.Tensor:
        """Take what is kept of a scalogram, or of coefficients, (..., n_freqs, n_samples)."""
        return torch.cat([part.take(values).flatten(-2) for part in self._parts], -1)

    def refit(
        self, S: torch.Tensor, x: torch.Tensor, c: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Find the x whose c + W x is closest to having modulus S and its own phase.

        Without c it is one step of Griffin-Lim. S and c have the shape (..., n_kept).
        """
        spectrum = torch.fft.fft(x)
        total = torch.zeros_like(spectrum)
        for part in self._parts:
            near = part.analyse(spectrum)
            near = near if c is None else near.add_(part.seen(c))
            near = part.impose(part.seen(S), near)
            near = near if c is None else near.sub_(part.seen(c))
            gather(total, near, part.bins, part.weights, factor=part.hop)
        return self._signal(total * self._dual)

    def precondition(self, x: torch.Tensor) -> torch.Tensor:
        """Compute (W*W)^{-1} x on the band."""
        return self._signal(torch.fft.fft(x) * self._dual)

    def _signal(self, spectrum: torch.Tensor) -> torch.Tensor:
        signal = torch.fft.ifft(spectrum)
        return signal.real if self.is_real else signal


def _parts(filters: torch.Tensor, n_samples: int, signed: bool) -> Iterator[Part]:
    """Divide rows into parts that keep equally many coefficients and fit into the cache."""
    rounding = BELOW_BAND * torch.finfo(filters.dtype).eps
    all_bands, place = list(bands(filters, rounding)), 0
    hops = [_hop(band, n_samples) for band in all_bands]
    for rows in _runs(hops, n_samples, len(filters) - signed):
        hop, among = hops[rows.start], all_bands[rows]
        bins = slice(min(b.start for b in among), max(b.stop for b in among))
        n_kept, end = n_samples // hop, place + (rows.stop - rows.start) * (n_samples // hop)
        kept = torch.zeros_like(filters[rows, bins])
        for row, band in enumerate(among):
            within = slice(band.start - bins.start, band.stop - bins.start)
            kept[row, within] = filters[rows][row, band.start : band.stop]
        weights = (kept / hop**0.5).to(filters.dtype.to_complex())
        is_signed = signed and rows.stop == len(filters)
        yield Part(rows, bins, slice(place, end), hop, n_kept, weights, is_signed)
        place = end


def bands(filters: torch.Tensor, tolerance: float) -> Iterator[range]:
    """Find the bins that each filter passes, one if there are none.

    Values below the share `tolerance` of a filter's largest are outside its band.
    """
    sizes = filters.abs()
    passed = sizes > tolerance * sizes.amax(-1, keepdim=True)
    firsts, after = passed.int().argmax(-1), passed.flip(-1).int().argmax(-1)
    for first, beyond, some in zip(firsts.tolist(), after.tolist(), passed.any(-1).tolist()):
        yield range(first, filters.shape[-1] - beyond) if some else range(1)


def _hop(band: range, n_samples: int) -> int:
    """Find the largest hop that divides n_samples and leaves as many samples as the band has bins.

    Examples
    --------
    >>> _hop(range(5, 15), 48)
    4
    """
    hops = range(n_samples // len(band), 0, -1)
    return next(hop for hop in hops if n_samples % hop == 0)


def _runs(hops: list[int], n_samples: int, n_moduli: int) -> Iterator[slice]:
    """Generate runs of rows of one hop, each as short as the cache asks for."""
    first = 0
    for row in range(1, len(hops) + 1):
        too_many = (row - first + 1) * (n_samples // hops[first]) > NUMBERS_AT_ONCE
        if row == len(hops) or row == n_moduli or hops[row] != hops[first] or too_many:
            yield slice(first, row)
            first = row
