"""What each notebook costs the person who runs it; fails past the limits that Binder sets.

On Linux, as Binder is.
"""

import json
import sys

import nbformat

from .execute_notebooks import FOLDER, NotebookError, execute, find

# Processor seconds and MiB of one run, MB of one stored file, MB of all of them.
SECONDS, MEMORY, SIZE, SIZE_TOGETHER = 90, 1024, 1.5, 8

# Run in the notebook's own kernel after its last cell. Not maxrss, which on Linux begins at what the
# parent process had.
PROBE = """
import json, re, time
_peak = re.search(r"VmHWM:\\s*(\\d+) kB", open("/proc/self/status").read())
print(json.dumps([time.process_time(), int(_peak[1]) / 2**10]))
"""


def weigh(path):
    """(processor seconds, peak MiB of memory, stored MB) of one notebook; nothing is stored.

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


def report(weights):
    """A Markdown table of {name: (seconds, MiB, MB)}, and the names past a limit."""
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
        if any(value > limit for value, limit in zip(weight, (SECONDS, MEMORY, SIZE)))
    ]
    together = sum(size for _, _, size in weights.values())
    return "\n".join(lines), heavy + ["all together"] * (together > SIZE_TOGETHER)


def main(names):
    """Weigh the notebooks of these names, or all of them; the exit status."""
    try:
        paths = [find(name) for name in names] or sorted(FOLDER.glob("*.ipynb"))
        table, heavy = report({path.stem: weigh(path) for path in paths})
    except NotebookError as error:
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted: no notebook has been changed."
    print(table)
    if heavy:
        return (
            f"Too heavy: {', '.join(heavy)} (limits: {SECONDS} s, {MEMORY} MiB and {SIZE} MB "
            f"each, {SIZE_TOGETHER} MB together)."
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
