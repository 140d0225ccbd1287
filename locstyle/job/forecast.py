"""What each frame will take, told before anything runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from locstyle.engine.denoise import in_passes
from locstyle.job.check_plan import checked_plan
from locstyle.job.make_scene import supposed_scene
from locstyle.result import FrameReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locstyle.engine.backbones.whereabouts import Whereabouts
    from locstyle.engine.plan import Plan
    from locstyle.engine.scene import Scene
    from locstyle.job.draw import Drawing
    from locstyle.job.frames import Frame
    from locstyle.job.inversions import Inverter
    from locstyle.job.resolve import Job
    from locstyle.job.speed import Speed

FLOAT = 4
"""Bytes of a number of a latent or a working picture."""

CHANNELS = 4
"""Of a latent, near enough."""

STYLED = 2.0
"""What a pass with styles holds beside what the bare one does: docs/frames.md has what was
measured."""


CODINGS = 2
"""How often each of several tiles is encoded, and decoded: all of them are coded as one."""


@dataclass(frozen=True)
class Forecast(FrameReport):
    """What a frame will take.

    `inversion_rows` are the most there can be: an inversion that was kept takes none, and learning
    may end early. `seconds` and `memory`, in bytes beyond the model's and the photo's, are None
    where speed is not known. `model`: bytes of the backbone's weights that are on its device at
    once, None of one that does not say.
    """

    seconds: float | None = None
    memory: float | None = None
    model: int | None = None


def forecasts(
    job: Job, inverter: Inverter, drawing: Drawing, speed: Speed | None
) -> Iterator[Forecast]:
    """Of each frame of a job, were it drawn so.

    Raises:
        PluginError: the fusion plans what cannot be run.
    """
    parts: Whereabouts | None = getattr(inverter.backbone, "whereabouts", None)
    model = None if parts is None else parts.bytes
    seen: set[object] = set()  # references that an earlier frame has inverted
    for frame in job.frames:
        scene = supposed_scene(job, frame, inverter)
        with inverter.backbone.seal.kept(drawing.who):
            plan = checked_plan(job.fusion.plan(scene), scene, drawing.who)
        found = {
            (id(reference), frame.tiles.tiles[0].size)
            for region in frame.regions
            for style in job.styles[region]
            for reference in style.references
        }
        cost = _Cost.of(inverter, drawing, scene, plan, len(found - seen))
        seen |= found
        box, size, count = frame.canvas.box, frame.canvas.padded, len(frame.tiles.tiles)
        rows = cost.rows * count, cost.inverted(count)
        told = Forecast(box, size, frame.regions, count, *rows, model=model)
        yield told if speed is None else cost.timed(told, frame, speed)


@dataclass(frozen=True)
class _Cost:
    """What a frame takes of each of its tiles, and for its pictures.

    `passes`: how many passes of the network have so many rows. `inversions`: rows for the photo's
    window; `references`: rows for all pictures. `held`: latents kept while it is drawn.
    """

    passes: Counter[int]
    inversions: int
    references: int
    held: int

    @classmethod
    def of(
        cls, inverter: Inverter, drawing: Drawing, scene: Scene, plan: Plan, references: int
    ) -> Self:
        schedule, how = scene.schedule, inverter.inversion
        passes: Counter[int] = Counter()
        for t in schedule.timesteps:
            here = schedule.fraction(t)
            active = [branch for branch in plan.branches if branch.window.holds(here)]
            passes.update(map(len, in_passes(active, plan.takes, drawing.max_rows)))
        if drawing.check:
            passes[1] += schedule.steps
        each = inverter.rows()
        # learning goes forth and back once an update, and twice forth around them
        learned = 0 if how.pivot is None else schedule.steps * (how.pivot.iterations + 2)
        held = (len(scene.reference_rows) + 1) * len(scene.content.latents)
        return cls(passes, each + learned, each * references, held)

    @property
    def rows(self) -> int:
        """Rows of one tile's denoising."""
        return sum(rows * count for rows, count in self.passes.items())

    def inverted(self, tiles: int) -> int:
        """Rows of all inverting."""
        return self.inversions * tiles + self.references

    def timed(self, told: Forecast, frame: Frame, speed: Speed) -> Forecast:
        """The forecast with its seconds and bytes."""
        tile, tiles = frame.tiles.tiles[0], told.tiles
        size, pixels = tile.height * tile.width, frame.canvas.padded[0] * frame.canvas.padded[1]
        across = pixels / (frame.tiles.size[0] * frame.tiles.size[1])  # pixels a latent pixel
        coded = speed.encode, speed.decode
        codings = tiles * (1 if frame.tiles.is_one else CODINGS)
        seconds = (
            tiles * sum(speed.seconds(size, rows) * n for rows, n in self.passes.items())
            + told.inversion_rows * speed.seconds(size)
            + codings * size * across * sum(one.seconds / one.size for one in coded)
        )
        most = STYLED * speed.memory(size, max(self.passes, default=1))
        decoding = size * across * speed.decode.bytes / speed.decode.size
        latents = self.held * pixels / across * CHANNELS * FLOAT
        pictures = (3 + 1 + len(told.regions) + 1) * pixels * FLOAT
        return replace(told, seconds=seconds, memory=max(most, decoding) + latents + pictures)
