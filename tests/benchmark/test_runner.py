"""The cells of the benchmark, the row of one cell, and the file that survives a kill."""

import pytest
import torch
from small import noise

from scalinv_utils import metrics
from scalinv_utils.benchmark import methods, runner
from scalinv_utils.benchmark.methods import CONTESTANTS, Answer, Contestant, CountedScalogram
from scalinv_utils.benchmark.records import read
from scalinv_utils.benchmark.runner import Cell, compute, grid, preset, run
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals

SCORES = ("consistency_db", "waveform_error_db", "island_error_db", "frequency_error_db")
EASY = dict(n_samples=256, sample_rate=4000)


# -- cells -------------------------------------------------------------------------------------


def test_a_grid_has_every_combination_that_means_something():
    cells = grid(
        ("speech", "ecg"),
        ("recover", "zero phase", "published SGD"),
        ("cauchy", "gmw"),
        snrs=(None, 40.0),
        seeds=range(3),
    )
    # Three seeds of recover and one of zero phase run with and without noise. Published SGD runs
    # without noise only.
    assert len(cells) == 2 * 2 * (3 * 2 + 1 * 2 + 3)
    assert {(cell.sample_rate, cell.n_samples) for cell in cells if cell.signal == "ecg"} == {
        (360, 1024)
    }
    assert len({cell.key for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", runner.PRESETS)
def test_presets_hold_every_recording_but_for_the_tiny_one(name):
    cells = preset(name)
    assert name == "tiny" or {cell.signal for cell in cells} == {
        *signals.RECORDINGS,
        *signals.SYNTHETIC,
    }
    methods = {who for who, facts in CONTESTANTS.items() if not facts.only_tracks}
    assert name == "tiny" or {cell.method for cell in cells} == methods


@pytest.mark.parametrize(
    "wrong, words",
    [
        (dict(signal="whale"), "signal must be one of 'speech'"),
        (dict(method="magic"), "method must be one of 'recover'"),
        (dict(seed=-1), "seed"),
        (dict(snr_db=float("nan")), "snr_db"),
    ],
)
def test_cells_refuse_what_is_not_there(wrong, words):
    with pytest.raises(ValueError, match=words):
        Cell(**{"signal": "speech", **wrong})


# -- one cell ----------------------------------------------------------------------------------


def test_a_row_has_scores_costs_and_where_it_comes_from():
    row = compute(Cell("linear chirp", method="recover", **EASY))
    assert tuple(row) == runner.FIELDS and row["error"] is None
    assert max(row[name] for name in SCORES) < -60
    assert row["seconds"] > 0 and row["cost"] > 0 and row["evaluations"] > 0 <= row["peak_mb"]
    assert "cores" in row["machine"] and f"torch {torch.__version__}" in row["versions"]


def test_noise_is_what_it_is_said_to_be():
    S = noise(0, 40, 500).abs() + 5
    found = noisy(S, 30.0, seed=1)
    assert abs(metrics.misfit_db(found, S) + 30) < 0.3
    assert torch.equal(found, noisy(S, 30.0, seed=1))
    assert (noisy(S, -20.0) >= 0).all()


def test_what_a_contestant_raises_becomes_the_error_of_its_row(monkeypatch):
    def fails(problem, seed):
        raise ValueError("no\nway")

    monkeypatch.setitem(CONTESTANTS, "heap", methods.Contestant(fails))
    row = compute(Cell("speech", method="heap", **EASY))
    assert row["error"] == "ValueError: no way" and row["waveform_error_db"] is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_gives_the_same_numbers():
    rows = [
        compute(Cell("speech", method="fast Griffin-Lim", device=device, **EASY))
        for device in ("cpu", "cuda")
    ]
    assert abs(rows[0]["consistency_db"] - rows[1]["consistency_db"]) < 1e-3


# -- the file ----------------------------------------------------------------------------------


def test_what_is_written_reads_back_and_is_not_computed_again(tiny, monkeypatch):
    path, rows = tiny
    assert len(rows) == 10 and read(path) == rows
    before = path.read_bytes()
    monkeypatch.setattr(runner, "compute", None)
    assert run(preset("tiny"), path, progress=False) == rows and path.read_bytes() == before


def test_more_cells_are_added_to_those_that_are_there(tiny, tmp_path):
    path = tmp_path / "more.csv"
    path.write_bytes(tiny[0].read_bytes())
    rows = run(grid(("speech",), ("zero phase",), ("gmw",), seeds=(0,), **EASY), path)
    assert rows[:10] == tiny[1] and [row["wavelet"] for row in rows[10:]] == ["gmw"]


@pytest.mark.long
def test_several_processes_give_the_same_rows(tmp_path, tiny, same_but_for_costs):
    rows = run(preset("tiny"), tmp_path / "local.csv", jobs=2, progress=False)
    assert same_but_for_costs(rows) == same_but_for_costs(tiny[1])


def test_a_unit_of_cost_is_the_median_of_three_analyses_and_syntheses():
    W = CountedScalogram(64)
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    assert runner.unit_seconds(W, torch.ones(64).double(), lambda: next(clock)) == 3.0
    assert W.evaluations == 6
    clock = iter([0.0, 5.0])
    assert runner.unit_seconds(W, torch.ones(64).double(), lambda: next(clock), 1) == 5.0


def answering(monkeypatch, answer, **facts):
    """Let the contestant "heap" give this answer, and return what it was given."""
    given = []

    def solve(problem, seed):
        given.append((problem, seed))
        return answer(problem)

    monkeypatch.setitem(runner.CONTESTANTS, "heap", Contestant(solve, **facts))
    monkeypatch.setattr(runner, "_warm_up", lambda method: None)
    return given


def test_scores_are_those_of_the_answer(monkeypatch):
    given = answering(monkeypatch, lambda problem: Answer(1.1 * problem.x))
    ticks = iter([0.0, 2.0, 2.0, 4.0, 4.0, 6.0, 10.0, 15.0])  # a unit of 2, and 5 for the answer
    monkeypatch.setattr(runner.time, "process_time", lambda: next(ticks))
    scores = runner._scores(Cell("speech", method="heap", seed=4, n_samples=256))
    ((problem, seed),) = given
    assert seed == 4 and scores["cost"] == 2.5 and scores["evaluations"] == 0
    assert scores["waveform_error_db"] == pytest.approx(-20) == scores["consistency_db"]
    assert scores["island_error_db"] == pytest.approx(-20, abs=1e-6)
    assert scores["seconds"] > 0 and problem.W.n_samples == 256


def test_an_answer_with_a_transform_of_its_own_brings_its_fit_and_its_count(monkeypatch):
    answering(monkeypatch, lambda problem: Answer(problem.x, 7, -33.0), own="another")
    row = runner.compute(Cell("speech", method="heap", n_samples=256))
    assert (row["evaluations"], row["consistency_db"], row["transform"]) == (7, -33.0, "another")
    assert row["error"] is None and row["machine"] and row["versions"]


def test_threads_are_what_they_were_after_a_cell(monkeypatch):
    seen = []
    answering(monkeypatch, lambda problem: seen.append(torch.get_num_threads()) or 1 / 0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        row = runner.compute(Cell("speech", method="heap", n_samples=256))
        assert torch.get_num_threads() == 2 and seen == [1]
    finally:
        torch.set_num_threads(before)
    assert row["error"] == "ZeroDivisionError: division by zero"


def test_the_electrocardiogram_keeps_its_rate():
    assert runner._stretch("ecg", 2048, 8000) == (1024, 360)
    assert runner._stretch("ecg", 512, 8000) == (512, 360)
    assert runner._stretch("speech", 2048, 8000) == (2048, 8000)
    (cell,) = runner.grid(["ecg"], ["heap"], ["gmw"], seeds=(3,))
    assert (cell.n_samples, cell.sample_rate, cell.seed) == (1024, 360, 3)


def test_defaults_of_cells_and_grids():
    cell = Cell("speech")
    assert cell.key[1:] == ("cauchy", "32", "", "recover", "0", "2048", "8000", "cpu")
    cells = runner.grid(["speech"], ["recover", "zero phase", "published SGD"], snrs=(None, 20.0))
    assert {c.wavelet for c in cells} == {"cauchy", "gmw"} and {c.voices for c in cells} == {32}
    assert {c.seed for c in cells if c.method == "recover"} == {0, 1, 2}
    assert {c.seed for c in cells if c.method == "zero phase"} == {0}
    assert {c.snr_db for c in cells if c.method == "published SGD"} == {None}
    assert len(cells) == 2 * (2 * 3 + 2 * 1 + 3)


def test_a_problem_has_the_noise_of_its_seed_and_the_sound_of_its_name():
    exact = runner._problem(Cell("speech", n_samples=256))
    loud = [runner._problem(Cell("speech", snr_db=20.0, seed=s, n_samples=256)).S for s in (0, 1)]
    assert torch.equal(exact.S, exact.W.magnitude(exact.x)) and not torch.equal(*loud)
    x, _ = signals.recording("speech", 8000, 256)
    assert torch.equal(exact.x, exact.W.project(x))
    tones = runner._problem(Cell("three tones", "gmw", 8, n_samples=256))
    assert torch.equal(tones.x, tones.W.project(signals.synthetic("three tones", 256, 8000)))
    assert tones.W.voices_per_octave == 8 and tones.W.wavelet[0] == "gmw"
