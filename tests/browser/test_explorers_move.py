"""The explorers of the other notebooks, by mouse and by keyboard.

nbval runs every cell of every notebook; here only those cells run that an explorer needs.
"""

import pytest
from explorers import NOTEBOOKS, cells, explorer_cells, read

from .moves import (
    check_explorers,
    check_play,
    check_stored_view,
    check_times,
    check_widths,
    cut_down,
    reduced,
)

pytestmark = pytest.mark.browser

# All explorers of these notebooks move, and their films play, between the outputs that are stored.
IN_PLACE = ["04", "06"]
ELSEWHERE = ["00", "10"]  # test_lab.py, test_your_own_sound.py


def notebooks(chosen):
    """The notebooks with explorers whose numbers pass a test, as parameters."""
    paths = [path for path in NOTEBOOKS if chosen(path.stem[:2])]
    paths = [path for path in paths if explorer_cells(cells(read(path)))]
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem[:2])


@notebooks(lambda number: number in IN_PLACE)
def test_every_explorer_among_the_stored_outputs(page, open_notebook, lab, path):
    copy, numbers = reduced(lab, path)
    notebook = open_notebook(copy)
    check_stored_view(notebook, path)
    notebook.run_cells(numbers)
    check_times(notebook, lab, *check_explorers(notebook))
    check_widths(page)
    check_play(notebook)


@notebooks(lambda number: number not in IN_PLACE + ELSEWHERE)
def test_the_first_explorer(open_notebook, lab, path):
    notebook = open_notebook(cut_down(lab, path))
    notebook.run(notebook.by_mouse)
    check_times(notebook, lab, *check_explorers(notebook))
