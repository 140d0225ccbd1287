"""While one request waits for what takes long, the others are answered."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from calling import Client
from serving import serving

import locstyle as ls

SOON = 10.0  # seconds; the stand-in waits until the test lets it go, so any bound tells


@pytest.fixture
def gate(monkeypatch):
    """Looking at a photo takes until `gate.open()`."""
    from locstyle_plugins.classic import Classic

    return Gate(monkeypatch, Classic, "embed")


@pytest.fixture
def large(monkeypatch):
    """Reading a photo named large takes until `large.open()`."""
    return Gate(monkeypatch, ls.Photo, "open", lambda path: "large" in str(path))


class Gate:
    """Lets nobody into a method until it is opened; `reached` once somebody stands there."""

    def __init__(self, monkeypatch, owner, name, holds=lambda *args: True):
        self.reached, self._opened = threading.Event(), threading.Event()
        inside = getattr(owner, name)

        def held(*args, **kwargs):
            if holds(*args):
                self.reached.set()
                assert self._opened.wait(60)
            return inside(*args, **kwargs)

        monkeypatch.setattr(owner, name, held)

    @contextmanager
    def shut(self):
        try:
            yield
        finally:
            self._opened.set()


def test_others_are_answered_while_a_photo_is_looked_at(folder, tmp_path, recipe, gate):
    with serving(folder, photo="photo.png", kept=tmp_path / "kept") as served, gate.shut():
        client = Client(served)
        photo = client.get("/api/hello").data["photo"]
        asked = {"image": "photo.png", "segmenter": "classic"}
        looking = client.post("/api/segments", asked).data
        assert gate.reached.wait(SOON)
        drawn = recipe | {"regions": [{"mask": "box:8,8,56,40"}, {"mask": "brush:9:40,40"}]}
        for answer in (
            client.get("/api/hello"),
            client.get(f"/api/photos/{photo['id']}/preview"),
            client.get(f"/api/photos/{photo['id']}/tiles/0/0/0"),
            client.get("/api/styles"),
            client.get("/api/state"),
            client.post("/api/masks", {"recipe": drawn}),
            client.post("/api/validate", {"recipe": recipe}),
        ):
            assert answer.status == 200, answer.body
        assert not any(
            region["error"]
            for region in client.post("/api/masks", {"recipe": drawn}).data["regions"]
        )
        drawing = client.post("/api/preview", {"recipe": recipe}).data
        assert client.ended(drawing)["state"] == "done"
        assert client.get(f"/api/jobs/{looking['id']}").data["state"] == "running"


def test_others_are_answered_while_a_large_photo_is_read(folder, tmp_path, recipe, large):
    shutil.copy(folder / "photo.png", folder / "large.png")
    shutil.copy(folder / "painting.png", folder / "other.png")
    with serving(folder, photo="photo.png", kept=tmp_path / "kept") as served:
        client = Client(served)
        photo = client.get("/api/hello").data["photo"]
        with ThreadPoolExecutor(2) as threads, large.shut():
            opening = threads.submit(client.post, "/api/open", {"path": "large.png"})
            assert large.reached.wait(SOON)
            drawn = recipe | {"regions": [{"mask": "auto:1"}]}
            for answer in (
                client.get("/api/hello"),
                client.get(f"/api/photos/{photo['id']}/tiles/0/0/0"),
                client.post("/api/masks", {"recipe": drawn}),
                client.post("/api/open", {"path": "other.png"}),
                client.post("/api/upload?name=mine.png", raw=(folder / "other.png").read_bytes()),
            ):
                assert answer.status == 200, answer.body
            drawing = client.post("/api/preview", {"recipe": recipe}).data
            assert client.ended(drawing)["state"] == "done"
            again = threads.submit(client.post, "/api/open", {"path": "large.png"})
            assert not opening.done() and not again.done()
        assert opening.result().data["photo"] == again.result().data["photo"]
