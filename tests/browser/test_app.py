"""The app of notebook 10 as Voila serves it: controls and no code."""

import importlib.util

import browsing
import pytest
from explorers import read
from nbformat import write

from .moves import check_players, path_of

pytestmark = pytest.mark.browser


def test_as_an_app_there_is_no_code_and_the_controls_work(page, tmp_path):
    if importlib.util.find_spec("voila") is None:
        pytest.skip("the app without code needs Voila: .[test]")
    browsing.course_copy(tmp_path)
    notebook = tmp_path / "notebooks" / path_of("10").name
    small = read(notebook)
    small.cells = small.cells[:4]  # up to the app: the start takes less
    write(small, notebook)
    options = ["--Voila.ip=127.0.0.1", "--port={port}", "--show_tracebacks=True", str(notebook)]
    with browsing.server("voila", tmp_path, *options) as (process, address):
        browsing.answer(process, f"{address}/nothing_such")
        page.goto(address, timeout=browsing.PATIENCE)
        studio = page.locator(".widget-vbox").filter(has_text="Your own sound").first
        studio.wait_for()
        assert page.get_by_text("import torch").count() == 0
        picture = studio.locator("img.widget-image").first
        before = picture.get_attribute("src")
        studio.get_by_role("button", name="bell").click()
        browsing.wait_for_change(page, picture, before)
        before = picture.get_attribute("src")
        studio.locator("button[title=Recover]").first.click()
        browsing.wait_for_change(page, picture, before)
        check_players(page, studio)
        assert page.locator("[role=alert]").count() == 0
