"""The command runs, resumes after Ctrl-C, computes on a cluster and ends in a sentence."""

import csv
import os
import signal
import subprocess
import sys
import time

import pytest

from scalinv_utils.benchmark import cli
from scalinv_utils.benchmark.records import read
from scalinv_utils.benchmark.runner import preset, run


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
    monkeypatch.setattr(cli, "DASK_SECONDS", 1)
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


@pytest.mark.long
def test_a_run_that_was_stopped_goes_on(tmp_path, tiny, same_but_for_costs):
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
    # A fast machine may be done before the signal comes.
    assert process.returncode == 0 or ("Interrupted" in said and "Traceback" not in said)
    with path.open("a") as file:
        file.write("speech,cauchy,32,,heap")  # A kill in the middle of a line leaves this.
    rows = run(preset("tiny"), path, progress=False)
    assert same_but_for_costs(rows) == same_but_for_costs(tiny[1])
    with path.open() as file:
        assert len(list(csv.reader(file))) == 11


@pytest.mark.long
def test_a_dask_cluster_gives_the_same_rows(tmp_path, tiny, same_but_for_costs):
    from distributed import Client, LocalCluster

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


@pytest.fixture
def nothing_runs(monkeypatch):
    """Let the command compute nothing, and return what it would have computed, and where."""
    asked = []

    def run(cells, path, jobs):
        asked.append((len(cells), path, jobs, path.exists()))
        return [{"error": None}, {"error": "ValueError: no"}, {"error": "KeyError: no"}]

    monkeypatch.setattr(cli, "run", run)
    monkeypatch.setattr(cli, "report", lambda rows, folder: [folder / "leaderboard.md"])
    return asked


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("fresh", [True, False])
def test_fresh_forgets_the_rows_that_are_there(nothing_runs, tmp_path, capsys, fresh, there):
    path = tmp_path / "x.csv"
    if there:
        path.touch()
    command = ["--preset", "tiny", "--output", str(path), "--jobs", "3"]
    assert cli.main([*command, "--report", str(tmp_path), *["--fresh"][: int(fresh)]]) is None
    assert nothing_runs == [(10, path, 3, there and not fresh)]
    said = capsys.readouterr().out.splitlines()
    assert said == [f"{path}: 3 rows, 2 of them errors", str(tmp_path / "leaderboard.md")]


def test_what_is_not_installed_is_left_out_and_said(nothing_runs, monkeypatch, capsys):
    monkeypatch.setattr(cli, "available", lambda method: method != "zero phase")
    assert cli.main(["--preset", "tiny"]) is None
    (asked,) = nothing_runs
    assert asked[0] == 8 and asked[1:3] == (cli.OUTPUT_FOLDER / "benchmark.csv", 1)
    assert "not installed and left out: zero phase." in capsys.readouterr().out


def test_the_costs_go_where_they_are_told_or_to_a_folder_of_their_own(monkeypatch, tmp_path):
    asked = []
    for name in ("speed", "size", "long"):
        monkeypatch.setattr(
            cli.scaling, f"{name}_command", lambda *said, name=name: asked.append((name, *said))
        )
    folder, own = cli.OUTPUT_FOLDER, tmp_path / "x.csv"
    for command, wanted in {
        "--speed": ("speed", folder / "speed.csv"),
        "--size": ("size", folder / "size.csv", [], False),
        "--size 1 2 --fresh": ("size", folder / "size.csv", [1, 2], True),
        "--long": ("long", folder / "long.csv", 60.0),
        "--long 0.5": ("long", folder / "long.csv", 0.5),
    }.items():
        assert cli.main(command.split()) is None
        assert cli.main([*command.split(), "--output", str(own)]) is None
        assert asked == [wanted, (wanted[0], own, *wanted[2:])]
        asked.clear()


def test_seeds_samples_and_device_apply_to_every_cell():
    parse = cli._parser().parse_args
    cells, _ = cli.chosen(parse(["--preset", "tiny", "--samples", "100", "--device", "cpu"]))
    assert {(cell.n_samples, cell.device) for cell in cells} == {(100, "cpu")}
    assert {cell.n_samples for cell in cli.chosen(parse(["--preset", "tiny"]))[0]} != {100}
    assert cli.chosen(parse(["--seeds", "0"]))[0] == []
    everything = parse([])
    assert everything.preset == "stored" and everything.jobs == 1 and not everything.fresh
    assert (everything.size, everything.long, everything.speed) == (None, None, False)
    assert everything.report == cli.OUTPUT_FOLDER and everything.output is None


def test_an_interrupt_ends_in_a_sentence(monkeypatch):
    def stopped(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_table", stopped)
    assert cli.main([]).startswith("\nInterrupted: finished rows are kept")
