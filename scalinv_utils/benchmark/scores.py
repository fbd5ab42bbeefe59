"""Run one cell of a track and score its answer: the row of a table that can be resumed.

The score that counts, `score_db`, is the waveform error after what the scalogram leaves open was
removed, a rotation or a sign. Where no signal has the scalogram it is the fit. With noise on the
scalogram, `excess_db` is the distance of the waveform error to the Cramer-Rao bound.
"""

import time
from collections.abc import Iterable
from dataclasses import astuple, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from .. import metrics
from ..bounds import cramer_rao
from ..course.signals import white_noise
from ..measured import Measured
from .methods import CONTESTANTS, Problem
from .records import Row
from .runner import COSTS, row_of, run, unit_seconds
from .tracks import TrackCell, posed

__all__ = ["TRACK_FIELDS", "compute_track", "fit_db", "run_tracks"]

TRACK_SCORES = ("score_db", "consistency_db", "waveform_error_db", "sign_error_db", "excess_db")
#: The columns of the table of tracks; `seconds` and `cost` are as in `runner.FIELDS`.
TRACK_FIELDS = (
    *(field.name for field in fields(TrackCell)),
    *TRACK_SCORES,
    *COSTS[:2],
    *("error", "machine", "versions"),
)


def compute_track(cell: TrackCell) -> Row:
    """Run one cell and return its row, a dict by `TRACK_FIELDS`; an error is a row, too."""
    return row_of(cell, _scored, TRACK_FIELDS)


def run_tracks(cells: Iterable[TrackCell], path: str | Path, jobs: int | None = 1) -> list[Row]:
    """Compute the cells that the CSV does not hold yet, as `runner.run` does.

    Examples
    --------
    >>> import tempfile
    >>> from scalinv_utils.benchmark.scores import run_tracks
    >>> from scalinv_utils.benchmark.tracks import cells
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     rows = run_tracks(cells(["exact"], "tiny", 128)[:1], f"{folder}/tracks.csv")
    >>> rows[0]["method"], rows[0]["score_db"] < -100
    ('recover', True)
    """
    return run(cells, path, jobs, work=compute_track, columns=TRACK_FIELDS)


def _scored(cell: TrackCell) -> Row:
    *problem_of, method = astuple(cell)
    problem = posed(*problem_of)
    unit = unit_seconds(problem.W, white_noise(problem.W.n_samples), time.process_time)
    begin, start = time.process_time(), time.perf_counter()
    answer = CONTESTANTS[method].solve(problem, cell.seed)
    spent, seconds = time.process_time() - begin, time.perf_counter() - start
    y, cost = answer.signal, (answer.seconds or spent) / unit
    found = {"seconds": seconds, "cost": cost, "consistency_db": fit_db(y, problem)}
    if problem.leaves_open == "all":
        return {**found, "score_db": found["consistency_db"]}
    seen = problem.S if isinstance(problem.S, Measured) else problem.W
    pair = seen.project(y), seen.project(problem.x)
    found["score_db"] = found["waveform_error_db"] = metrics.waveform_error_db(*pair)
    if problem.leaves_open == "sign":
        found["score_db"] = found["sign_error_db"] = metrics.sign_error_db(*pair)
    if problem.snr_db is not None:
        found["excess_db"] = found["score_db"] - _bound_db(*problem_of)
    return found


def fit_db(y: torch.Tensor, problem: Problem) -> float:
    """Measure how well y fits what is known of the scalogram, in dB."""
    if isinstance(problem.S, Measured):
        return problem.S.consistency_db(y)
    return metrics.consistency_db(y, problem.S, problem.W)


@lru_cache(maxsize=2)
def _bound_db(*problem_of: Any) -> float:
    problem = posed(*problem_of)
    snr_db = problem.snr_db or 0.0
    return cramer_rao(problem.x, problem.W, noise="clipped", snr_db=snr_db).error_db(snr_db)
