"""Sizes are checked before arrays are made, against what machine, container and limit leave."""

import math
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from scalinv_utils import Scalogram, Scattering, _room
from scalinv_utils.course import signals
from scalinv_utils.measured import from_image, from_matlab, load

GIGABYTE = 10**9


@pytest.fixture
def one_gigabyte(monkeypatch):
    monkeypatch.setattr(_room, "available", lambda: GIGABYTE)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Scalogram(5_526_528, 48000), "n_samples and voices_per_octave"),
        (lambda: Scalogram(10**13), "n_samples and voices_per_octave"),
        (lambda: Scalogram(10**5, voices_per_octave=10**9), "n_samples and voices_per_octave"),
        (lambda: Scalogram(2**20, lowpass="signed"), "n_samples and voices_per_octave"),
        (
            lambda: Scalogram.from_frequencies(2**20, 8000, frequencies=range(1, 4000)),
            "n_samples and frequencies",
        ),
        (lambda: Scalogram(64).like(10**10), "n_samples and frequencies"),
        (lambda: Scattering(2**22), "n_samples, J and Q"),
        (lambda: Scattering(10**12, Q=(8, 2)), "n_samples, J and Q"),
        (lambda: Scalogram(64)(torch.zeros(1).double().expand(50_000, 64)), "x"),
        (lambda: signals.tones(10**13), "n_samples"),
        (lambda: signals.white_noise(10**13), "n_samples"),
        (lambda: signals.published_chirp(10**13), "n_samples"),
        (lambda: signals.clicks(10**13), "n_samples"),
        (lambda: signals.resample(np.zeros(1000), 1, 1e5), "new_rate"),
        (lambda: signals.resample(np.zeros((100, 1000)), 7, 8000), "new_rate"),
    ],
)
def test_what_does_not_fit_is_refused_before_it_is_made(call, words, one_gigabyte):
    tracemalloc.start()
    said = f"^{words} must leave room in memory: .* take .* GB, and 1 GB are free; .{{9}}"
    with pytest.raises(ValueError, match=said):
        call()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 60e6


def test_long_signals_are_sent_to_slices(one_gigabyte):
    with pytest.raises(
        ValueError, match="285 filters for 5,526,528 samples take 37.8 GB.*magnitude_of_long"
    ):
        Scalogram(5_526_528, 48000)


def test_what_fits_is_made(one_gigabyte):
    W = Scalogram(2**14, 8000, voices_per_octave=4)
    assert W(torch.zeros(20, 2**14)).shape == (20, *W.shape)


def test_filters_are_made_in_blocks():
    tracemalloc.start()
    W = Scalogram(2**17, 48000, voices_per_octave=4)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Rows at all frequencies, and a few blocks; they were held four times.
    assert peak < 1.6 * 8 * W.n_freqs * W.n_samples + 8 * 8 * 2**20


def test_small_arrays_are_made_without_a_question(monkeypatch):
    monkeypatch.setattr(_room, "available", lambda: pytest.fail("it was asked"))
    _room.check_room(2**20, "x", "its values", "take fewer")


@pytest.mark.parametrize(
    ("files", "limit", "expected"),
    [
        ({"/proc/meminfo": ["MemTotal: 9 kB", "MemAvailable: 8 kB"]}, None, 8192),
        (
            {
                "/proc/meminfo": ["MemAvailable: 8 kB"],
                "/sys/fs/cgroup/memory.max": ["5000"],
                "/sys/fs/cgroup/memory.current": ["3000"],
                "/sys/fs/cgroup/memory.stat": ["file 900", "inactive_file 700"],
            },
            None,
            2700,
        ),
        (
            {
                "/proc/meminfo": ["MemAvailable: 8 kB"],
                "/sys/fs/cgroup/memory.max": ["max"],
                "/sys/fs/cgroup/memory.current": ["3000"],
            },
            None,
            8192,
        ),
        (
            {
                "/proc/meminfo": ["MemAvailable: 8 kB"],
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": ["1000"],
                "/sys/fs/cgroup/memory/memory.usage_in_bytes": ["4000"],
            },
            None,
            0,
        ),
        ({"/proc/meminfo": ["MemAvailable: 8 kB"], "/proc/self/statm": ["1 1"]}, 7000, 7000 - 4096),
    ],
)
def test_the_smallest_of_what_is_left_counts(files, limit, expected, monkeypatch):
    import resource

    most = resource.RLIM_INFINITY if limit is None else limit
    monkeypatch.setattr(resource, "getrlimit", lambda which: (most, most))
    monkeypatch.setattr(resource, "getpagesize", lambda: 4096)
    monkeypatch.setattr(_room, "_lines", lambda path: files.get(path, []))
    assert _room.available() == expected and _room.room() == expected // 2


def test_a_system_that_says_nothing_is_taken_for_a_small_one(monkeypatch):
    monkeypatch.setattr(_room, "_lines", lambda path: [])
    monkeypatch.setattr("os.sysconf", lambda name: 2**21 if "PAGES" in name else 2**12)
    assert _room.available() == 2**33
    monkeypatch.delattr("os.sysconf")
    assert _room.available() == _room.ASSUMED


def bomb(path, shape):
    """Write a small .npz that holds so many zeros."""
    np.savez_compressed(path, S=np.zeros(shape))


def test_a_small_npz_of_many_zeros_is_refused(tmp_path, monkeypatch):
    bomb(tmp_path / "a.npz", (2000, 10_000))
    assert (tmp_path / "a.npz").stat().st_size < 2e5
    monkeypatch.setattr(_room, "available", lambda: 10**8)
    with pytest.raises(
        ValueError,
        match="path must leave room .*what is made of them take 0.64 GB",
    ):
        load(tmp_path / "a.npz", Scalogram(64))


def test_many_arrays_count_together(tmp_path, monkeypatch):
    part = np.zeros(4_000_000)  # each of them would be made without a question
    np.savez_compressed(tmp_path / "a.npz", S=part, a=part, b=part, c=part)
    monkeypatch.setattr(_room, "available", lambda: 10**8)
    with pytest.raises(
        ValueError, match="path must leave room .* take 0.512 GB.*Measured takes its"
    ):
        load(tmp_path / "a.npz", Scalogram(64))


def test_of_many_names_the_first_are_told(tmp_path):
    names = {f"v{k}": np.zeros(1) for k in range(1001)}
    np.savez(tmp_path / "a.npz", **names)
    with pytest.raises(ValueError, match=r"holds v0.npy, .*, v9.npy and 991 more$"):
        load(tmp_path / "a.npz", Scalogram(64))
    savemat(tmp_path / "a.mat", {f"v{k}": np.zeros(1) for k in range(12)})
    with pytest.raises(ValueError, match="with v0, .*, v9 and 2 more$"):
        from_matlab(tmp_path / "a.mat", sample_rate=8000)


def test_a_small_mat_of_many_zeros_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.mat"
    savemat(path, {"wt": np.zeros((500, 20_000)), "f": [1.0]}, do_compression=True)
    assert path.stat().st_size < 1e5
    monkeypatch.setattr(_room, "available", lambda: 10**8)
    with pytest.raises(ValueError, match="it must leave room in memory: its variable 'wt'"):
        from_matlab(path, sample_rate=8000)


def test_a_small_picture_of_many_pixels_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (3000, 3000)).save(path)
    assert path.stat().st_size < 2e4
    monkeypatch.setattr(_room, "available", lambda: 10**8)
    with pytest.raises(ValueError, match="path must leave room in memory: its pixels take"):
        from_image(path, sample_rate=8000, seconds=1, f_min=50, f_max=4000)


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_a_header_that_promises_more_than_there_is_is_refused(tmp_path, ending):
    path, S = tmp_path / f"a{ending}", np.ones((24, 64))
    (np.save if ending == ".npy" else np.savez)(path, S)
    content = path.read_bytes()
    assert content.count(b"(24, 64)") == 1
    path.write_bytes(content.replace(b"(24, 64)", b"(99, 64)"))
    with pytest.raises(ValueError, match="path must be an .npy or .npz.*promises 50,688 bytes"):
        load(path, Scalogram(64))


def test_numbers_of_bytes_are_compared_as_they_are():
    with pytest.raises(ValueError, match="x must leave room in memory"):
        _room.check_room(math.inf, "x", "its values", "take fewer")


def test_a_part_of_the_memory_is_given_for_a_while(monkeypatch):
    monkeypatch.setattr(_room, "_of_machine", lambda: 10**9)
    for name in ("_of_container", "_of_process"):
        monkeypatch.setattr(_room, name, lambda: None)
    with _room.at_most(10**6):
        with _room.at_most(10**5):
            assert _room.available() == 10**5 and _room.room() == 50_000
        assert _room.available() == 10**6
        with pytest.raises(ValueError, match="and 0.001 GB are given to a file here; take fewer"):
            _room.check_room(2**26 + 1, "x", "its values", "take fewer")
        _room.check_room(2**26, "x", "its values", "take fewer")  # not worth a question
    assert _room.available() == 10**9
    _room.check_room(10**9, "x", "its values", "take fewer")
    with pytest.raises(ValueError, match="take 1.1 GB, and 1 GB are free"):
        _room.check_room(1.1e9, "x", "its values", "take fewer")
    monkeypatch.setattr(_room, "_of_machine", lambda: None)
    assert _room.available() == 4 * 2**30
    with _room.at_most(10**5):
        assert _room.available() == 10**5
