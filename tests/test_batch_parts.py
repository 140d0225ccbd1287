"""The parts of a batch by themselves: which photos, which shard, what journals tell, the page."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import batch_kit as kit
import numpy as np
import pytest
from PIL import Image

import locstyle as ls
from locstyle.batches import local
from locstyle.batches.manifest import Manifest
from locstyle.batches.page import write_page
from locstyle.batches.photos import find_photos
from locstyle.batches.plan import manifest_folder, plan_tasks
from locstyle.batches.shards import of_array, read_shard
from locstyle.batches.task import Batching, Ended
from locstyle.batches.worker import Setting
from locstyle.files.journal import Journal, Journals

RECIPE = {"locstyle": 2, "regions": [{"mask": "m/{stem}.png", "style": "s/{stem}.jpg"}]}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a/1.png", "a/2.JPG", "a/.hidden.png", "a/notes.txt", "b/1.png", "b/c/3.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"x")
    return tmp_path


def paths(*given: str) -> list[str]:
    return [one.path for one in find_photos(given)]


def test_files_folders_patterns_and_lists_name_photos_once(folder):
    Path("b/list.txt").write_text("# ours\n1.png\n\nc\n../a/*.JPG\ngone.png\n")
    assert paths("a") == ["a/1.png", "a/2.JPG"]
    assert paths("b/**/*") == ["b/1.png", "b/c/3.png"]
    assert paths("a/2.JPG", "a", "a/1.png") == ["a/2.JPG", "a/1.png"]
    assert [os.path.normpath(x) for x in paths("@b/list.txt")] == [
        "b/1.png", "b/c/3.png", "a/2.JPG", "b/gone.png",
    ]  # fmt: skip
    assert [one.folder for one in find_photos(["b/**/*"])] == [".", "c"]
    assert [one.folder for one in find_photos(["b/c/3.png"])] == ["b/c"]
    os.chdir("a")
    assert [one.folder for one in find_photos(["../b/c/3.png", "1.png"])] == ["c", "."]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("gone.png", "no file, folder or pattern"),
        ("b/*.tif", "no picture in"),
        ("@gone.txt", "list 'gone.txt' cannot be read"),
        ("@a/notes.png", "cannot be read"),
    ],
)
def test_photos_that_are_not_there_are_refused(folder, given, said):
    with pytest.raises(ls.PhotoError, match=said):
        find_photos([given])


def test_places_are_filled_for_each_photo(folder):
    groups = plan_tasks(["b/**/*"], RECIPE, "o/{folder}/{stem}-{seed}.png", {"seed": [1, 2]})
    tasks = [task for group in groups for task in group]
    assert [task.output for task in tasks] == [
        "o/1-1.png", "o/1-2.png", "o/c/3-1.png", "o/c/3-2.png",
    ]  # fmt: skip
    edit = tasks[2].edit
    assert (edit.image, edit.regions[0].mask, edit.regions[0].style, edit.seed) == (
        "b/c/3.png", "m/3.png", "s/3.jpg", 1,
    )  # fmt: skip
    assert manifest_folder("o/{folder}/{stem}.png", Batching()) == Path("o/.locstyle-batch")
    assert manifest_folder("{stem}.png", Batching()) == Path(".locstyle-batch")


def test_names_with_operators_in_them_stay_names(folder):
    Path("b/my - photo (1).png").write_bytes(b"x")
    (group,) = plan_tasks(["b/my - photo (1).png"], RECIPE, "{stem}.png")
    (path,) = group[0].edit.regions[0].files[:1]
    assert path == "m/my - photo (1).png"


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("o/{stem}-{seed}.png", r"called alike; have \{folder\} in it"),
        ("o/{seed}.png", r"for all photos; have \{stem\} in it"),
        ("o/{folder}-{stem}.png", r"have \{seed\} in it"),
        ("o/{stm}-{seed}.png", "did you mean 'stem'"),
        ("o/{stem}.gif", "cannot write '.gif'"),
    ],
)
def test_outputs_that_would_meet_are_refused(folder, output, said):
    with pytest.raises((ls.OutputError, ls.RecipeError), match=said):
        plan_tasks(["a/1.png", "b/1.png"], RECIPE, output, {"seed": [1, 2]})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"jobs": 0}, "jobs: got 0"),
        ({"threads": 0}, "threads: got 0"),
        ({"timeout": -1}, "timeout: got -1"),
        ({"gpus": -0.5}, "gpus: got -0.5"),
        ({"gpus": 2}, "gpus: .* launcher 'ray'"),
        ({"ray_address": "auto"}, "ray_address: .* launcher 'ray'"),
    ],
)
def test_settings_that_no_batch_can_have_are_refused(given, said):
    with pytest.raises(ls.RecipeError, match=said):
        ls.Batching(**given)


def test_folders_whose_photos_are_called_alike_are_named_by_what_is_above(folder):
    with pytest.raises(ls.OutputError, match="name a folder above both"):
        plan_tasks(["a", "b"], RECIPE, "o/{folder}-{stem}.png", {})
    assert len(plan_tasks(["[ab]/*.png"], RECIPE, "o/{folder}-{stem}.png", {})) == 2


def test_shards_are_read_and_taken_from_an_array():
    assert read_shard("2/5") == (1, 5)
    for text in ("0/5", "6/5", "2", "a/b", "2/5/7"):
        with pytest.raises(ls.RecipeError, match="I/N"):
            read_shard(text)

    def array(task, first, last, count, step=1):
        names = ("TASK_ID", "TASK_MIN", "TASK_MAX", "TASK_COUNT", "TASK_STEP")
        values = map(str, (task, first, last, count, step))
        return dict(zip((f"SLURM_ARRAY_{name}" for name in names), values, strict=True))

    assert of_array({}) is None
    assert of_array(array(4, 1, 5, 5)) == (3, 5)
    assert of_array(array(4, 0, 8, 3, 4)) == (1, 3)
    with pytest.raises(ls.RecipeError, match="gaps"):
        of_array(array(3, 1, 9, 3))


def test_journals_of_many_writers_are_one_and_torn_lines_none(tmp_path):
    writers = [Journal(tmp_path), Journal(tmp_path)]
    for number, writer in enumerate(writers * 3):
        writer.write({"number": number})
    with open(writers[0].path, "ab") as file:
        file.write(b'{"number": 99, "torn')
    Path(tmp_path, "other.jsonl").write_bytes(b"[1]\nnull\n\xff\xfe\n" + b"[" * 5000 + b"\n")
    journals = Journals(tmp_path)
    assert sorted(record["number"] for record in journals.new()) == list(range(6))
    assert list(journals.new()) == []
    writers[1].write({"number": 6})
    assert list(journals.new()) == [{"number": 6}]


def test_a_record_after_one_that_did_not_fit_on_the_disk_is_whole(tmp_path, monkeypatch):
    journal = Journal(tmp_path)
    real = os.write

    def short(handle, data):
        real(handle, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", short)
    with pytest.raises(ls.OutputError, match="No space left"):
        journal.write({"number": 1})
    monkeypatch.setattr(os, "write", real)
    journal.write({"number": 2})
    journal.close()
    assert list(Journals(tmp_path).new()) == [{"number": 2}]


def test_the_union_is_the_same_in_whatever_order_it_was_told(tmp_path):
    told = [
        {"is": kind, "id": task, "output": f"{task}.png", **more}
        for task in ("a", "b")
        for kind, more in (
            ("crash", {"error": "once"}),
            ("failed", {"error": "then"}),
            ("claim", {"sha256": "f" * 64, "bytes": 3, "rows": 1}),
            ("done", {"sha256": "f" * 64, "bytes": 3, "rows": 1, "run": 0.5}),
        )
    ]
    texts = set()
    for order in (told, told[::-1], told[1::2] + told[::2]):
        manifest = Manifest(tmp_path / "m")
        for record in order:
            manifest.take(record)
        (tmp_path / "m").mkdir(exist_ok=True)
        manifest.write_union()
        texts.add((tmp_path / "m" / "manifest.json").read_text())
    assert len(texts) == 1 and '"state": "done"' in texts.pop()


@pytest.mark.skipif(os.name == "nt", reason="the worker is a shell script")
@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("sleep 60 & kill -9 $$", "signal 9, SIGKILL"),  # its own child holds its output open
        ("echo no JSON; exec sleep 60", "signal 9, SIGKILL"),  # nobody hears it any more
        ("echo why >&2; exit 3", r"status 3 \(why\)"),
    ],
)
def test_a_worker_that_ends_however_is_told_of(tmp_path, monkeypatch, script, said):
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o700)
    monkeypatch.setattr("sys.executable", str(program))
    monkeypatch.setattr(local, "_PATIENCE", 0.2)
    launcher = local.Local(Batching(jobs=1, device="cpu"), Setting("tiny", ".", "."))
    launcher.start(0)
    (news,) = launcher.wait(10)
    launcher.close()
    assert news.kind == "died" and re.search(said, news.said["error"])


def test_the_page_shows_every_picture_and_says_what_failed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("<a>.png", "o1.png"):
        kit.photo(Path(name), 1)
    bad = "<script>alert(1)</script>"
    ended = [
        Ended("done", "<a>.png", "o1.png", "1" * 64, {"seed": 1}),
        Ended("failed", "<a>.png", "o2.png", "2" * 64, {"seed": 2}, error=bad),
        Ended("done", "gone.png", "gone too.png", "3" * 64, {"seed": 1}),
    ]
    write_page(Path("page.html"), ended, tmp_path / "m")
    page = Path("page.html").read_text()
    assert "<script>" not in page and "seed 2" in page and "done 2, failed 1" in page
    assert len(list((tmp_path / "m" / "thumbnails").iterdir())) == 2
    assert "gone%20too.png" in page
    with Image.open(next((tmp_path / "m" / "thumbnails").iterdir())) as small:
        assert np.asarray(small).shape == (32, 32, 3)
