"""Synthetic signals, recordings, files, and the checks that every module shares."""

import io
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

from scalinv_utils import _validation
from scalinv_utils.course import signals


def instantaneous_frequency(x, sample_rate):
    """Hz at every sample, from the phase of the analytic signal."""
    from scipy.signal import hilbert

    return np.diff(np.unwrap(np.angle(hilbert(x.numpy())))) * sample_rate / (2 * math.pi)


# --- Synthetic -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", signals.SYNTHETIC)
@pytest.mark.parametrize("sample_rate", [1.0, 8000])
def test_synthetic_signals_are_repeatable_and_bounded(name, sample_rate):
    x = signals.synthetic(name, 1000, sample_rate)
    assert x.shape == (1000,) and x.dtype == torch.float64
    assert torch.equal(x, signals.synthetic(name, 1000, sample_rate))
    assert 0.5 < x.abs().max() <= 1 + 1e-12


def test_linear_chirp_moves_linearly():
    f = instantaneous_frequency(signals.linear_chirp(8000, 8000, 500, 2500), 8000)
    expected = 500 + 2000 * (np.arange(len(f)) + 0.5) / 8000
    assert np.abs(f - expected)[800:-800].max() < 10


def test_exponential_chirp_moves_by_octaves():
    f = instantaneous_frequency(signals.exponential_chirp(8000, 8000, 200, 3200), 8000)
    octaves = np.log2(f[[2000, 4000, 6000]] / 200)
    assert octaves == pytest.approx([1, 2, 3], abs=0.02)


def test_exponential_chirp_without_motion_is_a_tone():
    x = signals.exponential_chirp(800, 8000, 300, 300)
    assert torch.allclose(x, signals.tones(800, 8000, [300]))


def test_am_fm_tone_stays_in_its_band():
    x = signals.am_fm_tone(8000, 8000, carrier=1000, deviation=200, modulation=5, depth=0.5)
    f = instantaneous_frequency(x, 8000)[400:-400]
    assert f.min() == pytest.approx(800, abs=10) and f.max() == pytest.approx(1200, abs=10)


def test_crossing_chirps_cross_half_way():
    x = signals.crossing_chirps(4000, 8000, 500, 1500)
    spectrum = np.abs(np.fft.rfft(x[1950:2050].numpy()))
    assert np.fft.rfftfreq(100, 1 / 8000)[spectrum.argmax()] == pytest.approx(1000, abs=80)


def test_tones_have_the_amplitudes_asked_for():
    x = signals.tones(800, 800, [100, 200], [0.7, 0.2])
    spectrum = np.abs(np.fft.rfft(x.numpy())) / 400
    assert spectrum[[100, 200]] == pytest.approx([0.7, 0.2])
    assert np.delete(spectrum, [100, 200]).max() < 1e-10


def test_clicks_are_where_they_were_put():
    x = signals.clicks(100, 10, [0, 2.5, 9.9])
    assert x.nonzero().flatten().tolist() == [0, 25, 99]


def test_noise_depends_on_its_seed():
    assert not torch.equal(signals.white_noise(64, seed=0), signals.white_noise(64, seed=1))


def test_published_signals():
    cosine, chirp = signals.published_cosine(), signals.published_chirp()
    t = np.arange(2048) / 2048
    assert np.allclose(cosine, np.cos(40 * t))
    phase = 8 * (102.4**t - 1) / np.log(102.4)  # 0.4 * 2048 / 8 = 102.4
    assert np.allclose(chirp, np.cos(2 * np.pi * phase))


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: signals.linear_chirp(0), "n_samples"),
        (lambda: signals.linear_chirp(10, sample_rate=-1), "sample_rate"),
        (lambda: signals.linear_chirp(10, 8000, end=4001), "end"),
        (lambda: signals.exponential_chirp(10, 8000, start=0), "start"),
        (lambda: signals.am_fm_tone(10, 8000, carrier=3900, deviation=200), "carrier"),
        (lambda: signals.am_fm_tone(10, depth=2), "depth"),
        (lambda: signals.crossing_chirps(10, 8000, high=5000), "high"),
        (lambda: signals.tones(10, 8000, [5000]), "frequencies"),
        (lambda: signals.tones(10, 8000, []), "frequencies"),
        (lambda: signals.tones(10, 8000, [50], [1, 1]), "amplitudes"),
        (lambda: signals.clicks(10, 10, [1.0]), "times"),
        (lambda: signals.synthetic("banjo", 10), "name"),
        (lambda: signals.recording("banjo"), "name"),
        (lambda: signals.recording("bell", n_samples=10**6), "n_samples"),
        (lambda: signals.recording("bell", start=1.0), "start"),
        (lambda: signals.recording("bell", start=-0.1), "start"),
        (lambda: signals.recording("bell", start=math.nan), "start"),
        (lambda: signals.recording("bell", sample_rate=0), "sample_rate"),
        (lambda: signals.resample([1.0, 2.0], 44100, 1e-3), "new_rate"),
        (lambda: signals.fade([1.0, 2.0], 1, seconds=0), "seconds"),
    ],
)
def test_bad_values_are_named(call, argument):
    with pytest.raises(ValueError, match=argument):
        call()


# --- Recordings ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", signals.RECORDINGS)
def test_recordings_load_at_their_own_rate(name):
    x, rate = signals.recording(name)
    assert rate == signals.RECORDINGS[name].sample_rate
    assert x.dtype == torch.float64 and x.ndim == 1 and len(x) > 1000
    assert 0.05 < x.abs().max() <= 1


@pytest.mark.parametrize("name", [name for name in signals.RECORDINGS if name != "ecg"])
def test_short_cuts_of_recordings_are_loud(name):
    whole, _ = signals.recording(name, 8000)
    x, rate = signals.recording(name, 8000, n_samples=2048)
    assert x.shape == (2048,) and rate == 8000
    assert x.square().mean() >= whole.square().mean()


def test_every_recording_is_credited():
    from importlib import resources

    credits = (resources.files("scalinv_utils.course") / "data" / "CREDITS.md").read_text()
    for entry in signals.RECORDINGS.values():
        (line,) = [line for line in credits.splitlines() if entry.filename in line]
        assert entry.licence in line and entry.title in line.replace("*", "")


def test_cut_finds_the_loudest_stretch_and_obeys_start():
    x = torch.zeros(100)
    x[40:50] = 1
    assert torch.equal(signals.cut(x, 10, 10), torch.ones(10))
    assert signals.cut(x, 10, 10, start=3.5).tolist() == [0] * 5 + [1] * 5
    assert len(signals.cut(x, 10)) == 100 and len(signals.cut(x, 10, start=9.9)) == 1
    assert signals.cut(torch.zeros(8), 1, 3).tolist() == [0, 0, 0]
    assert signals.cut(torch.arange(8.0), 1, 3, start=5).tolist() == [5, 6, 7]  # up to the last
    for start in (-1, 6):
        with pytest.raises(ValueError, match="start"):
            signals.cut(torch.arange(8.0), 1, 3, start=start)


# --- Files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "tolerance"),
    [("wav", 1e-4), ("flac", 1e-4), ("aiff", 1e-4), ("ogg", 0.05), ("mp3", 0.05)],
)
def test_load_reads_each_file_type(tmp_path, suffix, tolerance):
    x = signals.fade(signals.tones(16000, 16000, [440], [0.5]), 16000, 0.1)
    soundfile.write(tmp_path / f"a.{suffix}", x.numpy(), 16000)
    y, rate = signals.load(tmp_path / f"a.{suffix}")
    assert rate == 16000 and y.dtype == torch.float64
    assert torch.norm(y[: len(x)] - x) < tolerance * torch.norm(x)


def test_load_mixes_down_resamples_and_takes_open_files():
    x = signals.tones(44100, 44100, [440], [0.5])
    stereo = torch.stack([x, x / 2], dim=1).numpy()
    buffer = io.BytesIO()
    soundfile.write(buffer, stereo, 44100, format="WAV", subtype="DOUBLE")
    buffer.seek(0)
    y, rate = signals.load(buffer, sample_rate=8000)
    expected = signals.tones(8000, 8000, [440], [0.375])
    assert rate == 8000 and y.shape == expected.shape
    assert (y - expected)[100:-100].abs().max() < 1e-3


def test_resample_keeps_type_and_batch():
    x = signals.tones(1000, 1000, [50]).float().expand(3, -1)
    y = signals.resample(x, 1000, 1500)
    assert y.dtype == torch.float32 and y.shape == (3, 1500)
    assert torch.equal(signals.resample(x, 1000, 1000.0), x)


@pytest.mark.parametrize(
    ("filename", "content"),
    [("a.wav", b"this is no sound"), ("a.wav", b""), ("a.raw", b"1234"), ("a.txt", b"hello")],
)
def test_load_refuses_what_is_no_audio(tmp_path, filename, content):
    (tmp_path / filename).write_bytes(content)
    with pytest.raises(signals.SoundFileError, match="path must be an audio file") as refused:
        signals.load(tmp_path / filename)
    assert refused.value.reason == "unreadable"


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        (np.zeros(0), "empty"),
        (np.array([0.0, np.nan]), "not finite"),
        (np.array([[0.0, np.inf], [0.0, -np.inf]]), "not finite"),
    ],
)
def test_load_refuses_empty_and_non_finite_files(tmp_path, samples, reason):
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="FLOAT")
    with pytest.raises(signals.SoundFileError, match="path .*a.wav") as refused:
        signals.load(tmp_path / "a.wav")
    assert refused.value.reason == reason and isinstance(refused.value, ValueError)
    again = pickle.loads(pickle.dumps(refused.value))
    assert again.reason == reason and str(again) == str(refused.value)


def test_load_tells_a_bad_argument_from_a_bad_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8), 8000)
    with pytest.raises(TypeError, match="seconds"):
        signals.load(tmp_path / "a.wav", seconds="1")
    with pytest.raises(ValueError, match="seconds") as refused:
        signals.load(tmp_path / "a.wav", seconds=0)
    assert not isinstance(refused.value, signals.SoundFileError)


def test_load_says_which_file_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere.wav"):
        signals.load(tmp_path / "nowhere.wav")


def test_fade_starts_and_ends_near_silence_and_leaves_the_middle():
    y = signals.fade(torch.ones(1000), 1000, 0.1)
    assert y[0] < 1e-3 and y[-1] < 1e-3 and torch.equal(y[100:900], torch.ones(800))
    assert torch.allclose(y, y.flip(0))
    assert signals.fade([1.0], 1000).tolist() == [1.0]


def test_signals_need_no_library_for_pictures():
    code = "import sys; sys.modules['matplotlib'] = sys.modules['ipywidgets'] = None\n"
    code += "from scalinv_utils.course import signals; signals.tones(8)"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- The shared checks ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "dtype"),
    [
        ([1, 2, 3], torch.float64),
        (np.ones(4, np.float32)[::-1], torch.float32),
        (np.ones(4, ">f4"), torch.float32),
        (np.ones((2, 4), np.int16), torch.float64),
        (torch.ones(4, dtype=torch.half), torch.float64),
        ([torch.tensor(1.0), 2], torch.float64),
    ],
)
def test_check_signal_accepts_real_arrays(x, dtype):
    assert _validation.check_signal(x).dtype == dtype


def test_check_signal_keeps_the_graph_and_copies_arrays():
    x = torch.ones(4, requires_grad=True)
    assert _validation.check_signal(x) is x
    array = np.ones(4)
    tensor = _validation.check_signal(array)
    array[0] = 5
    assert tensor[0] == 1


@pytest.mark.parametrize(
    ("x", "options", "error"),
    [
        (np.ones(3) * 1j, {}, TypeError),
        (torch.ones(3) * 1j, {}, TypeError),
        ([True, False], {}, TypeError),
        ("abc", {}, TypeError),
        (None, {}, TypeError),
        ([[1], [1, 2]], {}, ValueError),
        (3.0, {}, ValueError),
        ([], {}, ValueError),
        ([1, math.nan], {}, ValueError),
        ([1, math.inf], {}, ValueError),
        ([1, 2], {"min_samples": 3}, ValueError),
        (np.ones(4), {"ndim": 2}, ValueError),
    ],
)
def test_check_signal_refuses(x, options, error):
    with pytest.raises(error, match="sound"):
        _validation.check_signal(x, name="sound", **options)


def test_check_signal_asks_for_mono():
    with pytest.raises(ValueError, match="mono"):
        _validation.check_signal(np.ones((2, 4)), ndim=1)


def test_check_magnitudes():
    S = _validation.check_magnitudes(np.ones((5, 2, 3)), shape=(2, 3))
    assert S.shape == (5, 2, 3)
    bad = [-np.ones((2, 3)), np.full((2, 3), np.nan), np.ones(3), np.ones((3, 2)), np.ones((2, 0))]
    for S in bad:
        with pytest.raises(ValueError, match="target"):
            _validation.check_magnitudes(S, shape=(2, 3), name="target")
    with pytest.raises(TypeError, match="target"):
        _validation.check_magnitudes(1j * np.ones((2, 3)), name="target")


def test_check_choice_positive_and_count():
    assert _validation.check_choice("a", ("a", "b"), "method") == "a"
    assert _validation.check_positive(np.float32(2), "lr") == 2
    assert _validation.check_count(np.int64(3), "n_iter") == 3
    for value in ("c", None, np.ones(2)):
        with pytest.raises(ValueError, match="method must be one of 'a', 'b'"):
            _validation.check_choice(value, ("a", "b"), "method")
    for value in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match="lr"):
            _validation.check_positive(value, "lr")
    for value in ("3", None, True):
        with pytest.raises(TypeError, match="lr"):
            _validation.check_positive(value, "lr")
    with pytest.raises(ValueError, match="n_iter"):
        _validation.check_count(0, "n_iter")
    for value in (1.5, True):
        with pytest.raises(TypeError, match="n_iter"):
            _validation.check_count(value, "n_iter")
