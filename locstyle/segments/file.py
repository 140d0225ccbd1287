"""segments.json: what a segmenter found, numbered; and the same from SAM's and COCO's files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any  # Any: parsed JSON

from locstyle import __version__
from locstyle.errors import MaskError, did_you_mean
from locstyle.files import bounds, read_file, write_atomic
from locstyle.photo import Photo
from locstyle.segments import Segment
from locstyle.segments.shapes import check_polygons, filled, outline, run_lengths

_LARGEST_SCORE = 1e6  # scores are shares; a few tools count in per cent
_FORMS = (
    "what `locstyle segment` writes, a list of SAM's automatic masks, or COCO annotations with "
    "polygons or run lengths"
)


@dataclass(frozen=True, eq=False)
class SegmentFile:
    """Segments as a file numbers them.

    Attributes:
        numbered: segments of one photo by number: a file's own ids, or from 1 in its order.
        sha256: digest of the file as it was read.
        photo_sha256: digest of the photo they were made from, where the file says it.
        made_by: the segmenter as it was used, where the file says it.
    """

    numbered: Mapping[int, Segment]
    sha256: str
    photo_sha256: str | None = None
    made_by: Mapping[str, Any] | None = None

    def pick(self, name: str, *, where: str = "mask") -> Segment:
        """The segment of a number, or all of a label, joined.

        Raises:
            MaskError: no such number or label; names the nearest.
        """
        if name.isdecimal() and int(name) in self.numbered:
            return self.numbered[int(name)]
        labelled = [segment for segment in self.numbered.values() if segment.label == name]
        if labelled:
            return labelled[0].joined(labelled[1:])
        labels = {segment.label for segment in self.numbered.values() if segment.label}
        numbers = f"numbers {min(self.numbered)} to {max(self.numbered)}"
        hint = did_you_mean(name, labels) if labels and not name.isdecimal() else "it has no labels"
        known = f"; labels {', '.join(sorted(labels))}" if labels and name.isdecimal() else ""
        raise MaskError(
            f"{where}: no segment {name!r}; "
            + (f"there are {numbers}{known}" if name.isdecimal() else f"{hint}, and {numbers}")
        )


def write_segments(
    path: str | os.PathLike[str],
    segments: Sequence[Segment],
    photo: Photo,
    made_by: Mapping[str, object],
) -> None:
    """Write segments with their numbers, from 1 in the order given; whole or not at all.

    Args:
        made_by: the segmenter as it was used: name, options, what it was asked.

    Raises:
        OutputError: it cannot be written there.
    """
    data = {
        "locstyle": 1,
        "version": __version__,
        "photo": {
            "file": photo.path.name if photo.path else None,
            "sha256": photo.sha256,
            "size": list(photo.size),
        },
        "segmenter": dict(made_by),
        "annotations": [_annotation(i, s) for i, s in enumerate(segments, start=1)],
    }
    write_atomic(path, (json.dumps(data, ensure_ascii=False, indent=1) + "\n").encode())


def read_segments(
    path: str | os.PathLike[str], size: tuple[int, int], *, photo: str | None = None
) -> list[Segment]:
    """The segments of a photo (height, width) in a file's order; see `read_segment_file`."""
    return list(read_segment_file(path, size, photo=photo).numbered.values())


def read_segment_file(
    path: str | os.PathLike[str],
    size: tuple[int, int],
    *,
    photo: str | None = None,
    where: str = "segments",
) -> SegmentFile:
    """Segments of a photo (height, width) from our own file, SAM's or COCO's.

    Args:
        photo: the photo's file name, to choose in a COCO file with several images.

    Raises:
        MaskError: unreadable, of another form, or of another size than the photo.
    """
    where = f"{where}: {Path(path).name!r}"
    data, digest = _parsed(path, where)
    entries = data if isinstance(data, list) else data.get("annotations")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise MaskError(f"{where}: holds no annotations; give {_FORMS}")
    head = data if isinstance(data, dict) else {}
    entries = _of_photo(entries, head, photo, where)
    if not entries:
        raise MaskError(f"{where}: holds no annotation of this photo")
    names = {_id(c.get("id")): c.get("name") for c in _dicts(head.get("categories"))}
    for index, entry in enumerate(entries):
        if isinstance(entry.get("segmentation"), list):
            check_polygons(entry["segmentation"], size, f"{where} annotations[{index}]")
    length = sum(outline(entry.get("segmentation")) for entry in entries)
    if length > bounds.OUTLINES:
        raise MaskError(f"{where}: polygons along {length:.0f} pixels; read are {bounds.OUTLINES}")
    read = [
        _segment(entry, size, names, f"{where} annotations[{i}]") for i, entry in enumerate(entries)
    ]
    ids = [entry.get("id") for entry in entries]
    has_ids = all(type(i) is int and i >= 0 for i in ids) and len(set(ids)) == len(ids)
    made_by = head.get("segmenter")
    sha = head["photo"].get("sha256") if isinstance(head.get("photo"), dict) else None
    numbers = [int(i) for i in ids if i is not None] if has_ids else range(1, len(read) + 1)
    return SegmentFile(
        dict(zip(numbers, read, strict=True)),
        digest,
        sha if isinstance(sha, str) else None,
        made_by if isinstance(made_by, dict) else None,
    )


def _annotation(number: int, segment: Segment) -> dict[str, Any]:
    x0, y0, x1, y1 = segment.box
    entry: dict[str, Any] = {
        "id": number,
        "segmentation": {"size": list(segment.size), "counts": segment.counts.decode("ascii")},
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "area": segment.area,
        "score": None if segment.score is None else round(segment.score, 6),
    }
    return entry if segment.label is None else {**entry, "category_name": segment.label}


def _parsed(path: str | os.PathLike[str], where: str) -> tuple[Any, str]:
    """What a file holds, read once, and the digest of what was read."""
    try:
        raw = read_file(path, bounds.SEGMENTS_BYTES)
        data = json.loads(raw)  # UTF-8, -16 or -32, as JSON tells by its first bytes
    except OSError as error:
        raise MaskError(f"{where}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise MaskError(f"{where}: is not JSON: {error}") from error
    if not isinstance(data, list | dict):
        raise MaskError(f"{where}: holds no annotations; give {_FORMS}")
    return data, hashlib.sha256(raw).hexdigest()


def _id(value: object) -> Hashable:
    """An id as a key: COCO's are numbers or texts, any other is nobody's."""
    return value if isinstance(value, int | str) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _of_photo(
    entries: list[dict[str, Any]], head: dict[str, Any], photo: str | None, where: str
) -> list[dict[str, Any]]:
    """Of a COCO file with several images, the annotations of the one with the photo's name."""
    images = _dicts(head.get("images"))
    if len(images) < 2:
        return entries
    files = {PurePath(str(image.get("file_name"))).name: image.get("id") for image in images}
    if photo not in files:
        named = ", ".join(sorted(files)[:8]) + (", …" if len(files) > 8 else "")
        raise MaskError(
            f"{where}: is about {len(images)} images, none named {photo!r}; it has {named}"
        )
    return [entry for entry in entries if entry.get("image_id") == files[photo]]


def _segment(
    entry: dict[str, Any], size: tuple[int, int], names: dict[Any, Any], where: str
) -> Segment:
    shape = entry.get("segmentation")
    score = entry.get("score", entry.get("predicted_iou"))
    label = entry.get("category_name", names.get(_id(entry.get("category_id"))))
    counts = filled(shape, size) if isinstance(shape, list) else run_lengths(shape, size, where)
    is_label = isinstance(label, str | int | float)
    return Segment(counts, size, _score(score), str(label) if is_label else None)


def _score(value: object) -> float | None:
    """A score as a number, None for what is none (and for nan, or beyond all that is a score)."""
    is_score = isinstance(value, int | float) and abs(value) <= _LARGEST_SCORE
    return float(value) if is_score else None  # type: ignore[arg-type]  # a number, one line up
