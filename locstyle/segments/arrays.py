"""Masks in `.npy` files: read by their header, which is checked before any memory is set aside."""

from __future__ import annotations

import io
import math
import os
import tokenize
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError, shown
from locstyle.files import Unreadable, bounds, open_file

_KINDS = "biuf"  # booleans, whole numbers, floats
_HEADER = 2**16  # bytes; a header has about 100
_ARCHIVE = b"PK\x03\x04"
_READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


@dataclass(frozen=True)
class Header:
    """What a `.npy` file says it holds: numbers of `dtype` in `shape`, from byte `start` on."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_fortran: bool
    start: int

    @property
    def layers(self) -> int:
        """How many arrays of the last two axes."""
        return math.prod(self.shape[:-2])


def read_header(path: str | os.PathLike[str], where: str) -> Header:
    """The header of a `.npy` file of numbers, which is as long as its header says.

    Raises:
        MaskError: begins with `where`.
    """
    try:
        with open_file(path) as file:
            facts = os.fstat(file.fileno())
            header = _header(file.read(_HEADER))
    except OSError as error:
        raise MaskError(f"{where}: cannot be read: {error.strerror or error}") from error
    # Headers are Python, parsed by numpy: what breaks it raises what the parser likes.
    except (
        ValueError,
        TypeError,
        SyntaxError,
        RecursionError,
        MemoryError,
        OverflowError,
    ) as error:
        raise MaskError(f"{where}: is no array of numbers: {_first_line(error)}") from error
    except tokenize.TokenError as error:
        raise MaskError(f"{where}: is no array of numbers: its header is cut off") from error
    if header.dtype.kind not in _KINDS:
        raise MaskError(
            f"{where}: an array of {shown(str(header.dtype))}; give booleans, whole numbers or "
            "floats"
        )
    wanted = header.start + math.prod(header.shape) * header.dtype.itemsize
    if facts.st_size < wanted:
        raise MaskError(
            f"{where}: {facts.st_size} bytes, but an array of shape {shown(header.shape)} and type "
            f"{header.dtype} has {wanted}; copy or export it again"
        )
    return header


def read_layer(
    path: str | os.PathLike[str], header: Header, number: int, where: str
) -> NDArray[Any]:
    """The numbers of layer `number` (from 0), [H, W]; no other is read where they lie by rows.

    Raises:
        MaskError: begins with `where`.
    """
    shape = header.shape[-2:]
    count = math.prod(header.shape if header.is_fortran else shape)
    length = count * header.dtype.itemsize
    try:
        if length > bounds.ARRAY_BYTES:
            raise bounds.too_large(length, bounds.ARRAY_BYTES)
        with open_file(path) as file:
            file.seek(header.start + (0 if header.is_fortran else number * length))
            data = file.read(length)
        if len(data) < length:
            raise Unreadable("it was cut off while it was read")
    except OSError as error:
        raise MaskError(f"{where}: cannot be read: {error.strerror or error}") from error
    flat = np.frombuffer(data, header.dtype)
    if header.is_fortran:
        stack: NDArray[Any] = flat.reshape(header.shape, order="F").reshape(-1, *shape)
        return stack[number : number + 1].reshape(shape)
    return flat.reshape(shape)


def _header(start: bytes) -> Header:
    """Raises what numpy's parser likes for a broken one."""
    if start.startswith(_ARCHIVE):
        raise ValueError("an archive of arrays (.npz); save one array with numpy.save")
    file = io.BytesIO(start)
    version = np.lib.format.read_magic(file)
    if version not in _READERS:
        raise ValueError(f"a .npy file of version {version}, which arrays of numbers never have")
    shape, is_fortran, dtype = _READERS[version](file)
    if not all(type(side) is int and side >= 0 for side in shape):
        raise ValueError(f"a shape of {shown(shape)}")
    return Header(shape, dtype, is_fortran, file.tell())


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
