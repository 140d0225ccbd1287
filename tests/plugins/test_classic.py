"""`classic` keeps what any segmenter promises, and finds plain things in photos small and large."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
from locstyle_plugins.classic import Classic
from locstyle_plugins.classic.edges import drawn_to_edges
from locstyle_plugins.classic.regions import find_regions
from PIL import Image

from locstyle import Host, Prompt, RecipeError, SegmenterError
from locstyle.testing import check_segmenter, two_objects


def test_it_keeps_what_every_segmenter_promises() -> None:
    check_segmenter(Classic)


def test_it_is_offered_with_its_options() -> None:
    segmenter = Host().segmenter("classic", {"side": 200, "levels": [10, 20]})
    assert segmenter.options == Classic.Options(side=200, levels=(10, 20))
    with pytest.raises(RecipeError, match=r"options\.side: got 8; give 32 or more"):
        Host().segmenter("classic", {"side": 8})


def test_groups_are_of_parts_of_a_partition_and_hold_what_they_surround() -> None:
    pixels = np.full((80, 100, 3), (40, 160, 60), np.uint8)
    pixels[20:60, 30:70] = (220, 40, 40)
    pixels[35:45, 45:55] = (20, 20, 20)
    regions = find_regions(pixels, 300.0, (20.0, 40.0), 0.002)
    assert regions.labels.shape == (80, 100) and regions.areas.sum() == 8000
    shares = sorted(int(regions.areas[list(group)].sum()) for group in regions.groups)
    red = [area for area in shares if abs(area - 1600) < 120]
    assert red, f"no group is the red square with its hole filled: {shares}"


def enlarged(factor: int) -> tuple[Image.Image, np.ndarray]:
    picture, _ = two_objects()
    size = (picture.width * factor, picture.height * factor)
    y, x = np.mgrid[: size[1], : size[0]] / factor
    return picture.resize(size, Image.Resampling.BICUBIC), (x - 160) ** 2 + (y - 40) ** 2 <= 28.5**2


@pytest.mark.parametrize(
    "prompt",
    [Prompt(boxes=((520.0, 40.0, 770.0, 290.0),)), Prompt(points=((640.0, 160.0),)), Prompt()],
    ids=["box", "point", "everything"],
)
def test_what_is_found_small_follows_the_large_photo_s_edges(prompt: Prompt) -> None:
    picture, inside = enlarged(4)
    found = Classic(Classic.Options(side=100)).segment(picture, prompt)
    best = max(
        (found if prompt.everything else found[:1]),
        key=lambda s: (s.inside & inside).sum() / (s.inside | inside).sum(),
    )
    assert (best.inside != inside).sum() / inside.sum() < 0.05


def test_labels_keep_their_size_or_grow_to_the_photo_s() -> None:
    picture, inside = enlarged(2)
    labels = cv2.resize(inside.astype(np.uint8), (100, 60), interpolation=cv2.INTER_AREA) > 0
    drawn = drawn_to_edges(labels.astype(np.intp), np.asarray(picture))
    assert drawn.shape == inside.shape and set(np.unique(drawn)) == {0, 1}
    assert ((drawn == 1) & inside).sum() / ((drawn == 1) | inside).sum() > 0.9
    same = drawn_to_edges(labels.astype(np.intp), np.asarray(picture)[:60, :100])
    np.testing.assert_array_equal(same, labels)


def test_a_box_around_all_there_is_still_has_an_answer_or_an_error() -> None:
    picture, _ = two_objects()
    whole = Prompt(boxes=((0.0, 0.0, float(picture.width), float(picture.height)),))
    (found,) = Classic().segment(picture, whole)
    assert 0 < found.share <= 1
    plain = Image.new("RGB", (60, 40), (90, 90, 90))
    with pytest.raises(SegmenterError, match="classic"):
        Classic().segment(plain, Prompt(boxes=((20.0, 10.0, 40.0, 30.0),)))


def test_no_threads_are_left_behind() -> None:
    picture, (box, _) = two_objects()
    before = threading.active_count()
    Classic().segment(picture, Prompt(boxes=(tuple(map(float, box)),)))
    assert threading.active_count() == before


def test_edges_of_a_huge_photo_are_found_smaller_and_lie_where_they_are(monkeypatch) -> None:
    from locstyle_plugins.classic import edges

    photo = np.full((401, 603, 3), (60, 90, 150), np.uint8)
    cv2.circle(photo, (300, 200), 120, (200, 60, 50), -1)
    small = cv2.resize(photo, (60, 40), interpolation=cv2.INTER_AREA)
    labels = (small[..., 0] > 130).astype(np.intp)
    whole = edges.drawn_to_edges(labels, photo)
    monkeypatch.setattr(edges, "MOST", photo.shape[0] * photo.shape[1] // 4)
    halved = edges.drawn_to_edges(labels, photo)
    assert halved.shape == whole.shape and halved.dtype == whole.dtype
    near = cv2.dilate((photo[..., 0] > 130).astype(np.uint8), np.ones((7, 7)))
    near -= cv2.erode((photo[..., 0] > 130).astype(np.uint8), np.ones((7, 7)))
    assert np.array_equal(np.maximum(halved, 0)[near == 0], np.maximum(whole, 0)[near == 0])
