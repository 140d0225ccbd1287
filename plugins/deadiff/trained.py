"""The file of a trained DEADiff: one safetensors, whose header has the sizes and the family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

import locstyle as ls

from .networks import ImageAdapter, Part, QFormerSizes
from .towers import BackboneTower, ClipTower, clip_model, clip_sizes, look

if TYPE_CHECKING:
    from PIL.Image import Image

FORMAT = "1"


@dataclass(frozen=True)
class Trained:
    """A DEADiff with what goes with it.

    `family`: of the backbone it was made for. `meta`: how it was made. `calibration`: mean and
    spread for the backbone's own networks as vision tower. `towers`: or else a CLIPVisionModel for
    "style" and one for "content".
    """

    network: ImageAdapter
    family: str
    meta: dict[str, str]
    calibration: dict[str, Tensor] = field(default_factory=dict)
    towers: dict[str, Any] = field(default_factory=dict)

    def tower(self, backbone: Any, part: Part) -> BackboneTower | ClipTower:
        """What the Q-Former for `part` looks through; `side` is that of its pictures."""
        if self.towers:
            return ClipTower(self.towers[part].to(backbone.device))
        scale = {name: numbers.to(backbone.device) for name, numbers in self.calibration.items()}
        return BackboneTower(backbone, **scale)

    def seen(self, images: Sequence[Image], backbone: Any) -> tuple[Tensor, Tensor]:
        """What the two Q-Formers read of pictures: their towers' tokens, each [n, tokens, width].

        The backbone's own networks are one tower for both, and look once.
        """
        style = content = self._look(images, backbone, "style")
        if self.towers:
            content = self._look(images, backbone, "content")
        return style, content

    def _look(self, images: Sequence[Image], backbone: Any, part: Part) -> Tensor:
        tower = self.tower(backbone, part)
        return tower(look(images, tower.side).to(backbone.device)).float()

    def save(self, path: Path, dtype: torch.dtype = torch.float16) -> None:
        """Write everything to one file, all of it or nothing."""
        import safetensors.torch

        tensors = {f"network.{name}": part for name, part in self.network.state_dict().items()}
        tensors |= {f"calibration.{name}": part for name, part in self.calibration.items()}
        for part, model in self.towers.items():
            tensors |= {f"tower.{part}.{name}": t for name, t in model.state_dict().items()}
        # a number's mean can be far larger than what it varies by: half precision would lose that
        kept = {
            name: tensor.to(torch.float32 if name.startswith("calibration") else dtype)
            .to("cpu")
            .contiguous()
            for name, tensor in tensors.items()
        }
        header = {
            "locstyle.deadiff": FORMAT,
            "family": self.family,
            "sizes": json.dumps(asdict(self.network.sizes)),
            "inner": json.dumps(self.network.inner),
            "towers": json.dumps({part: clip_sizes(m) for part, m in self.towers.items()}),
            **self.meta,
        }
        ls.write_atomic(path, safetensors.torch.save(kept, header))


def load(path: Path) -> Trained:
    """Read what `save` wrote; the network is in float32 on the CPU, in evaluation mode.

    Raises:
        StyleError: it is not such a file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            header: dict[str, Any] = dict(file.metadata() or {})
            tensors = {key: file.get_tensor(key).float() for key in file.keys()}
    except (OSError, SafetensorError) as error:
        raise ls.StyleError(f"qformer: {str(path)!r} could not be read: {error}") from error
    if header.pop("locstyle.deadiff", None) != FORMAT:
        raise ls.StyleError(
            f"qformer: {str(path)!r} is no trained Q-Former of ours; accepted: what `locstyle mini "
            "train-qformer` and `locstyle convert` write"
        )
    sizes, inner, towers = (json.loads(header.pop(key)) for key in ("sizes", "inner", "towers"))
    told = {key: tuple(value) for key, value in sizes.items() if isinstance(value, list)}
    with torch.random.fork_rng(devices=[]):  # a new layer draws weights that the file's replace
        models = {part: clip_model(**facts) for part, facts in towers.items()}
        network = ImageAdapter(QFormerSizes(**{**sizes, **told}), tuple(inner))
        network.eval().requires_grad_(False)
    for part, model in models.items():
        model.load_state_dict(_under(f"tower.{part}.", tensors))
    network.load_state_dict(_under("network.", tensors))
    family = header.pop("family")
    return Trained(network, family, header, _under("calibration.", tensors), models)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): tensor
        for key, tensor in tensors.items()
        if key.startswith(prefix)
    }
