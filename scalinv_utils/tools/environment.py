"""Find or make the environment of the course: an active one that is complete, or `.venv`.

Two more are made on demand: `.venv-oldest` has the lowest version of each package that
pyproject.toml admits, and `.venv-newest` the highest.

Only the standard library may be imported here, because nothing else may be installed yet.
"""

import hashlib
import importlib.util
import json
import operator
import os
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PROMPT = "scalinv"  # also how a .venv that was made here is told from one that a person made

# The environments beside .venv, for the tests.
VERSIONS = ("oldest", "newest")

# The extras of pyproject.toml that set-up installs.
EXTRAS = ("course", "app", "site", "test")

# The benchmark leaves out the methods of a peer that is not installed.
DISPENSABLE = ("librosa",)

# PyPI's torch for Linux is the CUDA build of 2.8 GB; the CPU build has an index of its own. It is
# asked for torch only, and briefly: where it cannot be reached, pip goes on to its other sources.
TORCH_CPU = [
    "--extra-index-url",
    "https://download.pytorch.org/whl/cpu",
    "--retries",
    "1",
    "--timeout",
    "20",
]

COMPARE = {"==": operator.eq, ">=": operator.ge, "<": operator.lt}
UNREACHABLE = (
    "connection broken by",
    "(from versions: none)",
    "Max retries exceeded",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "timed out",
)
NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}


class SetupError(Exception):
    """Set-up cannot go on. The message is the one sentence that the person gets to read."""


@dataclass(frozen=True)
class Recipe:
    """How an environment is made: its folder, its torch, and the other packages of `EXTRAS`.

    Attributes
    ----------
    folder : Path
        Where it lies.
    torch : str
        The requirement that brings torch, which is installed first.
    limits : tuple of str
        Arguments for pip that limit the versions of the other packages.
    upgrade : tuple of str
        Arguments for pip that exchange packages which are there already.
    day : str
        The day that the environment is good for; empty where it keeps.
    """

    folder: Path
    torch: str
    limits: tuple[str, ...] = ()
    upgrade: tuple[str, ...] = ()
    day: str = ""


def recipe(versions: str | None = None) -> Recipe:
    """Return how the environment of the course is made, or the one of the oldest or the newest.

    Raises
    ------
    SetupError
        If the oldest packages are asked for and this Python is newer than they are.
    """
    if versions is None:
        return Recipe(VENV, constraints()["torch"], ("--constraint", "constraints.txt"))
    folder = ROOT / f".venv-{versions}"
    if versions == "newest":
        torch = next(need for need in requirements() if _name(need) == "torch")
        upgrade = ("--upgrade", "--upgrade-strategy", "eager")
        return Recipe(folder, torch, upgrade=upgrade, day=date.today().isoformat())
    _demand_the_oldest_python()
    pins = {_name(pin): pin for pin in oldest(*EXTRAS)}
    return Recipe(folder, pins["torch"], tuple(pins.values()))


def _demand_the_oldest_python() -> None:
    """Refuse a Python that is newer than the oldest packages: they have no wheels for it."""
    python = _project()["requires-python"]
    lowest = re.findall(r">=([\d.]+)", python)[0]
    if _release(lowest) != sys.version_info[:2]:
        raise SetupError(
            f"The oldest packages are installed with the oldest Python, which is {lowest}, and "
            f"this is Python {sys.version_info[0]}.{sys.version_info[1]}."
        )


def ready(*extras: str, versions: str | None = None) -> str:
    """Return the interpreter to run the course with; make or renew its environment if need be.

    Parameters
    ----------
    *extras : str
        The extras of pyproject.toml that an active environment needs beside the dependencies.
        Where it lacks something, .venv is used, which has all of `EXTRAS`.
    versions : {"oldest", "newest"}, optional
        Use .venv-oldest or .venv-newest instead, whatever is active.

    Returns
    -------
    str
        Path of the Python interpreter.

    Raises
    ------
    SetupError
        If the environment cannot be made.
    """
    if versions is None and _in_environment() and not _same(sys.prefix, VENV):
        lacking = missing(*extras)
        if not lacking:
            return sys.executable
        print(f"The active environment lacks {', '.join(lacking)}: using .venv instead.")
    wanted = recipe(versions)
    if not _up_to_date(wanted):
        _make(wanted)
    return str(_python(wanted.folder))


def missing(*extras: str) -> list[str]:
    """List the requirements in pyproject.toml that the running interpreter does not meet."""
    here = [] if _installed_here() else [f"scalinv_utils from {ROOT}"]
    needed = [need for need in requirements(*extras) if _name(need) not in DISPENSABLE]
    return [need for need in needed if not satisfied(need)] + here


def requirements(*extras: str) -> list[str]:
    """List the dependencies in pyproject.toml, followed by those of `extras`.

    An extra that names others, as scalinv_utils[course] does, stands for what they list.
    """
    project = _project()
    needs = project["dependencies"] + _listed(project["optional-dependencies"], extras)
    return list(dict.fromkeys(needs))


def _project() -> dict:
    """Return the table `project` of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def _listed(optional: dict[str, list[str]], extras: Iterable[str]) -> list[str]:
    """List the requirements of `extras`, with those of the extras that they name."""
    needs = []
    for need in [need for extra in extras for need in optional[extra]]:
        others = re.fullmatch(r"scalinv_utils\[(.+)\]", need)
        needs += _listed(optional, others.group(1).split(",")) if others else [need]
    return needs


def constraints() -> dict[str, str]:
    """Return the exact versions in constraints.txt, as {name: requirement}."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {line.split("==")[0]: line for line in lines if "==" in line and line[0] != "#"}


def oldest(*extras: str) -> list[str]:
    """Pin each requirement to the lowest version that it admits."""
    bounds = [re.match(r"([\w.-]+)[>=]=([\d.]+)", need) for need in requirements(*extras)]
    return [f"{bound.group(1)}=={bound.group(2)}" for bound in bounds if bound]


def satisfied(requirement: str) -> bool:
    """Tell whether the running interpreter has a distribution that meets `requirement`."""
    try:
        version = _release(metadata.version(_name(requirement)))
    except metadata.PackageNotFoundError:
        return False
    return all(
        COMPARE[sign](version, _release(bound))
        for sign, bound in re.findall(r"(==|>=|<)([\d.]+)", requirement)
    )


def _name(requirement: str) -> str:
    """Return the name of the package that `requirement` asks for."""
    return re.split(r"[\[=<>]", requirement, maxsplit=1)[0]


def _release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: 2.13.0+cpu and 2.13 are both (2, 13)."""
    numbers = re.split(r"[^\d.]", version, maxsplit=1)[0].strip(".").split(".")
    while numbers[1:] and int(numbers[-1]) == 0:
        numbers.pop()
    return tuple(int(number) for number in numbers)


def _installed_here() -> bool:
    """Tell whether `import scalinv_utils` reaches this checkout from any folder."""
    # Several may be found: setuptools leaves scalinv_utils.egg-info beside the sources.
    records = [
        found.read_text("direct_url.json") for found in metadata.distributions(name="scalinv_utils")
    ]
    for origin in [json.loads(record) for record in records if record]:
        folder = url2pathname(urlsplit(origin["url"]).path)
        if origin.get("dir_info", {}).get("editable") and _same(folder, ROOT):
            return True
    return False


def _in_environment() -> bool:
    """Tell whether a virtual or a conda environment is active."""
    return sys.prefix != sys.base_prefix or Path(sys.prefix, "conda-meta").is_dir()


def _same(one: str | Path, other: str | Path) -> bool:
    """Tell whether two paths lead to the same place."""
    return os.path.realpath(one) == os.path.realpath(other)


def _python(folder: Path) -> Path:
    """Return the path of the interpreter in the environment in `folder`."""
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp(folder: Path) -> Path:
    """Return the file that set-up writes last: an interrupted set-up is known by its absence."""
    return folder / "pyproject.sha256"


def _fingerprint(wanted: Recipe) -> str:
    """Hash the two files that say which packages there are, and the day for the newest ones."""
    files = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    lists = b"".join(file.read_bytes() for file in files)
    return hashlib.sha256(lists + wanted.day.encode()).hexdigest()


def _up_to_date(wanted: Recipe) -> bool:
    """Tell whether the environment was set up for these lists of packages and still has them."""
    stamp = _stamp(wanted.folder)
    if not stamp.exists() or stamp.read_text() != _fingerprint(wanted):
        return False
    return _runs(wanted.folder, "-m", "scalinv_utils.tools.environment")


def _runs(folder: Path, *arguments: str) -> bool:
    """Tell whether the interpreter in `folder` exists and ends well on `arguments`."""
    if not _python(folder).exists():
        return False
    command = [str(_python(folder)), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def _make(wanted: Recipe) -> None:
    """Make the environment, or renew the packages in it, one announced step after the other."""
    folder, torch = wanted.folder, wanted.torch
    complete = _stamp(folder).exists()
    _stamp(folder).unlink(missing_ok=True)
    usable = (complete or _by_a_person(folder)) and _runs(folder, "-m", "pip", "--version")
    steps: list[tuple[str, Callable[[Recipe], None]]] = [
        (f"Making the environment {folder.name}: step {{}} of {{}}, a few seconds", _create),
        (f"Installing {torch} for the CPU (200 MB): step {{}} of {{}}, about 1 minute", _torch),
        ("Installing the other packages: step {} of {}, about 2 minutes", _packages),
    ]
    steps = steps[1:] if usable else steps
    for number, (doing, step) in enumerate(steps, 1):
        print(doing.format(number, len(steps)), flush=True)
        step(wanted)
    _silence_news(folder)
    _stamp(folder).write_text(_fingerprint(wanted))


def _torch(wanted: Recipe) -> None:
    """Install the CPU build of torch."""
    source = TORCH_CPU if sys.platform == "linux" else []
    _install(wanted.folder, "--no-deps", *wanted.upgrade, wanted.torch, *source)


def _packages(wanted: Recipe) -> None:
    """Install this checkout, editable, with the packages of `EXTRAS`."""
    checkout = f".[{','.join(EXTRAS)}]"
    _install(wanted.folder, *wanted.upgrade, *wanted.limits, "--editable", checkout)


def _by_a_person(folder: Path) -> bool:
    """Tell whether somebody made the folder by other means: it is used then, and never emptied."""
    settings = folder / "pyvenv.cfg"
    ours = rf"^prompt = '?{PROMPT}'?$"
    return settings.exists() and not re.search(ours, settings.read_text("utf-8"), re.MULTILINE)


def _create(wanted: Recipe) -> None:
    """Make an empty environment with pip, in place of what an interrupted set-up may have left."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise SetupError(
            "This Python lacks the modules venv and ensurepip that set-up needs: "
            "on Debian and Ubuntu, sudo apt install python3-venv brings them."
        )
    folder = wanted.folder
    if _by_a_person(folder):
        raise SetupError(
            f"The folder {folder.name} was not made by this command and has no pip that works: "
            "move it out of the way and run the command again."
        )
    base = getattr(sys, "_base_executable", sys.executable)  # .venv cannot empty itself
    made = subprocess.run(
        [base, "-m", "venv", "--clear", "--prompt", PROMPT, str(folder)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if made.returncode:
        print(made.stdout + made.stderr, file=sys.stderr)
        raise SetupError(
            f"Python's venv could not make the folder {folder.name}: its message is above."
        )


def _install(folder: Path, *arguments: str) -> None:
    """Run pip install, and show what pip says only if it fails."""
    with subprocess.Popen(
        [*_pip(folder), "install", "--progress-bar", "off", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as pip:
        said = _wait(pip)
    if pip.returncode == 0:
        return
    print(said, file=sys.stderr)
    if any(sign in said for sign in UNREACHABLE):
        raise SetupError(
            "The package index could not be reached: check the network connection and "
            "run the command again."
        )
    raise SetupError("pip could not install the packages, for the reason that it gives above.")


def _wait(process: subprocess.Popen[str]) -> str:
    """Return what `process` says when it has ended; count the seconds on a terminal meanwhile."""
    started = time.monotonic()
    counts = sys.stdout.isatty()
    while True:
        try:
            said = process.communicate(timeout=1)[0]
            break
        except subprocess.TimeoutExpired:
            if counts:
                print(f"\r{time.monotonic() - started:6.0f} s", end="", flush=True)
    if counts:
        print("\r        \r", end="", flush=True)
    return said


def _pip(folder: Path) -> list[str]:
    """Return the command that runs the pip of the environment in `folder`."""
    return [str(_python(folder)), "-m", "pip", "--disable-pip-version-check"]


def _silence_news(folder: Path) -> None:
    """Keep JupyterLab from asking about news, in the environment in `folder` only."""
    overrides = folder / "share/jupyter/lab/settings/overrides.d"
    overrides.mkdir(parents=True, exist_ok=True)
    (overrides / "scalinv.json").write_text(json.dumps(NO_NEWS))


if __name__ == "__main__":
    sys.exit(", ".join(missing(*EXTRAS)) or None)
