"""Files with missing lengths, cut beginnings, channels that cancel, and hours in little space."""

import io
import os
import struct
import sys
import tracemalloc

import numpy as np
import pytest
import soundfile

from scalinv_utils.course import _sound_file, signals
from scalinv_utils.course._sound_file import read_sound

SECOND = 16000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SECOND) / SECOND)
QUARTER = 0.5 * np.cos(2 * np.pi * 440 * np.arange(SECOND) / SECOND)


def written(x, kind, subtype=None, endian=None):
    """The bytes of a sound file."""
    file = io.BytesIO()
    soundfile.write(file, x, SECOND, format=kind, subtype=subtype, endian=endian)
    return file.getvalue()


def patched(content, mark, offset, new):
    """Replace bytes at some distance from the first `mark`."""
    at = content.index(mark) + offset
    return content[:at] + new + content[at + len(new) :]


def read(content, **options):
    return read_sound(io.BytesIO(content), **options)


# --- Lengths that a streaming writer left out ----------------------------------------------------

WAV, FLAC = written(TONE, "WAV", "PCM_16"), written(TONE, "FLAC", "PCM_16")
AU, CAF = written(TONE, "AU", "PCM_16", "BIG"), written(TONE, "CAF", "PCM_16")
MP3 = written(TONE, "MP3")

STREAMED = {
    "wav 0": patched(patched(WAV, b"data", 4, bytes(4)), b"RIFF", 4, bytes(4)),
    "wav -1": patched(WAV, b"data", 4, b"\xff" * 4),
    "wav 2 GiB": patched(WAV, b"data", 4, struct.pack("<I", 2**31)),
    "rifx 0": patched(written(TONE, "WAV", "PCM_16", "BIG"), b"data", 4, bytes(4)),
    "wavex 0": patched(written(TONE, "WAVEX", "PCM_16"), b"data", 4, bytes(4)),
    "float wav 0": patched(written(TONE, "WAV", "DOUBLE"), b"data", 4, bytes(4)),
    "flac 0": patched(FLAC, b"fLaC", 21, bytes([FLAC[21] & 0xF0]) + bytes(4)),
    "aiff 0": patched(written(TONE, "AIFF", "PCM_16"), b"SSND", 4, bytes(4)),
    "au 0": patched(AU, b".snd", 8, bytes(4)),
    "au -1": patched(AU, b".snd", 8, b"\xff" * 4),
    "au 2 GiB": patched(AU, b".snd", 8, b"\x7f\xff\xff\xff"),
    "little au 0": patched(written(TONE, "AU", "PCM_16", "LITTLE"), b"dns.", 8, bytes(4)),
    "caf -1": patched(CAF, b"data", 4, b"\xff" * 8),
    "caf 0": patched(CAF, b"data", 4, bytes(8)),
    "rf64 0": patched(written(TONE, "RF64", "PCM_16"), b"ds64", 16, bytes(8)),
    "rf64 -1": patched(written(TONE, "RF64", "PCM_16"), b"ds64", 16, b"\xff" * 8),
    "w64 0": patched(written(TONE, "W64", "PCM_16"), b"data\xf3", 16, bytes(8)),
}


@pytest.mark.parametrize("content", STREAMED.values(), ids=STREAMED.keys())
@pytest.mark.parametrize("seconds", [None, 0.5, 1e6])
def test_files_without_a_length_are_read_to_their_end(content, seconds):
    sound = read(content, seconds=seconds)
    n_samples = SECOND if seconds is None else min(round(seconds * SECOND), SECOND)
    assert sound.samples.shape == (n_samples,) and sound.sample_rate == SECOND
    assert np.abs(sound.samples - TONE[:n_samples]).max() < 2**-15 and sound.said == []


@pytest.mark.parametrize("after", [b"", b"LIST\x04\0\0\0abcd"])
def test_a_wav_without_samples_stays_empty(after):
    empty = written(TONE[:0], "WAV") + after
    with pytest.raises(signals.SoundFileError, match="at least one sample") as refused:
        read(empty)
    assert refused.value.reason == "empty"


@pytest.mark.parametrize("kind", ["XI", "PVF", "VOC", "SVX", "NIST", "IRCAM", "MAT5", "HTK", "PAF"])
def test_rare_formats_are_read_in_blocks_too(kind):
    x = read(written(TONE, kind)).samples
    assert len(x) == SECOND and np.abs(x - TONE).max() < 1e-3


# --- MP3 ------------------------------------------------------------------------------------------


def lag_and_error(x):
    """The samples by which x is late (encoders begin with silence), and its error after that."""
    product = np.fft.irfft(np.fft.rfft(x, 2**16) * np.fft.rfft(TONE, 2**16).conj())
    lag = int(np.argmax(product[: 2**15]))
    part = x[lag + 800 : lag + SECOND - 800]
    return lag, np.abs(part - TONE[800 : 800 + len(part)]).max()


@pytest.mark.parametrize("before", [b"", b"\0" * 1000, b"not an MP3 frame \xff\xfb"])
@pytest.mark.parametrize("cut", [1, 10, 200])
def test_mp3_from_mid_frame_begins_with_its_first_whole_frame(before, cut):
    sound = read(before + MP3[cut:])
    assert SECOND <= len(sound.samples) < 1.1 * SECOND and sound.said == []
    lag, error = lag_and_error(sound.samples)
    assert lag < 1200 and error < 0.02


def test_mp3_behind_a_tag_and_without_a_count_of_frames_is_read_whole():
    tag = b"ID3\x04\0\0\0\0\x07\x76" + bytes(7 * 128 + 0x76)
    for content in (tag + MP3, tag + MP3[200:]):
        assert len(read(content).samples) >= SECOND


def test_mp3_of_two_channels_and_other_rates_from_mid_frame():
    x = np.stack([TONE, TONE], 1)
    for rate in (16000, 44100):
        file = io.BytesIO()
        soundfile.write(file, np.tile(x, (4, 1)), rate, format="MP3")
        sound = read(file.getvalue()[300:])
        assert sound.sample_rate == rate and 0.9 < len(sound.samples) / (4 * SECOND) < 1.1


def damaged_mp3():
    content = bytearray(MP3)
    for k in np.random.default_rng(0).integers(400, len(content), 60):
        content[k] ^= 0x55
    return bytes(content)


def test_damaged_mp3_is_read_without_chatter(capfd):
    assert "breaks off after" in read(damaged_mp3()).said[0]
    os.write(2, b"ours")
    assert capfd.readouterr().err == "ours"


def test_mp3_is_read_where_there_is_no_standard_error(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(sys, "__stderr__", None)  # descriptor 2 may be any file then
        patch.setattr(os, "dup2", lambda *_: pytest.fail("somebody's file was replaced"))
        assert len(read(MP3).samples) == SECOND


# --- Files that break off, and files that are no sound -------------------------------------------


@pytest.mark.parametrize("content", [MP3[:1200], FLAC[: len(FLAC) // 2]], ids=["mp3", "flac"])
def test_a_file_that_breaks_off_is_read_and_said(content):
    sound = read(content)
    assert 0.1 < len(sound.samples) / SECOND < 0.9
    assert len(sound.said) == 1 and "breaks off after" in sound.said[0]
    with pytest.warns(UserWarning, match="breaks off after 0.* s of 1.00 s"):
        signals.load(io.BytesIO(content))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x18ftypM4A " + bytes(40), "M4A"),
        (b"\x1a\x45\xdf\xa3" + bytes(40), "WebM"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(40), "WMA"),
        (b"MThd\0\0\0\x06" + bytes(40), "MIDI, which holds notes"),
        (b"\xff\xf1\x50\x80" + bytes(400), "AAC"),
        (b"#!AMR\n" + bytes(40), "AMR"),
        (b"<html>not found</html>", "libsndfile"),
        (b"", "no bytes"),
        (patched(WAV, b"fmt ", 12, struct.pack("<I", 4_000_000_000)), "impossible sampling rate"),
        (patched(WAV, b"fmt ", 12, bytes(4)), "impossible sampling rate"),
        (patched(WAV, b"fmt ", 10, bytes(2)), "libsndfile reads"),
    ],
)
def test_files_that_cannot_be_read_are_refused_by_their_kind(content, words):
    with pytest.raises(signals.SoundFileError, match=words) as refused:
        read(content)
    assert refused.value.reason == "unreadable" and "0x" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        (b"a.wav", TypeError, "BytesIO"),
        (3, TypeError, "int"),
        (None, TypeError, "NoneType"),
        (io.StringIO("text"), TypeError, "text"),
    ],
)
def test_what_is_no_file_is_named(path, error, words):
    with pytest.raises(error, match=f"path must be .*{words}"):
        read_sound(path)


def test_a_stream_that_cannot_be_rewound_is_refused():
    reading, writing = os.pipe()
    os.close(writing)
    with open(reading, "rb") as stream, pytest.raises(ValueError, match="path .*rewound.*BytesIO"):
        read_sound(stream)


def test_an_open_file_stays_open_and_is_read_from_its_start():
    file = io.BytesIO(STREAMED["wav 0"])
    file.seek(0, io.SEEK_END)
    for _ in range(2):
        assert len(read_sound(file).samples) == SECOND
    assert not file.closed


# --- Channels -------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)
NOISE = RNG.standard_normal(SECOND) / 10


@pytest.mark.parametrize("level", [1.0, 1e-6, 1e-200, 1e250])
@pytest.mark.parametrize(
    ("channels", "taken"),
    [
        ([TONE, -TONE], 0),
        ([TONE / 2, -TONE], 1),
        ([TONE, -TONE + 1e-4 * NOISE], 0),
        ([QUARTER / 2, TONE], 1),  # I and Q
        ([1e-3 * NOISE, TONE], 1),
        ([TONE + 0.2, -TONE + 0.2], 0),  # an offset makes them no more alike
        ([TONE, TONE, -1.5 * TONE], 2),
    ],
)
def test_channels_that_are_not_alike_are_not_averaged(channels, taken, level):
    sound = read(written(level * np.stack(channels, 1), "WAV", "DOUBLE"))
    assert np.array_equal(sound.samples, level * channels[taken])
    assert f"Channel {taken} of {len(channels)} was taken, the loudest" in sound.said[0]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([TONE, TONE], TONE),
        ([TONE, TONE / 2], 0.75 * TONE),
        ([TONE, 0 * TONE], TONE),  # a silent channel is left out without a word
        ([0 * TONE + 0.25, TONE], TONE),
        ([TONE + NOISE, TONE - NOISE], TONE),
        ([0 * TONE, 0 * TONE], 0 * TONE),
        ([TONE, 0 * TONE, TONE / 2, 0 * TONE], 0.75 * TONE),
    ],
)
def test_channels_that_are_alike_are_averaged(channels, expected):
    sound = read(written(np.stack(channels, 1), "WAV", "DOUBLE"))
    assert np.allclose(sound.samples, expected, rtol=0, atol=1e-15) and sound.said == []


def test_i_and_q_are_named_and_each_can_be_taken():
    content = written(np.stack([QUARTER, TONE], 1), "WAV", "DOUBLE")
    with pytest.warns(UserWarning, match="channel=1 takes the other one, and if they are I and Q"):
        signals.load(io.BytesIO(content))
    x, rate = signals.load(io.BytesIO(content), channel=1)
    assert np.array_equal(x.numpy(), TONE) and rate == SECOND
    for channel, error in ((2, ValueError), (-1, ValueError), (0.5, TypeError)):
        with pytest.raises(error, match="channel must be"):
            signals.load(io.BytesIO(content), channel=channel)


def test_bad_samples_in_a_channel_that_is_not_taken_are_refused():
    x = np.stack([TONE, -TONE / 2], 1)
    x[7, 1] = np.nan
    with pytest.raises(signals.SoundFileError, match="1 NaN or infinite of 32000 values"):
        read(written(x, "WAV", "DOUBLE"))


# --- Memory ---------------------------------------------------------------------------------------


def test_a_small_file_of_much_sound_takes_the_memory_of_what_is_kept(tmp_path):
    path, silence = tmp_path / "a.flac", np.zeros((2**16, 8), np.int16)
    with soundfile.SoundFile(path, "w", 8000, 8, format="FLAC", subtype="PCM_16") as file:
        for _ in range(100):
            file.write(silence)
    assert path.stat().st_size < 3e5  # 420 MB when it is decoded
    tracemalloc.start()
    sound = read_sound(path, seconds=30, most_samples=200_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(sound.samples) == 200_000 and sound.lasts == 100 * 2**16 / 8000
    assert peak < 2 * 8 * 200_000


@pytest.mark.parametrize("content", [WAV, STREAMED["flac 0"]], ids=["promised", "not promised"])
def test_a_sound_that_does_not_fit_into_memory_is_refused_with_the_way_out(content, monkeypatch):
    monkeypatch.setattr(_sound_file, "room", lambda: 8 * 15000)
    with pytest.raises(signals.SoundFileError, match="half of the free memory.*seconds.*Slices"):
        read(content)
    assert len(read(content, seconds=0.9).samples) == 14400
    assert len(read(content, most_samples=15000).samples) == 15000


def test_a_header_that_promises_too_much_costs_nothing():
    n_frames = 2**35
    content = patched(FLAC, b"fLaC", 21, bytes([FLAC[21] & 0xF0]) + struct.pack(">Q", n_frames)[3:])
    content = patched(FLAC, b"fLaC", 21, bytes([FLAC[21] & 0xF0 | 0x8]) + bytes(4))
    sound = read(content, seconds=300)
    assert len(sound.samples) == SECOND and sound.lasts == n_frames / SECOND
    assert "breaks off after 1.00 s of 300.00 s" in sound.said[0]


def test_an_average_does_not_overflow():
    content = written(1e308 * np.stack([TONE, 3 * TONE], 1), "WAV", "DOUBLE")
    assert np.allclose(read(content).samples / 1e308, 2 * TONE, rtol=1e-15)
