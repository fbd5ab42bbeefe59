"""A picture with controls whose work runs in a thread of its own, so that it can be cancelled."""

import base64
import io
import threading
import time
from collections.abc import Callable
from typing import Any

import ipywidgets
import torch

from ..course import audio
from ..course.widgets import LABEL, Pictured

__all__ = ["Working", "choice", "download", "row"]

TELL = 0.2  # seconds between two reports of the progress

# (iteration, x, consistency in dB) -> whether to stop, as methods call it back.
Watch = Callable[[int, torch.Tensor, float], bool]


class Working(Pictured):
    """Controls around one task, with a button that starts the work and one that cancels it.

    Whoever derives from it makes the controls ``go``, ``stop`` and ``status``, and the method
    ``_finish(outcome)``, which shows the result.
    """

    go: ipywidgets.Button
    stop: ipywidgets.Button
    status: ipywidgets.Label
    _worker: threading.Thread | None = None

    def _be_ready(self) -> None:
        """Make what the thread needs, before any control acts."""
        self._stopping, self._lock = threading.Event(), threading.RLock()

    def still(self) -> bytes:
        """Return the picture on show."""
        return bytes(self.picture.value or b"")

    def wait(self, timeout: float | None = None) -> None:
        """Wait until nothing is running any more, for tests and scripts."""
        if self._worker is not None:
            self._worker.join(timeout)

    def _has_task(self) -> bool:
        """Whether there is anything to work on."""
        raise NotImplementedError

    def _finish(self, outcome: Any) -> None:
        """Show a result."""
        raise NotImplementedError

    def _work(self, compute: Callable[[Watch], Any], tell: Callable[[int, float], None]) -> None:
        """Start ``compute(watch)`` in a thread; ``tell(iteration, fit)`` reports now and then."""
        self._stopping = stopping = threading.Event()
        threads = torch.get_num_threads()
        self._set_busy(True)

        def work() -> None:
            torch.set_num_threads(threads)  # a new thread begins with as many as there are cores
            self.attempt(lambda: self._carry_out(stopping, compute, tell))

        self._worker = threading.Thread(target=work, daemon=True)
        self._worker.start()

    def _carry_out(
        self,
        stopping: threading.Event,
        compute: Callable[[Watch], Any],
        tell: Callable[[int, float], None],
    ) -> None:
        """Compute, report the progress, and show the result unless it was cancelled."""
        told = 0.0

        def watch(iteration: int, x: torch.Tensor, consistency_db: float) -> bool:
            nonlocal told
            if time.monotonic() - told > TELL and not stopping.is_set():
                told = time.monotonic()
                tell(iteration, consistency_db)
            return stopping.is_set()

        try:
            outcome = compute(watch)
            with self._lock:
                if not stopping.is_set():
                    self._finish(outcome)
        finally:
            if not stopping.is_set():
                self._set_busy(False)

    def _cancel(self) -> None:
        """Tell what is running to stop, without waiting for it."""
        if not self.stop.disabled:
            self._stopping.set()
            self._set_busy(False)
            self.status.value = "cancelled"

    def _set_busy(self, busy: bool) -> None:
        self.go.disabled, self.stop.disabled = busy or not self._has_task(), not busy


# Any: for type checkers the value of a ToggleButtons may be None, but these always have one.
def choice(label: str, options: Any, value: Any) -> Any:
    """Make a row of buttons, one of which is down."""
    # A drop-down menu would not do: JupyterLab takes arrow keys and letters for its own commands
    # while a menu has the focus. Buttons leave Tab, Enter and the space bar to people.
    return ipywidgets.ToggleButtons(
        description=label, options=options, value=value, style=LABEL | {"button_width": "auto"}
    )


def row(*controls: ipywidgets.Widget) -> ipywidgets.HBox:
    """Put controls side by side, and below each other where the screen is narrow."""
    return ipywidgets.HBox(controls, layout={"flex_flow": "wrap"})


def download(y: torch.Tensor, sample_rate: float) -> str:
    """Write a link that saves the recovered sound, at its level unless that would clip."""
    buffer = io.BytesIO()
    audio.save_wav(buffer, y, sample_rate)
    uri = "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
    return f'<p><a download="recovered.wav" href="{uri}">Download the recovered sound (WAV)</a></p>'
