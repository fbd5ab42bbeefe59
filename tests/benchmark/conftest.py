"""Rows of the tiny preset, which several modules read, and a view of rows without their costs."""

import pytest

from scalinv_utils.benchmark.runner import FIELDS, preset, run


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Compute the tiny preset once: the path of its CSV, and its rows."""
    path = tmp_path_factory.mktemp("tiny") / "tiny.csv"
    return path, run(preset("tiny"), path, progress=False)


@pytest.fixture(scope="session")
def same_but_for_costs():
    """Give the function that sorts rows and leaves out the costs, which differ between runs.

    From zero phase the rows of a tone cancel, so that rounding errors decide where Griffin-Lim
    goes; they depend on where arrays lie in memory. Its scores are left out, too.
    """
    names = [name for name in FIELDS if name not in ("seconds", "cost", "peak_mb")]

    def comparable(rows):
        return sorted(
            tuple(
                None if row["method"] == "zero phase" and name.endswith("_db") else row[name]
                for name in names
            )
            for row in rows
        )

    return comparable
