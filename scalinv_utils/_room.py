"""Look whether an array will fit into memory before it is made.

A system that lends memory lets a program take any amount, and ends it later, without a word, when
the memory is used. So the free memory is asked for first.
"""

import contextlib
import contextvars
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "BYTES_PER_KNOWN",
    "at_most",
    "available",
    "check_known_fits",
    "check_room",
    "for_file",
    "room",
]

# Where nobody says how much memory is free, this much is taken to be.
ASSUMED = 4 * 2**30

# Smaller arrays than this are made without a question.
UNQUESTIONED = 64 * 2**20

# Arrays made of a file of less than SMALL_FILE bytes may take MOST_OF_SMALL bytes: a few kilobytes
# may hold gigabytes of zeros.
SMALL_FILE, MOST_OF_SMALL = 10_000_000, 250e6

# Each value of a `Measured` takes so many bytes on the way: its place, its error, and what they
# are made of.
BYTES_PER_KNOWN = 100.0

# The files where a container says its limit and what it uses, in folders of their own.
CGROUPS = (
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)


_allowed = contextvars.ContextVar("allowed", default=math.inf)
_way_out = contextvars.ContextVar("way_out", default="")


@contextlib.contextmanager
def at_most(n_bytes: float) -> Iterator[None]:
    """Take no more than so many bytes to be free: files from strangers get a part of the memory.

    Examples
    --------
    >>> with at_most(1e6):
    ...     available() <= 1e6
    True
    """
    token = _allowed.set(min(n_bytes, _allowed.get()))
    try:
        yield
    finally:
        _allowed.reset(token)


@contextlib.contextmanager
def for_file(n_bytes: float, way_out: str = "") -> Iterator[None]:
    """Let what is made of a small file take no more than is usual; a `way_out` replaces the advice.

    Examples
    --------
    >>> with for_file(1000):
    ...     available() <= 250e6
    True
    """
    token = _way_out.set(way_out)
    try:
        with at_most(MOST_OF_SMALL if n_bytes < SMALL_FILE else math.inf):
            yield
    finally:
        _way_out.reset(token)


def available() -> int:
    """Return how many bytes this process can still take: of the machine, its container, its limit.

    Examples
    --------
    >>> available() > 0
    True
    """
    known = [free for free in (_of_machine(), _of_container(), _of_process()) if free is not None]
    return int(max(min(*known, _allowed.get()) if known else min(ASSUMED, _allowed.get()), 0))


def room() -> int:
    """Return how many bytes one array may take: half of those available, for what comes after it.

    Examples
    --------
    >>> room() <= available()
    True
    """
    return available() // 2


def check_room(n_bytes: float, name: str, what: str, way_out: str) -> None:
    """Raise a ``ValueError`` if `what` takes more bytes than are available.

    Parameters
    ----------
    n_bytes : float
    name : str
        The argument that decides on the size.
    what : str
        The arrays, in the plural.
    way_out : str
        Advice to the caller, as a sentence without its full stop.

    Examples
    --------
    >>> check_room(1e18, "n_samples", "the filters", "take a shorter signal") # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    ValueError: n_samples must leave room in memory: the filters take 1e+09 GB, and ... GB are \
free; take a shorter signal
    """
    if n_bytes <= UNQUESTIONED:
        return
    free = available()
    if n_bytes > free:
        limited = math.isfinite(_allowed.get())
        whose = "given to a file here" if limited else "free"
        raise ValueError(
            f"{name} must leave room in memory: {what} take {n_bytes / 1e9:.3g} GB, and "
            f"{free / 1e9:.2g} GB are {whose}; {limited and _way_out.get() or way_out}"
        )


def check_known_fits(n_freqs: int, n_samples: int, name: str, way_out: str) -> None:
    """Refuse a scalogram that would not fit into memory with all that is known of it.

    Examples
    --------
    >>> check_known_fits(40, 512, "S", "cut it into pieces")
    """
    what = f"the values of {n_freqs:,} rows and {n_samples:,} samples"
    check_room(BYTES_PER_KNOWN * n_freqs * n_samples, name, what, way_out)


def _of_machine() -> int | None:
    """Return the free memory of the machine, or all of it where only that is known."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # no such question on this system
        return None


def _of_container() -> int | None:
    """Return what a container's limit leaves."""
    for folder, limit, usage in CGROUPS:
        most, used = _lines(f"{folder}/{limit}"), _lines(f"{folder}/{usage}")
        if most and used and most[0].strip().isdigit():
            # The system keeps the contents of files only as long as nobody needs the memory.
            kept = [line for line in _lines(f"{folder}/memory.stat") if "inactive_file" in line]
            return int(most[0]) - int(used[0]) + max((int(k.split()[1]) for k in kept), default=0)
    return None


def _of_process() -> int | None:
    """Return what the limit of the process (``ulimit -v``) leaves."""
    if sys.platform == "win32":
        return None
    import resource  # it exists on POSIX only

    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if most == resource.RLIM_INFINITY or not pages:
        return None
    return most - int(pages[0].split()[0]) * resource.getpagesize()


def _lines(path: str) -> list[str]:
    """Read the lines of a file of the system; none if it does not exist."""
    file = Path(path)
    try:
        return file.read_text().splitlines()
    except OSError:  # another system, or one that hides it
        return []
