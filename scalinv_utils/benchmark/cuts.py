"""List the cuts of recordings that the tracks are run on, and read them.

The list is data/cuts.csv: 36 cuts of 17 recordings. Seven recordings come with the course, excerpts
of ten more lie beside the list, with their credits. A third of the cuts is held out: nothing was
tuned on them, and no choice may be made by their results, which are told apart.
"""

import functools
from dataclasses import dataclass
from importlib import resources

import torch

from .._validation import check_choice, check_count
from ..course import signals
from .records import read

__all__ = ["CUTS", "Cut", "sound"]

DATA = resources.files("scalinv_utils.benchmark") / "data"


@dataclass(frozen=True)
class Cut:
    """Say where a cut lies in its recording.

    Attributes
    ----------
    cut : str
        Its name.
    recording : str
        A recording of the course, or a file in data, without its ending.
    sample_rate : float
        Hz.
    start : float
        Seconds from the beginning of the recording.
    samples : int
        The most that may be taken from there.
    kind : str
        "voice", "tone", "drum", "noise-like", "animal" or "ECG".
    held_out : int
        1 if nothing may be tuned on it, else 0.
    """

    cut: str
    recording: str
    sample_rate: float
    start: float
    samples: int
    kind: str
    held_out: int


with resources.as_file(DATA / "cuts.csv") as _path:
    #: The cuts by name.
    CUTS = {row["cut"]: Cut(**row) for row in read(_path)}


@functools.lru_cache(maxsize=8)
def _excerpt(name: str) -> tuple[torch.Tensor, float]:
    with resources.as_file(DATA / f"{name}.flac") as path:
        return signals.load(path)


def sound(name: str, n_samples: int) -> tuple[torch.Tensor, float]:
    """Read a cut.

    Parameters
    ----------
    name : str
        A key of `CUTS`.
    n_samples : int
        Its length; where the cut is shorter, all of it is taken.

    Returns
    -------
    x : Tensor, shape (n_samples,)
    sample_rate : float
        Hz.

    Raises
    ------
    ValueError
        If there is no such cut.

    Examples
    --------
    >>> from scalinv_utils.benchmark.cuts import sound
    >>> x, rate = sound("glass 1", 2048)
    >>> x.shape, rate
    (torch.Size([2048]), 8000.0)
    """
    where = CUTS[check_choice(name, CUTS, "name")]
    n_samples = min(check_count(n_samples, "n_samples"), where.samples)
    if where.recording in signals.RECORDINGS:
        return signals.recording(where.recording, where.sample_rate, n_samples, where.start)
    x, rate = _excerpt(where.recording)
    return signals.cut(x, rate, n_samples, where.start), float(rate)
