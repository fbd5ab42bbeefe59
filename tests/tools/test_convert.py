"""The commands analyse and recover: files in, files out, and what is said where that fails."""

import numpy as np
import pytest
import scipy.io
import soundfile

from scalinv_utils import Scalogram
from scalinv_utils.course import audio, signals
from scalinv_utils.measured import Measured, from_matlab, save
from scalinv_utils.metrics import waveform_error_db
from scalinv_utils.tools import _costs, convert


@pytest.fixture(autouse=True)
def at_leisure(monkeypatch):
    """Time an analysis as a second, wherever the tests run."""
    monkeypatch.setattr(_costs, "_seconds", lambda bank: 1.0)


@pytest.fixture
def sound(tmp_path):
    """A sound file of some pieces, and its samples."""
    W = Scalogram(5001, 8000, wavelet="cauchy", voices_per_octave=32, f_min=800)
    x = W.project(signals.am_fm_tone(5001, 8000))
    audio.save_wav(tmp_path / "x.wav", x, 8000, "float64")
    return tmp_path / "x.wav", x


def made(tmp_path, sound, *options, ending=".npy"):
    """The name of the scalogram that the command makes of a sound."""
    path = tmp_path / f"S{ending}"
    convert.main(["analyse", str(sound), str(path), "--f-min", "800", *options])
    return path


@pytest.mark.parametrize("piece", ["2048", "32768"])
def test_a_sound_goes_to_the_disk_and_comes_back(tmp_path, sound, piece, capsys):
    path, x = sound
    S = made(tmp_path, path, "--piece", piece)
    assert "This takes about" in capsys.readouterr().out
    convert.main(["recover", str(S), str(tmp_path / "y.wav")])
    y, rate = soundfile.read(tmp_path / "y.wav")
    assert rate == 8000 and waveform_error_db(y, x) < -120
    said = capsys.readouterr().out
    assert "fits to -" in said
    assert ("A round over 4 pieces takes about 4 minutes" in said) == (piece == "2048")
    assert ("S is a scalogram of W" in said) == (piece == "32768")
    assert {p.name for p in tmp_path.iterdir()} == {"x.wav", "S.npy", "S.json", "y.wav"}


@pytest.mark.parametrize("ending", [".h5", ".zarr"])
def test_other_formats_and_flac(tmp_path, sound, ending, capsys, monkeypatch):
    pytest.importorskip("h5py")
    pytest.importorskip("zarr")
    path, x = sound
    S = made(tmp_path, path, "--piece", "2048", ending=ending)
    goes_on, given = convert.recover_long, []

    def seen(S, W, **options):
        given.append(S)
        return goes_on(S, W, **options)

    monkeypatch.setattr(convert, "recover_long", seen)
    convert.main(["recover", str(S), str(tmp_path / "y.flac")])
    y, _ = soundfile.read(tmp_path / "y.flac")
    assert abs(y).max() == pytest.approx(audio.FULL_SCALE)
    assert waveform_error_db(y * float(x.norm()) / np.linalg.norm(y), x) < -120
    said = capsys.readouterr().out
    assert "The sound was turned down by" in said and "rounded to 24 bits, -14" in said
    assert type(given[0]).__module__.split(".")[0] in ("h5py", "zarr")


def test_single_precision_takes_half_of_the_disk(tmp_path, sound):
    S = np.load(made(tmp_path, sound[0], "--single", "--piece", "2048"))
    assert S.dtype == np.float32 and S.shape == (75, 5001)


def test_a_measured_scalogram_is_recovered_as_its_file_says(tmp_path):
    W = Scalogram(512, 8000, wavelet="cauchy", voices_per_octave=32)
    x = W.project(signals.linear_chirp(512, 8000, 800, 3000))
    save(Measured(W.magnitude(x), W), tmp_path / "M.npz")
    convert.main(["recover", str(tmp_path / "M.npz"), str(tmp_path / "y.wav")])
    assert waveform_error_db(soundfile.read(tmp_path / "y.wav")[0], x) < -100


def matlab_file(path, x):
    """Write the result of MATLAB's cwt, in version 7.3 if it is new, and return the sound."""
    M = from_matlab({"wt": np.ones((len(F), len(x))), "f": F}, sample_rate=8000)
    wt = M.W.coefficients(M.extension(x))[:, M.extension.left :][:, : len(x)].numpy()
    if path.name.startswith("new"):
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            file["f"], file["wt"] = F[None], np.abs(wt).T
    else:
        scipy.io.savemat(path, {"wt": wt, "f": F[:, None]})
    return x.numpy()


F = 3400 * 2.0 ** (-np.arange(50) / 10)


@pytest.mark.parametrize("name", ["old.mat", "new.mat"])
def test_a_result_of_matlab_is_examined_and_recovered(tmp_path, name, capsys):
    x = matlab_file(tmp_path / name, signals.linear_chirp(400, 8000, 800, 3000))
    convert.main(["recover", str(tmp_path / name), str(tmp_path / "y.wav"), "--rate", "8000"])
    y, rate = soundfile.read(tmp_path / "y.wav")
    # No wavelet sees what is lowest in it, about a hundredth.
    assert rate == 8000 and min(np.ptp(x - y), np.ptp(x + y)) < 0.03
    assert "the signal was extended" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="--rate must be the samples per second"):
        convert.main(["recover", str(tmp_path / name), str(tmp_path / "y.wav")])
    with pytest.raises(SystemExit, match="--frequencies must name an array of .*got 'Hz'"):
        convert.main(
            ["recover", str(tmp_path / name), str(tmp_path / "y.wav"), "--frequencies", "Hz"]
        )


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
        (["recover", "S.npy", "y.wav"], "S.npy"),
        (["recover", "none.npz", "y.wav"], "none.npz"),
        (["recover", "none.txt", "y.wav"], "must end in .*, .mat or .npz here, got none.txt"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=words):
        convert.main(arguments)


def test_an_analysis_that_is_interrupted_leaves_nothing(tmp_path, sound, monkeypatch):
    def stopped(x, W, out):
        raise KeyboardInterrupt

    monkeypatch.setattr(convert, "magnitude_of_long", stopped)
    with pytest.raises(SystemExit, match="Interrupted: nothing was written"):
        made(tmp_path, sound[0])
    assert {p.name for p in tmp_path.iterdir()} == {"x.wav"}
