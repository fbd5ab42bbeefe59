"""The commands that CI runs are those that README tells a person to type."""

import re
import tomllib

import pytest
import yaml

from scalinv_utils.__main__ import NEWEST, OLDEST
from scalinv_utils.tools import environment

ROOT = environment.ROOT
TEST = "python -m scalinv_utils test"


def workflow(name):
    """A parsed workflow. YAML reads the key `on` as True."""
    return yaml.safe_load((ROOT / ".github/workflows" / name).read_text("utf-8"))


def steps(job):
    """The shell commands of a job, line by line, with python3 written python as on Windows."""
    lines = "\n".join(step.get("run", "") for step in job["steps"]).splitlines()
    return [line.strip().replace("python3", "python") for line in lines]


def test_ci_runs_the_test_command_of_the_readme():
    script = (ROOT / ".ci/run").read_text("utf-8")
    assert "set -euo pipefail" in script
    assert script.rstrip().endswith("\npython3 -m scalinv_utils test")
    assert "python3 -m scalinv_utils test" in (ROOT / "README.md").read_text("utf-8")


def test_all_workflows_are_looked_at_here():
    names = {path.name for path in (ROOT / ".github/workflows").iterdir()}
    assert names == {"pages.yml", "release.yml", "tests.yml"}


def test_every_system_and_every_python_runs_the_test_command():
    job = workflow("tests.yml")["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {system.split("-")[0] for system in matrix["os"]} == {"ubuntu", "macos", "windows"}
    minors = range(OLDEST[1], NEWEST[1] + 1)
    assert matrix["python"] == [f"3.{minor}" for minor in minors]
    assert TEST in steps(job)


@pytest.mark.parametrize("versions", environment.VERSIONS)
def test_the_oldest_and_the_newest_packages_have_a_job_with_their_command(versions):
    job = workflow("tests.yml")["jobs"][versions]
    (command,) = filter(None, steps(job))
    assert command.startswith(f"{TEST} --versions {versions}")
    python = job["steps"][1]["with"]["python-version"]
    oldest, newest = (f"3.{version[1]}" for version in (OLDEST, NEWEST))
    assert python == {"oldest": oldest, "newest": newest}[versions]


def test_a_release_is_tested_built_checked_and_published_without_a_password():
    release = workflow("release.yml")
    assert release[True]["push"]["tags"] == ["v*"]
    jobs = release["jobs"]
    assert jobs["test"]["uses"] == "./.github/workflows/tests.yml"
    assert "workflow_call" in workflow("tests.yml")[True]
    built = steps(jobs["build"])
    assert "python -m build" in built and "python -m twine check --strict dist/*" in built
    assert set(jobs["publish"]["needs"]) == {"test", "build"}
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert "password" not in (ROOT / ".github/workflows/release.yml").read_text("utf-8")


def test_the_pages_are_made_by_the_command_of_the_readme_and_published_from_main():
    pages = workflow("pages.yml")
    assert pages[True]["push"]["branches"] == ["main"]
    assert "python -m scalinv_utils site site" in steps(pages["jobs"]["build"])
    upload = pages["jobs"]["build"]["steps"][-1]
    assert upload["with"]["path"] == "site"
    publish = pages["jobs"]["publish"]
    assert publish["needs"] == "build"
    assert publish["permissions"] == {"id-token": "write", "pages": "write"}


@pytest.mark.parametrize("name", ["pages.yml", "release.yml", "tests.yml"])
def test_actions_name_a_version_and_jobs_may_only_read(name):
    assert workflow(name)["permissions"] == {"contents": "read"}
    for job in workflow(name)["jobs"].values():
        for step in job.get("steps", []):
            assert re.search(r"@(v\d+|release/v\d+)$", step.get("uses", "@v1")), step


def test_hooks_run_the_checks_of_the_tests():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"][0][
        "hooks"
    ]
    assert [hook["entry"].split(" --")[0] for hook in hooks] == [
        "python -m ruff check",
        "python -m ruff format",
    ]
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert any(need.startswith("ruff") for need in optional["optional-dependencies"]["test"])
