"""Explorers: controls for the mouse or the arrow keys, and a picture that follows them.

Every explorer has three parts that are kept apart::

    compute(**values) -> result      pure: no picture, no widget
    draw(axes, result)               on the axes it is given: no widget, no computing
    explore(compute, draw, controls) the controls, and one reused figure rendered into a picture

`frame_player` is the special case of a film: numbered frames, a play button and a slider. Either
may ask for predictions before it shows its picture. A viewer that has no running kernel gets a
still picture (GitHub, a notebook not trusted yet) or, where scripts run, the stored pictures with
controls of their own (`_stored`). An exception of a callback is shown under the picture, since
front ends hide it otherwise.

Every picture is drawn once. Pictures that have not been asked for yet are drawn ahead while the
kernel has nothing else to do, so that a slider finds them ready.
"""

import base64
import contextvars
import html
import os
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from .._validation import check_choice, check_count
from . import _places, _stored
from ._pictures import Pictures
from ._predictions import Predictions, Question, checked
from .audio import Players
from .plotting import in_few_colours, render, strip

__all__ = [
    "Explorer",
    "FramePlayer",
    "Question",
    "choice",
    "explore",
    "film",
    "frame_player",
    "slider",
]

LABEL = {"description_width": "initial"}
WIDE = {"max_width": "100%"}

# A still has so many frames of a film, and so many colours: the stored form, not the still, is what
# most people see.
STILLS, FEW = 6, 64

# A picture that takes longer than so many seconds is dimmed until the next one is there.
SLOW = 0.15
DIMMED = "scalinv-drawing"

# If this variable is in the environment, as in the tests, every new explorer visits the ends, the
# middle and some random places of its controls, and raises the exceptions of its callbacks.
TRIAL = "SCALINV_TRY_EXPLORERS"

# Controls of these kinds have values without an order.
CATEGORIES = (ipywidgets.ToggleButtons, ipywidgets.RadioButtons, ipywidgets.Dropdown)

Box = TypeVar("Box", bound="Pictured")
Content = TypeVar("Content")

# Callbacks may run in a thread of their own (JupyterLab 4.4 and ipykernel 7 do that), but
# matplotlib draws safely in one thread at a time only.
_drawing = threading.RLock()


class Pictured(ipywidgets.VBox):
    """Box of widgets around one picture, with a still picture for viewers without a kernel.

    Attributes
    ----------
    picture : ipywidgets.Image
    error : Exception or None
        The exception that the latest callback raised; its text stands below the picture.
    sound : ipywidgets.HTML
        The players that go with the picture, if there are any.
    words : ipywidgets.HTML
        `alt`, folded.
    alt : str
        The picture in words.
    predictions : Predictions or None
        The questions that cover everything else until they are answered.
    """

    def __init__(
        self,
        title: str,
        alt: str,
        controls: Iterable[ipywidgets.Widget],
        predict: Sequence[Question] = (),
    ):
        self.error: Exception | None = None
        # ipywidgets 8.1 cannot show an Image with a tooltip, so the words stand below it.
        self.picture = ipywidgets.Image(layout=WIDE)
        self.message, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        self.title, self.heading = title, ipywidgets.HTML()
        self._say_drawing(False)
        self.words = ipywidgets.HTML()
        self.describe(alt)
        covered = [*controls, self.picture, self.message, self.sound, self.words]
        self.questions = checked(predict)
        self.predictions = _cover(covered, self.questions) if self.questions else None
        above = [self.heading, self.predictions] if self.predictions else [self.heading]
        super().__init__([*above, *covered])

    def describe(self, alt: str) -> None:
        """Say in words what the picture shows, below it and wherever pictures are not shown."""
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"alt must say in words what the picture shows, got {alt!r}")
        self.alt = " ".join(alt.split())
        summary = "<summary><small>The picture in words</small></summary>"
        self.words.value = f"<details>{summary}{html.escape(self.alt)}</details>"

    def show(self, image: bytes) -> None:
        """Put the bytes of a picture file on the screen."""
        self.picture.format = "webp" if image[:4] == b"RIFF" else "png"
        self.picture.value = image

    def attempt(self, action: Callable[[], object]) -> None:
        """Run a callback and show its exception, if it raises one: front ends only log it."""
        # The kernel keeps in the context to which cell the messages of a widget belong.
        context = contextvars.copy_context()
        slow = threading.Timer(SLOW, context.run, [self._say_drawing, True])
        slow.start()
        try:
            action()
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error = error
            text = html.escape("".join(traceback.format_exception(error)))
            self.message.value = f'<pre role="alert" style="color:#a00">{text}</pre>'
        finally:
            slow.cancel()
            slow.join()  # if it has begun to dim the picture, it shall not do so later
            self._say_drawing(False)

    def _say_drawing(self, drawing: bool) -> None:
        """Dim the picture on show and say that the next one is being drawn, or stop that."""
        (self.picture.add_class if drawing else self.picture.remove_class)(DIMMED)
        note = " <small style='line-height:1'>drawing ...</small>" if drawing else ""
        style = f"<style>.{DIMMED} {{ opacity: 0.35 }}</style>"
        self.heading.value = f"{style}<b>{html.escape(self.title)}</b>{note}"

    def still(self) -> bytes:
        """Return the picture for viewers without a kernel, a PNG."""
        raise NotImplementedError

    def element(self) -> str:
        """Draw the stored pictures, and return the HTML that shows them without a kernel.

        Examples
        --------
        >>> from scalinv_utils.course import widgets
        >>> frame = widgets.film(lambda ax, index: ax.plot([0, index]), figsize=(2, 1))
        >>> player = widgets.frame_player(frame, ["flat", "steep"], "A line", "A line turns.")
        >>> player.element().startswith("<scalinv-explorer>")
        True
        """
        raise NotImplementedError

    def _about(self) -> dict[str, Any]:
        """Return what the stored form says, whatever the controls are."""
        questions = [question.data() for question in self.questions]
        asked = {"questions": questions} if questions else {}
        return {"title": self.title, "alt": self.alt, **asked}

    # ipywidgets declares that it returns data alone; IPython takes (data, metadata) as well.
    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data = super()._repr_mimebundle_(**kwargs) or {}
        still = in_few_colours(self.still(), FEW)
        data["image/png"] = base64.b64encode(still).decode()
        data["text/plain"] = self.alt
        if os.environ.get(_stored.STORE) and (alive := self.element()):
            data["text/html"] = alive
        return data, {"image/png": {"alt": self.alt}}


def _cover(widgets: Sequence[Any], questions: Sequence[Question]) -> Predictions:
    """Hide widgets until the questions are answered; a trial does not wait for that."""

    def show() -> None:
        for widget in widgets:
            widget.layout.display = None

    predictions = Predictions(questions, show)
    for widget in widgets:
        widget.layout.display = "none"
    if os.environ.get(TRIAL):
        predictions.reveal()
    return predictions


class FramePlayer(Pictured):
    """Numbered frames with a play button and a slider, which `frame_player` makes.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        The number of the frame on show, from 0.
    play : ipywidgets.Play
    label : ipywidgets.Label
        The text for the frame on show.
    labels : list of str
        The texts of all frames.

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> draw = widgets.film(lambda ax, index: ax.plot([0, index]), figsize=(2, 1))
    >>> player = widgets.frame_player(draw, ["flat", "steep"], "A line", "A line turns upwards.")
    >>> player.slider.value = 1
    >>> player.label.value
    'steep'
    """

    def __init__(
        self,
        frames: Callable[[int], bytes],
        labels: Sequence[str],
        title: str,
        alt: str,
        unit: str,
        interval: int,
        predict: Sequence[Question] = (),
    ):
        self.labels = [str(label) for label in labels]
        self._pictures = Pictures(frames)
        last = len(self.labels) - 1
        self.play = ipywidgets.Play(max=last, interval=interval, description=f"Play: {title}")
        self.slider = ipywidgets.IntSlider(
            max=last,
            description=unit,
            style=LABEL,
            tooltip=f"{title}: arrow keys step by one {unit}",
        )
        self.label = ipywidgets.Label()
        # Linked in the browser: the slider moves even while the kernel is still drawing.
        self._link = ipywidgets.jslink((self.play, "value"), (self.slider, "value"))
        row = ipywidgets.HBox([self.play, self.slider, self.label], layout={"flex_flow": "wrap"})
        super().__init__(title, alt, [row], predict)
        self._turn_to(0)
        self.slider.observe(lambda change: self.attempt(lambda: self._turn_to(change.new)), "value")
        self._pictures.draw_ahead(range(last + 1))

    def frame(self, index: int) -> bytes:
        """Return the frame numbered `index` as bytes; it is drawn once."""
        return self._pictures[index]

    def still(self) -> bytes:
        """Make a film strip of a few frames with their labels, the first and the last included."""
        spread = np.linspace(0, len(self.labels) - 1, min(STILLS, len(self.labels))).round()
        shown = [int(index) for index in spread]
        frames, labels = map(self.frame, shown), [self.labels[index] for index in shown]
        return strip([*frames], self.alt, columns=min(2, len(shown)), labels=labels).png

    def element(self) -> str:
        """Draw the stored frames, and return the HTML that shows them without a kernel."""
        last = len(self.labels)
        numbers = [f"{k + 1} of {last}" for k in range(last)]
        return _stored.element(
            {**self._about(), "interval": self.play.interval},
            [_stored.Control(self.slider.description, numbers, self.slider.value, ordered=True)],
            lambda places: self.frame(*places),
            lambda places: {"labels": self.labels[places[0]]},
        )

    def _turn_to(self, index: int) -> None:
        self.show(self.frame(index))
        self.label.value = self.labels[index]


class Explorer(Pictured):
    """Controls and the picture that follows them, which `explore` makes.

    Attributes
    ----------
    controls : dict of str to widget
        The controls by the names of the parameters of `compute`.

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> def compute(slope):
    ...     return 2 * slope
    >>> def draw(ax, result):
    ...     ax.plot([0, result])
    >>> slope = widgets.slider("slope", [1, 2], 1)
    >>> explorer = widgets.explore(compute, draw, {"slope": slope}, "A line", "A line of slope 2.")
    >>> before = explorer.picture.value
    >>> explorer.controls["slope"].value = 2
    >>> explorer.picture.value == before
    False
    """

    def __init__(
        self,
        compute: Callable[..., Any],
        draw: Callable[[Any, Any], object],
        controls: Mapping[str, Any],
        title: str,
        alt: str,
        listen: Callable[[Any], Players] | None,
        figure: Figure,
        subplots: Mapping[str, Any],
        predict: Sequence[Question] = (),
        stored: Mapping[str, Sequence[Any]] | None = None,
    ):
        self.controls = dict(controls)
        for name in stored or ():
            check_choice(name, tuple(self.controls), "stored")
        self._compute, self._draw, self._listen = compute, draw, listen
        self._figure, self._subplots, self._stored = figure, subplots, dict(stored or {})
        self._pictures = Pictures(lambda values: self._make(**dict(zip(self.controls, values))))
        super().__init__(title, alt, list(self.controls.values()), predict)
        self._follow()
        for control in self.controls.values():
            control.observe(lambda change: self.attempt(self._follow), "value")
        self._pictures.draw_ahead(_places.in_order(list(self.controls.values())))

    def still(self) -> bytes:
        """Return the picture on show."""
        return bytes(self.picture.value or b"")

    def element(self) -> str:
        """Draw the stored pictures, and return the HTML that shows them without a kernel."""
        values = [self._stored_values(name) for name in self.controls]
        controls = [
            _stored.Control(
                control.description,
                [_places.text(control, value) for value in kept],
                kept.index(control.value) if control.value in kept else 0,
                ordered=not isinstance(control, CATEGORIES),
            )
            for control, kept in zip(self.controls.values(), values)
        ]

        def made(places: tuple[int, ...]) -> tuple[bytes, str]:
            return self._pictures[tuple(kept[k] for kept, k in zip(values, places))]

        def sounds(places: tuple[int, ...]) -> dict[str, str]:
            return {"sounds": made(places)[1]} if self._listen else {}

        return _stored.element(self._about(), controls, lambda places: made(places)[0], sounds)

    def _stored_values(self, name: str) -> list[Any]:
        """List the values of a control from which the stored ones are chosen."""
        known = list(_places.all_values(self.controls[name]))
        wanted = self._stored.get(name, known)
        if not known or not set(wanted) <= set(known):
            raise ValueError(f"stored[{name!r}] must hold values of its control, got {wanted!r}")
        return [value for value in known if value in wanted]

    def _make(self, **values: Any) -> tuple[bytes, str]:
        """Compute and draw: return the picture and the players for these values."""
        result = self._compute(**values)
        players = self._listen(result)._repr_html_() if self._listen else ""
        return _redraw(self._figure, self._subplots, self._draw, result), players

    def _follow(self) -> None:
        """Show the picture and the players of the values that the controls have now."""
        image, self.sound.value = self._pictures[
            tuple(control.value for control in self.controls.values())
        ]
        self.show(image)


def frame_player(
    frames: Sequence[bytes] | Callable[[int], bytes],
    labels: Sequence[str],
    title: str,
    alt: str,
    unit: str = "frame",
    interval: int = 200,
    predict: Sequence[Question] = (),
) -> FramePlayer:
    """Make a film to step through: a play button, a slider, and a text for each frame.

    Parameters
    ----------
    frames : sequence of bytes, or function from index to bytes
        PNG or WebP pictures of one size. A function is called once for each frame: when the frame
        is first shown, or ahead of that while the kernel is idle. `film` makes such a function.
    labels : sequence of str
        One text per frame, visible beside the slider.
    title : str
    alt : str
        The film in words, for those who cannot see it.
    unit : str
        Name of the things that the slider counts.
    interval : int
        Milliseconds between two frames.
    predict : sequence of Question
        Questions to answer, or to pass over, before anything is shown.

    Returns
    -------
    FramePlayer

    Raises
    ------
    ValueError
        There are no frames, the number of labels is not that of the frames, `alt` is empty, or the
        right answer of a question is not among its choices.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting, widgets
    >>> frame = plotting.render(Figure(figsize=(2, 1)))
    >>> player = widgets.frame_player([frame] * 3, ["a", "b", "c"], "Sheets", "Empty sheets.")
    >>> player.slider.max, player.label.value
    (2, 'a')
    """
    if len(labels) == 0:
        raise ValueError("labels must hold one text per frame, got none")
    if not callable(frames):
        ready = list(frames)
        if len(ready) != len(labels):
            raise ValueError(
                f"labels must hold one text for each of the {len(ready)} frames, got {len(labels)}"
            )
        frames = ready.__getitem__
    interval = check_count(interval, "interval")
    player = FramePlayer(frames, labels, title, alt, unit, interval, predict)
    return _tried(player, [player.slider])


def film(
    draw: Callable[[Any, Content], object], figsize: tuple[float, float] = (8, 3), **subplots: Any
) -> Callable[[Content], bytes]:
    """Make a function from index to PNG bytes that draws on one reused figure.

    Parameters
    ----------
    draw : callable
        ``draw(axes, index)``; the axes are empty on every call. The index is the argument of the
        function that is returned: a number for `frame_player`, otherwise any object.
    figsize : (float, float)
        Width and height in inches.
    **subplots
        Options of ``Figure.subplots``: ncols=2 ...

    Returns
    -------
    callable
        A function for `frame_player`.

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> frame = widgets.film(lambda ax, index: ax.plot([0, index]), figsize=(2, 1))
    >>> frame(3)[1:4]
    b'PNG'
    """
    figure = Figure(figsize=figsize, layout="constrained")
    return lambda index: _redraw(figure, subplots, draw, index)


def explore(
    compute: Callable[..., Any],
    draw: Callable[[Any, Any], object],
    controls: Mapping[str, Any],
    title: str,
    alt: str,
    figsize: tuple[float, float] = (8, 3),
    listen: Callable[[Any], Players] | None = None,
    predict: Sequence[Question] = (),
    stored: Mapping[str, Sequence[Any]] | None = None,
    **subplots: Any,
) -> Explorer:
    """Make a picture that follows controls.

    Parameters
    ----------
    compute : callable
        ``compute(**values) -> result``, without side effects. It is called once for each
        combination of values.
    draw : callable
        ``draw(axes, result)``; the axes are empty on every call.
    controls : dict of str to ipywidgets widget
        The controls by parameter of `compute`; `slider` and `choice` make them. Their values must
        be hashable.
    title, alt : str
        `alt` says in words what the picture shows at the values it starts with.
    figsize : (float, float)
        Width and height in inches.
    listen : callable, optional
        ``listen(result) -> audio.Players``: sounds that go with the picture.
    predict : sequence of Question
        Questions to answer, or to pass over, before anything is shown.
    stored : dict of str to sequence, optional
        The values of a control that a stored notebook can show without a kernel. Without it they
        are chosen: all of a `choice`, and some of a `slider`, its ends and its start among them.
    **subplots
        Options of ``Figure.subplots``.

    Returns
    -------
    Explorer

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> explorer = widgets.explore(
    ...     lambda slope: 2 * slope,
    ...     lambda ax, result: ax.plot([0, result]),
    ...     {"slope": widgets.slider("slope (m/s)", [1, 2, 4], 2)},
    ...     "A line",
    ...     "A line of slope four.",
    ...     figsize=(2, 1),
    ... )
    >>> explorer.still()[1:4]
    b'PNG'
    """
    figure = Figure(figsize=figsize, layout="constrained")
    explorer = Explorer(
        compute, draw, controls, title, alt, listen, figure, subplots, predict, stored
    )
    return _tried(explorer, list(controls.values()))


def slider(label: str, options: Iterable[Any], value: Any) -> ipywidgets.SelectionSlider:
    """Make a slider over given values, with a visible label; the picture follows on release.

    Parameters
    ----------
    label : str
        Name of the parameter, with its unit if there is one.
    options : sequence
        Values, or (text, value) pairs.
    value
        The value at the start.

    Returns
    -------
    ipywidgets.SelectionSlider

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> widgets.slider("momentum", [0, 0.5, 0.99], 0.5).value
    0.5
    """
    return ipywidgets.SelectionSlider(
        description=label,
        options=list(options),
        value=value,
        style=LABEL,
        layout={"width": "28em", "max_width": "100%"},
        continuous_update=False,
    )


def choice(label: str, options: Iterable[Any], value: Any) -> ipywidgets.ToggleButtons:
    """Make buttons for values without an order, of which one is pressed, with a visible label.

    Parameters
    ----------
    label : str
    options : sequence
        Values, or (text, value) pairs.
    value
        The value at the start.

    Returns
    -------
    ipywidgets.ToggleButtons

    Examples
    --------
    >>> from scalinv_utils.course import widgets
    >>> widgets.choice("wavelet", ["cauchy", "gmw"], "gmw").value
    'gmw'
    """
    return ipywidgets.ToggleButtons(
        description=label,
        options=list(options),
        value=value,
        style={**LABEL, "button_width": "auto"},
        layout=WIDE,
    )


def _tried(box: Box, controls: Sequence[Any]) -> Box:
    """Return `box`; if TRIAL asks for it, visit the places where callbacks tend to fail first."""
    if os.environ.get(TRIAL):
        start = [control.value for control in controls]
        for places in [*_places.visits(controls), start]:
            for control, place in zip(controls, places):
                control.value = place
                if box.error is not None:
                    raise box.error
    return box


def _redraw(
    figure: Figure,
    subplots: Mapping[str, Any],
    draw: Callable[[Any, Any], object],
    content: Any,
) -> bytes:
    """Draw `content` on the empty figure, and render it."""
    with _drawing:
        for ax in figure.axes:  # otherwise clear() would first make each of them anew, and empty
            figure.delaxes(ax)
        figure.clear()
        draw(figure.subplots(**subplots), content)
        return render(figure)
