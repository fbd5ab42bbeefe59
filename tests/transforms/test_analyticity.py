"""Small transforms confirm the claims of notebooks 01 and 02 and a figure on analytic wavelets."""

import math

import numpy as np
import pytest
import torch
from small import noise

from scalinv_utils.course import signals
from scalinv_utils.tools import draw_figures
from scalinv_utils.transforms._derivatives import scale_derivative, time_derivative
from scalinv_utils.transforms.scalogram import Scalogram


def cauchy_riemann_residual(voices_per_octave, beta=30, n_samples=256):
    """Find the largest |dc/dlog s - beta c - i s dc/dt| / (beta |c|) above -60 dB, inner rows."""
    W = Scalogram(
        n_samples,
        1.0,
        wavelet=("gmw", {"gamma": 1, "beta": beta}),
        voices_per_octave=voices_per_octave,
    )
    c, s = W(W.project(noise(1, n_samples))).numpy(), W.scales.numpy()[:, None]
    along_scale = scale_derivative(W.n_freqs, voices_per_octave) @ c
    residual = along_scale - beta * c - 1j * s * time_derivative(c)
    loud = np.abs(c) > 1e-3 * np.abs(c).max()
    loud[:4], loud[-4:] = False, False
    return (np.abs(residual) / (beta * np.abs(c)))[loud].max()


def test_cauchy_riemann_holds_inside_a_scalogram_to_the_order_of_the_difference():
    coarse, fine = cauchy_riemann_residual(32), cauchy_riemann_residual(64)
    assert fine < 1e-6 and cauchy_riemann_residual(96) < 1e-8
    assert 2**7 < coarse / fine < 2**9


def test_cauchy_riemann_holds_with_the_beta_of_the_wavelet_and_no_other():
    assert cauchy_riemann_residual(64, beta=20.5) < 1e-6
    W = Scalogram(256, 1.0, wavelet="cauchy", voices_per_octave=64)
    c, s = W(W.project(noise(1, 256))).numpy(), W.scales.numpy()[:, None]
    wrong = scale_derivative(W.n_freqs, 64) @ c - 31 * c - 1j * s * time_derivative(c)
    assert np.linalg.norm(wrong) > 0.01 * np.linalg.norm(c)


def test_coefficients_are_lines_of_one_analytic_function():
    """The coefficients are samples of F in the upper half-plane, up to a factor for each scale.

    c(s, t) = 2 (e s / beta)^beta F(t + i s), F(z) = 1/N sum X_k w_k^beta exp(i w_k z).
    """
    W = Scalogram(128, 1.0, wavelet="cauchy", voices_per_octave=8)
    x = W.project(noise(2))
    omega = 2 * math.pi * torch.arange(1, 64, dtype=torch.float64) / 128
    s, t = W.scales[:, None, None], torch.arange(128)[:, None]
    term = torch.exp(30 * (torch.log(s * omega / 30) + 1) + 1j * omega * (t + 1j * s))
    expected = 2 / 128 * (term * torch.fft.fft(x)[1:64]).sum(-1)
    assert torch.allclose(W(x), expected, atol=1e-12)


@pytest.mark.parametrize("wavelet", ["cauchy", ("gmw", {"gamma": 2, "beta": 15})])
def test_all_vortices_of_the_phase_turn_one_way(wavelet):
    W = Scalogram(256, 1.0, wavelet=wavelet, voices_per_octave=16)
    for c, one_way in (
        (W(W.project(noise(3, 256))), True),
        (torch.complex(noise(4, *W.shape), noise(5, *W.shape)), False),
    ):
        right = torch.angle(c.roll(-1, -1) * c.conj() * -1j)
        down = torch.angle(c[1:] * c[:-1].conj())
        turns = (right[:-1] + down.roll(-1, -1) - right[1:] - down) / (2 * math.pi)
        assert (turns - turns.round()).abs().max() < 1e-9 and (turns > 0.5).sum() > 20
        assert bool((turns > -0.5).all()) is one_way


def test_ridge_of_a_chirp_is_low_by_the_predicted_factor():
    n, rate, octaves = 1024, 4000, 3
    k = octaves * math.log(2) * rate / n
    truth = 125 * torch.exp(k * torch.arange(n, dtype=torch.float64) / rate)
    W = Scalogram(n, rate, wavelet="gmw", voices_per_octave=32, f_min=60)
    height = W.magnitude(signals.exponential_chirp(n, rate, 125, 1000)).amax(0)
    law = (1 + (W.time_bandwidth * k / (2 * math.pi * truth)) ** 2) ** -0.25
    middle = slice(n // 4, -n // 4)
    assert law[middle].min() < 0.95 and (height - law)[middle].abs().max() < 0.02


def test_two_rows_know_all_but_the_circle_and_real_parts_know_that_too():
    W = Scalogram(64, 64.0, wavelet="cauchy", voices_per_octave=8, f_min=3)
    x = W.project(noise(1, 64))
    band = torch.linalg.eigh(torch.func.jacrev(W.project)(torch.zeros_like(x)))
    basis = band.eigenvectors[:, band.eigenvalues > 0.5]

    def rank(of, rows):
        J = torch.func.jacrev(lambda v: of(W.coefficients(v)[rows]))(x).reshape(-1, 64) @ basis
        values = torch.linalg.svdvals(J)
        return int((values > 1e-10 * values[0]).sum())

    everything = slice(None)
    assert basis.shape[1] == 2 * int(W.band.sum())
    assert rank(torch.abs, [8]) < basis.shape[1] - 5
    assert rank(torch.abs, [8, 24]) == rank(torch.abs, everything) == basis.shape[1] - 1
    assert rank(lambda c: c.real.abs(), everything) == basis.shape[1]


def test_figure_of_the_circle_shows_what_it_says():
    figure = draw_figures.ambiguity_circle(n_samples=512)
    left, middle, right = figure.axes[:3]
    assert len(left.lines) == 5 and "scalogram" in middle.get_title(loc="left")
    seen = {line.get_label(): line.get_ydata() for line in right.lines}
    assert seen["analytic"].max() == -120
    assert seen["lowpass, modulus"][18] > -20 and seen["lowpass, modulus"][36] == -120
    assert seen["lowpass, signed"][36] > -20 and seen["real wavelet"][18] > -10
