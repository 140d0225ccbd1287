"""The small picture in a style's header."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING

from locstyle.files import bounds
from locstyle.style.header import read_header
from locstyle.style.reference import style_picture

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 96  # pixels


def thumbnail(image: Image, side: int = SIDE) -> str:
    """A picture as the base64 PNG of a style's header; its longer side is at most `side` pixels.

    Raises:
        StyleError: it is wholly transparent.
    """
    small = style_picture(image)
    small.thumbnail((side, side))
    data = io.BytesIO()
    small.save(data, "PNG", optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def read_preview(file: Path) -> bytes | None:
    """The picture in a style file's header as a PNG, None where there is none.

    Raises:
        StyleError: not a readable safetensors file.
    """
    header = read_header(file)
    shown = opened(header.get("preview") or header.get("modelspec.thumbnail") or "")
    if shown is None:
        return None
    data = io.BytesIO()
    shown.save(data, "PNG")
    return data.getvalue()


def opened(preview: str) -> Image | None:
    """The picture a header's preview holds, with or without "data:…," before it, if readable."""
    from PIL import Image

    text = preview.rpartition(",")[2]
    if not text or len(text) > bounds.PREVIEW_BYTES:
        return None
    try:
        image = Image.open(io.BytesIO(base64.b64decode(text)))
        return image.convert("RGB") if max(image.size) <= bounds.PREVIEW_SIDE else None
    # Decoders raise whatever they like on broken files (OSError, SyntaxError, struct.error, …).
    except Exception:
        return None
