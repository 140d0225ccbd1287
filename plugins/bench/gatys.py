"""The baseline `gatys`: pixels optimised until a learned eye sees the style, pasted.

Gatys et al., arXiv:1508.06576, inside one mask at a time, by the network of the metric `eye`
(EfficientNet-Lite0 instead of VGG), in colour and in grey. No diffusion model takes part.
*Deviation:* Gram matrices are compared as the metric does, by block over the sum of their norms, so
that no block needs a weight; Adam instead of L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

import locstyle as ls

from .baselines import Attempt, Bench, as_tensor, pasted
from .cases import Area, Case, Picture

Look: TypeAlias = Callable[[Tensor], list[Tensor]]  # [n, 3, h, w] in [0, 1]: features by block

STEPS, RATE = 60, 0.03  # of Adam, from the photo
CONTENT, BLOCK = 0.1, 2  # how much the photo's grey features at this block, of stride 8, hold
SIDE = 256  # pixels of a picture's longer side, at least, when it is looked at
MARGIN = 16  # pixels around a region that are looked at with it
FEWEST = 8  # places a block must have wholly inside to say anything
GREY = (0.299, 0.587, 0.114)


def gatys(bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
    """Every region optimised towards its style picture.

    Raises:
        PluginError: the packages with the network are not there.
    """
    with torch.inference_mode(False), torch.enable_grad():
        look = bench.editor.host.metric("eye").features  # made here: its weights take part
        found = [
            optimised(look, case.photo, mask, style.picture)
            for mask, style in zip(case.masks, case.styles, strict=True)
        ]
    return Attempt(pasted(case, found), {"rows": 0.0})


def optimised(look: Look, photo: Picture, mask: Area, style: Picture) -> Picture:
    """The photo with what is inside the mask optimised; the rest as it was."""
    around = _box(mask)
    goal = _seen(look, as_tensor(style)[None], max(style.shape))
    goals = [_grams(one, None) for one in goal]
    place = as_tensor(photo[around])[None]
    inside = torch.from_numpy(mask[around].astype(np.float32))[None, None]
    sights = _Sights(look, place, inside, max(photo.shape))
    held = sights.of(place)[BLOCK][1].detach()
    drawn = place.clone().requires_grad_()
    optimiser = torch.optim.Adam([drawn], RATE)
    for _ in range(STEPS):
        optimiser.zero_grad()
        seen = sights.of(drawn)
        kept = (seen[BLOCK][1] - held).square().sum() / held.square().sum().clamp_min(1e-6)
        _loss(seen, goals, inside).add(CONTENT * kept).backward()  # type: ignore[no-untyped-call]  # torch's
        optimiser.step()
        with torch.no_grad():
            drawn.clamp_(0, 1)
    done = photo.copy()
    pixels = sights.whole(drawn).detach()[0].permute(1, 2, 0).numpy()
    done[around] = np.round(255 * pixels).astype(np.uint8)
    return done


class _Sights(NamedTuple):
    """How a place looks with something drawn inside it."""

    look: Look
    place: Tensor
    inside: Tensor
    side: int  # of the photo's longer side, pixels

    def whole(self, drawn: Tensor) -> Tensor:
        return torch.where(self.inside > 0, drawn, self.place)

    def of(self, drawn: Tensor) -> list[Tensor]:
        return _seen(self.look, self.whole(drawn), self.side)


def _seen(look: Look, picture: Tensor, side: int) -> list[Tensor]:
    """By block the features [2, C, h, w] of a picture in colour and in grey."""
    grey = (picture * picture.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
    both = torch.cat([picture, grey.expand_as(picture)])
    if side < SIDE:
        both = functional.interpolate(both, scale_factor=SIDE / side, mode="bilinear")
    return look(both)


def _loss(seen: Sequence[Tensor], goals: Sequence[Tensor | None], inside: Tensor) -> Tensor:
    """Mean over blocks, colour and grey, of the distance of Gram matrices, in [0, 1]."""
    apart = [torch.zeros(())]
    for values, goal in zip(seen, goals, strict=True):
        found = _grams(values, inside)
        if found is not None and goal is not None:
            both = found.norm(dim=(1, 2)) + goal.norm(dim=(1, 2))
            apart.append(((found - goal).norm(dim=(1, 2)) / both.clamp_min(1e-6)).mean())
    return torch.stack(apart).sum() / max(1, len(apart) - 1)


def _grams(values: Tensor, inside: Tensor | None) -> Tensor | None:
    """Mean outer products [2, C, C] at places wholly inside; None with too few."""
    if inside is None:
        held = values.flatten(2)
    else:
        share = functional.adaptive_avg_pool2d(inside, values.shape[2:])[0, 0]
        held = values[:, :, share > 0.999]
    return held @ held.mT / held.shape[2] if held.shape[2] >= FEWEST else None


def _box(mask: Area) -> tuple[slice, slice]:
    """The rows and columns of a mask, and some around them."""
    rows, columns = (np.flatnonzero(mask.any(axis=1 - axis)) for axis in (0, 1))
    ends = ((int(one[0]), int(one[-1]) + 1) for one in (rows, columns))
    down, right = (slice(max(0, first - MARGIN), last + MARGIN) for first, last in ends)
    return down, right
