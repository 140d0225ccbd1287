"""Style: what is known of a style, in one safetensors file whose header says what it is."""

from __future__ import annotations

import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor

from locstyle.errors import OutputError, StyleError
from locstyle.files import write_atomic
from locstyle.style.data import Delta, Gain, Tokens, check_words
from locstyle.style.header import for_others
from locstyle.style.preview import opened, thumbnail
from locstyle.style.reference import SIDE, Reference
from locstyle.style.tensors import FORMAT, STRUCTURE, file_bytes, named_tensors, of_deltas, of_gains

if TYPE_CHECKING:
    from PIL import Image

    from locstyle.masks import Mask
    from locstyle.photo import Photo


ANY = "any"
"""The family of styles that fit every backbone: those of nothing but references."""


@dataclass(frozen=True, eq=False)
class Style:
    """A style: what changes a backbone's pictures towards it, and how it was made.

    It carries one or more kinds of data. `deltas` change layers, by site name, and `norms` norms,
    which count as deltas. `references` are
    pictures that show the style. `words` are vectors [n, d] that stand for a placeholder in a
    prompt, n tokens long. `tokens` are extra keys and values, by name of the cross-attention site.
    `text` changes text encoders, by name of the text site, while a region's texts are encoded.
    `meta` holds free text about it; our own encoders write base_digest, trigger, encoder, options,
    made_by, licence, preview, seed and scale: the picture's pixels to a working pixel, as it was
    learned.

    Raises:
        StyleError: it carries nothing, or something that cannot be used.
    """

    name: str
    family: str
    deltas: Mapping[str, Delta] = field(default_factory=dict)
    meta: Mapping[str, str] = field(default_factory=dict)
    references: tuple[Reference, ...] = ()
    words: Mapping[str, Tensor] = field(default_factory=dict)
    tokens: Mapping[str, Tokens] = field(default_factory=dict)
    text: Mapping[str, Delta] = field(default_factory=dict)
    norms: Mapping[str, Gain] = field(default_factory=dict)

    def __post_init__(self) -> None:
        taken = sorted(STRUCTURE & set(self.meta))
        if taken:
            raise StyleError(f"style {self.name!r}: meta key {taken[0]!r} is the file format's own")
        if not self.kinds:
            raise StyleError(
                f"style {self.name!r}: carries nothing; give it deltas, references, words or tokens"
            )
        if self.family == ANY and self.kinds != {"reference"}:
            raise StyleError(
                f"style {self.name!r}: carries {', '.join(sorted(self.kinds))}, which belong to "
                f"one family of backbones; only references are of family {ANY!r}"
            )
        for placeholder, vectors in self.words.items():
            check_words(placeholder, vectors)

    @classmethod
    def from_pictures(
        cls,
        name: str,
        pictures: Sequence[Photo | Image.Image],
        areas: Sequence[Mask | None] | None = None,
        *,
        side: int = SIDE,
    ) -> Self:
        """A style that is pictures, which fits every backbone; see `Reference.of`.

        `areas`: one for each picture, where to take the style from.

        Raises:
            StyleError: no picture, or one of which nothing is left.
        """
        found = zip(pictures, areas or [None] * len(pictures), strict=True)
        references = tuple(Reference.of(picture, area, side=side) for picture, area in found)
        return cls(name, ANY, references=references)

    @property
    def kinds(self) -> frozenset[str]:
        """What it carries, of "deltas", "reference", "words", "tokens" and "text"; a fusion says
        which of these it can use, but for "text", which acts before any fusion."""
        held = {
            "deltas": self.deltas or self.norms,
            "reference": self.references,
            "words": self.words,
            "tokens": self.tokens,
            "text": self.text,
        }
        return frozenset(kind for kind, data in held.items() if data)

    def fits(self, family: str) -> bool:
        """Whether it can act on backbones of that family."""
        return self.family in (family, ANY)

    @property
    def trigger(self) -> str:
        """The prompt the style was trained with, "" when the file does not say."""
        return self.meta.get("trigger", "")

    @property
    def rank(self) -> int:
        """The largest rank of its updates."""
        return max((delta.rank for delta in self.deltas.values()), default=0)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The tensors of its file by name: `deltas.<site>.down|up|scale|bias`,
        `references.<number>.pixels|area`, `words.<placeholder>`, `tokens.<site>.k|v`,
        `text.<site>.down|up|scale|bias` and `norms.<site>.weight|bias`.

        Raises:
            StyleError: a scale is not finite.
        """
        found = named_tensors(self.deltas, self.references, self.words, self.tokens)
        return found | of_deltas("text", self.text) | of_gains(self.norms)

    @cached_property
    def digest(self) -> str:
        """sha256 of what the style does (its tensors by name), not of what is said about it."""
        total = hashlib.sha256()
        for key, tensor in sorted(self.tensors.items()):
            total.update(f"{key} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    @property
    def preview(self) -> Image.Image | None:
        """The small picture in the header if it has a readable one, else its first reference."""
        small = opened(self.meta.get("preview", ""))
        return self.references[0].image if small is None and self.references else small

    def to(self, dtype: torch.dtype) -> Style:
        """The same style with its numbers in another dtype (float16 halves the file); references
        stay."""
        deltas = {site: delta.to(dtype) for site, delta in self.deltas.items()}
        text = {site: delta.to(dtype) for site, delta in self.text.items()}
        words = {placeholder: vectors.to(dtype) for placeholder, vectors in self.words.items()}
        tokens = {site: Tokens(t.k.to(dtype), t.v.to(dtype)) for site, t in self.tokens.items()}
        norms = {site: gain.to(dtype) for site, gain in self.norms.items()}
        return replace(self, deltas=deltas, words=words, tokens=tokens, text=text, norms=norms)

    def with_meta(self, **meta: str) -> Style:
        """The same style with header entries added or replaced."""
        return replace(self, meta={**self.meta, **meta})

    def with_preview(self, image: Image.Image) -> Style:
        """The same style with a small copy of `image` in its header."""
        return self.with_meta(preview=thumbnail(image))

    def save(self, path: str | Path) -> Path:
        """Writes one safetensors file, whole or not at all; the same style gives the same bytes.

        `read_style` reads it.

        Raises:
            OutputError: another suffix than .safetensors, or a place that cannot be written.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise OutputError(f"{path}: a style is written as .safetensors, not {path.suffix!r}")
        header = {
            **for_others(self.name, self.family, self.kinds, self.meta),
            **self.meta,
            "locstyle.format": FORMAT,
            "name": self.name,
            "family": self.family,
            "kind": ",".join(sorted(self.kinds)),
        }
        if self.deltas:
            header["rank"] = str(self.rank)
        write_atomic(path, file_bytes(self.tensors, header))
        return path

    def __repr__(self) -> str:
        return f"Style({self.name!r}, family={self.family!r}, {', '.join(self._contents())})"

    def _contents(self) -> Iterator[str]:
        """What it carries, in words."""
        if self.deltas:
            yield f"{len(self.deltas)} sites, rank {self.rank}"
        if self.references:
            yield f"{len(self.references)} reference{'s' * (len(self.references) > 1)}"
        for placeholder, vectors in self.words.items():
            yield f"{placeholder} of {len(vectors)} tokens"
        if self.tokens:
            yield f"tokens on {len(self.tokens)} sites"
        if self.text:
            yield f"{len(self.text)} text sites"
        if self.norms:
            yield f"{len(self.norms)} norms"

    def _repr_html_(self) -> str:
        shown = self.preview
        picture = f"<img src='data:image/png;base64,{thumbnail(shown)}'>" if shown else ""
        words = {"family": self.family, "carries": ", ".join(self._contents())}
        words |= {k: self.meta[k] for k in ("trigger", "encoder", "licence") if k in self.meta}
        rows = "".join(f"<tr><td>{k}</td><td>{html.escape(v)}</td></tr>" for k, v in words.items())
        return f"<b>{html.escape(self.name)}</b><br>{picture}<table>{rows}</table>"
