"""Recovered sounds are written whole, and words say what FLAC does to them."""

import numpy as np
import pytest
import soundfile

from scalinv_utils.tools._sounds import FLAC_STEP, check_sound, save_sound

X = np.sin(np.arange(800) ** 1.3)


def test_wav_keeps_every_digit(tmp_path):
    assert save_sound(tmp_path / "x.wav", 3 * X, 8000) == ""
    assert np.array_equal(soundfile.read(tmp_path / "x.wav")[0], 3 * X)


def test_flac_rounds_to_24_bits_and_says_so(tmp_path):
    said = save_sound(tmp_path / "x.flac", 0.01 * X, 8000)
    y, rate = soundfile.read(tmp_path / "x.flac")
    assert rate == 8000 and soundfile.info(tmp_path / "x.flac").subtype == "PCM_24"
    assert 0.45 * FLAC_STEP < abs(y - 0.01 * X).max() <= 0.5 * FLAC_STEP
    level = 20 * np.log10(np.std(y - 0.01 * X) / np.std(X) * 100)
    assert said == f"The sound was rounded to 24 bits, {level:.0f} dB relative to it."


@pytest.mark.parametrize("peak, gain", [(1 - FLAC_STEP, 1.0), (1.0, 0.9), (3.0, 0.3)])
def test_what_flac_cannot_hold_is_turned_down(tmp_path, peak, gain):
    x = peak * X / abs(X).max()
    said = save_sound(tmp_path / "x.flac", x, 8000)
    y, _ = soundfile.read(tmp_path / "x.flac")
    assert abs(y - gain * x).max() <= 0.5001 * FLAC_STEP
    turned = f"turned down by {-20 * np.log10(gain):.1f} dB"
    assert (turned in said) == (gain < 1)


def test_silence_stays_silent(tmp_path):
    assert save_sound(tmp_path / "x.flac", np.zeros(100), 8000) == ""
    assert not soundfile.read(tmp_path / "x.flac")[0].any()


@pytest.mark.parametrize(
    "name, rate, words",
    [
        ("x.flac", 80.5, "whole number of Hz"),
        ("x.flac", 1e6, "up to 655,350 in FLAC"),
        ("x.wav", 80.5, "whole number of Hz"),
        ("none/x.wav", 8000, "a folder that exists"),
    ],
)
def test_what_cannot_be_written_is_refused_beforehand(tmp_path, name, rate, words):
    with pytest.raises(ValueError, match=words):
        check_sound(tmp_path / name, rate)
    check_sound(tmp_path / "x.flac", 8000.0)
    assert list(tmp_path.iterdir()) == []
