"""The style encoder `concept`: a few new words that mean what one picture, or a few, show.

Textual inversion, arXiv:2208.01618, from a single picture as in DreamArtist, arXiv:2211.11337,
whose L1 distance of the clean picture stands beside the noise loss: multi-concept inversion of
VCT, arXiv:2307.14352. Only the words' vectors are learned; nothing of the backbone changes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

MOST = 77  # tokens of a prompt


class Concept:
    """Learns the vectors of a placeholder, such as <ink>, that stands in prompts like any word.

    `encode` returns a whole Style or raises: a cancelled training leaves nothing behind, save for
    its bookmark where the request has one.
    """

    makes = frozenset({"words"})

    @dataclass(frozen=True)
    class Options(ls.Learning):
        words: int = 3  # new vectors, m
        init: str = ""  # words they start as; "": what the prompt says beside the placeholder
        lr: float = 5e-3
        l1: float = 0.0  # weight of the L1 distance between predicted and true clean picture
        l1_space: Literal["latent", "pixel"] = "latent"  # where that distance is taken
        decay: float = 0.5  # share of the learning rate lost by the last step

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 1 <= self.words <= MOST:
                raise ls.RecipeError(f"options: words {self.words}; give 1 to {MOST}")
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
            StyleError: no picture, or a prompt whose placeholder does not fit into the text window.
            DenoiseError: the training diverged.
        """
        o, pictures = self.options, [ls.style_picture(image) for image in images]
        course = ls.Course(f"concept {ls.__version__}", o, pictures, backbone, request)
        placeholder, prompt, init = read_prompt(request, o.init)
        vectors = _vectors(backbone, init, o.words).requires_grad_()
        _check_fits(backbone, prompt, {placeholder: vectors})

        def states(rows: int) -> Tensor:  # anew, since the words change from step to step
            return backbone.text(prompt, {placeholder: vectors}).states.expand(rows, -1, -1)

        batches = ls.Batches(course.latents(course.views), o.batch, states)
        training = replace(course.training, clean_l1=o.l1, clean_space=o.l1_space)
        keeper = course.keeper(prompt, init)
        loss = course.learn([vectors], batches, training, keeper=keeper, on_step=on_step)
        meta = course.header(prompt, loss)
        learned = {placeholder: vectors.detach().cpu().clone()}
        style = ls.Style(request.name, backbone.family, meta=meta, words=learned)
        return style.with_preview(pictures[0])


def read_prompt(request: ls.StyleRequest, init: str) -> tuple[str, str, str]:
    """The placeholder, the prompt it is trained in, and the words it starts as."""
    named = re.search(r"<[^<>\s]+>", request.prompt)
    if named is None:
        name = re.sub(r"[\s<>]+", "-", request.name).strip("-") or "concept"
        return f"<{name}>", f"<{name}>", init or request.prompt or request.name
    rest = request.prompt.replace(named[0], " ").strip()
    return named[0], request.prompt, init or rest or named[0].strip("<>")


def _check_fits(backbone: ls.Backbone, prompt: str, words: Mapping[str, Tensor]) -> None:
    """Refuses a prompt whose end, with the placeholder in it, the text encoder does not see."""
    text = backbone.text(prompt, words)
    for placeholder, vectors in words.items():
        first, end = text.spans.get(placeholder, (0, 0))
        if end - first < len(vectors):
            raise ls.StyleError(
                f"prompt: {placeholder!r} does not fit into the text window, which ends before "
                f"{text.cut!r}; say less before it"
            )


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
