"""The second door of the app: bring a scalogram, read what is unusual about it, recover, listen.

The work is done by `brought`; here are the controls.
"""

import contextlib
import html
from collections.abc import Iterator

import ipywidgets
import numpy as np

from ..course import audio, plotting
from ..course.widgets import LABEL, film
from . import brought, session
from ._working import Working, choice, download, row

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
        self._film = film(_draw, figsize=(9, 3), ncols=2)
        self._make_controls()
        numbers = row(self.rate, self.seconds, self.f_min, self.f_max)
        moves = row(self.go, self.stop, self.status)
        super().__init__(
            "Your own scalogram",
            "The picture is still empty.",
            [
                *(numbers, self.wavelet, self.scale, self.upload),
                *(self.notice, self.sentences, moves, self.scores),
            ],
        )
        self._connect()

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

        self._work(lambda watch: brought.answered(given, callback=watch), tell)

    def _finish(self, outcome: brought.Answer) -> None:
        """Show an answer with its fit, error bar and sound."""
        self.answer = answer = outcome
        M = answer.brought.M
        self.status.value = f"done in {answer.seconds:.1f} s"
        self.show(self._film(answer))
        fit = f"Its scalogram fits what was given to {answer.consistency_db:.0f} dB."
        self.describe(f"On the left is the scalogram, on the right the recovered sound. {fit}")
        bar = f" The error bar: {answer.bar}." if answer.bar else ""
        self.scores.value = f"<p><b>{html.escape(fit + bar)}</b></p>"
        rate = round(M.W.sample_rate)
        players = audio.players({"recovered": answer.y}, rate)._repr_html_()
        self.sound.value = players + download(answer.y, rate)


def _number(label: str, value: float) -> ipywidgets.FloatText:
    return ipywidgets.FloatText(
        value=value, description=label, style=LABEL, layout={"width": "16em"}
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
