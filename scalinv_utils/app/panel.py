"""App of notebook 10: bring a sound, choose, recover, listen, download.

The work is done by `session`; here are the controls. A method runs in a thread of its own, so that
the progress bar moves and the cancel button answers.
"""

import contextlib
import html
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ipywidgets
import numpy as np
import torch
from matplotlib.axes import Axes

from .. import metrics
from ..course import audio, plotting, signals
from ..course.widgets import film
from . import session
from ._working import Watch, Working, choice, download, overview, pictures, row, uploader
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
        A key of ``signals.RECORDINGS``. The app opens with this sound.
    n_samples : int
        One of ``session.LENGTHS``.
    solved : bool
        Whether the sound is recovered already when the app opens, which takes some seconds. If
        not, the controls are there at once, and the scalogram follows.

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
    notice, used, whole, scores : ipywidgets.HTML
        Complaints about the input, the stretch that is used, the whole sound with this stretch
        marked, and the scores with their meaning.

    Examples
    --------
    >>> from scalinv_utils.app import Studio
    >>> app = Studio("bell")
    >>> app.result.method
    'recover()'
    """

    task: session.Task | None = None
    result: session.Attempt | None = None
    _said: Sequence[str] = ()  # what was left out of a file
    _x: torch.Tensor | None = None  # the whole sound; None while there is none

    def __init__(self, recording: str = "tabla", n_samples: int = 2048, *, solved: bool = True):
        self._be_ready()
        self._own_move = False
        self._film = film(_draw_panel, figsize=(4.5, 3))
        self._make_controls(recording, n_samples)
        timeline = ipywidgets.VBox([self.whole, self.start])
        timeline.add_class("scalinv-timeline")
        controls = [
            row(self.recording, uploader(self.upload, session.largest_file())),
            *(self.length, self.notice, self.used, timeline),
            *(row(self.wavelet, self.voices), self.method),
            row(self.go, self.stop, self.bar, self.status),
        ]
        super().__init__("Your own sound", controls, self.scores)
        self.door = Door()
        second = ipywidgets.Accordion([self.door], titles=("Or bring a scalogram",))
        self.children = (*self.children, second)
        self._connect()
        if solved:
            self._finish(session.solve(self._open(recording)))
        else:
            self._begin(lambda: self._open(recording))

    def still(self) -> bytes:
        """Draw what is on show as one picture."""
        shown = self.result or self.task
        assert shown is not None
        return film(_draw, figsize=(9, 6), nrows=2, ncols=2)(shown)

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        # Viewers without a kernel get a picture of a result; none is drawn before there is one.
        if self.result is not None:
            return super()._repr_mimebundle_(**kwargs)
        return ipywidgets.VBox._repr_mimebundle_(self, **kwargs)

    # -- controls ------------------------------------------------------------------------------

    def _make_controls(self, recording: str, n_samples: int) -> None:
        known = [
            name for name, entry in signals.RECORDINGS.items() if entry.sample_rate >= session.RATE
        ]
        self.recording = choice("recording", known, recording)
        self.upload = ipywidgets.FileUpload(
            accept=ACCEPT,
            description="or your own file",
            tooltip=f"WAV, FLAC, OGG or MP3, up to {session.largest_file() / 1e6:.0f} MB",
        )
        self.length = choice("length", list(session.LENGTHS.items()), n_samples)
        self.start = ipywidgets.FloatSlider(
            description="start of the stretch, in seconds",
            step=0.01,
            readout=False,  # the sentence above says it
            continuous_update=False,
        )
        self.wavelet = choice("wavelet", list(session.WAVELETS.items()), "cauchy")
        self.voices = choice("voices per octave", session.VOICES, 32)
        self.method = choice("method", list(session.METHODS), "recover()")
        self.go = ipywidgets.Button(
            description="Recover", button_style="primary", icon="play", disabled=True
        )
        self.stop = ipywidgets.Button(description="Cancel", icon="stop", disabled=True)
        self.bar = ipywidgets.FloatProgress(max=1.0, layout={"width": "10em", "display": "none"})
        self.status = ipywidgets.Label()
        self.notice, self.used, self.whole, self.scores = (ipywidgets.HTML() for _ in range(4))
        self.whole.add_class("scalinv-overview")

    def _connect(self) -> None:
        """Make the controls act."""

        def on(control: Any, action: Callable[[], object]) -> None:
            # The front end may send a move before the last one is done, to another thread.
            def act(change: Any) -> None:
                with self._lock:
                    if not self._own_move:
                        self.attempt(action)

            control.observe(act, "value")

        on(self.recording, self._choose)
        on(self.upload, self._read)
        on(self.length, self._cut)
        for control in (self.start, self.wavelet, self.voices):
            on(control, lambda: self._prepare(self.start.value))
        on(self.method, self._credit)
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
        if self.recording.value is not None:  # None: the file that was brought is of no use
            if self.recording.value == OWN_FILE:
                x, sample_rate, said = self._own
                self._take(x, sample_rate, said)
            else:
                self._take(*signals.recording(self.recording.value))

    def _read(self) -> None:
        """Take the file that was uploaded, as much of it as can be used."""
        if not self.upload.value:
            return
        file = self.upload.value[0]
        try:
            with self._or_say_why():
                said: list[str] = []
                sound = session.open_sound(file["name"], bytes(file["content"]), said)
                own = (sound[0], sound[1], said)
                with self._moving():
                    self.length.value = session.LONGEST
                    if OWN_FILE not in self.recording.options:
                        self.recording.options = (*self.recording.options, OWN_FILE)
                    self.recording.value = OWN_FILE
                self._own = own
                self._take(*own)
        finally:
            # An empty button takes the same file again, and tells the page that this one is read.
            with self._moving():
                self.upload.value = ()

    def _open(self, recording: str) -> Any:
        """Take the recording that the app opens with, unless another sound was chosen meanwhile."""
        sound = signals.recording(recording)
        with self._lock:
            if self.task is None and self.recording.value == recording:
                self._take(*sound)
        return self.task

    def _take(self, x: torch.Tensor, sample_rate: float, said: Sequence[str] = ()) -> None:
        self._x, self._rate, self._said = x, sample_rate, said
        self._cut()

    def _cut(self) -> None:
        """Use the loudest stretch of the chosen length."""
        if self._x is None:
            return
        room = max(len(self._x) / self._rate - self.length.value / session.RATE, 0.0)
        with self._moving():
            self.start.max, self.start.disabled = room, room == 0
        # As wide as the part of the sound where a stretch can begin: the handle stands below it.
        share = room * self._rate / len(self._x)
        self.start.layout.width = f"calc({100 * share:.1f}% + 16px)"
        self.start.layout.display = "" if room else "none"
        self._prepare(None)

    def _prepare(self, start: float | None) -> None:
        """Use the stretch from `start` seconds on, by default the loudest one."""
        if self._x is None:
            return
        with self._lock:
            self._cancel()
            self._mark(self._x, self.start.value if start is None else start)
            with self._or_say_why(keep_sound=True):
                length = self.length.value
                part = session.prepare(self._x, self._rate, length, start, self._said)
                with self._moving():
                    self.start.value = part.start
                self.used.value = f"<p>{html.escape(part.words)}</p>"
                self._mark(self._x, part.start)
                self._pose(session.pose(part.x, self.wavelet.value, self.voices.value))

    def _mark(self, x: torch.Tensor, start: float) -> None:
        """Mark the stretch in the picture of the whole sound."""
        seconds = len(x) / self._rate
        last = start + self.length.value / session.RATE
        self.whole.value = overview(x, start / seconds, min(last / seconds, 1.0))

    def _pose(self, task: session.Task) -> None:
        """Show a new task, and clear the result, which belongs to the one before."""
        shown = self._drawn(task)  # before the old picture goes, so that nothing flickers
        self._clear()
        self.task, self.go.disabled, self.notice.value = task, False, ""
        self.views.value = shown
        self.describe(
            "There are the waveform that was chosen and its scalogram. No method has been run yet."
        )

    def _drawn(self, content: session.Task | session.Attempt) -> str:
        return pictures((self._film((draw, content)), alt) for draw, alt in _panels(content))

    def _clear(self) -> None:
        super()._clear()
        self.result, self.scores.value, self.bar.value = None, "", 0.0
        self.bar.layout.display = "none"

    @contextlib.contextmanager
    def _or_say_why(self, keep_sound: bool = False) -> Iterator[None]:
        """Say why an input cannot be used, and leave nothing to start.

        A stretch that is of no use can be moved; after a file that is of none, no sound is chosen.
        """
        try:
            yield
        except ValueError as error:
            self._cancel()
            self.task, self.used.value = None, ""
            if not keep_sound:
                with self._moving():
                    self.recording.value, self.start.disabled = None, True
                self._x, self.whole.value = None, ""
            self._complain(self.notice, error)

    # -- from a scalogram to a waveform --------------------------------------------------------

    def _has_task(self) -> bool:
        return self.task is not None

    def _run(self) -> None:
        """Start the method."""
        self._cancel()
        task, method = self.task, self.method.value
        if task is None:
            return
        shown = self._drawn(task)
        self._clear()
        self.views.value = shown
        progress = session.Progress(session.METHODS[method][1])

        def compute(watch: Watch) -> session.Attempt:
            def after_step(iteration: int, x: torch.Tensor, consistency_db: float) -> bool:
                progress.step(iteration, consistency_db)
                return watch(iteration, x, consistency_db)

            return session.solve(task, method, callback=after_step)

        def tell(iteration: int, fit: float) -> None:
            self.status.value = progress.words
            if progress.fraction is not None:
                self.bar.value, self.bar.layout.display = progress.fraction, ""

        self.status.value = "getting ready ..."
        self._work(compute, tell)

    def _finish(self, outcome: session.Attempt) -> None:
        """Show a result with its words, scores and sounds."""
        self.result = result = outcome
        self.bar.value, self.status.value = 1.0, f"done in {result.seconds:.1f} s"
        self.views.value = self._drawn(result)
        self.describe(_in_words(result))
        self.scores.value = _scores(result)
        self.sound.value = audio.players(result.sounds(), session.RATE)._repr_html_()
        self.file.value = download(result.y, session.RATE)
        self._credit()

    def _credit(self) -> None:
        """Say what the result was made with, and whether another method was chosen since."""
        if self.result is not None:
            stale = self.result.method != self.method.value
            self._say_made(self.result.made_with, stale)

    def _cancel(self) -> None:
        """Tell the method that is running to stop, and empty its bar."""
        if not self.stop.disabled:
            self.bar.value, self.bar.layout.display = 0, "none"
        super()._cancel()


# --- Parts of the screen -------------------------------------------------------------------------


def _draw(axes: np.ndarray, content: session.Task | session.Attempt) -> None:
    """Draw all panels on the axes of one figure, for viewers without a kernel."""
    axes[0, 0].figure.get_layout_engine().set(wspace=0.06)  # apart from the label of a colour bar
    places = [axes[0, 0], axes[1, 0], axes[1, 1], axes[0, 1]]
    panels = _panels(content)
    for ax, (draw, _) in zip(places, panels):
        draw(ax, content)
    for ax in places[len(panels) :]:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "press Recover", ha="center", transform=ax.transAxes)


def _draw_panel(ax: Axes, panel: tuple[Callable[[Axes, Any], None], Any]) -> None:
    """Draw one panel: a function, and what it draws."""
    draw, content = panel
    draw(ax, content)


def _panels(
    content: session.Task | session.Attempt,
) -> list[tuple[Callable[[Axes, Any], None], str]]:
    """List what is shown of a task, or of a result: the functions that draw it, and its words."""
    if isinstance(content, session.Task):
        return [
            (_draw_wave, "The waveform that is to be recovered."),
            (_draw_given, "Its scalogram, all that a method is given."),
        ]
    error, fit = f"{content.waveform_db:.0f} dB", f"{content.consistency_db:.0f} dB"
    return [
        (_draw_detail, f"Original and recovered waveform: the error is {error}."),
        (lambda ax, result: _draw_given(ax, result.task), "The scalogram that was given."),
        (_draw_got, f"The scalogram of the recovered sound: it fits to {fit}."),
        (_draw_difference, "The difference of both scalograms, in dB below its own peak."),
    ]


def _draw_wave(ax: Axes, task: session.Task) -> None:
    plotting.signal(ax, task.x, session.RATE)
    ax.set_title("the waveform, to be recovered")


def _draw_given(ax: Axes, task: session.Task) -> None:
    plotting.scalogram(ax, task.S, task.W.frequencies, session.RATE)
    ax.set_title("its scalogram, given")


def _draw_detail(ax: Axes, result: session.Attempt) -> None:
    """Draw the loudest milliseconds of both waveforms."""
    x, rate = result.task.x, session.RATE
    plotting.signal(ax, x, rate, label="original")
    plotting.signal(ax, result.y, rate, label="recovered")
    first = signals.loudest(x, round(DETAIL * rate)) / rate
    ax.set(
        xlim=(first, first + DETAIL),
        title=f"{1000 * DETAIL:.0f} ms of the waveform: error {result.waveform_db:.0f} dB",
    )
    ax.set_ylim(top=1.4 * float(x.abs().max()))  # room for the legend
    ax.locator_params(axis="x", nbins=5)
    ax.legend(loc="upper right", ncols=2)


def _draw_got(ax: Axes, result: session.Attempt) -> None:
    S, W = result.task.S, result.task.W
    recovered = W.magnitude(result.y)
    plotting.scalogram(ax, recovered, W.frequencies, session.RATE, reference=float(S.max()))
    ax.set_title(f"scalogram of the recovered: {result.consistency_db:.0f} dB")


def _draw_difference(ax: Axes, result: session.Attempt) -> None:
    S, W = result.task.S, result.task.W
    difference = (W.magnitude(result.y) - S).abs()
    largest = max(float(difference.max() / S.max()), 1e-16)  # rounding may leave exactly nothing
    plotting.scalogram(ax, difference, W.frequencies, session.RATE)
    ax.set_title(f"difference: at most {metrics.decibels(largest):.0f} dB")


def _in_words(result: session.Attempt) -> str:
    """Describe the picture of a result."""
    return (
        f"There are {1000 * DETAIL:.0f} milliseconds of the original and of the sound that "
        f"{result.method} recovered: the waveform error is {result.waveform_db:.0f} dB. The given "
        f"scalogram and that of the recovered sound differ by {result.consistency_db:.0f} dB. A "
        "map shows their difference, in decibels below its own peak. "
        + session.verdict(result.consistency_db, result.waveform_db, result.island_db)
    )


def _scores(result: session.Attempt) -> str:
    """Write the verdict and the scores with their meanings as HTML."""
    rows = "".join(
        f'<dt>{name}</dt><dd class="scalinv-value">{value}</dd>'
        f'<dd class="scalinv-meaning">{meaning}</dd>'
        for name, value, meaning in result.meanings()
    )
    said = session.verdict(result.consistency_db, result.waveform_db, result.island_db)
    return f'<p><b>{html.escape(said)}</b></p><dl class="scalinv-scores">{rows}</dl>'
