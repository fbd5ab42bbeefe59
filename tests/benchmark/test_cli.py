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
