"""The phase of a scalogram as the solution of linear equations.

Write c = W x for the coefficients, S = |c|, c = S exp(i phi). At every point of the plane

    S dc/dt  -  (dS/dt + i w S) c  =  0,        w = dphi/dt,

and once w is known this is LINEAR in the unknown spectrum of x: one quadratic form A(w), no local
minima. The modulus tells w. With s the scale, p the wavelet's peak frequency and P^2 its
time-bandwidth product,

    w  =  (p/s) (1 - dlog S/dlog s / P^2)                                            (first order)

is exact for Cauchy wavelets (the Cauchy-Riemann equations) and approximate for all others. Given
an estimate d = W y, the same relation applied to the difference alone,

    w  =  Im(d'/d) - (p/s) (dlog S/dlog s - dlog|d|/dlog s) / P^2,           (self-consistent)

is exact for every wavelet when y is the solution. `solve_phase_equation` alternates three steps:
impose the known modulus, apply (A(w) + ridge)^{-1} (inverse iteration), update w.

The Cauchy case as an eigenvector problem and the first-order relation: Holighaus, Koliander,
Prusa, Abreu (2019), arXiv:1906.00738. The alternation with a self-consistent w is derived here;
its evidence is the numbers in the tests and in notebook 05.
"""

import functools

import numpy as np
import torch
from scipy import linalg

from ..metrics import decibels
from ..transforms._derivatives import scale_derivative, time_derivative
from ._griffin_lim import random_angles
from ._stages import Run, Stage, one_scalogram, silence_of

__all__ = ["PhaseEquation", "solve_phase_equation", "spectral_gap"]

# The equations are taken at about this many rows per octave; their derivatives in scale use all.
EQUATION_ROWS_PER_OCTAVE = 8

# One ridge per round, relative to the mean of A's diagonal. The error after a round is about
# the ridge; a small one before w is good would fit the wrong equation.
RIDGES = (1e-3, 1e-4, 1e-6, 1e-8, 1e-9, 1e-10)
FIRST_SOLVES, SOLVES = 20, 5

# Where the power is this far below its maximum, logarithmic derivatives mean nothing.
EQUATION_POWER_FLOOR = 1e-12
FREQUENCY_LIMIT = 10.0


class PhaseEquation:
    """The quadratic form A(w) = sum over rows and time of s^2 |S c' - (S' + i w S) c|^2.

    The weight s^2 counts every row in relative terms. In whitened coordinates (W W* = 1 on the
    band), the unknown being the DFT of x there,

        A_kl = sum_j r_jk r_jl ( w_k w_l a_j(l-k) - (w_k + w_l) b_j(l-k) + e_j(l-k) ),

    r the filters and a, b, e the DFTs in time of S^2, w S^2 and S'^2 + w^2 S^2 + (d/dt) S S':
    the matrix comes straight from FFTs.

    Parameters
    ----------
    S : numpy array, shape (n_freqs, n_samples)
    W : Scalogram
    """

    def __init__(self, S, W):
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
        # One floored power in every term: A stays a sum of squares, positive definite.
        self.power = power[self.rows] + EQUATION_POWER_FLOOR * power.max()
        self.power_slope = time_derivative(power[self.rows])
        self.log_slope = 0.5 * (self.d_dlogs @ power) / self.power
        self._prepare_band()

    def _prepare_band(self):
        """Filters in whitened coordinates on the contiguous range of bins of the band."""
        bins = np.flatnonzero(self.W.band.numpy())
        self.bins = slice(bins[0], bins[-1] + 1)
        self.whitening = self.W.gain.numpy()[self.bins] ** -0.5
        filters = self.W.filters.numpy()[self.rows][:, self.bins]
        self.filters = np.ascontiguousarray(filters * self.whitening)
        self.angular = 2 * np.pi * np.arange(self.bins.start, self.bins.stop) / self.W.n_samples

    def first_order_frequency(self):
        """w from the modulus alone, rad/sample: exact for Cauchy wavelets."""
        return self.W.peak / self.scales * (1 - self.log_slope / self.W.time_bandwidth)

    def consistent_frequency(self, c):
        """w given an estimate's coefficients c: exact at the solution for every wavelet."""
        power = np.abs(c) ** 2
        c, floored = c[self.rows], power[self.rows] + EQUATION_POWER_FLOOR * power.max()
        frequency = (time_derivative(c) * c.conj()).imag / floored
        gap = self.log_slope - 0.5 * (self.d_dlogs @ power) / floored
        centre = self.W.peak / self.scales
        frequency = frequency - centre * gap / self.W.time_bandwidth
        # Zeros of the estimate that are none of S would otherwise outweigh everything else.
        return np.clip(frequency, -FREQUENCY_LIMIT * centre, FREQUENCY_LIMIT * centre)

    def matrix(self, frequency):
        """A(w), Hermitian, shape (n_bins, n_bins); the upper triangle alone is filled."""
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

    def weighted_gram(self, weight):
        """W* (weight W), with a weight for each of the rows of the equation; upper triangle."""
        n = len(self.angular)
        terms = _lag_spectrum(weight, n)
        G = np.zeros((n, n), dtype=complex)
        for lag in range(n):
            pairs = self.filters[:, : n - lag] * self.filters[:, lag:]
            diagonal = np.arange(n - lag)
            G[diagonal, diagonal + lag] = terms[:, lag] @ pairs
        return G

    def _lag_terms(self, frequency):
        """a, b, e for every lag as pairs of reals: shape (n_bins, n_rows, 6)."""
        n, power, weight = len(self.angular), self.power, self.weight
        slope_squared = self.power_slope**2 / (4 * power)
        lags = 2 * np.pi * np.arange(n) / self.W.n_samples
        a = _lag_spectrum(weight * power, n)
        b = _lag_spectrum(weight * power * frequency, n)
        e = _lag_spectrum(weight * (slope_squared + power * frequency**2), n)
        e = e - 1j * lags * _lag_spectrum(weight * self.power_slope / 2, n)
        terms = np.stack([a, b, e], axis=-1).transpose(1, 0, 2)
        return np.ascontiguousarray(terms).view(float)

    def synthesise(self, X):
        """The real signal whose whitened spectrum on the band is X."""
        spectrum = np.zeros(self.W.n_samples // 2 + 1, dtype=complex)
        spectrum[self.bins] = X * self.whitening
        return torch.from_numpy(np.fft.irfft(spectrum, n=self.W.n_samples))

    def analyse(self, x):
        """The whitened spectrum on the band of a real signal."""
        return np.fft.rfft(x.numpy())[self.bins] * self.whitening


def solve_phase_equation(
    S, W, *, seed=0, ridges=RIDGES, target_db=-130.0, callback=None, keep_every=None, progress=False
):
    """Recover a signal from its scalogram by the phase equation.

    Costs one Cholesky factorisation of n_samples / 2 unknowns per round, so that time grows like
    the cube of the length: use `phase_gradient` with more than a few thousand samples.

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
    seed : int
        Of the random phase that the iteration starts from.
    ridges : sequence of float
        One round for each.
    target_db : float
        Stop when the consistency is below it.
    callback, keep_every, progress : as in `invert_gradient`; one iteration is one round.

    Returns
    -------
    Recovery
        The round with the best consistency.
    """
    S = one_scalogram(S, W)
    run = Run("phase equation", callback, keep_every=keep_every, progress=progress, result="best")
    solve = functools.partial(_solve, seed=seed, ridges=ridges, target_db=target_db)
    stages = [Stage("phase equation", solve, len(ridges) - 1)]
    return run.through(stages, S, W, silence_of(S)).recovery()


def _solve(S, W, run, *, seed, ridges, target_db):
    """Carry out the stage: one round for each ridge."""
    equation, n_solves = PhaseEquation(S.numpy(), W), FIRST_SOLVES
    frequency = equation.first_order_frequency()
    fitted = torch.polar(S, random_angles(S, seed))
    for ridge in ridges:
        factor = _factorise(equation.matrix(frequency), ridge)
        for _ in range(n_solves):
            x, c = _inverse_step(equation, factor, S, fitted)
            fitted = W.impose(S, c)
        frequency, n_solves = equation.consistent_frequency(c.numpy()), SOLVES
        fit = decibels((W.modulus(c) - S).norm() / S.norm())
        if run.step(x, fit) or fit < target_db:
            break


def spectral_gap(S, W, x, *, ridge=1e-9):
    """lambda_2 / lambda_1 of the phase equation at a solution x: how stable this recording is.

    The two smallest eigenvalues of A v = lambda G v, G the weighted energy. The ratio collapses
    towards 1 where parts of the scalogram are separated by silence, whose relative phase nothing
    determines (compare Grohs and Rathmair 2019, doi:10.1002/cpa.21799).

    Parameters
    ----------
    S : real Tensor, shape (n_freqs, n_samples)
    W : Scalogram
    x : real Tensor, shape (n_samples,)
    ridge : float
        Relative to the mean of A's diagonal: keeps silent frequencies from counting.

    Returns
    -------
    float
    """
    S = one_scalogram(S, W)
    equation = PhaseEquation(S.numpy(), W)
    A = _full(equation.matrix(equation.consistent_frequency(W(x).numpy())))
    A += ridge * np.trace(A).real / len(A) * np.eye(len(A))
    largest = linalg.eigh(
        _full(equation.weighted_gram(equation.power)),
        A,
        eigvals_only=True,
        subset_by_index=[len(A) - 2, len(A) - 1],
    )
    return float(largest[1] / largest[0])


def _inverse_step(equation, factor, S, fitted):
    """Apply (A + ridge)^{-1} to coefficients that have the known modulus, and set the level."""
    W = equation.W
    X = equation.analyse(W.adjoint(fitted))
    x = equation.synthesise(linalg.cho_solve(factor, X, check_finite=False))
    c = W.coefficients(x)
    modulus = W.modulus(c)
    level = (S * modulus).sum() / modulus.square().sum()
    return level * x, level * c


def _factorise(A, ridge):
    """Cholesky factor of A plus the ridge, relative to A's mean diagonal."""
    A[np.diag_indices_from(A)] += ridge * np.trace(A).real / len(A)
    return linalg.cho_factor(A, lower=False, overwrite_a=True, check_finite=False)


def _full(upper):
    """A Hermitian matrix from its upper triangle."""
    return upper + np.triu(upper, 1).conj().T


def _lag_spectrum(f, n_lags):
    """sum over t of f(t) exp(2 pi i lag t / N), for the first lags; rows independently."""
    return np.fft.ifft(f, axis=-1, norm="forward")[:, :n_lags]
