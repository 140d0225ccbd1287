"""A tiny random backbone of SDXL's layout."""

from __future__ import annotations

from pathlib import Path

import torch

from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing.tiny import (
    TINY_VAE,
    save_parts,
    tiny_clip_config,
    tiny_scheduler,
    tiny_tokenizer,
)

WIDTHS = (16, 24)
"""Widths of the two text encoders."""

POOLED = 20
"""Width of the pooled text."""

SIZES = 8
"""How many numbers each size becomes that the network is told."""


def tiny_xl(
    seed: int = 0, *, prediction: str = "epsilon", family: str = "tiny-xl", device: str = "cpu"
) -> UNetBackbone:
    """A random UNet with SDXL's topology and layer names, a few thousand weights a layer.

    Three levels, attention at scales 2 and 4 alone with 1 and 2 blocks a layer (SDXL: 2 and 10),
    two text encoders whose states lie side by side, and what the network is told beside them.
    Native side 32 pixels, 4 pixels per latent pixel. The same `seed` gives the same weights.
    """
    return UNetBackbone(
        tiny_xl_parts(seed, prediction=prediction),
        name="tiny-xl",
        device=torch.device(device),
        family=family,
    )


def tiny_xl_parts(seed: int = 0, *, prediction: str = "epsilon") -> Parts:
    """The modules of a tiny random SDXL, to save, convert or wrap."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    tokenizer, second = tiny_tokenizer(), tiny_tokenizer(pad="!")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            block_out_channels=(8, 16, 16),
            layers_per_block=2,
            transformer_layers_per_block=(1, 1, 2),
            attention_head_dim=(1, 2, 2),  # heads, as SDXL's configuration has it
            use_linear_projection=True,
            norm_num_groups=4,
            cross_attention_dim=sum(WIDTHS),
            addition_embed_type="text_time",
            addition_time_embed_dim=SIZES,
            projection_class_embeddings_input_dim=POOLED + 6 * SIZES,
        )
        vae = AutoencoderKL(**TINY_VAE, scaling_factor=0.13025)
        first = CLIPTextModel(tiny_clip_config(tokenizer, WIDTHS[0], layers=2))
        other = CLIPTextModelWithProjection(
            tiny_clip_config(second, WIDTHS[1], layers=2, pooled=POOLED)
        )
    return Parts(unet, vae, first, tokenizer, tiny_scheduler(prediction), other, second)


def save_tiny_xl(folder: Path, seed: int = 0) -> Path:
    """Write the tiny SDXL as a diffusers folder, as `load_backbone` reads it."""
    return save_parts(folder, tiny_xl_parts(seed), "StableDiffusionXLPipeline")
