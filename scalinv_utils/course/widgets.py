"""Explorers: controls for the mouse or the arrow keys, and a picture that follows them.

Every explorer has three parts that are kept apart::

    compute(**values) -> result      pure: no picture, no widget
    draw(axes, result)               on the axes it is given: no widget, no computing
    explore(compute, draw, controls) the controls, and one reused figure rendered into a picture

`frame_player` is the special case of a film: numbered frames, a play button and a slider. A viewer
that has no running kernel (GitHub, nbviewer, a notebook not trusted yet) gets a still picture from
either. An exception of a callback is shown under the picture, since front ends hide it otherwise.

Every picture is drawn once. Pictures that have not been asked for yet are drawn ahead while the
kernel has nothing else to do, so that a slider finds them ready.
"""

import asyncio
import base64
import contextlib
import html
import itertools
import os
import random
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from .._validation import check_count
from .audio import Players
from .plotting import in_few_colours, render, strip

__all__ = ["Explorer", "FramePlayer", "explore", "film", "frame_player", "slider"]

LABEL = {"description_width": "initial"}
WIDE = {"max_width": "100%"}
STILLS = 6

# Pictures are drawn ahead when no control has moved for REST seconds, with a PAUSE between two of
# them in which the kernel does its other work. There are never more than MOST_AHEAD of them, since
# they take memory.
REST, PAUSE, MOST_AHEAD = 1.0, 0.02, 128

# If this variable is in the environment, as in the tests, every new explorer visits the ends, the
# middle and some random places of its controls, and raises the exceptions of its callbacks.
TRIAL = "SCALINV_TRY_EXPLORERS"

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
    """

    def __init__(self, title: str, alt: str, controls: Iterable[ipywidgets.Widget]):
        self.error: Exception | None = None
        # ipywidgets 8.1 cannot show an Image with a tooltip, so the words stand below it.
        self.picture = ipywidgets.Image(layout=WIDE)
        self.message, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        heading = ipywidgets.HTML(f"<b>{html.escape(title)}</b>")
        self.words = ipywidgets.HTML()
        self.describe(alt)
        super().__init__([heading, *controls, self.picture, self.message, self.sound, self.words])

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
        try:
            action()
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error = error
            text = html.escape("".join(traceback.format_exception(error)))
            self.message.value = f'<pre role="alert" style="color:#a00">{text}</pre>'

    def still(self) -> bytes:
        """Return the picture for viewers without a kernel, a PNG."""
        raise NotImplementedError

    # ipywidgets declares that it returns data alone; IPython takes (data, metadata) as well.
    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        data = super()._repr_mimebundle_(**kwargs) or {}
        data["image/png"] = base64.b64encode(in_few_colours(self.still())).decode()
        data["text/plain"] = self.alt
        return data, {"image/png": {"alt": self.alt}}


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
    ):
        self.labels = [str(label) for label in labels]
        self._pictures = _Pictures(frames)
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
        super().__init__(title, alt, [row])
        self._turn_to(0)
        self.slider.observe(lambda change: self.attempt(lambda: self._turn_to(change.new)), "value")
        self._pictures.draw_ahead(range(last + 1))

    def frame(self, index: int) -> bytes:
        """Return the frame numbered `index` as bytes; it is drawn once."""
        return self._pictures[index]

    def still(self) -> bytes:
        """Make a film strip of a few frames, the first and the last included."""
        shown = np.linspace(0, len(self.labels) - 1, min(STILLS, len(self.labels))).round()
        frames = [self.frame(int(index)) for index in shown]
        return strip(frames, self.alt, columns=min(2, len(frames))).png

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
    ):
        self.controls = dict(controls)
        self._compute, self._draw, self._listen = compute, draw, listen
        self._figure, self._subplots = figure, subplots
        self._pictures = _Pictures(lambda values: self._make(**dict(zip(self.controls, values))))
        super().__init__(title, alt, self.controls.values())
        self._follow()
        for control in self.controls.values():
            control.observe(lambda change: self.attempt(self._follow), "value")
        self._pictures.draw_ahead(_places(list(self.controls.values())))

    def still(self) -> bytes:
        """Return the picture on show."""
        return bytes(self.picture.value or b"")

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


class _Pictures:
    """Pictures by key, each made once by `make`: when it is asked for, or ahead of that."""

    def __init__(self, make: Callable[[Any], Any]):
        self._make = make
        self._made: dict[Hashable, Any] = {}
        self._asked = time.monotonic()

    def __getitem__(self, key: Hashable) -> Any:
        self._asked = time.monotonic()
        return self._get(key)

    def draw_ahead(self, keys: Iterable[Hashable]) -> None:
        """Make the pictures of `keys`, one by one, while the kernel is idle."""
        keys = itertools.islice(keys, MOST_AHEAD)
        with contextlib.suppress(RuntimeError):  # without a loop this is no kernel: never idle
            asyncio.get_running_loop().call_later(REST, self._go_on, keys)

    def _go_on(self, keys: Iterator[Hashable]) -> None:
        """Make one more picture if the kernel has been idle long enough, and come back later."""
        wait = REST - (time.monotonic() - self._asked)
        if wait <= 0:
            for key in itertools.islice(keys, 1):
                with contextlib.suppress(Exception):  # it is raised again when it is asked for
                    self._get(key)
                wait = PAUSE
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._go_on, keys)

    def _get(self, key: Hashable) -> Any:
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]


def frame_player(
    frames: Sequence[bytes] | Callable[[int], bytes],
    labels: Sequence[str],
    title: str,
    alt: str,
    unit: str = "frame",
    interval: int = 200,
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

    Returns
    -------
    FramePlayer

    Raises
    ------
    ValueError
        There are no frames, the number of labels is not that of the frames, or `alt` is empty.

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
    player = FramePlayer(frames, labels, title, alt, unit, check_count(interval, "interval"))
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
        The controls by parameter of `compute`; `slider` makes them. Their values must be hashable.
    title, alt : str
        `alt` says in words what the picture shows at the values it starts with.
    figsize : (float, float)
        Width and height in inches.
    listen : callable, optional
        ``listen(result) -> audio.Players``: sounds that go with the picture.
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
    explorer = Explorer(compute, draw, controls, title, alt, listen, figure, subplots)
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


def _tried(box: Box, controls: Sequence[Any]) -> Box:
    """Return `box`; if TRIAL asks for it, visit the places where callbacks tend to fail first."""
    if os.environ.get(TRIAL):
        start = [control.value for control in controls]
        for places in [*_visits(controls), start]:
            for control, place in zip(controls, places):
                control.value = place
                if box.error is not None:
                    raise box.error
    return box


def _visits(controls: Sequence[Any], n_random: int = 3, seed: int = 0) -> Iterator[list[Any]]:
    """Yield values for all controls: each at its ends and its middle, then random combinations."""
    start, draw = [control.value for control in controls], random.Random(seed)
    marked = [_ends_and_middle(control) for control in controls]
    for k, values in enumerate(marked):
        yield from ([*start[:k], value, *start[k + 1 :]] for value in values)
    for _ in range(n_random):
        yield [draw.choice(list(_all_values(c)) or values) for c, values in zip(controls, marked)]


def _places(controls: Sequence[Any]) -> Iterator[tuple[Hashable, ...]]:
    """Yield all combinations of values, first those that one control leads to, nearest first."""
    start, options = [c.value for c in controls], [list(_all_values(c)) for c in controls]
    here = [values.index(value) if value in values else 0 for value, values in zip(start, options)]
    moves = sorted(
        (
            (abs(j - here[k]), k, j)
            for k, values in enumerate(options)
            for j in range(len(values))
            if j != here[k]
        )
    )
    near = {(*start[:k], options[k][j], *start[k + 1 :]): None for _, k, j in moves}
    yield from near
    yield from (place for place in itertools.product(*options) if place not in near)


def _all_values(control: Any) -> Sequence[Any]:
    """List the values that a control can take; return an empty list if they cannot be listed."""
    if hasattr(control, "options"):
        return [item[1] if isinstance(item, tuple) else item for item in control.options]
    whole = isinstance(control, ipywidgets.IntSlider | ipywidgets.BoundedIntText)
    return range(control.min, control.max + 1, control.step) if whole else []


def _ends_and_middle(control: Any) -> list[Any]:
    values = _all_values(control) or [control.min, (control.min + control.max) / 2, control.max]
    return [values[0], values[len(values) // 2], values[-1]]


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
