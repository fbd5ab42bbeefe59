"""Recover the members of a batch one by one, each as if it were alone, and join the results.

A step that looks at a batch as a whole, a norm, a maximum, a line search, lets a loud member decide
for a quiet one. So no method sees a batch: each member has a run of its own, at its own level.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ..metrics import decibels
from ._interrupts import interruptible, kept
from ._result import Recovery
from ._stages import Callback

__all__ = ["Index", "one_by_one", "together"]

Index = tuple[int, ...]

# (index of the member, its callback) -> its recovery.
Alone = Callable[[Index, Callback | None], Recovery]


def one_by_one(
    alone: Alone, shape: tuple[int, ...], norms: torch.Tensor, callback: Callback | None
) -> Recovery:
    """Recover each member of a batch, and join the recoveries.

    Parameters
    ----------
    alone : callable
        ``alone(index, callback)`` recovers one member.
    shape : tuple of int
        Shape of the batch; () for one member, whose recovery is the result as it stands.
    norms : Tensor of that shape
        Norms of the targets: the fit of the batch is that of all targets together.
    callback : callable, optional
        It is called with the whole batch as far as it is known, zeros elsewhere, and with the
        iteration and the fit of the member in work. When it has stopped the run, the members that
        follow get no more than their start.

    An interrupt keeps the members that are done and what there is of the one in work, and has
    zeros for the others; ``details["members"]`` were done.

    Returns
    -------
    Recovery
        The history is that of the batch as a whole: at each iteration the members that have ended
        count with their last fit, and the seconds are those of all members.
    """
    if not shape:
        return alone((), callback)
    results: list[Recovery] = []
    stopped = False

    def show(iteration: int, x: torch.Tensor, fit: float) -> bool:
        nonlocal stopped
        if callback and not stopped:
            known = [*(result.signal for result in results), x]
            unknown = (math.prod(shape) - len(known)) * [torch.zeros_like(x)]
            stopped = bool(callback(iteration, _stacked([*known, *unknown], shape), fit))
        return stopped

    def so_far() -> Recovery | None:
        return _interrupted(results, shape, norms.flatten().tolist())

    with interruptible(so_far):
        for index in itertools.product(*map(range, shape)):
            try:
                results.append(alone(index, show if callback else None))
            except KeyboardInterrupt as interrupt:
                results += [part] if (part := kept(interrupt)) else []
                raise
    return _joined(results, shape, norms.flatten().tolist())


def _interrupted(
    results: list[Recovery], shape: tuple[int, ...], norms: list[float]
) -> Recovery | None:
    """Join the recoveries so far with silence, whose misfit is 0 dB, for members to come."""
    if not results:
        return None
    silence = torch.zeros_like(results[0].signal)
    history = {"consistency_db": [0.0], "seconds": [0.0]}
    iterates = [(0, silence)] if results[0].iterates else []
    to_come = Recovery(silence, results[0].method, 0.0, history, iterates)
    joined = _joined([*results, *(len(norms) - len(results)) * [to_come]], shape, norms)
    unfinished = joined.details.pop("interrupted", 0)
    joined.details |= {"interrupted": True, "members": len(results) - unfinished}
    joined.members = list(results)
    return joined


def _joined(results: list[Recovery], shape: tuple[int, ...], norms: list[float]) -> Recovery:
    """Make one recovery of those of all members."""
    fits = [result.history["consistency_db"] for result in results]
    times = [result.history["seconds"] for result in results]
    length = max(map(len, fits))
    history = {
        "consistency_db": [together([_at(f, k) for f in fits], norms) for k in range(length)],
        "seconds": [sum(_at(t, k) for t in times) for k in range(length)],
    }
    ends = [-math.inf if r.consistency_db is None else r.consistency_db for r in results]
    return Recovery(
        _stacked([result.signal for result in results], shape),
        results[0].method,
        together(ends, norms),
        history,
        _iterates(results, shape),
        {key: _of_all(results, key) for key in _keys(results)},
        results,
    )


def _keys(results: list[Recovery]) -> list[str]:
    """List the names of all details. Those of silent members lack some."""
    return list(dict.fromkeys(key for result in results for key in result.details))


def _of_all(results: list[Recovery], key: str) -> Any:
    """Add up a count; list any other detail of the members, None where one lacks it."""
    values = [result.details.get(key) for result in results]
    counts = [value for value in values if value is not None]
    return sum(counts) if all(isinstance(value, int) for value in counts) else values


def _at(values: Sequence[float], k: int) -> float:
    return values[min(k, len(values) - 1)]


def together(levels: Sequence[float], norms: Sequence[float]) -> float:
    """Combine levels of misfits, each relative to its own norm, to that of all together; in dB."""
    largest = max(norms) or 1.0
    squares = [(10 ** (level / 20) * (n / largest)) ** 2 for level, n in zip(levels, norms) if n]
    return decibels(math.sqrt(sum(squares) / (sum((n / largest) ** 2 for n in norms) or 1.0)))


def _stacked(signals: Sequence[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
    return torch.stack([x.flatten() for x in signals]).unflatten(0, shape)


def _iterates(results: list[Recovery], shape: tuple[int, ...]) -> list[tuple[int, torch.Tensor]]:
    """Join the copies of the iterates; where a member has none at an iteration, its last counts."""
    joined = []
    for k in sorted({k for result in results for k, _ in result.iterates}):
        latest = [[x for j, x in result.iterates if j <= k][-1] for result in results]
        joined.append((k, _stacked(latest, shape)))
    return joined
