"""What `import scalinv_utils` gives, what it loads, and what README shows of it."""

import ast
import re
import subprocess
import sys
import tomllib

import pytest

import scalinv_utils
from scalinv_utils.tools import environment

ROOT = environment.ROOT
PACKAGE = ROOT / "scalinv_utils"
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

# What README's example may not need: the modules that only extras bring.
OPTIONAL = [
    "IPython",
    "PIL",
    "distributed",
    "ipywidgets",
    "joblib",
    "jupyterlab",
    "kymatio",
    "librosa",
    "matplotlib",
    "psutil",
    "pytest",
    "pywt",
]


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


def test_importing_the_package_loads_the_standard_library_alone():
    looked = python("-S", "-X", "importtime", "-c", "import scalinv_utils")  # -S: nothing installed
    assert looked.returncode == 0, looked.stderr
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in looked.stderr.splitlines()[1:]}
    assert "scalinv_utils" in loaded
    assert loaded <= sys.stdlib_module_names | {"scalinv_utils"}


def test_importing_the_package_loads_nothing_heavy_that_is_installed():
    heavy = {"torch", "numba", "ssqueezepy", "kymatio", "scipy", "numpy", "matplotlib"}
    code = f"import sys, scalinv_utils; print(sorted({heavy} & set(sys.modules)))"
    assert python("-c", code).stdout == "[]\n"


@pytest.mark.parametrize("name", sorted(set(scalinv_utils.__all__) - {"metrics"}))
def test_public_names_are_functions_and_classes_of_the_package(name):
    public = getattr(scalinv_utils, name)
    assert callable(public) and public.__name__ == name
    assert public.__module__.startswith("scalinv_utils.")


def test_public_names_stay_what_they_are_whatever_was_imported_before():
    code = (
        "import scalinv_utils.recovery._griffin_lim, scalinv_utils.recovery._phase_gradient\n"
        "from scalinv_utils import griffin_lim, metrics, phase_gradient\n"
        "print(callable(griffin_lim), callable(phase_gradient), metrics.__name__)"
    )
    assert python("-c", code).stdout.split() == ["True", "True", "scalinv_utils.metrics"]


def test_wings_are_reached_by_attribute_and_unknown_names_are_not():
    code = (
        "import scalinv_utils as s; print(s.course.__name__, s.__version__, "
        "'metrics' in dir(s), hasattr(s, 'nothing'), hasattr(s, 'environment'))"
    )
    assert python("-c", code).stdout.split() == [
        "scalinv_utils.course",
        VERSION,
        "True",
        "False",
        "False",
    ]


def test_type_checkers_see_the_names_that_the_package_looks_up():
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text("utf-8"))
    homes = {
        alias.asname: (node.module, alias.name)
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert all(name == original for name, (_, original) in homes.items())
    listed = next(node for node in stub.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(listed.value) == sorted(scalinv_utils.__all__)
    named = {name: module for name, (module, _) in homes.items()}
    assert named == scalinv_utils._HOMES | dict.fromkeys(scalinv_utils._MODULES)
    annotated = [node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)]
    assert annotated == ["__version__"]
    assert set(dir(scalinv_utils)) >= set(named) | {"__version__"}


def test_all_wings_are_listed():
    wings = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("_")}
    assert set(scalinv_utils._MODULES) == wings | modules


def example():
    """The example in README, as source."""
    return re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), re.S).group(1)


def test_the_example_of_readme_runs_without_extras():
    barred = f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL}))\n"
    ran = python("-c", barred + example())
    assert ran.returncode == 0, ran.stderr
    assert float(ran.stdout) < -150
