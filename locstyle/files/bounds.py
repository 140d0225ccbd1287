"""How large, how deep and how many: what every reader of a file accepts at most, in one place.

A file beyond a bound is refused with the bound in the message, before its content is believed or
memory is set aside for it. Each bound is far above what honest files need, and low enough that any
file is read or refused within a few seconds.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

MIB = 2**20

PHOTO_BYTES = 2048 * MIB
"""A picture file: a TIFF of 179 megapixels, RGBA at 16 bit, uncompressed, has 1 400 MiB."""

STYLE_BYTES = 2048 * MIB
"""A style, bookmark or embedding: a LoRA of rank 256 on all of SDXL has 1 700 MiB."""

SEGMENTS_BYTES = 128 * MIB
"""A list of segments: COCO's for 5 000 photos has 20 MiB."""

ARRAY_BYTES = 2048 * MIB
"""What is read of a `.npy` file: one mask of a stack, or all of one in column order."""

RECIPE_BYTES = MIB // 4
"""A recipe: PyYAML reads about 100 KiB a second."""

RECIPE_DEPTH = 32
"""Lists and mappings inside each other."""

RECIPE_VALUES = 20_000
"""Values of a recipe, those behind YAML aliases counted as often as they are meant."""

TEXT_BYTES = 2 * MIB
"""A text that a picture carries, unfolded, and other texts beside a file."""

PATTERNS = 10_000
"""Patterns of a PEFT configuration."""

OUTLINE = 2**22
"""Pixels that the polygons of one segment may run along, which is what filling them costs."""

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


def read_file(path: str | os.PathLike[str], most: int) -> bytes:
    """All of a regular file, at most `most` bytes of it; never waits.

    Raises:
        OSError: it is not there, no regular file, larger, or has a name that no file can have;
            `strerror` says so in words.
    """
    try:
        handle = os.open(path, os.O_RDONLY | _FLAGS)
    except FileNotFoundError as error:
        raise Unreadable("no such file") from error
    except ValueError as error:  # a NUL in its name
        raise Unreadable(f"{error}") from error
    try:
        facts = os.fstat(handle)
        if stat.S_ISDIR(facts.st_mode):
            raise Unreadable("is a folder; name a file in it")
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable("is no regular file but a device, a pipe or a socket")
        if facts.st_size > most:
            raise too_large(facts.st_size, most)
        with open(handle, "rb", closefd=False) as file:
            data = file.read(most + 1)  # not read(): it may be growing
    finally:
        os.close(handle)
    if len(data) > most:
        raise too_large(len(data), most)
    return data


def too_large(found: int, most: int) -> Unreadable:
    """The error of a file, or of what is packed in it, beyond its bound in bytes."""
    return Unreadable(f"{found / MIB:.1f} MiB; read are at most {most / MIB:g} MiB")


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether there is a regular file, whatever the name: one too long, or with a NUL, is none."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False
