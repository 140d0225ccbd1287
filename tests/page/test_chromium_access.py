"""What everybody can use: keys, screens of every ratio, themes; and being told what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chrome import Tab, give
from PIL import Image
from scenes import HOUSE, IN_HOUSE, IN_MEADOW, IN_SKY, MEADOW, SKY, scene, write_scene
from serving import serving

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
Open = Callable[..., Tab]
pytestmark = pytest.mark.slow


@pytest.fixture
def address(tmp_path: Path) -> Any:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        yield served.url


def busy(tab: Tab) -> None:
    """Two regions, one in a style and one without, and a result."""
    tab.page.mouse.click(*tab.at(*IN_SKY))
    give(tab)
    tab.press("n")
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    tab.until("store.results.value.length && pictures.bitmaps.result")


def violations(tab: Tab) -> list[str]:
    found = tab.page.evaluate(f"() => {{ {AXE}; return window.axe.run(); }}")["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_nothing(opened: Open, address: str, scheme: str) -> None:
    tab = opened(address, color_scheme=scheme, reduced_motion="reduce").ready()
    assert violations(tab) == []
    busy(tab)
    tab.press("s")
    assert violations(tab) == []
    for keys in ("Control+s", "?", "Control+o", "Control+Shift+c"):
        tab.press(keys)
        tab.page.get_by_role("dialog").wait_for()
        assert violations(tab) == [], keys
        tab.press("Escape")
    assert tab.errors == []


def test_nothing_moves_where_that_is_asked_for(opened: Open, address: str) -> None:
    tab = opened(address, reduced_motion="reduce").ready()
    moving = """[...document.querySelectorAll('*')].filter((one) => {
        const {transitionDuration, animationName} = getComputedStyle(one);
        return parseFloat(transitionDuration) > 0 || animationName !== 'none';
    }).length"""
    assert tab.page.evaluate(moving) == 0


@pytest.mark.parametrize("ratio", [0.67, 1, 1.5, 2, 3])
def test_canvases_have_a_pixel_for_each_of_the_screens(
    opened: Open,
    address: str,
    ratio: float,
) -> None:
    view = {"width": round(1280 / ratio), "height": round(820 / ratio)} if ratio < 2 else None
    tab = opened(address, device_scale_factor=ratio, **({"viewport": view} if view else {})).ready()
    tab.paint()
    sizes = tab.page.evaluate(
        """[...document.querySelectorAll('.stage canvas')].map((one) => {
        const {width, height} = one.getBoundingClientRect();
        return [one.width - width * devicePixelRatio, one.height - height * devicePixelRatio];
        })"""
    )
    assert np.abs(sizes).max() <= 1
    for place, colour in ((IN_SKY, SKY), (IN_MEADOW, MEADOW), (IN_HOUSE, HOUSE)):
        assert np.abs(np.subtract(tab.pixel("picture", *place)[:3], colour)).max() < 12
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    (coverage,) = [tab.until("[...store.coverages.value.values()][0]?.coverage")]
    assert coverage == pytest.approx(0.25 * 0.35, abs=0.02)


def test_a_browsers_zoom_is_followed(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    client = tab.page.context.new_cdp_session(tab.page)
    for ratio in (1.5, 0.67):
        metrics = {"width": round(1280 / ratio), "height": round(820 / ratio), "mobile": False}
        client.send("Emulation.setDeviceMetricsOverride", metrics | {"deviceScaleFactor": ratio})
        tab.until(
            "Math.abs(document.querySelector('.picture').width - given *"
            " document.querySelector('.stage').clientWidth) <= 1",
            ratio,
        )
        assert np.abs(np.subtract(tab.pixel("picture", *IN_HOUSE)[:3], HOUSE)).max() < 12


def test_the_wheel_zooms_where_the_pointer_is(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    x, y = tab.at(*IN_HOUSE)
    before = tab.js("store.zoom.value")
    tab.page.mouse.move(x, y)
    for _ in range(3):
        tab.page.mouse.wheel(0, -240)
    tab.until("store.zoom.value > 1.5 * given", before)
    assert tab.at(*IN_HOUSE) == pytest.approx((x, y), abs=2)  # a wheel turns at whole pixels
    tab.press("0")
    assert tab.js("store.zoom.value") == pytest.approx(before)
    tab.press(".")
    assert tab.js("store.zoom.value") == pytest.approx(1)


def test_space_and_drag_moves_the_photo_with_any_tool(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    tab.press("b")
    x, y = tab.at(*IN_SKY)
    tab.page.keyboard.down(" ")
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x + 60, y + 40, steps=3)
    tab.page.mouse.up()
    tab.page.keyboard.up(" ")
    assert tab.at(*IN_SKY) == pytest.approx((x + 60, y + 40), abs=1)
    assert tab.masks() == []


def test_two_fingers_zoom_and_one_paints(opened: Open, address: str) -> None:
    tab = opened(address, has_touch=True).ready()
    client = tab.page.context.new_cdp_session(tab.page)
    x, y = tab.at(0.5, 0.5)
    before = tab.js("store.zoom.value")

    def touch(kind: str, apart: float) -> None:
        points = [{"x": x - apart, "y": y, "id": 1}, {"x": x + apart, "y": y, "id": 2}]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 40)
    for apart in (60, 80, 120):
        touch("touchMove", apart)
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert tab.js("store.zoom.value") == pytest.approx(3 * before, rel=0.1)
    assert tab.at(0.5, 0.5) == pytest.approx((x, y), abs=4)
    assert tab.masks() == []


def test_every_part_is_reached_by_the_tab_key_and_shows_it(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    busy(tab)
    seen = set()
    for _ in range(90):
        tab.press("Tab")
        if tab.page.evaluate("document.activeElement === document.body"):
            continue
        focus = tab.page.evaluate(
            """(() => { const one = document.activeElement;
            return [one.getAttribute('aria-label') ?? one.innerText ?? one.tagName,
                getComputedStyle(one).outlineStyle]; })()"""
        )
        seen.add(focus[0].split("\n")[0])
        assert focus[1] != "none", focus
    wanted = {"Object", "Brush", "Structure", "Search styles", "Another seed", "Save…"}
    assert wanted <= seen, wanted - seen


def test_a_photo_of_twelve_megapixels_is_seen_as_it_stands(opened: Open, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    photo = tmp_path / "phone.jpg"
    scene(3000, 4000).rotate(90, expand=True).save(photo, quality=90, exif=turned)
    with serving(tmp_path, photo=photo.name) as served:
        tab = opened(served.url)
        tab.until("pictures.firstPicture.value")
        assert tab.js("[store.photo.value.width, store.photo.value.height]") == [4000, 3000]
        for place, colour in ((IN_SKY, SKY), (IN_MEADOW, MEADOW), (IN_HOUSE, HOUSE)):
            assert np.abs(np.subtract(tab.pixel("picture", *place)[:3], colour)).max() < 12
        assert (
            tab.js("Math.max(pictures.bitmaps.photo.width, pictures.bitmaps.photo.height)") <= 2048
        )
        tab.press(".")
        tab.until("[...pictures.tiles.photo.known.values()].some(Boolean)")
        assert tab.js("pictures.tiles.photo.known.size") < 80


@pytest.mark.parametrize("width", [1280, 860])
def test_the_first_picture_lies_where_the_stage_will_show_it(
    opened: Open, address: str, width: int
) -> None:
    tab = opened("about:blank", viewport={"width": width, "height": 820})
    tab.page.route("**/static/app.js", lambda route: route.abort())
    tab.page.goto(address)
    first = tab.page.locator("canvas.first")
    first.wait_for()
    box, pad = first.bounding_box(), 28
    scale = min((box["width"] - 2 * pad) / 320, (box["height"] - 2 * pad) / 240)
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.page.unroute("**/static/app.js")
    tab.page.reload()
    tab.ready()
    tab.until("!document.querySelector('canvas.first')")
    assert tab.at(0.5, 0.5) == pytest.approx(middle, abs=1)
    assert tab.page.evaluate("locstyle.camera.view.value.scale") == pytest.approx(scale, rel=0.005)


def test_a_stream_that_breaks_is_said_and_taken_up_again(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    tab.page.route("**/api/events", lambda route: route.abort())
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.page.reload()
    tab.page.get_by_text("The server does not answer").wait_for()
    tab.page.unroute("**/api/events")
    tab.until("store.link.value === 'up'")
    assert tab.page.locator(".banner").count() == 0


def test_a_server_started_anew_has_the_edit(opened: Open, tmp_path: Path) -> None:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        tab = opened(served.url).ready()
        tab.page.mouse.click(*tab.at(*IN_SKY))
        tab.saved()
        masks, port = tab.masks(), int(served.origin.rpartition(":")[2])
    tab.page.get_by_text("The server does not answer").wait_for()
    tab.press("n")
    tab.page.mouse.click(*tab.at(*IN_HOUSE))
    assert len(tab.masks()) == 2  # one can go on marking
    with serving(tmp_path, photo="photo.png", port=port) as served:
        tab.page.get_by_text("was started anew").wait_for()
        other = opened(served.url).ready()
        other.until("store.doc.value.parts.length === 1")
        assert other.masks() == masks


def test_a_reload_goes_on_where_one_was(opened: Open, address: str) -> None:
    tab = opened(address).ready()
    busy(tab)
    tab.saved()
    masks, shown = tab.masks(), tab.js("store.shown.value")
    assert "token" not in tab.page.url
    tab.page.reload()
    tab.ready()
    tab.until("store.doc.value.parts.length === 2")
    assert tab.masks() == masks
    assert tab.js("store.shown.value") == shown


def test_two_tabs_do_not_write_over_each_other(opened: Open, address: str) -> None:
    one, other = opened(address).ready(), opened(address).ready()
    one.page.mouse.click(*one.at(*IN_SKY))
    one.saved()
    other.page.mouse.click(*other.at(*IN_HOUSE))
    other.page.get_by_text("changed in another tab").wait_for()
    other.page.get_by_role("button", name="Go on here").click()
    other.until("!store.isTaken.value")


def test_an_address_without_a_token_says_so(opened: Open, address: str) -> None:
    tab = opened(address.split("#")[0])
    tab.page.get_by_text("no valid token").wait_for()
