"""Write a recovered sound: as WAV with every digit, or as FLAC, which has 24 bits.

FLAC takes no level above 1. A louder sound is turned down, and words say by how much. They also say
how far the rounding lies below the sound, since a recovery is often better than that.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import BinaryIO

import numpy as np
import soundfile
import torch
from numpy.typing import ArrayLike

from .._whole_file import write_whole
from ..course import audio
from ..metrics import decibels

__all__ = ["SOUND_ENDINGS", "check_sound", "save_sound"]

SOUND_ENDINGS = (".wav", ".flac")

# One step of 24 bits, and the largest sample.
FLAC_STEP = 2.0**-23
LARGEST_SAMPLE = 1 - FLAC_STEP

# libsndfile writes no FLAC of a higher rate, in Hz.
HIGHEST_RATE = 655_350


def check_sound(path: Path, sample_rate: float) -> None:
    """Refuse a name or a rate that `save_sound` would refuse, before the sound is there."""
    if not path.absolute().parent.is_dir():
        raise ValueError(f"the sound must be written to a folder that exists, got {path}")
    _save(io.BytesIO(), torch.zeros(1), sample_rate, path.suffix)


def save_sound(path: Path, x: ArrayLike, sample_rate: float) -> str:
    """Write a sound to a .wav or .flac file.

    Parameters
    ----------
    path : Path
    x : array, shape (n_samples,)
    sample_rate : float
        Samples per second, rounded to whole hertz.

    Returns
    -------
    str
        A sentence on what the format did to the sound; empty for WAV.

    Raises
    ------
    ValueError
        If the rate is no whole number of hertz, not even nearly, or too high.
    OSError
        If the file cannot be written.
    """
    sound = torch.as_tensor(x).detach().cpu().double()
    return _save(path, sound, sample_rate, path.suffix)


def _save(file: Path | BinaryIO, x: torch.Tensor, sample_rate: float, ending: str) -> str:
    if ending == ".wav":
        audio.save_wav(file, x, sample_rate, "float64")
        return ""
    rate = round(sample_rate)
    if rate > HIGHEST_RATE or abs(rate - sample_rate) > audio.RATE_TOLERANCE * sample_rate:
        raise ValueError(
            f"the sample rate must be a whole number of Hz up to {HIGHEST_RATE:,} in FLAC, got "
            f"{sample_rate:.6g} Hz; write to a .wav file"
        )
    peak = float(x.abs().max())
    gain = audio.FULL_SCALE / peak if peak > LARGEST_SAMPLE else 1.0
    _write_flac(file, gain * x, rate)
    return _told(gain, float(x.square().mean().sqrt()))


def _write_flac(file: str | os.PathLike[str] | BinaryIO, x: torch.Tensor, rate: int) -> None:
    """Round here: libsndfile takes whole numbers as they are, in the upper 24 of 32 bits."""
    steps = (x / FLAC_STEP).round().numpy().astype(np.int32) << 8
    content = io.BytesIO()
    soundfile.write(content, steps, rate, format="FLAC", subtype="PCM_24")
    write_whole(file, content.getvalue())


def _told(gain: float, level: float) -> str:
    """Say what 24 bits and full scale did to a sound of a level."""
    turned = f"turned down by {-decibels(gain):.1f} dB, since FLAC takes no level above 1, and "
    if not level:
        return ""
    noise = decibels(FLAC_STEP / 12**0.5 / (gain * level))
    return f"The sound was {turned * (gain < 1)}rounded to 24 bits, {noise:.0f} dB relative to it."
