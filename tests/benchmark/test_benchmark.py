"""The benchmark: its cells, its contestants, the file that survives a kill, a cluster, words."""

import csv
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from small import cosine, noise, scalogram

from scalinv_utils import metrics
from scalinv_utils.benchmark import cli, methods, runner, scaling, summary
from scalinv_utils.benchmark.machine import PeakMemory
from scalinv_utils.benchmark.methods import CONTESTANTS, CountedScalogram, Problem
from scalinv_utils.benchmark.records import read
from scalinv_utils.benchmark.runner import Cell, compute, grid, preset, run
from scalinv_utils.bounds import noisy
from scalinv_utils.course import signals

SCORES = ("consistency_db", "waveform_error_db", "island_error_db", "frequency_error_db")
EASY = dict(n_samples=256, sample_rate=4000)


@pytest.fixture(scope="module")
def problem():
    W = CountedScalogram(512, 4000, wavelet="cauchy", voices_per_octave=16)
    x = W.project(signals.linear_chirp(512, 4000))
    return Problem(x, W.magnitude(x), W)


# Cells


def test_a_grid_has_every_combination_that_means_something():
    cells = grid(
        ("speech", "ecg"),
        ("recover", "zero phase", "published SGD"),
        ("cauchy", "gmw"),
        snrs=(None, 40.0),
        seeds=range(3),
    )
    # three seeds of recover, one of zero phase, each with and without noise; SGD without
    assert len(cells) == 2 * 2 * (3 * 2 + 1 * 2 + 3)
    assert {(cell.sample_rate, cell.n_samples) for cell in cells if cell.signal == "ecg"} == {
        (360, 1024)
    }
    assert len(set(cell.key for cell in cells)) == len(cells)


@pytest.mark.parametrize("name", runner.PRESETS)
def test_presets_hold_every_recording_but_for_the_tiny_one(name):
    cells = preset(name)
    assert name == "tiny" or {cell.signal for cell in cells} == {
        *signals.RECORDINGS,
        *signals.SYNTHETIC,
    }
    assert name == "tiny" or {cell.method for cell in cells} == set(CONTESTANTS)


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


# Contestants


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_contestant_answers_with_a_signal(name, problem, monkeypatch):
    if not methods.available(name):
        pytest.skip(f"{name} needs {CONTESTANTS[name].needs}")
    monkeypatch.setattr(methods, "ITERATIONS", 3)
    monkeypatch.setattr(methods, "LIBROSA_ITERATIONS", 2)
    solve = CONTESTANTS[name].solve
    if solve is methods.kymatio_descent:
        answer = solve(problem, 0, n_iter=3)
        assert answer.consistency_db < 0  # closer than silence after three steps
    else:
        answer = solve(problem, 0)
    assert answer.signal.shape == problem.x.shape and answer.signal.dtype == torch.float64
    assert torch.isfinite(answer.signal).all()
    own = CONTESTANTS[name].own is not None
    assert own == (answer.evaluations is not None) == (answer.consistency_db is not None)


def test_the_seed_decides_and_only_where_it_is_said_to(problem, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 2)
    for name in ("Griffin-Lim", "SGD", "random phase", "zero phase"):
        first, again, other = (CONTESTANTS[name].solve(problem, seed).signal for seed in (0, 0, 1))
        assert torch.equal(first, again)
        assert torch.equal(first, other) != CONTESTANTS[name].seeded


def test_evaluations_count_the_backward_passes_too(problem, monkeypatch):
    monkeypatch.setattr(methods, "ITERATIONS", 5)
    counts = {}
    for name in ("zero phase", "Griffin-Lim", "L-BFGS"):
        problem.W.evaluations = 0
        CONTESTANTS[name].solve(problem, 0)
        counts[name] = problem.W.evaluations
    assert counts["zero phase"] == 1
    assert counts["Griffin-Lim"] == 2 + 2 * 5  # the start, then a pair for each iteration
    assert counts["L-BFGS"] >= 2 * 5 + 2


def test_those_who_know_the_phase_come_close_to_the_signal(problem):
    y = methods.ssqueezepy_inverse(problem, 0).signal
    assert metrics.waveform_error_db(y, problem.x) < -20


# One cell


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


def test_peak_memory_sees_what_is_there_for_a_moment():
    with PeakMemory() as memory:
        block = np.ones(8_000_000)
        time.sleep(0.05)
        del block
    assert 60 < memory.megabytes < 200


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_gives_the_same_numbers():
    rows = [
        compute(Cell("speech", method="fast Griffin-Lim", device=device, **EASY))
        for device in ("cpu", "cuda")
    ]
    assert abs(rows[0]["consistency_db"] - rows[1]["consistency_db"]) < 1e-3


# The file


def same_but_for_costs(rows):
    return sorted(
        tuple(row[name] for name in runner.FIELDS if name not in ("seconds", "cost", "peak_mb"))
        for row in rows
    )


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.csv"
    return path, run(preset("tiny"), path, progress=False)


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


def test_a_run_that_was_stopped_goes_on(tmp_path, tiny):
    path = tmp_path / "stopped.csv"
    command = [
        sys.executable,
        "-m",
        "scalinv_utils.benchmark.cli",
        "--preset",
        "tiny",
        "--output",
        str(path),
    ]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    while process.poll() is None and not (path.exists() and path.read_text().count("\n") > 2):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # Fast machines may have ended before the signal came.
    assert process.returncode == 0 or ("Interrupted" in said and "Traceback" not in said)
    with path.open("a") as file:
        file.write("speech,cauchy,32,,heap")  # as a kill in the middle of a line leaves it
    rows = run(preset("tiny"), path, progress=False)
    assert same_but_for_costs(rows) == same_but_for_costs(tiny[1])
    with path.open() as file:
        assert len(list(csv.reader(file))) == 11


def test_several_processes_and_a_dask_cluster_give_the_same_rows(tmp_path, tiny):
    from distributed import Client, LocalCluster

    local = run(preset("tiny"), tmp_path / "local.csv", jobs=2, progress=False)
    assert same_but_for_costs(local) == same_but_for_costs(tiny[1])
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        said = cli.main(
            [
                "--preset",
                "tiny",
                "--output",
                str(tmp_path / "dask.csv"),
                "--dask",
                cluster.scheduler_address,
                "--report",
                str(tmp_path),
            ]
        )
        with Client(cluster) as client:
            worked = client.run(lambda: "scalinv_utils.recovery" in sys.modules)
    assert said is None and list(worked.values()) == [True, True]
    assert same_but_for_costs(read(tmp_path / "dask.csv")) == same_but_for_costs(tiny[1])


# The command


def test_the_command_writes_table_words_and_pictures(tmp_path, tiny, capsys):
    assert (
        cli.main(["--preset", "tiny", "--output", str(tiny[0]), "--report", str(tmp_path)]) is None
    )
    assert "10 rows, 0 of them errors" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == {
        "leaderboard.md",
        "error_against_time.png",
        "profile.png",
    }
    words = (tmp_path / "leaderboard.md").read_text()
    assert "| recover |" in words and "Measured on: " in words


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--methods", "magic"], "--methods must be one of 'recover'"),
        (["--device", "cuda:99"], "--device must be one that torch sees here, got 'cuda:99'"),
        (["--dask", "tcp://127.0.0.1:1"], "--dask must be the address of a scheduler"),
    ],
)
def test_the_command_ends_in_a_sentence(arguments, words, tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "DASK_SECONDS", 1)
    said = cli.main([*arguments, "--preset", "tiny", "--output", str(tmp_path / "x.csv")])
    assert words in said and "\n" not in said.strip()


def test_options_choose_among_the_cells_of_the_preset():
    options = cli._parser().parse_args(
        ["--signals", "speech", "crow", "--methods", "recover", "--wavelets", "gmw", "--seeds", "2"]
    )
    cells, absent = cli.chosen(options)
    assert {cell.signal for cell in cells} == {"speech", "crow"} and not absent
    assert {(cell.wavelet, cell.method) for cell in cells} == {("gmw", "recover")}
    assert {cell.seed for cell in cells} == {0, 1}


# What the table says


def made_up(method, error_db, cost, signal="speech", seed=0, **more):
    row = dict.fromkeys(runner.FIELDS)
    return (
        row
        | dict(
            method=method,
            signal=signal,
            wavelet="gmw",
            voices=32,
            seed=seed,
            cost=cost,
            waveform_error_db=error_db,
            evaluations=10,
            peak_mb=1.0,
            machine="m",
            versions="v",
        )
        | more
    )


ROWS = [
    made_up("recover", -100.0, 9.0),
    made_up("recover", -80.0, 11.0, seed=1),
    made_up("recover", -70.0, 12.0, seed=2),
    made_up("heap", -50.0, 2.0),
    made_up("heap", -45.0, 2.0, seed=1),
    made_up("SGD", -25.0, 1.0),
    made_up("SGD", 0.0, 1.0, seed=1),
    made_up("ssqueezepy, true phase", -90.0, 0.5),
    made_up("recover", -10.0, 10.0, "crow"),
    made_up("heap", -30.0, 20.0, "crow"),
    made_up("Adam", None, None, "crow", error="ValueError: no"),
]
SPEECH, CROW = ("speech", "gmw", 32, None), ("crow", "gmw", 32, None)


def test_median_and_worst():
    assert summary.median_and_worst(ROWS)["recover", *SPEECH] == (-80.0, -70.0)
    assert summary.median_and_worst(ROWS, ("method",), "cost")["recover",] == (10.5, 12.0)


def test_the_ranking_is_by_the_median_and_without_those_who_know_the_phase():
    ranks = summary.ranking(ROWS)
    assert [method for _, _, method in ranks[SPEECH]] == ["recover", "heap", "SGD"]
    assert [method for _, _, method in ranks[CROW]] == ["heap", "recover"]
    tied = summary.ranking([made_up("heap", -50.0, 1.0), made_up("recover", -50.0, 9.0)])
    assert tied[SPEECH][0][2] == "recover"


def test_cheapest_counts_a_method_only_if_every_seed_gets_there():
    assert summary.cheapest(ROWS, -20)[SPEECH] == ("heap", 2.0)  # SGD has a seed at 0 dB
    assert summary.cheapest(ROWS, -60)[SPEECH] == ("recover", 11.0)
    assert summary.cheapest(ROWS, -20)[CROW] == ("heap", 20.0)
    assert summary.cheapest(ROWS, -40)[CROW] is None


def test_the_profile_counts_problems_solved_within_a_time():
    curves = summary.profile(ROWS, -20)
    assert [list(part) for part in curves["heap"]] == [[1, 1], [0.5, 1.0]]
    assert [list(part) for part in curves["recover"]] == [[5.5], [0.5]]
    assert len(curves["SGD"][0]) == 0


def test_markdown_has_a_line_for_each_method_and_names_the_cheapest():
    words = summary.markdown(ROWS)
    assert "| recover | -80 (-70) | -10 (-10) | 10.5 | 10 | 1 |" in words
    assert "| speech | heap (2) | heap (2) | recover (11) |" in words
    assert "| crow | heap (20) | none | none |" in words


def test_select_takes_rows_and_refuses_unknown_columns():
    assert len(summary.select(ROWS, signal="crow", method="heap")) == 1
    with pytest.raises(ValueError, match="columns must be among .*got 'colour'"):
        summary.select(ROWS, colour="red")


def test_pictures_show_the_numbers():
    axes = Figure().subplots(1, 3)
    lines = summary.draw_error_against_time(axes[0], summary.blind(ROWS))
    assert [line.get_label() for line in lines] == ["recover", "heap", "SGD"]
    assert lines[0].get_xydata().tolist() == [[11, -80], [10, -10]]
    curves = summary.draw_profile(axes[1], ROWS, -20)
    assert curves[0].get_ydata()[-1] == 0.5 and curves[1].get_ydata()[-1] == 1.0
    assert summary.draw_profile(axes[2], ROWS, -500, column="island_error_db") == []
    assert axes[0].get_ylabel() == "waveform error (dB)"
    assert axes[2].get_title(loc="left") == "island error below -500 dB with every seed"


def test_the_stored_table_is_complete_enough_for_the_notebook():
    rows = summary.stored()
    assert {row["wavelet"] for row in rows} >= {"cauchy", "gmw"}
    assert {row["method"] for row in rows} == set(CONTESTANTS)
    assert not [row["error"] for row in rows if row["error"]]
    assert len(summary.stored("benchmark_speed")) == 3
    assert len(summary.stored("benchmark_size")) > 1


# Costs


def test_the_slope_of_a_power_law_is_its_exponent():
    rows = [{"n_samples": n, "seconds": 3e-4 * n**1.5} for n in (100, 1000, 5000)]
    assert abs(scaling.slope(rows) - 1.5) < 1e-9
    with pytest.raises(ValueError, match="at least two lengths above 1000, got 1"):
        scaling.slope(rows, above=1000)


def test_speed_is_ratios_of_the_same_filters():
    row = scaling.speed(512, rounds=2)
    assert tuple(sorted(row)) == tuple(sorted(scaling.SPEED_FIELDS))
    assert all(row[name] > 0 for name in scaling.SPEED_FIELDS if "over" in name)
    assert row["both_over_ifft"] > row["forward_over_ifft"]


def test_size_is_measured_once_in_a_process_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "UNIT_SAMPLES", 512)
    monkeypatch.setattr(scaling, "SIZE_SIGNALS", ("speech",))
    path = tmp_path / "size.csv"
    scaling.size_command(path, [1])
    (row,) = read(path)
    assert row["n_samples"] == 512 and row["waveform_error_db"] < -40 and row["peak_mb"] > 0
    scaling.size_command(path, [1])
    assert read(path) == [row] and "512 samples of speech" in capsys.readouterr().out


def test_a_long_sound_is_measured_slice_by_slice(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(scaling, "SLICE", 1024)
    monkeypatch.setattr(scaling, "SIZE_F_MIN", 1200.0)
    path = tmp_path / "long.csv"
    assert cli.main(["--long", "0.15", "--output", str(path)]) is None
    (row,) = read(path)
    assert tuple(row) == scaling.LONG_FIELDS and row["n_samples"] == 2400
    assert row["n_slices"] == 4 and row["process_mb"] > row["peak_mb"] > 0
    assert row["waveform_error_db"] < -20 and row["worst_consistency_db"] < -80
    assert "2400 samples in 4 slices" in capsys.readouterr().out


# The score that came with it


def test_frequency_error_is_the_difference_of_two_tones_and_blind_to_phase():
    W = scalogram(512)
    x, y = cosine(100, 512), cosine(104, 512, phase=1.0)
    assert abs(metrics.frequency_error_db(y, x, W) - metrics.decibels(0.04)) < 0.01
    turned = metrics.hilbert_rotation(x, 0.7)
    assert metrics.frequency_error_db(turned, x, W) < -200
    silence = torch.zeros(512)
    assert metrics.frequency_error_db(silence, silence, W) == -np.inf
    assert metrics.frequency_error_db(x, silence, W) == -np.inf
    assert metrics.frequency_error_db(silence, x, W) == 0
