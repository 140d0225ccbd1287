"""The style of each region: found, read, and checked against the fusion and the backbone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Edit, FromPicture, Region
from locstyle.engine.backbone import Backbone
from locstyle.errors import LocstyleWarning, PluginError, RecipeError, StyleError, at
from locstyle.files import PICTURES
from locstyle.job.instant import instant_encoders, instant_style
from locstyle.job.shelf import Shelf
from locstyle.job.texts import is_negative
from locstyle.photo import Photo
from locstyle.plugin.protocols import Fusion
from locstyle.style import Delta, Style, find_style, read_style
from locstyle.style.tempo import is_accelerator

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


SETTINGS = ("guidance", "structure")
"""What a region may set for itself where the fusion heeds it."""


SIDES = ("image", "text", "none")
"""Where layers stand: among image tokens, among text tokens, or beside both. A fusion that does not
say can use deltas on all of them."""


def region_styles(
    edit: Edit, fusion: Fusion, backbone: Backbone, host: Host, shelf: Shelf
) -> tuple[tuple[Style, ...], ...]:
    """The styles of an edit's regions, in order.

    Raises:
        LocstyleError: one that is not there, or that fusion or backbone cannot use.
    """
    found = []
    for index, region in enumerate(edit.regions):
        styles = []
        for place, styling in zip(style_places(region, index), region.stylings, strict=True):
            with at(place):
                style = _style(styling.style, backbone, host, shelf, place)
                _check_kinds(style, styling.style, fusion, edit.fusion.name, host)
                if styling.strength:
                    style = _limited(style, fusion, backbone, host, place)
            styles.append(style)
        with at(f"regions[{index}].prompt"):
            _check_words(region, styles, edit.negative)
        found.append(tuple(styles))
    return tuple(found)


def style_places(region: Region, index: int) -> list[str]:
    """Where the region's styles stand in the recipe."""
    if region.styles:
        return [f"regions[{index}].styles[{number}].style" for number in range(len(region.styles))]
    return [f"regions[{index}].style"] * len(region.stylings)


def check_settings(edit: Edit, fusion: Fusion, host: Host) -> None:
    """Refuses what a region sets for itself and the fusion would not heed.

    Raises:
        RecipeError: names the fusions that would.
    """
    for index, region in enumerate(edit.regions):
        for name in SETTINGS:
            if getattr(region, name) is None or name in heeds(fusion):
                continue
            able = (o for o in host.names("fusions") if name in _said(host, o, "heeds"))
            hint = " or ".join(f"--fusion {other}" for other in able) or "no installed fusion"
            raise RecipeError(
                f"fusion {edit.fusion.name!r} has no {name} of a region's own; {hint} has",
                place=f"regions[{index}].{name}",
            )


def heeds(fusion: Fusion) -> frozenset[str]:
    """The settings of regions that a fusion heeds; none for one that does not say."""
    return frozenset(getattr(fusion, "heeds", ()))


def _style(given: Any, backbone: Backbone, host: Host, shelf: Shelf, place: str) -> Style:
    """A style as it is, a file or a name read, a picture in memory taken as a reference, or one
    made now."""
    if isinstance(given, Style):
        style = given
    elif asked := FromPicture.read(given):
        make = partial(instant_style, asked, backbone, host)
        style = shelf.style(str(asked), Path(asked.picture), make)
    elif isinstance(given, str | Path):
        path = find_style(given)
        style = shelf.style(str(path), path, partial(_read, path, backbone, place))
    else:
        style = _of_picture(given)
    if is_accelerator(style.meta):
        raise StyleError(
            f"{given if isinstance(given, str | Path) else style.name!r} is an accelerator, and no "
            "style: its header says for how many steps it was made; it goes beside the regions, "
            "--accelerator FILE"
        )
    if not style.fits(backbone.family):
        raise RecipeError(
            f"{style.name!r} was made for backbone family {style.family!r}; this backbone is of "
            f"family {backbone.family!r}"
        )
    return style


def _read(path: Path, backbone: Backbone, place: str) -> Style:
    style, coverage = read_style(path, backbone=backbone)
    if not coverage.is_complete:
        said = f"not all of {path} applies\n{coverage.describe()}"
        warnings.warn(LocstyleWarning(said, place=place), stacklevel=6)
    elif coverage.notes:
        said = f"{path}: {'; '.join(coverage.notes)}"
        warnings.warn(LocstyleWarning(said, place=place), stacklevel=6)
    return style


def _of_picture(picture: Any) -> Style:
    photo = picture if isinstance(picture, Photo) else Photo.from_image(picture)
    return Style.from_pictures(photo.path.stem if photo.path else "picture", [photo])


def _check_kinds(style: Style, given: Any, fusion: Fusion, name: str, host: Host) -> None:
    """Refuses a style the fusion cannot use, naming those that can."""
    kinds = style.kinds - {"text"}  # is said before any fusion looks
    if kinds <= fusion.carries:
        return
    able = [other for other in host.names("fusions") if kinds <= _said(host, other, "carries")]
    hint = " or ".join(f"--fusion {other}" for other in able) or "no installed fusion"
    raise RecipeError(
        f"{style.name!r} carries {_listed(style.kinds)}, fusion {name!r} uses "
        f"{_listed(fusion.carries)}; {hint} can use it{_made_of(given, fusion, host)}"
    )


def check_norms(style: Style, backbone: Backbone) -> None:
    """Refuses gains that fit no norm of the backbone.

    Raises:
        StyleError: names the first.
    """
    for name, gain in style.norms.items():
        norm: Any = backbone.layer(name)
        if norm.weight.shape != gain.weight.shape:
            raise StyleError(
                f"{style.name!r}: the norm {name} has {len(norm.weight)} channels, the style's "
                f"gain {len(gain.weight)}"
            )


def _limited(style: Style, fusion: Fusion, backbone: Backbone, host: Host, place: str) -> Style:
    """The style without deltas on layers where the fusion cannot tell whose part is whose.

    The usual LoRA with convolutions has some, on what the network is told of the noise. Warns of
    what is left out.

    Raises:
        StyleError: nothing would be left of it.
    """
    check_norms(style, backbone)
    able = getattr(fusion, "sides", SIDES)
    lost = {name: d for name, d in style.deltas.items() if backbone.sites[name].side not in able}
    if not lost:
        return style
    sides = {backbone.sites[name].side for name in lost}
    others = [o for o in host.names("fusions") if sides <= _said(host, o, "sides", SIDES)]
    hint = " or ".join(f"--fusion {other}" for other in others) or "another fusion"
    more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
    what = (
        f"deltas on {next(iter(lost))}{more}, a layer without image or text tokens, which cannot "
        "be limited to a region in a mixed row"
    )
    if len(lost) == len(style.deltas) and style.kinds == {"deltas"} and not style.norms:
        raise StyleError(f"{style.name!r} has nothing but {what}; use {hint}, or another style")
    share = _numbers(lost.values()) / _numbers(style.deltas.values())
    said = f"{style.name!r} has {what}: left out, {share:.1%} of the file; {hint} applies them too"
    warnings.warn(LocstyleWarning(said, place=place), stacklevel=5)
    return replace(style, deltas={k: v for k, v in style.deltas.items() if k not in lost})


def _numbers(deltas: Iterable[Delta]) -> int:
    """How many numbers these updates are made of."""
    return sum(delta.numbers for delta in deltas)


def _made_of(given: Any, fusion: Fusion, host: Host) -> str:
    """What to write for a picture's file so that the fusion can use it; empty for all else."""
    if not (isinstance(given, str) and Path(given).suffix.lower() in PICTURES):
        return ""
    able = [name for name, makes in instant_encoders(host).items() if makes <= fusion.carries]
    ways = " or ".join(repr(f"{name}:{given}") for name in able)
    return f", or write {ways}" if able else ""


def _said(host: Host, fusion: str, name: str, usual: Iterable[str] = ()) -> frozenset[str]:
    """What a fusion says about itself; nothing for one that cannot be asked."""
    try:
        return frozenset(getattr(host.find("fusions", fusion).factory, name, usual))
    except PluginError:  # two plugins claim the name
        return frozenset()


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))


def _check_words(region: Region, styles: Sequence[Style], negative: str) -> None:
    """Refuses a prompt that leaves out what a style has learned, or that could mean two of them;
    words may stand in the negative prompt instead, `negative` where the region has none."""
    negative = negative if region.negative is None else region.negative
    names = [name for style in styles for name in style.words]
    for name in names if region.prompt is not None else ():
        if names.count(name) > 1:
            raise RecipeError(
                f"{name!r} is a word of two of the region's styles; leave the "
                "prompt out, and each is said by itself"
            )
    for style in styles:
        said = style.trigger if region.prompt is None else region.prompt
        if is_negative(style, negative):
            continue
        if style.kinds == {"words"} and not any(name in said for name in style.words):
            words = " or ".join(map(repr, style.words))
            raise RecipeError(
                f"got {said!r}, which does not mention the style {style.name!r}; "
                f"put {words} in it or in the negative prompt"
                + ("" if region.prompt is None else ", or leave it out")
            )
