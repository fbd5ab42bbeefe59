"""From a sound file to a scalogram on the disk, and back: python -m scalinv_utils analyse, recover.

A scalogram is one array, a row for each wavelet and a column for each sample, in a file of one of
the formats of `_scalograms`, which also describes the transform. Two kinds of files are read that
describe themselves: those of `measured.save` (.npz), and the results of MATLAB's cwt (.mat).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .. import measured, recover
from ..course import signals
from ..diagnosis import diagnose
from ..measured import Measured
from ..recovery import Recovery, recover_long
from ..transforms.long import magnitude_of_long
from ..transforms.scalogram import Scalogram
from . import _costs
from ._scalograms import (
    ENDINGS,
    READ_ENDINGS,
    arrays_in,
    chosen,
    created,
    description,
    opened,
)
from ._sounds import SOUND_ENDINGS, check_sound, save_sound

__all__ = ["analyse", "main", "recover_file"]

DESCRIBED = """\
The transform is described by the attribute "transform" of an array in HDF5 or Zarr, or by a .json
file of the same name, as analyse writes both; files of measured.save (.npz) describe themselves.
"""

# A longer signal is not examined before it is recovered.
LONGEST_EXAMINED = 8192


def main(arguments: list[str] | None = None) -> None:
    """Carry out the command in `arguments`, by default that of the program."""
    options = _parser().parse_args(arguments)
    try:
        options.carry_out(options)
    except (ValueError, TypeError, OSError, ImportError) as error:
        sys.exit(f"{options.command}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"\nInterrupted: {options.interrupted}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m scalinv_utils")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("analyse", help="write the scalogram of a sound file")
    made.add_argument("sound", type=Path, help="WAV, FLAC, OGG, MP3 or another sound file")
    made.add_argument("scalogram", type=Path, help=f"the file to write: {', '.join(ENDINGS)}")
    made.add_argument("--rate", type=float, help="samples per second; default: those of the file")
    made.add_argument("--wavelet", default="cauchy", help="default: cauchy")
    made.add_argument("--voices", type=int, default=32, help="rows per octave; default: 32")
    made.add_argument("--f-min", type=float, default=50.0, help="lowest row in Hz; default: 50")
    made.add_argument("--piece", type=int, default=32768, help="samples at a time; default: 32768")
    made.add_argument(
        "--single",
        action="store_true",
        help="half the size, in single precision: less accurate across pauses",
    )
    made.set_defaults(carry_out=analyse, interrupted="nothing was written")
    back = commands.add_parser(
        "recover", help="recover the sound behind a scalogram", epilog=DESCRIBED
    )
    back.add_argument("scalogram", type=Path, help=f"{', '.join(READ_ENDINGS)} or .npz")
    back.add_argument("sound", type=Path, help=f"the file to write: {' or '.join(SOUND_ENDINGS)}")
    back.add_argument(
        "--dataset", help="name of the array; default: that of the only one of two axes"
    )
    matlab = back.add_argument_group("a .mat file of MATLAB's cwt, with no .json beside it")
    matlab.add_argument("--rate", type=float, help="samples per second of the signal")
    matlab.add_argument("--wavelet", default="morse", help="morse, amor or bump; default: morse")
    matlab.add_argument("--frequencies", default="f", help="name of those of the rows; default: f")
    back.add_argument(
        "--jobs", type=int, default=1, help="processes; -1 takes all cores; default: 1"
    )
    back.add_argument("--seed", type=int, default=0, help="default: 0")
    again = "the same command goes on from here"
    back.set_defaults(carry_out=recover_file, interrupted=again)
    return parser


def analyse(options: argparse.Namespace) -> None:
    """Write the scalogram of a sound file, and what describes its transform."""
    _check_ending(options.scalogram, ENDINGS)
    x, rate = signals.load(options.sound, options.rate)
    kinds = {"wavelet": options.wavelet, "voices_per_octave": options.voices}
    W = Scalogram(min(options.piece, len(x)), rate, f_min=options.f_min, **kinds)
    shape, dtype = (W.n_freqs, len(x)), np.float32 if options.single else np.float64
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    print(
        f"{len(x) / rate:.1f} s at {rate:g} Hz: {shape[0]} x {shape[1]} values, {size / 1e9:.2g} "
        f"GB. {_costs.of_analysis(W, len(x))}"
    )
    with created(options.scalogram, W, shape, dtype) as out:
        magnitude_of_long(x, W, out)


def recover_file(options: argparse.Namespace) -> None:
    """Write the sound behind a scalogram, and say how well it fits."""
    _check_ending(options.sound, SOUND_ENDINGS)
    with _given(options) as (S, W):
        check_sound(options.sound, W.sample_rate)
        result = _recovered(S, W, options)
    said = save_sound(options.sound, result.signal, W.sample_rate)
    shutil.rmtree(_folder(options.sound), ignore_errors=True)
    fit = f"The scalogram of the recovered sound fits to {result.consistency_db:.0f} dB."
    print(f"{fit} {said}".strip())


@contextmanager
def _given(options: argparse.Namespace) -> Iterator[tuple[Any, Scalogram]]:
    """Open the scalogram that was given, with its transform, or that of a piece."""
    path: Path = options.scalogram
    _check_ending(path, (*READ_ENDINGS, ".npz"))
    if path.suffix == ".npz":
        yield (M := measured.load(path)), M.W
    elif path.suffix == ".mat" and not description(path).exists():
        yield (M := _of_matlab(path, options)), M.W
    else:
        with opened(path, options.dataset) as given:
            yield given


def _of_matlab(path: Path, options: argparse.Namespace) -> Measured:
    """Read a result of MATLAB's cwt, of any version."""
    names = {"wt": options.dataset or "wt", "f": options.frequencies}
    with arrays_in(path) as held:
        found = {
            name: chosen(held, name, path, option)[:, :]
            for name, option in zip(names.values(), ("--dataset", "--frequencies"))
        }
    if options.rate is None:
        raise ValueError(
            f"--rate must be the samples per second of the signal, which {path} does not tell"
        )
    return measured.from_matlab(
        found,
        sample_rate=options.rate,
        variable=names["wt"],
        frequencies=names["f"],
        wavelet=options.wavelet,
    )


def _recovered(S: Any, W: Scalogram, options: argparse.Namespace) -> Recovery:
    """Recover a sound at once where it is no longer than a piece, else in pieces."""
    if isinstance(S, Measured):
        return _at_once(S, W, options.seed)
    n_samples = S.shape[-1]
    if n_samples <= W.n_samples:
        return _at_once(S[:, :], W.like(n_samples), options.seed)
    print(_costs.of_rounds(W, n_samples, options.jobs))
    folder, jobs = _folder(options.sound), options.jobs
    return recover_long(S, W, folder=folder, jobs=jobs, seed=options.seed)


def _at_once(S: Any, W: Scalogram, seed: int) -> Recovery:
    """Say what is unusual about a scalogram, and recover the sound."""
    given: tuple[Any, ...] = (S,) if isinstance(S, Measured) else (S, W)
    if W.n_samples <= LONGEST_EXAMINED and (said := str(diagnose(*given))):
        print(said)
    print(_costs.of_recovery(W))
    return recover(*given, seed=seed)


def _folder(sound: Path) -> Path:
    """Name the folder of what is done until the sound is complete."""
    return sound.with_suffix(".partial")


def _check_ending(path: Path, endings: tuple[str, ...]) -> None:
    if path.suffix not in endings:
        listed = f"{', '.join(endings[:-1])} or {endings[-1]}"
        raise ValueError(f"the name of a file must end in {listed} here, got {path}")


if __name__ == "__main__":
    main()
