"""The lists of packages that have to agree, and the wheel: its contents, its needs, its use."""

import ast
import functools
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email.parser import BytesParser
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from scalinv_utils.__main__ import unfit
from scalinv_utils.tools import environment

ROOT = environment.ROOT
PACKAGE = ROOT / "scalinv_utils"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
PROJECT = SETTINGS["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))

CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "pysoundfile": "soundfile"}
CONDA_ONLY = {"python", "pip"}

# What a module may import at its top, by the first folder or file of its path in the package.
EXTRAS_OF = {
    "course/signals.py": (),
    "course": ("course",),
    "app": ("app",),
    "benchmark": ("course",),
    "tools": environment.EXTRAS,
}


def python(*arguments, **options):
    """Run this interpreter and return what it printed; show it if it fails."""
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, **options)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def bounds(needs):
    """{name on PyPI: bounds} of requirements or of conda's match specifications."""
    together = {}
    for need in map(Requirement, needs):
        name = CONDA_NAMES.get(need.name, need.name)
        together[name] = together.get(name, SpecifierSet()) & need.specifier
    return together


# conda and pip


def conda_lists():
    """The packages that conda installs, those that pip installs, and pip's options."""
    *conda, pip = CONDA["dependencies"]
    by_conda = [need for need in conda if not need.startswith("python=")]
    by_pip = [need for need in pip["pip"] if not need.startswith("-")]
    return by_conda, by_pip, [need for need in pip["pip"] if need.startswith("-")]


def test_conda_and_pip_install_the_same_packages_with_the_same_bounds():
    by_conda, by_pip, options = conda_lists()
    assert not set(bounds(by_conda)) & set(bounds(by_pip))
    listed = bounds(by_conda + by_pip)
    asked = bounds(environment.requirements(*environment.EXTRAS))
    exact = listed.pop("torch")
    assert asked.pop("torch").contains(str(exact).strip("="))
    assert {name: listed[name] for name in set(listed) - CONDA_ONLY} == asked
    assert options == ["-c constraints.txt", "-e .[course,app,site,test]"]


def test_conda_installs_the_exact_torch_of_the_course():
    pinned = next(need for need in CONDA["dependencies"] if str(need).startswith("pytorch-cpu"))
    assert pinned.replace("pytorch-cpu", "torch") == environment.constraints()["torch"]


def test_conda_takes_its_packages_from_conda_forge_alone():
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]


def test_the_python_of_conda_is_one_that_the_course_takes():
    version = next(need for need in CONDA["dependencies"] if need.startswith("python="))
    assert unfit([int(part) for part in version.split("=")[1].split(".")]) is None


def test_no_scipy_that_breaks_the_documented_imports_of_kymatio():
    assert not bounds(environment.requirements("course"))["scipy"].contains("1.17.0")
    assert bounds(PROJECT["dependencies"])["scipy"].contains("1.17.0")
    python("-c", "from kymatio.torch import Scattering1D; from kymatio.numpy import Scattering1D")


def test_binder_builds_from_environment_yml(monkeypatch):
    from repo2docker.app import Repo2Docker

    monkeypatch.chdir(ROOT)
    app = Repo2Docker()
    packs = [pack(app.base_image) for pack in app.buildpacks]
    chosen = next(pack for pack in packs if pack.detect())
    assert type(chosen).__name__ == "CondaBuildPack"
    chosen.platform = "linux/amd64"
    dockerfile = chosen.render()
    assert 'env update -p ${NB_PYTHON_PREFIX} --file "environment.yml"' in dockerfile
    assert chosen.python_version == "3.11"


# What the package says of itself


def test_core_is_what_inversion_needs():
    core = {"numba", "numpy", "scipy", "soundfile", "ssqueezepy", "torch", "tqdm"}
    assert set(bounds(PROJECT["dependencies"])) == core
    assert not any(bound.operator == "==" for bound in bounds(PROJECT["dependencies"])["torch"])
    extras = {"course", "app", "site", "benchmark", "files", "test", "dev"}
    assert set(PROJECT["optional-dependencies"]) == extras


def test_citation_and_changelog_know_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_versions_of_python_that_were_tried_are_those_of_the_classifiers():
    sentence = re.search(
        r"tried with Python ([\d., and]+)", (ROOT / "README.md").read_text("utf-8")
    )
    prefix = "Programming Language :: Python :: 3."
    listed = [entry.split(" :: ")[-1] for entry in PROJECT["classifiers"] if prefix in entry]
    assert re.findall(r"\d+\.\d+", sentence.group(1)) == listed
    assert all(unfit([int(part) for part in version.split(".")]) is None for version in listed)


def imports(path, *, everywhere):
    """The top-level names that a file imports from outside: everywhere, or when it is imported."""
    tree = ast.parse(path.read_text("utf-8"))
    names = set()
    for node in ast.walk(tree) if everywhere else tree.body:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"scalinv_utils"}


distributions = functools.cache(metadata.packages_distributions)


def undeclared(names, extras):
    """Those of `names` that no distribution among the requirements of `extras` brings."""
    declared = {
        canonicalize_name(Requirement(need).name) for need in environment.requirements(*extras)
    }
    return {
        name
        for name in names
        if not declared & {canonicalize_name(owner) for owner in distributions().get(name, [name])}
    }


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix()
)
def test_every_import_is_declared_where_it_is_needed(path):
    place = path.relative_to(PACKAGE).as_posix()
    extras = EXTRAS_OF.get(place, EXTRAS_OF.get(place.split("/")[0], ()))
    assert undeclared(imports(path, everywhere=False), extras) == set()
    assert undeclared(imports(path, everywhere=True), ("benchmark", *environment.EXTRAS)) == set()


# The wheel


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of what is built from, so that building leaves nothing in the repository."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, folder / "scalinv_utils", ignore=leave)
    return folder


@pytest.fixture(scope="module")
def wheel(source):
    """The wheel, built with the setuptools that is installed: nothing is downloaded."""
    python("-m", "build", "--wheel", "--no-isolation", cwd=source)
    return next((source / "dist").glob("*.whl"))


def test_the_wheel_has_every_file_of_the_package(wheel):
    packed = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    wanted = {
        path.relative_to(ROOT)
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {Path("scalinv_utils") / name for name in ("py.typed", "__init__.pyi")} <= wanted
    assert {path for path in packed if path.parts[0] == "scalinv_utils"} == wanted


def test_the_wheel_says_what_it_is(wheel):
    with zipfile.ZipFile(wheel) as packed:
        name = next(name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        told = BytesParser().parsebytes(packed.read(name))
    assert told["Description-Content-Type"] == "text/markdown"
    assert told.get_payload().startswith("# scalinv")
    assert told["License-Expression"] == "MIT" and told["License-File"] == "LICENSE"
    assert told["Summary"] and told["Keywords"] and "Typing :: Typed" in told.get_all("Classifier")
    assert set(told.get_all("Provides-Extra")) == set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize(
    "version, kept", [("99.0", True), ("1.0", False)], ids=["newer torch", "too old torch"]
)
def test_pip_keeps_the_torch_that_an_environment_has(tmp_path, wheel, version, kept):
    # A virtual environment with a torch that is only metadata, and behind it all that is installed
    # here. pip has no index and no settings, so whatever it wants to exchange ends in an error.
    variables = {name: value for name, value in os.environ.items() if name[:4] != "PIP_"}
    python("-m", "venv", "--without-pip", str(tmp_path))
    places = {"base": str(tmp_path), "platbase": str(tmp_path)}
    site = Path(sysconfig.get_path("purelib", "venv", vars=places))
    stub = site / f"torch-{version}.dist-info"
    stub.mkdir()
    (stub / "METADATA").write_text(f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
    (site / "installed_here.pth").write_text(sysconfig.get_path("purelib"))
    script = Path(sysconfig.get_path("scripts", "venv", vars=places), Path(sys.executable).name)
    ran = subprocess.run(
        [script, "-m", "pip", "install", "--dry-run", "--no-index", str(wheel)],
        env=variables | {"PIP_CONFIG_FILE": os.devnull},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode == 0) == kept, ran.stdout + ran.stderr
    if kept:
        assert f"Requirement already satisfied: torch>=2.4 in {site}" in ran.stdout
    else:
        assert "No matching distribution found for torch" in ran.stderr


@pytest.mark.slow
def test_the_sources_and_the_wheel_pass_twine(source, wheel):
    python("-m", "build", cwd=source)
    files = [str(path) for path in (source / "dist").iterdir()]
    assert len(files) == 2
    checked = python("-m", "twine", "check", "--strict", *files)
    assert checked.count("PASSED") == 2 and "WARNING" not in checked


@pytest.mark.slow
def test_the_wheel_alone_runs_the_example_of_readme(tmp_path, wheel):
    python("-m", "venv", str(tmp_path / "empty"))
    places = {"base": str(tmp_path / "empty"), "platbase": str(tmp_path / "empty")}
    folder = sysconfig.get_path("scripts", "venv", vars=places)
    script = str(Path(folder, Path(sys.executable).name))
    source = environment.TORCH_CPU if sys.platform == "linux" else []
    pip = [script, "-m", "pip", "install", "--disable-pip-version-check"]
    for step in (
        ["--no-deps", environment.constraints()["torch"], *source],
        ["--constraint", str(ROOT / "constraints.txt"), str(wheel)],
    ):
        subprocess.run([*pip, *step], check=True)
    listed = subprocess.run([script, "-m", "pip", "list"], capture_output=True, text=True).stdout
    assert not re.search("^(kymatio|matplotlib|ipywidgets|jupyterlab|pytest) ", listed, re.M)
    code = re.search(r"```python\n(.+?)```", (ROOT / "README.md").read_text("utf-8"), re.S).group(1)
    ran = subprocess.run([script, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    print(listed, ran.stdout, ran.stderr)
    assert ran.returncode == 0 and float(ran.stdout) < -150
