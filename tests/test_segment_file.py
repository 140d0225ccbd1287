"""segments.json comes back as it was written; SAM's and COCO's files are read; others refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as coco

from locstyle import MaskError, Photo, Segment
from locstyle.segments.file import read_segment_file, read_segments, write_segments

SIZE = (20, 30)


@pytest.fixture
def photo() -> Photo:
    return Photo(np.zeros((*SIZE, 3), np.uint8))


def inside(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    pixels = np.zeros(SIZE, bool)
    pixels[y0:y1, x0:x1] = True
    return pixels


BOX = inside(4, 2, 14, 9)
POLYGON = {"segmentation": [[4, 2, 14, 2, 14, 9, 4, 9]]}
LENGTHS = {"size": list(SIZE), "counts": [4 * 20 + 2] + [7, 13] * 9 + [7, 331]}


def written(tmp_path: Path, data: Any) -> Path:
    path = tmp_path / "segments.json"
    path.write_text(json.dumps(data), "utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path: Path, photo: Photo) -> None:
    segments = [Segment.of(~BOX, score=0.75), Segment.of(BOX, score=0.5, label="dog")]
    path = tmp_path / "segments.json"
    write_segments(path, segments, photo, {"name": "classic", "options": {"scale": 2}})
    file = read_segment_file(path, SIZE)
    assert list(file.numbered) == [1, 2]
    assert file.photo_sha256 == photo.sha256 and file.made_by is not None
    assert file.made_by["options"] == {"scale": 2}
    for before, after in zip(segments, file.numbered.values(), strict=True):
        assert (before.counts, before.size) == (after.counts, after.size)
        assert (before.score, before.label) == (after.score, after.label)
    data = json.loads(path.read_text("utf-8"))["annotations"][1]
    assert data["bbox"] == [4, 2, 10, 7] and data["area"] == 70


def compressed() -> dict[str, Any]:
    counts = coco.encode(np.asfortranarray(BOX.astype(np.uint8)))["counts"]
    return {"size": list(SIZE), "counts": counts.decode()}


@pytest.mark.parametrize(
    "data",
    [
        [{"segmentation": LENGTHS, "predicted_iou": 0.9, "area": 70}],
        [{"segmentation": compressed(), "predicted_iou": 0.9}],
        {"annotations": [{"segmentation": compressed(), "score": 0.9}]},
        {"annotations": [{**POLYGON, "score": 0.9, "id": 1}], "images": [{"id": 7}]},
    ],
    ids=["sam-lengths", "sam-text", "annotations", "coco-polygon"],
)
def test_every_form_gives_the_same_pixels(tmp_path: Path, data: Any) -> None:
    (segment,) = read_segments(written(tmp_path, data), SIZE)
    np.testing.assert_array_equal(segment.inside, BOX)
    assert segment.score == 0.9


def test_coco_ids_labels_and_images(tmp_path: Path) -> None:
    entries = [
        {**POLYGON, "id": 41, "image_id": 1, "category_id": 5},
        {**POLYGON, "id": 42, "image_id": 2, "category_id": 5},
        {"segmentation": LENGTHS, "id": 43, "image_id": 2, "category_id": 6},
    ]
    data = {
        "annotations": entries,
        "images": [{"id": 1, "file_name": "a/one.jpg"}, {"id": 2, "file_name": "b/two.jpg"}],
        "categories": [{"id": 5, "name": "dog"}, {"id": 6, "name": "cat"}],
    }
    path = written(tmp_path, data)
    file = read_segment_file(path, SIZE, photo="two.jpg")
    assert {n: s.label for n, s in file.numbered.items()} == {42: "dog", 43: "cat"}
    assert file.pick("42").label == "dog" and file.pick("cat").area == 70
    with pytest.raises(MaskError, match=r"2 images, none named 'x\.jpg'; it has one.jpg, two.jpg"):
        read_segments(path, SIZE, photo="x.jpg")
    with pytest.raises(MaskError, match="no segment 'dogs'; did you mean 'dog'"):
        file.pick("dogs")
    with pytest.raises(MaskError, match="no segment '7'; there are numbers 42 to 43"):
        file.pick("7")


def test_segments_of_one_label_are_joined(tmp_path: Path) -> None:
    data = [
        {"segmentation": [[x, 2, x + 4, 2, x + 4, 6, x, 6]], "category_name": "tree"}
        for x in (3, 20)
    ]
    tree = read_segment_file(written(tmp_path, data), SIZE).pick("tree")
    np.testing.assert_array_equal(tree.inside, inside(3, 2, 7, 6) | inside(20, 2, 24, 6))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"shapes": []}, "holds no annotations; give what"),
        ("text", "holds no annotations"),
        ([3], "holds no annotations"),
        ([], "holds no annotation of this photo"),
        ([{"area": 3}], "no segmentation; give polygons"),
        ([{"segmentation": {"size": [30, 20], "counts": "ab"}}], "turned by a quarter"),
        ([{"segmentation": {"size": [20, 30], "counts": [5, 5]}}], "do not add up"),
        ([{"segmentation": {"size": [20, 30], "counts": [-5, 605]}}], "do not add up"),
        ([{"segmentation": {"size": [20, 30], "counts": 3}}], "neither a list nor"),
        ([{"segmentation": [[1, 2, 3, 4]]}], "at least three points"),
        ([{"segmentation": [[1, 2, 3, 4, "5", 6]]}], "at least three points"),
        ([{"segmentation": [[1, 2, 3, 4, 1e9, 6]]}], "far outside the photo; x lies in 0-30"),
        ([{"segmentation": [[1, 2, 3, 4, float("nan"), 6]]}], "far outside"),
        ([{"segmentation": [[0, 0, 29, 19] * 80_000]}], "runs along more than"),
        ([{"segmentation": {"size": [20], "counts": [600]}}], r"size \[20\]; give"),
        ([{"segmentation": {"size": [20, "x"], "counts": [600]}}], "give .height, width."),
        ([{"segmentation": {"size": [20, 10**400], "counts": [600]}}], "but the photo is"),
        ([{"segmentation": {"size": [20, 30], "counts": "o" * 100_000}}], "do not add up"),
    ],
)
def test_files_that_hold_no_segments_of_the_photo(tmp_path: Path, data: Any, message: str) -> None:
    with pytest.raises(MaskError, match=message):
        read_segments(written(tmp_path, data), SIZE)


@pytest.mark.parametrize("counts", ["zzzzzzzz", "0", "\x7f\x7f", "oooooooooooooooooooooooooooo"])
def test_broken_run_lengths_are_an_error(tmp_path: Path, counts: str) -> None:
    data = [{"segmentation": {"size": list(SIZE), "counts": counts}}]
    with pytest.raises(MaskError, match="do not add up"):
        read_segments(written(tmp_path, data), SIZE)


def test_what_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("{", "utf-8")
    with pytest.raises(MaskError, match=r"'a\.json': is not JSON"):
        read_segments(path, SIZE)
    path.write_text("[" * 100_000, "utf-8")
    with pytest.raises(MaskError, match="is not JSON"):
        read_segments(path, SIZE)
    with pytest.raises(MaskError, match=r"'b\.json': cannot be read"):
        read_segments(tmp_path / "b.json", SIZE)


def test_ids_names_and_scores_of_other_types_are_none(tmp_path: Path) -> None:
    shape = {"size": list(SIZE), "counts": [100, 10, 490]}
    for score in (10**400, float("nan"), float("inf"), "high", [1], None, True):
        entry = {"id": [1], "category_id": {"a": 1}, "score": score, "segmentation": shape}
        data = {"annotations": [entry], "categories": [{"id": [2], "name": "x"}]}
        (tmp_path / "a.json").write_text(json.dumps(data))
        (segment,) = read_segments(tmp_path / "a.json", SIZE)
        assert segment.area == 10 and segment.score in (None, 1.0)
