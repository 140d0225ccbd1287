"""What every metric must do, as a test that any plugin can run on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from locstyle.plugin.protocols import Metric
from locstyle.testing.factories import with_defaults
from locstyle.testing.segmenters import two_objects
from locstyle.testing.traces import unchanged

Pixels = NDArray[np.uint8]


def check_metric(make: Callable[..., Metric]) -> None:
    """Hold a metric against what a benchmark relies on; for the tests of its plugin.

    It says what it is; gives one number, the same each time; finds a picture at least as near to
    itself as another is; has nothing to say where the mask is empty (nan); takes a style picture of
    another size where it asks for styles; and leaves pictures, mask and process as they were.

    Args:
        make: the metric's class, or what makes a new one each time; options have their defaults. It
            must have its weights.

    Raises:
        AssertionError: what is not as promised.
        LocstyleError: the metric lacks its weights.
    """
    make = with_defaults(make)
    metric = make()
    assert isinstance(metric.label, str) and metric.label, f"label is {metric.label!r}; give a text"
    assert metric.better in ("higher", "lower"), f"better is {metric.better!r}"
    assert metric.needs in ("truth", "style", "photo"), f"needs is {metric.needs!r}"
    photo = two_objects()[0]
    with unchanged(photo):
        one, blurred, other = (np.array(image) for image in _pictures(photo))
        mask = np.zeros(one.shape[:2], bool)
        mask[10:110, 20:180] = True
        same = _scored(metric, one, one, mask)
        assert math.isfinite(same), f"a picture beside itself scores {same}"
        assert _scored(make(), one, one, mask) == same, "another score the second time"
        for changed in (blurred, other):
            score = _scored(metric, changed, one, mask)
            better = score > same if metric.better == "higher" else score < same
            assert not better, f"another picture scores {score}, the same one {same}"
        empty = _scored(metric, one, one, np.zeros_like(mask))
        assert math.isnan(empty), f"an empty mask scores {empty}; give nan"
        if metric.needs == "style":
            assert math.isfinite(_scored(metric, one, one[5:95, 5:175], mask))


def _pictures(photo: Image.Image) -> Iterator[Image.Image]:
    yield photo
    yield photo.filter(ImageFilter.GaussianBlur(4))
    yield photo.transpose(Image.Transpose.ROTATE_180)


def _scored(metric: Metric, output: Pixels, reference: Pixels, mask: NDArray[np.bool_]) -> float:
    """The score of copies, which are held to be left alone."""
    given = (output.copy(), reference.copy(), mask.copy())
    score = metric.measure(*given)
    for before, after in zip((output, reference, mask), given, strict=True):
        assert np.array_equal(before, after), "it wrote into what it was given"
    assert isinstance(score, float), f"the score is a {type(score).__name__}; give a float"
    return score
