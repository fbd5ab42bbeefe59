"""Explorers without a kernel: the element <scalinv-explorer> on a page, and in JupyterLab.

Nothing computes here: the pictures are plain colours, so that a test can tell them apart.
"""

import base64
import io

import browsing
import nbformat
import pytest
from browsing import wait_for
from PIL import Image

from scalinv_utils.course import widgets
from scalinv_utils.course.widgets import Question
from scalinv_utils.tools import execute_notebooks

from .moves import of_cells

pytestmark = pytest.mark.browser

PAGE = (
    "<!doctype html><html lang='en'><meta charset='utf-8'><title>Explorers</title>"
    "<meta name='viewport' content='width=device-width'><main>{}</main></html>"
)
QUESTIONS = [
    Question("Is it red?", ("yes", "no"), "no", "It has no red at all."),
    Question("How bright?", ("dark", "bright"), "dark", "20 of 255."),
]


def png(red, green=0, blue=0):
    buffer = io.BytesIO()
    Image.new("RGB", (300, 120), (red, green, blue)).save(buffer, "PNG")
    return buffer.getvalue()


def film():
    frames = [png(10 * k) for k in range(20)]
    labels = [f"red is {10 * k}" for k in range(20)]
    return widgets.frame_player(frames, labels, "A film", "A sheet.", unit="shade", interval=100)


def grid(monkeypatch, predict=()):
    monkeypatch.setattr(widgets, "_redraw", lambda figure, subplots, draw, result: png(*result))
    controls = {
        "green": widgets.slider("green", [0, 50, 100, 150, 200], 100),
        "blue": widgets.choice("blue", [("none", 0), ("much", 200)], 0),
    }
    return widgets.explore(
        lambda green, blue: (20, green, blue), None, controls, "A grid", "A sheet.", predict=predict
    )


@pytest.fixture
def show(page, tmp_path):
    """Return a function that shows HTML on a page of its own; a script that fails is an error."""
    failures = []
    page.on("pageerror", lambda failure: failures.append(failure))

    def open_page(html, width=1024):
        file = tmp_path / "page.html"
        file.write_text(PAGE.format(html), encoding="utf-8")
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(file.as_uri())
        return page

    yield open_page
    assert failures == []


# The colour in the middle of what is in view of an element's sheet of pictures.
COLOUR = """explorer => {
    const image = explorer.shadowRoot.querySelector("img");
    const stage = image.parentElement.getBoundingClientRect();
    const at = (stage.top + stage.height / 2 - image.getBoundingClientRect().top)
        * image.naturalWidth / stage.width;
    const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
    const context = canvas.getContext("2d");
    context.drawImage(image, 5, Math.round(at), 1, 1, 0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


def colour(page, number=0):
    page.locator("scalinv-explorer img").nth(number).wait_for()
    return page.locator("scalinv-explorer").nth(number).evaluate(COLOUR)


def test_a_film_moves_by_keys_and_by_mouse(show):
    page = show(film().element())
    assert colour(page) == [0, 0, 0]
    slider = page.get_by_role("slider", name="shade")
    slider.focus()
    for key, place in (("ArrowRight", 1), ("ArrowRight", 2), ("End", 19), ("Home", 0)):
        page.keyboard.press(key)
        assert slider.get_attribute("aria-valuetext") == f"{place + 1} of 20"
        page.get_by_text(f"red is {10 * place}", exact=True).wait_for()
        page.get_by_alt_text(f"A sheet. Now: red is {10 * place}").wait_for()
        assert colour(page) == [10 * place, 0, 0]
    box = slider.bounding_box()
    assert box["height"] >= 44
    page.mouse.click(box["x"] + box["width"] - 12, box["y"] + box["height"] / 2)
    assert colour(page) == [190, 0, 0]


def test_a_film_plays_to_its_end_and_can_be_stopped(show):
    page = show(film().element())
    page.get_by_role("button", name="Play").focus()
    page.keyboard.press("Space")
    # On a busy machine the first frames may be gone before anybody looks.
    slider = page.get_by_role("slider").element_handle()
    wait_for(page, "slider => slider.value > 0", slider, "the film to begin")
    page.keyboard.press("Space")
    stopped = page.get_by_role("slider").get_attribute("aria-valuetext")
    page.wait_for_timeout(400)
    assert page.get_by_role("slider").get_attribute("aria-valuetext") == stopped
    page.keyboard.press("Space")
    page.get_by_text("red is 190", exact=True).wait_for()
    page.get_by_role("button", name="Play").wait_for()


def test_a_grid_follows_its_slider_and_its_buttons(show, monkeypatch):
    page = show(grid(monkeypatch).element())
    assert colour(page) == [20, 100, 0]
    page.get_by_role("radio", name="much").check()
    assert colour(page) == [20, 100, 200]
    page.get_by_role("slider", name="green").focus()
    page.keyboard.press("End")
    assert colour(page) == [20, 200, 200]
    page.get_by_alt_text("A sheet. Now: green 200, blue much").wait_for()
    page.get_by_role("radio", name="much").focus()
    page.keyboard.press("ArrowLeft")
    assert colour(page) == [20, 200, 0]


def test_predictions_cover_the_picture_until_all_are_made(show, monkeypatch):
    page = show(grid(monkeypatch, QUESTIONS).element())
    assert page.locator("img").count() == 0 and page.get_by_role("slider").is_disabled()
    height = page.locator("main").bounding_box()["height"]
    page.get_by_role("radio", name="yes").check()
    assert page.locator("img").count() == 0
    page.get_by_role("radio", name="dark").check()
    assert colour(page) == [20, 100, 0] and page.get_by_role("slider").is_enabled()
    page.get_by_text("You chose yes; it is no. It has no red at all.").wait_for()
    page.get_by_text("Right. 20 of 255.").wait_for()
    assert page.locator("main").bounding_box()["height"] < height + 100  # the verdicts alone


def test_predictions_can_be_passed_over(show, monkeypatch):
    page = show(grid(monkeypatch, QUESTIONS).element())
    page.get_by_role("button", name="Show without choosing").click()
    assert colour(page) == [20, 100, 0]
    page.get_by_text("Answer: no. It has no red at all.").wait_for()


def test_two_explorers_on_a_narrow_page_have_no_serious_accessibility_problem(show, monkeypatch):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs .[test]")
    page = show(film().element() + grid(monkeypatch, QUESTIONS).element(), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(2):
        found = axe.Axe().run(page).response["violations"]
        assert [item["id"] for item in found if item["impact"] in ("serious", "critical")] == []
        page.get_by_role("button", name="Show without choosing").or_(
            page.get_by_role("button", name="Play")
        ).last.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def stored_notebook(lab, name):
    """Store a notebook with a film as `execute_notebooks` does, and return its path."""
    data = {}
    data["image/png"] = base64.b64encode(png(0, 90)).decode()
    data[execute_notebooks.WIDGET] = {"model_id": "1"}
    data["text/html"] = film().element()
    path = of_cells(lab, name, ["1"])
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].outputs = [nbformat.v4.new_output("display_data", data)]
    notebook.cells[0].execution_count = 1
    execute_notebooks.tidy(notebook)
    nbformat.write(notebook, path)
    return path


def test_a_notebook_that_is_not_trusted_shows_the_still(page, open_notebook, lab):
    open_notebook(stored_notebook(lab, "untrusted.ipynb"))
    still = page.locator(".jp-OutputArea-output img")
    still.wait_for()
    assert still.count() == 1 and page.get_by_role("slider").count() == 0
    page.get_by_text("The controls of this picture need scripts.").wait_for()


def test_a_trusted_notebook_moves_without_having_run(page, open_notebook, lab):
    path = stored_notebook(lab, "trusted.ipynb")
    browsing.trust(lab, path)
    open_notebook(path)
    page.get_by_role("slider", name="shade").focus()
    page.keyboard.press("End")
    page.get_by_text("red is 190", exact=True).wait_for()
    assert colour(page) == [190, 0, 0]
    stills = page.locator(".jp-RenderedImage img")
    assert stills.count() == 1 and not stills.is_visible()
