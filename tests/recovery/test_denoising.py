"""Denoising removes noise and leaves the scalogram."""

import numpy as np
import pytest
import torch

from scalinv_utils.course import signals
from scalinv_utils.metrics import decibels
from scalinv_utils.recovery.denoising import autocorrelation, denoise
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 1024, 8000.0
NAMES = ["linear chirp", "AM-FM tone", "crossing chirps", "three tones", "white noise"]


def distance_db(S, reference):
    return decibels((S - reference).norm() / reference.norm())


@pytest.fixture(scope="module", params=["cauchy", "gmw", "morlet"])
def W(request):
    return Scalogram(N, RATE, wavelet=request.param, voices_per_octave=16)


def noise(S, snr_db):
    generator = torch.Generator().manual_seed(0)
    return (
        10 ** (-snr_db / 20)
        * S.square().mean().sqrt()
        * torch.randn(S.shape, dtype=S.dtype, generator=generator)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_scalogram_without_noise_is_left_alone(W, name):
    S = W.magnitude(W.project(signals.synthetic(name, N, RATE)))
    assert distance_db(denoise(S, W), S) < -70


@pytest.mark.parametrize("snr_db", [10, 20, 30])
def test_noise_gets_less(W, snr_db):
    for name in ("speech", "guitar", "bell"):
        S = W.magnitude(W.project(signals.recording(name, int(RATE), N)[0]))
        before = (S + noise(S, snr_db)).clamp_min(0)
        gain = distance_db(before, S) - distance_db(denoise(before, W), S)
        assert gain > 2, (name, gain)


def test_a_batch_is_denoised_one_by_one(W):
    S = W.magnitude(torch.stack([signals.synthetic(name, N, RATE) for name in NAMES]))
    S = (S + noise(S, 20)).clamp_min(0)
    together = denoise(S, W)
    for one, expected in zip(S, together):
        assert torch.allclose(denoise(one, W), expected)


def test_the_row_of_a_lowpass_is_left_as_it_is():
    W = Scalogram(N, RATE, wavelet="gmw", lowpass="signed")
    S = W.magnitude(signals.linear_chirp(N, RATE))
    S = S + noise(S, 20).abs()
    assert torch.equal(denoise(S, W)[-1], S[-1]) and not torch.equal(denoise(S, W)[0], S[0])


def test_silence_stays_silence(W):
    assert not denoise(torch.zeros(W.shape), W).any()


def test_filters_without_an_empty_bin_leave_everything():
    wide = Scalogram(N, RATE, wavelet=("gmw", {"gamma": 1, "beta": 2}), f_min=RATE / 4)
    S = torch.rand(wide.shape, dtype=torch.float64)
    assert distance_db(denoise(S, wide), S) < -200


@pytest.mark.parametrize("S", [torch.ones(3, 4), float("nan") * torch.ones(3, 4)])
def test_bad_scalograms_are_refused(W, S):
    with pytest.raises(ValueError, match="^S "):
        denoise(S, W)


def test_four_times_the_mean_energy_of_noise_is_taken_from_each_bin():
    W = Scalogram(256, RATE, wavelet=("gmw", {"beta": 4}), voices_per_octave=8)
    S = W.magnitude(signals.recording("guitar", int(RATE), 256)[0])
    S = (S + noise(S, 15)).clamp_min(0)
    power = S.square().numpy()
    psi = W.filters.numpy()
    empty = []
    for row in psi:
        lags = [np.dot(row[: len(row) - k] ** 2, row[k:] ** 2) for k in range(129)]
        empty.append(np.array(lags) / lags[0] < 1e-10)
    empty = np.array(empty)
    known = empty.mean(1) > 1 / 16
    energy = np.abs(np.fft.rfft(power)) ** 2
    share = np.array([e[o].mean() if o.any() else 0 for e, o in zip(energy, empty)])
    share /= power.mean(1)
    first = int(np.argmax(known))
    assert 0 < first < len(psi) // 2 and known[first:].all()
    share[:first] = share[first]  # upper rows, in proportion to their power
    excess = 4 * (share * power.mean(1))[:, None]
    gain = np.maximum(1 - excess / energy, 0)
    wanted = np.sqrt(np.maximum(np.fft.irfft(gain * np.fft.rfft(power), n=256), 0))
    assert distance_db(denoise(S, W), torch.from_numpy(wanted)) < -100


def test_the_autocorrelation_is_one_at_no_lag():
    filters = torch.zeros(2, 33, dtype=torch.float64)
    filters[0, 10:13] = torch.tensor([1.0, 2.0, 1.0])
    found = autocorrelation(filters, 64)
    assert found.shape == (2, 33) and not found[1].any()
    # Of squares 1, 4, 1: 18, 8 and 1 at lags 0, 1 and 2.
    assert found[0, :4].tolist() == pytest.approx([1, 8 / 18, 1 / 18, 0], abs=1e-12)
