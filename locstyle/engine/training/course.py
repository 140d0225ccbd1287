"""What trainings of a style share: what they draw, how they run, what they say about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.backbone import Backbone
from locstyle.engine.progress import OnStep, ignore
from locstyle.engine.training.loop import Keeper, Training, train
from locstyle.engine.training.views import Latents, Views
from locstyle.errors import StyleError

if TYPE_CHECKING:
    from PIL.Image import Image

    from locstyle.plugin.learning import Learning
    from locstyle.plugin.protocols import StyleRequest


class Batches:
    """Draws `rows` latents, and then the text states [rows, tokens, dim] that `states` has for
    them."""

    def __init__(self, latents: Latents, rows: int, states: Callable[[int], Tensor]) -> None:
        self._latents, self._rows, self._states = latents, rows, states

    @property
    def dice(self) -> tuple[torch.Generator, ...]:
        """The generators it draws with, for a training that goes on after a stop."""
        return self._latents.dice, self._latents.posterior

    def __call__(self) -> tuple[Tensor, Tensor]:
        latents = self._latents.draw(self._rows)
        return latents, self._states(self._rows)


@dataclass(frozen=True, eq=False)
class Course:
    """The training of one style: who learns from which pictures, on what, as somebody asked.

    `encoder` is its name and version, such as "lora 0.1". `pictures` are RGB.

    Raises:
        StyleError: no picture.
    """

    encoder: str
    options: Learning
    pictures: Sequence[Image]
    backbone: Backbone
    request: StyleRequest

    def __post_init__(self) -> None:
        if not self.pictures:
            name = self.request.name
            raise StyleError(f"style {name!r}: no style image; give one or more")

    @property
    def views(self) -> Views:
        """What becomes of the pictures by its options."""
        o = self.options
        return Views(o.crops, flips=o.flips, size=o.size, drawn_at=o.drawn_at)

    def latents(self, views: Views) -> Latents:
        """What it sees."""
        found = views.of(self.pictures, self.backbone, self.request.seed)
        resample = self.options.resample
        return Latents(found, self.backbone, self.request.seed, resample=resample)

    @property
    def training(self) -> Training:
        """How it runs by its options; whatever else a training has is the default."""
        o = self.options
        return Training(
            steps=o.steps,
            lr=o.lr,
            warmup=o.warmup,
            decay=o.decay,
            weight_decay=o.weight_decay,
            stratified=o.stratified,
            seed=self.request.seed,
        )

    def keeper(self, *facts: str) -> Keeper | None:
        """The bookmark of the training that these facts, options and pictures decide, if any."""
        what = (self.encoder.split()[0], *facts, self._written, self.backbone.digest)
        return self.request.keeper(*what, images=self.pictures)

    def learn(
        self,
        parameters: Sequence[Tensor],
        batches: Batches,
        training: Training,
        *,
        keeper: Keeper | None = None,
        on_step: OnStep | None = None,
    ) -> float:
        """Train `parameters`, from where `keeper` has it; the mean loss of the last fifth."""
        losses = train(
            self.backbone,
            parameters,
            draw=batches,
            training=training,
            keeper=keeper,
            dice=batches.dice,
            on_step=on_step or ignore,
        )
        tail = losses[-max(1, len(losses) // 5) :]
        return sum(tail) / len(tail)

    def header(self, trigger: str, loss: float) -> dict[str, str]:
        """What the style says about how it was made."""
        return self.request.header(
            trigger=trigger,
            encoder=self.encoder,
            options=self._written,
            base_digest=self.backbone.digest,
            seed=str(self.request.seed),
            loss=f"{loss:.5f}",
            scale=f"{self.views.scale(self.pictures, self.backbone):.4g}",
        )

    @property
    def _written(self) -> str:
        return json.dumps(asdict(self.options), sort_keys=True)
