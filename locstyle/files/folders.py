"""Folders for what is written: made where they are missing, or looked at whether they could be."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from locstyle.errors import OutputError
from locstyle.files.bounds import is_folder
from locstyle.files.unfinished import Unfinished


def make_folder(folder: Path) -> None:
    """Makes a folder with those above it, where it is not there yet.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unmade(folder, error) from error


def check_folder(folder: Path) -> None:
    """Refuses a folder that could not be made or written in; it is not made.

    Raises:
        OutputError: as `make_folder`, or nothing can be written in the folder that is there.
    """
    try:
        there = _nearest(folder.absolute())
        # Trying is the only honest test: permission bits say nothing about quotas or mounts.
        Unfinished(there).remove()
    except OSError as error:
        raise _unmade(folder, error) from error


def _nearest(folder: Path) -> Path:
    """The folder, or the one that is there of those above it."""
    try:
        if stat.S_ISDIR(os.stat(folder).st_mode):
            return folder
    except FileNotFoundError:
        return _nearest(folder.parent)
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def _unmade(folder: Path, error: OSError) -> OutputError:
    what = "cannot be written in" if is_folder(folder) else "cannot be made"
    return OutputError(f"{folder}: {what} ({error.strerror or error}); choose another folder")
