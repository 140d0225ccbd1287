"""Frames: every region is drawn once, finely enough, whatever else is edited far away."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from locstyle_plugins.vct import VCT
from PIL import Image, ImageDraw

from locstyle import Edit, Mask, RecipeError, Region
from locstyle.edit import Framing
from locstyle.frame_sheet import frame_sheet
from locstyle.job.check_frames import check_frames
from locstyle.job.frames import Detail, Frame, frames_of
from locstyle.masks import Partition

Box = tuple[int, int, int, int]


def detail(size: tuple[int, int], **given: int) -> Detail:
    return Detail(size, **{"working": 256, "native": 128, "factor": 8, "multiple": 64} | given)


def boxes(size: tuple[int, int], *corners: Box) -> list[Mask]:
    return [Mask.box(one, size) for one in corners]


def edit_of(masks: Sequence[Mask], own: Sequence[Any] = (), **given: Any) -> Edit:
    own = own or [None] * len(masks)
    regions = tuple(Region(mask, "style", detail=one) for mask, one in zip(masks, own, strict=True))
    return Edit("photo.png", regions, **given)


def frames(masks: Sequence[Mask], **given: Any) -> tuple[Frame, ...]:
    return frames_of(edit_of(masks, **given), masks, detail(masks[0].size))


def test_regions_far_apart_get_frames_of_their_own() -> None:
    found = frames(boxes((1600, 2000), (20, 20, 420, 420), (1500, 1100, 1900, 1500)))
    assert [frame.regions for frame in found] == [(0,), (1,)]
    for frame in found:
        finest = detail((1600, 2000)).scale(frame.canvas.box)
        assert frame.canvas.scale == pytest.approx(finest, rel=0.1)
        assert not frame.canvas.is_whole


def test_regions_that_touch_share_a_frame() -> None:
    found = frames(boxes((600, 800), (100, 100, 300, 300), (300, 100, 500, 300)))
    assert [frame.regions for frame in found] == [(0, 1)]


def test_the_drawn_frames_have_labels_that_the_font_can_write(monkeypatch) -> None:
    written: list[str] = []
    write = ImageDraw.ImageDraw.text

    def text(self: Any, place: Any, text: str, **given: Any) -> None:
        written.append(text)
        drawn = {bytes(given["font"].getmask(letter)) for letter in text}
        assert bytes(given["font"].getmask("\uffff")) not in drawn  # the box for what it lacks
        write(self, place, text, **given)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    frame_sheet(Image.new("RGB", (800, 600)), frames(boxes((600, 800), (100, 100, 300, 300))))
    assert written


def test_touching_through_others_counts() -> None:
    row = [(100 + 100 * i, 100, 200 + 100 * i, 200) for i in range(4)]
    assert [f.regions for f in frames(boxes((300, 600), *row))] == [(0, 1, 2, 3)]


def test_a_small_region_among_large_ones_gets_its_own() -> None:
    masks = boxes((1000, 1000), (0, 0, 1000, 1000), (480, 480, 540, 540))
    found = frames(masks)
    assert [frame.regions for frame in found] == [(0,), (1,)]
    assert found[0].canvas.is_whole and found[1].canvas.scale > 3 * found[0].canvas.scale


def test_a_region_that_sets_its_detail_gets_its_own() -> None:
    masks = boxes((200, 200), (0, 0, 100, 200), (100, 0, 200, 200))
    found = frames(masks, own=[None, 0.5])
    assert [frame.regions for frame in found] == [(0,), (1,)]
    assert found[1].canvas.scale == pytest.approx(0.5, rel=0.05)
    assert [f.regions for f in frames(masks)] == [(0, 1)]


def test_one_number_gives_all_frames_one_scale() -> None:
    masks = boxes((900, 900), (20, 20, 60, 60), (300, 300, 800, 800))
    assert [f.canvas.scale for f in frames(masks, detail=0.3)] == pytest.approx([0.3] * 2, rel=0.1)


def test_size_is_one_frame_of_the_whole_photo() -> None:
    masks = boxes((600, 800), (20, 20, 80, 80), (700, 500, 760, 560))
    for size in (48, "native", (60, 60)):
        (frame,) = frames(masks, size=size)
        assert frame.regions == (0, 1) and frame.canvas.is_whole


def test_auto_is_never_finer_than_the_photo_and_never_large() -> None:
    (small,) = frames(boxes((600, 800), (300, 300, 306, 306)))
    assert small.canvas.scale == pytest.approx(1, rel=0.01)
    assert small.canvas.padded[0] * small.canvas.padded[1] >= 128 * 128  # context to draw it in
    (tiny_photo,) = frames(boxes((20, 20), (5, 5, 15, 15)))
    assert tiny_photo.canvas.scale == pytest.approx(256 / 20, rel=0.05)


def test_auto_is_never_tiled_however_long_a_strip_is() -> None:
    masks = boxes((300, 9000), (0, 150, 9000, 151))
    (frame,) = frames(masks)
    assert frame.tiles.is_one and frame.canvas.content[1] > 20 * frame.canvas.content[0]
    edit = replace(edit_of(masks), frames=(frame.framing,))
    (again,) = frames_of(edit, masks, detail((300, 9000)))
    assert again.tiles == frame.tiles and again.canvas == frame.canvas
    (asked,) = frames(masks, detail=frame.canvas.scale)
    assert not asked.tiles.is_one


def test_specks_join_their_nearest_part() -> None:
    values = torch.zeros(600, 800)
    values[100:300, 100:300] = 1
    values[550:552, 700:702] = 1
    (frame,) = frames([Mask(values)])
    assert frame.regions == (0,) and frame.canvas.box[2] >= 702


def test_a_region_in_two_places_is_drawn_in_two_frames() -> None:
    left, right = boxes((600, 1200), (20, 200, 180, 360), (900, 200, 1060, 360))
    found = frames([left | right])
    assert [frame.regions for frame in found] == [(0,), (0,)]
    assert found[0].canvas.box[2] < found[1].canvas.box[0]


def test_there_are_at_most_sixteen() -> None:
    places = [(40 + 200 * i, 40 + 200 * j) for i in range(6) for j in range(5)]
    masks = boxes((1000, 1200), *((x, y, x + 20, y + 20) for x, y in places))
    found = frames(masks)
    assert len(found) <= 16
    assert sorted(r for frame in found for r in frame.regions) == list(range(30))


def test_what_is_edited_far_away_changes_nothing() -> None:
    near, far = boxes((600, 800), (50, 50, 150, 150), (600, 400, 700, 500))
    soft = near.feather(6)
    (alone,), (beside, _) = frames([soft]), frames([soft, far])
    assert alone.canvas == beside.canvas
    one, other = alone.layers([soft], [3]), beside.layers([soft, far], [3, 3])
    assert torch.equal(one.on(alone.canvas).values, other.on(beside.canvas).values)
    assert torch.equal(one.weight.patch, other.weight.patch)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[list[Mask], list[float], list[Any]]:
    height, width = draw(st.integers(60, 400)), draw(st.integers(60, 400))
    masks = []
    for _ in range(draw(st.integers(1, 4))):
        x, y = draw(st.integers(0, width - 8)), draw(st.integers(0, height - 8))
        w, h = draw(st.integers(4, width - x)), draw(st.integers(4, height - y))
        masks.append(Mask.box((x, y, x + w, y + h), (height, width)))
    if draw(st.booleans()):
        masks[0] = masks[0].feather(3)
    feathers = [draw(st.sampled_from([0.0, 1.5, 4.0]))] * len(masks)
    own = [draw(st.sampled_from([None, None, "auto", 0.4])) for _ in masks]
    return masks, feathers, own


@settings(max_examples=60, deadline=None)
@given(scenes())
def test_frames_together_are_the_photos_partition(
    scene: tuple[list[Mask], list[float], list[Any]],
) -> None:
    masks, feathers, own = scene
    regions = tuple(
        Region(mask, "style", detail=d, feather=f, paste_feather=f)
        for mask, d, f in zip(masks, own, feathers, strict=True)
    )
    found = frames_of(Edit("photo.png", regions), masks, detail(masks[0].size))
    whole = Partition.of(masks).feather(feathers).values
    drawn = torch.zeros_like(whole)
    for frame in found:
        x0, y0, x1, y1 = frame.canvas.box
        layers = frame.layers(masks, feathers)
        part = layers.part((0, 0, x1 - x0, y1 - y0)).values
        own = part[[1 + index for index in layers.drawn]]
        assert torch.allclose(layers.weight.values, own.sum(0), atol=1e-5)
        working = layers.on(frame.canvas).values
        assert len(working) == 1 + len(frame.regions)
        assert torch.allclose(working.sum(0), torch.ones(()), atol=1e-5)
        for plane, region in zip(own, frame.regions, strict=True):
            drawn[region + 1, y0:y1, x0:x1] += plane
    assert torch.allclose(drawn[1:], whole[1:], atol=1e-5)


def test_a_detail_beside_a_size_is_refused() -> None:
    (mask,) = boxes((40, 40), (0, 0, 9, 9))
    with pytest.raises(RecipeError, match=r"^detail: stands beside size"):
        edit_of([mask], size=64, detail=0.5)
    with pytest.raises(RecipeError, match=r"^regions\[0\].detail: stands beside size"):
        edit_of([mask], own=["auto"], size=64)


def said_of(edit: Edit, masks: Sequence[Mask]) -> list[tuple[str | None, str]]:
    """What checking an edit's frames warns of."""
    how = detail(masks[0].size)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_frames(edit, VCT(), frames_of(edit, masks, how), how)
    return [(one.message.place, str(one.message)) for one in caught]  # type: ignore[union-attr]


def test_a_region_of_few_latent_pixels_warns_and_what_it_says_helps() -> None:
    masks = boxes((600, 800), (30, 30, 330, 330), (600, 400, 640, 420))
    ((place, said),) = said_of(edit_of(masks), masks)
    assert place == "regions[1].detail"
    assert "5.0 latent pixels along the region's longer side" in said and "below 16" in said
    needed = re.search(r"set it to ([\d.]+) or more, where it is 1 now", said)
    assert needed is not None
    own = [None, float(needed[1])]
    assert said_of(edit_of(masks, own=own), masks) == []
    (less, _) = said_of(edit_of(masks, own=[None, 0.9 * own[1]]), masks)[0]
    assert less == "regions[1].detail"


def test_a_size_at_which_a_region_smears_warns_by_its_name() -> None:
    masks = boxes((600, 800), (30, 30, 130, 130))
    ((place, said),) = said_of(edit_of(masks, size=128), masks)
    assert place == "size" and "region 1: 2.3 latent pixels" in said
    assert "enlarge it 6.9 times" in said
    assert said_of(edit_of(masks, size=1000), masks) == []


def again(masks: Sequence[Mask], framings: Sequence[Framing], **given: Any) -> list[Frame]:
    """The frames of a finished edit that says them."""
    edit = replace(edit_of(masks, **given), frames=tuple(framings))
    return [*frames_of(edit, masks, detail(masks[0].size))]


def places_of(found: Sequence[Frame]) -> list[Any]:
    """What a frame is: its window, who is drawn in it, and all parts that are near."""
    return [(f.framing, sorted((p.region, p.box) for p in f.parts)) for f in found]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 390), st.integers(0, 230)), min_size=1, max_size=9))
def test_a_finished_edit_draws_each_part_where_it_was(corners: list[tuple[int, int]]) -> None:
    """Also where a window shows other parts of the same region, which have frames of their own."""
    size = (300, 400)
    masks = [
        reduce(or_, boxes(size, *((x, y, x + 9, y + 9 + 60 * (x % 2)) for x, y in some)))
        for some in (corners[::2], corners[1::2])
        if some
    ]
    found = frames(masks)
    assert places_of(again(masks, [f.framing for f in found])) == places_of(found)


def test_frames_drawn_by_other_rules_are_drawn_again() -> None:
    masks = boxes((600, 800), (20, 20, 60, 60), (700, 500, 760, 560))
    whole = Framing((0, 0, 800, 600), (192, 256), (0, 1))
    (frame,) = again(masks, [whole])
    assert frame.framing == whole and [part.region for part in frame.parts] == [0, 1]
    (frame,) = again([masks[0] | masks[1]], [replace(whole, draws=(0,))])
    assert len(frame.parts) == 2


def test_frames_that_draw_nothing_twice_or_too_finely_are_refused() -> None:
    masks = boxes((60, 80), (20, 20, 60, 60))
    whole = Framing((0, 0, 80, 60), (192, 256), (0,))
    for refused, said in (
        ([whole, replace(whole, box=(0, 0, 9, 9))], r"^frames\[1\]: draws region 0, of which no"),
        ([whole, whole], r"^frames\[1\]: draws region 0, of which no"),
        ([replace(whole, size=(2**17, 2**17))], r"^frames\[0\]\.size: got .* finer than anything"),
    ):
        with pytest.raises(RecipeError, match=said):
            again(masks, refused)
    for draws in ((), (0, 0)):
        with pytest.raises(RecipeError, match=r"^draws: got .* each once"):
            replace(whole, draws=draws)


def test_a_finished_edit_warns_no_more() -> None:
    masks = boxes((600, 800), (600, 400, 640, 420))
    edit = edit_of(masks)
    drawn = tuple(f.framing for f in frames_of(edit, masks, detail((600, 800))))
    assert said_of(replace(edit, frames=drawn), masks) == []


def test_tiles_are_refused_where_coming_back_is_learned() -> None:
    masks = boxes((600, 800), (30, 30, 60, 60), (100, 100, 700, 500))
    learning = VCT(VCT.Options(source="pivot"))

    def checked(fusion: VCT, **given: Any) -> None:
        edit, how = edit_of(masks, **given), detail((600, 800))
        check_frames(edit, fusion, frames_of(edit, masks, how), how)

    with pytest.raises(RecipeError, match=r"^detail: got 1.0, which cuts a frame into \d+ tiles"):
        checked(learning, detail=1.0)
    with pytest.raises(RecipeError, match=r"^regions\[1\]\.detail: got 0.9, which cuts"):
        checked(learning, own=[None, 0.9])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checked(learning)
        checked(VCT(), detail=1.0)
