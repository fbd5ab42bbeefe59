"""Formulas written anew, from the papers and the docstrings, in many digits or as plain sums.

Nothing here calls the package: what a test compares with it is a second opinion.
"""

import math

import mpmath as mp
import numpy as np

# Digits of the arithmetic; a double has 16.
mp.mp.dps = 30


# -- wavelets: psi_hat at scale 1, of an angular frequency ----------------------------------------


def morse(gamma, beta):
    """The generalised Morse wavelet, of which the maximum is 2."""
    gamma, beta = mp.mpf(gamma), mp.mpf(beta)
    peak = (beta / gamma) ** (1 / gamma)

    def psi(w):
        if w <= 0:
            return mp.mpf(0)
        return 2 * (w / peak) ** beta * mp.exp(peak**gamma - w**gamma)

    return psi, peak


def morlet(mu=13.4):
    """Morlet's wavelet of norm 1, with the term that makes its mean zero."""
    mu = mp.mpf(mu)
    norm = 1 / mp.sqrt(1 + mp.exp(-(mu**2)) - 2 * mp.exp(-3 * mu**2 / 4))

    def psi(w):
        bell = mp.exp(-((w - mu) ** 2) / 2) - mp.exp(-(mu**2) / 2) * mp.exp(-(w**2) / 2)
        return mp.sqrt(2) * norm * mp.pi ** mp.mpf("0.25") * bell

    # At the maximum the derivative is zero: (w - mu) exp(mu w) = w.
    return psi, mp.findroot(lambda w: w - mu - w * mp.exp(-mu * w), mu)


def bump(mu=5, s=1):
    """The bump wavelet, zero outside mu - s ... mu + s."""
    mu, s = mp.mpf(mu), mp.mpf(s)

    def psi(w):
        u = (w - mu) / s
        if abs(u) >= mp.mpf("0.999"):
            return mp.mpf(0)
        return mp.exp(-1 / (1 - u**2)) / s / mp.mpf("0.443993816053287")

    return psi, mu


def mexican_hat(mu=1, s=1):
    """The complex Mexican hat."""
    mu, s = mp.mpf(mu), mp.mpf(s)
    factor = 2 * mp.sqrt(mp.mpf(2) / 3) * mp.pi ** mp.mpf("-0.25")

    def psi(w):
        u = w - mu
        return factor * s ** mp.mpf("2.5") * u**2 * mp.exp(-(s**2) * u**2 / 2) if u >= 0 else 0

    return psi, mu + mp.sqrt(2) / s


def hermitian_hat(mu=5):
    """The analytic Hermitian hat."""
    mu = mp.mpf(mu)

    def psi(w):
        u = w - mu
        bell = u * (1 + u) * mp.exp(-(u**2) / 2) if u > 0 else mp.mpf(0)
        return 2 * 2 / mp.sqrt(5) * mp.pi ** mp.mpf("-0.25") * bell

    # At the maximum the derivative is zero: 1 + 2 u = u (u + u^2).
    return psi, mu + mp.findroot(lambda u: u**3 + u**2 - 2 * u - 1, 1.2)


# -- the transform as sums over a DFT grid --------------------------------------------------------


def dft(n):
    """The matrix of the DFT; its angles are exact, since k m is reduced to one turn first."""
    k = np.arange(n)
    return np.exp(-2j * np.pi * (np.outer(k, k) % n) / n)


def bank(psi, scales, n):
    """Sample psi_hat(s w) at all n bins; half of the bin at the Nyquist frequency is negative."""
    rows = np.zeros((len(scales), n))
    for j, s in enumerate(scales):
        for k in range(n):
            bin_ = k if 2 * k <= n else k - n
            value = psi(mp.mpf(float(s)) * 2 * mp.pi * bin_ / n)
            rows[j, k] = value / 2 if 2 * k == n else value
    return rows


def coefficients(responses, x):
    """Compute c_j(n) = 1/N sum_k psi_j(k) X(k) exp(2 pi i k n / N), sum by sum."""
    F = dft(len(x))
    spectrum = F @ x
    return np.stack([(F.conj() @ (row * spectrum)) / len(x) for row in responses])


def matrix(responses):
    """Make the complex matrix of the transform, shape (n_rows, n_samples, n_samples)."""
    F = dft(responses.shape[1])
    return np.stack([F.conj() @ (row[:, None] * F) / len(F) for row in responses])


def band_columns(bins, n):
    """Make an orthonormal basis of the real signals of some DFT bins."""
    t = np.arange(n)
    angles = [2 * np.pi * (k * t % n) / n for k in bins]
    columns = [wave(a) for a in angles for wave in (np.cos, np.sin)]
    columns = [c for c in columns if np.abs(c).max() > 1e-9]
    return np.stack([c / np.sqrt((c**2).sum()) for c in columns], 1)


# -- scores ---------------------------------------------------------------------------------------


def analytic(x):
    """Keep the non-negative half of the spectrum, doubled where it has a partner."""
    n = len(x)
    F = dft(n)
    spectrum = F @ x
    for k in range(n):
        if 2 * k > n:
            spectrum[k] = 0
        elif 0 < 2 * k < n:
            spectrum[k] *= 2
    return F.conj() @ spectrum / n


def level(error, reference):
    """Compute the ratio of two norms in dB."""
    return 20 * math.log10(math.sqrt((abs(error) ** 2).sum() / (abs(reference) ** 2).sum()))


def closest(a, b, n_angles=720):
    """Search the least level of exp(i theta) a - b: on a grid, then by golden sections."""

    def distance(theta):
        return level(np.exp(1j * theta) * a - b, b)

    step, golden = 2 * np.pi / n_angles, (5**0.5 - 1) / 2
    best = step * int(np.argmin([distance(step * k) for k in range(n_angles)]))
    low, high = best - step, best + step
    for _ in range(60):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if distance(left) < distance(right) else (left, high)
    return distance((low + high) / 2)


def flood(land):
    """Number the connected parts of a map, corners included, periodic along the second axis."""
    labels, n = np.zeros(land.shape, int), 0
    for start in zip(*np.nonzero(land)):
        if labels[start]:
            continue
        n += 1
        shore = [start]
        while shore:
            row, column = shore.pop()
            if not (0 <= row < land.shape[0] and land[row, column]) or labels[row, column]:
                continue
            labels[row, column] = n
            shore += [
                (row + i, (column + j) % land.shape[1]) for i in (-1, 0, 1) for j in (-1, 0, 1)
            ]
    return labels, n
