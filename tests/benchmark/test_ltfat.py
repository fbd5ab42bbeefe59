"""LTFAT gets a problem that is true; Octave's failures are told, and its absence is no failure."""

import math
import stat
import sys

import numpy as np
import pytest
import torch

from scalinv_utils import Scalogram
from scalinv_utils.benchmark import ltfat
from scalinv_utils.benchmark.methods import CONTESTANTS, Problem, available
from scalinv_utils.benchmark.tracks import cells
from scalinv_utils.course import signals

BETA, N, RATE = 30, 256, 4000

# It does what the script promises, from the phase that the filters' centres have at once.
STAND_IN = """#!{python}
import sys
import numpy as np, scipy.io
*_, script, problem, answer = sys.argv
given = scipy.io.loadmat(problem)
assert script.endswith("ltfat.m") and given["n_iter"] == 500 and given["seed"] == 3
F = (np.fft.fft(given["S"].astype(complex), axis=0) * given["H"]).sum(1) * given["band"].ravel()
scipy.io.savemat(answer, {{"x": 2 * np.fft.ifft(F).real[:, None], "seconds": 0.25}})
"""
FAILS = "#!{python}\nimport sys\nsys.exit('error: structure has no member H')\n"


@pytest.fixture
def W():
    return Scalogram(N, RATE, wavelet="cauchy", voices_per_octave=16)


@pytest.fixture
def octave(tmp_path, monkeypatch):
    """Put a program in Octave's place."""

    def put(program):
        path = tmp_path / "octave-cli"
        path.write_text(program.format(python=sys.executable))
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        (tmp_path / "ltfatstart.m").touch()
        monkeypatch.setenv("PATH", str(tmp_path))
        monkeypatch.setenv("LTFAT_PATH", str(tmp_path))

    return put


def test_the_problem_is_true_of_the_signal(W):
    x = W.project(signals.linear_chirp(N, RATE))
    given = ltfat._problem(W.magnitude(x), W)
    c = np.fft.ifft(np.fft.fft(x.numpy())[:, None] * given["H"], axis=0)
    assert np.allclose(abs(c), given["S"], atol=1e-12)
    assert (np.diff(given["fc"]) > 0).all() and given["fc"][-1] <= 1
    peaks = given["H"].argmax(0) / (N / 2)
    assert np.allclose(peaks, given["fc"], atol=2 / N)
    assert given["tfr"] == pytest.approx(2 * W.time_bandwidth / (math.pi * N * given["fc"] ** 2))
    assert given["band"].sum() == W.band.sum() and not given["band"][N // 2 + 1 :].any()


def test_octave_gets_the_problem_and_its_answer_is_read(W, octave):
    octave(STAND_IN)
    x = W.project(signals.linear_chirp(N, RATE))
    answer = CONTESTANTS["LTFAT"].solve(Problem(x, W.magnitude(x), W), 3)
    assert answer.signal.shape == (N,) and answer.signal.dtype == torch.float64
    assert answer.seconds == 0.25 and torch.isfinite(answer.signal).all()


def test_what_octave_says_when_it_fails_is_told(W, octave):
    octave(FAILS)
    with pytest.raises(RuntimeError, match="ended with 1: .*no member H"):
        ltfat.recovered_by_ltfat(torch.zeros(W.shape), W, 0)


def test_ltfat_takes_part_only_where_both_are_there(octave, monkeypatch):
    octave(STAND_IN)
    assert ltfat.is_installed() and available("LTFAT")
    assert "LTFAT" in {cell.method for cell in cells(["exact"], "tiny")}
    monkeypatch.setenv("LTFAT_PATH", "")
    assert not ltfat.is_installed() and not available("LTFAT")
    assert "LTFAT" not in {cell.method for cell in cells(["exact"], "tiny")}
    octave(STAND_IN)
    monkeypatch.setenv("PATH", "")
    assert not ltfat.is_installed()
