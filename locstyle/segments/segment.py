"""Segment: one object that a segmenter found, small enough to keep hundreds of a large photo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from locstyle.errors import MaskError

if TYPE_CHECKING:
    from locstyle.masks import Mask

_BAND = 256  # rows enlarged at once, to bound memory


@dataclass(frozen=True, eq=False)
class Segment:
    """One object a segmenter found: its pixels, run-length coded.

    Attributes:
        counts: COCO's compressed run lengths, column by column.
        size: (height, width) of the photo.
        score: the segmenter's own, in [0, 1].
        label: what it is, if the segmenter or a file says so.
    """

    counts: bytes
    size: tuple[int, int]
    score: float | None = None
    label: str | None = None

    def __repr__(self) -> str:
        height, width = self.size
        label = f", {self.label!r}" if self.label else ""
        return f"Segment({width} × {height}, {self.share:.2%} inside{label})"

    @classmethod
    def of(
        cls, inside: NDArray[np.bool_], *, score: float | None = None, label: str | None = None
    ) -> Self:
        """The segment of all pixels that are true in `inside` [H, W]."""
        size = (inside.shape[0], inside.shape[1])
        columns = np.flatnonzero(inside.any(0))
        if not len(columns):
            return cls(_coded([size[0] * size[1]], size), size, score, label)
        first, last = int(columns[0]), int(columns[-1]) + 1
        # Only the columns between first and last are looked at: most objects are small.
        flat = np.asfortranarray(inside[:, first:last]).ravel(order="F")
        turns = 1 + np.flatnonzero(flat[1:] != flat[:-1])
        turns = np.concatenate([[0], turns]) if flat[0] else turns
        edges = np.concatenate([[0], turns + first * size[0]])
        if len(turns) % 2 and last < size[1]:  # still inside where the last column ends
            edges = np.append(edges, last * size[0])
        runs = np.diff(np.append(edges, size[0] * size[1]))
        return cls(_coded(runs.tolist(), size), size, score, label)

    @classmethod
    def from_low(
        cls,
        shares: NDArray[np.floating[Any]],
        size: tuple[int, int],
        *,
        threshold: float = 0.5,
        score: float | None = None,
        label: str | None = None,
    ) -> Self:
        """The segment of a photo (height, width) where shares or logits [h, w] of it, enlarged,
        are greater than `threshold`.

        Enlarged bilinearly, pixel centres aligned as by `cv2.resize`, and only around what is
        inside, a band at a time: the photo's size in floats is never held.
        """
        inside = np.zeros(size, bool)
        rows, columns = _around(shares, threshold, size)
        left, right, share = _taps(shares.shape[1], size[1], columns)
        wide = shares[:, left] * (1 - share) + shares[:, right] * share
        for start in range(rows.start, rows.stop, _BAND):
            band = slice(start, min(start + _BAND, rows.stop))
            upper, lower, share = _taps(shares.shape[0], size[0], band)
            part = wide[upper] * (1 - share[:, None]) + wide[lower] * share[:, None]
            inside[band, columns] = part > threshold
        return cls.of(inside, score=score, label=label)

    @property
    def area(self) -> int:
        """Pixels inside."""
        return int(_mask_tools().area(self.coco))

    @property
    def share(self) -> float:
        """The share of the photo inside, in [0, 1]."""
        return self.area / (self.size[0] * self.size[1])

    @property
    def box(self) -> tuple[int, int, int, int]:
        """The smallest (x0, y0, x1, y1) around it, the last exclusive; zeros if it is empty."""
        x, y, width, height = (int(value) for value in _mask_tools().toBbox(self.coco))
        return x, y, x + width, y + height

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Its pixels [H, W].

        Raises:
            MaskError: run lengths, from a file, that do not add up.
        """
        try:
            inside: NDArray[np.bool_] = _mask_tools().decode(self.coco).view(np.bool_)
        except ValueError as error:
            raise MaskError(f"a segment with broken run lengths: {error}") from error
        return inside

    @property
    def mask(self) -> Mask:
        """Its pixels as a hard mask."""
        import torch

        from locstyle.masks import Mask

        inside, (x0, y0, x1, y1) = self.inside, self.box
        patch = np.ascontiguousarray(inside[y0:y1, x0:x1])
        return Mask(torch.from_numpy(patch), corner=(x0, y0), size=self.size)

    @property
    def coco(self) -> dict[str, Any]:
        """The form COCO's tools take: {"size": [height, width], "counts": bytes}."""
        return {"size": list(self.size), "counts": self.counts}

    def contains(self, x: float, y: float) -> bool:
        """Whether the pixel at (x, y) is inside."""
        return bool(points_inside([self], [(x, y)])[0, 0])

    def iou(self, other: Segment) -> float:
        """Intersection over union with a segment of the same photo, in [0, 1]."""
        return float(self.overlaps([other])[0])

    def overlaps(self, others: Sequence[Segment]) -> NDArray[np.float64]:
        """Intersection over union with each of `others` [N]; nothing is decoded."""
        pairs: NDArray[np.float64] = overlaps([self], others)[0]
        return pairs

    def joined(self, others: Iterable[Segment]) -> Segment:
        """This segment and all `others` as one, with this one's score and label."""
        merged = _mask_tools().merge([self.coco, *(other.coco for other in others)])
        return replace(self, counts=merged["counts"])


def order_segments(segments: Iterable[Segment]) -> list[Segment]:
    """Largest first, ties by box from the top left; without the empty ones.

    Everything mode answers in this order, so number n (counted from 1) is the same on every run.
    """
    kept = [(segment.area, segment.box, segment) for segment in segments if segment.area]
    return [s for _, _, s in sorted(kept, key=lambda item: (-item[0], item[1][1], item[1][0]))]


def overlaps(some: Sequence[Segment], others: Sequence[Segment]) -> NDArray[np.float64]:
    """Intersection over union of every pair [len(some), len(others)]."""
    if not some or not others:
        return np.zeros((len(some), len(others)))
    crowd = [0] * len(others)
    pairs = _mask_tools().iou([s.coco for s in some], [s.coco for s in others], crowd)
    return np.asarray(pairs, np.float64)


def containments(segments: Sequence[Segment]) -> NDArray[np.float64]:
    """The share of each segment's pixels that each other one has, too: [N, N]; nothing decoded."""
    if not segments:
        return np.zeros((0, 0))
    coded = [segment.coco for segment in segments]
    # For a "crowd", COCO divides by the first one's area alone.
    pairs = _mask_tools().iou(coded, coded, [1] * len(coded))
    return np.asarray(pairs, np.float64)


def points_inside(
    segments: Sequence[Segment], points: Sequence[tuple[float, float]]
) -> NDArray[np.bool_]:
    """Which segment contains which point (x, y): [len(segments), len(points)]."""
    if not segments or not points:
        return np.zeros((len(segments), len(points)), bool)
    size = segments[0].size
    dots = [_dot(x, y, size) for x, y in points]
    # For a "crowd", COCO divides by the dot's area, one pixel, alone: 1 is inside, 0 is not.
    crowd = [1] * len(segments)
    return np.asarray(_mask_tools().iou(dots, [s.coco for s in segments], crowd)).T > 0.5


def _dot(x: float, y: float, size: tuple[int, int]) -> dict[str, Any]:
    height, width = size
    before = min(max(int(x), 0), width - 1) * height + min(max(int(y), 0), height - 1)
    runs = [before, 1, height * width - before - 1]
    return {"size": list(size), "counts": _coded(runs, size)}


def _coded(runs: list[int], size: tuple[int, int]) -> bytes:
    plain = {"size": list(size), "counts": runs}
    counts: bytes = _mask_tools().frPyObjects(plain, *size)["counts"]
    return counts


def _around(low: NDArray[Any], threshold: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """Rows and columns of the photo that anything above the threshold can reach."""
    ranges = []
    for axis in (0, 1):
        touched = np.flatnonzero((low > threshold).any(1 - axis))
        if not len(touched):
            return slice(0, 0), slice(0, 0)
        scale = size[axis] / low.shape[axis]
        start, stop = (touched[0] - 1) * scale, (touched[-1] + 2) * scale
        ranges.append(slice(max(0, int(start)), min(size[axis], int(stop) + 1)))
    return ranges[0], ranges[1]


def _taps(low: int, high: int, part: slice) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The two samples each enlarged pixel of `part` lies between, and the share of the second."""
    at = (np.arange(part.start, part.stop) + 0.5) * (low / high) - 0.5
    at = at.clip(0, low - 1)
    first = at.astype(np.intp)
    return first, np.minimum(first + 1, low - 1), (at - first).astype(np.float32)


def _mask_tools() -> Any:  # Any: pycocotools ships no types; loaded when first needed
    from pycocotools import mask

    return mask
