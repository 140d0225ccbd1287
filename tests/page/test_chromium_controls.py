"""Who finds objects, what a region says of itself, and what the page says of the model."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chrome import Tab, drop_file, give
from scenes import IN_HOUSE, IN_MEADOW, IN_SKY, write_scene
from serving import serving

import locstyle as ls
from locstyle.testing import random_style, tiny_backbone

Open = Callable[..., Tab]


class Halves:
    """Finds the upper half of a picture, and the lower."""

    prompts = frozenset({"everything"})

    def segment(self, image: Any, prompt: ls.Prompt) -> list[ls.Segment]:
        import numpy as np

        upper = np.zeros((image.height, image.width), bool)
        upper[: image.height // 2] = True
        return [ls.Segment.of(upper), ls.Segment.of(~upper)]


class Plugin:
    @ls.hookimpl
    def register_segmenters(self, register: ls.Register) -> None:
        register("halves", Halves)


@pytest.fixture
def tab(opened: Open, tmp_path: Path) -> Any:
    with serving(tmp_path, photo=write_scene(tmp_path).name, plugin=Plugin()) as served:
        yield opened(served.url).ready()


def test_another_segmenter_finds_other_objects(tab: Tab) -> None:
    tab.page.get_by_label("Found by").select_option("halves")
    tab.until("store.segmenting.value === 'ready' && segments.segments.value.size === 2")
    tab.page.mouse.move(*tab.at(*IN_SKY))
    beside_the_house = (0.9, 0.45)  # the sky as `classic` sees it, and the upper half
    assert tab.pixel("marks", *beside_the_house)[3] > 60
    assert tab.pixel("marks", *IN_HOUSE)[3] == 0  # the lower half has it
    with tab.page.expect_request("**/api/masks") as request:
        tab.page.mouse.click(*tab.at(*IN_MEADOW))
    assert request.value.post_data_json["recipe"]["segmenter"] == "halves"
    assert tab.masks() == ["auto:2"]
    coverage = tab.until("[...store.coverages.value.values()][0]?.coverage")
    assert coverage == pytest.approx(0.5, abs=0.01)


def test_strength_structure_feather_and_window_are_in_the_recipe(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    give(tab)
    card = tab.page.locator(".card")
    card.get_by_label("Prompt").fill("clouds")
    for label, value in (("Strength", 1.5), ("Structure", 0.25), ("Feather", 12)):
        card.get_by_label(label, exact=True).fill(str(value))
    window = card.get_by_role("group", name="When the style acts")
    window.get_by_label("from").fill("0.2")
    with tab.page.expect_request(lambda it: "[0.2,0.7]" in (it.post_data or "")) as request:
        window.get_by_label("until").fill("0.7")
    (region,) = request.value.post_data_json["recipe"]["regions"]
    assert {k: v for k, v in region.items() if k not in ("mask", "style")} == {
        "prompt": "clouds", "strength": 1.5, "structure": 0.25, "feather": 12, "window": [0.2, 0.7],
    }  # fmt: skip
    assert "20 %–70 %" in window.inner_text()
    card.get_by_label("Structure: back to the usual").click()
    assert "structure" not in tab.js("store.part.value.region")
    tab.until("store.results.value.length && !store.run.value")
    assert tab.js("store.problems.value.size") == 0


def test_a_style_file_dropped_on_a_region_is_its_style(tab: Tab, tmp_path: Path) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    file = tmp_path.parent / "dropped.safetensors"
    random_style(tiny_backbone(), seed=1).save(file)
    drop_file(tab, ".card", file, "")
    tab.until("store.doc.value.parts[0].region.style")
    tab.until("store.results.value.length && !store.run.value")
    assert "dropped" in tab.page.locator(".card").inner_text()
    assert tab.js("store.problems.value.size") == 0


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The model is loaded once the gate is open."""
    may_load = threading.Event()

    def slow(*given: Any, **more: Any) -> Any:
        assert may_load.wait(60)
        return tiny_backbone(*given, **more)

    monkeypatch.setattr("serving.tiny_backbone", slow)
    yield may_load
    may_load.set()


def test_a_model_that_is_being_loaded_is_said_until_it_is_ready(
    gate: threading.Event, tab: Tab
) -> None:
    runner = tab.page.locator(".runner")
    tab.page.mouse.click(*tab.at(*IN_SKY))
    give(tab)
    runner.get_by_text("Loading the model").wait_for()
    tab.press("Escape")
    tab.until("!store.run.value")
    assert "loading tiny…" in runner.inner_text()
    gate.set()
    runner.get_by_text("tiny on cpu").wait_for()
    tab.until("store.estimate.value?.render")
    assert "about" in runner.inner_text()  # before anything was pressed


def test_a_model_that_was_ready_before_the_page_heard_is_not_said_to_be_missing(
    opened: Open, tmp_path: Path
) -> None:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        served.desk.backbone()
        tab = opened("about:blank")

        def stale(route: Any) -> None:
            answer = route.fetch()
            old = {"state": "unloaded", "backbone": "tiny"}
            route.fulfill(response=answer, json=answer.json() | {"model": old})

        tab.page.route("**/api/hello", stale)
        tab.page.goto(served.url)
        tab.ready()
        tab.until("store.model.value.state === 'ready'")


def test_a_photo_that_goes_away_is_said(tab: Tab, tmp_path: Path) -> None:
    (tmp_path / "photo.png").unlink()
    tab.page.get_by_text("is not there any more").wait_for()
    tab.press("b")
    tab.drag((0.2, 0.2), (0.4, 0.2))  # one can go on marking
    assert len(tab.masks()) == 1
