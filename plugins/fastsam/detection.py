"""What the network detects in a photo, at low resolution, turned into segments."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import locstyle as ls

from .guest import guest

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

_STEP = 32  # the network's coarsest stride in pixels; both sides are multiples of it
_FINE = 4  # input pixels per pixel of a mask
_GREY = 114  # what ultralytics pads with
_MOST = 300  # objects, ultralytics' own limit
_OUTSIDE = -2.0  # logit beside an object's box: clearly no, yet no cliff for the enlarging

Floats = NDArray[np.float32]


def detect(
    network: "nn.Module", image: "Image", *, side: int, confidence: float, overlap: float
) -> list[ls.Segment]:
    """All objects in an RGB picture, in the order of `ls.order_segments`.

    The longer side is brought to `side` pixels. Objects less sure than `confidence` are left out,
    and those whose box overlaps a surer one's by more than `overlap` (intersection over union).
    """
    import torch

    pixels, content = _fitted(np.asarray(image), side)
    device = next(network.parameters()).device
    with guest(), torch.inference_mode():
        import torchvision  # noqa: F401  with it loaded, ultralytics drops duplicates faster
        from ultralytics.utils.nms import non_max_suppression

        (answers, prototypes), _ = network(torch.from_numpy(pixels).to(device)[None])
        classes = answers.shape[1] - 4 - prototypes.shape[1]
        (found,) = non_max_suppression(
            answers, confidence, overlap, agnostic=True, max_det=_MOST, nc=classes
        )
    size = (image.height, image.width)
    return ls.order_segments(_segments(found, prototypes[0], content, size))


def _fitted(picture: NDArray[np.uint8], side: int) -> tuple[Floats, tuple[int, int]]:
    """The network's input [3, h, w] in [0, 1], and (height, width) of the picture in it.

    The picture lies in the upper left corner, on whole pixels of the masks, so that masks and
    photo agree exactly; what is left is grey.
    """
    import cv2

    height, width = picture.shape[:2]
    scale = side / max(height, width)
    rows, columns = (max(1, round(s * scale / _FINE)) * _FINE for s in (height, width))
    smooth = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    canvas = np.full((*(-(-s // _STEP) * _STEP for s in (rows, columns)), 3), _GREY, np.uint8)
    canvas[:rows, :columns] = cv2.resize(picture, (columns, rows), interpolation=smooth)
    return canvas.transpose(2, 0, 1).astype(np.float32) / 255, (rows, columns)


def _segments(
    found: "Tensor", prototypes: "Tensor", content: tuple[int, int], size: tuple[int, int]
) -> Iterator[ls.Segment]:
    """One segment for each row of `found` [N, 6 + P]: box, score, class, P shares of prototypes.

    Only one mask exists at a time, and it is as small as the prototypes [P, h, w].
    """
    rows, columns = (s // _FINE for s in content)
    basis = prototypes[:, :rows, :columns].float().cpu().numpy()
    for row in found.float().cpu().numpy():
        logits = np.tensordot(row[6:], basis, 1)
        x0, y0, x1, y1 = row[:4] / _FINE
        boxed = np.full_like(logits, _OUTSIDE)
        inside = np.s_[max(0, int(y0)) : int(np.ceil(y1)), max(0, int(x0)) : int(np.ceil(x1))]
        boxed[inside] = logits[inside]
        yield ls.Segment.from_low(boxed, size, threshold=0.0, score=float(row[4]))
