"""The bibliography holds every cited work and no other, and says which notebooks cite it."""

import re

import pytest
from explorers import NOTEBOOKS, read

from scalinv_utils.tools.environment import ROOT

BIBLIOGRAPHY = ROOT / "notebooks" / "references.md"
IDENTIFIER = re.compile(r"10\.\d{4,9}/[\w./-]*\w|\d{4}\.\d{4,5}(?!\d)")
ENTRIES = [line for line in BIBLIOGRAPHY.read_text("utf-8").splitlines() if line.startswith("- ")]


def identifiers(text):
    """Find DOIs and arXiv numbers after a "doi" or an "arXiv"."""
    found = set()
    for marked in re.finditer(r"(?:doi\.org/|doi:|arxiv\.org/abs/|arXiv:)(\S+)", text):
        match = IDENTIFIER.match(marked.group(1))
        if match:
            found.add(match.group())
    return found


def markdown(path):
    return "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")


def in_the_package():
    files = [*(ROOT / "scalinv_utils").rglob("*.py"), ROOT / "README.md"]
    return set().union(*(identifiers(path.read_text("utf-8")) for path in files))


def in_the_notebooks():
    return {path.name[:2]: identifiers(markdown(path)) for path in NOTEBOOKS}


def test_identifiers_are_found_as_people_write_them():
    text = (
        "[doi:10.1109/97.700921](https://doi.org/10.1109/97.700921), arXiv:1906.00738. "
        "(doi:10.1088/0266-5611/21/1/004) and 1234.56789 alone"
    )
    assert identifiers(text) == {"10.1109/97.700921", "1906.00738", "10.1088/0266-5611/21/1/004"}


def test_everything_cited_is_in_the_bibliography_and_nothing_else():
    cited = in_the_package().union(*in_the_notebooks().values())
    assert identifiers("\n".join(ENTRIES)) == cited


def test_no_work_is_there_twice():
    seen = [number for entry in ENTRIES for number in identifiers(entry)]
    titles = [re.search(r"\*(.+?)\*|arXiv", entry).group() for entry in ENTRIES]
    assert len(seen) == len(set(seen)) and len(titles) == len(set(titles))


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES if identifiers(entry)],
    ids=lambda entry: sorted(identifiers(entry))[0],
)
def test_an_entry_says_which_notebooks_cite_it(entry):
    said = re.search(r" \[([\d, ]+)\]\.$", entry)
    citing = [number for number, cited in in_the_notebooks().items() if cited & identifiers(entry)]
    assert (said.group(1).split(", ") if said else []) == citing


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_notebook_leads_to_the_bibliography(path):
    assert "(references.md)" in markdown(path)
