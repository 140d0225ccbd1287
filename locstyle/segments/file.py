"""segments.json: what a segmenter found, numbered; and the same from SAM's and COCO's files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # Any: parsed JSON

from locstyle import __version__
from locstyle.errors import MaskError, did_you_mean
from locstyle.files import write_atomic
from locstyle.masks import check_size
from locstyle.photo import Photo
from locstyle.segments import Segment

_FORMS = (
    "what `locstyle segment` writes, a list of SAM's automatic masks, or COCO annotations with "
    "polygons or run lengths"
)


@dataclass(frozen=True, eq=False)
class SegmentFile:
    """Segments as a file numbers them.

    Attributes:
        numbered: segments of one photo by number: a file's own ids, or from 1 in its order.
        photo_sha256: digest of the photo they were made from, where the file says it.
        made_by: the segmenter as it was used, where the file says it.
    """

    numbered: Mapping[int, Segment]
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
    data = _parsed(Path(path), where)
    entries = data if isinstance(data, list) else data.get("annotations")
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise MaskError(f"{where}: holds no annotations; give {_FORMS}")
    head = data if isinstance(data, dict) else {}
    entries = _of_photo(entries, head, photo, where)
    if not entries:
        raise MaskError(f"{where}: holds no annotation of this photo")
    names = {c.get("id"): c.get("name") for c in _dicts(head.get("categories"))}
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


def _parsed(path: Path, where: str) -> Any:
    try:
        data = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise MaskError(f"{where}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise MaskError(f"{where}: is not JSON: {error}") from error
    if not isinstance(data, list | dict):
        raise MaskError(f"{where}: holds no annotations; give {_FORMS}")
    return data


def _dicts(value: object) -> list[dict[str, Any]]:
    return [v for v in value if isinstance(v, dict)] if isinstance(value, list) else []


def _of_photo(
    entries: list[dict[str, Any]], head: dict[str, Any], photo: str | None, where: str
) -> list[dict[str, Any]]:
    """Of a COCO file with several images, the annotations of the one with the photo's name."""
    images = _dicts(head.get("images"))
    if len(images) < 2:
        return entries
    files = {Path(str(image.get("file_name"))).name: image.get("id") for image in images}
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
    label = entry.get("category_name", names.get(entry.get("category_id")))
    counts = _polygons(shape, size, where) if isinstance(shape, list) else None
    if counts is None:
        counts = _run_lengths(shape, size, where)
    known = float(score) if isinstance(score, int | float) else None
    return Segment(counts, size, known, None if label is None else str(label))


def _run_lengths(shape: object, size: tuple[int, int], where: str) -> bytes:
    from pycocotools import mask

    if not isinstance(shape, dict) or not isinstance(shape.get("size"), list):
        raise MaskError(f"{where}: no segmentation; give polygons or {{size, counts}}")
    check_size(tuple(shape["size"]), size, f"{where}: the segment")
    counts = shape.get("counts")
    if isinstance(counts, list):
        if not all(type(n) is int and n >= 0 for n in counts) or sum(counts) != size[0] * size[1]:
            raise MaskError(f"{where}: run lengths that do not add up to the photo's pixels")
        coded: bytes = mask.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"]
        return coded
    if not isinstance(counts, str) or not counts.isascii():
        raise MaskError(f"{where}: counts are neither a list nor COCO's text")
    if not _adds_up(counts.encode(), size[0] * size[1]):
        raise MaskError(f"{where}: run lengths that do not add up to the photo's pixels")
    return counts.encode()


def _adds_up(counts: bytes, pixels: int) -> bool:
    """Whether COCO's text holds runs of exactly so many pixels, which its own tools do not check.

    Runs are written in 5 bits a character, from the third on as differences to the last but one.
    """
    runs: list[int] = []
    value = bits = 0
    for byte in counts:
        piece = byte - 48
        value |= (piece & 31) << bits
        bits += 5
        if piece & 32:
            continue
        if piece & 16:  # negative
            value -= 1 << bits
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        if not 0 <= runs[-1] <= pixels:
            return False
        value = bits = 0
    return bits == 0 and sum(runs) == pixels


def _polygons(shape: list[Any], size: tuple[int, int], where: str) -> bytes:
    """Polygons [[x, y, x, y, …], …] in photo pixels, joined."""
    from pycocotools import mask

    height, width = size
    for polygon in shape:
        good = isinstance(polygon, list) and len(polygon) >= 6 and len(polygon) % 2 == 0
        if not good or not all(type(v) in (int, float) for v in polygon):
            raise MaskError(f"{where}: a polygon is [x, y, x, y, x, y, …], at least three points")
        xs, ys = polygon[::2], polygon[1::2]
        # Their walk is as long as the polygon: far-off points would take all memory.
        if not all(-width <= x <= 2 * width for x in xs):
            raise MaskError(
                f"{where}: a polygon reaches far outside the photo; x lies in 0-{width}"
            )
        if not all(-height <= y <= 2 * height for y in ys):
            raise MaskError(
                f"{where}: a polygon reaches far outside the photo; y lies in 0-{height}"
            )
    if not shape:
        raise MaskError(f"{where}: no polygon")
    merged: bytes = mask.merge(mask.frPyObjects(shape, height, width))["counts"]
    return merged
