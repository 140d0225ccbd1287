"""The frozen model everything runs on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from locstyle.engine.intervene import Attachment, Intervention
from locstyle.engine.schedule import Prediction, Schedule
from locstyle.engine.seal import Seal
from locstyle.engine.sites import Sites
from locstyle.engine.tiles import Tile
from locstyle.engine.turns import Turns
from locstyle.style import Delta

if TYPE_CHECKING:
    from PIL.Image import Image


TextDeltas = Mapping[str, Sequence[tuple[Delta, float]]]
"""By text site, updates of its weight with how strongly each acts."""


@dataclass(frozen=True, eq=False)
class Text:
    """An encoded prompt: `states` [1, tokens, dim]; `cut` is the end of it that did not fit, or "".

    `used` counts the tokens that are the prompt's, its two ends included; padding follows; of a
    prompt in several windows, all before that of the last. `spans` says where learned words stand:
    placeholder → (first, last + 1) token, of its first mention.
    """

    prompt: str
    states: Tensor = field(repr=False)
    cut: str = ""
    used: int = 0
    spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)


class Backbone(Protocol):
    """A frozen latent diffusion model; loaded once, never changed outside a `with`.

    `family` decides which styles fit. `native` is the image side in pixels it was trained at,
    `working` that of the largest square it draws well in one pass, `factor` the pixels per latent
    pixel, `multiple` what image sides must be a multiple of. `sites` are the layers of the
    denoising network, `text_sites` those of its text encoders that a style may change. `turns`
    keeps callers apart: `attach` and `predict` take one each, and who needs several in a row, or
    changes the model in a way of its own, takes one around them all. `seal` tells whether anybody
    changed the weights since they were loaded.
    """

    family: str
    name: str
    native: int
    working: int
    factor: int
    multiple: int
    prediction: Prediction
    alphas: Tensor
    sites: Sites
    text_sites: Sites
    seal: Seal
    turns: Turns

    @property
    def device(self) -> torch.device: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def digest(self) -> str:
        """SHA-256 of the denoising network's weights, hexadecimal."""
        ...

    def encode(self, images: Tensor, sample: torch.Generator | None = None) -> Tensor:
        """Latents [B, channels, h, w] of images [B, 3, H, W] in [0, 1].

        The posterior's mean, or a draw from it with the CPU generator `sample`.
        """
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images [B, 3, H, W] in [0, 1] of latents [B, channels, h, w]; passes gradients on to
        latents that require them."""
        ...

    def as_one(self, parts: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        """What `parts` give, each an `encode` or each a `decode` of one picture's part, in such a
        way that they fit together: no part has a tone of its own."""
        ...

    def text(
        self,
        prompt: str,
        words: Mapping[str, Tensor] | None = None,
        deltas: TextDeltas | None = None,
        *,
        windows: int | None = None,
    ) -> Text:
        """The encoded prompt; placeholders of `words` in it stand for those vectors [n, dim].

        It is read as it stands, in one window; with `windows`, as `read_marks` understands it, in
        so many windows at most, whose states lie one after another: all of one length each.

        `deltas` change the text encoders for the length of the call. Gradients reach vectors that
        require them; nothing else is touched.

        Raises:
            StyleError: vectors of another width than this text encoder's.
            RecipeError: a weight in it that is too large.
        """
        ...

    def word_vectors(self, text: str) -> Tensor:
        """What the token embedding has for the words of a text: [tokens, dim], a copy."""
        ...

    def predict(
        self, x: Tensor, t: int | Tensor, states: Tensor, tiles: Sequence[Tile] | None = None
    ) -> Tensor:
        """The network's raw prediction for latents `x` at timestep `t` with text `states`,
        float32.

        `tiles`: which part of which picture each row shows; None: each shows all of one that is as
        large. Networks that are told no sizes do not look.
        """
        ...

    def told(self, tiles: Sequence[Tile]) -> tuple[Tensor, ...]:
        """What the network is told of rows that show these, beside latent, timestep and text; ()
        for most. What has been inverted is kept by it."""
        ...

    def schedule(self, steps: int) -> Schedule:
        """The time points of a run of `steps` steps."""
        ...

    def preview(self, latent: Tensor) -> Callable[[], Image]:
        """A picture of `latent`, decoded only when called."""
        ...

    def layer(self, name: str) -> nn.Module:
        """The module at a site, of text encoders too, by its name; frozen, and never changed."""
        ...

    def replacing(self, layers: Mapping[str, nn.Module]) -> AbstractContextManager[None]:
        """These modules in place of those at the sites they are named after, for the length of a
        `with`: how layers are adapted while something is learned in them."""
        ...

    def attach(self, interventions: Sequence[Intervention]) -> AbstractContextManager[Attachment]:
        """Put interventions on this model for the length of a `with`."""
        ...
