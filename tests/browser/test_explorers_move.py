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
    has_film,
    path_of,
    reduced,
)

pytestmark = pytest.mark.browser

IN_PLACE = "04"  # its explorers are a film and one with two sliders
ELSEWHERE = ["00", "10"]  # test_lab.py, test_your_own_sound.py
OTHERS = [
    pytest.param(path, id=path.stem[:2])
    for path in NOTEBOOKS
    if path.stem[:2] not in [IN_PLACE, *ELSEWHERE] and explorer_cells(cells(read(path)))
]


@pytest.mark.slow  # as test_lab.py does with another notebook
def test_every_explorer_of_a_notebook_among_its_stored_outputs(page, open_notebook, lab):
    path = path_of(IN_PLACE)
    copy, numbers = reduced(lab, path)
    notebook = open_notebook(copy)
    check_stored_view(notebook, path)
    notebook.run_cells(numbers)
    check_times(notebook, lab, *check_explorers(notebook))
    check_widths(page)
    check_play(notebook)


@pytest.mark.slow  # nbval tries their callbacks all the same
@pytest.mark.parametrize("path", OTHERS)
def test_the_first_explorer(open_notebook, lab, path):
    notebook = open_notebook(cut_down(lab, path))
    notebook.run(notebook.by_mouse)
    check_times(notebook, lab, *check_explorers(notebook))
    if has_film(notebook):
        check_play(notebook)
