"""Execute the notebooks and store them as a clone should find them.

Stored notebooks show pictures in every viewer: a widget needs a kernel, so what is stored is the
still picture that comes with it and, after that, the HTML in which an explorer stays alive where
scripts may run. Nothing that changes from run to run is stored without need.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from .._whole_file import write_whole
from ..course import _web
from ..course._stored import STORE

NOTEBOOKS_FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
TIMEOUT = 1800  # Seconds for one cell. It stops cells that hang, not slow machines.

# The version of Python is left out: it would change with every person who stores a notebook.
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
    """A notebook cannot be stored. The message is the only sentence that the user gets to read."""


def store(path: Path) -> None:
    """Execute the notebook at `path` and put the result in its place.

    The file is replaced in one step at the end. After an error or Ctrl-C it is unchanged.

    Raises
    ------
    NotebookError
        If a cell raises, takes too long or ends the kernel. The message names the notebook and the
        cell.
    """
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, path, {STORE: "yes"})
    tidy(notebook)
    write_whole(path, nbformat.writes(notebook) + "\n")


def execute(
    notebook: NotebookNode, path: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run all cells in a new kernel, with a progress bar.

    Parameters
    ----------
    notebook : NotebookNode
        The notebook, which receives the outputs.
    path : Path
        The file that it comes from. The kernel runs in the folder of this file.
    environment : mapping of str to str, optional
        Variables that the kernel finds beside those of this process.

    Raises
    ------
    NotebookError
        If a cell raises, takes too long or ends the kernel.
    """
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
            asyncio.run(client.async_execute(env={**os.environ, **(environment or {})}))
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


def _leave_ctrl_c_to_python(notebook: NotebookNode) -> None:
    """Take SIGINT back from nbclient, which would end the kernel and then fail without it.

    Python's own KeyboardInterrupt lets `asyncio.run` cancel the execution, kernel included.
    """
    with contextlib.suppress(NotImplementedError):  # On Windows nbclient does not take SIGINT.
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


def tidy(notebook: NotebookNode) -> None:
    """Drop, in place, outputs that a viewer cannot show and data that differ from run to run.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> from scalinv_utils.tools.execute_notebooks import tidy
    >>> cell = new_code_cell("1 + 1", metadata={"execution": {"iopub.status.idle": "12:00"}})
    >>> notebook = new_notebook(cells=[cell])
    >>> tidy(notebook)
    >>> notebook.cells[0].metadata
    {}
    """
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [kept for output in cell.outputs for kept in _kept(output)]


def _kept(output: NotebookNode) -> Iterator[NotebookNode]:
    """Yield what is left to see of an output without its widget: a still, then what is alive."""
    data = output.get("data", {})
    if WIDGET not in data:
        yield output
        return
    del data[WIDGET]
    alive = data.pop("text/html", None)
    # The text of a widget names only its class and its children.
    if set(data) - {"text/plain"}:
        yield output
    if alive:
        yield nbformat.v4.new_output("display_data", {"text/html": alive})


def renew_scripts(path: Path) -> None:
    """Put the code that custom elements have today into the stored outputs; no cell runs."""
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text/html" in output.get("data", {}):
                output.data["text/html"] = _web.renewed(output.data["text/html"])
    write_whole(path, nbformat.writes(notebook) + "\n")


def find(name: str) -> Path:
    """Find the one notebook with this number, beginning of the name, or path.

    Raises
    ------
    NotebookError
        If there is no such notebook, or several.

    Examples
    --------
    >>> from scalinv_utils.tools.execute_notebooks import find
    >>> find("00").name
    '00_start_here.ipynb'
    """
    found = sorted(NOTEBOOKS_FOLDER.glob(f"{Path(name).stem}*.ipynb"))
    if len(found) != 1:
        known = ", ".join(path.stem for path in sorted(NOTEBOOKS_FOLDER.glob("*.ipynb"))) or "none"
        raise NotebookError(f"{name} names {len(found)} notebooks; there are: {known}.")
    return found[0]


def main(names: Sequence[str]) -> str | None:
    """Execute and store the notebooks of these names, or all of them without any.

    With "--scripts" before the names only the code of custom elements is renewed.

    Returns
    -------
    str or None
        None after success; otherwise a sentence that says what went wrong, for `sys.exit`.
    """
    try:
        act = renew_scripts if "--scripts" in names else store
        given = [find(name) for name in names if name != "--scripts"]
        for path in given or sorted(NOTEBOOKS_FOLDER.glob("*.ipynb")):
            act(path)
    except NotebookError as error:
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted: the notebook that was running was left as it was."
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
