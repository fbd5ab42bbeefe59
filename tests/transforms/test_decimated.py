"""A decimated scalogram holds samples of the full one, and enough of them to get it back."""

import numpy as np
import pytest
import torch
from small import noise, scalogram

from scalinv_utils import metrics
from scalinv_utils.course import signals
from scalinv_utils.recovery._gradient_descent import invert_gradient
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.transforms import decimated
from scalinv_utils.transforms.decimated import Decimated
from scalinv_utils.transforms.scalogram import Scalogram

BANKS = {
    "cauchy": dict(wavelet="cauchy", voices_per_octave=16),
    "gmw": dict(wavelet="gmw", voices_per_octave=16),
    "narrow": dict(wavelet=("gmw", {"gamma": 3, "beta": 2000}), voices_per_octave=8),
    "leaky": dict(wavelet=("morlet", {"mu": 4.0}), voices_per_octave=8),
    "lowpass": dict(wavelet="cauchy", voices_per_octave=8, lowpass="modulus"),
}


@pytest.mark.parametrize("n_samples", (512, 600, 511))
@pytest.mark.parametrize("bank", BANKS)
def test_it_is_the_scalogram_at_fewer_samples_and_the_others_follow(bank, n_samples):
    W = Scalogram(n_samples, 8000, **BANKS[bank])
    D, x = Decimated(W), noise(1, 2, n_samples)
    S, parts = W.magnitude(x), D.magnitude(x)
    assert sum(part[0].numel() for part in parts) == D.n_kept
    for part, kept in zip(parts, D.keep(S), strict=True):
        assert metrics.misfit_db(part, kept) < -180
    assert D.complete(parts).shape == S.shape
    assert metrics.misfit_db(D.complete(parts), S) < -160


def test_low_rows_keep_fewer_samples_and_a_power_of_two_apart():
    W = scalogram(2048, "gmw", 32)
    D = Decimated(W)
    assert D.n_kept < 0.4 * W.n_freqs * W.n_samples
    below_the_edge = D.hops[1:]  # Nyquist cuts the first row, which is narrower
    assert below_the_edge == sorted(below_the_edge) and max(D.hops) >= 32
    assert all(np.log2(hop).is_integer() for hop in D.hops)


def test_where_nothing_divides_everything_is_kept():
    W = scalogram(511)
    assert set(Decimated(W).hops) == {1}


@pytest.mark.parametrize("wavelet", ("cauchy", "gmw"))
@pytest.mark.parametrize("name", ("speech", "bell"))
def test_the_waveform_comes_back_from_a_part_of_the_scalogram(name, wavelet):
    W = Scalogram(1024, 8000, wavelet=wavelet, voices_per_octave=32)
    D = Decimated(W)
    x = W.project(signals.recording(name, 8000, 1024)[0])
    y = recover(D.complete(D.magnitude(x)), W, progress=False).signal
    assert D.n_kept < 0.6 * W.n_freqs * W.n_samples
    assert metrics.waveform_error_db(y, x) < -100


def test_it_can_be_descended_on():
    W = Scalogram(256, 2000, wavelet="cauchy", voices_per_octave=16)
    D, x = Decimated(W), noise(1, 256)
    target = D.magnitude(x)
    run = invert_gradient(target, D.magnitude, n_samples=256, n_iter=30)
    assert run.consistency_db < -15 and run.signal.shape == (256,)
    y = noise(1, 256).requires_grad_()
    sum(part.sum() for part in D.magnitude(y)).backward()
    assert torch.isfinite(y.grad).all() and y.grad.any()


def test_single_precision_stays_single():
    W = Scalogram(256, 2000, wavelet="gmw", voices_per_octave=16).float()
    D, x = Decimated(W), noise(1, 256)
    assert all(part.dtype == torch.float32 for part in D.magnitude(x))
    assert metrics.misfit_db(D.complete(D.magnitude(x)), W.magnitude(x)) < -60


def test_bad_input_is_refused_in_words():
    W = scalogram(256)
    D = Decimated(W)
    parts = D.magnitude(noise(1, 256))
    with pytest.raises(ValueError, match="tolerance must be between 0 and 1, got 2"):
        Decimated(W, tolerance=2)
    with pytest.raises(ValueError, match="no 'signed' lowpass"):
        Decimated(Scalogram(256, 2000, lowpass="signed"))
    with pytest.raises(ValueError, match=f"{len(parts)} arrays, one for each hop, got 1"):
        D.complete(parts[:1])
    with pytest.raises(ValueError, match=r"parts\[0\] must not be negative"):
        D.complete([-part for part in parts])
    with pytest.raises(ValueError, match=r"parts\[0\]"):
        D.complete([part[..., :-1] for part in parts])
    with pytest.raises(ValueError, match="n_samples"):
        D.magnitude(noise(1, 255))


# -- pieces ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "width, n_samples, hop",
    [(8, 64, 4), (9, 64, 2), (16, 64, 2), (17, 64, 1), (1, 64, 32), (1, 48, 16), (3, 63, 1)],
)
def test_a_hop_leaves_two_samples_for_each_bin(width, n_samples, hop):
    assert decimated._hop(width, n_samples) == hop


def test_the_band_is_that_above_the_tolerance_or_everything():
    row = torch.zeros(64)
    row[10:14] = torch.tensor([1e-3, -1.0, 0.5, 0.9e-3])
    assert list(decimated._passed(row[None], 0.95e-3, 64)) == [range(10, 13)]
    assert list(decimated._passed(row[None], 2e-3, 64)) == [range(11, 13)]
    row[32] = 1.0
    assert list(decimated._passed(row[None], 0.1, 64)) == [range(11, 33)]
    row[33] = 1.0  # a negative frequency
    assert list(decimated._passed(row[None], 0.1, 64)) == [range(64)]


def test_neighbours_of_one_hop_are_a_group_with_a_band_for_all():
    bands = [range(20, 30), range(10, 22), range(8, 12), range(1, 3)]
    assert list(decimated._groups([2, 2, 4, 8], bands)) == [
        (slice(0, 2), 2, slice(10, 30)),
        (slice(2, 3), 4, slice(8, 12)),
        (slice(3, 4), 8, slice(1, 3)),
    ]
    assert list(decimated._groups([1], [range(3)])) == [(slice(0, 1), 1, slice(0, 3))]
