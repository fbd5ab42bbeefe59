"""Run the commands: python -m scalinv_utils {lab,app,test,setup,notebooks,recover,...}.

Only the standard library may be imported here, because there may be no environment yet.
"""

import argparse
import os
import subprocess
import sys
from typing import NoReturn

from . import environment

DESCRIPTION = """\
Notebooks that teach how a signal comes back from its scalogram.

commands:
  lab        open the course in JupyterLab
  app        open the app alone: a sound of your own, without a notebook around it
  test       run all tests: the unit tests and every cell of every notebook
  setup      only make or renew the environment; --versions oldest (or newest) makes another one
  notebooks  execute notebooks and store them with their outputs
  weigh      time, memory and size of each notebook; fails past the limits
  figures    draw the pictures in figures/ again
  analyse    write the scalogram of a sound file to the disk; analyse --help says more
  recover    recover the sound behind a scalogram on the disk; recover --help says more
  site       make the web pages, from the stored notebooks, without running any
  benchmark  every method on every signal, with peers; benchmark --help says more
"""

COMMAND_EXAMPLES = """\
examples:
  python -m scalinv_utils lab
  python -m scalinv_utils lab --no-browser --port 8890     more is passed on to JupyterLab
  python -m scalinv_utils app --theme=dark                 more is passed on to Voila
  python -m scalinv_utils test --quick                     no notebooks and no browser
  python -m scalinv_utils test -k metrics                  more is passed on to pytest
  python -m scalinv_utils notebooks 00 06                  numbers or names; all without any
  python -m scalinv_utils analyse talk.wav talk.npy        then: recover talk.npy back.wav
  python -m scalinv_utils benchmark --preset tiny          a few cells, in seconds

Every command first makes sure of its environment. One that is active (venv, conda, Binder) and
has everything is used as it is. Otherwise the packages go into the folder .venv of this
repository: about 2 GB, a few minutes the first time, renewed when pyproject.toml or
constraints.txt has changed.
"""

TEST_HELP = """\
usage: python -m scalinv_utils test [--quick] [--slow] [--versions {oldest,newest}] ...

Run the tests, in as many processes as there are cores (at least two).

  (nothing)  the unit tests, the examples in docstrings, every cell of every notebook but the
             two heaviest, and the tests in a browser where Chromium is installed
  --quick    no notebooks, no browser, and none of the few tests that take five seconds or more:
             about two minutes
  --slow     all tests, also those that install packages from the index, the two heaviest
             notebooks, the explorers of most notebooks in the browser, and the coverage of the
             package: twice as long
  --versions oldest    the unit tests and the examples with the lowest version of each package
             that pyproject.toml admits, in the folder .venv-oldest; old releases may warn
  --versions newest    the same with the highest versions of today, in .venv-newest

More is passed on to pytest:
  python -m scalinv_utils test -k metrics -x
  python -m scalinv_utils test tests/recovery
  python -m scalinv_utils test --versions oldest notebooks
  python -m scalinv_utils test -m browser -s               -s and --pdb run in one process
"""

DRAW_FIGURES = """\
import sys
from scalinv_utils.tools.draw_figures import build
build(sys.argv[1:] or None)
"""

APP = environment.ROOT / "scalinv_utils" / "app" / "app.ipynb"

# A file that is uploaded is one message from the browser. Jupyter's servers close the connection,
# without a word, on one of more than 10 MiB; here they take more, and the app, which reads the
# variable, refuses what is larger with a sentence. The rest is for what comes with the file.
LARGEST_FILE, ROOM = 50_000_000, 1_000_000
LARGEST_FILE_VARIABLE = "SCALINV_LARGEST_FILE"
MESSAGES = f"tornado_settings={{'websocket_max_message_size': {LARGEST_FILE + ROOM}}}"

# With other versions, notebooks and browsers are left out: what they show was measured with the
# exact torch of constraints.txt. So are the checkers of style and types, whose verdict changes from
# one version to the next. A warning of an old release cannot be helped; one of a new release can.
CHECKERS = "--ignore=tests/tools/test_tidy.py"
WITH_VERSIONS: dict[str | None, list[str]] = {
    "oldest": [CHECKERS, "-W", "default", "--disable-warnings"],
    "newest": [CHECKERS],
}

# These commands read and write files that a person names, in the folder where that person is.
OWN_FILES = ("analyse", "recover")

# The extras of pyproject.toml that an active environment needs for a command.
NEEDS = {
    "lab": ("course",),
    "app": ("app",),
    "test": environment.EXTRAS,
    "setup": ("course",),
    "notebooks": environment.EXTRAS,
    "weigh": environment.EXTRAS,
    "figures": ("course",),
    "analyse": ("course", "benchmark"),
    "recover": ("course", "benchmark"),
    "site": ("course", "site"),
    "benchmark": ("benchmark",),
}


def commands(
    python: str, root: str, rest: list[str], versions: str | None = None
) -> dict[str, list[str]]:
    """Return what each command runs, as argument lists for the interpreter of the environment."""
    lab = [
        "-m",
        "jupyterlab",
        "--ServerApp.root_dir=" + root,
        "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
        f"--ServerApp.{MESSAGES}",
    ]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        lab.append("--allow-root")  # as in most containers; Jupyter would refuse to start
    return {
        "lab": [python, *lab, *rest],
        "app": [python, "-m", "voila", str(APP), f"--Voila.{MESSAGES}", *rest],
        "test": [python, "-m", "pytest", *pytest_arguments(rest, versions)],
        "notebooks": [python, "-m", "scalinv_utils.tools.execute_notebooks", *rest],
        "weigh": [python, "-m", "scalinv_utils.tools.notebook_cost", *rest],
        "figures": [python, "-c", DRAW_FIGURES, *rest],
        "analyse": [python, "-m", "scalinv_utils.tools.convert", "analyse", *rest],
        "recover": [python, "-m", "scalinv_utils.tools.convert", "recover", *rest],
        "site": [python, "-m", "scalinv_utils.tools.site.build", *rest],
        "benchmark": [python, "-m", "scalinv_utils.benchmark.cli", *rest],
    }


def pytest_arguments(rest: list[str], versions: str | None = None) -> list[str]:
    """Translate what follows `test` into arguments of pytest, whose settings are in pyproject.toml.

    The given arguments come last, so that they prevail. A complete run with
    --slow measures coverage, which makes tests a quarter slower.
    """
    given = [argument for argument in rest if argument != "--quick"]
    if versions or "--quick" in rest:
        left_out = "browser or long" if "--quick" in rest else "browser"
        folders = [] if _names_tests(given) else ["tests", "scalinv_utils"]
        return [*WITH_VERSIONS.get(versions, []), "-m", f"not ({left_out})", *given, *folders]
    return (["--cov", "--cov-report=term:skip-covered"] if given == ["--slow"] else []) + given


def _names_tests(arguments: list[str]) -> bool:
    """Tell whether the arguments name a file or a folder of this repository."""
    return any((environment.ROOT / argument.split("::")[0]).exists() for argument in arguments)


def hand_over(command: list[str], folder: str) -> NoReturn:
    """Become `command`, run in `folder`: its signals and its exit status are ours."""
    sys.stdout.flush()
    os.chdir(folder)
    if os.name == "nt":  # where exec would return to the prompt at once
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def main(arguments: list[str]) -> None:
    """Run the command that `arguments` name, in an environment that has what it needs."""
    command, rest, versions = _parsed(arguments)
    try:
        python = environment.ready(*NEEDS[command], versions=versions)
    except environment.SetupError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Set-up could not write the environment: {error}.")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: the same command makes a clean start.")
    root = str(environment.ROOT)
    if command == "setup" and versions:
        print(f"Everything is in place in {environment.recipe(versions).folder.name}.")
    elif command == "setup":
        print("Everything is in place. Open the course with: python -m scalinv_utils lab")
    else:
        os.environ.setdefault(LARGEST_FILE_VARIABLE, str(LARGEST_FILE))  # kernels inherit it
        folder = os.getcwd() if command in OWN_FILES else root
        hand_over(commands(python, root, rest, versions)[command], folder)


def _parsed(arguments: list[str]) -> tuple[str, list[str], str | None]:
    """Return the command, what follows it, and the versions that it asks for.

    Print help, or refuse, where that is due.
    """
    names = list(NEEDS)
    parser = argparse.ArgumentParser(
        prog="python -m scalinv_utils",
        description=DESCRIPTION,
        epilog=COMMAND_EXAMPLES,
        usage="%(prog)s {" + ",".join(names) + "} ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", help=argparse.SUPPRESS, choices=names)
    own, rest = arguments[:1], arguments[1:]
    rest, versions = _versions(rest) if own in (["test"], ["setup"]) else (rest, None)
    asks = rest[:1] in (["-h"], ["--help"]) and own not in (
        ["analyse"],
        ["benchmark"],
        ["recover"],
        ["site"],
    )  # with a help of their own
    if asks and own == ["test"]:
        print(TEST_HELP, end="")
        sys.exit()
    command = parser.parse_args(own + rest[:1] if asks else own).command
    if command == "setup" and rest:
        parser.error("setup takes no argument but --versions, got " + " ".join(rest))
    return command, rest, versions


def _versions(rest: list[str]) -> tuple[list[str], str | None]:
    """Take `--versions` out of what follows a command: return what is left, and its value."""
    parser = argparse.ArgumentParser("python -m scalinv_utils", add_help=False, allow_abbrev=False)
    parser.add_argument("--versions", choices=environment.VERSIONS)
    known, left = parser.parse_known_args(rest)
    return left, known.versions
