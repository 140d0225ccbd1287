"""Opening what a person names or drops: photos, recipes, pictures that carry a recipe."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any  # plain data

import locstyle as ls

from .refusals import Refusal, malformed, not_found

if TYPE_CHECKING:
    from .desk import Desk

RECIPES = (".yaml", ".yml", ".json")
_KINDS = {"picture": (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".avif", ".heic")}
_KINDS |= {"recipe": RECIPES, "style": (".safetensors",)}
MOST_FILES = 2000


def open_path(desk: Desk, text: str, what: str) -> dict[str, Any]:
    """A photo, or the recipe that a file is or carries (unless `what` is "photo"), and its photo.

    Raises:
        LocstyleError: the file cannot be read, or leads outside the root.
    """
    path = desk.fence.path(text, "image")
    if path.suffix.lower() in RECIPES and what != "photo":
        edit = _from_root(desk, ls.Edit.open(path))
        return {"photo": _photo(desk, edit).facts, "recipe": edit.to_dict()}
    if what != "photo" and path.suffix.lower() == ".png":
        with suppress(ls.RecipeError):  # it carries none
            return _carried(desk, path, desk.fence.shown(path))
    return {"photo": desk.open(path, desk.fence.shown(path)).facts, "recipe": None}


def open_text(desk: Desk, text: str) -> dict[str, Any]:
    """A recipe somebody pasted, and its photo; paths lead from the root."""
    edit = ls.Edit.from_text(text, "the pasted text")
    return {"photo": _photo(desk, edit).facts, "recipe": edit.to_dict()}


def folder_of(desk: Desk, text: str) -> dict[str, Any]:
    """What can be opened in a folder of the root."""
    folder = desk.fence.path(text or ".", "path")
    folders, files = [], []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise not_found(f"{text or '.'}: {error.strerror or error}") from error
    for entry in entries[:MOST_FILES]:
        kind = next((k for k, ends in _KINDS.items() if entry.name.lower().endswith(ends)), None)
        with suppress(OSError):  # gone meanwhile, or a loop of links
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.name)
            elif kind and entry.is_file():
                shown = desk.fence.shown(folder / entry.name)
                files.append({"path": shown, "bytes": entry.stat().st_size, "kind": kind})
    return {"path": desk.fence.shown(folder), "folders": folders, "files": files}


def too_large(size: int, most: int) -> Refusal:
    return Refusal(413, "TooLarge", f"more than {most / 2**20:g} MiB; that is the most read here")


def json_object(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise malformed("the body is no JSON object")
    return data


def _carried(desk: Desk, path: Path, shown: str) -> dict[str, Any]:
    """The recipe in a PNG; where its photo is not to be had, the picture itself and a remark.

    Raises:
        RecipeError: it carries none.
    """
    edit = _from_root(desk, ls.embedded_edit(path))
    try:
        desk.fence.edit(edit)
        return {"photo": _photo(desk, edit).facts, "recipe": edit.to_dict()}
    except ls.LocstyleError as error:
        said = f"this picture carries a recipe that cannot be opened here: {error}"
        opened = desk.open(path, shown)
        return {"photo": opened.facts, "recipe": None, "carried": edit.to_dict(), "remark": said}


def _from_root(desk: Desk, edit: ls.Edit) -> ls.Edit:
    """Its paths as they lead from the root, where they lead into it."""
    root = desk.fence.root
    inside = all(os.path.abspath(path).startswith(f"{root}{os.sep}") for path in edit.paths)
    return edit.seen_from(root) if inside else edit


def _photo(desk: Desk, edit: ls.Edit) -> Any:
    return desk.photo_of(str(edit.image))
