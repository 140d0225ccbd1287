"""Kinds of files: what is refused before it is decoded, and named for what it is."""

from __future__ import annotations

from locstyle.errors import PhotoError
from locstyle.files import bounds
from locstyle.photo import png


def check_size(width: int, height: int) -> None:
    """Refuses a picture of too many pixels."""
    if width * height > bounds.PHOTO_PIXELS:
        raise PhotoError(
            f"{width} × {height} pixels; at most {bounds.PHOTO_PIXELS // 1_000_000} million are "
            "opened: scale it down in an image editor"
        )


def check_frames(frames: int) -> None:
    """Refuses an animation, of which nobody can say which frame is meant."""
    if frames > 1:
        raise PhotoError(
            f"an animation of {frames} frames; save the one you want as a still picture"
        )


def not_a_picture(data: bytes) -> str:
    """Why a file's bytes are no picture that is read, and what to do."""
    known = "PNG, JPEG, WebP, TIFF, GIF, AVIF and HEIC are read"
    if data[:2] == b"\xff\xd8" or data[:8] == png.SIGNATURE or data[8:12] == b"WEBP":
        return "a picture that is truncated or damaged; copy or export it again"
    for name, start, at in _OTHERS:
        if data[at : at + len(start)] == start:
            return f"{name}; {known}: export it as one of these"
    return f"not a picture that can be read; {known}"


# What people give that is not read, by its first bytes and where they stand.
_OTHERS = (
    ("a JPEG XL picture", b"\xff\x0a", 0),
    ("a JPEG XL picture", b"JXL ", 4),
    ("a JPEG 2000 picture", b"jP  ", 4),
    ("a JPEG 2000 picture", b"\xff\x4f\xff\x51", 0),
    ("a Photoshop document", b"8BPS", 0),
    ("a GIMP document", b"gimp xcf", 0),
    ("an OpenEXR picture of high dynamic range", b"\x76\x2f\x31\x01", 0),
    ("a Radiance picture of high dynamic range", b"#?RADIANCE", 0),
    ("a Windows bitmap", b"BM", 0),
    ("a PDF", b"%PDF", 0),
    ("an SVG drawing", b"<svg", 0),
    ("an XML file, perhaps an SVG drawing", b"<?xml", 0),
    ("a camera raw file (Fujifilm)", b"FUJIFILM", 0),
    ("a camera raw file (Panasonic)", b"IIU\0", 0),
    ("a camera raw file (Olympus)", b"IIRO", 0),
    ("a camera raw file (Canon)", b"ftypcrx", 4),
    ("a video", b"ftyp", 4),
    ("a video", b"\x1a\x45\xdf\xa3", 0),
)
