"""Keep what a method had reached when Ctrl-C (in a notebook: the stop button) ended it.

A method that is interrupted raises KeyboardInterrupt, as all of Python does: loops and programs
around it end. That exception has the Recovery so far as its attribute ``recovery``: the signal,
its fit and its history, as if the callback had stopped the method there, and "interrupted" among
its details. It is no class of its own, since a shell is told of Ctrl-C by that one class only.

Bars have a lock of their own. That of tqdm is taken in Python's code, so that an interrupt can
come after it was taken and before anything frees it; then all other threads that make a bar wait
forever. For the same reason torch may be left without gradients: they are switched on again.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import torch
from tqdm.auto import tqdm

from ._result import Recovery

__all__ = ["BAR_AFTER", "Bar", "interruptible", "kept"]

# A progress bar is shown after so many seconds.
BAR_AFTER = 2.0


@contextlib.contextmanager
def interruptible(so_far: Callable[[], Recovery | None]) -> Iterator[None]:
    """Give an interrupt the Recovery so far; none if there is none yet.

    A method inside may have given it a Recovery of its own, of a part or of another level: that
    is not handed on.
    """
    with_gradients = torch.is_grad_enabled()
    try:
        yield
    except (KeyboardInterrupt, SystemError) as error:
        if not (interrupt := _interrupt_behind(error)):
            raise
        torch.set_grad_enabled(with_gradients)
        vars(interrupt).pop("recovery", None)
        if recovery := so_far():
            vars(interrupt)["recovery"] = recovery
            interrupt.args = (f"{recovery!r} is kept as the attribute recovery of this exception",)
        raise interrupt from None


def _interrupt_behind(error: BaseException | None) -> KeyboardInterrupt | None:
    """Find an interrupt among the causes: numba's functions may make a SystemError of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error


def kept(interrupt: KeyboardInterrupt) -> Recovery | None:
    """Return the Recovery that an interrupted method has left; None if it had none."""
    return getattr(interrupt, "recovery", None)


class Bar(tqdm):
    """A progress bar that an interrupt cannot leave locked."""


Bar.set_lock(threading.RLock())
