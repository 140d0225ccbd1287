"""Checkpoints in the layout of the original Stable Diffusion code, made of diffusers' modules."""

from __future__ import annotations

import re

import torch
from torch import Tensor

from locstyle.engine.backbones.checkpoint import Parts

UNET = (
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
    (r"norm1\.(?=\w+$)", "in_layers.0."),
    (r"conv1\.", "in_layers.2."),
    (r"time_emb_proj\.", "emb_layers.1."),
    (r"norm2\.(?=\w+$)", "out_layers.0."),
    (r"conv2\.", "out_layers.3."),
    (r"conv_shortcut\.", "skip_connection."),
)
VAE = (
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.conv", r"down.\1.downsample.conv"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
)


def original_unet_key(key: str, *, xl: bool = False) -> str:
    """A diffusers UNet key as the original Stable Diffusion checkpoints name it."""
    key = key.replace("add_embedding.linear_1", "label_emb.0.0")
    key = key.replace("add_embedding.linear_2", "label_emb.0.2")
    in_transformer = ".transformer_blocks." in key
    for pattern, name in UNET[:8] if in_transformer else UNET:
        key = re.sub(pattern, name, key)

    def down(m: re.Match[str]) -> str:
        block, kind, index = int(m[1]), m[2], int(m[3])
        if kind == "downsamplers":
            return f"input_blocks.{3 * (block + 1)}.0.op"
        return f"input_blocks.{3 * block + index + 1}.{'01'[kind == 'attentions']}"

    def up(m: re.Match[str]) -> str:
        block, kind, index = int(m[1]), m[2], int(m[3])
        if kind == "upsamplers":
            return f"output_blocks.{3 * block + 2}.{1 if block == 0 and not xl else 2}.conv"
        return f"output_blocks.{3 * block + index}.{'01'[kind == 'attentions']}"

    key = re.sub(
        r"^down_blocks\.(\d+)\.(downsamplers|resnets|attentions)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: down(m),
        key,
    )
    return re.sub(
        r"^up_blocks\.(\d+)\.(upsamplers|resnets|attentions)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: up(m),
        key,
    )


def original_vae_key(key: str, levels: int) -> str:
    for pattern, name in VAE:
        key = re.sub(pattern, name, key)
    return re.sub(
        r"up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: (
            f"up.{levels - 1 - int(m[1])}."
            + (f"block.{m[3]}{m[4] or ''}" if m[2] == "resnets" else "upsample.conv")
        ),
        key,
    )


def original_checkpoint(parts: Parts) -> dict[str, Tensor]:
    """The parts in the layout of an original single-file Stable Diffusion checkpoint."""
    xl = parts.text_encoder_2 is not None
    state = {}
    for key, value in parts.unet.state_dict().items():
        state[f"model.diffusion_model.{original_unet_key(key, xl=xl)}"] = value
    for key, value in parts.vae.state_dict().items():
        name = original_vae_key(key, 3)
        if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name):
            value = value[..., None, None]
        state[f"first_stage_model.{name}"] = value
    first = "conditioner.embedders.0" if xl else "cond_stage_model"
    for key, value in parts.text_encoder.state_dict().items():
        name = key if key.startswith("text_model.") else f"text_model.{key}"
        state[f"{first}.transformer.{name}"] = value
    if xl:
        state |= openclip(parts.text_encoder_2.state_dict(), "conditioner.embedders.1.model.")
    return {key: value.contiguous().clone() for key, value in state.items()}


def openclip(state: dict[str, Tensor], stem: str) -> dict[str, Tensor]:
    """A text encoder as OpenCLIP keeps it, queries, keys and values in one tensor."""
    found = {}
    for key, value in state.items():
        key = key.removeprefix("text_model.")
        if layer := re.match(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)$", key):
            block = f"{stem}transformer.resblocks.{layer[1]}."
            if layer[2] == "self_attn.q_proj":
                names = (key.replace("q_proj", one) for one in ("q_proj", "k_proj", "v_proj"))
                joined = torch.cat([state[f"text_model.{name}"] for name in names])
                found[f"{block}attn.in_proj_{layer[3]}"] = joined
            elif layer[2] in OPENCLIP:
                found[f"{block}{OPENCLIP[layer[2]]}.{layer[3]}"] = value
        elif key == "text_projection.weight":
            found[f"{stem}text_projection"] = value.T
        elif key in OPENCLIP:
            found[stem + OPENCLIP[key]] = value
    return found


OPENCLIP = {
    "embeddings.token_embedding.weight": "token_embedding.weight",
    "embeddings.position_embedding.weight": "positional_embedding",
    "final_layer_norm.weight": "ln_final.weight",
    "final_layer_norm.bias": "ln_final.bias",
    "self_attn.out_proj": "attn.out_proj",
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
}
