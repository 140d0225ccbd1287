"""What every segmenter does with prompts: checks, embeddings, and choosing among segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from locstyle.errors import NothingError, SegmenterError
from locstyle.plugin.protocols import Embedding, Prompt, Segmenter
from locstyle.segments import Segment, order_segments, points_inside

if TYPE_CHECKING:
    from PIL.Image import Image

_FAINTEST_BOX = 0.1  # a segment that fits its box worse than this is not what the box means
_SHOWN = 3  # candidates an error names


def check_prompt(
    name: str,
    prompt: Prompt,
    size: tuple[int, int],
    prompts: frozenset[str],
    able: Sequence[str] = (),
) -> None:
    """Refuses what a segmenter does not answer, for a picture (height, width).

    `able`: the segmenters that do, for the message.

    Raises:
        SegmenterError: a kind not among `prompts`, or points, boxes or scribbles not in the
            picture.
    """
    stray = sorted(prompt.kinds - prompts)
    if stray:
        raise SegmenterError(
            f"segmenter {name!r}: does not answer {' or '.join(stray)}; it answers "
            f"{', '.join(sorted(prompts))}"
            + (f"; --segmenter {' or '.join(able)} does" if able else "")
        )
    height, width = size
    picture = (
        f"the photo of {width} × {height} (width × height); x lies in 0-{width}, y in 0-{height}"
    )
    for x, y in (*prompt.points, *prompt.outside):
        if not (0 <= x < width and 0 <= y < height):
            raise SegmenterError(f"segmenter {name!r}: point {x:g},{y:g} lies outside {picture}")
    for x0, y0, x1, y1 in prompt.boxes:
        shown = f"segmenter {name!r}: box {x0:g},{y0:g},{x1:g},{y1:g}"
        if x0 >= x1 or y0 >= y1:
            raise SegmenterError(f"{shown} covers nothing; give left < right, top < bottom")
        if x0 < 0 or y0 < 0 or x1 > width or y1 > height:
            raise SegmenterError(f"{shown} reaches outside {picture}")
    if prompt.outside and prompt.kinds == {"points"} and not prompt.points:
        raise SegmenterError(f"segmenter {name!r}: only points outside; give one inside, too")
    _check_scribble(name, prompt.scribble, size)


def embedded(segmenter: Segmenter, image: Image) -> Embedding:
    """A photo ready for many prompts: what the segmenter computes once, if it has an `embed`."""
    embed = getattr(segmenter, "embed", None)
    return embed(image) if embed is not None else _Fresh(segmenter, image)


def hit(segments: Sequence[Segment], prompt: Prompt, *, name: str = "") -> list[Segment]:
    """Which of these segments the prompt's points and boxes mean, best first.

    A prompt without either leaves all of them: for everything in the order of `order_segments`,
    for a text or a scribble as they are given. `name`: the segmenter's, for the error.

    Points: a segment with all points and none of those outside, smallest first; where no single
    one has all of them, the smallest at each point, joined. Boxes: the segment that fits each box
    best, joined. Both: the boxes choose among what the points leave.

    Raises:
        SegmenterError: none; names the nearest by number (as given, from 1), place and share.
    """
    segments = [segment for segment in segments if segment.area]
    if prompt.everything:
        segments = order_segments(segments)
    left = [
        s
        for s, bad in zip(segments, points_inside(segments, prompt.outside), strict=True)
        if not bad.any()
    ]
    found = _with_points(left, prompt.points)
    if prompt.boxes:
        found = _in_boxes(left if found is None else found, prompt.boxes)
    found = left if found is None else found
    if not found:
        where = f"segmenter {name!r}: " if name else ""
        raise NothingError(f"{where}{_asked(prompt)} hit nothing" + _nearest(segments, prompt))
    return found


@dataclass(frozen=True)
class _Fresh:
    """An embedding for segmenters that have nothing to compute once."""

    segmenter: Segmenter
    image: Image

    def segment(self, prompt: Prompt) -> list[Segment]:
        return self.segmenter.segment(self.image, prompt)


def _check_scribble(name: str, scribble: NDArray[np.int8] | None, size: tuple[int, int]) -> None:
    if scribble is None:
        return
    if scribble.shape != size:
        raise SegmenterError(
            f"segmenter {name!r}: the scribble is {_spoken(scribble.shape)} but the photo is "
            f"{_spoken(size)} (width × height)"
        )
    if not (scribble > 0).any():
        raise SegmenterError(
            f"segmenter {name!r}: the scribble marks nothing inside; paint some of the object white"
        )


def _with_points(
    segments: list[Segment], points: Sequence[tuple[float, float]]
) -> list[Segment] | None:
    """None where no points ask."""
    if not points:
        return None
    segments = sorted(segments, key=lambda segment: segment.area)
    inside = points_inside(segments, points)
    whole = [s for s, has in zip(segments, inside, strict=True) if has.all()]
    if whole or not len(segments) or not inside.any(0).all():
        return whole
    first, *others = (segments[i] for i in sorted(set(inside.argmax(0).tolist())))
    return [first.joined(others)]


def _in_boxes(
    segments: list[Segment], boxes: Sequence[tuple[float, float, float, float]]
) -> list[Segment]:
    if not segments:
        return []
    ranked = []
    for box in boxes:
        fit = _fit(segments, box)
        order = [i for i in np.argsort(-fit, kind="stable") if fit[i] > _FAINTEST_BOX]
        ranked.append([segments[i] for i in order])
    if not all(ranked):
        return []
    if len(ranked) == 1:
        return ranked[0]
    first, *others = (candidates[0] for candidates in ranked)
    return [first.joined(others)]


def _fit(segments: list[Segment], box: tuple[float, float, float, float]) -> NDArray[np.float64]:
    """How well segments fit a box, in [0, 1]: half by their pixels, half by their own boxes.

    Pixels alone would take a wall in the box for the thin fence the box is drawn around.
    """
    size = segments[0].size
    x0, y0, x1, y1 = (round(value) for value in box)
    inside = np.zeros(size, bool)
    inside[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)] = True
    wanted = Segment.of(inside)
    filled = []
    for segment in segments:
        a0, b0, a1, b1 = segment.box
        across, down = min(a1, x1) - max(a0, x0), min(b1, y1) - max(b0, y0)
        common = max(across, 0) * max(down, 0)
        both = (a1 - a0) * (b1 - b0) + (x1 - x0) * (y1 - y0) - common
        filled.append(common / both if both else 0.0)
    fit: NDArray[np.float64] = (wanted.overlaps(segments) + np.array(filled)) / 2
    return fit


def _asked(prompt: Prompt) -> str:
    parts = [f"point {x:g},{y:g}" for x, y in prompt.points]
    parts += [f"not {x:g},{y:g}" for x, y in prompt.outside]
    parts += [f"box {','.join(f'{value:g}' for value in box)}" for box in prompt.boxes]
    return ", ".join(parts) or f"the prompt of {' and '.join(sorted(prompt.kinds))}"


def _nearest(segments: list[Segment], prompt: Prompt) -> str:
    """The ending of an error: what lies near, as "2 (12 px away, around 40,30, 5.1 %)"."""
    if not segments:
        return "; it found nothing in this picture at all"
    spots = [*prompt.points] or [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in prompt.boxes]
    if not spots:  # it asks for no place that anything could be near
        return ""
    away = [min(_distance(segment.box, spot) for spot in spots) for segment in segments]
    named = []
    for i in sorted(range(len(segments)), key=lambda i: away[i])[:_SHOWN]:
        x0, y0, x1, y1 = segments[i].box
        named.append(
            f"{i + 1} ({away[i]:.0f} px away, around {(x0 + x1) // 2},{(y0 + y1) // 2}, "
            f"{segments[i].share:.1%} of the picture)"
        )
    return f"; nearest of {len(segments)}: {', '.join(named)}"


def _distance(box: tuple[int, int, int, int], spot: tuple[float, float]) -> float:
    x0, y0, x1, y1 = box
    x, y = spot
    return float(np.hypot(max(x0 - x, x - x1, 0), max(y0 - y, y - y1, 0)))


def _spoken(size: Sequence[int]) -> str:
    return f"{size[1]} × {size[0]}"
