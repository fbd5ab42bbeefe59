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
    r"The coefficient moves by `W(d)`, an arrow in the complex plane. Its length grows by the part "
    r"of this arrow that lies along $u = c/|c|$, and the part of $b$ along a unit number $u$ is "
    r"$\mathrm{Re}(\bar u\,b)$. `torch.sgn(c)` is $c/|c|$.",
    modulus_change,
    [_modulus_of_the_change, _not_normalised, _not_conjugated, _sideways, _whole_step],
    "One transform of $d$, and no matrix: this is how a Jacobian of millions of rows is applied.",
)
def check_modulus_change(answer: Any) -> str | None:
    """Check the answer to exercise 03.1 against an automatic derivative."""
    W, x, d = _small_problem()
    expected = torch.func.jvp(lambda y: W.modulus(W.coefficients(y)), (x,), (d,))[1]
    return compare(answer(x, d, W), expected, "the change of the scalogram")


def bound_db(F, sigma, x):
    """Compute the bound on the waveform error in dB, from F = J^T J with one zero eigenvalue."""
    values = torch.linalg.eigvalsh(F)  # ascending: the first one is the rotation's
    variance = sigma**2 * (1 / values[1:]).sum()
    return 10 * torch.log10(variance / x.square().sum())


def _with_the_rotation(F, sigma, x):
    variance = sigma**2 * (1 / torch.linalg.eigvalsh(F).abs()).sum()
    return 10 * torch.log10(variance / x.square().sum())


def _one_over_the_trace(F, sigma, x):
    return 10 * torch.log10(sigma**2 * len(F) ** 2 / F.trace() / x.square().sum())


def _twenty(F, sigma, x):
    return 2 * bound_db(F, sigma, x)


def _sigma_not_squared(F, sigma, x):
    return bound_db(F, sigma**0.5, x)


def _not_relative(F, sigma, x):
    return bound_db(F, sigma, x / x.norm())


@exercise(
    "03.2",
    "Compute the Cramér–Rao bound on the waveform error, in dB, from the matrix $J^T J$.",
    "The variances are those of the inverse, and the trace of an inverse is the sum of one over "
    "each eigenvalue. `torch.linalg.eigvalsh(F)` gives the eigenvalues in ascending order. One of "
    "them is zero: what does the waveform error do with that direction? The dB of a ratio of "
    "*squares* are $10\\log_{10}$ of it.",
    bound_db,
    [_with_the_rotation, _one_over_the_trace, _twenty, _sigma_not_squared, _not_relative],
    "The smallest eigenvalues rule the sum: directions that the scalogram shows well add almost "
    "nothing, and directions that it barely shows make up the whole bound.",
)
def check_bound_db(answer: Any) -> str | None:
    """Check the answer to exercise 03.2 at two noise levels."""
    W, x, _ = _small_problem()
    F = bounds.fisher_information(x, W)
    for sigma in (0.01, 0.3):
        complaint = compare(
            answer(F, sigma, x),
            bound_db(F, sigma, x),
            f"the bound for sigma = {sigma:g}",
            rtol=1e-3,
        )
        if complaint:
            return complaint
    return None
