"""Put recovered slices of a sound together: least squares for the sound and all rotations.

Slice k holds, in the band B of the transform, what a window w_k leaves of the sound x, turned by an
angle of its own: z_k = exp(i theta_k) B (w_k x). The windows add up to 1, but the slices do not add
up to x: each lacks what its window carries over the edges of the band. The slices know it all the
same, as two of them hold each edge. So x is the sound in the band that fits all of them best,

    sum_k | B (w_k x) - exp(-i theta_k) z_k |^2  ->  min

Both are unknown, x and the angles. In one step exp(-i theta) becomes (1 + i d) exp(-i theta), which
makes the problem linear; LSQR solves it (Paige and Saunders 1982, doi:10.1145/355984.355989), and
theta is lowered by the angle of 1 + i d. Few steps are needed: neighbours agree to start with.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, lsqr

from .._levels import unit

__all__ = ["Cutting", "joined"]

# Of each linear problem, relative to what is left of the misfit; and at most so many iterations.
TOLERANCE, MOST_ITERATIONS = 1e-6, 120
# A step that leaves more than this share of the misfit is the last, and does not count.
WORTHWHILE = 0.99


@dataclass(frozen=True)
class Cutting:
    """The map from a sound in its band to all of its slices in theirs, and its adjoint.

    A signal in a band is given by its coordinates there: the bins of its DFT, which is scaled such
    that norms are kept.

    Attributes
    ----------
    window : real Tensor, shape (slice_samples,)
    hop : int
        Number of samples from the start of a slice to that of the next.
    count : int
        Number of slices. The sound begins where the first window has risen.
    n_samples : int
        Length of the sound.
    band : Tensor of bool, shape (n_samples // 2 + 1,)
    slice_band : Tensor of bool, shape (slice_samples // 2 + 1,)
    """

    window: torch.Tensor
    hop: int
    count: int
    n_samples: int
    band: torch.Tensor
    slice_band: torch.Tensor

    def slices(self, x: torch.Tensor) -> torch.Tensor:
        """Compute the coordinates of all slices, one in each row, from those of a sound."""
        overlap, n = len(self.window) - self.hop, self.count * self.hop
        padded = torch.nn.functional.pad(
            signal(x, self.band, self.n_samples), (overlap, n - self.n_samples)
        )
        parts = padded.unfold(0, len(self.window), self.hop)
        return torch.stack([coordinates(self.window * part, self.slice_band) for part in parts])

    def sound(self, slices: torch.Tensor) -> torch.Tensor:
        """Compute the coordinates of a sound from those of slices, by the adjoint."""
        overlap = len(self.window) - self.hop
        total = torch.zeros(self.count * self.hop + overlap, dtype=torch.float64)
        for k, part in enumerate(slices):
            about = signal(part, self.slice_band, len(self.window))
            total[k * self.hop :][: len(about)] += self.window * about
        return coordinates(total[overlap:][: self.n_samples], self.band)


def coordinates(x: torch.Tensor, band: torch.Tensor) -> torch.Tensor:
    """Compute the coordinates of a signal in a band.

    Examples
    --------
    >>> band = torch.tensor([False, True, False])
    >>> c = coordinates(torch.tensor([3.0, 0.0, -3.0, 0.0]).double(), band)
    >>> round(float(c.abs().square().sum()), 6), signal(c, band, 4).round(decimals=6).tolist()
    (18.0, [3.0, 0.0, -3.0, 0.0])
    """
    return torch.fft.rfft(x, norm="ortho")[band] * _weights(band, len(x))


def signal(c: torch.Tensor, band: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Compute the signal in a band from its coordinates."""
    spectrum = torch.zeros(len(band), dtype=torch.complex128)
    spectrum[band] = c / _weights(band, n_samples)
    return torch.fft.irfft(spectrum, n=n_samples, norm="ortho")


def _weights(band: torch.Tensor, n_samples: int) -> torch.Tensor:
    """Weigh the bins of a band: most of them stand for a negative frequency too."""
    weights = torch.full((len(band),), 2.0, dtype=torch.float64).sqrt()
    weights[0] = 1
    weights[(n_samples + 1) // 2 :] = 1
    return weights[band]


def joined(
    parts: Sequence[torch.Tensor], x: torch.Tensor, cutting: Cutting, turning: bool, steps: Iterable
) -> torch.Tensor:
    """Find the sound whose slices are the given ones, up to a rotation of each.

    Parameters
    ----------
    parts : sequence of real Tensors, each of shape (slice_samples,)
        The slices, turned nearly like each other.
    x : real Tensor, shape (n_samples,)
        A first guess of the sound.
    cutting : Cutting
    turning : bool
        Whether slices may be turned further.
    steps : iterable
        At most one step is taken for each item; steps end when they lower the misfit no more.

    Returns
    -------
    real Tensor, shape (n_samples,)
    """
    level = unit(torch.stack([part.abs().max() for part in parts]))
    z = torch.stack([coordinates(part / level, cutting.slice_band) for part in parts])
    X, misfit = _scaled(coordinates(x / level, cutting.band), z, cutting)
    for _ in steps:
        change, d = _step(z, X, cutting, turning)
        turned = z * torch.sgn(torch.complex(torch.ones_like(d), d))[:, None]
        better, left = _scaled(X + change, turned, cutting)
        if not left < WORTHWHILE * misfit:
            break
        X, z, misfit = better, turned, left
    return signal(X, cutting.band, cutting.n_samples) * level


def _scaled(X: torch.Tensor, z: torch.Tensor, cutting: Cutting) -> tuple[torch.Tensor, float]:
    """Scale a sound as its slices ask for; return what is left of them as well, relative to z.

    1 + i d is longer than 1, so that a step which turns all slices leaves a sound that is too loud.
    """
    made = cutting.slices(X)
    scale = float(torch.vdot(made.flatten(), z.flatten()).real / (made.norm().square() or 1.0))
    return scale * X, float((z - scale * made).norm() / (z.norm() or 1.0))


def _step(
    z: torch.Tensor, X: torch.Tensor, cutting: Cutting, turning: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Solve the linear problem: return the change of the sound and d of each slice."""
    norms = torch.linalg.vector_norm(z, dim=1, keepdim=True) if turning else torch.zeros(len(z), 1)
    ways = torch.where(norms > 0, 1j * z / norms, 0)  # of unit length, as those of the sound are

    def fitted(unknown: np.ndarray) -> np.ndarray:
        change, d = _complex(unknown[: 2 * len(X)]), torch.from_numpy(unknown[2 * len(X) :])
        return _real(cutting.slices(change) - ways * d[:, None])

    def adjoint(misfit: np.ndarray) -> np.ndarray:
        rows = _complex(misfit).reshape(z.shape)
        d = -(ways.conj() * rows).real.sum(1)
        return np.concatenate([_real(cutting.sound(rows)), d.numpy()])

    shape = (2 * z.numel(), 2 * len(X) + len(z))
    maps: dict[str, Any] = {"matvec": fitted, "rmatvec": adjoint, "dtype": np.float64}
    problem = LinearOperator(shape, **maps)
    options = {"atol": TOLERANCE, "btol": TOLERANCE, "conlim": 0, "iter_lim": MOST_ITERATIONS}
    found = lsqr(problem, _real(z - cutting.slices(X)), **options)[0]
    d = torch.from_numpy(found[2 * len(X) :]) / norms[:, 0]
    return _complex(found[: 2 * len(X)]), torch.where(norms[:, 0] > 0, d, 0)


def _real(c: torch.Tensor) -> np.ndarray:
    return torch.view_as_real(c).flatten().numpy()


def _complex(numbers: np.ndarray) -> torch.Tensor:
    return torch.view_as_complex(torch.from_numpy(numbers).reshape(-1, 2).contiguous())
