"""What a request says, read and checked."""

from __future__ import annotations

import json
from typing import Any  # plain data

from starlette.requests import Request

import locstyle as ls

from .desk import Desk
from .looking import MaskRequest
from .opening import json_object, too_large
from .refusals import malformed

_ANY = {"mask": "all", "prompt": ""}


def desk_of(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object in the body.

    Raises:
        Refusal: none, or more than is read.
    """
    most = desk_of(request).startup.body_bytes
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise too_large(len(data), most)
    try:
        return json_object(json.loads(bytes(data) or b"{}"))
    except (ValueError, RecursionError) as error:
        raise malformed(f"the body is no JSON: {error}") from error


def field(data: dict[str, Any], name: str, kind: type | tuple[type, ...], usual: Any = None) -> Any:
    """A field of a body; `usual` where it is not there.

    Raises:
        Refusal: it is of another type, or missing and there is nothing usual.
    """
    if name not in data and usual is not None:
        return usual
    value = data.get(name)
    is_bool = isinstance(value, bool) and kind is not bool and kind is not object
    if not isinstance(value, kind) or is_bool:
        names = kind.__name__ if isinstance(kind, type) else " or ".join(k.__name__ for k in kind)
        raise malformed(f"{name}: give a {names}")
    return value


def edit_of(desk: Desk, data: dict[str, Any]) -> ls.Edit:
    """The recipe in a body, whole; its files may all be used.

    Raises:
        RecipeError: as `Edit.from_dict`; another backbone; a path that leads elsewhere.
    """
    edit = ls.Edit.from_dict(field(data, "recipe", dict))
    if edit.backbone != desk.startup.backbone:
        said = f"got {edit.backbone!r}, but this server runs {desk.startup.backbone!r}; start one"
        raise ls.RecipeError(f"{said} with --backbone {edit.backbone}", place="backbone")
    desk.fence.edit(edit)
    return edit


def masks_of(desk: Desk, data: dict[str, Any]) -> tuple[str, MaskRequest]:
    """What a recipe's masks need, and its image; regions may be without a style, or wrong."""
    recipe = field(data, "recipe", dict)
    kept = {k: recipe[k] for k in ("image", "segmenter", "segments") if recipe.get(k) is not None}
    frame = ls.Edit.from_dict({"locstyle": 2, "regions": [_ANY], **kept})
    fenced = desk.fence.edit(frame)
    given = field(recipe, "regions", list, [])
    regions = tuple(_region(desk, one, f"regions[{i}]") for i, one in enumerate(given[:1000]))
    segments = None if fenced.segments is None else str(fenced.segments)
    return str(frame.image), MaskRequest(regions, frame.segmenter, segments)


def _region(desk: Desk, data: Any, place: str) -> ls.Region | ls.LocstyleError:
    try:
        with ls.at(place):
            if not isinstance(data, dict) or "mask" not in data:
                raise ls.RecipeError("is missing", place="mask")
            region = ls.Region(data["mask"], prompt="")
        return desk.fence.region(region, place)
    except ls.LocstyleError as error:
        return error
