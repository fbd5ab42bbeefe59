"""The mutation check: which changes it makes, and what it says of them."""

import os
import subprocess
import sys
from pathlib import Path

import mutation
import pytest

CODE = '''
"""A module of 2 functions."""

from numba import njit

MOST = 3


def clipped(n: int = 7, most=MOST):
    """Return at most 3."""
    if n > most:
        return most
    return n


@njit()
def _last(x):
    x.sort(kind="stable")
    if len(x) < 1:
        raise ValueError(f"x has {len(x) + 1} values, but " + str(2 * 3))
    return x[-1]
'''

# The first test tells the order of n and most apart, but not n > most from n >= most, since then
# both are equal; nothing executes `unused`.
TINY = """
def clipped(n, most=3):
    return most if n > most else n


def unused():
    return 1
"""
TESTS = """
import pytest
from scalinv_utils.tiny import clipped


@pytest.mark.parametrize("n, least", [(2, 2), (3, 3), (9, 3)])
def test_clipped(n, least):
    assert clipped(n) == least
"""


def test_all_that_can_be_noticed_is_changed_and_nothing_else():
    said = [change.says.split("  ", 1)[1] for change in mutation.changes(CODE)]
    assert sorted(said) == sorted(
        [
            "3 -> 4",
            "7 -> 8",
            "n > most -> n >= most",
            "return most -> return None",
            "return n -> return None",
            "x.sort(kind='stable') -> pass",
            "x.sort(kind='stable') -> x.sort()",
            "len(x) < 1 -> len(x) <= 1",
            "1 -> 2",
            "raise ValueError(f'x has {len(x) + 1} values, but ' + str(2 * 3)) -> pass",
            "return x[-1] -> return None",
            "-1 -> 1",
            "1 -> 2",
        ]
    )


@pytest.mark.parametrize(
    "old, new",
    [
        ("a + b * c", ["(a - b * c)", "a + (b / c)"]),
        ("a < 0.001", ["(a >= 0.001)", "a < 1.0"]),
        ("fit_db <= best", ["(fit_db > best)"]),
        ("a = 30", ["a = 1"]),
        ("a = 2.0", ["a = 4.0"]),
        ("A = 0.5", ["A = 500.0"]),
        ("A, B = 30, 1e-06", ["A, B = 1, 1e-06", "A, B = 30, 1.0"]),
        ("BYTES_EACH = 24", []),
        ("Axes = int | None", []),
        ("torch.set_num_threads(3)", []),
        ("at_fork(partial(torch.set_num_threads, 1))", []),
        ("plot(alpha=0.5, flush=True)", ["pass"]),
        ("a < LARGEST", ["(a >= LARGEST)"]),
        ("a < MOST", ["(a <= MOST)"]),
        ("a < b <= c", ["(a <= b <= c)", "(a < b < c)"]),
        ("not (a and b)", ["(a and b)", "not ((a or b))"]),
        ("x[a:, :2]", ["x[a + 1:, :2]", "x[a:, :3]"]),
        (
            "a = f(é=0.5, k=1)",
            ["a = (f(k=1))", "a = (f(é=0.5))", "a = f(é=1.0, k=1)", "a = f(é=0.5, k=2)"],
        ),
        ("a = f(é=2)", ["a = (f())", "a = f(é=3)"]),
        ("x + 'text'", []),
        ("0.0 in x", ["(0.0 not in x)", "1.0 in x"]),
    ],
)
def test_a_change_leaves_the_rest_as_it_is(old, new):
    reals = mutation.real_constants(["MOST, LARGEST = 3, 2.5"])
    made = [mutation.changed(old, change) for change in mutation.changes(old, reals=reals)]
    assert sorted(made) == sorted(new)


def test_where_no_line_is_executed_users_stand_for_a_place():
    source = "MOST = 3\ndef f():\n  return MOST\n@njit()\ndef g():\n  return 5\ndef h():\n  g()"
    users = mutation.Users({"m.py": source})
    lines = {c.says: users.lines(c.place) for c in mutation.changes(source, "m.py")}
    assert lines["m.py:1  3 -> 4"] == {("m.py", 3)}
    assert lines["m.py:6  5 -> 6"] == {("m.py", 8)}


def test_a_condition_of_several_lines_is_executed_where_it_begins():
    source = "def f(x):\n  if (\n    x.a\n    and x.b\n  ):\n    return x"
    users = mutation.Users({"m.py": source})
    lines = {c.says: users.lines(c.place) for c in mutation.changes(source, "m.py")}
    assert lines["m.py:3  x.a and x.b -> x.a or x.b"] == {("m.py", 3)}
    assert lines["m.py:6  return x -> return None"] == {("m.py", 6)}


def test_tests_of_a_module_are_chosen_where_no_line_tells_who_uses_a_place():
    source = "MOST = 3\ndef f():\n  return MOST\n@njit()\ndef g():\n  return 5\ndef h():\n  g()"
    path = "scalinv_utils/_m.py"
    users, lines = mutation.Users({path: source}), {(path, 3): {"a.py::of_f"}, (path, 8): set()}
    seconds = {"tests/test_m.py::own": 1.0, "a.py::of_f": 0.1, "a.py::other": 0.1}
    found = {
        change.says.split("  ")[1]: mutation.chosen(change, users, seconds, lines)
        for change in mutation.changes(source, path)
    }
    assert found["5 -> 6"] == ["tests/test_m.py::own"]
    assert found["3 -> 4"] == ["tests/test_m.py::own", "a.py::of_f"]
    assert found["return MOST -> return None"] == ["a.py::of_f"]


def test_survivors_are_told_from_the_killed(tmp_path):
    whole = tmp_path / "whole"
    for file, text in {"scalinv_utils/tiny.py": TINY, "tests/test_tiny.py": TESTS}.items():
        (whole / file).parent.mkdir(parents=True)
        (whole / file).write_text(text)
    for file in ("scalinv_utils/__init__.py", "tests/conftest.py", "tests/small.py"):
        (whole / file).touch()
    code = (
        "import pathlib, sys, mutation\n"
        "for says, survived, _ in mutation.run(0, 99, whole=pathlib.Path(sys.argv[1])):\n"
        "    print(survived, says and says.split('  ')[1])"
    )
    place = {
        "PYTHONPATH": str(Path(mutation.__file__).parent),
        "TMPDIR": str(tmp_path),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "yes",  # they take much longer than these tests
        "PYTEST_PLUGINS": "xdist.plugin",
    }
    said = subprocess.run(
        [sys.executable, "-c", code, str(whole)],
        capture_output=True,
        text=True,
        env={**os.environ, **place},
    )
    assert said.returncode == 0, said.stderr
    lines = said.stdout.split("\n")
    assert "True n > most -> n >= most" in lines  # both give 3
    assert {"True 1 -> 2", "True return 1 -> return None"} < set(lines)  # nothing tests it
    assert "False 3 -> 4" in lines
    assert "False return most if n > most else n -> return None" in lines
    assert "True None" in lines  # the control
