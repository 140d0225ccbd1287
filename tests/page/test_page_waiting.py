"""While one request waits for what takes long, the others are answered."""

from __future__ import annotations

import threading
from contextlib import contextmanager

import pytest
from calling import Client
from serving import serving

SOON = 10.0  # seconds; the stand-in waits until the test lets it go, so any bound tells


@pytest.fixture
def gate(monkeypatch):
    """Looking at a photo takes until `gate.open()`."""
    from locstyle_plugins.classic import Classic

    return Gate(monkeypatch, Classic, "embed")


class Gate:
    """Lets nobody into a method until it is opened; `reached` once somebody stands there."""

    def __init__(self, monkeypatch, owner, name):
        self.reached, self._opened = threading.Event(), threading.Event()
        inside = getattr(owner, name)

        def held(*args, **kwargs):
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
