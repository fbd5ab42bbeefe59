"""The commands analyse and recover: files in, files out, and what is said where that fails."""

import numpy as np
import pytest
import soundfile

from scalinv_utils import Scalogram
from scalinv_utils.course import audio, signals
from scalinv_utils.measured import Measured, save
from scalinv_utils.metrics import waveform_error_db
from scalinv_utils.tools import convert


@pytest.fixture
def sound(tmp_path):
    """A sound file of some pieces, and its samples."""
    W = Scalogram(5001, 8000, wavelet="cauchy", voices_per_octave=32, f_min=800)
    x = W.project(signals.am_fm_tone(5001, 8000))
    audio.save_wav(tmp_path / "x.wav", x, 8000, "float64")
    return tmp_path / "x.wav", x


def made(tmp_path, sound, *options):
    """The name of the scalogram that the command makes of a sound."""
    path = tmp_path / "S.npy"
    convert.main(["analyse", str(sound), str(path), "--f-min", "800", *options])
    return path


@pytest.mark.parametrize("piece", ["2048", "32768"])
def test_a_sound_goes_to_the_disk_and_comes_back(tmp_path, sound, piece, capsys):
    path, x = sound
    S = made(tmp_path, path, "--piece", piece)
    convert.main(["recover", str(S), str(tmp_path / "y.wav")])
    y, rate = soundfile.read(tmp_path / "y.wav")
    assert rate == 8000 and waveform_error_db(y, x) < -120
    assert "fits to -" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"x.wav", "S.npy", "S.json", "y.wav"}


def test_single_precision_takes_half_of_the_disk(tmp_path, sound):
    S = np.load(made(tmp_path, sound[0], "--single", "--piece", "2048"))
    assert S.dtype == np.float32 and S.shape == (75, 5001)


def test_a_measured_scalogram_is_recovered_as_its_file_says(tmp_path):
    W = Scalogram(512, 8000, wavelet="cauchy", voices_per_octave=32)
    x = W.project(signals.linear_chirp(512, 8000, 800, 3000))
    save(Measured(W.magnitude(x), W), tmp_path / "M.npz")
    convert.main(["recover", str(tmp_path / "M.npz"), str(tmp_path / "y.wav")])
    assert waveform_error_db(soundfile.read(tmp_path / "y.wav")[0], x) < -100


def test_an_interrupt_leaves_what_was_done_for_the_next_time(tmp_path, sound, monkeypatch):
    S, goes_on = made(tmp_path, sound[0], "--piece", "2048"), convert.recover_long

    def stopped(*given, **options):
        goes_on(*given, **options, n_rounds=0)
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "recover_long", stopped)
    with pytest.raises(SystemExit, match="the same command goes on from here"):
        convert.main(["recover", str(S), str(tmp_path / "y.wav")])
    assert (tmp_path / "y.partial").exists() and not (tmp_path / "y.wav").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["analyse", "none.wav", "S.npy"], "none.wav"),
        (["analyse", "none.wav", "S.txt"], "must end in .npy"),
        (["recover", "S.npy", "y.mp3"], "must end in .wav"),
        (["recover", "S.npy", "y.wav"], "S.json must describe the transform"),
        (["recover", "none.npz", "y.wav"], "none.npz"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=words):
        convert.main(arguments)
