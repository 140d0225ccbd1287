"""Inversion: the latents a photo passes through on its way to noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from locstyle.engine.call import Call, Row
from locstyle.engine.noise import Fresh
from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.engine.schedule import CLEAN, Schedule
from locstyle.engine.tiles import Tile, Tiles
from locstyle.errors import DenoiseError

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.engine.intervene import Intervention


@dataclass(frozen=True)
class Pivot:
    """How `pivot` learns; the defaults are those of `CrystalNeuro/visual-concept-translator`.

    `guidance`: w of the denoising that is to come back to the photo. `iterations`: at most this
    many updates a step; 0 learns nothing and follows the path back as it is. `lr`: falls by half
    over the schedule. A step ends early at a squared error below `tolerance`, which rises by
    `slack` over the schedule.
    """

    guidance: float = 7.5
    iterations: int = 50
    lr: float = 1e-2
    tolerance: float = 1e-5
    slack: float = 1e-3


@dataclass(frozen=True)
class Inversion:
    """How a fusion wants the photo inverted.

    `steps`: None for the edit's own schedule, or a number; the reference DiffStyler takes 999 and
    samples 50. `aligned`: evaluate the network at the latent's own timestep; the default is the
    "lagged" form of the reference, which evaluates the latent of the level below at the timestep
    above. `refine`: see `invert`. `pivot`: None for the trajectory itself, or how to learn
    unconditional texts that lead denoising back along it; see `pivot`.
    """

    steps: int | None = None
    aligned: bool = False
    refine: int = 1
    pivot: Pivot | None = None


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The latent [1, channels, h, w] at every timestep of an inversion, and at `CLEAN`.

    `rows`: how many rows the network evaluated to make it. `unconditional`: the texts that `pivot`
    learned, by the timestep they are for; None where nothing was learned. `photo`: the picture's
    size as its `Tile` has it.
    """

    latents: Mapping[int, Tensor] = field(repr=False)
    rows: int = 0
    unconditional: Mapping[int, Text] | None = field(default=None, repr=False)
    photo: tuple[int, int] | None = None

    def at(self, t: int) -> Tensor:
        """The latent at timestep `t`.

        Raises:
            ValueError: the inversion's schedule did not visit `t`.
        """
        try:
            return self.latents[t]
        except KeyError:
            raise ValueError(
                f"timestep {t} is not on this trajectory of {len(self.latents)} points; "
                "invert with a schedule that visits it"
            ) from None


def invert(
    backbone: Backbone,
    latent: Tensor,
    schedule: Schedule,
    *,
    text: Text,
    aligned: bool = False,
    refine: int = 0,
    tiles: Tiles | None = None,
    under: Sequence[Intervention] = (),
    on_step: OnStep = ignore,
) -> Trajectory:
    """DDIM inversion of a clean `latent` [1, channels, h, w] without guidance, arXiv:2010.02502
    §4.3.

    Going up, a step's prediction is made where the step begins; coming back, where it ended, so
    the way back misses the photo. `refine` repeats each step that many times with the prediction
    made at its present end, which converges to the latent that denoising takes back exactly: the
    fixed point of AIDI, arXiv:2309.04907, without its acceleration. Costs 1 + `refine` rows a step,
    for each of the `tiles` whose predictions are averaged (None: the latent is one). `under`: what
    acts on the network meanwhile.

    Raises:
        DenoiseError: a latent is not finite; names the step.
        BusyError: called in the middle of another run on this backbone.
    """
    latents = {CLEAN: latent}
    x, level, tell = latent, CLEAN, backbone.turns.told(on_step)
    parts = tiles or Tiles.whole((latent.shape[-2], latent.shape[-1]))

    with backbone.turns.take("an inversion"), backbone.attach(under) as attachment:

        def shown(tile: Tile, x: Tensor, t: int) -> Tensor:
            part = None if parts.is_one else tile
            call = Call(schedule.fraction(t), t, (Row("inverted", 0),), tile.size, tile=part)
            attachment.call = call
            return backbone.predict(tile.of(x), t, text.states, [tile])

        def predicted(x: Tensor, t: int) -> Tensor:
            return parts.merged(shown(one, x, t) for one in parts.tiles)

        for index, t in enumerate(reversed(schedule.timesteps), start=1):
            seen_as = max(level, 0) if aligned else t
            above = schedule.move(x, predicted(x, seen_as), level, t)
            for _ in range(refine):
                above = schedule.unmove(x, predicted(above, t), t, level)
            require_finite(above, "inversion", index, schedule.steps)
            latents[t] = x = above
            level = t
            tell(Step("invert", index, schedule.steps, preview=backbone.preview(x)))
    rows = schedule.steps * (1 + refine) * len(parts.tiles)
    return Trajectory(latents, rows, photo=parts.tiles[0].photo)


def noised(
    latent: Tensor, schedule: Schedule, fresh: Fresh, *, photo: tuple[int, int] | None = None
) -> Trajectory:
    """A clean `latent` [1, channels, h, w] under new noise at every timestep; costs no row.

    The photo's path beside a solver that brings new noise to each timestep: under the very same
    noise, the photo and what is made of it differ by nothing else (virtual inversion of
    arXiv:2312.04965 §3). `photo`: the picture's size as its `Tile` has it.
    """
    latents = {CLEAN: latent}
    for t in schedule.timesteps:
        signal = schedule.alpha(t)
        latents[t] = signal**0.5 * latent + (1 - signal) ** 0.5 * fresh.at(t, latent)
    return Trajectory(latents, photo=photo)


def pivot(
    backbone: Backbone,
    content: Trajectory,
    schedule: Schedule,
    *,
    text: Text,
    how: Pivot,
    on_step: OnStep = ignore,
) -> Trajectory:
    """The path guided denoising takes back from the noise with unconditional texts learned for it.

    Null-text inversion, arXiv:2211.09794 alg. 1, with `text`, the empty one, in the role of the
    prompt: pivot turning inversion of VCT, arXiv:2307.14352. For every step the unconditional text
    is learned, from that of the step before, so that guidance leads to the next latent of
    `content`. What comes back holds the latents so reached, which differ from `content` by what
    was not learned, and the texts.

    Raises:
        DenoiseError: a latent is not finite; names the step.
        BusyError: called in the middle of another run on this backbone.
    """
    tell = backbone.turns.told(on_step)
    # Latents made in inference mode cannot be learned from; their copies can.
    with backbone.turns.take("pivoting"), torch.inference_mode(False), torch.no_grad():
        x, learned = content.at(schedule.noisiest).clone(), text.states.clone()
        latents, unconditional, rows = {schedule.noisiest: x}, {}, content.rows
        shown = Tile.all_of((x.shape[-2], x.shape[-1]), content.photo)
        for index, t in enumerate(schedule.timesteps):
            after = schedule.after(index)
            conditional = backbone.predict(x, t, text.states.clone(), [shown])
            step = _Turn(backbone, schedule, how, x, conditional, t, after, shown)
            share = index / schedule.steps
            learned, loss, tries = step.learn(learned, content.at(after).clone(), share)
            unconditional[t] = replace(text, states=learned)
            latents[after] = x = step.moved(learned)
            rows += tries + 2
            require_finite(x, "pivoting", index + 1, schedule.steps)
            preview = backbone.preview(x)
            tell(Step("pivot", index + 1, schedule.steps, loss=loss, preview=preview))
    return Trajectory(latents, rows, unconditional, content.photo)


@dataclass(frozen=True, eq=False)
class _Turn:
    """One step of `pivot`, from `x` at `t` to `after`."""

    backbone: Backbone
    schedule: Schedule
    how: Pivot
    x: Tensor
    conditional: Tensor
    t: int
    after: int
    shown: Tile

    def moved(self, states: Tensor) -> Tensor:
        """Where guidance leads with these unconditional states."""
        u = self.backbone.predict(self.x, self.t, states, [self.shown])
        guided = u + self.how.guidance * (self.conditional - u)
        return self.schedule.move(self.x, guided, self.t, self.after)

    def learn(self, states: Tensor, target: Tensor, share: float) -> tuple[Tensor, float, int]:
        """Better states, the last error before its update, and the updates made.

        `share` of the schedule lies behind. The update of the iteration that passes the tolerance
        is still made, as the reference does.
        """
        learned = states.clone().requires_grad_()
        optimizer = torch.optim.Adam([learned], lr=self.how.lr * (1 - share / 2))
        enough = self.how.tolerance + self.how.slack * share
        error, tries = 0.0, 0
        with torch.enable_grad():
            while tries < self.how.iterations:
                loss = F.mse_loss(self.moved(learned), target)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                error, tries = float(loss.detach()), tries + 1
                if error < enough:
                    break
        return learned.detach(), error, tries


def require_finite(x: Tensor, phase: str, step: int, steps: int) -> None:
    """Stop where numbers stop being numbers, instead of decoding a black picture at the end."""
    if not bool(x.isfinite().all()):
        raise DenoiseError(
            f"{phase}, step {step} of {steps}: the latent is not finite; lower the guidance or a "
            "style's strength, or run in float32 (--dtype float32)"
        )
