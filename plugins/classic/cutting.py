"""GrabCut: what a prompt is sure of, and OpenCV's cut through the rest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

import locstyle as ls


@dataclass(frozen=True)
class Seeds:
    """What is known of a small picture's pixels, each [h, w] bool.

    `inside` and `outside` are certain, `likely` is inside unless the colours say otherwise.
    """

    inside: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    likely: NDArray[np.bool_]

    @classmethod
    def nothing(cls, size: tuple[int, int]) -> Seeds:
        return cls(*(np.zeros(size, bool) for _ in range(3)))


def cut(picture: NDArray[np.uint8], seeds: Seeds, rounds: int) -> NDArray[np.bool_]:
    """The object [h, w] in a picture [h, w, 3]: Rother, Kolmogorov, Blake, "GrabCut" (2004).

    Raises:
        SegmenterError: too little of it is left to learn its colours from.
    """
    state = np.full(picture.shape[:2], cv2.GC_PR_BGD, np.uint8)
    state[seeds.likely] = cv2.GC_PR_FGD
    state[seeds.outside] = cv2.GC_BGD
    state[seeds.inside] = cv2.GC_FGD
    background = (state == cv2.GC_BGD) | (state == cv2.GC_PR_BGD)
    if not background.any():  # the box is the picture: its rim must do
        state[[0, -1]] = cv2.GC_BGD
        state[:, [0, -1]] = cv2.GC_BGD
        state[seeds.inside] = cv2.GC_FGD
    # A new thread starts with OpenCV's random numbers fresh: same answer each time, and nobody
    # else's numbers are touched.
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            thread.submit(_grab, picture, state, rounds).result()
        except cv2.error as error:
            raise ls.SegmenterError(
                "segmenter 'classic': too few pixels to tell the object from the rest; give a "
                "larger box or more points"
            ) from error
    return (state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)


def _grab(picture: NDArray[np.uint8], state: NDArray[np.uint8], rounds: int) -> None:
    models = np.zeros((2, 1, 65))  # 5 Gaussians each; filled by the first round
    bgr = np.ascontiguousarray(picture[..., ::-1])
    cv2.grabCut(bgr, state, None, models[0], models[1], rounds, cv2.GC_INIT_WITH_MASK)
