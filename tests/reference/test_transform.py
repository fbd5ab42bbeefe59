"""The transform is the sum of its definition, and its inverse the least-squares fit to it."""

import functools

import numpy as np
import pytest
import torch
from small import complex_noise, noise

from scalinv_utils import Scalogram
from scalinv_utils.transforms._columns import Columns
from scalinv_utils.transforms.decimated import Decimated

from . import exact

# Errors relative to the largest value.
RELATIVE = 1e-13

LENGTHS = (16, 31, 32, 45)  # even, prime, a power of two, odd
FORMULAS = {
    "cauchy": exact.morse(1, 30)[0],
    "gmw": exact.morse(3, 60)[0],
    ("morlet", (("mu", 4),)): exact.morlet(4)[0],  # passes negative frequencies
}
LOWPASS = (None, "modulus", "signed")
every_bank = pytest.mark.parametrize("wavelet", FORMULAS, ids=str)
every_length = pytest.mark.parametrize("n", LENGTHS)


@functools.cache
def banks(wavelet, n, lowpass=None):
    """Make a transform, and its responses by the formulas."""
    options = {"voices_per_octave": 3, "f_min": max(0.12, 2.2 / n)}
    W = Scalogram(n, wavelet=wavelet, lowpass=lowpass, **options)
    scales = W.scales[W.frequencies > 0].numpy()
    rows = exact.bank(FORMULAS[wavelet], scales, n)
    return W, rows if lowpass is None else np.vstack([rows, last_row(W, filling(rows))])


def last_row(W, wanted):
    """Compare the row of a lowpass in its squares: the root of a small difference is inexact."""
    found = W.filters[-1].numpy()
    assert np.abs(found**2 - wanted**2).max() < RELATIVE * wanted.max() ** 2
    return found


def filling(rows):
    """Make an even response that fills the gain below the lowest wavelet up to its plateau.

    The gain counts non-negative frequencies, half of the sum of the squares.
    """
    n = rows.shape[1]
    gain = (rows[:, : n // 2 + 1] ** 2).sum(0) / 2
    edge = next(k for k in range(len(gain)) if gain[k] > gain.max() / 2)
    plateau = int(np.argmax(gain[: 2 * edge]))
    response = np.zeros(n)
    for k in range(n):
        at = min(k, n - k)
        if at < plateau:
            response[k] = np.sqrt(gain[plateau] - gain[at])
    return response


def close(found, wanted, tolerance=RELATIVE):
    """Compare to a share of the largest value wanted."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    return np.abs(found - wanted).max() <= tolerance * np.abs(wanted).max()


@every_length
@every_bank
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_coefficients_are_sums(wavelet, n, lowpass):
    W, rows = banks(wavelet, n, lowpass)
    x = noise(n, n)
    wanted = exact.coefficients(rows, x.numpy())
    assert close(W(x), wanted)
    S = np.abs(wanted)
    if lowpass == "signed":
        S[-1] = wanted[-1].real
    assert close(W.magnitude(x), S)
    if lowpass != "signed":
        D = Decimated(W, tolerance=1e-12)
        kept = torch.cat([part.flatten() for part in D.magnitude(x)])
        wanted = np.concatenate([S[j, ::hop] for j, hop in enumerate(D.hops)])
        assert close(kept, wanted, 2e-11)  # what may alias


@every_length
@every_bank
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_the_adjoint_is_the_transposed_matrix(wavelet, n, lowpass):
    W, rows = banks(wavelet, n, lowpass)
    M, c = exact.matrix(rows), complex_noise(n, *W.shape).numpy()
    assert close(W.adjoint(c), np.einsum("jtk,jt->k", M.conj(), c).real)


def band(W, rows):
    """Find the bins where the rows pass a thousandth of their best power, and a basis of them."""
    n = rows.shape[1]
    power = (np.abs(rows) ** 2).sum(0)
    gain = np.array([(power[k] + power[-k]) / 2 for k in range(n // 2 + 1)])
    bins = [k for k in range(len(gain)) if gain[k] >= 1e-3 * gain.max() and 2 * k != n]
    assert bins == torch.nonzero(W.band).flatten().tolist()
    return exact.band_columns(bins, n)


@every_length
@every_bank
@pytest.mark.parametrize("lowpass", LOWPASS)
def test_the_inverse_is_the_least_squares_fit(wavelet, n, lowpass):
    W, rows = banks(wavelet, n, lowpass)
    check_inverse(W, rows)


def check_inverse(W, rows):
    """Compare the inverse, the frame bounds and the projection with a dense matrix."""
    M, basis, c = exact.matrix(rows), band(W, rows), complex_noise(1, *W.shape).numpy()
    in_band = np.einsum("jtk,kb->jtb", M, basis).reshape(-1, basis.shape[1])
    A = np.vstack([in_band.real, in_band.imag])
    b = np.concatenate([c.real.ravel(), c.imag.ravel()])
    solution = np.linalg.lstsq(A, b, rcond=None)[0]
    assert close(W.inverse(c), basis @ solution, 1e-11)
    gains = np.linalg.svd(A, compute_uv=False) ** 2
    assert W.frame_bounds == pytest.approx((gains.min(), gains.max()), rel=1e-10)
    x = noise(2, W.n_samples).numpy()
    assert close(W.project(x), basis @ (basis.T @ x), 1e-12)
    white = A @ basis.T @ W.whiten(basis.T).numpy().T
    assert np.linalg.svd(white, compute_uv=False) == pytest.approx(1, rel=1e-10)


def complex_bank(n):
    """Draw filters that pass both halves of the spectrum, with phases of their own."""
    bins = np.arange(n)
    bells = np.exp(-((bins - np.linspace(0, n, 9)[:, None]) ** 2) / (n / 3) ** 2)
    rows = bells * np.exp(1j * complex_noise(5, 9, n).numpy().real)
    return Scalogram.from_filters(rows, np.linspace(0.45, 0.05, 9)), rows


@every_length
def test_complex_filters_with_both_halves(n):
    W, rows = complex_bank(n)
    x = noise(n, n)
    assert close(W(x), exact.coefficients(rows, x.numpy()))
    M, c = exact.matrix(rows), complex_noise(n, *W.shape).numpy()
    assert close(W.adjoint(c), np.einsum("jtk,jt->k", M.conj(), c).real)
    check_inverse(W, rows)


@every_length
def test_complex_filters_with_one_half(n):
    rows = complex_bank(n)[1]
    rows[:, n // 2 + 1 :] = 0
    W = Scalogram.from_filters(rows, np.linspace(0.45, 0.05, 9))
    half = Scalogram.from_filters(rows[:, : n // 2 + 1], np.linspace(0.45, 0.05, 9), n_samples=n)
    x = noise(n, n)
    for made in (W, half):
        assert made.is_one_sided
        assert close(made(x), exact.coefficients(rows, x.numpy()))
        check_inverse(made, rows)


@pytest.mark.parametrize("n, hop", [(32, 4), (45, 3), (45, 5), (32, 1)])
def test_columns_are_those_of_the_sums(n, hop):
    W, rows = banks("gmw", n)
    x, columns = noise(n, n), Columns(W, hop)
    assert close(columns.coefficients(x), exact.coefficients(rows, x.numpy())[:, ::hop])


@pytest.mark.parametrize("lowpass", ["modulus", "signed"])
@every_length
def test_a_lowpass_makes_the_gain_level(n, lowpass):
    W, rows = banks("gmw", n, lowpass)
    power = (rows**2).sum(0)
    gain = np.array([(power[k] + power[-k]) / 2 for k in range(n // 2 + 1)])
    top = int(np.argmax(rows[-1] == 0))
    assert top > 1 and np.ptp(gain[:top]) < 1e-12 * gain[0]
    assert close(W.gain, gain)


@pytest.mark.slow
@pytest.mark.parametrize("lowpass", LOWPASS)
@every_bank
def test_every_length(wavelet, lowpass):
    for n in (*range(16, 48), 64, 97, 128):
        test_coefficients_are_sums(wavelet, n, lowpass)
        test_the_inverse_is_the_least_squares_fit(wavelet, n, lowpass)
