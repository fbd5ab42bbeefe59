"""How accurately a scalogram determines its signal: Jacobian, Fisher information, Cramer-Rao.

A signal x that moves by a small d moves its coefficients c = W x by W d, and their modulus by the
part of W d that points outwards. With u = c/|c|,

    J d  =  Re( conj(u) W d ),                        the Jacobian of x -> |W x|
    F    =  J^T J / sigma^2,                          Fisher information for |W x| + sigma n
    E || x_estimated - x ||^2  >=  trace F^{-1},      Cramer and Rao, without bias

F is singular: strictly analytic wavelets do not see the rotation of x into its Hilbert transform,
J (H x) = Re(conj(u) (-i) c) = 0. `waveform_error_db` removes this rotation, and so does the
constrained bound here: the information on the complement of H x is inverted (Stoica and Ng 1998,
doi:10.1109/97.700921; on the matrix, for the range of F, that is the pseudo-inverse).

The noise is white, Gaussian, and added to the modulus. That is the model of a scalogram that was
measured, rounded, stored or transmitted as numbers, its F is exact, and its maximum-likelihood
estimate is the least-squares fit that all methods of this package seek. Noise added to c before
the modulus is taken gives Rice's distribution: the same information where |c| is well above the
noise and next to none below it (`rice_information`, usable as a weight).

All of this is local. Below sigma the modulus is no linear function of x, estimates are biased,
and their error can fall below the bound.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import special

from ._validation import check_count, check_number, check_signal
from .metrics import analytic, decibels

__all__ = [
    "Bound",
    "band_basis",
    "cramer_rao",
    "fisher_information",
    "jacobian",
    "maximum_likelihood",
    "noisy",
    "rice_information",
]

# Directions that are pushed through the transform together: bounds the memory of `jacobian`.
CHUNK = 32

# A filter is taken to pass what is above this share of its peak.
PASSES = 1e-15

# Eigenvalues below this share of the largest are rounding, and count as this much.
EIGENVALUE_FLOOR = 1e-15


def band_basis(W):
    """Orthonormal basis of the signals that the filters see: shape (n_samples, n_unknowns).

    Two columns, cosine and sine, for each DFT frequency of ``W.band``, cosines first; one for
    0 Hz, which only a lowpass lets in.
    """
    bins = torch.nonzero(W.band).flatten().to(W.filters)
    times = torch.arange(W.n_samples).to(W.filters)
    angles = 2 * torch.pi / W.n_samples * times[:, None] * bins
    basis = torch.cat([angles.cos(), angles[:, bins > 0].sin()], dim=1)
    return basis / basis.norm(dim=0)


def jacobian(x, W, *, rows=slice(None)):
    """The Jacobian of x -> |W x| along `band_basis`, by forward differentiation (torch.func).

    Parameters
    ----------
    x : real array, shape (n_samples,)
    W : Scalogram
    rows : slice or index tensor
        Rows of the scalogram: the whole of it takes n_freqs * n_samples * n_unknowns numbers,
        2 GB at 500 samples.

    Returns
    -------
    Tensor, shape (n_rows, n_samples, n_unknowns)

    Raises
    ------
    ValueError, TypeError
        Not one finite, real signal that fits W, or silence.
    """
    x = _point(x, W)

    def push(direction):
        return torch.func.jvp(lambda y: W.modulus(W.coefficients(y))[rows], (x,), (direction,))[1]

    return torch.vmap(push, chunk_size=CHUNK)(band_basis(W).T.contiguous()).movedim(0, -1)


def fisher_information(x, W, *, weight=None):
    """J^T J along `band_basis`, without ever forming J: F for noise of unit variance.

    The product of two directions, each a sum of exponentials in time, is a DFT of the weight or
    of conj(u)^2 at the sum or difference of their frequencies:

        F    = 1/2 Re( T^H A T + T^T B T )
        A_kl = sum_j psi_jk psi_jl DFT( weight_j )(k - l)
        B_kl = sum_j psi_jk psi_jl DFT( weight_j conj(u_j)^2 )(-k - l)

    T takes coordinates to spectra. A is what the complex coefficients would tell (it is W*W for
    equal weights), B is what the loss of the phase takes away from one direction and gives to
    its Hilbert transform.

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
        Not one finite, real signal that fits W, silence, or weights that do not fit.
    """
    x = _point(x, W)
    weight = torch.ones(W.shape).to(x) if weight is None else W.check_scalogram(weight, "weight")
    u = _unit_phase(W.coefficients(x), W)
    k = torch.arange(W.filters.shape[-1])
    A = _accumulate(W, torch.fft.fft(weight * (u != 0)), (k[:, None] - k) % W.n_samples)
    B = _accumulate(W, torch.fft.fft(weight * u.conj().square()), (-k[:, None] - k) % W.n_samples)
    T = torch.fft.fft(band_basis(W), dim=0)[: len(A)] / W.n_samples
    return (T.conj().T @ A @ T + T.T @ B @ T).real / 2


def cramer_rao(x, W, *, weight=None):
    """The Cramer-Rao bound on the waveform error at x, one global phase removed.

    Parameters
    ----------
    x : real array, shape (n_samples,)
        What lies outside the band of W is left out: no scalogram tells it.
    W : Scalogram
    weight : real array, shape (n_freqs, n_samples), optional
        As in `fisher_information`.

    Returns
    -------
    Bound

    Raises
    ------
    ValueError, TypeError
        As `fisher_information`.

    Examples
    --------
    >>> cramer_rao(x, W).error_db(40.0)      # no unbiased method does better   # doctest: +SKIP

    Without the truth, as an error bar of a recovered signal y:

    >>> cramer_rao(y, W).error_db(-consistency_db(y, S, W))                     # doctest: +SKIP
    """
    x = W.project(_point(x, W))
    return Bound(x, W, fisher_information(x, W, weight=weight))


@dataclass(eq=False)
class Bound:
    """What the scalogram of x determines of x, to first order; made by `cramer_rao`.

    Noise levels are signal-to-noise ratios of the scalogram, rms of S over rms of the noise.

    Attributes
    ----------
    x : Tensor, shape (n_samples,)
    W : Scalogram
        A rotation leaves 0 Hz alone: a row that sees it (a lowpass) lets the score turn the rest.
    fisher : Tensor, shape (n_unknowns, n_unknowns)
        For noise of unit variance, along `band_basis`.
    eigenvalues : Tensor, shape (n_unknowns - 1,)
        Of the information on the complement of the rotation, ascending.
    directions : Tensor, shape (n_unknowns - 1, n_samples)
        The signals of norm 1 that belong to them: the least determined ones first.
    rotation : Tensor, shape (n_samples,)
        The Hilbert transform of x, norm 1: the direction in which x turns.
    """

    x: torch.Tensor
    W: torch.nn.Module
    fisher: torch.Tensor

    @cached_property
    def rotation(self):
        turning = self.W.project(analytic(self.x).imag)
        return turning / turning.norm()

    @cached_property
    def _complement(self):
        """Coordinates, in columns, of an orthonormal basis of the band without the rotation."""
        turning = (band_basis(self.W).T @ self.rotation)[:, None]
        return torch.linalg.qr(turning, mode="complete")[0][:, 1:]

    @cached_property
    def _eigen(self):
        values, vectors = torch.linalg.eigh(self._complement.T @ self.fisher @ self._complement)
        return values.clamp_min(EIGENVALUE_FLOOR * values[-1]), self._complement @ vectors

    @property
    def eigenvalues(self):
        return self._eigen[0]

    @cached_property
    def directions(self):
        return (band_basis(self.W) @ self._eigen[1]).T

    @property
    def condition(self):
        """Local condition number of x -> |W x|: its largest over its smallest gain."""
        return float((self.eigenvalues[-1] / self.eigenvalues[0]).sqrt())

    def sigma(self, snr_db):
        """Standard deviation of the noise on the scalogram, units of x."""
        level = self.W.magnitude(self.x).square().mean().sqrt()
        return float(level) * 10 ** (-check_number(snr_db, "snr_db") / 20)

    def error_db(self, snr_db):
        """The bound on `waveform_error_db`, in rms over the noise; falls 1 dB per dB of SNR.

        Where it is not well below 0 dB it says no more than that something is not determined.
        """
        deviation = (1 / self.eigenvalues).sum().sqrt() * self.sigma(snr_db)
        return decibels(deviation / self.x.norm())

    def per_sample(self, snr_db):
        """Bound on the standard deviation of each sample, units of x, shape (n_samples,)."""
        spread = self.directions.square() / self.eigenvalues[:, None]
        return spread.sum(0).sqrt() * self.sigma(snr_db)

    def per_frequency(self, snr_db):
        """(Hz, bound on the rms error there), one for each DFT frequency of the band.

        Squared and added up they give the squared norm of the error, as those of x itself give
        that of x (``(band_basis(W).T @ x)``, cosine and sine added up in squares).
        """
        hertz = torch.nonzero(self.W.band).flatten() * (self.W.sample_rate / self.W.n_samples)
        spread = (self._eigen[1].square() / self.eigenvalues).sum(1)
        cosines, sines = spread[: len(hertz)], spread[len(hertz) :]
        variance = cosines + torch.cat([sines.new_zeros(len(hertz) - len(sines)), sines])
        return hertz.to(self.x), variance.sqrt() * self.sigma(snr_db)


def maximum_likelihood(S, W, init, *, n_iter=30):
    """The signal whose scalogram fits S best in least squares, from a start close to it.

    For white Gaussian noise on the modulus this is the maximum-likelihood estimate. Levenberg's
    and Marquardt's steps d solve (F + damping) d = J^T (S - |W x|) with the Fisher information of
    this module (Levenberg 1944; Marquardt 1963, doi:10.1137/0111030). Costs n_unknowns^3 a step.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        May be negative, as noise makes it.
    W : Scalogram
    init : real array, shape (n_samples,)
    n_iter : int
        Steps at most; it ends sooner when the misfit falls no more.

    Returns
    -------
    Tensor, shape (n_samples,)

    Raises
    ------
    ValueError, TypeError
        NaN, infinite or ill-fitting input, or a silent start.
    """
    S, x = _modulus(S, W), W.project(_point(init, W, "init"))
    basis, damping = band_basis(W), 1e-9
    misfit = _misfit(x, S, W)
    for _ in range(check_count(n_iter, "n_iter")):
        c = W.coefficients(x)
        downhill = basis.T @ W.adjoint(W.impose(S - W.modulus(c), c))
        F = fisher_information(x, W)
        before = misfit
        while damping < 1e6:
            ridge = damping * F.diagonal().mean() * torch.eye(len(F)).to(F)
            candidate = x + basis @ torch.linalg.solve(F + ridge, downhill)
            misfit = _misfit(candidate, S, W)
            if misfit < before:
                break
            damping *= 10
        else:
            return x
        x, damping = candidate, max(damping / 10, 1e-9)
        if misfit > (1 - 1e-9) * before:
            break
    return x


def noisy(S, snr_db, seed=0, *, clip=True):
    """A scalogram with white Gaussian noise on it.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
    snr_db : float
        rms of S over rms of the noise.
    seed : int
    clip : bool
        Put what falls below zero to zero, as no modulus is negative. It costs information and
        lifts silence by 0.4 sigma on average; where S is above the noise nothing is clipped.

    Returns
    -------
    Tensor of the shape of S
    """
    S = check_signal(S, name="S")
    noise = torch.randn(S.shape, dtype=S.dtype, generator=torch.Generator().manual_seed(seed))
    sigma = S.square().mean().sqrt() * 10 ** (-check_number(snr_db, "snr_db") / 20)
    return (S + sigma * noise).clamp_min(0 if clip else -torch.inf)


def rice_information(ratio):
    """Fisher information on |c| when Gaussian noise is added to c before the modulus is taken.

    Parameters
    ----------
    ratio : real array
        |c| over the standard deviation of the noise in the real and in the imaginary part.

    Returns
    -------
    Tensor of the same shape, float64
        Relative to noise of that deviation on the modulus itself: 1 far above the noise, and
        ratio^2 far below it. Rice (1944); the expectation of the squared score
        (r I1(a r)/I0(a r) - a)^2, by quadrature.
    """
    ratio = check_signal(ratio, name="ratio").double().abs().cpu()
    # Tabulated over a/(1 + a), which takes the whole axis to [0, 1].
    places = np.linspace(0, 1, 1025)
    table = np.append(_squared_score(places[:-1] / (1 - places[:-1])), 1.0)
    return torch.from_numpy(np.interp(ratio / (1 + ratio), places, table))


def _squared_score(a):
    """E (r I1(a r)/I0(a r) - a)^2 under Rice's density r exp(-(r^2 + a^2)/2) I0(a r)."""
    offsets = np.linspace(-9, 9, 721)
    r = np.maximum(a[:, None] + offsets, 0)
    scaled = special.i0e(a[:, None] * r)  # exp(-a r) I0(a r)
    density = r * np.exp(-((r - a[:, None]) ** 2) / 2) * scaled
    score = r * special.i1e(a[:, None] * r) / scaled - a[:, None]
    return (density * score**2).sum(1) * (offsets[1] - offsets[0])


def _unit_phase(c, W):
    """u = c/|c|, what the modulus is differentiated along; 0 at a zero, where it has a corner."""
    return torch.where(c == 0, 0, W.impose(torch.ones(W.shape).to(W.filters), c))


def _accumulate(W, spectra, lags):
    """sum over rows j of psi_jk psi_jl spectra_j(lag_kl), where the filters let something pass."""
    total = torch.zeros(lags.shape).to(spectra)
    for response, spectrum in zip(W.filters, spectra):
        passed = torch.nonzero(response.abs() > PASSES * response.abs().max()).flatten()
        part = slice(int(passed[0]), int(passed[-1]) + 1)
        pairs = response[part, None] * response[part]
        total[part, part] += pairs * spectrum[lags[part, part]]
    return total


def _misfit(x, S, W):
    return float((W.modulus(W.coefficients(x)) - S).square().sum())


def _point(x, W, name="x"):
    """x as one signal of W, not silent: at silence the modulus has no derivative."""
    x = check_signal(x, name=name, ndim=1).to(W.filters)
    if len(x) != W.n_samples:
        raise ValueError(f"{name} must have n_samples = {W.n_samples} samples, got {len(x)}")
    if not W.project(x).norm() > 0:
        raise ValueError(
            f"{name} must have some energy in the band of W, got silence: the modulus "
            f"has no derivative at zero"
        )
    return x


def _modulus(S, W):
    """S as one array of W's shape, noise below zero included."""
    S = check_signal(S, name="S").to(W.filters)
    if S.shape != W.shape:
        raise ValueError(
            f"S must be one scalogram of shape (n_freqs, n_samples) = {W.shape}, "
            f"got shape {tuple(S.shape)}"
        )
    return S
