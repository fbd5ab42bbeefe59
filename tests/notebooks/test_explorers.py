"""The notebooks' sources have no stale names in explorers and no undeclared imports.

The callbacks of every explorer are tried while nbval runs the notebooks: see TRIAL in
scalinv_utils.course.widgets and in conftest.py.
"""

import ast
import sys
from importlib import metadata

import pytest
from explorers import NOTEBOOKS, cells, explorer_cells, later_changes, needed_for, read
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scalinv_utils.tools import environment


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_later_cell_changes_what_an_explorer_draws(path):
    sources = cells(read(path))
    for last in explorer_cells(sources):
        assert later_changes(sources, last) == set(), f"the explorer in code cell {last + 1}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_environment_has_what_a_notebook_imports(path):
    owners = metadata.packages_distributions()
    needs = environment.requirements("course")
    declared = {canonicalize_name(Requirement(need).name) for need in needs}
    for source in cells(read(path)):
        for name in imported(source) - set(sys.stdlib_module_names) - {"scalinv_utils"}:
            assert {canonicalize_name(owner) for owner in owners[name]} & declared, name


def imported(source):
    """Return the top-level packages that code imports."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


SOURCES = [
    "import torch\nfrom scalinv_utils import widgets",
    "S = torch.ones(3)\nunused = 5",
    "frames = []",
    "for k in range(3):\n    frames.append(S + k)",
    "unused.append(1)",
    "def draw(ax, k):\n    ax.plot(helper(k))\n\ndef helper(k):\n    return frames[k] + S",
    "widgets.frame_player(widgets.film(draw), [1, 2, 3], 't', 'a')",
    "S = 2",
]


def test_an_explorer_is_found_with_the_cells_that_it_needs():
    assert explorer_cells(SOURCES) == [6]
    assert needed_for(SOURCES, 6) == [0, 1, 2, 3, 5, 6]


def test_what_functions_and_comprehensions_bind_is_their_own():
    sources = [
        "x = slow()",
        "k = [x for x in range(3)]",
        "def f(x, y=k):\n    z = x\n    return z",
        "z = 1",
        "explore(f, sum(x for x in range(3)))",
    ]
    assert needed_for(sources, 4) == [1, 2, 4]


def test_a_cell_that_binds_a_name_before_it_reads_it_needs_no_other():
    sources = [
        "N = slow()",
        "N = 5\nfor k in range(N):\n    a = k\n    M = a",
        "a = slow()",
        "explore(M)",
    ]
    assert needed_for(sources, 3) == [1, 3]
    assert needed_for(["N = 4", "M = N\nN = 5", *sources[2:]], 3) == [0, 1, 3]


def test_a_name_that_is_bound_again_is_found_even_behind_a_helper():
    assert later_changes(SOURCES, 6) == {"S"}
    assert later_changes([*SOURCES[:7], "[S for S in range(2)]"], 6) == set()
    assert later_changes([*SOURCES[:7], "def other():\n    S = 1"], 6) == set()
