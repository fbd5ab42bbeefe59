"""Bound how accurately a scalogram determines its signal: Fisher information and Cramer-Rao.

A small change d of a signal x changes its coefficients c = W x by W d, and their modulus by the
part of W d that is parallel to c. With u = c/|c|,

    J d  =  Re( conj(u) W d ),                        the Jacobian of x -> |W x|
    F    =  J^T J / sigma^2,                          Fisher information for |W x| + sigma n
    E || x_estimated - x ||^2  >=  trace F^{-1},      Cramer and Rao, without bias

F is singular: strictly analytic wavelets do not see the rotation of x into its Hilbert transform,
J (H x) = Re(conj(u) (-i) c) = 0. `waveform_error_db` removes this rotation, and so does the
constrained bound here: the information on the complement of H x is inverted (Stoica and Ng 1998,
doi:10.1109/97.700921; on the matrix, for the range of F, that is the pseudo-inverse).

The noise is white, Gaussian, and added to the modulus. This models a scalogram that was measured,
rounded, stored or transmitted as numbers. For this model F is exact, and the maximum-likelihood
estimate is the least-squares fit that all methods of this package seek. Noise that is added to c
before the modulus is taken leads to Rice's distribution, which has the same information where |c|
is well above the noise and almost none below it (`rice_information`, usable as a weight). Where
negative values were put to zero, a coefficient below the noise says less, too
(`censored_information`).

The bound is local. Where |c| is below sigma the modulus is not a linear function of x, estimates
are biased, and their error can fall below the bound.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import special

from ._compiled import njit
from ._levels import norm, rms, unit
from ._tensors import detached, double, doubles_on, like
from ._validation import (
    check_choice,
    check_count,
    check_flag,
    check_instance,
    check_number,
    check_numbers,
    check_signal,
)
from .metrics import analytic, decibels
from .transforms.scalogram import Scalogram

__all__ = [
    "Bound",
    "band_basis",
    "censored_information",
    "cramer_rao",
    "fisher_information",
    "jacobian",
    "maximum_likelihood",
    "noisy",
    "pair_sums",
    "rice_information",
]

# Number of directions that go through the transform together; it limits the memory of `jacobian`.
DIRECTIONS_AT_ONCE = 32

# Filter values above this share of the filter's peak count as passed.
PASSED_SHARE = 1e-15

# Rows of a matrix of sums that are computed together, which the cache of a core holds.
ROWS_IN_CACHE = 16

# Rice's density is integrated this far on both sides, in deviations, with so many nodes.
RICE_REACH, RICE_NODES = 9.0, 96

# Eigenvalues below this share of the largest are rounding errors and are replaced by it.
EIGENVALUE_FLOOR = 1e-15


def band_basis(W: Scalogram) -> torch.Tensor:
    """Make an orthonormal basis of the signals that the filters see.

    Each DFT frequency of ``W.band`` has two columns, a cosine and a sine, the cosines of all
    frequencies first. 0 Hz, which only a lowpass lets in, has one column.

    Parameters
    ----------
    W : Scalogram

    Returns
    -------
    Tensor, shape (n_samples, n_unknowns)

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(64)
    >>> basis = band_basis(W)
    >>> x = torch.arange(64).double().sin()
    >>> bool(torch.allclose(basis @ (basis.T @ x), W.project(x)))
    True
    """
    check_instance(W, Scalogram, "W")
    bins = torch.nonzero(W.band).flatten().to(W.filters)
    times = torch.arange(W.n_samples, device=bins.device).to(bins)
    angles = 2 * torch.pi / W.n_samples * times[:, None] * bins
    basis = torch.cat([angles.cos(), angles[:, bins > 0].sin()], dim=1)
    return basis / basis.norm(dim=0)


def jacobian(
    x: ArrayLike, W: Scalogram, *, rows: slice | torch.Tensor = slice(None)
) -> torch.Tensor:
    """Compute the Jacobian of x -> |W x| along `band_basis`, by forward differentiation.

    Parameters
    ----------
    x : real array, shape (n_samples,)
    W : Scalogram
    rows : slice or index tensor
        Rows of the scalogram to differentiate. All of them take n_freqs * n_samples * n_unknowns
        numbers, 2 GB at 500 samples.

    Returns
    -------
    Tensor, shape (n_rows, n_samples, n_unknowns)

    Raises
    ------
    ValueError, TypeError
        If x is not one finite, real signal that fits W, or is silent.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(64)
    >>> x = W.project(torch.arange(64).double().sin())
    >>> coordinates = band_basis(W).T @ x
    >>> bool(torch.allclose(jacobian(x, W) @ coordinates, W.magnitude(x)))  # |W x| has degree 1
    True
    """
    point, rows = _point(x, W), _rows(rows, W.n_freqs)

    def moduli(y: torch.Tensor) -> torch.Tensor:
        return W.modulus(W.coefficients(y))[rows]

    def push(direction: torch.Tensor) -> torch.Tensor:
        return torch.func.jvp(moduli, (point,), (direction,))[1]

    directions = band_basis(W).T.contiguous()
    return torch.vmap(push, chunk_size=DIRECTIONS_AT_ONCE)(directions).movedim(0, -1)


def fisher_information(
    x: ArrayLike, W: Scalogram, *, weight: ArrayLike | None = None
) -> torch.Tensor:
    """Compute F = J^T J along `band_basis`, for noise of unit variance, without forming J.

    Each direction is a sum of exponentials in time. The product of two directions is therefore a
    DFT of the weight, or of conj(u)^2, at the difference or the sum of their frequencies:

        F    = 1/2 Re( T^H A T + T^T B T )
        A_kl = sum_j psi_jk psi_jl DFT( weight_j )(k - l)
        B_kl = sum_j psi_jk psi_jl DFT( weight_j conj(u_j)^2 )(-k - l)

    T maps coordinates to spectra. A is the information of the complex coefficients (W*W for equal
    weights). B is the change due to the lost phase: what one direction loses, its Hilbert transform
    gains.

    Parameters
    ----------
    x : real array, shape (n_samples,)
    W : Scalogram
    weight : real array, shape (n_freqs, n_samples), optional
        1/variance of the noise at each coefficient: zeros where nothing is measured (a hop),
        `rice_information` for noise before the modulus. Default: ones.

    Returns
    -------
    Tensor, shape (n_unknowns, n_unknowns)

    Raises
    ------
    ValueError, TypeError
        If x is not one finite, real signal that fits W, x is silent, or the weights do not fit.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W, x = Scalogram(64), torch.arange(64).double().sin()
    >>> J = jacobian(x, W).flatten(0, 1)
    >>> bool(torch.allclose(fisher_information(x, W), J.T @ J))
    True
    """
    point = detached(_point(x, W), "x", "fisher_information")
    ones = point.new_ones(W.shape)
    weights = ones if weight is None else W.check_scalogram(weight, "weight")
    weights = detached(weights, "weight", "fisher_information")
    if weights.ndim != 2:
        raise ValueError(f"weight must have the shape {W.shape}, got {tuple(weights.shape)}")
    u = _unit_phase(W.coefficients(point), W)
    A, B = (M.to(u) for M in pair_sums(W, weights * (u != 0), weights * u.conj().square()))
    T = torch.fft.fft(band_basis(W), dim=0)[: len(A)] / W.n_samples
    return (T.conj().T @ A @ T + T.T @ B @ T).real / 2


def cramer_rao(
    x: ArrayLike,
    W: Scalogram,
    *,
    weight: ArrayLike | None = None,
    noise: Literal["gaussian", "clipped", "rice"] = "gaussian",
    snr_db: float | None = None,
) -> "Bound":
    """Compute the Cramer-Rao bound on the waveform error at x, one global phase removed.

    Parameters
    ----------
    x : real array, shape (n_samples,)
        The part of x outside the band of W is ignored, because no scalogram determines it.
    W : Scalogram
    weight : real array, shape (n_freqs, n_samples), optional
        Weights as in `fisher_information`. Default: ones.
    noise : "gaussian", "clipped" or "rice"
        "gaussian": on the modulus. "clipped": the same, and negative values were put to zero.
        "rice": complex noise, before the modulus. For the last two, a coefficient says less the
        further it is below the noise, so that their bound holds for one level of noise, `snr_db`.
    snr_db : float, for "clipped" and "rice"
        rms of |W x| over the standard deviation of the noise ("rice": of its real part), in dB.

    Returns
    -------
    Bound

    Raises
    ------
    ValueError, TypeError
        Under the same conditions as in `fisher_information`.

    Examples
    --------
    No unbiased method has a smaller error than this, in dB, at a signal-to-noise ratio of 40 dB:

    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=8)
    >>> x = W.project(torch.arange(128).double().square().sin())
    >>> bound = cramer_rao(x, W)
    >>> print(f"{bound.error_db(50.0) - bound.error_db(40.0):.1f} dB from 40 to 50 dB of SNR")
    -10.0 dB from 40 to 50 dB of SNR

    If the truth is unknown, the misfit takes the place of the noise. This gives an error bar of an
    estimate y:

    >>> from scalinv_utils.metrics import consistency_db
    >>> S = noisy(W.magnitude(x), 40.0)
    >>> y = maximum_likelihood(S, W, x)
    >>> error_bar = cramer_rao(y, W).error_db(-consistency_db(y, S, W))
    >>> bool(abs(error_bar - bound.error_db(40.0)) < 2)
    True
    """
    point = check_instance(W, Scalogram, "W").project(detached(_point(x, W), "x", "cramer_rao"))
    if check_choice(noise, INFORMATION, "noise") != "gaussian":
        S = W.magnitude(point)
        sigma = rms(S) * 10 ** (-check_number(snr_db, "snr_db") / 20)
        told = INFORMATION[noise](S / sigma).to(S)
        weight = told if weight is None else told * W.check_scalogram(weight, "weight")
    return Bound(point, W, fisher_information(point, W, weight=weight))


@dataclass(eq=False)
class Bound:
    """Describe how well the scalogram of x determines x, to first order; made by `cramer_rao`.

    Noise levels are signal-to-noise ratios of the scalogram, rms of S over rms of the noise.

    Attributes
    ----------
    x : Tensor, shape (n_samples,)
    W : Scalogram
        The rotation that the bound removes leaves 0 Hz unchanged, also if W has a lowpass row that
        sees 0 Hz.
    fisher : Tensor, shape (n_unknowns, n_unknowns)
        Fisher information for noise of unit variance, along `band_basis`.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(128)
    >>> bound = cramer_rao(torch.arange(128).double().square().sin(), W)
    >>> bound.directions.shape == (len(bound.eigenvalues), 128)
    True
    """

    x: torch.Tensor
    W: Scalogram
    fisher: torch.Tensor

    @cached_property
    def rotation(self) -> torch.Tensor:
        """Hilbert transform of x, norm 1, shape (n_samples,): the direction in which x turns."""
        turning = self.W.project(analytic(self.x).imag)
        return turning / norm(turning)

    @cached_property
    def _complement(self) -> torch.Tensor:
        """Coordinates, in columns, of an orthonormal basis of the band without the rotation."""
        turning = (band_basis(self.W).T @ self.rotation)[:, None]
        return torch.linalg.qr(turning, mode="complete")[0][:, 1:]

    @cached_property
    def _eigen(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Eigenvalues of the information on the complement, and eigenvectors as coordinates."""
        values, vectors = torch.linalg.eigh(self._complement.T @ self.fisher @ self._complement)
        return values.clamp_min(EIGENVALUE_FLOOR * values[-1]), self._complement @ vectors

    @property
    def eigenvalues(self) -> torch.Tensor:
        """Eigenvalues, ascending, of the information on the complement of the rotation.

        The shape is (n_unknowns - 1,).
        """
        return self._eigen[0]

    @cached_property
    def directions(self) -> torch.Tensor:
        """Signals of norm 1 that belong to the eigenvalues: the least determined ones first.

        The shape is (n_unknowns - 1, n_samples).
        """
        return (band_basis(self.W) @ self._eigen[1]).T

    @property
    def condition(self) -> float:
        """Local condition number of x -> |W x|: its largest over its smallest gain."""
        return float((self.eigenvalues[-1] / self.eigenvalues[0]).sqrt())

    def sigma(self, snr_db: float) -> float:
        """Compute the standard deviation of the noise on the scalogram, in the units of x."""
        return float(rms(self.W.magnitude(self.x))) * 10 ** (-check_number(snr_db, "snr_db") / 20)

    def error_db(self, snr_db: float) -> float:
        """Compute the bound on the rms of `waveform_error_db` over the noise, in dB.

        It falls by 1 dB per dB of SNR. A bound that is not well below 0 dB says only that some
        direction is not determined.
        """
        deviation = (1 / self.eigenvalues).sum().sqrt() * self.sigma(snr_db)
        return decibels(deviation / norm(self.x))

    def per_sample(self, snr_db: float) -> torch.Tensor:
        """Bound the standard deviation of each sample, units of x, shape (n_samples,)."""
        spread = self.directions.square() / self.eigenvalues[:, None]
        return spread.sum(0).sqrt() * self.sigma(snr_db)

    def per_frequency(self, snr_db: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Bound the rms error at each DFT frequency of the band: (frequencies in Hz, bounds).

        The squares of the bounds add up to the squared norm of the error, just as the squared
        coordinates of x (``band_basis(W).T @ x``, cosine and sine) add up to that of x.
        """
        hertz = torch.nonzero(self.W.band).flatten() * (self.W.sample_rate / self.W.n_samples)
        spread = (self._eigen[1].square() / self.eigenvalues).sum(1)
        cosines, sines = spread[: len(hertz)], spread[len(hertz) :]
        variance = cosines + torch.cat([sines.new_zeros(len(hertz) - len(sines)), sines])
        return hertz.to(self.x), variance.sqrt() * self.sigma(snr_db)


def maximum_likelihood(
    S: ArrayLike, W: Scalogram, init: ArrayLike, *, n_iter: int = 30
) -> torch.Tensor:
    """Find the signal whose scalogram fits S best in least squares, from a start close to it.

    For white Gaussian noise on the modulus this is the maximum-likelihood estimate. Levenberg's
    and Marquardt's steps d solve (F + damping) d = J^T (S - |W x|) with the Fisher information of
    this module (Levenberg 1944; Marquardt 1963, doi:10.1137/0111030). The cost of a step grows as
    n_unknowns^3. Steps are taken in the dtype and on the device of W, but in float64 on the CPU
    where that device has no double precision.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        Entries may be negative because of noise.
    W : Scalogram
    init : real array, shape (n_samples,)
    n_iter : int
        Largest number of steps; the search ends earlier if the misfit stops falling.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError, TypeError
        If input is NaN or infinite or does not fit W, or the start is silent.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.metrics import waveform_error_db
    >>> W = Scalogram(64)
    >>> x = W.project(torch.arange(64).double().square().sin())
    >>> y = maximum_likelihood(W.magnitude(x), W, x + 0.01 * x.roll(1))
    >>> bool(waveform_error_db(y, x) < -200)
    True
    """
    target = detached(_modulus(S, W), "S", "maximum_likelihood")
    x = W.project(detached(_point(init, W, "init"), "init", "maximum_likelihood"))
    own = W.filters
    if own.device != doubles_on(own.device):
        W, target, x = W.in_double(), double(target), double(x)
    level = unit(x)
    target, x = target / level, x / level
    basis, damping = band_basis(W), 1e-9
    misfit = _misfit(x, target, W)
    for _ in range(check_count(n_iter, "n_iter")):
        c = W.coefficients(x)
        downhill = basis.T @ W.adjoint(W.impose(target - W.modulus(c), c))
        F = fisher_information(x, W)
        before = misfit
        while damping < 1e6:
            ridge = damping * F.diagonal().mean() * F.new_ones(len(F)).diag()
            candidate = x + basis @ torch.linalg.solve(F + ridge, downhill)
            misfit = _misfit(candidate, target, W)
            if misfit < before:
                break
            damping *= 10
        else:
            break
        x, damping = candidate, max(damping / 10, 1e-9)
        if misfit > (1 - 1e-9) * before:
            break
    return (x * level).to(own)


def noisy(S: ArrayLike, snr_db: float, seed: int = 0, *, clip: bool = True) -> torch.Tensor:
    """Add white Gaussian noise to a scalogram.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        Each member of a batch, on leading axes, has a level of its own.
    snr_db : float
        Signal-to-noise ratio, rms of S over rms of the noise.
    seed : int
    clip : bool
        Set entries below zero to zero, because no modulus is negative. Clipping loses information
        and raises silence by 0.4 sigma on average; where S is well above the noise it does nothing.

    Returns
    -------
    Tensor of the shape of S

    Examples
    --------
    >>> from scalinv_utils.metrics import misfit_db
    >>> S = torch.ones(100, 100).double()
    >>> round(misfit_db(noisy(S, 20.0), S))
    -20
    """
    S, seed, clip = check_numbers(S, "S"), check_count(seed, "seed", 0), check_flag(clip, "clip")
    noise = torch.randn(S.shape, dtype=S.dtype, generator=torch.Generator().manual_seed(seed))
    level = rms(S, tuple(range(-min(S.ndim, 2), 0)))[(..., *[None] * min(S.ndim, 2))]
    sigma = level * 10 ** (-check_number(snr_db, "snr_db") / 20)
    return (S + sigma * noise.to(S)).clamp_min(0 if clip else -torch.inf)


def rice_information(ratio: ArrayLike) -> torch.Tensor:
    """Compute the Fisher information on |c| if noise is added to c before the modulus is taken.

    The noise is Gaussian and the modulus follows Rice's distribution (Rice 1944). The information
    is the expectation of the squared score (r I1(a r)/I0(a r) - a)^2, by quadrature.

    Parameters
    ----------
    ratio : real array
        |c| over the standard deviation of the noise in the real and in the imaginary part.

    Returns
    -------
    Tensor of the same shape, float64
        Information relative to noise of the same deviation on the modulus itself: 1 far above the
        noise, and ratio^2 far below it.

    Examples
    --------
    >>> information = rice_information([0.0, 1.0, 100.0])
    >>> print(" ".join(f"{value:.2f}" for value in information))
    0.00 0.52 1.00
    """
    ratio = detached(check_numbers(ratio, "ratio"), "ratio", "rice_information")
    ratio = double(ratio).abs().cpu()
    # The table is equidistant in a/(1 + a), which maps the whole axis to [0, 1]. It holds
    # the information over a^2/(1 + a^2), which is near one everywhere.
    places = np.linspace(0, 1, 1025)
    a = places[1:-1] / (1 - places[1:-1])
    table = np.concatenate([[1.0], _squared_score(a) * (1 + a**-2), [1.0]])
    small = ratio.square().clamp_max(1 / torch.finfo(ratio.dtype).eps)
    return torch.from_numpy(np.interp(ratio / (1 + ratio), places, table)) * small / (1 + small)


def censored_information(ratio: ArrayLike) -> torch.Tensor:
    """Compute the Fisher information on |c| under Gaussian noise whose negative values become zero.

    Parameters
    ----------
    ratio : real array
        |c| over the standard deviation of the noise.

    Returns
    -------
    Tensor of the same shape, float64
        Relative to noise that is not clipped: 1 far above the noise, 1/2 + 1/pi at |c| = 0. With
        the normal density phi and distribution Phi it is Phi(r) - r phi(r) + phi(r)^2 / Phi(-r)
        (Tobin 1958, doi:10.2307/1907382).

    Examples
    --------
    >>> censored_information([0.0, 1.0, 10.0]).numpy().round(3).tolist()
    [0.818, 0.968, 1.0]
    """
    r = double(check_numbers(ratio, "ratio")).abs().cpu().clamp_max(30.0)
    density = torch.exp(-r.square() / 2) / (2 * torch.pi) ** 0.5
    below = torch.special.erfc(r / 2**0.5) / 2
    return 1 - below - r * density + density.square() / below


# The information in a coefficient, by how the noise came about: as a function of |c| / deviation.
INFORMATION = {
    "gaussian": torch.ones_like,
    "clipped": censored_information,
    "rice": rice_information,
}


def _squared_score(a: np.ndarray) -> np.ndarray:
    """Integrate the squared score against Rice's density.

    score  r I1(a r)/I0(a r) - a          density  r exp(-(r^2 + a^2)/2) I0(a r)
    """
    nodes, weights = np.polynomial.legendre.leggauss(RICE_NODES)
    lowest = np.maximum(a - RICE_REACH, 0)[:, None]
    half = (a[:, None] + RICE_REACH - lowest) / 2
    r = lowest + half * (1 + nodes)
    scaled = special.i0e(a[:, None] * r)  # exp(-a r) I0(a r)
    density = r * np.exp(-((r - a[:, None]) ** 2) / 2) * scaled
    score = r * special.i1e(a[:, None] * r) / scaled - a[:, None]
    return (density * score**2 * half) @ weights


def _unit_phase(c: torch.Tensor, W: Scalogram) -> torch.Tensor:
    """Compute u = c/|c|, the gradient of the modulus; 0 where c is zero and has no gradient."""
    return torch.where(c == 0, 0, W.impose(W.filters.new_ones(W.shape), c))


def pair_sums(
    W: Scalogram, p: torch.Tensor, q: torch.Tensor | None, *, share: float = PASSED_SHARE
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add up products of pairs of bins over the rows, weighted by spectra.

        A_kl = sum_j conj(psi_jk) psi_jl DFT(p_j)(k - l)
        B_kl = sum_j psi_jk psi_jl DFT(q_j)(-k - l)

    Parameters
    ----------
    W : Scalogram
    p : real Tensor, shape (n_freqs, n_samples)
    q : complex Tensor, shape (n_freqs, n_samples), optional
        None stands for zeros.
    share : float
        Bins where a filter is below this share of its maximum are left out.

    Returns
    -------
    A, B : complex128 Tensors, shape (n_bins, n_bins)
        On the device of W, or on the CPU if that has no double precision.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> W = Scalogram(64)
    >>> A, _ = pair_sums(W, torch.ones(W.shape).double(), None)  # equal weights: W*W, diagonal
    >>> bool(torch.allclose(A.real / 64, W.filters.square().sum(0).diag(), atol=1e-12))
    True
    """
    check_instance(W, Scalogram, "W")
    for name, plane in (("p", p), ("q", p if q is None else q)):
        if check_instance(plane, torch.Tensor, name).shape != W.shape:
            raise ValueError(
                f"{name} must have the shape {W.shape} of W, got shape {tuple(plane.shape)}"
            )
    share = check_number(share, "share")
    psi = double(W.responses.detach())
    if psi.device.type != "cpu":
        return _pair_sums_there(p, torch.zeros_like(p) if q is None else q, psi, share)
    psi = psi.numpy()
    passed = np.abs(psi) > share * np.abs(psi).max(1, keepdims=True)
    ends = np.stack([passed.argmax(1), psi.shape[1] - passed[:, ::-1].argmax(1)], 1)
    q_hat = np.zeros(p.shape, complex) if q is None else np.fft.fft(q.cpu().numpy())
    mirrored = np.tile(np.roll(q_hat[:, ::-1], 1, axis=1), 2)
    A, B = _pair_sums(np.fft.fft(p.cpu().numpy()).conj(), mirrored, psi, ends)
    return torch.from_numpy(A), torch.from_numpy(B)


def _pair_sums_there(
    p: torch.Tensor, q: torch.Tensor, psi: torch.Tensor, share: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Carry out `pair_sums` on a device, for which there is no compiled loop."""
    psi = torch.where(psi.abs() > share * psi.abs().amax(1, keepdim=True), psi, 0)
    k = torch.arange(psi.shape[1], device=psi.device)
    less, more = k[:, None] - k, (-k[:, None] - k) % p.shape[-1]
    A, B = (torch.zeros_like(places, dtype=torch.complex128) for places in (less, more))
    spectra = (torch.fft.fft(double(plane).to(psi.device)) for plane in (p, q))
    for row, a, b in zip(psi, *spectra):
        A += row.conj()[:, None] * row * a[less]
        B += row[:, None] * row * b[more]
    return A, B


@njit()
def _pair_sums(
    p: np.ndarray, q: np.ndarray, psi: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Carry out `pair_sums`.

    p are spectra of real rows, conjugate; q mirrored spectra, two periods long; ends the first and
    last bin of each filter. Few rows of A and B at a time stay in the cache.
    """
    n = psi.shape[1]
    A, B = np.zeros((n, n), np.complex128), np.zeros((n, n), np.complex128)
    for start in range(0, n, ROWS_IN_CACHE):
        for j in range(len(psi)):
            first, last = ends[j]
            for k in range(max(first, start), min(last, start + ROWS_IN_CACHE)):
                for l in range(k, last):
                    A[k, l] += np.conj(psi[j, k]) * psi[j, l] * p[j, l - k]
                    B[k, l] += psi[j, k] * psi[j, l] * q[j, k + l]
    for k in range(n):
        for l in range(k):
            A[k, l], B[k, l] = A[l, k].conjugate(), B[l, k]
    return A, B


def _rows(rows: slice | ArrayLike, n_freqs: int) -> slice | torch.Tensor:
    """Check which rows are meant; negative ones count from the last."""
    if isinstance(rows, slice):
        return rows
    wanted = f"a slice, or whole numbers from {-n_freqs} to {n_freqs - 1}"
    index = check_numbers(rows, "rows", wanted)
    if (index != index.round()).any() or (index < -n_freqs).any() or (index >= n_freqs).any():
        raise ValueError(f"rows must be {wanted}, got {index.min():g} to {index.max():g}")
    return index.long()


def _misfit(x: torch.Tensor, S: torch.Tensor, W: Scalogram) -> float:
    return float((W.modulus(W.coefficients(x)) - S).square().sum())


def _point(x: ArrayLike, W: Scalogram, name: str = "x") -> torch.Tensor:
    """Check that x is one signal of W and not silent: at silence the modulus has no derivative."""
    n_samples = check_instance(W, Scalogram, "W").n_samples
    x = like(check_signal(x, name=name, ndim=1, n_samples=n_samples), W.filters, name)
    W.check_heard(x, name)
    if not W.project(x).any():
        raise ValueError(
            f"{name} must have some energy in the band of W, got silence: the modulus "
            f"has no derivative at zero"
        )
    return x


def _modulus(S: ArrayLike, W: Scalogram) -> torch.Tensor:
    """Check that S is one array of W's shape; noise may have made it negative."""
    S = like(check_numbers(S, "S"), check_instance(W, Scalogram, "W").filters, "S")
    if S.shape != W.shape:
        raise ValueError(
            f"S must be one scalogram of shape (n_freqs, n_samples) = {W.shape}, "
            f"got shape {tuple(S.shape)}"
        )
    return S
