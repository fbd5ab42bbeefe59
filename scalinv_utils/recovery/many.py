"""Recover many scalograms, several at a time, with results on the disk as they come.

Each scalogram is a problem of its own, so that joblib computes them in processes on all cores, or
wherever its backend of the moment lets it, such as a Dask cluster:

    with joblib.parallel_config(backend="dask"):
        for recovery in recover_many(scalograms, W, folder="results"):
            ...

Results are written by the process that asked for them. A file's name tells what it was made from,
so that the same call goes on where an earlier one ended, and a changed scalogram is recovered anew.
"""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from .._arrays import numbers_of
from .._validation import check_choice, check_instance
from ..measured import Measured, load
from ..transforms.scalogram import Scalogram
from ._pipeline import recover
from ._result import Recovery
from ._workers import Shared, check_jobs, in_order

__all__ = ["digest_of", "recover_many"]

Source = ArrayLike | Measured | str | os.PathLike[str]

# The answers to a scalogram that cannot be recovered.
ANSWERS = ("raise", "warn")


def recover_many(
    scalograms: Iterable[Source],
    W: Scalogram | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    jobs: int | None = None,
    bad: str = "raise",
    progress: bool = True,
    **options: Any,
) -> Iterator[Recovery | None]:
    """Recover each of many scalograms by `recover`, and generate the results in order.

    Parameters
    ----------
    scalograms : iterable
        Real arrays of shape (n_freqs, n_samples), Measured ones, or the paths of .npy and .npz
        files, which are read where they are recovered. An array with one more axis, a memmap too,
        is taken one by one; a generator is asked for a few in advance.
    W : Scalogram, optional
        The transform of all; a `Measured` and a file of `measured.save` have their own.
    folder : str or path, optional
        Results are stored there as they come, by `Recovery.save`, and what it holds already is
        read instead of being recovered again. A name consists of the number and of a fingerprint
        of the scalogram (of a file: its path, size and time), of W and of the options.
    jobs : int, optional
        The number of processes: 1 computes in this one, -1 takes all cores. Default: as joblib's
        `parallel_config` says, which is 1 if it says nothing. More than one need joblib.
    bad : "raise" or "warn"
        The answer when the turn comes of a scalogram that cannot be recovered: raise its error,
        or warn and generate None.
    progress : bool
        Show a progress bar with the time left.
    **options
        More arguments of `recover`, for all: noise, sigma, seed.

    Yields
    ------
    Recovery or None

    Raises
    ------
    ValueError, TypeError
        If a scalogram does not fit W, with its number; results of earlier ones are kept.
    ModuleNotFoundError
        If several processes are asked for and joblib is not installed.

    Examples
    --------
    >>> import torch
    >>> from scalinv_utils import Scalogram
    >>> from scalinv_utils.recovery import recover_many
    >>> W = Scalogram(64, wavelet="cauchy", voices_per_octave=32)
    >>> x = torch.stack([torch.arange(64).mul(2 * torch.pi * k / 64).sin() for k in (8, 10)])
    >>> [r.consistency_db < -60 for r in recover_many(W.magnitude(x), W, jobs=1)]
    [True, True]
    """
    check_choice(bad, ANSWERS, "bad")
    check_instance(scalograms, Iterable, "scalograms")
    return _generated(
        scalograms, W, _kept_in(folder), check_jobs(jobs), bad == "warn", progress, options
    )


def _generated(
    scalograms: Iterable[Source],
    W: Scalogram | None,
    folder: Path | None,
    jobs: int | None,
    is_lenient: bool,
    progress: bool,
    options: dict[str, Any],
) -> Iterator[Recovery | None]:
    """Do the work of `recover_many`, whose arguments are checked before the first is asked for."""
    told, shared = digest_of(W, options), Shared(W)
    tasks = (_task(k, S, shared, folder, told, options) for k, S in enumerate(scalograms))
    total = len(scalograms) if hasattr(scalograms, "__len__") else None  # type: ignore[arg-type]
    bar = tqdm(
        in_order(_carried_out, tasks, jobs), total=total, unit="scalogram", disable=not progress
    )
    for number, (path, result) in enumerate(bar):
        if isinstance(result, Recovery) and path is not None and not path.exists():
            result.save(path)
        yield _answer(result, number, is_lenient)


def _task(
    number: int,
    S: Source,
    W: Shared,
    folder: Path | None,
    told: bytes,
    options: dict[str, Any],
) -> tuple[Path | None, Source | None, Shared, dict[str, Any]]:
    """Say what is to be done with one scalogram; nothing but reading if its result is there."""
    if folder is None:
        return None, S, W, options
    path = folder / f"{number:06d}-{_fingerprint(S, told)}.pt"
    return (path, None, W, {}) if path.exists() else (path, S, W, options)


def _carried_out(
    path: Path | None, S: Source | None, W: Shared, options: dict[str, Any]
) -> tuple[Path | None, Recovery | Exception]:
    """Recover one scalogram, in whatever process; an error comes back as a value."""
    try:
        if S is None and path is not None:
            return path, Recovery.load(path)
        given = load(S, W()) if isinstance(S, str | os.PathLike) else S
        own = None if isinstance(given, Measured) else W()
        return path, recover(given, own, progress=False, **options)  # type: ignore[arg-type]
    except (ValueError, TypeError, OSError) as error:
        return path, error


def _answer(result: Recovery | Exception, number: int, is_lenient: bool) -> Recovery | None:
    """Return a recovery; raise an error under the number of its scalogram, or warn of it."""
    if isinstance(result, Recovery):
        return result
    told = f"scalograms[{number}] cannot be recovered: {result}"
    if not is_lenient:
        raise type(result)(told) from result
    warnings.warn(told, stacklevel=3)
    return None


def _kept_in(folder: str | os.PathLike[str] | None) -> Path | None:
    """Make the folder of the results."""
    if folder is None:
        return None
    Path(folder).mkdir(parents=True, exist_ok=True)
    return Path(folder)


def _fingerprint(S: Source, told: bytes) -> str:
    """Make a few letters that depend on a scalogram and on how it is recovered."""
    digest = hashlib.blake2b(told, digest_size=6)
    if isinstance(S, str | os.PathLike):
        state = os.stat(S)
        digest.update(f"{os.fspath(S)} {state.st_size} {state.st_mtime_ns}".encode())
    elif isinstance(S, Measured):
        for part in (S.S, S.known, S.sigma, S.W.filters):
            digest.update(b"" if part is None else part.cpu().numpy().tobytes())
    else:
        digest.update(
            numbers_of(S, "S", "a scalogram").detach().cpu().contiguous().numpy().tobytes()
        )
    return digest.hexdigest()


def digest_of(W: Scalogram | None, options: dict[str, Any]) -> bytes:
    """Fingerprint what all scalograms have in common."""
    told = hashlib.blake2b(repr(sorted(options.items())).encode())
    if W is not None:
        told.update(W.filters.detach().cpu().numpy().tobytes())
        told.update(torch.as_tensor(W.frequencies).cpu().numpy().tobytes())
    return told.digest()
