"""recover() returns the waveform of clean scalograms and handles noisy and impossible ones."""

import pytest
import torch

from scalinv_utils import metrics
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals
from scalinv_utils.recovery._griffin_lim import griffin_lim
from scalinv_utils.recovery._pipeline import recover
from scalinv_utils.transforms.scalogram import Scalogram

N, RATE = 512, 8000.0


def transform(wavelet="cauchy", n_samples=N, **options):
    return Scalogram(n_samples, RATE, wavelet=wavelet, **{"voices_per_octave": 32, **options})


def chirp(W):
    return W.project(signals.linear_chirp(W.n_samples, RATE, 300.0, 3000.0))


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_recover_finds_the_waveform(wavelet, seed):
    W = transform(wavelet)
    x = chirp(W)
    recovery = recover(W.magnitude(x), W, seed=seed, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -90
    assert recovery.consistency_db == min(recovery.history["consistency_db"])


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("name", ["crow", "tabla"])
def test_recover_finds_recordings(name, wavelet):
    W = transform(wavelet, n_samples=1024)
    x = W.project(signals.recording(name, int(RATE), 1024)[0])
    recovery = recover(W.magnitude(x), W, progress=False)
    assert metrics.island_error_db(recovery.signal, x, W) < -90


def test_one_seed_gives_one_signal():
    W = transform()
    S = W.magnitude(chirp(W))
    first, second = (recover(S, W, seed=3, progress=False).signal for _ in range(2))
    assert torch.equal(first, second)


def test_silence_comes_back_as_silence():
    W = transform()
    assert not recover(torch.zeros(W.shape), W, progress=False).signal.any()


def test_a_callback_stops_the_recovery_and_keeps_the_best():
    W = transform()
    recovery = recover(W.magnitude(chirp(W)), W, callback=lambda k, x, fit: True, progress=False)
    assert len(recovery.history["seconds"]) == 1 and torch.isfinite(recovery.signal).all()


@pytest.mark.parametrize(
    "options",
    [
        {"wavelet": "cauchy", "voices_per_octave": 8},
        {"wavelet": "gmw", "voices_per_octave": 16},
        {"wavelet": "cauchy", "lowpass": "signed"},
    ],
)
def test_few_voices_and_a_lowpass_do(options):
    W = transform(**options)
    x = W.project(signals.am_fm_tone(N, RATE))
    recovery = recover(W.magnitude(x), W, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -60


@pytest.mark.parametrize("wavelet", ["cauchy", "gmw"])
@pytest.mark.parametrize("snr_db", [20, 40])
def test_noise_costs_no_more_than_it_must(wavelet, snr_db):
    # Many rows share the noise of one sample, so the waveform is better than S is.
    W = transform(wavelet)
    x = W.project(signals.recording("crow" if snr_db == 20 else "guitar", int(RATE), N)[0])
    recovery = recover(noisy(W.magnitude(x), snr_db, seed=0), W, progress=False)
    assert metrics.waveform_error_db(recovery.signal, x) < -snr_db
    assert -snr_db - 3 < recovery.details["noise_db"] < -snr_db + 8
    assert recovery.details["stages"][0][0] == "phase gradient, denoised"


def test_a_clean_scalogram_is_not_denoised():
    W = transform()
    recovery = recover(W.magnitude(chirp(W)), W, progress=False)
    assert recovery.details["stages"][0][0] == "phase gradient"
    assert recovery.details["noise_db"] < -60


def test_a_picture_that_is_no_scalogram_is_fitted_as_well_as_anything_fits_it():
    W = transform()
    x, y = chirp(W), W.project(signals.recording("guitar", int(RATE), N)[0])
    mixed = W.magnitude(x) / x.norm() + W.magnitude(y) / y.norm()
    erased = W.magnitude(x)
    erased[W.frequencies > 1000, N // 3 : N // 2] = 0
    for S in (mixed, erased):
        ours = recover(S, W, progress=False).signal
        theirs = griffin_lim(S, W, n_iter=200).signal
        assert metrics.consistency_db(ours, S, W) < metrics.consistency_db(theirs, S, W) + 0.1


def test_the_level_of_the_scalogram_does_not_matter():
    W = transform("gmw")
    S = W.magnitude(chirp(W))
    usual, tiny = (recover(level * S, W, progress=False).signal for level in (1, 1e-9))
    assert metrics.waveform_error_db(1e9 * tiny, usual) < -90


@pytest.mark.parametrize(
    "S, message",
    [
        (torch.full((3, 4), 1.0), "S"),
        (torch.full((3, 4), -1.0), "S"),
        (torch.full((3, 4), float("nan")), "S"),
        (torch.ones(3, dtype=torch.complex128), "S"),
    ],
)
def test_bad_scalograms_are_refused_by_name(S, message):
    with pytest.raises((ValueError, TypeError), match=message):
        recover(S, transform(), progress=False)
