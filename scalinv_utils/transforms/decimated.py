"""A scalogram that keeps of each row as many samples as the row needs, and loses nothing.

Row j of W passes a band of b_j DFT bins, all others are nothing. Its power |c_j|^2 is then a sum of
at most 2 b_j - 1 exponentials in time. M_j >= 2 b_j samples hold it, out of N: every h_j-th, and
all others follow by the sampling theorem. Low rows are narrow, and most of a scalogram is low rows.

    h_j = the largest power of two that divides N with N / h_j >= 2 b_j
    c_j(h_j n) = 1/N sum_k psi_j(k) X(k) exp(2 pi i k n / M_j)          one short inverse FFT

It is the *power* that is band-limited, not the modulus: interpolate that, then take the root. (That
narrow bands may be sampled more slowly is what non-stationary Gabor frames rest on, the painless
case: Balazs, Doerfler, Jaillet, Holighaus and Velasco 2011, doi:10.1016/j.cam.2011.09.011.)
"""

import torch
from torch.nn.functional import pad

from .._validation import check_magnitudes, check_share
from ._filter_bank import modulus

__all__ = ["Decimated"]

# A filter's flanks below this share of its peak count as nothing.
TOLERANCE = 1e-10


class Decimated:
    """The scalogram of W with each row at a rate of its own.

    Parameters
    ----------
    W : Scalogram
        Without a "signed" lowpass. Rows that reach into negative frequencies keep every sample.
    tolerance : float in (0, 1)
        Flanks of a filter below this share of its peak may alias.

    Attributes
    ----------
    hops : list of int
        For each row, how many samples lie between two that are kept.
    n_kept : int
        Magnitudes of one signal, of W.n_freqs * W.n_samples.

    Raises
    ------
    ValueError, TypeError
        A tolerance out of range, or a lowpass row that keeps its sign.

    Examples
    --------
    >>> D = Decimated(Scalogram(2048, 8000, voices_per_octave=32))         # doctest: +SKIP
    >>> recover(D.complete(D.magnitude(x)), D.W).signal                    # doctest: +SKIP
    >>> invert_gradient(D.magnitude(x), D.magnitude, n_samples=2048)       # doctest: +SKIP
    """

    def __init__(self, W, *, tolerance=TOLERANCE):
        check_share(tolerance, "tolerance")
        if W.lowpass == "signed":
            raise ValueError("W must have no 'signed' lowpass: its row is no modulus")
        self.W = W
        bands = [_band(row, tolerance, W.n_samples) for row in W.filters]
        self.hops = [_hop(len(band), W.n_samples) for band in bands]
        self._groups = list(_groups(self.hops, bands))
        self.n_kept = sum(W.n_samples // hop for hop in self.hops)

    def magnitude(self, x):
        """The decimated scalogram, differentiable.

        Parameters
        ----------
        x : real array, shape (..., n_samples)

        Returns
        -------
        list of Tensors, each (..., rows of one hop, n_samples / hop); units of x
            From high to low frequency, as the rows of W.
        """
        spectrum = torch.fft.fft(self.W.check_signal(x))[..., None, :]
        return [modulus(self._rows(spectrum, *group)) for group in self._groups]

    def keep(self, S):
        """What a scalogram of W, shape (..., n_freqs, n_samples), has where samples are kept."""
        S = self.W.check_scalogram(S)
        return [S[..., rows, ::hop] for rows, hop, _ in self._groups]

    def complete(self, parts):
        """The scalogram of W, shape (..., n_freqs, n_samples), from a decimated one.

        Parameters
        ----------
        parts : list of real arrays, as `magnitude` returns them

        Raises
        ------
        ValueError, TypeError
            Too few or too many parts, a wrong shape, NaN, infinite or negative magnitudes.
        """
        parts = list(parts)
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

    def _rows(self, spectrum, rows, hop, band):
        product = spectrum[..., band] * self.W.filters[rows, band]
        n_kept = self.W.n_samples // hop
        # Bins that are n_kept apart are one and the same now; of each row only one is not zero.
        folded = pad(product, (0, -product.shape[-1] % n_kept)).unflatten(-1, (-1, n_kept)).sum(-2)
        return torch.fft.ifft(folded.roll(band.start, -1)) / hop

    def _interpolated(self, part, k, rows, hop, band):
        shape = rows.stop - rows.start, self.W.n_samples // hop
        power = check_magnitudes(part, shape, f"parts[{k}]").to(self.W.filters).square()
        power = hop * torch.fft.irfft(torch.fft.rfft(power), n=self.W.n_samples)
        return power.clamp_min(0).sqrt()


def _band(row, tolerance, n_samples):
    """The bins where a filter passes anything; all if negative frequencies are among them."""
    passed = torch.where(row.abs() > tolerance * row.abs().max())[0]
    first, last = int(passed[0]), int(passed[-1])
    return range(n_samples) if last > n_samples // 2 else range(first, last + 1)


def _hop(width, n_samples):
    """The largest power of two that divides n_samples and leaves twice `width` samples."""
    hop = 1
    while n_samples % (2 * hop) == 0 and n_samples // (2 * hop) >= 2 * width:
        hop *= 2
    return hop


def _groups(hops, bands):
    """(rows, hop, band) for neighbouring rows of one hop, the band that of all of them."""
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
