"""Loading checkpoints in every form, and what a loaded backbone promises."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from locstyle import BackboneError, Inversion, load_backbone
from locstyle.engine.backbones import load
from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.load import LARGE
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import save_tiny, tiny_backbone, tiny_parts, tiny_scene

UNET = (
    (r"^time_embedding\.linear_1", "time_embed.0"),
    (r"^time_embedding\.linear_2", "time_embed.2"),
    (r"^conv_in", "input_blocks.0.0"),
    (r"^conv_norm_out", "out.0"),
    (r"^conv_out", "out.2"),
    (r"^mid_block\.attentions\.0", "middle_block.1"),
    (r"^mid_block\.resnets\.0", "middle_block.0"),
    (r"^mid_block\.resnets\.1", "middle_block.2"),
    (r"norm1\.(?=\w+$)", "in_layers.0."),
    (r"conv1\.", "in_layers.2."),
    (r"time_emb_proj\.", "emb_layers.1."),
    (r"norm2\.(?=\w+$)", "out_layers.0."),
    (r"conv2\.", "out_layers.3."),
    (r"conv_shortcut\.", "skip_connection."),
)
VAE = (
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"down_blocks\.(\d+)\.resnets\.(\d+)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d+)\.downsamplers\.0\.conv", r"down.\1.downsample.conv"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
)


def original_unet_key(key: str) -> str:
    """A diffusers UNet key as the original Stable Diffusion checkpoints name it."""
    in_transformer = ".transformer_blocks." in key
    for pattern, name in UNET[:8] if in_transformer else UNET:
        key = re.sub(pattern, name, key)

    def down(m: re.Match[str]) -> str:
        block, kind, index = int(m[1]), m[2], int(m[3])
        if kind == "downsamplers":
            return f"input_blocks.{3 * (block + 1)}.0.op"
        return f"input_blocks.{3 * block + index + 1}.{'01'[kind == 'attentions']}"

    def up(m: re.Match[str]) -> str:
        block, kind, index = int(m[1]), m[2], int(m[3])
        if kind == "upsamplers":
            return f"output_blocks.{3 * block + 2}.{1 if block == 0 else 2}.conv"
        return f"output_blocks.{3 * block + index}.{'01'[kind == 'attentions']}"

    key = re.sub(
        r"^down_blocks\.(\d+)\.(downsamplers|resnets|attentions)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: down(m),
        key,
    )
    return re.sub(
        r"^up_blocks\.(\d+)\.(upsamplers|resnets|attentions)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: up(m),
        key,
    )


def original_vae_key(key: str, levels: int) -> str:
    for pattern, name in VAE:
        key = re.sub(pattern, name, key)
    return re.sub(
        r"up_blocks\.(\d+)\.(resnets|upsamplers)\.(\d+)(\.conv(?=\.\w+$))?",
        lambda m: (
            f"up.{levels - 1 - int(m[1])}."
            + (f"block.{m[3]}{m[4] or ''}" if m[2] == "resnets" else "upsample.conv")
        ),
        key,
    )


def original_checkpoint(parts: Parts) -> dict[str, Tensor]:
    """The parts in the layout of an original single-file Stable Diffusion checkpoint."""
    state = {}
    for key, value in parts.unet.state_dict().items():
        state[f"model.diffusion_model.{original_unet_key(key)}"] = value
    for key, value in parts.vae.state_dict().items():
        name = original_vae_key(key, 3)
        if re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name):
            value = value[..., None, None]
        state[f"first_stage_model.{name}"] = value
    for key, value in parts.text_encoder.state_dict().items():
        name = key if key.startswith("text_model.") else f"text_model.{key}"
        state[f"cond_stage_model.transformer.{name}"] = value
    return {key: value.contiguous().clone() for key, value in state.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("tiny"))


def same_predictions(one: UNetBackbone, other: UNetBackbone) -> bool:
    x = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        a, b = (m.predict(x, 401, m.text("a house").states) for m in (one, other))
        c, d = (m.decode(x) for m in (one, other))
    return torch.allclose(a, b, atol=1e-5) and torch.allclose(c, d, atol=1e-5)


def test_a_folder_loads_as_saved(folder: Path, backbone: UNetBackbone) -> None:
    loaded = load_backbone(folder, device="cpu", family="tiny")
    assert same_predictions(loaded, backbone)
    assert loaded.digest == backbone.digest
    assert (loaded.native, loaded.factor, loaded.multiple) == (32, 4, 32)


def test_a_single_file_in_the_original_layout_loads(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    save_file(original_checkpoint(tiny_parts(3)), path)
    loaded = load_backbone(path, device="cpu", family="tiny", config=folder)
    assert same_predictions(loaded, tiny_backbone(3))


def test_v_prediction_is_read_from_the_checkpoint(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "v")
    config = tmp_path / "v" / "scheduler" / "scheduler_config.json"
    settings = json.loads(config.read_text("utf-8")) | {"prediction_type": "v_prediction"}
    config.write_text(json.dumps(settings), "utf-8")
    assert load_backbone(tmp_path / "v", device="cpu").schedule(3).prediction == "v_prediction"


def test_a_family_is_known_by_its_text_width(folder: Path) -> None:
    assert load_backbone(folder, device="cpu").family == "unet16"


@pytest.mark.parametrize("name", ["model.ckpt", "weights.pt", "pytorch_model.bin"])
def test_pickles_are_refused_unread(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"never read")
    with pytest.raises(BackboneError, match="is a pickle, which runs code"):
        load_backbone(tmp_path / name)


def test_a_folder_with_pickled_weights_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "p")
    weights = tmp_path / "p" / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(BackboneError, match=r"with \.safetensors weights"):
        load_backbone(tmp_path / "p", device="cpu")


@pytest.mark.parametrize("name", ["no/such/folder", "/nowhere", "mnii"])
def test_what_is_not_there_is_said_with_what_is_accepted(name: str) -> None:
    with pytest.raises(BackboneError, match=r"accepted: 'mini', a diffusers folder"):
        load_backbone(name)


def test_a_single_file_that_is_no_checkpoint_is_an_error(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "junk.safetensors"
    path.write_bytes(b"junk")
    with pytest.raises(BackboneError, match="could not be read as a Stable Diffusion checkpoint"):
        load_backbone(path, device="cpu", config=folder)
    with pytest.raises(BackboneError, match="is not a file"):
        load_backbone(tmp_path / "missing.safetensors")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_devices_that_are_not_there_are_named(folder: Path) -> None:
    with pytest.raises(BackboneError, match="no CUDA device"):
        load_backbone(folder, device="cuda")
    with pytest.raises(BackboneError, match="'gpu' is unknown"):
        load_backbone(folder, device="gpu")


def test_encoding_draws_only_from_the_generator_it_is_given(backbone: UNetBackbone) -> None:
    image = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    mean = backbone.encode(image)
    draws = [backbone.encode(image, sample=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(backbone.encode(image), mean)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    assert not torch.equal(draws[0], mean)


def test_a_prompt_that_fits_is_not_cut(backbone: UNetBackbone) -> None:
    assert backbone.text("abc").cut == ""
    assert backbone.text("abcdefghijklmnop").cut == "op"


@pytest.mark.parametrize(
    ("capabilities", "large", "given", "expected"),
    [
        ({"amx_bf16": True}, 1, None, torch.bfloat16),
        ({"amx_bf16": True}, LARGE, None, torch.float32),
        ({"amx_bf16": True}, 1, torch.float32, torch.float32),
        ({"amx_bf16": False, "avx512_bf16": True}, 1, None, torch.float32),
    ],
    ids=["large", "small", "as asked", "vectors only"],
)
def test_large_models_run_in_bfloat16_where_the_cpu_has_units_for_it(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capabilities: dict[str, bool],
    large: int,
    given: torch.dtype | None,
    expected: torch.dtype,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    monkeypatch.setattr(load, "LARGE", large)
    loaded = load_backbone(folder, device="cpu", dtype=given)
    assert loaded.dtype is loaded.vae.dtype is loaded.text_encoder.dtype is expected
    scene = tiny_scene(loaded, [None], inversion=Inversion(steps=2))
    assert all(latent.isfinite().all() for latent in scene.content.latents.values())


def test_float16_on_a_cpu_is_warned_of(folder: Path) -> None:
    with pytest.warns(UserWarning, match="float16 is slow on a CPU.*give bfloat16"):
        assert load_backbone(folder, device="cpu", dtype=torch.float16).dtype is torch.float16


def test_half_precision_runs_and_stays_finite() -> None:
    loaded = tiny_backbone()
    loaded.unet.to(torch.bfloat16)
    scene = tiny_scene(loaded, [None], inversion=Inversion(steps=8))
    assert loaded.dtype is torch.bfloat16
    assert all(
        x.isfinite().all() and x.dtype is torch.float32 for x in scene.content.latents.values()
    )


@pytest.mark.parametrize("device", ["meta", "mps", "xpu", "cuda:99", "nonsense", "cpu:x"])
def test_devices_that_cannot_be_used_are_refused_by_name(device: str) -> None:
    with pytest.raises(BackboneError, match=f"device: '{device}|no CUDA device"):
        load_backbone("none", device=device)
