"""The embedded backbone `mini`: a small Stable Diffusion 1.x trained on a procedural world."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any  # loaders are typed by the hook that takes them

import locstyle as ls

if TYPE_CHECKING:
    import torch

WEIGHTS = Path(__file__).parent / "weights"


def load(name: str, device: str, dtype: "torch.dtype | None") -> "ls.Backbone":
    """The backbone in this package's weights; `name` is always "mini".

    Raises:
        BackboneError: the weights are not there.
    """
    if not (WEIGHTS / "unet").is_dir():
        raise ls.BackboneError(
            f"backbone: 'mini' has no weights in {WEIGHTS}; install locstyle anew, or train them: "
            "locstyle mini train --minutes 60"
        )
    backbone = ls.load_backbone(WEIGHTS, device=device, dtype=dtype, family="mini")
    backbone.name = "mini"  # not the folder it happens to lie in
    backbone.working = 2 * backbone.native  # sharper, and as true to styles' things: docs/frames.md
    return backbone


@ls.hookimpl
def register_backbones(register: Callable[[str, Callable[..., Any]], None]) -> None:
    """Offer the backbone `mini`."""
    register("mini", load)
