"""Custom elements in HTML: one piece of it serves the notebooks, nbviewer and the web pages.

An element is three things in a row: what is shown where no script runs, the data as JSON, and the
code that defines the element. The code stands beside every element, since any output of a notebook
may be the only one on the page; a page that has many of them may keep the first (`tools.site`).
"""

import functools
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "web"
# The code of an element in HTML that `element` wrote.
ELEMENT_CODE = re.compile(r'(<script data-scalinv="([\w-]+)">).*?(</script>)', re.DOTALL)
# A file that needs another one says so at its top.
USES = re.compile(r"^// uses ([\w-]+)\.js$", re.MULTILINE)


@functools.cache
def code(name: str) -> str:
    """Return the JavaScript of web/<name>.js, which defines the element ``scalinv-<name>``."""
    return (FOLDER / f"{name}.js").read_text(encoding="utf-8")


def lean(source: str) -> str:
    r"""Leave out indentation, and lines that are comments: notebooks hold many copies.

    Examples
    --------
    >>> from scalinv_utils.course import _web
    >>> _web.lean("// Why.\n  if (a) {\n    b(); // once\n\n  }\n")
    'if (a) {\nb(); // once\n}'
    """
    lines = [line.strip() for line in source.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def renewed(html: str) -> str:
    """Put the code of today into HTML that `element` wrote on another day.

    Examples
    --------
    >>> from scalinv_utils.course import _web
    >>> html = _web.element("idea-circle", {})
    >>> _web.renewed(html.replace("const", "var")) == html
    True
    """
    return ELEMENT_CODE.sub(lambda found: found[1] + lean(code(found[2])) + found[3], html)


def element(name: str, data: Any, fallback: str = "") -> str:
    """Write the HTML of the element ``scalinv-<name>``.

    Parameters
    ----------
    name : str
        The element is defined in web/<name>.js. The files that this one uses stand before it.
    data
        A value that json can write. The element finds it in its child ``script``.
    fallback : str
        HTML, shown until the element takes its place, and for ever where no script runs.

    Returns
    -------
    str

    Examples
    --------
    >>> from scalinv_utils.course import _web
    >>> html = _web.element("idea-circle", {}, "<p>Words.</p>").split("<script data-scalinv")[0]
    >>> html.replace("scalinv-idea-circle", "NAME")
    '<NAME><script type="application/json">{}</script><p>Words.</p></NAME>'
    """
    # "</script>" or "<!--" inside a string would end the data, or hide its end.
    written = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    tag = f"scalinv-{name}"
    scripts = [
        f'<script data-scalinv="{part}">{lean(code(part))}</script>'
        for part in [*USES.findall(code(name)), name]
    ]
    data_and_words = f'<script type="application/json">{written}</script>{fallback}'
    return f"<{tag}>{data_and_words}</{tag}>{''.join(scripts)}"
