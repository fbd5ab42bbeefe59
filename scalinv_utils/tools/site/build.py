"""Make the web pages from what is stored in the repository: python -m scalinv_utils site [FOLDER].

No cell is run and nothing is fetched. The pages are whole when they are opened from a folder. Four
steps: gather the sources in a temporary folder (`_sources`), let Sphinx turn them into pages
(`conf.py`), check their weights, and put them in the place of the old ones.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sphinx.cmd.build import build_main

from ..environment import ROOT
from . import _sources

MARK = ".scalinv-site"  # a folder with this file in it was made here, and may be replaced


class SiteError(Exception):
    """The pages cannot be made. The message is the one sentence that the person gets to read."""


def build(folder: Path, repository: str | None = None) -> Path:
    """Make the pages in `folder`, in the place of those that an earlier call made.

    Parameters
    ----------
    folder : Path
        It is made if it does not exist.
    repository : str, optional
        "owner/name" on GitHub, for the links to Binder. Without it these links lead to the page
        that says how to run the course.

    Returns
    -------
    Path
        The first page.

    Raises
    ------
    SiteError
        `folder` holds other things, or Sphinx has warned of something, such as a broken link.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARK).exists():
        raise SiteError(f"{folder} holds other files; name a new folder or an empty one.")
    with tempfile.TemporaryDirectory(prefix="scalinv-site-") as scratch:
        sources, pages = Path(scratch) / "sources", Path(scratch) / "pages"
        _sources.gather(sources, repository)
        _run_sphinx(sources, pages)
        (pages / MARK).touch()
        _put(pages, folder.resolve())
    return folder / "index.html"


def _put(pages: Path, folder: Path) -> None:
    """Copy the pages beside the folder, and give them its name when all are there."""
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # what an earlier interrupt has left
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(pages, new)
        shutil.rmtree(folder, ignore_errors=True)
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _run_sphinx(sources: Path, pages: Path) -> None:
    """Turn sources into pages; a warning is an error, and all of them are shown first."""
    scratch = sources.parent / "doctrees"
    options = ["-b", "html", "-q", "-W", "--keep-going", "-d", str(scratch)]
    # These are copied as they are: frames of explorers, and the notebooks to download.
    options += ["-c", str(_sources.HERE), "-D", f"html_extra_path={sources / _sources.EXTRA}"]
    if build_main([*options, str(sources), str(pages)]):
        raise SiteError("The pages were not made: see the lines above.")


def main(arguments: Sequence[str]) -> str | None:
    """Make the pages; return None after success, otherwise a sentence for `sys.exit`."""
    parser = argparse.ArgumentParser(prog="python -m scalinv_utils site", description=__doc__)
    parser.add_argument("folder", nargs="?", default=str(ROOT / "site"), metavar="FOLDER")
    parser.add_argument(
        "--repository",
        metavar="OWNER/NAME",
        default=os.environ.get("GITHUB_REPOSITORY"),
        help="on GitHub, for the links to Binder (default: $GITHUB_REPOSITORY)",
    )
    options = parser.parse_args(arguments)
    try:
        page = build(Path(options.folder).resolve(), options.repository)
    except SiteError as error:
        return str(error)
    except KeyboardInterrupt:
        return "Interrupted: the pages that were there are as they were."
    print(f"The first page: {page}")
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
