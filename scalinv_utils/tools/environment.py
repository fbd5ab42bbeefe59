"""Find or make the environment of the course: an active one that is complete, or `.venv`.

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
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PROMPT = "scalinv"  # also how a .venv that was made here is told from one that a person made

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


def ready(*extras: str) -> str:
    """Return the interpreter to run the course with; make or renew its environment if need be.

    Parameters
    ----------
    *extras : str
        The extras of pyproject.toml that an active environment needs beside the dependencies.
        Where it lacks something, .venv is used, which has all of `EXTRAS`.

    Returns
    -------
    str
        Path of the Python interpreter.

    Raises
    ------
    SetupError
        If the environment cannot be made.
    """
    if _in_environment() and not _same(sys.prefix, VENV):
        lacking = missing(*extras)
        if not lacking:
            return sys.executable
        print(f"The active environment lacks {', '.join(lacking)}: using .venv instead.")
    if not _up_to_date():
        _make()
    return str(_python())


def missing(*extras: str) -> list[str]:
    """List the requirements in pyproject.toml that the running interpreter does not meet."""
    here = [] if _installed_here() else [f"scalinv_utils from {ROOT}"]
    needed = [need for need in requirements(*extras) if _name(need) not in DISPENSABLE]
    return [need for need in needed if not satisfied(need)] + here


def requirements(*extras: str) -> list[str]:
    """List the dependencies in pyproject.toml, followed by those of `extras`.

    An extra that names others, as scalinv_utils[course] does, stands for what they list.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    needs = project["dependencies"] + _listed(project["optional-dependencies"], extras)
    return list(dict.fromkeys(needs))


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
    """Pin each requirement to the lowest version that it admits, as constraints for pip."""
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


def _python() -> Path:
    """Return the path of the interpreter in .venv."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp() -> Path:
    """Return the file that set-up writes last: an interrupted set-up is known by its absence."""
    return VENV / "pyproject.sha256"


def _fingerprint() -> str:
    """Hash the two files that say which packages .venv has."""
    files = (ROOT / "pyproject.toml", ROOT / "constraints.txt")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _up_to_date() -> bool:
    """Tell whether .venv was set up for these lists of packages and still has them."""
    if not _stamp().exists() or _stamp().read_text() != _fingerprint():
        return False
    return _runs("-m", "scalinv_utils.tools.environment")


def _runs(*arguments: str) -> bool:
    """Tell whether the interpreter of .venv exists and ends well on `arguments`."""
    if not _python().exists():
        return False
    command = [str(_python()), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def _make() -> None:
    """Make .venv, or renew the packages in it, one announced step after the other."""
    complete = _stamp().exists()
    _stamp().unlink(missing_ok=True)
    usable = (complete or _by_a_person()) and _runs("-m", "pip", "--version")
    torch = constraints()["torch"]
    steps: list[tuple[str, Callable[[], None]]] = [
        ("Making the environment .venv: step {} of {}, a few seconds", _create),
        (f"Installing {torch} for the CPU (200 MB): step {{}} of {{}}, about 1 minute", _torch),
        ("Installing the other packages: step {} of {}, about 2 minutes", _packages),
    ]
    steps = steps[1:] if usable else steps
    for number, (doing, step) in enumerate(steps, 1):
        print(doing.format(number, len(steps)), flush=True)
        step()
    _silence_news()
    _stamp().write_text(_fingerprint())


def _torch() -> None:
    """Install the CPU build of the exact torch of constraints.txt."""
    source = TORCH_CPU if sys.platform == "linux" else []
    _install("--no-deps", constraints()["torch"], *source)


def _packages() -> None:
    """Install this checkout, editable, with the packages of `EXTRAS`."""
    _install("--constraint", "constraints.txt", "--editable", f".[{','.join(EXTRAS)}]")


def _by_a_person() -> bool:
    """Tell whether somebody made .venv by other means: it is used then, and never emptied."""
    settings = VENV / "pyvenv.cfg"
    ours = rf"^prompt = '?{PROMPT}'?$"
    return settings.exists() and not re.search(ours, settings.read_text("utf-8"), re.MULTILINE)


def _create() -> None:
    """Make an empty .venv with pip, in place of what an interrupted set-up may have left."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        raise SetupError(
            "This Python lacks the modules venv and ensurepip that set-up needs: "
            "on Debian and Ubuntu, sudo apt install python3-venv brings them."
        )
    if _by_a_person():
        raise SetupError(
            "The folder .venv was not made by this command and has no pip that works: "
            "move it out of the way and run the command again."
        )
    base = getattr(sys, "_base_executable", sys.executable)  # .venv cannot empty itself
    made = subprocess.run(
        [base, "-m", "venv", "--clear", "--prompt", PROMPT, str(VENV)],
        capture_output=True,
        text=True,
        errors="replace",
    )
    if made.returncode:
        print(made.stdout + made.stderr, file=sys.stderr)
        raise SetupError("Python's venv could not make the folder .venv: its message is above.")


def _install(*arguments: str) -> None:
    """Run pip install, and show what pip says only if it fails."""
    with subprocess.Popen(
        [*_pip(), "install", "--progress-bar", "off", *arguments],
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


def _pip() -> list[str]:
    """Return the command that runs the pip of .venv."""
    return [str(_python()), "-m", "pip", "--disable-pip-version-check"]


def _silence_news() -> None:
    """Keep JupyterLab from asking about news, in .venv only."""
    folder = VENV / "share/jupyter/lab/settings/overrides.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scalinv.json").write_text(json.dumps(NO_NEWS))


if __name__ == "__main__":
    if sys.argv[1:] == ["--oldest"]:
        print("\n".join(oldest("course", "app")))
    else:
        sys.exit(", ".join(missing(*EXTRAS)) or None)
