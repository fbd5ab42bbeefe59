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


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.long] * (name == "pyright")) for name in CHECKS],
)
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


def lines_of_code(path):
    """Count the lines that are no docstring, no comment and not blank."""
    text = path.read_text("utf-8")
    told = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            told.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(k not in told and bool(re.match(r"\s*[^\s#]", line)) for k, line in lines)


def test_the_package_stays_small():
    sizes = {path: lines_of_code(path) for path in PACKAGE.rglob("*.py")}
    inverts = ("transforms", "recovery", "measured", "metrics.py", "bounds.py")
    core = sum(
        size for path, size in sizes.items() if path.relative_to(PACKAGE).parts[0] in inverts
    )
    assert core < 7900 and sum(sizes.values()) < 17900, (core, sum(sizes.values()))


def test_public_functions_and_classes_are_annotated():
    bare = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if path.name not in ("__init__.py", "__main__.py") and "exercises" not in path.parts
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
        if node.returns is None
    ]
    assert bare == []
