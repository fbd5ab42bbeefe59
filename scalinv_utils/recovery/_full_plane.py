"""Present a measured scalogram to alternating projections, as a transform on all places.

The set of coefficients with the given modulus says nothing about places that are not known, and
at a floor only that the modulus is no larger:

    P2 c  =  S c/|c|  where S is known,     min(S, |c|) c/|c|  at a floor,     c  elsewhere
"""

import torch

from ..measured import Measured

__all__ = ["FullPlane"]


class FullPlane:
    """Give `griffin_lim` what it asks of a transform, for a measured scalogram.

    Parameters
    ----------
    M : Measured

    Attributes
    ----------
    S : Tensor, shape (n_freqs, n_padded)
        The known modulus among zeros.
    """

    def __init__(self, M: Measured) -> None:
        self.M, self.filters, self.n_samples = M, M.W.filters, M.n_samples
        self.S = M.columns.spread(M.S)
        self._known = M.columns.spread(M.known.double()) > 0
        self._at_most = M.columns.spread(M.at_most.double()) > 0

    def coefficients(self, x: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Compute W E x at all places."""
        return self.M.W.coefficients(self.M.extension(x), out)

    def impose(
        self, S: torch.Tensor, c: torch.Tensor, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute P2 c."""
        wanted = torch.where(self._at_most, torch.minimum(S, c.abs()), S)
        imposed = torch.where(self._known, self.M.W.impose(wanted, c), c)
        return imposed if out is None else out.copy_(imposed)

    def inverse(self, c: torch.Tensor) -> torch.Tensor:
        """Compute E^+ W^+ c."""
        return self.M.extension.inverse(self.M.W.inverse(c))

    def modulus(self, c: torch.Tensor) -> torch.Tensor:
        """Compute |c|, but S where that says nothing against it."""
        modulus = c.abs()
        agrees = ~self._known | (self._at_most & (modulus < self.S))
        return torch.where(agrees, self.S, modulus)

    def project(self, x: torch.Tensor) -> torch.Tensor:
        """Restrict x to what W sees of its extension."""
        return self.M.project(x)
