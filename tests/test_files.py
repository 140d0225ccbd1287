"""Writing: refused before any work, or whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from locstyle.errors import OutputError
from locstyle.files import atomic_file, check_output, write_atomic
from locstyle.photo import Photo


def noise(height: int, width: int, channels: int, depth: int = 8, seed: int = 0) -> np.ndarray:
    kind = np.uint8 if depth == 8 else np.uint16
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**depth, (height, width, channels), dtype=kind)


def test_outputs_that_cannot_be_are_refused_before_any_work(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"a photo")
    (tmp_path / "link.png").symlink_to(source)
    (tmp_path / "folder.png").mkdir()
    for output, message in {
        "a.png": "is also an input",
        "link.png": "is also an input",
        "x/../a.png": "is also an input|does not exist",
        "a.pgn": "did you mean '.png'",
        "a": "a file without ending",
        "folder.png": "is a folder",
        "nowhere/b.png": "folder .* does not exist; create it",
    }.items():
        with pytest.raises(OutputError, match=message):
            check_output(tmp_path / output, [source])
    check_output(tmp_path / "b.PNG", [source, tmp_path / "missing.png"])
    check_output(tmp_path / "s.safetensors", [], suffixes=[".safetensors"])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "folder.png", "link.png"]


def test_formats_that_would_lose_the_photo_are_refused(tmp_path: Path) -> None:
    clear = Photo(noise(4, 4, 4))
    wide = Photo(np.zeros((1, 20000, 3), np.uint8))
    with pytest.raises(OutputError, match=r"JPEG holds no alpha.*use \.png"):
        check_output(tmp_path / "a.jpg", [], photo=clear)
    with pytest.raises(OutputError, match="20000 × 1 pixels; WEBP holds at most 16383"):
        check_output(tmp_path / "a.webp", [], photo=wide)
    for name, photo in {"a.jpg": clear, "a.webp": wide}.items():
        with pytest.raises(OutputError):
            photo.save(tmp_path / name)
    with pytest.raises(OutputError, match=r"did you mean '\.png'"):
        clear.save(tmp_path / "a.pgn")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot write in"):
        check_output(tmp_path / "a.png", [])


def _disk_full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("call", ["replace", "fsync", "open", "chmod"])
def test_a_full_disk_leaves_the_old_file_intact(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(os, call, _disk_full)
        with pytest.raises(OutputError, match=r"No space left on device.*untouched"):
            Photo(noise(4, 4, 3)).save(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_a_disk_that_fills_while_writing_leaves_the_old_file_intact(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="No space left"), atomic_file(path) as temporary:
        temporary.write_bytes(b"half a fi")
        _disk_full()
    with pytest.raises(KeyboardInterrupt), atomic_file(path) as temporary:
        temporary.write_bytes(b"half a fi")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_check_output_reports_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", _disk_full)
        with pytest.raises(OutputError, match="No space left"):
            check_output(tmp_path / "a.png", [])


def test_written_files_have_ordinary_permissions_and_follow_links(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_atomic(tmp_path / "new.bin", b"1")
    finally:
        os.umask(mask)
    assert (tmp_path / "new.bin").stat().st_mode & 0o777 == 0o640
    (tmp_path / "new.bin").chmod(0o604)
    (tmp_path / "link.bin").symlink_to(tmp_path / "new.bin")
    write_atomic(tmp_path / "link.bin", b"2")
    assert (tmp_path / "link.bin").is_symlink()
    assert (tmp_path / "new.bin").read_bytes() == b"2"
    assert (tmp_path / "new.bin").stat().st_mode & 0o777 == 0o604
