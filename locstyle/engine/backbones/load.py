"""How a backbone is loaded: from a folder, a single file, or a hub name."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from locstyle.errors import BackboneError
from locstyle.uncollected import uncollected

if TYPE_CHECKING:
    from locstyle.engine.backbones.checkpoint import Parts
    from locstyle.engine.backbones.unet import UNetBackbone


Memory = Literal["auto", "low"]
"""How freely a run may use its device's memory: as it needs, or as little as it can."""

LARGE = 600_000_000
"""Numbers from which on a UNet runs in bfloat16 where that pays."""


def load_backbone(
    name: str | Path,
    *,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    family: str | None = None,
    config: str | Path | None = None,
    download: bool = True,
    memory: Memory = "auto",
) -> UNetBackbone:
    """A backbone from a diffusers folder, a single-file `.safetensors` checkpoint, or a hub name.

    `device`: "auto" takes CUDA where there is one. `dtype`: None is float16 on CUDA; bfloat16,
    which takes half the memory, for large models on a CPU with matrix units for it; else float32.
    `family`: None recognises Stable Diffusion 1.x, 2.x and XL by the width of their text states.
    `config`: a diffusers folder or hub name with the tokenizer and configurations of a single-file
    checkpoint. `download`: whether a hub may be asked for what is not there yet. `memory`: "low"
    keeps parts on a GPU only while they are used, "auto" where it does not hold them all.

    Raises:
        BackboneError: nothing is there, it is a pickle, or it is no UNet of that family.
    """
    if memory not in get_args(Memory):
        raise BackboneError(f"memory: got {memory!r}; give auto or low")
    chosen = _device(device)
    if dtype == torch.float16 and chosen.type == "cpu":
        warnings.warn(
            "dtype: float16 is slow on a CPU; leave the dtype out, or give bfloat16 where memory "
            "is short",
            stacklevel=2,
        )
    path = Path(name)
    if path.suffix in (".ckpt", ".pt", ".bin", ".pth"):
        raise BackboneError(
            f"backbone: {str(name)!r} is a pickle, which runs code when read; "
            "use a .safetensors checkpoint or a diffusers folder"
        )
    if config is not None and path.suffix != ".safetensors":
        raise configured(str(name))
    with uncollected():
        from locstyle.engine.backbones import checkpoint, single_file
        from locstyle.engine.backbones.unet import UNetBackbone
        from locstyle.engine.backbones.whereabouts import is_short

        read_as = dtype or (torch.float16 if chosen.type == "cuda" else torch.float32)
        if path.suffix == ".safetensors":
            parts = single_file.read_single_file(path, config, read_as, download=download)
        else:
            parts = checkpoint.read_folder(str(name), read_as, download=download)
        if dtype is None and chosen.type == "cpu" and _size(parts.unet) >= LARGE:
            _take_bfloat16(parts)
        spares = memory == "low" or (memory == "auto" and is_short(parts.modules, _free(chosen)))
        return UNetBackbone(parts, name=str(name), device=chosen, family=family, spares=spares)


def configured(name: str) -> BackboneError:
    """Refuses a configuration beside a backbone that has one."""
    return BackboneError(
        f"backbone_config: is for checkpoints in one .safetensors file; {name!r} has a "
        "configuration of its own, leave it out"
    )


def _take_bfloat16(parts: Parts) -> None:
    """Turns a model to bfloat16 if this CPU has matrix units for it.

    Vector units alone (AVX512-BF16) multiply it at half the speed of float32.
    """
    ask = getattr(torch.cpu, "get_capabilities", None)  # not in every torch we take
    if ask and ask().get("amx_bf16"):
        for name, module in parts.modules.items():
            if name != "vae" or parts.text_encoder_2 is None:  # SDXL's loses pictures in 16 bits
                module.to(torch.bfloat16)


def _free(device: torch.device) -> float:
    """Bytes of a GPU that nobody uses; no bound elsewhere, where parts have nowhere to go."""
    return torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else math.inf


def _size(unet: nn.Module) -> int:
    """The numbers a network has."""
    return sum(weight.numel() for weight in unet.parameters())


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BackboneError(f"device: {name!r} is unknown; use cpu, cuda or cuda:N") from error
    if device.type not in ("cpu", "cuda"):
        raise BackboneError(f"device: {name!r} is not supported; use cpu, cuda or cuda:N")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if not count:
        raise BackboneError("device: 'cuda' was asked for, but torch sees no CUDA device; use cpu")
    if (device.index or 0) >= count:
        raise BackboneError(f"device: {name!r} was asked for, but torch sees {count} of its kind")
    return device
