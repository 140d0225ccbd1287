"""PNG at 8 and 16 bit with the chunks Pillow and OpenCV leave out (W3C PNG, 3rd edition)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from locstyle.errors import PhotoError
from locstyle.files import bounds

Pixels = NDArray[np.uint8] | NDArray[np.uint16]
"""A picture [H, W, C] at 8 or 16 bits a channel."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # channels -> colour type
_BAND = 256  # rows filtered at once, to bound memory


def read_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file in order, as (kind, body).

    Raises:
        PhotoError: the file ends before its end chunk, or a critical chunk's checksum is wrong.
    """
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise PhotoError("the PNG is truncated; copy or export it again")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            raise PhotoError("the PNG is truncated; copy or export it again")
        body = data[position + 8 : end]
        is_critical = kind[:1].isupper()
        if is_critical and struct.unpack_from(">I", data, end)[0] != zlib.crc32(
            body, zlib.crc32(kind)
        ):
            raise PhotoError(f"the PNG is damaged (checksum of {kind!r}); copy or export it again")
        yield kind, body
        position = end + 4


def bare(data: bytes) -> bytes:
    """The file with nothing but what makes its pixels.

    Decoders have limits and opinions about the rest: Pillow refuses a profile over 1 MiB.
    """
    kept = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    return SIGNATURE + b"".join(_chunk(k, body) for k, body in read_chunks(data) if k in kept)


def read_text_chunks(chunks: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """All text of a PNG's chunks by keyword: tEXt, zTXt and iTXt; broken ones left out."""
    found: dict[str, str] = {}
    for kind, body in chunks:
        keyword, _, rest = body.partition(b"\0")
        try:
            if kind == b"tEXt":
                found[keyword.decode("latin-1")] = rest.decode("latin-1")
            elif kind == b"zTXt":
                found[keyword.decode("latin-1")] = _unfold(rest[1:]).decode("latin-1")
            elif kind == b"iTXt":
                _, _, text = rest[2:].split(b"\0", 2)  # language, translated keyword, text
                found[keyword.decode("latin-1")] = (_unfold(text) if rest[0] else text).decode()
        except (ValueError, IndexError, zlib.error):
            continue
    return found


def _unfold(packed: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(packed, bounds.PHOTO_TEXT_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError("text unfolds to more than 64 MiB")
    return text


def profile_chunk(icc: bytes) -> tuple[bytes, bytes]:
    """The iCCP chunk of a profile."""
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(icc, 9)


def text_chunk(keyword: str, value: str) -> tuple[bytes, bytes]:
    """An iTXt chunk.

    Raises:
        ValueError: a keyword that PNGs cannot hold.
    """
    name = keyword.encode("latin-1")
    if not 1 <= len(name) <= 79 or b"\0" in name:
        raise ValueError(f"PNG text keyword {keyword!r}: 1 to 79 Latin-1 characters")
    return b"iTXt", name + b"\0\0\0\0\0" + value.encode()


def encode_png(pixels: Pixels, chunks: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG file of pixels [H, W, C], C in 1-4, with `chunks` before the data."""
    height, width, channels = pixels.shape
    depth = 8 * pixels.dtype.itemsize
    header = struct.pack(">IIBBBBB", width, height, depth, _COLOUR_TYPES[channels], 0, 0, 0)
    packer = zlib.compressobj(4)
    packed = [packer.compress(band) for band in _filtered_bands(pixels)]
    body = b"".join([*packed, packer.flush()])
    parts = [(b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, content) for kind, content in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def _filtered_bands(pixels: Pixels) -> Iterator[bytes]:
    height, _, channels = pixels.shape
    step = channels * pixels.dtype.itemsize
    above: NDArray[np.uint8] = np.zeros((1, pixels[0].size * pixels.dtype.itemsize), np.uint8)
    for start in range(0, height, _BAND):
        band = np.ascontiguousarray(pixels[start : start + _BAND])
        rows = band.astype(band.dtype.newbyteorder(">"), copy=False).view(np.uint8)
        rows = rows.reshape(len(band), -1)
        yield _filtered(rows, np.concatenate([above, rows[:-1]]), step).tobytes()
        above = rows[-1:]


def _filtered(rows: NDArray[np.uint8], above: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Rows [N, bytes] with the filter byte in front: for each row the one of least absolute sum."""
    left, corner = np.zeros_like(rows), np.zeros_like(rows)
    left[:, step:], corner[:, step:] = rows[:, :-step], above[:, :-step]
    candidates = {1: rows - left, 2: rows - above, 4: rows - _paeth(left, above, corner)}
    costs = [np.abs(c.view(np.int8).astype(np.int16)).sum(1) for c in candidates.values()]
    kinds = np.array(list(candidates), np.uint8)[np.argmin(costs, axis=0)]
    result = np.empty((len(rows), rows.shape[1] + 1), np.uint8)
    result[:, 0] = kinds
    for kind, candidate in candidates.items():
        result[kinds == kind, 1:] = candidate[kinds == kind]
    return result


def _paeth(
    left: NDArray[np.uint8], above: NDArray[np.uint8], corner: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    a, b, c = left.astype(np.int16), above.astype(np.int16), corner.astype(np.int16)
    to_left, to_above, to_corner = np.abs(b - c), np.abs(a - c), np.abs(a + b - 2 * c)
    nearest = np.where(to_above <= to_corner, above, corner)
    is_left = (to_left <= to_above) & (to_left <= to_corner)
    return np.where(is_left, left, nearest)
