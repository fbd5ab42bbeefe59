"""Small files that hold very much take little memory when the app opens them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy.io import savemat

from scalinv_utils._room import at_most, available, check_room

MOST = 300e6

# It reads files by their names, and writes the most memory above what it had before, in bytes.
PROGRAM = """
import sys, warnings
from pathlib import Path
from scalinv_utils.app import brought, session

def told(word):
    words = Path("/proc/self/status").read_text().split()
    return 1024 * int(words[words.index(word) + 1])

def opened(path):
    if path.suffix == ".flac":
        x, rate = session.open_sound(path.name, path.read_bytes())
        session.prepare(x, rate)
    else:
        brought.read(path.name, path.read_bytes())

for path in map(Path, sys.argv[1:]):
    Path("/proc/self/clear_refs").write_text("5")
    before, said = told("VmRSS:"), "read"
    try:
        opened(path)
    except ValueError as error:
        said = str(error)
    print(path.name, told("VmHWM:") - before, said, sep="|")
"""


def silence(path):
    """Write a sound of 40 million samples at the highest rate."""
    with soundfile.SoundFile(path, "w", 655350, 1, "PCM_16", format="FLAC") as file:
        for _ in range(10):
            file.write(np.zeros(4_000_000, np.int16))


def zeros(path):
    np.savez_compressed(path, S=np.zeros((6000, 10_000), np.int8))


def matrix(path):
    held = {"wt": np.zeros((6000, 10_000), np.int8), "f": np.arange(1.0, 6001.0)}
    savemat(path, held, do_compression=True)


def black(path):
    Image.new("L", (12_000, 12_000)).save(path)


WORST = {
    "a.flac": (silence, "silent"),
    "b.npz": (zeros, "must leave room"),
    "c.mat": (matrix, "must leave room"),
    "d.png": (black, "must leave room"),
}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_small_files_that_hold_much_take_little_memory(tmp_path):
    for name, (make, _) in WORST.items():
        make(tmp_path / name)
        assert (tmp_path / name).stat().st_size < 1e6
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(str(tmp_path / name) for name in WORST)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("|") for line in done.stdout.splitlines()]
    assert [name for name, _, _ in lines] == list(WORST)
    for name, peak, said in lines:
        assert WORST[name][1] in said and int(peak) < MOST, (name, peak, said)


def test_what_is_given_to_a_file_counts_as_all_that_is_free():
    with at_most(1e8):
        assert available() <= 1e8
        with pytest.raises(ValueError, match="take 0.2 GB, and 0.1 GB are given to a file here"):
            check_room(2e8, "S", "its numbers", "cut it")
    assert available() > 1e8
    check_room(2e8, "S", "its numbers", "cut it")
