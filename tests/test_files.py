"""Writing: refused before any work, or whole, or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from locstyle.errors import OutputError
from locstyle.files import (
    Ledger,
    atomic_file,
    check_folder,
    check_output,
    make_folder,
    noted_files,
    read_file,
    unfinished_folder,
    write_atomic,
)
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
    for name, what in {".": "cannot be written in", "new": "cannot be made"}.items():
        with pytest.raises(OutputError, match=what):
            check_folder(tmp_path / name)


def test_a_folder_is_looked_at_without_being_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    for name in ("new/below", "."):
        check_folder(tmp_path / name)
    for name in ("file", "file/below", "file/far/below", "x" * 300):
        for act in (check_folder, make_folder):
            with pytest.raises(OutputError, match="cannot be made"):
                act(tmp_path / name)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]


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


def test_nothing_but_a_regular_file_is_ever_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    for name, message in {
        "pipe.png": "no regular file",
        "null.png": "no regular file",
        "loop.png": "cannot be a file",
        "a" * 300 + ".png": "cannot be a file",
        "a\0b.png": "cannot be a file",
    }.items():
        with pytest.raises(OutputError, match=message):
            check_output(tmp_path / name, [])
        with pytest.raises(OutputError, match=message):
            write_atomic(tmp_path / name, b"1")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["loop.png", "null.png", "pipe.png"]
    assert (tmp_path / "pipe.png").is_fifo()


def _killed_while(work: Callable[[], object]) -> None:
    """`work` in a process of its own, which is killed before it ends."""
    if child := os.fork():
        os.waitpid(child, 0)
        return
    try:
        work()
    finally:
        os._exit(9)


def _half_written(folder: Path) -> None:
    with unfinished_folder(folder) as new, atomic_file(folder / "b.png") as temporary:
        (new / "c.png").write_bytes(b"half")
        temporary.write_bytes(b"half a fi")
        os.kill(os.getpid(), signal.SIGKILL)


def test_the_next_run_sweeps_what_a_killed_one_left_and_no_other(tmp_path: Path) -> None:
    (tmp_path / ".locstyle-notes.txt").write_bytes(b"mine")
    _killed_while(lambda: _half_written(tmp_path))
    assert len(list(tmp_path.iterdir())) == 4
    with atomic_file(tmp_path / "living.png") as temporary:
        check_output(tmp_path / "a.png", [])
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {".locstyle-notes.txt", temporary.name}
        temporary.write_bytes(b"whole")
    assert {path.name for path in tmp_path.iterdir()} == {".locstyle-notes.txt", "living.png"}


def test_files_are_flushed_through_a_handle_that_may_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Windows demands: there, a handle opened for reading is refused."""
    flush, flushed = os.fsync, []

    def strict(handle: int) -> None:
        assert fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
        flushed.append(handle)
        flush(handle)

    monkeypatch.setattr(os, "fsync", strict)
    write_atomic(tmp_path / "a.bin", b"1")
    Ledger(tmp_path, "x").write("b.bin", b"2")
    assert len(flushed) == 3


def test_what_was_written_is_noted(tmp_path: Path) -> None:
    write_atomic(tmp_path / "before.bin", b"0")
    with noted_files() as noted:
        write_atomic(tmp_path / "a.bin", b"1")
        with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "b.bin"):
            raise KeyboardInterrupt
    write_atomic(tmp_path / "after.bin", b"0")
    assert noted == [tmp_path / "a.bin"]


def test_a_ledger_gives_up_nothing_that_is_not_ours(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "locstyle x")
    ledger.write("runs/one.json", b"1")
    ledger.write("runs/two.json", b"2")
    (tmp_path / "runs" / "two.json").write_bytes(b"changed")
    (tmp_path / "runs" / "mine.json").write_bytes(b"3")
    again = Ledger(tmp_path, "locstyle x")
    for name in ("runs/two.json", "runs/mine.json"):
        with pytest.raises(OutputError, match="not as `locstyle x` writes it, so it stays"):
            again.write(name, b"4")
    again.write("runs/one.json", b"5")
    again.remove()
    assert {p.name for p in (tmp_path / "runs").iterdir()} == {"two.json", "mine.json"}


def test_a_ledger_reaches_no_file_outside_its_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside.txt"
    outside.write_bytes(b"1")
    inside.mkdir()
    (inside / "link").symlink_to(tmp_path)
    digest = hashlib.sha256(b"1").hexdigest()
    names = ["../outside.txt", str(outside), "link/outside.txt"]
    lines = "".join(f"{digest}  {name}\n" for name in names)
    (inside / ".locstyle.sha256").write_text(lines)
    ledger = Ledger(inside, "locstyle x")
    assert not any(ledger.owns(name) for name in names)
    ledger.remove()
    assert outside.read_bytes() == b"1"


def test_reading_is_bounded_and_never_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "big").write_bytes(b"12345")
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(2**40)
    for name, message in {
        "pipe": "no regular file",
        "loop": "symbolic links|many levels",
        "none": "no such file",
        ".": "is a folder",
        "big": "read are at most",
        "sparse": "read are at most",
        "a\0b": "null",
        "a" * 300: "too long",
    }.items():
        with pytest.raises(OSError, match=message) as caught:
            read_file(tmp_path / name, 4)
        assert caught.value.strerror
    assert read_file(tmp_path / "big", 5) == b"12345"
