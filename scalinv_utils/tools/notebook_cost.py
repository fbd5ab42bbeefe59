"""Measure time, memory and size of each notebook, and fail past the limits that Binder sets.

This works on Linux only, as on Binder.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat

from .execute_notebooks import NOTEBOOKS_FOLDER, NotebookError, execute, find

# The limits for one run (processor seconds, MiB), for one stored file (MB) and for all files (MB).
MAX_SECONDS, MAX_MEMORY_MIB, MAX_FILE_MB, MAX_ALL_FILES_MB = 90, 1024, 1.5, 8

# This runs in the notebook's own kernel after its last cell. It does not read maxrss, which on
# Linux begins at the memory of the parent process.
PROBE = """
import json, re, time
_peak = re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
print(json.dumps([time.process_time(), int(_peak[1]) / 2**10]))
"""


def weigh(path: Path) -> tuple[float, float, float]:
    """Run one notebook and measure it; nothing is stored.

    Returns
    -------
    (float, float, float)
        Processor seconds, peak memory in MiB, and the size of the stored file in MB.

    Raises
    ------
    NotebookError
        If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(PROBE))
    execute(notebook, path)
    seconds, memory = json.loads(notebook.cells[-1].outputs[0].text)
    return seconds, memory, path.stat().st_size / 1e6


def report(weights: Mapping[str, tuple[float, float, float]]) -> tuple[str, list[str]]:
    """Make a Markdown table of {name: (seconds, MiB, MB)}, and list the names past a limit.

    Examples
    --------
    >>> from scalinv_utils.tools.notebook_cost import report
    >>> table, heavy = report({"00_start_here": (100.0, 500.0, 0.2)})
    >>> heavy
    ['00_start_here']
    """
    limits = (MAX_SECONDS, MAX_MEMORY_MIB, MAX_FILE_MB)
    lines = [
        "| notebook | processor seconds | peak memory (MiB) | stored (MB) |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {seconds:.0f} | {memory:.0f} | {size:.2f} |"
        for name, (seconds, memory, size) in weights.items()
    ]
    heavy = [
        name
        for name, weight in weights.items()
        if any(value > limit for value, limit in zip(weight, limits))
    ]
    together = sum(size for _, _, size in weights.values())
    return "\n".join(lines), heavy + ["all together"] * (together > MAX_ALL_FILES_MB)


def main(names: Sequence[str]) -> str | None:
    """Measure the notebooks of these names, or all of them without any, and print the table.

    Returns
    -------
    str or None
        None if all are within the limits; otherwise a sentence that says what went wrong, for
        `sys.exit`.
    """
    try:
        paths = [find(name) for name in names] or sorted(NOTEBOOKS_FOLDER.glob("*.ipynb"))
        table, heavy = report({path.stem: weigh(path) for path in paths})
    except NotebookError as error:
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted: no notebook has been changed."
    print(table)
    if heavy:
        return (
            f"Too heavy: {', '.join(heavy)}. The limits are {MAX_SECONDS} s, {MAX_MEMORY_MIB} MiB "
            f"and {MAX_FILE_MB} MB each, {MAX_ALL_FILES_MB} MB together."
        )
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
