"""The one loop that runs a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from math import lcm
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from locstyle.engine.backbone import Backbone, Text
from locstyle.engine.call import Call, Row, Takes
from locstyle.engine.noise import Fresh
from locstyle.engine.plan import Branch, Plan
from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.engine.schedule import Schedule
from locstyle.engine.solvers import Aim, Leg, Solver, ddim
from locstyle.engine.tiles import Tile, Tiles
from locstyle.engine.trajectory import require_finite
from locstyle.errors import DenoiseError

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.engine.intervene import Attachment


FEWEST = 0
"""As `max_rows`: as few rows in a pass as can run without others."""


@dataclass(frozen=True, eq=False)
class Denoised:
    """The clean latent [1, channels, h, w] and how many rows the network evaluated for it."""

    latent: Tensor
    rows: int


def denoise(
    backbone: Backbone,
    plan: Plan,
    schedule: Schedule,
    start: Tensor,
    *,
    solver: Solver = ddim,
    tiles: Tiles | None = None,
    max_rows: int | None = None,
    fresh: Fresh | None = None,
    on_step: OnStep = ignore,
) -> Denoised:
    """Run `plan` from the latent `start` [1, channels, h, w] at the schedule's noisiest point.

    `solver` decides how the latent steps; what a trajectory gives is as it was inverted. `max_rows`
    bounds how many rows run in one forward pass (`FEWEST`: as few as can); the result does not
    depend on it. Rows that others take from go first, and what is taken from them is kept for one
    step. `tiles`: the windows of the latent that are evaluated one by one and averaged, row by row;
    None: it is one. A row that follows a trajectory of a tile's own size, a reference's, is
    evaluated whole in each. `fresh`: where a solver takes new noise from; None: that of seed 0.

    Raises:
        DenoiseError: the latent is not finite after a step; names the step. Or rows that take from
            each other do not fit into `max_rows`.
        SiteError: an intervention does not fit the backbone.
        BusyError: called in the middle of another run on this backbone.
    """
    x, rows, tell = start, 0, backbone.turns.told(on_step)
    parts = tiles or Tiles.whole((x.shape[-2], x.shape[-1]))
    fresh = fresh or Fresh()
    count = _Count(schedule.steps, len(parts.tiles))
    before: Aim | None = None

    def tiled(call: Call, index: int, x: Tensor) -> Iterator[tuple[Call, Tile]]:
        """The calls of step number `index`, a tile each; what is done is told between them."""
        for number, tile in enumerate(parts.tiles):
            if number:
                tell(count.step(index, number, backbone.preview(x)))
            yield call if parts.is_one else replace(call, size=tile.size, tile=tile), tile

    with backbone.turns.take("denoising"), backbone.attach(plan.interventions) as attachment:
        for index, t in enumerate(schedule.timesteps):
            call = Call(schedule.fraction(t), t, (), parts.size)
            active = [branch for branch in plan.branches if branch.window.holds(call.fraction)]
            passes = in_passes(active, plan.takes, max_rows)
            # of all rows alike, whichever pass they are in, so that what they give fits
            call = replace(call, texts=max((len(one.texts(t)) for one in active), default=1))
            tokens = lcm(*(text.states.shape[1] for one in active for text in one.texts(t)))
            predicted = parts.merged(
                _predicted(backbone, attachment, here, passes, _Seen(tile.of(x), tile, tokens))
                for here, tile in tiled(call, index, x)
            )
            names = [branch.name for branches in passes for branch in branches]
            predictions = dict(zip(names, predicted.split(1), strict=True))
            rows += len(active) * len(parts.tiles)
            prediction, end = plan.compose(predictions, call), schedule.after(index)
            aim = Aim(schedule.clean(x, prediction, t), t)
            x, before = solver(schedule, Leg(x, prediction, aim, before, end, fresh)), aim
            if plan.hold is not None:
                x = plan.hold.apply(x, end)
            require_finite(x, "denoising", index + 1, schedule.steps)
            tell(count.step(index, len(parts.tiles), backbone.preview(x)))
    return Denoised(x, rows)


class _Count(NamedTuple):
    """Steps as they are told: one for every tile of every step."""

    steps: int
    tiles: int

    def step(self, index: int, tiles: int, preview: Callable[[], Image]) -> Step:
        """What is told when `tiles` tiles of step number `index` are done."""
        done = index * self.tiles + tiles
        return Step("denoise", done, self.steps * self.tiles, preview=preview)


def in_passes(
    branches: Sequence[Branch], takes: Sequence[Takes], most: int | None = None
) -> list[list[Branch]]:
    """The branches of each forward pass, at most `most`: whoever is taken from runs no later than
    whoever takes. With `FEWEST` they are as small as rows that take from each other let them be.

    Raises:
        DenoiseError: some rows take from each other and do not fit into one pass.
    """
    if most == FEWEST:
        return _in_small_passes(branches, takes)
    needs = _needs(branches, takes)
    ordered, left = [], sorted(branches, key=lambda one: not _gives(one, takes))
    while left:
        names = {branch.name for branch in left}
        free = [one for one in left if not needs[one.name] & names] or left
        ordered.append(free[0])
        left.remove(free[0])
    size = most or max(len(ordered), 1)
    passes = [ordered[start : start + size] for start in range(0, len(ordered), size)]
    _check_order(passes, needs)
    return passes


def _in_small_passes(branches: Sequence[Branch], takes: Sequence[Takes]) -> list[list[Branch]]:
    """The passes of the least bound that does not part rows which take from each other."""
    for most in range(1, len(branches)):
        with suppress(DenoiseError):
            return in_passes(branches, takes, most)
    return in_passes(branches, takes)


def _needs(branches: Sequence[Branch], takes: Sequence[Takes]) -> dict[str, set[str]]:
    """The rows that each row takes from."""
    return {
        branch.name: {row for one in takes if branch.name in one.to for row in one.rows}
        - {branch.name}
        for branch in branches
    }


def _gives(branch: Branch, takes: Sequence[Takes]) -> bool:
    return any(branch.name in one.rows for one in takes)


def _check_order(passes: Sequence[Sequence[Branch]], needs: Mapping[str, set[str]]) -> None:
    done: set[str] = set()
    names = {branch.name for branches in passes for branch in branches}
    for branches in passes:
        done |= {branch.name for branch in branches}
        for branch in branches:
            if late := needs[branch.name] & names - done:
                raise DenoiseError(
                    f"rows {branch.name!r} and {min(late)!r} take from each other, so they have to "
                    f"run in one forward pass; max_rows {len(passes[0])} does not hold them, raise "
                    "it or leave it out"
                )


class _Seen(NamedTuple):
    """What a pass shows: the latent there, the tile it is, and the `tokens` of each text."""

    x: Tensor
    tile: Tile
    tokens: int


def _row(branch: Branch, t: int, tokens: int) -> Row:
    copies = tuple(tokens // text.states.shape[1] for text in branch.texts(t))
    return Row(branch.name, branch.owner, copies if max(copies) > 1 else ())


def _predicted(
    backbone: Backbone,
    attachment: Attachment,
    call: Call,
    passes: Sequence[Sequence[Branch]],
    seen: _Seen,
) -> Tensor:
    """What all rows predict for one tile, in the order of the passes."""
    attachment.begin(passes=len(passes))
    found = []
    for branches in passes:
        rows = tuple(_row(branch, call.t, seen.tokens) for branch in branches)
        attachment.call = replace(call, rows=rows)
        found.append(_predict(backbone, attachment.call, branches, seen))
    return torch.cat(found)


def _predict(backbone: Backbone, call: Call, branches: Sequence[Branch], seen: _Seen) -> Tensor:
    latents = torch.cat([_latent(branch, call, seen.x) for branch in branches])
    spoken = [_states(branch.texts(call.t), call.texts, seen.tokens) for branch in branches]
    tiles = [_shown(branch, call, seen.tile) for branch in branches]
    return backbone.predict(latents, call.t, torch.cat(spoken), tiles)


def _latent(branch: Branch, call: Call, x: Tensor) -> Tensor:
    """What a row is evaluated at: the edited latent or its trajectory's, as far as it is here."""
    if branch.latent is None:
        return x
    followed = branch.latent.at(call.t).to(x)
    is_here = followed.shape[-2:] == x.shape[-2:]
    return followed if is_here or call.tile is None else call.tile.of(followed)


def _shown(branch: Branch, call: Call, tile: Tile) -> Tile:
    """The part of a picture that a row shows; a reference as large as a tile is all of itself."""
    if branch.latent is None:
        return tile
    height, width = branch.latent.at(call.t).shape[-2:]
    if (height, width) == tile.size:
        return Tile.all_of(tile.size, branch.latent.photo)
    return replace(tile, photo=branch.latent.photo)


def _states(texts: tuple[Text, ...], count: int, tokens: int) -> Tensor:
    """A row's text states [1, count · tokens, dim]; a single text takes every place, and one in
    fewer windows than another stands there several times, which reads like once."""
    texts = texts if len(texts) > 1 else texts * count
    return torch.cat([_copied(text.states, tokens) for text in texts], 1)


def _copied(states: Tensor, tokens: int) -> Tensor:
    copies = tokens // states.shape[1]
    return states if copies == 1 else states.repeat(1, copies, 1)
