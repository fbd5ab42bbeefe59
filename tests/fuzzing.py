"""Give files that are cut, patched and mixed to everything that reads files, and see what it says.

    python tests/fuzzing.py --minutes 30 --seed 1
    python tests/fuzzing.py --seed 1 --case 4711 --keep broken.wav

A reader may return a result, or raise ValueError or TypeError by a sentence of its own. Findings:
another exception or one from elsewhere, values that are not finite, words on standard error, more
than MOST_MEMORY or MOST_SECONDS, and the end of the process. A case is known by the seed and its
number: it is made anew from them. Readers run in a process of their own.
"""

import argparse
import collections
import faulthandler
import io
import os
import pickle
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from PIL import Image
from scipy.io import savemat

from scalinv_utils import Scalogram
from scalinv_utils.app import brought, session
from scalinv_utils.course import signals
from scalinv_utils.measured import Measured, save

MOST_MEMORY = 300e6
MOST_SECONDS = 20.0
# The whole process may take so much address space: a reader that asks for more gets a MemoryError.
MOST_ADDRESSES = 6 * 2**30

# --- Files to begin with --------------------------------------------------------------------------

SOUNDS = (
    *(("WAV", kind) for kind in ("PCM_16", "PCM_U8", "PCM_24", "DOUBLE", "IMA_ADPCM", "ULAW")),
    *(("WAV", kind) for kind in ("GSM610", "MS_ADPCM", "NMS_ADPCM_16", "G721_32")),
    *((kind, "PCM_16") for kind in ("WAVEX", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC", "PVF")),
    *((kind, "PCM_16") for kind in ("VOC", "SVX", "NIST", "IRCAM", "HTK", "PAF", "SDS", "AVR")),
    *(("CAF", kind) for kind in ("ALAC_16", "FLOAT")),
    *(("AIFF", kind) for kind in ("FLOAT", "IMA_ADPCM", "DWVW_16", "GSM610")),
    *(("MAT4", "DOUBLE"), ("MAT5", "FLOAT"), ("MPC2K", "PCM_16"), ("WVE", "ALAW")),
    *(("XI", "DPCM_16"), ("FLAC", "PCM_24"), ("OGG", "VORBIS"), ("OGG", "OPUS")),
    *(("MP3", "MPEG_LAYER_III"), ("AU", "G721_32"), ("AU", "FLOAT"), ("VOC", "ULAW")),
)


def seeds():
    """Make whole files of each kind: a list of (ending, bytes)."""
    made = []
    t = np.arange(1600) / 8000
    mono = 0.3 * np.sin(2 * np.pi * 500 * t) + 0.1 * np.sin(2 * np.pi * 1200 * t)
    stereo = np.stack([mono, 0.5 * mono[::-1]], 1)
    for kind, subtype in SOUNDS:
        for x in (mono, stereo):
            file = io.BytesIO()
            try:
                soundfile.write(file, x, 8000, format=kind, subtype=subtype)
            except (soundfile.LibsndfileError, ValueError):  # not with so many channels
                continue
            made.append((".wav", file.getvalue()))
    return made + scalograms()


def scalograms():
    """Make files that hold scalograms: numpy's, MATLAB's, and a picture."""
    W = Scalogram(64, 8000, voices_per_octave=8)
    S = W.magnitude(signals.linear_chirp(64)).numpy()
    made = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "S"
        for options in ({}, {"hop": 4}, {"sigma": 0.1}):
            kept = S[:, :: options.get("hop", 1)]
            save(Measured(kept, W, **options), path.with_suffix(".npz"))
            made.append((".npz", path.with_suffix(".npz").read_bytes()))
        for array in (S, S.astype(np.float32), np.asfortranarray(S), (100 * S).astype(np.int16)):
            np.save(path.with_suffix(".npy"), array)
            made.append((".npy", path.with_suffix(".npy").read_bytes()))
        f = W.frequencies.numpy()[:, None]
        for compressed in (False, True):
            held = {"wt": (S + 0.1j).astype(complex), "f": f, "more": {"a": [1, 2], "b": "text"}}
            savemat(path.with_suffix(".mat"), held, do_compression=compressed)
            made.append((".mat", path.with_suffix(".mat").read_bytes()))
        savemat(path.with_suffix(".mat"), {"wt": S, "f": f}, format="4")
        made.append((".mat", path.with_suffix(".mat").read_bytes()))
        grey = np.uint8(255 * S / S.max())
        for picture in (Image.fromarray(grey), Image.fromarray(np.stack([grey] * 3, 2))):
            picture.save(path.with_suffix(".png"))
            made.append((".png", path.with_suffix(".png").read_bytes()))
    return made


# --- What is done to them -------------------------------------------------------------------------


def mutated(content, others, rng):
    """Change a file in one to four ways."""
    for _ in range(rng.integers(1, 5)):
        change = CHANGES[rng.integers(len(CHANGES))]
        content = change(content, others, rng)
    return content


def _number(content, others, rng):
    """Replace a number of the header by an unlikely one."""
    at = int(rng.integers(max(1, min(len(content), 200))))
    width = int(rng.choice([1, 2, 4, 8]))
    new = [
        bytes(width),
        b"\xff" * width,
        b"\x7f" + b"\xff" * (width - 1),
        b"\x01" + bytes(width - 1),
    ]
    new += [b"\xff" * (width - 1) + b"\x7f", bytes(width - 1) + b"\x01", rng.bytes(width)]
    return content[:at] + new[rng.integers(len(new))] + content[at + width :]


def _bits(content, others, rng):
    """Flip bits anywhere."""
    changed = bytearray(content)
    for at in rng.integers(max(len(content), 1), size=rng.integers(1, 30)):
        if at < len(changed):
            changed[at] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _end(content, others, rng):
    """Cut the end off."""
    return content[: rng.integers(len(content) + 1)]


def _beginning(content, others, rng):
    """Cut the beginning off, or put junk before it."""
    if rng.random() < 0.5:
        return content[rng.integers(min(len(content), 3000) + 1) :]
    return rng.bytes(int(rng.integers(1, 500))) + content


def _middle(content, others, rng):
    """Leave a part out, or repeat it."""
    first, last = sorted(rng.integers(len(content) + 1, size=2))
    if rng.random() < 0.5:
        return content[:first] + content[last:]
    return content[:last] + content[first:]


def _mixed(content, others, rng):
    """Go on as another file does."""
    other = others[rng.integers(len(others))][1]
    return content[: rng.integers(len(content) + 1)] + other[rng.integers(len(other)) :]


def _filled(content, others, rng):
    """Fill a part with one byte."""
    first, last = sorted(rng.integers(len(content) + 1, size=2))
    return (
        content[:first] + bytes([int(rng.choice([0, 255, 127]))]) * (last - first) + content[last:]
    )


CHANGES = (_number, _number, _number, _bits, _end, _beginning, _middle, _mixed, _filled)


def case(seed, number, files):
    """Make case `number`: an ending, and bytes."""
    rng = np.random.default_rng([seed, number])
    ending, content = files[rng.integers(len(files))]
    return ending, mutated(content, files, rng)


# --- What reads them ------------------------------------------------------------------------------


def readers(ending):
    """Return the functions that take the bytes of a file with this ending."""
    if ending == ".wav":
        return _upload, _load
    return (partial(_brought, ending),)


def _name(reader):
    return getattr(reader, "__name__", "brought")


def _upload(content):
    x, rate = session.open_sound("a.wav", content)
    assert torch.isfinite(x).all() and rate > 0
    return session.prepare(x, rate).x


def _load(content):
    return signals.load(io.BytesIO(content), seconds=60)[0]


def _brought(ending, content):
    return brought.read(f"a{ending}", content).M.S


def verdict(reader, content):
    """Read once; return None, or what was wrong in one line."""
    began = time.perf_counter()
    faulthandler.dump_traceback_later(3 * MOST_SECONDS, exit=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # ours: what was left out
            result = reader(content)
        wrong = None if bool(torch.isfinite(result).all()) else "values that are not finite"
    except (ValueError, TypeError) as error:
        wrong = _foreign(error)
    except Exception as error:
        wrong = f"{type(error).__name__}: {error} {_place(error)}"
    finally:
        faulthandler.cancel_dump_traceback_later()
    taken = time.perf_counter() - began
    return wrong or (f"{taken:.0f} s" if taken > MOST_SECONDS else None)


def _foreign(error):
    """Say where an error came from if it was raised elsewhere."""
    place = _place(error)
    return None if "scalinv_utils" in place else f"{type(error).__name__}: {error} {place}"


def _place(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"[{last.filename}:{last.lineno}]"


def peak(reset=False):
    """Return the most memory that this process had since the last reset."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    words = Path("/proc/self/status").read_text().split()
    return 1024 * int(words[words.index("VmHWM:") + 1])


def work(seed, first, last, files):
    """Try cases in this process, and write a line for each finding and for each beginning."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in range(first, last):
        print("case", number, flush=True)
        ending, content = case(seed, number, files)
        for reader in readers(ending):
            before = peak(reset=True)
            wrong = verdict(reader, content)
            if not wrong and peak() - before > MOST_MEMORY:
                wrong = f"{(peak() - before) / 1e6:.0f} MB"
            if wrong:
                print("found", number, _name(reader), wrong.replace("\n", " "), flush=True)
    print("end", flush=True)


# --- The whole run --------------------------------------------------------------------------------


def store(path):
    """Write the whole files to begin with, from which all processes make the same cases."""
    Path(path).write_bytes(pickle.dumps(seeds()))


def run(seed, minutes, stored, first=0, step=2000, most=float("inf")):
    """Try cases until the time is over; return how many there were, and the findings."""
    ends, number, found = time.time() + 60 * minutes, first, []
    while time.time() < ends and number - first < most:
        number, more = _process(seed, number, number + step, ends, stored)
        found += more
    return number - first, found


def _process(seed, first, last, ends, stored):
    """Run cases in a new process up to `last`, to the time `ends`, or to the end of the process."""
    command = [sys.executable, __file__, "--seed", str(seed), "--work", stored]
    number, found = first, []
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            [*command, "--case", str(first), "--last", str(last)],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            for line in process.stdout:
                word, *rest = line.split(" ", 1)
                if word == "case":
                    number = int(rest[0])
                    if time.time() > ends:
                        process.kill()
                        break
                elif word == "found":
                    found.append(rest[0].strip())
                elif word.strip() == "end":
                    number = last - 1
            ended = process.wait()
        errors.seek(0)
        said = errors.read().decode(errors="replace").strip()
        if said:
            found.append(f"{number} (or before) said: {said[-2000:]}")
        if ended != 0 and time.time() <= ends:
            found.append(f"{number} ended the process: {ended}")
    return number + 1, found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int)
    parser.add_argument("--last", type=int)
    parser.add_argument("--keep", help="write the file of --case here")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        files = pickle.loads(Path(given.work).read_bytes())
        return work(given.seed, given.case, given.last or given.case + 1, files)
    kept = given.keep and Path(given.keep).resolve()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # libsndfile looks for resource forks in the working folder
        stored = Path(folder) / "seeds"
        store(stored)
        if given.case is not None:
            ending, content = case(given.seed, given.case, pickle.loads(stored.read_bytes()))
            print(ending, len(content), "bytes")
            for reader in readers(ending):
                print(_name(reader), verdict(reader, content))
            if kept:
                kept.write_bytes(content)
            return None
        count, found = run(given.seed, given.minutes, str(stored))
    kinds = collections.Counter(line.split(" ", 1)[-1][:100] for line in found)
    print(*found, sep="\n")
    print(f"{count:,} cases in {given.minutes:g} minutes, {len(found)} findings")
    print(*(f"{n} x {kind}" for kind, n in kinds.most_common()), sep="\n")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
