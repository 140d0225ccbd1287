"""What an edit leaves open, decided: by the fusion, the backbone, or what is usual."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from locstyle.edit import Edit, Fusing
from locstyle.edit.checks import WEIGHTED
from locstyle.engine.backbone import Backbone
from locstyle.engine.plan import Window
from locstyle.engine.schedule import LCM_LEVELS, Schedule, Spacing
from locstyle.engine.solvers import RENOISING, SPACINGS, Sampling
from locstyle.errors import LocstyleWarning, RecipeError
from locstyle.job.frames import Frame
from locstyle.job.styles import style_places
from locstyle.plugin.protocols import Fusion
from locstyle.style.tempo import Tempo

QUICK_STEPS = 6
"""Steps of a preview."""

QUICK_SIDE = 0.75
"""A preview's working size, as a share of the backbone's own."""


@dataclass(frozen=True)
class Settled:
    """How an edit is run where it left that open, or as it said.

    `refine`: how often a step of the inversion is refined. `side`: the share of the backbone's
    working size that frames take. `spacing`: how timesteps lie; None: as the checkpoint says.
    """

    solver: str
    steps: int
    refine: int
    side: float
    spacing: Spacing | None = None

    @property
    def renoises(self) -> bool:
        """Whether the solver brings new noise to each timestep, so that nothing is inverted."""
        return self.solver in RENOISING

    def schedule(self, backbone: Backbone) -> Schedule:
        """The time points of the run."""
        return backbone.schedule(self.steps).spaced(self.spacing)

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


def settle(edit: Edit, fusion: Fusion, backbone: Backbone, tempo: Tempo | None = None) -> Settled:
    """How an edit is run, under an accelerator of that `tempo`.

    What it says counts; then what its accelerator was made for; then, for a preview, few steps at
    a smaller size; then what the fusion asks for; then what is usual. Steps that a fusion asks for
    belong to its own solver.

    Raises:
        RecipeError: no such solver, one the fusion's inversion is not for, or too many steps.
    """
    settled = asked(edit, fusion, tempo)
    most = LCM_LEVELS if settled.spacing == "lcm" else len(backbone.alphas) - 1
    if settled.steps > most:
        lcm = settled.spacing == "lcm"
        whose = "LCM's spacing" if lcm else f"backbone {backbone.name!r}"
        raise RecipeError(f"got {settled.steps}; {whose} takes 1 to {most}", place="steps")
    return settled


def asked(edit: Edit, fusion: Fusion, tempo: Tempo | None = None) -> Settled:
    """As `settle`, before the backbone is known."""
    wanted: Sampling = getattr(fusion, "sampling", Sampling())
    few = QUICK_STEPS if edit.quick else None
    if tempo is not None:
        wanted, few = Sampling(tempo.solver), tempo.steps
    solver, steps = wanted.asked(edit.solver, few if edit.steps is None else edit.steps)
    _check_inversion(edit, fusion, solver, tempo)
    refine = edit.inversion_refine
    refine = fusion.inversion.refine if refine is None else refine
    spacing = SPACINGS.get(solver) if tempo is None else tempo.spacing
    side = QUICK_SIDE if edit.quick else 1.0
    return Settled(solver, steps, 0 if solver in RENOISING else refine, side, spacing)


def _check_inversion(edit: Edit, fusion: Fusion, solver: str, tempo: Tempo | None) -> None:
    """Refuses a solver or an accelerator that the fusion's inversion is not for."""
    how, name = fusion.inversion, edit.fusion.name
    if tempo is not None and (how.pivot is not None or how.steps is not None):
        own = (
            "learns how to come back" if how.pivot is not None else f"inverts in {how.steps} steps"
        )
        raise RecipeError(
            f"fusion {name!r} {own} with these options, which is for the model as it is; leave "
            "the accelerator out, or take other options",
            place="accelerator",
        )
    if how.pivot is not None and solver != "ddim":
        raise RecipeError(
            f"got {solver!r}, but fusion {name!r} learns with these options "
            "how to come back in DDIM's own steps; give 'ddim', or leave the solver out",
            place="solver",
        )
    if solver not in RENOISING:
        return
    if how.steps is not None:
        raise RecipeError(
            f"got {solver!r}, which inverts nothing, but fusion {name!r} inverts in {how.steps} "
            "steps with these options; take another solver, or other options",
            place="solver",
        )
    if edit.inversion_refine:
        raise RecipeError(
            f"got {edit.inversion_refine!r}, but solver {solver!r} inverts nothing: it brings new "
            "noise to every step; leave it out",
            place="inversion_refine",
        )


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
