"""Compute a scalogram at every h-th sample only, each row from its own offset, without the rest.

    c_j(h n + o_j)  =  1/N sum_k psi_j(k) X(k) exp(2 pi i k o_j / N) exp(2 pi i k n / M),  M = N / h

Bins that are M apart fall on one bin of an inverse FFT of length M, whatever the band of the row:
where that is wider than M, the columns are aliased, which is no fault in a measurement.
"""

import torch
from numpy.typing import ArrayLike
from torch.nn.functional import pad

from .._validation import check_count, check_instance, check_numbers
from .scalogram import Scalogram

__all__ = ["Columns"]


class Columns:
    """The coefficients of W at some columns.

    Parameters
    ----------
    W : Scalogram
    hop : int
        Distance in samples between two columns; it divides W.n_samples.
    offsets : integer array, shape (n_freqs,), optional
        The first column of each row. Default: 0.

    Attributes
    ----------
    shape : (int, int)
        (n_freqs, n_samples / hop).

    Raises
    ------
    ValueError
        If the hop does not divide W.n_samples, or there is not one offset for each row.

    Examples
    --------
    >>> W = Scalogram(64)
    >>> x = torch.arange(64).double().sin()
    >>> c = Columns(W, 4, torch.full((W.n_freqs,), 3)).coefficients(x)
    >>> bool(torch.allclose(c, W(x)[:, 3::4]))
    True
    """

    def __init__(self, W: Scalogram, hop: int = 1, offsets: ArrayLike | None = None) -> None:
        check_instance(W, Scalogram, "W")
        if W.n_samples % check_count(hop, "hop"):
            raise ValueError(f"hop must divide n_samples = {W.n_samples}, got {hop}")
        self.W, self.hop = W, hop
        self.offsets = torch.zeros(W.n_freqs, dtype=torch.long)
        if offsets is not None:
            self.offsets = _one_for_each_row(offsets, W) % W.n_samples
        self.shape = W.n_freqs, W.n_samples // hop
        self._whole = hop == 1 and not self.offsets.any()
        self._weights = torch.empty(0) if self._whole else self._turned_responses()

    @property
    def times(self) -> torch.Tensor:
        """The sample of each coefficient, shape (n_freqs, n_samples / hop)."""
        grid = self.hop * torch.arange(self.shape[1])
        return (self.offsets[:, None] + grid) % self.W.n_samples

    def spread(self, c: torch.Tensor) -> torch.Tensor:
        """Put coefficients of these columns among zeros, shape (..., n_freqs, n_samples)."""
        plane = c.new_zeros((*c.shape[:-1], self.W.n_samples))
        return plane.scatter(-1, self.times.expand_as(c), c)

    def _turned_responses(self) -> torch.Tensor:
        """Compute psi_j(k) exp(2 pi i k o_j / N), padded to whole turns of the short FFT."""
        filters, n_samples = self.W.filters, self.W.n_samples
        turns = (self.offsets[:, None] * torch.arange(filters.shape[1])) % n_samples
        angles = turns.to(filters) * (2 * torch.pi / n_samples)
        if self.W.angles is not None:
            angles = angles + self.W.angles
        weights = torch.polar(filters.abs(), angles) * filters.sign()
        return pad(weights, (0, -weights.shape[1] % self.shape[1]))

    def coefficients(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the coefficients of signals, shape (..., n_samples); differentiable."""
        if self._whole:
            return self.W.coefficients(x)
        n_bins, n_kept = self._weights.shape[1], self.shape[1]
        spectrum = torch.fft.fft(x)[..., None, :n_bins]
        spectrum = pad(spectrum, (0, n_bins - spectrum.shape[-1]))
        folded = (spectrum * self._weights).unflatten(-1, (-1, n_kept)).sum(-2)
        return torch.fft.ifft(folded) / self.hop

    def adjoint(self, c: torch.Tensor) -> torch.Tensor:
        """Compute the signal x' with Re<W x, c> = <x, x'> for every real x, from some columns."""
        if self._whole:
            return self.W.adjoint(c)
        n_bins, n_samples = self._weights.shape[1], self.W.n_samples
        tiled = torch.fft.fft(c).repeat(*[1] * (c.ndim - 1), n_bins // self.shape[1])
        spectrum = (tiled * self._weights.conj()).sum(-2)[..., :n_samples]
        return torch.fft.ifft(spectrum, n=n_samples).real


def _one_for_each_row(offsets: ArrayLike, W: Scalogram) -> torch.Tensor:
    wanted = f"one whole number for each of {W.n_freqs} rows"
    given = check_numbers(offsets, "offsets", wanted)
    if given.shape != (W.n_freqs,) or (given != given.round()).any():
        raise ValueError(
            f"offsets must be {wanted}, got {given.tolist()} of shape {tuple(given.shape)}"
        )
    return given.long()
