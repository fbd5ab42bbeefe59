"""Outputs of notebooks as HTML: pictures become files, live elements replace their stills."""

import base64
import re

import pytest
from matplotlib.figure import Figure
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from scalinv_utils.course import _web, exercises, plotting
from scalinv_utils.tools.site import _bar, _notebook

PNG = plotting.render(Figure(figsize=(2, 1)))


@pytest.fixture
def frames(tmp_path):
    (tmp_path / "frames").mkdir()
    return tmp_path / "frames"


def still(alt="A line."):
    data = {"image/png": base64.b64encode(PNG).decode(), "text/plain": alt}
    return new_output("display_data", data, metadata={"image/png": {"alt": alt}})


def live(name, data="x"):
    return new_output("display_data", {"text/html": _web.element(name, data, "<p>words</p>")})


def rewritten(outputs, frames):
    notebook = new_notebook(cells=[new_code_cell("x", outputs=outputs)])
    _notebook.to_html(notebook, frames)
    return notebook.cells[0].outputs


@pytest.fixture(autouse=True)
def elements(monkeypatch):
    monkeypatch.setattr(_web, "code", lambda name: f"define('{name}')")


def test_a_picture_becomes_a_file_with_its_words(frames):
    (output,) = rewritten([still('A "line"')], frames)
    (file,) = frames.iterdir()
    assert file.read_bytes() == PNG
    assert f'src="../frames/{file.name}"' in output.data["text/html"]
    assert 'alt="A &quot;line&quot;"' in output.data["text/html"]
    assert 'width="200" height="100"' in output.data["text/html"]


@pytest.mark.parametrize("name, gives_way", [("explorer", True), ("sounds", False)])
def test_a_still_gives_way_to_the_explorer_that_follows_it_and_to_no_player(
    frames, name, gives_way
):
    first, _ = rewritten([still(), live(name)], frames)
    assert first.data["text/html"].startswith("<noscript>") == gives_way
    assert '<img src="../frames/' in first.data["text/html"]


def test_frames_inside_an_element_become_files_once(frames):
    uri = "data:image/webp;base64," + base64.b64encode(b"RIFFframe").decode()
    (output,) = rewritten([live("explorer", [uri, uri])], frames)
    (file,) = frames.iterdir()
    assert file.suffix == ".webp" and file.read_bytes() == b"RIFFframe"
    assert output.data["text/html"].count(f"../frames/{file.name}") == 2
    assert "base64" not in output.data["text/html"]


def test_the_script_of_an_element_is_loaded_once_a_page(frames):
    first, second, other = rewritten([live("sounds"), live("sounds"), live("explorer")], frames)
    assert '<script defer src="../_static/sounds.js">' in first.data["text/html"]
    assert "<script defer" not in second.data["text/html"]
    assert "../_static/explorer.js" in other.data["text/html"]
    assert "define(" not in first.data["text/html"] + second.data["text/html"]


def test_of_an_exercise_hint_and_solution_are_shown(frames):
    words = exercises.check("00.1")._repr_markdown_()
    assert "is not answered yet" in words
    (output,) = rewritten([new_output("execute_result", {"text/markdown": words})], frames)
    assert "answered" not in output.data["text/markdown"]
    assert output.data["text/markdown"].lstrip().startswith("<details><summary>Hint")
    assert output.data["text/markdown"].count("<details>") == 2


@pytest.mark.parametrize("repository", [None, "owner/name"])
def test_the_bar_stands_below_the_title(repository):
    notebook = new_notebook(cells=[new_markdown_cell("# Title\n\nText.")])
    _bar.add(notebook, "00_start_here.ipynb", repository)
    title, bar, text = notebook.cells[0].source.split("\n\n")
    assert (title, text) == ("# Title", "Text.")
    binder, download = re.findall(r'href="([^"]+)"', bar)
    assert download == "../downloads/00_start_here.ipynb"
    assert binder == "../run_it.html" or "/owner/name/" in binder
