"""LoRA files of PEFT, diffusers and kohya for SDXL: each is what PEFT's own merge makes of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from originals import original_unet_key
from peft import LoraConfig, get_peft_model
from peft.utils import get_peft_model_state_dict
from safetensors.torch import save_file
from torch import Tensor

from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.style import Style, read_style
from locstyle.testing import tiny_xl

TARGETS = ["to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out"]
CONVOLUTIONS = ["conv1", "conv2", "conv", "conv_in", "conv_out", "conv_shortcut"]
BESIDE = ["time_emb_proj", "linear_1", "linear_2"]
ALPHA, RANK = 3, 2


class Trained(NamedTuple):
    """A UNet with random LoRA layers, and what PEFT's merge adds to each weight."""

    model: Any
    changes: dict[str, Tensor]


@pytest.fixture(scope="module")
def xl() -> UNetBackbone:
    return tiny_xl()


@pytest.fixture(scope="module")
def trained(xl: UNetBackbone) -> Trained:
    unet = copy.deepcopy(xl.unet).to(memory_format=torch.contiguous_format)
    before = {name: weight.clone() for name, weight in unet.state_dict().items()}
    targets = TARGETS + CONVOLUTIONS + BESIDE
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = get_peft_model(unet, LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=targets))
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if "lora_" in name:
                    weight.normal_()
    merged = copy.deepcopy(made).merge_and_unload().state_dict()
    changes = {
        name.removesuffix(".weight"): merged[name] - before[name]
        for name in before
        if not torch.equal(merged[name], before[name])
    }
    return Trained(made, changes)


def factors(trained: Trained) -> dict[str, Tensor]:
    state = get_peft_model_state_dict(trained.model)
    return {key.removeprefix("base_model.model."): value for key, value in state.items()}


def of_peft(trained: Trained, folder: Path) -> Path:
    trained.model.save_pretrained(folder)
    return folder


def of_diffusers(trained: Trained, folder: Path) -> Path:
    from diffusers import StableDiffusionXLPipeline
    from diffusers.utils import convert_state_dict_to_diffusers

    metadata = trained.model.peft_config["default"].to_dict()
    layers = convert_state_dict_to_diffusers(factors(trained))
    StableDiffusionXLPipeline.save_lora_weights(
        folder, unet_lora_layers=layers, unet_lora_adapter_metadata=metadata
    )
    return folder


def of_kohya(trained: Trained, folder: Path) -> Path:
    """Names of the original code, an alpha a layer, and both text encoders."""
    found: dict[str, Tensor] = {}
    for key, value in factors(trained).items():
        site, _, part = key.partition(".lora_")
        name = original_unet_key(f"{site}.weight", xl=True).removesuffix(".weight")
        flat = f"lora_unet_{name.replace('.', '_')}"
        found[f"{flat}.lora_{'down' if part[0] == 'A' else 'up'}.weight"] = value
        found[f"{flat}.alpha"] = torch.tensor(float(ALPHA))
    for encoder in ("lora_te1", "lora_te2"):
        stem = f"{encoder}_text_model_encoder_layers_0_mlp_fc1"
        found |= {f"{stem}.lora_down.weight": torch.ones(1, 8), f"{stem}.alpha": torch.ones(())}
        found[f"{stem}.lora_up.weight"] = torch.ones(8, 1)
    path = folder / "kohya.safetensors"
    save_file({key: value.contiguous() for key, value in found.items()}, path)
    return path


def change(style: Style, site: str) -> Tensor:
    delta = style.deltas[site]
    return delta.scale * (delta.up.flatten(1) @ delta.down.flatten(1))


@pytest.mark.parametrize("write", [of_peft, of_diffusers, of_kohya])
def test_a_lora_of_every_layout_is_what_peft_merges(
    xl: UNetBackbone, trained: Trained, tmp_path: Path, write: Any
) -> None:
    style, coverage = read_style(write(trained, tmp_path), sites=xl.sites, family=xl.family)
    assert not coverage.unmatched
    assert all("lora_te" in key for key in coverage.unsupported)  # they need the backbone
    assert style.deltas.keys() == trained.changes.keys()
    assert {"add_embedding.linear_1", "up_blocks.0.upsamplers.0.conv"} < style.deltas.keys()
    for site, expected in trained.changes.items():
        found = change(style, site).reshape(expected.shape)
        assert torch.allclose(found, expected, atol=2e-5), site
