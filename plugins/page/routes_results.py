"""Routes about what was drawn: looking at it, saving it, and taking the recipe elsewhere."""

from __future__ import annotations

import json
from functools import partial
from typing import Any  # plain data

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import locstyle as ls

from .asking import body_of, desk_of, edit_of, field
from .desk import Desk
from .errands import Errand
from .painter import Saving, check_saving
from .portfolio import Work
from .refusals import malformed, refuse_existing
from .routes_look import accepted, shown

FORMS = ("command", "yaml", "json", "python")


def routes() -> list[Route]:
    return [
        Route("/api/results", results),
        Route("/api/results/{id}", forget, methods=["DELETE"]),
        Route("/api/results/{id}", result),
        Route("/api/results/{id}/preview", result_preview),
        Route("/api/results/{id}/tiles/{level:int}/{column:int}/{row:int}", result_tile),
        Route("/api/results/{id}/save", save_result, methods=["POST"]),
        Route("/api/save", save_recipe_as_picture, methods=["POST"]),
        Route("/api/recipes/save", save_recipe, methods=["POST"]),
        Route("/api/as", written_as, methods=["POST"]),
    ]


async def results(request: Request) -> Response:
    return JSONResponse({"results": desk_of(request).portfolio.all()})


async def result(request: Request) -> Response:
    return JSONResponse(desk_of(request).portfolio.told(_work(request)))


async def result_preview(request: Request) -> Response:
    return shown(_work(request).preview)


async def result_tile(request: Request) -> Response:
    return shown(await run_in_threadpool(desk_of(request).portfolio.tile, **request.path_params))


async def forget(request: Request) -> Response:
    desk_of(request).portfolio.forget(request.path_params["id"])
    return JSONResponse({})


async def save_result(request: Request) -> Response:
    desk, work, data = desk_of(request), _work(request), await body_of(request)
    how = field(data, "recipe", str, "full")
    return await run_in_threadpool(_save, desk, work, work.asked, data, how)


async def save_recipe_as_picture(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    asked = await run_in_threadpool(edit_of, desk, data)
    how = field(data, "carried", str, "full")
    return await run_in_threadpool(_save, desk, None, asked, data, how)


async def save_recipe(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return JSONResponse(await run_in_threadpool(_save_recipe, desk, data))


async def written_as(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    asked = await run_in_threadpool(edit_of, desk, data)
    form, output = field(data, "form", str), field(data, "output", str, "out.png")
    if form not in FORMS:
        raise malformed(f"form: give one of {', '.join(FORMS)}")
    if form == "command":
        return JSONResponse({"text": ls.as_command(asked, output=output)})
    if form == "python":
        return JSONResponse({"text": ls.as_python(asked, output=output)})
    if form == "yaml":
        return JSONResponse({"text": asked.to_yaml()})
    return JSONResponse({"text": json.dumps(asked.to_dict(), ensure_ascii=False, indent=1)})


def _work(request: Request) -> Work:
    return desk_of(request).portfolio.find(request.path_params["id"])


def _save(
    desk: Desk, work: Work | None, asked: ls.Edit, data: dict[str, Any], how: str
) -> Response:
    if how not in ("full", "names", "none"):
        raise malformed("what the picture carries: give full, names or none")
    shown_path = field(data, "path", str)
    path = desk.fence.path(shown_path, "output")
    if path.resolve().is_relative_to(desk.fence.kept.resolve()):
        raise ls.OutputError(f"{shown_path}: lies among the server's own files", place="output")
    with ls.at("output", lead=""):
        fenced = desk.fence.edit(asked)
        photo = desk.library.shelf.photo(str(fenced.image))
        check_saving(path, shown_path, field(data, "force", bool, False), fenced, photo)
    do = partial(desk.painter.save, work, asked, Saving(path, shown_path, how))
    return accepted(desk.line.add(Errand("save", str(data.get("client", "")), do)))


def _save_recipe(desk: Desk, data: dict[str, Any]) -> dict[str, Any]:
    asked, shown_path = edit_of(desk, data), field(data, "path", str)
    path = desk.fence.path(shown_path, "output")
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ls.OutputError(f"{shown_path}: a recipe is .yaml or .json", place="output")
    fenced = desk.fence.edit(asked)
    ls.check_output(path, [desk.fence.root / f for f in fenced.files], suffixes=(path.suffix,))
    refuse_existing(path, shown_path, field(data, "force", bool, False))
    moved = fenced.seen_from(path.parent)
    is_json = path.suffix.lower() == ".json"
    ls.write_atomic(path, (json.dumps(moved.to_dict()) if is_json else moved.to_yaml()).encode())
    return {"path": shown_path}
