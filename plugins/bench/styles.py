"""The styles of a run: ready-made ones where they are, all others learned once and kept."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # the host's encoders

from PIL import Image

import locstyle as ls

from .cases import StylePicture, slug
from .settings import Settings

SECONDS, STAMP = "bench.seconds", "bench.key"  # entries in the header of a style made here


@dataclass(eq=False)
class Styles:
    """Gives every style of every encoder, made in OUT/styles unless it is ready-made."""

    editor: ls.Editor
    settings: Settings
    on_step: ls.OnStep
    _known: dict[tuple[str, str], ls.Style] = field(default_factory=dict, repr=False)

    def get(self, encoder: str, picture: StylePicture) -> ls.Style:
        """The style of a picture.

        Raises:
            StyleError: a ready-made file does not fit the backbone.
        """
        key = encoder, picture.name
        if key not in self._known:
            ready = self._ready_made(encoder, picture.name)
            self._known[key] = self._open(ready) if ready else self._made(encoder, picture)
        return self._known[key]

    def _ready_made(self, encoder: str, name: str) -> Path | None:
        folder, file = self.settings.styles, f"{slug(name)}.safetensors"
        for path in [folder / f"{encoder}-{file}", folder / file] if folder else []:
            if path.exists() and self._is_by(encoder, path):
                return path
        if self.settings.shipped:
            try:
                path = ls.find_style(slug(name))
            except ls.StyleError:
                return None
            return path if self._is_by(encoder, path) else None
        return None

    def _is_by(self, encoder: str, path: Path) -> bool:
        """Whether a file's header names this encoder, or none."""
        return self._open(path).meta.get("encoder", encoder).split()[0] == encoder

    def _open(self, path: Path) -> ls.Style:
        backbone = self.editor.backbone
        return ls.read_style(path, backbone=backbone)[0]

    def _made(self, encoder: str, picture: StylePicture) -> ls.Style:
        """From OUT/styles, or learned now and put there."""
        given = self.settings.encoders.get(encoder, {})
        seed, backbone = self.settings.seed, self.editor.backbone
        pixels = hashlib.sha256(picture.picture.tobytes()).hexdigest()
        code = code_of(self.editor.host, "style_encoders", encoder)
        facts = [encoder, given, backbone.digest, seed, picture.prompt, pixels, code]
        stamp = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        path = self.settings.out / "styles" / f"{encoder}-{slug(picture.name)}.safetensors"
        if os.path.lexists(path):
            made = self._open(path).meta.get(STAMP)
            if made == stamp:
                return self._open(path)
            if made is None:
                raise ls.OutputError(
                    f"{path}: is no style that `locstyle bench quality` made, so it stays; move it "
                    "away or choose another folder"
                )
        maker: Any = self.editor.host.style_encoder(encoder, given)
        request = ls.StyleRequest(
            picture.name, picture.prompt, seed=seed, made_by="locstyle bench quality"
        )
        start = time.perf_counter()
        image = Image.fromarray(picture.picture)
        style: ls.Style = maker.encode([image], backbone, request, self.on_step)
        seconds = f"{time.perf_counter() - start:.1f}"
        style = style.with_meta(**{SECONDS: seconds, STAMP: stamp})
        path.parent.mkdir(parents=True, exist_ok=True)
        style.save(path)
        return self._open(path)  # what a later run will read, to the bit


def setup_seconds(styles: list[ls.Style]) -> float | None:
    """What making these styles took; None unless all were made by a benchmark."""
    unique = {style.digest: style.meta.get(SECONDS) for style in styles}
    known = [float(seconds) for seconds in unique.values() if seconds is not None]
    return sum(known) if known and len(known) == len(unique) else None


def code_of(host: ls.Host, kind: str, name: str) -> str:
    """A digest of the module that offers something: whoever works on a plugin wants it run anew."""
    factory = host.find(kind, name).factory
    try:
        text = inspect.getsource(inspect.getmodule(factory) or factory)
    except (OSError, TypeError):  # made at run time, without a file
        text = repr(factory)
    return hashlib.sha256(f"{ls.__version__}\n{text}".encode()).hexdigest()
