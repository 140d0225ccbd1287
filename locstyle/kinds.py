"""What a safetensors file is, told by the names and shapes of its tensors before any is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from locstyle.files import Contents

Use = Literal["backbone", "style", "none"]

FAMILIES = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Families of backbones by the width of their text states."""

NAMES = {"sd1": "Stable Diffusion 1.x", "sd2": "Stable Diffusion 2.x", "sdxl": "SDXL"}
"""How people call them."""


@dataclass(frozen=True)
class Kind:
    """What a file is, in words with their article, and what it can be used as here.

    `family`: of backbones that it is or that it fits, "" where that does not show. `hint`: what to
    do with it instead.
    """

    name: str
    use: Use = "none"
    family: str = ""
    hint: str = ""


TWO_ENCODERS = ("clip_l", "clip_g")
"""What files of learned words call the tables of SDXL's two encoders."""

NAMELESS = "emb_params"
"""How A1111 and kohya call the one table; the word is the file's name."""

NARROWEST = 16
"""Numbers a word has at least."""

WORDS = 64
"""Learned words in one file at most."""

_LAYER = re.compile(r"\.(weight|bias|alpha|scale|diff|diff_b)$|lora|_norm$|^(v_pred|ztsnr|edm_)")

ACCELERATOR = "an accelerator of locstyle's own"
"""What our own file is called that says how many steps of which solver it is made for."""

UNKNOWN = Kind("a file whose tensors are of no kind that locstyle knows")
_LORA_HINT = "as a style of a region: --region MASK=FILE"
_PART_HINT = "give a diffusers folder with all parts, or a full checkpoint"

_INPUTS = {
    9: "an inpainting checkpoint of {} (9 input channels: latent, mask, masked picture)",
    8: "an InstructPix2Pix checkpoint of {} (8 input channels: latent and picture)",
    7: "an upscaling checkpoint of {} (7 input channels: latent and small picture)",
    5: "a depth-guided checkpoint of {} (5 input channels: latent and depth)",
}

# What is no UNet checkpoint and no LoRA, by names that no other kind has; the first that fits.
_OTHERS: tuple[tuple[str, str], ...] = (
    (r"^(ip_adapter|ip_adapter_image_proj)\.|^image_proj\.", "an IP-Adapter"),
    (r"^(adapter\.)?body\.\d+\.(resnets|block1|in_conv)", "a T2I-Adapter"),
    (r"motion_modules\.", "an AnimateDiff motion module"),
    (r"^(320|640|768|1024|1280|2048)\.\d+\.linear\.", "a hypernetwork"),
    (r"^(clip_txt_mapper|clip_mapper|effnet_mapper)\.", "Stable Cascade"),
    (r"^(model\.0|conv_first|body\.0\.rdb1\.conv1)\.weight$|RRDB_trunk", "an upscaler"),
)
_TRANSFORMERS: tuple[tuple[str, str], ...] = (
    (r"^(single|double)_stream_modulation", "FLUX.2"),
    (r"^distilled_guidance_layer\.", "Chroma"),
    (r"^double_blocks\.\d+\.img_attn|^single_transformer_blocks\.", "FLUX.1"),
    (r"^joint_blocks\.", "Stable Diffusion 3"),
    (r"^transformer_blocks\.\d+\.(txt|img)_(mlp|mod)", "Qwen-Image"),
    (r"^transformer_blocks\.\d+\.attn\.add_q_proj", "Stable Diffusion 3"),
    (r"^cap_embedder\.|^(noise|context)_refiner\.", "Z-Image or Lumina"),
    (r"^double_layers\.\d+\.attn\.w2q", "AuraFlow"),
    (r"^head\.modulation$|^blocks\.\d+\.cross_attn\.|^patchify_proj\.", "a video model"),
    (r"^(adaln_single|caption_projection)\.", "PixArt"),
)
_HINTS = {
    "an IP-Adapter": "give the picture itself, which is a style as it is",
    "a hypernetwork": "train a LoRA from its pictures: locstyle train lora",
}
_CONTROL = (
    (r"^lora_controlnet$", "a Control-LoRA"),
    (r"^control_model\.", "a ControlNet"),
    (r"^controlnet_(cond_embedding|down_blocks|mid_block|blocks)\.", "a ControlNet"),
)
_PARTS: tuple[tuple[str, str], ...] = (
    (r"^(first_stage_model\.)?(decoder|encoder)\.conv_in\.weight$", "an autoencoder alone"),
    (r"^(encoder|shared)\.(block\.0|weight)", "a T5 text encoder alone"),
    (r"text_model\.encoder\.layers\.|^transformer\.resblocks\.", "a CLIP text encoder alone"),
)
_WRAPPED = re.compile(r"^(model\.diffusion_model|diffusion_model|transformer|net)\.")
_LORA = re.compile(
    r"lora_(down|up|mid|[AB])\b|lora_(down|up|mid|[AB])\.|\.lora\.(down|up)\.|_lora\.(down|up)\.|"
    r"lora_linear_layer|\.hada_w\d|\.lokr_w\d|\.oft_\w+|\.dora_scale|^(lora|lycoris)_(unet|te|trans)"
)
_LORA_BASES: tuple[tuple[str, str], ...] = (
    (r"(double_blocks|single_blocks|single_transformer_blocks)[._]\d", "FLUX"),
    (r"transformer_blocks[._]\d+[._](txt|img)_(mlp|mod)", "Qwen-Image"),
    (r"joint_blocks[._]\d|transformer_blocks[._]\d+[._]attn[._]add_", "Stable Diffusion 3"),
    (r"(^|[._])layers[._]\d+[._](attention|feed_forward)", "Z-Image or Lumina"),
    (r"(^|[._])blocks[._]\d+[._](self_attn|cross_attn)[._]", "a video model (Wan or the like)"),
)


def kind_of(contents: Contents) -> Kind:
    """What a file with this header is."""
    keys = list(contents.shapes)
    if "locstyle.format" in contents.meta:
        name = ACCELERATOR if "solver" in contents.meta else "a style of locstyle's own"
        return Kind(name, "style", contents.meta.get("family", ""))
    for sign, name in _CONTROL:
        if _any(sign, keys):
            return Kind(name)
    if any(_LORA.search(key) for key in keys):
        return _lora(contents)
    if any(key.startswith("model.diffusion_model.input_blocks.") for key in keys):
        return _checkpoint(contents)
    if is_embedding(contents.shapes):
        return _embedding(contents)
    return _other(keys)


def _checkpoint(contents: Contents) -> Kind:
    """A checkpoint in the layout of the original Stable Diffusion code."""
    shapes, stem = contents.shapes, "model.diffusion_model."
    first = shapes.get(f"{stem}input_blocks.0.0.weight", (0, 4))
    told = shapes.get(f"{stem}label_emb.0.0.weight")
    width = _width(contents, r"input_blocks.*attn2\.to_k\.weight$")
    family = FAMILIES.get(width, f"unet{width}" if width else "")
    called = NAMES.get(family, f"a UNet that reads texts {width} wide")
    inputs = first[1] if len(first) > 1 else 4
    if _any(r"^model\.diffusion_model\..*(motion_modules|time_stack|temporal)\b", shapes):
        return Kind("a video checkpoint")
    if inputs != 4:
        words = _INPUTS.get(inputs, f"a checkpoint of {{}} with {inputs} input channels")
        return Kind(words.format(called))
    if told is not None and width == 1280:
        return Kind("the SDXL refiner, which finishes the base model's pictures")
    if told is not None and family in ("sd1", "sd2"):
        words = f"a checkpoint of {called} that is told a class or noise level (unCLIP, upscaler)"
        return Kind(words)
    if "edm_mean" in shapes:
        return Kind("Playground 2.5, whose noise levels are EDM's")
    if missing := _missing(shapes):
        return Kind(f"a UNet of {called} without {missing}", family=family, hint=_PART_HINT)
    return Kind(f"a checkpoint of {called}", "backbone", family)


def _missing(keys: Iterable[str]) -> str:
    """The parts of a full checkpoint that are not there, in words."""
    needed = {
        "its autoencoder": r"^(first_stage_model|vae)\.",
        "its text encoder": r"^(cond_stage_model|conditioner|text_encoders)\.",
    }
    keys = list(keys)
    return " and ".join(name for name, sign in needed.items() if not _any(sign, keys))


def _lora(contents: Contents) -> Kind:
    """A LoRA or one of its relatives."""
    keys = list(contents.shapes)
    for sign, base in _LORA_BASES:
        if _any(sign, keys):
            return Kind(f"a LoRA for {base}, another kind of network")
    width = _width(contents, r"attn2[._]to_k.*(down|lora_A)\b.*weight$")
    said = contents.meta.get("ss_base_model_version") or contents.meta.get("modelspec.architecture")
    family = FAMILIES.get(width, "") or _said(said or "")
    if width == 1280:
        return Kind("a LoRA for the SDXL refiner")
    if all(re.match(r"lora_te|text_encoder|te\d?\.|text_model", key) for key in keys):
        return Kind("a LoRA for text encoders alone", "style", family, _LORA_HINT)
    if family:
        return Kind(f"a LoRA for {NAMES[family]}", "style", family, _LORA_HINT)
    return Kind("a LoRA", "style", "", _LORA_HINT)


def _said(version: str) -> str:
    signs = {"xl": "sdxl", "sd_v1": "sd1", "diffusion-v1": "sd1"}
    signs |= {"sd_v2": "sd2", "diffusion-v2": "sd2"}
    return next((family for sign, family in signs.items() if sign in version), "")


def is_embedding(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether a file holds learned words and nothing else: the tables of SDXL's two encoders, one
    without a name, or any under names that no layer of a network has, all as wide."""
    if not 0 < len(shapes) <= WORDS:
        return False
    if set(TWO_ENCODERS) & set(shapes):
        return True
    if any(_LAYER.search(key) or _LORA.search(key) for key in shapes):
        return False
    widths = {shape[-1] if len(shape) in (1, 2) else 0 for shape in shapes.values()}
    return len(widths) == 1 and min(widths) >= NARROWEST


def _embedding(contents: Contents) -> Kind:
    if "t5xxl" in contents.shapes:
        return Kind("learned words (textual inversion) for Stable Diffusion 3 or FLUX")
    is_pair = set(TWO_ENCODERS) & set(contents.shapes)
    width = next(iter(contents.shapes.values()))[-1:] if contents.shapes else ()
    family = "sdxl" if is_pair else FAMILIES.get(width[0], "") if width else ""
    of = f" for {NAMES[family]}" if family else ""
    return Kind(f"learned words (textual inversion){of}", "style", family, _LORA_HINT)


def _other(keys: list[str]) -> Kind:
    """What is neither a UNet checkpoint nor a style."""
    bare = [_WRAPPED.sub("", key) for key in keys]
    for sign, name in _OTHERS:
        if _any(sign, bare) or _any(sign, keys):
            return Kind(name, hint=_HINTS.get(name, ""))
    for sign, name in _TRANSFORMERS:
        if _any(sign, bare) or _any(sign, keys):
            return Kind(f"{name}, a diffusion transformer")
    is_unet = _any(r"^input_blocks\.0\.0\.weight$", bare)
    if is_unet or {"conv_in.weight", "time_embedding.linear_1.weight"} <= set(keys):
        return Kind("a UNet alone", hint=_PART_HINT)
    for sign, name in _PARTS:
        if _any(sign, keys):
            return Kind(name, hint=_PART_HINT)
    return UNKNOWN


def _width(contents: Contents, pattern: str) -> int:
    """The second side of the first tensor whose name matches; 0 where there is none."""
    for key, shape in contents.shapes.items():
        if len(shape) > 1 and re.search(pattern, key):
            return shape[1]
    return 0


def _any(pattern: str, keys: Iterable[str]) -> bool:
    found = re.compile(pattern)
    return any(found.search(key) for key in keys)
