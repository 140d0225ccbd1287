"""Starting a server: its address first, what it is made of after that.

The address can be opened before the server's libraries are loaded: who opens it waits. So the
browser starts, the photo is looked at, and the server loads, all three at once.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import locstyle as ls

from .desk import Desk
from .hearing import hearing
from .startup import Startup

if TYPE_CHECKING:
    from .app import Server

WAITING = 128  # connections that wait until the server is loaded


def serve(
    startup: Startup,
    host: ls.Host,
    port: int,
    tell: Callable[[str], None],
    ready: Callable[[Server], None] | None = None,
) -> None:
    """Serves until it is interrupted, or the server's `should_exit` is set.

    `tell` is given the address as soon as it can be opened, `ready` the server once it answers.

    Raises:
        OutputError: the port is taken.
    """
    with hearing(), bound(port) as listening, contextlib.closing(Desk(startup, host)) as desk:
        threading.Thread(target=desk.begin, name="locstyle-page-first", daemon=True).start()
        tell(f"http://127.0.0.1:{listening.getsockname()[1]}/#token={startup.token}")
        from .app import run

        run(desk, listening, ready or (lambda server: None))


def bound(port: int) -> socket.socket:
    """A socket of 127.0.0.1, so that nobody but this machine can reach it; it listens.

    Raises:
        OutputError: the port is taken.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(("127.0.0.1", port))
        listening.listen(WAITING)
    except OSError as error:
        listening.close()
        said = f"--port {port}: {error.strerror or error}; give another, or none for any free one"
        raise ls.OutputError(said) from error
    return listening
