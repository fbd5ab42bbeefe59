"""The checkers of style, types and imports agree with what is here, and constants have one home."""

import ast
import collections
import re
import subprocess
import sys

import pytest

from scalinv_utils.tools import environment

ROOT = environment.ROOT
PACKAGE = ROOT / "scalinv_utils"

LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"
CHECKS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "import-linter": ["-c", LINT_IMPORTS, "--no-cache"],
    # The project is named, since pyright would rather take a pyrightconfig.json of a folder above.
    "pyright": ["-m", "pyright", "--project", "pyproject.toml", "--pythonpath", sys.executable],
}


@pytest.mark.parametrize("name", CHECKS)
def test_a_checker_has_nothing_to_say(name):
    ran = subprocess.run([sys.executable, *CHECKS[name]], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def constants(path):
    """The UPPER_CASE names that a module binds at its top."""
    targets = []
    for node in ast.parse(path.read_text("utf-8")).body:
        targets += node.targets if isinstance(node, ast.Assign) else []
        targets += [node.target] if isinstance(node, ast.AnnAssign) else []
    names = {node.id for target in targets for node in ast.walk(target) if hasattr(node, "id")}
    return {name for name in names if re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name)}


def test_no_constant_is_bound_in_two_modules():
    homes = collections.defaultdict(list)
    for path in sorted(PACKAGE.rglob("*.py")):
        for name in constants(path):
            homes[name].append(path.relative_to(ROOT).as_posix())
    assert {name: places for name, places in homes.items() if len(places) > 1} == {}
