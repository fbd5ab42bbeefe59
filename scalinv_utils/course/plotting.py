"""Pictures in one style, with one function for each kind of picture.

Every drawing function takes `ax` first and returns the artist, and none of them opens or shows a
figure, so the same code serves a cell, a widget and a test. Frequencies are in Hz on a log axis,
times in seconds, levels in dB. A figure ends with ``show(fig, "what the picture shows")``.
"""

import base64
import functools
import html
import io
import math
import textwrap
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal, Protocol

import numpy as np
import torch
from IPython.display import HTML, display
from matplotlib import colormaps, font_manager, pyplot as plt, rc_params_from_file
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from .._compiled import serial, ssqueezepy
from .._validation import (
    check_choice,
    check_count,
    check_flag,
    check_magnitudes,
    check_number,
    check_positive,
    check_signal,
)

__all__ = [
    "Picture",
    "convergence",
    "error_map",
    "filterbank",
    "in_few_colours",
    "level_db",
    "phase",
    "picture",
    "render",
    "scalogram",
    "show",
    "signal",
    "strip",
    "synchrosqueezed",
    "use_style",
]

# A time-frequency picture has this many columns at most: more than the picture has pixels, and few
# enough to draw quickly.
MAX_COLUMNS = 2048

# Phase below this level is noise, and is not shown.
PHASE_FLOOR_DB = -40.0

# One colour each, in the whole course, for the truth, for an attempt at it and for an error: the
# first two colours of the style sheet, and black.
TRUTH, ATTEMPT, ERROR = "#0072B2", "#D55E00", "#000000"

# The prefixes of units by their power of a thousand.
PREFIXES = {-5: "f", -4: "p", -3: "n", -2: "µ", 1: "k", 2: "M", 3: "G", 4: "T"}

# Phase fades to this grey level. It lies half way between the light and the dark end of the
# colours of phase, so that it is not taken for one of them.
FADED = 0.6


def use_style() -> None:
    """Give all figures from here on the look of the course.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from scalinv_utils.course import plotting
    >>> with plt.rc_context():  # only for this example: a notebook calls use_style alone
    ...     plotting.use_style()
    ...     print(len(plt.rcParams["axes.prop_cycle"]))
    7
    """
    plt.style.use(_style())


def _style() -> dict[str, Any]:
    """Read the style sheet of the course."""
    sheet = resources.files("scalinv_utils.course") / "scalinv.mplstyle"
    with resources.as_file(sheet) as path:
        return {**rc_params_from_file(path, use_default_template=False)}


# --- Curves --------------------------------------------------------------------------------------


def signal(ax: Axes, x: ArrayLike, sample_rate: float = 1.0, **line: Any) -> Line2D:
    """Draw a signal against time.

    Parameters
    ----------
    ax : matplotlib Axes
    x : real array, shape (n_samples,)
    sample_rate : float
        Samples per second.
    **line
        Passed on to ``ax.plot``: label, alpha, color ...

    Returns
    -------
    Line2D

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> ax = Figure().add_subplot()
    >>> line = plotting.signal(ax, [0.0, 1.0, 0.5], sample_rate=2, label="x")
    >>> line.get_xdata().tolist()
    [0.0, 0.5, 1.0]
    """
    samples = check_signal(x, ndim=1).detach().cpu().numpy()
    duration = len(samples) / check_positive(sample_rate, "sample_rate")
    (artist,) = ax.plot(np.arange(len(samples)) / sample_rate, samples, **line)
    ax.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, duration))
    return artist


def convergence(
    ax: Axes,
    histories: dict[str, Any],
    xlabel: str = "iteration",
    ylabel: str = "consistency (dB)",
) -> list[Line2D]:
    """Draw how errors fall, one labelled curve per method; line styles differ as colours do.

    Parameters
    ----------
    ax : matplotlib Axes
    histories : dict of str to sequence
        Levels in dB after iterations 1, 2, ...; or a pair (positions, levels) of sequences of the
        same length, for instance seconds and dB. NaN and infinite values are refused.
    xlabel, ylabel : str

    Returns
    -------
    list of Line2D
        The curves in the order of `histories`.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> ax = Figure().add_subplot()
    >>> lines = plotting.convergence(ax, {"steps": [-3, -9], "timed": ([0.5, 2.5], [-1, -9])})
    >>> [line.get_label() for line in lines]
    ['steps', 'timed']
    """
    if not isinstance(histories, dict) or not histories:
        raise ValueError(
            f"histories must be a dict with at least one label and its levels, got {histories!r}"
        )
    ax.set_prop_cycle(_style()["axes.prop_cycle"])
    lines = []
    for label, history in histories.items():
        positions, levels = _positions_and_levels(history, f"histories[{label!r}]")
        lines += ax.plot(positions, levels, label=label)
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.legend()
    return lines


def _positions_and_levels(history: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Split a history into positions on the x axis and levels in dB."""
    if isinstance(history, tuple) and len(history) == 2 and np.ndim(history[0]) == 1:
        positions, levels = (check_signal(part, name=name, ndim=1) for part in history)
        if len(positions) != len(levels):
            raise ValueError(
                f"{name} must pair as many positions as levels, "
                f"got {len(positions)} and {len(levels)}"
            )
        return positions.numpy(), levels.numpy()
    levels = check_signal(history, name=name, ndim=1).numpy()
    return np.arange(1, len(levels) + 1), levels


class FilterBank(Protocol):
    """Any transform with filters in the frequency domain, such as a Scalogram."""

    @property
    def filters(self) -> torch.Tensor:
        """Frequency responses, shape (n_freqs, n_bins)."""
        ...

    @property
    def n_samples(self) -> int:
        """Length of the signals."""
        ...

    @property
    def sample_rate(self) -> float:
        """Samples per second."""
        ...


def filterbank(ax: Axes, W: FilterBank, every: int = 1) -> list[Line2D]:
    """Draw the frequency responses of a transform's filters, from low (dark) to high (bright).

    Parameters
    ----------
    ax : matplotlib Axes
    W : Scalogram
        Another transform will do if it has `filters` of shape (n_freqs, n_bins), `n_samples` and
        `sample_rate`.
    every : int
        Draw each `every`-th filter only.

    Returns
    -------
    list of Line2D

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import plotting
    >>> W = Scalogram(256, 8000, voices_per_octave=4)
    >>> lines = plotting.filterbank(Figure().add_subplot(), W)
    >>> len(lines) == len(W.frequencies)
    True
    """
    step = check_count(every, "every")
    bins = min(W.filters.shape[-1], W.n_samples // 2 + 1)
    hertz = np.arange(1, bins) * W.sample_rate / W.n_samples  # 0 Hz has no place on a log axis
    responses = W.filters.abs().cpu().numpy()[::step, 1:bins]
    colours = colormaps["viridis"](np.linspace(0.9, 0, len(responses)))
    lines = [
        ax.plot(hertz, response, color=colour, linestyle="-", linewidth=1)[0]
        for response, colour in zip(responses, colours, strict=True)
    ]
    _log_hertz(ax, "x")
    ax.set(xlabel="frequency (Hz)", ylabel="response", xlim=(hertz[0], hertz[-1]))
    return lines


# --- Time-frequency pictures ---------------------------------------------------------------------


def level_db(S: ArrayLike, reference: float | None = None, floor_db: float = -60.0) -> np.ndarray:
    """Express magnitudes as levels in dB, cut off at a floor.

    Parameters
    ----------
    S : array, shape (..., n_freqs, n_samples), non-negative
    reference : float, optional
        The magnitude at 0 dB. Default: the largest entry of S.
    floor_db : float
        Lowest level, a negative number.

    Returns
    -------
    numpy array of the shape of S
        20 log10(S / reference), at least `floor_db`; silence is `floor_db` throughout.

    Examples
    --------
    >>> from scalinv_utils.course import plotting
    >>> plotting.level_db([[1.0, 0.1, 0.0]]).round(1).tolist()
    [[0.0, -20.0, -60.0]]
    """
    moduli = check_magnitudes(S).detach().cpu().double().numpy()
    floor_db = check_number(floor_db, "floor_db", wanted := "a negative number of decibels")
    if floor_db >= 0:
        raise ValueError(f"floor_db must be {wanted}, got {floor_db!r}")
    top = moduli.max() if reference is None else check_positive(reference, "reference")
    if top == 0:
        return np.full(moduli.shape, float(floor_db))
    return 20 * np.log10(np.maximum(moduli / top, 10 ** (floor_db / 20)))


def scalogram(
    ax: Axes,
    S: ArrayLike,
    frequencies: ArrayLike,
    sample_rate: float = 1.0,
    floor_db: float = -60.0,
    reference: float | None = None,
    cmap: str = "magma",
    colorbar: bool = True,
) -> QuadMesh:
    """Draw a scalogram in dB over time and log frequency.

    Parameters
    ----------
    ax : matplotlib Axes
    S : array, shape (n_freqs, n_samples), non-negative
        If it is longer than 2048 samples, each column shows the maximum over a few samples.
    frequencies : array, shape (n_freqs,)
        Hz, ascending or descending. A row at 0 Hz (a lowpass channel) is left out.
    sample_rate : float
        Samples per second.
    floor_db : float
        Level at which the colour map begins.
    reference : float, optional
        The magnitude at 0 dB. Give the same one to all the pictures that are to be compared.
        Default: the peak of S.
    cmap : str
        A perceptually uniform colour map.
    colorbar : bool

    Returns
    -------
    QuadMesh
        Up to 2048 samples, ``mesh.set_array(level_db(S, reference, floor_db))`` redraws it.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import plotting, signals
    >>> W = Scalogram(256, 8000, voices_per_octave=4)
    >>> S = W.magnitude(signals.linear_chirp(256, 8000))
    >>> mesh = plotting.scalogram(Figure().add_subplot(), S, W.frequencies, 8000)
    >>> mesh.get_clim()
    (-60.0, 0.0)
    """
    moduli, rows = _rows(S, frequencies, "S")
    levels = level_db(moduli, reference, floor_db)
    starts, times = _columns(levels, sample_rate)
    pooled = np.maximum.reduceat(levels, starts, axis=-1)
    mesh = _mesh(ax, times, rows, pooled, Normalize(floor_db, 0), cmap)
    if check_flag(colorbar, "colorbar"):
        ax.figure.colorbar(
            mesh, ax=ax, label="level (dB re peak)" if reference is None else "level (dB)"
        )
    return mesh


def phase(
    ax: Axes,
    c: ArrayLike,
    frequencies: ArrayLike,
    sample_rate: float = 1.0,
    colorbar: bool = True,
) -> QuadMesh:
    """Draw the phase of wavelet coefficients, faded to grey where they are small.

    Parameters
    ----------
    ax : matplotlib Axes
    c : complex array, shape (n_freqs, n_samples)
        If it is longer than 2048 samples, only every few samples are drawn: draw a stretch instead.
    frequencies : array, shape (n_freqs,)
        Hz. A row at 0 Hz is left out.
    sample_rate : float
        Samples per second.
    colorbar : bool

    Returns
    -------
    QuadMesh
        The colours run once around a cyclic map. They are full at the peak and grey at 40 dB below
        it and lower.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.course import plotting, signals
    >>> W = Scalogram(256, 8000, voices_per_octave=4)
    >>> c = W(signals.linear_chirp(256, 8000))
    >>> mesh = plotting.phase(Figure().add_subplot(), c, W.frequencies, 8000)
    >>> mesh.get_array().shape[-1]  # red, green and blue
    3
    """
    coefficients = torch.as_tensor(c).detach().cpu()
    if not coefficients.is_complex():
        raise TypeError(f"c must hold complex coefficients, got {str(coefficients.dtype)}")
    modulus, rows = _rows(coefficients.abs(), frequencies, "c")
    angles, _ = _rows(coefficients.angle(), frequencies, "c")
    starts, times = _columns(angles, sample_rate)
    strength = 1 - level_db(modulus, floor_db=PHASE_FLOOR_DB)[:, starts, None] / PHASE_FLOOR_DB
    colours = ScalarMappable(Normalize(-math.pi, math.pi), "twilight")
    faded = FADED + strength * (colours.to_rgba(angles[:, starts])[..., :3] - FADED)
    mesh = _mesh(ax, times, rows, faded)
    if check_flag(colorbar, "colorbar"):
        bar = ax.figure.colorbar(colours, ax=ax, label="phase (rad)", ticks=[-math.pi, 0, math.pi])
        bar.set_ticklabels(["−π", "0", "π"])
    return mesh


def error_map(
    ax: Axes,
    S: ArrayLike,
    target: ArrayLike,
    frequencies: ArrayLike,
    sample_rate: float = 1.0,
    limit: float | None = None,
    colorbar: bool = True,
) -> QuadMesh:
    """Draw where a scalogram is above (red) and below (blue) its target.

    Parameters
    ----------
    ax : matplotlib Axes
    S, target : array, shape (n_freqs, n_samples), non-negative
    frequencies : array, shape (n_freqs,)
        Hz. A row at 0 Hz is left out.
    sample_rate : float
        Samples per second.
    limit : float, optional
        The colours span -limit to limit, as a fraction of the peak of `target`. Give the same one
        to all the pictures that are to be compared. Default: the largest difference.
    colorbar : bool

    Returns
    -------
    QuadMesh

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> S, target = [[1.0, 0.5], [0.0, 2.0]], [[1.0, 1.0], [0.0, 2.0]]
    >>> mesh = plotting.error_map(Figure().add_subplot(), S, target, [200.0, 100.0])
    >>> mesh.get_array().tolist()
    [[0.0, -0.25], [0.0, 0.0]]
    """
    wanted, rows = _rows(target, frequencies, "target")
    moduli, _ = _rows(S, frequencies, "S")
    check_magnitudes(moduli, wanted.shape)
    difference = (moduli - wanted) / (check_magnitudes(wanted, name="target").max().item() or 1.0)
    starts, times = _columns(difference, sample_rate)
    highest = np.maximum.reduceat(difference, starts, axis=-1)
    lowest = np.minimum.reduceat(difference, starts, axis=-1)
    largest = np.where(-lowest > highest, lowest, highest)
    if limit is None:
        limit = float(np.abs(largest).max()) or 1.0
    limit = check_positive(limit, "limit")
    mesh = _mesh(ax, times, rows, largest, Normalize(-limit, limit), "RdBu_r")
    if check_flag(colorbar, "colorbar"):
        ax.figure.colorbar(mesh, ax=ax, label="difference / peak")
    return mesh


def synchrosqueezed(
    ax: Axes,
    x: ArrayLike,
    sample_rate: float = 1.0,
    wavelet: str | tuple[str, dict[str, float]] = "gmw",
    floor_db: float = -40.0,
    reference: float | None = None,
    colorbar: bool = True,
) -> QuadMesh:
    """Draw the modulus of the synchrosqueezed wavelet transform of a signal.

    Synchrosqueezing moves each coefficient to the frequency at which its phase turns, so that
    ridges become thin lines. The method is that of Daubechies, Lu and Wu (2011),
    doi:10.1016/j.acha.2010.08.002, computed by ssqueezepy. The first call takes a few seconds, for
    compilation.

    Parameters
    ----------
    ax : matplotlib Axes
    x : real array, shape (n_samples,)
    sample_rate : float
        Samples per second.
    wavelet : str or (str, dict)
        As ssqueezepy takes it. Fast chirps need a short wavelet to become thin lines, close
        partials a long one: the published animation used ("gmw", {"gamma": 1, "beta": 1}).
    floor_db, reference, colorbar
        As in `scalogram`.

    Returns
    -------
    QuadMesh

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting, signals
    >>> ax = Figure().add_subplot()
    >>> mesh = plotting.synchrosqueezed(ax, signals.tones(256, 8000, [1000]), 8000)
    >>> mesh.get_clim()
    (-40.0, 0.0)
    """
    samples = check_signal(x, min_samples=16, ndim=1).detach().cpu().numpy()
    sample_rate = check_positive(sample_rate, "sample_rate")
    # 16 rows per octave are about as many rows as a small picture has lines of pixels.
    options = {"wavelet": wavelet, "fs": sample_rate, "scales": "log", "nv": 16}
    with serial():
        result: Any = ssqueezepy.ssq_cwt(samples, **options, preserve_transform=False)
    squeezed, _, frequencies, _ = result
    return scalogram(
        ax, np.abs(squeezed), frequencies, sample_rate, floor_db, reference, colorbar=colorbar
    )


def _rows(values: ArrayLike, frequencies: ArrayLike, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that a log axis can show and their frequencies in Hz, both checked."""
    plane = check_signal(values, name=name).detach().cpu().double().numpy()
    hertz = check_signal(frequencies, name="frequencies", ndim=1).detach().cpu().numpy()
    if plane.ndim != 2 or len(plane) != len(hertz):
        raise ValueError(
            f"{name} must have the shape (n_freqs, n_samples) with one row for each of the "
            f"{len(hertz)} frequencies, got shape {plane.shape}"
        )
    shown = hertz > 0
    steps = np.diff(hertz[shown])
    if len(steps) == 0 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(
            "frequencies must hold at least two positive values, ascending or descending"
        )
    return plane[shown], hertz[shown]


def _columns(values: np.ndarray, sample_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the first samples of the columns to draw, and the columns' edges in seconds."""
    n_samples = values.shape[-1]
    starts = np.arange(0, n_samples, math.ceil(n_samples / MAX_COLUMNS))
    return starts, np.append(starts, n_samples) / check_positive(sample_rate, "sample_rate")


def _mesh(
    ax: Axes,
    times: np.ndarray,
    frequencies: np.ndarray,
    values: np.ndarray,
    norm: Normalize | None = None,
    cmap: str | None = None,
) -> QuadMesh:
    """Draw coloured cells between the times (s) and around the frequencies (Hz) of their rows."""
    middles = np.log(frequencies)
    between = (middles[1:] + middles[:-1]) / 2
    first, last = 2 * middles[0] - between[0], 2 * middles[-1] - between[-1]
    edges = np.exp(np.concatenate([[first], between, [last]]))
    mesh = ax.pcolormesh(times, edges, values, norm=norm, cmap=cmap, rasterized=True)
    _log_hertz(ax, "y")
    ax.set(xlabel="time (s)", ylabel="frequency (Hz)")
    ax.set(xlim=(times[0], times[-1]), ylim=(edges.min(), edges.max()))
    ax.grid(False)
    return mesh


def _log_hertz(ax: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic and label it 100, 200, 500, 1k, 2k, ..., 1M."""
    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(_hertz_label)
    axis.set_minor_locator(NullLocator())


def _hertz_label(hertz: float, _position: int | None = None) -> str:
    """Write a frequency with the prefix of its unit, so that three digits stand before the point.

    A thousandth of a hertz is 0.001: numbers down to there are read more easily without a prefix.
    """
    if 1e-3 <= hertz < 1e3 or not 1e-15 <= hertz < 1e15:
        return f"{hertz:g}"
    group = math.floor(math.log10(hertz) / 3 + 1e-9)
    return f"{hertz / 10.0 ** (3 * group):.4g}{PREFIXES[group]}"


# --- Showing and storing -------------------------------------------------------------------------


class Picture:
    """PNG picture with an alternative text, which `picture` and `strip` return.

    Notebooks store the picture as ``image/png``, its alternative text in that output's metadata
    (where nbconvert finds it) and as ``text/plain`` (for every viewer without pictures).

    Attributes
    ----------
    png : bytes
    alt : str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> plotting.Picture(plotting.render(Figure()), "An empty sheet.")
    An empty sheet.
    """

    def __init__(self, png: bytes, alt: str):
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"alt must say in words what the picture shows, got {alt!r}")
        self.png = png
        self.alt = " ".join(alt.split())

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return self.alt


def picture(fig: Figure, alt: str) -> Picture:
    """Turn a figure into a `Picture`, and close the figure.

    Parameters
    ----------
    fig : matplotlib Figure
    alt : str
        Words that say what the picture shows, beginning with the finding: "The recovered chirp
        covers the original to within the line's width", and not "plot of two signals".

    Returns
    -------
    Picture

    Raises
    ------
    ValueError
        `alt` is empty.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from scalinv_utils.course import plotting
    >>> fig, ax = plt.subplots()
    >>> lines = ax.plot([0, 1])
    >>> plotting.picture(fig, "A line rises.").alt
    'A line rises.'
    """
    result = Picture(in_few_colours(render(fig)), alt)
    plt.close(fig)
    return result


def in_few_colours(png: bytes, colours: int = 256) -> bytes:
    """Reduce a PNG to a few colours: with 256 it looks alike and takes about half the bytes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> plotting.in_few_colours(plotting.render(Figure()))[1:4]
    b'PNG'
    """
    buffer, whole = io.BytesIO(), Image.open(io.BytesIO(png)).convert("RGB")
    # The median cut, Pillow's default, would leave none of its colours to a narrow colour bar.
    few = whole.quantize(colours, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def show(fig: Figure | Picture, alt: str) -> None:
    """Display a figure with its alternative text, and close it: every figure cell ends so.

    JupyterLab gives pictures no alternative text, so the same words also stand below, folded.

    Parameters
    ----------
    fig : matplotlib Figure or Picture
    alt : str
        As in `picture`.

    Examples
    --------
    >>> from matplotlib import pyplot as plt
    >>> from scalinv_utils.course import plotting
    >>> fig, ax = plt.subplots()
    >>> lines = ax.plot([0, 1])
    >>> plotting.show(fig, "A line rises.")
    A line rises. <IPython.core.display.HTML object>
    """
    shown = Picture(fig.png, alt) if isinstance(fig, Picture) else picture(fig, alt)
    summary = "<summary><small>The picture in words</small></summary>"
    display(shown, HTML(f"<details>{summary}{html.escape(shown.alt)}</details>"))


def render(fig: Figure, format: Literal["png", "webp"] = "png") -> bytes:
    """Turn a figure into the bytes of a picture file of fixed size, for widgets and film strips.

    Parameters
    ----------
    fig : matplotlib Figure
        It stays open, so that it can be changed and rendered again.
    format : "png" or "webp"
        WebP is lossy and three to five times smaller.

    Returns
    -------
    bytes

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> plotting.render(Figure(figsize=(2, 1)))[1:4]
    b'PNG'
    """
    check_choice(format, ("png", "webp"), "format")
    # savefig would go through the whole figure twice, the first time for the layout alone.
    before, canvas = fig.canvas, FigureCanvasAgg(fig)
    canvas.draw()
    fig.set_canvas(before)
    buffer = io.BytesIO()
    options = {"quality": 80} if format == "webp" else {}
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, format, **options)
    return buffer.getvalue()


def strip(
    frames: Sequence[bytes],
    alt: str,
    columns: int = 3,
    width: int = 1200,
    labels: Sequence[str] | None = None,
) -> Picture:
    """Put rendered frames side by side into a film strip, for readers without a running kernel.

    Parameters
    ----------
    frames : sequence of bytes
        Frames as `render` makes them, all of one size; they are filled in row by row.
    alt : str
        As in `picture`.
    columns : int
        Frames in a row.
    width : int
        Width of the whole strip in pixels; frames are made smaller to fit, never larger.
    labels : sequence of str, optional
        One text for each frame, written above it.

    Returns
    -------
    Picture

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import plotting
    >>> frame = plotting.render(Figure(figsize=(2, 1)))
    >>> plotting.strip([frame, frame], "Two empty sheets.")
    Two empty sheets.
    """
    if len(frames) == 0:
        raise ValueError("frames must hold at least one rendered frame, got none")
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in frames]
    if len({image.size for image in images}) > 1:
        raise ValueError(
            f"frames must all have one size, got {sorted({image.size for image in images})}"
        )
    columns = min(check_count(columns, "columns"), len(images))
    scale = min(1.0, check_count(width, "width") / (columns * images[0].width))
    size = [max(1, round(side * scale)) for side in images[0].size]
    texts = [_wrapped(label, size[0]) for label in labels or [""] * len(images)]
    above = max(text.count("\n") + bool(text) for text in texts) * LINE_HEIGHT
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * size[0], rows * (above + size[1])), "white")
    for k, (image, text) in enumerate(zip(images, texts)):
        x, y = k % columns * size[0], k // columns * (above + size[1])
        ImageDraw.Draw(sheet).text((x + LINE_HEIGHT / 2, y), text, "black", _font(), spacing=5)
        sheet.paste(image.resize(size, Image.Resampling.LANCZOS), (x, y + above))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return Picture(buffer.getvalue(), alt)


# The labels of a film strip, in pixels: from one line to the next, and the size of the letters.
LINE_HEIGHT, LETTERS = 24, 17


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    """Load the font of the figures."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), LETTERS)


def _wrapped(text: str, width: int) -> str:
    """Break a text into lines that fit into `width` pixels."""
    letters = max(1, int((width - LINE_HEIGHT) / (0.58 * LETTERS)))
    return "\n".join(textwrap.wrap(str(text), letters))
