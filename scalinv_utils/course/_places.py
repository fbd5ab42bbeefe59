"""The places of controls: all of them, in a good order, and those where code tends to fail."""

import itertools
import random
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

import ipywidgets


def visits(controls: Sequence[Any], n_random: int = 3, seed: int = 0) -> Iterator[list[Any]]:
    """Yield values for all controls: each at its ends and its middle, then random combinations."""
    start, draw = [control.value for control in controls], random.Random(seed)
    marked = [_ends_and_middle(control) for control in controls]
    for k, values in enumerate(marked):
        yield from ([*start[:k], value, *start[k + 1 :]] for value in values)
    for _ in range(n_random):
        yield [draw.choice(list(all_values(c)) or values) for c, values in zip(controls, marked)]


def in_order(controls: Sequence[Any]) -> Iterator[tuple[Hashable, ...]]:
    """Yield all combinations of values, first those that one control leads to, nearest first."""
    start, options = [c.value for c in controls], [list(all_values(c)) for c in controls]
    here = [values.index(value) if value in values else 0 for value, values in zip(start, options)]
    moves = sorted(
        (
            (abs(j - here[k]), k, j)
            for k, values in enumerate(options)
            for j in range(len(values))
            if j != here[k]
        )
    )
    near = {(*start[:k], options[k][j], *start[k + 1 :]): None for _, k, j in moves}
    yield from near
    yield from (place for place in itertools.product(*options) if place not in near)


def all_values(control: Any) -> Sequence[Any]:
    """List the values that a control can take; return an empty list if they cannot be listed."""
    if hasattr(control, "options"):
        return [item[1] if isinstance(item, tuple) else item for item in control.options]
    whole = isinstance(control, ipywidgets.IntSlider | ipywidgets.BoundedIntText)
    return range(control.min, control.max + 1, control.step) if whole else []


def text(control: Any, value: Any) -> str:
    """Return the words that a control has for one of its values."""
    texts = [str(item[0] if isinstance(item, tuple) else item) for item in control.options]
    return texts[list(all_values(control)).index(value)]


def _ends_and_middle(control: Any) -> list[Any]:
    values = all_values(control) or [control.min, (control.min + control.max) / 2, control.max]
    return [values[0], values[len(values) // 2], values[-1]]
