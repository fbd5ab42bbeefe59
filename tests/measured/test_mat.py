"""The reader of .mat files agrees with scipy's on whole files, and has a sentence for others."""

import io
import struct
import warnings
import zlib

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from scalinv_utils.measured import _mat, from_matlab
from scalinv_utils.measured._mat import variables

RNG = np.random.default_rng(3)
ARRAYS = {
    "real": RNG.standard_normal((5, 7)),
    "single": RNG.standard_normal((5, 7)).astype(np.float32),
    "complex": RNG.standard_normal((4, 3)) + 1j * RNG.standard_normal((4, 3)),
    "row": np.arange(3.0),
    "one": np.array([[2.5]]),
    "cube": RNG.standard_normal((2, 3, 4)),
    "empty": np.zeros((0, 3)),
    **{kind: np.arange(-4, 8).reshape(3, 4).astype(kind) for kind in ("i1", "u1", "i2", "u2")},
    **{kind: np.arange(-4, 8).reshape(3, 4).astype(kind) for kind in ("i4", "u4", "i8", "u8")},
}
OTHERS = {"words": "some text", "nested": {"a": [1, 2]}, "cells": np.array(["a", 1], object)}


def saved(held, **options):
    file = io.BytesIO()
    savemat(file, held, **options)
    return file.getvalue()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_read_as_scipy_reads_them(name, compressed):
    content = saved({**OTHERS, **ARRAYS}, do_compression=compressed)
    held = variables(io.BytesIO(content), (name,))
    expected = loadmat(io.BytesIO(content))[name]
    assert np.array_equal(held[name], expected) and held[name].shape == expected.shape
    assert set(held) == {*OTHERS, *ARRAYS}
    assert [other for other, array in held.items() if array is not None] == [name]


@pytest.mark.parametrize("name", ["real", "single", "complex", "one", "i4", "u2", "i2"])
def test_arrays_of_version_4_are_read_as_scipy_reads_them(name):
    content = saved({"words": "some text", name: ARRAYS[name]}, format="4")
    held = variables(io.BytesIO(content), (name,))
    assert np.array_equal(held[name], loadmat(io.BytesIO(content))[name])
    assert held["words"] is None


def test_whole_numbers_and_big_endian_files_are_read():
    # What MATLAB writes for wt = [1 2; 3 4] on a big-endian machine: doubles stored as bytes.
    def element(kind, content):
        return struct.pack(">II", kind, len(content)) + content.ljust(8, b"\0")

    matrix = element(6, struct.pack(">II", 6, 0)) + element(5, struct.pack(">ii", 2, 2))
    matrix += struct.pack(">HH", 2, 1) + b"wt\0\0" + struct.pack(">HH", 4, 2) + bytes([1, 3, 2, 4])
    content = bytes(124) + b"\x01\x00MI" + struct.pack(">II", 14, len(matrix)) + matrix
    with pytest.raises(ValueError, match="breaks off"):
        variables(io.BytesIO(content[:-3]), ("wt",))
    wt = variables(io.BytesIO(content), ("wt",))["wt"]
    assert wt.dtype == np.float64 and wt.tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "holds no variable"),
        (bytes(128), "no version that is known"),
        (bytes(124) + b"\x00\x01IM", "holds no variable"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "version 7.3"),
        (bytes(124) + b"\x00\x02IM" + bytes(40), "version 7.3"),
        (saved({"wt": np.eye(3)})[:-10], "breaks off"),
        (saved({"wt": np.eye(9)}, do_compression=True)[:-10], "breaks off"),
        (saved({"wt": "text", "f": [1.0]}), "wt must be a matrix of numbers"),
        (saved({"f": [1.0]}), "variable 'wt', got .*a.mat with f"),
    ],
)
def test_other_files_are_refused(content, words, tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises((ValueError, TypeError), match=words):
        from_matlab(path, sample_rate=8000)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}])
def test_damage_anywhere_is_read_or_refused(options):
    content = saved({"wt": np.eye(3), "f": np.arange(3.0)}, **options)
    outcomes = set()
    for at in range(len(content)):
        for byte in (0, 1, 127, 255, content[at] ^ 1):
            damaged = content[:at] + bytes([byte]) + content[at + 1 :]
            try:
                outcomes.add(len(variables(io.BytesIO(damaged), ("wt", "f"))))
            except ValueError as error:
                outcomes.add(str(error).split(" ")[0])
    assert {2, "it"} <= outcomes <= {0, 1, 2, "it", "what", ""}


@pytest.mark.parametrize("version", ["4", "5"])
def test_infinite_parts_are_read_without_a_word(tmp_path, version):
    path, wt = tmp_path / "a.mat", np.array([[1 + 2j, complex(0, np.inf), complex(np.inf, 1)]])
    savemat(path, {"wt": wt}, format=version)
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("error")
        read = variables(file, ("wt",))["wt"]
    assert read.real.tolist() == wt.real.tolist() and read.imag.tolist() == wt.imag.tolist()


def old(kind=0, shape=(1, 2), imaginary=0, name=b"wt\0", order="<", numbers=(3.0, 4.0)):
    """A variable of version 4: byte order, zero, type and form are the digits of its kind."""
    head = struct.pack(order + "5i", kind, *shape, imaginary, len(name))
    return io.BytesIO(head + name + struct.pack(f"{order}{len(numbers)}d", *numbers))


def test_variables_of_version_4_may_be_empty_or_come_from_another_machine():
    for file in (old(), old(1000, order=">"), old(name=b"wt".ljust(256, b"\0"))):
        assert variables(file, ("wt",))["wt"].tolist() == [[3, 4]]
    assert variables(old(shape=(1, 1), imaginary=1), ("wt",))["wt"].tolist() == [[3 + 4j]]
    assert variables(old(shape=(0, 3), numbers=()), ("wt",))["wt"].shape == (0, 3)
    assert variables(old(shape=(2, 0), numbers=()), ("wt",))["wt"].shape == (2, 0)
    for form in (1, 2):  # text, sparse
        assert variables(old(form), ("wt",)) == {"wt": None}


@pytest.mark.parametrize(
    "said",
    [
        {"kind": 2000, "order": ">"},  # a machine that is gone
        {"kind": 100},
        {"kind": 60},
        {"kind": 3},
        {"kind": 5000},
        {"imaginary": 2},
        {"imaginary": -1},
        {"shape": (-1, 2)},
        {"shape": (2, -1)},
        {"name": b"w"},  # its end is a zero
        {"name": b"wt".ljust(257, b"\0")},
    ],
    ids=str,
)
def test_other_heads_are_of_no_version(said):
    with pytest.raises(ValueError, match="no version that is known"):
        variables(old(**said), ("wt",))


def test_room_is_asked_for_what_is_made_of_a_variable(monkeypatch):
    asked = []
    monkeypatch.setattr(_mat, "check_room", lambda *said: asked.append(said[:3]))
    made = "its variable 'wt' and what is made of it"
    variables(old(shape=(3, 2), numbers=6 * [1.0]), ("wt",))
    assert asked == [(4 * 6 * 8, "it", made), (64 * 6, "it", made)]
    asked.clear()
    variables(old(shape=(3, 1), numbers=6 * [1.0], imaginary=1), ("wt",))
    assert asked == [(4 * 6 * 8, "it", made), (64 * 3, "it", made)]
    asked.clear()
    variables(io.BytesIO(saved({"wt": np.zeros((10, 20), "u1")})), ("wt",))
    assert asked == [(4 * 8 * 200, "it", made)]


def element_of(kind, content):
    return struct.pack("<II", kind, len(content)) + content


@pytest.mark.parametrize(
    "more, words",
    [
        (element_of(5, bytes(8)), None),  # no matrix: it is passed over
        (element_of(15, zlib.compress(element_of(5, bytes(8)))), "an element of type 5 where a"),
        (b"\x0e\0\0\0", "it breaks off within a tag"),
        (element_of(14, bytes(8))[:-2], "it breaks off within"),
    ],
)
def test_files_that_break_off_or_hold_no_matrix_are_told(more, words):
    content = saved({"one": ARRAYS["one"]}) + more
    if words is None:
        assert list(variables(io.BytesIO(content), ())) == ["one"]
        return
    with pytest.raises(ValueError, match=words):
        variables(io.BytesIO(content), ())
