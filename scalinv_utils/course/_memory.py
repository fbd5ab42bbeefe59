"""Return freed memory to the system: kernels live long, and Binder gives them little."""

import contextlib
import ctypes
import gc


def give_back() -> None:
    """Return memory that is no longer used to the system.

    Reference cycles, such as those of an optimiser's callbacks, keep large arrays alive until the
    cyclic collector runs, and it counts objects, not bytes. Besides, glibc keeps freed arrays of
    some megabytes for itself, in one heap for each thread that ever ran a method. After a few
    recoveries of half a second it held 300 MB that nothing used, and the next recovery came on top
    of it. Other C libraries have no such call, and none is made there.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)
