"""A batch: every task once, whatever happens in between."""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import batch_kit as kit
import pytest

import locstyle as ls
from locstyle.batches import Batch, Batching
from locstyle.batches.launch import News
from locstyle.batches.manifest import FOLDER, Manifest
from locstyle.batches.worker import Worker

OUT = "out/{stem}-{seed}.png"
SEEDS = {"seed": [1, 2]}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos, two styles, a recipe and a plugin."""
    folder = tmp_path_factory.mktemp("shop")
    kit.make_folder(folder, 2)
    return folder


@pytest.fixture
def here(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with links to all of it, in which a process finds itself."""
    for name in ("photos", "loras", "recipe.yaml", "site"):
        source = shop / name
        if name == "photos":
            (tmp_path / name).mkdir()
            for photo in source.iterdir():
                (tmp_path / name / photo.name).write_bytes(photo.read_bytes())
        else:
            (tmp_path / name).symlink_to(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(shop / "site")
    yield tmp_path
    sys.modules.pop("acme_moody", None)


@pytest.fixture
def host(here: Path) -> ls.Host:
    return ls.Host(allow=("singlepass", "acme-moody"))


class Inside:
    """A launcher whose workers live in this process; `fate` says what else happens to a task.

    `fate(seat, message)` is None to have it done, "die" to have the worker end instead, "sleep" to
    have it never answer, or an answer.
    """

    def __init__(self, editor, fate=lambda seat, message: None, seats=2):
        self.seats, self.fate, self.editor = seats, fate, editor
        self.workers, self.news, self.sent = {}, [], []

    def __call__(self, how, setting):
        self.setting = setting
        return self

    def start(self, seat):
        self.workers[seat] = Worker(self.setting, self.editor)
        self.news.append(News(seat, "hello", self.workers[seat].facts))

    def send(self, seat, message):
        self.sent.append((seat, message))
        fate = self.fate(seat, message)
        if fate == "die":
            self.news.append(News(seat, "died", {"error": "its worker ended"}))
        elif fate != "sleep":
            self.news.append(News(seat, "answer", fate or self.workers[seat].do(message)))

    def wait(self, seconds):
        found, self.news = self.news[:1], self.news[1:]
        return found

    def stop(self, seat):
        self.workers.pop(seat, None)
        self.news = [one for one in self.news if one.seat != seat]

    def close(self):
        self.workers.clear()
        self.news.clear()


@pytest.fixture
def run(host, backbone):
    """Runs a batch inside this process; gives what became of its tasks, by their state."""

    def run(fate=lambda seat, message: None, *, photos=("photos",), axes=SEEDS, output=OUT, **how):
        inside = Inside(ls.Editor(backbone, host), fate, how.pop("seats", 2))
        dry = how.pop("dry", False)
        how = Batching(launcher=inside, **how)
        planned = Batch.plan(photos, "recipe.yaml", output, matrix=axes, how=how, host=host)
        run.sent, run.planned = inside.sent, planned
        return list(planned.run(dry=dry))

    return run


def states(ended) -> dict[str, int]:
    return dict(Counter(one.state for one in ended))


def fresh(ended) -> int:
    return sum(one.is_new for one in ended)


def test_every_task_is_done_once_and_the_next_run_finds_it_done(run, here):
    first = run()
    assert states(first) == {"done": 4} and fresh(first) == 4
    assert len({one.id for one in first}) == 4
    before = kit.contents(here / "out")
    again = run()
    assert states(again) == {"done": 4} and fresh(again) == 0 and not run.sent
    assert kit.contents(here / "out") == before
    assert {one.output: one.rows for one in again} == {one.output: one.rows for one in first}


def test_only_what_is_missing_is_done_and_comes_out_the_same(run, here):
    run()
    before = kit.contents(here / "out")
    (here / "out" / "001-2.png").unlink()
    again = run()
    assert [one.output for one in again if one.is_new] == ["out/001-2.png"]
    assert kit.contents(here / "out") == before


def test_a_photos_tasks_go_to_one_worker_one_after_another(run):
    run(seats=1)
    photos = [message["edit"]["image"] for _, message in run.sent]
    assert [photo for photo, _ in itertools.groupby(photos)] == sorted(set(photos))


def test_idle_workers_take_half_of_what_another_has_before_it(run):
    run(photos=["photos/000.png"], axes={"seed": [1, 2, 3, 4]})
    assert {seat for seat, _ in run.sent} == {0, 1}


def test_a_changed_recipe_makes_new_tasks_and_leaves_old_outputs_alone(run, here):
    run()
    before = kit.contents(here / "out")
    Path("recipe.yaml").unlink()
    Path("recipe.yaml").write_text(kit.RECIPE.format(steps=2, style="one"))
    again = run()
    assert states(again) == {"failed": 4} and not run.sent
    assert "made by another recipe" in str(again[0].error)
    assert {k: v for k, v in kit.contents(here / "out").items() if k.endswith(".png")} == {
        k: v for k, v in before.items() if k.endswith(".png")
    }
    replaced = run(replace=True)
    assert states(replaced) == {"done": 4} and fresh(replaced) == 4
    assert kit.contents(here / "out")["000-1.png"] != before["000-1.png"]


def test_a_photo_a_mask_a_style_or_a_setting_that_changed_is_another_task(run, here):
    def ids(**how):
        return {one.output: one.id for one in run(dry=True, **how)}

    first = ids()
    kit.photo(here / "photos" / "000.png", 77)
    second = ids()
    assert {k for k in first if first[k] != second[k]} == {"out/000-1.png", "out/000-2.png"}
    assert not set(ids(carries="names").values()) & set(second.values())
    for how in ({"max_rows": 1}, {"memory": "low"}, {"backbone_config": "folder"}):
        assert not set(ids(**how).values()) & set(second.values())
    style = Path("loras").resolve() / "one.safetensors"
    kept = style.read_bytes()
    try:
        style.write_bytes((style.parent / "two.safetensors").read_bytes())
        assert not set(ids().values()) & set(second.values())
    finally:
        style.write_bytes(kept)
    assert ids() == second


def test_a_weight_too_large_is_refused_once_and_before_any_photo(run, here):
    said = Path("recipe.yaml").read_text()
    Path("recipe.yaml").unlink()
    Path("recipe.yaml").write_text(said + "negative: a (blur:11)\n")
    with pytest.raises(ls.RecipeError, match=r"negative: 'blur' weighs 11; give weights from"):
        run()


def test_files_of_others_stay(run, here):
    (here / "out").mkdir()
    (here / "out" / "001-1.png").write_text("mine")
    with pytest.raises(ls.OutputError, match=r"001-1\.png: is there already"):
        run()
    (here / "out" / "001-1.png").unlink()
    run()
    (here / "out" / "001-1.png").write_text("mine now")
    again = run(replace=True)
    assert states(again) == {"done": 3, "failed": 1}
    assert (here / "out" / "001-1.png").read_text() == "mine now"


def test_a_file_in_place_whose_writer_was_killed_before_it_told_is_taken_for_done(run, here):
    run()
    before = kit.contents(here / "out")
    for path in (here / "out" / FOLDER).glob("*.jsonl"):
        told = path.read_bytes()
        lines = [line for line in told.splitlines(True) if b'"is":"done"' not in line]
        path.write_bytes(b"".join(lines) + told[:-20].splitlines(True)[-1])  # torn in its last line
    again = run()
    assert fresh(again) == 0 and states(again) == {"done": 4} and not run.sent
    assert kit.contents(here / "out") == before


def test_failures_are_told_and_tried_again(run, here):
    kit.photo(here / "photos" / "001.png", 1, kit.BUGGY)
    Path("photos/broken.jpg").write_text("no picture")
    first = run()
    assert states(first) == {"done": 2, "failed": 4}
    errors = {one.photo: one.error for one in first if one.error}
    assert "ValueError: a bug of a plugin's" in errors["photos/001.png"]
    assert "broken.jpg" in errors["photos/broken.jpg"]
    left = run(skip_failed=True)
    assert states(left) == {"done": 2, "failed": 4} and fresh(left) == 0 and not run.sent
    assert fresh(run()) == 4


def test_photos_without_what_a_region_means_are_filtered_if_asked(run, here):
    kit.photo(here / "photos" / "001.png", 1, kit.BLIND)
    assert states(run()) == {"done": 2, "failed": 2}
    assert states(run(filter_empty=True)) == {"done": 2, "filtered": 2}
    again = run(filter_empty=True)
    assert states(again) == {"done": 2, "filtered": 2} and fresh(again) == 0


def test_what_takes_its_worker_down_twice_is_poison(run, here):
    def fate(seat, message):
        return "die" if message["edit"]["image"] == "photos/001.png" else None

    first = run(fate)
    assert states(first) == {"done": 2, "poison": 2}
    assert "took its worker down" in str(first[-1].error)
    again = run()
    assert states(again) == {"done": 2, "poison": 2} and fresh(again) == 0 and not run.sent
    assert states(run(retry_poison=True)) == {"done": 4}


def test_a_task_whose_worker_died_once_is_done_by_another(run, here):
    deaths = iter(["die", "die"])

    def fate(seat, message):
        return next(deaths, None)

    assert states(run(fate)) == {"done": 4}


def test_workers_that_cannot_begin_end_the_batch(run, monkeypatch):
    def stillborn(self, seat):
        self.news.append(News(seat, "died", {"error": "no libstdc++"}))

    monkeypatch.setattr(Inside, "start", stillborn)
    with pytest.raises(ls.LocstyleError, match=r"could not begin; no libstdc\+\+"):
        run()

    def refused(self, seat):
        said = {"is": "refused", "kind": "BackboneError", "error": "no such weights"}
        self.news.append(News(seat, "hello", said))

    monkeypatch.setattr(Inside, "start", refused)
    with pytest.raises(ls.BackboneError, match="no such weights"):
        run()


def test_a_worker_that_does_not_stop_in_time_is_ended(run, monkeypatch):
    turns = itertools.count(step=0.5)  # seconds: a look at the clock takes half a one
    monkeypatch.setattr("locstyle.batches.run.time", SimpleNamespace(monotonic=turns.__next__))
    hangs = itertools.chain(["sleep"], itertools.repeat(None))
    found = run(lambda seat, message: next(hangs), timeout=600)
    assert states(found) == {"done": 3, "failed": 1}
    assert [one for one in found if "took longer" in str(one.error)]


def test_a_full_disk_stops_everything(run, here):
    answers = iter([None, {"is": "full", "error": "No space left on device", "remarks": []}])
    with pytest.raises(ls.OutputError, match=r"the disk is full .* same command again"):
        run(lambda seat, message: next(answers, None))
    assert len(run.sent) < 4
    assert states(run()) == {"done": 4}


def test_a_folder_that_cannot_be_made_fails_by_its_name(run, here):
    Path("file").write_text("no folder")
    before = kit.contents(here)
    asked = {"photos": ["photos/000.png"], "axes": {}, "output": "file/in/{stem}.png"}
    for dry in (True, False):
        assert kit.contents(here) == before
        (ended,) = run(**asked, manifest="m", dry=dry)
        assert ended.state == "failed"
        assert ended.error == "file/in: cannot be made (Not a directory); choose another folder"
    for dry in (True, False):
        with pytest.raises(ls.OutputError, match=r"file/in/.locstyle-batch: cannot be made"):
            run(**asked, dry=dry)


def test_a_dry_run_writes_nothing_and_says_what_there_is(run, here):
    kit.photo(here / "photos" / "001.png", 1, kit.BLIND)
    kit.photo(here / "photos" / "002.png", 2)
    run(photos=["photos/000.png"])
    before = kit.contents(here)
    found = run(dry=True, seats=1)
    assert states(found) == {"done": 2, "failed": 2, "planned": 2}
    assert kit.contents(here) == before
    rows, seconds = run.planned.current.measured
    assert rows == 5 and seconds > 0, "measured on the first that could be drawn"
    after = run(photos=["photos/002.png"])
    planned = [one.rows for one in found if one.state == "planned"]
    assert planned == [3 + 2, 3], "one inverts, the other finds it inverted"
    assert [one.rows for one in after] == [3, 3]


def test_parts_are_apart_and_make_the_whole(run, here):
    parts = [run(shard=(number, 2)) for number in range(2)]
    assert [len(part) for part in parts] == [2, 2]
    assert fresh(run()) == 0


def test_what_another_process_did_meanwhile_is_not_done_again(run, here, host, backbone):
    elsewhere = []

    def fate(seat, message):
        if not elsewhere:  # as the first task is sent, another batch does all of them
            elsewhere.extend(run())
        return None

    sent = Inside(ls.Editor(backbone, host), fate)
    how = Batching(launcher=sent)
    planned = Batch.plan(["photos"], "recipe.yaml", OUT, matrix=SEEDS, how=how, host=host)
    found = list(planned.run())
    assert len(sent.sent) == 1 and states(found) == {"done": 4} and fresh(found) == 1


def test_a_batch_broken_off_goes_on(run, here, host, backbone):
    how = Batching(launcher=Inside(ls.Editor(backbone, host)))
    planned = Batch.plan(["photos"], "recipe.yaml", OUT, matrix=SEEDS, how=how, host=host)
    for _ in planned.run():
        break
    stopping = Batch.plan(["photos"], "recipe.yaml", OUT, matrix=SEEDS, how=how, host=host)
    for _ in stopping.run():
        stopping.current.stop()
    done = len(Manifest(here / "out" / FOLDER)._standings)
    assert 1 <= done < 4
    assert states(run()) == {"done": 4}


def test_outputs_beside_the_photos_are_no_photos(run):
    first = run(output="photos/{stem}-{seed}.png")
    again = run(output="photos/{stem}-{seed}.png")
    assert len(first) == len(again) == 4 and fresh(again) == 0
    assert os.listdir("photos").count("000-1.png") == 1
