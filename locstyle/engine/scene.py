"""What a fusion looks at: photo, regions, styles, texts and references, resolved and frozen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.call import Call
from locstyle.engine.plan import Hold, Timed, Window
from locstyle.engine.schedule import Schedule
from locstyle.engine.trajectory import Trajectory
from locstyle.masks import Partition
from locstyle.photo.canvas import average

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.style import Style


@dataclass(frozen=True, eq=False)
class SceneReference:
    """A picture whose style is meant, inverted beside the photo and as large.

    `trajectory` has the scene's size, so a row may follow it. `area` [H, W] in [0, 1], at the
    working size in pixels, says where the style is taken from; None: from all of it. A picture used
    by several regions is one object, so that one row serves them.
    """

    trajectory: Trajectory
    area: Tensor | None = None

    def at(self, height: int, width: int) -> Tensor:
        """The area averaged to [height, width], on the CPU; ones where the whole picture counts."""
        if self.area is None:
            return torch.ones(height, width)
        return average(self.area[None], (height, width))[0]


@dataclass(frozen=True, eq=False)
class SceneStyle:
    """A style at work in a region: its strength ≥ 0 and the window it acts in.

    `references` are the style's pictures; styles that share one share the same object.
    """

    style: Style
    strength: float = 1.0
    window: Window = field(default_factory=Window)
    references: tuple[SceneReference, ...] = ()

    def acts(self, call: Call) -> bool:
        """Whether it has a part in this step at all."""
        return self.strength != 0 and self.window.holds(call.fraction)


@dataclass(frozen=True, eq=False)
class SceneRegion:
    """A region ready to be denoised: its styles, which act together, and its texts.

    `guidance` and `structure` (0 to 1: how strongly the photo's layout holds) are the region's own,
    None where the fusion's count. `palette` is how much of its styles' colours it asks for, 0 to 1.
    """

    styles: tuple[SceneStyle, ...]
    text: Timed
    negative: Timed
    guidance: float | None = None
    structure: float | None = None
    palette: float = 0.0

    @property
    def kinds(self) -> frozenset[str]:
        """What its styles carry, together."""
        return frozenset(kind for one in self.styles for kind in one.style.kinds)

    @property
    def references(self) -> tuple[SceneReference, ...]:
        """The pictures of all its styles."""
        return tuple(reference for one in self.styles for reference in one.references)

    def showing(self, call: Call) -> list[SceneStyle]:
        """Its styles that are pictures and act in this step."""
        return [one for one in self.styles if one.references and one.acts(call)]


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything a fusion may look at, resolved and frozen.

    `partition` is at the working size in pixels; `latent` is the photo's clean latent [1, channels,
    h, w]; `content` is its inversion, `noise` fresh noise of its size from the edit's seed.
    `empty`, `text` and `negative` are the texts of "", of the edit's prompt and of its negative
    prompt.
    """

    backbone: Backbone
    latent: Tensor
    content: Trajectory
    noise: Tensor
    regions: tuple[SceneRegion, ...]
    partition: Partition
    schedule: Schedule
    empty: Text
    text: Text
    negative: Text

    @property
    def size(self) -> tuple[int, int]:
        """The latent's (height, width)."""
        return self.latent.shape[-2], self.latent.shape[-1]

    @property
    def texts(self) -> tuple[Timed, ...]:
        """What a `MIXED` row says: one text per owner, unstyled first."""
        return self.text, *(region.text for region in self.regions)

    @property
    def negatives(self) -> tuple[Timed, ...]:
        """The same of the negative texts."""
        return self.negative, *(region.negative for region in self.regions)

    @property
    def reference_rows(self) -> dict[SceneReference, str]:
        """A name for the row of every reference; one used by several regions has one row."""
        found = dict.fromkeys(r for region in self.regions for r in region.references)
        return {reference: f"style {number}" for number, reference in enumerate(found, start=1)}

    def shares(self, *, hard: bool = False) -> Tensor:
        """The partition at the latent's size: [regions + 1, 1, 1, h, w], sums to 1.

        `hard`: each latent pixel belongs wholly to the last region that touches it, however little,
        as the reference DiffStyler's boolean masks do.
        """
        shares = self.partition.at(*self.size).to(self.latent)
        if hard:
            order = torch.arange(len(shares), device=shares.device).view(-1, 1, 1)
            last = torch.where(shares[1:] > 0, order[1:], 0).amax(0)
            shares = (last == order).to(shares)
        return shares[:, None, None]

    def guidance(self, default: float | Sequence[float]) -> float | Tensor:
        """Each region's own guidance, else `default`, of all regions or one for each.

        A number where it is the same in all, else as the partition has it: [1, 1, h, w]. What no
        region owns counts for nothing.
        """
        given = default if isinstance(default, Sequence) else [default] * len(self.regions)
        own = [
            one if region.guidance is None else region.guidance
            for one, region in zip(given, self.regions, strict=True)
        ]
        if len(set(own)) == 1:
            return own[0]
        shares = self.shares()[1:]
        total = shares.sum(0)
        mean = (shares * shares.new_tensor(own).view(-1, 1, 1, 1, 1)).sum(0)
        return torch.where(total > 0, mean / total.clamp_min(1e-6), 1.0)

    def guides(self, default: float | Sequence[float]) -> bool:
        """Whether any region is guided at all; without, a negative row would count for nothing."""
        scale = self.guidance(default)
        return isinstance(scale, Tensor) or scale != 1

    def start(self, fresh: float | Sequence[float], *, hard: bool = False) -> Tensor:
        """The inverted photo with a share `fresh` in [0, 1] of new noise inside the regions, the
        same in all or one for each.

        The inverted latent carries the photo's layout, so new noise loosens it. Mixed by variance,
        sqrt(1 - f) x + sqrt(f) n, so that the latent stays as noisy as its level says.
        """
        x = self.content.at(self.schedule.noisiest)
        shares = self.shares(hard=hard)
        if isinstance(fresh, Sequence):
            each = zip(fresh, shares[1:], strict=True)
            share = sum((one * own for one, own in each), 0 * shares[0])
        else:
            share = fresh * (1 - shares[0])
        return (1 - share) ** 0.5 * x + share**0.5 * self.noise

    def outside(self, *, hard: bool = False) -> Hold:
        """What holds everything outside the regions to the photo's own trajectory."""
        return Hold(self.shares(hard=hard)[0], self.content)
