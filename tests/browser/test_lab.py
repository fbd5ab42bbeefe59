"""The first notebook in JupyterLab: as it is stored, and after Run All, by keyboard alone."""

import browsing
import pytest

from .moves import (
    check_explorers,
    check_play,
    check_stored_view,
    check_times,
    check_widths,
    of_cells,
    path_of,
)

pytestmark = pytest.mark.browser


def test_a_copy_that_is_not_trusted_shows_pictures_where_widgets_would_be(page, open_notebook):
    notebook = open_notebook(path_of("00"))
    check_stored_view(notebook, path_of("00"))
    assert page.locator(".jp-OutputArea-output audio").count() > 5


def test_an_error_in_a_cell_does_not_go_unnoticed(open_notebook, lab):
    notebook = open_notebook(of_cells(lab, "error.ipynb", ["import time; time.sleep(1)", "1 / 0"]))
    with pytest.raises(AssertionError, match="ZeroDivisionError: division by zero"):
        notebook.run(notebook.by_mouse)


def test_run_all_and_the_first_explorer_with_the_keyboard_alone(page, open_notebook, lab):
    notebook = open_notebook(path_of("00"))
    notebook.run(notebook.by_keyboard)
    notebook.tab_to("button.widget-button:not(.widget-toggle-button)")
    page.keyboard.press("Enter")  # without choosing
    notebook.tab_to(".noUi-handle")
    picture = notebook.picture(notebook.handles()[0])
    before = picture.get_attribute("src")
    page.keyboard.press("ArrowRight")
    browsing.wait_for_change(page, picture, before)

    players_take_the_keys_1_to_4_for_themselves(page)
    check_times(notebook, lab, *check_explorers(notebook))
    check_widths(page)
    check_play(notebook)


def players_take_the_keys_1_to_4_for_themselves(page):
    sounds = page.locator("scalinv-sounds").nth(1)
    headings = page.locator(".jp-MarkdownCell").count()
    sounds.get_by_role("button", name="Play: the word").press("Enter")
    page.keyboard.press("2")
    browsing.wait_for(page, "e => e.selected == 1", sounds.element_handle(), "the second sound")
    assert page.locator(".jp-MarkdownCell").count() == headings  # 2 makes a heading of a cell
