"""Recover the phase of a scalogram as the solution of linear equations.

Write c = W x for the coefficients, S = |c|, c = S exp(i phi). At every point of the plane

    S dc/dt  -  (dS/dt + i w S) c  =  0,        w = dphi/dt,

and once w is known this is LINEAR in the unknown spectrum of x: its squared sum is one quadratic
form A(w) without local minima. The modulus determines w. With s the scale, p the wavelet's peak
frequency and P^2 its time-bandwidth product,

    w  =  (p/s) (1 - dlog S/dlog s / P^2)                                            (first order)

is exact for Cauchy wavelets (the Cauchy-Riemann equations) and approximate for all others. Given
an estimate d = W y, the same relation applied to the difference alone,

    w  =  Im(d'/d) - (p/s) (dlog S/dlog s - dlog|d|/dlog s) / P^2,           (self-consistent)

is exact for every wavelet when y is the solution. `solve_phase_equation` alternates three steps:
impose the known modulus, apply (A(w) + ridge)^{-1} (inverse iteration), update w.

The first-order relation is that of Holighaus, Koliander, Prusa, Abreu (2019), arXiv:1906.00738.
The linear formulation, its eigenvalue problem (`spectral_gap`) and the alternation with a
self-consistent w were derived for this project, not taken from the literature; their evidence is
the numbers in the tests and in notebook 05.
"""

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy import linalg

from .._levels import unit
from .._validation import check_instance, check_number
from ..metrics import decibels
from ..transforms._derivatives import scale_derivative, time_derivative
from ..transforms.scalogram import Scalogram
from ._griffin_lim import random_angles
from ._result import Recovery
from ._stages import Callback, Run, Stage, at_unit, one_scalogram, silence_of

__all__ = ["PhaseEquation", "solve_phase_equation", "spectral_gap"]

# The equations are taken at about this many rows per octave; their derivatives in scale use all
# rows.
EQUATION_ROWS_PER_OCTAVE = 8

# One ridge per round, relative to the mean of A's diagonal. The error after a round is about
# the ridge; a small ridge before w is good would fit the wrong equation.
RIDGES = (1e-3, 1e-4, 1e-6, 1e-8, 1e-9, 1e-10)

# The least ridge: rounding errors are above it.
LEAST_RIDGE = 1e-15

# Inverse iterations in the first round, and in each later one.
FIRST_SOLVES, SOLVES = 20, 5

# The power is floored at this share of its maximum, where logarithmic derivatives mean nothing.
EQUATION_POWER_FLOOR = 1e-12

# The self-consistent w of a row is clipped to this many times its centre frequency.
FREQUENCY_LIMIT = 10.0


class PhaseEquation:
    """Compute the quadratic form A(w) of a scalogram.

        A(w) = sum over rows and time of s^2 |S c' - (S' + i w S) c|^2

    The weight s^2 counts every row in relative terms. In whitened coordinates (W W* = 1 on the
    band), the unknown being the DFT of x there,

        A_kl = sum_j r_jk r_jl ( w_k w_l a_j(l-k) - (w_k + w_l) b_j(l-k) + e_j(l-k) ),

    r the filters and a, b, e the DFTs in time of S^2, w S^2 and S'^2 + w^2 S^2 + (d/dt) S S':
    the matrix follows directly from FFTs.

    Parameters
    ----------
    S : real numpy array, shape (n_freqs, n_samples)
    W : Scalogram
        The transform of S, in double precision on the CPU.

    Attributes
    ----------
    rows : integer numpy array, shape (n_rows,)
        The rows of S at which the equations are taken.
    power : real numpy array, shape (n_rows, n_samples)
        The floored power S^2 of these rows.

    Examples
    --------
    For a Cauchy wavelet the signal is the eigenvector of the smallest eigenvalue:

    >>> import numpy as np
    >>> from scalinv_utils import Scalogram, metrics
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(128, 8000, 800, 3000))
    >>> equation = PhaseEquation(W.magnitude(x).numpy(), W)
    >>> A = equation.matrix(equation.first_order_frequency())
    >>> values, vectors = np.linalg.eigh(A, UPLO="U")
    >>> y = equation.synthesise(vectors[:, 0])
    >>> metrics.waveform_error_db(y * (x.norm() / y.norm()), x) < -80
    True
    """

    rows: np.ndarray
    power: np.ndarray

    def __init__(self, S: np.ndarray, W: Scalogram) -> None:
        self.W = W
        wavelets = (W.frequencies > 0).numpy()
        step = max(1, round(W.voices_per_octave / EQUATION_ROWS_PER_OCTAVE))
        self.rows = np.flatnonzero(wavelets)[::step]
        self.scales = W.scales.numpy()[self.rows, None]
        self.weight = self.scales**2
        self.d_dlogs = np.zeros((len(self.rows), len(wavelets)))
        derivative = scale_derivative(int(wavelets.sum()), W.voices_per_octave)
        self.d_dlogs[:, wavelets] = derivative[self.rows]
        power = S**2
        # All terms share one floored power, so that A stays a sum of squares, positive definite.
        self.power = power[self.rows] + EQUATION_POWER_FLOOR * power.max()
        self.power_slope = time_derivative(power[self.rows])
        self.log_slope = 0.5 * (self.d_dlogs @ power) / self.power
        self._prepare_band()

    def _prepare_band(self) -> None:
        """Prepare the filters in whitened coordinates on the contiguous bins of the band."""
        bins = np.flatnonzero(self.W.band.numpy())
        self.bins = slice(bins[0], bins[-1] + 1)
        self.whitening = self.W.gain.numpy()[self.bins] ** -0.5
        filters = self.W.filters.numpy()[self.rows][:, self.bins]
        self.filters = np.ascontiguousarray(filters * self.whitening)
        self.angular = 2 * np.pi * np.arange(self.bins.start, self.bins.stop) / self.W.n_samples

    def first_order_frequency(self) -> np.ndarray:
        """Compute w from the modulus alone, in rad/sample: exact for Cauchy wavelets.

        Returns
        -------
        real numpy array, shape (n_rows, n_samples)
        """
        return self.W.peak / self.scales * (1 - self.log_slope / self.W.time_bandwidth)

    def consistent_frequency(self, c: np.ndarray) -> np.ndarray:
        """Compute w from the coefficients of an estimate: exact at the solution for every wavelet.

        Parameters
        ----------
        c : complex numpy array, shape (n_freqs, n_samples)

        Returns
        -------
        real numpy array, shape (n_rows, n_samples)
            w in rad/sample.
        """
        power = np.abs(c) ** 2
        c, floored = c[self.rows], power[self.rows] + EQUATION_POWER_FLOOR * power.max()
        frequency = np.imag(time_derivative(c) * c.conj()) / floored
        gap = self.log_slope - 0.5 * (self.d_dlogs @ power) / floored
        centre = self.W.peak / self.scales
        frequency = frequency - centre * gap / self.W.time_bandwidth
        # Without a limit, zeros of the estimate where S has none would outweigh everything else.
        return np.clip(frequency, -FREQUENCY_LIMIT * centre, FREQUENCY_LIMIT * centre)

    def matrix(self, frequency: np.ndarray) -> np.ndarray:
        """Compute A(w), Hermitian; only the upper triangle is filled.

        Parameters
        ----------
        frequency : real numpy array, shape (n_rows, n_samples)
            w in rad/sample.

        Returns
        -------
        complex numpy array, shape (n_bins, n_bins)
        """
        n = len(self.angular)
        terms = self._lag_terms(frequency)
        A = np.zeros((n, n), dtype=complex)
        for lag in range(n):
            pairs = self.filters[:, : n - lag] * self.filters[:, lag:]
            a, b, e = (pairs.T @ terms[lag]).view(complex).T
            w_k, w_l = self.angular[: n - lag], self.angular[lag:]
            diagonal = np.arange(n - lag)
            A[diagonal, diagonal + lag] = w_k * w_l * a - (w_k + w_l) * b + e
        return A

    def weighted_gram(self, weight: np.ndarray) -> np.ndarray:
        """Compute W* (weight W) over the rows of the equation; only the upper triangle is filled.

        Parameters
        ----------
        weight : real numpy array, shape (n_rows, n_samples)

        Returns
        -------
        complex numpy array, shape (n_bins, n_bins)
        """
        n = len(self.angular)
        terms = _lag_spectrum(weight, n)
        G = np.zeros((n, n), dtype=complex)
        for lag in range(n):
            pairs = self.filters[:, : n - lag] * self.filters[:, lag:]
            diagonal = np.arange(n - lag)
            G[diagonal, diagonal + lag] = terms[:, lag] @ pairs
        return G

    def _lag_terms(self, frequency: np.ndarray) -> np.ndarray:
        """Compute a, b, e for every lag as pairs of reals, shape (n_bins, n_rows, 6)."""
        n, power, weight = len(self.angular), self.power, self.weight
        slope_squared = self.power_slope**2 / (4 * power)
        lags = 2 * np.pi * np.arange(n) / self.W.n_samples
        a = _lag_spectrum(weight * power, n)
        b = _lag_spectrum(weight * power * frequency, n)
        e = _lag_spectrum(weight * (slope_squared + power * frequency**2), n)
        e = e - 1j * lags * _lag_spectrum(weight * self.power_slope / 2, n)
        terms = np.stack([a, b, e], axis=-1).transpose(1, 0, 2)
        return np.ascontiguousarray(terms).view(float)

    def synthesise(self, X: np.ndarray) -> torch.Tensor:
        """Make the real signal of whitened coordinates X: its spectrum on the band is gain^-1/2 X.

        Parameters
        ----------
        X : complex numpy array, shape (n_bins,)

        Returns
        -------
        real Tensor, shape (n_samples,)
        """
        spectrum = np.zeros(self.W.n_samples // 2 + 1, dtype=complex)
        spectrum[self.bins] = X * self.whitening
        return torch.from_numpy(np.fft.irfft(spectrum, n=self.W.n_samples))

    def analyse(self, x: torch.Tensor) -> np.ndarray:
        """Compute gain^-1/2 times the spectrum of a real signal on the band.

        This is the adjoint of `synthesise`, but for a constant factor, and not its inverse.

        Parameters
        ----------
        x : real Tensor, shape (n_samples,)

        Returns
        -------
        complex numpy array, shape (n_bins,)
        """
        return np.fft.rfft(x.numpy())[self.bins] * self.whitening


def solve_phase_equation(
    S: ArrayLike,
    W: Scalogram,
    *,
    seed: int = 0,
    ridges: Sequence[float] = RIDGES,
    target_db: float = -130.0,
    callback: Callback | None = None,
    keep_every: int | None = None,
    progress: bool = False,
) -> Recovery:
    """Recover a signal from its scalogram by the phase equation.

    Each round costs one Cholesky factorisation for n_samples / 2 unknowns, so that time grows like
    the cube of the length: use `phase_gradient` with more than a few thousand samples.

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        One scalogram; a batch is refused.
    W : Scalogram
        All is computed in float64 on the CPU; the signal gets the dtype and the device of W.
    seed : int
        Seed of the random phase that the iteration starts from.
    ridges : sequence of float
        The ridge of each round, relative to the mean of A's diagonal.
    target_db : float
        Stop when the consistency is below this level.
    callback, keep_every, progress : as in `invert_gradient`; one iteration is one round.

    Returns
    -------
    Recovery
        The round with the best consistency.

    Raises
    ------
    ValueError, TypeError
        If S has NaN, infinite or negative entries, or a shape that does not fit W.

    Examples
    --------
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> x = W.project(signals.linear_chirp(128, 8000, 800, 3000))
    >>> solve_phase_equation(W.magnitude(x), W).consistency_db < -100
    True
    """
    S = one_scalogram(S, W, "solve_phase_equation")
    run = Run("phase equation", callback, keep_every=keep_every, progress=progress, result="best")
    S, W = at_unit(S, W, run), W.in_double()
    ridges = [_ridge(ridge, "ridges") for ridge in check_instance(ridges, Iterable, "ridges")]
    if not ridges:
        raise ValueError("ridges must hold at least one number, got none")
    target_db = check_number(target_db, "target_db")
    solve = functools.partial(_solve, seed=seed, ridges=ridges, target_db=target_db)
    stages = [Stage("phase equation", solve, len(ridges) - 1)]
    return run.through(stages, S, W, silence_of(S)).recovery()


def _solve(
    S: torch.Tensor,
    W: Scalogram,
    run: Run,
    *,
    seed: int,
    ridges: Sequence[float],
    target_db: float,
) -> None:
    """Carry out the stage: one round for each ridge."""
    equation, n_solves = PhaseEquation(S.numpy(), W), FIRST_SOLVES
    frequency = equation.first_order_frequency()
    fitted = torch.polar(S, random_angles(S, seed))
    x, c = W.inverse(fitted), fitted
    for ridge in ridges:
        factor = _factorise(equation.matrix(frequency), ridge)
        for _ in range(n_solves):
            x, c = _inverse_step(equation, factor, S, fitted)
            fitted = W.impose(S, c)
        frequency, n_solves = equation.consistent_frequency(c.numpy()), SOLVES
        fit = decibels((W.modulus(c) - S).norm() / S.norm())
        if run.step(x, fit) or fit < target_db:
            break


def spectral_gap(S: ArrayLike, W: Scalogram, x: ArrayLike, *, ridge: float = 1e-9) -> float:
    """Compute lambda_2 / lambda_1 of the phase equation at a solution x, a measure of stability.

    These are the two smallest eigenvalues of A v = lambda G v, G the weighted energy. The ratio
    falls towards 1 if silence separates parts of the scalogram: nothing determines the phase of
    one part relative to the other (compare Grohs and Rathmair 2019, doi:10.1002/cpa.21799).

    Parameters
    ----------
    S : real array, shape (n_freqs, n_samples)
        One scalogram; a batch is refused.
    W : Scalogram
    x : real array, shape (n_samples,)
        The solution.
    ridge : float
        It is added to A's diagonal, relative to the mean of that, so that silent frequencies do
        not count.

    Returns
    -------
    float

    Raises
    ------
    ValueError, TypeError
        If S or x is not finite, S has negative entries, or a shape does not fit W.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import signals
    >>> W = Scalogram(128, 8000, wavelet="cauchy", voices_per_octave=32)
    >>> chirp = W.project(signals.linear_chirp(128, 8000, 800, 3000))
    >>> clicks = W.project(signals.clicks(128, 8000, times=[0.004, 0.012]))
    >>> gap, gap_of_clicks = (spectral_gap(W.magnitude(x), W, x) for x in (chirp, clicks))
    >>> gap > 5 * gap_of_clicks
    True
    """
    S, ridge = one_scalogram(S, W, "spectral_gap"), _ridge(ridge, "ridge")
    W = W.in_double()
    W.check_heard(x)
    c = W(x).detach()
    equation = PhaseEquation((S / unit(S)).numpy(), W)
    A = _full(equation.matrix(equation.consistent_frequency((c / unit(c)).numpy())))
    A += ridge * np.trace(A).real / len(A) * np.eye(len(A))
    largest = linalg.eigh(
        _full(equation.weighted_gram(equation.power)),
        A,
        eigvals_only=True,
        subset_by_index=[len(A) - 2, len(A) - 1],
    )
    return float(largest[1] / largest[0])


def _ridge(ridge: float, name: str) -> float:
    """Check a ridge: it keeps a matrix definite whose small eigenvalues are rounding errors."""
    if not LEAST_RIDGE <= check_number(ridge, name) <= 1:
        raise ValueError(f"{name} must be from {LEAST_RIDGE:g} to 1, got {ridge!r}")
    return float(ridge)


def _inverse_step(
    equation: PhaseEquation, factor: Any, S: torch.Tensor, fitted: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Apply (A + ridge)^{-1} to coefficients that have the known modulus, and set the level."""
    W = equation.W
    X = equation.analyse(W.adjoint(fitted))
    x = equation.synthesise(linalg.cho_solve(factor, X, check_finite=False))
    c = W.coefficients(x)
    modulus = W.modulus(c)
    level = (S * modulus).sum() / modulus.square().sum()
    return level * x, level * c


def _factorise(A: np.ndarray, ridge: float) -> Any:
    """Compute the Cholesky factor of A plus the ridge, relative to A's mean diagonal."""
    A[np.diag_indices_from(A)] += ridge * np.trace(A).real / len(A)
    return linalg.cho_factor(A, lower=False, overwrite_a=True, check_finite=False)


def _full(upper: np.ndarray) -> np.ndarray:
    """Complete a Hermitian matrix from its upper triangle."""
    return upper + np.triu(upper, 1).conj().T


def _lag_spectrum(f: np.ndarray, n_lags: int) -> np.ndarray:
    """Sum f(t) exp(2 pi i lag t / N) over t, for the first lags; rows independently."""
    return np.fft.ifft(f, axis=-1, norm="forward")[:, :n_lags]
