"""Checkpoints of the Stable Diffusion family from a diffusers folder or a hub repository."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from locstyle.engine.backbones.accepted import KINDS, check_scheduler, check_unet
from locstyle.errors import BackboneError
from locstyle.files import bounds, is_file, is_folder, lone_file, read_text

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
    if here is not None:
        _check_index(Path(here), name)
    if download and here is None:
        _check_hub(name)
    try:
        with quietly():
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


def _check_index(folder: Path, name: str) -> None:
    """Refuses a folder that is another thing than a Stable Diffusion, by what it says it is.

    Raises:
        BackboneError: says what it is.
    """
    if is_file(folder / "adapter_config.json"):
        what = "an adapter (PEFT), which is a style: give it to a region, --region MASK=FOLDER"
        raise BackboneError(f"backbone: {name!r} is {what}")
    if not is_folder(folder / "unet") and (lone := lone_file(folder, ".safetensors")) is not None:
        there = f"a folder, and no diffusers model's; give the file in it, {str(lone)!r}"
        raise BackboneError(f"backbone: {name!r} is {there}")
    said = _class_of(folder / "model_index.json") or _class_of(folder / "config.json")
    if said and not said.startswith("StableDiffusion"):
        raise BackboneError(f"backbone: {name!r} is a {said}; {KINDS}")
    if said and re.search("Inpaint|Upscale|Pix2Pix|3Pipeline|Depth|ControlNet|Latent|UnCLIP", said):
        raise BackboneError(f"backbone: {name!r} is a {said}; {KINDS}")


def _class_of(config: Path) -> str:
    """The class a configuration is of; "" where there is none."""
    if not is_file(config):
        return ""
    try:
        said = json.loads(read_text(config, bounds.TEXT_BYTES))
        return str(said.get("_class_name") or "")
    except (OSError, ValueError, AttributeError):
        return ""  # whoever needs it says so


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
    config = UNet2DConditionModel.load_config(where, subfolder="unet", **here)
    check_unet(config, name)
    check_scheduler(DDIMScheduler.load_config(where, subfolder="scheduler", **here), name)
    is_xl = config.get("addition_embed_type") == "text_time"
    files = _files(where) if _local(where) else _files_of_hub(where)

    def load(kind: Any, part: str, **options: Any) -> Any:
        options |= {"use_safetensors": True, **here, **_variant(files, part, name)}
        return kind.from_pretrained(where, subfolder=part, **options)

    # SDXL's autoencoder loses pictures in 16 bits, so it stays in 32.
    parts = Parts(
        load(UNet2DConditionModel, "unet", torch_dtype=dtype),
        load(AutoencoderKL, "vae", torch_dtype=torch.float32 if is_xl else dtype),
        load(CLIPTextModel, "text_encoder", dtype=dtype),
        CLIPTokenizer.from_pretrained(where, subfolder="tokenizer", **here),
        DDIMScheduler.from_pretrained(where, subfolder="scheduler", **here),
    )
    if not is_xl:
        return parts
    second = load(CLIPTextModelWithProjection, "text_encoder_2", dtype=dtype)
    tokenizer = CLIPTokenizer.from_pretrained(where, subfolder="tokenizer_2", **here)
    return parts._replace(text_encoder_2=second, tokenizer_2=tokenizer)


def _files(folder: str) -> list[str]:
    """What lies in the parts of a folder, as "unet/config.json"."""
    return [path.relative_to(folder).as_posix() for path in Path(folder).glob("*/*")]


def _files_of_hub(name: str) -> list[str]:
    from huggingface_hub import HfApi, constants

    return list(HfApi(endpoint=constants.ENDPOINT).list_repo_files(name))


def _variant(files: Sequence[str], part: str, name: str) -> dict[str, str]:
    """Which of a part's weights are read: those in full, else those in 16 bits.

    Raises:
        BackboneError: there are none but pickles.
    """
    weights = [file for file in files if file.startswith(f"{part}/")]
    safe = [file for file in weights if file.endswith(".safetensors")]
    if not safe and (pickled := [f for f in weights if f.endswith((".bin", ".ckpt", ".pt"))]):
        raise BackboneError(
            f"backbone: {name!r} has its weights as a pickle ({pickled[0]}), which runs code when "
            "read; accepted are .safetensors weights, such as most repositories hold beside it"
        )
    return {"variant": "fp16"} if safe and all(".fp16." in file for file in safe) else {}


@contextmanager
def quietly() -> Iterator[None]:
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
