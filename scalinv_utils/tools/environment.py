"""Where the course runs: an active environment that has everything, or `.venv`, made on first use.

Only the standard library may be imported here: there may be nothing else yet.
"""

import hashlib
import importlib.util
import json
import operator
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

ROOT = Path(__file__).resolve().parents[2]
VENV = ROOT / ".venv"
PROMPT = "scalinv"  # also how a .venv that was made here is told from one that a person made

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


def ready(extra=None):
    """The interpreter to run the course with; its environment is made or renewed if need be.

    Parameters
    ----------
    extra : str, optional
        The extra of pyproject.toml that an active environment needs besides the dependencies.

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
        lacking = missing(extra)
        if not lacking:
            return sys.executable
        print(f"The active environment lacks {', '.join(lacking)}: using .venv instead.")
    if not _up_to_date():
        _make()
    return str(_python())


def missing(extra=None):
    """What pyproject.toml asks for and the running interpreter lacks, as a list of requirements."""
    here = [] if _installed_here() else [f"scalinv_utils from {ROOT}"]
    return [need for need in requirements(extra) if not satisfied(need)] + here


def requirements(extra=None):
    """The requirements in pyproject.toml, with those of `extra` if it is given."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project["dependencies"] + (project["optional-dependencies"][extra] if extra else [])


def satisfied(requirement):
    """Whether the running interpreter has a distribution that meets `requirement`."""
    name, bounds = re.fullmatch(r"([\w.-]+?)((?:(?:==|>=|<)[\d.]+,?)*)", requirement).groups()
    try:
        version = _release(metadata.version(name))
    except metadata.PackageNotFoundError:
        return False
    return all(
        COMPARE[sign](version, _release(bound))
        for sign, bound in re.findall(r"(==|>=|<)([\d.]+)", bounds)
    )


def _release(version):
    """The numbers of a version: 2.13.0+cpu and 2.13 are both (2, 13)."""
    numbers = re.match(r"\d+(?:\.\d+)*", version).group().split(".")
    while numbers[1:] and int(numbers[-1]) == 0:
        numbers.pop()
    return tuple(int(number) for number in numbers)


def _installed_here():
    """Whether `import scalinv_utils` reaches this checkout from any folder, as notebooks need."""
    # Several may be found: setuptools leaves scalinv_utils.egg-info beside the sources.
    records = [
        found.read_text("direct_url.json") for found in metadata.distributions(name="scalinv_utils")
    ]
    for origin in [json.loads(record) for record in records if record]:
        folder = url2pathname(urlsplit(origin["url"]).path)
        if origin.get("dir_info", {}).get("editable") and _same(folder, ROOT):
            return True
    return False


def _in_environment():
    return sys.prefix != sys.base_prefix or Path(sys.prefix, "conda-meta").is_dir()


def _same(one, other):
    return os.path.realpath(one) == os.path.realpath(other)


def _python():
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _stamp():
    """Written last, so that a set-up that was interrupted is known by its absence."""
    return VENV / "pyproject.sha256"


def _fingerprint():
    return hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()


def _up_to_date():
    """Whether .venv was set up for this pyproject.toml and still has what it asks for."""
    if not _stamp().exists() or _stamp().read_text() != _fingerprint():
        return False
    return _runs("-m", "scalinv_utils.tools.environment")


def _runs(*arguments):
    """Whether the interpreter of .venv exists and ends well on `arguments`."""
    if not _python().exists():
        return False
    command = [str(_python()), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def _make():
    """Make .venv, or renew the packages in it."""
    complete = _stamp().exists()
    _stamp().unlink(missing_ok=True)
    if not (complete or _by_a_person()) or not _runs("-m", "pip", "--version"):
        _create()
    torch = next(need for need in requirements() if need.startswith("torch=="))
    _install(
        f"Installing {torch} for the CPU (about 200 MB)",
        "--no-deps",
        torch,
        *(TORCH_CPU if sys.platform == "linux" else []),
    )
    _install("Installing the other packages", "--editable", ".[test]")
    _silence_news()
    _stamp().write_text(_fingerprint())


def _by_a_person():
    """Whether .venv is one that somebody made by other means: it is used, and never emptied."""
    settings = VENV / "pyvenv.cfg"
    ours = rf"^prompt = '?{PROMPT}'?$"
    return settings.exists() and not re.search(ours, settings.read_text("utf-8"), re.MULTILINE)


def _create():
    """An empty .venv with pip, in place of what an interrupted set-up may have left."""
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
    print("Making the environment .venv", flush=True)
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


def _install(doing, *arguments):
    """Run pip with its progress in view; keep what it complains about to explain a failure."""
    print(doing, flush=True)
    complaints = []
    with subprocess.Popen(
        [*_pip(), "install", *arguments],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as pip:
        for line in pip.stderr:
            sys.stderr.write(line)
            complaints.append(line)
    if pip.returncode == 0:
        return
    if any(sign in line for sign in UNREACHABLE for line in complaints):
        raise SetupError(
            "The package index could not be reached: check the network connection and "
            "run the command again."
        )
    raise SetupError("pip could not install the packages, for the reason that it gives above.")


def _pip():
    return [str(_python()), "-m", "pip", "--disable-pip-version-check"]


def _silence_news():
    """Keep JupyterLab from asking about news, in .venv only."""
    folder = VENV / "share/jupyter/lab/settings/overrides.d"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scalinv.json").write_text(json.dumps(NO_NEWS))


if __name__ == "__main__":
    sys.exit(", ".join(missing("test")) or None)
