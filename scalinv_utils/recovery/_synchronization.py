"""Turn the loud regions of a noisy scalogram against each other until they agree: lift, then sync.

A fit to a noisy scalogram finds the phases inside each loud region, and may fail to find those
between regions, which only the quiet valleys between them tell. Descents do not get there: to turn
one region, its zeros with all neighbours have to move at once. But given the regions there are few
unknowns. Let c = sum_r d_r, d_r = W W^+ (c on region r), be an estimate, and let

    c(u) = sum_r u_r d_r,          |u_r| = 1.

Its power is linear in the products U_rs = u_r conj(u_s) of regions that overlap,

    |c(u)|^2 = sum_r |d_r|^2 + 2 sum_{r>s} Re(U_rs d_r conj(d_s)),                           (1)

so that weighted least squares finds all U_rs together, without a start and without local minima.
The weights are the inverse variances of the noise on the power. Then u is synchronised: the leading
eigenvector of the matrix with entries m_rs U_rs, m_rs the information on U_rs, normalised by its
row sums; and a few Newton steps on the angles make (1) fit best.

To lift and to synchronise is due to Iwen, Preskitt, Saab, Viswanathan (2016), arXiv:1612.01182,
for overlapping windows; the bound on such angles is the pseudo-inverse of a weighted Laplacian
(Boumal, Singer, Absil, Blondel 2014, arXiv:1211.1621). Here the pieces are regions of the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from .._compiled import njit
from ..metrics import analytic
from ..transforms.scalogram import Scalogram
from ._lifted_power import MODELS
from ._regions import regions

__all__ = ["Ties", "synchronise", "ties", "turn_further"]

# A coefficient of a part counts above this many standard deviations of the noise, if it is among
# the KEPT largest at its place.
SUPPORT, KEPT = 0.1, 6

# A product U_rs is an unknown if the data hold this much information on it. If there are more than
# MOST_PAIRS of them, those with the least are left out.
INFORMED, MOST_PAIRS = 0.5, 1200

# Steps on the angles at most; the last one gains less than GAIN in units of chi^2.
STEPS, GAIN = 30, 0.1

# The damping of these steps: first and least, relative to the mean of the diagonal.
FIRST, DAMPING_LEAST = 1e-3, 1e-9


@dataclass(eq=False)
class Ties:
    """Hold the least squares of (1): the power's word on the phases between regions.

    The misfit of (1), in units of chi^2, is q.(M q) - 2 b.q and a constant, where q has the real
    and then the imaginary parts of U_rs = u_r conj(u_s).

    Attributes
    ----------
    parts : complex array, shape (n_regions, n_samples)
        The signal of each region, analytic.
    pairs : integer array, shape (n_pairs, 2)
        The regions r and s.
    M : array, shape (2 n_pairs, 2 n_pairs)
    b : array, shape (2 n_pairs,)
    """

    parts: np.ndarray
    pairs: np.ndarray
    M: np.ndarray
    b: np.ndarray

    def products(self, angles: np.ndarray) -> np.ndarray:
        """Compute U_rs of angles, shape (n_pairs,)."""
        return np.exp(1j * (angles[self.pairs[:, 0]] - angles[self.pairs[:, 1]]))

    def cost(self, angles: np.ndarray) -> float:
        """Compute the misfit of angles, up to a constant."""
        q = _split(self.products(angles))
        return float(q @ (self.M @ q) - 2 * self.b @ q)

    def derivatives(self, angles: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the gradient of `cost`, and its Hessian without the curvature of U_rs."""
        U, n_pairs = self.products(angles), len(self.pairs)
        slope = np.zeros((2 * n_pairs, len(angles)))
        turning, pair = _split(1j * U), np.arange(2 * n_pairs)
        slope[pair, np.tile(self.pairs[:, 0], 2)] = turning
        slope[pair, np.tile(self.pairs[:, 1], 2)] = -turning
        return 2 * slope.T @ (self.M @ _split(U) - self.b), 2 * slope.T @ self.M @ slope


def synchronise(
    x: torch.Tensor, S: torch.Tensor, W: Scalogram, sigma: float, model: str
) -> torch.Tensor:
    """Turn the regions of an estimate so that its power fits best.

    Parameters
    ----------
    x : real Tensor, shape (n_samples,)
        An estimate whose loud regions are right up to one phase each.
    S : real Tensor, shape (n_freqs, n_samples)
        The noisy scalogram.
    W : Scalogram
        Without a lowpass and without negative frequencies.
    sigma : float
        Standard deviation of the noise.
    model : str
        A key of `_lifted_power.MODELS`.

    Returns
    -------
    Tensor, shape of x
    """
    tied = ties(x.cpu(), S.cpu(), W.in_double(), sigma, model)
    if not len(tied.pairs):
        return x
    return torch.from_numpy(np.real(np.exp(1j * _angles(tied)) @ tied.parts)).to(x)


def turn_further(before: torch.Tensor, x: torch.Tensor, W: Scalogram, sigma: float) -> torch.Tensor:
    """Turn each region once more by as much as it has turned from an earlier estimate to this one.

    Where hardly anything ties two regions, a descent turns them by a few degrees in each of its
    rounds, and this momentum takes it along.

    Parameters
    ----------
    before, x : real Tensors, shape (n_samples,)
        The earlier and the present estimate.
    W : Scalogram
    sigma : float
        Standard deviation of the noise.

    Returns
    -------
    Tensor, shape of x
    """
    W = W.in_double()
    c = W.coefficients(x.cpu())
    labels, n_regions = regions(W.modulus(c).numpy(), sigma)
    change = (c * W.coefficients(before.cpu()).conj()).numpy().ravel()
    turned = np.zeros(n_regions, complex)
    np.add.at(turned, labels.ravel(), change)
    return W.inverse(c * torch.from_numpy(np.exp(1j * np.angle(turned))[labels])).to(x)


def ties(x: torch.Tensor, S: torch.Tensor, W: Scalogram, sigma: float, model: str) -> Ties:
    """Set up the least squares of (1) at an estimate; parameters as for `synchronise`."""
    c = W.coefficients(x)
    modulus = W.modulus(c).numpy()
    labels, n_regions = regions(modulus, sigma)
    parts, supports = _parts(c, labels, n_regions, W, SUPPORT * sigma)
    bias, variance = MODELS[model](modulus / sigma)
    excess = (S.numpy() / sigma) ** 2 - bias
    d, regions_at, ends = _by_coefficient(supports, modulus.size, sigma)
    weight = 1 / variance.ravel()
    pairs = _informed(_information(d, regions_at, ends, weight, n_regions))
    numbers = np.full((n_regions, n_regions), -1)
    numbers[pairs[:, 0], pairs[:, 1]] = np.arange(len(pairs))
    M, b = _normal_equations(d, regions_at, ends, weight, excess.ravel(), numbers, len(pairs))
    return Ties(parts, pairs, M, b)


def _parts(
    c: torch.Tensor, labels: np.ndarray, n_regions: int, W: Scalogram, least: float
) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Make the analytic signal of each region, and where its coefficients exceed `least`."""
    parts, supports = np.empty((n_regions, c.shape[-1]), complex), []
    for region in range(n_regions):
        part = W.inverse(torch.where(torch.from_numpy(labels == region), c, 0))
        parts[region] = analytic(part).numpy()
        d = W.coefficients(part).numpy().ravel()
        places = np.flatnonzero(np.abs(d) > least)
        supports.append((places, d[places]))
    return parts, supports


def _by_coefficient(
    supports: list[tuple[np.ndarray, np.ndarray]], size: int, sigma: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the parts' coefficients by place, then region: (values / sigma, regions, ends)."""
    places = np.concatenate([where for where, _ in supports])
    values = np.concatenate([d for _, d in supports]) / sigma
    region = np.repeat(np.arange(len(supports)), [len(where) for where, _ in supports])
    order = np.lexsort((-np.abs(values), places))
    ends = np.searchsorted(places[order], np.arange(size + 1))
    values, region, places = values[order], region[order], places[order]
    rank = np.arange(len(places)) - ends[places]
    # The largest at each place takes over the values that are not kept, so that the sum stays c.
    np.add.at(values, ends[places[rank >= KEPT]], values[rank >= KEPT])
    kept = np.flatnonzero(rank < KEPT)
    kept = kept[np.lexsort((region[kept], places[kept]))]
    return values[kept], region[kept], np.searchsorted(places[kept], np.arange(size + 1))


@njit()
def _information(
    d: np.ndarray, region: np.ndarray, ends: np.ndarray, weight: np.ndarray, n_regions: int
) -> np.ndarray:
    """Add up the information on each U_rs, r > s: the trace of its block of M."""
    information = np.zeros((n_regions, n_regions))
    for place in range(len(weight)):
        for i in range(ends[place], ends[place + 1]):
            for k in range(ends[place], i):
                z = abs(d[i] * d[k])
                information[region[i], region[k]] += 4 * weight[place] * z * z
    return information


def _informed(information: np.ndarray) -> np.ndarray:
    """Choose the pairs of regions that are unknowns."""
    strongest = np.sort(information[information > 0])[::-1][:MOST_PAIRS]
    least = max(INFORMED, strongest[-1]) if len(strongest) == MOST_PAIRS else INFORMED
    return np.argwhere(information >= least)


@njit()
def _normal_equations(
    d: np.ndarray,
    region: np.ndarray,
    ends: np.ndarray,
    weight: np.ndarray,
    power: np.ndarray,
    numbers: np.ndarray,
    n_pairs: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Accumulate M and b of the least squares (1), coefficient by coefficient."""
    M, b = np.zeros((2 * n_pairs, 2 * n_pairs)), np.zeros(2 * n_pairs)
    place_of, slopes = np.empty(2 * n_pairs, np.int64), np.empty(2 * n_pairs)
    for place in range(len(weight)):
        first, last, n = ends[place], ends[place + 1], 0
        rest = power[place]
        for i in range(first, last):
            rest -= abs(d[i]) ** 2
            for k in range(first, i):
                number = numbers[region[i], region[k]]
                if number >= 0:
                    z = 2 * d[i] * d[k].conjugate()
                    place_of[n], slopes[n] = number, z.real
                    place_of[n + 1], slopes[n + 1] = number + n_pairs, -z.imag
                    n += 2
        for i in range(n):
            weighted = weight[place] * slopes[i]
            b[place_of[i]] += weighted * rest
            for k in range(n):
                M[place_of[i], place_of[k]] += weighted * slopes[k]
    return M, b


def _angles(tied: Ties) -> np.ndarray:
    """Find the angle of each region: from the eigenvector and from zero, the better of both."""
    n_pairs, n_regions = len(tied.pairs), len(tied.parts)
    q = np.linalg.solve(tied.M + np.eye(2 * n_pairs), tied.b)  # prior: U_rs is of order one
    U = q[:n_pairs] + 1j * q[n_pairs:]
    information = tied.M.diagonal()[:n_pairs] + tied.M.diagonal()[n_pairs:]
    H = np.zeros((n_regions, n_regions), complex)
    H[tied.pairs[:, 0], tied.pairs[:, 1]] = information * U / np.maximum(np.abs(U), 1)
    starts = np.angle(_leading(H + H.conj().T)), np.zeros(n_regions)
    return min((_refined(tied, start) for start in starts), key=tied.cost)


def _leading(H: np.ndarray) -> np.ndarray:
    """Compute the leading eigenvector of a Hermitian matrix normalised by its row sums."""
    scale = 1 / np.sqrt(np.maximum(np.abs(H).sum(1), np.finfo(float).tiny))
    return np.linalg.eigh(scale[:, None] * H * scale)[1][:, -1]


def _refined(tied: Ties, angles: np.ndarray) -> np.ndarray:
    """Go on by damped Newton steps; damping also holds the rotation of all regions together."""
    damping, cost = FIRST, tied.cost(angles)
    for _ in range(STEPS):
        gradient, hessian = tied.derivatives(angles)
        unit = hessian.diagonal().mean() * np.eye(len(angles))
        trial = angles - np.linalg.solve(hessian + damping * unit, gradient)
        gain = cost - tied.cost(trial)
        if gain > 0:
            angles, cost, damping = trial, cost - gain, max(damping / 5, DAMPING_LEAST)
        else:
            damping *= 10
        if 0 < gain < GAIN:
            break
    return angles


def _split(z: np.ndarray) -> np.ndarray:
    return np.concatenate([np.real(z), np.imag(z)])
