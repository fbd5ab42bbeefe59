"""The environment: which one is used, how .venv is made and renewed, what a person reads."""

import json
import re
import subprocess
import sys
import tomllib
from datetime import date, timedelta
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scalinv_utils.tools import environment

ROOT = environment.ROOT
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TORCH = environment.constraints()["torch"]


def python(*arguments):
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True)


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
        ("torch>=2.4", "99.0", True),
        ("dask[array]>=2024.5", "2024.4.1", False),
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
    assert environment.missing(*environment.EXTRAS) == []
    looked = python("-m", "scalinv_utils.tools.environment")
    assert (looked.returncode, looked.stderr) == (0, "")


def test_an_extra_that_names_others_stands_for_what_they_list():
    optional = PROJECT["optional-dependencies"]
    own, others = optional["app"][1:], optional["course"]
    assert environment.requirements("app") == PROJECT["dependencies"] + others + own
    assert environment.requirements("course", "course") == PROJECT["dependencies"] + others
    names = [Requirement(need).name for need in environment.requirements("dev")]
    assert "scalinv_utils" not in names and {"voila", "librosa", "pytest"} <= set(names)


def test_every_requirement_is_one_that_is_understood():
    for need in environment.requirements(*PROJECT["optional-dependencies"]):
        parsed = Requirement(need)
        assert environment._name(need) == parsed.name and parsed.marker is None
        assert {bound.operator for bound in parsed.specifier} <= set(environment.COMPARE)


def test_the_benchmark_does_without_its_peers(course, installed):
    lacking = environment.missing("benchmark")
    assert not any("librosa" in need for need in lacking)
    assert any("joblib" in need for need in lacking)


def test_the_oldest_versions_are_the_lower_bounds():
    pinned = environment.oldest(*environment.EXTRAS)
    versions = dict(pin.split("==") for pin in pinned)
    assert len(versions) == len(pinned)
    for need in map(Requirement, environment.requirements(*environment.EXTRAS)):
        assert need.specifier.contains(versions[need.name]), need
        assert all(
            bound.version == versions[need.name]
            for bound in need.specifier
            if bound.operator in (">=", "==")
        )


def test_the_exact_versions_are_within_the_bounds():
    bounds = {}
    for need in map(Requirement, environment.requirements(*PROJECT["optional-dependencies"])):
        bounds[canonicalize_name(need.name)] = need.specifier
    for name, pinned in environment.constraints().items():
        assert bounds[name].contains(pinned.split("==")[1]), pinned


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A copy of the course's lists of packages, with no environment, seen from a bare Python."""
    for name in ("pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_text((ROOT / name).read_text("utf-8"), "utf-8")
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
            interpreter = environment._python(folder := Path(command[-1]))
            interpreter.parent.mkdir(parents=True)
            interpreter.touch()
            (folder / "pyvenv.cfg").write_text(f"prompt = '{environment.PROMPT}'\n")
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(environment.subprocess, "run", run)
    monkeypatch.setattr(environment, "_install", lambda *rest: made.append(["pip", *rest]))
    return made


def steps(made):
    """The steps among `made` that change something."""
    return [step for step in ("venv", TORCH, "--editable") for command in made if step in command]


def test_an_active_environment_with_everything_is_used_as_it_is(course, runs, monkeypatch):
    monkeypatch.setattr(environment, "_in_environment", lambda: True)
    monkeypatch.setattr(environment, "missing", lambda *extras: [])
    assert environment.ready("course", "test") == sys.executable
    assert runs == [] and not (course / ".venv").exists()


def test_an_active_environment_that_lacks_something_is_left_alone(
    course, runs, monkeypatch, capsys
):
    monkeypatch.setattr(environment, "_in_environment", lambda: True)
    monkeypatch.setattr(environment, "missing", lambda *extras: ["numba>=0.59"])
    assert environment.ready() == str(environment._python(course / ".venv"))
    assert "lacks numba>=0.59: using .venv" in capsys.readouterr().out
    assert steps(runs) == ["venv", TORCH, "--editable"]


def test_a_checkout_that_is_not_installed_counts_as_missing(course):
    assert environment.missing() == [f"scalinv_utils from {course}"]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_set_up_happens_once_and_again_when_a_list_changes(course, runs, name):
    environment.ready()
    assert steps(runs) == ["venv", TORCH, "--editable"]
    runs.clear()
    environment.ready()
    assert steps(runs) == []
    with (course / name).open("a") as packages:
        packages.write("# changed\n")
    environment.ready()
    assert steps(runs) == [TORCH, "--editable"]


def test_the_torch_step_alone_asks_the_index_of_torch(runs):
    environment.ready()
    asking = [command for command in runs if "--extra-index-url" in command]
    assert [steps([command]) for command in asking] == (
        [[TORCH]] if sys.platform == "linux" else []
    )


def test_each_step_is_announced_with_its_number_and_its_time(course, runs, capsys):
    environment.ready()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3 and all(f"step {k} of 3" in line for k, line in enumerate(said, 1))
    assert TORCH in said[1] and "minute" in said[1] and "minute" in said[2]
    (course / "constraints.txt").write_text((course / "constraints.txt").read_text() + "\n")
    environment.ready()
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 and "step 1 of 2" in said[0] and "step 2 of 2" in said[1]


def test_the_other_packages_are_those_of_four_extras_with_the_exact_versions(runs):
    environment.ready()
    last = [command for command in runs if "--editable" in command][0]
    assert last[last.index("--editable") + 1] == ".[course,app,site,test]"
    assert last[last.index("--constraint") + 1] == "constraints.txt"


def test_an_interrupted_set_up_starts_afresh(course, runs, monkeypatch):
    def interrupted(*rest):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environment, "_install", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environment.ready()
    runs.clear()
    interpreter = environment._python(course / ".venv")
    interpreter.unlink()
    interpreter.parent.rmdir()
    environment.ready()
    assert steps(runs) == ["venv", TORCH, "--editable"]
    assert "--clear" in next(command for command in runs if "venv" in command)


def test_an_environment_that_a_person_made_is_filled_and_not_emptied(course, runs):
    interpreter = environment._python(course / ".venv")
    interpreter.parent.mkdir(parents=True)
    interpreter.touch()
    (course / ".venv/pyvenv.cfg").write_text("command = python -m venv scalinv/.venv\n")
    environment.ready()
    assert steps(runs) == [TORCH, "--editable"]


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
    monkeypatch.setattr(environment, "_pip", lambda folder: [sys.executable, "-c", failing])
    with pytest.raises(environment.SetupError, match=sentence):
        environment._install(course, "torch")
    shown = capfd.readouterr()
    assert shown.out == "" and "progress" in shown.err and complaint in shown.err


def test_nothing_is_shown_of_a_step_that_succeeds(course, monkeypatch, capfd):
    warning = "import sys; print('progress'); print('connection broken by', file=sys.stderr)"
    monkeypatch.setattr(environment, "_pip", lambda folder: [sys.executable, "-c", warning])
    environment._install(course, "torch")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("terminal", [True, False])
def test_seconds_are_counted_on_a_terminal_only(course, monkeypatch, capsys, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    waiting = "import time; time.sleep(1.2)"
    monkeypatch.setattr(environment, "_pip", lambda folder: [sys.executable, "-c", waiting])
    environment._install(course, "torch")
    shown = capsys.readouterr().out
    assert bool(re.match(r"\r +\d+ s", shown)) == terminal and (terminal or not shown)


def test_the_news_are_off_in_the_environment_that_set_up_makes(course, runs):
    environment.ready()
    settings = course / ".venv/share/jupyter/lab/settings/overrides.d/scalinv.json"
    assert json.loads(settings.read_text()) == environment.NO_NEWS


# The oldest and the newest versions


@pytest.fixture
def oldest_python(monkeypatch):
    """Let set-up believe that this is the oldest Python that pyproject.toml admits."""
    version = (*map(int, PROJECT["requires-python"].split(",")[0].strip(">=").split(".")), 9)
    monkeypatch.setattr(environment.sys, "version_info", version)


def pip_steps(made):
    """What pip is told, one list for each step."""
    return [command[2:] for command in made if command[0] == "pip"]


def test_the_oldest_versions_have_an_environment_of_their_own(course, runs, oldest_python):
    assert environment.ready(versions="oldest") == str(environment._python(course / ".venv-oldest"))
    assert not (course / ".venv").exists() and (course / ".venv-oldest/pyvenv.cfg").exists()
    torch, others = pip_steps(runs)
    pins = environment.oldest(*environment.EXTRAS)
    assert set(pins) < set(others) and "constraints.txt" not in others
    assert set(torch) & set(pins) == {next(pin for pin in pins if pin.startswith("torch=="))}


@pytest.mark.parametrize("python", [(3, 12, 0), (3, 14, 0)])
def test_the_oldest_versions_ask_for_the_oldest_python(course, runs, monkeypatch, python):
    monkeypatch.setattr(environment.sys, "version_info", python)
    with pytest.raises(environment.SetupError, match=rf"3\.11, and this is Python 3\.{python[1]}"):
        environment.ready(versions="oldest")
    assert runs == []


def test_the_newest_versions_are_limited_by_pyproject_alone(course, runs):
    environment.ready(versions="newest")
    torch, others = pip_steps(runs)
    assert {"--upgrade", "--no-deps"} < set(torch)
    assert [part for part in torch if part.startswith("torch")] == [
        need for need in PROJECT["dependencies"] if need.startswith("torch")
    ]
    assert others[-2:] == ["--editable", ".[course,app,site,test]"]
    assert {"--upgrade", "eager"} < set(others) and "--constraint" not in others


def test_the_newest_versions_are_renewed_on_another_day(course, runs, monkeypatch):
    environment.ready(versions="newest")
    runs.clear()
    environment.ready(versions="newest")
    assert pip_steps(runs) == []
    tomorrow = date.today() + timedelta(days=1)
    monkeypatch.setattr(environment, "date", SimpleNamespace(today=lambda: tomorrow))
    environment.ready(versions="newest")
    assert len(pip_steps(runs)) == 2 and not any("venv" in command for command in runs)


@pytest.mark.parametrize("versions", environment.VERSIONS)
def test_an_active_environment_is_no_substitute(course, runs, monkeypatch, oldest_python, versions):
    monkeypatch.setattr(environment, "_in_environment", lambda: True)
    monkeypatch.setattr(environment, "missing", lambda *extras: [])
    assert f".venv-{versions}" in environment.ready(versions=versions)


def test_git_ignores_every_environment():
    ignored = (ROOT / ".gitignore").read_text("utf-8").splitlines()
    assert {".venv/", *(f".venv-{versions}/" for versions in environment.VERSIONS)} <= set(ignored)


# The smallest pieces


@pytest.mark.parametrize(
    "prefix, conda, inside",
    [("/venv", False, True), ("/usr", False, False), ("/usr", True, True), ("/venv", True, True)],
)
def test_an_environment_is_a_virtual_one_or_one_of_conda(
    monkeypatch, tmp_path, prefix, conda, inside
):
    base, own = tmp_path / "usr", tmp_path / prefix[1:]
    own.mkdir(parents=True)
    if conda:
        (own / "conda-meta").mkdir()
    monkeypatch.setattr(environment.sys, "prefix", str(own))
    monkeypatch.setattr(environment.sys, "base_prefix", str(base))
    assert environment._in_environment() == inside


@pytest.mark.parametrize(
    "records, here",
    [
        ([], False),
        ([None], False),
        ([{"url": ROOT.as_uri(), "dir_info": {"editable": True}}], True),
        ([None, {"url": ROOT.as_uri(), "dir_info": {"editable": True}}], True),
        ([{"url": ROOT.as_uri(), "dir_info": {}}], False),
        ([{"url": ROOT.as_uri()}], False),
        ([{"url": ROOT.parent.as_uri(), "dir_info": {"editable": True}}], False),
    ],
)
def test_the_checkout_is_installed_where_an_editable_one_leads_here(monkeypatch, records, here):
    class Found:
        def __init__(self, record):
            self.record = record

        def read_text(self, name):
            return self.record and json.dumps(self.record)

    monkeypatch.setattr(
        environment.metadata, "distributions", lambda name: [Found(record) for record in records]
    )
    assert environment._installed_here() == here


def test_releases_are_compared_by_their_numbers():
    release = environment._release
    assert [release(v) for v in ("2.13.0+cpu", "2.13", "3.0.0", "0", "1.2rc1", "10.20.30")] == [
        (2, 13),
        (2, 13),
        (3,),
        (0,),
        (1, 2),
        (10, 20, 30),
    ]
    names = [environment._name(n) for n in ("a[b]>=1", "a-c==2", "x<3", "y>4", "z")]
    assert names == ["a", "a-c", "x", "y", "z"]


def test_an_interpreter_runs_if_it_is_there_and_ends_well(monkeypatch, tmp_path):
    codes = iter([0, 1])
    monkeypatch.setattr(
        environment.subprocess, "run", lambda *_, **__: SimpleNamespace(returncode=next(codes))
    )
    assert not environment._runs(tmp_path, "-m", "pip")
    environment._python(tmp_path).parent.mkdir()
    environment._python(tmp_path).touch()
    assert environment._runs(tmp_path, "-m", "pip") and not environment._runs(tmp_path, "-m", "pip")
    assert environment._pip(tmp_path)[1:] == ["-m", "pip", "--disable-pip-version-check"]


def test_what_venv_says_when_it_fails_is_shown(monkeypatch, tmp_path, capsys):
    failed = SimpleNamespace(returncode=1, stdout="no ", stderr="room")
    monkeypatch.setattr(environment.subprocess, "run", lambda *_, **__: failed)
    wanted = environment.Recipe(tmp_path / ".venv", TORCH)
    with pytest.raises(environment.SetupError, match="could not make the folder .venv"):
        environment._create(wanted)
    assert capsys.readouterr().err == "no room\n"
