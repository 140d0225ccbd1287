"""Inversions kept on disk between runs, under a key of everything they depend on."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from locstyle.errors import LocstyleError
from locstyle.files import cache_folder, write_atomic

LIMIT = 2**30
"""Bytes the cache may take."""

ABANDONED = 3600
"""Seconds after which nobody is still writing an unfinished file."""

_LAYOUTS = {False: torch.contiguous_format, True: torch.channels_last}


class TrajectoryCache:
    """A folder of trajectories, one file each, safe to delete at any time, by anybody.

    Files are written whole or not at all and carry a digest of what they hold, so several runs may
    share the folder, and a damaged file counts as none. Above `limit` bytes, what was used longest
    ago goes first. A folder that cannot be written is warned of once. What is kept shows the
    pictures it was made of: the folder is made for its owner's eyes only.

    `folder`: None is "trajectories" in `cache_folder()`.
    """

    def __init__(self, folder: Path | None = None, limit: int = LIMIT) -> None:
        self._folder, self.limit = folder, limit
        self._has_warned = False

    @property
    def folder(self) -> Path:
        """Where it lies; not made by asking."""
        return cache_folder() / "trajectories" if self._folder is None else self._folder

    def get(self, key: str) -> dict[int, Tensor] | None:
        """The latents kept under `key` by timestep, exact, on the CPU; None if there are none."""
        try:
            path = self.folder / f"{key}.safetensors"
            latents = _unpacked(path.read_bytes())
        except Exception:  # whatever the reader makes of a damaged file: it counts as none
            return None
        with suppress(OSError):  # somebody else's file, or gone by now
            os.utime(path)
        return latents

    def put(self, key: str, latents: Mapping[int, Tensor]) -> None:
        """Keeps latents [1, channels, h, w] by timestep, if there is place and leave to."""
        data = _packed(latents)
        if len(data) > self.limit:
            return
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self.folder / f"{key}.safetensors", data)
            self._shrink()
        except (OSError, RuntimeError, LocstyleError) as error:  # RuntimeError: no home folder
            if not self._has_warned:
                self._has_warned = True
                warnings.warn(f"inversions are not kept for later runs: {error}", stacklevel=2)

    def describe(self) -> str:
        """Where it lies and how large it is, in one line."""
        try:
            sizes = [size for _, size, _ in self._files()]
            used = f"{len(sizes)} inversions, {sum(sizes) / 2**20:.1f} MiB"
            return f"{self.folder}: {used} of at most {self.limit / 2**20:.0f} MiB"
        except (OSError, RuntimeError) as error:
            return f"none: {error}"

    def _shrink(self) -> None:
        """Removes files, longest unused first, until the rest keeps to the limit."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for _, size, path in files:
            if total <= self.limit:
                return
            path.unlink(missing_ok=True)  # another run may have been faster
            total -= size

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """When each file was last used, in nanoseconds, its bytes, and where it lies.

        What a killed run left half written counts too, once nobody can still be writing it.
        """
        for path in self.folder.glob("*.safetensors"):
            with suppress(FileNotFoundError):
                facts = path.stat()
                is_unfinished = path.name.startswith(".")
                if not is_unfinished or time.time() - facts.st_mtime > ABANDONED:
                    yield facts.st_mtime_ns, facts.st_size, path


def _packed(latents: Mapping[int, Tensor]) -> bytes:
    timesteps = sorted(latents)
    held = {
        "latents": torch.cat([latents[t] for t in timesteps]).detach().cpu().contiguous(),
        "timesteps": torch.tensor(timesteps),
        # Kernels round differently by layout, so it must come back as well.
        "channels_last": torch.tensor([_is_channels_last(latents[t]) for t in timesteps]),
    }
    data: bytes = safetensors.torch.save({**held, "sha256": _digest(held)})
    return data


def _unpacked(data: bytes) -> dict[int, Tensor]:
    """Latents by timestep.

    Raises:
        Exception: of any kind, for a damaged file.
    """
    held = safetensors.torch.load(data)
    if not torch.equal(held.pop("sha256"), _digest(held)):
        raise ValueError("not what was written")
    return {
        int(t): latent.clone(memory_format=_LAYOUTS[bool(is_last)])
        for t, latent, is_last in zip(
            held["timesteps"], held["latents"].split(1), held["channels_last"], strict=True
        )
    }


def _is_channels_last(latent: Tensor) -> bool:
    return latent.stride() == latent.contiguous(memory_format=_LAYOUTS[True]).stride()


def _digest(held: Mapping[str, Tensor]) -> Tensor:
    """SHA-256 of names, types, shapes and bytes, as uint8 [32]."""
    total = hashlib.sha256()
    for name, tensor in sorted(held.items()):
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        total.update(tensor.view(torch.uint8).numpy().tobytes())
    return torch.tensor(list(total.digest()), dtype=torch.uint8)
