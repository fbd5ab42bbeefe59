"""Notebooks are executed and replaced whole, or left as they were with a sentence that says why."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scalinv_utils.tools import execute_notebooks
from scalinv_utils.tools.execute_notebooks import WIDGET, NotebookError, execute, find, main, tidy


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(execute_notebooks, "NOTEBOOKS_FOLDER", tmp_path)
    for name in ("00_a.ipynb", "01_b.ipynb", "01_c.ipynb"):
        nbformat.write(new_notebook(cells=[new_code_cell("1 + 1")]), tmp_path / name)
    return tmp_path


def test_a_notebook_is_found_by_its_number_name_or_path(folder):
    for name in ("00", "00_a", "00_a.ipynb", str(folder / "00_a.ipynb")):
        assert find(name) == folder / "00_a.ipynb"
    with pytest.raises(NotebookError, match="01 names 2 notebooks; there are: 00_a, 01_b, 01_c."):
        find("01")
    with pytest.raises(NotebookError, match="7 names 0 notebooks"):
        find("7")
    for path in folder.iterdir():
        path.unlink()
    with pytest.raises(NotebookError, match="there are: none"):
        find("00")


def test_the_command_acts_on_those_that_are_named_or_on_all(folder, monkeypatch):
    stored, renewed = [], []
    monkeypatch.setattr(execute_notebooks, "store", lambda path: stored.append(path.name))
    monkeypatch.setattr(execute_notebooks, "renew_scripts", lambda path: renewed.append(path.name))
    assert main([]) is None and stored == ["00_a.ipynb", "01_b.ipynb", "01_c.ipynb"]
    stored.clear()
    assert main(["01_c", "00"]) is None and stored == ["01_c.ipynb", "00_a.ipynb"]
    assert main(["--scripts", "00"]) is None and renewed == ["00_a.ipynb"]
    assert main(["--scripts"]) is None and len(renewed) == 4
    assert main(["7"]).startswith("7 names 0 notebooks") and len(stored) == 2


def test_an_interrupt_ends_in_a_sentence(folder, monkeypatch):
    def stopped(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(execute_notebooks, "store", stopped)
    assert main([]).startswith("Interrupted: the notebook that was running")


def test_a_notebook_is_replaced_by_what_its_cells_gave(folder):
    path = folder / "00_a.ipynb"
    cells = [new_markdown_cell("# T"), new_code_cell("import os\nos.environ['A'] + os.getcwd()")]
    notebook = new_notebook(cells=cells)
    execute(notebook, path, {"A": "b"})
    (output,) = notebook.cells[1].outputs
    assert output.data["text/plain"] == repr(f"b{folder}")
    execute_notebooks.store(path)
    text = path.read_text()
    assert '"2"' in text and text.endswith("}\n") and '"execution"' not in text


class Client:
    """Stand for nbclient: it begins with some cells and ends with an error."""

    ends, asked = None, {}

    def __init__(self, notebook, **options):
        Client.asked = options

    async def async_execute(self, env):
        for k in range(2):
            Client.asked["on_cell_start"](cell=None, cell_index=k)
        if Client.ends:
            raise Client.ends


@pytest.mark.parametrize(
    "error, words",
    [
        (
            execute_notebooks.CellExecutionError("trace", "ValueError", "no"),
            "raised ValueError: no; the",
        ),
        (execute_notebooks.CellTimeoutError(), "took longer than 1800 s; the"),
        (execute_notebooks.DeadKernelError(), "ended the kernel, often"),
    ],
)
def test_a_cell_that_fails_is_named(folder, monkeypatch, error, words):
    monkeypatch.setattr(execute_notebooks, "NotebookClient", Client)
    Client.ends = error
    notebook = new_notebook(cells=[new_code_cell("a"), new_code_cell("\nb = 1\nc = 2")])
    with pytest.raises(NotebookError, match=f"00_a.ipynb: cell 2 \\(b = 1\\) {words}") as caught:
        execute(notebook, folder / "00_a.ipynb")
    assert str(caught.value).endswith("the stored notebook was left as it was.")
    asked = Client.asked
    assert asked["timeout"] == 1800 and asked["kernel_name"] == "python3"
    assert asked["resources"] == {"metadata": {"path": str(folder)}}
    assert asked["coalesce_streams"] is True and asked["record_timing"] is False
    assert asked["shutdown_kernel"] == "immediate"
    Client.ends = None
    execute(notebook, folder / "00_a.ipynb")


def shown(**data):
    return new_output("display_data", {key.replace("_", "/"): text for key, text in data.items()})


def test_widgets_leave_a_still_and_what_is_alive():
    def kept(**data):
        output = shown(**data)
        output.data[WIDGET] = {}
        return [dict(part.data) for part in execute_notebooks._kept(output)]

    assert kept(text_plain="Box()") == []
    assert kept(text_plain="Box()", image_png="p") == [{"text/plain": "Box()", "image/png": "p"}]
    assert kept(text_plain="Box()", text_html="h") == [{"text/html": "h"}]
    assert kept(image_png="p", text_html="h") == [{"image/png": "p"}, {"text/html": "h"}]
    plain = shown(text_plain="7", text_html="h")
    assert list(execute_notebooks._kept(plain)) == [plain]
    stream = new_output("stream", text="said")
    assert list(execute_notebooks._kept(stream)) == [stream]


def test_tidying_leaves_markdown_alone_and_names_no_version():
    widget = shown(text_plain="Box()")
    widget.data[WIDGET] = {}
    cell = new_code_cell("x", outputs=[widget, new_output("stream", text="said")])
    notebook = new_notebook(cells=[new_markdown_cell("# T"), cell])
    tidy(notebook)
    assert [output.output_type for output in notebook.cells[1].outputs] == ["stream"]
    assert notebook.metadata == execute_notebooks.METADATA
    assert "version" not in notebook.metadata.language_info


def test_scripts_are_renewed_where_there_are_any(folder, monkeypatch):
    path = folder / "00_a.ipynb"
    cells = [
        new_markdown_cell("# T"),
        new_code_cell("x", outputs=[shown(text_html="old"), shown(text_plain="old")]),
    ]
    nbformat.write(new_notebook(cells=cells), path)
    monkeypatch.setattr(execute_notebooks._web, "renewed", lambda text: text.upper())
    execute_notebooks.renew_scripts(path)
    outputs = nbformat.read(path, as_version=4).cells[1].outputs
    assert [dict(output.data) for output in outputs] == [
        {"text/html": "OLD"},
        {"text/plain": "old"},
    ]
    assert path.read_text().endswith("}\n")
