"""A region of an edit: a selection and a style, checked, and its paths moved."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from locstyle.brief import brief
from locstyle.edit import checks
from locstyle.edit.fields import set_field
from locstyle.edit.recipe import Plain
from locstyle.edit.styling import WHOLE, Styling, read_window
from locstyle.errors import RecipeError, at, did_you_mean
from locstyle.selection import File, Selection, parse, parse_refinements, paths, with_paths

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from locstyle.masks import Mask
    from locstyle.photo import Photo
    from locstyle.style import Style

_RANGES = {
    "feather": (0, math.inf),
    "paste_feather": (0, math.inf),
    "guidance": (1, 30),
    "structure": (0, 1),
}
_SEGMENTER_KEYS = (
    "segmenter",
    "preset",
    "points",
    "outside",
    "box",
    "boxes",
    "text",
    "options",
    "refine",
)


@dataclass(frozen=True, repr=False)
class Region:
    """A place and its style, or several.

    `mask`: a selection ("sky.png", "point:212,160|grow:4", …; `docs/selections.md`), kept in its
    canonical form, a mapping for a segmenter, or a mask in memory. `style`, `strength`, `window`:
    its one style, as in `Styling`; or several in `styles`, which act together, each in its own
    window. `prompt`, `negative`, `feather` and `paste_feather` (photo pixels) stand in for the
    Edit's own where they are set, `guidance` (1 to 30) and `structure` (0 to 1, how strongly the
    photo's layout holds) for the fusion's, `palette` (see Edit) for the style's. A region with a
    `detail` of its own (see Edit) gets a frame of its own.
    """

    mask: str | Mapping[str, object] | Mask | Image.Image | np.ndarray[Any, Any]
    style: str | Path | Style | Photo | Image.Image | np.ndarray[Any, Any] | None = None
    strength: float = 1.0
    prompt: str | None = None
    negative: str | None = None
    window: tuple[float, float] = WHOLE
    feather: float | None = None
    paste_feather: float | None = None
    guidance: float | None = None
    structure: float | None = None
    palette: float | str | None = None
    detail: float | str | None = None
    styles: tuple[Styling, ...] = ()

    def __post_init__(self) -> None:
        set_field(self, "mask", _mask(self.mask))
        set_field(self, "strength", checks.number(self.strength, "strength", 0, 2))
        for name in ("prompt", "negative"):
            said = getattr(self, name)
            set_field(self, name, None if said is None else checks.prompt(said, name))
        set_field(self, "window", read_window(self.window))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            set_field(self, name, None if value is None else checks.number(value, name, low, high))
        if self.palette is not None:
            set_field(self, "palette", checks.palette(self.palette, "palette"))
        if self.detail is not None:
            set_field(self, "detail", checks.detail(self.detail, "detail"))
        set_field(self, "styles", _styles(self.styles))
        if self.styles:
            self._check_alone()
        elif self.style is not None:
            set_field(self, "style", Styling(self.style).style)
        elif self.prompt is None:
            raise RecipeError(
                "is missing; give a style, or a prompt to change by text alone", place="style"
            )

    def __repr__(self) -> str:
        return brief(self)

    @property
    def stylings(self) -> tuple[Styling, ...]:
        """All its styles, in whichever form they are given."""
        if self.style is None:
            return self.styles
        return (Styling(self.style, self.strength, self.window),)

    @cached_property  # a drawing of thousands of points takes its time
    def selection(self) -> Selection | None:
        """Which part of the photo is meant, if the mask is given as a text."""
        return parse(self.mask) if isinstance(self.mask, str) else None

    @property
    def files(self) -> list[str]:
        """The files its mask is made of, and its styles' unless those are names."""
        masks = paths(self.selection) if self.selection else []
        return [*masks, *(file for styling in self.stylings for file in styling.files)]

    def moved(self, move: Callable[[str], str]) -> Region:
        """The same region, `move` applied to every path; names of styles stay."""
        mask: Any = with_paths(self.selection, move) if self.selection else self.mask
        style = None if self.style is None else Styling(self.style).moved(move).style
        styles = tuple(styling.moved(move) for styling in self.styles)
        return replace(self, mask=mask, style=style, styles=styles)

    def _check_alone(self) -> None:
        """Refuses what belongs to a single style beside several."""
        for name, unset in (("style", None), ("strength", 1.0), ("window", WHOLE)):
            if getattr(self, name) != unset:
                raise RecipeError("stands beside styles; give each of those its own", place=name)


def _styles(value: object) -> tuple[Styling, ...]:
    stylings = tuple(checks.sequence(value, "styles"))
    for index, styling in enumerate(stylings):
        if not isinstance(styling, Styling):
            accepted = "a mapping with style, strength and window (in Python, a Styling)"
            raise checks.refusal(f"styles[{index}]", styling, accepted)
    return stylings


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _segmenting(value)
    if isinstance(value, os.PathLike):
        value = File(os.fspath(value))
    if isinstance(value, get_args(Selection)):
        return str(value)
    if isinstance(value, str):
        with at("mask"):
            return str(parse(value))
    return checks.file(value, "mask", "a selection, such as 'sky.png', or a segmenter mapping")


def _segmenting(value: Mapping[str, object]) -> dict[str, Plain]:
    """A mask to be found by a segmenter of its own: its name and what to look for."""
    given = checks.plain_mapping(value, "mask")
    for key in given:
        if key not in _SEGMENTER_KEYS:
            hint = did_you_mean(key, _SEGMENTER_KEYS)
            raise RecipeError(f"no such key; {hint}", place=f"mask.{key}")
    checks.text(given.get("segmenter"), "mask.segmenter", empty=False)
    checks.text_or_none(given.get("preset"), "mask.preset")
    checks.text_or_none(given.get("text"), "mask.text")
    checks.plain_mapping(given.get("options", {}), "mask.options")
    for key in ("points", "outside"):
        for i, point in enumerate(checks.sequence(given.get(key, []), f"mask.{key}")):
            checks.numbers(point, f"mask.{key}[{i}]", 2, "[x, y] in photo pixels")
    if "box" in given and "boxes" in given:
        raise RecipeError("stands beside boxes; give one of them", place="mask.box")
    if "box" in given:
        checks.numbers(given["box"], "mask.box", 4, "[x0, y0, x1, y1] in photo pixels")
    for i, box in enumerate(checks.sequence(given.get("boxes", []), "mask.boxes")):
        checks.numbers(box, f"mask.boxes[{i}]", 4, "[x0, y0, x1, y1] in photo pixels")
    if "refine" in given:
        refinements = checks.text(given["refine"], "mask.refine")
        with at("mask.refine"):
            parse_refinements(refinements)
    return given
