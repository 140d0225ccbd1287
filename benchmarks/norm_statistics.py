"""An experiment: GroupNorm with other statistics in mixed rows, for the length of a `with`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal  # of what a backbone of diffusers has beyond the protocol
from unittest.mock import patch

import torch
from torch import Tensor, nn

import locstyle as ls
from locstyle.engine.interventions.norms import normalized

Statistics = Literal["shared", "own", "photo"]


@contextmanager
def statistics(backbone: Any, whose: Statistics) -> Iterator[None]:
    """Within, GroupNorm of mixed rows normalizes by each region's own statistics, or by those of
    the photo's row as long as there is one."""
    plain = backbone.attach

    @contextmanager
    def attach(interventions: Sequence[Any]) -> Iterator[Any]:
        with plain(interventions) as attachment, ExitStack() as stack:
            owned = [one.ownership for one in interventions if isinstance(one, ls.Deltas)]
            norms = [m for m in backbone.unet.modules() if isinstance(m, nn.GroupNorm)]
            for module in norms if owned else ():
                hook = _normalizing(attachment, owned[0], whose)
                stack.callback(module.register_forward_hook(hook).remove)
            yield attachment

    with patch.object(backbone, "attach", plain if whose == "shared" else attach):
        yield


def _normalizing(
    attachment: Any, ownership: ls.Ownership, whose: Statistics
) -> Callable[[nn.GroupNorm, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(module: nn.GroupNorm, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        call, (x,) = attachment.now(), inputs
        mixed = [index for index, row in enumerate(call.rows) if row.owner == ls.MIXED]
        source = call.index("source")
        if not mixed or (whose == "photo" and source is None):
            return output
        output = output.clone()
        if whose == "photo":
            one = torch.ones(1, *x.shape[-2:]).to(x)
            output[mixed] = normalized(module, x[mixed], one, x[source][None])
        else:
            own = ownership.mixed(call.grid(x), x)
            there = own[own.flatten(1).any(1)]
            output[mixed] = normalized(module, x[mixed], there, x[mixed])
        return output

    return hook
