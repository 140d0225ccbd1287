"""Routes about running edits, results, texts and the autosaved state."""

from __future__ import annotations

import json
from functools import partial
from typing import Any  # plain data

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import locstyle as ls

from .asking import body_of, desk_of, edit_of, field, masks_of
from .desk import Desk
from .errands import Errand
from .events import Log
from .hearing import heard
from .painter import Saving, check_saving, preview_errand, render_errand
from .portfolio import Work
from .refusals import Refusal, malformed, not_found, spoken
from .routes_look import accepted, shown

FORMS = ("command", "yaml", "json", "python")


def routes() -> list[Route]:
    return [
        Route("/api/events", events),
        Route("/api/validate", validate, methods=["POST"]),
        Route("/api/estimate", estimate, methods=["POST"]),
        Route("/api/preview", preview, methods=["POST"]),
        Route("/api/render", render, methods=["POST"]),
        Route("/api/jobs", jobs),
        Route("/api/jobs/{id}", job),
        Route("/api/jobs/{id}/events", job_events),
        Route("/api/jobs/{id}/picture", job_picture),
        Route("/api/jobs/{id}/cancel", cancel, methods=["POST"]),
        Route("/api/results", results),
        Route("/api/results/{id}", forget, methods=["DELETE"]),
        Route("/api/results/{id}", result),
        Route("/api/results/{id}/preview", result_preview),
        Route("/api/results/{id}/tiles/{level:int}/{column:int}/{row:int}", result_tile),
        Route("/api/results/{id}/save", save_result, methods=["POST"]),
        Route("/api/save", save_recipe_as_picture, methods=["POST"]),
        Route("/api/recipes/save", save_recipe, methods=["POST"]),
        Route("/api/as", written_as, methods=["POST"]),
        Route("/api/state", write_state, methods=["PUT"]),
        Route("/api/state", read_state),
    ]


async def events(request: Request) -> Response:
    desk = desk_of(request)
    after = _after(request)
    greeting = b"" if after is not None else await run_in_threadpool(_greeting, desk)
    return _stream(desk, desk.events, desk.events.count if after is None else after, greeting)


async def validate(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return JSONResponse(await run_in_threadpool(_validate, desk, data))


async def estimate(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    return JSONResponse(await run_in_threadpool(_estimate, desk, data))


async def preview(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    asked = await run_in_threadpool(edit_of, desk, data)
    errand = preview_errand(desk.painter, asked, field(data, "client", str, ""))
    return accepted(desk.line.add(errand, replaces=("preview",)))


async def render(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    asked = await run_in_threadpool(edit_of, desk, data)
    errand = render_errand(desk.painter, asked, field(data, "client", str, ""))
    return accepted(desk.line.add(errand, replaces=("preview",)))


async def jobs(request: Request) -> Response:
    return JSONResponse({"jobs": [errand.to_dict() for errand in desk_of(request).jobs()]})


async def job(request: Request) -> Response:
    return JSONResponse(_job(request).to_dict())


async def job_events(request: Request) -> Response:
    return _stream(desk_of(request), _job(request).log, _after(request) or 0, b"")


async def job_picture(request: Request) -> Response:
    found = _job(request).picture
    if found is None:
        raise not_found("there is no picture yet")
    return Response(found[1], media_type="image/jpeg", headers={"locstyle-step": str(found[0])})


async def cancel(request: Request) -> Response:
    errand = _job(request)
    errand.cancel()
    return JSONResponse(errand.to_dict())


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


async def read_state(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(desk_of(request).read_state))


async def write_state(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    revision = field(data, "revision", int)
    new = await run_in_threadpool(desk.write_state, revision, data.get("state"))
    return JSONResponse({"revision": new})


def _job(request: Request) -> Errand:
    return desk_of(request).job(request.path_params["id"])


def _work(request: Request) -> Work:
    return desk_of(request).portfolio.find(request.path_params["id"])


def _after(request: Request) -> int | None:
    """The number of the last event that a client has."""
    said = request.query_params.get("after") or request.headers.get("last-event-id")
    if said is None:
        return None
    if not said.isdecimal() or len(said) > 15:
        raise malformed("after: give an event's number")
    return int(said)


def _stream(desk: Desk, log: Log, after: int, greeting: bytes) -> Response:
    if desk.streams >= desk.startup.streams:
        raise Refusal(429, "TooMany", "too many event streams are open; close some")

    async def lines():  # type: ignore[no-untyped-def]  # bytes, one event after another
        desk.streams += 1
        try:
            yield greeting or b": hello\n\n"
            async for line in log.stream(after):
                yield line
        finally:
            desk.streams -= 1

    return StreamingResponse(lines(), media_type="text/event-stream")


def _greeting(desk: Desk) -> bytes:
    said = json.dumps(desk.hello(), ensure_ascii=False)
    return f"id: {desk.events.count}\nevent: hello\ndata: {said}\n\n".encode()


def _validate(desk: Desk, data: dict[str, Any]) -> dict[str, Any]:
    """Everything that would be refused; of what the model would refuse, the first."""
    warnings: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    with heard(lambda warning: warnings.append(spoken(warning))):
        try:
            asked = edit_of(desk, data)
            image, masks = masks_of(desk, data)
            opened = desk.photo_of(image)
            found = desk.looking.found(opened, masks)
            errors += [spoken(one) for one in found if isinstance(one, ls.LocstyleError)]
            if desk.easel.backbone is not None and not errors:
                desk.painter.resolve(asked, desk.easel.editor())
            elif not errors:
                fusing = asked.fusion
                desk.host.fusion(fusing.name, fusing.options, preset=fusing.preset)
        except ls.LocstyleError as error:
            errors.append(spoken(error))
    unique = list({json.dumps(one): one for one in warnings}.values())
    complete = desk.easel.backbone is not None
    return {"errors": errors, "warnings": unique, "complete": complete}


def _estimate(desk: Desk, data: dict[str, Any]) -> dict[str, Any]:
    asked = edit_of(desk, data)
    said: dict[str, Any] = {"preview": None, "render": None, "device": None, "because": "unknown"}
    if desk.easel.backbone is None:
        return said
    editor, pace = desk.easel.editor(), desk.painter.pace
    with heard(lambda warning: None):
        drawn = desk.painter.resolve(asked, editor)
        quick = desk.painter.resolve(asked.previewed(), editor)
    found = {"preview": pace.seconds(quick), "render": pace.seconds(drawn)}
    because = "unknown" if found["render"] is None else "measured"
    return {**said, **found, "device": str(editor.backbone.device), "because": because}


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
    if path.exists() and not field(data, "force", bool, False):
        raise Refusal(
            409, "Exists", f"{shown_path} is there already", place="output", path=shown_path
        )
    moved = fenced.seen_from(path.parent)
    is_json = path.suffix.lower() == ".json"
    ls.write_atomic(path, (json.dumps(moved.to_dict()) if is_json else moved.to_yaml()).encode())
    return {"path": shown_path}
