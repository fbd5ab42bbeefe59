"""Numba and ssqueezepy, as this package uses them: safe in threads, and wherever it is installed.

Everything that numba compiles here comes through this module, so that two things are settled in one
place, before ssqueezepy is imported.

Where compiled functions are kept. Numba keeps them beside the source or in the home of the user. If
neither can be written to (a read-only installation in a container without a home, a full disk), it
raises, and no import would succeed. Then they are kept in a folder of the temporary files, or if
there is none, nowhere: they are compiled anew in each process.

In how many threads they run. ssqueezepy's functions start threads of numba's, and with the layer of
threads that numba has everywhere ("workqueue"), two Python threads that do so at a time end the
process. Inside `serial`, ssqueezepy takes those of its functions that start none.
"""

import atexit
import contextlib
import importlib.util
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numba
from numba.core import config
from numba.core.dispatcher import Dispatcher

__all__ = ["njit", "serial", "ssqueezepy"]

# A cache has to have room for so many bytes, which is more than one compiled function takes.
ROOM_NEEDED = 2**18

SWITCH = "SSQ_PARALLEL"  # ssqueezepy asks this variable whenever it chooses a function


def _settle_cache() -> None:
    """Choose another folder for compiled functions if numba's own choice cannot be written to."""
    spec = importlib.util.find_spec("ssqueezepy")
    sources = [__file__, *([spec.origin] if spec and spec.origin else [])]
    if all(map(_can_be_kept, sources)):
        return
    folder = _temporary_folder()
    if folder is not None:
        config.CACHE_DIR = str(folder)  # pyright: ignore[reportAttributeAccessIssue]
        if all(map(_can_be_kept, sources)):
            return
    Dispatcher.enable_caching = lambda self: None


def _can_be_kept(source: str) -> bool:
    """Tell whether a function of a source file can be kept where numba chooses."""
    made = {}
    exec(compile("def probe(): pass", source, "exec"), made)
    try:
        folder = numba.njit(cache=True)(made["probe"]).stats.cache_path
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM_NEEDED))
    except (RuntimeError, OSError):  # numba's words for no folder; the disk is full
        return False
    return True


def _temporary_folder() -> Path | None:
    """Make a folder that nobody else can write to, since what is kept in it will be run."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        folder = Path(tempfile.gettempdir()) / f"scalinv-utils-numba-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if _is_ours(folder):
            return folder
        folder = Path(tempfile.mkdtemp(prefix="scalinv-utils-numba-"))
    except OSError:  # nothing can be written anywhere
        return None
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_ours(folder: Path) -> bool:
    """Tell whether a folder belongs to this user, and to nobody else."""
    if not hasattr(os, "getuid"):
        return False
    said = folder.lstat()
    return stat.S_ISDIR(said.st_mode) and said.st_uid == os.getuid() and not said.st_mode & 0o077


_settle_cache()

import ssqueezepy  # noqa: E402  # after numba knows where to keep its functions

#: Compile a function without Python's objects, and keep it for the next process.
njit = partial(numba.njit, cache=True)

_lock = threading.Lock()
_inside, _before = 0, None


@contextlib.contextmanager
def serial() -> Iterator[None]:
    """Let ssqueezepy take its functions without threads; any number of threads may be inside.

    A wavelet that is made inside keeps them.

    Examples
    --------
    >>> with serial():
    ...     ssqueezepy.IS_PARALLEL()
    False
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = os.environ.get(SWITCH)
            os.environ[SWITCH] = "0"
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                _restore(_before)


def _restore(value: str | None) -> None:
    if value is None:
        del os.environ[SWITCH]
    else:
        os.environ[SWITCH] = value
