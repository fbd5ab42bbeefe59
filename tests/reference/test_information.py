"""Bounds and likelihoods against dense Jacobians, and against integrals over the densities."""

import math

import numpy as np
import pytest
import torch
from small import cosine, noise

from scalinv_utils import Scalogram, bounds
from scalinv_utils.recovery import losses
from scalinv_utils.recovery._lifted_power import MODELS, noise_level

from . import exact
from .exact import mp
from .test_transform import banks, complex_bank

RELATIVE = 1e-11

BANKS = {
    "gmw": lambda: banks("gmw", 32),
    "odd": lambda: banks("cauchy", 45),
    "leaky": lambda: banks(("morlet", (("mu", 4),)), 31),
    "lowpass": lambda: banks("gmw", 32, "modulus"),
    "signed": lambda: banks("gmw", 31, "signed"),
    "complex": lambda: complex_bank(32),
}
every_bank = pytest.mark.parametrize("make", BANKS.values(), ids=BANKS.keys())


def dense_jacobian(W, rows, x):
    """Differentiate the moduli along the basis of the band: Re(conj(c)/|c| W d)."""
    bins = torch.nonzero(W.band).flatten().tolist()
    n, t = W.n_samples, np.arange(W.n_samples)
    waves = [np.cos(2 * np.pi * (k * t % n) / n) for k in bins]
    waves += [np.sin(2 * np.pi * (k * t % n) / n) for k in bins if k > 0]
    basis = np.stack([wave / np.sqrt(wave @ wave) for wave in waves], 1)
    c = exact.coefficients(rows, x)
    u = c / np.abs(c)
    if W.lowpass == "signed":
        u[-1] = 1
    return np.stack([(u.conj() * exact.coefficients(rows, d)).real for d in basis.T], -1), basis


@every_bank
def test_the_jacobian_and_the_information(make):
    W, rows = make()
    x = noise(3, W.n_samples).numpy()
    J, basis = dense_jacobian(W, rows, x)
    assert bounds.band_basis(W).numpy() == pytest.approx(basis, abs=1e-13)
    assert bounds.jacobian(x, W).numpy() == pytest.approx(J, abs=RELATIVE)
    flat = J.reshape(-1, J.shape[-1])
    F = flat.T @ flat
    assert bounds.fisher_information(x, W).numpy() == pytest.approx(F, abs=RELATIVE * F.max())
    weight = noise(4, *W.shape).square().numpy()
    weighted = flat.T @ (weight.reshape(-1, 1) * flat)
    found = bounds.fisher_information(x, W, weight=weight).numpy()
    assert found == pytest.approx(weighted, abs=RELATIVE * weighted.max())


@pytest.mark.parametrize("make", [BANKS["gmw"], BANKS["odd"]], ids=["gmw", "odd"])
def test_the_bound_is_that_of_a_pseudo_inverse(make):
    """Cramer and Rao, on the complement of the direction in which the signal turns."""
    W, rows = make()
    J, basis = dense_jacobian(W, rows, noise(3, W.n_samples).numpy())
    x = basis @ basis.T @ noise(3, W.n_samples).numpy()
    flat = dense_jacobian(W, rows, x)[0].reshape(-1, J.shape[-1])
    turning = basis.T @ exact.analytic(x).imag
    off = np.linalg.svd(turning[:, None])[0][:, 1:]
    inverse = off @ np.linalg.inv(off.T @ flat.T @ flat @ off) @ off.T
    S = np.abs(exact.coefficients(rows, x))
    sigma = np.sqrt((S**2).mean()) * 10 ** (-35 / 20)
    bound = bounds.cramer_rao(x, W)
    wanted = 10 * math.log10(sigma**2 * np.trace(inverse) / (x @ x))
    assert bound.error_db(35) == pytest.approx(wanted, abs=1e-6)
    assert bound.sigma(35) == pytest.approx(sigma, rel=1e-12)
    spread = sigma * np.sqrt(np.diag(basis @ inverse @ basis.T))
    assert bound.per_sample(35).numpy() == pytest.approx(spread, rel=1e-6)


# -- densities ------------------------------------------------------------------------------------


def rice_by_quadrature(a):
    """Integrate the squared score of Rice's density, by the definition of the information."""
    a = mp.mpf(a)

    def integrand(r):
        density = r * mp.exp(-(r**2 + a**2) / 2) * mp.besseli(0, a * r)
        return density * (r * mp.besseli(1, a * r) / mp.besseli(0, a * r) - a) ** 2

    with mp.workdps(15):
        return float(mp.quad(integrand, [max(a - 12, 0), max(a - 3, 0), a, a + 3, a + 12]))


@pytest.mark.parametrize("a", [1e-3, 0.05, 0.3, 1.0, 3.0, 8.0])
def test_rices_information_is_an_integral(a):
    """It is interpolated in a table: hence the tolerance."""
    assert float(bounds.rice_information([a])[0]) == pytest.approx(rice_by_quadrature(a), rel=1e-6)


def test_rices_information_far_below_the_noise_is_the_square():
    for a in (0.0, 1e-200, 1e-9, 1e-4):
        assert float(bounds.rice_information([a])[0]) == pytest.approx(a**2, rel=1e-7)


@pytest.mark.parametrize("a", [0.0, 0.2, 1.0, 2.5, 6.0])
def test_the_information_of_clipped_noise_is_an_integral(a):
    """Of the squared score of the part that is seen, and of the chance of a zero."""
    chance = mp.ncdf(-a)
    seen = mp.quad(lambda y: (y - a) ** 2 * mp.npdf(y - a), [0, a, a + 4, a + 20])
    censored = chance * (mp.diff(lambda b: mp.log(mp.ncdf(-b)), a)) ** 2
    found = float(bounds.censored_information([a])[0])
    assert found == pytest.approx(float(seen + censored), rel=1e-12)


def test_far_above_the_noise_every_coefficient_says_all():
    for information in (bounds.rice_information, bounds.censored_information):
        assert information([1e3, 1e9, 1e200]).numpy() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["gaussian", "tobit", "rice"])
def test_likelihoods_are_logarithms_of_densities(name):
    """Differences of the loss are those of -log of the density; its constants are left out."""
    sigma = 0.7
    outputs, measured = (0.2, 1.0, 3.3), (0.0, 0.4, 2.0, 5.0)

    def density(o, t):
        o, t, s = mp.mpf(o), mp.mpf(t), mp.mpf(sigma)
        if name == "rice":
            return mp.exp(-(o**2) / (2 * s**2)) * mp.besseli(0, o * t / s**2)
        if name == "tobit" and t == 0:
            return mp.ncdf(-o / s)
        return mp.npdf(t, o, s)

    loss = getattr(losses, name)(sigma)
    for t in measured:
        values = [
            float(
                loss(
                    [torch.tensor([o], dtype=torch.float64)],
                    [torch.tensor([t], dtype=torch.float64)],
                )
            )
            for o in outputs
        ]
        logs = [float(-mp.log(density(o, t))) for o in outputs]
        assert np.diff(values) == pytest.approx(np.diff(logs), rel=1e-11)


def test_the_noise_that_is_added_has_the_level_asked_for():
    S = noise(1, 60, 70).abs()
    added = (bounds.noisy(S, 17.0, clip=False) - S).numpy()
    level = 10 * math.log10((S.numpy() ** 2).mean() / (added**2).mean())
    assert level == pytest.approx(17, abs=4 * 10 / math.log(10) * math.sqrt(2 / S.numel()))
    assert added.mean() == pytest.approx(0, abs=4 * added.std() / math.sqrt(S.numel()))


@pytest.mark.parametrize("ratio", [0.0, 0.5, 3.0, 30.0, 1e5, 1e9])
def test_moments_of_a_clipped_power_are_integrals(ratio):
    """The mean of max(r + n, 0)^2 beyond r^2, and its variance, by the definition."""
    bias, variance = MODELS["clipped"](np.array([ratio]))
    r, ends = mp.mpf(ratio), [-min(mp.mpf(ratio), 20), 0, 20]
    with mp.workdps(60):
        first = mp.quad(lambda n: (2 * r * n + n**2) * mp.npdf(n), ends) - r**2 * mp.ncdf(-r)
        second = mp.quad(lambda n: (2 * r * n + n**2 - first) ** 2 * mp.npdf(n), ends) + (
            r**2 + first
        ) ** 2 * mp.ncdf(-r)
    assert float(bias[0]) == pytest.approx(float(first), rel=1e-12)
    assert float(variance[0]) == pytest.approx(float(second), rel=1e-12)


def test_the_level_of_noise_that_is_not_there_is_sought_without_a_warning():
    """Far below the modulus the variance of the power is no rounding error."""
    W = Scalogram(256, f_max=0.25)
    S = W.magnitude(cosine(40, 256) + cosine(50, 256))
    assert noise_level(S, W) < 1e-6 * float(S.max())
