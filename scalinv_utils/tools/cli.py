"""What each command runs: python -m scalinv_utils {lab,test,setup,notebooks,benchmark,...}.

Only the standard library may be imported here: there may be no environment yet.
"""

import argparse
import os
import subprocess
import sys

from . import environment

DESCRIPTION = """\
Notebooks that teach how a signal comes back from its scalogram.

commands:
  lab        open the course in JupyterLab
  test       run all tests: the unit tests and every cell of every notebook
  setup      only make or renew the environment
  notebooks  execute notebooks and store them with their outputs
  weigh      time, memory and size of each notebook; fails past the limits
  figures    draw the pictures in figures/ again
  benchmark  every method on every signal, with peers; benchmark --help says more
"""

EPILOG = """\
examples:
  python -m scalinv_utils lab
  python -m scalinv_utils lab --no-browser --port 8890     more is passed on to JupyterLab
  python -m scalinv_utils test -k metrics                  more is passed on to pytest
  python -m scalinv_utils notebooks 00 06                  numbers or names; all without any
  python -m scalinv_utils benchmark --preset tiny          a few cells, in seconds

Every command first makes sure of its environment. One that is active (venv, conda, Binder) and
has everything is used as it is. Otherwise the packages go into the folder .venv of this
repository: about 2 GB, a few minutes the first time, renewed when pyproject.toml has changed.
"""


def commands(python, root, rest):
    """What each command runs, as argument lists for the interpreter of the environment."""
    lab = [
        "-m",
        "jupyterlab",
        "--ServerApp.root_dir=" + root,
        "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb",
    ]
    if getattr(os, "geteuid", lambda: 1)() == 0:
        lab.append("--allow-root")  # as in most containers; Jupyter would refuse to start
    figures = "import sys; from scalinv_utils.tools.draw_figures import build; build(sys.argv[1:] or None)"
    return {
        "lab": [python] + lab + rest,
        "test": [python, "-m", "pytest"] + rest,
        "notebooks": [python, "-m", "scalinv_utils.tools.execute_notebooks"] + rest,
        "weigh": [python, "-m", "scalinv_utils.tools.notebook_cost"] + rest,
        "figures": [python, "-c", figures] + rest,
        "benchmark": [python, "-m", "scalinv_utils.benchmark.cli"] + rest,
    }


def hand_over(command, folder):
    """Become `command`, run in `folder`: its signals and its exit status are ours."""
    sys.stdout.flush()
    os.chdir(folder)
    if os.name == "nt":  # where exec would return to the prompt at once
        sys.exit(subprocess.call(command))
    os.execv(command[0], command)


def main(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m scalinv_utils",
        description=DESCRIPTION,
        epilog=EPILOG,
        usage="%(prog)s {lab,test,setup,notebooks,weigh,figures,benchmark} ...",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "command",
        help=argparse.SUPPRESS,
        choices=["lab", "test", "setup", "notebooks", "weigh", "figures", "benchmark"],
    )
    own, rest = arguments[:1], arguments[1:]
    asks = rest[:1] in (["-h"], ["--help"]) and own != ["benchmark"]  # which has a help of its own
    command = parser.parse_args(own + rest[:1] if asks else own).command
    if command == "setup" and rest:
        parser.error("setup takes no arguments, got " + " ".join(rest))

    try:
        python = environment.ready(None if command in ("lab", "setup", "figures") else "test")
    except environment.SetupError as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"Set-up could not write the environment: {error}.")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: the same command makes a clean start.")
    root = str(environment.ROOT)
    if command == "setup":
        print("Everything is in place. Open the course with: python -m scalinv_utils lab")
    else:
        hand_over(commands(python, root, rest)[command], root)
