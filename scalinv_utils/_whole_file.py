"""Write a file whole or not at all: a full disk, Ctrl-C or a lost connection leave the earlier one.

The new content is written beside the file and takes its name in one step, when all of it is there.
"""

import io
import os
import shutil
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

__all__ = ["check_path", "write_whole"]


def check_path(path: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Return `path` if it is a name. Python takes a number for an open file, and closes that.

    Raises
    ------
    TypeError
        If it is no str and no path.
    ValueError
        If it has a character that no name has.

    Examples
    --------
    >>> check_path(1)
    Traceback (most recent call last):
        ...
    TypeError: path must be the name of a file, got int
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be the name of a file, got {type(path).__name__}")
    if "\0" in os.fsdecode(path):
        raise ValueError(f"path must be the name of a file, got {path!r} with a zero in it")
    return path


def write_whole(path: str | os.PathLike[str] | BinaryIO, content: bytes | str) -> None:
    """Write bytes, or text in UTF-8, to a file; what is no regular file gets them directly.

    Raises
    ------
    OSError
        The file cannot be written. An earlier file of this name is as it was.
    TypeError
        It is neither a name nor a file that takes bytes.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/a.txt", "whole")
    ...     print(Path(folder, "a.txt").read_text(), os.listdir(folder))
    whole ['a.txt']
    """
    data = content.encode() if isinstance(content, str) else content
    if not isinstance(path, str | os.PathLike):
        if isinstance(path, io.TextIOBase) or not hasattr(path, "write"):
            raise TypeError(
                "path must be the name of a file or a file that is open for bytes, got "
                f"{type(path).__name__}"
            )
        path.write(data)
        return
    target = Path(os.path.realpath(check_path(path)))  # a link stays, and leads to the new file
    try:
        if target.exists() and not target.is_file():  # a device, a pipe
            target.write_bytes(data)
        else:
            _replace(target, data)
    except OSError as error:  # it names a file that the caller does not know
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _replace(target: Path, data: bytes) -> None:
    unfinished = target.with_name(f".{uuid4().hex[:12]}.part")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            with target.open("r+b"):  # a file that is protected stays
                shutil.copymode(target, unfinished)
        os.replace(unfinished, target)
    finally:
        unfinished.unlink(missing_ok=True)
