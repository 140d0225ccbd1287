"""What a segmenter, a style encoder and a fusion look like from outside; no base class to inherit.

A class of any of the three may have a nested frozen dataclass `Options`, passed to its constructor,
and a mapping `PRESETS` of names to such options.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.engine.backbone import Backbone
    from locstyle.engine.plan import Plan, Scene
    from locstyle.engine.progress import OnStep
    from locstyle.engine.trajectory import Inversion
    from locstyle.masks import Mask
    from locstyle.style import Style


@dataclass(frozen=True)
class Prompt:
    """What to segment: points and a box in photo pixels (x, y), a text, or, with none of them,
    everything."""

    points: tuple[tuple[float, float], ...] = ()
    box: tuple[float, float, float, float] | None = None
    text: str | None = None

    @property
    def everything(self) -> bool:
        return not self.points and self.box is None and self.text is None


class Segmenter(Protocol):
    """Finds regions in a picture."""

    def segment(self, image: Image, prompt: Prompt) -> list[Mask]:
        """Masks of the picture's size, best first.

        Raises:
            SegmenterError: the prompt hit nothing, or weights are missing.
        """
        ...


@dataclass(frozen=True)
class StyleRequest:
    """What a style encoder is asked for, besides the images.

    `prompt` is the trigger the style will answer to; `made_by` is the command that asked, for the
    file.
    """

    name: str
    prompt: str
    seed: int = 0
    licence: str = ""
    made_by: str = ""


class StyleEncoder(Protocol):
    """Makes a style from pictures; whether by a forward pass or by training is its own business."""

    makes: frozenset[str]

    def encode(
        self, images: Sequence[Image], backbone: Backbone, request: StyleRequest, on_step: OnStep
    ) -> Style:
        """The style of `images` on `backbone`; raising from `on_step` cancels and leaves no
        trace."""
        ...


class Fusion(Protocol):
    """Decides how regions and styles become one denoising.

    `carries`: the kinds of style it can use. `requires_roles`: the sites a backbone must have.
    `inversion`: how it wants the photo inverted.
    """

    carries: frozenset[str]
    requires_roles: frozenset[str]
    inversion: Inversion

    def plan(self, scene: Scene) -> Plan:
        """The rows, interventions and composition for this scene."""
        ...
