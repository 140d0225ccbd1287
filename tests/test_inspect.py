"""What `locstyle inspect` says of files, without loading a backbone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import locstyle as ls
from locstyle.cli import main
from locstyle.inspection import inspect_file
from locstyle.style import read_header
from locstyle.testing import random_style, save_tiny_xl, tiny_backbone

STEM = "lora_unet_input_blocks_4_1_transformer_blocks_0"
HEADER = {
    "ss_base_model_version": "sdxl_base_v1-0",
    "modelspec.trigger_phrase": "ukiyo print",
    "modelspec.license": "CC0-1.0",
    "ss_tag_frequency": json.dumps({"10_art": {"wave": 3, "boat": 9}, "5_more": {"wave": 8}}),
}


def lora(path: Path, **header: str) -> Path:
    """A LoRA for SDXL: one layer of its own, one that all families have, one of a text encoder."""
    tensors: dict[str, Tensor] = {}
    for module, out, into in (
        (f"{STEM}_attn2_to_k", 640, 2048),
        ("lora_unet_time_embed_0", 1280, 320),
        ("lora_te1_text_model_encoder_layers_0_mlp_fc1", 3072, 768),
    ):
        tensors[f"{module}.lora_down.weight"] = torch.zeros(4, into, dtype=torch.float16)
        tensors[f"{module}.lora_up.weight"] = torch.zeros(out, 4, dtype=torch.float16)
        tensors[f"{module}.alpha"] = torch.ones(())
    save_file(tensors, path, metadata=HEADER | header)
    return path


def test_a_lora_is_told_by_its_header(tmp_path: Path) -> None:
    found = inspect_file(lora(tmp_path / "print.safetensors"))
    assert (found.kind.name, found.kind.family) == ("a LoRA for SDXL", "sdxl")
    assert found.says["base"] == "sdxl_base_v1-0"
    assert found.says["trigger"] == "ukiyo print" and found.says["licence"] == "CC0-1.0"
    assert found.says["rank"] == "4"
    assert found.says["trained with"] == "wave, boat"


def test_keys_are_counted_by_family(tmp_path: Path) -> None:
    found = inspect_file(lora(tmp_path / "print.safetensors"))
    assert found.keys["sdxl"] == {"applied": 6, "of text encoders": 3}
    assert found.keys["sd1"] == {"of another shape": 3, "applied": 3, "of text encoders": 3}


def test_the_command_says_it_in_lines_and_as_data(tmp_path: Path) -> None:
    path = lora(tmp_path / "print.safetensors")
    said = CliRunner().invoke(main, ["inspect", str(path)])
    assert said.exit_code == 0
    for words in ("a LoRA for SDXL", "ukiyo print", "6 applied", "--region MASK=FILE"):
        assert words in said.output
    data = json.loads(CliRunner().invoke(main, ["inspect", str(path), "--json"]).output)
    assert data["family"] == "sdxl" and data["keys"]["sdxl"]["applied"] == 6


def test_a_style_of_ours_and_its_preview(tmp_path: Path) -> None:
    picture = Image.fromarray(np.zeros((40, 60, 3), np.uint8))
    style = random_style(tiny_backbone()).with_preview(picture)
    found = inspect_file(style.save(tmp_path / "mine.safetensors"))
    assert (found.kind.use, found.kind.family) == ("style", "tiny")
    assert found.says["preview"] == "60 × 40 pixels" and found.says["rank"] == "2"
    assert found.says["trigger"] == "style 0" and not found.keys


def test_a_folder_says_its_noise_levels_and_whether_it_runs(tmp_path: Path) -> None:
    folder = save_tiny_xl(tmp_path)
    found = inspect_file(folder)
    assert (found.kind.use, found.use) == ("backbone", "--backbone FOLDER")
    assert found.says["prediction_type"] == "epsilon"
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 9}))
    assert "refused" in inspect_file(folder).use and "inpainting" in inspect_file(folder).use


@pytest.mark.parametrize(
    ("name", "words"),
    [("model.ckpt", "pickles"), ("none.safetensors", "no such file"), ("text.txt", "not '.txt'")],
)
def test_what_cannot_be_inspected_is_said(tmp_path: Path, name: str, words: str) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ls.StyleError, match=words):
        inspect_file(tmp_path / name)


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 1}', '{"a": {"b": "c"}}', "1"])
def test_counts_that_cannot_be_read_are_left_out(tmp_path: Path, text: str) -> None:
    found = inspect_file(lora(tmp_path / "print.safetensors", ss_tag_frequency=text))
    assert "trained with" not in found.says


@pytest.mark.parametrize("command", ["inspect", "card"])
def test_a_style_is_found_by_its_name_as_in_an_edit(tmp_path: Path, monkeypatch, command) -> None:
    monkeypatch.chdir(tmp_path)
    random_style(tiny_backbone(), 0).save("inks.safetensors")
    by_file = CliRunner().invoke(main, [command, "inks.safetensors"])
    by_name = CliRunner().invoke(main, [command, "inks"])
    assert by_name.exit_code == 0 and by_name.stdout == by_file.stdout
    missed = CliRunner().invoke(main, [command, "ink"])
    assert missed.exit_code != 0 and "did you mean 'inks'" in missed.stderr


def test_a_picture_is_a_style_as_it_is(tmp_path: Path) -> None:
    assert inspect_file(tmp_path / "painting.jpg").kind.use == "style"


def test_a_card_says_what_the_header_says(tmp_path: Path) -> None:
    site = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    delta = ls.Delta(torch.zeros(2, 768), torch.zeros(1280, 2))
    meta = {"trigger": "in ink_style", "licence": "CC0: free", "encoder": "lora"}
    style = ls.Style("ink", "sd1", {site: delta}, meta).with_preview(Image.new("RGB", (64, 64)))
    path = style.save(tmp_path / "ink.safetensors")
    result = CliRunner().invoke(main, ["card", str(path), "-o", str(tmp_path / "README.md")])
    assert result.exit_code == 0, result.output
    card = (tmp_path / "README.md").read_text("utf-8")
    _, head, rest = card.split("---\n", 2)
    said = yaml.safe_load(head)
    assert said["instance_prompt"] == "in ink_style" and said["license_name"] == "CC0: free"
    assert "in ink\\_style" in rest and "Stable Diffusion 1.x" in rest
    assert "-r sky.png=ink.safetensors --backbone CHECKPOINT" in rest
    with Image.open(tmp_path / "preview.png") as shown:
        assert shown.size == (64, 64)
    printed = CliRunner().invoke(main, ["card", str(path)])
    assert printed.output == card


def test_our_own_header_is_read_by_others(tmp_path: Path) -> None:
    site = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    delta = ls.Delta(torch.zeros(2, 2048), torch.zeros(1280, 2))
    meta = {"trigger": "in ink style", "licence": "CC0"}
    path = ls.Style("ink", "sdxl", {site: delta}, meta).save(tmp_path / "ink.safetensors")
    header = read_header(path)
    assert header["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert header["modelspec.trigger_phrase"] == "in ink style"
    assert header["modelspec.license"] == "CC0" and header["modelspec.title"] == "ink"
    assert header["ss_base_model_version"] == "sdxl_base_v1-0"
    assert ls.read_style(path)[0].meta == meta


def test_a_card_of_what_is_no_style_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"control_model.x.weight": torch.zeros(1)}, path)
    result = CliRunner().invoke(main, ["card", str(path)])
    assert result.exit_code != 0 and "ControlNet; cards are made of styles" in result.output


def test_a_form_beside_two_factors_is_named_and_counted(tmp_path: Path) -> None:
    stem = f"lora_unet_{'mid_block_attentions_0_transformer_blocks_0_attn2_to_k'}"
    parts = {"hada_w1_a": (1280, 2), "hada_w1_b": (2, 768)}
    parts |= {"hada_w2_a": (1280, 2), "hada_w2_b": (2, 768), "alpha": ()}
    tensors = {f"{stem}.{part}": torch.zeros(shape) for part, shape in parts.items()}
    tensors["lora_unet_conv_in.lambda_layer"] = torch.zeros(1, 2)
    save_file(tensors, tmp_path / "loha.safetensors")
    found = inspect_file(tmp_path / "loha.safetensors")
    assert "LoHa" in found.says["form"] and "T-LoRA" in found.says["form"]
    assert found.keys["sd1"]["applied"] == 5
    assert any("T-LoRA" in what for what in found.keys["sd1"])


def test_an_accelerator_is_said_to_be_one(tmp_path: Path) -> None:
    said = {"solver": "ddim", "steps": "3", "spacing": "trailing", "guidance": "off"}
    own = random_style(tiny_backbone(), 1).with_meta(**said).save(tmp_path / "fast.safetensors")
    found = inspect_file(own)
    assert found.kind.name == "an accelerator of locstyle's own"
    assert found.use == "--accelerator FILE: 3 steps of ddim"
    card = CliRunner().invoke(main, ["card", str(own)]).stdout
    assert " -r sky.png=STYLE --accelerator fast.safetensors " in card
    assert yaml.safe_load(card.split("---")[1])["tags"][1] == "accelerator"
    with pytest.raises(ls.BackboneError, match=r"an accelerator .*--accelerator FILE"):
        ls.Editor.load(str(own))
    other = inspect_file(lora(tmp_path / "sdxl_lightning_2step_lora.safetensors"))
    assert other.use == (
        "as a style of a region: --region MASK=FILE; "
        "if it is Lightning's, --accelerator FILE: 2 steps of ddim"
    )
