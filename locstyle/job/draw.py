"""One frame of a job, from the photo's window to the styled picture of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from locstyle.engine.denoise import Denoised, denoise
from locstyle.job.check_plan import checked_plan
from locstyle.job.gate import Gate, reconstruct
from locstyle.job.make_scene import decoded, make_scene
from locstyle.job.palette import Palette, palettes_of, recoloured
from locstyle.result import DrawnFrame, FrameReport

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from locstyle.engine.progress import OnStep, Step
    from locstyle.job.frames import Frame
    from locstyle.job.inversions import Inversions, Inverter
    from locstyle.job.resolve import Job
    from locstyle.masks import Partition


@dataclass(frozen=True)
class Drawing:
    """How frames are drawn: by the fusion of the plugin `who`; `max_rows` bounds the rows of one
    forward pass, `check` also denoises each back unstyled; `phase` times a part of the work by its
    name."""

    who: str
    max_rows: int | None
    check: bool
    phase: Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, eq=False)
class Rendered:
    """A frame as it came out: its latent, its working picture [3, ph, pw] in [0, 1] on the CPU, who
    owned it, and what it took."""

    frame: Frame
    done: Denoised
    picture: Tensor
    partition: Partition
    inverted: Inversions
    gate: Gate | None

    @property
    def drawn_frame(self) -> DrawnFrame:
        """What a result shows of it."""
        canvas, latent = self.frame.canvas, self.done.latent.clone()  # no inference tensor
        return DrawnFrame(canvas.box, self.frame.regions, latent, self.partition, canvas.padded)

    @property
    def report(self) -> FrameReport:
        """What a report says of it."""
        canvas, tiles = self.frame.canvas, len(self.frame.tiles.tiles)
        rows = self.done.rows, self.inverted.rows
        return FrameReport(canvas.box, canvas.padded, self.frame.regions, tiles, *rows)


def draw(job: Job, frame: Frame, inverter: Inverter, drawing: Drawing, on_step: OnStep) -> Rendered:
    """Inverts the frame's window, denoises it under the regions' styles, and decodes it.

    Raises:
        DenoiseError: a latent is not finite.
    """
    backbone = inverter.backbone
    with drawing.phase("invert"):
        scene, inverted = make_scene(job, frame, inverter, on_step)
    with drawing.phase("denoise"), backbone.seal.kept(drawing.who):
        plan = checked_plan(job.fusion.plan(scene), scene, drawing.who)
        plan = replace(plan, interventions=(*job.under, *plan.interventions))
        colours = _Colours(job, frame, scene.partition)
        done = denoise(
            backbone,
            plan,
            scene.schedule,
            scene.start(0) if plan.start is None else plan.start,
            solver=job.solver,
            tiles=frame.tiles,
            max_rows=drawing.max_rows,
            fresh=job.fresh,
            on_step=colours.shown(on_step),
        )
    with drawing.phase("decode"):
        picture = colours.of(decoded(backbone, done.latent, frame.tiles))
    gate = None
    if drawing.check:
        with drawing.phase("check"):
            gate = reconstruct(job, frame, scene, on_step)
    return Rendered(frame, done, picture, scene.partition, inverted, gate)


@dataclass(frozen=True, eq=False)
class _Colours:
    """What becomes of a frame's colours, finished or on the way."""

    job: Job
    frame: Frame
    partition: Partition

    @property
    def palettes(self) -> list[Palette | None]:
        """Those of the regions drawn; all None where colours stay as they are."""
        found = palettes_of(self.job.edit, self.job.styles)
        return [found[index] for index in self.frame.regions]

    def of(self, picture: Tensor) -> Tensor:
        """A picture of the frame, [3, ph, pw] in [0, 1], as its palettes have it."""
        palettes = self.palettes
        if not any(palettes):
            return picture
        photo = self.job.photo.on(self.frame.canvas)
        return recoloured(picture, photo, self.partition.values[1:], palettes)

    def shown(self, on_step: OnStep) -> OnStep:
        """`on_step`, told of previews with these colours."""
        if not any(self.palettes):
            return on_step

        def tell(step: Step) -> None:
            preview = step.preview
            on_step(replace(step, preview=preview and (lambda: self._seen(preview))))

        return tell

    def _seen(self, preview: Callable[[], Image.Image]) -> Image.Image:
        drawn = torch.from_numpy(np.array(preview())).permute(2, 0, 1) / 255
        pixels = self.of(drawn).permute(1, 2, 0).mul(255).round().byte().numpy()
        return Image.fromarray(pixels)
