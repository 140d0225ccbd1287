"""From selections to masks: what each source means on a photo, and what errors say."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import locstyle as ls
from locstyle.edit import Region, Segmenting
from locstyle.job.select import Selector, select_mask
from locstyle.segments.file import write_segments
from locstyle.selection import parse

SIZE = (40, 60)
# Objects of the fake segmenter, as boxes: a large one (number 1), a small one on it (3), one
# elsewhere (2).
OBJECTS = ((0, 0, 30, 40), (5, 5, 15, 15), (40, 10, 50, 30))


def inside(*box: int) -> np.ndarray:
    values = np.zeros(SIZE, bool)
    values[box[1] : box[3], box[0] : box[2]] = True
    return values


@dataclass
class Asked:
    """What the fake segmenter was asked."""

    photos: list[Image.Image] = field(default_factory=list)
    prompts: list[ls.Prompt] = field(default_factory=list)
    options: list[object] = field(default_factory=list)


def boxes_plugin(asked: Asked) -> object:
    """A plugin with the segmenter `boxes`, which knows OBJECTS and the word "tree"."""

    class Boxes:
        prompts = frozenset({"points", "boxes", "text", "scribble", "everything"})

        @dataclass(frozen=True)
        class Options:
            shift: int = 0

        PRESETS = {"far": Options(shift=3)}  # noqa: RUF012  # as plugins write it

        def __init__(self, options):
            asked.options.append(options)
            self.shift = options.shift

        def embed(self, image):
            asked.photos.append(image)
            return self

        def segment(self, prompt):
            asked.prompts.append(prompt)
            found = [
                ls.Segment.of(inside(x0 + self.shift, y0, x1 + self.shift, y1), score=0.5)
                for x0, y0, x1, y1 in OBJECTS
            ]
            if prompt.everything:
                return ls.order_segments(found)
            if prompt.text is not None:
                return found[2:] if prompt.text == "tree" else []
            if prompt.scribble is not None:
                return [ls.Segment.of(prompt.scribble > 0)]
            return ls.hit(found, prompt, name="boxes")

    class Plugin:
        @ls.hookimpl
        def register_segmenters(self, register):
            register("boxes", Boxes)

    return Plugin()


@pytest.fixture
def asked() -> Asked:
    return Asked()


@pytest.fixture
def host(asked: Asked):
    with ls.Host(allow=()).temporarily(boxes_plugin(asked), name="boxes-plugin") as host:
        yield host


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A photo, half red and half grey; masks and marks of it."""
    monkeypatch.chdir(tmp_path)
    photo = np.full((*SIZE, 3), 128, np.uint8)
    photo[:, :30] = (255, 0, 0)
    Image.fromarray(photo).save("photo.png")
    Image.fromarray(inside(0, 0, 60, 20)).save("top.png")
    Image.fromarray(np.uint8(inside(2, 2, 4, 4)) * 155 + 100).save("marks.png")
    shown = np.dstack([photo, np.uint8(inside(10, 10, 20, 20)) * 255])
    Image.fromarray(shown).save("cut out.png")
    write_segments(
        "segments.json",
        [ls.Segment.of(inside(*box)) for box in OBJECTS[::-1]],
        ls.Photo.open("photo.png"),
        {"name": "boxes"},
    )
    return tmp_path


@pytest.fixture
def selector(folder: Path, host: ls.Host) -> Selector:
    return Selector(ls.Photo.open("photo.png"), host, segmenter=Segmenting("boxes"))


def region(mask: object) -> Region:
    return Region(mask, prompt="any")  # type: ignore[arg-type]  # whatever a test gives


def found(selector: Selector, mask: object) -> np.ndarray:
    return selector.mask(region(mask), "mask").values.numpy() > 0.5


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("all", inside(0, 0, 60, 40)),
        ("rest", inside(0, 0, 60, 40)),
        ("box:3,4,9,12", inside(3, 4, 9, 12)),
        ("top.png", inside(0, 0, 60, 20)),
        ("file:top.png", inside(0, 0, 60, 20)),
        ("alpha:cut out.png", inside(10, 10, 20, 20)),
        ("map:photo.png#ff0000", inside(0, 0, 30, 40)),
        ("color:#ff0000", inside(0, 0, 30, 40)),
        ("color:55,3~1", inside(30, 0, 60, 40)),
        ("light:0.535..0.55", inside(30, 0, 60, 40)),
        ("segments.json#2", inside(*OBJECTS[1])),
        ("point:20,20", inside(*OBJECTS[0])),
        ("point:7,7", inside(*OBJECTS[1])),
        ("point:7,7;20,20", inside(*OBJECTS[0])),
        ("point:20,20;!50,30", inside(*OBJECTS[0])),
        ("object:39,9,51,31", inside(*OBJECTS[2])),
        ("object:39,9,51,31;5,5,15,15", inside(*OBJECTS[1]) | inside(*OBJECTS[2])),
        ("text:tree", inside(*OBJECTS[2])),
        ("auto:1", inside(*OBJECTS[0])),
        ("auto:2,3", inside(*OBJECTS[1]) | inside(*OBJECTS[2])),
        ("scribble:marks.png", inside(2, 2, 4, 4)),
        ("auto:1 - auto:3 & top.png", inside(*OBJECTS[0]) & ~inside(*OBJECTS[1])),
        ("!auto:1", ~inside(*OBJECTS[0])),
        ("(auto:1|invert) & top.png", ~inside(*OBJECTS[0]) & inside(0, 0, 60, 20)),
        ("box:0,0,10,10 + box:30,0,40,30|largest", inside(30, 0, 40, 30)),
    ],
)
def test_every_source_means_its_pixels(selector, text, meant):
    assert np.array_equal(found(selector, text), meant)


@settings(deadline=None, max_examples=30)
@given(corners=st.lists(st.integers(0, 20), min_size=8, max_size=8))
def test_operators_are_those_of_sets(corners):
    a, b = (f"box:{x},{y},{x + w + 1},{y + h + 1}" for x, y, w, h in (corners[:4], corners[4:]))
    plain = Selector(ls.Photo.from_image(Image.new("RGB", (60, 60))), ls.Host(allow=()))
    everywhere = ls.Mask.everywhere((60, 60))

    def find(text: str) -> torch.Tensor:
        return plain.find(parse(text), "mask", everywhere).values

    assert torch.equal(find(f"{a} - {b}"), find(f"{a} & !{b}"))
    assert torch.equal(find(f"!({a} + {b})"), find(f"!{a} & !{b}"))
    assert torch.equal(find(f"({a} - {b}) + ({a} & {b})"), find(a))
    assert torch.equal(find(f"{a} + {b}|invert"), find(f"!({a} + {b})"))


def test_rest_is_what_regions_without_it_leave(selector):
    regions = [region(m) for m in ("rest & top.png", "point:20,20", "rest - top.png", "text:tree")]
    top, one, bottom, tree = (mask.values.numpy() > 0.5 for mask in selector.masks(regions))
    left = ~(inside(*OBJECTS[0]) | inside(*OBJECTS[2]))
    assert np.array_equal(top, left & inside(0, 0, 60, 20))
    assert np.array_equal(bottom, left & ~inside(0, 0, 60, 20))
    assert np.array_equal(one, inside(*OBJECTS[0])) and np.array_equal(tree, inside(*OBJECTS[2]))


def test_a_segmenter_looks_once_and_finds_everything_once(selector, asked):
    selector.masks([region(m) for m in ("auto:1", "auto:2,3", "point:7,7", "text:tree")])
    own = {"segmenter": "boxes", "preset": "far", "points": [[9, 9]]}
    selector.masks([region(own), region({**own, "refine": "grow:1"})])
    assert len(asked.photos) == len(asked.options) == 2
    assert [sorted(p.kinds) for p in asked.prompts[:3]] == [["everything"], ["points"], ["text"]]
    assert asked.photos[0].mode == "RGB" and asked.photos[0].size == (60, 40)


def test_a_region_may_have_a_segmenter_of_its_own(selector):
    own = {"segmenter": "boxes", "options": {"shift": 5}}
    assert np.array_equal(found(selector, own), inside(5, 0, 35, 40))  # the largest
    assert np.array_equal(found(selector, {**own, "box": [44, 9, 56, 31]}), inside(45, 10, 55, 30))
    boxes = {**own, "boxes": [[44, 9, 56, 31], [9, 4, 21, 16]], "refine": "largest"}
    assert np.array_equal(found(selector, boxes), inside(45, 10, 55, 30))


def test_numbers_are_those_of_the_list_where_there_is_one(folder, host, asked):
    photo = ls.Photo.open("photo.png")
    listed = Selector(photo, host, segmenter=Segmenting("boxes"), segments="segments.json")
    assert np.array_equal(found(listed, "auto:1"), inside(*OBJECTS[2]))
    assert not asked.prompts
    with pytest.raises(ls.MaskError, match=r"mask: 'segments.json': .*'4'.* numbers 1 to 3"):
        found(listed, "auto:4")


def test_a_list_of_another_photo_warns_or_is_refused(folder, host):
    Image.new("RGB", (60, 40), "blue").save("blue.png")
    with pytest.warns(UserWarning, match=r"'segments.json' was made from another photo"):
        other = Selector(ls.Photo.open("blue.png"), host, segments="segments.json")
    assert np.array_equal(found(other, "auto:1"), inside(*OBJECTS[2]))
    Image.new("RGB", (61, 40)).save("wide.png")
    with pytest.raises(ls.MaskError, match=r"60 × 40 but the photo is 61 × 40"):
        Selector(ls.Photo.open("wide.png"), host, segments="segments.json")
    with pytest.raises(ls.MaskError, match=r"segments: 'segment.json' is no file; did you mean"):
        Selector(ls.Photo.open("blue.png"), host, segments="segment.json")


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        ("topp.png", r"mask: 'topp.png' is no file; did you mean 'top.png'\?"),
        ("rset", r"'rset' is no file; its folder has cut out.png, marks.png, photo.png, "),
        ("nowhere/top.png", "'nowhere/top.png' is no file; there is no folder 'nowhere'"),
        ("alpha:.", "'.' is a folder; name a file in it"),
        ("scribble:markz.png", r"did you mean 'marks.png'\?"),
        ("map:photo.png#00ff00", r"nothing is #00ff00; it has #808080 \(50.0%\), #ff0000"),
        ("alpha:top.png", "has no alpha channel"),
        ("segments.json", "holds 3 segments; say which"),
        ("box:0,0,99,9", "mask: box 0,0,99,9 reaches outside the photo of 60 × 40"),
        ("color:#0000ff~3", "mask: no pixel lies within 3 of #0000ff; the nearest is"),
        ("light:0..0.1", "mask: no pixel is as light as 0 to 0.1; the photo has 0.53 to 0.54"),
        ("point:60,3", r"mask: segmenter 'boxes': point 60,3 lies outside .* x lies in 0-60"),
        ("point:35,5", r"point 35,5 hit nothing; nearest of 3: .* \(5 px away, around 15,20"),
        ("object:9,9,5,5", "covers nothing; give left < right"),
        ("text:bush", "mask: segmenter 'boxes' found nothing"),
        ("auto:9", r"auto:9: segmenter 'boxes' found 3 segments, the largest are 1 \(50.0%\), 2"),
        ("top.png|grow:500", "mask: grow: got 500.0; give 0 to 60 pixels"),
        (
            "top.png - auto:1 & box:0,20,60,40 & top.png - top.png",
            "covers nothing; alone, its parts cover top.png 50.00%, auto:1 50.00%, box",
        ),
        ("box:3,3,7,7|shrink:9", "'box:3,3,7,7|shrink:9' covers nothing; alone, .* 0.67%"),
        ({"segmenter": "boxez"}, r"segmenter 'boxez': nobody offers it; did you mean 'boxes'\?"),
        ({"segmenter": "boxes", "text": "bush"}, "mask: segmenter 'boxes' found nothing"),
        ({"segmenter": "boxes", "refine": "shrink:30"}, "nothing is left after 'shrink:30'"),
    ],
)
def test_errors_say_where_and_what_else_there_is(selector, mask, message):
    with pytest.raises(ls.LocstyleError, match=message):
        found(selector, mask)


def test_a_name_that_reads_as_two_is_told_to_need_quotes(selector):
    Path("top.png").rename("my - top.png")
    with pytest.raises(ls.MaskError, match=r"'my' is no file.* put its name in double quotes"):
        found(selector, "my - top.png")
    assert np.array_equal(found(selector, '"my - top.png"'), inside(0, 0, 60, 20))


def test_a_file_that_is_no_mask_of_the_photo_is_not_told_to_need_quotes(selector):
    Image.new("L", (5, 5)).save("small.png")
    with pytest.raises(ls.MaskError, match=r"scale one to the other$"):
        found(selector, "small.png")


def test_rest_where_nothing_is_left_says_so(selector):
    with pytest.raises(ls.MaskError, match=r"regions\[0\].mask: 'rest' covers nothing.*nothing ov"):
        selector.masks([region("rest"), region("all")])


def test_snapping_sees_the_photo(selector):
    ragged = found(selector, "box:0,0,32,40|snap")
    assert np.array_equal(ragged, inside(0, 0, 30, 40))


def test_a_tiny_region_warns(selector):
    with pytest.warns(UserWarning, match=r"mask: covers 0.083% of the picture, about 2 pixels"):
        found(selector, "box:0,0,2,1")


def test_a_mask_is_selected_without_an_edit(folder, host):
    mask = select_mask("photo.png", "auto:3|grow:1", segmenter="boxes", host=host)
    assert mask.bounds == (4, 4, 16, 16)
    listed = ls.select_mask(ls.Photo.open("photo.png"), parse("auto:3"), segments="segments.json")
    assert listed.bounds == OBJECTS[0]


def test_one_bad_region_hides_no_other(selector):
    masks = ("rest", "box:0,0,30,40", "nowhere.png", "text:tree")
    rest, box, wrong, tree = selector.tried([region(m) for m in masks])
    assert isinstance(wrong, ls.MaskError) and wrong.place == "regions[2].mask"
    left = ~(inside(0, 0, 30, 40) | inside(*OBJECTS[2]))
    assert np.array_equal(rest.values.numpy() > 0.5, left)
    assert np.array_equal(tree.values.numpy() > 0.5, inside(*OBJECTS[2])) and box.is_hard
