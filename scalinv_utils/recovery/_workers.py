"""Carry out tasks in order, a few at a time, in processes that joblib gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._validation import check_count

__all__ = ["check_jobs", "in_order"]


def check_jobs(jobs: int | None) -> int | None:
    """Check a number of processes: at least 1, -1 for all cores, None for what joblib says."""
    return jobs if jobs is None or jobs == -1 else check_count(jobs, "jobs")


def in_order(
    function: Callable[..., Any], tasks: Iterable[tuple], jobs: int | None
) -> Iterator[Any]:
    """Generate ``function(*task)`` for each task; tasks are asked for a few in advance.

    Parameters
    ----------
    function : callable
        A function of a module, so that other processes find it.
    tasks : iterable of tuple
    jobs : int or None
        As `check_jobs` takes it; 1 computes in this process.

    Raises
    ------
    ModuleNotFoundError
        If joblib is needed and not installed.

    Examples
    --------
    >>> list(in_order(pow, [(2, 3), (3, 2)], jobs=1))
    [8, 9]
    """
    if jobs == 1:
        return (function(*task) for task in tasks)
    from joblib import Parallel, delayed

    options: dict[str, Any] = {"return_as": "generator", "batch_size": 1}
    workers: Any = Parallel(n_jobs=jobs, **options)
    return workers(delayed(function)(*task) for task in tasks)
