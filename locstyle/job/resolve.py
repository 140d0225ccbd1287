"""From a request to a job: every name found, every file read, every mistake named, nothing
denoised."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from locstyle.edit import Edit, Segmenting
from locstyle.engine.backbone import Backbone
from locstyle.engine.intervene import Intervention
from locstyle.engine.noise import Fresh
from locstyle.engine.solvers import SOLVERS, Solver
from locstyle.engine.trajectory import Inversion
from locstyle.errors import MaskError, RecipeError, at
from locstyle.files import check_output
from locstyle.job.accelerator import PLACE, Accelerator, accelerator_of, unguided
from locstyle.job.check_frames import check_frames
from locstyle.job.faces import settled_faces
from locstyle.job.frames import Detail, Frame, frames_of
from locstyle.job.palette import settled_palettes
from locstyle.job.prompts import warn_of_syntax
from locstyle.job.select import Selector
from locstyle.job.settle import Settled, settle, warn_of_idle
from locstyle.job.shelf import Shelf
from locstyle.job.styles import check_settings, region_styles, style_places
from locstyle.masks import Layers, Mask, shared
from locstyle.photo import Photo
from locstyle.plugin.protocols import Fusion
from locstyle.style import Style

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


@dataclass(frozen=True, eq=False)
class Job:
    """An edit whose every name and file has been found and checked.

    `edit` says everything, what was left open included; `settled` is how it is run. `masks` and
    `styles` are in the order of the edit's regions; masks have the photo's size, and a region may
    have any number of styles. `frames` are what is denoised, one after another. `list_sha256` is
    of the edit's list of segments as it was read. `faces` are the regions that got their structure
    and detail because they show a face.
    """

    edit: Edit
    settled: Settled
    fusion: Fusion
    photo: Photo
    masks: tuple[Mask, ...]
    styles: tuple[tuple[Style, ...], ...]
    frames: tuple[Frame, ...]
    list_sha256: str | None = None
    accelerator: Accelerator | None = None
    faces: frozenset[int] = frozenset()
    seconds: float = 0.0  # that finding and checking took

    def __repr__(self) -> str:
        how = f"{self.settled.steps} steps of {self.settled.solver}"
        return f"Job({self.photo!r}, {len(self.masks)} regions, {self.edit.fusion.name}, {how})"

    def layers(self, frame: Frame, width: Literal["feather", "paste_feather"]) -> Layers:
        """The masks on top of one another in a frame, softened by one of the two feathers.

        The edit's own reaches no further than the photo; a region's that does is refused.
        """
        common = min(getattr(self.edit, width), float(max(self.photo.size)))
        own = [getattr(region, width) for region in self.edit.regions]
        most = max(self.photo.size)  # the usual width, in a photo that is smaller
        return frame.layers(self.masks, [min(common if w is None else w, most) for w in own])

    @property
    def inversion(self) -> Inversion:
        """How pictures are inverted: as the fusion asks, refined as was settled."""
        return replace(self.fusion.inversion, refine=self.settled.refine)

    @property
    def solver(self) -> Solver:
        """How the edited latent steps."""
        return SOLVERS[self.settled.solver]

    @property
    def fresh(self) -> Fresh:
        """Where new noise comes from, for solvers that bring some."""
        return Fresh(self.edit.seed)

    @property
    def under(self) -> tuple[Intervention, ...]:
        """What the network is under besides what a fusion plans, and before all of that."""
        return () if self.accelerator is None else (self.accelerator.intervention,)

    def digests(self) -> dict[str, str]:
        """SHA-256 of everything the job reads, by its place in the edit."""
        found = {"image": self.photo.sha256}
        with ThreadPoolExecutor() as pool:
            masks = list(pool.map(attrgetter("sha256"), self.masks))
        for index, (mask, styles) in enumerate(zip(masks, self.styles, strict=True)):
            found[f"regions[{index}].mask"] = mask
            places = style_places(self.edit.regions[index], index)
            found |= {place: one.digest for place, one in zip(places, styles, strict=True)}
        if self.accelerator is not None:
            found[PLACE] = self.accelerator.style.digest
        if self.list_sha256 is not None:
            found["segments"] = self.list_sha256
        return found

    @property
    def coverage(self) -> tuple[float, ...]:
        """Each region's share of the picture, in [0, 1]; soft pixels count partly."""
        return tuple(mask.area for mask in self.masks)

    @property
    def overlap(self) -> float:
        """The share of the picture that more than one region claims."""
        return shared(self.masks)

    def overlaps(self) -> dict[tuple[int, int], float]:
        """The share of the picture that pairs of regions both claim, where they do."""
        pairs = {
            (i, j): (self.masks[i] & self.masks[j]).area
            for i, j in combinations(range(len(self.masks)), 2)
        }
        return {pair: share for pair, share in pairs.items() if share}


def resolve(
    edit: Edit,
    backbone: Backbone,
    host: Host,
    *,
    output: str | Path | None = None,
    shelf: Shelf | None = None,
) -> Job:
    """The job of an edit on a backbone, whose result can be saved as `output`.

    `shelf`: what is shared with other edits on that backbone.

    Raises:
        LocstyleError: whatever is wrong with the request; its `place` says where.
    """
    shelf = shelf or Shelf()
    accelerator = accelerator_of(edit, backbone, shelf)
    tempo = None if accelerator is None else accelerator.tempo
    with at("fusion"):
        fusing = unguided(edit.fusion, tempo, host)
        fusion: Fusion = host.fusion(fusing.name, fusing.options, preset=fusing.preset)
        _check_backbone(fusion, edit, backbone)
    settled = settle(edit, fusion, backbone, tempo)
    warn_of_idle(edit, settled.schedule(backbone))
    if edit.segmenter != Segmenting():  # chosen, so it must be there even if nothing asks it
        with at("segmenter"):
            host.find("segmenters", edit.segmenter.name)
    with at("image", lead=""):
        photo = _photo(edit.image, shelf)
    if output is not None:
        with at("output", lead=""):
            check_output(output, edit.files, photo=photo)
    _check_feathers(edit, photo)
    check_settings(edit, fusion, host)
    selector = Selector(
        photo,
        host,
        segmenter=edit.segmenter,
        segments=edit.segments,
        answers=shelf.answers(photo, host),
    )
    masks = selector.masks(edit.regions)
    styles = region_styles(edit, fusion, backbone, host, shelf)
    warn_of_syntax(edit, styles)
    edit = settled_palettes(edit, styles)
    options = host.options("fusions", fusing.name, fusing.options, preset=fusing.preset)
    detail = Detail.of(photo.size, backbone, settled.side)
    edit, faces = settled_faces(edit, fusion, photo, masks, detail)
    frames = frames_of(edit, masks, detail)
    check_frames(edit, fusion, frames, detail)
    said, digest = settled.written(edit, options, frames), selector.list_sha256
    return Job(said, settled, fusion, photo, masks, styles, frames, digest, accelerator, faces)


def _check_backbone(fusion: Fusion, edit: Edit, backbone: Backbone) -> None:
    missing = sorted(fusion.requires_roles - backbone.sites.roles)
    if missing:
        raise RecipeError(
            f"{edit.fusion.name!r} needs {', '.join(missing)} layers, which backbone "
            f"{backbone.name!r} does not have"
        )
    if check := getattr(fusion, "check", None):
        check(backbone)


def _check_feathers(edit: Edit, photo: Photo) -> None:
    """Refuses a feather wider than the photo is long; the usual one is cut to what fits."""
    most = max(photo.size)
    for name in ("feather", "paste_feather"):
        common = getattr(edit, name)
        asked = {} if common == getattr(Edit, name) else {name: common}
        for index, region in enumerate(edit.regions):
            asked[f"regions[{index}].{name}"] = getattr(region, name) or 0
        for place, width in asked.items():
            if width > most:
                said = f"got {width!r}; give 0 to {most} pixels, the longer side"
                raise MaskError(said, place=place)


def _photo(image: Any, shelf: Shelf) -> Photo:
    if isinstance(image, Photo):
        return image
    return shelf.photo(image) if isinstance(image, str | Path) else Photo.from_image(image)
