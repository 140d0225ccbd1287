"""The server: routes behind the guard, and how it runs and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any  # ASGI

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

import locstyle as ls

from . import routes_look, routes_results, routes_run, routes_styles
from .assets import Assets
from .desk import Desk
from .guard import Guard
from .refusals import Refusal, told

STATIC = Path(__file__).parent / "static"
LOOKS = 2.0
"""Seconds between looks at the photos' files."""


def make_app(desk: Desk) -> Guard:
    """The application of a desk; closing it is whoever's who made the desk."""
    handlers: dict[Any, Any] = {
        Refusal: _refused,
        ls.LocstyleError: _refused,
        HTTPException: _http,
        ClientDisconnect: _gone,
        Exception: _refused,
    }
    routes = [
        *Assets(STATIC).routes(),
        *routes_look.routes(),
        *routes_styles.routes(),
        *routes_run.routes(),
        *routes_results.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_lifespan)
    app.state.desk = desk
    return Guard(app, desk.startup.token)


def run(desk: Desk, listening: socket.socket, ready: Callable[[Server], None]) -> None:
    """Serves a desk on a socket until it is interrupted, or the server's `should_exit` is set."""
    config = uvicorn.Config(
        make_app(desk),
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=3,
        server_header=False,
        ws="none",
    )
    server = Server(config, desk, ready)
    asyncio.run(server.serve(sockets=[listening]))


class Server(uvicorn.Server):
    """Uvicorn's server, which says when it is there, and ends event streams when it is to end."""

    def __init__(self, config: uvicorn.Config, desk: Desk, ready: Callable[[Server], None]) -> None:
        super().__init__(config)
        self.desk, self._ready = desk, ready

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._ready(self)

    async def shutdown(self, sockets: Any = None) -> None:
        self.desk.say_goodbye()
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    desk: Desk = app.state.desk
    watching = asyncio.create_task(_watch(desk))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(desk: Desk) -> None:
    while True:
        await asyncio.sleep(LOOKS)
        desk.look_at_files()


async def _refused(request: Request, error: Exception) -> Response:
    if isinstance(error, Refusal):
        return JSONResponse(error.to_dict(), error.status)
    return JSONResponse(told(error), 422 if isinstance(error, ls.LocstyleError) else 500)


async def _http(request: Request, error: HTTPException) -> Response:
    kinds = {404: "NotFound", 405: "NotFound"}
    refusal = Refusal(error.status_code, kinds.get(error.status_code, "Malformed"), error.detail)
    return JSONResponse(refusal.to_dict(), error.status_code)


async def _gone(request: Request, error: Exception) -> Response:
    return Response(status_code=499)  # nobody reads it
