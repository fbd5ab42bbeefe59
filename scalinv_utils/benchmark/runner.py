"""Run every contestant on every signal and write one row per run to a CSV that can be resumed.

A cell is one run: contestant, signal, wavelet, voices per octave, SNR, seed. `run` computes the
cells that a CSV file does not hold yet and appends each row as soon as it is computed, so that a
run that was killed goes on where it stopped. Cells are independent: joblib computes several at a
time, in processes on this machine or on a Dask or Ray cluster.

    python -m scalinv_utils benchmark --help

`benchmark.summary` reads results off the table, `benchmark.methods` defines the contestants, and
`benchmark.scaling` measures cost against size and the speed of the transform.
"""

import functools
import statistics
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import product
from pathlib import Path
from typing import Any, cast

import torch
from tqdm.auto import tqdm

from .. import metrics
from .._validation import check_choice, check_count, check_number
from ..bounds import noisy
from ..course import signals
from ..transforms.scalogram import Scalogram
from .machine import PeakMemory, machine, versions
from .methods import CONTESTANTS, CountedScalogram, Problem
from .records import Row, append, drop_unfinished_line, read, spelt

__all__ = [
    "FIELDS",
    "PRESETS",
    "Cell",
    "compute",
    "grid",
    "preset",
    "row_of",
    "run",
    "unit_seconds",
]

DEFAULT_RATE, DEFAULT_SAMPLES = 8000, 2048
DEFAULT_WAVELETS = ("cauchy", "gmw")
INVERT_SCALOGRAM = tuple(
    name for name, who in CONTESTANTS.items() if not (who.own or who.only_tracks)
)
INVERT_OWN_TRANSFORM = tuple(name for name, who in CONTESTANTS.items() if who.own)
# The stored table has these methods on noisy scalograms, too.
RUN_WITH_NOISE = ("recover", "phase equation", "heap, corrected", "L-BFGS", "fast Griffin-Lim")


@dataclass(frozen=True)
class Cell:
    """One run of the benchmark. With `snr_db` None the scalogram is exact.

    Raises
    ------
    ValueError, TypeError
        If the signal or the method is unknown, or a number is out of range.

    Examples
    --------
    >>> from scalinv_utils.benchmark.runner import Cell
    >>> Cell("speech", method="heap", seed=1).key
    ('speech', 'cauchy', '32', '', 'heap', '1', '2048', '8000', 'cpu')
    """

    signal: str
    wavelet: str = "cauchy"
    voices: int = 32
    snr_db: float | None = None
    method: str = "recover"
    seed: int = 0
    n_samples: int = DEFAULT_SAMPLES
    sample_rate: float = DEFAULT_RATE
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_choice(self.signal, (*signals.RECORDINGS, *signals.SYNTHETIC), "signal")
        check_choice(self.method, CONTESTANTS, "method")
        check_count(self.seed, "seed", 0)
        if self.snr_db is not None:
            check_number(self.snr_db, "snr_db")

    @property
    def key(self) -> tuple[str, ...]:
        """The fields, which tell this run from others, as the CSV spells them."""
        return tuple(spelt(value) for value in asdict(self).values())


SCORES = ("consistency_db", "waveform_error_db", "island_error_db", "frequency_error_db")
COSTS = ("seconds", "cost", "evaluations", "peak_mb")
#: The columns of the CSV. `transform` names the transform that the contestant inverted, and
#: `error` says why it failed, if it did. `cost` is its time over that of one analysis and
#: synthesis by the scalogram, measured just before: times differ from machine to machine and from
#: hour to hour, but this ratio hardly does.
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
    signals: Iterable[str],
    methods: Iterable[str],
    wavelets: Iterable[str] = DEFAULT_WAVELETS,
    voices: Iterable[int] = (32,),
    snrs: Iterable[float | None] = (None,),
    seeds: Sequence[int] = range(3),
    n_samples: int = DEFAULT_SAMPLES,
    sample_rate: float = DEFAULT_RATE,
) -> list[Cell]:
    """List the cells of all combinations, except those that would repeat or mean nothing.

    A contestant whose answer does not depend on the seed runs with the smallest seed only. A
    contestant with a transform of its own runs on exact magnitudes only. The electrocardiogram
    keeps its own rate, 360 Hz, and has at most 1024 samples.

    Examples
    --------
    >>> from scalinv_utils.benchmark.runner import grid
    >>> cells = grid(["speech"], ["heap", "zero phase"], wavelets=["gmw"], seeds=range(3))
    >>> [(cell.method, cell.seed) for cell in cells]
    [('heap', 0), ('zero phase', 0), ('heap', 1), ('heap', 2)]
    """
    return [
        Cell(signal, wavelet, count, snr, method, seed, *_stretch(signal, n_samples, sample_rate))
        for signal, wavelet, count, snr, seed, method in product(
            signals, wavelets, voices, snrs, seeds, methods
        )
        if (CONTESTANTS[method].seeded or seed == min(seeds))
        and not (CONTESTANTS[method].own and snr is not None)
    ]


def _stretch(signal: str, n_samples: int, sample_rate: float) -> tuple[int, float]:
    """Return the samples and the rate of a signal; the electrocardiogram has its own."""
    return (min(n_samples, 1024), 360) if signal == "ecg" else (n_samples, sample_rate)


def _stored() -> list[Cell]:
    """List what the course stores: recordings by three seeds, synthetic signals, some noise."""
    recordings, synthetic = tuple(signals.RECORDINGS), tuple(signals.SYNTHETIC)
    return [
        *grid(recordings, INVERT_SCALOGRAM),
        *grid(synthetic, INVERT_SCALOGRAM, seeds=(0,)),
        *grid(("speech", "crow"), RUN_WITH_NOISE, snrs=(40.0, 20.0)),
        *grid(
            recordings,
            [name for name in INVERT_OWN_TRANSFORM if name != "kymatio descent"],
            ("cauchy",),
        ),
        # Each of these takes half a minute.
        *grid(recordings, ("kymatio descent",), ("cauchy",), seeds=(0,)),
    ]


def _full() -> list[Cell]:
    """List every method on every signal, which takes hours."""
    everything = (*signals.RECORDINGS, *signals.SYNTHETIC)
    return [
        *grid(
            everything,
            INVERT_SCALOGRAM,
            (*DEFAULT_WAVELETS, "morlet"),
            (8, 16, 32),
            (None, 60.0, 40.0, 20.0),
        ),
        *grid(everything, INVERT_OWN_TRANSFORM, ("cauchy",)),
    ]


def _tiny() -> list[Cell]:
    """List a few short cells that try out the benchmark in seconds."""
    return grid(
        ("speech", "three tones"),
        ("recover", "fast Griffin-Lim", "zero phase"),
        ("cauchy",),
        seeds=range(2),
        n_samples=256,
        sample_rate=4000,
    )


PRESETS = {"stored": _stored, "full": _full, "tiny": _tiny}


def preset(name: str) -> list[Cell]:
    """List the cells of a named choice: "stored" (the table of notebook 09), "full" or "tiny".

    Examples
    --------
    >>> from scalinv_utils.benchmark.runner import preset
    >>> len(preset("tiny"))
    10
    """
    return PRESETS[check_choice(name, PRESETS, "preset")]()


# --- One cell ------------------------------------------------------------------------------------


def compute(cell: Cell) -> Row:
    """Run one cell and return its row, a dict by `FIELDS`.

    An error of the contestant becomes the row's `error`, and its scores stay empty.
    """
    transform = CONTESTANTS[cell.method].own or "scalogram"
    return {**row_of(cell, _scores, FIELDS), "transform": transform}


def row_of(cell: Any, scores: Callable[[Any], Row], columns: Sequence[str]) -> Row:
    """Return a row of these columns: the fields of a cell and its scores, or why it has none."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # Times shall be comparable, and cells run side by side.
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = scores(cell)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}".replace("\n", " ")}
    finally:
        torch.set_num_threads(threads)
    source = {"machine": machine(), "versions": versions()}
    return {**dict.fromkeys(columns), **asdict(cell), **found, **source}


def _scores(cell: Cell) -> Row:
    """Time the contestant on one cell and score its answer."""
    who, problem = CONTESTANTS[cell.method], _problem(cell)
    _warm_up(cell.method)
    device = cell.device if who.any_device else "cpu"
    problem = Problem(problem.x.to(device), problem.S.to(device), problem.W.to(device))
    clock = time.process_time if device == "cpu" else time.perf_counter
    counted, unit = cast(CountedScalogram, problem.W), unit_seconds(problem.W, problem.x, clock)
    counted.evaluations = 0
    with PeakMemory() as memory:
        start, begin = time.perf_counter(), clock()
        answer = who.solve(problem, cell.seed)
        y = answer.signal.cpu()  # The copy also waits for the device.
        cost, seconds = (clock() - begin) / unit, time.perf_counter() - start
    evaluations = counted.evaluations if answer.evaluations is None else answer.evaluations
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


def unit_seconds(
    W: Scalogram, x: torch.Tensor, clock: Callable[[], float], repeats: int = 3
) -> float:
    """Return the seconds of one analysis and synthesis, the median of a few."""
    seconds = []
    for _ in range(repeats):
        begin = clock()
        W.inverse(W.coefficients(x)).cpu()
        seconds.append(clock() - begin)
    return statistics.median(seconds)


def _problem(cell: Cell) -> Problem:
    """Make the signal in the band of the transform, and its scalogram, with noise if asked for."""
    W = _transform(cell.n_samples, cell.sample_rate, cell.wavelet, cell.voices)
    if cell.signal in signals.RECORDINGS:
        x, _ = signals.recording(cell.signal, cell.sample_rate, cell.n_samples)
    else:
        x = signals.synthetic(cell.signal, cell.n_samples, cell.sample_rate)
    x = W.project(x)
    S = W.magnitude(x)
    return Problem(x, S if cell.snr_db is None else noisy(S, cell.snr_db, cell.seed), W)


@functools.lru_cache(maxsize=4)
def _transform(n_samples: int, sample_rate: float, wavelet: str, voices: int) -> CountedScalogram:
    """Make the transform of a cell; the four used last are kept."""
    return CountedScalogram(n_samples, sample_rate, wavelet=wavelet, voices_per_octave=voices)


@functools.cache
def _warm_up(method: str) -> None:
    """Run a contestant once on a short signal: imports and compilation shall not be timed."""
    W = CountedScalogram(512, 4000, wavelet="cauchy", voices_per_octave=8)
    x = W.project(signals.linear_chirp(512, 4000))
    try:
        CONTESTANTS[method].solve(Problem(x, W.magnitude(x), W), 0)
    except Exception:  # The run that is timed reports the error.
        pass


# --- All cells -----------------------------------------------------------------------------------


def run(
    cells: Iterable[Any],
    path: str | Path,
    jobs: int | None = 1,
    progress: bool = True,
    *,
    work: Callable[[Any], Row] | None = None,
    columns: Sequence[str] = FIELDS,
) -> list[Row]:
    """Compute the cells that the file at `path` does not hold yet.

    Parameters
    ----------
    cells : iterable of Cell, or of another dataclass that `work` takes
    path : str or path
        The CSV, which is made if it does not exist. Every row is written as soon as it is
        computed, so that after Ctrl-C or a crash the same call goes on.
    jobs : int or None
        The number of processes. 1 computes in this process and -1 takes all cores. None leaves
        number and backend to joblib:
        ``with parallel_config(backend="dask"): run(cells, path, jobs=None)``.
    progress : bool
        Whether to show a progress bar.
    work : callable, optional
        ``work(cell)`` returns the row of a cell. Default: `compute`.
    columns : sequence of str
        The columns of the CSV, the fields of a cell among them.

    Returns
    -------
    list of dict
        All rows of the file, those of earlier runs included, as `read` gives them.
    """
    path, todo = Path(path), list(dict.fromkeys(cells))
    drop_unfinished_line(path)
    names = [field.name for field in fields(todo[0])] if todo else []
    done = {_spelt(row, names) for row in read(path)} if path.exists() else set()
    todo = [cell for cell in todo if _spelt(asdict(cell), names) not in done]
    bar = tqdm(_computed(todo, jobs, work), total=len(todo), unit="cell", disable=not progress)
    for row in bar:
        append(path, columns, [row])
        bar.set_postfix_str(", ".join(str(row[name]) for name in names[:3]), refresh=False)
    return read(path) if path.exists() else []


def _computed(
    cells: Iterable[Any], jobs: int | None, work: Callable[[Any], Row] | None
) -> Iterator[Row]:
    """Return the rows of the cells, each as soon as it is computed."""
    work = work or compute
    if jobs == 1:
        return map(work, cells)
    from joblib import Parallel, delayed

    options: dict[str, Any] = {"return_as": "generator_unordered", "batch_size": 1}
    workers = Parallel(n_jobs=jobs, **options)
    return cast(Iterator[Row], workers(delayed(work)(cell) for cell in cells))


def _spelt(row: Row, names: Sequence[str]) -> tuple[str, ...]:
    """Return the fields that tell a run from others, as the CSV spells them."""
    return tuple(spelt(row[name]) for name in names)
