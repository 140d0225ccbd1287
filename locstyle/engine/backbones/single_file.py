"""Checkpoints in one `.safetensors` file, in the layout of the original Stable Diffusion code.

Configurations and tokenizers of 1.x, 2.x and SDXL ship beside this module, in `known`, so that no
network is needed; which of them a file wants is told by its own tensors.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from locstyle.engine.backbones.accepted import check_scheduler, check_unet
from locstyle.engine.backbones.checkpoint import Parts, quietly
from locstyle.errors import BackboneError
from locstyle.files import Contents, bounds, is_file, is_folder, read_contents, read_text
from locstyle.kinds import ACCELERATOR, Kind, kind_of

KNOWN = Path(__file__).with_name("known")
"""Configurations by family, and CLIP's tokenizer, which all of them have."""

V_SIGN = "model.diffusion_model.output_blocks.11.1.transformer_blocks.0.norm1.bias"
V_SPREAD = 0.09
"""A spread of this bias above which Stable Diffusion 2.x predicts v, as ComfyUI tells the two
(`comfyanonymous/ComfyUI` comfy/supported_models.py); nothing else in the files does."""

PADDED = {"tokenizer": {"sd2", "sd2-v"}, "tokenizer_2": {"sdxl"}}
"""Whose prompts are padded by the token of number 0, "!", as OpenCLIP does."""


def read_single_file(
    path: Path, config: str | Path | None, dtype: torch.dtype, *, download: bool = True
) -> Parts:
    """The parts of a full checkpoint.

    `config`: a diffusers folder or hub name whose configuration and tokenizer are taken; None:
    those that ship with locstyle for the file's family.

    Raises:
        BackboneError: it is something else, which is named, or cannot be read.
    """
    if not is_file(path):
        raise BackboneError(f"backbone: {str(path)!r} is not a file")
    contents = _contents(path)
    kind = kind_of(contents)
    folder = _folder(path, contents, kind, config, download=download)
    unet, scheduler = (
        _config(folder, part) for part in ("unet/config.json", "scheduler/scheduler_config.json")
    )
    scheduler |= dict(_marks(contents))
    check_unet(unet, str(path))
    check_scheduler(scheduler, str(path))
    try:
        with quietly():
            is_xl = unet.get("addition_embed_type") == "text_time"
            return _read(path, folder, scheduler, dtype, is_xl=is_xl)
    except Exception as error:  # diffusers raises many kinds here, down to bare Exception
        raise BackboneError(
            f"backbone: {str(path)!r}, {kind.name}, does not fit its configuration: {error}; give "
            "that of its own kind, a diffusers folder, with --backbone-config"
        ) from error


def _contents(path: Path) -> Contents:
    try:
        return read_contents(path)
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone: {str(path)!r} could not be read as a Stable Diffusion checkpoint: {error}"
        ) from error


def _folder(
    path: Path, contents: Contents, kind: Kind, config: str | Path | None, *, download: bool
) -> Path:
    """The folder of the configuration that a file wants."""
    if kind.use == "style":
        there = "a style goes to a region, --region MASK=FILE"
        if kind.name == ACCELERATOR:
            there = "it goes beside the regions, --accelerator FILE"
        raise BackboneError(
            f"backbone: {str(path)!r} is {kind.name}; {there}, with a backbone of its family"
        )
    if kind.use == "none":
        hint = f"; {kind.hint}" if kind.hint else ""
        raise BackboneError(
            f"backbone: {str(path)!r} is {kind.name}, which is no checkpoint of Stable Diffusion "
            f"1.x, 2.x or SDXL{hint}"
        )
    if config is not None:
        return Path(config) if is_folder(config) else _fetched(str(config), download=download)
    name = kind.family
    if name == "sd2" and _predicts_v(path, contents):
        name = "sd2-v"
    if not (KNOWN / name).is_dir() or not name:
        raise BackboneError(
            f"backbone: {str(path)!r} is {kind.name}, whose configuration does not ship with "
            "locstyle; give a diffusers folder of its kind with --backbone-config (in Python "
            "Editor.load(config=…))"
        )
    return KNOWN / name


def _fetched(name: str, *, download: bool) -> Path:
    """The configuration of a hub repository, without its weights."""
    from huggingface_hub import snapshot_download

    wanted = ["*.json", "*.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=not download))
    except Exception as error:  # of whichever library fetches for the hub's
        raise BackboneError(
            f"backbone: the configuration {name!r} is no folder here and cannot be had from the "
            f"hub ({error}); give a diffusers folder"
        ) from error


def _predicts_v(path: Path, contents: Contents) -> bool:
    if V_SIGN not in contents.shapes:
        return False
    with safe_open(str(path), framework="pt") as opened:
        return float(opened.get_tensor(V_SIGN).float().std(correction=0)) > V_SPREAD


def _marks(contents: Contents) -> Iterator[tuple[str, object]]:
    """What a file says of its noise levels by empty tensors, as the community's tools write them
    (`comfyanonymous/ComfyUI` comfy/supported_models.py)."""
    if "v_pred" in contents.shapes:
        yield "prediction_type", "v_prediction"
        if "ztsnr" in contents.shapes:
            yield "rescale_betas_zero_snr", True
            yield "timestep_spacing", "trailing"


def _config(folder: Path, part: str) -> dict[str, Any]:
    try:
        said = json.loads(read_text(folder / part, bounds.TEXT_BYTES))
    except (OSError, ValueError) as error:
        raise BackboneError(
            f"backbone: the configuration {str(folder)!r} has no readable {part} ({error})"
        ) from error
    if not isinstance(said, dict):
        raise BackboneError(f"backbone: {part} of {str(folder)!r} is no mapping of settings")
    return said


def _read(
    path: Path, folder: Path, scheduler: dict[str, Any], dtype: torch.dtype, *, is_xl: bool
) -> Parts:
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        StableDiffusionXLPipeline,
    )

    given: dict[str, Any] = {"config": str(folder), "local_files_only": True}
    given["scheduler"] = DDIMScheduler.from_config(scheduler)
    given |= _tokenizers(folder, is_xl=is_xl)
    if is_xl:  # whose autoencoder loses pictures in 16 bits
        given["vae"] = AutoencoderKL.from_single_file(
            str(path),
            config=str(folder),
            subfolder="vae",
            torch_dtype=torch.float32,
            local_files_only=True,
        )
    else:
        given["safety_checker"] = None
    pipeline = StableDiffusionXLPipeline if is_xl else StableDiffusionPipeline
    made = pipeline.from_single_file(str(path), torch_dtype=dtype, **given)
    found = {name: getattr(made, name, None) for name in Parts._fields}
    return Parts(**found)


def _tokenizers(folder: Path, *, is_xl: bool) -> dict[str, Any]:
    """CLIP's for our own configurations, else those in the folder."""
    from transformers import CLIPTokenizer

    found = {}
    for name in ("tokenizer", "tokenizer_2") if is_xl else ("tokenizer",):
        if folder.parent == KNOWN:
            pad = "!" if folder.name in PADDED[name] else "<|endoftext|>"
            where, options = KNOWN / "tokenizer", {"model_max_length": 77, "pad_token": pad}
        else:
            where, options = folder / name, {}
        found[name] = CLIPTokenizer.from_pretrained(str(where), **options)
    return found
