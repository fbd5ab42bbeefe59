"""Record what a measurement ran on, processor and versions, and how much memory it took."""

import functools
import os
import platform
import threading
from importlib import metadata
from pathlib import Path
from typing import Self

from ..course._memory import give_back

__all__ = ["PeakMemory", "machine", "versions"]

VERSIONS_OF = (
    *("scalinv_utils", "torch", "numpy", "scipy"),
    *("kymatio", "ssqueezepy", "librosa", "pywavelets"),
)
SAMPLING_SECONDS = 0.005  # The time between two looks at the memory.


class PeakMemory:
    """Measure how far the resident memory of this process rises inside a ``with`` block.

    A thread looks at it every 5 ms. Memory that was freed before the block and not given back to
    the system is used again unseen (glibc is asked to give it back), so that the result is
    strictly a lower bound.

    Attributes
    ----------
    megabytes : float
        The rise, in MB.
    total_megabytes : float
        The highest level, in MB.

    Examples
    --------
    >>> from scalinv_utils.benchmark.machine import PeakMemory
    >>> with PeakMemory() as memory:
    ...     total = sum(range(100))
    >>> memory.total_megabytes >= memory.megabytes >= 0
    True
    """

    megabytes: float
    total_megabytes: float

    def __enter__(self) -> Self:
        import psutil

        give_back()
        self._process, self._done = psutil.Process(), threading.Event()
        self._before = self._peak = self._now()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        self._thread.join()
        self.total_megabytes = max(self._peak, self._now()) / 1e6
        self.megabytes = self.total_megabytes - self._before / 1e6

    def _now(self) -> int:
        """Return the resident memory in bytes."""
        return self._process.memory_info().rss

    def _watch(self) -> None:
        """Keep the highest level until the block ends."""
        while not self._done.wait(SAMPLING_SECONDS):
            self._peak = max(self._peak, self._now())


@functools.cache
def machine() -> str:
    """Return the kind of processor, the number of its cores and the operating system.

    The name of the machine is not among them.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # This is no Linux, or the model is not listed.
        model = platform.processor() or platform.machine()
    return f"{model}, {os.cpu_count()} cores, {platform.system()}"


@functools.cache
def versions() -> str:
    """Return the versions of Python and of the installed packages that compute.

    Examples
    --------
    >>> from scalinv_utils.benchmark.machine import versions
    >>> versions().startswith("Python 3.")
    True
    """
    found = [f"Python {platform.python_version()}"]
    for name in VERSIONS_OF:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            pass
    return "; ".join(found)
