"""The frame: the commands, the set-up of .venv, and the lists of packages that have to agree."""

import ast
import json
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import scalinv_utils
from scalinv_utils.__main__ import unfit
from scalinv_utils.tools import cli, environment

ROOT = environment.ROOT
PACKAGE = ROOT / "scalinv_utils"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


# The package


def test_importing_the_package_or_asking_for_help_loads_nothing_heavy():
    heavy = {"torch", "ssqueezepy", "kymatio", "numpy", "matplotlib"}
    code = f"import sys, scalinv_utils; print(sorted({heavy} & set(sys.modules)))"
    assert python("-c", code).stdout == "[]\n"
    shown = python("-X", "importtime", "-m", "scalinv_utils", "--help")
    assert shown.returncode == 0 and "JupyterLab" in shown.stdout
    imported = {line.split("|")[-1].strip() for line in shown.stderr.splitlines()}
    assert "argparse" in imported and not imported & heavy


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
        PROJECT["version"],
        "True",
        "False",
        "False",
    ]


def test_every_import_of_the_package_is_declared():
    distributions = metadata.packages_distributions()
    declared = {
        canonicalize_name(Requirement(need).name)
        for extra in ("test", "benchmark")
        for need in environment.requirements(extra)
    }
    for path in PACKAGE.rglob("*.py"):
        for name in imported(path) - set(sys.stdlib_module_names) - {"scalinv_utils"}:
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            assert owners & declared, f"{path.name} imports {name}, which nothing declares"


def imported(path):
    """The top-level names that a file imports, its own package aside."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


# The Python that is too old


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 15)])
def test_an_unfit_python_gets_one_sentence(version):
    sentence = unfit((*version, 1, "final", 0))
    assert "3.11 to 3.14" in sentence and f"this is Python {version[0]}.{version[1]}" in sentence
    assert "\n" not in sentence


def test_a_fit_python_gets_none_and_pyproject_agrees():
    bounds = Requirement("python" + PROJECT["requires-python"]).specifier
    for minor in range(8, 20):
        assert (unfit((3, minor)) is None) == bounds.contains(f"3.{minor}")


@pytest.mark.parametrize("name", ["__init__.py", "__main__.py"])
def test_what_an_unfit_python_reads_first_has_the_syntax_of_old(name):
    ast.parse((PACKAGE / name).read_text(), feature_version=(3, 4))


# The commands


def test_the_commands_pass_their_arguments_on():
    made = cli.commands("python", "/course", ["--port", "8890"])
    assert made["lab"][:3] == ["python", "-m", "jupyterlab"]
    assert "--ServerApp.root_dir=/course" in made["lab"]
    assert all(command[-2:] == ["--port", "8890"] for command in made.values())


def test_the_first_notebook_of_lab_is_the_first_notebook():
    lab = cli.commands("python", str(ROOT), [])["lab"]
    first = next(option for option in lab if "default_url" in option).split("/lab/tree/")[1]
    assert (ROOT / first).name == min(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("arguments", [[], ["fly"], ["setup", "--fast"]])
def test_a_command_that_is_not_there_is_refused(arguments):
    refused = python("-m", "scalinv_utils", *arguments)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr


def test_a_failed_setup_ends_in_its_sentence(monkeypatch):
    def fail(extra):
        raise environment.SetupError("The sky has fallen.")

    monkeypatch.setattr(environment, "ready", fail)
    with pytest.raises(SystemExit, match="The sky has fallen."):
        cli.main(["setup"])


def test_a_folder_that_cannot_be_written_ends_in_a_sentence(monkeypatch):
    def fail(extra):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(environment, "ready", fail)
    with pytest.raises(SystemExit, match="could not write the environment: .*Permission denied"):
        cli.main(["lab"])


# Which environment is used


@pytest.fixture
def installed(monkeypatch):
    """Fake metadata: a dictionary of the distributions that are there, with their versions."""
    versions = {}

    def version(name):
        if name not in versions:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(environment.metadata, "version", version)
    return versions


@pytest.mark.parametrize(
    "requirement, version, answer",
    [
        ("torch==2.13.0", "2.13.0+cpu", True),
        ("torch==2.13.0", "2.13", True),
        ("torch==2.13.0", "2.13.1", False),
        ("scipy>=1.11,<1.17", "1.16.3", True),
        ("scipy>=1.11,<1.17", "1.17.0", False),
        ("scipy>=1.11,<1.17", "1.9.3", False),
        ("jupyter-repo2docker>=2024.7", "2026.4.0", True),
        ("tqdm", "4.0", True),
    ],
)
def test_a_requirement_is_compared_with_what_is_installed(installed, requirement, version, answer):
    name = Requirement(requirement).name
    assert not environment.satisfied(requirement)
    installed[name] = version
    assert (
        environment.satisfied(requirement)
        == answer
        == Requirement(requirement).specifier.contains(version)
    )


def test_the_environment_that_runs_the_tests_is_found_complete():
    assert environment.missing("test") == []
    looked = python("-m", "scalinv_utils._environment")
    assert (looked.returncode, looked.stderr) == (0, "")


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the course's pyproject.toml, with no environment, seen from a bare Python."""
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text())
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(environment, "_in_environment", lambda: False)
    return tmp_path


@pytest.fixture
def runs(course, monkeypatch):
    """What set-up would run, as a list; running it makes the files that the next step looks for."""
    made = []

    def run(command, **options):
        made.append(command)
        if "venv" in command:
            interpreter = environment._python()
            interpreter.parent.mkdir(parents=True)
            interpreter.touch()
            (course / ".venv/pyvenv.cfg").write_text(f"prompt = '{environment.PROMPT}'\n")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(environment, "_install", lambda doing, *rest: made.append(["pip", *rest]))
    return made


def steps(made):
    """The steps among `made` that change something."""
    return [
        step
        for step in ("venv", "torch==2.13.0", "--editable")
        for command in made
        if step in command
    ]


def test_an_active_environment_with_everything_is_used_as_it_is(course, runs, monkeypatch):
    monkeypatch.setattr(environment, "_in_environment", lambda: True)
    monkeypatch.setattr(environment, "missing", lambda extra: [])
    assert environment.ready("test") == sys.executable
    assert runs == [] and not (course / ".venv").exists()


def test_an_active_environment_that_lacks_something_is_left_alone(
    course, runs, monkeypatch, capsys
):
    monkeypatch.setattr(environment, "_in_environment", lambda: True)
    monkeypatch.setattr(environment, "missing", lambda extra: ["numba>=0.59"])
    assert environment.ready() == str(environment._python())
    assert "lacks numba>=0.59: using .venv" in capsys.readouterr().out
    assert steps(runs) == ["venv", "torch==2.13.0", "--editable"]


def test_a_checkout_that_is_not_installed_counts_as_missing(course):
    assert environment.missing() == [f"scalinv_utils from {course}"]


def test_set_up_happens_once_and_again_when_pyproject_changes(course, runs):
    environment.ready()
    assert steps(runs) == ["venv", "torch==2.13.0", "--editable"]
    runs.clear()
    environment.ready()
    assert steps(runs) == []
    with (course / "pyproject.toml").open("a") as project:
        project.write("# changed\n")
    environment.ready()
    assert steps(runs) == ["torch==2.13.0", "--editable"]


def test_the_torch_step_alone_asks_the_index_of_torch(runs):
    environment.ready()
    asking = [command for command in runs if "--extra-index-url" in command]
    assert [steps([command]) for command in asking] == (
        [["torch==2.13.0"]] if sys.platform == "linux" else []
    )


def test_an_interrupted_set_up_starts_afresh(course, runs, monkeypatch):
    def interrupted(doing, *rest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment.ready()
    runs.clear()
    (environment._python()).unlink()
    environment._python().parent.rmdir()
    environment.ready()
    assert steps(runs) == ["venv", "torch==2.13.0", "--editable"]
    assert "--clear" in next(command for command in runs if "venv" in command)


def test_an_environment_that_a_person_made_is_filled_and_not_emptied(course, runs):
    environment._python().parent.mkdir(parents=True)
    environment._python().touch()
    (course / ".venv/pyvenv.cfg").write_text("command = python -m venv scalinv/.venv\n")
    environment.ready()
    assert steps(runs) == ["torch==2.13.0", "--editable"]


def test_a_folder_of_a_person_that_cannot_be_used_is_not_emptied(course):
    (course / ".venv").mkdir()
    (course / ".venv/pyvenv.cfg").write_text("home = somewhere\n")
    with pytest.raises(environment.SetupError, match="move it out of the way"):
        environment.ready()


def test_a_python_without_venv_is_told_what_brings_it(course, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(environment.SetupError, match="python3-venv"):
        environment.ready()


@pytest.mark.parametrize(
    "complaint, sentence",
    [
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", "network connection"),
        ("ERROR: No matching distribution found (from versions: none)", "network connection"),
        ("ERROR: No space left on device", "the reason that it gives above"),
    ],
)
def test_what_pip_complains_about_ends_in_one_sentence(
    course, monkeypatch, capfd, complaint, sentence
):
    failing = f"import sys; print('progress'); sys.exit({complaint!r})"
    monkeypatch.setattr(environment, "_pip", lambda: [sys.executable, "-c", failing])
    with pytest.raises(environment.SetupError, match=sentence):
        environment._install("Installing", "torch")
    shown = capfd.readouterr()
    assert "progress" in shown.out and complaint in shown.err


def test_warnings_of_a_step_that_succeeds_are_no_failure(course, monkeypatch):
    warning = "import sys; print('connection broken by', file=sys.stderr)"
    monkeypatch.setattr(environment, "_pip", lambda: [sys.executable, "-c", warning])
    environment._install("Installing", "torch")


def test_the_news_are_off_in_the_environment_that_set_up_makes(course, runs):
    environment.ready()
    settings = course / ".venv/share/jupyter/lab/settings/overrides.d/scalinv.json"
    assert json.loads(settings.read_text()) == environment.NO_NEWS


# The lists of packages

CONDA_NAMES = {"pytorch-cpu": "torch", "matplotlib-base": "matplotlib", "pysoundfile": "soundfile"}
CONDA_ONLY = {"python", "pip"}


def bounds(needs):
    """{name on PyPI: bounds} of requirements or of conda's match specifications."""
    parsed = [Requirement(need) for need in needs]
    return {CONDA_NAMES.get(need.name, need.name): need.specifier for need in parsed}


def conda_lists():
    """The packages that conda installs, those that pip installs, and the editable installs."""
    *conda, pip = CONDA["dependencies"]
    by_conda = [need for need in conda if not need.startswith("python=")]
    by_pip = [need for need in pip["pip"] if not need.startswith("-e")]
    return by_conda, by_pip, [need for need in pip["pip"] if need.startswith("-e")]


def test_conda_and_pip_install_the_same_packages_with_the_same_bounds():
    by_conda, by_pip, editable = conda_lists()
    listed = bounds(by_conda + by_pip)
    assert not set(bounds(by_conda)) & set(bounds(by_pip))
    assert {name: listed[name] for name in set(listed) - CONDA_ONLY} == bounds(
        environment.requirements("test")
    )
    assert editable == ["-e .[test]"]


def test_conda_takes_its_packages_from_conda_forge_alone():
    assert CONDA["channels"] == ["conda-forge", "nodefaults"]


def test_the_python_of_conda_is_one_that_the_course_takes():
    version = next(need for need in CONDA["dependencies"] if need.startswith("python="))
    assert unfit([int(part) for part in version.split("=")[1].split(".")]) is None


def test_no_scipy_that_breaks_the_documented_imports_of_kymatio():
    assert not bounds(PROJECT["dependencies"])["scipy"].contains("1.17.0")
    imports = "from kymatio.torch import Scattering1D; from kymatio.numpy import Scattering1D"
    assert python("-c", imports).returncode == 0


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


def test_citation_and_changelog_know_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] and citation["license"] == PROJECT["license"]
    assert f"## {PROJECT['version']}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_data_of_the_package_are_shipped():
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = shipped["tool"]["setuptools"]["package-data"]["scalinv_utils"]
    covered = {path for pattern in patterns for path in PACKAGE.glob(pattern)}
    others = {
        path
        for path in PACKAGE.rglob("*")
        if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts
    }
    assert others and others <= covered


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("\npython3 -m scalinv_utils test")
    assert "python3 -m scalinv_utils test" in (ROOT / "README.md").read_text()
