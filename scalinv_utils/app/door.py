"""The second door of the app: bring a scalogram, read what is unusual about it, recover, listen.

The work is done by `brought`; here are the controls.
"""

import contextlib
import html
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
from matplotlib.axes import Axes

from ..course import audio, plotting
from ..course.widgets import LABEL, film
from ..measured import Measured
from . import brought, session
from ._working import Working, choice, download, pictures, row, uploader

__all__ = ["Door"]

SCALES_BY_NAME = {"modulus": "modulus", "power": "power", "decibels": "db"}


class Door(Working):
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

    def __init__(self) -> None:
        self._be_ready()
        self._file: dict[str, Any] | None = None
        self._film = film(_draw_panel, figsize=(4.5, 3))
        self._make_controls()
        controls = [
            row(self.rate, self.seconds, self.f_min, self.f_max),
            *(self.wavelet, self.scale, uploader(self.upload, session.largest_file())),
            *(self.notice, self.sentences, row(self.go, self.stop, self.status)),
        ]
        super().__init__("Your own scalogram", controls, self.scores)
        self._connect()

    def still(self) -> bytes:
        """Draw the scalogram that was brought."""
        assert self.given is not None
        return self._film((_draw_given, self.given.M))

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        if self.given is not None:
            return super()._repr_mimebundle_(**kwargs)
        return ipywidgets.VBox._repr_mimebundle_(self, **kwargs)

    # -- controls ------------------------------------------------------------------------------

    def _make_controls(self) -> None:
        self.rate = _number("samples per second", 8000.0)
        self.seconds = _number("seconds", 0.256)
        self.f_min, self.f_max = _number("lowest row (Hz)", 50.0), _number("highest (Hz)", 4000.0)
        self.wavelet = choice("wavelet", list(session.WAVELETS.items()), "gmw")
        self.scale = choice("numbers are", list(SCALES_BY_NAME.items()), "modulus")
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
        self.upload.observe(lambda change: self._receive(), "value")
        for control in (self.rate, self.seconds, self.f_min, self.f_max, self.wavelet, self.scale):
            control.observe(lambda change: self.attempt(self._read), "value")
        self.go.on_click(lambda button: self._run())
        self.stop.on_click(lambda button: self._cancel())

    # -- from a file to an answer --------------------------------------------------------------

    def _receive(self) -> None:
        """Keep the file that was uploaded, and read it."""
        if not self.upload.value:
            return
        with self._lock:
            file = self.upload.value[0]
            self._file = {"name": file["name"], "content": bytes(file["content"])}
            self.attempt(self._read)
            # An empty button takes the same file again, and tells the page that this one is read.
            self.upload.value = ()

    def _read(self) -> None:
        """Read the file, as the controls describe it."""
        if self._file is None:
            return
        with self._lock, self._or_say_why():
            self._cancel()
            self._clear()
            if len(self._file["content"]) > session.largest_file():
                size = len(self._file["content"])
                raise ValueError(session.too_large(self._file["name"], size))
            self.given = brought.read(
                self._file["name"],
                self._file["content"],
                sample_rate=self.rate.value,
                seconds=self.seconds.value,
                f_min=self.f_min.value,
                f_max=self.f_max.value,
                wavelet=self.wavelet.value,
                scale=self.scale.value,
            )
            self._show()

    def _clear(self) -> None:
        super()._clear()
        self.answer, self.scores.value = None, ""

    def _show(self) -> None:
        """Show the scalogram, and what is unusual about it."""
        assert self.given is not None
        self.notice.value, self.go.disabled = "", False
        self.sentences.value = f"<p>{html.escape(brought.examined(self.given))}</p>"
        self.views.value = pictures([self._picture_of_given(self.given)])
        self.describe(f"There is the scalogram of {self.given.name}.")

    def _picture_of_given(self, given: brought.Brought) -> tuple[bytes, str]:
        return self._film((_draw_given, given.M)), f"The scalogram of {given.name}, as given."

    @contextlib.contextmanager
    def _or_say_why(self) -> Iterator[None]:
        """Say why a file cannot be used, and leave nothing to start."""
        try:
            yield
        except (ValueError, TypeError, OSError, ImportError) as error:
            self._cancel()
            self.given, self.sentences.value = None, ""
            self._complain(self.notice, error)

    def _has_task(self) -> bool:
        return self.given is not None

    def _run(self) -> None:
        """Start the recovery."""
        self._cancel()
        given = self.given
        if given is None:
            return

        def tell(iteration: int, fit: float) -> None:
            self.status.value = f"step {iteration}, fits to {fit:.0f} dB"

        self._clear()
        self.views.value = pictures([self._picture_of_given(given)])
        self.status.value = "getting ready ..."
        self._work(lambda watch: brought.answered(given, callback=watch), tell)

    def _finish(self, outcome: brought.Answer) -> None:
        """Show an answer with its fit, error bar and sound."""
        self.answer = answer = outcome
        M = answer.brought.M
        self.status.value = f"done in {answer.seconds:.1f} s"
        fit = f"Its scalogram fits what was given to {answer.consistency_db:.0f} dB."
        wave = self._film((_draw_wave, answer)), f"The recovered waveform. {fit}"
        self.views.value = pictures([self._picture_of_given(answer.brought), wave])
        self.describe(f"There are the scalogram and the recovered sound. {fit}")
        bar = f" The error bar: {answer.bar}." if answer.bar else ""
        self.scores.value = f"<p><b>{html.escape(fit + bar)}</b></p>"
        self._say_made(f"recover(), from {answer.brought.name}", stale=False)
        rate = round(M.W.sample_rate)
        self.sound.value = audio.players({"recovered": answer.y}, rate)._repr_html_()
        self.file.value = download(answer.y, rate)


def _number(label: str, value: float) -> ipywidgets.FloatText:
    return ipywidgets.FloatText(
        value=value, description=label, style=LABEL, layout={"width": "16em"}
    )


def _draw_panel(ax: Axes, panel: tuple[Callable[[Axes, Any], None], Any]) -> None:
    """Draw one panel: a function, and what it draws."""
    draw, content = panel
    draw(ax, content)


def _draw_given(ax: Axes, M: Measured) -> None:
    plotting.scalogram(ax, M.S, M.W.frequencies, M.W.sample_rate / M.columns.hop)
    ax.set_title("the scalogram, given")


def _draw_wave(ax: Axes, answer: brought.Answer) -> None:
    plotting.signal(ax, answer.y, answer.brought.M.W.sample_rate)
    ax.set_title(f"recovered: fits to {answer.consistency_db:.0f} dB")
