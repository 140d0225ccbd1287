"""Checkpoints of the Stable Diffusion family: from a folder, a hub repository, or one file."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from locstyle.engine.backbones.accepted import check_scheduler, check_unet
from locstyle.errors import BackboneError
from locstyle.files import is_file, is_folder

WEIGHTS = ("unet", "vae", "text_encoder")
"""The parts of every checkpoint that have weights."""

PATIENCE = 5.0
"""Seconds within which the hub must answer before anything is downloaded from it."""


class Parts(NamedTuple):
    """A checkpoint's modules, as diffusers and transformers made them; SDXL has two encoders."""

    unet: Any  # diffusers is untyped
    vae: Any
    text_encoder: Any
    tokenizer: Any
    scheduler: Any
    text_encoder_2: Any = None
    tokenizer_2: Any = None

    @property
    def modules(self) -> dict[str, nn.Module]:
        """What has weights, by its name."""
        found = {name: getattr(self, name) for name in (*WEIGHTS, "text_encoder_2")}
        return {name: module for name, module in found.items() if module is not None}


def read_folder(name: str, dtype: torch.dtype, *, download: bool = True) -> Parts:
    """The parts of a diffusers folder or hub repository; safetensors only.

    Without `download` a repository must have been fetched before.

    Raises:
        BackboneError: nothing is there, or a part is missing or broken.
    """
    local = _local(name)
    if local is None and (Path(name).is_absolute() or name.count("/") != 1):
        raise BackboneError(
            f"backbone: {name!r} is not a folder; accepted: 'mini', a diffusers folder, "
            "a .safetensors checkpoint, or a hub name such as 'owner/name'"
        )
    here = local or _kept(name)
    if download and here is None:
        _check_hub(name)
    try:
        with _quietly():
            return _read_parts(name, here or name, dtype, download=download)
    except (OSError, ValueError, KeyError, NotImplementedError) as error:
        if local is None and not download:
            raise BackboneError(
                f"backbone: {name!r} is a hub name and not on this machine, and nothing is fetched "
                "because a picture names it; --download does"
            ) from error
        raise BackboneError(
            f"backbone: {name!r} could not be loaded as a Stable Diffusion folder "
            f"(unet, vae, text_encoder, tokenizer, scheduler with .safetensors weights): {error}"
        ) from error


def _local(name: str) -> str | None:
    """The folder of that name, if there is one."""
    try:
        folder = Path(name).expanduser()
    except RuntimeError:  # no home folder, or nobody's
        return None
    return str(folder) if is_folder(folder) else None


def _kept(name: str) -> str | None:
    """The folder of a hub repository that was downloaded before, so that nobody need be asked."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        kept = snapshot_download(name, local_files_only=True, cache_dir=constants.HF_HUB_CACHE)
    except (LocalEntryNotFoundError, ValueError):  # ValueError: no name the hub could have
        return None
    return kept if all(any(Path(kept, part).glob("*.safetensors")) for part in WEIGHTS) else None


def _check_hub(name: str) -> None:
    """Asks the hub for a repository once, and for seconds only: a download would try for minutes.

    Raises:
        BackboneError: it cannot be reached, or has no such repository.
    """
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import RepositoryNotFoundError

    try:
        HfApi(endpoint=constants.ENDPOINT).model_info(name, timeout=PATIENCE)
    except RepositoryNotFoundError as error:
        raise BackboneError(
            f"backbone: {name!r} is no folder here and no repository of the hub that can be seen; "
            "check the name, or log in where it is private"
        ) from error
    except Exception as error:  # of whichever library fetches for the hub's
        raise BackboneError(
            f"backbone: {name!r} is no folder here, and the hub ({constants.ENDPOINT}) cannot be "
            f"reached to download it ({_first_line(error)}); connect to the network once, or give "
            "a diffusers folder or a .safetensors checkpoint"
        ) from error


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__


def _read_parts(name: str, where: str, dtype: torch.dtype, *, download: bool) -> Parts:
    """The parts of the folder or repository `where`, which the user calls `name`."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    here: dict[str, Any] = {"local_files_only": not download}
    safe = {"use_safetensors": True, **here}
    check_unet(UNet2DConditionModel.load_config(where, subfolder="unet", **here), name)
    check_scheduler(DDIMScheduler.load_config(where, subfolder="scheduler", **here), name)
    unet = UNet2DConditionModel.from_pretrained(where, subfolder="unet", torch_dtype=dtype, **safe)
    is_xl = unet.config.addition_embed_type == "text_time"
    # SDXL's autoencoder loses pictures in 16 bits, so it stays in 32.
    vae_dtype = torch.float32 if is_xl else dtype
    parts = Parts(
        unet,
        AutoencoderKL.from_pretrained(where, subfolder="vae", torch_dtype=vae_dtype, **safe),
        CLIPTextModel.from_pretrained(where, subfolder="text_encoder", dtype=dtype, **safe),
        CLIPTokenizer.from_pretrained(where, subfolder="tokenizer", **here),
        DDIMScheduler.from_pretrained(where, subfolder="scheduler", **here),
    )
    if not is_xl:
        return parts
    second = CLIPTextModelWithProjection.from_pretrained(
        where, subfolder="text_encoder_2", dtype=dtype, **safe
    )
    tokenizer = CLIPTokenizer.from_pretrained(where, subfolder="tokenizer_2", **here)
    return parts._replace(text_encoder_2=second, tokenizer_2=tokenizer)


def read_single_file(
    path: Path, config: str | Path | None, dtype: torch.dtype, *, download: bool = True
) -> Parts:
    """The parts of one `.safetensors` checkpoint in the original Stable Diffusion layout."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    if not is_file(path):
        raise BackboneError(f"backbone: {str(path)!r} is not a file")
    options: dict[str, Any] = {"torch_dtype": dtype, "safety_checker": None}
    options["local_files_only"] = not download or (config is not None and is_folder(config))
    if config is not None:
        options["config"] = str(config)
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
    """The libraries' own progress bars, and what they warn each other of, off for the length of
    the `with`; ours are enough."""
    from diffusers.utils import logging as diffusers
    from transformers.utils import logging as transformers

    with ExitStack() as stack, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*is deprecated", category=UserWarning)
        for library in (diffusers, transformers):
            if library.is_progress_bar_enabled():
                stack.callback(library.enable_progress_bar)
                library.disable_progress_bar()
        yield
