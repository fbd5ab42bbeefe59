"""A picture with controls whose work runs in a thread of its own, so that it can be cancelled."""

import base64
import functools
import html
import io
import threading
import time
from collections.abc import Callable, Iterable
from importlib import resources
from typing import Any

import ipywidgets
import numpy as np
import torch

from ..course import _web, audio
from ..course.widgets import LABEL, Pictured

__all__ = ["Heard", "Working", "choice", "download", "overview", "pictures", "row", "uploader"]

TELL = 0.2  # seconds between two reports of the progress

# A sound with a lower peak than this is saved in double precision: 16 bits would lose it.
FAINT = 1e-2

# (iteration, x, consistency in dB) -> whether to stop, as methods call it back.
Watch = Callable[[int, torch.Tensor, float], bool]


class Heard(ipywidgets.Output):
    """Players: HTML whose scripts run.

    The page puts the value of an `ipywidgets.HTML` in place without running its scripts, and a
    player that is driven by one would show its fallback for ever.

    Examples
    --------
    >>> from scalinv_utils.app._working import Heard
    >>> heard = Heard()
    >>> heard.value = "<p>A player.</p>"
    >>> heard.outputs[0]["data"]["text/html"]
    '<p>A player.</p>'
    """

    @property
    def value(self) -> str:
        """The HTML on show."""
        outputs: Any = self.outputs
        return outputs[0]["data"]["text/html"] if outputs else ""

    @value.setter
    def value(self, text: str) -> None:
        # Setting the trait works from any thread; entering the Output as a context does not.
        data = {"text/html": text, "text/plain": ""}
        output = {"output_type": "display_data", "data": data, "metadata": {}}
        self.outputs = (output,) if text else ()


class Working(Pictured):
    """Controls around one task, with a button that starts the work and one that cancels it.

    A class that derives from it makes the controls ``go``, ``stop`` and ``status``, and the method
    ``_finish(outcome)``, which shows the result.

    Attributes
    ----------
    views : ipywidgets.HTML
        The pictures on show, one below the other where the screen is narrow.
    sound : Heard
        The players.
    file : ipywidgets.HTML
        The link that saves the sound.
    made : ipywidgets.HTML
        Says what the result was made with, and whether the controls have changed since.
    found : ipywidgets.VBox
        All that belongs to the result.
    """

    go: ipywidgets.Button
    stop: ipywidgets.Button
    status: ipywidgets.Label
    _worker: threading.Thread | None = None

    def __init__(self, title: str, controls: Iterable[Any], scores: ipywidgets.HTML):
        super().__init__(title, "The picture is still empty.", [])
        self.views, self.file, self.made = (ipywidgets.HTML() for _ in range(3))
        self.made.add_class("scalinv-made")
        self.sound = Heard()
        results = [self.made, scores, self.views, self.sound, self.file, self.words]
        self.found = ipywidgets.VBox(results)
        self.found.add_class("scalinv-result")
        self.status.add_class("scalinv-status")
        # The first child gives the look, and names to the controls.
        dress = Heard()
        dress.value = f"<style>{_style()}</style>" + _web.element("names", {})
        made: Any = self.children  # by Pictured; the first of them is the heading
        self.children = [dress, made[0], *controls, self.message, self.found]
        self.add_class("scalinv-app")

    def element(self) -> str:
        """Return no HTML: without a kernel an app is its still picture."""
        return ""

    def _be_ready(self) -> None:
        """Make what the thread needs, before any control acts."""
        self._stopping, self._lock = threading.Event(), threading.RLock()

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

    def _clear(self) -> None:
        """Show no result any more: no words, no pictures, no sound."""
        for part in (self.made, self.views, self.sound, self.file, self.status):
            part.value = ""
        self.found.remove_class("scalinv-stale")

    def _complain(self, notice: ipywidgets.HTML, error: Exception) -> None:
        """Say why an input cannot be used; nothing of what was there before is left standing."""
        self._clear()
        self.go.disabled = True
        self.describe("There is no picture, since the input cannot be used.")
        notice.value = ""  # so that the same sentence is heard again
        notice.value = f'<p role="alert"><b>{html.escape(str(error))}</b></p>'

    def _say_made(self, words: str, stale: bool) -> None:
        """Say what the result was made with, and grey it if the controls have changed since."""
        now = " The controls have changed since: press Recover." if stale else ""
        self.made.value = f"<p>Made with {html.escape(words)}.{now}</p>"
        (self.found.add_class if stale else self.found.remove_class)("scalinv-stale")

    def _work(self, compute: Callable[[Watch], Any], tell: Callable[[int, float], None]) -> None:
        """Start ``compute(watch)`` in a thread; ``tell(iteration, fit)`` reports now and then."""
        self._stopping = stopping = threading.Event()
        self._set_busy(True)
        self._begin(lambda: self._carry_out(stopping, compute, tell))

    def _begin(self, action: Callable[[], object]) -> None:
        """Do something in a thread, and show its exception if it raises one."""
        threads = torch.get_num_threads()

        def act() -> None:
            torch.set_num_threads(threads)  # a new thread begins with as many as there are cores
            self.attempt(action)

        self._worker = threading.Thread(target=act, daemon=True)
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
            with self._lock:  # so that no report comes after the word "cancelled"
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
            with self._lock:
                if not stopping.is_set():
                    self._set_busy(False)

    def _cancel(self) -> None:
        """Tell what is running to stop, without waiting for it."""
        with self._lock:
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


def uploader(button: ipywidgets.FileUpload, largest: int) -> ipywidgets.VBox:
    """Put a button for a file beside what looks at the size of the file before it is sent."""
    looks = Heard()
    looks.value = _web.element("upload", {"largest": largest})
    box = ipywidgets.VBox([button, looks])
    box.add_class("scalinv-upload")
    return box


def pictures(images: Iterable[tuple[bytes, str]]) -> str:
    """Write pictures, each with its words, as HTML: an `ipywidgets.Image` has no words."""
    uri = "data:image/png;base64,"
    shown = "".join(
        f'<img alt="{html.escape(alt)}" src="{uri}{base64.b64encode(png).decode()}">'
        for png, alt in images
    )
    return f'<div class="scalinv-pictures">{shown}</div>'


def overview(x: torch.Tensor, first: float, last: float, columns: int = 320) -> str:
    """Draw a whole sound as SVG, with the share from `first` to `last` of it marked."""
    heights = [float(part.abs().max()) for part in x.tensor_split(min(columns, len(x)))]
    peak = max(heights) or 1.0
    scaled = np.array(heights) / peak * 30
    step = columns / len(scaled)
    upper = " ".join(f"L{step * (k + 0.5):.1f} {32 - h:.1f}" for k, h in enumerate(scaled))
    lower = " ".join(
        f"L{step * (k + 0.5):.1f} {32 + h:.1f}" for k, h in reversed([*enumerate(scaled)])
    )
    left, width = columns * first, max(columns * (last - first), 1.0)
    return (
        f'<svg viewBox="0 0 {columns} 64" preserveAspectRatio="none" role="img" aria-label="The '
        f'whole sound; the stretch that is used is marked">'
        f'<path d="M0 32 {upper} L{columns} 32 {lower} Z" fill="currentColor" opacity=".55"/>'
        f'<rect x="{left:.1f}" y="1" width="{width:.1f}" height="62" fill="#0072b2" '
        f'fill-opacity=".25" stroke="#0072b2" vector-effect="non-scaling-stroke"/></svg>'
    )


def download(y: torch.Tensor, sample_rate: float) -> str:
    """Write a link that saves the recovered sound, at its level unless that would clip."""
    buffer = io.BytesIO()
    faint = float(y.abs().max()) < FAINT
    audio.save_wav(buffer, y, sample_rate, "float64" if faint else "pcm16")
    uri = "data:audio/wav;base64," + base64.b64encode(buffer.getvalue()).decode()
    return f'<p><a download="recovered.wav" href="{uri}">Download the recovered sound (WAV)</a></p>'


@functools.cache
def _style() -> str:
    """Read the look of the app."""
    return (resources.files("scalinv_utils.app") / "app.css").read_text("utf-8")
