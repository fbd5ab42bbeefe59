"""Memory that was freed goes back to the system: for kernels that live long and have little."""

import contextlib
import ctypes
import gc


def give_back():
    """Return to the system what nobody uses any more.

    What refers to itself in a circle, as the callbacks of an optimiser do, waits for the garbage
    collector, however large the arrays that hang on it: Python counts objects, not bytes. And glibc
    keeps freed arrays of some megabytes for itself, in one heap for each thread that ever ran
    a method. After a few recoveries of half a second that was 300 MB which nobody used, and the
    next recovery came on top of it. Other C libraries have no such call, and none is made there.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
