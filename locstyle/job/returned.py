"""What segmenters and style encoders return is checked where it enters, and the plugin is named.

Every error here is a plugin's mistake, never a user's; `who` is what `Host.whose` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from locstyle.errors import PluginError
from locstyle.segments import Segment

if TYPE_CHECKING:
    from torch import Tensor

    from locstyle.engine.backbone import Backbone
    from locstyle.style import Style

# Any, below: a plugin may return whatever it likes, which is what is looked into.


def check_segments(found: Any, size: tuple[int, int], who: str) -> list[Segment]:
    """The segments a segmenter answered for a photo (height, width), without empty ones.

    Raises:
        PluginError: something that is no segment of this photo; names its number, from 1.
    """
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise PluginError(f"{who}: returned a {type(found).__name__}; return a list of ls.Segment")
    for number, segment in enumerate(found, start=1):
        wrong = "".join(_wrongs(segment, size))
        if wrong:
            raise PluginError(f"{who}: segment {number} of {len(found)} {wrong}")
    return [segment for segment in found if segment.area]


def _wrongs(segment: Any, size: tuple[int, int]) -> Iterator[str]:
    """The first thing that is wrong with a segment, if any is."""
    if not isinstance(segment, Segment):
        yield f"is a {type(segment).__name__}; return ls.Segment, as ls.Segment.of(inside) makes it"
    elif tuple(segment.size) != size:
        yield (
            f"is {segment.size[0]} x {segment.size[1]}, the photo {size[0]} x {size[1]} "
            "(height x width); return it at the photo's size"
        )
    elif not isinstance(segment.counts, bytes) or not 0 <= segment.area <= size[0] * size[1]:
        yield "has broken run lengths; let ls.Segment.of(inside) make them"
    elif segment.score is not None and not 0 <= segment.score <= 1:
        yield f"has score {segment.score!r}; give a number in [0, 1] or None"
    elif not isinstance(segment.label, str | None):
        yield f"has label {segment.label!r}; give a text or None"


def check_style(style: Any, makes: frozenset[str], backbone: Backbone, who: str) -> Style:
    """The style an encoder made, before anything of it is written or used.

    Raises:
        PluginError: it is no style of this backbone, or not what the encoder says it makes.
    """
    from locstyle.style import Style  # here, as it brings torch

    if not isinstance(style, Style):
        raise PluginError(f"{who}: returned a {type(style).__name__}; return an ls.Style")
    if not style.kinds <= makes:
        raise PluginError(
            f"{who}: made a style of {', '.join(sorted(style.kinds))} but says it makes "
            f"{', '.join(sorted(makes))}; say so in `makes`"
        )
    if not style.fits(backbone.family):
        raise PluginError(
            f"{who}: made a style for family {style.family!r} on a backbone of family "
            f"{backbone.family!r}; give it `backbone.family`"
        )
    for key, value in style.meta.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise PluginError(f"{who}: meta {key!r} is {value!r}; a header holds texts only")
    _check_shapes(style, backbone, who)
    for name, tensor in _numbers(style):
        if tensor.device.type != "cpu":
            raise PluginError(f"{who}: {name} of the style is on {tensor.device}; move it to cpu")
        if not bool(tensor.isfinite().all()):
            raise PluginError(f"{who}: {name} of the style is not finite")
    return style


def _check_shapes(style: Style, backbone: Backbone, who: str) -> None:
    """That deltas, tokens and words are as wide as the layers they are for."""
    _check_deltas(style, backbone, who)
    _check_tokens(style, backbone, who)
    width = backbone.text("").states.shape[-1] if style.words else 0
    for name, vectors in style.words.items():
        if vectors.shape[-1] != width:
            raise PluginError(
                f"{who}: {name!r} is vectors of {vectors.shape[-1]}, the text encoder's are {width}"
            )


def _check_deltas(style: Style, backbone: Backbone, who: str) -> None:
    for name, delta in style.deltas.items():
        shape = backbone.sites[name].shape if name in backbone.sites else None
        fits = shape is not None and delta.down.ndim > 1 and delta.rank > 0
        ones = [1] * (delta.down.ndim - 2)
        if fits and shape == (delta.up.shape[0], *delta.down.shape[1:]):
            if list(delta.up.shape[1:]) == [delta.rank, *ones]:
                continue
        meant = "no layer" if shape is None else f"a layer whose weight is {list(shape)}"
        raise PluginError(
            f"{who}: a delta of {list(delta.up.shape)} up and {list(delta.down.shape)} down for "
            f"{name!r}, which is {meant} of backbone {backbone.name!r}"
        )


def _check_tokens(style: Style, backbone: Backbone, who: str) -> None:
    for name, tokens in style.tokens.items():
        key = f"{name}.to_k"
        width = backbone.sites[key].shape[0] if key in backbone.sites else None
        if tokens.k.shape[-1] != width:
            meant = "no cross-attention" if width is None else f"{width} wide"
            raise PluginError(
                f"{who}: tokens {list(tokens.k.shape)} for {name!r}, which is {meant}"
            )


def _numbers(style: Style) -> Iterator[tuple[str, Tensor]]:
    for name, delta in style.deltas.items():
        yield from ((f"`down` at {name!r}", delta.down), (f"`up` at {name!r}", delta.up))
    for name, tokens in style.tokens.items():
        yield from ((f"k at {name!r}", tokens.k), (f"v at {name!r}", tokens.v))
    yield from ((f"word {name!r}", vectors) for name, vectors in style.words.items())
