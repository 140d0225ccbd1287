"""Checkpoints of the Stable Diffusion family: from a folder, a hub repository, or one file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from locstyle.errors import BackboneError


class Parts(NamedTuple):
    """A checkpoint's modules, as diffusers and transformers made them."""

    unet: Any  # diffusers is untyped
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any


def read_folder(name: str, dtype: torch.dtype) -> Parts:
    """The parts of a diffusers folder or hub repository; safetensors only.

    Raises:
        BackboneError: nothing is there, or a part is missing or broken.
    """
    local = Path(name).expanduser()
    if not local.is_dir() and (local.is_absolute() or name.count("/") != 1):
        raise BackboneError(
            f"backbone: {name!r} is not a folder; accepted: 'mini', a diffusers folder, "
            "a .safetensors checkpoint, or a hub name such as 'owner/name'"
        )
    try:
        with _quietly():
            return _read_parts(str(local) if local.is_dir() else name, dtype)
    except (OSError, ValueError, KeyError) as error:
        raise BackboneError(
            f"backbone: {name!r} could not be loaded as a Stable Diffusion folder "
            f"(unet, vae, text_encoder, tokenizer, scheduler with .safetensors weights): {error}"
        ) from error


def _read_parts(where: str, dtype: torch.dtype) -> Parts:
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    options = {"torch_dtype": dtype, "use_safetensors": True}
    return Parts(
        UNet2DConditionModel.from_pretrained(where, subfolder="unet", **options),
        AutoencoderKL.from_pretrained(where, subfolder="vae", **options),
        CLIPTextModel.from_pretrained(
            where, subfolder="text_encoder", dtype=dtype, use_safetensors=True
        ),
        CLIPTokenizer.from_pretrained(where, subfolder="tokenizer"),
        DDIMScheduler.from_pretrained(where, subfolder="scheduler"),
    )


def read_single_file(path: Path, config: str | Path | None, dtype: torch.dtype) -> Parts:
    """The parts of one `.safetensors` checkpoint in the original Stable Diffusion layout."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    if not path.is_file():
        raise BackboneError(f"backbone: {str(path)!r} is not a file")
    options: dict[str, Any] = {"torch_dtype": dtype, "safety_checker": None}
    if config is not None:
        options |= {"config": str(config), "local_files_only": Path(config).is_dir()}
    try:
        with _quietly():
            pipeline = StableDiffusionPipeline.from_single_file(str(path), **options)
    except Exception as error:  # diffusers raises many kinds here, down to bare Exception
        raise BackboneError(
            f"backbone: {str(path)!r} could not be read as a Stable Diffusion checkpoint: {error}; "
            "without a network, pass a diffusers folder of the same family as its configuration"
        ) from error
    scheduler = DDIMScheduler.from_config(pipeline.scheduler.config)
    return Parts(pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.tokenizer, scheduler)


@contextmanager
def _quietly() -> Iterator[None]:
    """The libraries' own progress bars off for the length of the `with`; ours are enough."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    with ExitStack() as stack:
        for library in (diffusers, transformers):
            if library.is_progress_bar_enabled():
                stack.callback(library.enable_progress_bar)
                library.disable_progress_bar()
        yield
