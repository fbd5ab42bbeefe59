"""The stored form of an explorer: the element <scalinv-explorer>, which needs no kernel.

It holds one picture for each position of the controls. Pictures are put below each other in sheets,
since WebP then stores only once what the pictures of a sheet have in common: axes, words, curves
that stay. Where there are too many positions, ordered controls keep some of theirs.
"""

import base64
import io
import itertools
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from . import _web

# If this variable is in the environment, as while notebooks are being stored, explorers bring
# their stored form along.
STORE = "SCALINV_STORE_EXPLORERS"

# At most so many pictures, and so many bytes of them. Above MODEST pictures get fewer colours, and
# above LARGEST there are fewer pictures.
MOST_OF_GRID, MOST_OF_FILM, MODEST, LARGEST = 36, 41, 110_000, 200_000

# Pictures of one sheet. A sheet of 16 takes 30 MB in the browser's memory.
ROWS = 16
COLOURS, SAMPLE = (64, 32, 16), 500_000

CODE = re.compile(r'<script data-scalinv="[\w-]+">.*?</script>', re.DOTALL)


class Control(NamedTuple):
    """A control: its visible texts, the place it starts at, and if its places have an order."""

    label: str
    texts: Sequence[str]
    start: int
    ordered: bool


def element(
    about: dict[str, Any],
    controls: Sequence[Control],
    picture: Callable[[tuple[int, ...]], bytes],
    more: Callable[[tuple[int, ...]], dict[str, str]] = lambda places: {},
) -> str:
    """Write the HTML of an explorer with all its pictures.

    Parameters
    ----------
    about : dict
        title, alt; for a film also interval; questions if there are any.
    controls : sequence of Control
    picture : callable
        ``picture(places)`` returns the PNG bytes at these places of the controls.
    more : callable
        ``more(places)`` returns what else belongs to the picture: {"labels": ..., "sounds": ...}.

    Returns
    -------
    str

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from scalinv_utils.course import _stored, plotting
    >>> control = _stored.Control("step", ["one", "two"], 0, ordered=True)
    >>> png = plotting.render(Figure(figsize=(2, 1)))
    >>> html = _stored.element({"title": "A", "alt": "Nothing."}, [control], lambda places: png)
    >>> html.count("data:image/webp;base64,")
    1
    """
    most = MOST_OF_FILM if "interval" in about else MOST_OF_GRID
    kept, sheets, size = _within_budget(controls, picture, most)
    extra = [more(places) for places in itertools.product(*kept)]
    data = {
        **about,
        "size": size,
        "controls": [_thin(control, places) for control, places in zip(controls, kept)],
        "rows": ROWS,
        "sheets": [
            "data:image/webp;base64," + base64.b64encode(sheet).decode() for sheet in sheets
        ],
    }
    for name in extra[0]:
        data[name] = [CODE.sub("", item[name]) for item in extra]
    codes = {code: None for item in extra for text in item.values() for code in CODE.findall(text)}
    fallback = "<p><small>The controls of this picture need scripts.</small></p>"
    return _web.element("explorer", data, fallback) + "".join(codes)


def thinned(controls: Sequence[Control], most: int) -> list[list[int]]:
    """Choose places of each control so that there are `most` combinations at most, if that can be.

    Places without an order are all kept. The places at both ends and at the
    start of the other controls stay, and some evenly between them.

    Examples
    --------
    >>> from scalinv_utils.course._stored import Control, thinned
    >>> thinned([Control("a", "0123456789", 4, True), Control("b", "xyz", 0, False)], 15)
    [[0, 2, 4, 7, 9], [0, 1, 2]]
    """
    counts = [len(control.texts) for control in controls]
    fewest = [
        len({0, control.start, len(control.texts) - 1}) if control.ordered else count
        for control, count in zip(controls, counts)
    ]
    while math.prod(counts) > most and counts != fewest:
        most_left = [count - least and count for count, least in zip(counts, fewest)]
        counts[int(np.argmax(most_left))] -= 1
    return [_spread(control, count) for control, count in zip(controls, counts)]


def _spread(control: Control, count: int) -> list[int]:
    """Choose `count` places, evenly, those at both ends and at the start among them."""
    places = np.linspace(0, len(control.texts) - 1, count).round().astype(int)
    inner = places[1:-1]
    if control.start not in places:
        inner[np.abs(inner - control.start).argmin()] = control.start
    return sorted(places.tolist())


def _thin(control: Control, places: Sequence[int]) -> dict[str, Any]:
    return {
        "label": control.label,
        "kind": "range" if control.ordered else "choice",
        "texts": [control.texts[place] for place in places],
        "start": places.index(control.start),
    }


def _within_budget(
    controls: Sequence[Control], picture: Callable[[tuple[int, ...]], bytes], most: int
) -> tuple[list[list[int]], list[bytes], tuple[int, int]]:
    """Make the sheets; with fewer colours or fewer pictures if they would be too heavy."""
    while True:
        kept = thinned(controls, most)
        pictures = [_open(picture(places)) for places in itertools.product(*kept)]
        for colours in COLOURS:
            sheets = _sheets(pictures, colours)
            weight = sum(map(len, sheets))
            if weight <= MODEST:
                break
        fewer = math.floor(len(pictures) * LARGEST / weight)
        if weight <= LARGEST or thinned(controls, fewer) == kept:
            return kept, sheets, pictures[0].size
        most = fewer


def _open(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


def _sheets(pictures: Sequence[Image.Image], colours: int) -> list[bytes]:
    """Put pictures below each other, ROWS to a sheet, in a few colours that all have in common."""
    palette = _palette(pictures, colours)
    few = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in pictures]
    return [_sheet(few[k : k + ROWS]) for k in range(0, len(few), ROWS)]


def _palette(pictures: Sequence[Image.Image], colours: int) -> Image.Image:
    """Choose the colours from about SAMPLE pixels of all pictures."""
    width, height = pictures[0].size
    scale = min(1.0, math.sqrt(SAMPLE / (width * height * len(pictures))))
    size = (math.ceil(width * scale), math.ceil(height * scale))
    small = [image.resize(size, Image.Resampling.NEAREST) for image in pictures]
    # The median cut, Pillow's default, would leave none of its colours to a thin line.
    return _below(small).quantize(colours, Image.Quantize.MAXCOVERAGE, 3, None, Image.Dither.NONE)


def _below(images: Sequence[Image.Image]) -> Image.Image:
    width, height = images[0].size
    sheet = Image.new("RGB", (width, height * len(images)), "white")
    for k, image in enumerate(images):
        sheet.paste(image, (0, k * height))
    return sheet


def _sheet(pictures: Sequence[Image.Image]) -> bytes:
    # Below a quality of 76 WebP does not look for what pictures have in common, and the sheet
    # becomes about three times as heavy.
    buffer = io.BytesIO()
    _below(pictures).save(buffer, "WEBP", lossless=True, quality=80, method=4)
    return buffer.getvalue()
