"""Read a scalogram from a picture: colours to levels in dB, pixels to frequencies and times.

A colour map of K colours (matplotlib's have 256) paints the levels between -db_range and 0 dB:

    colour k    <-  levels from -db_range + k step to -db_range + (k + 1) step,  step = db_range / K
    pixel       ->  the middle of the levels of the nearest colour: at most step / 2 wrong
    colour 0    ->  "at most -db_range + step", because all that is quieter has this colour, too
    row r of R  ->  f_max (f_min / f_max)^(r / (R - 1)),    the lowest frequency in the bottom row

Some maps paint neighbouring levels alike once their colours are rounded to 8 bit (gray and viridis
two of them here and there, jet four at its ends); there the middle of those levels is taken. A file
of grey values of K levels, without a map, is taken to be rounded: grey k is -db_range +
k db_range / (K - 1). The loudest level of the map is 0 dB: a picture has no unit.

The colour map need not be given: of matplotlib's maps, the one is taken whose colours lie nearest
to those of the picture. A map and its reverse have the same colours. Between them the dips decide:
in dB, a modulus has sharp dips, at its zeros, and round peaks.
"""

import math
import os
from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from scipy.ndimage import binary_closing
from scipy.spatial import KDTree

from .._room import check_known_fits, check_room, for_file
from .._validation import check_choice, check_count, check_positive
from .._whole_file import check_path
from ..transforms._wavelets import WaveletLike
from ..transforms.scalogram import Scalogram
from ._measured import Measured

__all__ = ["from_image"]

# A picture is read if half of its pixels lie this near to a colour of the map, and a pixel belongs
# to the scalogram if it does: distances in RGB, where black and white are 441 apart. Neighbouring
# colours of a map are 1 to 5 apart.
NEAR = 12.0

# Colours, drawn at random, from which a map is found.
LOOKED_AT = 2000

# A map with fewer different colours than this says too little to be found by its colours.
FEWEST_COLOURS = 200

# A row or column of pixels belongs to the scalogram if it has at least this share of the pixels on
# the map that the best one has. Blends of two colours, which scaling a picture makes, are off it.
INSIDE = 0.2

# A line around axes is darker than this (of 255), and lies this near to the pixels on the map.
DARK, FRAME_PIXELS = 100, 3


# Pictures of these formats are decoded: others would have pillow start other programs.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP")

# Each pixel takes so many bytes on the way: three colours, their codes, and the codes in order.
BYTES_PER_PIXEL = 150

# The advice for a picture of too many pixels.
FEWER_PIXELS = "cut out the scalogram, or draw it with fewer pixels"

# The tags of TIFF that say how large the pieces are which it is decoded in; a piece may be larger
# than the picture.
TILE_WIDTH, TILE_LENGTH = 322, 323


class Picture(NamedTuple):
    """The pixels of a file."""

    values: np.ndarray  # grey values, (n_rows, n_columns), or RGB, (n_rows, n_columns, 3)
    n_greys: int  # 0 for RGB
    opaque: np.ndarray  # bool, (n_rows, n_columns)


class ColourMap(NamedTuple):
    """The different colours of a map, and which of the levels 0 to n_levels - 1 they stand for."""

    colours: np.ndarray  # RGB, (n_colours, 3)
    levels: np.ndarray  # (n_colours,); the middle one where neighbours have one colour
    n_levels: int
    is_ambiguous: bool  # one colour stands for levels that are no neighbours


class Levels(NamedTuple):
    """A picture as numbers: which level each pixel has."""

    values: np.ndarray  # (n_rows, n_columns), 0 to n_levels - 1
    n_levels: int
    is_rounded: bool  # a colour stands for one level, not for all from one to the next
    lowest: float  # level of the lowest colour of the map
    known: np.ndarray  # bool, (n_rows, n_columns)


def from_image(
    path: str | PathLike[str],
    *,
    sample_rate: float,
    seconds: float,
    f_min: float,
    f_max: float,
    db_range: float = 80.0,
    wavelet: WaveletLike = "gmw",
    cmap: str | None = None,
    box: Sequence[int] | None = None,
    columns: Literal["sampled", "scaled"] | None = None,
) -> Measured:
    """Read a scalogram that was drawn in dB with a colour map, on a logarithmic frequency axis.

    Parameters
    ----------
    path : str or path-like
        A picture that pillow opens: PNG in colour, grey (8 or 16 bit) or with a palette; JPEG and
        others, whose colours are not exact, with larger errors.
    sample_rate : float
        Samples per second of the signal to recover, in Hz.
    seconds : float
        Time that the picture spans, from the left edge to the right edge.
    f_min, f_max : float
        Frequencies of the bottom row and of the top row, in Hz.
    db_range : float
        Levels, in dB, from the first colour of the map to the last one.
    wavelet : str, (str, dict), ssqueezepy.Wavelet or callable
        The wavelet that the scalogram was made with, as `Scalogram` takes it.
    cmap : str, optional
        Name of a matplotlib colour map, "_r" for its reverse. Default: the map is found.
    box : (left, top, right, bottom), optional
        Pixels that hold the scalogram, where the picture shows axes as well; right and bottom are
        not included. Default: margins whose colours do not belong to the map are cut off.
    columns : "sampled" or "scaled", optional
        "sampled": column k shows the sample k n_samples / n_columns (a drawing of ``S[:, ::hop]``).
        "scaled": column k shows the middle of its pixels (a drawing that was made smaller or
        larger). Default: "sampled" if n_samples is a multiple of the number of columns.

    Returns
    -------
    Measured
        In dB, at every sample to which a column is nearest.

    Raises
    ------
    ImportError
        If pillow or matplotlib (for any but grey pictures) is not installed.
    ValueError
        If the file is no picture, no colour map fits its colours, or a parameter is out of range.
    OSError
        If the file cannot be opened.

    Examples
    --------
    A drawing by ``matplotlib.pyplot.imsave(path, S_db, vmin=-80, vmax=0)``, lowest frequency last::

        M = from_image(path, sample_rate=8000, seconds=0.256, f_min=60, f_max=4000)
    """
    db_range = check_positive(db_range, "db_range")
    sample_rate = check_positive(sample_rate, "sample_rate")
    n_samples = round(sample_rate * check_positive(seconds, "seconds"))
    levels = _levels(_picture(path, box, cmap), cmap, box is None)
    n_rows, n_columns = levels.values.shape
    frequencies = _frequencies(f_min, f_max, n_rows, sample_rate)
    check_known_fits(n_rows, n_samples, "seconds", "cut out the rows that are needed")
    W = Scalogram.from_frequencies(n_samples, sample_rate, frequencies=frequencies, wavelet=wavelet)
    db, step_db, floor = _decibels(levels, db_range)
    hop, source, shown = _columns(n_columns, n_samples, columns)
    known = levels.known[:, source] & shown
    return Measured(
        torch.from_numpy(db[:, source]),
        W,
        scale="db",
        known=None if known.all() else known,
        hop=hop,
        step_db=step_db,
        floor=floor,
    )


# --- Rows, columns and levels ---------------------------------------------------------------------


def _frequencies(f_min: float, f_max: float, n_rows: int, sample_rate: float) -> np.ndarray:
    """Space the rows from f_max at the top down to f_min, logarithmically."""
    f_min = check_positive(f_min, "f_min")
    f_max = check_positive(f_max, "f_max")
    if not f_min < f_max <= sample_rate / 2:
        raise ValueError(
            f"f_max must be above f_min = {f_min:g} Hz and at most the Nyquist frequency "
            f"{sample_rate / 2:g} Hz, got {f_max:g} Hz"
        )
    return np.geomspace(f_max, f_min, n_rows)


def _columns(
    n_columns: int, n_samples: int, meaning: str | None
) -> tuple[int, np.ndarray, np.ndarray]:
    """Return the hop, the column of the picture for each kept sample, and whether it shows one."""
    check_choice(meaning, (None, "sampled", "scaled"), "columns")
    width = n_samples / n_columns
    if meaning is None:
        meaning = "sampled" if n_samples % n_columns == 0 else "scaled"
    first = 0.0 if meaning == "sampled" else width / 2 - 0.5
    if meaning == "sampled" and n_samples % n_columns == 0:
        everything = np.arange(n_columns)
        return n_samples // n_columns, everything, everything >= 0
    places = np.arange(n_samples)
    source = np.clip(np.round((places - first) / width), 0, n_columns - 1).astype(int)
    return 1, source, np.abs(first + source * width - places) <= 0.5


def _decibels(levels: Levels, db_range: float) -> tuple[np.ndarray, float, float]:
    """Turn levels into dB; return the step and the floor, too."""
    step = db_range / (levels.n_levels - levels.is_rounded)
    middle = 0.0 if levels.is_rounded else 0.5
    db = (levels.values + middle) * step - db_range
    # The lowest colour ends half a step above level 0, or as far above its middle as that is.
    floor = (2 * levels.lowest + middle + 0.5) * step - db_range
    db[levels.values <= levels.lowest] = floor
    # A little more, so that no rounding on the way to the modulus puts these values above it.
    return db, step, floor + 1e-6 * step


# --- Pixels and colours ---------------------------------------------------------------------------


def _picture(path: str | PathLike[str], box: Sequence[int] | None, cmap: str | None) -> Picture:
    """Open a file and cut out the box."""
    try:
        from PIL import Image
    except ImportError:
        raise ImportError("from_image needs pillow: pip install pillow") from None
    with open(check_path(path), "rb") as file:
        opened = _unless_damaged(lambda: Image.open(file, formats=FORMATS), path)
        n_bytes = BYTES_PER_PIXEL * _n_pixels(opened)
        with for_file(os.fstat(file.fileno()).st_size):
            check_room(n_bytes, "path", "its pixels", FEWER_PIXELS)
        _unless_damaged(opened.load, path)
    image = opened if box is None else opened.crop(_checked(box, opened.size))
    picture = _taken_apart(image, cmap in (None, "gray", "grey"))
    if not picture.opaque.any():
        raise ValueError(f"path must be a picture that can be seen, got {path}, all transparent")
    return picture


def _n_pixels(opened: Any) -> float:
    """Count the pixels of a picture or, where it is larger, of a piece that it is decoded in."""
    tags = getattr(opened, "tag_v2", {})
    tile = (tags.get(tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH))
    sizes = (size if isinstance(size, int) else math.inf for size in tile)  # others are damage
    return max(math.prod(opened.size), math.prod(sizes))


def _unless_damaged(read: Callable[[], Any], path: str | PathLike[str]) -> Any:
    """Open or decode a picture, or say that pillow cannot."""
    from PIL.Image import DecompressionBombError

    try:
        return read()
    except (OSError, SyntaxError, ValueError, DecompressionBombError) as error:
        raise ValueError(
            f"path must be a picture that pillow can open, got {path}: {error}"
        ) from None


def _checked(box: Sequence[int], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return the box if it lies inside the picture and holds two rows and two columns."""
    try:
        left, top, right, bottom = (check_count(edge, "box", 0) for edge in box)
    except (TypeError, ValueError):
        left = top = right = bottom = -1
    if not (0 <= left <= right - 2 <= size[0] - 2 and 0 <= top <= bottom - 2 <= size[1] - 2):
        raise ValueError(
            f"box must be (left, top, right, bottom) in pixels inside the picture of "
            f"{size[0]} x {size[1]}, got {box!r}"
        )
    return left, top, right, bottom


def _taken_apart(image: Any, grey_is_level: bool) -> Picture:
    """Take the values and the opaque pixels out of an image of pillow."""
    opaque = np.asarray(image.convert("RGBA"))[..., 3] == 255 if _has_alpha(image) else None
    if grey_is_level and image.mode in ("1", "L", "LA", "I", "I;16", "I;16B"):
        deep = image.mode.startswith("I")
        values = np.asarray(image if deep else image.convert("L")).astype(np.int32)
        n_greys = 2**16 if deep else 2**8
    else:
        values, n_greys = np.asarray(image.convert("RGB")), 0
    return Picture(values, n_greys, np.ones(values.shape[:2], bool) if opaque is None else opaque)


def _has_alpha(image: Any) -> bool:
    return "A" in image.mode or "transparency" in image.info


def _levels(picture: Picture, cmap: str | None, may_cut: bool) -> Levels:
    """Give each pixel its level; cut off margins and turn a reversed map round."""
    if picture.n_greys:
        levels = Levels(picture.values, picture.n_greys, True, 0.0, picture.opaque)
    else:
        levels = _in_colours(picture, _map_of(picture, cmap), may_cut)
    if cmap is None and _dips(np.where(levels.known, levels.values, np.nan)) < 0:
        levels = levels._replace(values=levels.n_levels - 1 - levels.values)
    edges = _outline(levels.values)[_outline(levels.known)]
    if may_cut and len(edges) and (edges == levels.n_levels - 1).all():
        raise ValueError(
            "box must be given for this picture: its edges have one colour, that of the loudest "
            "level, and look like margins"
        )
    return levels


def _in_colours(picture: Picture, scale: ColourMap, may_cut: bool) -> Levels:
    """Find the nearest colours of a map, in the part of the picture that has such colours."""
    colours, which = _different(picture.values)
    distance, nearest = map(np.asarray, KDTree(scale.colours).query(colours))
    known, index = picture.opaque & (distance <= NEAR)[which], nearest[which]
    if may_cut and _outline(known).mean() < 0.5:
        rows, columns = _inside(known, picture.values)
        known, index = known[rows, columns], index[rows, columns]
        known &= ~_frame(picture.values[rows, columns])
    if known.mean() < 0.5:
        raise ValueError(
            f"path must be a picture in the colours of one colour map, got one in which "
            f"{known.mean():.0%} of the pixels have colours of the map given or of the best of "
            f"matplotlib's; give cmap, or box if the picture shows more than the scalogram"
        )
    return Levels(scale.levels[index], scale.n_levels, False, float(scale.levels.min()), known)


def _map_of(picture: Picture, cmap: str | None) -> ColourMap:
    """Return the colour map of this name, or the one that fits the picture best."""
    colormaps = _matplotlib_maps()
    if cmap is not None:
        scale = _colour_map(colormaps[check_choice(cmap, list(colormaps), "cmap")])
        if scale.is_ambiguous:
            raise ValueError(f"cmap must have a colour of its own for each level, got {cmap!r}")
        return scale
    seen, weights = _seen(picture)
    scales = [_colour_map(m) for name, m in colormaps.items() if not name.endswith("_r")]
    scales = [s for s in scales if len(s.colours) >= FEWEST_COLOURS and not s.is_ambiguous]
    return min(scales, key=lambda s: _misfit(s, seen, weights))


def _seen(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """List the colours that tell of the map, at most `LOOKED_AT`, and their weights.

    The colour of the corner is left out: where a picture has margins, it is theirs. A colour
    weighs the root of its number of pixels: letters and lines have many shades and few pixels, a
    floor has one colour and most of the pixels, and neither may decide alone.
    """
    colours, which = _different(picture.values[picture.opaque])
    weights = np.sqrt(np.bincount(which.ravel()))
    chosen = np.flatnonzero((colours != picture.values[0, 0]).any(-1) | (len(colours) == 1))
    chosen = np.random.default_rng(0).permutation(chosen)[:LOOKED_AT]
    return colours[chosen], weights[chosen]


def _different(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """List the different colours of pixels, and for each pixel which of them it has."""
    red, green, blue = (values[..., k].astype(np.int32) for k in range(3))
    packed = red << 16 | green << 8 | blue
    codes, which = np.unique(packed, return_inverse=True)
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1), which.reshape(packed.shape)


def _misfit(scale: ColourMap, colours: np.ndarray, weights: np.ndarray) -> float:
    """Compute the mean distance of colours to those of a map; far ones count no more than near."""
    distances = np.minimum(KDTree(scale.colours).query(colours)[0], 4 * NEAR)
    return float(np.average(distances, weights=weights))


def _matplotlib_maps() -> Any:
    """Return matplotlib's colour maps by name."""
    try:
        from matplotlib import colormaps
    except ImportError:
        raise ImportError(
            "from_image needs matplotlib for its colour maps: pip install matplotlib"
        ) from None
    return colormaps


def _colour_map(colormap: Any) -> ColourMap:
    """List the colours of one of matplotlib's maps as they are written to files of 8 bit."""
    painted = colormap(np.arange(colormap.N), bytes=True)[:, :3].astype(int)
    colours, which, count = np.unique(painted, axis=0, return_inverse=True, return_counts=True)
    levels = np.bincount(which.ravel(), np.arange(colormap.N)) / count
    spread = np.bincount(which.ravel(), (np.arange(colormap.N) - levels[which.ravel()]) ** 2)
    # The variance of a run of n neighbours is (n^2 - 1) / 12.
    ambiguous = bool((spread > count * (count**2 - 1) / 12 + 1e-6).any())
    return ColourMap(colours, levels, colormap.N, ambiguous)


# --- The part of a picture that is the scalogram --------------------------------------------------


def _outline(plane: np.ndarray) -> np.ndarray:
    """Return the pixels of the four edges."""
    return np.concatenate([plane[[0, -1]].ravel(), plane[:, [0, -1]].ravel()])


def _inside(known: np.ndarray, values: np.ndarray) -> tuple[slice, slice]:
    """Find the rows and columns between margins, axes and colour bars, whose colours differ."""
    rows = _longest_run(known.mean(1))
    columns = _longest_run(known[rows].mean(0))
    rows = _longest_run(known[:, columns].mean(1))
    dark = values.max(-1) < DARK
    return _framed(rows, dark[:, columns].all(1)), _framed(columns, dark[rows].all(0))


def _longest_run(share: np.ndarray) -> slice:
    """Find the longest run of values that are not far below the largest, over short gaps."""
    within = np.pad(share > INSIDE * share.max(), FRAME_PIXELS)  # closing eats into the ends
    closed = binary_closing(within, np.ones(2 * FRAME_PIXELS + 1))[FRAME_PIXELS:-FRAME_PIXELS]
    inside = np.concatenate([[0], closed, [0]]).astype(int)
    starts, stops = np.flatnonzero(np.diff(inside) == 1), np.flatnonzero(np.diff(inside) == -1)
    longest = np.argmax(stops - starts)
    return slice(int(starts[longest]), int(stops[longest]))


def _framed(inside: slice, dark: np.ndarray) -> slice:
    """Move the ends of a run to the middle of the dark lines of a frame, where it has one.

    Axes end in the middle of the lines that are drawn around them.
    """
    lines = np.flatnonzero(dark)
    before = lines[np.abs(lines - inside.start) <= FRAME_PIXELS]
    after = lines[np.abs(lines - inside.stop) <= FRAME_PIXELS]
    start = inside.start if len(before) == 0 else round(before.mean())
    stop = inside.stop if len(after) == 0 else round(after.mean()) + 1
    return slice(start, stop)


def _frame(values: np.ndarray) -> np.ndarray:
    """Find the pixels of dark lines along the edges."""
    dark = values.max(-1) < DARK
    rows, columns = dark.all(1), dark.all(0)
    rows[FRAME_PIXELS:-FRAME_PIXELS] = columns[FRAME_PIXELS:-FRAME_PIXELS] = False
    return rows[:, None] | columns


def _dips(values: np.ndarray) -> float:
    """Measure how much sharper the dips of a picture are than its peaks; negative if reversed.

    The measure is the skewness of second differences in time; NaN stands for what is not known.
    """
    skew = 0.0
    for lag in (1, 2, 4, 8, 16):
        bend = values[:, 2 * lag :] - 2 * values[:, lag:-lag] + values[:, : -2 * lag]
        bend = bend[np.isfinite(bend)]
        skew += (bend**3).sum() / max((bend**2).sum(), 1e-9) ** 1.5 * len(bend) ** 0.5
    return float(skew)
