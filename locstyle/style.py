"""Styles as data: low-rank updates by site, one safetensors file whose header says what it is."""

from __future__ import annotations

import base64
import binascii
import hashlib
import html
import importlib.util
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors.torch
import torch
from torch import Tensor

from locstyle.errors import OutputError, StyleError, did_you_mean
from locstyle.files import write_atomic

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.engine.sites import Sites

FORMAT = "1"
PREVIEW_SIDE = 96  # pixels
STRUCTURE = frozenset({"locstyle.format", "name", "family", "kind", "rank"})


@dataclass(frozen=True, eq=False)
class Delta:
    """A low-rank update of one layer's weight: `scale · up · down`.

    `down` is [rank, in] for a linear layer and [rank, in, kh, kw] for a convolution, `up` is
    [out, rank] or [out, rank, 1, 1].
    """

    down: Tensor
    up: Tensor
    scale: float = 1.0

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    @property
    def weight(self) -> Tensor:
        """The update written out, in the shape of the layer's weight and its own dtype."""
        return self.scale * (self.up.flatten(1) @ self.down.flatten(1)).reshape(
            self.up.shape[0], *self.down.shape[1:]
        )


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
        for key, tensor in sorted(_tensors(self.deltas).items()):
            total.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    @property
    def preview(self) -> Image | None:
        """The small picture in the header, if it has a readable one."""
        from PIL import Image

        try:
            data = base64.b64decode(self.meta.get("preview", "").rpartition(",")[2])
            return Image.open(io.BytesIO(data)).convert("RGB") if data else None
        except (OSError, ValueError, binascii.Error, Image.DecompressionBombError):
            return None

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
        data = safetensors.torch.save(_tensors(self.deltas), metadata=header)
        write_atomic(path, _sorted_header(data))
        return path

    @classmethod
    def open(
        cls, path: str | Path, backbone_sites: Sites | None = None, family: str | None = None
    ) -> Style:
        """The style in a file; LoRA layouts of other tools need the backbone's sites to be read.

        Raises:
            StyleError: see `read_style`.
        """
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


@dataclass(frozen=True)
class Coverage:
    """Which keys of a style file act on a backbone: no key is dropped in silence.

    `applied` keys act. `unmatched` keys name a layer this backbone lacks. `unsupported` keys are in
    a form we cannot apply (text encoders, DoRA, LoHa, …). `notes` say what had to be assumed.
    """

    applied: tuple[str, ...]
    unmatched: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        return not (self.unmatched or self.unsupported)

    def describe(self) -> str:
        """A table: how many keys of each kind, why, and one of them."""
        from locstyle.style_keys import reason

        groups: dict[tuple[str, str], list[str]] = {}
        for key in self.applied:
            groups.setdefault(("applied", ""), []).append(key)
        for key in self.unmatched:
            groups.setdefault(("unmatched", "no such layer in this backbone"), []).append(key)
        for key in self.unsupported:
            groups.setdefault(("unsupported", reason(key)), []).append(key)
        lines = [
            f"{state:<12}{len(keys):>6}  {(why + ': ' if why else '') + 'e.g. ' + keys[0]}"
            for (state, why), keys in groups.items()
        ]
        return "\n".join(lines + [f"{'note':<12}{'':>6}  {note}" for note in self.notes])


def read_style(
    path: str | Path, *, sites: Sites | None, family: str | None
) -> tuple[Style, Coverage]:
    """The style in a file or adapter folder, checked against a backbone, and what of it applies.

    Raises:
        StyleError: not safetensors, broken, not finite, of another family, or nothing applies.
    """
    from locstyle.style_file import read_style_file

    return read_style_file(Path(path), sites, family)


def thumbnail(image: Image, side: int = PREVIEW_SIDE) -> str:
    """A picture as the base64 PNG of a style's header; its longer side is at most `side` pixels."""
    small = image.convert("RGB")
    small.thumbnail((side, side))
    data = io.BytesIO()
    small.save(data, "PNG", optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def find_style(name: str | Path) -> Path:
    """The file of a style: a path as given, or a name in ./loras or among the shipped styles.

    Raises:
        StyleError: nothing there; offers the nearest name.
    """
    path = Path(name)
    if path.exists():
        return path
    for folder in _style_folders():
        for candidate in (folder / path, folder / f"{path}.safetensors"):
            if candidate.exists():
                return candidate
    known = [style.stem for style in list_styles()]
    raise StyleError(
        f"{str(name)!r} is not a file or a known style; {did_you_mean(path.stem, known)}"
    )


def list_styles() -> list[Path]:
    """The style files in ./loras and the shipped ones; ./loras hides a shipped namesake."""
    found: dict[str, Path] = {}
    for folder in _style_folders():
        for path in sorted(folder.glob("*.safetensors")):
            found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def _style_folders() -> Iterator[Path]:
    local = Path("loras")
    if local.is_dir():
        yield local
    spec = importlib.util.find_spec("locstyle_loras")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if not (local.is_dir() and Path(place).samefile(local)):
            yield Path(place)


def _tensors(deltas: Mapping[str, Delta]) -> dict[str, Tensor]:
    """The tensors of a file by name; scales are float64 so that they come back exactly."""
    tensors = {}
    for site, delta in deltas.items():
        if not math.isfinite(delta.scale):
            raise StyleError(f"site {site}: scale {delta.scale} is not finite")
        tensors[f"deltas.{site}.down"] = delta.down.detach().cpu().contiguous()
        tensors[f"deltas.{site}.up"] = delta.up.detach().cpu().contiguous()
        tensors[f"deltas.{site}.scale"] = torch.tensor(delta.scale, dtype=torch.float64)
    return tensors


def _sorted_header(data: bytes) -> bytes:
    """The same file with its header sorted: the library writes metadata in random order."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(
        json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")
    ).encode()
    header += b" " * (-len(header) % 8)  # the tensors stay aligned
    return len(header).to_bytes(8, "little") + header + data[8 + length :]
