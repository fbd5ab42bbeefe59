"""What ran a measurement: its processor, its versions, and how much memory it took."""

import functools
import os
import platform
import threading
from importlib import metadata
from pathlib import Path

from ..course._memory import give_back

__all__ = ["PeakMemory", "machine", "versions"]

VERSIONS_OF = ("scalinv_utils", "torch", "numpy", "scipy", "kymatio", "ssqueezepy", "librosa")
SAMPLING_SECONDS = 0.005


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

        give_back()
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
