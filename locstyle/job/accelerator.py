"""The accelerator of an edit: a LoRA under which few steps suffice, owned by every token."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Edit, Fusing
from locstyle.engine.interventions.everywhere import Everywhere
from locstyle.errors import LocstyleWarning, RecipeError, StyleError, at
from locstyle.files import PICTURES
from locstyle.job.shelf import Shelf
from locstyle.style import Style, find_style, read_style
from locstyle.style.file import other_kind
from locstyle.style.header import file_of, read_header
from locstyle.style.tempo import Tempo, tempo_of

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone
    from locstyle.plugin.host import Host

PLACE = "accelerator"
"""Where it stands in a recipe."""


@dataclass(frozen=True, eq=False)
class Accelerator:
    """What makes few steps suffice, and how many of which solver they are."""

    style: Style
    tempo: Tempo

    @property
    def intervention(self) -> Everywhere:
        """What it does to the network."""
        return Everywhere(self.style.deltas)


def accelerator_of(edit: Edit, backbone: Backbone, shelf: Shelf) -> Accelerator | None:
    """The edit's accelerator, if it has one.

    Raises:
        LocstyleError: no such file, or what this backbone has no use for as one; with its place.
    """
    if edit.accelerator is None:
        return None
    with at(PLACE):
        tempo = _told(edit.accelerator)
        style = _style(edit.accelerator, backbone, shelf)
        if not style.fits(backbone.family):
            raise RecipeError(
                f"{style.name!r} was made for backbone family {style.family!r}; this backbone is "
                f"of family {backbone.family!r}"
            )
        if style.kinds != {"deltas"}:
            raise RecipeError(
                f"{style.name!r} carries {', '.join(sorted(style.kinds))}; an accelerator is a "
                "LoRA of the denoising network alone, so give this to a region"
            )
    if not tempo.kind:
        said = (
            "neither its name nor its header says how it was distilled; taken for a LoRA of LCM's "
            f"kind: {tempo.steps} steps of {tempo.solver}, without guidance; if it is another, say "
            "--solver and --steps"
        )
        warnings.warn(LocstyleWarning(said, place=PLACE), stacklevel=4)
    return Accelerator(style, tempo)


def tempo_asked(edit: Edit) -> Tempo | None:
    """The tempo of the edit's accelerator, without reading more than its header.

    Raises:
        LocstyleError: as `accelerator_of`, as far as that shows.
    """
    if edit.accelerator is None:
        return None
    with at(PLACE):
        return _told(edit.accelerator)


def unguided(fusing: Fusing, tempo: Tempo | None, host: Host) -> Fusing:
    """The choice of fusion with its guidance off, where the accelerator wants that and the edit
    does not say otherwise."""
    if tempo is None or tempo.guided or "guidance" in fusing.options:
        return fusing
    known = host.options("fusions", fusing.name, fusing.options, preset=fusing.preset)
    if "guidance" not in known:
        said = (
            f"is made for edits without guidance, and fusion {fusing.name!r} has no option "
            "'guidance' to switch it off"
        )
        warnings.warn(LocstyleWarning(said, place=PLACE), stacklevel=4)
        return fusing
    return replace(fusing, options={**fusing.options, "guidance": 1.0})


def _told(given: Any) -> Tempo:
    """How it wants to be drawn with, by its header."""
    if isinstance(given, Style):
        return tempo_of(given.meta, Path(given.name))
    if not isinstance(given, str):
        raise RecipeError(f"got a {type(given).__name__}; give a LoRA file")
    if Path(given).suffix.lower() in PICTURES:
        raise RecipeError(f"{given!r} is a picture; give a LoRA file, or the picture to a region")
    path = find_style(given)
    file = file_of(path)
    header: Mapping[str, str] = read_header(file)
    _check_kind(file)
    return tempo_of(header, path if file == path else path / path.name)


def _check_kind(file: Path) -> None:
    """Refuses what no LoRA is, before its reader calls it no style."""
    if found := other_kind(file):
        name, hint = found
        hint = hint or "give a LoRA made for few steps"
        raise StyleError(f"{file} is {name}, and no accelerator; {hint}")


def _style(given: Any, backbone: Backbone, shelf: Shelf) -> Style:
    if isinstance(given, Style):
        return given
    path = find_style(given)
    return shelf.style(str(path), path, partial(_read, path, backbone))


def _read(path: Path, backbone: Backbone) -> Style:
    style, coverage = read_style(path, backbone=backbone)
    if not coverage.is_complete:
        said = f"not all of {path} applies\n{coverage.describe()}"
        warnings.warn(LocstyleWarning(said, place=PLACE), stacklevel=6)
    return style
