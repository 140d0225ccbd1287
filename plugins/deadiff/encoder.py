"""The style encoder `qformer`: pictures → tokens, by a look instead of a training
(arXiv:2403.06951)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import locstyle as ls

if TYPE_CHECKING:
    from PIL.Image import Image

    from .trained import Trained

MINI = Path(__file__).parent / "weights" / "qformer.safetensors"


class QFormer:
    """Tokens for every cross-attention, read off the pictures in one pass; nothing is learned.

    The layers of the middle get what the pictures show, all others how they are made; the fusion
    says which of the two it uses. Several pictures count alike: their tokens are averaged.
    """

    makes = frozenset({"tokens"})
    instant = True

    @dataclass(frozen=True)
    class Options:
        weights: str = ""  # a trained Q-Former of the backbone's family; "": ours, for mini

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()

    def encode(
        self,
        images: Sequence[Image],
        backbone: Any,  # an ls.Backbone with a diffusers `unet`, beyond the protocol
        request: ls.StyleRequest,
        on_step: ls.OnStep | None = None,
    ) -> ls.Style:
        """The style of pictures of any size, seen as squares.

        Raises:
            StyleError: no picture, or no weights for this backbone.
        """
        import torch

        if not images:
            raise ls.StyleError(f"style {request.name!r}: no style image; give one or more")
        images = [ls.style_picture(image) for image in images]
        trained = self._trained(backbone)
        network = trained.network.to(backbone.device)
        with torch.no_grad():
            style, content = trained.seen(images, backbone)
            ways = network.keys(
                network.style(style).mean(0, keepdim=True),
                network.content(content).mean(0, keepdim=True),
            )
        names = (site.name for site in ls.cross_sites(backbone.sites))
        tokens = {
            name: ls.Tokens(key[0].cpu(), value[0].cpu())
            for name, (key, value) in zip(names, ways, strict=True)
        }
        meta = request.header(
            trigger=request.prompt,
            encoder=f"qformer {ls.__version__}",
            base_digest=backbone.digest,
            scale=f"{ls.Views().scale(images, backbone):.4g}",
            preview=ls.thumbnail(images[0]),
        )
        return ls.Style(request.name, backbone.family, tokens=tokens, meta=meta)

    def _trained(self, backbone: Any) -> Trained:
        from .networks import inner_widths
        from .trained import load

        if not self.options.weights and backbone.family != "mini":
            raise ls.StyleError(
                f"qformer: locstyle ships weights for mini only, not for {backbone.family!r}; make "
                "a style file with a converted checkpoint (see `locstyle convert`): `locstyle "
                "train qformer PICTURE -O weights=deadiff.safetensors -o mine.safetensors`"
            )
        path = Path(self.options.weights or MINI).expanduser()
        if not path.is_file():
            raise ls.StyleError(
                f"qformer: {str(path)!r} is not a file; give weights with -O weights=FILE; "
                "for mini: locstyle mini train-qformer"
            )
        trained = load(path)
        if trained.family != backbone.family or trained.network.inner != inner_widths(backbone):
            raise ls.StyleError(
                f"qformer: {str(path)!r} was made for {trained.family!r}, the backbone is "
                f"{backbone.family!r}; use weights of its own family"
            )
        return trained
