"""Small files that hold very much take little memory when the app opens them."""

import struct
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile
from PIL import Image
from scipy.io import savemat

from scalinv_utils import Scalogram
from scalinv_utils._room import at_most, available, check_room, for_file
from scalinv_utils.measured import Measured, load, save
from scalinv_utils.tools._scalograms import _described

MOST = 300e6

# It reads files by their names, and writes the most memory above what it had before, in bytes.
PROGRAM = """
import sys, warnings
from pathlib import Path
from scalinv_utils.app import brought, session
from scalinv_utils.course import signals
from scalinv_utils.measured import from_image
from scalinv_utils.tools._scalograms import arrays_in, chosen

def told(word):
    words = Path("/proc/self/status").read_text().split()
    return 1024 * int(words[words.index(word) + 1])

def opened(path):
    if path.suffix == ".flac":
        x, rate = session.open_sound(path.name, path.read_bytes())
        session.prepare(x, rate)
    elif path.suffix == ".ogg":
        signals.load(path)
    elif path.suffix == ".h5":
        with arrays_in(path) as held:
            chosen(held, None, path)
    elif path.suffix in brought.SUFFIXES:
        brought.read(path.name, path.read_bytes(), sample_rate=8000, f_max=3900)
    else:
        from_image(path, sample_rate=8000, seconds=0.256, f_min=50, f_max=3900)

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


def hours(path):
    with soundfile.SoundFile(path, "w", 48000, 1, "VORBIS", format="OGG") as file:
        for _ in range(35):
            file.write(np.zeros(1_000_000))


def greedy(path):
    """Write a compression that asks for 4 GB to look back."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        file.writestr("S.npy", bytes(1000))
    content = path.read_bytes()
    at = content.index(b"S.npy") + 10
    path.write_bytes(content[:at] + b"\xff" * 4 + content[at + 4 :])


def full(path):
    np.savez_compressed(path, S=np.ones((1200, 2048)))


def none(path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (0, 10000000000000000000000)}\n"
    path.write_bytes(b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header)


def doubled(path):
    """Write a matrix that is extended to twice its length."""
    held = {"wt": np.ones((770, 1600)), "f": np.geomspace(3900, 100, 770)}
    savemat(path, held, do_compression=True)


def endless(path):
    W = Scalogram.from_frequencies(1024, 8000, frequencies=np.geomspace(3900, 2500, 20))
    with h5py.File(path, "w") as file:
        S = file.create_dataset("S", (20, 10**13), "f4", chunks=(20, 1024), compression="gzip")
        S.attrs["transform"] = _described(W)


def one_chunk(path):
    with h5py.File(path, "w") as file:
        chunk = (20, 2**22)
        S = file.create_dataset("S", chunk, "f4", chunks=chunk, compression="gzip")
        S[0, 0] = 1


def matrix(path):
    held = {"wt": np.zeros((6000, 10_000), np.int8), "f": np.arange(1.0, 6001.0)}
    savemat(path, held, do_compression=True)


def black(path):
    Image.new("L", (12_000, 12_000)).save(path)


def drawn(size, mode="L", **options):
    """Return a function that writes a picture whose columns differ."""

    def write(path):
        greys = np.random.default_rng(0).integers(0, 256, size[0]).astype(np.uint8)
        picture = Image.fromarray(np.tile(greys, (size[1], 1))).convert(mode)
        picture.save(path, **options)

    return write


def clear(path):
    Image.new("RGBA", (1250, 1250)).save(path)


def promising(at, sizes, **options):
    """Return a function that writes a picture and changes its size in the header."""

    def write(path):
        drawn((64, 64), **options)(path)
        content = path.read_bytes()
        place = content.index(b"\xff\xc2") + 5 if at is None else at
        path.write_bytes(content[:place] + sizes + content[place + len(sizes) :])

    return write


def run_lengths(path):
    """Write a BMP of 30,000 x 30,000 pixels in runs, of which a few are there."""
    header = struct.pack("<IiiHHIIiiII", 40, 30_000, 30_000, 1, 8, 1, 2000, 0, 0, 256, 0)
    start = b"BM" + struct.pack("<IHHI", 3078, 0, 0, 1078)
    path.write_bytes(start + header + bytes(1024) + b"\xff\0" * 1000)


def strips(path):
    Image.new("L", (12_000, 12_000)).save(path, compression="tiff_deflate")


def tile(path):
    """Write a TIFF of 64 x 64 pixels that is stored as a part of a tile of 20,000 x 20,000."""
    packed = zlib.compressobj()
    content = b"".join(packed.compress(bytes(20_000)) for _ in range(20_000)) + packed.flush()
    tags = {256: 64, 257: 64, 258: 8, 259: 8, 262: 1, 277: 1, 322: 20_000, 323: 20_000}
    tags |= {324: 8 + 2 + 12 * 10 + 4, 325: len(content)}
    listed = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", 10) + listed + bytes(4) + content)


def pages(path):
    page = Image.new("L", (64, 64), 255)
    page.putpixel((0, 0), 0)
    page.save(path, save_all=True, append_images=[page] * 300)


REFUSED = "must leave room"
NO_PICTURE = "must be a picture that pillow can open"
WORST = {
    "a.flac": (silence, "silent"),
    "b.npz": (zeros, REFUSED),
    "c.mat": (matrix, REFUSED),
    "d.png": (black, REFUSED),
    "hours.ogg": (hours, "load(path, seconds=...) reads the beginning"),
    "greedy.npz": (greedy, "must be an .npy or .npz file"),
    "full.npz": (full, "read"),
    "none.npy": (none, "must be an .npy or .npz file"),
    "doubled.mat": (doubled, "read"),
    "endless.h5": (endless, "its samples take 2.4e+05 GB"),
    "one_chunk.h5": (one_chunk, "store it in smaller chunks"),
    "deep.png": (drawn((1400, 1100), "I;16"), "read"),
    "wide.png": (drawn((1400, 1100), "RGB"), "read"),
    "tall.png": (drawn((300, 4900)), "seconds must leave room"),
    "clear.png": (clear, "a picture that can be seen"),
    "a.webp": (drawn((5000, 5000), lossless=True), REFUSED),
    "a.tif": (strips, REFUSED),
    "a.gif": (promising(6, b"\x88\x13" * 2), REFUSED),
    "canvas.gif": (promising(6, b"\xff" * 4), NO_PICTURE),
    "a.jpg": (promising(None, b"\xfd\xe8" * 2, progressive=True), NO_PICTURE),
    "a.bmp": (run_lengths, NO_PICTURE),
    "tile.tif": (tile, REFUSED),
    "pages.tiff": (pages, "read"),
}


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux tells the peak")
def test_small_files_that_hold_much_take_little_memory(tmp_path):
    for name, (make, _) in WORST.items():
        make(tmp_path / name)
        assert (tmp_path / name).stat().st_size < 3e6
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


def test_a_file_that_save_wrote_is_read_whatever_it_holds(tmp_path):
    W = Scalogram.from_frequencies(8192, 8000, frequencies=np.geomspace(3900, 100, 310))
    S = np.ones((310, 128))
    save(Measured(S, W, hop=64), tmp_path / "S.npz")
    assert load(tmp_path / "S.npz").S.shape == S.shape
    np.savez_compressed(tmp_path / "T.npz", S=S)
    with pytest.raises(ValueError, match="numpy.load reads the file, and Measured takes its array"):
        load(tmp_path / "T.npz", W, hop=64)
    assert load(tmp_path / "T.npz", W.like(1024), hop=8).S.shape == S.shape


def test_limits_within_limits():
    with at_most(1e8), for_file(1000):
        assert available() <= 1e8
    with for_file(1000, "cut it"), pytest.raises(ValueError, match="to a file here; cut it"):
        check_room(3e8, "S", "its numbers", "wait")
    with for_file(10**9, "cut it"):
        check_room(3e8, "S", "its numbers", "wait")


def test_what_is_given_to_a_file_counts_as_all_that_is_free():
    with at_most(1e8):
        assert available() <= 1e8
        with pytest.raises(ValueError, match="take 0.2 GB, and 0.1 GB are given to a file here"):
            check_room(2e8, "S", "its numbers", "cut it")
    assert available() > 1e8
    check_room(2e8, "S", "its numbers", "cut it")
