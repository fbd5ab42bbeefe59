"""Explorers: things to move with the mouse or the arrow keys, and a picture that follows.

One pattern everywhere, in three parts that are kept apart:

    compute(**values) -> result      pure: no picture, no widget
    draw(axes, result)               on the axes it is given: no widget, no computing
    explore(compute, draw, controls) the controls, and one reused figure rendered into a picture

`frame_player` is the special case of a film: numbered frames, a play button and a slider. A viewer
that has no running kernel (GitHub, nbviewer, a notebook not trusted yet) gets a still picture from
either. What a callback raises is shown under the picture: front ends hide it otherwise.

Every picture is drawn once. Those that nobody has asked for yet are drawn ahead while the kernel
has nothing else to do, so that a slider finds them ready.
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

import ipywidgets
import numpy as np
from matplotlib.figure import Figure

from .._validation import check_count
from .plotting import in_few_colours, render, strip

__all__ = ["Explorer", "FramePlayer", "explore", "film", "frame_player", "slider"]

LABEL = {"description_width": "initial"}
WIDE = {"max_width": "100%"}
STILLS = 6

# Pictures are drawn ahead when no control has moved for REST seconds, with a PAUSE between two of
# them in which the kernel sees to other things; never more than MOST_AHEAD, since they take memory.
REST, PAUSE, MOST_AHEAD = 1.0, 0.02, 128

# With this variable in the environment, as in the tests, every explorer visits the ends, the middle
# and some random places of its controls when it is made, and raises what its callbacks raise.
TRIAL = "SCALINV_TRY_EXPLORERS"

# Callbacks may run in a thread of their own (JupyterLab 4.4 and ipykernel 7 do that), and
# matplotlib draws safely in one thread at a time.
_drawing = threading.RLock()


class Pictured(ipywidgets.VBox):
    """A box of widgets around one picture, with a still picture for viewers without a kernel.

    Attributes
    ----------
    picture : ipywidgets.Image
    error : Exception or None
        What the latest callback raised; its text stands below the picture.
    sound : ipywidgets.HTML
        The players that go with the picture, if there are any.
    words : ipywidgets.HTML
        `alt`, folded.
    """

    def __init__(self, title, alt, controls):
        self.error = None
        # No tooltip: ipywidgets 8.1 cannot show an Image that has one. The words stand below it.
        self.picture = ipywidgets.Image(layout=WIDE)
        self.message, self.sound = ipywidgets.HTML(), ipywidgets.HTML()
        heading = ipywidgets.HTML(f"<b>{html.escape(title)}</b>")
        self.words = ipywidgets.HTML()
        self.describe(alt)
        super().__init__([heading, *controls, self.picture, self.message, self.sound, self.words])

    def describe(self, alt):
        """Say in words what the picture shows: below it, and wherever there are no pictures."""
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"alt must say in words what the picture shows, got {alt!r}")
        self.alt = " ".join(alt.split())
        summary = "<summary><small>The picture in words</small></summary>"
        self.words.value = f"<details>{summary}{html.escape(self.alt)}</details>"

    def show(self, image):
        """Put the bytes of a picture file on the screen."""
        self.picture.format = "webp" if image[:4] == b"RIFF" else "png"
        self.picture.value = image

    def attempt(self, action):
        """Run a callback; show what it raises, since front ends only log it."""
        try:
            action()
            self.error, self.message.value = None, ""
        except Exception as error:
            self.error = error
            text = html.escape("".join(traceback.format_exception(error)))
            self.message.value = f'<pre role="alert" style="color:#a00">{text}</pre>'

    def still(self):
        """The picture for viewers without a kernel: PNG bytes."""
        raise NotImplementedError

    def _repr_mimebundle_(self, **kwargs):
        data = super()._repr_mimebundle_(**kwargs)
        data["image/png"] = base64.b64encode(in_few_colours(self.still())).decode()
        data["text/plain"] = self.alt
        return data, {"image/png": {"alt": self.alt}}


class FramePlayer(Pictured):
    """Numbered frames with a play button and a slider; made by `frame_player`.

    Attributes
    ----------
    slider : ipywidgets.IntSlider
        The number of the frame on show, from 0.
    play : ipywidgets.Play
    label : ipywidgets.Label
        What is said about the frame on show.
    """

    def __init__(self, frames, labels, title, alt, unit, interval):
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

    def frame(self, index):
        """The frame numbered `index` as bytes, drawn once."""
        return self._pictures[index]

    def still(self):
        """A film strip of a few frames, first and last included."""
        shown = np.linspace(0, len(self.labels) - 1, min(STILLS, len(self.labels))).round()
        frames = [self.frame(int(index)) for index in shown]
        return strip(frames, self.alt, columns=min(2, len(frames))).png

    def _turn_to(self, index):
        self.show(self.frame(index))
        self.label.value = self.labels[index]


class Explorer(Pictured):
    """Controls and the picture that follows them; made by `explore`.

    Attributes
    ----------
    controls : dict of str to widget
        By the names of the parameters of `compute`.
    """

    def __init__(self, compute, draw, controls, title, alt, listen, figure, subplots):
        self.controls = dict(controls)
        self._compute, self._draw, self._listen = compute, draw, listen
        self._figure, self._subplots = figure, subplots
        self._pictures = _Pictures(lambda values: self._make(**dict(zip(self.controls, values))))
        super().__init__(title, alt, self.controls.values())
        self._follow()
        for control in self.controls.values():
            control.observe(lambda change: self.attempt(self._follow), "value")
        self._pictures.draw_ahead(_places(list(self.controls.values())))

    def still(self):
        """The picture on show."""
        return self.picture.value

    def _make(self, **values):
        result = self._compute(**values)
        players = self._listen(result)._repr_html_() if self._listen else ""
        return _redraw(self._figure, self._subplots, self._draw, result), players

    def _follow(self):
        image, self.sound.value = self._pictures[
            tuple(control.value for control in self.controls.values())
        ]
        self.show(image)


class _Pictures:
    """Pictures by key, each made once by `make`: when it is asked for, or ahead of that."""

    def __init__(self, make):
        self._make, self._made = make, {}
        self._asked = time.monotonic()

    def __getitem__(self, key):
        self._asked = time.monotonic()
        return self._get(key)

    def draw_ahead(self, keys):
        """Make the pictures of `keys`, one by one, while the kernel is idle."""
        keys = itertools.islice(keys, MOST_AHEAD)
        with contextlib.suppress(RuntimeError):  # no loop: this is no kernel, and is never idle
            asyncio.get_running_loop().call_later(REST, self._go_on, keys)

    def _go_on(self, keys):
        wait = REST - (time.monotonic() - self._asked)
        if wait <= 0:
            for key in itertools.islice(keys, 1):
                with contextlib.suppress(Exception):  # shown to the person who gets there
                    self._get(key)
                wait = PAUSE
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._go_on, keys)

    def _get(self, key):
        if key not in self._made:
            self._made[key] = self._make(key)
        return self._made[key]


def frame_player(frames, labels, title, alt, unit="frame", interval=200):
    """A film to step through: play button, slider, and what each frame shows in words.

    Parameters
    ----------
    frames : sequence of bytes, or function from index to bytes
        PNG or WebP pictures of one size. A function is called when its frame is first looked at,
        and once only; `film` makes one.
    labels : sequence of str
        One per frame; visible beside the slider.
    title : str
    alt : str
        What the film shows, in words, for those who cannot see it.
    unit : str
        What the slider counts.
    interval : int
        Milliseconds between two frames.

    Returns
    -------
    FramePlayer

    Raises
    ------
    ValueError
        No frames, as many labels as there are not frames, or no words.
    """
    if len(labels) == 0:
        raise ValueError("labels must hold one text per frame, got none")
    if not callable(frames):
        frames = list(frames)
        if len(frames) != len(labels):
            raise ValueError(
                f"labels must hold one text for each of the {len(frames)} frames, got {len(labels)}"
            )
        frames = frames.__getitem__
    player = FramePlayer(frames, labels, title, alt, unit, check_count(interval, "interval"))
    return _tried(player, [player.slider])


def film(draw, figsize=(8, 3), **subplots):
    """A function from index to PNG bytes that draws on one reused figure.

    Parameters
    ----------
    draw : callable
        ``draw(axes, index)``; axes are empty on every call.
    figsize : (float, float)
        Inches.
    **subplots
        As ``Figure.subplots`` takes them: ncols=2 ...

    Returns
    -------
    callable
        For `frame_player`.
    """
    figure = Figure(figsize=figsize, layout="constrained")
    return lambda index: _redraw(figure, subplots, draw, index)


def explore(compute, draw, controls, title, alt, figsize=(8, 3), listen=None, **subplots):
    """A picture that follows controls.

    Parameters
    ----------
    compute : callable
        ``compute(**values) -> result``, pure. Called once for each combination of values.
    draw : callable
        ``draw(axes, result)``; axes are empty on every call.
    controls : dict of str to ipywidgets widget
        By parameter of `compute`; `slider` makes them. Their values must be hashable.
    title, alt : str
        `alt` says in words what the picture shows at the values it starts with.
    figsize : (float, float)
        Inches.
    listen : callable, optional
        ``listen(result) -> audio.Players``: sounds that go with the picture.
    **subplots
        As ``Figure.subplots`` takes them.

    Returns
    -------
    Explorer
    """
    figure = Figure(figsize=figsize, layout="constrained")
    explorer = Explorer(compute, draw, controls, title, alt, listen, figure, subplots)
    return _tried(explorer, list(controls.values()))


def slider(label, options, value):
    """A slider over given values, with a visible label; the picture follows on release.

    Parameters
    ----------
    label : str
        With the unit, if there is one.
    options : sequence
        Values, or (text, value) pairs.
    value
        Where it starts.
    """
    return ipywidgets.SelectionSlider(
        description=label,
        options=list(options),
        value=value,
        style=LABEL,
        layout={"width": "28em", "max_width": "100%"},
        continuous_update=False,
    )


def _tried(box, controls):
    """`box`, after a visit to all the places where callbacks tend to fail if TRIAL asks for it."""
    if os.environ.get(TRIAL):
        start = [control.value for control in controls]
        for places in [*_visits(controls), start]:
            for control, place in zip(controls, places):
                control.value = place
                if box.error is not None:
                    raise box.error
    return box


def _visits(controls, n_random=3, seed=0):
    """Values for all the controls: each at its ends and its middle, then random combinations."""
    start, draw = [control.value for control in controls], random.Random(seed)
    marked = [_ends_and_middle(control) for control in controls]
    for k, values in enumerate(marked):
        yield from ([*start[:k], value, *start[k + 1 :]] for value in values)
    for _ in range(n_random):
        yield [draw.choice(list(_all_values(c)) or values) for c, values in zip(controls, marked)]


def _places(controls):
    """What the controls can be set to: first what one of them leads to from here, nearest first."""
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


def _all_values(control):
    """What a control can be set to, if that can be listed; nothing otherwise."""
    if hasattr(control, "options"):
        return [item[1] if isinstance(item, tuple) else item for item in control.options]
    whole = isinstance(control, ipywidgets.IntSlider | ipywidgets.BoundedIntText)
    return range(control.min, control.max + 1, control.step) if whole else []


def _ends_and_middle(control):
    values = _all_values(control) or [control.min, (control.min + control.max) / 2, control.max]
    return [values[0], values[len(values) // 2], values[-1]]


def _redraw(figure, subplots, draw, content):
    with _drawing:
        for ax in figure.axes:  # else clear() would first make each of them anew, and empty
            figure.delaxes(ax)
        figure.clear()
        draw(figure.subplots(**subplots), content)
        return render(figure)
