"""What a fusion plans is checked before the first row is computed, and the plugin is named.

Every error here is a plugin's mistake, never a user's; `who` is what `Host.whose` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from locstyle.engine.backbone import Text
from locstyle.engine.call import MIXED, Call
from locstyle.engine.plan import Branch, Compose, Hold, Plan, Predictions
from locstyle.engine.scene import Scene
from locstyle.engine.trajectory import Trajectory
from locstyle.errors import PluginError

# Any, below: a plugin may return whatever it likes, which is what is looked into.


def checked_plan(plan: Any, scene: Scene, who: str) -> Plan:
    """The plan of a fusion for a scene; what it composes is checked, too, whenever it does.

    Raises:
        PluginError: it is no plan for this scene; names the row.
    """
    if not isinstance(plan, Plan):
        raise PluginError(f"{who}: plan returned a {type(plan).__name__}; return an ls.Plan")
    for wrong in (*_rows(plan, scene), *_latents(plan, scene)):
        raise PluginError(f"{who}: {wrong}")
    return replace(plan, compose=_checked(plan.compose, scene, who))


def _rows(plan: Plan, scene: Scene) -> Iterator[str]:
    """What is wrong with the rows of a plan."""
    if not isinstance(plan.branches, tuple) or not plan.branches:
        yield f"branches is {plan.branches!r}; give a tuple of at least one ls.Branch"
        return
    names: set[str] = set()
    for branch in plan.branches:
        if not isinstance(branch, Branch):
            yield f"a {type(branch).__name__} among the branches; give ls.Branch"
            continue
        if branch.name in names:
            yield f"two rows named {branch.name!r}; give each a name of its own"
        names.add(branch.name)
        yield from (f"row {branch.name!r}: {wrong}" for wrong in _row(branch, scene))
    for t in scene.schedule.timesteps:
        if not any(t in _steps(b, scene) for b in plan.branches if isinstance(b, Branch)):
            yield f"no row is evaluated at timestep {t}; widen the window of one"
            break
    for intervention in plan.interventions:
        if not callable(getattr(intervention, "where", None)):
            yield f"intervention {type(intervention).__name__} has no method `where`"
    if not callable(plan.compose):
        yield f"compose is {plan.compose!r}; give a function of predictions and call"


def _row(branch: Branch, scene: Scene) -> Iterator[str]:
    count = len(scene.regions)
    if branch.owner != MIXED and not 0 <= branch.owner <= count:
        yield f"owner {branch.owner!r}; give ls.MIXED, 0 (unstyled) or a region's number to {count}"
    texts = branch.text if isinstance(branch.text, tuple) else (branch.text,)
    if len(texts) not in ({1, count + 1} if branch.owner == MIXED else {1}):
        asked = f"one, or {count + 1}, one for each owner" if branch.owner == MIXED else "one"
        yield f"{len(texts)} texts; give {asked}"
    steps = _steps(branch, scene)
    for text in texts:
        yield from _text(text, steps)
    if isinstance(branch.latent, Trajectory):
        for t in steps:
            if t not in branch.latent.latents:
                yield f"its trajectory has no latent for timestep {t}; invert by the scene's steps"
                return
    elif branch.latent is not None:
        yield f"latent is a {type(branch.latent).__name__}; give an ls.Trajectory or None"


def _text(text: Any, steps: list[int]) -> Iterator[str]:
    if isinstance(text, Mapping):
        missing = [t for t in steps if not isinstance(text.get(t), Text)]
        if missing:
            yield f"its text has nothing to say at timestep {missing[0]}; give one for every step"
    elif not isinstance(text, Text):
        yield f"text is a {type(text).__name__}; give what `backbone.text` makes"


def _steps(branch: Branch, scene: Scene) -> list[int]:
    """The timesteps in which the row is evaluated."""
    schedule = scene.schedule
    return [t for t in schedule.timesteps if branch.window.holds(schedule.fraction(t))]


def _latents(plan: Plan, scene: Scene) -> Iterator[str]:
    """What is wrong with the start and the hold of a plan."""
    shape = scene.latent.shape
    start: Any = plan.start
    if start is not None:
        yield from (f"start {wrong}" for wrong in _unlike(start, shape))
    hold: Any = plan.hold
    if isinstance(hold, Hold):
        wrongs = [*_unlike(hold.weight, (1, 1, *shape[-2:]))]
        yield from (f"the weight of hold {wrong}" for wrong in wrongs)
        if not wrongs and not bool(((hold.weight >= 0) & (hold.weight <= 1)).all()):
            yield "the weight of hold is not in [0, 1]"
    elif hold is not None:
        yield f"hold is a {type(hold).__name__}; give an ls.Hold or None"


def _checked(compose: Compose, scene: Scene, who: str) -> Compose:
    """`compose`, whose every answer is looked at."""

    def composed(predictions: Predictions, call: Call) -> Tensor:
        made = compose(predictions, call)
        like = next(iter(predictions.values()), scene.latent)
        for wrong in _unlike(made, like.shape, like.dtype):
            raise PluginError(f"{who}: what it composes at timestep {call.t} {wrong}")
        return made

    return composed


def _unlike(made: Any, shape: tuple[int, ...], dtype: torch.dtype | None = None) -> Iterator[str]:
    """How something differs from a tensor of this shape and dtype, in words."""
    if not isinstance(made, Tensor):
        yield f"is a {type(made).__name__}; give a tensor {list(shape)}"
    elif tuple(made.shape) != tuple(shape):
        yield f"has the shape {list(made.shape)}; give {list(shape)}"
    elif dtype is not None and made.dtype != dtype:
        yield f"is {made.dtype}; give {dtype}, as predictions are"
