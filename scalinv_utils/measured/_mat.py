"""Read arrays of numbers from .mat files of the versions 4 to 7, and from nothing else.

scipy reads these files, too, but a damaged one ends the process, and a file may come from anywhere.
Here each length is compared with what is there before it is used. The format is that of MATLAB's
"MAT-File Format" (The MathWorks, R2024a):

    version 5 to 7    128 bytes of header, then elements (type, length, content, filled up to 8)
                      a matrix is an element that holds elements: flags, dimensions, name, numbers
                      a compressed element holds one element more
    version 4         matrices of 20 bytes of header, the name, and the numbers
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from .._room import check_room

__all__ = ["OtherFormat", "variables"]

# The types of numbers in elements, and of matrices of version 4, as numpy spells them.
NUMBERS = dict(zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "i1 u1 i2 u2 i4 u4 f4 f8 i8 u8".split()))
OLD_NUMBERS = {0: "f8", 1: "f4", 2: "i4", 3: "i2", 4: "u2", 5: "u1"}

MATRIX, COMPRESSED = 14, 15

# The classes of matrices that hold numbers. MATLAB stores whole numbers of any class as integers.
CLASSES = dict(zip(range(6, 16), "f8 f4 i1 u1 i2 u2 i4 u4 i8 u8".split()))
IS_COMPLEX = 0x0800

# Flags, dimensions and name stand in so many bytes of a matrix.
BEGINNING = 2**12

# The advice for a variable that does not fit into memory.
CUT = "cut it into pieces"

# A name or a number of axes beyond these is damage.
LONGEST_NAME, MOST_AXES = 256, 32


class OtherFormat(ValueError):
    """Say that a file is of version 7.3, which is another format."""


class Part(NamedTuple):
    """A stretch of bytes that is read from its beginning, in one order of bytes."""

    content: bytes
    order: str

    def numbers(self, kind: str, at: int, count: int) -> np.ndarray:
        """Return numbers, or raise if the part ends before them."""
        dtype = np.dtype(self.order + kind)
        if at + count * dtype.itemsize > len(self.content):
            raise ValueError("it breaks off within an array")
        return np.frombuffer(self.content, dtype, count, at)


def variables(file: BinaryIO, wanted: tuple[str, ...]) -> dict[str, np.ndarray | None]:
    """Read the wanted variables; of others, and of those that hold no numbers, only the name.

    Raises
    ------
    OtherFormat
        If the file is of version 7.3.
    ValueError
        If it is no .mat file, is damaged, or a variable does not fit into memory.
    """
    head = file.read(128)
    if head[:8] == b"\x89HDF\r\n\x1a\n" or head[124:126] in (b"\x00\x02", b"\x02\x00"):
        raise OtherFormat
    if len(head) == 128 and head[126:] in (b"IM", b"MI"):
        found = _matrices(file, "<" if head[126:] == b"IM" else ">")
    else:
        file.seek(0)
        found = _old_matrices(file)
    held: dict[str, np.ndarray | None] = {}
    for matrix in found:
        try:
            name, array = matrix.read(wanted)
        except zlib.error as error:
            raise ValueError(f"what is compressed is damaged: {error}") from None
        held[name] = array
    if not held:
        raise ValueError("it holds no variable")
    return held


class Matrix(NamedTuple):
    """A variable of version 5 to 7 that is still packed."""

    content: bytes
    order: str
    is_compressed: bool

    def read(self, wanted: tuple[str, ...]) -> tuple[str, np.ndarray | None]:
        """Unpack the name, and the numbers if they are wanted."""
        beginning = self._unpacked(8 + BEGINNING)
        kind, n_bytes = _tag(beginning, 0)
        if kind != MATRIX:
            raise ValueError(f"it holds an element of type {kind} where a matrix should be")
        _, flags, at = _element(beginning, 8)
        _, shape, at = _element(beginning, at)
        _, name, _ = _element(beginning, at)
        told = name.content.decode("latin-1")
        bits = int(flags.numbers("u4", 0, 1)[0])
        if told not in wanted or bits & 0xFF not in CLASSES:
            return told, None
        sizes = shape.numbers("i4", 0, len(shape.content) // 4).tolist()
        # Whole numbers are stored in few bytes, one at least for each.
        count = min(math.prod(map(abs, sizes)), n_bytes) * (1 + bool(bits & IS_COMPLEX))
        n_values = 4.0 * max(n_bytes, 8 * count)
        check_room(n_values, "it", f"its variable {told!r} and what is made of it", CUT)
        array = _array(self._unpacked(8 + n_bytes), at, shape, bool(bits & IS_COMPLEX))
        return told, array if bits & IS_COMPLEX else array.astype(CLASSES[bits & 0xFF])

    def _unpacked(self, n_bytes: int) -> Part:
        if not self.is_compressed:
            return Part(self.content, self.order)
        return Part(zlib.decompressobj().decompress(self.content, n_bytes), self.order)


def _array(part: Part, at: int, shape: Part, is_complex: bool) -> np.ndarray:
    """Read the numbers of a matrix, whose name stands at `at`."""
    n_axes = len(shape.content) // 4
    if not 2 <= n_axes <= MOST_AXES:
        raise ValueError(f"it has a matrix of {n_axes} axes")
    sizes = shape.numbers("i4", 0, n_axes).tolist()
    if min(sizes) < 0:
        raise ValueError(f"it has a matrix of the shape {tuple(sizes)}")
    _, _, at = _element(part, at)
    values, at = _numbers(part, at, math.prod(sizes))
    if is_complex:
        values = _complex(values, _numbers(part, at, math.prod(sizes))[0])
    return values.reshape(sizes, order="F")


def _complex(real: np.ndarray, imaginary: np.ndarray) -> np.ndarray:
    """Join two parts; 1j times infinity would be NaN, with a warning."""
    joined = np.empty(len(real), complex)
    joined.real, joined.imag = real, imaginary
    return joined


def _numbers(part: Part, at: int, count: int) -> tuple[np.ndarray, int]:
    """Read one element of numbers, and the place after it."""
    kind, content, after = _element(part, at)
    if kind not in NUMBERS:
        raise ValueError(f"it has an array of the unknown type {kind}")
    return content.numbers(NUMBERS[kind], 0, count), after


def _tag(part: Part, at: int) -> tuple[int, int]:
    kind, n_bytes = part.numbers("u4", at, 2).tolist()
    return kind, n_bytes


def _element(part: Part, at: int) -> tuple[int, Part, int]:
    """Return the type of an element, its content, and the place of the next one."""
    kind, n_bytes = _tag(part, at)
    if kind >> 16:  # a small element has both numbers in the first four bytes
        kind, n_bytes = kind & 0xFFFF, kind >> 16
        begin, after = at + 4, at + 8
    else:
        begin = at + 8
        after = begin + n_bytes + -n_bytes % 8
    if begin + n_bytes > len(part.content):
        raise ValueError("it breaks off within an element")
    return kind, Part(part.content[begin : begin + n_bytes], part.order), after


def _matrices(file: BinaryIO, order: str) -> Iterator[Matrix]:
    """Generate the variables of a file of version 5 to 7."""
    while tag := file.read(8):
        if len(tag) < 8:
            raise ValueError("it breaks off within a tag")
        kind, n_bytes = struct.unpack(order + "II", tag)
        content = file.read(n_bytes)
        if len(content) < n_bytes:
            raise ValueError("it breaks off within a variable")
        if kind == COMPRESSED:
            yield Matrix(content, order, True)
        elif kind == MATRIX:
            yield Matrix(tag + content, order, False)
        # Other elements hold no variable: those of MATLAB's objects, for example.


class OldMatrix(NamedTuple):
    """A variable of version 4."""

    name: str
    numbers: Part
    kind: str | None
    shape: tuple[int, int]
    is_complex: bool

    def read(self, wanted: tuple[str, ...]) -> tuple[str, np.ndarray | None]:
        """Return the name, and the numbers if they are wanted."""
        if self.name not in wanted or self.kind is None:
            return self.name, None
        count = math.prod(self.shape)
        check_room(64.0 * count, "it", f"its variable {self.name!r} and what is made of it", CUT)
        values = self.numbers.numbers(self.kind, 0, count * (1 + self.is_complex))
        if self.is_complex:
            values = _complex(values[:count], values[count:])
        return self.name, values.reshape(self.shape, order="F")


def _old_matrices(file: BinaryIO) -> Iterator[OldMatrix]:
    """Generate the variables of a file of version 4."""
    while head := file.read(20):
        if len(head) < 20:
            raise ValueError("it is of no version that is known")
        order = "<" if struct.unpack("<i", head[:4])[0] in range(5000) else ">"
        kind, n_rows, n_columns, imaginary, n_letters = struct.unpack(order + "5i", head)
        thousands, hundreds, tens, ones = (kind // 10**k % 10 for k in (3, 2, 1, 0))
        is_one = (
            0 <= kind < 5000
            and hundreds == 0
            and tens in OLD_NUMBERS
            and ones in (0, 1, 2)
            and imaginary in (0, 1)
            and min(n_rows, n_columns) >= 0
            and 1 < n_letters <= LONGEST_NAME
        )
        if not is_one or thousands > 1:  # others are byte orders of machines that are gone
            raise ValueError("it is of no version that is known")
        name = file.read(n_letters).rstrip(b"\0").decode("latin-1")
        dtype = np.dtype(order + OLD_NUMBERS[tens])
        n_bytes = n_rows * n_columns * (1 + imaginary) * dtype.itemsize
        check_room(4.0 * n_bytes, "it", f"its variable {name!r} and what is made of it", CUT)
        numbers = Part(file.read(n_bytes), order)
        is_full = OLD_NUMBERS[tens] if ones == 0 else None  # 1: text, 2: sparse
        yield OldMatrix(name, numbers, is_full, (n_rows, n_columns), bool(imaginary))
