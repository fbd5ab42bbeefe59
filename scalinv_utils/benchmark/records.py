"""Rows of a CSV: numbers as numbers, nothing for None, appended so that a run can be resumed."""

import csv
from pathlib import Path

__all__ = ["append", "drop_unfinished_line", "read", "spelt"]


def append(path, columns, rows):
    """Add rows (dicts) to a CSV, which is made with its header if it is not there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows([{name: spelt(row[name]) for name in columns} for row in rows])


def read(path):
    """The rows of a CSV that `append` wrote: dicts with numbers as numbers and None for empty."""
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [
            {name: _meant(name, text) for name, text in row.items()} for row in csv.DictReader(file)
        ]


TEXTS = {"signal", "wavelet", "method", "device", "transform", "error", "machine", "versions"}
COUNTS = {
    "voices",
    "seed",
    "n_samples",
    "n_freqs",
    "n_slices",
    "slice_samples",
    "overlap",
    "evaluations",
    "steps",
}


def _meant(name, text):
    if text == "" or name in TEXTS:
        return text or None
    return int(text) if name in COUNTS else float(text)


def spelt(value):
    """A value as the CSV spells it: numbers to four digits or so, nothing for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def drop_unfinished_line(path):
    """What a killed run left half written ends without a line end: cut it off."""
    if path.exists():
        text = path.read_bytes()
        complete = text[: text.rfind(b"\n") + 1]
        if complete != text:
            path.write_bytes(complete)
