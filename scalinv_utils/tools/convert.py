"""From a sound file to a scalogram on the disk, and back: python -m scalinv_utils analyse, recover.

A scalogram is one .npy file, a row for each wavelet and a column for each sample; a .json file of
the same name describes the transform. A file of `measured.save` (.npz) describes itself.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

import numpy as np

from .. import measured, recover
from .._whole_file import write_whole
from ..course import audio, signals
from ..recovery import Recovery, recover_long
from ..transforms.long import magnitude_of_long
from ..transforms.scalogram import Scalogram

__all__ = ["analyse", "main", "recover_file"]

# The memory that a piece takes, in bytes per value of its scalogram, and that of the libraries.
BYTES_PER_VALUE, BYTES_OF_LIBRARIES = 150, 5e8


def main(arguments: list[str] | None = None) -> None:
    """Carry out the command in `arguments`, by default that of the program."""
    options = _parser().parse_args(arguments)
    try:
        options.carry_out(options)
    except (ValueError, TypeError, OSError) as error:
        sys.exit(f"{options.command}: {error}")
    except KeyboardInterrupt:
        sys.exit("\nInterrupted: the same command goes on from here.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m scalinv_utils")
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("analyse", help="write the scalogram of a sound file")
    made.add_argument("sound", type=Path, help="WAV, FLAC, OGG, MP3 or another sound file")
    made.add_argument("scalogram", type=Path, help="the .npy file to write, with a .json beside it")
    made.add_argument("--rate", type=float, help="samples per second; default: those of the file")
    made.add_argument("--wavelet", default="cauchy", help="default: cauchy")
    made.add_argument("--voices", type=int, default=32, help="rows per octave; default: 32")
    made.add_argument("--f-min", type=float, default=50.0, help="lowest row in Hz; default: 50")
    made.add_argument("--piece", type=int, default=32768, help="samples at a time; default: 32768")
    made.add_argument("--single", action="store_true", help="half the size, in single precision")
    made.set_defaults(carry_out=analyse)
    back = commands.add_parser("recover", help="recover the sound behind a scalogram")
    back.add_argument("scalogram", type=Path, help=".npy with its .json, or .npz of measured.save")
    back.add_argument("sound", type=Path, help="the WAV file to write")
    back.add_argument(
        "--jobs", type=int, default=1, help="processes; -1 takes all cores; default: 1"
    )
    back.add_argument("--seed", type=int, default=0, help="default: 0")
    back.set_defaults(carry_out=recover_file)
    return parser


def analyse(options: argparse.Namespace) -> None:
    """Write the scalogram of a sound file, and what describes its transform."""
    _check_ending(options.scalogram, ".npy")
    x, rate = signals.load(options.sound, options.rate)
    kinds = {"wavelet": options.wavelet, "voices_per_octave": options.voices}
    W = Scalogram(min(options.piece, len(x)), rate, f_min=options.f_min, **kinds)
    shape, dtype = (W.n_freqs, len(x)), np.float32 if options.single else np.float64
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    print(
        f"{len(x) / rate:.1f} s at {rate:g} Hz: {shape[0]} x {shape[1]} values, {size / 1e9:.2g} GB"
    )
    partial = options.scalogram.with_suffix(".partial")
    out = np.lib.format.open_memmap(partial, "w+", dtype, shape)
    magnitude_of_long(x, W, out)
    out.flush()
    write_whole(options.scalogram.with_suffix(".json"), _described(W))
    partial.replace(options.scalogram)


def recover_file(options: argparse.Namespace) -> None:
    """Write the sound behind a scalogram, and say how well it fits."""
    _check_ending(options.sound, ".wav")
    if options.scalogram.suffix == ".npz":
        M = measured.load(options.scalogram)
        result, rate = recover(M, seed=options.seed), M.W.sample_rate
    else:
        W = _transform(options.scalogram.with_suffix(".json"))
        result, rate = (
            _recovered(np.load(options.scalogram, mmap_mode="r"), W, options),
            W.sample_rate,
        )
    audio.save_wav(options.sound, result.signal, rate, "float64")
    shutil.rmtree(_folder(options.sound), ignore_errors=True)
    print(f"The scalogram of the recovered sound fits to {result.consistency_db:.0f} dB.")


def _recovered(S: np.ndarray, W: Scalogram, options: argparse.Namespace) -> Recovery:
    """Recover a sound at once where it is no longer than a piece, else in pieces."""
    if S.shape[-1] <= W.n_samples:
        return recover(S, W.like(S.shape[-1]), seed=options.seed)
    memory = BYTES_OF_LIBRARIES + BYTES_PER_VALUE * W.n_freqs * W.n_samples
    print(f"Each process takes about {memory / 1e9:.1f} GB.")
    folder, jobs = _folder(options.sound), options.jobs
    return recover_long(S, W, folder=folder, jobs=jobs, seed=options.seed)


def _folder(sound: Path) -> Path:
    """Name the folder of what is done until the sound is complete."""
    return sound.with_suffix(".partial")


def _check_ending(path: Path, ending: str) -> None:
    if path.suffix != ending:
        raise ValueError(f"the name of the file to write must end in {ending}, got {path}")


def _described(W: Scalogram) -> str:
    """Describe a transform in JSON."""
    name, parameters = W.wavelet
    words = {"n_samples": W.n_samples, "sample_rate": W.sample_rate, "wavelet": name}
    return json.dumps(words | {"parameters": parameters, "frequencies": W.frequencies.tolist()})


def _transform(path: Path) -> Scalogram:
    """Make the transform that a file describes."""
    if not path.exists():
        raise ValueError(f"{path} must describe the transform, as `analyse` writes it")
    told = json.loads(path.read_text())
    wavelet, frequencies = (told["wavelet"], told["parameters"]), told["frequencies"]
    return Scalogram.from_frequencies(
        told["n_samples"], told["sample_rate"], frequencies=frequencies, wavelet=wavelet
    )


if __name__ == "__main__":
    main()
