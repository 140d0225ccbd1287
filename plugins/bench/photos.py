"""Cases of real photos and paintings: automatic masks, and no truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import locstyle as ls

from .cases import SHARE, Area, Case, Picture, StylePicture, slug

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".gif", ".avif", ".heic"})
SEGMENTS = 80  # superpixels to begin with


def photo_cases(content: Path, styles: Path, size: int, regions: Sequence[int]) -> Iterator[Case]:
    """One case per photo, its longer side `size` pixels; styles and numbers of regions rotate.

    Raises:
        RecipeError: a folder without pictures, or two of one name.
        PhotoError: a file that is not a picture.
    """
    photos, pictures = pictures_in(content), pictures_in(styles)
    paintings = [StylePicture(name, _opened(path, size, min)) for name, path in pictures.items()]
    turn = 0
    for index, (name, path) in enumerate(photos.items()):
        photo = _opened(path, size, max)
        masks = areas(photo, regions[index % len(regions)])
        chosen = [paintings[(turn + region) % len(paintings)] for region in range(len(masks))]
        turn += len(masks)
        shown = tuple(f"area {number}" for number in range(1, len(masks) + 1))
        yield Case(name, name, "", photo, shown, tuple(masks), tuple(chosen))


def pictures_in(folder: Path) -> dict[str, Path]:
    """The pictures of a folder by name, in order of name.

    Raises:
        RecipeError: there is no such folder, none in it, or two of one name.
    """
    if not folder.is_dir():
        raise ls.RecipeError(f"--real {folder}: no such folder; give a folder of pictures")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES:
            if (name := slug(path.stem) or "picture") in found:
                raise ls.RecipeError(
                    f"--real {path}: {found[name].name} has the same name; rename one of them"
                )
            found[name] = path
    if not found:
        accepted = ", ".join(sorted(SUFFIXES))
        raise ls.RecipeError(f"--real {folder}: no picture in it; accepted are {accepted}")
    return found


def areas(photo: Picture, count: int) -> list[Area]:
    """At most `count` disjoint areas of 4 % to 70 % of the photo, smallest first; deterministic.

    Superpixels (SLIC, doi:10.1109/TPAMI.2012.120) are merged as Ward does, neighbours whose colours
    lose least by being averaged first. One area more than asked is left over, unstyled.
    """
    from skimage.color import rgb2lab
    from skimage.segmentation import slic

    labels = slic(photo, n_segments=SEGMENTS, compactness=10, start_label=0)
    for left in range(count + 1, 2 * count + 8):
        merged = _merged(labels, np.asarray(rgb2lab(photo), np.float64), left)
        masks = [merged == label for label in np.unique(merged)]
        masks = sorted(
            (m for m in masks if SHARE[0] <= m.mean() <= SHARE[1]), key=lambda m: float(m.mean())
        )
        if len(masks) > count:  # the largest stays as it is
            return masks[:count]
    return masks[:count] or [_middle(photo)]


def _merged(labels: NDArray[np.int64], lab: NDArray[np.float64], left: int) -> NDArray[np.int64]:
    """`labels` (from 0, without gaps) merged until `left` are left."""
    names, flat = labels.ravel(), lab.reshape(-1, 3)
    sizes = np.bincount(names).astype(np.float64)
    sums = np.stack([np.bincount(names, flat[:, axis]) for axis in range(3)], 1)
    home = np.arange(len(sizes))  # the label that each one is part of by now
    pairs = _neighbours(labels)
    while len(set(home)) > left and pairs:
        keep, gone = min(pairs, key=lambda pair: (_loss(pair, sizes, sums), pair))
        sizes[keep] += sizes[gone]
        sums[keep] += sums[gone]
        home[home == gone] = keep
        moved = {tuple(sorted(keep if one == gone else one for one in pair)) for pair in pairs}
        pairs = {(one, other) for one, other in moved if one != other}
    return np.asarray(home[labels])


def _loss(pair: tuple[int, int], sizes: NDArray[np.float64], sums: NDArray[np.float64]) -> float:
    """What averaging the two colours costs: Ward's criterion."""
    one, other = pair
    apart = sums[one] / sizes[one] - sums[other] / sizes[other]
    return float(sizes[one] * sizes[other] / (sizes[one] + sizes[other]) * (apart**2).sum())


def _neighbours(labels: NDArray[np.int64]) -> set[tuple[int, int]]:
    across = np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], 1)
    down = np.stack([labels[:-1].ravel(), labels[1:].ravel()], 1)
    pairs = np.sort(np.concatenate([across, down]), 1)
    unequal = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    return {(int(one), int(other)) for one, other in unequal}


def _middle(photo: Picture) -> Area:
    """What is left to style in a picture of one colour: its middle."""
    height, width = photo.shape[:2]
    mask = np.zeros((height, width), bool)
    mask[height // 4 : -(height // 4) or None, width // 4 : -(width // 4) or None] = True
    return mask


def _opened(path: Path, side: int, measured: Callable[[tuple[int, int]], int]) -> Picture:
    """The picture upright and RGB, its longer (`max`) or shorter (`min`) side `side` pixels."""
    image = ls.Photo.open(path).srgb.convert("RGB")
    scale = side / measured(image.size)
    width, height = (max(1, round(edge * scale)) for edge in image.size)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
