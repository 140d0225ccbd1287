"""Faces: a region that shows one keeps more of the photo and is drawn finer, if nobody says so.

A style takes a face apart long before a house: an eye that moves by its own width is gone, and so
is one that is no wider than a stroke. Found by the local binary patterns of frontal faces that come
with scikit-image (Ahonen et al., PAMI 2006), asked of each region's own window, so that what is
found must be about the region itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from locstyle.edit import Edit, checks
from locstyle.errors import PluginError, RecipeError
from locstyle.photo import boxes
from locstyle.photo.canvas import average

if TYPE_CHECKING:
    from locstyle.edit import Region
    from locstyle.job.frames import Detail
    from locstyle.masks import Mask
    from locstyle.photo import Photo
    from locstyle.plugin.protocols import Fusion

_SIDE = 160  # pixels of the window's longer side as it is looked at
_MARGIN = 0.15  # of the region's longer side, around it: an outline may cut off chin and forehead
_LEAST = 24  # photo pixels of a region's shorter side; the detector's own size
_INSIDE = 0.75  # of a found face that must lie in the region
_OF_REGION = 0.3  # of the region that the face must be: a person with a face in it is no face
_FINER = 1.4  # times the side that a backbone draws well at once; by eye, on two faces
_FINEST = 2.0  # working pixels a photo pixel: beyond, there is nothing to be seen in the photo


def settled_faces(
    edit: Edit, fusion: Fusion, photo: Photo, masks: Sequence[Mask], detail: Detail
) -> tuple[Edit, frozenset[int]]:
    """The edit with the fusion's `in_faces` as the structure of every region that shows a face and
    says none of its own, and with more detail there, if it says none; and which regions these are.

    Raises:
        PluginError: what the fusion says of faces is no structure.
    """
    structure = getattr(fusion, "in_faces", None)
    if structure is None:
        return edit, frozenset()
    try:
        structure = checks.number(structure, "in_faces", 0, 1)
    except RecipeError as error:
        raise PluginError(f"fusion {edit.fusion.name!r}: {error}") from error
    found, regions = set(), list(edit.regions)
    for index, (region, mask) in enumerate(zip(regions, masks, strict=True)):
        styled = any(one.strength for one in region.stylings)
        if styled and region.structure is None and shows_face(photo, mask):
            found.add(index)
            finer = region.detail if _says_detail(edit, region) else _finer(mask, detail)
            regions[index] = replace(region, structure=structure, detail=finer)
    return replace(edit, regions=tuple(regions)) if found else edit, frozenset(found)


def _says_detail(edit: Edit, region: Region) -> bool:
    """Whether anybody has said how finely the region is drawn."""
    return (
        region.detail is not None
        or edit.detail != "auto"
        or edit.size is not None
        or bool(edit.frames)
    )


def _finer(mask: Mask, detail: Detail) -> float:
    """Working pixels a photo pixel of a face: more than fit at once, but no more than show."""
    x0, y0, x1, y1 = detail.around(mask.bounds)
    wanted = _FINER * detail.working / sqrt((x1 - x0) * (y1 - y0))
    return round(min(_FINEST, wanted), 2)


def shows_face(photo: Photo, mask: Mask) -> bool:
    """Whether a region is a face seen from the front, more or less: one outlined, no crowd."""
    x0, y0, x1, y1 = mask.bounds
    if min(x1 - x0, y1 - y0) < _LEAST:
        return False
    picture, inside = _window(photo, mask)
    faces = _detector().detect_multi_scale(
        img=picture,
        scale_factor=1.1,
        step_ratio=1,
        min_size=(_LEAST, _LEAST),
        max_size=(_SIDE, _SIDE),
        min_neighbor_number=4,
    )
    for face in faces:
        top, left, height, width = (face[key] for key in ("r", "c", "height", "width"))
        common = float(inside[top : top + height, left : left + width].sum())
        if common >= _INSIDE * height * width and common >= _OF_REGION * float(inside.sum()):
            return True
    return False


def _window(photo: Photo, mask: Mask) -> tuple[np.ndarray, np.ndarray]:
    """A region with a margin as the detector sees it, [h, w, 3] of 8 bits, and how far each place
    is inside, [h, w] in [0, 1]."""
    x0, y0, x1, y1 = mask.bounds
    margin = int(_MARGIN * max(x1 - x0, y1 - y0))
    x0, y0, x1, y1 = box = boxes.grown(mask.bounds, margin, photo.size)
    step = max(1, max(x1 - x0, y1 - y0) // (4 * _SIDE))  # a large photo is looked at sparsely
    colours = photo.working(slice(y0, y1, step), slice(x0, x1, step))
    inside = (mask.part(box)[::step, ::step] > 0.5).float()
    scale = _SIDE / max(inside.shape)
    size = max(1, round(inside.shape[0] * scale)), max(1, round(inside.shape[1] * scale))
    if scale < 1:
        both = average(torch.cat([colours, inside[None]]), size)
    else:
        both = torch.nn.functional.interpolate(
            torch.cat([colours, inside[None]])[None], size, mode="bilinear", align_corners=False
        )[0]
    seen = (both[:3].clamp(0, 1) * 255).round().byte().permute(1, 2, 0).contiguous()
    return seen.numpy(), both[3].numpy()


@cache
def _detector() -> Any:  # Any: scikit-image's Cascade, which has no types
    from skimage.data import lbp_frontal_face_cascade_filename
    from skimage.feature import Cascade

    return Cascade(lbp_frontal_face_cascade_filename())
