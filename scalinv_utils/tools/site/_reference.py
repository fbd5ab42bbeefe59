"""The reference: a page for each wing of the package, made from its docstrings.

Below each entry a line names the notebooks whose code uses it.
"""

import ast
import importlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import nbformat

PACKAGE = "scalinv_utils"

#: The modules with a public surface, and what they are for.
WINGS = {
    PACKAGE: "The top level",
    f"{PACKAGE}.metrics": "Scores",
    f"{PACKAGE}.transforms": "Transforms",
    f"{PACKAGE}.measured": "Scalograms from elsewhere",
    f"{PACKAGE}.recovery": "Recovery",
    f"{PACKAGE}.recovery.losses": "Losses",
    f"{PACKAGE}.recovery.schedules": "Schedules",
    f"{PACKAGE}.recovery.denoising": "Denoising",
    f"{PACKAGE}.recovery.segments": "Long sounds",
    f"{PACKAGE}.recovery.texture": "Textures",
    f"{PACKAGE}.diagnosis": "Diagnosis",
    f"{PACKAGE}.bounds": "Bounds",
    f"{PACKAGE}.course.signals": "Signals of the course",
    f"{PACKAGE}.course.audio": "Players",
    f"{PACKAGE}.course.plotting": "Pictures",
    f"{PACKAGE}.course.widgets": "Explorers",
    f"{PACKAGE}.course.exercises": "Exercises",
}


def write(folder: Path, notebooks: Sequence[Path]) -> None:
    """Write a page for each wing, and the page that lists them, in reStructuredText.

    Parameters
    ----------
    folder : Path
        It must not exist.
    notebooks : sequence of Path
        The notebooks that are searched for uses.
    """
    folder.mkdir(parents=True)
    used, written = uses(notebooks), set()
    for module, title in WINGS.items():
        entries = [name for name in public(module) if _home(module, name) not in written]
        written |= {_home(module, name) for name in entries}
        text = _page(module, title, entries, used) if entries else ""
        if text:
            (folder / f"{module}.rst").write_text(text, encoding="utf-8")
    pages = [module for module in WINGS if (folder / f"{module}.rst").exists()]
    (folder / "index.rst").write_text(_index(pages), encoding="utf-8")


def public(module: str) -> list[str]:
    """List the public functions and classes of a module."""
    home = importlib.import_module(module)
    return [name for name in home.__all__ if callable(getattr(home, name))]


def uses(notebooks: Iterable[Path]) -> dict[str, list[Path]]:
    """Find, for each name that the code of the notebooks reads, the notebooks that do so."""
    found: dict[str, list[Path]] = {}
    for path in notebooks:
        for name in sorted(_names(path)):
            found.setdefault(name, []).append(path)
    return found


def _names(path: Path) -> set[str]:
    """Return the names and attributes that the code cells of one notebook read."""
    cells = nbformat.read(path, as_version=4).cells
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def _home(module: str, name: str) -> str:
    """Return the full name under which an object was defined, which its copies share."""
    thing = getattr(importlib.import_module(module), name)
    return f"{getattr(thing, '__module__', module)}.{getattr(thing, '__qualname__', name)}"


def _page(module: str, title: str, names: Sequence[str], used: dict[str, list[Path]]) -> str:
    heading = f"{title}: {module}"
    head = f"{heading}\n{'=' * len(heading)}\n\n.. automodule:: {module}\n   :no-index:\n"
    return head + "".join(_entry(module, name, used.get(name, [])) for name in names)


def _entry(module: str, name: str, notebooks: Sequence[Path]) -> str:
    """Write one entry: its own heading, its docstring, and the notebooks that use it."""
    thing = getattr(importlib.import_module(module), name)
    kind = "autoclass" if isinstance(thing, type) else "autofunction"
    members = "   :members:\n" if kind == "autoclass" else ""
    links = ", ".join(f":doc:`{path.stem[:2]} </notebooks/{path.stem}>`" for path in notebooks)
    line = f"\nNotebook: {links}\n" if links else ""
    return f"\n{name}\n{'-' * len(name)}\n\n.. {kind}:: {module}.{name}\n{members}{line}"


def _index(modules: Sequence[str]) -> str:
    title = "Reference"
    entries = "".join(f"   {module}\n" for module in modules)
    words = "All public functions and classes, by the part of the package that they belong to."
    return f"{title}\n{'=' * len(title)}\n\n{words}\n\n.. toctree::\n   :maxdepth: 2\n\n{entries}"


def escape_bars(lines: list[str]) -> None:
    r"""Let |x| be a modulus, in place: reStructuredText would take it for a substitution.

    Code keeps its bars: literals in double backticks, examples, and blocks after a double colon.

    Examples
    --------
    >>> from scalinv_utils.tools.site import _reference
    >>> lines = ["The modulus |W x| and ``a | b``::", "", "    c | d"]
    >>> _reference.escape_bars(lines)
    >>> print(lines[0], lines[2], sep="\n")
    The modulus \|W x\| and ``a | b``::
        c | d
    """
    block: int | None = None  # how far the line that announces a block of code is indented
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if block is not None and (not line.strip() or indent > block):
            continue
        block = indent if line.rstrip().endswith("::") else None
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``)", line)
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[k] = "".join(parts)


def setup(app: Any) -> dict[str, bool]:
    """Escape the docstrings before napoleon, whose priority is 500, reads their sections."""
    app.connect("autodoc-process-docstring", lambda *given: escape_bars(given[-1]), priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
