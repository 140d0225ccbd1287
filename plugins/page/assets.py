"""The page and its files, from the package: read once, kept in memory, named one by one.

No path of a request is ever made into a path of this machine: what is not in the package's folder
has no name here.
"""

from __future__ import annotations

import hashlib
import mimetypes
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .refusals import not_found

FIRST = ("first.js", "api.js", "app.js")
"""What the page needs soonest."""

_MODULES = b"<!-- every module, so that none waits for the one that names it -->"
_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class Asset(NamedTuple):
    """A file of the page: its bytes, what they are, and the digest that a browser keeps it by."""

    data: bytes
    kind: str
    tag: str


class Assets:
    """The files under a folder, read when first asked for."""

    def __init__(self, folder: Path) -> None:
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        self._paths = {path.relative_to(folder).as_posix(): path for path in files}
        self._kept: dict[str, Asset] = {}

    def routes(self) -> list[Route]:
        return [Route("/", self._page), Route("/static/{name:path}", self._file)]

    async def _page(self, request: Request) -> Response:
        return _answer(request, self._get("index.html"))

    async def _file(self, request: Request) -> Response:
        return _answer(request, self._get(request.path_params["name"]))

    def _get(self, name: str) -> Asset:
        if name not in self._kept:
            if name not in self._paths:
                raise not_found("no such file of the page")
            data = self._paths[name].read_bytes()
            data = data.replace(_MODULES, self._preloads()) if name == "index.html" else data
            suffix = self._paths[name].suffix
            kind = _KINDS.get(suffix) or mimetypes.guess_type(name)[0] or "text/plain"
            tag = f'"{hashlib.sha256(data).hexdigest()[:24]}"'
            self._kept[name] = Asset(data, kind, tag)
        return self._kept[name]

    def _preloads(self) -> bytes:
        """A browser learns of a module from the one that imports it: told of all, it asks at
        once."""
        rest = [name for name in self._paths if name.endswith(".js") and name not in FIRST]
        lines = [
            f'<link rel="modulepreload" fetchpriority="low" href="static/{name}">'
            for name in (*FIRST, *rest)
        ]
        return "\n  ".join(lines).encode()


def _answer(request: Request, asset: Asset) -> Response:
    headers = {"cache-control": "no-cache", "etag": asset.tag}
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.data, media_type=asset.kind, headers=headers)
