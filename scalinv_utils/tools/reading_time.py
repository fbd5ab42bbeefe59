"""Estimate how many minutes a notebook takes to read and do, from its file.

    minutes  =  words / 150  +  lines of visible code / 8  +  1.5 a picture  +  4 an exercise

Words are those of the Markdown cells. A code cell counts unless its metadata folds it. A section
whose heading has the word *Deeper* in italics is left for later, with all sections below it.

    python -m scalinv_utils.tools.reading_time 01 05      what to print at the top of these two
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import nbformat

from .execute_notebooks import find

__all__ = ["Section", "core_minutes", "minutes", "sections", "sentence", "table"]

WORDS, LINES, PICTURE, EXERCISE = 150, 8, 1.5, 4.0

HEADING = re.compile(r"^(#{1,6}) (.*)$", re.MULTILINE)
DEEPER = "*Deeper*"


class Section(NamedTuple):
    """The cells from one heading to the next."""

    title: str
    level: int
    is_deeper: bool
    minutes: float


def minutes(cell: Any) -> float:
    """Estimate the minutes that one cell takes."""
    if cell.cell_type != "code":
        return len(cell.source.split()) / WORDS
    folded = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    lines = 0 if folded else sum(bool(line.strip()) for line in cell.source.splitlines())
    pictures = sum("image/png" in output.get("data", {}) for output in cell.outputs)
    exercises = cell.source.count("exercises.check(")
    return lines / LINES + PICTURE * pictures + EXERCISE * exercises


def sections(notebook: Any) -> Iterator[Section]:
    r"""Go through the sections of a notebook, those of all levels.

    Examples
    --------
    >>> import nbformat
    >>> from scalinv_utils.tools.reading_time import sections
    >>> cells = [nbformat.v4.new_markdown_cell("# Title\n\n" + 149 * "word "),
    ...          nbformat.v4.new_markdown_cell("## 1. *Deeper*: why"),
    ...          nbformat.v4.new_code_cell("x = 1")]
    >>> for section in sections(nbformat.v4.new_notebook(cells=cells)):
    ...     print(section.title, section.is_deeper, round(section.minutes, 1))
    Title False 1.0
    1. *Deeper*: why True 0.2
    """
    title, level, deeper_from, total = "", 1, 0, 0.0
    for cell in notebook.cells:
        heading = HEADING.search(cell.source) if cell.cell_type == "markdown" else None
        if heading:
            if title or total:
                yield Section(title, level, deeper_from > 0, total)
            level, title, total = len(heading[1]), heading[2].strip(), 0.0
            if not deeper_from or level <= deeper_from:
                deeper_from = level if DEEPER in title else 0
        total += minutes(cell)
    yield Section(title, level, deeper_from > 0, total)


def core_minutes(notebook: Any) -> tuple[float, float]:
    """Add up the minutes of the core, and of the whole notebook."""
    parts = list(sections(notebook))
    whole = sum(part.minutes for part in parts)
    return sum(part.minutes for part in parts if not part.is_deeper), whole


def sentence(notebook: Any) -> str:
    """Say how long the core takes, and everything, as the notebook has to say it itself."""
    core, whole = core_minutes(notebook)
    return f"The core takes about {core:.0f} minutes, everything about {whole:.0f}."


def table(notebook: Any) -> str:
    """Make the Markdown table of the sections of level 2, as the notebook has to print it."""
    rows: list[tuple[str, list[float]]] = []
    for part in sections(notebook):
        if part.level <= 2:
            rows.append((part.title, [0.0, 0.0]))
        rows[-1][1][part.is_deeper] += part.minutes
    lines = ["| section | core, minutes | *Deeper*, minutes |", "| --- | --- | --- |"]
    lines += [
        f"| {title} | {_rounded(core)} | {_rounded(deep)} |" for title, (core, deep) in rows[1:]
    ]
    return "\n".join(lines)


def _rounded(value: float) -> str:
    return f"{value:.0f}" if value >= 0.5 else ""


def main() -> None:
    """Print the sentence and the table of the notebooks that are named."""
    for path in map(find, sys.argv[1:]):
        notebook = nbformat.read(path, as_version=4)
        print(path.name, sentence(notebook), table(notebook), sep="\n\n", end="\n\n")


if __name__ == "__main__":
    main()
