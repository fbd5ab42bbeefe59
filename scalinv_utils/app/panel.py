"""App of notebook 10: bring a sound, choose, recover, listen, download.

The work is done by `session`; here are the controls. A method runs in a thread of its own, so that
the progress bar moves and the cancel button answers.
"""

import contextlib
import html
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes

from .. import metrics
from ..course import audio, plotting, signals
from ..course.widgets import LABEL, film
from . import session
from ._working import Watch, Working, choice, download, row
from .door import Door

__all__ = ["Studio"]

OWN_FILE = "your file"
ACCEPT = ".wav,.flac,.ogg,.mp3,.aiff,.aif"
DETAIL = 0.02  # seconds of the waveform that are shown in detail


class Studio(Working):
    """Controls around one sound, for a notebook or, with Voila, for an app.

    Parameters
    ----------
    recording : str
        A key of ``signals.RECORDINGS``. The app opens with this sound, recovered already.
    n_samples : int
        One of ``session.LENGTHS``.

    Attributes
    ----------
    task : session.Task or None
        The stretch on show and its scalogram; None while no sound can be used.
    result : session.Attempt or None
        The waveform that was recovered from it, with its scores.
    recording, upload, length, start, wavelet, voices, method, go, stop, bar, status : widgets
        The controls, in the order on the screen.
    door : Door
        The second way in, folded below: for those who have a scalogram and no sound.
    notice, used, scores : ipywidgets.HTML
        Complaints about the input, the stretch that is used, and the scores with their meaning.

    Examples
    --------
    >>> from scalinv_utils.app import Studio
    >>> app = Studio("bell")
    >>> app.result.method
    'recover()'
    """

    task: session.Task | None = None
    result: session.Attempt | None = None

    def __init__(self, recording: str = "tabla", n_samples: int = 2048):
        self._be_ready()
        self._own_move = False
        self._film = film(_draw, figsize=(9, 6), nrows=2, ncols=2)
        self._make_controls(recording, n_samples)
        super().__init__(
            "Your own sound",
            "The picture is still empty.",
            [
                row(self.recording, self.upload),
                row(self.length, self.start),
                row(self.wavelet, self.voices),
                self.method,
                self.notice,
                self.used,
                row(self.go, self.stop, self.bar, self.status),
                self.scores,
            ],
        )
        self.door = Door()
        second = ipywidgets.Accordion([self.door], titles=("Or bring a scalogram",))
        self.children = (*self.children, second)
        self._take(*signals.recording(recording))
        if self.task is not None:
            self._finish(session.solve(self.task))
        self._connect()

    # -- controls ------------------------------------------------------------------------------

    def _make_controls(self, recording: str, n_samples: int) -> None:
        known = [
            name for name, entry in signals.RECORDINGS.items() if entry.sample_rate >= session.RATE
        ]
        self.recording = choice("recording", known, recording)
        self.upload = ipywidgets.FileUpload(
            accept=ACCEPT,
            description="or your own file",
            layout={"width": "12em"},
            tooltip="WAV, FLAC, OGG or MP3, up to 10 MB",
        )
        self.length = choice("length", list(session.LENGTHS.items()), n_samples)
        self.start = ipywidgets.FloatSlider(
            description="from (s)",
            step=0.01,
            style=LABEL,
            layout={"width": "24em", "max_width": "100%"},
            continuous_update=False,
        )
        self.wavelet = choice("wavelet", list(session.WAVELETS.items()), "cauchy")
        self.voices = choice("voices per octave", session.VOICES, 32)
        self.method = choice("method", list(session.METHODS), "recover()")
        self.go = ipywidgets.Button(description="Recover", button_style="primary", icon="play")
        self.stop = ipywidgets.Button(description="Cancel", icon="stop", disabled=True)
        self.bar = ipywidgets.FloatProgress(max=1.0, layout={"width": "10em"})
        self.status = ipywidgets.Label()
        self.notice, self.used, self.scores = (ipywidgets.HTML() for _ in range(3))

    def _connect(self) -> None:
        """Make the controls act."""

        def on(control: Any, action: Callable[[], object]) -> None:
            control.observe(
                lambda change: None if self._own_move else self.attempt(action), "value"
            )

        on(self.recording, self._choose)
        on(self.upload, self._read)
        on(self.length, self._cut)
        for control in (self.start, self.wavelet, self.voices):
            on(control, lambda: self._prepare(self.start.value))
        # `attempt` would clear the message at its end, and so remove that of the thread.
        self.go.on_click(lambda button: self._run())
        self.stop.on_click(lambda button: self._cancel())

    @contextlib.contextmanager
    def _moving(self) -> Iterator[None]:
        """Let the program move controls without setting anything off."""
        self._own_move = True
        try:
            yield
        finally:
            self._own_move = False

    # -- from a sound to a scalogram -----------------------------------------------------------

    def _choose(self) -> None:
        """Take the recording that was chosen, or the file that was uploaded before."""
        own = self.recording.value == OWN_FILE
        self._take(*(self._own if own else signals.recording(self.recording.value)))

    def _read(self) -> None:
        """Take the file that was uploaded, as much of it as can be used."""
        if not self.upload.value:
            return
        file = self.upload.value[0]
        with self._or_say_why():
            self._own = session.open_sound(file["name"], bytes(file["content"]))
            with self._moving():
                self.length.value = session.LONGEST
                if OWN_FILE not in self.recording.options:
                    self.recording.options = (*self.recording.options, OWN_FILE)
                self.recording.value = OWN_FILE
            self._take(*self._own)

    def _take(self, x: torch.Tensor, sample_rate: float) -> None:
        self._x, self._rate = x, sample_rate
        self._cut()

    def _cut(self) -> None:
        """Use the loudest stretch of the chosen length."""
        room = max(len(self._x) / self._rate - self.length.value / session.RATE, 0.0)
        with self._moving():
            self.start.max, self.start.disabled = room, room == 0
        self._prepare(None)

    def _prepare(self, start: float | None) -> None:
        """Use the stretch from `start` seconds on, by default the loudest one."""
        with self._lock, self._or_say_why():
            self._cancel()
            part = session.prepare(self._x, self._rate, self.length.value, start)
            with self._moving():
                self.start.value = part.start
            self.used.value = f"<p>{html.escape(part.words)}</p>"
            self._pose(session.pose(part.x, self.wavelet.value, self.voices.value))

    def _pose(self, task: session.Task) -> None:
        """Show a new task, and clear the result, which belongs to the one before."""
        self.task, self.result, self.go.disabled = task, None, False
        self.sound.value = self.scores.value = self.notice.value = self.status.value = ""
        self.bar.value = 0
        self.show(self._film(task))
        self.describe(
            "On the left are the waveform that was chosen and its scalogram. The right side is "
            "still empty: no method has been run."
        )

    @contextlib.contextmanager
    def _or_say_why(self) -> Iterator[None]:
        """Say why an input cannot be used, and leave nothing to start."""
        try:
            yield
        except ValueError as error:
            self.task, self.go.disabled = None, True
            self.used.value = ""
            self.notice.value = f'<p role="alert"><b>{html.escape(str(error))}</b></p>'

    # -- from a scalogram to a waveform --------------------------------------------------------

    def _has_task(self) -> bool:
        return self.task is not None

    def _run(self) -> None:
        """Start the method."""
        self._cancel()
        task, method = self.task, self.method.value
        if task is None:
            return
        progress = session.Progress(session.METHODS[method][1])

        def compute(watch: Watch) -> session.Attempt:
            def after_step(iteration: int, x: torch.Tensor, consistency_db: float) -> bool:
                progress.step(iteration, consistency_db)
                return watch(iteration, x, consistency_db)

            return session.solve(task, method, callback=after_step)

        def tell(iteration: int, fit: float) -> None:
            self.bar.value, self.status.value = progress.fraction, progress.words

        self.status.value = "getting ready ..."
        self._work(compute, tell)

    def _finish(self, outcome: session.Attempt) -> None:
        """Show a result with its words, scores and sounds."""
        self.result = result = outcome
        self.bar.value, self.status.value = 1.0, f"done in {result.seconds:.1f} s"
        self.show(self._film(result))
        self.describe(_in_words(result))
        self.scores.value = _scores(result)
        players = audio.players(result.sounds(), session.RATE)._repr_html_()
        self.sound.value = players + download(result.y, session.RATE)

    def _cancel(self) -> None:
        """Tell the method that is running to stop, and empty its bar."""
        if not self.stop.disabled:
            self.bar.value = 0
        super()._cancel()


# --- Parts of the screen -------------------------------------------------------------------------


def _draw(axes: np.ndarray, content: session.Task | session.Attempt) -> None:
    """Draw the given task on the left and the result on the right, if there is one yet."""
    task = content.task if isinstance(content, session.Attempt) else content
    (wave, error), (given, got) = axes
    wave.figure.get_layout_engine().set(wspace=0.06)  # apart from the label of a colour bar
    plotting.signal(wave, task.x, session.RATE, label="original")
    wave.set_title("the waveform, to be recovered")
    plotting.scalogram(given, task.S, task.W.frequencies, session.RATE)
    given.set_title("its scalogram, given")
    if isinstance(content, session.Attempt):
        _draw_solved(wave, error, got, content)
    else:
        for ax in (error, got):
            ax.set_axis_off()
            ax.text(0.5, 0.5, "press Recover", ha="center", transform=ax.transAxes)


def _draw_solved(wave: Axes, error: Axes, got: Axes, result: session.Attempt) -> None:
    """Draw the recovered waveform, its scalogram and the error of this scalogram."""
    task, rate = result.task, session.RATE
    S, W = task.S, task.W
    plotting.signal(wave, result.y, rate, label="recovered")
    first = signals.loudest(task.x, round(DETAIL * rate)) / rate
    wave.set(
        xlim=(first, first + DETAIL),
        title=f"{1000 * DETAIL:.0f} ms of the waveform: error {result.waveform_db:.0f} dB",
    )
    wave.set_ylim(top=1.4 * float(task.x.abs().max()))  # room for the legend
    wave.legend(loc="upper right", ncols=2)
    recovered = W.magnitude(result.y)
    plotting.scalogram(got, recovered, W.frequencies, rate, reference=float(S.max()))
    got.set_title(f"scalogram of the recovered: {result.consistency_db:.0f} dB")
    difference = (recovered - S).abs()
    largest = max(float(difference.max() / S.max()), 1e-16)  # rounding may leave exactly nothing
    plotting.scalogram(error, difference, W.frequencies, rate)
    error.set_title(f"difference: at most {metrics.decibels(largest):.0f} dB")


def _in_words(result: session.Attempt) -> str:
    """Describe the picture of a result."""
    return (
        f"Above left are {1000 * DETAIL:.0f} milliseconds of the original and of the sound that "
        f"{result.method} recovered: the waveform error is {result.waveform_db:.0f} dB. Below are "
        f"the given scalogram and that of the recovered sound: they differ by "
        f"{result.consistency_db:.0f} dB. Above right is a map of their difference, "
        "in decibels below its own peak. "
        + session.verdict(result.consistency_db, result.waveform_db, result.island_db)
    )


def _scores(result: session.Attempt) -> str:
    """Write the verdict and a table of the scores as HTML."""
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td>{value}</td><td>{meaning}</td></tr>'
        for name, value, meaning in result.meanings()
    )
    said = session.verdict(result.consistency_db, result.waveform_db, result.island_db)
    return f"<p><b>{html.escape(said)}</b></p><table><tbody>{rows}</tbody></table>"
