"""Last touches to the HTML of a page: terms of the glossary, boxes for tables, roles."""

import functools
import re
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from bs4.element import NavigableString, Tag

TERM = re.compile(r"^- \*\*(.+?)\.\*\* (.+?) \[[^\]]+\]\(([^)]+)\)\s*$", re.MULTILINE)
NOTEBOOK = re.compile(r"notebooks/\d\d")
#: Text inside these is not touched.
LEFT_ALONE = ("a", "code", "pre", "math", "script", "summary", "th", "button")


def terms(glossary: Path) -> dict[str, str]:
    """Read the terms and their definitions, as plain text, from the glossary.

    Examples
    --------
    >>> from scalinv_utils.tools.site import _body, _sources
    >>> _body.terms(_sources.NOTEBOOKS / "glossary.md")["coefficient"]
    'One value c(s,t) of the wavelet transform, a complex number.'
    """
    text = glossary.read_text(encoding="utf-8")
    return {term: _plain(definition) for term, definition, _ in TERM.findall(text)}


def _plain(markdown: str) -> str:
    """Drop the marks of Markdown and the commonest ones of LaTeX."""
    text = re.sub(r"\[([^\]]+)\]\([^)]+\)", r"\1", markdown)
    return re.sub(r"[*`$]|\\(?=[A-Za-z])", "", text)


def finish(body: str, definitions: dict[str, str], glossary: str) -> str:
    """Finish one page.

    Parameters
    ----------
    body : str
        The HTML of the page, without head and navigation.
    definitions : dict of str to str
        The meanings of the terms; none are marked on the glossary's own page.
    glossary : str
        The address of the glossary, relative to the page.
    """
    if not definitions and "<table" not in body:
        return body
    soup = BeautifulSoup(body, "html.parser")
    for summary in soup.find_all("summary"):
        summary.attrs.pop("aria-label", None)  # myst-nb's, which is not what the summary says
    for table in soup.find_all("table"):
        _let_scroll(soup, table)
    page = soup.find("section")
    if definitions and isinstance(page, Tag):
        for section in [page, *page.find_all("section", recursive=False)]:
            _mark_terms(soup, section, definitions, glossary)
    return str(soup)


def _let_scroll(soup: BeautifulSoup, table: Tag) -> None:
    """Give a table a box of its own, which scrolls where the table is too wide."""
    if table.find_parent(class_="table-wrapper") is None and table.find_parent("table") is None:
        table.wrap(soup.new_tag("div", attrs={"class": "table-wrapper"}))


def _mark_terms(
    soup: BeautifulSoup, section: Tag, definitions: dict[str, str], glossary: str
) -> None:
    """Link the first mention of each term in a section to the glossary."""
    marked: set[str] = set()
    opening = section.find_parent("section") is None  # without the sections that follow in it
    for paragraph in section.find_all(["p", "li"]):
        if not opening or paragraph.find_parent("section") is section:
            for text in list(paragraph.find_all(string=True)):
                if not text.find_parent(LEFT_ALONE):
                    _mark(soup, text, definitions, marked, glossary)


def _mark(
    soup: BeautifulSoup,
    text: NavigableString,
    definitions: dict[str, str],
    marked: set[str],
    address: str,
) -> None:
    """Put links into one text, and the terms that they stand for into `marked`."""
    pieces: list[NavigableString | Tag] = []
    end = 0
    for found in _pattern(tuple(definitions)).finditer(text):
        term = _term(found.group(0), definitions)
        if term not in marked:
            marked.add(term)
            link = soup.new_tag("a", attrs={"class": "term", "href": address})
            link["data-definition"] = definitions[term]
            link.string = found.group(0)
            pieces += [NavigableString(text[end : found.start()]), link]
            end = found.end()
    if pieces:
        text.replace_with(*pieces, NavigableString(text[end:]))


@functools.cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Match any of the names, the longest first, also in the plural."""
    longest_first = sorted(names, key=len, reverse=True)
    return re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})(?:s|es)?\b", re.IGNORECASE)


def _term(written: str, definitions: dict[str, str]) -> str:
    """Find the term that stands for a word as it is written: in capitals, in the plural."""
    lower = {term.lower(): term for term in definitions}
    word = written.lower()
    return next(lower[form] for form in (word, word[:-1], word[:-2]) if form in lower)


def setup(app: Any) -> dict[str, bool]:
    """Finish each page before its template is filled in."""

    def on_page(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
        if "body" in context and doctree is not None:
            glossary = app.builder.get_relative_uri(page, "notebooks/glossary")
            definitions = app.config.scalinv_terms if NOTEBOOK.match(page) else {}
            context["body"] = finish(context["body"], definitions, glossary)
        # Sphinx makes the captions of the contents headings, and does not say of which level.
        tree = context.get("furo_navigation_tree", "")
        leveled = tree.replace('role="heading"', 'role="heading" aria-level="2"')
        context["furo_navigation_tree"] = leveled

    app.add_config_value("scalinv_terms", {}, "html")
    app.connect("html-page-context", on_page, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}
