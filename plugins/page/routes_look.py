"""Routes about photos and masks."""

from __future__ import annotations

from pathlib import Path
from typing import Any  # plain data

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import locstyle as ls

from .asking import body_of, desk_of, field, masks_of
from .desk import Desk
from .errands import Errand
from .opening import folder_of, open_path, open_text
from .pictures import ScreenPicture
from .refusals import Refusal, malformed
from .uploads import keep_upload

CACHED = {"cache-control": "private, max-age=86400, immutable"}


def routes() -> list[Route]:
    return [
        Route("/api/hello", hello),
        Route("/api/files", files),
        Route("/api/open", open_one, methods=["POST"]),
        Route("/api/upload", upload_photo, methods=["POST"]),
        Route("/api/photos/{id}", photo),
        Route("/api/photos/{id}/preview", photo_preview),
        Route("/api/photos/{id}/tiles/{level:int}/{column:int}/{row:int}", photo_tile),
        Route("/api/segmenters", segmenters),
        Route("/api/segments", ask_segments, methods=["POST"]),
        Route("/api/segments/{id}", segments),
        Route("/api/segments/{id}/map", segments_map),
        Route("/api/masks", masks, methods=["POST"]),
        Route("/api/masks/{id}", mask),
    ]


async def hello(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(desk_of(request).hello))


async def files(request: Request) -> Response:
    folder = request.query_params.get("path", "")
    return JSONResponse(await run_in_threadpool(folder_of, desk_of(request), folder))


async def open_one(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    if "text" in data:
        return JSONResponse(await run_in_threadpool(open_text, desk, field(data, "text", str)))
    path, what = field(data, "path", str), field(data, "as", str, "auto")
    return JSONResponse(await run_in_threadpool(open_path, desk, path, what))


async def upload_photo(request: Request) -> Response:
    desk, path = desk_of(request), await uploaded(request)
    return JSONResponse(await run_in_threadpool(_opened_or_gone, desk, path))


async def photo(request: Request) -> Response:
    return JSONResponse(desk_of(request).library.find(request.path_params["id"]).facts)


async def photo_preview(request: Request) -> Response:
    desk = desk_of(request)
    found = desk.library.find(request.path_params["id"]).preview
    desk.wake_soon()
    return shown(found)


async def photo_tile(request: Request) -> Response:
    return shown(await run_in_threadpool(desk_of(request).library.tile, **request.path_params))


async def segmenters(request: Request) -> Response:
    return JSONResponse({"segmenters": await run_in_threadpool(_segmenters, desk_of(request).host)})


async def ask_segments(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return await run_in_threadpool(_ask_segments, desk, data)


async def segments(request: Request) -> Response:
    return JSONResponse(desk_of(request).looking.segments(request.path_params["id"]).facts)


async def segments_map(request: Request) -> Response:
    found = desk_of(request).looking.segments(request.path_params["id"])
    headers = {**CACHED, "content-encoding": "gzip"}
    return Response(found.map, media_type="application/octet-stream", headers=headers)


async def masks(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return JSONResponse(await run_in_threadpool(_masks, desk, data))


async def mask(request: Request) -> Response:
    found = desk_of(request).looking.picture(request.path_params["id"])
    return Response(found, media_type="image/png", headers=CACHED)


def shown(picture: ScreenPicture) -> Response:
    return Response(picture.data, media_type=picture.kind, headers=CACHED)


def accepted(errand: Errand) -> Response:
    return JSONResponse(errand.to_dict(), status_code=202)


async def uploaded(request: Request) -> Path:
    desk = desk_of(request)
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length) > desk.startup.upload_bytes:
        raise Refusal(413, "TooLarge", f"{int(length) / 2**20:.0f} MiB; less is read here")
    name = request.query_params.get("name", "")
    if not name:
        raise malformed("name: give the file's name, ?name=photo.jpg")
    return await keep_upload(desk, name, request.stream())


def _opened_or_gone(desk: Desk, path: Path) -> dict[str, Any]:
    try:
        return open_path(desk, str(path), "auto")
    except ls.LocstyleError:
        path.unlink(missing_ok=True)
        raise


def _segmenters(host: ls.Host) -> list[dict[str, Any]]:
    found = []
    for name in host.names("segmenters"):
        try:
            factory = host.find("segmenters", name).factory
            made = {
                "prompts": sorted(getattr(factory, "prompts", ())),
                "presets": sorted(getattr(factory, "PRESETS", {})),
                "usable": True,
                "why": None,
            }
        except ls.LocstyleError as error:
            made = {"prompts": [], "presets": [], "usable": False, "why": str(error)}
        found.append({"name": name, **made})
    return found


def _ask_segments(desk: Desk, data: dict[str, Any]) -> Response:
    kept = {"image": data.get("image"), "segmenter": data.get("segmenter")}
    image, asked = masks_of(desk, {"recipe": {k: v for k, v in kept.items() if v is not None}})
    opened = desk.photo_of(image)
    desk.host.segmenter(
        asked.segmenter.name, asked.segmenter.options, preset=asked.segmenter.preset
    )

    def look(errand: Errand) -> dict[str, Any]:
        errand.phase("segment")
        return {"segments": desk.looking.look(opened, asked.segmenter)}

    return accepted(desk.side_line.add(Errand("segments", "", look)))


def _masks(desk: Desk, data: dict[str, Any]) -> dict[str, Any]:
    image, asked = masks_of(desk, data)
    opened = desk.photo_of(image)
    return desk.looking.masks(opened, asked)
