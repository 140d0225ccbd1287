"""All that one server has: photos, the model, what is being done, what was done."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from threading import Lock, Timer
from typing import Any  # plain data

import locstyle as ls

from .easel import Easel
from .errands import Errand, Line
from .events import Log
from .fence import Fence
from .gallery import Gallery
from .library import Library, Opened, stamp_of
from .looking import Looking
from .painter import Painter
from .portfolio import Portfolio
from .refusals import Refusal, not_found
from .startup import Startup
from .uploads import sweep

WAKES_AFTER = 0.6
"""Seconds after the first picture was sent, before torch is loaded."""

WARM_UP, FORETELL = "load", "foretell"
"""Kinds of errands that are the server's own: they load the model, and say how long a run takes."""


class Desk:
    """What the routes of one server share; `close` ends what it started."""

    def __init__(self, startup: Startup, host: ls.Host) -> None:
        self.startup, self.host = startup, host
        self.uploads.mkdir(parents=True, exist_ok=True)
        self.events = Log()
        self.fence = Fence(startup.root, startup.folder)
        self.library, self.portfolio = Library(), Portfolio()
        self.looking = Looking(self.library, host)
        self.gallery = Gallery(self.fence, host, self.uploads)
        self.easel = Easel(startup, host, self._model_changed)
        self.painter = Painter(self.easel, self.library, self.fence, self.portfolio)
        self.line = Line("locstyle-page-model", self._errand_changed)
        self.side_line = Line("locstyle-page-segments", self._errand_changed)
        self.streams = 0
        self._state_lock = Lock()
        self._stamps: dict[str, str] = {}

    @property
    def uploads(self) -> Path:
        return self.startup.folder / "uploads"

    def hello(self) -> dict[str, Any]:
        """What a client wants to know first."""
        asked = self.startup
        return {
            "locstyle": ls.__version__,
            "api": 1,
            "root": str(asked.root),
            "backbone": asked.backbone,
            "model": self.easel.to_dict(),
            "fusions": self._fusions(),
            "limits": {
                "upload_bytes": asked.upload_bytes,
                "recipe_bytes": asked.body_bytes,
                "state_bytes": asked.body_bytes,
            },
            **self._first(),
        }

    def begin(self) -> None:
        """What is better done before anybody asks: the photo is looked at, old uploads go."""
        self.hello()
        self.sweep()

    def say_goodbye(self) -> None:
        """Ends the event streams, and cancels everything."""
        self.events.add("bye", {}, last=True)
        for errand in (*self.side_line.all(), *self.line.all()):
            errand.cancel()
            errand.log.add("bye", {}, last=True)

    def close(self) -> None:
        """Says goodbye, and waits until all has ended."""
        self.say_goodbye()
        self.side_line.close()
        self.line.close()
        self.sweep()

    def sweep(self) -> None:
        """Removes uploads that nobody needs any more."""
        sweep(self.uploads, self.read_state()["state"])

    def open(self, path: Path, image: str) -> Opened:
        """The photo in a file, which a recipe calls `image`."""
        opened = self.library.open(path, image)
        self._stamps[opened.id] = "there"
        return opened

    def photo_of(self, image: str) -> Opened:
        """The photo of a recipe; what is wrong with it belongs to `image`."""
        with ls.at("image", lead=""):
            return self.open(self.fence.path(image), image)

    def wake(self) -> None:
        """Begins to load the model if nobody has; what fails is told when it is needed."""
        if self.easel.is_new and not any(e.kind == WARM_UP for e in self.line.all()):
            self.line.add(Errand(WARM_UP, "", self._warm_up))

    def wake_soon(self) -> None:
        """As `wake`, once the picture that was just asked for is on its way."""
        if self.easel.is_new:
            Timer(WAKES_AFTER, self.wake).start()

    def foretold(self, asked: ls.Edit, seconds: float = 2) -> dict[str, float]:
        """How many seconds a preview and a render will take; nothing while the model is busy."""
        do = partial(self.painter.foretell, asked)
        errand = self.line.add(Errand(FORETELL, "", do))
        errand.ended.wait(seconds)
        errand.cancel()
        found: dict[str, float] = errand.result or {}
        return found

    def backbone(self, seconds: float = 120) -> ls.Backbone:
        """The model; waits for it where it is being loaded.

        Raises:
            BackboneError: it cannot be loaded.
            Refusal: it takes longer.
        """
        until = time.monotonic() + seconds
        while self.easel.backbone is None:
            self.wake()
            failed = self.easel.to_dict()["error"]
            if failed is not None:
                raise ls.BackboneError(failed["message"])
            if time.monotonic() > until:
                raise Refusal(503, "Loading", "the model is still being loaded; try again")
            time.sleep(0.02)
        return self.easel.backbone

    def jobs(self) -> list[Errand]:
        found = [
            e
            for e in (*self.line.all(), *self.side_line.all())
            if e.kind not in (WARM_UP, FORETELL)
        ]
        return sorted(found, key=lambda errand: -errand.made)

    def job(self, id: str) -> Errand:
        found = self.line.find(id) or self.side_line.find(id)
        if found is None:
            raise not_found("no job of that id")
        return found

    def read_state(self) -> dict[str, Any]:
        """What was autosaved; nothing where the file is not ours to read."""
        try:
            with open(self._state_file, "rb") as file:
                found = json.loads(file.read(2 * self.startup.body_bytes))
            return {"revision": int(found["revision"]), "state": found["state"]}
        except (OSError, ValueError, KeyError, TypeError):
            return {"revision": 0, "state": None}

    def write_state(self, revision: int, state: Any) -> int:
        """The new revision.

        Raises:
            Refusal: somebody else saved meanwhile.
        """
        with self._state_lock:
            current = self.read_state()["revision"]
            if revision != current:
                said = f"revision {revision} is not the current one; another tab saved meanwhile"
                raise Refusal(409, "Conflict", said, current=current)
            data = json.dumps({"revision": current + 1, "state": state})
            ls.write_atomic(self._state_file, data.encode())
            return current + 1

    def look_at_files(self) -> None:
        """Tells of photos whose file is another by now, or gone."""
        for opened in self.library.all():
            found = stamp_of(opened.path)
            now = "there" if found == opened.stamp else "changed" if any(found) else "gone"
            if self._stamps.get(opened.id, "there") != now:
                self._stamps[opened.id] = now
                self.events.add("photo", {"id": opened.id, "state": now})

    @property
    def _state_file(self) -> Path:
        return self.startup.folder / "state.json"

    def _first(self) -> dict[str, Any]:
        """What the command was started with; None for what cannot be opened (any more)."""
        if self.startup.first is None:
            return {"photo": None, "recipe": None, "first_error": None}
        from .opening import open_path
        from .refusals import spoken

        try:
            return {**open_path(self, self.startup.first, "auto"), "first_error": None}
        except (ls.LocstyleError, Refusal) as error:
            return {"photo": None, "recipe": None, "first_error": spoken(error)}

    def _fusions(self) -> list[dict[str, Any]]:
        found = []
        for name in self.host.names("fusions"):
            factory = self.host.find("fusions", name).factory
            found.append(
                {
                    "name": name,
                    "heeds": sorted(getattr(factory, "heeds", ())),
                    "carries": sorted(getattr(factory, "carries", ())),
                    "presets": sorted(getattr(factory, "PRESETS", {})),
                }
            )
        return found

    def _warm_up(self, errand: Errand) -> None:
        """Loads the model before anybody waits for it, and learns how fast it is here."""
        self.painter.warm_up(errand)
        if not any(one.state == "waiting" for one in self.line.all()):
            self.painter.measure()

    def _model_changed(self) -> None:
        self.events.add("model", self.easel.to_dict())

    def _errand_changed(self, errand: Errand) -> None:
        if errand.kind not in (WARM_UP, FORETELL):
            self.events.add("job", errand.to_dict())
