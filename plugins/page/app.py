"""The server: routes behind the guard, and how it is started and ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any  # ASGI

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

import locstyle as ls

from . import routes_look, routes_run
from .desk import Desk
from .guard import Guard
from .hearing import hearing
from .refusals import Refusal, told
from .startup import Startup

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
        Route("/", _page),
        Mount("/static", StaticFiles(directory=STATIC, check_dir=False)),
        *routes_look.routes(),
        *routes_run.routes(),
    ]
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_lifespan)
    app.state.desk = desk
    return Guard(app, desk.startup.token)


def address(startup: Startup, port: int) -> str:
    """Where the page is, with the token where no server sees it."""
    return f"http://127.0.0.1:{port}/#token={startup.token}"


def serve(startup: Startup, host: ls.Host, port: int, tell: Callable[[Server, str], None]) -> None:
    """Serves until it is interrupted, or the server's `should_exit` is set.

    `tell` is given the server and the address, once that can be opened.

    Raises:
        OutputError: the port is taken.
    """
    with hearing(), contextlib.closing(Desk(startup, host)) as desk, _bound(port) as bound:
        config = uvicorn.Config(
            make_app(desk),
            log_level="error",
            lifespan="on",
            timeout_graceful_shutdown=3,
            server_header=False,
            ws="none",
        )
        place = address(startup, bound.getsockname()[1])
        server = Server(config, desk, lambda: tell(server, place))
        asyncio.run(server.serve(sockets=[bound]))


class Server(uvicorn.Server):
    """Uvicorn's server, which says when it is there, and ends event streams when it is to end."""

    def __init__(self, config: uvicorn.Config, desk: Desk, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self.desk, self._tell = desk, tell

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        self._tell()

    async def shutdown(self, sockets: Any = None) -> None:
        self.desk.say_goodbye()
        await super().shutdown(sockets)


def _bound(port: int) -> socket.socket:
    """A socket of 127.0.0.1, so that nobody but this machine can reach it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError as error:
        bound.close()
        said = f"--port {port}: {error.strerror or error}; give another, or none for any free one"
        raise ls.OutputError(said) from error
    return bound


@contextlib.asynccontextmanager
async def _lifespan(app: Starlette) -> AsyncIterator[None]:
    desk: Desk = app.state.desk
    threading.Thread(target=desk.hello, name="locstyle-page-first", daemon=True).start()
    watching = asyncio.create_task(_watch(desk))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(desk: Desk) -> None:
    while True:
        await asyncio.sleep(LOOKS)
        desk.look_at_files()


async def _page(request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


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
