"""What an edit leaves open, decided: by the fusion, the backbone, or what is usual."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from locstyle.edit import Edit, Fusing
from locstyle.edit.checks import WEIGHTED
from locstyle.engine.backbone import Backbone
from locstyle.engine.plan import Window
from locstyle.engine.schedule import Schedule
from locstyle.engine.solvers import Sampling
from locstyle.errors import LocstyleWarning, RecipeError
from locstyle.job.frames import Frame
from locstyle.job.styles import style_places
from locstyle.plugin.protocols import Fusion

QUICK_STEPS = 6
"""Steps of a preview."""

QUICK_SIDE = 0.75
"""A preview's working size, as a share of the backbone's own."""


@dataclass(frozen=True)
class Settled:
    """How an edit is run where it left that open, or as it said.

    `refine`: how often a step of the inversion is refined. `side`: the share of the backbone's
    working size that frames take.
    """

    solver: str
    steps: int
    refine: int
    side: float

    def written(self, edit: Edit, options: Mapping[str, object], frames: Sequence[Frame]) -> Edit:
        """The edit with all of this in it, its fusion's `options`, all of them, and its frames."""
        drawn = () if edit.size is not None else tuple(frame.framing for frame in frames)
        return replace(
            edit,
            fusion=Fusing(edit.fusion.name, edit.fusion.preset, options),
            solver=self.solver,
            steps=self.steps,
            inversion_refine=self.refine,
            prompts=edit.prompts or WEIGHTED,
            frames=drawn,
        )


def settle(edit: Edit, fusion: Fusion, backbone: Backbone) -> Settled:
    """How an edit is run.

    What it says counts; then, for a preview, few steps at a smaller size; then what the fusion
    asks for; then what is usual. Steps that a fusion asks for belong to its own solver.

    Raises:
        RecipeError: no such solver, one the fusion's inversion is not for, or too many steps.
    """
    settled = asked(edit, fusion)
    most = len(backbone.alphas) - 1
    if settled.steps > most:
        raise RecipeError(
            f"got {settled.steps}; backbone {backbone.name!r} takes 1 to {most}", place="steps"
        )
    return settled


def asked(edit: Edit, fusion: Fusion) -> Settled:
    """As `settle`, before the backbone is known."""
    wanted: Sampling = getattr(fusion, "sampling", Sampling())
    quick = QUICK_STEPS if edit.quick else None
    solver, steps = wanted.asked(edit.solver, quick if edit.steps is None else edit.steps)
    if fusion.inversion.pivot is not None and solver != "ddim":
        raise RecipeError(
            f"got {solver!r}, but fusion {edit.fusion.name!r} learns with these options "
            "how to come back in DDIM's own steps; give 'ddim', or leave the solver out",
            place="solver",
        )
    refine = edit.inversion_refine
    refine = fusion.inversion.refine if refine is None else refine
    return Settled(solver, steps, refine, QUICK_SIDE if edit.quick else 1.0)


def warn_of_idle(edit: Edit, schedule: Schedule) -> None:
    """Says which styles have a window between two steps, in which they never act."""
    fractions = [schedule.fraction(t) for t in schedule.timesteps]
    for index, region in enumerate(edit.regions):
        places = style_places(region, index)
        for place, one in zip(places, region.stylings, strict=True):
            window = Window(*one.window)
            if one.strength and not any(window.holds(fraction) for fraction in fractions):
                said = (
                    f"none of the {schedule.steps} steps begins in {list(one.window)}, so the "
                    f"style never acts; the last begins at {fractions[-1]:.2f}; widen it, or take "
                    "more steps"
                )
                where = place.removesuffix("style") + "window"
                warnings.warn(LocstyleWarning(said, place=where), stacklevel=2)
