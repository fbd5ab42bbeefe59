"""The stored notebooks are run in order, complete, linked and light.

nbval runs the cells; these tests look at the files. Every check yields sentences that say what is
wrong, and every check is tried on a notebook that has exactly that fault.
"""

import os
import re
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scalinv_utils.course import _web
from scalinv_utils.tools import execute_notebooks

STORED = sorted(execute_notebooks.NOTEBOOKS_FOLDER.glob("*.ipynb"))
LARGEST = 1.5e6  # bytes
HOME = re.compile(r"(?:/home/|/root/|/Users/|/tmp/|\\Users\\)\w|/site-packages/")
CODE_OR_FORMULA = re.compile(r"```.*?```|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$", re.DOTALL)


def execution(notebook, path):
    code = [cell for cell in code_cells(notebook) if cell.source.strip()]
    counts = [cell.execution_count for cell in code]
    if counts != list(range(1, len(code) + 1)):
        yield f"is not stored as one run in order: {counts}"


def errors(notebook, path):
    for output in outputs(notebook):
        if output.output_type == "error":
            yield f"holds an error: {output.ename}: {output.evalue}"


def warnings(notebook, path):
    for output in outputs(notebook):
        if output.get("name") == "stderr":
            yield f"shows a warning: {output.text[-60:]}"


def widgets(notebook, path):
    if "widgets" in notebook.metadata:
        yield "stores the state of widgets"
    for output in outputs(notebook):
        data = output.get("data", {})
        if execute_notebooks.WIDGET in data and "image/png" not in data:
            yield f"stores a widget without a picture: {data.get('text/plain', '')[:60]}"


def size(notebook, path):
    if path.stat().st_size > LARGEST:
        yield f"weighs {path.stat().st_size / 1e6:.1f} MB, more than {LARGEST / 1e6} MB"


def machine_paths(notebook, path):
    for output in outputs(notebook):
        data = output.get("data", {})
        shown = [data[kind] for kind in data if kind.startswith("text/")]
        for text in [output.get("text", ""), *shown]:
            if found := HOME.search(re.sub(r"base64,[\w+/=]+", "", text)):
                yield f"shows a path of one machine: {text[found.start() :][:60]}"


def links(notebook, path):
    for target in targets(notebook):
        file = unquote(re.split("[#?]", target)[0])
        if file and not re.match(r"[a-z]+:", file) and not (path.parent / file).exists():
            yield f"links to {target}, which is not there"


def pictures(notebook, path):
    for text in prose(notebook):
        for alt in re.findall(r"!\[([^\]]*)\]\(", text):
            if not alt.strip():
                yield "has a picture without a text that says what it shows"
        for tag in re.findall(r"<img\b[^>]*>", text):
            if not re.search(r"\balt\s*=\s*(['\"])\s*[^'\"\s]", tag):
                yield f"has a picture without a text that says what it shows: {tag}"


def neighbours(notebook, path):
    course = sorted(path.parent.glob("*.ipynb"))
    place = course.index(path)
    linked = {Path(unquote(target.split("#")[0])).name for target in targets(notebook)}
    for neighbour in course[max(place - 1, 0) : place] + course[place + 1 : place + 2]:
        if neighbour.name not in linked:
            yield f"has no link to its neighbour {neighbour.name}"


CHECKS = [execution, errors, warnings, widgets, size, machine_paths, links, pictures, neighbours]


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def prose(notebook):
    """Return the text of the markdown cells, without code and formulas."""
    return [
        CODE_OR_FORMULA.sub("", cell.source)
        for cell in notebook.cells
        if cell.cell_type == "markdown"
    ]


def targets(notebook):
    """Yield everything that the prose links to or shows."""
    for text in prose(notebook):
        yield from re.findall(r"\]\(\s*<?([^)\s>]+)", text)
        yield from re.findall(r"\b(?:href|src)\s*=\s*['\"]([^'\"]+)", text)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_stored_notebook(path, check):
    assert list(check(nbformat.read(path, as_version=4), path)) == []


def sound():
    """Make a small notebook, stored as it should be, with one neighbour on each side."""
    picture = {
        execute_notebooks.WIDGET: {"model_id": "1"},
        "image/png": "AAAA",
        "text/plain": "a ridge",
    }
    return new_notebook(
        cells=[
            new_markdown_cell("# Title\n`![](x.png)` and $W[n](t)$ are no links; [here](#title)"),
            new_code_cell(
                "1 + 1",
                execution_count=1,
                outputs=[new_output("execute_result", {"text/plain": "2"})],
            ),
            new_code_cell("", execution_count=None),
            new_code_cell(
                "explore()",
                execution_count=2,
                outputs=[new_output("display_data", picture), new_output("stream", text="done")],
            ),
            new_markdown_cell(
                "![a ridge](ridge.png) <img alt='a ridge' src=\"ridge.png\">\n"
                "[previous](00_a.ipynb) | [next](./02_c.ipynb#title) | "
                "[paper](https://doi.org/10.1000/1)"
            ),
        ]
    )


def out_of_order(notebook):
    notebook.cells[1].execution_count = 5


def not_executed(notebook):
    notebook.cells[3].execution_count = None


def failed(notebook):
    notebook.cells[1].outputs.append(new_output("error", ename="E", evalue="no", traceback=[]))


def widget_state(notebook):
    notebook.metadata["widgets"] = {"state": {}}


def bare_widget(notebook):
    del notebook.cells[3].outputs[0].data["image/png"]


def heavy(notebook):
    notebook.cells[1].outputs.append(new_output("stream", text="x" * 1_600_000))


def home_folder(notebook):
    notebook.cells[1].outputs.append(new_output("stream", text="at /home/someone/x.py:3"))


def environment(notebook):
    notebook.cells[1].outputs.append(new_output("stream", text="/srv/site-packages/x.py:3"))


def warned(notebook):
    notebook.cells[1].outputs.append(new_output("stream", name="stderr", text="mean of nothing"))


def dead_link(notebook):
    notebook.cells[0].source += " [more](03_missing.ipynb)"


def dead_picture(notebook):
    notebook.cells[0].source += " ![a chirp](../figures/missing.png)"


def mute_picture(notebook):
    notebook.cells[0].source += " ![](ridge.png)"


def mute_html_picture(notebook):
    notebook.cells[0].source += " <img src='ridge.png' alt=''>"


def no_way_back(notebook):
    notebook.cells[4].source = notebook.cells[4].source.replace("00_a.ipynb", "ridge.png")


def no_way_on(notebook):
    notebook.cells[4].source = notebook.cells[4].source.replace("./02_c.ipynb#title", "ridge.png")


FAULTS = [
    (out_of_order, execution),
    (not_executed, execution),
    (failed, errors),
    (widget_state, widgets),
    (bare_widget, widgets),
    (heavy, size),
    (home_folder, machine_paths),
    (environment, machine_paths),
    (warned, warnings),
    (dead_link, links),
    (dead_picture, links),
    (mute_picture, pictures),
    (mute_html_picture, pictures),
    (no_way_back, neighbours),
    (no_way_on, neighbours),
]


def complaining(notebook, folder):
    """Return the checks that complain about `notebook`, stored between two neighbours."""
    for name in ("00_a.ipynb", "02_c.ipynb", "ridge.png"):
        (folder / name).touch()
    path = folder / "01_b.ipynb"
    nbformat.write(notebook, path)
    return [check for check in CHECKS if list(check(nbformat.read(path, as_version=4), path))]


def test_a_sound_notebook_passes_every_check(tmp_path):
    assert complaining(sound(), tmp_path) == []


@pytest.mark.parametrize("fault, check", FAULTS, ids=lambda item: item.__name__)
def test_a_fault_is_found_by_its_check_and_no_other(fault, check, tmp_path):
    notebook = sound()
    fault(notebook)
    assert complaining(notebook, tmp_path) == [check]


# -- storing, which makes notebooks pass the checks above --------------------------------------


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_elements_are_stored_with_the_code_of_today(path):
    """If not: python -m scalinv_utils notebooks --scripts."""
    stored = "".join(
        output.get("data", {}).get("text/html", "")
        for cell in nbformat.read(path, as_version=4).cells
        for output in cell.get("outputs", [])
    )
    assert _web.renewed(stored) == stored


def test_scripts_are_renewed_and_nothing_else_changes(tmp_path):
    old = _web.element("idea-circle", {"a": 1}).replace("const", "var")
    cell = new_code_cell("x", outputs=[new_output("display_data", {"text/html": old})])
    path = tmp_path / "one.ipynb"
    nbformat.write(new_notebook(cells=[cell]), path)
    execute_notebooks.renew_scripts(path)
    (renewed,) = nbformat.read(path, as_version=4).cells
    assert renewed.outputs[0].data == {"text/html": _web.element("idea-circle", {"a": 1})}
    assert (renewed.source, renewed.id) == (cell.source, cell.id)


def test_tidy_keeps_the_picture_of_a_widget_and_drops_the_widget():
    notebook = sound()
    execute_notebooks.tidy(notebook)
    assert notebook.cells[3].outputs[0].data == {"image/png": "AAAA", "text/plain": "a ridge"}
    assert len(notebook.cells[3].outputs) == 2


def test_tidy_drops_a_widget_that_brings_no_picture():
    notebook = sound()
    bar = {execute_notebooks.WIDGET: {"model_id": "2"}, "text/plain": "  0%|          | 0/10"}
    notebook.cells[1].outputs.append(new_output("display_data", bar))
    execute_notebooks.tidy(notebook)
    assert [output.data for output in notebook.cells[1].outputs] == [{"text/plain": "2"}]


def test_tidy_puts_the_still_before_the_element_of_an_explorer():
    notebook = sound()
    output = notebook.cells[3].outputs[0]
    output.data["text/html"] = "<scalinv-explorer>"
    output.metadata = {"image/png": {"alt": "a ridge"}}
    execute_notebooks.tidy(notebook)
    still, alive, stream = notebook.cells[3].outputs
    assert still.data == {"image/png": "AAAA", "text/plain": "a ridge"}
    assert still.metadata == {"image/png": {"alt": "a ridge"}}
    assert alive.data == {"text/html": "<scalinv-explorer>"} and stream.text == "done"
    nbformat.validate(notebook)


def test_only_while_notebooks_are_stored_do_explorers_bring_their_element(tmp_path):
    source = """
from scalinv_utils.course import widgets
widgets.frame_player(widgets.film(lambda ax, k: ax.plot([0, k]), (2, 1)), "ab", "A", "A line.")
"""
    path = stored(tmp_path, source)
    execute_notebooks.store(path)
    still, alive = nbformat.read(path, as_version=4).cells[0].outputs
    assert list(still.data) == ["image/png", "text/plain"]
    assert list(alive.data) == ["text/html"] and "<scalinv-explorer>" in alive.data["text/html"]
    notebook = nbformat.read(path, as_version=4)
    execute_notebooks.execute(notebook, path)
    (output,) = notebook.cells[0].outputs
    assert "text/html" not in output.data and execute_notebooks.WIDGET in output.data


def test_tidy_leaves_nothing_that_depends_on_who_ran_it():
    notebook = sound()
    notebook.metadata = {"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}}
    notebook.cells[1].metadata["execution"] = {"iopub.execute_input": "2026-01-01"}
    execute_notebooks.tidy(notebook)
    assert notebook.metadata == execute_notebooks.METADATA
    assert notebook.cells[1].metadata == {}


def stored(folder, *sources):
    path = folder / "01_b.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(source) for source in sources]), path)
    return path


def test_store_executes_in_place_and_keeps_the_identity_of_cells(tmp_path):
    path = stored(tmp_path, "x = 20", "x + 1")
    before = [cell.id for cell in nbformat.read(path, as_version=4).cells]
    execute_notebooks.store(path)
    notebook = nbformat.read(path, as_version=4)
    assert [cell.id for cell in notebook.cells] == before
    assert notebook.cells[1].outputs[0].data["text/plain"] == "21"
    assert list(execution(notebook, path)) == []
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_store_names_the_cell_that_fails_and_leaves_the_file_alone(tmp_path):
    path = stored(tmp_path, "x = 20", "# halve\nx / 0")
    before = path.read_bytes()
    with pytest.raises(
        execute_notebooks.NotebookError, match=r"01_b.*: cell 2 \(# halve\) raised Zero"
    ):
        execute_notebooks.store(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_store_leaves_the_file_alone_when_writing_is_interrupted(tmp_path, monkeypatch):
    path = stored(tmp_path, "x = 20")
    before = path.read_bytes()

    def interrupted(file):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute_notebooks, "execute", lambda *arguments: None)
    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        execute_notebooks.store(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_notebook_is_found_by_number_name_or_path(tmp_path, monkeypatch):
    path = stored(tmp_path, "x = 20")
    monkeypatch.setattr(execute_notebooks, "NOTEBOOKS_FOLDER", tmp_path)
    for name in ("01", "01_b", "01_b.ipynb", "notebooks/01_b.ipynb"):
        assert execute_notebooks.find(name) == path
    assert execute_notebooks.main(["02"]) == "02 names 0 notebooks; there are: 01_b."
