"""Minutes are counted from words, lines, pictures and exercises, section by section."""

import nbformat
import pytest

from scalinv_utils.tools import reading_time
from scalinv_utils.tools.reading_time import core_minutes, minutes, sections, sentence, table

WORDS = nbformat.v4.new_markdown_cell


def code(source, pictures=0, **metadata):
    shown = [nbformat.v4.new_output("display_data", {"image/png": "x"}) for _ in range(pictures)]
    shown.append(nbformat.v4.new_output("display_data", {"text/plain": "x"}))
    return nbformat.v4.new_code_cell(source, outputs=shown, metadata=metadata)


NOTEBOOK = nbformat.v4.new_notebook(
    cells=[
        WORDS("# Title\n\n" + 298 * "word "),  # 300 words with # and Title: 2 minutes
        WORDS("## First\n\n" + 148 * "word "),  # 1 minute
        code("a = 1\n\n" + 7 * "b = 2\n", pictures=2),  # 8 lines and 2 pictures: 1 + 3 minutes
        WORDS("### *Deeper* still\n\n" + 147 * "word "),  # 1 minute, deeper
        code("exercises.check('1')", jupyter={"source_hidden": True}),  # 4 minutes, deeper
        WORDS("#### below it\n\n" + 147 * "word "),  # 1 minute, deeper as what it is below
        WORDS("### not deeper\n\n" + 27 * "word "),  # a fifth of a minute
        WORDS("## *Deeper* last\n\n" + 57 * "word "),  # two fifths, deeper
    ]
)


@pytest.mark.parametrize(
    "cell, expected",
    [
        (WORDS(75 * "word "), 0.5),
        (code("x\n\n  \ny\nz\nt"), 0.5),
        (code("x\ny", jupyter={"source_hidden": True}), 0),
        (code("x\ny", jupyter={"source_hidden": False}), 0.25),
        (code("", pictures=3), 4.5),
        (code("exercises.check(1); exercises.check(2)"), 8.125),
    ],
)
def test_a_cell_takes_its_words_lines_pictures_and_exercises(cell, expected):
    assert minutes(cell) == pytest.approx(expected)


def test_sections_go_from_heading_to_heading():
    found = [(p.title, p.level, p.is_deeper) for p in sections(NOTEBOOK)]
    assert found == [
        ("Title", 1, False),
        ("First", 2, False),
        ("*Deeper* still", 3, True),
        ("below it", 4, True),
        ("not deeper", 3, False),
        ("*Deeper* last", 2, True),
    ]
    spent = [p.minutes for p in sections(NOTEBOOK)]
    assert spent == pytest.approx([2, 1 + 4, 1 + 4, 1, 0.2, 0.4])


def test_the_core_is_what_is_not_deeper():
    assert core_minutes(NOTEBOOK) == pytest.approx((7.2, 13.6))
    assert sentence(NOTEBOOK) == "The core takes about 7 minutes, everything about 14."


def test_the_table_has_a_line_for_each_section_of_level_two():
    assert table(NOTEBOOK).splitlines() == [
        "| section | core, minutes | *Deeper*, minutes |",
        "| --- | --- | --- |",
        "| First | 5 | 6 |",
        "| *Deeper* last |  |  |",  # less than half a minute
    ]


def test_the_command_prints_both_for_each_notebook(tmp_path, monkeypatch, capsys):
    nbformat.write(NOTEBOOK, tmp_path / "03_some.ipynb")
    monkeypatch.setattr(reading_time, "find", lambda name: tmp_path / f"{name}_some.ipynb")
    monkeypatch.setattr(reading_time.sys, "argv", ["reading_time", "03"])
    reading_time.main()
    said = capsys.readouterr().out
    assert said == f"03_some.ipynb\n\n{sentence(NOTEBOOK)}\n\n{table(NOTEBOOK)}\n\n"
