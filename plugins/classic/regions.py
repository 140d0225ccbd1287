"""Regions of a small picture: a graph-based over-segmentation, and joins of its neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.intp]

_SMALLEST = 60  # pixels of a first region
_BLUR = 0.8  # pixels; σ before the graph is cut
_HESITANT = 0.02  # share of the picture; smaller regions are joined the sooner, the smaller
_SLIVER = 0.25  # share of a region's pixels that are not at its rim; less is one pixel or two wide
_ALIKE = 0.9  # IoU from which two segments are one


@dataclass(frozen=True)
class Regions:
    """A partition of the picture, and segments made of its parts.

    Attributes:
        labels: [h, w], 0 to n - 1.
        areas: [n] pixels of each part.
        groups: the parts of each segment, nested and filled, largest first.
    """

    labels: Labels
    areas: NDArray[np.intp]
    groups: tuple[frozenset[int], ...]


def find_regions(
    picture: NDArray[np.uint8], scale: float, levels: Sequence[float], smallest: float
) -> Regions:
    """The regions of a picture [h, w, 3] and what they become when joined, level by level.

    Felzenszwalb and Huttenlocher, "Efficient graph-based image segmentation" (IJCV 2004), then
    neighbours joined in the order of their contrast (`_contrast`) while it is below each level.
    """
    from skimage.segmentation import felzenszwalb

    lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    edges = _edges(lab)
    first = felzenszwalb(lab / 100, scale=scale, sigma=_BLUR, min_size=_SMALLEST, channel_axis=-1)
    first = _without_slivers(first.astype(np.intp), edges)
    areas = np.bincount(first.ravel())
    found: list[frozenset[int]] = []
    labels = first
    for level in (0.0, *sorted(levels)):
        if level:
            labels = _joined(lab, edges, labels, level)
        for label in range(labels.max() + 1):
            group = _filled(first, labels == label)
            share = sum(areas[list(group)]) / first.size
            if share >= smallest and not any(_alike(group, other, areas) for other in found):
                found.append(group)
    found.sort(key=lambda group: -sum(areas[list(group)]))
    return Regions(first, areas, tuple(found))


def _edges(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """Strength of the picture's edges [h, w], in CIELAB per pixel."""
    return sum(
        np.linalg.norm(cv2.Sobel(lab, cv2.CV_32F, dx, 1 - dx, scale=1 / 4), axis=-1)
        for dx in (0, 1)
    )


def _without_slivers(labels: Labels, edges: NDArray[np.float32]) -> Labels:
    """The labels without those of blurred edges, a pixel or two wide: their neighbours share them.

    The graph sees the mixed colours along an edge as a region of its own.
    """
    from skimage.segmentation import relabel_sequential, watershed

    grey = labels.astype(np.float32)
    core = cv2.erode(grey, np.ones((3, 3))) == cv2.dilate(grey, np.ones((3, 3)))
    shares = np.bincount(labels[core], minlength=labels.max() + 1) / np.bincount(labels.ravel())
    is_sliver = shares < _SLIVER
    if is_sliver.all():
        return labels
    kept = watershed(edges, np.where(is_sliver[labels], 0, labels + 1))
    return relabel_sequential(kept)[0].astype(np.intp) - 1


def _joined(
    lab: NDArray[np.float32], edges: NDArray[np.float32], labels: Labels, level: float
) -> Labels:
    from skimage.graph import RAG, merge_hierarchical

    count = int(labels.max()) + 1
    if count < 2:
        return labels
    graph = RAG()
    sums = [np.bincount(labels.ravel(), lab[..., c].ravel(), count) for c in range(3)]
    colours, areas = np.stack(sums, -1), np.bincount(labels.ravel(), minlength=count)
    for node in range(count):
        graph.add_node(node, labels=[node], area=areas[node], colour=colours[node])
    one, other, strength = _borders(labels, edges)
    pairs, which, lengths = np.unique(
        np.minimum(one, other) * count + np.maximum(one, other),
        return_inverse=True,
        return_counts=True,
    )
    for pair, length, total in zip(pairs, lengths, np.bincount(which, strength), strict=True):
        a, b = divmod(int(pair), count)
        contrast = _contrast(graph.nodes[a], graph.nodes[b], total / length, labels.size)
        graph.add_edge(a, b, length=length, total=total, weight=contrast)
    return merge_hierarchical(
        labels,
        graph,
        thresh=level,
        rag_copy=False,
        in_place_merge=True,
        merge_func=_merge,
        weight_func=partial(_weigh, pixels=labels.size),
    ).astype(np.intp)


def _borders(labels: Labels, edges: NDArray[np.float32]) -> tuple[Labels, Labels, Any]:
    """Neighbouring pixels of different labels, and how strong the edge between them is."""
    ones, others, strengths = [], [], []
    for here, there in (
        (np.s_[:, :-1], np.s_[:, 1:]),
        (np.s_[:-1], np.s_[1:]),
    ):
        differ = labels[here] != labels[there]
        ones.append(labels[here][differ])
        others.append(labels[there][differ])
        strengths.append(np.maximum(edges[here], edges[there])[differ])
    return np.concatenate(ones), np.concatenate(others), np.concatenate(strengths)


def _contrast(one: dict[str, Any], other: dict[str, Any], edge: float, pixels: int) -> float:
    """Distance of the mean colours plus the edge between them; less where one is tiny."""
    apart = np.linalg.norm(one["colour"] / one["area"] - other["colour"] / other["area"])
    smaller = min(one["area"], other["area"]) / pixels
    return float((apart + edge) * min(1.0, smaller / _HESITANT) ** 0.5)


def _merge(graph: Any, source: int, target: int) -> None:
    for name in ("area", "colour"):
        graph.nodes[target][name] = graph.nodes[target][name] + graph.nodes[source][name]


def _weigh(graph: Any, source: int, target: int, neighbour: int, *, pixels: int) -> dict[str, Any]:
    """The edge of two regions, now one, to a neighbour of either."""
    known = [graph[r][neighbour] for r in (source, target) if graph.has_edge(r, neighbour)]
    length, total = (sum(edge[name] for edge in known) for name in ("length", "total"))
    contrast = _contrast(graph.nodes[target], graph.nodes[neighbour], total / length, pixels)
    return {"length": length, "total": total, "weight": contrast}


def _filled(labels: Labels, inside: NDArray[np.bool_]) -> frozenset[int]:
    """The parts inside and those they enclose: an object holds what it surrounds."""
    outside = np.pad((~inside).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(outside, None, (0, 0), 2, flags=4)
    return frozenset(np.unique(labels[outside[1:-1, 1:-1] != 2]).tolist())


def _alike(one: frozenset[int], other: frozenset[int], areas: NDArray[np.intp]) -> bool:
    return sum(areas[list(one & other)]) > _ALIKE * sum(areas[list(one | other)])
