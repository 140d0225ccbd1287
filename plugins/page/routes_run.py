"""Routes about running edits, what happens meanwhile, and the autosaved state."""

from __future__ import annotations

import json
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
from .painter import preview_errand, render_errand
from .refusals import Refusal, malformed, not_found, spoken
from .routes_look import accepted


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
        Route("/api/state", write_state, methods=["PUT"]),
        Route("/api/state", read_state),
    ]


async def events(request: Request) -> Response:
    desk = desk_of(request)
    after, count = _after(request), desk.events.count
    if after is not None:
        return _stream(desk, desk.events, after, b"")
    # What happens while the greeting is written comes after it: it may be of before or after that.
    greeting = await run_in_threadpool(_greeting, desk, count)
    return _stream(desk, desk.events, count, greeting)


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


async def read_state(request: Request) -> Response:
    return JSONResponse(await run_in_threadpool(desk_of(request).read_state))


async def write_state(request: Request) -> Response:
    desk, data = desk_of(request), await body_of(request)
    revision = field(data, "revision", int)
    new = await run_in_threadpool(desk.write_state, revision, data.get("state"))
    return JSONResponse({"revision": new})


def _job(request: Request) -> Errand:
    return desk_of(request).job(request.path_params["id"])


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


def _greeting(desk: Desk, count: int) -> bytes:
    said = json.dumps(desk.hello(), ensure_ascii=False)
    return f"id: {count}\nevent: hello\ndata: {said}\n\n".encode()


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
    """From what ran before, else foretold from the model's speed on this machine."""
    asked = edit_of(desk, data)
    said: dict[str, Any] = {"preview": None, "render": None, "device": None, "because": "unknown"}
    if desk.easel.backbone is None:
        return said
    said["device"] = str(desk.easel.backbone.device)
    if not desk.painter.pace.is_known:
        found = desk.foretold(asked)
        return {**said, **found, "because": "foretold" if found else "unknown"}
    editor, pace = desk.easel.editor(), desk.painter.pace
    with heard(lambda warning: None):
        drawn = desk.painter.resolve(asked, editor)
        quick = desk.painter.resolve(asked.previewed(), editor)
    found = {"preview": pace.seconds(quick), "render": pace.seconds(drawn)}
    return {**said, **found, "because": "measured"}
