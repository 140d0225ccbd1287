"""Labels found small, drawn to the edges of the photo at its full size."""

from __future__ import annotations

from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]

MOST = 2**25
"""Pixels of the largest photo whose edges are followed at its full size."""


def drawn_to_edges(labels: Labels, photo: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Labels [h, w] as labels of the photo [H, W, 3], borders where its colours change most.

    What is more than a small pixel from any border is settled; the rest is flooded from there, in
    the order of contrast (OpenCV's watershed). Of a photo of more than MOST pixels the edges are
    those at a half or a third of its size: minutes and gigabytes less, a pixel or two off.
    """
    height, width = photo.shape[:2]
    if labels.shape == (height, width):
        return labels.astype(np.int32)
    part = ceil(sqrt(height * width / MOST))
    if part > 1:
        size = ceil(width / part), ceil(height / part)
        found = drawn_to_edges(labels, cv2.resize(photo, size, interpolation=cv2.INTER_AREA))
        return cv2.resize(found, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    settled = labels.astype(np.int32) + 1
    # As far as a small pixel reaches; thin parts keep their core, or they would be lost.
    core = cv2.erode(_changes(settled), np.ones((3, 3), np.uint8)) == 1
    core |= ~np.isin(settled, np.unique(settled[core]))
    marks = cv2.resize(
        np.where(core, settled, 0), (width, height), interpolation=cv2.INTER_NEAREST_EXACT
    )
    cv2.watershed(np.ascontiguousarray(photo[..., ::-1]), marks)
    whole = cv2.resize(settled, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.where(marks > 0, marks, whole) - 1  # -1: the lines between, one pixel wide


def _changes(labels: NDArray[np.int32]) -> NDArray[np.uint8]:
    """1 where all four neighbours have the same label."""
    same = np.ones(labels.shape, np.uint8)
    same[:, 1:] &= labels[:, 1:] == labels[:, :-1]
    same[:, :-1] &= labels[:, 1:] == labels[:, :-1]
    same[1:] &= labels[1:] == labels[:-1]
    same[:-1] &= labels[1:] == labels[:-1]
    return same
