"""Execute the notebooks and store them as a clone should find them.

Stored notebooks show pictures in every viewer: a widget, which needs a kernel, is stored as the
still picture that it brings along. Nothing that changes from run to run is stored without need.
"""

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from tqdm import tqdm

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
TIMEOUT = 1800  # seconds for one cell: for hangs, not for slow machines

# Without the version of Python, which would change with every person who stores a notebook.
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}


class NotebookError(Exception):
    """A notebook cannot be stored. The message is the one sentence that the person gets to read."""


def store(path):
    """Execute the notebook at `path` and put the result in its place.

    The file is replaced in one step at the end: after an error or Ctrl-C it is what it was.

    Raises
    ------
    NotebookError
        If a cell raises, takes too long or ends the kernel; it names the notebook and the cell.
    """
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path)
    tidy(notebook)
    unfinished = path.with_suffix(".tmp")
    try:
        nbformat.write(notebook, unfinished)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def execute(notebook, path):
    """Run all cells in a new kernel, with a progress bar."""
    with tqdm(total=len(notebook.cells), desc=path.name, unit="cell") as bar:
        client = NotebookClient(
            notebook,
            timeout=TIMEOUT,
            kernel_name="python3",
            shutdown_kernel="immediate",
            coalesce_streams=True,
            record_timing=False,
            resources={"metadata": {"path": str(path.parent)}},
            on_notebook_start=_leave_ctrl_c_to_python,
            on_cell_start=lambda cell, cell_index: bar.update(cell_index - bar.n),
        )
        try:
            asyncio.run(client.async_execute())
        except CellExecutionError as error:
            reason = f"raised {error.ename}: {error.evalue}"
        except CellTimeoutError:
            reason = f"took longer than {TIMEOUT} s"
        except DeadKernelError:
            reason = "ended the kernel, often a sign of too little memory"
        else:
            bar.update(bar.total - bar.n)
            return
    source = notebook.cells[bar.n].source.strip().splitlines()[0]
    raise NotebookError(
        f"{path.name}: cell {bar.n + 1} ({source}) {reason}; "
        "the stored notebook was left as it was."
    )


def _leave_ctrl_c_to_python(notebook):
    """Take SIGINT back from nbclient, which ends the kernel on it and then fails over its absence.

    Python's own KeyboardInterrupt lets `asyncio.run` cancel the execution, kernel included.
    """
    with contextlib.suppress(NotImplementedError):  # Windows, where nbclient does not take it
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def tidy(notebook):
    """Drop, in place, what a viewer cannot show and what differs from run to run."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if _shows(output)]


def _shows(output):
    """Whether something is left to see once the widget, if it is one, has been taken out."""
    data = output.get("data", {})
    if WIDGET not in data:
        return True
    del data[WIDGET]
    return bool(set(data) - {"text/plain"})  # its text alone is no more than class and children


def find(name):
    """The one notebook that `name` means: its number, the beginning of its name, or its path."""
    found = sorted(FOLDER.glob(f"{Path(name).stem}*.ipynb"))
    if len(found) != 1:
        known = ", ".join(path.stem for path in sorted(FOLDER.glob("*.ipynb"))) or "none"
        raise NotebookError(f"{name} names {len(found)} notebooks; there are: {known}.")
    return found[0]


def main(names):
    """Execute and store the notebooks of these names, or all of them; the exit status."""
    try:
        for path in [find(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
            store(path)
    except NotebookError as error:
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted: the notebook that was running was left as it was."


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
