"""What never changes about the triples, worked out once: latents, and what the tower sees."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.deadiff.towers import BackboneTower
from torch import Tensor

from .training import write_tensors
from .triples import Triples

_BATCH = 32
_CALIBRATION = 256  # pictures


@dataclass(frozen=True)
class Seen:
    """Triples with their latents and the vision tower's tokens of each picture.

    `calibration`: mean and spread of every number of the tower, as it needs them.
    """

    triples: Triples
    backbone: Any
    latents: Tensor  # [N, 4, h, w], half precision, scaled
    calibration: dict[str, Tensor]
    kept: Any  # [N, n, width] half precision, a memory map

    def tokens(self, numbers: Sequence[int]) -> Tensor:
        """What the tower sees in some pictures [len(numbers), n, width]."""
        return torch.from_numpy(np.stack([self.kept[number] for number in numbers])).float()


def seen(triples: Triples, backbone: Any, folder: Path, calibration: dict[str, Tensor]) -> Seen:
    """Looks at every picture on the first call, and reads `folder` after that."""
    import safetensors.torch

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "latents.safetensors").exists():
        latents = _look(triples, backbone, calibration, folder / "tokens.npy")
        # written last: its presence says that all is there
        write_tensors(folder / "latents.safetensors", {"latents": latents}, {})
    latents = safetensors.torch.load_file(folder / "latents.safetensors")["latents"]
    kept = np.load(folder / "tokens.npy", mmap_mode="r")
    return Seen(triples, backbone, latents, calibration, kept)


def calibrated(triples: Triples, backbone: Any, path: Path) -> dict[str, Tensor]:
    """Mean and spread of the tower's numbers; measured on the first call, then read from `path`.

    A network that was trained with one calibration needs it for good, whatever it learns from.
    """
    import safetensors.torch

    if not path.exists():
        write_tensors(path, _calibration(triples, backbone), {})
    return dict(safetensors.torch.load_file(path))


def _calibration(triples: Triples, backbone: Any) -> dict[str, Tensor]:
    """Mean and spread of the tower's numbers over pictures from all over."""
    tower = BackboneTower(backbone)
    count = min(_CALIBRATION, len(triples.pictures))
    chosen = np.linspace(0, len(triples.pictures) - 1, count).astype(int)
    parts = [
        tower(pixels(triples.pictures[chosen[start : start + _BATCH]])).cpu()[:, 1:]
        for start in range(0, count, _BATCH)
    ]
    flat = torch.cat(parts).flatten(0, 1)
    return {"mean": flat.mean(0), "spread": flat.std(0).clamp(min=1e-4)}


def _look(triples: Triples, backbone: Any, calibration: dict[str, Tensor], path: Path) -> Tensor:
    """Latents of all pictures; what the tower sees goes to `path`."""
    scale = {name: part.to(backbone.device) for name, part in calibration.items()}
    tower = BackboneTower(backbone, **scale)
    latents: list[Tensor] = []
    kept: Any = None
    for start in range(0, len(triples.pictures), _BATCH):
        images = pixels(triples.pictures[start : start + _BATCH]).to(backbone.device)
        seen, encoded = tower.with_latents(images)
        found = seen.clamp(-60, 60).half().cpu().numpy()
        if kept is None:
            shape = (len(triples.pictures), *found.shape[1:])
            kept = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        kept[start : start + len(found)] = found
        latents.append(encoded.half().cpu())
    kept.flush()
    return torch.cat(latents)


def pixels(pictures: Any) -> Tensor:
    """Pictures [N, H, W, 3] uint8 as [N, 3, H, W] in [0, 1]."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 255
