"""The benchmark: every contestant on every signal, one row per run, in a CSV that can be resumed.

A cell is one run: contestant, signal, wavelet, voices per octave, SNR, seed. `run` computes the
cells that a CSV file does not hold yet and appends each row as soon as it is there, so that a run
that was killed goes on where it stopped. Cells are independent: joblib computes several at a time,
in processes here or on a Dask or Ray cluster.

    python -m scalinv_utils benchmark --help

What the table says is in `scalinv_utils.leaderboard`; what a contestant is, in
`scalinv_utils.contestants`; cost against size, and the speed of the transform, in
`scalinv_utils.costs`.
"""

import argparse
import contextlib
import csv
import ctypes
import functools
import gc
import os
import platform
import statistics
import sys
import threading
import time
import warnings
from dataclasses import asdict, dataclass, fields, replace
from importlib import metadata
from itertools import product
from pathlib import Path

import torch
from tqdm.auto import tqdm

from . import metrics, signals
from .bounds import noisy
from .contestants import CONTESTANTS, CountedScalogram, Problem, available
from .validation import check_choice, check_count, check_number

__all__ = ["FIELDS", "PRESETS", "Cell", "PeakMemory", "append", "compute", "grid", "machine",
           "preset", "read", "run", "versions"]

RATE, SAMPLES = 8000, 2048
WAVELETS = ("cauchy", "gmw")
ON_SCALOGRAM = tuple(name for name, who in CONTESTANTS.items() if not who.own)
OWN = tuple(name for name, who in CONTESTANTS.items() if who.own)
ROBUST = ("recover", "phase equation", "heap, corrected", "L-BFGS", "fast Griffin-Lim")

VERSIONS_OF = ("scalinv_utils", "torch", "numpy", "scipy", "kymatio", "ssqueezepy", "librosa")
SAMPLING_SECONDS = 0.005


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark. `snr_db` None is the exact scalogram."""

    signal: str
    wavelet: str = "cauchy"
    voices: int = 32
    snr_db: float | None = None
    method: str = "recover"
    seed: int = 0
    n_samples: int = SAMPLES
    sample_rate: float = RATE
    device: str = "cpu"

    def __post_init__(self):
        check_choice(self.signal, (*signals.RECORDINGS, *signals.SYNTHETIC), "signal")
        check_choice(self.method, CONTESTANTS, "method")
        check_count(self.seed, "seed", 0)
        if self.snr_db is not None:
            check_number(self.snr_db, "snr_db")

    @property
    def key(self):
        """What tells this run from others, as the CSV spells it."""
        return tuple(_spelt(value) for value in asdict(self).values())


SCORES = ("consistency_db", "waveform_error_db", "island_error_db", "frequency_error_db")
COSTS = ("seconds", "cost", "evaluations", "peak_mb")
#: The columns of the CSV. `transform` is what the contestant inverted, `error` why it did not.
#: `cost` is its time over that of one analysis and synthesis by the scalogram just before: times
#: differ from machine to machine and from hour to hour, this ratio hardly.
FIELDS = (*(field.name for field in fields(Cell)), "transform", *SCORES, *COSTS, "error",
          "machine", "versions")


# --- Which cells ---------------------------------------------------------------------------------


def grid(signals, methods, wavelets=WAVELETS, voices=(32,), snrs=(None,), seeds=range(3),
         n_samples=SAMPLES, sample_rate=RATE):
    """All combinations as a list of cells, but for those that would repeat or mean nothing.

    A contestant that knows no chance runs with the first seed only; one with a transform of its
    own on exact magnitudes only.
    """
    return [Cell(signal, wavelet, count, snr, method, seed,
                 *_stretch(signal, n_samples, sample_rate))
            for signal, wavelet, count, snr, seed, method in product(
                signals, wavelets, voices, snrs, seeds, methods)
            if (CONTESTANTS[method].seeded or seed == min(seeds))
            and not (CONTESTANTS[method].own and snr is not None)]


def _stretch(signal, n_samples, sample_rate):
    """The electrocardiogram keeps its own rate, and has no more than 1024 samples."""
    return (min(n_samples, 1024), 360) if signal == "ecg" else (n_samples, sample_rate)


def _stored():
    """What the course stores: three seeds on recordings, one on synthetic signals, some noise."""
    recordings, synthetic = tuple(signals.RECORDINGS), tuple(signals.SYNTHETIC)
    return [*grid(recordings, ON_SCALOGRAM), *grid(synthetic, ON_SCALOGRAM, seeds=(0,)),
            *grid(("speech", "crow"), ROBUST, snrs=(40.0, 20.0)),
            *grid(recordings, [name for name in OWN if name != "kymatio descent"], ("cauchy",)),
            *grid(recordings, ("kymatio descent",), ("cauchy",), seeds=(0,))]  # half a minute each


def _full():
    """Everything: hours."""
    everything = (*signals.RECORDINGS, *signals.SYNTHETIC)
    return [*grid(everything, ON_SCALOGRAM, (*WAVELETS, "morlet"), (8, 16, 32),
                  (None, 60.0, 40.0, 20.0)),
            *grid(everything, OWN, ("cauchy",))]


def _tiny():
    """A look at the machinery: seconds."""
    return grid(("speech", "three tones"), ("recover", "fast Griffin-Lim", "zero phase"),
                ("cauchy",), seeds=range(2), n_samples=256, sample_rate=4000)


PRESETS = {"stored": _stored, "full": _full, "tiny": _tiny}


def preset(name):
    """The cells of a named choice: "stored" (what notebook 09 reads), "full" or "tiny"."""
    return PRESETS[check_choice(name, PRESETS, "preset")]()


# --- One cell ------------------------------------------------------------------------------------


def compute(cell):
    """Run one cell; its row as a dict by `FIELDS`.

    An error of the contestant becomes the row's `error`, and its scores stay empty.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # times are to be comparable, and cells run side by side
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scores = _scores(cell)
    except Exception as error:
        scores = {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}
    finally:
        torch.set_num_threads(threads)
    transform = CONTESTANTS[cell.method].own or "scalogram"
    return {**dict.fromkeys(FIELDS), **asdict(cell), "transform": transform, **scores,
            "machine": machine(), "versions": versions()}


def _scores(cell):
    who, problem = CONTESTANTS[cell.method], _problem(cell)
    _warm_up(cell.method)
    device = cell.device if who.any_device else "cpu"
    problem = Problem(*(part.to(device) for part in (problem.x, problem.S, problem.W)))
    clock = time.process_time if device == "cpu" else time.perf_counter
    unit = _unit_seconds(problem.W, problem.x, clock)
    problem.W.evaluations = 0
    with PeakMemory() as memory:
        start, begin = time.perf_counter(), clock()
        answer = who.solve(problem, cell.seed)
        y = answer.signal.cpu()  # which also waits for the device
        cost, seconds = (clock() - begin) / unit, time.perf_counter() - start
    evaluations = problem.W.evaluations if answer.evaluations is None else answer.evaluations
    x, S, W = problem.x.cpu(), problem.S.cpu(), problem.W.cpu()
    own_fit = answer.consistency_db
    return {"consistency_db": metrics.consistency_db(y, S, W) if own_fit is None else own_fit,
            "waveform_error_db": metrics.waveform_error_db(y, x),
            "island_error_db": metrics.island_error_db(y, x, W),
            "frequency_error_db": metrics.frequency_error_db(y, x, W),
            "seconds": seconds, "cost": cost, "evaluations": evaluations,
            "peak_mb": memory.megabytes}


def _unit_seconds(W, x, clock, repeats=3):
    """Seconds of one analysis and synthesis: the median of a few."""
    seconds = []
    for _ in range(repeats):
        begin = clock()
        W.inverse(W.coefficients(x)).cpu()
        seconds.append(clock() - begin)
    return statistics.median(seconds)


def _problem(cell):
    """The signal in the band of the transform, and its scalogram, with noise if that is asked."""
    W = _transform(cell.n_samples, cell.sample_rate, cell.wavelet, cell.voices)
    if cell.signal in signals.RECORDINGS:
        x, _ = signals.recording(cell.signal, cell.sample_rate, cell.n_samples)
    else:
        x = signals.synthetic(cell.signal, cell.n_samples, cell.sample_rate)
    x = W.project(x)
    S = W.magnitude(x)
    return Problem(x, S if cell.snr_db is None else noisy(S, cell.snr_db, cell.seed), W)


@functools.lru_cache(maxsize=4)
def _transform(n_samples, sample_rate, wavelet, voices):
    return CountedScalogram(n_samples, sample_rate, wavelet, voices)


@functools.cache
def _warm_up(method):
    """Run a contestant once, small: imports and compilation are not what is to be timed."""
    W = CountedScalogram(512, 4000, "cauchy", 8)
    x = W.project(signals.linear_chirp(512, 4000))
    try:
        CONTESTANTS[method].solve(Problem(x, W.magnitude(x), W), 0)
    except Exception:  # it will say so where it counts
        pass


class PeakMemory:
    """How far the resident memory of this process rises inside a ``with`` block.

    Looked at every 5 ms. Memory that was freed before and not given back to the system is used
    again unseen (glibc is asked to give it back): strictly a lower bound.

    Attributes
    ----------
    megabytes : float
        How far it rises.
    total_megabytes : float
        Up to what.
    """

    def __enter__(self):
        import psutil

        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        self._process, self._done = psutil.Process(), threading.Event()
        self._before = self._peak = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._done.set()
        self._thread.join()
        self.total_megabytes = max(self._peak, self._now()) / 1e6
        self.megabytes = self.total_megabytes - self._before / 1e6

    def _now(self):
        return self._process.memory_info().rss

    def _watch(self):
        while not self._done.wait(SAMPLING_SECONDS):
            self._peak = max(self._peak, self._now())


@functools.cache
def machine():
    """The kind of processor and the number of its cores, without a name of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # no Linux, or a processor that does not say
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


@functools.cache
def versions():
    """Names and versions of the packages that compute, and of Python."""
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONS_OF:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            pass
    return "; ".join(found)


# --- All cells -----------------------------------------------------------------------------------


def run(cells, path, jobs=1, progress=True):
    """Compute the cells that the file at `path` does not hold yet.

    Parameters
    ----------
    cells : iterable of Cell
    path : str or path
        The CSV; made if it is not there. Every row is written as soon as it is computed, so that
        after Ctrl-C or a crash the same call goes on.
    jobs : int or None
        Processes. 1 computes here; -1 takes all cores; None leaves it, and the backend, to
        joblib: ``with parallel_config(backend="dask"): run(cells, path, jobs=None)``.
    progress : bool
        Show a progress bar.

    Returns
    -------
    list of dict
        All rows of the file, those of earlier runs included, as `read` gives them.
    """
    path = Path(path)
    _drop_unfinished_line(path)
    done = {_key(row) for row in read(path)} if path.exists() else set()
    todo = [cell for cell in dict.fromkeys(cells) if cell.key not in done]
    bar = tqdm(_computed(todo, jobs), total=len(todo), unit="cell", disable=not progress)
    for row in bar:
        append(path, FIELDS, [row])
        bar.set_postfix_str(f"{row['method']}, {row['signal']}", refresh=False)
    return read(path) if path.exists() else []


def _computed(cells, jobs):
    """The rows of the cells, each as soon as it is there."""
    if jobs == 1:
        return map(compute, cells)
    from joblib import Parallel, delayed

    workers = Parallel(n_jobs=jobs, return_as="generator_unordered", batch_size=1)
    return workers(delayed(compute)(cell) for cell in cells)


def append(path, columns, rows):
    """Add rows (dicts) to a CSV, which is made with its header if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows([{name: _spelt(row[name]) for name in columns} for row in rows])


def read(path):
    """The rows of a CSV that `append` wrote: dicts with numbers as numbers and None for empty."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [{name: _meant(name, text) for name, text in row.items()}
                for row in csv.DictReader(file)]


TEXTS = {"signal", "wavelet", "method", "device", "transform", "error", "machine", "versions"}
COUNTS = {"voices", "seed", "n_samples", "n_freqs", "n_slices", "slice_samples", "overlap",
          "evaluations", "steps"}


def _meant(name, text):
    if text == "" or name in TEXTS:
        return text or None
    return int(text) if name in COUNTS else float(text)


def _spelt(value):
    """A value as the CSV spells it: numbers to four digits or so, nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _key(row):
    return tuple(_spelt(row[field.name]) for field in fields(Cell))


def _drop_unfinished_line(path):
    """What a killed run left half written ends without a line end: cut it off."""
    if path.exists():
        text = path.read_bytes()
        complete = text[: text.rfind(b"\n") + 1]
        if complete != text:
            path.write_bytes(complete)


# --- The command ---------------------------------------------------------------------------------

FOLDER = Path("build") / "benchmark"
DASK_SECONDS = 10  # within which a scheduler has to answer

EPILOG = """\
examples (put quotes around names with spaces):
  python -m scalinv_utils benchmark --preset tiny
  python -m scalinv_utils benchmark --jobs 2
  python -m scalinv_utils benchmark --signals speech crow --methods recover heap --seeds 1
  python -m scalinv_utils benchmark --dask tcp://192.0.2.1:8786 --preset full
  python -m scalinv_utils benchmark --speed
  python -m scalinv_utils benchmark --size 1 2 4 8
  python -m scalinv_utils benchmark --long 60

Every row is written at once: after Ctrl-C the same command goes on. Peers of other packages take
part where they are installed: pip install -e ".[benchmark]". For a Ray cluster call
scalinv_utils.benchmark.run with jobs=None inside joblib.parallel_config(backend="ray").
"""


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m scalinv_utils benchmark", epilog=EPILOG,
        description="Every method on every signal: a CSV, a Markdown table and two plots.",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--preset", choices=PRESETS, default="stored",
        help="which cells (default: stored, those of notebook 09; tiny takes seconds, full hours)")
    add("--signals", nargs="+", metavar="NAME", help="only these recordings and synthetic signals")
    add("--methods", nargs="+", metavar="NAME", help="only these contestants")
    add("--wavelets", nargs="+", metavar="NAME", help="only these wavelets")
    add("--seeds", type=int, metavar="N", help="only the first N seeds")
    add("--samples", type=int, metavar="N", help="this many samples instead of the preset's")
    add("--device", default="cpu", help="where torch computes, for the contestants that can: cuda")
    add("--jobs", type=int, default=1, metavar="N", help="processes (default 1; -1: all cores)")
    add("--dask", metavar="ADDRESS", help="compute on the Dask cluster with this scheduler")
    add("--output", type=Path, metavar="CSV", help=f"default: {FOLDER / 'benchmark.csv'}")
    add("--report", type=Path, metavar="FOLDER", default=FOLDER,
        help="where the Markdown table and the plots go (default: %(default)s)")
    add("--fresh", action="store_true", help="start anew instead of going on")
    add("--speed", action="store_true", help="instead: the transform's speed, as ratios")
    add("--size", nargs="*", type=int, metavar="K",
        help="instead: recover() at K times 2048 samples (default 1 2 4 8 16 32)")
    add("--long", nargs="?", type=float, const=60.0, metavar="SECONDS",
        help="instead: so much speech (default 60 s) slice by slice")
    return parser


def chosen(options):
    """The cells that the options of the command ask for, and the names of absent contestants."""
    _require_device(options.device)
    cells = preset(options.preset)
    for name, field in (("signals", "signal"), ("methods", "method"), ("wavelets", "wavelet")):
        wanted = getattr(options, name)
        if wanted:
            known = dict.fromkeys(getattr(cell, field) for cell in cells)
            wanted = [check_choice(value, known, f"--{name}") for value in wanted]
            cells = [cell for cell in cells if getattr(cell, field) in wanted]
    cells = [replace(cell, device=options.device, n_samples=options.samples or cell.n_samples)
             for cell in cells if options.seeds is None or cell.seed < options.seeds]
    absent = {cell.method for cell in cells if not available(cell.method)}
    return [cell for cell in cells if cell.method not in absent], sorted(absent)


def _require_device(device):
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(f"--device must be one that torch sees here, got {device!r}: "
                         f"{str(error).splitlines()[0]}") from error


def main(arguments):
    """The command `python -m scalinv_utils benchmark`; the exit status or a sentence."""
    options = _parser().parse_args(arguments)
    try:
        if options.speed or options.size is not None or options.long is not None:
            return _costs(options)
        return _table(options)
    except KeyboardInterrupt:
        return "\nInterrupted: what is finished is kept, and the same command goes on from there."
    except ValueError as error:
        return str(error)


def _table(options):
    from .leaderboard import report

    cells, absent = chosen(options)
    if absent:
        print(f"Left out, not installed: {', '.join(absent)} (pip install -e '.[benchmark]')")
    path = options.output or FOLDER / "benchmark.csv"
    if options.fresh:
        path.unlink(missing_ok=True)
    with _cluster(options.dask):
        rows = run(cells, path, None if options.dask else options.jobs)
    print(f"{path}: {len(rows)} rows, {sum(bool(row['error']) for row in rows)} of them errors")
    for written in report(rows, options.report):
        print(written)


def _costs(options):
    from . import costs

    if options.speed:
        costs.speed_command(options.output or FOLDER / "speed.csv")
    if options.size is not None:
        costs.size_command(options.output or FOLDER / "size.csv", options.size, options.fresh)
    if options.long is not None:
        costs.long_command(options.output or FOLDER / "long.csv", options.long)


@contextlib.contextmanager
def _cluster(address):
    """A block in which joblib computes on the Dask cluster at `address`, if one is given."""
    if not address:
        yield
        return
    from distributed import Client
    from joblib import parallel_config

    try:
        client = Client(address, timeout=DASK_SECONDS)
    except OSError as error:
        raise ValueError(f"--dask must be the address of a scheduler, got {address}: "
                         f"{error}") from error
    with client, parallel_config(backend="dask", n_jobs=-1):
        yield


if __name__ == "__main__":
    # By its importable name, so that rows and cells are the same classes in every process.
    from scalinv_utils.benchmark import main

    sys.exit(main(sys.argv[1:]))
