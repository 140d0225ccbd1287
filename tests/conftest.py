"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import tiny_backbone

# Layers this small are slower on two threads than on one, and far slower on a busy machine.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The command line keeps inversions; tests must not, where their user keeps them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOCSTYLE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def backbone() -> UNetBackbone:
    """One tiny random backbone for the whole session; tests must leave it as they found it."""
    return tiny_backbone()
