"""What was uploaded goes when nobody needs it any more, and nothing else ever does."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest
from locstyle_plugins.page import uploads


def upload(folder: Path, data: bytes, days: float = 0) -> Path:
    """A file as `keep_upload` leaves it, so many days ago."""
    home = folder / hashlib.sha256(data).hexdigest()[:16]
    home.mkdir(parents=True, exist_ok=True)
    path = home / "photo.png"
    path.write_bytes(data)
    then = time.time() - days * 24 * 3600
    os.utime(path, (then, then))
    return path


def test_what_the_edit_names_stays_and_what_is_old_goes(tmp_path: Path) -> None:
    named, old, new = upload(tmp_path, b"a", 90), upload(tmp_path, b"b", 8), upload(tmp_path, b"c")
    uploads.sweep(tmp_path, {"doc": {"parts": [{"style": str(named)}]}})
    assert named.exists() and new.exists() and not old.parent.exists()


@pytest.mark.parametrize(("bound", "most"), [("MOST", 2), ("MOST_BYTES", 2000)])
def test_of_too_many_or_too_large_the_oldest_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    monkeypatch.setattr(uploads, bound, most)
    files = [upload(tmp_path, bytes([n]) * 900, n) for n in range(5)]
    uploads.sweep(tmp_path, None)
    assert [path.exists() for path in files] == [True, True, False, False, False]


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    changed = upload(tmp_path / "kept", b"ours", 90)
    changed.write_bytes(b"somebody's")
    os.utime(changed, (0, 0))
    strange = tmp_path / "kept" / "holiday" / "photo.png"
    strange.parent.mkdir()
    strange.write_bytes(b"x")
    outside = upload(tmp_path / "elsewhere", b"theirs", 90)
    (tmp_path / "kept" / outside.parent.name).symlink_to(outside.parent)
    linked = tmp_path / "kept" / hashlib.sha256(b"l").hexdigest()[:16]
    linked.mkdir()
    (linked / "a.png").symlink_to(outside)
    for path in (strange, outside):
        os.utime(path, (0, 0))
    uploads.sweep(tmp_path / "kept", None)
    assert changed.exists() and strange.exists() and outside.exists()
    assert (linked / "a.png").is_symlink()


def test_what_a_killed_server_left_half_written_goes_after_a_day(tmp_path: Path) -> None:
    old, new = tmp_path / ".upload-abc", tmp_path / ".upload-def"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    uploads.sweep(tmp_path, None)
    assert not old.exists() and new.exists()
