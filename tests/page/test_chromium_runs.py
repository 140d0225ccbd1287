"""Previews, renders, comparing, going back and saving, in a real Chromium on the tiny backbone."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chrome import Tab, give
from PIL import Image
from scenes import IN_HOUSE, IN_MEADOW, IN_SKY, write_scene
from serving import Served, serving

from locstyle.testing import tiny_backbone

Open = Callable[..., Tab]


class Brake:
    """Holds the backbone before a step."""

    def __init__(self) -> None:
        self._is_held: Callable[[], bool] = lambda: False

    @contextlib.contextmanager
    def when(self, is_held: Callable[[], bool]) -> Iterator[None]:
        """Every step waits while that is so: what is in the middle of a run stays there, on any
        machine."""
        before, self._is_held = self._is_held, is_held
        try:
            yield
        finally:
            self._is_held = before

    def wait(self, *_: Any) -> None:
        while self._is_held():
            time.sleep(0.02)


@pytest.fixture
def brake(monkeypatch: pytest.MonkeyPatch) -> Brake:
    """A brake on the backbone of the server."""
    brake = Brake()

    def braked(*given: Any, **more: Any) -> Any:
        backbone = tiny_backbone(*given, **more)
        backbone.unet.register_forward_pre_hook(brake.wait)
        return backbone

    monkeypatch.setattr("serving.tiny_backbone", braked)
    return brake


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        yield served


@pytest.fixture
def tab(opened: Open, served: Served) -> Tab:
    return opened(served.url).ready()


def style(tab: Tab, place: tuple[float, float], number: int = 0) -> None:
    """A new region at a point of the photo, in one of the styles."""
    tab.press("n")
    tab.page.mouse.click(*tab.at(*place))
    give(tab, number)


def finished(tab: Tab, count: int = 1) -> None:
    tab.until("store.results.value.length >= given && !store.run.value", count)
    tab.until("pictures.bitmaps.result")


def test_a_preview_starts_by_itself_after_a_quiet_moment_and_only_for_a_change(tab: Tab) -> None:
    tab.count_previews()
    tab.page.clock.pause_at(datetime.now() + timedelta(hours=1))
    style(tab, IN_SKY)
    stage = tab.page.locator("#stage").bounding_box()
    tab.page.clock.run_for(100)  # ms, no quiet yet
    assert tab.previews() == 0
    tab.page.clock.resume()
    finished(tab)
    assert tab.previews() == 1
    tab.page.get_by_label("Name of the region").fill("the sky")
    tab.press("Enter")
    tab.rest()
    assert tab.previews() == 1
    assert tab.js("store.results.value[0].kind") == "preview"
    assert tab.page.locator("#stage").bounding_box() == stage  # the photo stays where it is
    assert tab.js("store.mode.value") == "result"


def test_the_newest_preview_wins(brake: Brake, served: Served, tab: Tab) -> None:
    with brake.when(lambda: any(job.state == "running" for job in served.desk.jobs())):
        style(tab, IN_SKY)
        tab.until("store.run.value?.job.state === 'running'")
        first = tab.js("store.run.value.job.id")
        style(tab, IN_HOUSE)
        tab.until("store.run.value && store.run.value.job.id !== given", first)
    finished(tab)
    assert served.desk.job(first).state == "cancelled"
    assert tab.js("store.results.value.map((one) => one.asked.regions.length)") == [2]


def has_picture(served: Served) -> bool:
    """Whether there is a picture of a step."""
    return any(job.picture for job in served.desk.jobs())


def test_steps_are_counted_and_seen(brake: Brake, served: Served, tab: Tab) -> None:
    with brake.when(lambda: has_picture(served)):
        style(tab, IN_SKY)
        tab.until("pictures.bitmaps.step")
        tab.until("document.querySelector('.progress').innerText.includes('/6')")
    finished(tab)


def test_a_picture_of_a_step_that_comes_late_does_not_hide_the_result(tab: Tab) -> None:
    late: list[Any] = []
    tab.page.route("**/picture", lambda route: late.append(route))
    style(tab, IN_SKY)
    finished(tab)
    shown = tab.pixel("picture", *IN_SKY)
    assert late
    for route in late:
        # One that was called off already is nobody's any more.
        with contextlib.suppress(Exception):
            route.continue_()
    tab.page.unroute("**/picture")
    # The same way once more, begun later: what may have come is there before.
    tab.until(
        """import('/static/api.js').then(({get, picture}) => get('jobs').then(({jobs}) =>
        picture(`jobs/${jobs.find((one) => one.kind === 'preview').id}/picture`)))"""
    )
    assert tab.js("pictures.bitmaps.step") is None
    assert tab.pixel("picture", *IN_SKY) == shown


def test_cancel_keeps_the_last_picture(brake: Brake, served: Served, tab: Tab) -> None:
    tab.count_previews()
    with brake.when(lambda: has_picture(served)):
        style(tab, IN_SKY)
        tab.until("pictures.bitmaps.step")
        with tab.page.expect_response("**/cancel"):
            tab.page.get_by_role("button", name="Cancel").click()
    tab.until("!store.run.value")
    assert tab.js("Boolean(pictures.bitmaps.step) && store.results.value.length === 0")
    assert [job.state for job in served.desk.jobs() if job.kind == "preview"] == ["cancelled"]
    tab.rest()
    assert tab.previews() == 1  # nothing changed, so nothing starts again


def test_render_runs_the_full_setting_and_says_how_long_before(tab: Tab) -> None:
    style(tab, IN_SKY)
    finished(tab)
    tab.until("store.estimate.value?.render ?? store.estimate.value?.preview")
    assert "about" in tab.page.locator(".runner").inner_text()
    tab.press("Control+Enter")
    tab.until("store.run.value?.job.kind === 'render'")
    finished(tab, 2)
    assert tab.js("store.results.value[0].kind") == "render"


def test_before_and_after_by_a_key_and_by_a_line(tab: Tab) -> None:
    style(tab, IN_SKY)
    finished(tab)
    tab.page.mouse.move(2, 2)
    after = tab.pixel("picture", *IN_SKY)
    tab.page.keyboard.down("\\")
    before = tab.pixel("picture", *IN_SKY)
    tab.page.keyboard.up("\\")
    assert np.abs(np.subtract(before, (90, 150, 230, 255))).max() < 12
    assert np.abs(np.subtract(before, after)).max() > 12
    assert tab.pixel("picture", *IN_SKY) == after
    tab.press("s")
    line = tab.page.locator(".split")
    assert tab.pixel("picture", 0.2, 0.2) == before
    assert tab.pixel("picture", 0.8, 0.2) != before
    box = line.bounding_box()
    tab.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 40)
    tab.page.mouse.down()
    tab.page.mouse.move(tab.at(0.1, 0.2)[0], box["y"] + 40, steps=3)
    tab.page.mouse.up()
    assert tab.js("store.split.value") == pytest.approx(0.1, abs=0.02)
    assert tab.pixel("picture", 0.2, 0.2) == after
    line.focus()
    tab.press("Shift+ArrowRight")
    assert tab.js("store.split.value") == pytest.approx(0.2, abs=0.02)


def test_the_strip_goes_back_to_an_earlier_recipe_and_undo_survives(tab: Tab) -> None:
    style(tab, IN_SKY)
    finished(tab)
    style(tab, IN_HOUSE, 1)
    finished(tab, 2)
    tab.press("d")
    finished(tab, 3)
    assert tab.js("store.doc.value.rest.seed") > 0
    tab.count_previews()
    tab.page.locator(".made").last.click()
    assert len(tab.masks()) == 1
    tab.rest()
    assert tab.previews() == 0  # it was drawn already
    tab.press("Control+z")
    assert len(tab.masks()) == 2
    finished(tab, 3)


def test_saving_asks_before_it_replaces_and_says_what_was_kept(tab: Tab, tmp_path: Path) -> None:
    photo = (tmp_path / "photo.png").read_bytes()
    style(tab, IN_HOUSE)
    finished(tab)
    (tmp_path / "out.png").write_bytes(b"somebody's")
    tab.press("Control+s")
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="File").fill("photo.png")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("alert").wait_for()
    assert (tmp_path / "photo.png").read_bytes() == photo
    dialog.get_by_role("textbox", name="File").fill("out.png")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_role("button", name="Replace it").click()
    dialog.get_by_text("100.0 % identical").wait_for()
    assert "lossless" not in dialog.inner_text()
    saved = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    original = np.asarray(Image.open(tmp_path / "photo.png"))
    assert np.array_equal(saved[:60], original[:60])
    assert not np.array_equal(saved, original)


def test_a_saved_png_opens_as_its_recipe(tab: Tab, opened: Open, tmp_path: Path) -> None:
    style(tab, IN_HOUSE)
    finished(tab)
    tab.press("Control+s")
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="File").fill("out.png")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("100.0 % identical").wait_for()
    dialog.get_by_role("button", name="Done").click()
    masks = tab.masks()
    with serving(tmp_path, photo="out.png") as served:
        other = opened(served.url).ready()
        assert other.masks() == masks
        assert other.js("store.photo.value.name") == "photo.png"


def test_the_edit_goes_elsewhere_as_text(tab: Tab) -> None:
    style(tab, IN_HOUSE)
    tab.press("Control+Shift+c")
    text = tab.page.get_by_label("Text to copy")
    tab.until("document.querySelector('.code').value.startsWith('locstyle')")
    assert tab.masks()[0] in text.input_value()


def test_a_region_without_a_style_says_so(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_MEADOW))
    assert "no style yet" in tab.page.locator(".card").inner_text()
    assert "without a style" in tab.page.locator(".runner").inner_text()
