"""Reads the sites of a diffusers UNet off its modules."""

from __future__ import annotations

import re
from typing import Any

from torch import nn

from locstyle.engine.sites import Role, Side, Site, Sites, Stage

_TEXT_SIDE = re.compile(r"attn2\.to_[kv]$")
_TIME = re.compile(r"time_emb|add_embedding")


def unet_sites(unet: Any) -> Sites:
    """Every attention, convolution, linear layer and norm of a `UNet2DConditionModel`, in module
    order."""
    blocks = len(unet.config.block_out_channels)
    layers = unet.config.layers_per_block
    return Sites(
        Site(
            name,
            role,
            _stage(name),
            _depth(name, layers),
            _scale(name, blocks),
            _side(name),
            tuple(module.weight.shape) if role in ("conv", "linear") else (),
        )
        for name, module in unet.named_modules()
        if (role := _role(name, module)) is not None
    )


def _role(name: str, module: nn.Module) -> Role | None:
    if type(module).__name__ == "Attention":
        return "self" if name.endswith("attn1") else "cross"
    if isinstance(module, nn.Conv2d):
        return "conv"
    if isinstance(module, nn.GroupNorm):
        return "norm"
    if isinstance(module, nn.LayerNorm):
        return "layernorm"
    return "linear" if isinstance(module, nn.Linear) else None


def _stage(name: str) -> Stage:
    if name.startswith("down_blocks"):
        return "down"
    if name.startswith("mid_block"):
        return "mid"
    return "up" if name.startswith("up_blocks") else "io"


def _side(name: str) -> Side:
    if _TIME.search(name):
        return "none"
    return "text" if _TEXT_SIDE.search(name) else "image"


def _depth(name: str, layers: int) -> int:
    """Blocks count on along a stage; the decoder has one more per level than the encoder."""
    found = re.match(r"(down|up)_blocks\.(\d+)\.(?:resnets|attentions|\w+)\.(\d+)", name)
    if found is None:
        return 0
    per_level = layers + (found[1] == "up")
    if "sampler" in name:
        return int(found[2]) * per_level + per_level - 1
    return int(found[2]) * per_level + int(found[3])


def _scale(name: str, blocks: int) -> int:
    """Latent pixels per token at a layer's input; samplers belong to the scale they read."""
    found = re.match(r"(down|up)_blocks\.(\d+)", name)
    if found is None:
        return int(2 ** (blocks - 1)) if name.startswith("mid_block") else 1
    block = int(found[2])
    return int(2**block if found[1] == "down" else 2 ** (blocks - 1 - block))
