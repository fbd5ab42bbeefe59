"""Parse and carry out the command `python -m scalinv_utils benchmark`."""

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from .._validation import check_choice
from . import scaling, standings, tracks
from .methods import available
from .records import Row
from .runner import PRESETS, Cell, preset, run
from .scores import run_tracks
from .summary import report

__all__ = ["main"]

OUTPUT_FOLDER = Path("build") / "benchmark"
DASK_SECONDS = 10  # A Dask scheduler has to answer within this time.

EXAMPLES = """\
examples (put quotes around names with spaces):
  python -m scalinv_utils benchmark --preset tiny
  python -m scalinv_utils benchmark --jobs 2
  python -m scalinv_utils benchmark --signals speech crow --methods recover heap --seeds 1
  python -m scalinv_utils benchmark --dask tcp://192.0.2.1:8786 --preset full
  python -m scalinv_utils benchmark --tracks
  python -m scalinv_utils benchmark --tracks rows "noise on S" --preset tiny
  python -m scalinv_utils benchmark --speed
  python -m scalinv_utils benchmark --size 1 2 4 8
  python -m scalinv_utils benchmark --long 60

Every row is written as soon as it is computed: after Ctrl-C the same command goes on from there.
Peers from other packages take part where they are installed: pip install -e ".[benchmark]".
LTFAT takes part in --tracks where Octave is installed and LTFAT_PATH names the toolbox's folder.
For a Ray cluster, call scalinv_utils.benchmark.runner.run with jobs=None inside
joblib.parallel_config(backend="ray").
"""


def _parser() -> argparse.ArgumentParser:
    """Build the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scalinv_utils benchmark",
        epilog=EXAMPLES,
        description="Run every method on every signal: a CSV, a Markdown table and two plots.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "--preset",
        choices=PRESETS,
        default="stored",
        help="which cells to run (default: stored, those of the stored table; tiny takes seconds, "
        "full hours)",
    )
    add(
        "--signals",
        nargs="+",
        metavar="NAME",
        help="run only these recordings and synthetic signals, or cuts of tracks",
    )
    add("--methods", nargs="+", metavar="NAME", help="run only these contestants")
    add("--wavelets", nargs="+", metavar="NAME", help="run only these wavelets")
    add("--seeds", type=int, metavar="N", help="run only the first N seeds")
    add("--samples", type=int, metavar="N", help="take N samples instead of the preset's number")
    add(
        "--device",
        default="cpu",
        help="where torch computes, for instance cuda; methods that cannot use it stay on the CPU",
    )
    add(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="number of processes (default 1; -1: one per core)",
    )
    add("--dask", metavar="ADDRESS", help="compute on the Dask cluster with this scheduler")
    add("--output", type=Path, metavar="CSV", help=f"default: {OUTPUT_FOLDER / 'benchmark.csv'}")
    add(
        "--report",
        type=Path,
        metavar="FOLDER",
        default=OUTPUT_FOLDER,
        help="where the Markdown table and the plots go (default: %(default)s)",
    )
    add("--fresh", action="store_true", help="start anew instead of resuming")
    add("--tracks", nargs="*", metavar="NAME", help="run these tracks (default: all) instead")
    add("--speed", action="store_true", help="measure the transform's speed, as ratios, instead")
    add(
        "--size",
        nargs="*",
        type=int,
        metavar="K",
        help="measure recover() at K times 2048 samples instead (default 1 2 4 8 16 32)",
    )
    add(
        "--long",
        nargs="?",
        type=float,
        const=60.0,
        metavar="SECONDS",
        help="recover this much speech (default 60 s) slice by slice instead",
    )
    return parser


def chosen(options: argparse.Namespace) -> tuple[list[Cell], list[str]]:
    """Return the cells that the options ask for, and the names of contestants not installed.

    Raises
    ------
    ValueError
        If a name is unknown, or torch cannot use the device.
    """
    _require_device(options.device)
    cells = _narrowed(preset(options.preset), options, "signal")
    n_samples, device = options.samples, options.device
    cells = [replace(c, device=device, n_samples=n_samples or c.n_samples) for c in cells]
    absent = {cell.method for cell in cells if not available(cell.method)}
    return [cell for cell in cells if cell.method not in absent], sorted(absent)


def _narrowed(cells: list[Any], options: argparse.Namespace, signal: str) -> list[Any]:
    """Keep the cells with the sounds, methods, wavelets and seeds that the options name."""
    for name, field in (("signals", signal), ("methods", "method"), ("wavelets", "wavelet")):
        wanted = getattr(options, name)
        if wanted:
            known = dict.fromkeys(getattr(cell, field) for cell in cells)
            wanted = [check_choice(value, known, f"--{name}") for value in wanted]
            cells = [cell for cell in cells if getattr(cell, field) in wanted]
    return [cell for cell in cells if options.seeds is None or cell.seed < options.seeds]


def _require_device(device: str) -> None:
    """Raise ValueError unless torch can use the device."""
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"--device must be one that torch sees here, got {device!r}: "
            f"{str(error).splitlines()[0]}"
        ) from error


def main(arguments: Sequence[str]) -> str | None:
    """Run the command `python -m scalinv_utils benchmark`.

    Returns
    -------
    str or None
        None after success; otherwise a sentence that says what went wrong, for `sys.exit`.
    """
    options = _parser().parse_args(arguments)
    try:
        if options.speed or options.size is not None or options.long is not None:
            _costs(options)
        elif options.tracks is not None:
            _tracks(options)
        else:
            _table(options)
    except KeyboardInterrupt:
        return "\nInterrupted: finished rows are kept, and the same command goes on from there."
    except ValueError as error:
        return str(error)
    return None


def _table(options: argparse.Namespace) -> None:
    """Run the chosen cells and write the report."""
    cells, absent = chosen(options)
    if absent:
        print(f"These are not installed and left out: {', '.join(absent)}.")
        print("To install them: pip install -e '.[benchmark]'")
    _carry_out(options, cells, "benchmark.csv", run, report)


def _tracks(options: argparse.Namespace) -> None:
    """Run tracks, and write their standings and the picture."""
    check_choice(options.device, ("cpu",), "--device of --tracks")
    cells = tracks.cells(options.tracks or tracks.TRACKS, options.preset, options.samples)
    cells = _narrowed(cells, options, "cut")
    _carry_out(options, cells, "tracks.csv", run_tracks, standings.report_tracks)


def _carry_out(
    options: argparse.Namespace,
    cells: list[Any],
    name: str,
    run_all: Callable[[list[Any], Path, int | None], list[Row]],
    report_on: Callable[[list[Row], Path], Iterable[Path]],
) -> None:
    """Run cells into a table, which is called `name` if the options do not say, and report."""
    path = options.output or OUTPUT_FOLDER / name
    if options.fresh:
        path.unlink(missing_ok=True)
    with _cluster(options.dask):
        rows = run_all(cells, path, None if options.dask else options.jobs)
    print(f"{path}: {len(rows)} rows, {sum(bool(row['error']) for row in rows)} of them errors")
    for written in report_on(rows, options.report):
        print(written)


def _costs(options: argparse.Namespace) -> None:
    """Measure the costs that the options name."""
    if options.speed:
        scaling.speed_command(options.output or OUTPUT_FOLDER / "speed.csv")
    if options.size is not None:
        scaling.size_command(
            options.output or OUTPUT_FOLDER / "size.csv", options.size, options.fresh
        )
    if options.long is not None:
        scaling.long_command(options.output or OUTPUT_FOLDER / "long.csv", options.long)


@contextlib.contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """Let joblib compute on the Dask cluster at `address` inside a block, if one is given."""
    if not address:
        yield
        return
    from distributed import Client
    from joblib import parallel_config

    try:
        client = Client(address, timeout=DASK_SECONDS)
    except OSError as error:
        raise ValueError(
            f"--dask must be the address of a scheduler, got {address}: {error}"
        ) from error
    with client, parallel_config(backend="dask", n_jobs=-1):
        yield


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
