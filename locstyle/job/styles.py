"""The style of each region: found, read, and checked against the fusion and the backbone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Edit, FromPicture, Region
from locstyle.engine.backbone import Backbone
from locstyle.errors import PhotoError, PluginError, RecipeError, StyleError
from locstyle.files import PHOTO_FORMATS
from locstyle.job.instant import instant_encoders, instant_style
from locstyle.photo import Photo
from locstyle.plugin.protocols import Fusion
from locstyle.style import Style, find_style, read_style

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


SETTINGS = ("guidance", "structure")
"""What a region may set for itself where the fusion heeds it."""


def region_styles(
    edit: Edit, fusion: Fusion, backbone: Backbone, host: Host
) -> tuple[tuple[Style, ...], ...]:
    """The styles of an edit's regions, in order.

    Raises:
        LocstyleError: one that is not there, or that fusion or backbone cannot use.
    """
    found = []
    for index, region in enumerate(edit.regions):
        styles = []
        for place, styling in zip(style_places(region, index), region.stylings, strict=True):
            style = _style(styling.style, backbone, host, place)
            _check_kinds(style, styling.style, fusion, edit.fusion.name, host, place)
            styles.append(style)
        _check_words(region, styles, f"regions[{index}]")
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
                f"regions[{index}].{name}: fusion {edit.fusion.name!r} has no {name} of a region's "
                f"own; {hint} has"
            )


def heeds(fusion: Fusion) -> frozenset[str]:
    """The settings of regions that a fusion heeds; none for one that does not say."""
    return frozenset(getattr(fusion, "heeds", ()))


def _style(given: Any, backbone: Backbone, host: Host, where: str) -> Style:
    """A style as it is, a file or a name read, a picture in memory taken as a reference, or one
    made now."""
    if isinstance(given, Style):
        style = given
    elif asked := FromPicture.read(given):
        style = instant_style(asked, backbone, host, where)
    elif isinstance(given, str | Path):
        style = _read(given, backbone, where)
    else:
        style = _of_picture(given, where)
    if not style.fits(backbone.family):
        raise RecipeError(
            f"{where}: {style.name!r} was made for backbone family {style.family!r}; this backbone "
            f"is of family {backbone.family!r}"
        )
    return style


def _read(name: str | Path, backbone: Backbone, where: str) -> Style:
    try:
        path = find_style(name)
        style, coverage = read_style(path, sites=backbone.sites, family=backbone.family)
    except StyleError as error:
        raise StyleError(f"{where}: {error}") from error
    if not coverage.is_complete:
        warnings.warn(f"{where}: not all of {path} applies\n{coverage.describe()}", stacklevel=6)
    return style


def _of_picture(picture: Any, where: str) -> Style:
    try:
        photo = picture if isinstance(picture, Photo) else Photo.from_image(picture)
        return Style.from_pictures(photo.path.stem if photo.path else "picture", [photo])
    except (PhotoError, StyleError) as error:
        raise type(error)(f"{where}: {error}") from error


def _check_kinds(
    style: Style, given: Any, fusion: Fusion, name: str, host: Host, where: str
) -> None:
    """Refuses a style the fusion cannot use, naming those that can."""
    if style.kinds <= fusion.carries:
        return
    able = [
        other for other in host.names("fusions") if style.kinds <= _said(host, other, "carries")
    ]
    hint = " or ".join(f"--fusion {other}" for other in able) or "no installed fusion"
    raise RecipeError(
        f"{where}: {style.name!r} carries {_listed(style.kinds)}, fusion {name!r} uses "
        f"{_listed(fusion.carries)}; {hint} can use it{_made_of(given, fusion, host)}"
    )


def _made_of(given: Any, fusion: Fusion, host: Host) -> str:
    """What to write for a picture's file so that the fusion can use it; empty for all else."""
    if not (isinstance(given, str) and Path(given).suffix.lower() in PHOTO_FORMATS):
        return ""
    able = [name for name, makes in instant_encoders(host).items() if makes <= fusion.carries]
    ways = " or ".join(repr(f"{name}:{given}") for name in able)
    return f", or write {ways}" if able else ""


def _said(host: Host, fusion: str, name: str) -> frozenset[str]:
    """What a fusion says about itself; nothing for one that cannot be asked."""
    try:
        return frozenset(getattr(host.find("fusions", fusion).factory, name, ()))
    except PluginError:  # two plugins claim the name
        return frozenset()


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))


def _check_words(region: Region, styles: Sequence[Style], where: str) -> None:
    """Refuses a prompt that leaves out what a style has learned, or that could mean two of them."""
    names = [name for style in styles for name in style.words]
    for name in names if region.prompt is not None else ():
        if names.count(name) > 1:
            raise RecipeError(
                f"{where}.prompt: {name!r} is a word of two of the region's styles; leave the "
                "prompt out, and each is said by itself"
            )
    for style in styles:
        said = style.trigger if region.prompt is None else region.prompt
        if style.kinds == {"words"} and not any(name in said for name in style.words):
            words = " or ".join(map(repr, style.words))
            raise RecipeError(
                f"{where}.prompt: got {said!r}, which does not mention the style {style.name!r}; "
                f"put {words} in it" + ("" if region.prompt is None else ", or leave it out")
            )
