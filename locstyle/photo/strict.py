"""Pillow as it should be for files from anywhere: strict, silent, and bounded by our own bounds."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, ImageFile

from locstyle.files import bounds


@contextmanager
def strict_pillow() -> Iterator[None]:
    """Truncated files raise, whatever another library set; decoders' warnings stay inside.

    How many pixels are too many is ours to say: see `check_size`.
    """
    lenient, chatter = ImageFile.LOAD_TRUNCATED_IMAGES, logging.getLogger("tifffile")
    was_silent, chatter.disabled = chatter.disabled, True  # it logs what we raise
    most = Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, bounds.PHOTO_PIXELS
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, chatter.disabled = lenient, was_silent
        Image.MAX_IMAGE_PIXELS = most
