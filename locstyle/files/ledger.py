"""Which files of a folder are ours: a marker file that says what each held when it was written.

Only what the ledger proves ours is ever replaced or removed. It is in the form of `sha256sum`:
`sha256sum -c .locstyle.sha256` shows what was changed since.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from locstyle.errors import OutputError
from locstyle.files.bounds import LEDGER_BYTES, Unreadable, read_file
from locstyle.files.output import write_atomic

MARKER = ".locstyle.sha256"


class Ledger:
    """The files in `folder` that one kind of run wrote; `maker` is the command, for messages.

    A file is entered before it is written, so that a run can stop anywhere: an entry without its
    file does no harm. Names are relative to the folder, with slashes.
    """

    def __init__(self, folder: Path, maker: str) -> None:
        self.folder, self.maker = folder, maker
        self._digests: defaultdict[str, set[str]] = defaultdict(set)
        for digest, name in _entries(folder / MARKER):
            self._digests[name].add(digest)

    @property
    def names(self) -> list[str]:
        """All names ever entered and not forgotten, whether their files are there or not."""
        return sorted(self._digests)

    def owns(self, name: str) -> bool:
        """Whether the file of that name is there and holds what a run wrote."""
        path = self.folder / name
        if name not in self._digests or not _is_inside(path, self.folder):
            return False
        try:
            return digest_of(path) in self._digests[name]
        except OSError:
            return False

    def check(self, names: Iterable[str]) -> None:
        """Refuses to replace what is not ours.

        Raises:
            OutputError: names the first of `names` that is there and was not written by a run, or
                was changed since.
        """
        for name in names:
            path = self.folder / name
            if os.path.lexists(path) and not self.owns(name):
                raise OutputError(
                    f"{path}: is not as `{self.maker}` writes it, so it stays; move it away or "
                    "choose another folder"
                )

    def enter(self, digests: Mapping[str, str]) -> None:
        """Says that files of these names and SHA-256 digests are ours, before they are written.

        Raises:
            OutputError: the marker file cannot be written.
        """
        lines = [
            f"{digest}  {name}\n"
            for name, digest in digests.items()
            if digest not in self._digests[name]
        ]
        for name, digest in digests.items():
            self._digests[name].add(digest)
        path = self.folder / MARKER
        try:
            with open(path, "ab") as file:
                file.write("".join(lines).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{path}: could not be written ({error.strerror or error})"
            ) from error

    def write(self, name: str, data: bytes) -> Path:
        """Writes a file of the folder, whole or not at all, and its folders.

        Raises:
            OutputError: one that is not ours is there, or it cannot be written.
        """
        path = self.folder / name
        self.check([name])
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{path.parent}: cannot be made ({error.strerror or error}); choose another folder"
            ) from error
        self.enter({name: hashlib.sha256(data).hexdigest()})
        write_atomic(path, data)
        return path

    def remove(self, names: Iterable[str] | None = None) -> None:
        """Removes files that are ours (None: all), and folders of theirs that are left empty.

        Raises:
            OSError: one cannot be removed.
        """
        for name in list(self.names if names is None else names):
            if self.owns(name):
                (self.folder / name).unlink()
                for parent in PurePosixPath(name).parents[:-1]:
                    with suppress(OSError):  # holds something else
                        (self.folder / parent).rmdir()

    def forget(self) -> None:
        """Writes the marker anew, without the names that are not there."""
        for name in list(self._digests):
            if not (self.folder / name).exists():
                del self._digests[name]
        write_atomic(self.folder / MARKER, marker(self._digests))


def marker(digests: Mapping[str, Iterable[str]]) -> bytes:
    """What a marker file holds for digests by name."""
    lines = (f"{one}  {name}\n" for name in sorted(digests) for one in sorted(digests[name]))
    return "".join(lines).encode()


def digest_of(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    if not path.is_file():
        raise Unreadable("is no regular file")
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """Digest and name of each whole line; none where there is no marker file to be read."""
    try:
        lines = read_file(path, LEDGER_BYTES).decode("utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        digest, gap, name = line[:64], line[64:66], line[66:]
        parts = PurePosixPath(name).parts
        if gap == "  " and parts and ".." not in parts and not PurePosixPath(name).is_absolute():
            yield digest, name


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether no link leads out of the folder."""
    return not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
