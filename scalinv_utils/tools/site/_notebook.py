"""Outputs of a stored notebook as HTML: pictures with their words, live elements, no clutter."""

import base64
import hashlib
import html
import re
import struct
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output

from ...course import _web

DATA_URI = re.compile(r"data:image/(webp|png);base64,([A-Za-z0-9+/=]+)")
ELEMENT = re.compile(r"<scalinv-([\w-]+)>")
#: The check of an exercise says this before anybody has answered: of no use without a kernel. Hint
#: and solution follow it.
UNANSWERED = re.compile(r"<div[^>]*>\s*\*\*Exercise [\d.]+\*\* is not answered yet.*?</div>", re.S)
# Matplotlib's pictures are drawn at this many dots per inch; the course's style sets 100.
WIDEST = 800


def anchor(title: str) -> str:
    """Name a heading as JupyterLab does, so that the links of the notebooks lead to it.

    Examples
    --------
    >>> from scalinv_utils.tools.site import _notebook
    >>> _notebook.anchor("2. The trouble")
    '2.-The-trouble'
    """
    return title.replace(" ", "-")


def to_html(notebook: NotebookNode, frames: Path) -> None:
    """Rewrite, in place, the outputs of all cells for the page of the notebook.

    Parameters
    ----------
    notebook : NotebookNode
        A stored notebook.
    frames : Path
        The folder that gets the pictures. Pages find it at ``../frames``.
    """
    defined: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            follows = [*cell.outputs[1:], NotebookNode()]
            cell.outputs = [_rewritten(output, frames, defined) for output in cell.outputs]
            for output, following in zip(cell.outputs, follows):
                if _is_live(following):
                    _stand_in(output)


def _stand_in(output: NotebookNode) -> None:
    """Show a still picture, in place, only where no script makes its element alive."""
    text = output.get("data", {}).get("text/html", "")
    if text.startswith('<div class="picture">'):
        output.data["text/html"] = f"<noscript>{text}</noscript>"


def _is_live(output: NotebookNode) -> bool:
    """Tell whether an output is an element that draws its own picture."""
    found = ELEMENT.match(output.get("data", {}).get("text/html", ""))
    return found is not None and found.group(1) != "sounds"


def _rewritten(output: NotebookNode, frames: Path, defined: set[str]) -> NotebookNode:
    data = output.get("data", {})
    if "image/png" in data:
        alt = output.metadata.get("image/png", {}).get("alt", data.get("text/plain", ""))
        return _as_html(figure(base64.b64decode(data["image/png"]), alt, frames))
    if "text/html" in data:
        return _as_html(element(data["text/html"], frames, defined))
    if "text/markdown" in data:
        data["text/markdown"] = UNANSWERED.sub("", data["text/markdown"])
    return output


def _as_html(text: str) -> NotebookNode:
    return new_output("display_data", {"text/html": text})


def figure(png: bytes, alt: str, frames: Path) -> str:
    """Write a picture that a narrow screen can scroll and open alone, and its words.

    Parameters
    ----------
    png : bytes
    alt : str
        Its words.
    frames : Path
        The folder that gets the picture.

    Returns
    -------
    str
    """
    address = _stored(png, "png", frames)
    width, height = struct.unpack(">II", png[16:24])  # the header of every PNG
    shown = min(width, WIDEST)
    words = html.escape(alt, quote=True)
    return (
        '<div class="picture">'
        f'<a href="{address}"><img src="{address}" alt="{words}" width="{shown}" '
        f'height="{round(height * shown / width)}" loading="lazy"></a></div>'
    )


def element(text: str, frames: Path, defined: set[str]) -> str:
    """Move pictures inside an HTML output to files, and code to the scripts of the site.

    Parameters
    ----------
    text : str
        The HTML of the output.
    frames : Path
        The folder that gets the pictures.
    defined : set of str
        The elements that the page knows already; those of this output are added.
    """

    def script(found: re.Match[str]) -> str:
        name = found.group(2)
        if name in defined:
            return ""
        defined.add(name)
        return f'<script defer src="../_static/{name}.js"></script>'

    def picture(found: re.Match[str]) -> str:
        return _stored(base64.b64decode(found.group(2)), found.group(1), frames)

    return DATA_URI.sub(picture, _web.ELEMENT_CODE.sub(script, text))


def _stored(picture: bytes, suffix: str, frames: Path) -> str:
    """Write a picture under the name of its contents, so that equal ones are one file."""
    name = f"{hashlib.sha256(picture).hexdigest()[:16]}.{suffix}"
    (frames / name).write_bytes(picture)
    return f"../frames/{name}"
