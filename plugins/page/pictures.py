"""Pictures for a screen: small ones and tiles of photos of any size, in sRGB, without torch.

The first picture of a photo needs Pillow alone; numpy and OpenCV come when there is more to do.
"""

from __future__ import annotations

import io
from math import ceil, log2
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image

import locstyle as ls

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIDE = 2048
"""Pixels of a preview's longer side, at most."""

TILE = 512


class ScreenPicture(NamedTuple):
    """A picture's bytes, and what they are."""

    data: bytes
    kind: str


def preview_size(size: tuple[int, int], most: int = SIDE) -> tuple[int, int]:
    """(height, width) of a preview of a photo of (height, width)."""
    scale = min(1.0, most / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def preview(photo: ls.Photo, most: int = SIDE) -> ScreenPicture:
    """The whole photo, its longer side at most `most` pixels."""
    height, width = preview_size(photo.size, most)
    small = photo.pixels
    if (height, width) != photo.size:
        import cv2

        small = cv2.resize(small, (width, height), interpolation=cv2.INTER_AREA)
    return _encoded(small, photo.icc)


def at_a_glance(seen: ls.Glance) -> ScreenPicture:
    """The whole photo as it was seen at first."""
    return _written(_in_srgb(seen.image, seen.icc))


def levels(size: tuple[int, int]) -> int:
    """How many levels of tiles a photo has: in the last one tile holds all."""
    return 1 + max(0, ceil(log2(max(size) / TILE)))


def tile(photo: ls.Photo, level: int, column: int, row: int) -> ScreenPicture | None:
    """A tile, 2**level photo pixels a pixel; None where there is none."""
    import cv2
    import numpy as np

    side, (height, width) = TILE << level, photo.size
    x, y = column * side, row * side
    if not (0 <= level < levels(photo.size) and 0 <= x < width and 0 <= y < height):
        return None
    part = photo.pixels[y : y + side, x : x + side]
    size = ceil(part.shape[1] / 2**level), ceil(part.shape[0] / 2**level)
    small = part if level == 0 else cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return _encoded(np.ascontiguousarray(small), photo.icc)


def mask_picture(mask: ls.Mask, size: tuple[int, int]) -> bytes:
    """A mask as a grey PNG of (height, width)."""
    import cv2
    import numpy as np

    (height, width), (x0, y0, x1, y1) = mask.size, mask.bounds
    picture = np.zeros(size, np.uint8)
    if x1 > x0:
        across, down = width / size[1], height / size[0]
        left, top = int(x0 / across), int(y0 / down)
        right, bottom = min(size[1], ceil(x1 / across)), min(size[0], ceil(y1 / down))
        box = round(left * across), round(top * down), round(right * across), round(bottom * down)
        values = _grey(mask, box)
        small = cv2.resize(values, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
        picture[top:bottom, left:right] = small
    data = io.BytesIO()
    Image.fromarray(picture).save(data, "PNG", compress_level=1)
    return data.getvalue()


def _grey(mask: ls.Mask, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The mask's values 0 to 255 in a box that holds all of it, without floats of that size."""
    import numpy as np

    x0, y0, x1, y1 = box
    left, top = mask.corner
    patch = mask.patch.numpy()
    height, width = patch.shape
    values = np.zeros((y1 - y0, x1 - x0), np.uint8)
    inner = values[top - y0 : top - y0 + height, left - x0 : left - x0 + width]
    part = patch[: inner.shape[0], : inner.shape[1]]
    if part.dtype == np.bool_:
        np.multiply(part, np.uint8(255), out=inner, casting="unsafe")
    else:
        np.copyto(inner, np.rint(part * 255), casting="unsafe")
    return values


def _encoded(pixels: NDArray[Any], icc: bytes | None) -> ScreenPicture:
    import numpy as np

    eight = pixels if pixels.dtype == np.uint8 else np.rint(pixels / 257.0).astype(np.uint8)
    eight = eight[..., None] if eight.ndim == 2 else eight
    colours = eight[..., :1] if eight.shape[2] < 3 else eight[..., :3]
    image = _in_srgb(Image.fromarray(colours[..., 0] if colours.shape[2] == 1 else colours), icc)
    if eight.shape[2] in (2, 4) and not (eight[..., -1] == 255).all():
        data = io.BytesIO()
        image.putalpha(Image.fromarray(np.ascontiguousarray(eight[..., -1])))
        image.save(data, "PNG", compress_level=1)
        return ScreenPicture(data.getvalue(), "image/png")
    return _written(image)


def _written(image: Image.Image) -> ScreenPicture:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=90, subsampling=0)
    return ScreenPicture(data.getvalue(), "image/jpeg")


def _in_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """What the numbers of a profile mean, for a screen; a broken one counts as sRGB."""
    if icc is None:
        return image.convert("RGB")
    from PIL import ImageCms

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        target = ImageCms.createProfile("sRGB")
        shown = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        shown = None
    return shown if shown is not None else image.convert("RGB")
