"""How a backbone is loaded: from a folder, a single file, or a hub name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from locstyle.errors import BackboneError

if TYPE_CHECKING:
    from locstyle.engine.backbones.unet import UNetBackbone


def load_backbone(
    name: str | Path,
    *,
    device: str = "auto",
    dtype: torch.dtype | None = None,
    family: str | None = None,
    config: str | Path | None = None,
    download: bool = True,
) -> UNetBackbone:
    """A backbone from a diffusers folder, a single-file `.safetensors` checkpoint, or a hub name.

    `device`: "auto" takes CUDA where there is one. `dtype`: None is float16 on CUDA, float32
    elsewhere. `family`: None recognises Stable Diffusion 1.x and 2.x by the width of their text
    states. `config`: a diffusers folder or hub name with the tokenizer and configurations of a
    single-file checkpoint. `download`: whether a hub may be asked for what is not there yet.

    Raises:
        BackboneError: nothing is there, it is a pickle, or it is no UNet of that family.
    """
    from locstyle.engine.backbones import checkpoint
    from locstyle.engine.backbones.unet import UNetBackbone

    chosen = _device(device)
    if dtype is None:
        dtype = torch.float16 if chosen.type == "cuda" else torch.float32
    path = Path(name)
    if path.suffix in (".ckpt", ".pt", ".bin", ".pth"):
        raise BackboneError(
            f"backbone: {str(name)!r} is a pickle, which runs code when read; "
            "use a .safetensors checkpoint or a diffusers folder"
        )
    if path.suffix == ".safetensors":
        parts = checkpoint.read_single_file(path, config, dtype, download=download)
    else:
        parts = checkpoint.read_folder(str(name), dtype, download=download)
    return UNetBackbone(parts, name=str(name), device=chosen, family=family)


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
