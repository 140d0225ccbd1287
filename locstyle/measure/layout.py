"""How much of the style picture's own layout came along: its things, not its manner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2lab

from locstyle.measure.scores import Area, Picture, unit, weight_of
from locstyle.measure.texture import Array

Labels: TypeAlias = NDArray[np.int64]  # [H, W], or [places]
Values: TypeAlias = NDArray[np.float64]  # [places, channels]

SIDE = 128  # pixels; larger pictures are looked at this large
SOFT = 1 / 48  # of the longer side: the blur that leaves a layout and takes strokes away
CUTS, ROUNDS = 6, 10  # segments by colour, and rounds of k-means that find them
LEAST = 0.1  # of the style picture's variance that must be its own for a share to mean anything
FEWEST = 40  # places of the size of that blur, below which everything is alike by chance


class Things(NamedTuple):
    """What came along of a picture's layout; each 0 where nothing did, 1 where all of it did.

    Chance makes single regions fall on either side of 0: means over several say something.
    """

    places: float  # of its light and colour, by place: the share of it mixed in
    segments: float  # of its segments, whatever their colours: the share of their variance


NOTHING_SEEN = Things(math.nan, math.nan)


def things_taken(
    output: Picture, style: Picture, known: Sequence[Picture], mask: Area = None
) -> Things:
    """How much of the layout of `style` is in `output`, place by place, beyond what is `known`.

    All pictures are softened inside the mask, in Lab; `style` lies stretched over the output. What
    a channel of the `known` ones (the truth, the photo) explains linearly is taken out of the
    output and of the style picture. `places` is the least-squares share of the rest of one in the
    rest of the other. `segments` cuts the softened style picture into six by colour and compares
    the variance between these, less what the same segments mirrored, turned and moved elsewhere
    find. Both are 0 for every picture among the known and 1 for the style picture itself; of a
    mixture of α with a known one they are α and α². nan where the mask is small beside the blur,
    or the style picture has hardly a layout of its own there. Things that came along to another
    place are not seen.

    Raises:
        MaskError: an empty mask, or one of another size than its picture.
    """
    area = weight_of(mask, unit(output))
    scale = min(1.0, SIDE / max(area.shape))
    size = (max(1, round(area.shape[1] * scale)), max(1, round(area.shape[0] * scale)))
    inside, sigma = _scaled(area, size) > 0.5, max(size) * SOFT
    if inside.sum() < FEWEST * sigma**2:
        return NOTHING_SEEN
    told = [_soft(one, inside, sigma) for one in known]
    whole = _soft(style, inside, sigma)
    found, sought = (_beyond(one, told) for one in (_soft(output, inside, sigma), whole))
    own = float((sought**2).sum())
    if own < LEAST * float(((whole - whole.mean(0)) ** 2).sum()):
        return NOTHING_SEEN
    cut = _segments(_scaled(unit(style), size), sigma)
    ours, theirs = (_between(one, cut, inside) for one in (found, sought))
    share = ours / theirs if theirs > LEAST * own / len(sought) else math.nan
    return Things(float((found * sought).sum()) / own, share)


def _scaled(picture: Array, size: tuple[int, int]) -> Array:
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))


def _soft(picture: Picture, inside: NDArray[np.bool_], sigma: float) -> Values:
    """The low frequencies inside the mask, from inside it alone [places, 3], Lab."""
    height, width = inside.shape
    lab = rgb2lab(_scaled(unit(picture), (width, height))) * inside[..., None]
    share = cv2.GaussianBlur(inside.astype(np.float32), (0, 0), sigma)
    soft = cv2.GaussianBlur(lab.astype(np.float32), (0, 0), sigma)
    return np.asarray((soft / np.maximum(share, 1e-6)[..., None])[inside], np.float64)


def _beyond(values: Values, known: Sequence[Values]) -> Values:
    """What the known pictures leave unexplained, channel by channel [places, 3]."""
    left = np.empty_like(values)
    for channel in range(values.shape[1]):
        told = np.stack([np.ones(len(values)), *(one[:, channel] for one in known)], 1)
        share = np.linalg.lstsq(told, values[:, channel], rcond=None)[0]
        left[:, channel] = values[:, channel] - told @ share
    return left


def _segments(picture: Array, sigma: float) -> Labels:
    """The picture cut by colour, softened, into CUTS [H, W], each of any number of pieces."""
    lab = rgb2lab(cv2.GaussianBlur(picture, (0, 0), sigma)).reshape(-1, 3).astype(np.float32)
    ranks = lab[:, 0].argsort(kind="stable").argsort(kind="stable")
    first = (ranks * CUTS // len(ranks)).astype(np.int32)[:, None]  # equal parts by lightness
    until = (cv2.TERM_CRITERIA_MAX_ITER, ROUNDS, 0.0)
    _, cut, _ = cv2.kmeans(lab, CUTS, first, until, 1, cv2.KMEANS_USE_INITIAL_LABELS)
    return np.asarray(cut, np.int64).reshape(picture.shape[:2])


def _between(values: Values, cut: Labels, inside: NDArray[np.bool_]) -> float:
    """The variance between segments less what segments elsewhere would have found."""
    elsewhere = [_explained(values, one[inside]) for one in _moved(cut)]
    return _explained(values, cut[inside]) - float(np.mean(elsewhere))


def _moved(cut: Labels) -> Iterator[Labels]:
    """The same segments in other places, of the same size and number."""
    height, width = cut.shape
    for way in (cut[:, ::-1], cut[::-1], cut[::-1, ::-1]):
        yield way
    for way in (cut, cut[:, ::-1]):
        for down, right in ((height // 3, 0), (0, width // 3), (height // 2, width // 2)):
            yield np.roll(way, (down, right), (0, 1))


def _explained(values: Values, labels: Labels) -> float:
    """Variance of the segments' means, by their sizes."""
    _, where = np.unique(labels, return_inverse=True)
    count = np.bincount(where)
    sums = np.stack([np.bincount(where, one) for one in values.T], 1)
    return float((sums**2 / count[:, None]).sum() / len(values))
