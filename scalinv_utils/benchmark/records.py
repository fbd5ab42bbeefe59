"""Write and read the rows of a CSV to which a run that is resumed appends.

Numbers are read back as numbers, and an empty field as None.
"""

import csv
import errno
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Row", "append", "drop_unfinished_line", "read", "spelt"]

#: A row by the names of its columns. The values are str, int, float or None.
Row = dict[str, Any]


def append(path: str | Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Add rows to a CSV. A file that does not exist yet is made, with its header.

    Examples
    --------
    >>> import tempfile
    >>> from scalinv_utils.benchmark.records import append, read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     append(f"{folder}/table.csv", ["signal", "seed"], [{"signal": "ecg", "seed": None}])
    ...     read(f"{folder}/table.csv")
    [{'signal': 'ecg', 'seed': None}]
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        before = file.tell()
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        if before == 0:
            writer.writeheader()
        writer.writerows([{name: spelt(row[name]) for name in columns} for row in rows])
        _write_or_undo(file, text.getvalue().encode(), before)


def _write_or_undo(file: io.FileIO, content: bytes, before: int) -> None:
    """Write all at the end of a file, or leave it as it was: `before` bytes long."""
    try:
        if file.write(content) != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
    except BaseException:
        file.truncate(before)
        raise


def read(path: str | Path) -> list[Row]:
    """Read the rows of a CSV that `append` wrote, numbers as numbers and None for empty fields."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {name: _meant(name, text) for name, text in row.items()} for row in csv.DictReader(file)
        ]


# The columns that hold text, and those that hold whole numbers; all others hold floats.
TEXTS = set(
    "signal wavelet method device transform error machine versions "
    "cut recording kind track point".split()
)
COUNTS = set(
    "voices seed n_samples n_freqs n_slices slice_samples overlap evaluations steps "
    "samples held_out".split()
)


def _meant(name: str, text: str) -> str | int | float | None:
    """Turn the text of a field into the value that it stands for."""
    if text == "" or name in TEXTS:
        return text or None
    return int(text) if name in COUNTS else float(text)


def spelt(value: object) -> str:
    """Return a value as the CSV spells it: floats to six digits, nothing for None.

    Examples
    --------
    >>> from scalinv_utils.benchmark.records import spelt
    >>> spelt(-20.123456789), spelt(None), spelt("heap")
    ('-20.1235', '', 'heap')
    """
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def drop_unfinished_line(path: Path) -> None:
    """Cut off a last line without a line end, which a killed run left half written."""
    if path.exists():
        text = path.read_bytes()
        complete = text[: text.rfind(b"\n") + 1]
        if complete != text:
            os.truncate(path, len(complete))  # this needs no room on the disk
