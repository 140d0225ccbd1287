"""The request: an Edit is a photo, regions with styles, and settings, and survives YAML and JSON.

Values are checked when an Edit is made, whether from Python or from a recipe; files and names are
checked when it runs. Paths of an Edit read with `Edit.open` are relative to the recipe's folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from locstyle.edit import checks
from locstyle.edit.recipe import Plain, read_recipe
from locstyle.errors import RecipeError, did_you_mean

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from locstyle.masks import Mask
    from locstyle.photo import Photo
    from locstyle.style import Style

VERSION = 1
_SEGMENTER_KEYS = ("segmenter", "points", "box", "text", "options")
_Made = TypeVar("_Made")


@dataclass(frozen=True)
class Fusing:
    """Which fusion, from which preset, with which options on top."""

    name: str = "diffstyler"
    preset: str | None = None
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _set(self, "name", checks.text(self.name, "name", empty=False))
        _set(self, "preset", checks.text_or_none(self.preset, "preset"))
        _set(self, "options", checks.plain_mapping(self.options, "options"))


@dataclass(frozen=True)
class Region:
    """A place and its style.

    `mask`: a picture file ("sky.png", "file:sky.png"), "box:x0,y0,x1,y1" in photo pixels, "all", a
    mapping for a segmenter, or a mask in memory. `style`: a file or a known name. `window`: the
    fraction of the schedule in which the style acts, 0 the noisy start. `prompt`, `negative`,
    `feather` and `paste_feather` (photo pixels) stand in for the Edit's own where they are set.
    """

    mask: str | Mapping[str, object] | Mask | Image.Image | np.ndarray[Any, Any]
    style: str | Path | Style | None = None
    strength: float = 1.0
    prompt: str | None = None
    negative: str | None = None
    window: tuple[float, float] = (0.0, 1.0)
    feather: float | None = None
    paste_feather: float | None = None

    def __post_init__(self) -> None:
        _set(self, "mask", _mask(self.mask))
        _set(self, "style", _style(self.style))
        _set(self, "strength", checks.number(self.strength, "strength", 0, 2))
        _set(self, "prompt", checks.text_or_none(self.prompt, "prompt"))
        _set(self, "negative", checks.text_or_none(self.negative, "negative"))
        _set(self, "window", _window(self.window))
        for name in ("feather", "paste_feather"):
            value = getattr(self, name)
            _set(self, name, None if value is None else checks.number(value, name, 0))
        if self.style is None and self.prompt is None:
            raise RecipeError(
                "style: is missing; give a style, or a prompt to change by text alone"
            )


@dataclass(frozen=True)
class Edit:
    """One edit of one photo.

    `image` is a file or a picture in memory; later `regions` lie on top. `size`: the working size,
    a side for about its square in pixels, or (height, width) to fit inside; None takes the
    backbone's own. `feather` softens the masks while denoising, `paste_feather` when pasting back,
    both in photo pixels. `digests` says what a finished edit was made of.
    """

    image: str | Path | Photo | Image.Image | np.ndarray[Any, Any]
    regions: tuple[Region, ...]
    backbone: str = "mini"
    fusion: Fusing = field(default_factory=Fusing)
    prompt: str = ""
    negative: str = ""
    steps: int = 50
    seed: int = 0
    size: int | tuple[int, int] | None = None
    feather: float = 2.0
    paste_feather: float = 2.0
    digests: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _set(self, "image", _file(self.image, "image", "a picture file"))
        _set(self, "regions", _regions(self.regions))
        _set(self, "backbone", checks.text(self.backbone, "backbone", empty=False))
        _set(self, "fusion", _fusing(self.fusion))
        _set(self, "prompt", checks.text(self.prompt, "prompt"))
        _set(self, "negative", checks.text(self.negative, "negative"))
        _set(self, "steps", checks.whole(self.steps, "steps", 1, 999))
        _set(self, "seed", checks.whole(self.seed, "seed", 0, 2**63 - 1))
        _set(self, "size", _size(self.size))
        _set(self, "feather", checks.number(self.feather, "feather", 0))
        _set(self, "paste_feather", checks.number(self.paste_feather, "paste_feather", 0))
        digests = checks.mapping(self.digests, "digests")
        _set(self, "digests", {k: checks.text(v, f"digests.{k}") for k, v in digests.items()})

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

        Raises:
            RecipeError: what is wrong, after its path: `regions[1].strength: got 3, …`.
        """
        given = dict(checks.mapping(data, "recipe"))
        version = given.pop("locstyle", None)
        if version != VERSION or isinstance(version, bool):
            raise RecipeError(
                f"locstyle: got {version!r}; give the recipe version, `locstyle: {VERSION}`"
            )
        if isinstance(given.get("fusion"), Mapping):
            given["fusion"] = _made(Fusing, given["fusion"], "fusion")
        if "regions" in given:
            regions = checks.sequence(given["regions"], "regions")
            given["regions"] = [
                _made(Region, region, f"regions[{i}]") for i, region in enumerate(regions)
            ]
        return _made(cls, given)

    def to_dict(self) -> dict[str, Plain]:
        """Plain data that `from_dict` reads back to an equal edit; leaves out what is empty.

        Raises:
            RecipeError: a picture, mask or style lives in memory only.
        """
        data: dict[str, Plain] = {"locstyle": VERSION, **_plain_fields(self, "")}
        fusing = data["fusion"]
        data["fusion"] = fusing["name"] if len(fusing) == 1 else fusing
        return data

    @property
    def files(self) -> list[str]:
        """The picture files the edit reads: its image and its masks."""
        named = [self.image, *(_mask_file(region.mask) for region in self.regions)]
        return [file for file in named if isinstance(file, str)]

    def beside(self, folder: Path) -> Edit:
        """The same edit with its relative paths, which lead from `folder`, leading from here."""
        return self._moved(lambda path: str(folder / path))

    def seen_from(self, folder: Path) -> Edit:
        """The same edit with its paths leading from `folder`; undone by `beside(folder)`."""
        return self._moved(lambda path: _relative(path, folder))

    def _moved(self, move: Callable[[str], str]) -> Edit:
        """The same edit, `move` applied to every path in it; names of styles and backbones stay."""
        regions = tuple(
            replace(r, mask=_moved_mask(r.mask, move), style=_moved_name(r.style, move))
            for r in self.regions
        )
        image = move(self.image) if isinstance(self.image, str) else self.image
        backbone = self.backbone
        if backbone.startswith((".", "/", "\\")):
            backbone = move(backbone)
        return replace(self, image=image, regions=regions, backbone=backbone)


def _made(kind: Callable[..., _Made], data: Plain, where: str = "") -> _Made:
    """A dataclass from a mapping of its fields, which stands at `where` in the recipe."""
    given = checks.mapping(data, where or "recipe")
    known = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # a dataclass
    lead = f"{where}." if where else ""
    for key in given:
        if key not in known:
            raise RecipeError(f"{lead}{key}: no such key; {did_you_mean(key, known)}")
    for key in ("image", "regions", "mask"):
        if key in known and key not in given:
            raise RecipeError(f"{lead}{key}: is missing")
    try:
        return kind(**given)
    except RecipeError as error:
        raise RecipeError(f"{lead}{error}") from error


def _set(made: object, name: str, value: object) -> None:
    """Writes a checked value into a frozen dataclass; only for use in its __post_init__."""
    object.__setattr__(made, name, value)


def _file(value: Any, where: str, accepted: str) -> Any:
    """A path as text; a picture or style in memory as it is."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    plain = value is None or isinstance(value, (bool, int, float, bytes, Mapping, list, tuple))
    if plain or (isinstance(value, str) and not value):
        raise checks.refusal(where, value, accepted)
    return value


def _window(value: object) -> tuple[float, float]:
    accepted = "[start, end], fractions of the schedule with 0 <= start < end <= 1"
    parts = checks.sequence(value, "window")
    if len(parts) != 2:
        raise checks.refusal("window", value, accepted)
    start, end = (checks.number(part, f"window[{i}]", 0, 1) for i, part in enumerate(parts))
    if not start < end:
        raise checks.refusal("window", value, accepted)
    return start, end


def _size(value: object) -> int | tuple[int, int] | None:
    if value is None:
        return None
    if not isinstance(value, Sequence):
        return checks.whole(value, "size", 8, 16384)
    if isinstance(value, str) or len(value) != 2:
        raise checks.refusal(
            "size", value, "a side in pixels, for about its square, or [height, width]"
        )
    return checks.whole(value[0], "size[0]", 8, 16384), checks.whole(value[1], "size[1]", 8, 16384)


def _fusing(value: object) -> Fusing:
    if isinstance(value, str):
        return _made(Fusing, {"name": value}, "fusion")
    if not isinstance(value, Fusing):
        raise checks.refusal("fusion", value, "a name, or a mapping with name, preset and options")
    return value


def _regions(value: object) -> tuple[Region, ...]:
    regions = tuple(checks.sequence(value, "regions"))
    if not regions:
        raise RecipeError("regions: zero regions; give at least one, each a mask and a style")
    for i, region in enumerate(regions):
        if not isinstance(region, Region):
            raise checks.refusal(f"regions[{i}]", region, "a mapping (in Python, a Region)")
    return regions


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _segmenting(value)
    return _file(value, "mask", "a picture file, 'box:x0,y0,x1,y1', 'all' or a segmenter mapping")


def _style(value: Any) -> Any:
    return None if value is None else _file(value, "style", "a file or a known name")


def _segmenting(value: Mapping[str, object]) -> dict[str, Plain]:
    """A mask to be found by a segmenter: its name and what to look for."""
    given = checks.plain_mapping(value, "mask")
    for key in given:
        if key not in _SEGMENTER_KEYS:
            raise RecipeError(f"mask.{key}: no such key; {did_you_mean(key, _SEGMENTER_KEYS)}")
    checks.text(given.get("segmenter"), "mask.segmenter", empty=False)
    checks.text_or_none(given.get("text"), "mask.text")
    checks.plain_mapping(given.get("options", {}), "mask.options")
    for i, point in enumerate(checks.sequence(given.get("points", []), "mask.points")):
        checks.numbers(point, f"mask.points[{i}]", 2, "[x, y] in photo pixels")
    if "box" in given:
        checks.numbers(given["box"], "mask.box", 4, "[x0, y0, x1, y1] in photo pixels")
    return given


def _plain_fields(made: object, where: str) -> dict[str, Plain]:
    """What is set in a dataclass, as plain data; None, {} and a default "" are left out."""
    data: dict[str, Plain] = {}
    for f in fields(made):  # type: ignore[arg-type]  # one of our dataclasses
        value = getattr(made, f.name)
        if f.name == "regions":
            data[f.name] = [_plain_fields(r, f"regions[{i}].") for i, r in enumerate(value)]
        elif isinstance(value, Fusing):
            data[f.name] = _plain_fields(value, "fusion.")
        elif not _is_unset(value, f.default):
            data[f.name] = checks.plain(value, where + f.name)
    return data


def _is_unset(value: object, default: object) -> bool:
    if isinstance(value, str):
        return value == default == ""
    return value is None or (isinstance(value, Mapping) and not value)


def _mask_file(mask: object) -> str | None:
    """The file a mask is read from, if it is one."""
    if not isinstance(mask, str) or mask == "all" or mask.startswith("box:"):
        return None
    return mask.removeprefix("file:")


def _moved_mask(mask: Any, move: Callable[[str], str]) -> Any:
    file = _mask_file(mask)
    if file is None:
        return mask
    return mask.removesuffix(file) + move(file)


def _moved_name(style: Any, move: Callable[[str], str]) -> Any:
    """A style's file moved; what has neither folder nor suffix is a known name and stays."""
    is_file = isinstance(style, str) and (Path(style).suffix or "/" in style or "\\" in style)
    return move(style) if is_file else style


def _relative(path: str, folder: Path) -> str:
    try:
        return os.path.relpath(path, folder)
    except ValueError:  # another drive
        return os.path.abspath(path)
