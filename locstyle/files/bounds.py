"""How large, how deep and how many: what every reader of a file accepts at most, in one place.

A file beyond a bound is refused with the bound in the message, before its content is believed or
memory is set aside for it. Each bound is far above what honest files need, and low enough that any
file is read or refused within a few seconds.
"""

from __future__ import annotations

import codecs
import os
import stat
from pathlib import Path
from typing import BinaryIO

MIB = 2**20

PHOTO_PIXELS = 2**28
"""Pixels of a picture: the largest sensors of phones have 200 million."""

PHOTO_BYTES = 2560 * MIB
"""A picture file: a TIFF of so many pixels, RGBA at 16 bit, uncompressed, has 2 048 MiB."""

PHOTO_TEXT_BYTES = 64 * MIB
"""What a compressed text in a PNG may unfold to."""

PROFILE_BYTES = 16 * MIB
"""A colour profile: those of presses have 3 MiB."""

PROFILE_TAGS = 200
"""Entries of its table."""

TIFF_PAGES = 1000
"""Directories of a TIFF, which may run in a circle: one photo and its previews."""

STYLE_BYTES = 2048 * MIB
"""A style, bookmark or embedding: a LoRA of rank 256 on all of SDXL has 1 700 MiB."""

HEADER_BYTES = 100 * MIB
"""The header of a safetensors file, as the format itself bounds it: SDXL's has 1 MiB."""

SEGMENTS_BYTES = 128 * MIB
"""A list of segments: COCO's for 5 000 photos has 20 MiB."""

PREVIEW_BYTES = 4 * MIB
"""The small picture in a style's header, in base64."""

PREVIEW_SIDE = 4096
"""Its longer side in pixels; ours have 96, other tools' 512."""

ARRAY_BYTES = 2048 * MIB
"""What is read of a `.npy` file: one mask of a stack, or all of one in column order."""

RECIPE_BYTES = MIB // 8
"""A recipe in YAML: of ten regions it has 3 KiB; PyYAML reads about 100 KiB a second."""

RECIPE_DEPTH = 32
"""Lists and mappings inside each other."""

RECIPE_VALUES = 20_000
"""Values of a recipe, those behind YAML aliases counted as often as they are meant."""

STYLE_PICTURES = 200
"""Pictures that one style is learned from, all open at once: an artist's best are a few dozen."""

REGIONS = 1_000
"""Regions of an edit, each with a mask of the photo."""

VARIATIONS = 10_000
"""Edits that one recipe is varied to."""

TEXT_BYTES = 2 * MIB
"""A recipe in JSON, as pictures carry it, and other texts beside a file."""

PATTERNS = 2_000
"""Patterns of a PEFT configuration."""

WILDCARDS = 256
"""Characters of all its patterns that are no plain names."""

OUTLINE = 2**22
"""Pixels that a polygon may run along, which is what filling it costs."""

OUTLINES = 2**26
"""Pixels that all polygons about one photo may run along."""

RECORD_BYTES = MIB
"""One line of a journal: of a task it has 600 bytes, its error included."""

LIST_BYTES = 64 * MIB
"""A list of photos to be read: of a million it has 50 MiB."""

LEDGER_BYTES = 64 * MIB
"""The marker file of a folder of ours."""

RANK = 4096
"""Rank of a low-rank update: no layer of the supported backbones has a wider side."""

# Opening a FIFO would otherwise wait for somebody to write into it.
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)


class Unreadable(OSError):
    """A file that is not read, in words; `strerror` and `str` say the same."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.strerror = words


def open_file(path: str | os.PathLike[str]) -> BinaryIO:
    """A regular file, open for reading; never waits.

    Raises:
        OSError: it is not there, no regular file, or has a name that no file can have; `strerror`
            says so in words.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError as error:
        raise Unreadable("no such file") from error
    except ValueError as error:  # a NUL in its name
        raise Unreadable(f"{error}") from error
    try:
        kind = os.fstat(handle).st_mode
        if stat.S_ISDIR(kind):
            raise Unreadable("is a folder; name a file in it")
        if not stat.S_ISREG(kind):
            raise Unreadable("is no regular file but a device, a pipe or a socket")
        return os.fdopen(handle, "rb")
    except OSError:
        os.close(handle)
        raise


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """All of a regular file, at most `most` bytes of it; never waits.

    Raises:
        OSError: as `open_file`, and for a larger one, or one that grows meanwhile.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most:
            raise too_large(size, most)
        data = file.read(size + 1)  # not read(): it may be growing
    if len(data) > size:
        raise Unreadable("is being written to; wait until it is whole")
    return data


def read_text(path: str | os.PathLike[str], most: int) -> str:
    """All of a text file, at most `most` bytes: UTF-8, or UTF-16 where its first two bytes say so.

    A byte order mark is left out.

    Raises:
        OSError: as `read_file`, and for what is no text; `strerror` says so in words.
    """
    data = read_file(path, most)
    is_wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"is no text in UTF-8: {error.reason} at byte {error.start}") from error


def too_large(found: int, most: int) -> Unreadable:
    """The error of a file, or of what is packed in it, beyond its bound in bytes."""
    return Unreadable(f"{found / MIB:.1f} MiB; read are at most {most / MIB:g} MiB")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file, whatever the name: one too long, or with a NUL, is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether there is a folder, whatever the name."""
    try:
        return Path(path).is_dir()
    except (OSError, ValueError):
        return False
