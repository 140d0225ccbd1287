"""Vision towers: what a Q-Former looks at. Frozen, so what they say of a picture can be kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

if TYPE_CHECKING:
    from PIL.Image import Image

_LAYERS = (
    "down_blocks.0.attentions.1",
    "down_blocks.1.attentions.1",
    "down_blocks.2.attentions.1",
    "up_blocks.1.attentions.2",
    "up_blocks.2.attentions.2",
    "up_blocks.3.attentions.2",
)
_CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
"""Mean and deviation of the colours CLIP was trained on, by channel."""
_CELLS = 8  # a side
_TIME = 101


class BackboneTower:
    """A backbone's own networks as the eye: for one that has no CLIP beside it.

    A picture becomes 64 tokens, one for each cell of an 8 × 8 grid, and their mean before them.
    They hold the mean and deviation within the cell of the pixels, of the autoencoder's last
    features, of the latent, and of six layers of the UNet that looks at the latent with no noise
    and no words; last the cell's place. Nothing in it is learned; `mean` and `spread` [width] of
    each number over many pictures bring them all to one scale.
    """

    def __init__(
        self, backbone: Any, mean: Tensor | float = 0.0, spread: Tensor | float = 1.0
    ) -> None:
        self.backbone, self.mean, self.spread = backbone, mean, spread
        self.side: int = backbone.native
        self.words = backbone.text("").states

    def __call__(self, images: Tensor) -> Tensor:
        """Tokens [B, 65, width] of pictures [B, 3, side, side] in [0, 1]."""
        return self.with_latents(images)[0]

    @torch.no_grad()
    def with_latents(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The tokens and the pictures' latents, which it needs on the way."""
        unet, encoder = self.backbone.unet, self.backbone.vae.encoder
        turns = self.backbone.turns  # or another thread's pictures would be seen
        with turns.take("a look"), _outputs(encoder, ["mid_block"]) as deep:
            latents = self.backbone.encode(images)
        share = float(self.backbone.alphas[_TIME]) ** 0.5
        with turns.take("a look"), _outputs(unet, _LAYERS) as layers:
            self.backbone.predict(share * latents, _TIME, self.words.expand(len(latents), -1, -1))
        maps = [images.to(latents), *deep, latents, *layers]
        cells = torch.cat([part for found in maps for part in _summary(found.float())], 1)
        tokens = torch.cat([cells, _places(cells)], 1).flatten(2).transpose(1, 2)
        tokens = (tokens - self.mean) / self.spread
        return torch.cat([tokens.mean(1, keepdim=True), tokens], 1), latents


class ClipTower:
    """CLIP's vision transformer without its last block, as `bytedance/DEADiff` uses ViT-L/14.

    The tokens are those between two blocks, unnormed, the class token first.
    """

    def __init__(self, model: Any) -> None:
        self.model = model  # a transformers CLIPVisionModel
        self.side: int = model.config.image_size

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Tokens [B, 1 + patches, width] of pictures [B, 3, side, side] in [0, 1]."""
        weight = self.model.embeddings.patch_embedding.weight
        mean, deviation = (torch.tensor(part).view(3, 1, 1).to(images) for part in _CLIP)
        found: Tensor = self.model(((images - mean) / deviation).to(weight)).last_hidden_state
        return found


def clip_model(*, width: int = 1024, layers: int = 23, patch: int = 14, side: int = 224) -> Any:
    """An untrained CLIPVisionModel, by default ViT-L/14 without its last block."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    config = CLIPVisionConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=layers,
        num_attention_heads=max(1, width // 64),
        patch_size=patch,
        image_size=side,
    )
    return CLIPVisionModel(config).eval().requires_grad_(False)


def clip_sizes(model: Any) -> dict[str, int]:
    """What `clip_model` has to be told to make its like."""
    config = model.config
    return {
        "width": config.hidden_size,
        "layers": config.num_hidden_layers,
        "patch": config.patch_size,
        "side": config.image_size,
    }


def look(images: Sequence[Image], side: int) -> Tensor:
    """Pictures as a tower sees them, squeezed to a square: [n, 3, side, side] in [0, 1]."""
    import numpy as np
    from PIL import Image as pillow

    small = [
        image.convert("RGB").resize((side, side), pillow.Resampling.BICUBIC) for image in images
    ]
    return torch.from_numpy(np.stack([np.array(i) for i in small])).permute(0, 3, 1, 2) / 255


def _summary(found: Tensor) -> Iterator[Tensor]:
    """Mean and, where a cell has several values, deviation in every cell [B, C, cells, cells]."""
    mean = F.adaptive_avg_pool2d(found, _CELLS)
    yield mean
    if found.shape[-1] > _CELLS:
        square = F.adaptive_avg_pool2d(found.square(), _CELLS)
        yield (square - mean.square()).clamp(min=1e-8).sqrt()


def _places(cells: Tensor) -> Tensor:
    """Where a cell lies: sines and cosines of its row and column [B, 8, cells, cells]."""
    line = torch.linspace(-1, 1, _CELLS, device=cells.device)
    waves = torch.stack([f(k * line) for k in (1.5, 3.0) for f in (torch.sin, torch.cos)])
    rows, columns = waves[:, :, None], waves[:, None]
    both = torch.cat([rows.expand(-1, -1, _CELLS), columns.expand(-1, _CELLS, -1)])
    return both.expand(len(cells), -1, -1, -1)


@contextmanager
def _outputs(network: nn.Module, names: Sequence[str]) -> Iterator[list[Tensor]]:
    """What some modules give in the order they run, while the `with` lasts."""
    found: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> None:
        found.append(output if isinstance(output, Tensor) else output[0])

    hooks = [network.get_submodule(name).register_forward_hook(keep) for name in names]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
