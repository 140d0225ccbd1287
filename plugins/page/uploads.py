"""What clients send: kept whole under its digest, and swept when nobody needs it any more."""

from __future__ import annotations

import hashlib
import json
import os
import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, NamedTuple  # Any: the autosaved state

from .opening import too_large
from .refusals import Refusal

if TYPE_CHECKING:
    from .desk import Desk

DAYS = 7
"""How long an upload stays that the autosaved edit does not name: a command or a recipe that was
copied may."""

MOST = 200
MOST_BYTES = 2 * 2**30
_LONGEST = 100  # characters of an upload's name
_DAY = 24 * 3600
_UNFINISHED = ".upload-"


async def keep_upload(desk: Desk, name: str, body: AsyncIterator[bytes]) -> Path:
    """The bytes of an upload, whole, in the server's own folder under its digest and a plain name.

    Raises:
        Refusal: larger than is read, or more than there is room for.
    """
    most, digest, size = desk.startup.upload_bytes, hashlib.sha256(), 0
    room = desk.startup.uploads_bytes - _held(desk.uploads)
    with NamedTemporaryFile(dir=desk.uploads, prefix=_UNFINISHED, delete=False) as file:
        try:
            async for chunk in body:
                size += len(chunk)
                if size > min(most, room):
                    raise too_large(size, most) if size > most else _full(desk)
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            folder = desk.uploads / digest.hexdigest()[:16]
            folder.mkdir(exist_ok=True)
            os.replace(file.name, folder / plain_name(name))
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
    return folder / plain_name(name)


def plain_name(name: str) -> str:
    """A file's name without folders and without what a name cannot hold."""
    last = re.split(r"[/\\]", name)[-1]
    kept = re.sub(r"[\x00-\x1f\x7f:|?*<>\"]", "", last).strip(" .")
    stem, dot, suffix = kept.rpartition(".")
    return f"{stem[:_LONGEST]}{dot}{suffix[:12]}" if stem else f"upload{dot}{suffix[:12] or '.bin'}"


def _full(desk: Desk) -> Refusal:
    said = f"no room for more uploads; remove some from {desk.uploads}"
    return Refusal(413, "TooLarge", said)


def _held(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*/*") if path.is_file())


class _Upload(NamedTuple):
    path: Path
    bytes: int
    age: float  # seconds since it came


def sweep(folder: Path, state: Any) -> None:
    """Removes uploads that `state` does not name: those older than DAYS, and the oldest of more
    than MOST or of more than MOST_BYTES.

    Only files under the digest of what they hold are ours; nothing else is looked at twice.
    """
    named = json.dumps(state)
    spared, held = 0, 0
    for upload in sorted(_uploads(folder), key=lambda one: one.age):
        if upload.path.parent.name in named:
            continue
        spared, held = spared + 1, held + upload.bytes
        if spared > MOST or held > MOST_BYTES or upload.age > DAYS * _DAY:
            _remove(upload.path)
    for unfinished in folder.glob(".*"):  # of a server that was killed meanwhile
        with suppress(OSError):
            is_old = time.time() - unfinished.lstat().st_mtime > _DAY
            if is_old and unfinished.name.startswith(_UNFINISHED) and not unfinished.is_symlink():
                unfinished.unlink()


def _uploads(folder: Path) -> Iterator[_Upload]:
    for path in folder.glob("*/*"):
        if not re.fullmatch("[0-9a-f]{16}", path.parent.name) or path.parent.is_symlink():
            continue
        with suppress(OSError):  # gone meanwhile
            if path.is_file() and not path.is_symlink():
                facts = path.stat()
                yield _Upload(path, facts.st_size, time.time() - facts.st_mtime)


def _remove(path: Path) -> None:
    with suppress(OSError):  # somebody has it open, or was faster
        with open(path, "rb") as file:
            if not hashlib.file_digest(file, "sha256").hexdigest().startswith(path.parent.name):
                return
        path.unlink()
        path.parent.rmdir()
