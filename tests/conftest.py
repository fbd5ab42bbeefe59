"""What all tests share: no windows, no leftover figures, the same random draws every time."""

import os

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


@pytest.fixture(autouse=True)
def no_figures_left_and_no_trials(monkeypatch):
    monkeypatch.delenv(TRIAL, raising=False)
    yield
    from matplotlib import pyplot

    pyplot.close("all")
