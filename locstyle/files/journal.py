"""What several processes tell of their work in one folder, each in a file of its own: no lock.

A record is one line of JSON. A line that was not written to its end, by a process that was killed
or on a disk that was full, is no record.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from locstyle.errors import OutputError
from locstyle.files.bounds import RECORD_BYTES

Record = dict[str, Any]  # Any: plain data, looked at key by key by whoever reads it

_ENDING = ".jsonl"
_UNSAFE = re.compile(r"[^\w.-]+")


class Journal:
    """The file of one writer in `folder`, named by its machine and process; made with the first
    record."""

    def __init__(self, folder: Path) -> None:
        host = _UNSAFE.sub("-", socket.gethostname())[:60] or "host"
        self.path = folder / f"{host}-{os.getpid()}-{secrets.token_hex(4)}{_ENDING}"
        self._handle: int | None = None
        self._is_torn = False

    def write(self, record: Mapping[str, Any]) -> None:
        """Adds a record; when this returns it is on the disk.

        Raises:
            OutputError: it cannot be written.
        """
        line = json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n"
        # What a failed write may have left of its line ends here, so that it spoils no other.
        data = (("\n" if self._is_torn else "") + line).encode("utf-8", "surrogatepass")
        self._is_torn = True
        try:
            handle = self._opened()
            while data:
                data = data[os.write(handle, data) :]
            os.fsync(handle)
        except OSError as error:
            raise OutputError(
                f"{self.path}: could not be written ({error.strerror or error})"
            ) from error
        self._is_torn = False

    def close(self) -> None:
        """Lets go of the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _opened(self) -> int:
        if self._handle is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY | getattr(os, "O_BINARY", 0)
            self._handle = os.open(self.path, flags, 0o666)
        return self._handle


class Journals:
    """All journals of a folder, read as their union; each `new` reads on from where it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[str, int] = {}

    def new(self) -> Iterator[Record]:
        """The records that were not read yet, in no order across writers."""
        try:
            found = sorted(x.name for x in os.scandir(self.folder) if x.name.endswith(_ENDING))
        except OSError:  # no folder yet
            return
        for name in found:
            yield from self._new_of(name)

    def _new_of(self, name: str) -> Iterator[Record]:
        try:
            with open(self.folder / name, "rb") as file:
                file.seek(self._read.get(name, 0))
                while (line := file.readline(RECORD_BYTES)).endswith(b"\n"):
                    self._read[name] = file.tell()
                    if (record := _record(line)) is not None:
                        yield record
        except OSError:  # gone, or not ours to read: then it tells nothing
            return


def _record(line: bytes) -> Record | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
