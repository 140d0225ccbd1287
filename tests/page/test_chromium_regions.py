"""The list of regions, the shelf of styles, and refusals where they belong, in a real Chromium."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chrome import Tab, drop_file, give, tile
from scenes import IN_HOUSE, IN_MEADOW, IN_SKY, scene, write_scene
from serving import serving

import locstyle as ls
from locstyle.testing import random_style, tiny_backbone

Open = Callable[..., Tab]


@pytest.fixture
def tab(opened: Open, tmp_path: Path) -> Any:
    with serving(tmp_path, photo=write_scene(tmp_path).name) as served:
        yield opened(served.url).ready()


def three(tab: Tab) -> None:
    for place in (IN_SKY, IN_MEADOW, IN_HOUSE):
        tab.press("n")
        tab.page.mouse.click(*tab.at(*place))
    tab.until("document.querySelectorAll('.card').length === 3")  # a new one is the first


def names(tab: Tab) -> list[str]:
    """From the top of the list, which lies on top in the picture, too."""
    return tab.page.evaluate(
        "[...document.querySelectorAll('.card .name')].map((one) => one.value)"
    )


def test_dragging_changes_what_lies_on_top(tab: Tab) -> None:
    three(tab)
    assert names(tab) == ["Region 3", "Region 2", "Region 1"]
    cards = tab.page.locator(".card")
    cards.nth(2).locator(".grip").drag_to(cards.nth(0))
    assert names(tab) == ["Region 1", "Region 3", "Region 2"]
    assert tab.js("store.doc.value.parts.map((one) => one.name)") == names(tab)[::-1]
    tab.page.locator(".pick").nth(0).focus()
    tab.press("Alt+ArrowDown")
    assert names(tab) == ["Region 3", "Region 1", "Region 2"]


def test_coverage_and_overlap_are_numbers(tab: Tab) -> None:
    tab.press("m")
    tab.drag((0.0, 0.0), (0.5, 1.0))
    tab.press("n")
    tab.drag((0.25, 0.0), (0.75, 1.0))
    tab.until("store.overlap.value > 0.2")
    text = tab.page.locator(".regions").inner_text()
    assert "25 % overlap" in text
    assert "50 %" in text and "25 % under others" in text


def test_an_eye_leaves_a_region_out_of_what_is_drawn(tab: Tab) -> None:
    three(tab)
    for number in range(3):
        tab.page.locator(".pick").nth(number).click()
        give(tab, number)
    tab.page.get_by_label("Leave Region 2 out").click()
    tab.until("store.results.value[0]?.asked.regions.length === 2")
    assert len(tab.masks()) == 3


def test_styles_are_found_by_words(tab: Tab) -> None:
    everything = tab.page.locator(".tile").count()
    tab.page.get_by_label("Search styles").fill("neon")
    found = tab.page.locator(".tile")
    assert 0 < found.count() < everything
    assert all("neon" in text for text in found.all_inner_texts())


def test_a_style_dragged_onto_a_region_is_its_style(tab: Tab) -> None:
    three(tab)
    tile(tab).drag_to(tab.page.locator(".card").nth(2))
    assert tab.js("store.doc.value.parts[0].region.style")
    assert tab.js("store.doc.value.parts[2].region.style ?? null") is None


def test_a_painting_dropped_on_a_region_is_its_style_at_once(tab: Tab, tmp_path: Path) -> None:
    three(tab)
    painting = tmp_path.parent / "painting.png"
    scene(64, 64).rotate(90).save(painting)
    drop_file(tab, ".card:nth-child(2)", painting, "image/png")
    tab.until("store.doc.value.parts[1].region.style")
    assert "painting" in tab.page.locator(".card").nth(1).inner_text()
    assert len(tab.masks()) == 3  # it did not open as a photo


def test_what_is_no_style_or_of_another_family_is_refused_where_it_was_dropped(
    tab: Tab, tmp_path: Path
) -> None:
    three(tab)
    # Before the model is there its family is not known: then the refusal comes with the preview.
    broken = tmp_path.parent / "broken.safetensors"
    broken.write_bytes(b"not a style")
    foreign = Path(__file__).parents[2] / "loras" / "neon.safetensors"
    for place, (file, word) in enumerate([(broken, "broken.safetensors"), (foreign, "family")], 1):
        drop_file(tab, f".card:nth-child({place})", file, "")
        card = tab.page.locator(".card").nth(place - 1)
        card.get_by_role("alert").wait_for()
        assert word in card.inner_text()


def test_a_refusal_stays_where_it_is_until_its_region_changes(tab: Tab, tmp_path: Path) -> None:
    """Whatever is answered meanwhile: masks and runs are asked about all the time."""
    late: list[Any] = []
    tab.page.route("**/api/masks", lambda route: late.append(route))
    tab.page.mouse.click(*tab.at(*IN_SKY))
    broken = tmp_path.parent / "broken.safetensors"
    broken.write_bytes(b"not a style")
    drop_file(tab, ".card", broken, "")
    alert = tab.page.locator(".card").get_by_role("alert")
    alert.wait_for()
    late[-1].continue_()
    tab.until("[...store.masks.value.values()][0]?.id")
    assert late and "broken.safetensors" in alert.inner_text()
    give(tab)
    alert.wait_for(state="detached")


def test_the_edits_own_words_steps_and_colours_are_in_the_recipe(tab: Tab) -> None:
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.page.get_by_text("The whole edit").click()
    whole = tab.page.locator(".whole")
    whole.get_by_label("Prompt").fill("a house")
    whole.get_by_label("Without").fill("people")
    whole.get_by_label("Steps", exact=True).fill("7")
    whole.get_by_label("Colours").select_option(label="the photo’s")
    card = tab.page.locator(".card")
    card.get_by_label("Without").fill("clouds")
    card.get_by_label("Colours").select_option(label="as drawn")
    assert tab.js("store.doc.value.rest") | {"backbone": 0} == {
        "backbone": 0, "prompt": "a house", "negative": "people", "steps": 7, "palette": 0,
    }  # fmt: skip
    region = tab.js("store.part.value.region")
    assert (region["negative"], region["palette"]) == ("clouds", "drawn")
    with tab.page.expect_request("**/api/preview") as request:
        give(tab)
    asked = request.value.post_data_json["recipe"]
    assert asked["regions"][0]["negative"] == "clouds" and asked["palette"] == 0
    card.get_by_label("Colours").select_option(label="as the edit")
    assert "palette" not in tab.js("store.part.value.region")


def test_an_accelerator_is_drawn_under_once_its_file_is_named(tab: Tab, tmp_path: Path) -> None:
    drawn = random_style(backbone := tiny_backbone(), seed=9)
    says = {"solver": "ddim", "steps": "3", "spacing": "trailing", "guidance": "off"}
    ls.Style("fast", backbone.family, drawn.deltas, says).save(tmp_path / "fast.safetensors")
    tab.page.mouse.click(*tab.at(*IN_SKY))
    give(tab)
    tab.page.get_by_text("The whole edit").click()
    field = tab.page.locator(".whole").get_by_label("Accelerator")
    field.fill("fst.safetensors")
    assert "accelerator" not in tab.js("store.doc.value.rest")  # nobody asks of half a name
    tab.press("Enter")
    tab.page.get_by_role("alert").get_by_text("fst.safetensors").wait_for()
    field.fill("fast.safetensors")
    tab.press("Tab")
    code = "store.results.value.find((one) => one.asked.accelerator)?.recipe.accelerator"
    assert tab.until(code) == "fast.safetensors"
    tab.until("!store.problems.value.size")
    assert "accelerator" in tab.page.locator(".whole summary").inner_text()


def test_a_refusal_is_shown_at_its_region_in_the_librarys_words(tab: Tab) -> None:
    three(tab)
    tab.page.locator(".pick").nth(1).click()
    tab.page.get_by_text("Selection as text").click()
    tab.page.get_by_role("textbox", name="Selection as text").fill("pont:3,4")
    tab.press("Tab")
    card = tab.page.locator(".card").nth(1)
    card.get_by_role("alert").wait_for()
    assert "did you mean" in card.inner_text()
    assert tab.page.get_by_role("alert").count() == 1
    tab.until("[...store.masks.value.keys()].length === 2")  # one bad mask hides no other
    tab.press("Control+z")
    tab.until("store.problems.value.size === 0")


def learn(tab: Tab, tmp_path: Path) -> None:
    """Asks for a style of a picture that lies outside of the folder."""
    painting = tmp_path.parent / "painting.png"
    scene(64, 64).save(painting)
    tab.page.get_by_role("button", name="Learn from a picture…").click()
    dialog = tab.page.get_by_role("dialog")
    with tab.page.expect_file_chooser() as chooser:
        dialog.get_by_role("button", name="Choose a picture…").click()
    chooser.value.set_files(str(painting))
    dialog.get_by_role("button", name="painting").wait_for()
    dialog.get_by_role("button", name="Learn").click()


def test_a_style_is_learned_from_the_page_with_progress_and_cancel(
    tab: Tab, tmp_path: Path
) -> None:
    three(tab)
    learn(tab, tmp_path)
    tab.until("store.training.value?.step")
    tab.page.locator(".learning").get_by_role("button", name="Cancel").click()
    tab.until("!store.training.value")
    assert "goes on from there" in tab.page.locator(".notes").inner_text()


@pytest.mark.slow
def test_a_style_that_is_learned_to_its_end_is_the_regions_and_is_drawn(
    tab: Tab, tmp_path: Path
) -> None:
    def shortly(route: Any) -> None:
        options = {"steps": 2, "rank": 2, "batch": 1}
        route.continue_(post_data={**route.request.post_data_json, "options": options})

    tab.page.route("**/api/styles/train", shortly)
    three(tab)
    learn(tab, tmp_path)
    tab.until("store.part.value.region.style")
    assert tab.js("store.part.value.region.style") == "painting.safetensors"
    assert (tmp_path / "painting.safetensors").exists()
    tab.until("!store.training.value")
    assert "painting is learned" in tab.page.locator(".notes").inner_text()
    learned = tab.page.locator(".tile.on")
    assert "painting" in learned.inner_text() and "LoRA" in learned.inner_text()
    tab.until("store.results.value.length && !store.run.value")
    drawn = tab.js("store.results.value[0].recipe.regions[0].style")
    assert Path(drawn).name == "painting.safetensors"


def test_one_can_begin_without_a_photo(opened: Open, tmp_path: Path) -> None:
    outside = write_scene(tmp_path.parent, "dropped.png")
    (tmp_path / "root").mkdir()
    write_scene(tmp_path / "root", "there.png")
    with serving(tmp_path / "root") as served:
        tab = opened(served.url)
        tab.page.get_by_text("Drop a photo here").wait_for()
        drop_file(tab, "body", outside, "image/png")
        tab.ready()
        assert tab.js("store.photo.value.name") == "dropped.png"
        tab.press("Control+o")
        tab.page.get_by_role("dialog").get_by_role("button", name="there.png").click()
        tab.until("store.photo.value.name === 'there.png'")
        tab.ready()
        with tab.page.expect_file_chooser() as chooser:
            tab.press("Control+o")
            tab.page.get_by_role("dialog").get_by_role("button", name="Choose a file…").click()
        chooser.value.set_files(str(outside))
        tab.until("store.photo.value.name === 'dropped.png'")
        tab.page.evaluate(
            """(data) => {
            const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
            const carried = new DataTransfer();
            carried.items.add(new File([bytes], 'image.png', {type: 'image/png'}));
            dispatchEvent(new ClipboardEvent('paste', {clipboardData: carried}));
            }""",
            base64.b64encode(outside.read_bytes()).decode(),
        )
        tab.until("store.photo.value.name === 'image.png'")
