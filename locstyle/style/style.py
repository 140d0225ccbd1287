"""Styles as data: what is learned of a style, one safetensors file whose header says what it is."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from locstyle.errors import OutputError, StyleError
from locstyle.files import write_atomic
from locstyle.style.data import Delta
from locstyle.style.preview import picture, thumbnail
from locstyle.style.tensors import FORMAT, STRUCTURE, file_bytes, tensors_of

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.engine.sites import Sites


@dataclass(frozen=True, eq=False)
class Style:
    """A learned style: which layers change and by what, and how it was made.

    `deltas` is keyed by site name. `meta` holds free text about it; our own encoders write
    base_digest, trigger, encoder, options, made_by, licence, preview and seed.
    """

    name: str
    family: str
    deltas: Mapping[str, Delta]
    meta: Mapping[str, str]

    def __post_init__(self) -> None:
        taken = sorted(STRUCTURE & set(self.meta))
        if taken:
            raise StyleError(f"style {self.name!r}: meta key {taken[0]!r} is the file format's own")

    @property
    def kinds(self) -> frozenset[str]:
        """What the style carries; a fusion says which of these it can use."""
        return frozenset({"deltas"})

    @property
    def trigger(self) -> str:
        """The prompt the style was trained with, "" when the file does not say."""
        return self.meta.get("trigger", "")

    @property
    def rank(self) -> int:
        """The largest rank of its updates."""
        return max((delta.rank for delta in self.deltas.values()), default=0)

    @cached_property
    def digest(self) -> str:
        """sha256 of what the style does (sites, numbers, scales), not of what is said about it."""
        total = hashlib.sha256()
        for key, tensor in sorted(tensors_of(self.deltas).items()):
            total.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    @property
    def preview(self) -> Image | None:
        """The small picture in the header, if it has a readable one."""
        return picture(self.meta.get("preview", ""))

    def to(self, dtype: torch.dtype) -> Style:
        """The same style with its tensors in another dtype (float16 halves the file)."""
        deltas = {
            site: Delta(delta.down.to(dtype), delta.up.to(dtype), delta.scale)
            for site, delta in self.deltas.items()
        }
        return replace(self, deltas=deltas)

    def with_meta(self, **meta: str) -> Style:
        """The same style with header entries added or replaced."""
        return replace(self, meta={**self.meta, **meta})

    def with_preview(self, image: Image) -> Style:
        """The same style with a small copy of `image` in its header."""
        return self.with_meta(preview=thumbnail(image))

    def save(self, path: str | Path) -> Path:
        """Writes one safetensors file, whole or not at all; the same style gives the same bytes.

        Raises:
            OutputError: another suffix than .safetensors, or a place that cannot be written.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise OutputError(f"{path}: a style is written as .safetensors, not {path.suffix!r}")
        header = {
            **self.meta,
            "locstyle.format": FORMAT,
            "name": self.name,
            "family": self.family,
            "kind": ",".join(sorted(self.kinds)),
            "rank": str(self.rank),
        }
        write_atomic(path, file_bytes(tensors_of(self.deltas), header))
        return path

    @classmethod
    def open(
        cls, path: str | Path, backbone_sites: Sites | None = None, family: str | None = None
    ) -> Style:
        """The style in a file; LoRA layouts of other tools need the backbone's sites to be read.

        Raises:
            StyleError: see `read_style`.
        """
        from locstyle.style.file import read_style

        return read_style(path, sites=backbone_sites, family=family)[0]

    def __repr__(self) -> str:
        size = f"{len(self.deltas)} sites, rank {self.rank}"
        return f"Style({self.name!r}, family={self.family!r}, {size})"

    def _repr_html_(self) -> str:
        preview = self.meta.get("preview", "") if self.preview else ""
        picture = (
            f"<img src='data:image;base64,{html.escape(preview.rpartition(',')[2], quote=True)}'>"
            if preview
            else ""
        )
        words = {"family": self.family, "rank": str(self.rank), "sites": str(len(self.deltas))}
        words |= {k: self.meta[k] for k in ("trigger", "encoder", "licence") if k in self.meta}
        rows = "".join(f"<tr><td>{k}</td><td>{html.escape(v)}</td></tr>" for k, v in words.items())
        return f"<b>{html.escape(self.name)}</b><br>{picture}<table>{rows}</table>"
