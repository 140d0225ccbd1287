"""The request: an Edit is a photo, regions with styles, and settings, and survives YAML and JSON.

Values are checked when an Edit is made, whether from Python or from a recipe; files and names are
checked when it runs. Paths of an Edit read with `Edit.open` are relative to the recipe's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from locstyle.brief import brief
from locstyle.edit import checks, version_1
from locstyle.edit.choice import Fusing, Segmenting, chosen
from locstyle.edit.fields import make, plain_fields, set_field
from locstyle.edit.framing import Framing
from locstyle.edit.recipe import Plain, from_json, from_yaml, read_recipe, to_yaml
from locstyle.edit.region import Region
from locstyle.edit.styling import Styling, is_path
from locstyle.errors import RecipeError, shown
from locstyle.files import bounds

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from locstyle.photo import Photo
    from locstyle.style import Style

VERSION = 2
Carried = Literal["full", "names"]
_CONFIG = "a diffusers folder or hub name"
_LIST = "a file that `locstyle segment` wrote"


@dataclass(frozen=True, repr=False)
class Edit:
    """One edit of one photo.

    `image` is a file or a picture in memory; later `regions` lie on top. `backbone_config` has the
    configuration of a `backbone` in one file, where ours is not its own. `detail`: working pixels
    per photo pixel, or "auto", as fine as the backbone draws each frame well. `size`: one frame of
    the whole photo at a working size instead: a side for about its square in pixels, (height,
    width) to fit inside, or "native", the backbone's own. `frames`: the windows that a finished
    edit was drawn in, which then are drawn again. `grain`: fine-scale noise where a region comes
    out softer than the photo around it: "off", "auto" to match it, or a share of that. `palette`:
    the style's share of a region's colours, from 0, the photo's own at every pixel, to 1, those of
    the picture the style was made from; "drawn": as they come out; None: as each style's file says.
    `accelerator`: a LoRA under which few steps suffice, of every token (LCM, Lightning, …).
    `solver`, `steps` and `inversion_refine` (how often a step of the inversion is refined): None
    leaves each to the accelerator, else to the fusion. `quick` makes it a preview: few steps at a
    smaller size, where those are not given. `segmenter` answers the selections that ask one, and
    `segments` is a list that `locstyle segment` wrote, from which selections take numbers.
    `feather` softens the masks while denoising, `paste_feather` when pasting back, both in photo
    pixels. `prompts`: how all prompts are read: "weighted", where `(word:1.2)`, `[word]` and BREAK
    are marks and long ones go on in another text window, or "plain", as they stand, in one; None:
    weighted, but plain of an edit that was finished without saying so. `digests` says what a
    finished edit was made of.
    """

    image: str | Path | Photo | Image.Image | np.ndarray[Any, Any]
    regions: tuple[Region, ...]
    backbone: str = "mini"
    backbone_config: str | Path | None = None
    fusion: Fusing = field(default_factory=Fusing)
    segmenter: Segmenting = field(default_factory=Segmenting)
    segments: str | Path | None = None
    prompt: str = ""
    negative: str = ""
    prompts: str | None = None
    accelerator: str | Path | Style | None = None
    solver: str | None = None
    steps: int | None = None
    quick: bool = False
    seed: int = 0
    detail: float | str = "auto"
    size: int | tuple[int, int] | str | None = None
    frames: tuple[Framing, ...] = ()
    grain: float | str = "off"
    palette: float | str | None = None
    feather: float = 2.0
    paste_feather: float = 2.0
    inversion_refine: int | None = None
    digests: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        set_field(self, "image", checks.file(self.image, "image", "a picture file"))
        set_field(self, "regions", _regions(self.regions))
        set_field(self, "backbone", checks.text(self.backbone, "backbone", empty=False))
        if self.backbone_config is not None:
            config = checks.file(self.backbone_config, "backbone_config", _CONFIG)
            set_field(self, "backbone_config", config)
        set_field(self, "fusion", chosen(Fusing, self.fusion, "fusion"))
        set_field(self, "segmenter", chosen(Segmenting, self.segmenter, "segmenter"))
        segments = None if self.segments is None else checks.file(self.segments, "segments", _LIST)
        set_field(self, "segments", segments)
        set_field(self, "prompt", checks.prompt(self.prompt, "prompt"))
        set_field(self, "negative", checks.prompt(self.negative, "negative"))
        if self.prompts not in (None, *checks.PROMPTS):
            raise checks.refusal("prompts", self.prompts, " or ".join(checks.PROMPTS))
        if self.accelerator is not None:
            given = checks.file(self.accelerator, "accelerator", "a LoRA file or a known name")
            set_field(self, "accelerator", given)
        set_field(self, "solver", checks.text_or_none(self.solver, "solver"))
        if self.steps is not None:
            checks.whole(self.steps, "steps", 1, 999)
        set_field(self, "quick", checks.truth(self.quick, "quick"))
        set_field(self, "seed", checks.whole(self.seed, "seed", 0, 2**63 - 1))
        set_field(self, "detail", checks.detail(self.detail, "detail"))
        set_field(self, "size", _size(self.size))
        set_field(self, "frames", _frames(self))
        set_field(self, "grain", checks.grain(self.grain, "grain"))
        if self.palette is not None:
            set_field(self, "palette", checks.palette(self.palette, "palette"))
        if self.size is not None:
            _check_undetailed(self)
        set_field(self, "feather", checks.number(self.feather, "feather", 0))
        set_field(self, "paste_feather", checks.number(self.paste_feather, "paste_feather", 0))
        if self.inversion_refine is not None:
            checks.whole(self.inversion_refine, "inversion_refine", 0, 50)
        digests = checks.mapping(self.digests, "digests")
        if digests and self.prompts is None:  # finished before marks had a meaning
            set_field(self, "prompts", checks.PLAIN)
        set_field(self, "digests", {k: checks.text(v, f"digests.{k}") for k, v in digests.items()})

    def __repr__(self) -> str:
        return brief(self)

    @classmethod
    def open(cls, path: str | Path) -> Edit:
        """The edit of a recipe file, YAML or JSON; its paths are relative to the file's folder.

        Raises:
            RecipeError: as `from_dict`, and for a file that cannot be read.
        """
        return cls.from_dict(read_recipe(path)).beside(Path(path).parent)

    @classmethod
    def from_dict(cls, data: Plain) -> Edit:
        """The edit of plain data; strict: every key known, every value of its type.

        What a recipe of version 1 leaves open means what locstyle 0.1 made of it.

        Raises:
            RecipeError: what is wrong, after its path: `regions[1].strength: got 3, …`.
        """
        given = dict(checks.mapping(data, "recipe"))
        version = given.pop("locstyle", None)
        if version not in (1, VERSION) or isinstance(version, bool):
            raise RecipeError(
                f"got {shown(version)}; give the recipe version, `locstyle: {VERSION}`",
                place="locstyle",
            )
        if version == 1:
            given = version_1.completed(given)
        for key, kind in (("fusion", Fusing), ("segmenter", Segmenting)):
            if isinstance(given.get(key), Mapping):
                given[key] = make(kind, given[key], key)
        if "regions" in given:
            regions = checks.sequence(given["regions"], "regions")
            given["regions"] = [
                _region(region, f"regions[{i}]") for i, region in enumerate(regions)
            ]
        if "frames" in given:
            frames = checks.sequence(given["frames"], "frames")
            given["frames"] = [make(Framing, f, f"frames[{i}]") for i, f in enumerate(frames)]
        return make(cls, given)

    @classmethod
    def from_text(cls, text: str, where: str = "the recipe") -> Edit:
        """The edit of a recipe's text, JSON if it begins with a brace, else YAML.

        Raises:
            RecipeError: as `from_dict`, and for a text that is neither; `where` begins that.
        """
        read = from_json if text.lstrip().startswith("{") else from_yaml
        return cls.from_dict(read(text, where))

    def to_yaml(self) -> str:
        """The text of a recipe file, which `open` and `from_text` read back to an equal edit.

        Raises:
            RecipeError: as `to_dict`.
        """
        return to_yaml(self.to_dict())

    def to_dict(self) -> dict[str, Plain]:
        """Plain data that `from_dict` reads back to an equal edit; leaves out what is empty.

        Raises:
            RecipeError: a picture, mask or style lives in memory only.
        """
        return {"locstyle": VERSION, **plain_fields(self)}

    @property
    def files(self) -> list[str]:
        """The files the edit reads, save for styles given by name and the backbone."""
        masks = [file for region in self.regions for file in region.files]
        return [file for file in (self.image, *masks, self.segments) if isinstance(file, str)]

    def previewed(self) -> Edit:
        """The same edit as a preview, whatever it says of solver, steps, refinement, size and
        frames."""
        sampling = replace(self, quick=True, solver=None, steps=None, inversion_refine=None)
        return replace(sampling, size=None, detail="auto", frames=())

    def beside(self, folder: Path) -> Edit:
        """The same edit with its relative paths, which lead from `folder`, leading from here."""
        return self.moved(lambda path: str(folder / path))

    def seen_from(self, folder: Path) -> Edit:
        """The same edit with its paths leading from `folder`; undone by `beside(folder)`."""
        return self.moved(lambda path: _relative(path, folder))

    def carried(self, folder: Path, how: Carried = "full") -> Edit:
        """The same edit as a picture in `folder` carries it: "full" or "names".

        In full its paths lead from there, unless that would name folders that nobody typed: then
        they are as they were typed. With names every file goes by its name alone.

        Raises:
            RecipeError: `how` is neither.
        """
        if how == "names":
            return self.moved(_name)
        if how != "full":
            raise checks.refusal("recipe", how, "full or names (or none, for no recipe at all)")
        moved = self.seen_from(folder)
        typed = {part for path in self.paths for part in _folders(path)}
        is_telling = any(not typed.issuperset(_folders(path)) for path in moved.paths)
        return self if is_telling else moved

    @property
    def paths(self) -> list[str]:
        """Every path in it, as it is written."""
        found: list[str] = []
        self.moved(lambda path: found.append(path) or path)  # type: ignore[func-returns-value]  # None is the point
        return found

    def moved(self, move: Callable[[str], str]) -> Edit:
        """The same edit, `move` applied to every path in it; names of styles and backbones stay."""
        config, accelerator = self.backbone_config, self.accelerator

        def moved(name: str) -> str:
            if not _is_path(name):
                return name
            path = move(name)  # which is to be known as one again
            return path if _is_path(path) else os.path.join(".", path)

        return replace(
            self,
            image=move(self.image) if isinstance(self.image, str) else self.image,
            regions=tuple(region.moved(move) for region in self.regions),
            backbone=moved(self.backbone),
            backbone_config=None if config is None else moved(str(config)),
            accelerator=move(accelerator) if is_path(accelerator) else accelerator,
            segments=None if self.segments is None else move(str(self.segments)),
        )


def _region(data: Plain, where: str) -> Region:
    given = dict(checks.mapping(data, where))
    if "styles" in given:
        styles = checks.sequence(given["styles"], f"{where}.styles")
        given["styles"] = [make(Styling, s, f"{where}.styles[{i}]") for i, s in enumerate(styles)]
    return make(Region, given, where)


def _size(value: object) -> int | tuple[int, int] | str | None:
    if value is None or value == "native":
        return value
    if not isinstance(value, Sequence):
        return checks.whole(value, "size", 8, 16384)
    if isinstance(value, str) or len(value) != 2:
        raise checks.refusal(
            "size", value, "a side in pixels, for about its square, [height, width], or native"
        )
    return checks.whole(value[0], "size[0]", 8, 16384), checks.whole(value[1], "size[1]", 8, 16384)


def _frames(edit: Edit) -> tuple[Framing, ...]:
    frames = tuple(checks.sequence(edit.frames, "frames"))
    for i, frame in enumerate(frames):
        if not isinstance(frame, Framing):
            raise checks.refusal(f"frames[{i}]", frame, "a mapping with box, size and draws")
        if missing := [r for r in frame.draws if r >= len(edit.regions)]:
            raise RecipeError(
                f"there is no region {missing[0]}; regions are 0 to {len(edit.regions) - 1}",
                place=f"frames[{i}].draws",
            )
    return frames


def _check_undetailed(edit: Edit) -> None:
    """Refuses `detail` beside `size`, which means one frame of the whole photo."""
    asked = {"detail": edit.detail != "auto"}
    asked |= {f"regions[{i}].detail": r.detail is not None for i, r in enumerate(edit.regions)}
    for where, is_asked in asked.items():
        if is_asked:
            raise RecipeError(
                "stands beside size, which draws the whole photo at once; give one", place=where
            )


def _regions(value: object) -> tuple[Region, ...]:
    regions = tuple(checks.sequence(value, "regions"))
    if not regions:
        raise RecipeError(
            "zero regions; give at least one, each a mask and a style", place="regions"
        )
    if len(regions) > bounds.REGIONS:
        raise RecipeError(f"{len(regions)} regions; give at most {bounds.REGIONS}", place="regions")
    for i, region in enumerate(regions):
        if not isinstance(region, Region):
            raise checks.refusal(f"regions[{i}]", region, "a mapping (in Python, a Region)")
    return regions


def _name(path: str) -> str:
    """A file's name; one without a suffix could be taken for a style's own, or a backbone's."""
    name = os.path.basename(os.path.normpath(path))
    return name if Path(name).suffix else os.path.join(".", name)


def _is_path(backbone: str) -> bool:
    return backbone.startswith((".", "/", "\\")) or backbone.endswith(".safetensors")


def _folders(path: str) -> set[str]:
    return set(Path(path).parent.parts) - {"..", "."}


def _relative(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return os.path.abspath(path)
