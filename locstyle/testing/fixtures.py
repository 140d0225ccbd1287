"""Fixtures every test suite has once locstyle is installed beside pytest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from locstyle.editor import Editor
    from locstyle.plugin.host import Host


@pytest.fixture
def plugin_host() -> Host:
    """A host of its own with the installed plugins; add yours with `plugin_host.temporarily`."""
    from locstyle.plugin.host import Host

    return Host()


@pytest.fixture
def tiny_editor(plugin_host: Host) -> Editor:
    """An editor on a tiny random backbone that sees what `plugin_host` has."""
    from locstyle.editor import Editor
    from locstyle.testing import tiny_backbone

    return Editor(tiny_backbone(), plugin_host)
