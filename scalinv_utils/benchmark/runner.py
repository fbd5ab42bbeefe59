"""The benchmark: every contestant on every signal, one row per run, in a CSV that can be resumed.

A cell is one run: contestant, signal, wavelet, voices per octave, SNR, seed. `run` computes the
cells that a CSV file does not hold yet and appends each row as soon as it is there, so that a run
that was killed goes on where it stopped. Cells are independent: joblib computes several at a time,
in processes here or on a Dask or Ray cluster.

    python -m scalinv_utils benchmark --help

What the table says is in `benchmark.summary`; what a contestant is, in
`benchmark.methods`; cost against size, and the speed of the transform, in `benchmark.scaling`.
"""

import functools
import statistics
import time
import warnings
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path

import torch
from tqdm.auto import tqdm

from .. import metrics
from .._validation import check_choice, check_count, check_number
from ..bounds import noisy
from ..course import signals
from .machine import PeakMemory, machine, versions
from .methods import CONTESTANTS, CountedScalogram, Problem
from .records import append, drop_unfinished_line, read, spelt

__all__ = ["FIELDS", "PRESETS", "Cell", "compute", "grid", "preset", "run"]

RATE, SAMPLES = 8000, 2048
WAVELETS = ("cauchy", "gmw")
ON_SCALOGRAM = tuple(name for name, who in CONTESTANTS.items() if not who.own)
OWN = tuple(name for name, who in CONTESTANTS.items() if who.own)
ROBUST = ("recover", "phase equation", "heap, corrected", "L-BFGS", "fast Griffin-Lim")


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
        return tuple(spelt(value) for value in asdict(self).values())


SCORES = ("consistency_db", "waveform_error_db", "island_error_db", "frequency_error_db")
COSTS = ("seconds", "cost", "evaluations", "peak_mb")
#: The columns of the CSV. `transform` is what the contestant inverted, `error` why it did not.
#: `cost` is its time over that of one analysis and synthesis by the scalogram just before: times
#: differ from machine to machine and from hour to hour, this ratio hardly.
FIELDS = (
    *(field.name for field in fields(Cell)),
    "transform",
    *SCORES,
    *COSTS,
    "error",
    "machine",
    "versions",
)


# --- Which cells ---------------------------------------------------------------------------------


def grid(
    signals,
    methods,
    wavelets=WAVELETS,
    voices=(32,),
    snrs=(None,),
    seeds=range(3),
    n_samples=SAMPLES,
    sample_rate=RATE,
):
    """All combinations as a list of cells, but for those that would repeat or mean nothing.

    A contestant that knows no chance runs with the first seed only; one with a transform of its
    own on exact magnitudes only.
    """
    return [
        Cell(signal, wavelet, count, snr, method, seed, *_stretch(signal, n_samples, sample_rate))
        for signal, wavelet, count, snr, seed, method in product(
            signals, wavelets, voices, snrs, seeds, methods
        )
        if (CONTESTANTS[method].seeded or seed == min(seeds))
        and not (CONTESTANTS[method].own and snr is not None)
    ]


def _stretch(signal, n_samples, sample_rate):
    """The electrocardiogram keeps its own rate, and has no more than 1024 samples."""
    return (min(n_samples, 1024), 360) if signal == "ecg" else (n_samples, sample_rate)


def _stored():
    """What the course stores: three seeds on recordings, one on synthetic signals, some noise."""
    recordings, synthetic = tuple(signals.RECORDINGS), tuple(signals.SYNTHETIC)
    return [
        *grid(recordings, ON_SCALOGRAM),
        *grid(synthetic, ON_SCALOGRAM, seeds=(0,)),
        *grid(("speech", "crow"), ROBUST, snrs=(40.0, 20.0)),
        *grid(recordings, [name for name in OWN if name != "kymatio descent"], ("cauchy",)),
        *grid(recordings, ("kymatio descent",), ("cauchy",), seeds=(0,)),
    ]  # half a minute each


def _full():
    """Everything: hours."""
    everything = (*signals.RECORDINGS, *signals.SYNTHETIC)
    return [
        *grid(
            everything, ON_SCALOGRAM, (*WAVELETS, "morlet"), (8, 16, 32), (None, 60.0, 40.0, 20.0)
        ),
        *grid(everything, OWN, ("cauchy",)),
    ]


def _tiny():
    """A look at the machinery: seconds."""
    return grid(
        ("speech", "three tones"),
        ("recover", "fast Griffin-Lim", "zero phase"),
        ("cauchy",),
        seeds=range(2),
        n_samples=256,
        sample_rate=4000,
    )


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
    return {
        **dict.fromkeys(FIELDS),
        **asdict(cell),
        "transform": transform,
        **scores,
        "machine": machine(),
        "versions": versions(),
    }


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
    return {
        "consistency_db": metrics.consistency_db(y, S, W) if own_fit is None else own_fit,
        "waveform_error_db": metrics.waveform_error_db(y, x),
        "island_error_db": metrics.island_error_db(y, x, W),
        "frequency_error_db": metrics.frequency_error_db(y, x, W),
        "seconds": seconds,
        "cost": cost,
        "evaluations": evaluations,
        "peak_mb": memory.megabytes,
    }


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
    return CountedScalogram(n_samples, sample_rate, wavelet=wavelet, voices_per_octave=voices)


@functools.cache
def _warm_up(method):
    """Run a contestant once, small: imports and compilation are not what is to be timed."""
    W = CountedScalogram(512, 4000, wavelet="cauchy", voices_per_octave=8)
    x = W.project(signals.linear_chirp(512, 4000))
    try:
        CONTESTANTS[method].solve(Problem(x, W.magnitude(x), W), 0)
    except Exception:  # it will say so where it counts
        pass


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
    drop_unfinished_line(path)
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


def _key(row):
    return tuple(spelt(row[field.name]) for field in fields(Cell))
