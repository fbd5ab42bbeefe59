"""The first screen of the site, made of the stored outputs of the first notebook.

The word, its wreck and its two recoveries are found by their labels in the players of the notebook,
and their scores in what its cells printed. No cell runs.
"""

import base64
import html as markup
import io
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
import soundfile

from ...course._thumbnails import Thumbnail, thumbnails

__all__ = ["html"]

TEMPLATE = resources.files("scalinv_utils.tools.site") / "pages" / "first_screen.html"

#: Labels in the notebook, and the texts on the screen: button, small text below it, caption.
#: {fit} and {error} are the two scores in dB.
SCREEN_SOUNDS = {
    "the word": ("The word", "as it was spoken", "The word, as it was spoken."),
    "random phase": (
        "Random phase",
        "error {error} dB",
        "The same scalogram with random phases: the waves cancel. Error {error} dB, as wrong as "
        "silence.",
    ),
    "Griffin-Lim": (
        "Griffin-Lim",
        "error {error} dB",
        "Griffin-Lim, which alternates: the scalogram fits to {fit} dB, but the error of the "
        "waveform is {error} dB.",
    ),
    "recover": (
        "Recovered",
        "error {error} dB",
        "recover() computes the phases from the scalogram alone: the error of the waveform is "
        "{error} dB.",
    ),
}

# Sharp on a laptop, and about 15 kB each.
SCREEN_SIZE, SCREEN_QUALITY = (960, 264), 50


def html(notebook_path: str | Path) -> str:
    """Write the first screen as a piece of HTML that names its assets.

    Parameters
    ----------
    notebook_path : str or Path
        notebooks/00_start_here.ipynb, with its outputs.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        One of the sounds or of the scores is not among the outputs.
    """
    outputs = _outputs(Path(notebook_path))
    stored = _players(outputs)
    scores = _scores(outputs)
    heard = {label: stored.samples(label) for label in SCREEN_SOUNDS}
    pictures = thumbnails(heard, stored.rate, SCREEN_SIZE, SCREEN_QUALITY)
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        buttons="\n".join(_button(label, stored, scores) for label in SCREEN_SOUNDS),
        pictures="\n".join(_picture(pictures[label], label) for label in SCREEN_SOUNDS),
        players=stored.text,
    )


# --- What the notebook holds ---------------------------------------------------------------------


def _outputs(path: Path) -> list[dict[str, Any]]:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [output for cell in cells for output in cell.get("outputs", [])]


@dataclass(frozen=True)
class _Stored:
    """The output of `audio.players` in a notebook: its HTML, labels and sounds."""

    text: str
    sources: dict[str, str]

    @property
    def rate(self) -> int:
        """Samples per second, the same for all."""
        return self._read(next(iter(self.sources)))[1]

    def samples(self, label: str) -> np.ndarray:
        """Decode one sound."""
        return self._read(label)[0]

    def place(self, label: str) -> int:
        """Return the number of a sound, from 0, in the order of the players."""
        return list(self.sources).index(label)

    def _read(self, label: str) -> tuple[np.ndarray, int]:
        content = base64.b64decode(self.sources[label].partition(",")[2])
        return soundfile.read(io.BytesIO(content))


class _Element(HTMLParser):
    """Read <scalinv-sounds>: the JSON and the sources of the players."""

    def __init__(self, text: str):
        super().__init__()
        self.json, self.sources, self._in_json = "", [], False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the source of a player, and whether the JSON begins."""
        given = dict(attrs)
        self._in_json = tag == "script" and given.get("type") == "application/json"
        if tag == "audio":
            self.sources.append(given.get("src") or "")

    def handle_data(self, data: str) -> None:
        """Collect the JSON."""
        if self._in_json:
            self.json += data
            self._in_json = False


def _players(outputs: list[dict[str, Any]]) -> _Stored:
    """Find the players that hold all the sounds of the screen."""
    texts = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    sets = [_stored(text) for text in texts if text.startswith("<scalinv-sounds>")]
    for stored in sets:
        if SCREEN_SOUNDS.keys() <= stored.sources.keys():
            return stored
    found = [sorted(stored.sources) for stored in sets]
    raise ValueError(
        f"notebook_path must lead to a notebook with players of {list(SCREEN_SOUNDS)} in one set, "
        f"got the sets {found}: did `audio.players` store the outputs, and are the labels these?"
    )


def _stored(text: str) -> _Stored:
    element = _Element(text)
    labels = [sound["label"] for sound in json.loads(element.json)["sounds"]]
    return _Stored(text, dict(zip(labels, element.sources, strict=True)))


def _scores(outputs: list[dict[str, Any]]) -> dict[str, tuple[str, str]]:
    """Find consistency and waveform error of each attempt, as printed."""
    printed = "\n".join("".join(output.get("text", "")) for output in outputs)
    number = r"\s+(-?\d+\.\d) dB"
    scores = {}
    for label in list(SCREEN_SOUNDS)[1:]:
        line = f"^{re.escape(label)}\\s+consistency{number}\\s+waveform error{number}"
        found = re.search(line, printed, re.MULTILINE)
        if not found:
            raise ValueError(
                f"notebook_path must lead to a notebook that prints the consistency and the "
                f"waveform error of {label!r} in one line, and no line does"
            )
        scores[label] = (_minus(found[1]), _minus(found[2]))
    return scores


def _minus(number: str) -> str:
    """Write a number with a minus sign, and zero without one."""
    return "0" if float(number) == 0 else number.replace("-", "\N{MINUS SIGN}")


# --- Parts of the screen -------------------------------------------------------------------------


def _button(label: str, stored: _Stored, scores: dict[str, tuple[str, str]]) -> str:
    fit, error = scores.get(label, ("", ""))
    name, below, caption = (
        markup.escape(text.format(fit=fit, error=error)).replace(" dB", "\N{NO-BREAK SPACE}dB")
        for text in SCREEN_SOUNDS[label]
    )
    return (
        f'<button type="button" aria-pressed="false" data-sound="{stored.place(label)}" '
        f'data-caption="{caption}"><span class="icon"></span>'
        f"<span><b>{name}</b> <small>{below}</small></span></button>"
    )


def _picture(picture: Thumbnail, label: str) -> str:
    """Write a picture; the first one is there from the beginning, the others wait."""
    tag = picture.img()
    return tag if label == next(iter(SCREEN_SOUNDS)) else tag.replace("<img ", "<img hidden ")
