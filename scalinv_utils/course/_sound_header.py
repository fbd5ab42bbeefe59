"""Look at the first bytes of sound files: lengths that a writer left out, MP3 streams without a
beginning, and formats that libsndfile does not read.
"""

import io
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

__all__ = ["foreign", "may_be_mp3", "repaired"]

# An MP3 stream is searched for in so many bytes; a frame has at most 1,441.
SEARCHED = 2**16

# So many headers in a row, each where the one before says, are no accident.
FRAMES_IN_A_ROW = 3

# Files that are brought as sounds, and are of other kinds: (offset, first bytes, name).
FOREIGN = (
    (4, b"ftyp", "MP4, M4A or 3GP"),
    (0, b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (0, b"\x30\x26\xb2\x75", "WMA or ASF"),
    (0, b"#!AMR", "AMR"),
    (0, b"MThd", "MIDI, which holds notes and no sound"),
    (8, b"AVI ", "AVI"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b"wvpk", "WavPack"),
    (0, b"DSD ", "DSD"),
    (0, b"FRM8", "DSD"),
    (0, b"ADIF", "AAC"),
    (0, b"\xff\xf1", "AAC"),
    (0, b"\xff\xf9", "AAC"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"%PDF", "PDF"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
)

# The beginnings of files that are no MP3 streams.
OTHER_SOUNDS = (
    *(b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b"caff"),
    *(b".snd", b"dns.", b"fLaC", b"OggS"),
)

# kbit/s by [MPEG 1 or not][layer - 1], and Hz by version (0: MPEG 2.5, 2: MPEG 2, 3: MPEG 1).
BIT_RATES = {
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
MPEG_RATES = {
    0: (11025, 12000, 8000),
    2: (22050, 24000, 16000),
    3: (44100, 48000, 32000),
}


def foreign(source: BinaryIO) -> str | None:
    """Name the format of a file that libsndfile does not read, with the way out; None if unknown.

    Examples
    --------
    >>> foreign(io.BytesIO(b"MThd" + bytes(10)))[:51]
    'its format is MIDI, which holds notes and no sound;'
    """
    head = _head(source, 12)
    for offset, mark, name in FOREIGN:
        if head[offset:].startswith(mark):
            return f"its format is {name}; export it as WAV, FLAC or MP3 with a sound editor"
    return None


def may_be_mp3(source: BinaryIO) -> bool:
    """Tell whether libsndfile might take a file for an MP3 stream: it looks at two bytes only.

    Examples
    --------
    >>> may_be_mp3(io.BytesIO(b"RIFF....WAVE"))
    False
    """
    return _head(source, 4) not in OTHER_SOUNDS


def _after_tag(source: BinaryIO) -> int:
    """Return the number of bytes of an ID3v2 tag, which stands before an MP3 stream; else 0."""
    head = _head(source, 10)
    if len(head) < 10 or head[:3] != b"ID3":
        return 0
    size = 0
    for byte in head[6:]:
        size = size << 7 | byte & 0x7F
    return 10 + size


def repaired(source: BinaryIO) -> BinaryIO:
    r"""Return a file that libsndfile reads to its end, where one that was streamed is none.

    A program that writes into a pipe cannot go back and enter the length. It leaves 0 or the
    largest number there. An MP3 stream may be cut out of a longer one, in mid-frame: it begins with
    its first whole frame then, after a frame that says how many there are.

    Examples
    --------
    >>> whole = b"RIFF\0\0\0\0WAVEdata\0\0\0\0" + bytes(range(100))
    >>> repaired(io.BytesIO(whole)).read()[16:20]
    b'd\x00\x00\x00'
    """
    n_bytes = source.seek(0, io.SEEK_END)
    head = _head(source, 12)
    patch = None
    if head[:4] in (b"RIFF", b"RIFX") and head[8:] == b"WAVE":
        patch = _wav_length(source, n_bytes, "<" if head[:4] == b"RIFF" else ">")
    elif head[:4] == b"RF64":
        patch = _rf64_length(source, n_bytes)
    elif head[:4] in (b".snd", b"dns."):
        patch = _au_length(head, n_bytes)
    elif head[:4] == b"caff":
        patch = _caf_length(source, n_bytes)
    elif head[:4] not in OTHER_SOUNDS:
        return _whole_mp3(source)
    return _view(source, 0, patch)


Patch = tuple[int, bytes]


def _wav_length(source: BinaryIO, n_bytes: int, order: str) -> Patch | None:
    for place, name, size in _chunks(source, 12, n_bytes, order + "I"):
        if name == b"data":
            rest = n_bytes - place - 8
            if size == 0 and rest > 0 and not _is_chunk(source, place + 8, n_bytes, order):
                return place + 4, struct.pack(order + "I", min(rest, 2**32 - 1))
            return None
    return None


def _is_chunk(source: BinaryIO, place: int, n_bytes: int, order: str) -> bool:
    """Tell whether a chunk with a name in letters, and no longer than the file, begins here."""
    source.seek(place)
    head = source.read(8)
    if len(head) < 8 or not all(32 <= letter < 127 for letter in head[:4]):
        return False
    return place + 8 + struct.unpack(order + "I", head[4:])[0] <= n_bytes


def _rf64_length(source: BinaryIO, n_bytes: int) -> Patch | None:
    """Mend the 64-bit length of the data, which stands in the first chunk."""
    source.seek(12)
    head = source.read(32)
    if len(head) < 32 or head[:4] != b"ds64":
        return None
    for place, name, _ in _chunks(source, 12, n_bytes, "<I"):
        if name == b"data":
            rest, (length,) = n_bytes - place - 8, struct.unpack("<q", head[16:24])
            return None if 0 < length <= rest else (28, struct.pack("<q", rest))
    return None


def _au_length(head: bytes, n_bytes: int) -> Patch | None:
    """Mark a length of 0, or one beyond the end of the file, as unknown."""
    order = ">" if head[:4] == b".snd" else "<"
    if len(head) < 12:
        return None
    begin, length = struct.unpack(order + "II", head[4:12])
    fits = 0 < length <= n_bytes - begin
    return None if fits or n_bytes <= begin else (8, b"\xff\xff\xff\xff")


def _caf_length(source: BinaryIO, n_bytes: int) -> Patch | None:
    for place, name, size in _chunks(source, 8, n_bytes, ">q"):
        rest = n_bytes - place - 12
        if name == b"data" and not 4 < size <= rest:
            return (place + 4, struct.pack(">q", rest)) if rest > 4 else None
    return None


def _chunks(
    source: BinaryIO, place: int, n_bytes: int, form: str
) -> Iterator[tuple[int, bytes, int]]:
    """Generate place, name and size of the chunks of a file, as far as they make sense."""
    width = 4 + struct.calcsize(form)
    while place + width <= n_bytes:
        source.seek(place)
        head = source.read(width)
        if len(head) < width:
            return
        (size,) = struct.unpack(form, head[4:])
        yield place, head[:4], size
        if size < 0:
            return
        place += width + size + (size % 2 if width == 8 else 0)


def _whole_mp3(source: BinaryIO) -> BinaryIO:
    """Begin an MP3 stream with its first frame, and put a frame with their number before it.

    Without that number libsndfile takes all frames to be as long as the first one, and stops early.
    """
    tag = _after_tag(source)
    source.seek(tag)
    start = _first_frame(source.read(SEARCHED))
    if start is None:
        return _view(source, 0)
    start += tag
    source.seek(start)
    first = source.read(200)
    if any(word in first for word in (b"Xing", b"Info", b"VBRI")):
        return _view(source, start if start > tag else 0)
    return _view(source, start, before=_counting_frame(first, _count_frames(source, start)))


def _counting_frame(first: bytes, count: int) -> bytes:
    """Make a silent frame of the kind of `first` that says the number of frames (Xing's header)."""
    is_mpeg_1, is_mono = first[1] >> 3 & 3 == 3, first[3] >> 6 == 3
    sides = {(True, False): 32, (True, True): 17, (False, False): 17, (False, True): 9}
    header = bytes([0xFF, first[1] | 1, (first[2] & 0x0C) | 0x80, first[3]])
    frame = _frame(header)
    if frame is None or first[1] >> 1 & 3 != 1:  # layers I and II have no such header
        return b""
    said = header + bytes(sides[is_mpeg_1, is_mono]) + b"Xing" + struct.pack(">II", 1, count)
    return said.ljust(frame[3], b"\0")


def _count_frames(source: BinaryIO, place: int) -> int:
    """Count the MP3 frames from `place` on, past what is no frame."""
    source.seek(place)
    content, place, count = source.read(), 0, 0
    while 0 <= place <= len(content) - 4:
        frame = _frame(content[place : place + 4])
        count += frame is not None
        place = content.find(b"\xff", place + 1) if frame is None else place + frame[3]
    return count


def _first_frame(head: bytes) -> int | None:
    """Find the first of several MP3 frames in a row."""
    place = head.find(b"\xff")
    while place >= 0:
        if _are_frames(head, place):
            return place
        place = head.find(b"\xff", place + 1)
    return None


def _are_frames(head: bytes, place: int) -> bool:
    """Tell whether several MP3 frames of one kind follow each other; the head may end sooner."""
    kinds = set()
    for count in range(FRAMES_IN_A_ROW):
        if place + 4 > len(head):
            return count > 1
        frame = _frame(head[place : place + 4])
        if frame is None:
            return False
        kinds.add(frame[:3])
        place += frame[3]
    return len(kinds) == 1


def _frame(header: bytes) -> tuple[int, int, int, int] | None:
    """Return version, layer, rate and length in bytes of an MP3 frame; None if it is none."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return None
    version, layer = header[1] >> 3 & 3, 4 - (header[1] >> 1 & 3)
    bits, rate, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3:
        return None
    hertz = MPEG_RATES[version][rate]
    kilobits = BIT_RATES[version == 3, layer][bits - 1]
    if layer == 1:
        return version, layer, hertz, (12_000 * kilobits // hertz + padding) * 4
    samples = 72_000 if layer == 3 and version != 3 else 144_000
    return version, layer, hertz, samples * kilobits // hertz + padding


def _view(
    source: BinaryIO, start: int, patch: Patch | None = None, before: bytes = b""
) -> BinaryIO:
    """Make a view, which has all that libsndfile asks of a file."""
    return cast(BinaryIO, _View(source, start, patch, before))


class _View(io.RawIOBase):
    """A file from some byte on, with other bytes before it, or with some of its bytes replaced.

    It takes every place for one in the file: soundfile prints what a file raises.
    """

    def __init__(self, source: BinaryIO, start: int, patch: Patch | None, before: bytes) -> None:
        self._source, self._shift = source, start - len(before)
        self._patch = patch or (0, before)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_END:
            offset += self._source.seek(0, io.SEEK_END) - self._shift
        elif whence == io.SEEK_CUR:
            offset += self._place
        self._place = max(offset, 0)
        return self._place

    def readinto(self, buffer: Any) -> int:
        missing = bytes(min(max(-self._shift - self._place, 0), len(buffer)))
        self._source.seek(max(self._shift + self._place, 0))
        read = bytearray(missing + self._source.read(len(buffer) - len(missing)))
        at, new = self._patch
        for k, byte in enumerate(new, at - self._place):
            if 0 <= k < len(read):
                read[k] = byte
        buffer[: len(read)] = read
        self._place += len(read)
        return len(read)


def _head(source: BinaryIO, n_bytes: int) -> bytes:
    source.seek(0)
    return source.read(n_bytes)
