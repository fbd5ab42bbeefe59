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

import cmath
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator, lsqr

from .._levels import unit

__all__ = ["Cutting", "joined"]

# LSQR ends at this share of what is left of the misfit, or after so many iterations.
TOLERANCE, MOST_ITERATIONS = 1e-6, 120
# So many common angles of all slices within half a turn are tried first.
COMMON_ANGLES = 8
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
        return self._cut(x, self.window)

    def sound(self, slices: torch.Tensor) -> torch.Tensor:
        """Compute the coordinates of a sound from those of slices, by the adjoint."""
        return self._added(slices, self.window)

    def sum(self, slices: torch.Tensor) -> torch.Tensor:
        """Add slices up where they belong."""
        return self._added(slices, torch.ones_like(self.window))

    def pieces(self, x: torch.Tensor) -> torch.Tensor:
        """Cut a sound without a window: the adjoint of `sum`."""
        return self._cut(x, torch.ones_like(self.window))

    def _cut(self, x: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        overlap, n = len(window) - self.hop, self.count * self.hop
        padded = torch.nn.functional.pad(
            signal(x, self.band, self.n_samples), (overlap, n - self.n_samples)
        )
        parts = padded.unfold(0, len(window), self.hop)
        return torch.stack([coordinates(window * part, self.slice_band) for part in parts])

    def _added(self, slices: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        overlap = len(window) - self.hop
        total = torch.zeros(self.count * self.hop + overlap, dtype=torch.float64)
        for k, part in enumerate(slices):
            total[k * self.hop :][: len(window)] += window * signal(
                part, self.slice_band, len(window)
            )
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


def joined(parts: torch.Tensor, cutting: Cutting, turning: bool, steps: Iterable) -> torch.Tensor:
    """Find the sound whose slices are the given ones, up to a rotation of each.

    Parameters
    ----------
    parts : real Tensor, shape (n_slices, slice_samples)
        The slices, turned nearly like each other.
    cutting : Cutting
    turning : bool
        Whether slices may be turned further.
    steps : iterable
        At most one step is taken for each item; steps end when they lower the misfit no more.

    Returns
    -------
    real Tensor, shape (n_samples,)
    """
    level = unit(parts)
    z = torch.stack([coordinates(part / level, cutting.slice_band) for part in parts])
    # Far from the right common angle, next to 90 degrees of it, 1 + i d would be far too long.
    angles = [math.pi * k / COMMON_ANGLES for k in range(COMMON_ANGLES if turning else 1)]
    starts = (_summed(z * cmath.exp(1j * angle), cutting) for angle in angles)
    X, misfit, z = min(starts, key=lambda start: start[1])
    for _ in steps:
        change, d = _step(z, X, cutting, turning)
        turned = z * torch.sgn(torch.complex(torch.ones_like(d), d))[:, None]
        # Turns of single joints are carried out as turns. One of all slices is better left linear,
        # and scaled: it turns what the slices lack as well.
        ways = (turned - z, 1j * d[:, None] * z)
        tried = [_scaled(X + change + cutting.sum(way), turned, cutting) for way in ways]
        better, left = min(tried, key=lambda pair: pair[1])
        if not left < WORTHWHILE * misfit:
            break
        X, z, misfit = better, turned, left
    return signal(X, cutting.band, cutting.n_samples) * level


def _summed(z: torch.Tensor, cutting: Cutting) -> tuple[torch.Tensor, float, torch.Tensor]:
    """Add slices up; return the sound, what is left of the slices, and these themselves."""
    return *_scaled(cutting.sum(z), z, cutting), z


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
    """Solve the linear problem: return the change of the sound and the angle d of each slice.

    The unknowns are the angles of joints: one turns all slices after it, and the sound with them,
    so that little is left beside the joint. With the angles of slices as unknowns, the number of
    iterations would grow with that of the slices.
    """
    ways, joints = 1j * z, _joint_scales(z, cutting) if turning else torch.zeros(len(z)).double()

    def understood(unknown: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        angles = (joints * torch.from_numpy(unknown[2 * len(X) :])).cumsum(0)
        return _complex(unknown[: 2 * len(X)]), angles

    def fitted(unknown: np.ndarray) -> np.ndarray:
        change, angles = understood(unknown)
        turns = ways * angles[:, None]
        return _real(cutting.slices(change + cutting.sum(turns)) - turns)

    def adjoint(misfit: np.ndarray) -> np.ndarray:
        rows = _complex(misfit).reshape(z.shape)
        x = cutting.sound(rows)
        angles = (ways.conj() * (cutting.pieces(x) - rows)).real.sum(1)
        return np.concatenate([_real(x), joints * angles.flip(0).cumsum(0).flip(0)])

    shape = (2 * z.numel(), 2 * len(X) + len(z))
    maps: dict[str, Any] = {"matvec": fitted, "rmatvec": adjoint, "dtype": np.float64}
    problem = LinearOperator(shape, **maps)
    options = {"atol": TOLERANCE, "btol": TOLERANCE, "conlim": 0, "iter_lim": MOST_ITERATIONS}
    return understood(lsqr(problem, _real(z - cutting.slices(X)), **options)[0])


def _joint_scales(z: torch.Tensor, cutting: Cutting) -> torch.Tensor:
    """Compute the angle at each joint that leaves a misfit of 1: small where much is shared.

    If all slices after it turn by d, the two at the joint miss d w w' x each, where the windows
    w and w' overlap. The first angle turns everything, which changes next to nothing.
    """
    length, overlap = len(cutting.window), len(cutting.window) - cutting.hop
    fall = cutting.window[-overlap:]
    shared = torch.stack(
        [(fall * signal(part, cutting.slice_band, length)[:overlap]).norm() for part in z]
    )
    shared[0] = z.norm()
    return torch.where(shared > 0, 0.5**0.5 / shared, 0)


def _real(c: torch.Tensor) -> np.ndarray:
    return torch.view_as_real(c).flatten().numpy()


def _complex(numbers: np.ndarray) -> torch.Tensor:
    return torch.view_as_complex(torch.from_numpy(numbers).reshape(-1, 2).contiguous())
