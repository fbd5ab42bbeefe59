"""The second door of the app: bring a scalogram, read what is unusual about it, recover, listen.

The work is done by `brought`; here are the controls.
"""

import contextlib
import html
import threading
import time
from collections.abc import Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch

from ..course import audio, plotting
from ..course.widgets import LABEL, Pictured, film
from . import brought, session

__all__ = ["Door"]

SCALES_BY_NAME = {"modulus": "modulus", "power": "power", "decibels": "db"}
TOLD_EVERY = 0.2  # seconds between two reports of the progress


class Door(Pictured):
    """Controls around one scalogram that somebody brings.

    Attributes
    ----------
    given : brought.Brought or None
        The scalogram on show; None while no file can be used.
    answer : brought.Answer or None
        The signal that was recovered from it.
    upload, rate, seconds, f_min, f_max, wavelet, scale, go, stop, status : widgets
        The controls, in the order on the screen.
    notice, sentences, scores : ipywidgets.HTML
        Complaints about the input, what `diagnose` says, and the fit with its error bar.

    Examples
    --------
    >>> from scalinv_utils.app.door import Door
    >>> Door().go.disabled
    True
    """

    given: brought.Brought | None = None
    answer: brought.Answer | None = None
    _worker: threading.Thread | None = None

    def __init__(self) -> None:
        self._stopping, self._lock = threading.Event(), threading.RLock()
        self._film = film(_draw, figsize=(9, 3), ncols=2)
        self._make_controls()
        numbers = ipywidgets.HBox(
            [self.rate, self.seconds, self.f_min, self.f_max], layout={"flex_flow": "wrap"}
        )
        moves = ipywidgets.HBox([self.go, self.stop, self.status])
        super().__init__(
            "Your own scalogram",
            "The picture is still empty.",
            [
                *(numbers, self.wavelet, self.scale, self.upload),
                *(self.notice, self.sentences, moves, self.scores),
            ],
        )
        self._connect()

    def still(self) -> bytes:
        """Return the picture on show."""
        return bytes(self.picture.value or b"")

    def wait(self, timeout: float | None = None) -> None:
        """Wait until nothing is running any more, for tests and scripts."""
        if self._worker is not None:
            self._worker.join(timeout)

    # -- controls ------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.rate = _number("samples per second", 8000.0)
        self.seconds = _number("seconds", 0.256)
        self.f_min, self.f_max = _number("lowest row (Hz)", 50.0), _number("highest (Hz)", 4000.0)
        self.wavelet = _buttons("wavelet", session.WAVELETS, "gmw")
        self.scale = _buttons("numbers are", SCALES_BY_NAME, "modulus")
        self.upload = ipywidgets.FileUpload(
            accept=",".join(brought.SUFFIXES),
            description="a scalogram",
            tooltip="an array (.npy, .npz, .mat) or a picture (.png)",
        )
        self.go = ipywidgets.Button(
            description="Recover", button_style="primary", icon="play", disabled=True
        )
        self.stop = ipywidgets.Button(description="Cancel", icon="stop", disabled=True)
        self.status = ipywidgets.Label()
        self.notice, self.sentences, self.scores = (ipywidgets.HTML() for _ in range(3))

    def _connect(self) -> None:
        """Make the controls act: each of them reads the file anew."""
        for control in (
            *(self.upload, self.rate, self.seconds, self.f_min, self.f_max),
            *(self.wavelet, self.scale),
        ):
            control.observe(lambda change: self.attempt(self._read), "value")
        self.go.on_click(lambda button: self._run())
        self.stop.on_click(lambda button: self._cancel())

    # -- from a file to an answer --------------------------------------------------------------

    def _read(self) -> None:
        """Read the file that was uploaded, as the controls describe it."""
        if not self.upload.value:
            return
        file = self.upload.value[0]
        with self._lock, self._or_say_why():
            self._cancel()
            self.answer = None
            self.sound.value = self.scores.value = self.status.value = ""
            self.given = brought.read(
                file["name"],
                bytes(file["content"]),
                sample_rate=self.rate.value,
                seconds=self.seconds.value,
                f_min=self.f_min.value,
                f_max=self.f_max.value,
                wavelet=self.wavelet.value,
                scale=self.scale.value,
            )
            self._show()

    def _show(self) -> None:
        """Show the scalogram, and what is unusual about it."""
        assert self.given is not None
        self.notice.value, self.go.disabled = "", False
        self.sentences.value = f"<p>{html.escape(brought.examined(self.given))}</p>"
        self.show(self._film(self.given))
        self.describe(f"On the left is the scalogram of {self.given.name}.")

    @contextlib.contextmanager
    def _or_say_why(self) -> Iterator[None]:
        """Say why a file cannot be used, and leave nothing to start."""
        try:
            yield
        except (ValueError, TypeError, OSError, ImportError) as error:
            self.given, self.go.disabled, self.sentences.value = None, True, ""
            self.notice.value = f'<p role="alert"><b>{html.escape(str(error))}</b></p>'

    def _run(self) -> None:
        """Start the recovery in a thread of its own."""
        self._cancel()
        given, threads = self.given, torch.get_num_threads()
        if given is None:
            return
        self._stopping = stopping = threading.Event()
        self._set_busy(True)

        def work() -> None:
            torch.set_num_threads(threads)  # a new thread begins with as many as there are cores
            self.attempt(lambda: self._solve(given, stopping))

        self._worker = threading.Thread(target=work, daemon=True)
        self._worker.start()

    def _solve(self, given: brought.Brought, stopping: threading.Event) -> None:
        """Recover, report the progress, and show the answer unless it was cancelled."""
        told = 0.0

        def after_step(iteration: int, x: torch.Tensor, consistency_db: float) -> bool:
            nonlocal told
            if time.monotonic() - told > TOLD_EVERY and not stopping.is_set():
                told = time.monotonic()
                self.status.value = f"step {iteration}, fits to {consistency_db:.0f} dB"
            return stopping.is_set()

        try:
            answer = brought.answered(given, callback=after_step)
            with self._lock:
                if not stopping.is_set():
                    self._finish(answer)
        finally:
            if not stopping.is_set():
                self._set_busy(False)

    def _finish(self, answer: brought.Answer) -> None:
        """Show an answer with its fit, error bar and sound."""
        self.answer, M = answer, answer.brought.M
        self.status.value = f"done in {answer.seconds:.1f} s"
        self.show(self._film(answer))
        fit = f"Its scalogram fits what was given to {answer.consistency_db:.0f} dB."
        self.describe(f"On the left is the scalogram, on the right the recovered sound. {fit}")
        bar = f" The error bar: {answer.bar}." if answer.bar else ""
        self.scores.value = f"<p><b>{html.escape(fit + bar)}</b></p>"
        rate = round(M.W.sample_rate)
        self.sound.value = audio.players({"recovered": answer.y}, rate)._repr_html_()

    def _cancel(self) -> None:
        """Tell what is running to stop, without waiting for it."""
        if not self.stop.disabled:
            self._stopping.set()
            self._set_busy(False)
            self.status.value = "cancelled"

    def _set_busy(self, busy: bool) -> None:
        self.go.disabled, self.stop.disabled = busy or self.given is None, not busy


def _number(label: str, value: float) -> ipywidgets.FloatText:
    return ipywidgets.FloatText(
        value=value, description=label, style=LABEL, layout={"width": "16em"}
    )


# Any: for type checkers the value of a ToggleButtons may be None, but these always have one.
def _buttons(label: str, options: dict[str, str], value: str) -> Any:
    return ipywidgets.ToggleButtons(
        description=label,
        options=list(options.items()),
        value=value,
        style=LABEL | {"button_width": "auto"},
    )


def _draw(axes: np.ndarray, content: brought.Brought | brought.Answer) -> None:
    """Draw the given scalogram on the left and the recovered waveform, if there is one yet."""
    given, wave = axes
    solved = isinstance(content, brought.Answer)
    M = content.brought.M if solved else content.M
    rate = M.W.sample_rate
    plotting.scalogram(given, M.S, M.W.frequencies, rate / M.columns.hop)
    given.set_title("the scalogram, given")
    if solved:
        plotting.signal(wave, content.y, rate)
        wave.set_title(f"recovered: fits to {content.consistency_db:.0f} dB")
    else:
        wave.set_axis_off()
        wave.text(0.5, 0.5, "press Recover", ha="center", transform=wave.transAxes)
