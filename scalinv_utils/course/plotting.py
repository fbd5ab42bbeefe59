"""Pictures: one style, one function per kind of picture, each drawing on the axes it is given.

Every drawing function takes `ax` first and returns the artist, and none of them opens or shows a
figure, so the same code serves a cell, a widget and a test. Frequencies are in Hz on a log axis,
times in seconds, levels in dB. A figure ends with ``show(fig, "what the picture shows")``.
"""

import base64
import html
import io
import math
from importlib import resources

import numpy as np
import torch
from matplotlib import colormaps, pyplot as plt, rc_params_from_file
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.ticker import LogLocator, NullLocator

from .._validation import check_choice, check_count, check_magnitudes, check_positive, check_signal

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

# Columns of a time-frequency picture: more than any screen shows, few enough to draw quickly.
MAX_COLUMNS = 2048

# Below this level phase is noise, and is not shown.
PHASE_FLOOR_DB = -40.0

# The grey level that phase fades to: half way between the light and the dark end of its colours,
# so that it is not taken for one of them.
FADED = 0.6


def use_style():
    """Give all figures from here on the look of the course."""
    plt.style.use(_style())


def _style():
    with resources.as_file(resources.files(__package__) / "scalinv.mplstyle") as path:
        return rc_params_from_file(path, use_default_template=False)


# --- Curves --------------------------------------------------------------------------------------


def signal(ax, x, sample_rate=1.0, **line):
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
    """
    x = check_signal(x, ndim=1).detach().cpu().numpy()
    duration = len(x) / check_positive(sample_rate, "sample_rate")
    (artist,) = ax.plot(np.arange(len(x)) / sample_rate, x, **line)
    ax.set(xlabel="time (s)", ylabel="amplitude", xlim=(0, duration))
    return artist


def convergence(ax, histories, xlabel="iteration", ylabel="consistency (dB)"):
    """Draw how errors fall, one labelled curve per method; line styles differ beside colours.

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
        In the order of `histories`.
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


def _positions_and_levels(history, name):
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


def filterbank(ax, W, every=1):
    """Draw the frequency responses of a transform's filters, from low (dark) to high (bright).

    Parameters
    ----------
    ax : matplotlib Axes
    W : Scalogram
        Anything with `filters` (n_freqs, n_bins), `frequencies` (Hz), `n_samples`, `sample_rate`.
    every : int
        Draw each `every`-th filter only.

    Returns
    -------
    list of Line2D
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


def level_db(S, reference=None, floor_db=-60.0):
    """Magnitudes as levels in dB, cut off at a floor.

    Parameters
    ----------
    S : array, shape (..., n_freqs, n_samples), non-negative
    reference : float, optional
        The magnitude at 0 dB. Default: the largest entry of S.
    floor_db : float
        Negative.

    Returns
    -------
    numpy array of the shape of S
        20 log10(S / reference), at least `floor_db`; silence is `floor_db` throughout.
    """
    S = check_magnitudes(S).detach().cpu().double().numpy()
    if not (math.isfinite(floor_db) and floor_db < 0):
        raise ValueError(f"floor_db must be a negative number of decibels, got {floor_db!r}")
    reference = S.max() if reference is None else check_positive(float(reference), "reference")
    if reference == 0:
        return np.full(S.shape, float(floor_db))
    return 20 * np.log10(np.maximum(S / reference, 10 ** (floor_db / 20)))


def scalogram(
    ax, S, frequencies, sample_rate=1.0, floor_db=-60.0, reference=None, cmap="magma", colorbar=True
):
    """Draw a scalogram in dB over time and log frequency.

    Parameters
    ----------
    ax : matplotlib Axes
    S : array, shape (n_freqs, n_samples), non-negative
        Longer than 2048 samples, each column shows the maximum over a few samples.
    frequencies : array, shape (n_freqs,)
        Hz, ascending or descending. A row at 0 Hz (a lowpass channel) is left out.
    sample_rate : float
        Samples per second.
    floor_db : float
        Where the colour map begins.
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
    """
    S, frequencies = _rows(S, frequencies, "S")
    levels = level_db(S, reference, floor_db)
    starts, times = _columns(levels, sample_rate)
    pooled = np.maximum.reduceat(levels, starts, axis=-1)
    mesh = _mesh(ax, times, frequencies, pooled, Normalize(floor_db, 0), cmap)
    if colorbar:
        ax.figure.colorbar(
            mesh, ax=ax, label="level (dB re peak)" if reference is None else "level (dB)"
        )
    return mesh


def phase(ax, c, frequencies, sample_rate=1.0, colorbar=True):
    """Draw the phase of wavelet coefficients, faded to grey where they are small.

    Parameters
    ----------
    ax : matplotlib Axes
    c : complex array, shape (n_freqs, n_samples)
        Longer than 2048 samples, only every few samples are drawn: draw a stretch instead.
    frequencies : array, shape (n_freqs,)
        Hz. A row at 0 Hz is left out.
    sample_rate : float
        Samples per second.
    colorbar : bool

    Returns
    -------
    QuadMesh
        Colours run once around a cyclic map; full colour at the peak, grey from 40 dB below on.
    """
    c = torch.as_tensor(c).detach().cpu()
    if not c.is_complex():
        raise TypeError(f"c must hold complex coefficients, got {str(c.dtype)}")
    modulus, rows = _rows(c.abs(), frequencies, "c")
    angles, _ = _rows(c.angle(), frequencies, "c")
    starts, times = _columns(angles, sample_rate)
    strength = 1 - level_db(modulus, floor_db=PHASE_FLOOR_DB)[:, starts, None] / PHASE_FLOOR_DB
    colours = ScalarMappable(Normalize(-math.pi, math.pi), "twilight")
    faded = FADED + strength * (colours.to_rgba(angles[:, starts])[..., :3] - FADED)
    mesh = _mesh(ax, times, rows, faded)
    if colorbar:
        bar = ax.figure.colorbar(colours, ax=ax, label="phase (rad)", ticks=[-math.pi, 0, math.pi])
        bar.set_ticklabels(["−π", "0", "π"])
    return mesh


def error_map(ax, S, target, frequencies, sample_rate=1.0, limit=None, colorbar=True):
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
    """
    target, rows = _rows(target, frequencies, "target")
    S, _ = _rows(S, frequencies, "S")
    check_magnitudes(S, target.shape)
    difference = (S - target) / (check_magnitudes(target, name="target").max().item() or 1.0)
    starts, times = _columns(difference, sample_rate)
    highest = np.maximum.reduceat(difference, starts, axis=-1)
    lowest = np.minimum.reduceat(difference, starts, axis=-1)
    largest = np.where(-lowest > highest, lowest, highest)
    limit = np.abs(largest).max() or 1.0 if limit is None else check_positive(limit, "limit")
    mesh = _mesh(ax, times, rows, largest, Normalize(-limit, limit), "RdBu_r")
    if colorbar:
        ax.figure.colorbar(mesh, ax=ax, label="difference / peak")
    return mesh


def synchrosqueezed(
    ax, x, sample_rate=1.0, wavelet="gmw", floor_db=-40.0, reference=None, colorbar=True
):
    """Draw the modulus of the synchrosqueezed wavelet transform of a signal.

    Synchrosqueezing moves each coefficient to the frequency that its phase turns at: ridges become
    thin lines. Method: Daubechies, Lu and Wu (2011), doi:10.1016/j.acha.2010.08.002, computed by
    ssqueezepy. The first call takes a few seconds, for compilation.

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
    """
    from ssqueezepy import ssq_cwt

    x = check_signal(x, min_samples=16, ndim=1).detach().cpu().numpy()
    check_positive(sample_rate, "sample_rate")
    # 16 rows per octave: about as many rows as a small picture has lines to show them.
    options = {"wavelet": wavelet, "fs": sample_rate, "scales": "log", "nv": 16}
    squeezed, _, frequencies, _ = ssq_cwt(x, **options, preserve_transform=False)
    return scalogram(
        ax, np.abs(squeezed), frequencies, sample_rate, floor_db, reference, colorbar=colorbar
    )


def _rows(values, frequencies, name):
    """The rows that a log axis can show, checked against their frequencies in Hz."""
    values = check_signal(values, name=name).detach().cpu().double().numpy()
    frequencies = check_signal(frequencies, name="frequencies", ndim=1).detach().cpu().numpy()
    if values.ndim != 2 or len(values) != len(frequencies):
        raise ValueError(
            f"{name} must have the shape (n_freqs, n_samples) with one row for each of the "
            f"{len(frequencies)} frequencies, got shape {values.shape}"
        )
    shown = frequencies > 0
    steps = np.diff(frequencies[shown])
    if len(steps) == 0 or not (np.all(steps > 0) or np.all(steps < 0)):
        raise ValueError(
            "frequencies must hold at least two positive values, ascending or descending"
        )
    return values[shown], frequencies[shown]


def _columns(values, sample_rate):
    """First samples of the columns to draw, and the columns' edges in seconds."""
    n_samples = values.shape[-1]
    starts = np.arange(0, n_samples, math.ceil(n_samples / MAX_COLUMNS))
    return starts, np.append(starts, n_samples) / check_positive(sample_rate, "sample_rate")


def _mesh(ax, times, frequencies, values, norm=None, cmap=None):
    """Coloured cells between the times (s) and around the frequencies (Hz) of their rows."""
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


def _log_hertz(ax, which):
    """A log axis labelled 100, 200, 500, 1k, 2k ..."""
    getattr(ax, f"set_{which}scale")("log")
    axis = getattr(ax, f"{which}axis")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(_hertz_label)
    axis.set_minor_locator(NullLocator())


def _hertz_label(hertz, _position=None):
    return f"{hertz / 1000:g}k" if hertz >= 1000 else f"{hertz:g}"


# --- Showing and storing -------------------------------------------------------------------------


class Picture:
    """A PNG with words in place of sight: the result of `picture` and `strip`.

    Notebooks store the picture as ``image/png``, its alternative text in that output's metadata
    (where nbconvert finds it) and as ``text/plain`` (for every viewer without pictures).

    Attributes
    ----------
    png : bytes
    alt : str
    """

    def __init__(self, png, alt):
        if not isinstance(alt, str) or not alt.strip():
            raise ValueError(f"alt must say in words what the picture shows, got {alt!r}")
        self.png = png
        self.alt = " ".join(alt.split())

    def _repr_mimebundle_(self, include=None, exclude=None):
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt}}

    def __repr__(self):
        return self.alt


def picture(fig, alt):
    """A figure as a `Picture`; the figure is closed.

    Parameters
    ----------
    fig : matplotlib Figure
    alt : str
        What the picture shows, finding first: "The recovered chirp covers the original to within
        the line's width", and not "plot of two signals".

    Raises
    ------
    ValueError
        No text.
    """
    result = Picture(in_few_colours(render(fig)), alt)
    plt.close(fig)
    return result


def in_few_colours(png):
    """A PNG of 256 colours at most, as bytes: what is stored weighs half, and looks alike."""
    from PIL import Image

    buffer, whole = io.BytesIO(), Image.open(io.BytesIO(png)).convert("RGB")
    # Not the median cut, which leaves none of its colours to a narrow colour bar.
    few = whole.quantize(256, Image.Quantize.MAXCOVERAGE, 3, dither=Image.Dither.NONE)
    few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def show(fig, alt):
    """Display a figure with its alternative text, and close it. The end of every figure cell.

    JupyterLab gives pictures no alternative text, so the same words also stand below, folded.

    Parameters
    ----------
    fig : matplotlib Figure or Picture
    alt : str
        As in `picture`.
    """
    from IPython.display import HTML, display

    shown = Picture(fig.png, alt) if isinstance(fig, Picture) else picture(fig, alt)
    summary = "<summary><small>The picture in words</small></summary>"
    display(shown, HTML(f"<details>{summary}{html.escape(shown.alt)}</details>"))


def render(fig, format="png"):
    """A figure as the bytes of a picture file of fixed size, for widgets and film strips.

    Parameters
    ----------
    fig : matplotlib Figure
        Stays open, so that one figure can be changed and rendered again.
    format : "png" or "webp"
        WebP is lossy and three to five times smaller.

    Returns
    -------
    bytes
    """
    check_choice(format, ("png", "webp"), "format")
    from PIL import Image

    # Not savefig, which goes through the whole figure twice, the first time for the layout alone.
    before, canvas = fig.canvas, FigureCanvasAgg(fig)
    canvas.draw()
    fig.set_canvas(before)
    buffer = io.BytesIO()
    options = {"quality": 80} if format == "webp" else {}
    Image.fromarray(np.asarray(canvas.buffer_rgba())).save(buffer, format, **options)
    return buffer.getvalue()


def strip(frames, alt, columns=3, width=1200):
    """A film strip: rendered frames side by side, for those who read without a running kernel.

    Parameters
    ----------
    frames : sequence of bytes
        As `render` makes them, all of one size; filled in row by row.
    alt : str
        As in `picture`.
    columns : int
        Frames in a row.
    width : int
        Of the whole, in pixels; frames are made smaller to fit, never larger.

    Returns
    -------
    Picture
    """
    from PIL import Image

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
    rows = math.ceil(len(images) / columns)
    sheet = Image.new("RGB", (columns * size[0], rows * size[1]), "white")
    for k, image in enumerate(images):
        place = (k % columns * size[0], k // columns * size[1])
        sheet.paste(image.resize(size, Image.Resampling.LANCZOS), place)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG", optimize=True)
    return Picture(buffer.getvalue(), alt)
