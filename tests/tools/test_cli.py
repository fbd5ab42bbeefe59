"""The commands: what they run, what they refuse, and what an old Python is told."""

import ast
import subprocess
import sys
import tomllib
import types
from importlib import util

import pytest
from packaging.requirements import Requirement

from scalinv_utils.__main__ import unfit
from scalinv_utils.app import session
from scalinv_utils.tools import cli, environment

ROOT = environment.ROOT
PACKAGE = ROOT / "scalinv_utils"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


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
    ast.parse((PACKAGE / name).read_text("utf-8"), feature_version=(3, 4))


# The commands


def test_asking_for_help_loads_nothing_heavy():
    heavy = {"torch", "ssqueezepy", "kymatio", "numpy", "matplotlib"}
    shown = python("-X", "importtime", "-m", "scalinv_utils", "--help")
    assert shown.returncode == 0 and "JupyterLab" in shown.stdout and "--quick" in shown.stdout
    imported = {line.split("|")[-1].strip() for line in shown.stderr.splitlines()}
    assert "argparse" in imported and not imported & heavy


def test_the_help_of_test_tells_of_its_options():
    shown = python("-m", "scalinv_utils", "test", "--versions", "newest", "--help")
    assert shown.returncode == 0
    for option in ("--quick", "--slow", *(f"--versions {name}" for name in environment.VERSIONS)):
        assert option in shown.stdout


def test_the_commands_pass_their_arguments_on():
    made = cli.commands("python", "/course", ["--port", "8890"])
    assert made["lab"][:3] == ["python", "-m", "jupyterlab"]
    assert "--ServerApp.root_dir=/course" in made["lab"]
    assert all(command[-2:] == ["--port", "8890"] for command in made.values())
    assert set(made) | {"setup"} == set(cli.NEEDS)


def test_the_first_notebook_of_lab_is_the_first_notebook():
    lab = cli.commands("python", str(ROOT), [])["lab"]
    first = next(option for option in lab if "default_url" in option).split("/lab/tree/")[1]
    assert (ROOT / first).name == min(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_app_opens_the_notebook_of_the_app_with_room_for_files():
    app = cli.commands("python", str(ROOT), [])["app"]
    assert app[:3] == ["python", "-m", "voila"] and app[3] == str(cli.APP) and cli.APP.exists()
    assert cli.NEEDS["app"] == ("app",)


@pytest.mark.parametrize(("command", "program"), [("lab", "ServerApp"), ("app", "Voila")])
def test_both_servers_take_the_files_that_the_app_takes(command, program):
    options = cli.commands("python", str(ROOT), [])[command]
    start = f"--{program}.tornado_settings="
    (settings,) = [option.removeprefix(start) for option in options if option.startswith(start)]
    assert ast.literal_eval(settings)["websocket_max_message_size"] > cli.LARGEST_FILE
    assert cli.LARGEST_FILE_VARIABLE == session.UPLOAD


def test_kernels_are_told_how_large_a_file_may_be(monkeypatch):
    monkeypatch.delenv(session.UPLOAD, raising=False)
    monkeypatch.setattr(environment, "ready", lambda *extras, versions: "python")
    monkeypatch.setattr(cli, "hand_over", lambda command, folder: None)
    cli.main(["app"])
    assert session.largest_file() == cli.LARGEST_FILE


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["setup", "--fast"], ["test", "--versions", "old"]],
)
def test_a_command_that_is_not_there_is_refused(arguments):
    refused = python("-m", "scalinv_utils", *arguments)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr


@pytest.mark.parametrize("command", cli.NEEDS)
def test_an_environment_is_asked_for_with_the_extras_of_the_command(monkeypatch, command):
    asked = []

    def ready(*extras, versions):
        assert versions is None
        asked.append(extras)
        raise environment.SetupError("enough")

    monkeypatch.setattr(environment, "ready", ready)
    with pytest.raises(SystemExit, match="enough"):
        cli.main([command])
    assert asked == [cli.NEEDS[command]]
    assert set(asked[0]) <= set(PROJECT["optional-dependencies"])


@pytest.mark.parametrize("command", ["test", "setup"])
@pytest.mark.parametrize("given", [["--versions", "oldest"], ["--versions=oldest"]])
def test_the_versions_choose_the_environment(monkeypatch, capsys, command, given):
    asked, ran = [], []

    def ready(*extras, versions):
        asked.append(versions)
        return "python"

    monkeypatch.setattr(environment, "ready", ready)
    monkeypatch.setattr(environment, "_demand_the_oldest_python", lambda: None)
    monkeypatch.setattr(cli, "hand_over", lambda command, folder: ran.append(command))
    cli.main([command, *given, *(["-k", "metrics"] if command == "test" else [])])
    assert asked == ["oldest"]
    if command == "setup":
        assert ".venv-oldest" in capsys.readouterr().out and ran == []
    else:
        assert ran == [
            ["python", "-m", "pytest", *cli.pytest_arguments(["-k", "metrics"], "oldest")]
        ]


def test_a_failed_setup_ends_in_its_sentence(monkeypatch):
    def fail(*extras, versions):
        raise environment.SetupError("The sky has fallen.")

    monkeypatch.setattr(environment, "ready", fail)
    with pytest.raises(SystemExit, match="The sky has fallen."):
        cli.main(["setup"])


def test_a_folder_that_cannot_be_written_ends_in_a_sentence(monkeypatch):
    def fail(*extras, versions):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(environment, "ready", fail)
    with pytest.raises(SystemExit, match="could not write the environment: .*Permission denied"):
        cli.main(["lab"])


# What pytest is told


def test_a_complete_run_measures_coverage_and_no_other_does():
    assert "--cov" in cli.pytest_arguments(["--slow"])
    assert cli.pytest_arguments([]) == []
    assert cli.pytest_arguments(["-k", "metrics", "-x"]) == ["-k", "metrics", "-x"]


def test_a_quick_run_leaves_out_notebooks_and_browser():
    made = cli.pytest_arguments(["--quick", "-x"])
    assert made[:2] == ["-m", "not (browser or long)"]
    assert made[-3:] == ["-x", "tests", "scalinv_utils"]
    assert "--quick" not in made and "--cov" not in made


def test_a_quick_run_of_a_file_runs_that_file_alone():
    made = cli.pytest_arguments(["--quick", "tests/test_metrics.py::test_align"])
    assert made[-1] == "tests/test_metrics.py::test_align" and "tests" not in made


@pytest.mark.parametrize("versions", environment.VERSIONS)
def test_other_versions_run_the_unit_tests_and_the_examples(versions):
    made = cli.pytest_arguments(["-x"], versions)
    assert made[-3:] == ["-x", "tests", "scalinv_utils"] and "not (browser)" in made
    assert not any("--cov" in argument for argument in made)
    assert "not (browser or long)" in cli.pytest_arguments(["--quick"], versions)
    assert cli.pytest_arguments(["notebooks"], versions)[-1] == "notebooks"
    ignored = cli.CHECKERS.removeprefix("--ignore=")
    assert cli.CHECKERS in made and (ROOT / ignored).is_file()


def test_only_old_releases_may_warn():
    assert "-W" in cli.pytest_arguments([], "oldest")
    assert "-W" not in cli.pytest_arguments([], "newest") + cli.pytest_arguments([])


def test_each_core_gets_a_process_but_a_single_file_has_one_alone(monkeypatch):
    spec = util.spec_from_file_location("settings_of_the_suite", ROOT / "tests" / "conftest.py")
    conftest = util.module_from_spec(spec)
    spec.loader.exec_module(conftest)

    def processes(*arguments, capture="fd", cores=4):
        monkeypatch.setattr(conftest.os, "cpu_count", lambda: cores)
        option = types.SimpleNamespace(capture=capture)
        return conftest.pytest_xdist_auto_num_workers(
            types.SimpleNamespace(args=arguments, option=option)
        )

    assert [processes("tests", cores=cores) for cores in (None, 1, 4, 64)] == [2, 2, 4, 8]
    assert processes(__file__) == processes(f"{__file__}::test_x") == 0
    assert processes("tests", capture="no") == 0


# What is handed over


def test_the_command_becomes_another_in_its_folder(monkeypatch):
    became = []
    monkeypatch.setattr(cli.os, "chdir", became.append)
    monkeypatch.setattr(cli.os, "execv", lambda program, command: became.append((program, command)))
    cli.hand_over(["python", "-m", "x"], "/course")
    assert became == ["/course", ("python", ["python", "-m", "x"])]
    # Windows would return to the prompt at once.
    monkeypatch.setattr(cli.os, "name", "nt")
    monkeypatch.setattr(cli.subprocess, "call", lambda command: len(command))
    with pytest.raises(SystemExit) as ended:
        cli.hand_over(["python", "-m", "x"], "/course")
    assert ended.value.code == 3


def test_a_set_up_that_is_interrupted_or_done_ends_in_a_sentence(monkeypatch, capsys):
    def stopped(*extras, versions):
        raise KeyboardInterrupt

    monkeypatch.setattr(environment, "ready", stopped)
    with pytest.raises(SystemExit, match="Interrupted: the same command makes a clean start"):
        cli.main(["setup"])
    monkeypatch.setattr(environment, "ready", lambda *extras, versions: "python")
    cli.main(["setup"])
    assert "Open the course with: python -m scalinv_utils lab" in capsys.readouterr().out


@pytest.mark.parametrize(("user", "allowed"), [(0, True), (1000, False)])
def test_jupyter_is_told_where_the_user_is_root(monkeypatch, user, allowed):
    monkeypatch.setattr(cli.os, "geteuid", lambda: user, raising=False)
    assert ("--allow-root" in cli.commands("python", "/course", [])["lab"]) == allowed


def test_help_is_that_of_the_command_or_of_all(capsys):
    for arguments in (["test", "--help"], ["test", "-h"]):
        with pytest.raises(SystemExit) as ended:
            cli._parsed(arguments)
        assert ended.value.code is None and capsys.readouterr().out == cli.TEST_HELP
    for arguments in (["--help"], ["lab", "-h"]):
        with pytest.raises(SystemExit) as ended:
            cli._parsed(arguments)
        assert ended.value.code == 0 and "{lab,app,test,setup," in capsys.readouterr().out
    # These two have a help of their own.
    for command in ("benchmark", "site"):
        assert cli._parsed([command, "--help"]) == (command, ["--help"], None)
    assert cli._parsed(["test", "-x", "--versions", "newest"]) == ("test", ["-x"], "newest")
    assert cli._parsed(["lab", "--versions", "newest"]) == ("lab", ["--versions", "newest"], None)
    with pytest.raises(SystemExit) as ended:
        cli._parsed(["setup", "--fast"])
    assert ended.value.code == 2 and "setup takes no argument" in capsys.readouterr().err
