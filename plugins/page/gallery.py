"""The styles there are, as clients see them: shipped, uploaded, and in the root's folder."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import Any  # plain data

from PIL import Image

import locstyle as ls

from . import pictures
from .fence import Fence
from .library import stamp_of
from .refusals import not_found

SIDE = 256
MOST = 2000
KEPT = 512
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".avif", ".heic"})
_PREVIEW = 4 * 2**20  # characters


class Gallery:
    """Styles by an id of their path; thumbnails are made when they are asked for."""

    def __init__(self, fence: Fence, host: ls.Host, uploads: Path) -> None:
        self._fence, self._host, self._uploads = fence, host, uploads
        self._paths: OrderedDict[str, Path] = OrderedDict()
        self._thumbnails: OrderedDict[str, tuple[Any, bytes | None]] = OrderedDict()
        self._lock = Lock()

    def all(self, backbone: ls.Backbone | None) -> list[dict[str, Any]]:
        """Known styles first, then uploaded ones, then the folder's."""
        known = ls.list_styles()
        found = [self.facts(path, path.stem, "known", backbone) for path in known]
        for origin, files in (
            ("uploaded", sorted(self._uploads.glob("*/*"))),
            ("folder", sorted(self._fence.root.iterdir())),
        ):
            for path in files[:MOST]:
                suffix = path.suffix.lower()
                if path.name.startswith(".") or path in known or not _is_file(path):
                    continue
                if suffix in PICTURES or suffix == ".safetensors":
                    found.append(self.facts(path, self._fence.shown(path), origin, backbone))
        return found

    def facts(
        self, path: Path, style: str, origin: str, backbone: ls.Backbone | None
    ) -> dict[str, Any]:
        """A style as clients see it; broken ones say so in `why`."""
        id = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        with self._lock:
            self._paths[id] = path
            while len(self._paths) > 2 * MOST:
                self._paths.popitem(last=False)
        said = {"id": id, "style": style, "name": path.stem, "file": path.name, "origin": origin}
        if path.suffix.lower() in PICTURES:
            ways = [{"style": style, "name": "as it is"}]
            ways += [{"style": f"{e}:{style}", "name": e} for e in self._instant()]
            picture = {"kind": "reference", "family": "any", "trigger": "", "licence": ""}
            return {**said, **picture, "thumbnail": True, "fits": True, "why": None, "ways": ways}
        try:
            header = ls.read_header(path)
        except ls.StyleError as error:
            header, why = {}, str(error)
        else:
            why = _misfit(header, backbone)
        family = header.get("family")
        return {
            **said,
            "kind": header.get("kind", "deltas"),
            "family": family,
            "trigger": header.get("trigger", ""),
            "licence": header.get("licence", ""),
            "thumbnail": bool(header.get("preview")),
            "fits": None if why is None and (backbone is None or family is None) else why is None,
            "why": why,
            "ways": [{"style": style, "name": "as it is"}],
        }

    def check(self, path: Path, backbone: ls.Backbone) -> None:
        """Refuses a style file that cannot be read, or acts on nothing in the backbone.

        Raises:
            StyleError: says why.
        """
        ls.read_style(path, backbone=backbone)

    def thumbnail(self, id: str) -> bytes:
        with self._lock:
            path, found = self._paths.get(id), self._thumbnails.get(id)
        if path is None:
            raise not_found("no style of that id; ask for the styles first")
        if found is None or found[0] != stamp_of(path):
            found = stamp_of(path), _thumbnail(path)
            with self._lock:
                self._thumbnails[id] = found
                while len(self._thumbnails) > KEPT:
                    self._thumbnails.popitem(last=False)
        if found[1] is None:
            raise not_found("this style has no picture")
        return found[1]

    def encoders(self) -> list[dict[str, Any]]:
        """Who makes styles of pictures, and whether that takes a training."""
        found = []
        for name in self._host.names("style_encoders"):
            maker = self._host.find("style_encoders", name).factory
            instant = bool(getattr(maker, "instant", False))
            found.append(
                {
                    "name": name,
                    "makes": sorted(getattr(maker, "makes", ())),
                    "instant": instant,
                    "trains": not instant,
                    "presets": sorted(getattr(maker, "PRESETS", {})),
                }
            )
        return found

    def _instant(self) -> list[str]:
        encoders = self.encoders()
        return [e["name"] for e in encoders if e["instant"] and e["makes"] != ["reference"]]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a loop of links
        return False


def _misfit(header: dict[str, str], backbone: ls.Backbone | None) -> str | None:
    family = header.get("family")
    if backbone is None or family in (None, "any", backbone.family):
        return None
    return f"made for family {family!r}, this backbone is {backbone.family!r}"


def _thumbnail(path: Path) -> bytes | None:
    if path.suffix.lower() in PICTURES:
        return pictures.preview(ls.Photo.open(path), SIDE).data
    preview = ls.read_header(path).get("preview", "").rpartition(",")[2]
    if not 0 < len(preview) <= _PREVIEW:
        return None
    try:
        with Image.open(io.BytesIO(base64.b64decode(preview))) as image:
            if max(image.size) > 4096:
                return None
            small = image.convert("RGB")
    except Exception:  # decoders raise whatever they like on broken files
        return None
    small.thumbnail((SIDE, SIDE))
    data = io.BytesIO()
    small.save(data, "PNG")
    return data.getvalue()
