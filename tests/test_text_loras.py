"""Text-encoder halves of LoRA files: they act on the texts of the regions that own the style."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.texts import Reading, region_texts
from locstyle.style import read_style
from locstyle.testing import tiny_backbone, tiny_xl

RANK, ALPHA = 2, 3
PARTS = ("text_encoder", "text_encoder_2")


@pytest.fixture(scope="module", params=["one encoder", "two encoders"])
def model(request: pytest.FixtureRequest) -> UNetBackbone:
    return tiny_backbone() if request.param == "one encoder" else tiny_xl()


def trained(model: UNetBackbone) -> tuple[dict[str, dict[str, Tensor]], list[Tensor]]:
    """PEFT's factors by encoder, and what texts are once PEFT has merged them."""
    from peft import LoraConfig, inject_adapter_in_model
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import get_peft_model_state_dict

    factors, states = {}, []
    draw = torch.Generator().manual_seed(4)
    for part, clip in zip(PARTS, model._clips, strict=False):
        config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["q_proj", "out_proj", "fc1"])
        with torch.random.fork_rng(devices=[]):
            made = inject_adapter_in_model(config, copy.deepcopy(model.modules[part]))
        with torch.no_grad():
            for name, weight in made.named_parameters():
                if "lora_" in name:
                    weight.copy_(torch.randn(weight.shape, generator=draw))
        found = get_peft_model_state_dict(made)
        factors[part] = {key: value.clone() for key, value in found.items()}
        for layer in made.modules():
            if isinstance(layer, BaseTunerLayer):
                layer.merge()
        merged = replace(clip, encoder=made)
        states.append(merged.hear("a house", {}).states)
    return factors, states


def layers(factors: Mapping[str, Tensor]) -> list[tuple[str, str, Tensor]]:
    """Layer as other tools call it, part and tensor of every factor."""
    found = []
    for key, tensor in factors.items():
        layer, _, part = key.partition(".lora_")
        layer = f"text_model.{layer.removeprefix('text_model.')}"
        found.append((layer, "lora_down" if part[0] == "A" else "lora_up", tensor))
    return found


def kohya(factors: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    stems = ["lora_te1", "lora_te2"] if len(factors) == 2 else ["lora_te"]
    tensors: dict[str, Tensor] = {}
    for stem, found in zip(stems, factors.values(), strict=True):
        for layer, part, tensor in layers(found):
            flat = f"{stem}_{layer.replace('.', '_')}"
            tensors |= {
                f"{flat}.{part}.weight": tensor,
                f"{flat}.alpha": torch.tensor(float(ALPHA)),
            }
    return tensors


def diffusers(factors: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    names = {"lora_down": "lora_A", "lora_up": "lora_B"}
    tensors: dict[str, Tensor] = {}
    for encoder, found in factors.items():
        for layer, part, tensor in layers(found):
            tensors[f"{encoder}.{layer}.{names[part]}.weight"] = tensor
            tensors[f"{encoder}.{layer}.alpha"] = torch.tensor(float(ALPHA))
    return tensors


def saved(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({key: tensor.clone().contiguous() for key, tensor in tensors.items()}, path)
    return path


def acting(style: ls.Style, strength: float = 1.0) -> dict[str, Any]:
    return {site: [(delta, strength)] for site, delta in style.text.items()}


@pytest.mark.parametrize("layout", [kohya, diffusers])
def test_the_text_half_says_what_pefts_merge_says(
    model: UNetBackbone, tmp_path: Path, layout: Any
) -> None:
    factors, expected = trained(model)
    style, coverage = read_style(saved(tmp_path / "a.safetensors", layout(factors)), backbone=model)
    assert coverage.is_complete and style.kinds == {"text"}
    plain = model.text("a house").states
    found = model.text("a house", deltas=acting(style)).states
    assert torch.allclose(found, torch.cat(expected, -1), atol=1e-5)
    assert (found - plain).abs().max() > 0.01
    assert torch.equal(model.text("a house").states, plain)  # nothing stays behind
    style.save(tmp_path / "ours.safetensors")
    again, coverage = read_style(tmp_path / "ours.safetensors", backbone=model)
    assert again.digest == style.digest and coverage.is_complete


def test_an_adapter_of_peft_for_the_one_text_encoder(
    backbone: UNetBackbone, tmp_path: Path
) -> None:
    factors, expected = trained(backbone)
    tensors = {f"base_model.model.text_model.{k}": v for k, v in factors["text_encoder"].items()}
    saved(tmp_path / "adapter_model.safetensors", tensors)
    (tmp_path / "adapter_config.json").write_text(f'{{"lora_alpha": {ALPHA}, "r": {RANK}}}')
    style, coverage = read_style(tmp_path, backbone=backbone)
    assert coverage.is_complete
    found = backbone.text("a house", deltas=acting(style)).states
    assert torch.allclose(found, expected[0], atol=1e-5)


def test_only_the_texts_of_its_regions_hear_a_style(backbone: UNetBackbone, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", kohya(trained(backbone)[0]))
    style = read_style(path, backbone=backbone)[0]
    photo = Image.new("RGB", (32, 32), "green")
    own, other = ls.Region("all", style, 0.5), ls.Region("all", "none", prompt="a house")
    edit = ls.Edit(photo, [own, other], prompt="a house", negative="bad")
    schedule, plain = backbone.schedule(4), ls.Style.from_pictures("p", [photo])

    def said(index: int) -> list[Tensor]:
        texts = region_texts(edit, [[style], [plain]], Reading(backbone), schedule, index)
        return [text.states for text in texts]  # type: ignore[union-attr]  # no style has a window

    for found, prompt in zip(said(0), ("a house", "bad"), strict=True):
        assert torch.equal(found, backbone.text(prompt, deltas=acting(style, 0.5)).states)
        assert not torch.equal(found, backbone.text(prompt).states)
    for found, prompt in zip(said(1), ("a house", "bad"), strict=True):
        assert torch.equal(found, backbone.text(prompt).states)


def test_a_style_of_nothing_but_a_text_half_runs(backbone: UNetBackbone, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.safetensors", kohya(trained(backbone)[0]))
    photo = Image.effect_noise((32, 32), 60).convert("RGB")
    editor = ls.Editor(backbone)

    def drawn(strength: float) -> Image.Image:
        region = ls.Region("box:0,0,16,32", str(path), strength)
        return editor.run(ls.Edit(photo, [region], prompt="a house", steps=2)).image

    assert drawn(1.0).tobytes() != drawn(0.0).tobytes()
