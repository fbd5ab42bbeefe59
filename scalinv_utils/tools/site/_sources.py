"""Gather what Sphinx reads: notebooks whose outputs are HTML, the pages beside them."""

import re
import shutil
from pathlib import Path

import nbformat

from ..environment import ROOT
from . import _bar, _first_screen, _notebook, _reference

HERE = Path(__file__).resolve().parent
NOTEBOOKS = ROOT / "notebooks"
EXTRA = "extra"  # the folder with what goes to the site as it is
#: The notebooks link to these, at the same place relative to them.
LINKED = ("figures/ambiguity_circle.png", "scalinv_utils/course/data/CREDITS.md")

ASSETS = re.compile(r"\s*<!--\s*Assets, in this order:(.*?)-->(.*)", re.DOTALL)
TITLE = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)

INDEX = """\
---
hide-toc: true
---

{first_screen}
```{{toctree}}
:hidden:
:caption: The course

{notebooks}
```

```{{toctree}}
:hidden:
:caption: Beside the course

your_voice
run_it
notebooks/glossary
notebooks/references
notebooks/README
scalinv_utils/course/data/CREDITS
reference/index
```
"""


def gather(folder: Path, repository: str | None) -> None:
    """Write all sources into `folder`.

    Parameters
    ----------
    folder : Path
        It must not exist.
    repository : str or None
        "owner/name" on GitHub.
    """
    (folder / "notebooks").mkdir(parents=True)
    (folder / EXTRA / "frames").mkdir(parents=True)
    stored = sorted(NOTEBOOKS.glob("*.ipynb"))
    for path in stored:
        write_notebook(path, folder, repository)
    for path in NOTEBOOKS.glob("*.md"):
        shutil.copy(path, folder / "notebooks")
    _reference.write(folder / "reference", stored)
    for name in LINKED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    _write_pages(folder, stored, repository)


def write_notebook(path: Path, folder: Path, repository: str | None) -> None:
    """Write one notebook with its outputs as HTML, its frames as files, and the bar of links."""
    notebook = nbformat.read(path, as_version=4)
    _notebook.to_html(notebook, folder / EXTRA / "frames")
    _bar.add(notebook, path.name, repository)
    nbformat.write(notebook, folder / "notebooks" / path.name)
    downloads = folder / EXTRA / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, downloads)


def _title(path: Path) -> str:
    """Return the short title of a notebook for the list of contents: 00 Start here."""
    number, words = path.stem.split("_", 1)
    title = words.replace("_", " ").capitalize()
    return f"{number} {re.sub('griffin.lim', 'Griffin-Lim', title, flags=re.IGNORECASE)}"


def _write_pages(folder: Path, stored: list[Path], repository: str | None) -> None:
    first_screen = page_of(_first_screen.html(stored[0]))
    notebooks = "\n".join(f"{_title(path)} <notebooks/{path.stem}>" for path in stored)
    index = INDEX.format(first_screen=first_screen, notebooks=notebooks)
    (folder / "index.md").write_text(index, encoding="utf-8")
    (folder / "run_it.md").write_text(_bar.run_it(repository), encoding="utf-8")
    voice = (HERE / "pages" / "your_voice.html").read_text(encoding="utf-8")
    (folder / "your_voice.md").write_text(page_of(voice), encoding="utf-8")


def page_of(fragment: str) -> str:
    """Write a page, as Markdown, from HTML that has its title in an h1 and names its assets.

    Parameters
    ----------
    fragment : str
        It begins with a comment: "Assets, in this order: a.css; b.js, c.js. ...".

    Examples
    --------
    >>> from scalinv_utils.tools.site import _sources
    >>> print(_sources.page_of("<!-- Assets, in this order: a.js. --><h1>A</h1><p>b</p>"))
    # A
    <BLANKLINE>
    ```{raw} html
    <script defer src="_static/a.js"></script>
    <p>b</p>
    ```
    <BLANKLINE>
    """
    listed, inner = ASSETS.match(fragment).groups()  # pyright: ignore[reportOptionalMemberAccess]
    names = re.findall(r"[\w-]+\.(?:css|js)", listed)
    tags = "\n".join(_tag(name) for name in names)
    title, body = TITLE.search(inner), TITLE.sub("", inner)
    heading = f"# {title.group(1)}\n\n" if title else ""
    return f"{heading}```{{raw}} html\n{tags}\n{body}\n```\n"


def _tag(name: str) -> str:
    """Write the tag that loads a style sheet or a script."""
    if name.endswith(".css"):
        return f'<link rel="stylesheet" href="_static/{name}">'
    return f'<script defer src="_static/{name}"></script>'
