"""What a server was started with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal

import locstyle as ls

MIB = 2**20


@dataclass(frozen=True)
class Startup:
    """`root`: the folder whose files may be named; `first`: what to open at once, a photo or a
    recipe in it; `kept`: the server's own folder, where uploads and the autosaved state live."""

    root: Path
    first: str | None = None
    backbone: str = "mini"
    device: str = "auto"
    dtype: str = "auto"
    cache: bool = True
    backbone_config: str | None = None
    memory: Literal["auto", "low"] = "auto"
    kept: Path | None = None
    token: str = field(default_factory=lambda: token_urlsafe(24))
    upload_bytes: int = 1024 * MIB
    body_bytes: int = 4 * MIB
    uploads_bytes: int = 8192 * MIB
    streams: int = 64

    @property
    def folder(self) -> Path:
        """The server's own folder, another for each root."""
        name = hashlib.sha256(str(self.root.resolve()).encode()).hexdigest()[:16]
        return self.kept or ls.cache_folder() / "page" / name
