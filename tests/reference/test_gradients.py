"""Gradients and directional derivatives against central differences in fifty digits."""

import functools

import numpy as np
import pytest
import torch
from small import noise

from scalinv_utils import Scalogram
from scalinv_utils.recovery import losses

from . import exact
from .exact import mp

DIGITS, STEP = 50, mp.mpf("1e-16")  # the error of a central difference is that of STEP squared
RELATIVE = 1e-12
N = 16
FORMULAS = {
    "gmw": exact.morse(3, 60)[0],
    "cauchy": exact.morse(1, 30)[0],
    ("morlet", (("mu", 4),)): exact.morlet(4)[0],
}


@functools.cache
def small(wavelet, lowpass=None):
    """Make a transform of few rows, and the values of its filters as they are."""
    W = Scalogram(N, wavelet=wavelet, voices_per_octave=2, f_min=0.17, lowpass=lowpass)
    rows = np.zeros((W.n_freqs, N))
    rows[:, : W.filters.shape[1]] = W.filters.numpy()
    return W, rows


def moduli(rows, x, signed=False):
    """Compute |W x| in many digits, for a signal of mpmath's numbers."""
    turns = [mp.expjpi(mp.mpf(2 * k) / N) for k in range(N)]
    spectrum = [mp.fsum(x[n] * turns[-k * n % N] for n in range(N)) for k in range(N)]
    table = []
    for j, row in enumerate(rows.tolist()):
        product = [mp.mpf(a) * b / N for a, b in zip(row, spectrum)]
        c = [mp.fsum(product[k] * turns[k * n % N] for k in range(N)) for n in range(N)]
        table.append([v.real if signed and j == len(rows) - 1 else abs(v) for v in c])
    return table


def slope(function, x, direction):
    """Differentiate along a direction by a central difference in many digits."""
    with mp.workdps(DIGITS):
        ahead, behind = (
            function([mp.mpf(a) + h * mp.mpf(b) for a, b in zip(x.tolist(), direction.tolist())])
            for h in (STEP, -STEP)
        )
        return np.array((mp.matrix(ahead) - mp.matrix(behind)) / (2 * STEP), dtype=float)


@pytest.mark.parametrize("wavelet", FORMULAS, ids=str)
@pytest.mark.parametrize("lowpass", [None, "modulus", "signed"])
def test_the_directional_derivative(wavelet, lowpass):
    W, rows = small(wavelet, lowpass)
    x, d = noise(1, N), noise(2, N)
    wanted = slope(lambda y: moduli(rows, y, lowpass == "signed"), x, d).reshape(W.shape)
    found = torch.func.jvp(lambda y: W.modulus(W.coefficients(y)), (x,), (d,))[1]
    assert found.numpy() == pytest.approx(wanted, abs=RELATIVE * np.abs(wanted).max())


def compressed(o, floor, p):
    return o * (o**2 + floor**2) ** ((p - 1) / 2)


LOSSES = {
    "l2": (losses.LOSSES["l2"], lambda o, t, f: (o - t) ** 2),
    "l1": (losses.LOSSES["l1"], lambda o, t, f: abs(o - t)),
    "power": (
        losses.power(0.5, 0.05),
        lambda o, t, f: (
            (compressed(o, f / 20, mp.mpf("0.5")) - compressed(t, f / 20, mp.mpf("0.5"))) ** 2
        ),
    ),
    "log": (
        losses.log(0.02),
        lambda o, t, f: (mp.asinh(o / (f / 50)) - mp.asinh(t / (f / 50))) ** 2,
    ),
    "gaussian": (losses.gaussian(0.4), lambda o, t, f: (o - t) ** 2 / (2 * mp.mpf(0.4) ** 2)),
    "rice": (
        losses.rice(0.4),
        lambda o, t, f: (
            (o**2 + t**2) / (2 * mp.mpf(0.4) ** 2) - mp.log(mp.besseli(0, o * t / mp.mpf(0.4) ** 2))
        ),
    ),
    "tobit": (
        losses.tobit(0.4),
        lambda o, t, f: (
            (o - t) ** 2 / (2 * mp.mpf(0.4) ** 2) if t > 0 else -mp.log(mp.ncdf(-o / mp.mpf(0.4)))
        ),
    ),
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_gradient_of_a_loss_of_a_scalogram(name):
    W, rows = small("gmw")
    loss, term = LOSSES[name]
    x, target = noise(1, N).requires_grad_(), W.magnitude(noise(3, N)).clone()
    target[1, 3] = 0.0
    wanted = target.tolist()
    top = mp.mpf(float(target.max()))

    def total(y):
        table = moduli(rows, y)
        return [
            mp.fsum(term(o, mp.mpf(t), top) for a, b in zip(table, wanted) for o, t in zip(a, b))
        ]

    value = loss([W.magnitude(x)], [target])
    (gradient,) = torch.autograd.grad(value, x)
    assert float(value.detach()) == pytest.approx(
        float(total([mp.mpf(v) for v in x.tolist()])[0]), rel=RELATIVE
    )
    for seed in (4, 5):
        d = noise(seed, N)
        assert float(gradient @ d) == pytest.approx(slope(total, x.detach(), d)[0], rel=1e-11)


def test_the_hessian_along_two_directions():
    """The gradient can be differentiated again: here that of the squares, along a direction."""
    W, rows = small("cauchy")
    x, d, e = noise(1, N), noise(2, N), noise(3, N)

    def total(y):
        return W.modulus(W.coefficients(y)).pow(3).sum()

    found = torch.func.jvp(torch.func.grad(total), (x,), (d,))[1] @ e

    def exact_slope(y):
        ahead, behind = (
            mp.fsum(
                v**3
                for row in moduli(rows, [a + h * mp.mpf(b) for a, b in zip(y, e.tolist())])
                for v in row
            )
            for h in (STEP, -STEP)
        )
        return [(ahead - behind) / (2 * STEP)]

    assert float(found) == pytest.approx(slope(exact_slope, x, d)[0], rel=1e-9)


def test_the_adjoint_of_adjoints():
    """The gradient of Re<c, W x> in x is W* c, sum by sum."""
    W, rows = small(("morlet", (("mu", 4),)))
    x, c = noise(1, N).requires_grad_(), torch.complex(noise(2, *W.shape), noise(3, *W.shape))
    (gradient,) = torch.autograd.grad((W(x).conj() * c).real.sum(), x)
    wanted = np.einsum("jtk,jt->k", exact.matrix(rows).conj(), c.numpy()).real
    assert gradient.numpy() == pytest.approx(wanted, abs=RELATIVE * np.abs(wanted).max())
