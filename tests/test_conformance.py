"""The conformance test lets good segmenters pass and names what bad ones do."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from PIL import Image

from locstyle import Prompt, Segment, SegmenterError, check_prompt, hit, order_segments
from locstyle.testing import check_segmenter, two_objects


class Good:
    """Knows the three colours of the conformance test's own picture."""

    prompts = frozenset({"points", "boxes", "everything"})

    def segment(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        check_prompt("good", prompt, (image.height, image.width), self.prompts)
        return self.find(image, prompt)

    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        pixels = np.asarray(image).astype(int)
        colours = [(70, 120, 80), (230, 200, 60), (60, 60, 190)]
        parts = [Segment.of(np.abs(pixels - colour).max(-1) < 40) for colour in colours]
        found = order_segments(parts)
        return found if prompt.everything else hit(found, prompt, name="good")


def test_a_good_segmenter_passes() -> None:
    check_segmenter(Good)
    image, objects = two_objects()
    check_segmenter(
        Good,
        image.transpose(Image.Transpose.TRANSPOSE),
        objects=[(y0, x0, y1, x1) for x0, y0, x1, y1 in objects],
    )


class Optional(Good):
    @dataclass(frozen=True)
    class Options:
        share: float = 0.5

    def __init__(self, options: Options) -> None:
        self.options = options


def test_a_class_with_options_is_made_with_their_defaults() -> None:
    check_segmenter(Optional)


class Swapped(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        points = tuple((min(y, image.width), min(x, image.height - 1)) for x, y in prompt.points)
        return super().find(image, replace(prompt, points=points))


class Turned(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        return [Segment.of(s.inside.T) for s in super().find(image, prompt)]


class Deaf(Good):
    """Does not heed points outside."""

    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        if prompt.outside:
            return [Segment.of(np.ones((image.height, image.width), bool))]
        return super().find(image, prompt)


class Unchecked(Good):
    def segment(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        return self.find(image, replace(prompt, text=None))


class Unordered(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        return super().find(image, prompt)[::-1]


class Moody(Good):
    def __init__(self) -> None:
        self.calls = 0

    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        self.calls += 1
        return super().find(image, prompt)[: 1 + self.calls % 2]


class Silent(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        return []


class Greedy(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        torch.rand(1)
        return super().find(image, prompt)


class Meddling(Good):
    def find(self, image: Image.Image, prompt: Prompt) -> list[Segment]:
        os.environ["MEDDLED"] = "1"
        return super().find(image, prompt)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Swapped, "hit nothing|is not in its segment"),
        (Turned, r"size \(200, 120\) of a photo of \(120, 200\)"),
        (Deaf, "is in the segment"),
        (Unchecked, "where a SegmenterError was due"),
        (Unordered, "not in order_segments"),
        (Moody, "another answer the second time"),
        (Silent, "an empty answer"),
        (Greedy, "changed: torch's random state"),
        (Meddling, "changed: the environment"),
    ],
)
def test_a_bad_one_does_not(bad: type[Good], message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDDLED", "0")
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError, match=message):
        check_segmenter(bad)


def everything() -> list[Segment]:
    return Good().segment(two_objects()[0], Prompt())


def test_points_in_two_objects_mean_both() -> None:
    found = hit(everything(), Prompt(points=((160, 40), (50, 80))), name="s")
    assert found[0].contains(160, 40) and found[0].contains(50, 80)
    assert not found[0].contains(100, 10)


def test_the_smallest_object_under_a_point_comes_first() -> None:
    whole = Segment.of(np.ones((120, 200), bool))
    found = hit([whole, *everything()], Prompt(points=((160, 40),)), name="s")
    assert [s.area for s in found] == sorted(s.area for s in found) and len(found) == 2


def test_what_hits_nothing_names_the_nearest() -> None:
    segments = everything()[1:]
    with pytest.raises(SegmenterError, match=r"'s': point 100,30 hit nothing; nearest of 2: \d"):
        hit(segments, Prompt(points=((100, 30),)), name="s")
    with pytest.raises(SegmenterError, match=r"1 \(\d+ px away, around \d+,\d+, \d+\.\d% of"):
        hit(segments, Prompt(boxes=((90, 0, 100, 9),)), name="s")
    with pytest.raises(SegmenterError, match="found nothing in this picture at all"):
        hit([], Prompt(points=((1, 1),)), name="s")


def test_points_outside_rule_segments_out() -> None:
    prompt = Prompt(points=((160, 40),), outside=((165, 45),))
    with pytest.raises(SegmenterError, match="point 160,40, not 165,45 hit nothing"):
        hit(everything(), prompt, name="s")


def test_a_prompt_without_points_or_boxes_leaves_all_segments() -> None:
    segments = everything()
    assert hit(segments[::-1], Prompt()) == segments
    assert hit(segments[::-1], Prompt(text="a disc"), name="s") == segments[::-1]
    for prompt in (Prompt(), Prompt(text="a disc")):
        with pytest.raises(SegmenterError, match=r"'s': the prompt of \w+ hit nothing; it found"):
            hit([], prompt, name="s")
    whole = [Segment.of(np.ones((120, 200), bool))]
    with pytest.raises(SegmenterError, match=r"^not 1,1 hit nothing$"):
        hit(whole, Prompt(outside=((1, 1),)))


def test_prompts_say_what_they_ask() -> None:
    assert Prompt().everything and Prompt().kinds == {"everything"}
    assert Prompt(points=((1, 2),), text="x").kinds == {"points", "text"}
    with pytest.raises(SegmenterError, match=r"does not answer text; it answers boxes, points"):
        check_prompt("s", Prompt(text="x"), (4, 4), frozenset({"points", "boxes"}))
    with pytest.raises(SegmenterError, match=r"point 4,2 lies outside .* x lies in 0-4, y in 0-9"):
        check_prompt("s", Prompt(points=((4, 2),)), (9, 4), frozenset({"points"}))
    with pytest.raises(SegmenterError, match="only points outside"):
        check_prompt("s", Prompt(outside=((1, 2),)), (9, 4), frozenset({"points"}))
    blank = np.zeros((9, 4), np.int8)
    with pytest.raises(SegmenterError, match="marks nothing inside"):
        check_prompt("s", Prompt(scribble=blank), (9, 4), frozenset({"scribble"}))
