"""The links at the top of each notebook's page, and the page that says how to run the course."""

from urllib.parse import quote

from nbformat import NotebookNode

BAR = """\
<p class="bar"><a class="button" href="{binder}">Run it: open in Binder</a>
<a class="button" href="../downloads/{name}" download>Download the notebook</a></p>"""

RUN_IT = """\
# Run it yourself

The pages here show what the notebooks printed when they were stored. The explorers, players and
animations work in any browser; code, exercises and your own data need Python.

## In a browser, with nothing installed

{binder}

## On your own computer

Three commands, in a clone of the repository:

    python3 -m scalinv_utils lab     # sets up .venv on first use, opens JupyterLab
    python3 -m scalinv_utils app     # the app alone: bring a sound or a scalogram, listen, download
    python3 -m scalinv_utils test    # the same set-up, then all tests

The environment takes about 2 GB, the CPU build of PyTorch most of it, and a few minutes the first
time.

## With your own scalogram

Notebook [11](notebooks/11_your_own_scalogram.ipynb) shows how a scalogram that was made elsewhere
is described and recovered; [the reference](reference/index.rst) has every reader and every option.
"""

WITH_BINDER = """\
[Binder](https://mybinder.org) starts the course in a few minutes:
[open the course in Binder]({address}). It gives 2 GB of memory and slow shared cores, which is
enough for every notebook."""

WITHOUT_BINDER = """\
[Binder](https://mybinder.org) starts the course from its public repository: fill in the form
there with the address of the repository, a tag and the path `notebooks/00_start_here.ipynb`. It
gives 2 GB of memory and slow shared cores, which is enough for every notebook."""


def binder(repository: str | None, path: str) -> str | None:
    """Return the address at which Binder opens a file, or None without a repository.

    Examples
    --------
    >>> from scalinv_utils.tools.site import _bar
    >>> _bar.binder("owner/name", "notebooks/00_start_here.ipynb")
    'https://mybinder.org/v2/gh/owner/name/HEAD?urlpath=lab/tree/notebooks/00_start_here.ipynb'
    """
    if repository is None:
        return None
    return f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/{quote(path)}"


def add(notebook: NotebookNode, name: str, repository: str | None) -> None:
    """Put the links below the title of a notebook, in place."""
    first = notebook.cells[0]
    title, _, rest = first.source.partition("\n")
    address = binder(repository, f"notebooks/{name}") or "../run_it.html"
    first.source = f"{title}\n\n{BAR.format(binder=address, name=name)}\n\n{rest.lstrip()}"


def run_it(repository: str | None) -> str:
    """Write the page that says how to run the course, as Markdown."""
    address = binder(repository, "notebooks/00_start_here.ipynb")
    words = WITH_BINDER.format(address=address) if address else WITHOUT_BINDER
    return RUN_IT.format(binder=words)
