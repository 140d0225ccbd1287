"""The style of each region: found, read, and checked against the fusion and the backbone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Edit, Region
from locstyle.engine.backbone import Backbone
from locstyle.errors import PhotoError, PluginError, RecipeError, StyleError
from locstyle.photo import Photo
from locstyle.protocols import Fusion
from locstyle.style import Style, find_style, read_style

if TYPE_CHECKING:
    from locstyle.host import Host


def region_styles(
    edit: Edit, fusion: Fusion, backbone: Backbone, host: Host
) -> tuple[Style | None, ...]:
    """The styles of an edit's regions, in order; None where a region has none.

    Raises:
        LocstyleError: one that is not there, or that fusion or backbone cannot use.
    """
    found = []
    for index, region in enumerate(edit.regions):
        where = f"regions[{index}]"
        style = _style(region, backbone, f"{where}.style")
        if style is not None:
            _check_kinds(style, fusion, edit.fusion.name, host, f"{where}.style")
            _check_words(region, style, edit, where)
        found.append(style)
    return tuple(found)


def region_prompt(region: Region, style: Style | None, edit: Edit) -> str:
    """A region's own prompt, else its style's trigger with the edit's prompt as its subject.

    A picture for a style that has no words of its own is given none: the photo's description would
    pull against it.
    """
    if region.prompt is not None:
        return region.prompt
    trigger = style.trigger if style else ""
    if style is not None and style.kinds == {"reference"} and not trigger:
        return ""
    return f"{trigger} of {edit.prompt}" if trigger and edit.prompt else trigger or edit.prompt


def _style(region: Region, backbone: Backbone, where: str) -> Style | None:
    """A style as it is, a file or a name read, a picture in memory taken as a reference."""
    given = region.style
    if given is None:
        return None
    if isinstance(given, Style):
        style = given
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


def _check_kinds(style: Style, fusion: Fusion, name: str, host: Host, where: str) -> None:
    """Refuses a style the fusion cannot use, naming those that can."""
    if style.kinds <= fusion.carries:
        return
    able = [other for other in host.names("fusions") if style.kinds <= _carried(host, other)]
    hint = " or ".join(f"--fusion {other}" for other in able) or "no installed fusion"
    raise RecipeError(
        f"{where}: {style.name!r} carries {_listed(style.kinds)}, fusion {name!r} uses "
        f"{_listed(fusion.carries)}; {hint} can use it"
    )


def _carried(host: Host, fusion: str) -> frozenset[str]:
    """What the styles of a fusion may carry; nothing for one that cannot be asked."""
    try:
        carried = getattr(host.find("fusions", fusion).factory, "carries", ())
    except PluginError:  # two plugins claim the name
        return frozenset()
    return frozenset(carried)


def _listed(kinds: Iterable[str]) -> str:
    return ", ".join(sorted(kinds))


def _check_words(region: Region, style: Style, edit: Edit, where: str) -> None:
    """Refuses a region in which its style's words could do nothing, or not what was asked."""
    if style.kinds != {"words"}:
        return
    prompt = region_prompt(region, style, edit)
    if not any(placeholder in prompt for placeholder in style.words):
        said = " or ".join(map(repr, style.words))
        raise RecipeError(
            f"{where}.prompt: got {prompt!r}, which does not mention the style; put {said} in it, "
            "or leave the prompt out"
        )
    if region.window != (0, 1):
        raise RecipeError(
            f"{where}.window: got {list(region.window)}; {style.name!r} is learned words, which "
            "act over the whole schedule"
        )
