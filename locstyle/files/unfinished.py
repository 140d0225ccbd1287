"""What is being written: made under a lock that ends with its process, swept when nobody holds it.

A run that is killed cannot tidy up. Its half-written files are told from those of a living one by
their lock, which the system lets go; the next run in that folder removes them. Where a file system
knows no locks they stay.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

_NAME = re.compile(r"\.locstyle-[0-9a-f]{12}(\..*)?")
_LOCK = ".lock"
# Windows opens in text mode unless told; elsewhere a link might be followed and a FIFO waited for.
_FLAGS = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Unfinished:
    """An empty file that nobody else uses, and the lock that says so."""

    def __init__(self, folder: Path, suffix: str = "") -> None:
        self.path, self._handle = _new(folder, suffix)

    def release(self) -> None:
        """Lets go of the lock; from then on a sweep may take the file."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def remove(self) -> None:
        """The file gone, unless it has its final name by now."""
        self.release()
        with suppress(OSError):
            self.path.unlink()


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """An empty folder in `parent`, removed with what is still in it when the block ends.

    Raises:
        OSError: it cannot be made.
    """
    lock = Unfinished(parent, _LOCK)
    folder = lock.path.with_suffix("")
    try:
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        lock.remove()


def sweep(folder: Path) -> None:
    """Removes what killed runs left half written in `folder`; what a living one holds stays."""
    try:
        names = [entry.name for entry in os.scandir(folder) if _NAME.fullmatch(entry.name)]
    except OSError:  # no folder, or not ours to read: then there is nothing to tidy
        return
    for name in names:
        with suppress(OSError):  # held, a folder (its lock file counts), or gone by now
            _remove_abandoned(folder / name)


def _new(folder: Path, suffix: str) -> tuple[Path, int | None]:
    # Not tempfile: its files are 0600 whatever the user's umask says.
    while True:
        path = folder / f".locstyle-{secrets.token_hex(6)}{suffix}"
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | _FLAGS, 0o666)
        if _hold(handle) and _is_still(handle, path):
            return path, handle
        os.close(handle)  # a sweep came between; it is removed already, or will be


def _hold(handle: int) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # no locks on this file system: sweeps cannot take one either
            return True
    return True


def _is_still(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except OSError:
        return False


def _remove_abandoned(path: Path) -> None:
    """Raises OSError where somebody holds it, or where that cannot be told."""
    if sys.platform == "win32":  # which removes no file that anybody has open
        path.unlink()
        _remove_folder_of(path)
        return
    handle = os.open(path, os.O_RDWR | _FLAGS)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISREG(os.fstat(handle).st_mode):
            _remove_folder_of(path)
            path.unlink()
    finally:
        os.close(handle)


def _remove_folder_of(path: Path) -> None:
    if path.suffix == _LOCK:
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
