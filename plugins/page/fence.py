"""Which files a client may name: those inside the root, and what the server itself keeps."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any  # a recipe's options

import locstyle as ls


class Fence:
    """Folders outside of which no path from a client is opened, symbolic links followed.

    `root`: where relative paths lead from. `kept`: the server's own folder; what it holds is named
    by absolute paths, which the server made.
    """

    def __init__(self, root: Path, kept: Path) -> None:
        self.root, self.kept = root, kept
        self._inside = (root.resolve(), kept.resolve())

    def path(self, text: str, place: str | None = None) -> Path:
        """A path as the library takes it.

        Raises:
            RecipeError: it leads elsewhere, or no file can have that name.
        """
        path = self.root / text
        if not self._holds(path):
            raise self._outside(text, place)
        return path

    def edit(self, edit: ls.Edit) -> ls.Edit:
        """The edit with its paths leading from the root.

        Raises:
            RecipeError: one of them leads elsewhere, with its place.
        """
        if not isinstance(edit.image, str):
            raise ls.RecipeError("give a picture file", place="image")
        moved = edit.beside(self.root)
        self._check(str(moved.image), "image")
        if moved.segments is not None:
            self._check(str(moved.segments), "segments")
        for place, options in (
            ("fusion", moved.fusion.options),
            ("segmenter", moved.segmenter.options),
        ):
            self.check_options(dict(options), f"{place}.options")
        for index, region in enumerate(moved.regions):
            self._check_region(region, f"regions[{index}]")
        if moved.accelerator is not None:
            self._check_style(ls.Styling(moved.accelerator), "accelerator")
        for path in moved.paths:  # whatever the above does not know of
            self._check(path, None)
        return moved

    def region(self, region: ls.Region, place: str) -> ls.Region:
        """A region alone, as `edit` has it."""
        moved = region.moved(lambda path: str(self.root / path))
        self._check_region(moved, place)
        return moved

    def shown(self, path: Path) -> str:
        """The text that leads a recipe to a file in the root, or kept."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return str(path)

    def _check(self, path: str, place: str | None) -> None:
        found = Path(path)
        parts = [found, *found.iterdir()] if _is_folder(found) else [found]  # an adapter's folder
        if not all(map(self._holds, parts)):
            raise self._outside(path, place)

    def _check_region(self, region: ls.Region, place: str) -> None:
        for path in ls.Region(region.mask, prompt="").files:
            self._check(path, f"{place}.mask")
        if isinstance(region.mask, Mapping):
            self.check_options(dict(region.mask), f"{place}.mask")
        for number, styling in enumerate(region.stylings):
            inner = f"{place}.styles[{number}].style" if region.styles else f"{place}.style"
            self._check_style(styling, inner)

    def _check_style(self, styling: ls.Styling, place: str) -> None:
        for path in styling.files:
            self._check(path, place)
        self._check_name(styling, place)

    def _check_name(self, styling: ls.Styling, place: str) -> None:
        """A style's name may only be one that is listed: others are looked for as files."""
        name = styling.style
        if not isinstance(name, str) or styling.files:
            return
        with ls.at(place):
            path = ls.find_style(name)
        if path not in ls.list_styles() and not self._holds(path):
            raise self._outside(name, place)

    def check_options(self, value: Any, place: str) -> None:
        """Options may name files (weights) in ways only their plugin knows."""
        if isinstance(value, dict):
            for key, one in value.items():
                self.check_options(one, f"{place}.{key}")
        elif isinstance(value, list | tuple):
            for one in value:
                self.check_options(one, place)
        elif isinstance(value, str) and _is_there(value) and not self._holds(Path(value)):
            raise self._outside(value, place)

    def _holds(self, path: Path) -> bool:
        try:
            found = path.resolve()
        except (OSError, ValueError, RuntimeError):  # a name that no file can have, a loop of links
            return False
        return any(found.is_relative_to(folder) for folder in self._inside)

    def _outside(self, text: str, place: str | None) -> ls.RecipeError:
        said = f"{text[:200]!r} leads outside {str(self.root)!r}; only files in it can be used here"
        return ls.RecipeError(said, place=place)


def with_paths_of(edit: ls.Edit, asked: ls.Edit) -> ls.Edit:
    """A finished edit, its files named as they were asked for."""
    named = {name: getattr(asked, name) for name in ("image", "regions", "segments", "accelerator")}
    return replace(edit, **named)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _is_there(text: str) -> bool:
    try:
        return os.path.lexists(Path(text).expanduser())
    except (OSError, ValueError, RuntimeError):
        return False
