"""What every segmenter must do, as a test that any plugin can run on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from locstyle.errors import SegmenterError
from locstyle.plugin.protocols import Prompt, Segmenter
from locstyle.segments import Segment, order_segments
from locstyle.segments.prompting import embedded
from locstyle.testing.factories import with_defaults
from locstyle.testing.traces import unchanged

KINDS = frozenset({"points", "boxes", "text", "scribble", "everything"})
"""All kinds of prompt there are."""

Corners = tuple[int, int, int, int]


def two_objects() -> tuple[Image.Image, tuple[Corners, Corners]]:
    """A wide picture of two things on plain ground, and the boxes around them.

    The box of the first lies wholly where x is more than the picture is high.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:120, :200]
    pixels = np.full((120, 200, 3), (70, 120, 80), np.float64)
    pixels[(x - 160) ** 2 + (y - 40) ** 2 <= 28**2] = (230, 200, 60)
    pixels[60:105, 20:80] = (60, 60, 190)
    pixels += rng.normal(0, 3, pixels.shape)
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    return picture, ((132, 12, 189, 69), (20, 60, 80, 105))


def check_segmenter(
    make: Callable[..., Segmenter],
    image: Image.Image | None = None,
    *,
    objects: Sequence[Corners] | None = None,
    finds: bool = True,
    text: str = "a yellow disc",
) -> None:
    """Hold a segmenter against what locstyle relies on; for the tests of its plugin.

    Sizes, order, points as (x, y) on a picture that is not square, points outside, boxes,
    scribbles, the same answer each time and from an embedding, errors for what it cannot answer,
    and nothing changed in the process: no random state, no torch setting, no environment.

    Args:
        make: the segmenter's class, or what makes a new one each time; options have their defaults.
        image: an RGB picture, not square; `two_objects()` if left out.
        objects: boxes (x0, y0, x1, y1) around at least two things in it that do not overlap, whose
            middles are inside them.
        finds: whether it should find them; say no for random weights, and only forms are checked.
        text: what to ask a segmenter that answers text.

    Raises:
        AssertionError: what is not as promised.
    """
    if image is None:
        image, objects = two_objects()
    assert image.mode == "RGB" and image.width != image.height, "give an RGB picture, not square"
    make = with_defaults(make)
    segmenter = make()
    check = _Check(make, segmenter, image, objects or _guesses(image), finds and bool(objects))
    kinds = segmenter.prompts
    assert isinstance(kinds, frozenset), f"prompts is a frozenset, not a {type(kinds).__name__}"
    assert kinds and kinds <= KINDS, f"prompts are of {sorted(KINDS)}; got {sorted(kinds)}"
    with unchanged(image):
        if "everything" in kinds:
            check.everything()
        if "points" in kinds:
            check.points()
        if "boxes" in kinds:
            check.boxes()
        if "scribble" in kinds:
            check.scribbles()
        if "text" in kinds:
            check.answer(Prompt(text=text))
        check.refusals()


class _Check:
    def __init__(
        self,
        make: Callable[[], Segmenter],
        segmenter: Segmenter,
        image: Image.Image,
        objects: Sequence[Corners],
        finds: bool,
    ) -> None:
        self.make, self.segmenter, self.image = make, segmenter, image
        self.objects, self.finds = objects, finds
        self.size = (image.height, image.width)
        self.embedding = embedded(segmenter, image)

    def answer(self, prompt: Prompt) -> list[Segment]:
        """The segments for a prompt, their form checked; empty where it says it hit nothing."""
        found = _answers(lambda: self.segmenter.segment(self.image, prompt))
        for segment in found:
            assert isinstance(segment, Segment), f"a {type(segment).__name__} is no Segment"
            assert segment.size == self.size, f"size {segment.size} of a photo of {self.size}"
            assert segment.area, "an empty segment"
            assert segment.score is None or 0 <= segment.score <= 1, f"score {segment.score}"
        fresh = self.make()
        for again in (
            lambda: self.segmenter.segment(self.image, prompt),
            lambda: fresh.segment(self.image, prompt),
            lambda: self.embedding.segment(prompt),
        ):
            same = [s.counts for s in _answers(again)] == [s.counts for s in found]
            assert same, f"another answer the second time, to {prompt}"
        assert found or not self.finds, f"hit nothing with {prompt}"
        return found

    def everything(self) -> None:
        found = self.answer(Prompt())
        ordered = order_segments(found)
        assert [s.counts for s in found] == [s.counts for s in ordered], "not in order_segments'"
        if self.finds:
            for box in self.objects:
                best = max(_box_iou(segment.box, box) for segment in found)
                assert best > 0.5, f"everything: no segment in the box {box}; best IoU {best:.2f}"

    def points(self) -> None:
        (x0, y0), (x1, y1) = (_middle(box) for box in self.objects[:2])
        for x, y in ((x0, y0), (x1, y1)):
            found = self.answer(Prompt(points=((x, y),)))
            assert not self.finds or found[0].contains(x, y), f"point {x},{y} is not in its segment"
        both = self.answer(Prompt(points=((x0, y0),), outside=((x1, y1),)))
        if self.finds:
            assert both[0].contains(x0, y0), f"point {x0},{y0} is not in its segment"
            assert not both[0].contains(x1, y1), f"point !{x1},{y1} is in the segment"

    def boxes(self) -> None:
        for box in self.objects[:2]:
            found = self.answer(Prompt(boxes=(box,)))
            iou = _box_iou(found[0].box, box) if found else 0.0
            assert not self.finds or iou > 0.5, f"box {box}: its segment's box has IoU {iou:.2f}"
        both = self.answer(Prompt(boxes=tuple(self.objects[:2])))
        if self.finds:
            for x, y in (_middle(box) for box in self.objects[:2]):
                assert both[0].contains(x, y), f"two boxes: {x},{y} in one of them is left out"

    def scribbles(self) -> None:
        (x0, y0), (x1, y1) = (_middle(box) for box in self.objects[:2])
        marks: NDArray[np.int8] = np.zeros(self.size, np.int8)
        marks[int(y0) - 2 : int(y0) + 3, int(x0) - 2 : int(x0) + 3] = 1
        marks[int(y1) - 2 : int(y1) + 3, int(x1) - 2 : int(x1) + 3] = -1
        found = self.answer(Prompt(scribble=marks))
        if self.finds:
            assert found[0].contains(x0, y0), "a scribble inside is not in the segment"
            assert not found[0].contains(x1, y1), "a scribble outside is in the segment"

    def refusals(self) -> None:
        height, width = self.size
        kinds = self.segmenter.prompts
        marks: NDArray[np.int8] = np.ones((width, height), np.int8)
        wrong = {
            "points": [Prompt(points=((width + 1.0, 5.0),)), Prompt(points=((5.0, -1.0),))],
            "boxes": [
                Prompt(boxes=((5.0, 5.0, width + 9.0, 9.0),)),
                Prompt(boxes=((9.0, 9.0, 5.0, 5.0),)),
            ],
            "scribble": [Prompt(scribble=marks)],
        }
        known: dict[str, Prompt] = {
            "points": Prompt(points=((1.0, 1.0),)),
            "boxes": Prompt(boxes=((0.0, 0.0, 9.0, 9.0),)),
            "scribble": Prompt(scribble=np.ones(self.size, np.int8)),
            "text": Prompt(text="a dog"),
            "everything": Prompt(),
        }
        refused = [prompt for kind in kinds & wrong.keys() for prompt in wrong[kind]]
        refused += [known[kind] for kind in KINDS - kinds]
        if "points" in kinds and "text" not in kinds:
            refused.append(replace(known["points"], text="a dog"))
        for prompt in refused:
            try:
                self.segmenter.segment(self.image, prompt)
            except SegmenterError:
                continue
            raise AssertionError(f"answered where a SegmenterError was due: {prompt}")


def _answers(ask: Callable[[], list[Segment]]) -> list[Segment]:
    try:
        found = ask()
    except SegmenterError:
        return []
    assert found, "an empty answer; raise a SegmenterError that says what is near"
    return found


def _middle(box: Corners) -> tuple[float, float]:
    return float((box[0] + box[2]) // 2), float((box[1] + box[3]) // 2)


def _guesses(image: Image.Image) -> tuple[Corners, Corners]:
    """Boxes in the left and the right half, where nobody said what there is."""
    width, height = image.size
    top, bottom = height // 4, 3 * height // 4
    return (
        (5 * width // 8, top, 7 * width // 8, bottom),
        (width // 8, top, 3 * width // 8, bottom),
    )


def _box_iou(one: Corners, other: Corners) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    common = max(across, 0) * max(down, 0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return common / (sum(areas) - common)
