"""From a request to a job: every name found, every file read, every mistake named, nothing
denoised."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from locstyle.edit import Edit, Region, Segmenting
from locstyle.engine.backbone import Backbone
from locstyle.engine.trajectory import Inversion
from locstyle.errors import RecipeError, StyleError
from locstyle.masks import Mask, Partition
from locstyle.photo import Photo
from locstyle.photo.canvas import Canvas
from locstyle.protocols import Fusion
from locstyle.select import Selector
from locstyle.style import Style, find_style, read_style

if TYPE_CHECKING:
    from locstyle.host import Host


@dataclass(frozen=True, eq=False)
class Job:
    """An edit whose every name and file has been found and checked.

    `masks` and `styles` are in the order of the edit's regions; masks have the photo's size.
    """

    edit: Edit
    fusion: Fusion
    photo: Photo
    masks: tuple[Mask, ...]
    styles: tuple[Style | None, ...]
    canvas: Canvas

    def partition(self, width: Literal["feather", "paste_feather"]) -> Partition:
        """The masks as a partition of the photo, softened by one of the two feathers."""
        common = getattr(self.edit, width)
        own = [getattr(region, width) for region in self.edit.regions]
        return Partition.of(self.masks).feather([common if w is None else w for w in own])

    @property
    def prompts(self) -> tuple[str, ...]:
        """Each region's prompt; see `region_prompt`."""
        pairs = zip(self.edit.regions, self.styles, strict=True)
        return tuple(region_prompt(region, style, self.edit) for region, style in pairs)

    @property
    def inversion(self) -> Inversion:
        """How pictures are inverted: as the fusion asks, refined as the edit does."""
        refine = self.edit.inversion_refine
        wanted = self.fusion.inversion
        return wanted if refine is None else replace(wanted, refine=refine)

    def digests(self) -> dict[str, str]:
        """SHA-256 of everything the job reads, by its place in the edit."""
        found = {"image": self.photo.sha256}
        for index, (mask, style) in enumerate(zip(self.masks, self.styles, strict=True)):
            found[f"regions[{index}].mask"] = mask.sha256
            if style is not None:
                found[f"regions[{index}].style"] = style.digest
        if self.edit.segments is not None:
            found["segments"] = sha256(Path(self.edit.segments).read_bytes()).hexdigest()
        return found

    @property
    def coverage(self) -> tuple[float, ...]:
        """Each region's share of the picture, in [0, 1]; soft pixels count partly."""
        return tuple(mask.area for mask in self.masks)

    def overlaps(self) -> dict[tuple[int, int], float]:
        """The share of the picture that pairs of regions both claim, where they do."""
        pairs = {
            (i, j): (self.masks[i] & self.masks[j]).area
            for i, j in combinations(range(len(self.masks)), 2)
        }
        return {pair: share for pair, share in pairs.items() if share}


def resolve(edit: Edit, backbone: Backbone, host: Host) -> Job:
    """The job of an edit on a backbone.

    Raises:
        LocstyleError: whatever is wrong with the request; its message names the place.
    """
    fusing = edit.fusion
    fusion: Fusion = host.fusion(fusing.name, fusing.options, preset=fusing.preset)
    _check_backbone(fusion, edit, backbone)
    if edit.segmenter != Segmenting():  # chosen, so it must be there even if nothing asks it
        host.find("segmenters", edit.segmenter.name)
    photo = _photo(edit.image)
    canvas = Canvas.fit(
        photo.size, size=edit.size, native=backbone.native, multiple=backbone.multiple
    )
    selector = Selector(photo, host, segmenter=edit.segmenter, segments=edit.segments)
    masks = selector.masks(edit.regions)
    styles = tuple(
        _style(region, fusion, backbone, f"regions[{i}].style")
        for i, region in enumerate(edit.regions)
    )
    for i, (region, style) in enumerate(zip(edit.regions, styles, strict=True)):
        _check_words(region, style, edit, f"regions[{i}]")
    return Job(edit, fusion, photo, masks, styles, canvas)


def _check_words(region: Region, style: Style | None, edit: Edit, where: str) -> None:
    """Refuses a region in which its style's words could do nothing, or not what was asked."""
    if style is None or style.kinds != {"words"}:
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


def region_prompt(region: Region, style: Style | None, edit: Edit) -> str:
    """A region's own prompt, else its style's trigger with the edit's prompt as its subject."""
    if region.prompt is not None:
        return region.prompt
    trigger = style.trigger if style else ""
    return f"{trigger} of {edit.prompt}" if trigger and edit.prompt else trigger or edit.prompt


def _check_backbone(fusion: Fusion, edit: Edit, backbone: Backbone) -> None:
    missing = sorted(fusion.requires_roles - backbone.sites.roles)
    if missing:
        raise RecipeError(
            f"fusion: {edit.fusion.name!r} needs {', '.join(missing)} layers, which backbone "
            f"{backbone.name!r} does not have"
        )
    most = len(backbone.alphas) - 1
    if edit.steps > most:
        raise RecipeError(f"steps: got {edit.steps}; backbone {backbone.name!r} takes 1 to {most}")


def _photo(image: Any) -> Photo:
    if isinstance(image, Photo):
        return image
    return Photo.open(image) if isinstance(image, str | Path) else Photo.from_image(image)


def _style(region: Region, fusion: Fusion, backbone: Backbone, where: str) -> Style | None:
    if region.style is None:
        return None
    style = (
        region.style if isinstance(region.style, Style) else _read(region.style, backbone, where)
    )
    if not style.fits(backbone.family):
        raise RecipeError(
            f"{where}: {style.name!r} was made for backbone family {style.family!r}; this backbone "
            f"is of family {backbone.family!r}"
        )
    stray = sorted(style.kinds - fusion.carries)
    if stray:
        raise RecipeError(
            f"{where}: {style.name!r} carries {', '.join(stray)}, which this fusion cannot use; "
            f"it uses {', '.join(sorted(fusion.carries))}"
        )
    return style


def _read(name: str | Path, backbone: Backbone, where: str) -> Style:
    try:
        path = find_style(name)
        style, coverage = read_style(path, sites=backbone.sites, family=backbone.family)
    except StyleError as error:
        raise StyleError(f"{where}: {error}") from error
    if not coverage.is_complete:
        warnings.warn(f"{where}: not all of {path} applies\n{coverage.describe()}", stacklevel=5)
    return style
