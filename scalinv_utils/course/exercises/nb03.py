"""Exercises of notebook 03, how accurate it can be."""

from typing import Any

import torch

from ... import bounds
from ...transforms.scalogram import Scalogram
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor]:
    """Make a transform, a signal without silence and a direction, both within its band."""
    W = Scalogram(64, 1000, wavelet="cauchy", voices_per_octave=8)
    x, d = torch.randn(2, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    return W, W.project(x), W.project(d)


def modulus_change(x, d, W):
    """Compute how |Wx| changes per unit step along d: the part of Wd that points outwards."""
    u = torch.sgn(W(x))
    return (u.conj() * W(d)).real


def _modulus_of_the_change(x, d, W):
    return W(d).abs()


def _not_normalised(x, d, W):
    return (W(x).conj() * W(d)).real


def _not_conjugated(x, d, W):
    return (torch.sgn(W(x)) * W(d)).real


def _sideways(x, d, W):
    return (torch.sgn(W(x)).conj() * W(d)).imag


def _whole_step(x, d, W):
    return W.magnitude(x + d) - W.magnitude(x)


@exercise(
    "03.1",
    "Compute by how much the scalogram of x changes, per unit step, along a direction d.",
    r"The coefficient moves by $\Delta c$, a value of `W(d)`, an arrow in the complex plane. Its "
    r"length grows by the part of this arrow that lies along $u = c/|c|$, and the part of "
    r"$\Delta c$ along a unit number $u$ is $\mathrm{Re}(\bar u\,\Delta c)$. `torch.sgn(c)` is "
    r"$c/|c|$.",
    modulus_change,
    [_modulus_of_the_change, _not_normalised, _not_conjugated, _sideways, _whole_step],
    "One transform of $d$, and no matrix: this is how a Jacobian of millions of rows is applied.",
)
def check_modulus_change(answer: Any) -> str | None:
    """Check the answer to exercise 03.1 against an automatic derivative.

    A difference of two scalograms over a short step is right, too, and is off by a little.
    """
    W, x, d = _small_problem()
    expected = torch.func.jvp(lambda y: W.modulus(W.coefficients(y)), (x,), (d,))[1]
    return compare(answer(x, d, W), expected, "the change of the scalogram", rtol=0.01)


def bound_db(J, sigma, x):
    """Compute the bound on the waveform error in dB: value k of the scalogram has sigma[k]."""
    information = (J / sigma[:, None]).T @ (J / sigma[:, None])
    values = torch.linalg.eigvalsh(information)  # ascending: the first one is the rotation's
    variance = (1 / values[1:]).sum()
    return 10 * torch.log10(variance / x.square().sum())


def _with_the_rotation(J, sigma, x):
    values = torch.linalg.eigvalsh((J / sigma[:, None]).T @ (J / sigma[:, None]))
    return 10 * torch.log10((1 / values.abs()).sum() / x.square().sum())


def _one_sigma_for_all(J, sigma, x):
    return bound_db(J, sigma.square().mean().sqrt() * torch.ones_like(sigma), x)


def _weights_not_squared(J, sigma, x):
    return bound_db(J, sigma.sqrt(), x)


def _noisy_values_count_most(J, sigma, x):
    return bound_db(J, 1 / sigma, x)


def _one_over_the_trace(J, sigma, x):
    trace = (J / sigma[:, None]).square().sum()
    return 10 * torch.log10(J.shape[1] ** 2 / trace / x.square().sum())


def _twenty(J, sigma, x):
    return 2 * bound_db(J, sigma, x)


def _not_relative(J, sigma, x):
    return bound_db(J, sigma, x / x.norm())


@exercise(
    "03.2",
    "Compute the Cramér–Rao bound on the waveform error, in dB, where each value of the scalogram "
    "has noise of its own.",
    "Divide the data by their deviations: value $k$ over $\\sigma_k$ has noise of variance 1, and "
    "row $k$ of the Jacobian is divided by $\\sigma_k$, too. The bound is then that of section 3 "
    "with $\\sigma = 1$. `torch.linalg.eigvalsh` gives eigenvalues in ascending order. One of them "
    "is zero: does the waveform error count that direction? The dB of a ratio of *squares* are "
    "$10\\log_{10}$ of it.",
    bound_db,
    [
        _with_the_rotation,
        _one_sigma_for_all,
        _weights_not_squared,
        _noisy_values_count_most,
        _one_over_the_trace,
        _twenty,
        _not_relative,
    ],
    "Each value counts with the weight $1/\\sigma_k^2$: one with three times the noise counts like "
    "a ninth of a value. `bounds.cramer_rao` takes these weights as `weight`, and zeros stand for "
    "values that were not measured.",
)
def check_bound_db(answer: Any) -> str | None:
    """Check the answer to exercise 03.2, with equal noise and with noise that differs by rows."""
    W, x, _ = _small_problem()
    J = bounds.jacobian(x, W).flatten(0, 1)
    rows = torch.arange(W.n_freqs).repeat_interleave(W.n_samples) / W.n_freqs
    for sigma, noise in (
        (torch.full_like(J[:, 0], 0.01), "equal noise"),
        (0.01 * 20 ** rows.to(J), "noise that grows from row to row"),
    ):
        complaint = compare(
            answer(J, sigma, x), bound_db(J, sigma, x), f"the bound for {noise}", rtol=1e-3
        )
        if complaint:
            return complaint
    return None
