"""Which regions are taken for faces, and which should be?

    python benchmarks/faces_found.py

Two faces in their outlines, drawn tighter and looser; the regions of the published benchmark's 24
scenes; what `classic` finds in photos that come with scikit-image and show no face.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from locstyle_plugins.bench.cases import world_cases
from numpy.typing import NDArray

import locstyle as ls
from locstyle.job.faces import shows_face

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from make_portrait import faces

LOOSER = (0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 2.0)
FACELESS = ("chelsea", "coffee", "rocket", "camera", "immunohistochemistry", "retina")
SEGMENTS = 8  # of a photo, at most, the largest ones


def main() -> None:
    for name, face in faces().items():
        photo = ls.Photo.from_image(face.photo)
        outline = np.asarray(ls.select_mask(photo, face.outline).values, np.float32)
        taken = [times for times in LOOSER if shows_face(photo, scaled(outline, times))]
        tried, found = (", ".join(map(str, times)) for times in (LOOSER, taken))
        print(f"| {name.capitalize()}'s outline, drawn {tried} times as large | at {found} |")
    for what, seen in (("regions of 24 scenes", scenes()), ("segments of six photos", photos())):
        answers = list(seen)
        print(f"| {len(answers)} {what} without a face | {sum(answers) or 'none'} |")


def scaled(mask: NDArray[np.float32], times: float) -> ls.Mask:
    """A mask blown up around its middle."""
    rows, columns = np.nonzero(mask > 0.5)
    x, y = columns.mean(), rows.mean()
    matrix = np.array([[times, 0, x * (1 - times)], [0, times, y * (1 - times)]])
    return ls.Mask.from_image(cv2.warpAffine(mask, matrix, mask.shape[::-1]))


def scenes() -> Iterator[bool]:
    for case in world_cases(6, (1, 2, 3, 4), 256):
        photo = ls.Photo.from_image(case.photo)
        yield from (shows_face(photo, ls.Mask.from_image(mask)) for mask in case.masks)


def photos() -> Iterator[bool]:
    for name in FACELESS:
        photo = ls.Photo.from_image(getattr(skimage.data, name)())
        for number in range(1, SEGMENTS + 1):
            try:
                yield shows_face(photo, ls.select_mask(photo, f"auto:{number}"))
            except ls.NothingError:
                break


if __name__ == "__main__":
    main()
