"""Pictures that are made once: when they are asked for, or ahead of that in an idle kernel."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

# Pictures are drawn ahead when no control has moved for REST seconds, with a PAUSE between two of
# them in which the kernel does its other work. There are never more than MOST_AHEAD of them, since
# they take memory.
REST, PAUSE, MOST_AHEAD = 1.0, 0.02, 128


class Pictures:
    """Pictures by key, each made once by `make`: when it is asked for, or ahead of that."""

    def __init__(self, make: Callable[[Any], Any]):
        self._make = make
        self._made: dict[Hashable, Any] = {}
        self._asked = time.monotonic()

    def __getitem__(self, key: Hashable) -> Any:
        self._asked = time.monotonic()
        return self._get(key)

    def draw_ahead(self, keys: Iterable[Hashable]) -> None:
        """Make the pictures of `keys`, one by one, while the kernel is idle."""
        keys = itertools.islice(keys, MOST_AHEAD)
        with contextlib.suppress(RuntimeError):  # without a loop this is no kernel: never idle
            asyncio.get_running_loop().call_later(REST, self._go_on, keys)

    def _go_on(self, keys: Iterator[Hashable]) -> None:
        """Make one more picture if the kernel has been idle long enough, and come back later."""
        wait = REST - (time.monotonic() - self._asked)
        if wait <= 0:
            for key in itertools.islice(keys, 1):
                with contextlib.suppress(Exception):  # it is raised again when it is asked for
                    self._get(key)
                wait = PAUSE
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._go_on, keys)

    def _get(self, key: Hashable) -> Any:
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]
