"""A region of an edit: a selection and a style, checked, and its paths moved."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, get_args

from locstyle.edit import checks
from locstyle.edit.fields import set_field
from locstyle.edit.recipe import Plain
from locstyle.errors import RecipeError, SelectionError, did_you_mean
from locstyle.selection import File, Selection, parse, parse_refinements, paths, with_paths

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from locstyle.masks import Mask
    from locstyle.photo import Photo
    from locstyle.style import Style

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


@dataclass(frozen=True)
class Region:
    """A place and its style.

    `mask`: a selection ("sky.png", "point:212,160|grow:4", …; `docs/selections.md`), kept in its
    canonical form, a mapping for a segmenter, or a mask in memory. `style`: a style file or a known
    name; or a picture, as a file or in memory, whose style is meant.
    `window`: the fraction of the schedule in which the style acts, 0 the noisy start. `prompt`,
    `negative`, `feather` and `paste_feather` (photo pixels) stand in for the Edit's own where they
    are set.
    """

    mask: str | Mapping[str, object] | Mask | Image.Image | np.ndarray[Any, Any]
    style: str | Path | Style | Photo | Image.Image | np.ndarray[Any, Any] | None = None
    strength: float = 1.0
    prompt: str | None = None
    negative: str | None = None
    window: tuple[float, float] = (0.0, 1.0)
    feather: float | None = None
    paste_feather: float | None = None

    def __post_init__(self) -> None:
        set_field(self, "mask", _mask(self.mask))
        set_field(self, "style", _style(self.style))
        set_field(self, "strength", checks.number(self.strength, "strength", 0, 2))
        set_field(self, "prompt", checks.text_or_none(self.prompt, "prompt"))
        set_field(self, "negative", checks.text_or_none(self.negative, "negative"))
        set_field(self, "window", _window(self.window))
        for name in ("feather", "paste_feather"):
            value = getattr(self, name)
            set_field(self, name, None if value is None else checks.number(value, name, 0))
        if self.style is None and self.prompt is None:
            raise RecipeError(
                "style: is missing; give a style, or a prompt to change by text alone"
            )

    @property
    def selection(self) -> Selection | None:
        """Which part of the photo is meant, if the mask is given as a text."""
        return parse(self.mask) if isinstance(self.mask, str) else None

    @property
    def files(self) -> list[str]:
        """The files its mask is made of, and its style's unless that is a name."""
        masks = paths(self.selection) if self.selection else []
        return [*masks, self.style] if _is_path(self.style) else masks

    def moved(self, move: Callable[[str], str]) -> Region:
        """The same region, `move` applied to every path; names of styles stay."""
        mask: Any = with_paths(self.selection, move) if self.selection else self.mask
        style = move(self.style) if _is_path(self.style) else self.style
        return replace(self, mask=mask, style=style)


def _is_path(style: object) -> TypeGuard[str]:
    """Whether a style is meant as a file; names have neither suffix nor folder."""
    return isinstance(style, str) and bool(Path(style).suffix or "/" in style or "\\" in style)


def _mask(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _segmenting(value)
    if isinstance(value, os.PathLike):
        value = File(os.fspath(value))
    if isinstance(value, get_args(Selection)):
        return str(value)
    if isinstance(value, str):
        try:
            return str(parse(value))
        except SelectionError as error:
            raise SelectionError(f"mask: {error}") from error
    return checks.file(value, "mask", "a selection, such as 'sky.png', or a segmenter mapping")


def _style(value: Any) -> Any:
    return None if value is None else checks.file(value, "style", "a file or a known name")


def _window(value: object) -> tuple[float, float]:
    accepted = "[start, end], fractions of the schedule with 0 <= start < end <= 1"
    parts = checks.sequence(value, "window")
    if len(parts) != 2:
        raise checks.refusal("window", value, accepted)
    start, end = (checks.number(part, f"window[{i}]", 0, 1) for i, part in enumerate(parts))
    if not start < end:
        raise checks.refusal("window", value, accepted)
    return start, end


def _segmenting(value: Mapping[str, object]) -> dict[str, Plain]:
    """A mask to be found by a segmenter of its own: its name and what to look for."""
    given = checks.plain_mapping(value, "mask")
    for key in given:
        if key not in _SEGMENTER_KEYS:
            raise RecipeError(f"mask.{key}: no such key; {did_you_mean(key, _SEGMENTER_KEYS)}")
    checks.text(given.get("segmenter"), "mask.segmenter", empty=False)
    checks.text_or_none(given.get("preset"), "mask.preset")
    checks.text_or_none(given.get("text"), "mask.text")
    checks.plain_mapping(given.get("options", {}), "mask.options")
    for key in ("points", "outside"):
        for i, point in enumerate(checks.sequence(given.get(key, []), f"mask.{key}")):
            checks.numbers(point, f"mask.{key}[{i}]", 2, "[x, y] in photo pixels")
    if "box" in given and "boxes" in given:
        raise RecipeError("mask.box: stands beside boxes; give one of them")
    if "box" in given:
        checks.numbers(given["box"], "mask.box", 4, "[x0, y0, x1, y1] in photo pixels")
    for i, box in enumerate(checks.sequence(given.get("boxes", []), "mask.boxes")):
        checks.numbers(box, f"mask.boxes[{i}]", 4, "[x0, y0, x1, y1] in photo pixels")
    if "refine" in given:
        try:
            parse_refinements(checks.text(given["refine"], "mask.refine"))
        except SelectionError as error:
            raise SelectionError(f"mask.refine: {error}") from error
    return given
