"""Exercises of notebook 05, beyond Griffin-Lim."""

from typing import Any

import numpy as np
import torch

from ...recovery._phase_gradient import integrate_phase
from ...recovery._phase_relations import phase_derivatives
from ...transforms.scalogram import Scalogram
from .. import signals
from ._machinery import compare, exercise


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor]:
    """Make a transform that is not Cauchy's, a scalogram, and nearly right coefficients."""
    W = Scalogram(128, 1000, wavelet="gmw", voices_per_octave=16)
    x = W.project(signals.exponential_chirp(128, 1000))
    noise = torch.randn(128, dtype=x.dtype, generator=torch.Generator().manual_seed(5))
    return W, W.magnitude(x), W(x + 0.1 * W.project(noise) * x.norm() / noise.norm())


def frequency_from_power(P, dP, s, peak, P2):
    """Compute dphi/dt = peak/s (1 - dlogS/dlogs / P2), with log S = 1/2 log P."""
    slope = dP / (2 * P)
    return peak / s * (1 - slope / P2)


def _forgot_the_half(P, dP, s, peak, P2):
    return peak / s * (1 - dP / P / P2)


def _plus(P, dP, s, peak, P2):
    return peak / s * (1 + dP / (2 * P) / P2)


def _centre_only(P, dP, s, peak, P2):
    return peak / s + 0 * P


def _not_divided(P, dP, s, peak, P2):
    return peak / s * (1 - dP / 2 / P2)


@exercise(
    "05.1",
    "Compute the instantaneous frequency from the power $P = S^2$ and its derivative in log scale.",
    "The relation needs the slope of $\\log S$. What is the derivative of "
    "$\\log S = \\frac12 \\log P$, by the chain rule? The rest is the first formula of section 2.",
    frequency_from_power,
    [_forgot_the_half, _plus, _centre_only, _not_divided],
    "Nothing here was specific to Cauchy wavelets: the relation needs only `peak` and `P2` of a "
    "wavelet.",
)
def check_frequency_from_power(answer: Any) -> str | None:
    """Check the answer to exercise 05.1 on random numbers."""
    rng = np.random.default_rng(5)
    P, dP = rng.uniform(0.5, 2, (3, 8)), rng.standard_normal((3, 8))
    s = np.array([[2.0], [4.0], [8.0]])
    for peak, P2 in ((30.0, 30.0), (2.7, 180.0)):
        complaint = compare(
            answer(P, dP, s, peak, P2),
            frequency_from_power(P, dP, s, peak, P2),
            f"the frequency for peak {peak:g} and P2 {P2:g}",
        )
        if complaint:
            return complaint
    return None


def corrected(c, S, W):
    """Turn the phase of c by the integral of what the relations say of S and not of |c|."""
    of_target, of_estimate = (phase_derivatives(m, W, exact=False) for m in (S, c.abs()))
    d_dt, d_dlogs = (a - b for a, b in zip(of_target, of_estimate))
    turn, _, _ = integrate_phase(S, W, d_dt, d_dlogs, torch.zeros(S.shape))
    return S * torch.sgn(c) * torch.exp(1j * turn)


def _without_the_estimate(c, S, W):
    gradient = phase_derivatives(S, W, exact=False)
    turn, _, _ = integrate_phase(S, W, *gradient, torch.zeros(S.shape))
    return S * torch.sgn(c) * torch.exp(1j * turn)


def _wrong_way_round(c, S, W):
    of_target, of_estimate = (phase_derivatives(m, W, exact=False) for m in (S, c.abs()))
    d_dt, d_dlogs = (b - a for a, b in zip(of_target, of_estimate))
    turn, _, _ = integrate_phase(S, W, d_dt, d_dlogs, torch.zeros(S.shape))
    return S * torch.sgn(c) * torch.exp(1j * turn)


def _kept_the_modulus(c, S, W):
    return corrected(c, S, W) * c.abs() / S


def _lost_the_phase(c, S, W):
    return S * torch.sgn(corrected(c, S, W) * c.conj())


@exercise(
    "05.2",
    "Write one correction: from coefficients that are nearly right to better ones.",
    "Ask `phase_derivatives` about `S` and about `c.abs()`, with `exact=False`. Subtract, and "
    "integrate the difference with `integrate_phase(S, W, d_dt, d_dlogs, start)`, `start` being "
    "zeros: the result is the angle by which each coefficient still has to turn. Which modulus "
    "should the result have?",
    corrected,
    [_without_the_estimate, _wrong_way_round, _kept_the_modulus, _lost_the_phase],
    "At the solution the two gradients agree, the angle is zero, and nothing changes any more. A "
    "correction needs no more than that: it does not matter how good the relation itself is, as "
    "long as its error is *the same* for two scalograms that are close.",
)
def check_corrected(answer: Any) -> str | None:
    """Check the answer to exercise 05.2 on one correction."""
    W, S, c = _small_problem()
    got, expected = answer(c, S, W), corrected(c, S, W)
    if not torch.is_complex(torch.as_tensor(got)):
        return "the result should be complex coefficients, and is real."
    # `compare` sees real and imaginary parts side by side, so that both have to be right.
    return compare(
        torch.view_as_real(torch.as_tensor(got)),
        torch.view_as_real(expected),
        "the array of coefficients",
        rtol=1e-4,
    )
