"""A backbone by its name on the hub: asked for seconds, never for minutes, and in our words."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import locstyle as ls
from locstyle.engine.backbones import checkpoint
from locstyle.testing import save_tiny


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """A hub that takes calls and never answers."""
    import huggingface_hub.constants as constants

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        yield silent


@pytest.mark.parametrize("is_listening", [True, False])
def test_a_hub_that_is_not_there_is_said_at_once(
    hub: socket.socket, monkeypatch: pytest.MonkeyPatch, is_listening: bool
) -> None:
    monkeypatch.setattr(checkpoint, "PATIENCE", 0.5)
    if not is_listening:
        hub.close()
    start = time.monotonic()
    message = r"'owner/name' is no folder here, and the hub .* cannot be reached .*; connect"
    with pytest.raises(ls.BackboneError, match=message):
        ls.load_backbone("owner/name", device="cpu")
    assert time.monotonic() - start < 10


def test_what_was_downloaded_before_needs_no_hub(hub: socket.socket, tmp_path: Path) -> None:
    repository = tmp_path / "hub" / "models--owner--name"
    save_tiny(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    hub.close()
    assert ls.load_backbone("owner/name", device="cpu", family="tiny").native == 32
