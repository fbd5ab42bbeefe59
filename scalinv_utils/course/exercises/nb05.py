"""Exercises of notebook 05, beyond Griffin-Lim."""

from typing import Any

import numpy as np
import torch

from ...metrics import best_phase, decibels
from ...recovery._phase_gradient import integrate_phase
from ...recovery._phase_relations import phase_derivatives
from ...transforms.scalogram import Scalogram
from .. import signals
from ._machinery import compare, exercise

# A correction of the small problem ends near -40 dB, half of one near -10 dB.
CORRECTED_DB = -25.0


def frequency_from_power(power, dpower, s, p, time_bandwidth):
    """Compute dphi/dt = p/s (1 - dlogS/dlogs / P^2), with log S = 1/2 log power."""
    slope = dpower / (2 * power)
    return p / s * (1 - slope / time_bandwidth)


def _forgot_the_half(power, dpower, s, p, time_bandwidth):
    return p / s * (1 - dpower / power / time_bandwidth)


def _plus(power, dpower, s, p, time_bandwidth):
    return p / s * (1 + dpower / (2 * power) / time_bandwidth)


def _centre_only(power, dpower, s, p, time_bandwidth):
    return p / s + 0 * power


def _not_divided(power, dpower, s, p, time_bandwidth):
    return p / s * (1 - dpower / 2 / time_bandwidth)


def _squared_again(power, dpower, s, p, time_bandwidth):
    return p / s * (1 - dpower / (2 * power) / time_bandwidth**2)


@exercise(
    "05.1",
    "Compute the instantaneous frequency from the power $S^2$ and its derivative in log scale.",
    "The relation needs the slope of $\\log S$. With $\\log S = \\frac12 \\log S^2$, what is its "
    "derivative by the chain rule? The rest is the first formula in the box of section 2.",
    frequency_from_power,
    [_forgot_the_half, _plus, _centre_only, _not_divided, _squared_again],
    "Nothing here was specific to Cauchy wavelets: the relation needs only the peak `p` and the "
    "time-bandwidth product of a wavelet.",
)
def check_frequency_from_power(answer: Any) -> str | None:
    """Check the answer to exercise 05.1 on random numbers."""
    rng = np.random.default_rng(5)
    power, dpower = rng.uniform(0.5, 2, (3, 8)), rng.standard_normal((3, 8))
    s = np.array([[2.0], [4.0], [8.0]])
    for p, time_bandwidth in ((30.0, 30.0), (2.7, 180.0)):
        complaint = compare(
            answer(power, dpower, s, p, time_bandwidth),
            frequency_from_power(power, dpower, s, p, time_bandwidth),
            f"the frequency for p = {p:g} and a time-bandwidth product of {time_bandwidth:g}",
        )
        if complaint:
            return complaint
    return None


def correct(c, S, W):
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


def _half_way(c, S, W):
    return S * torch.sgn(torch.sgn(c) + torch.sgn(correct(c, S, W)))


def _kept_the_modulus(c, S, W):
    return correct(c, S, W) * c.abs() / S


def _lost_the_phase(c, S, W):
    return S * torch.sgn(correct(c, S, W) * c.conj())


def _griffin_lim(c, S, W):
    return W.impose(S, W(W.inverse(W.impose(S, c))))


@exercise(
    "05.2",
    "Write one correction: from coefficients that are nearly right to better ones.",
    "Ask `phase_derivatives` about `S` and about `c.abs()`, with `exact=False`. Subtract, and "
    "integrate the difference with `integrate_phase(S, W, d_dt, d_dlogs, start)`, `start` being "
    "zeros: the result is the angle by which each coefficient still has to turn. Which modulus "
    "should the result have?",
    correct,
    [
        _without_the_estimate,
        _wrong_way_round,
        _half_way,
        _kept_the_modulus,
        _lost_the_phase,
        _griffin_lim,
    ],
    "At the solution the two gradients agree, the angle is zero, and nothing changes any more. A "
    "correction needs no more than that: it does not matter how good the relation itself is, as "
    "long as its error is *the same* for two scalograms that are close.",
)
def check_correct(answer: Any) -> str | None:
    """Check the answer to exercise 05.2 by what a correction does, however it is computed."""
    W, S, c, right = _small_problem()
    got = torch.as_tensor(answer(c, S, W))
    if not torch.is_complex(got):
        return "the result should be complex coefficients, and is real."
    if got.shape != S.shape:
        return f"the result should have the shape {tuple(S.shape)}, and has {tuple(got.shape)}."
    if not torch.isfinite(torch.view_as_real(got)).all():
        return "the result holds NaN or infinite values."
    off = float((got.abs() - S).norm() / S.norm())
    if off > 1e-6:
        return f"the modulus of the result should be S, and is {100 * off:.2g} % off by the norm."
    before, after = (_phase_error_db(z, right) for z in (c, got))
    if after > CORRECTED_DB:
        return (
            f"the phases were {before:.0f} dB away from the true ones, weighted by S and up to a "
            f"common angle, and after your step they are at {after:.0f} dB. A correction brings "
            f"them below {CORRECTED_DB:.0f} dB."
        )
    return None


def _small_problem() -> tuple[Scalogram, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Make gmw, a scalogram, coefficients whose phase bends slowly away, and the right ones."""
    W = Scalogram(256, 1000, wavelet="gmw", voices_per_octave=24)
    x = W.project(signals.exponential_chirp(256, 1000))
    X = torch.fft.rfft(x)
    bend = torch.cos(torch.linspace(0, 4, len(X), dtype=torch.float64))
    return W, W.magnitude(x), W(torch.fft.irfft(X * torch.exp(1j * bend), 256)), W(x)


def _phase_error_db(c: torch.Tensor, right: torch.Tensor) -> float:
    """Measure the error of the phases of c alone, after the best common rotation."""
    turned = right.abs() * torch.sgn(c).to(right)
    turned = best_phase(turned.flatten(), right.flatten()) * turned
    return float(decibels((turned - right).norm() / right.norm()))
