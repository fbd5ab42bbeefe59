"""Scores are what their definitions say, with the circle of phases searched angle by angle."""

import numpy as np
import pytest
import torch
from small import noise, scattering

from scalinv_utils import Scalogram, metrics

from . import exact
from .test_transform import banks

# A minimum is flat, so that its value is known to twice the digits of its place.
DB = 1e-9

LENGTHS = (31, 32, 45)
every_length = pytest.mark.parametrize("n", LENGTHS)


def pair(n, share=0.3):
    """Draw a signal and another one, neither far from it nor in phase with it."""
    x = noise(n, n).numpy()
    turned = (exact.analytic(x) * np.exp(0.9j)).real
    return turned + share * noise(n + 1, n).numpy(), x


@every_length
def test_the_analytic_signal_and_its_rotations(n):
    x = noise(n, n).numpy()
    a = exact.analytic(x)
    assert metrics.analytic(x).numpy() == pytest.approx(a, abs=1e-13)
    for theta in (-2.0, 0.0, 0.4, 3.1):
        wanted = np.cos(theta) * a.real - np.sin(theta) * a.imag
        assert metrics.hilbert_rotation(x, theta).numpy() == pytest.approx(wanted, abs=1e-13)


@every_length
@pytest.mark.parametrize("share", [2.0, 0.3, 1e-3])
def test_the_waveform_error(n, share):
    x, ref = pair(n, share)
    wanted = exact.closest(exact.analytic(x), exact.analytic(ref))
    assert metrics.waveform_error_db(x, ref) == pytest.approx(wanted, abs=DB)


@every_length
def test_the_sign_error(n):
    x, ref = pair(n)
    wanted = min(exact.level(x - ref, ref), exact.level(-x - ref, ref))
    assert metrics.sign_error_db(x, ref) == pytest.approx(wanted, abs=DB)
    assert metrics.sign_error_db(-x, ref) == pytest.approx(wanted, abs=DB)


@every_length
def test_alignment_is_the_closest_rotation(n):
    """Without 0 Hz and the Nyquist frequency, which cannot turn."""
    basis = exact.band_columns(range(1, (n + 1) // 2), n)
    x, ref = (basis @ basis.T @ signal for signal in pair(n))
    least = exact.closest(exact.analytic(x), exact.analytic(ref))
    aligned = metrics.align(x, ref).numpy()
    assert exact.level(aligned - ref, ref) == pytest.approx(least, abs=DB)
    assert exact.level(x - ref, ref) > least + 3
    for turned in (aligned, -aligned):
        assert np.array_equal(metrics.align(turned, ref, by="sign").numpy(), aligned)


@every_length
@pytest.mark.parametrize("lowpass", [None, "modulus", "signed"])
def test_the_consistency(n, lowpass):
    W, rows = banks("gmw", n, lowpass)
    x, ref = pair(n)
    moduli = []
    for signal in (x, ref):
        c = exact.coefficients(rows, signal)
        moduli.append(np.abs(c))
        if lowpass == "signed":
            moduli[-1][-1] = c[-1].real
    wanted = exact.level(moduli[0] - moduli[1], moduli[1])
    assert metrics.consistency_db(x, moduli[1], W) == pytest.approx(wanted, abs=DB)
    assert metrics.misfit_db(moduli[0], moduli[1]) == pytest.approx(wanted, abs=DB)


def test_the_misfit_of_each_order():
    F = scattering()
    x, y = (F(noise(k, 256)) for k in (1, 2))
    found = metrics.misfit_by_order(x, y, F)
    assert sorted(found) == [1, 2]
    for order, level in found.items():
        rows = np.asarray(F.order) == order
        a, b = x.numpy()[rows], y.numpy()[rows]
        assert level == pytest.approx(exact.level(a - b, b), abs=DB)


@pytest.mark.parametrize("floor_db", [-3.0, -12.0, -40.0])
@pytest.mark.parametrize("seed", range(12))
def test_islands_are_those_of_a_flood(seed, floor_db):
    rng = np.random.default_rng(seed)
    S = rng.exponential(size=(rng.integers(1, 9), rng.integers(1, 20))) ** rng.integers(1, 5)
    labels, n = metrics.islands(S, floor_db=floor_db)
    wanted, wanted_n = exact.flood(S >= S.max() * 10 ** (floor_db / 20))
    assert n == wanted_n and set(labels.ravel()) == set(wanted.ravel())
    assert len(set(zip(labels.ravel(), wanted.ravel()))) == len(set(wanted.ravel()))


def two_islands():
    """Make a signal of two tones that no coefficient hears together, and another one."""
    n = 128
    W = Scalogram(n, wavelet="gmw", voices_per_octave=4, f_min=0.05)
    rows = exact.bank(exact.morse(3, 60)[0], W.scales.numpy(), n)
    t = 2 * np.pi * np.arange(n) / n
    ref = np.cos(10 * t) * (1.2 + np.cos(t)) + 0.7 * np.cos(45 * t + 1)
    x = np.cos(10 * t + 2) * (1.2 + np.cos(t)) + 0.7 * np.cos(45 * t - 0.3)
    return W, rows, x + 0.05 * noise(3, n).numpy(), ref


def test_the_island_error():
    W, rows, x, ref = two_islands()
    a, b = exact.coefficients(rows, x), exact.coefficients(rows, ref)
    for floor_db in (-20.0, -40.0):
        labels, n = exact.flood(np.abs(b) >= np.abs(b).max() * 10 ** (floor_db / 20))
        errors = energy = 0.0
        for island in range(1, n + 1):
            u, v = a[labels == island], b[labels == island]
            errors += 10 ** (exact.closest(u, v) / 10) * (np.abs(v) ** 2).sum()
            energy += (np.abs(v) ** 2).sum()
        wanted = 10 * np.log10(errors / energy)
        assert metrics.island_error_db(x, ref, W, floor_db=floor_db) == pytest.approx(
            wanted, abs=1e-6
        )
        assert n > 1 and wanted < metrics.waveform_error_db(x, ref) - 3


def test_the_frequency_error():
    W, rows, x, ref = two_islands()
    n = len(x)
    w = np.array([2 * np.pi * (k if 2 * k < n else k - n) / n for k in range(n)])
    turning = []
    for signal in (x, ref):
        c, slope = exact.coefficients(rows, signal), exact.coefficients(rows * w * 1j, signal)
        turning.append(np.clip((slope / c).imag, 0, np.pi))
    weight = np.abs(exact.coefficients(rows, ref))
    weight[weight < 0.01 * weight.max()] = 0
    wanted = exact.level(weight * (turning[0] - turning[1]), weight * turning[1])
    assert metrics.frequency_error_db(x, ref, W) == pytest.approx(wanted, abs=1e-6)


def test_the_mean_error():
    levels = np.array([-31.0, -12.5, -60.0, -17.25])
    squares = 10 ** (levels / 10)
    level, deviation = metrics.mean_error_db(levels)
    assert level == pytest.approx(10 * np.log10(squares.mean()), abs=DB)
    one = squares.std(ddof=1) / 2
    # To first order, the deviation of a logarithm.
    slope = (np.log10(squares.mean() + 1e-6 * one) - np.log10(squares.mean())) / 1e-6
    assert deviation == pytest.approx(10 * slope, rel=1e-5)


def test_scores_of_a_batch_are_those_of_its_members():
    x, ref = (torch.tensor(np.stack(part)) for part in zip(pair(32, 0.1), pair(32, 2.0)))
    for score in (metrics.waveform_error_db, metrics.sign_error_db):
        assert score(x, ref).tolist() == [score(a, b) for a, b in zip(x, ref)]
