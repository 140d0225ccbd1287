"""What every style encoder must do, as a test that any plugin can run on its own."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image

from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.progress import Step, ignore
from locstyle.errors import LocstyleError
from locstyle.job.returned import check_style
from locstyle.plugin.protocols import StyleEncoder, StyleRequest
from locstyle.style import Style, read_style
from locstyle.testing.factories import with_defaults
from locstyle.testing.segmenters import two_objects
from locstyle.testing.tiny import tiny_backbone
from locstyle.testing.traces import unchanged

REQUEST = StyleRequest("mine", "mine style", seed=3, licence="CC0-1.0", made_by="a test")


def check_style_encoder(
    make: Callable[..., StyleEncoder],
    images: Sequence[Image.Image] | None = None,
    *,
    backbone: UNetBackbone | None = None,
) -> Style:
    """Hold a style encoder against what locstyle relies on; for the tests of its plugin.

    The same seed gives the same style; what it makes is of the kinds it says, fits the backbone,
    and loads back from a file, every key of it; one that is told to stop from `on_step` stops; no
    picture is an error; and the backbone, the pictures and the process are left as they were.

    Args:
        make: the encoder's class, or what makes a new one each time; options have their defaults,
            so give a training few steps: `lambda: Mine(Mine.Options(steps=2))`.
        images: pictures of a style; `two_objects()` if left out.
        backbone: what to make it for; the tiny one if left out.

    Returns:
        The style it made, to look into.

    Raises:
        AssertionError: what is not as promised.
        PluginError: a style that could not be written.
    """
    make = with_defaults(make)
    pictures = [two_objects()[0]] if images is None else list(images)
    model = backbone or tiny_backbone()
    encoder = make()
    assert isinstance(encoder.makes, frozenset), f"makes is a {type(encoder.makes).__name__}"
    with unchanged(*pictures, backbone=model):
        style = encoder.encode(pictures, model, REQUEST, ignore)
        again = make().encode(pictures, model, REQUEST, ignore)
    check_style(style, encoder.makes, model, "the encoder")
    assert style.digest == again.digest, "another style the second time, with the same seed"
    assert style.name == REQUEST.name, f"the style is named {style.name!r}, not as was asked"
    _loads_back(style, model)
    _stops(make(), pictures, model)
    _refuses_nothing(make(), model)
    return style


def _loads_back(style: Style, backbone: UNetBackbone) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = style.save(Path(folder) / "style.safetensors")
        read, coverage = read_style(path, backbone=backbone)
    assert read.digest == style.digest and dict(read.meta) == dict(style.meta), "reads back changed"
    assert coverage.is_complete, f"not all of it applies\n{coverage.describe()}"


def _stops(encoder: StyleEncoder, pictures: list[Image.Image], backbone: UNetBackbone) -> None:
    """An encoder that tells of its steps ends where one of them raises."""
    told: list[Step] = []

    def stop(step: Step) -> None:
        told.append(step)
        raise _Cancelled

    with unchanged(*pictures, backbone=backbone):
        try:
            encoder.encode(pictures, backbone, REQUEST, stop)
        except _Cancelled:
            assert len(told) == 1, "it went on after the step that stopped it"
        else:
            assert not told, "it went on to its end though it was stopped"


def _refuses_nothing(encoder: StyleEncoder, backbone: UNetBackbone) -> None:
    try:
        encoder.encode([], backbone, REQUEST, ignore)
    except LocstyleError:
        return
    raise AssertionError("made a style of no picture at all; raise a LocstyleError")


class _Cancelled(Exception):
    pass
