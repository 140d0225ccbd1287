"""New noise, drawn on the CPU in float32, so that a seed means the same on every device."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for one purpose: a new consumer of randomness does not shift the others."""
    digest = hashlib.sha256(f"{seed}:{purpose}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") % 2**63)


@dataclass(frozen=True)
class Fresh:
    """New noise for every timestep, always the same for a seed: whoever asks again, in another
    row, pass or run, gets the same."""

    seed: int = 0

    def at(self, t: int, like: Tensor) -> Tensor:
        """Noise of unit variance for timestep `t`, as large as `like` and where it is."""
        drawn = torch.randn(like.shape, generator=generator(self.seed, f"fresh {t}"))
        return drawn.to(like)
