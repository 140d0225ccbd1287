"""Routes about styles: what there is, bringing one, learning one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any  # plain data

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import locstyle as ls

from .asking import body_of, desk_of, field
from .desk import Desk
from .errands import Errand
from .fence import Fence
from .gallery import PICTURES
from .painter import TrainingOrder
from .refusals import malformed, refuse_existing
from .routes_look import CACHED, accepted, uploaded


def routes() -> list[Route]:
    return [
        Route("/api/styles", styles),
        Route("/api/styles/upload", upload_style, methods=["POST"]),
        Route("/api/styles/train", train, methods=["POST"]),
        Route("/api/styles/{id}/thumbnail", thumbnail),
    ]


async def styles(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(_styles, desk_of(request)))


async def upload_style(request: Request) -> Response:
    desk, path = desk_of(request), await uploaded(request)
    return JSONResponse(await run_in_threadpool(_style_or_gone, desk, path))


async def train(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return await run_in_threadpool(_train, desk, data)


async def thumbnail(request: Request) -> Response:
    gallery = desk_of(request).gallery
    found = await run_in_threadpool(gallery.thumbnail, request.path_params["id"])
    kind = "image/png" if found.startswith(b"\x89PNG") else "image/jpeg"
    return Response(found, media_type=kind, headers=CACHED)


def _style_or_gone(desk: Desk, path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() in PICTURES:
            ls.Photo.open(path)
            return desk.gallery.facts(path, str(path), "uploaded", desk.easel.backbone)
        ls.read_header(path)  # what is no style at all is refused without the model
        backbone = desk.backbone()
        desk.gallery.check(path, backbone)
    except ls.LocstyleError:
        path.unlink(missing_ok=True)
        raise
    return {**desk.gallery.facts(path, str(path), "uploaded", backbone), "fits": True}


def _styles(desk: Desk) -> dict[str, Any]:
    gallery = desk.gallery
    return {"styles": gallery.all(desk.easel.backbone), "encoders": gallery.encoders()}


def _train(desk: Desk, data: dict[str, Any]) -> Response:
    """Whatever can be refused is refused before the model is asked."""
    name, fence = field(data, "name", str), desk.fence
    if not name or Path(name).name != name or name.startswith("."):
        raise ls.RecipeError(f"name: {name!r} is no file's name; give letters", place="output")
    output = fence.path(f"{name}.safetensors", "output")
    pictures = tuple(
        fence.path(str(text), f"pictures[{i}]")
        for i, text in enumerate(field(data, "pictures", list))
    )
    if not pictures:
        raise malformed("pictures: give at least one")
    ls.check_output(output, pictures, suffixes=(".safetensors",))
    refuse_existing(output, fence.shown(output), field(data, "force", bool, False))
    encoder = field(data, "encoder", str, "lora")
    maker = desk.host.style_encoder(encoder, _options(fence, data), preset=data.get("preset"))
    seed, prompt = field(data, "seed", int, 0), field(data, "prompt", str, "")
    request = ls.StyleRequest(name, prompt, seed, made_by="locstyle edit")
    lesson = TrainingOrder((encoder, maker), pictures, request, output)

    def tell(path: Path) -> dict[str, Any]:
        return desk.gallery.facts(path, fence.shown(path), "folder", desk.easel.backbone)

    do = partial(desk.painter.train, lesson, tell)
    return accepted(desk.line.add(Errand("train", str(data.get("client", "")), do)))


def _options(fence: Fence, data: dict[str, Any]) -> dict[str, Any]:
    options = field(data, "options", dict, {})
    fence.check_options(options, "options")
    return options
