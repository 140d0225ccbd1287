"""Carried: what a picture file says beside its pixels, its profile and its EXIF block."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from PIL import Image

from locstyle.photo import png

if TYPE_CHECKING:
    import tifffile

OUR_TEXT = "locstyle"
"""The PNG keyword of an edit's recipe: that of an earlier edit is not carried on."""

XMP_TEXT = "XML:com.adobe.xmp"
# What a PNG says about its colours, and how long each is; other formats say it by the profile.
_CHUNKS = {b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"mDCV": 24, b"cLLI": 8}
# Said elsewhere (profile, EXIF, alpha, text), about the palette, or no longer true once saved.
_PNG_KNOWN = {*_CHUNKS, b"iCCP", b"eXIf", b"tRNS", b"tEXt", b"zTXt", b"iTXt", b"pHYs", b"sBIT"}
_PNG_KNOWN |= {b"bKGD", b"hIST", b"sPLT", b"tIME"}
_RAW = "Raw profile type "  # ImageMagick's older way to put blocks into a PNG
_TURN = re.compile(rb"""(tiff:Orientation(?:\s*=\s*["']|>\s*))([1-8])""")
_IPTC_RESOURCE = 0x0404
_TIFF_XMP, _TIFF_IPTC, _TIFF_RESOURCES = 700, 33723, 34377
_METRE = {"inch": 39.3700787, "cm": 100.0}


@dataclass(frozen=True)
class Density:
    """Pixels per unit across and down; without a unit only their ratio means anything."""

    x: float
    y: float
    unit: Literal["inch", "cm", ""]

    def per(self, unit: Literal["inch", "cm"]) -> tuple[float, float]:
        """Across and down per that unit, for one that has a unit."""
        factor = _METRE[self.unit] / _METRE[unit] if self.unit else 1.0
        return self.x * factor, self.y * factor

    def per_metre(self) -> tuple[int, int]:
        factor = _METRE.get(self.unit, 1.0)
        return round(self.x * factor), round(self.y * factor)


@dataclass(frozen=True, eq=False)
class Carried:
    """What a file says beside its pixels, its profile and its EXIF.

    Attributes:
        text: by keyword, as PNGs have it; the comment of a JPEG or GIF is "Comment".
        xmp: a packet, its orientation reset to 1.
        iptc: IPTC-IIM records.
        density: how large it is meant to be.
        significant: bits that count, by channel (PNG's sBIT).
        chunks: a PNG's own statements about its colours, by kind.
        lost: what the file held and nothing here can, in words.
    """

    text: Mapping[str, str] = field(default_factory=dict)
    xmp: bytes | None = None
    iptc: bytes | None = None
    density: Density | None = None
    significant: tuple[int, ...] = ()
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    lost: tuple[str, ...] = ()

    @property
    def orientation(self) -> int:
        """What the packet asks for, 1-8; 1 if it says nothing."""
        found = _TURN.search(self.xmp or b"")
        return int(found[2]) if found else 1

    def upright(self) -> Carried:
        """The same with an orientation of 1, every other byte of the packet kept."""
        if self.xmp is None:
            return self
        return replace(self, xmp=_TURN.sub(rb"\g<1>1", self.xmp))

    def widened(self) -> Carried:
        """The same for a grey picture that becomes RGB."""
        grey, *alpha = self.significant or (0,)
        return replace(self, significant=(grey,) * 3 + tuple(alpha)) if grey else self

    def left_out(self, kind: str) -> list[str]:
        """What a file of a format cannot hold of it, in words."""
        texts = set(self.text) - ({"Comment"} if kind == "JPEG" else set())
        wanted: dict[str, bool] = {
            f"text ({', '.join(sorted(texts))})": kind != "PNG" and bool(texts),
            "sBIT": kind != "PNG" and bool(self.significant),
            "IPTC": kind == "WEBP" and self.iptc is not None,
            "the resolution": kind == "WEBP" and self.density is not None,
        }
        return [*self.lost, *(words for words, is_lost in wanted.items() if is_lost)]


def of_png(chunks: Iterable[tuple[bytes, bytes]], channels: int) -> Carried:
    """What a PNG's chunks say, for pixels of so many channels."""
    listed = [*chunks]
    found = dict(reversed(listed))
    text = png.read_text_chunks(listed)
    xmp, iptc = text.pop(XMP_TEXT, None), _raw(text, "iptc")
    packet = xmp.encode() if xmp else _raw(text, "xmp")
    for name in [name for name in text if name == OUR_TEXT or name.startswith(_RAW)]:
        del text[name]
    bits = found.get(b"sBIT", b"")
    unknown = sorted(
        {k.decode("latin-1") for k in found if k[:1].islower() and k not in _PNG_KNOWN}
    )
    return Carried(
        text,
        packet,
        _iptc_of_resources(iptc) if iptc else None,
        _png_density(found.get(b"pHYs", b"")),
        tuple(bits) if len(bits) == channels else (),
        tuple(
            (kind, found[kind])
            for kind, size in _CHUNKS.items()
            if len(found.get(kind, b"")) == size
        ),
        tuple(f"PNG chunk {name}" for name in unknown),
    )


def of_jpeg(image: Image.Image) -> Carried:
    """What a JPEG's segments say, once Pillow has opened it."""
    segments: list[tuple[str, bytes]] = getattr(image, "applist", [])
    resources = image.info.get("photoshop", {})
    iptc = resources.get(_IPTC_RESOURCE) if isinstance(resources, dict) else None
    comment = image.info.get("comment")
    lost = ["XMP beyond 64 kB"] if any(b"/xmp/extension/" in s[:40] for _, s in segments) else []
    xmp = image.info.get("xmp")
    if xmp and (b"hdrgm:" in xmp or b"/photos/1.0/container" in xmp):
        xmp = None  # it lists pictures that will be gone
        lost.append("its gain map or further pictures, and the XMP that lists them")
    elif any(name == "APP2" and body[:4] == b"MPF\0" for name, body in segments):
        lost.append("its further pictures (a second view, a gain map or a preview)")
    units: dict[object, Literal["inch", "cm", ""]] = {1: "inch", 2: "cm", 0: ""}
    x, y = image.info.get("jfif_density", (0, 0))
    unit = units.get(image.info.get("jfif_unit"))
    return Carried(
        {"Comment": comment.decode("utf-8", "replace")} if comment else {},
        xmp,
        bytes(iptc) if iptc else None,
        Density(x, y, unit) if unit is not None and min(x, y) > 0 and (unit or x != y) else None,
        lost=tuple(lost),
    )


def of_tiff(page: tifffile.TiffPage) -> Carried:
    """What a TIFF's directory says beside what an EXIF block holds."""
    xmp, iptc, resources = (
        _tag_bytes(page, tag) for tag in (_TIFF_XMP, _TIFF_IPTC, _TIFF_RESOURCES)
    )
    if iptc is None and resources:
        iptc = _iptc_of_resources(resources)
    return Carried(xmp=xmp, iptc=iptc, density=_tiff_density(page))


def of_other(image: Image.Image) -> Carried:
    """What any other format says, as Pillow has it."""
    comment, xmp = image.info.get("comment"), image.info.get("xmp")
    words = comment.decode("utf-8", "replace") if isinstance(comment, bytes) else comment
    return Carried(
        {"Comment": words} if isinstance(words, str) and words else {},
        xmp if isinstance(xmp, bytes) and xmp else None,
    )


def resources_of(iptc: bytes) -> bytes:
    """IPTC records as Photoshop's image resources, which JPEGs hold them in."""
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(iptc))
    return head + iptc + bytes(len(iptc) % 2)


def _iptc_of_resources(data: bytes) -> bytes | None:
    """The records in a list of image resources, or the data if it is records already."""
    if data[:1] == b"\x1c":
        return data
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        kind = int.from_bytes(data[at + 4 : at + 6], "big")
        at += 6 + (data[at + 6] // 2 + 1) * 2  # a name, its length in front, padded
        size = int.from_bytes(data[at : at + 4], "big")
        if kind == _IPTC_RESOURCE:
            return data[at + 4 : at + 4 + size] or None
        at += 4 + size + size % 2
    return None


def raw_exif(chunks: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The EXIF block ImageMagick's older PNGs hold as text."""
    return _raw(png.read_text_chunks(chunks), "exif")


def _raw(text: Mapping[str, str], kind: str) -> bytes | None:
    """A block some programs put into a PNG's text: a name, a length, and hexadecimal digits."""
    try:
        return bytes.fromhex("".join(text[_RAW + kind].split("\n")[3:])) or None
    except (KeyError, ValueError):
        return None


def raw_text(name: str, data: bytes) -> tuple[str, str]:
    """Keyword and text of such a block."""
    digits = data.hex()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return _RAW + name, "\n".join(["", name, f"{len(data):8}", *lines, ""])


def _png_density(body: bytes) -> Density | None:
    if len(body) != 9:
        return None
    x, y, unit = struct.unpack(">IIB", body)
    if not (x and y) or (unit != 1 and x == y):
        return None
    return Density(x / 100, y / 100, "cm") if unit == 1 else Density(x, y, "")


def _tag_bytes(page: tifffile.TiffPage, tag: int) -> bytes | None:
    found = page.tags.get(tag)
    if found is None:
        return None
    value = found.value
    if isinstance(value, tuple):  # records are sometimes called 32-bit numbers
        order = page.parent.byteorder
        return struct.pack(f"{order}{len(value)}I", *value).rstrip(b"\0") or None
    return value.encode() if isinstance(value, str) else bytes(value) or None


def _tiff_density(page: tifffile.TiffPage) -> Density | None:
    x, y = (_ratio(page.tags.get(tag)) for tag in (282, 283))
    unit = page.tags.get(296)
    units: dict[int, Literal["inch", "cm"]] = {2: "inch", 3: "cm"}
    name = units.get(2 if unit is None else int(unit.value))
    return Density(x, y, name) if name and x > 0 and y > 0 else None


def _ratio(tag: tifffile.TiffTag | None) -> float:
    value = getattr(tag, "value", (0, 1))
    return value[0] / value[1] if isinstance(value, tuple) and len(value) == 2 and value[1] else 0.0
