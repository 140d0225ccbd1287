"""What is told before a run: the rows it then takes, and seconds and memory to be believed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from test_drawing import FAR, FUSIONS, LARGE, NEAR, edit_of

from locstyle import Editor, Forecast, Fusing, Host
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.speed import Speed, Spent

SPEED = Speed(
    passes=(Spent(16, 0.01, 1000), Spent(64, 0.04, 4000), Spent(256, 0.32, 32_000)),
    more=0.5,
    encode=Spent(1024, 0.1, 5000),
    decode=Spent(1024, 0.3, 9000),
)


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> Editor:
    return Editor(backbone, Host())


CASES = [
    pytest.param(fusion, how, marks=[pytest.mark.slow] if how == "tiles" and n else [])
    for n, fusion in enumerate(FUSIONS)
    for how in ("frames", "tiles")
]
"""Tiles of one fusion in CI: the others take eight seconds each."""


@pytest.mark.parametrize(("fusion", "how"), CASES)
def test_the_rows_foretold_are_those_a_run_takes(
    editor: Editor, backbone: UNetBackbone, fusion: str, how: str
) -> None:
    boxes, given = ((NEAR, FAR), {}) if how == "frames" else ((LARGE,), {"detail": 1, "steps": 1})
    job = editor.resolve(edit_of(backbone, boxes, FUSIONS[fusion], fusion=Fusing(fusion), **given))
    told = editor.forecast(job)
    drawn = editor.run(job).report.frames
    assert [replace(one, seconds=None, memory=None) for one in told] == list(told)
    for one, other in zip(told, drawn, strict=True):
        assert asdict(other).items() <= asdict(one).items()


def test_checking_and_learning_count(editor: Editor, backbone: UNetBackbone) -> None:
    edit = edit_of(backbone, (NEAR,))
    (plain,), (checked,) = editor.forecast(edit), editor.forecast(edit, check_inversion=True)
    assert checked.rows == plain.rows + 2  # of two steps
    learning = Fusing("vct", options={"source": "pivot", "pivot_iterations": 3})
    learned = edit_of(backbone, (NEAR,), ("words",), fusion=learning)
    (told,), (drawn,) = editor.forecast(learned), editor.run(learned).report.frames
    assert told.rows == drawn.rows and told.inversion_rows >= drawn.inversion_rows


def test_seconds_and_memory_follow_from_the_speed(editor: Editor, backbone: UNetBackbone) -> None:
    (small,) = editor.forecast(edit_of(backbone, (NEAR,)), speed=SPEED)
    (tiled,) = editor.forecast(edit_of(backbone, (LARGE,), detail=1), speed=SPEED)
    (alone,) = editor.forecast(edit_of(backbone, (NEAR,)), speed=SPEED, max_rows=1)
    assert small.seconds and small.memory and tiled.seconds and tiled.memory
    assert tiled.seconds == pytest.approx(tiled.tiles * small.seconds, rel=0.6)
    assert tiled.memory < 10 * small.memory
    assert alone.seconds and alone.seconds > small.seconds  # rows one by one share nothing
    assert alone.memory and alone.memory < small.memory


def test_speed_lies_between_what_was_measured_and_goes_on_beyond() -> None:
    assert SPEED.seconds(16) == pytest.approx(0.01) and SPEED.seconds(64) == pytest.approx(0.04)
    assert SPEED.seconds(32) == pytest.approx(0.02)  # in proportion
    assert SPEED.seconds(1024) == pytest.approx(0.32 * 4**1.5)  # as the last two grew
    assert SPEED.seconds(64, rows=3) == pytest.approx(0.08)
    assert SPEED.memory(64, rows=3) == 12_000


def test_speed_is_measured_once_and_a_damaged_file_counts_as_none(
    backbone: UNetBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))
    assert Speed.kept(backbone) is None
    made = Speed.of(backbone)
    assert Speed.of(backbone) == Speed.kept(backbone) == made
    (file,) = (tmp_path / "cache" / "speeds").iterdir()
    good = json.loads(file.read_text())
    for broken in ("{", "[]", '{"passes": []}', json.dumps({**good, "more": None})):
        file.write_text(broken)
        assert Speed.kept(backbone) is None
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(threads + 1)
        file.write_text(json.dumps(good))
        assert Speed.kept(backbone) is None  # another speed
    finally:
        torch.set_num_threads(threads)
    assert Speed.kept(backbone) == made


def test_a_place_that_cannot_be_written_is_no_error(
    backbone: UNetBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("in the way")
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))
    assert Speed.of(backbone).passes[0].seconds > 0


def test_a_forecast_is_plain_data() -> None:
    told = Forecast((0, 0, 8, 8), (32, 32), (0,), 1, 6, 4, 1.5, 2e6)
    assert json.loads(json.dumps(asdict(told)))["seconds"] == 1.5


def test_speed_only_ever_gets_faster_by_what_is_seen() -> None:
    faster = SPEED.seen(told=4.0, taken=1.0)
    assert faster.seconds(64, rows=3) == pytest.approx(SPEED.seconds(64, rows=3) / 4)
    assert faster.decode.seconds == pytest.approx(SPEED.decode.seconds / 4)
    assert faster.memory(64) == SPEED.memory(64)
    for told, taken in ((1.0, 4.0), (1.0, 1.0), (0.0, 1.0), (1.0, 0.0)):
        assert SPEED.seen(told, taken) is SPEED


def test_tiles_are_coded_twice(editor: Editor, backbone: UNetBackbone) -> None:
    edit = edit_of(backbone, (LARGE,), detail=1)
    still = replace(SPEED, encode=replace(SPEED.encode, seconds=1e-9))
    (told,), (dearer,) = (
        editor.forecast(edit, speed=replace(still, decode=replace(SPEED.decode, seconds=seconds)))
        for seconds in (1e-9, 1.0)
    )
    tile = editor.resolve(edit).frames[0].tiles.tiles[0]
    pixels = tile.height * tile.width * backbone.factor**2
    assert told.seconds is not None and dearer.seconds is not None and told.tiles > 1
    wanted = 2 * told.tiles * pixels / SPEED.decode.size
    assert dearer.seconds - told.seconds == pytest.approx(wanted, rel=1e-3)
