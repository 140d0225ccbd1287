"""Where a training stopped: a file that lets it go on, safetensors, whole or not there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from locstyle.errors import StyleError
from locstyle.files import is_file, write_atomic
from locstyle.style.tensors import read_tensors

_KEY = "locstyle.training"


@dataclass(frozen=True)
class Bookmark:
    """Keeps a training's progress in a file; the `keeper` of `locstyle.train`.

    `key` says which training it is of, so that no other one goes on from it. The file is written
    every `every` steps and stays when the training is done: whoever saves the style removes it.
    """

    path: Path
    key: str
    every: int = 25

    @classmethod
    def of(cls, path: Path, *facts: object) -> Bookmark:
        """The bookmark of the training that these facts decide: options, seed, pictures, …"""
        return cls(path, hashlib.sha256(repr(facts).encode()).hexdigest())

    def restore(self) -> dict[str, Tensor] | None:
        """What was kept last; None where there is no file.

        Raises:
            StyleError: the file is damaged or another training's.
        """
        if not os.path.lexists(self.path):
            return None
        try:
            header, state = read_tensors(self.path)
        except (OSError, ValueError) as error:
            raise StyleError(
                f"{self.path}: not readable as a training's progress ({error}); delete it to begin "
                "anew"
            ) from error
        if header.get(_KEY) != self.key:
            raise StyleError(
                f"{self.path}: the progress of another training (other pictures, options, seed or "
                "backbone); delete it to begin anew, or choose another output"
            )
        os.utime(self.path)  # tells `stamp` that it was taken up
        return state

    def keep(self, state: Mapping[str, Tensor]) -> None:
        """Writes the file, whole or not at all."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in state.items()}
        write_atomic(self.path, safetensors.torch.save(tensors, metadata={_KEY: self.key}))


def stamp(path: Path) -> tuple[int, int] | None:
    """What changes whenever a training takes up or keeps a bookmark; None for any other file."""
    if not is_file(path):
        return None
    try:
        with safe_open(str(path), framework="pt") as opened:
            if _KEY not in (opened.metadata() or {}):
                return None
        facts = path.stat()
    except (SafetensorError, OSError, ValueError):
        return None
    return facts.st_ino, facts.st_mtime_ns
