"""Formulas as MathML, made when the pages are built.

Browsers draw it without a script, and screen readers read it. Whatever LaTeX the converter does
not know stops the build: a reader would meet it as raw text.
"""

import functools
from typing import Any

import math_core
from docutils import nodes
from sphinx.errors import SphinxError


@functools.cache
def _converter() -> Any:
    return math_core.LatexToMathML()


def mathml(latex: str, display: bool = False) -> str:
    r"""Convert one formula.

    Parameters
    ----------
    latex : str
        Without dollar signs.
    display : bool
        Whether the formula stands on a line of its own.

    Raises
    ------
    SphinxError
        The converter does not know the formula.

    Examples
    --------
    >>> from scalinv_utils.tools.site._math import mathml
    >>> mathml("x^2")
    '<math><msup><mi>x</mi><mn>2</mn></msup></math>'
    """
    try:
        return _converter().convert_with_local_state(latex.strip(), displaystyle=display)
    except Exception as error:
        raise SphinxError(f"no MathML for {latex!r}: {error}") from error


def _inline(writer: Any, node: nodes.math) -> None:
    writer.body.append(mathml(node.astext()))
    raise nodes.SkipNode


def _display(writer: Any, node: nodes.math_block) -> None:
    writer.body.append(f'<div class="formula">{mathml(node.astext(), display=True)}</div>')
    raise nodes.SkipNode


def setup(app: Any) -> dict[str, bool]:
    """Register the renderer with Sphinx."""
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
