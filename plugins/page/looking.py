"""What there is in a photo, and what regions cover of it."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from threading import Lock
from typing import Any  # plain data

import locstyle as ls

from . import pictures
from .hearing import heard
from .library import Library, Opened
from .refusals import not_found, spoken

KEPT_SEGMENTS = 8
KEPT_PICTURES = 128
KEPT_MASKS = 2**28  # bytes


@dataclass(frozen=True)
class Sighting:
    """What a segmenter found: as data, and as a packed map of who is where."""

    facts: dict[str, Any]
    map: bytes


class Looking:
    """Segments and masks of photos, kept while they are asked for again and again."""

    def __init__(self, library: Library, host: ls.Host) -> None:
        self._library, self._host = library, host
        self._lock = Lock()
        self._seen: OrderedDict[str, Sighting] = OrderedDict()
        self._pictures: OrderedDict[str, bytes] = OrderedDict()
        self._masks: OrderedDict[tuple[str, str, str], ls.Mask] = OrderedDict()

    def id_of(self, opened: Opened, segmenter: ls.Segmenting) -> str:
        asked = json.dumps([opened.id, *_said(segmenter)], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()[:16]

    def has(self, id: str) -> bool:
        return id in self._seen

    def segments(self, id: str) -> Sighting:
        found = self._seen.get(id)
        if found is None:
            raise not_found("no such segments; ask for them first")
        return found

    def look(self, opened: Opened, segmenter: ls.Segmenting) -> str:
        """Everything that a segmenter finds; the id under which it is kept."""
        id = self.id_of(opened, segmenter)
        if id not in self._seen:
            photo = self._library.photo(opened)
            answers = self._library.shelf.answers(photo, self._host)
            found = answers.found(segmenter, ls.Prompt())
            self._seen[id] = _seen(id, found, segmenter, photo.size)
            while len(self._seen) > KEPT_SEGMENTS:
                self._seen.popitem(last=False)
        return id

    def picture(self, id: str) -> bytes:
        found = self._pictures.get(id)
        if found is None:
            raise not_found("no such mask; ask for the masks again")
        return found

    def masks(self, opened: Opened, asked: MaskRequest) -> dict[str, Any]:
        """What every region covers, or what is wrong with it."""
        told: list[list[dict[str, Any]]] = [[] for _ in asked.regions]
        beside: list[dict[str, Any]] = []

        def ear(warning: Warning) -> None:
            said = spoken(warning)
            number = _number(said["place"])
            (beside if number is None or number >= len(told) else told[number]).append(said)

        with heard(ear):
            found = self.found(opened, asked)
        size = pictures.preview_size((opened.facts["height"], opened.facts["width"]))
        regions = [self._told(m, size, w) for m, w in zip(found, told, strict=True)]
        return {"regions": regions, "warnings": beside, **_shares(found)}

    def found(self, opened: Opened, asked: MaskRequest) -> Sequence[ls.Mask | ls.LocstyleError]:
        """Each region's mask, or its error."""
        photo = self._library.photo(opened)
        selector = ls.Selector(
            photo,
            self._host,
            segmenter=asked.segmenter,
            segments=asked.segments,
            answers=self._library.shelf.answers(photo, self._host),
        )
        how = json.dumps([*_said(asked.segmenter), asked.segments], sort_keys=True)
        keys = [(opened.id, how, str(getattr(region, "mask", ""))) for region in asked.regions]
        with self._lock:
            known = [self._masks.get(key) for key in keys]
        found = selector.tried(
            [
                region if mask is None else ls.Region(mask, prompt="")
                for region, mask in zip(asked.regions, known, strict=True)
            ]
        )
        with self._lock:
            for key, region, mask in zip(keys, asked.regions, found, strict=True):
                if isinstance(mask, ls.Mask) and _is_steady(region):
                    self._masks[key] = mask
            while sum(_bytes(mask) for mask in self._masks.values()) > KEPT_MASKS:
                self._masks.popitem(last=False)
        return found

    def _told(
        self,
        found: ls.Mask | ls.LocstyleError,
        size: tuple[int, int],
        warnings: list[dict[str, Any]],
    ) -> dict[str, Any]:
        if not isinstance(found, ls.Mask):
            said = {"mask": None, "coverage": 0.0, "box": None, "error": spoken(found)}
            return {**said, "warnings": warnings}
        picture = pictures.mask_picture(found, size)
        id = hashlib.sha256(picture).hexdigest()[:16]
        with self._lock:
            self._pictures[id] = picture
            self._pictures.move_to_end(id)
            while len(self._pictures) > KEPT_PICTURES:
                self._pictures.popitem(last=False)
        said = {"mask": id, "coverage": found.area, "box": list(found.bounds), "error": None}
        return {**said, "warnings": warnings}


@dataclass(frozen=True)
class MaskRequest:
    """The part of a recipe, which may lack styles, that decides its masks; an error stands in the
    place of a region that cannot be read."""

    regions: tuple[ls.Region | ls.LocstyleError, ...]
    segmenter: ls.Segmenting
    segments: str | None


def _said(segmenter: ls.Segmenting) -> list[Any]:
    return [segmenter.name, segmenter.preset, dict(segmenter.options)]


def _is_steady(region: ls.Region | ls.LocstyleError) -> bool:
    """Whether a mask is decided by its text: no files that may change, and nobody else's rest."""
    is_text = isinstance(region, ls.Region) and isinstance(region.mask, str)
    return is_text and not region.files and "rest" not in str(region.mask)


def _bytes(mask: ls.Mask) -> int:
    return mask.patch.numel() * mask.patch.element_size()


def _number(place: str | None) -> int | None:
    """The region a place is in."""
    if place is None or not place.startswith("regions["):
        return None
    return int(place[len("regions[") :].partition("]")[0])


def _shares(found: Sequence[ls.Mask | ls.LocstyleError]) -> Mapping[str, Any]:
    """What pairs of regions both claim, what of the photo more than one does, and what is left of
    each under the later ones."""
    pairs = [
        {"a": i, "b": j, "coverage": both.area}
        for (i, a), (j, b) in combinations(enumerate(found), 2)
        if isinstance(a, ls.Mask) and isinstance(b, ls.Mask) and (both := a & b).area
    ]
    alone, above, twice = [], None, None
    for mask in reversed(found):
        if not isinstance(mask, ls.Mask):
            alone.append(0.0)
            continue
        if above is None:
            alone.append(mask.area)
            above = mask
            continue
        common = mask & above
        alone.append((mask - above).area)
        twice = common if twice is None else twice | common
        above = mask | above
    return {
        "overlaps": pairs,
        "overlap": 0.0 if twice is None else twice.area,
        "alone": alone[::-1],
        "covered": 0.0 if above is None else above.area,
    }


def _seen(
    id: str, found: Sequence[ls.Segment], segmenter: ls.Segmenting, size: tuple[int, int]
) -> Sighting:
    import numpy as np

    height, width = pictures.preview_size(size)
    rows = ((np.arange(height) + 0.5) * size[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * size[1] / width).astype(int)
    who = np.zeros((height, width), "<u2")
    listed = []
    for number, segment in enumerate(found, start=1):
        x0, y0, x1, y1 = segment.box
        fact = {"number": number, "box": [x0, y0, x1, y1], "area": segment.share}
        listed.append({**fact, "label": segment.label, "score": segment.score})
    for one in sorted(listed, key=lambda one: -one["area"])[: 2**16 - 1]:
        x0, y0, x1, y1 = one["box"]
        top, bottom = np.searchsorted(rows, (y0, y1))
        left, right = np.searchsorted(columns, (x0, x1))
        inside = found[one["number"] - 1].inside
        part = inside[np.ix_(rows[top:bottom], columns[left:right])]
        who[top:bottom, left:right][part] = one["number"]
    facts = {"id": id, "segmenter": segmenter.name, "width": width, "height": height}
    return Sighting({**facts, "segments": listed}, gzip.compress(who.tobytes(), 1))
