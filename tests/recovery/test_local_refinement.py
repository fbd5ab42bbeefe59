"""Patches of a scalogram hold the error, map like the whole, and are mended on their own."""

import functools

import numpy as np
import pytest
import torch
from scipy.fft import prev_fast_len
from small import error_db, noise

from scalinv_utils.course import signals
from scalinv_utils.metrics import consistency_db, decibels, waveform_error_db
from scalinv_utils.recovery import _local_refinement as module
from scalinv_utils.recovery._dense_start import phase_gradient
from scalinv_utils.recovery._griffin_lim import fast, settle
from scalinv_utils.recovery._local_refinement import Patch, mend, patches
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 4096, 8000.0


@functools.cache
def transform(wavelet="cauchy", **options):
    """Make a Scalogram, once for all tests, whose wavelets are all short."""
    return Scalogram(N, RATE, wavelet=wavelet, voices_per_octave=16, **{"f_min": 300, **options})


def material(W, name="speech"):
    return W.project(signals.recording(name, RATE, N)[0])


def bump(centre, width, n=N):
    """Make a short tone at 1 kHz around `centre`, periodic."""
    t = (torch.arange(n, dtype=torch.float64) - centre + n / 2) % n - n / 2
    return torch.exp(-((t / width) ** 2) / 2) * torch.cos(2 * torch.pi * 1000 / RATE * t)


# The patch is 1000 samples long. It lies inside the signal, or across its end.
@pytest.mark.parametrize("first", [1000, N - 500])
@pytest.mark.parametrize(("wavelet", "exact"), [("cauchy", -110), ("gmw", -110)])
def test_a_patch_is_the_whole_transform_of_a_change_within(first, wavelet, exact):
    W = transform(wavelet)
    y, e = material(W), W.project(0.1 * bump(first + 500, 20))
    columns = (first + torch.arange(1000)) % N
    whole = W(y + e)[:, columns]
    patch = Patch(W.magnitude(y + e), W, W(y), columns)
    assert error_db(patch.W.coefficients(e[columns]), patch.W.sampled(whole) - patch.c) < exact
    assert error_db(patch.refit(e[columns]), e[columns]) < exact


def test_a_patch_takes_type_and_rows_of_the_whole():
    W = Scalogram(N, 44100.0, wavelet="gmw", voices_per_octave=12, f_min=700).float()
    c = W(torch.zeros(N))
    patch = Patch(c.abs(), W, c, torch.arange(512))
    assert patch.S.dtype == torch.float32 and patch.c.dtype == torch.complex64
    assert patch.refit(torch.zeros(512)).dtype == torch.float32
    assert len(patch.S) == len(patch.c) == W.like(512).painless.n_kept


def test_the_patches_hold_the_error_with_a_margin():
    W = transform()
    c, error, margin = W(material(W)), torch.zeros(N), module._margin(W)
    error[2000] = error[2010] = error[3] = 1.0
    error[1000] = 1e-4  # This is less than LEFT_OUT.
    places = sorted(
        (patch.columns for patch in patches(c.abs(), W, c, error)), key=lambda k: int(k[0])
    )
    assert [int(k[0]) for k in places] == [2000 - margin, 3 - margin + N]
    for columns, wrong in zip(places, ([2000, 2010], [3])):
        assert (columns.diff() % N == 1).all()
        assert all(int(k) in columns for k in wrong)
        # Rounding down to a fast FFT length takes at most a tenth of the margin.
        assert len(columns) >= 1.9 * margin
    batch = torch.stack([error, error.roll(5)])
    assert len(patches(torch.stack([c, c]).abs(), W, torch.stack([c, c]), batch)) == 2


def test_where_there_is_nothing_to_gain_there_are_no_patches():
    W = transform()
    c, few = W(material(W)), torch.zeros(N)
    few[2000] = 1
    assert patches(c.abs(), W, c, few)
    assert not patches(c.abs(), W, c, torch.ones(N))
    for other in (transform(lowpass="modulus"), transform(f_min=None)):
        c = other(material(other))
        assert not patches(c.abs(), other, c, few)


def test_settling_is_fast_griffin_lim():
    W = transform("gmw")
    S, x = W.magnitude(material(W)), W.project(torch.randn(N, dtype=torch.float64))

    def refit(x):
        return W.inverse(W.impose(S, W(x)))

    for k, (expected, _) in zip(range(1, 8), fast(S, W, W(x), 0.9)):
        assert error_db(settle(refit, x, k, 0.9), expected) < -250


def test_mending_changes_what_is_wrong_and_nothing_else():
    W = transform()
    x = material(W)
    S, wrong = W.magnitude(x), x + W.project(1e-4 * bump(2000, 10))
    mended, residual = mend(S, W, wrong, 30, 0.9, W(wrong))
    assert residual == pytest.approx(float((W.magnitude(mended) - S).norm()))
    assert consistency_db(mended, S, W) < consistency_db(wrong, S, W) - 30
    far = (torch.arange(N) - 2000).abs() > 2 * module._margin(W)
    assert float((mended - wrong)[far].abs().max()) < 1e-3 * float((mended - wrong).abs().max())
    again, same = mend(S, W, x, 30, 0.9, W(wrong))
    assert decibels((again - x).norm() / x.norm()) < -200 and same < 1e-10 * float(S.norm())


def test_what_mending_cannot_mend_stays_as_it_was():
    W = transform()
    x = material(W)
    # No signal has this modulus, so that no step gains anything.
    S = W.magnitude(x)
    S[:, 2000] *= 2
    before = float((W.magnitude(x) - S).norm())
    y, residual = mend(S, W, x, 1, 0.9, W(x))
    assert 0.5 * before < residual <= before
    assert residual == pytest.approx(float((W.magnitude(y) - S).norm()))


@pytest.mark.long
@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
def test_the_waveform_comes_back_with_and_without_patches(wavelet, monkeypatch):
    W = Scalogram(8192, RATE, wavelet=wavelet, voices_per_octave=32, f_min=200)
    x = W.project(signals.recording("guitar", RATE, 8192)[0])
    S, used = W.magnitude(x), []
    find = module.patches
    monkeypatch.setattr(module, "patches", lambda *args: used.append(find(*args)) or used[-1])
    assert waveform_error_db(phase_gradient(S, W).signal, x) < -150
    assert any(used)
    monkeypatch.setattr(module, "patches", lambda *args: [])
    assert waveform_error_db(phase_gradient(S, W).signal, x) < -150


@pytest.mark.parametrize("n, fast", [(13, 12), (511, 504), (512, 512), (1000, 960), (5000, 4928)])
def test_a_long_patch_has_a_length_with_many_divisors(n, fast):
    assert module._fast_length(n) == fast


def test_runs_of_a_periodic_mask():
    mask = np.zeros(100, bool)
    mask[[98, 99, 0, 1, 2]] = mask[10:14] = True
    assert [k.tolist() for k in module._stretches(mask)] == [[10, 11, 12, 13], [98, 99, 0, 1, 2]]


# -- pieces ------------------------------------------------------------------------------------


def test_the_worst_columns_hold_all_but_a_hundredth_of_the_error():
    error = np.array([0.0, 60.0, 0.5, 30.0, 0.4, 9.1])
    assert module._worst(error).tolist() == [False, True, False, True, False, True]
    error[2] = 1.5  # now three columns hold less than 99 %
    assert module._worst(error).tolist() == [False, True, True, True, False, True]


def test_the_margin_is_eight_deviations_of_the_longest_wavelet():
    W = Scalogram(1024, 8000, f_min=500)
    psi = torch.fft.ifft(W.filters[-1], n=1024).abs().square()
    t = (torch.arange(1024) + 512) % 1024 - 512
    deviation = float(((t**2 * psi).sum() / psi.sum()).sqrt())
    assert module._margin(W) == pytest.approx(8 * deviation, rel=0.02)


def test_patches_have_to_be_smaller_than_half_of_the_signal():
    W = Scalogram(512, 8000, f_min=1000)
    S, error = torch.ones(W.shape), torch.zeros(512)
    margin, c = module._margin(W), torch.ones(W.shape, dtype=torch.complex128)
    wide = 256 - 2 * margin
    for width, n_patches in ((wide - 1, 1), (wide + 2, 0)):
        error[:] = 0
        error[100 : 100 + width] = 1.0
        assert len(module.patches(S, W, c, error)) == n_patches
    low = Scalogram(512, 8000)  # its longest wavelet covers more than a quarter
    error[:] = 0
    error[100] = 1.0
    plane = torch.ones(low.shape)
    assert module.patches(plane, low, plane + 0j, error) == []
    assert len(module.patches(S, W, c, torch.stack([error, error]))) == 1  # of a batch as well


@pytest.mark.parametrize(
    "errors, settled, kept",
    [
        ([100.0, 9.0, 1.1], 2, 2),  # 10.5 dB, and then 9.1 dB
        ([100.0, 9.0, 0.8, 0.7], 3, 3),
        ([100.0, 200.0], 1, 0),  # what is worse is not kept
        ([100.0, 50.0], 1, 1),
    ],
)
def test_mending_goes_on_while_a_round_gains_ten_decibels(monkeypatch, errors, settled, kept):
    W = Scalogram(64, 8000)
    left, rounds = iter(errors), []

    class Whole:
        columns, refit = torch.arange(64), None

    monkeypatch.setattr(module, "patches", lambda *given: [Whole])
    monkeypatch.setattr(module, "_column_errors", lambda S, W, c: torch.tensor([next(left)]))

    def settle(refit, e, n_steps, momentum):
        rounds.append((n_steps, momentum))
        return e + 1.0

    monkeypatch.setattr(module, "settle", settle)
    x = torch.zeros(64, dtype=torch.float64)
    y, residual = module.mend(torch.ones(W.shape), W, x, 30, 0.9, torch.empty_like(W(x + 1)))
    assert rounds == [(30, 0.9)] * settled and float(y[0]) == kept
    assert residual == pytest.approx(min(errors[: settled + 1]) ** 0.5)


def test_a_patch_has_the_margin_on_both_sides_but_for_a_fast_length():
    W = Scalogram(512, 8000, f_min=1000)
    margin, error = module._margin(W), torch.zeros(512)
    for place in (100, 0, 511):
        error[:] = 0
        error[place] = 1.0
        plane = torch.ones(W.shape)
        (patch,) = module.patches(plane, W, plane + 0j, error)
        assert int(patch.columns[0]) == (place - margin) % 512
        assert len(patch.columns) == prev_fast_len(2 * margin + 1) == patch.W.n_samples


def test_errors_of_columns_add_up_over_rows():
    W = Scalogram(64, 8000)
    c = W(noise(3, 64))
    S = torch.ones(W.shape, dtype=torch.float64)
    wanted = (c.abs() - 1).square().sum(0)
    assert torch.allclose(module._column_errors(S, W, c), wanted)
    single = module._column_errors(S.float() * 1e-25, W, (1e-25 * c).to(torch.complex64))
    assert single.dtype == torch.float64 and bool((single > 0).all())
