"""What all tests share: no windows, no leftover figures, the same random draws every time."""

import os
from pathlib import Path
from unittest.mock import patch

# One thread for each process, kernels included: threads that wait for each other on cores that are
# busy with something else make everything ten times slower.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import pytest
from hypothesis import settings

from scalinv_utils.course.widgets import TRIAL

# Not through the environment: the kernels that run the notebooks must keep their inline backend.
matplotlib.use("Agg")

# The kernels that run the notebooks inherit this: explorers try their own callbacks.
os.environ[TRIAL] = "yes"

# These notebooks compute for minutes; they run with --slow, or where one is asked for by name.
HEAVY = ("06_gradient_inversion.ipynb", "07_tuning_the_descent.ipynb")

# Each process of a run loads torch and the package, about 0.5 GB, and starts kernels.
MOST = 8

# No deadline, since no test may depend on the speed of the machine; derandomised, so that a
# failure is there again in the next run.
settings.register_profile("scalinv", deadline=None, derandomize=True)
settings.load_profile("scalinv")


def pytest_addoption(parser):
    parser.addoption(
        "--screenshots",
        metavar="FOLDER",
        help="where the browser tests put their screenshots (default: nowhere)",
    )
    parser.addoption("--slow", action="store_true", help="run also what takes minutes")


def pytest_xdist_auto_num_workers(config):
    """Choose a process for each core; one for a single file, and where -s is to show output."""
    files = {Path(argument.split("::")[0]) for argument in config.args}
    alone = len(files) == 1 and all(file.is_file() for file in files)
    return 0 if alone or config.option.capture == "no" else min(max(os.cpu_count() or 2, 2), MOST)


def pytest_collection_modifyitems(config, items):
    """Leave out slow tests; notebooks come first, then the browser, and short files at the end."""
    # With this option nbval would have the kernels of the notebooks traced, too.
    config.option.cov_source = []
    if not config.getoption("--slow"):
        asked_for = " ".join(config.args)
        for item in items:
            is_heavy = item.path.name in HEAVY and item.path.name not in asked_for
            if is_heavy or item.get_closest_marker("slow"):
                item.add_marker(pytest.mark.skip(reason="runs with --slow"))
    items.sort(
        key=lambda item: (item.path.suffix != ".ipynb", item.get_closest_marker("browser") is None)
    )


@pytest.fixture(autouse=True)
def nothing_left_behind(monkeypatch):
    """Close figures and restore the environment, whatever a test has written into either."""
    monkeypatch.delenv(TRIAL, raising=False)
    with patch.dict(os.environ):
        yield
    from matplotlib import pyplot

    pyplot.close("all")
