"""A real server on a real socket, with the tiny backbone, for tests."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import locstyle as ls
from locstyle.testing import tiny_backbone


class TinyModel:
    """A plugin with the tiny backbone, by the name "tiny"."""

    def __init__(self) -> None:
        self.loads = 0

    @ls.hookimpl
    def register_backbones(self, register):
        def load(name, device, dtype):
            self.loads += 1
            backbone = tiny_backbone()
            backbone.name = "tiny"
            return backbone

        register("tiny", load)


@dataclass
class Served:
    """`url` has the token in its fragment; `desk` is what the server has."""

    url: str
    desk: Any

    @property
    def origin(self) -> str:
        return self.url.partition("/#")[0]

    @property
    def token(self) -> str:
        return self.url.partition("token=")[2]


@contextmanager
def serving(
    folder: Path,
    *,
    photo: str | None = None,
    backbone: str = "tiny",
    port: int = 0,
    plugin: object = None,
    **more: Any,
) -> Iterator[Served]:
    """A server of `folder` in a thread of its own, on a free port if none is given; no browser.

    `plugin` is one more that its host has.
    """
    from locstyle_plugins.page.serving import serve
    from locstyle_plugins.page.startup import Startup

    more.setdefault("kept", folder.parent / f"{folder.name}-kept")
    startup = Startup(folder, photo, backbone=backbone, cache=False, **more)
    found: dict[str, Any] = {}
    is_up = threading.Event()

    def told(address: str) -> None:
        found.update(address=address)

    def ready(server: Any) -> None:
        found.update(server=server)
        is_up.set()

    def run() -> None:
        with contextlib.ExitStack() as plugins:
            host = plugins.enter_context(ls.Host().temporarily(TinyModel(), name="tiny-model"))
            if plugin is not None:
                host = plugins.enter_context(host.temporarily(plugin, name="one-more"))
            serve(startup, host, port, told, ready)

    thread = threading.Thread(target=run, name="test-server", daemon=True)
    thread.start()
    assert is_up.wait(30), "the server did not start"
    try:
        yield Served(found["address"], found["server"].desk)
    finally:
        found["server"].should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the server did not end"
