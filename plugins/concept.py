"""The style encoder `concept`: a few new words that mean what one picture, or a few, show.

Textual inversion, arXiv:2208.01618, from a single picture as in DreamArtist, arXiv:2211.11337,
whose L1 distance of the clean picture stands beside the noise loss: multi-concept inversion of
VCT, arXiv:2307.14352. Only the words' vectors are learned; nothing of the backbone changes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import locstyle as ls

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor


class Concept:
    """Learns the vectors of a placeholder, such as <ink>, that stands in prompts like any word.

    `encode` returns a whole Style or raises: a cancelled training leaves nothing behind, save for
    its bookmark where the request has one.
    """

    makes = frozenset({"words"})

    @dataclass(frozen=True)
    class Options:
        words: int = 3  # new vectors, m
        init: str = ""  # words they start as; "": what the prompt says beside the placeholder
        steps: int = 300
        lr: float = 5e-3
        l1: float = 0.0  # weight of the L1 distance between predicted and true clean picture
        l1_space: Literal["latent", "pixel"] = "latent"  # where that distance is taken
        batch: int = 4
        crops: int = 64  # random crops made beforehand; 0: whole pictures only
        flips: bool = False  # mirror every other picture
        size: int | None = None  # side of a training picture in pixels; None: the backbone's own,
        # of crops the half
        warmup: int = 0  # steps over which the learning rate rises
        decay: float = 0.5  # share of the learning rate lost by the last step
        weight_decay: float = 0.0
        stratified: bool = True  # spread the timesteps of a batch evenly
        resample: bool = False  # draw the latents from the VAE's posterior anew at every step

        def __post_init__(self) -> None:
            if self.words < 1 or self.batch < 1 or self.crops < 0:
                raise ls.RecipeError(
                    f"options: words {self.words}, batch {self.batch}, crops {self.crops}; "
                    "give at least 1, 1 and 0"
                )
            if not 0 <= self.l1 < math.inf:
                raise ls.RecipeError(f"options: l1 {self.l1}; give a weight of 0 or more")

    # `CrystalNeuro/visual-concept-translator` as its README runs it; 4 pictures a step.
    PRESETS: Mapping[str, Options] = {
        "reference": Options(
            words=3,
            steps=500,
            lr=2e-3,
            l1=1.0,
            batch=4,
            crops=0,
            flips=True,
            decay=0.0,
            weight_decay=1e-2,
            stratified=False,
            resample=True,
        ),
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()

    def encode(
        self,
        images: Sequence[Image],
        backbone: ls.Backbone,
        request: ls.StyleRequest,
        on_step: ls.OnStep | None = None,
    ) -> ls.Style:
        """A concept from pictures of it; the prompt may say where its placeholder stands.

        "<ink>" or "a painting in <ink> style" name the placeholder; without one the trigger is a
        placeholder made of the style's name, alone, and the prompt's words are where it starts.

        Raises:
            StyleError: no picture.
            DenoiseError: the training diverged.
        """
        if not images:
            raise ls.StyleError(f"style {request.name!r}: no style image; give one or more")
        images = [ls.style_picture(image) for image in images]
        placeholder, prompt, init = read_prompt(request, self.options.init)
        vectors = _vectors(backbone, init, self.options.words).requires_grad_()
        batches = _Batches(images, prompt, {placeholder: vectors}, self.options, backbone, request)
        options = json.dumps(asdict(self.options), sort_keys=True)
        keeper = request.keeper("concept", prompt, init, options, backbone.digest, images=images)
        losses = self._learn(backbone, vectors, batches, request.seed, keeper, on_step)
        tail = losses[-max(1, len(losses) // 5) :]
        meta = request.header(
            trigger=prompt,
            encoder=f"concept {ls.__version__}",
            options=options,
            base_digest=backbone.digest,
            seed=str(request.seed),
            loss=f"{sum(tail) / len(tail):.5f}",
        )
        learned = {placeholder: vectors.detach().cpu().clone()}
        style = ls.Style(request.name, backbone.family, meta=meta, words=learned)
        return style.with_preview(images[0])

    def _learn(
        self,
        backbone: ls.Backbone,
        vectors: Tensor,
        batches: _Batches,
        seed: int,
        keeper: ls.Bookmark | None,
        on_step: ls.OnStep | None,
    ) -> list[float]:
        o = self.options
        training = ls.Training(
            steps=o.steps,
            lr=o.lr,
            warmup=o.warmup,
            decay=o.decay,
            weight_decay=o.weight_decay,
            clean_l1=o.l1,
            clean_space=o.l1_space,
            stratified=o.stratified,
            seed=seed,
        )
        more: dict[str, Any] = {"keeper": keeper, "dice": batches.dice}
        more |= {} if on_step is None else {"on_step": on_step}
        return ls.train(backbone, [vectors], draw=batches, training=training, **more)


def read_prompt(request: ls.StyleRequest, init: str) -> tuple[str, str, str]:
    """The placeholder, the prompt it is trained in, and the words it starts as."""
    named = re.search(r"<[^<>\s]+>", request.prompt)
    if named is None:
        name = re.sub(r"[\s<>]+", "-", request.name).strip("-") or "concept"
        return f"<{name}>", f"<{name}>", init or request.prompt or request.name
    rest = request.prompt.replace(named[0], " ").strip()
    return named[0], request.prompt, init or rest or named[0].strip("<>")


class _Batches:
    """Draws latents and encodes the prompt anew, since its words change from step to step."""

    def __init__(
        self,
        images: Sequence[Image],
        prompt: str,
        words: Mapping[str, Tensor],
        options: Concept.Options,
        backbone: ls.Backbone,
        request: ls.StyleRequest,
    ) -> None:
        self._prompt, self._words, self._backbone = prompt, words, backbone
        self._rows = options.batch
        views = ls.Views(options.crops, flips=options.flips, size=options.size)
        pictures = views.of(images, backbone, request.seed)
        self._latents = ls.Latents(pictures, backbone, request.seed, resample=options.resample)

    @property
    def dice(self) -> tuple[torch.Generator, ...]:
        return self._latents.dice, self._latents.posterior

    def __call__(self) -> tuple[Tensor, Tensor]:
        states = self._backbone.text(self._prompt, self._words).states
        return self._latents.draw(self._rows), states.expand(self._rows, -1, -1)


def _vectors(backbone: ls.Backbone, init: str, count: int) -> Tensor:
    """What the token embedding has for the words of `init`, spread over `count` vectors.

    Fewer tokens than vectors are repeated, more are averaged in neighbouring groups.
    """
    import torch

    known = backbone.word_vectors(init).float()
    places = torch.arange(count * len(known)) // count if len(known) > count else None
    if places is None:
        return known[torch.arange(count) * len(known) // count].clone()
    return known[places].view(count, len(known), -1).mean(1)


@ls.hookimpl
def register_style_encoders(register: ls.Register) -> None:
    register("concept", Concept)
