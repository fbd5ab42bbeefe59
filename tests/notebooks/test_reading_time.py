"""The minutes that a notebook promises are those that its file takes, and its core is short."""

import re

import nbformat
import pytest

from scalinv_utils.tools import execute_notebooks
from scalinv_utils.tools.reading_time import core_minutes, sections, sentence, table

STORED = sorted(execute_notebooks.NOTEBOOKS_FOLDER.glob("*.ipynb"))
FOR_TEACHERS = execute_notebooks.NOTEBOOKS_FOLDER / "README.md"
LONGEST_CORE = 25
AFTERNOON = 180  # minutes for the cores of 00 to 06
PROMISE = re.compile(r"The core takes about (\d+) minutes, everything about (\d+)\.")
ROW = re.compile(r"^\| (.+?) \| ?(\d*) ?\| ?(\d*) ?\|$", re.MULTILINE)


@pytest.fixture(params=STORED, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def test_the_promised_minutes_are_those_of_the_file(notebook):
    promised = PROMISE.search(notebook.cells[0].source)
    assert promised, "the first cell does not say how long the core takes"
    assert [int(number) for number in promised.groups()] == pytest.approx(
        core_minutes(notebook), abs=1.0
    ), sentence(notebook)


def test_the_core_is_short(notebook):
    core, _ = core_minutes(notebook)
    assert core <= LONGEST_CORE + 0.5, [p for p in sections(notebook) if not p.is_deeper]


def test_the_table_of_sections_is_that_of_the_file(notebook):
    printed, computed = (
        [(title, int(core or 0), int(deep or 0)) for title, core, deep in ROW.findall(text)]
        for text in (notebook.cells[0].source, table(notebook))
    )
    assert [row[0] for row in printed] == [row[0] for row in computed]
    for said, right in zip(printed, computed):
        assert said[1:] == pytest.approx(right[1:], abs=1), said[0]


def test_the_table_for_teachers_gives_these_minutes(notebook, request):
    number = request.node.callspec.id[:2]
    row = re.search(rf"^\| {number} .*\| (\d+) \| (\d+) \|$", FOR_TEACHERS.read_text("utf-8"), re.M)
    told = [int(minutes) for minutes in row.groups()]
    assert told == pytest.approx(core_minutes(notebook), abs=1.0), sentence(notebook)


def test_the_cores_of_00_to_06_fit_into_an_afternoon():
    cores = [core_minutes(nbformat.read(path, as_version=4))[0] for path in STORED[:7]]
    assert sum(cores) < AFTERNOON
