"""What a file is, told by its header; every kind is named where another is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from originals import original_checkpoint
from safetensors.torch import save_file

import locstyle as ls
from locstyle import kinds
from locstyle.files import Contents, read_contents
from locstyle.kinds import UNKNOWN, Kind, kind_of
from locstyle.style import read_style
from locstyle.testing import random_style, tiny_backbone, tiny_parts

Shapes = dict[str, tuple[int, ...]]
LDM = "model.diffusion_model."
FULL = {"first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3), "cond_stage_model.x": (1,)}


def unet(width: int, inputs: int = 4) -> Shapes:
    return {
        f"{LDM}input_blocks.0.0.weight": (8, inputs, 3, 3),
        f"{LDM}input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (8, width),
    }


def lora(width: int) -> Shapes:
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    return {f"{stem}.lora_down.weight": (4, width), f"{stem}.lora_up.weight": (8, 4)}


USED: list[tuple[Shapes, str, str, str]] = [
    (unet(768) | FULL, "a checkpoint of Stable Diffusion 1.x", "backbone", "sd1"),
    (unet(1024) | FULL, "a checkpoint of Stable Diffusion 2.x", "backbone", "sd2"),
    (
        unet(2048) | FULL | {f"{LDM}label_emb.0.0.weight": (8, 2816)},
        "a checkpoint of SDXL",
        "backbone",
        "sdxl",
    ),
    (lora(768), "a LoRA for Stable Diffusion 1.x", "style", "sd1"),
    (lora(1024), "a LoRA for Stable Diffusion 2.x", "style", "sd2"),
    (lora(2048), "a LoRA for SDXL", "style", "sdxl"),
    (lora(16), "a LoRA", "style", ""),
    (
        {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": (4, 768)},
        "a LoRA for text encoders alone",
        "style",
        "",
    ),
    (
        {"emb_params": (4, 768)},
        "learned words (textual inversion) for Stable Diffusion 1.x",
        "style",
        "sd1",
    ),
    (
        {"clip_l": (4, 768), "clip_g": (4, 1280)},
        "learned words (textual inversion) for SDXL",
        "style",
        "sdxl",
    ),
]
OTHERS: list[tuple[Shapes, str]] = [
    (unet(1280) | FULL | {f"{LDM}label_emb.0.0.weight": (8, 2560)}, "the SDXL refiner"),
    (unet(768, 9) | FULL, "an inpainting checkpoint of Stable Diffusion 1.x"),
    (unet(2048, 9) | FULL, "an inpainting checkpoint of SDXL"),
    (unet(768, 8) | FULL, "an InstructPix2Pix checkpoint"),
    (unet(1024, 7) | FULL, "an upscaling checkpoint"),
    (unet(1024, 5) | FULL, "a depth-guided checkpoint"),
    (unet(768, 12) | FULL, "with 12 input channels"),
    (unet(1024) | FULL | {f"{LDM}label_emb.0.0.weight": (8, 2048)}, "is told a class"),
    (unet(2048) | FULL | {"edm_mean": (4,)}, "Playground 2.5"),
    (unet(768), "without its autoencoder and its text encoder"),
    ({"conv_in.weight": (8, 4, 3, 3), "time_embedding.linear_1.weight": (8, 8)}, "a UNet alone"),
    ({f"{LDM}joint_blocks.0.x_block.attn.qkv.weight": (24, 8)}, "Stable Diffusion 3"),
    ({"double_blocks.0.img_attn.qkv.weight": (24, 8)}, "FLUX.1"),
    ({"single_transformer_blocks.0.attn.to_q.weight": (8, 8)}, "FLUX.1"),
    ({f"{LDM}double_stream_modulation_img.lin.weight": (8, 8)}, "FLUX.2"),
    ({"transformer_blocks.0.img_mod.1.weight": (8, 8)}, "Qwen-Image"),
    ({f"{LDM}cap_embedder.0.weight": (8,)}, "Z-Image or Lumina"),
    ({"control_model.time_embed.0.weight": (8, 8)} | unet(768) | FULL, "a ControlNet"),
    (
        {"controlnet_cond_embedding.conv_in.weight": (8, 3, 3, 3), "conv_in.weight": (8, 4, 3, 3)},
        "a ControlNet",
    ),
    ({"lora_controlnet": (1,), "input_blocks.0.0.down": (1,)}, "a Control-LoRA"),
    ({"image_proj.proj.weight": (8, 8), "ip_adapter.1.to_k_ip.weight": (8, 8)}, "an IP-Adapter"),
    ({"768.0.linear.0.weight": (8, 8)}, "a hypernetwork"),
    ({"body.0.resnets.0.block1.weight": (8, 8)}, "a T2I-Adapter"),
    ({"down_blocks.0.motion_modules.0.temporal_transformer.norm.weight": (8,)}, "AnimateDiff"),
    ({"clip_txt_mapper.weight": (8, 8)}, "Stable Cascade"),
    ({"distilled_guidance_layer.in_proj.weight": (8, 8)}, "Chroma"),
    ({"transformer_blocks.0.attn.add_q_proj.weight": (8, 8)}, "Stable Diffusion 3"),
    ({f"{LDM}double_layers.0.attn.w2q.weight": (8, 8)}, "AuraFlow"),
    ({f"{LDM}blocks.0.cross_attn.k.weight": (8, 8)}, "a video model"),
    ({"adaln_single.linear.weight": (8, 8)}, "PixArt"),
    (unet(768) | FULL | {f"{LDM}input_blocks.1.0.time_stack.x": (8,)}, "a video checkpoint"),
    ({"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)}, "a T5 text encoder alone"),
    ({"lora_unet_joint_blocks_0_x_block_attn_qkv.lora_down.weight": (4, 8)}, "Diffusion 3"),
    ({"diffusion_model.blocks.0.self_attn.q.lora_A.weight": (4, 8)}, "a LoRA for a video model"),
    (lora(1280), "a LoRA for the SDXL refiner"),
    ({"lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight": (4, 8)}, "a LoRA for FLUX"),
    (
        {"transformer.transformer_blocks.0.img_mlp.net.2.lora_A.weight": (4, 8)},
        "a LoRA for Qwen-Image",
    ),
    ({"diffusion_model.layers.0.attention.qkv.lora_A.weight": (4, 8)}, "a LoRA for Z-Image"),
    ({"first_stage_model.encoder.conv_in.weight": (8, 3, 3, 3)}, "an autoencoder alone"),
    ({"text_model.encoder.layers.0.mlp.fc1.weight": (8, 8)}, "a CLIP text encoder alone"),
    ({"conv_first.weight": (8, 3, 3, 3)}, "an upscaler"),
    ({"a.b": (1,)}, UNKNOWN.name),
]


def kind(shapes: Shapes) -> Kind:
    return kind_of(Contents({}, shapes, dict.fromkeys(shapes, "F16")))


@pytest.mark.parametrize(("shapes", "name", "use", "family"), USED, ids=lambda v: str(v)[:40])
def test_checkpoints_and_styles_are_known(shapes: Shapes, name: str, use: str, family: str) -> None:
    found = kind(shapes)
    assert (found.name.startswith(name), found.use, found.family) == (True, use, family)


def saved(path: Path, shapes: Shapes) -> Path:
    save_file({key: torch.zeros(shape) for key, shape in shapes.items()}, path)
    return path


def test_every_kind_that_is_known_by_its_names_is_tried() -> None:
    tried = "\n".join(f"{name}\n{kind(shapes).name}" for shapes, name in OTHERS)
    tables = (kinds._OTHERS, kinds._TRANSFORMERS, kinds._CONTROL, kinds._PARTS, kinds._LORA_BASES)
    for sign, name in (row for table in tables for row in table):
        assert name in tried, sign


@pytest.mark.parametrize(("shapes", "name"), OTHERS, ids=lambda v: str(v)[:40])
def test_all_else_is_named_where_a_checkpoint_is_asked(
    tmp_path: Path, shapes: Shapes, name: str
) -> None:
    assert kind(shapes).use == "none"
    path = saved(tmp_path / "file.safetensors", shapes)
    with pytest.raises(ls.BackboneError, match="which is no checkpoint") as caught:
        ls.load_backbone(path, device="cpu")
    assert name in str(caught.value)


def test_all_else_is_named_where_a_style_is_asked(tmp_path: Path) -> None:
    sites = tiny_backbone().sites
    for number, (shapes, name) in enumerate(OTHERS):
        if name == UNKNOWN.name:
            continue
        path = saved(tmp_path / f"{number}.safetensors", shapes)
        with pytest.raises(ls.StyleError, match="which is no style") as caught:
            read_style(path, sites=sites, family="sd1")
        assert name in str(caught.value)


def test_a_lora_given_as_a_backbone_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "file.safetensors", lora(2048))
    with pytest.raises(ls.BackboneError, match=r"a LoRA for SDXL; a style .*--region"):
        ls.load_backbone(path, device="cpu")


def test_a_checkpoint_given_as_a_style_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file(original_checkpoint(tiny_parts()), path)
    with pytest.raises(ls.StyleError, match=r"a checkpoint of .*it is a backbone: --backbone FILE"):
        read_style(path, sites=tiny_backbone().sites, family="sd1")


def test_our_own_styles_are_known(tmp_path: Path) -> None:
    path = random_style(tiny_backbone()).save(tmp_path / "mine.safetensors")
    found = kind_of(read_contents(path))
    assert (found.name, found.use, found.family) == ("a style of locstyle's own", "style", "tiny")


def test_only_the_header_is_read(tmp_path: Path) -> None:
    whole = saved(tmp_path / "file.safetensors", lora(768)).read_bytes()
    length = int.from_bytes(whole[:8], "little")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole[: 8 + length])
    header = read_contents(cut)
    assert kind_of(header).family == "sd1"
    assert header.bytes == {"F32": 4 * (4 * 768 + 8 * 4)}


JSON = (b"[[[[[", b"[]", b'{"a": 1}', b'{"a": {"shape": 3}}')


@pytest.mark.parametrize(
    "data",
    [b"", b"PK\x03\x04", b"\xff" * 16, *(len(s).to_bytes(8, "little") + s for s in JSON)],
)
def test_what_is_no_safetensors_file_has_no_header(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.safetensors"
    path.write_bytes(data)
    with pytest.raises(ValueError, match="no header of a safetensors file"):
        read_contents(path)
