"""Filters agree with their formulas in thirty digits, at every scale, tails included."""

import numpy as np
import pytest

from scalinv_utils import Scalogram
from scalinv_utils.transforms._wavelets import understood

from . import exact
from .exact import mp

# Errors relative to each value. The exponents of the tails reach 50, and rounding them to 16 digits
# costs as many units of the last digit; with a beta of 200 they reach 1000, and next to the ends of
# a bump its slope does.
RELATIVE = 1e-13
STEEPER = {"cauchy 200.5": 1e-12, "bump": 1e-10, "bump 4 0.6": 1e-10}

# A maximum that is searched is flat: its place is known to half the digits.
PLACE = 3e-8

WAVELETS = {
    "cauchy": ("cauchy", exact.morse(1, 30)),
    "cauchy 4": (("cauchy", {"beta": 4}), exact.morse(1, 4)),
    "cauchy 200.5": (("cauchy", {"beta": 200.5}), exact.morse(1, 200.5)),
    "gmw": ("gmw", exact.morse(3, 60)),
    "gmw 3 20": (("gmw", {"gamma": 3, "beta": 20}), exact.morse(3, 20)),
    "gmw 2 7": (("gmw", {"gamma": 2, "beta": 7}), exact.morse(2, 7)),
    "gmw 2.5 11.25": (("gmw", {"gamma": 2.5, "beta": 11.25}), exact.morse(2.5, 11.25)),
    "gmw 6 3": (("gmw", {"gamma": 6, "beta": 3}), exact.morse(6, 3)),
    "morlet": ("morlet", exact.morlet()),
    "morlet 8": (("morlet", {"mu": 8}), exact.morlet(8)),
    "morlet 4": (("morlet", {"mu": 4}), exact.morlet(4)),
    "bump": ("bump", exact.bump()),
    "bump 4 0.6": (("bump", {"mu": 4, "s": 0.6}), exact.bump(4, 0.6)),
    "cmhat": ("cmhat", exact.mexican_hat()),
    "hhhat": ("hhhat", exact.hermitian_hat()),
}
every_wavelet = pytest.mark.parametrize("name", WAVELETS)


def both(name, n):
    """Make a transform, psi_hat by its formula, and the place of its maximum."""
    wavelet, formula = WAVELETS[name]
    W = Scalogram(n, 1000.0, wavelet=wavelet, voices_per_octave=3, f_min=60, f_max=450)
    return W, *formula


@every_wavelet
@pytest.mark.parametrize("n", [64, 61])
def test_every_value_of_every_filter(name, n):
    W, psi, _ = both(name, n)
    wanted = exact.bank(psi, W.scales.numpy(), n)
    found = np.zeros_like(wanted)
    found[:, : W.filters.shape[1]] = W.filters.numpy()
    # What is below 1e-20 of the maximum counts as zero, and negative bins that only rounding fills.
    kept = np.abs(wanted) > 1.0001e-20 * np.abs(wanted).max()
    leaks = W.filters.shape[1] < n and np.abs(wanted[:, n // 2 + 1 :]).any()
    kept[:, W.filters.shape[1] :] = False
    tolerance = STEEPER.get(name, RELATIVE)
    assert (np.abs(found - wanted)[kept] <= tolerance * np.abs(wanted)[kept]).all()
    assert np.abs(found - wanted)[~kept].max() <= 1.1e-20 * np.abs(wanted).max() + 3e-16 * leaks
    assert np.count_nonzero(kept) > 2 * len(wanted)


@every_wavelet
def test_where_a_wavelet_peaks(name):
    W, psi, peak = both(name, 64)
    assert W.peak == pytest.approx(float(peak), rel=PLACE)
    assert W.scales.numpy() * W.frequencies.numpy() * 2 * np.pi / 1000 == pytest.approx(
        W.peak, rel=1e-14
    )
    around = [psi(peak * (1 + mp.mpf(h))) for h in (-1e-6, 0, 1e-6)]
    assert around[0] < around[1] > around[2]  # the formula's own maximum


@every_wavelet
def test_how_high_it_is_there(name):
    W, psi, peak = both(name, 64)
    assert float(W.psi(W.peak)) == pytest.approx(float(psi(peak)), rel=RELATIVE)
    frequency = float(W.frequencies[4])
    response = W.response(frequency).numpy()
    w = 2 * mp.pi * frequency / 1000
    wanted = [float(psi(mp.mpf(float(s)) * w) / 2) for s in W.scales]
    assert response == pytest.approx(np.array(wanted), rel=STEEPER.get(name, RELATIVE), abs=1e-30)


@pytest.mark.parametrize("gamma, beta", [(1, 30), (3, 60), (3, 20), (2.5, 11.25)])
def test_a_morse_wavelet_peaks_at_two_and_has_the_product_beta_gamma(gamma, beta):
    W = Scalogram(64, wavelet=("gmw", {"gamma": gamma, "beta": beta}), f_min=0.1)
    assert float(W.psi(W.peak)) == pytest.approx(2, rel=1e-13)
    assert W.time_bandwidth == pytest.approx(beta * gamma, rel=2e-4)


@pytest.mark.parametrize("name", ["cauchy", "gmw", "morlet", "bump"])
def test_the_spread_in_time_is_an_integral(name):
    """sigma_t^2 = int |psi_hat'|^2 / int |psi_hat|^2, here in periods of the peak."""
    W, psi, peak = both(name, 64)
    ends = [mp.mpf(k) * peak / 8 for k in (1, 4, 6, 7, 8, 9, 10, 12, 16, 40)]
    with mp.workdps(20):
        turning = mp.quad(lambda w: mp.diff(psi, w) ** 2, ends)
        energy = mp.quad(lambda w: psi(w) ** 2, ends)
    wanted = mp.sqrt(turning / energy) * peak / (2 * mp.pi)
    assert W.time_spread == pytest.approx(float(wanted), rel=1e-4)


def test_filters_of_ones_own_last_as_long_as_a_gaussian_of_their_width():
    """exp(-m^2 (f / fc - 1)^2 / 2) is a Gaussian in time, and its square has m / sqrt(2) / w_c."""
    frequencies, m = np.array([0.2, 0.1]), 12.0
    f = np.arange(257) / 512
    W = Scalogram.from_filters(
        np.exp(-((m * (f / frequencies[:, None] - 1)) ** 2) / 2), frequencies, n_samples=512
    )
    assert W.time_spread == pytest.approx(m / (2 * np.pi * np.sqrt(2)), rel=0.05)


def test_the_energy_norm_of_ssqueezepy():
    """Olhede and Walden (2002): the integral of |psi_hat|^2 is that of a wavelet of norm 1."""
    psi = understood(("gmw", {"gamma": 3, "beta": 20, "norm": "energy"}))[1]
    r = mp.mpf(41) / 3
    factor = mp.sqrt(2 * mp.pi * 3 * 2**r / mp.gamma(r))
    for w in (0.5, 1.0, 1.9, 2.6):
        wanted = factor * mp.mpf(w) ** 20 * mp.exp(-(mp.mpf(w) ** 3))
        assert float(psi(w)) == pytest.approx(float(wanted), rel=RELATIVE)
    with mp.workdps(20):
        power = mp.quad(lambda w: (factor * w**20 * mp.exp(-(w**3))) ** 2, [0, 1, 2, 3, 5])
    assert float(power / (2 * mp.pi)) == pytest.approx(1, rel=1e-12)
