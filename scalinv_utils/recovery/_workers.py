"""Carry out tasks in order, a few at a time, in processes that joblib gives."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from .._validation import check_count

__all__ = ["Shared", "check_jobs", "in_order"]


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


class Shared:
    """Something large that many tasks have in common: other processes make it only once.

    Parameters
    ----------
    thing : object
        It can be pickled, and is not changed.

    Examples
    --------
    >>> shared = Shared([1, 2])
    >>> pickle.loads(pickle.dumps(shared))() is pickle.loads(pickle.dumps(shared))()
    True
    """

    def __init__(self, thing: Any) -> None:
        self._thing, self._key = thing, b""
        self._packed: Any = None

    def __call__(self) -> Any:
        """Return the thing."""
        if self._thing is None:
            if self._key not in _made:
                _made.clear()  # of an earlier recovery
                _made[self._key] = pickle.loads(self._packed.tobytes())
            self._thing = _made[self._key]
        return self._thing

    def __getstate__(self) -> dict[str, Any]:
        """Give the packed thing: an array, which joblib keeps in a file that processes share."""
        if self._packed is None:
            packed = pickle.dumps(self._thing)
            self._packed = np.frombuffer(packed, np.uint8)
            self._key = hashlib.blake2b(packed).digest()
        return {"_thing": None, "_packed": self._packed, "_key": self._key}


_made: dict[bytes, Any] = {}
