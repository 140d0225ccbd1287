"""The header of a safetensors file: what it says, and its tensors by name, shape and type."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from locstyle.files import bounds
from locstyle.files.bounds import open_file


@dataclass(frozen=True)
class Contents:
    """What a safetensors file holds, without its numbers.

    `meta` is its free text, `shapes` and `dtypes` are by the tensors' names; types are the format's
    own, such as "F16".
    """

    meta: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]] = field(repr=False)
    dtypes: Mapping[str, str] = field(repr=False)

    @property
    def bytes(self) -> dict[str, int]:
        """How many bytes there are of every type."""
        found: dict[str, int] = {}
        for name, dtype in self.dtypes.items():
            count = 1
            for side in self.shapes[name]:
                count *= side
            found[dtype] = found.get(dtype, 0) + count * _BITS.get(dtype, 8) // 8
        return found


_BITS = {"F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16}


def read_contents(path: str | os.PathLike[str]) -> Contents:
    """The header of a safetensors file; reads no tensor, so a file may be of any size.

    Raises:
        OSError: it cannot be read; `strerror` says why.
        ValueError: it is no safetensors file.
    """
    with open_file(path) as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 2 <= length <= bounds.HEADER_BYTES:
            raise ValueError("no header of a safetensors file")
        text = opened.read(length)
    try:
        entries = json.loads(text)
        meta = {str(k): str(v) for k, v in (entries.pop("__metadata__", None) or {}).items()}
        shapes = {name: tuple(map(int, one["shape"])) for name, one in entries.items()}
        dtypes = {name: str(one["dtype"]) for name, one in entries.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"no header of a safetensors file ({error})") from error
    return Contents(meta, shapes, dtypes)
