"""Marking a photo with the mouse, a pen and the keyboard, in a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chrome import Tab, give
from scenes import IN_HOUSE, IN_MEADOW, IN_SKY, write_scene
from serving import serving

import locstyle as ls

Open = Callable[..., Tab]


@pytest.fixture
def tab(opened: Open, tmp_path: Path) -> Any:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        yield opened(served.url).ready()


def test_hovering_shows_the_object_under_the_pointer_and_asks_nobody(tab: Tab) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    for place in (IN_SKY, IN_HOUSE, IN_MEADOW):
        tab.page.mouse.move(*tab.at(*place))
        assert tab.pixel("marks", *place)[3] > 60
        others = {IN_SKY, IN_HOUSE, IN_MEADOW} - {place}
        assert all(tab.pixel("marks", *other)[3] == 0 for other in others)
    assert not [url for url in asked if "/segments" in url or "/masks" in url]


def test_click_makes_a_region_adds_to_it_and_alt_takes_away(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    (first,) = tab.masks()
    assert first.startswith("auto:")
    tab.page.keyboard.down("Shift")
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    tab.page.keyboard.up("Shift")
    (both,) = tab.masks()
    assert both.startswith(f"{first},")
    tab.page.keyboard.down("Alt")
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.page.keyboard.up("Alt")
    assert tab.masks() == [both.replace(first + ",", "auto:")]


def test_the_true_mask_comes_from_the_server(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    tab.until("[...store.masks.value.values()][0]?.id")
    (coverage,) = tab.js("[...store.coverages.value.values()].map((one) => one.coverage)")
    assert coverage == pytest.approx(0.25 * 0.35, abs=0.02)
    tab.page.mouse.move(2, 2)
    assert tab.until("store.part.value.name") == "Region 1"


def test_n_starts_another_region(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.press("n")
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    assert len(tab.masks()) == 2


@pytest.mark.parametrize(
    ("key", "points", "mask"),
    [
        ("m", [(0.25, 0.25), (0.5, 0.5)], r"box:80,60,160,120"),
        ("l", [(0.2, 0.2), (0.5, 0.2), (0.5, 0.5), (0.2, 0.5)], r"lasso:64,48;160,48;160,120;"),
        ("b", [(0.25, 0.25), (0.5, 0.25)], r"brush:24~0.3:80,60;160,60"),
    ],
    ids=["box", "lasso", "brush"],
)
def test_what_is_drawn_is_written_in_photo_pixels(
    tab: Tab, key: str, points: list[tuple[float, float]], mask: str
) -> None:
    tab.press(key)
    tab.drag(*points)
    (written,) = tab.masks()
    numbers = [float(n) for n in mask.split(":")[-1].replace(";", ",").split(",") if n]
    found = [float(n) for n in written.split(":")[-1].replace(";", ",").split(",")]
    assert written.split(":")[0] == mask.split(":")[0]
    assert found[: len(numbers)] == pytest.approx(numbers, abs=0.6)
    tab.until("[...store.masks.value.values()][0]?.id")
    tab.page.mouse.move(2, 2)
    inside = (points[0][0] + 0.05, points[0][1] + (0.0 if key == "b" else 0.05))
    assert tab.pixel("marks", *inside)[3] > 60
    assert tab.pixel("marks", 0.9, 0.9)[3] == 0


def test_a_colour_is_picked_from_the_photo(tab: Tab) -> None:
    tab.press("c")
    tab.page.mouse.click(*tab.at(*IN_MEADOW))
    (mask,) = tab.masks()
    assert re.fullmatch(r"color:6[34],20[345]~20", mask)
    coverage = tab.until("[...store.coverages.value.values()][0]?.coverage")
    assert coverage == pytest.approx(1 / 3 - 0.25 * 0.0833, abs=0.02)


def test_a_stroke_is_seen_on_the_next_frame(tab: Tab) -> None:
    tab.press("b")
    tab.page.mouse.move(*tab.at(0.3, 0.3))
    tab.page.mouse.down()
    tab.page.evaluate(
        """() => { window.seen = []; const stage = document.querySelector('#stage');
        stage.addEventListener('pointermove', (event) => requestAnimationFrame(() => {
            const canvas = document.querySelector('.stage .ink');
            const box = canvas.getBoundingClientRect();
            const at = [event.clientX - box.left, event.clientY - box.top].map(Math.round);
            const alpha = canvas.getContext('2d').getImageData(...at, 1, 1).data[3];
            window.seen.push([alpha, performance.now() - event.timeStamp]);
        })); }"""
    )
    tab.page.mouse.move(*tab.at(0.6, 0.3), steps=12)
    tab.paint()
    seen = tab.page.evaluate("window.seen")
    tab.page.mouse.up()
    assert len(seen) >= 3
    assert all(alpha == 255 for alpha, _ in seen)


def test_a_stroke_goes_on_outside_of_the_photo_and_the_window(tab: Tab) -> None:
    tab.press("b")
    tab.drag((0.5, 0.5), (0.5, -0.4), (-0.9, 0.5), (0.4, 0.5))
    (mask,) = tab.masks()
    ys = [float(point.split(",")[1]) for point in mask.split(":")[-1].split(";")]
    assert min(ys) < 0  # kept where the pointer was, not cut off at the edge
    assert mask.split(";")[-1].startswith("128,")


def test_strokes_join_and_the_eraser_takes_away(tab: Tab) -> None:
    tab.press("b")
    tab.drag((0.2, 0.2), (0.4, 0.2))
    tab.drag((0.2, 0.4), (0.4, 0.4))
    (joined,) = tab.masks()
    assert joined.count("brush:") == 1 and joined.count("/") == 1
    tab.press("e")
    tab.drag((0.2, 0.3), (0.4, 0.3))
    (less,) = tab.masks()
    assert less.startswith(f"{joined} - brush:")


def test_brackets_change_the_size_and_a_pen_its_width(tab: Tab) -> None:
    tab.press("b")
    tab.press("]")
    larger = tab.js("store.brush.value.radius")
    tab.press("[")
    tab.press("[")
    assert larger > 24 > tab.js("store.brush.value.radius")
    tab.js("store.brush.value = {radius: 20, softness: 0}")
    client = tab.page.context.new_cdp_session(tab.page)
    for step in range(11):
        x, y = tab.at(0.2 + 0.05 * step, 0.5)
        kind = ("mousePressed", "mouseReleased")[step == 10] if step in (0, 10) else "mouseMoved"
        event = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
        client.send(
            "Input.dispatchMouseEvent", event | {"pointerType": "pen", "force": 0.1 + 0.08 * step}
        )
    (mask,) = tab.masks()
    assert mask.startswith("brush:20:") and "/" not in mask  # one stroke, as wide as was pressed
    radii = [float(point.split(",")[2]) for point in mask.split(":")[-1].split(";")]
    assert radii == sorted(radii) and radii[-1] > 3 * radii[0]
    tab.until("[...store.masks.value.values()][0]?.id")
    assert ls.Region(mask, prompt="").mask == mask  # the words that `-r` reads


def test_undo_and_redo_go_back_more_than_64_strokes(tab: Tab) -> None:
    tab.press("b")
    for step in range(70):
        x, y = tab.at(0.1 + 0.01 * step, 0.5)
        tab.page.mouse.click(x, y)
    (whole,) = tab.masks()
    assert whole.count("/") == 69
    for _ in range(66):
        tab.press("Control+z")
    assert tab.masks()[0].count("/") == 3
    for _ in range(66):
        tab.press("Control+Shift+z")
    assert tab.masks() == [whole]


def test_one_slider_is_one_step_back(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    give(tab)
    for value in (0.5, 0.6, 0.7):
        tab.page.get_by_label("Strength", exact=True).fill(str(value))
    assert tab.js("store.part.value.region.strength") == 0.7
    tab.press("Control+z")
    assert tab.js("store.part.value.region.strength ?? null") is None
    assert tab.js("store.part.value.region.style")


def test_a_locked_region_is_left_as_it_is(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.page.get_by_label("Lock Region 1").click()
    before = tab.masks()
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    assert tab.masks() == before
    assert "locked" in tab.page.locator(".notes").inner_text()


def test_the_keyboard_marks_too(tab: Tab) -> None:
    tab.page.locator("#stage").focus()
    for _ in range(4):
        tab.press("Shift+ArrowUp")
    tab.press("Enter")
    (first,) = tab.masks()
    assert first.startswith("auto:")
    tab.press("n")
    tab.press("m")
    tab.press("Enter")
    for _ in range(3):
        tab.press("Shift+ArrowDown")
        tab.press("Shift+ArrowRight")
    tab.press("Enter")
    assert tab.masks()[1].startswith("box:")
