"""The small picture in a style's header."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING

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


def opened(preview: str) -> Image | None:
    """The picture a header's preview holds, with or without "data:…," before it, if readable."""
    from PIL import Image

    try:
        data = base64.b64decode(preview.rpartition(",")[2])
        return Image.open(io.BytesIO(data)).convert("RGB") if data else None
    except (OSError, ValueError, binascii.Error, Image.DecompressionBombError):
        return None
