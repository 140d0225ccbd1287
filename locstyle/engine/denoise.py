"""The one loop that runs a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    parts = tiles or Tiles.whole((start.shape[-2], start.shape[-1]))
    loop = _Loop(backbone, plan, schedule, parts, max_rows, backbone.turns.told(on_step))
    x, rows, fresh = start, 0, fresh or Fresh()
    before: Aim | None = None
    with backbone.turns.take("denoising"), backbone.attach(plan.interventions) as attachment:
        for index, t in enumerate(schedule.timesteps):
            due = loop.due(index, t)
            predictions = loop.predictions(attachment, due, x)
            rows += len(predictions) * len(parts.tiles)
            prediction, end = plan.compose(predictions, due.call), schedule.after(index)
            aim = Aim(schedule.clean(x, prediction, t), t)
            x, before = solver(schedule, Leg(x, prediction, aim, before, end, fresh)), aim
            if plan.hold is not None:
                x = plan.hold.apply(x, end)
            require_finite(x, "denoising", index + 1, schedule.steps)
            loop.told(index, len(parts.tiles), x)
    return Denoised(x, rows)


class _Due(NamedTuple):
    """What step number `step` evaluates: its call, and the branches of each forward pass."""

    step: int
    call: Call
    passes: Sequence[Sequence[Branch]]


@dataclass(frozen=True, eq=False)
class _Loop:
    """What is the same in every step."""

    backbone: Backbone
    plan: Plan
    schedule: Schedule
    parts: Tiles
    max_rows: int | None
    tell: OnStep

    def due(self, index: int, t: int) -> _Due:
        """What is evaluated at timestep `t`, of step number `index`."""
        call = Call(self.schedule.fraction(t), t, (), self.parts.size)
        active = [one for one in self.plan.branches if one.window.holds(call.fraction)]
        # of all rows alike, whichever pass they are in, so that what they give fits
        texts = max((len(one.texts(t)) for one in active), default=1)
        passes = in_passes(active, self.plan.takes, self.max_rows)
        return _Due(index, replace(call, texts=texts), passes)

    def predictions(self, attachment: Attachment, due: _Due, x: Tensor) -> dict[str, Tensor]:
        """What each row predicts for the latent `x`, by its name."""
        branches = [branch for some in due.passes for branch in some]
        texts = [text for branch in branches for text in branch.texts(due.call.t)]
        tokens = lcm(*(text.states.shape[1] for text in texts))
        predicted = self.parts.merged(
            _predicted(self.backbone, attachment, call, due.passes, _Seen(tile.of(x), tile, tokens))
            for call, tile in self._tiled(due, x)
        )
        return dict(zip((one.name for one in branches), predicted.split(1), strict=True))

    def _tiled(self, due: _Due, x: Tensor) -> Iterator[tuple[Call, Tile]]:
        """The calls of a step, a tile each; what is done is told between them."""
        for number, tile in enumerate(self.parts.tiles):
            if number:
                self.told(due.step, number, x)
            whole = self.parts.is_one
            yield due.call if whole else replace(due.call, size=tile.size, tile=tile), tile

    def told(self, index: int, tiles: int, x: Tensor) -> None:
        """Tells that `tiles` tiles of step number `index` are done: one for every tile."""
        count = len(self.parts.tiles)
        done, total = index * count + tiles, self.schedule.steps * count
        self.tell(Step("denoise", done, total, preview=self.backbone.preview(x)))


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
