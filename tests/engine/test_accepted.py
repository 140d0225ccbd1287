"""UNets and noise levels that cannot be run as they are: refused by name, before any weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from locstyle import BackboneError, load_backbone
from locstyle.testing import save_tiny

XL = {"addition_embed_type": "text_time"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without weights: what is refused is refused by its configuration alone."""
    saved = save_tiny(tmp_path_factory.mktemp("tiny"))
    for weights in saved.rglob("*.safetensors"):
        weights.unlink()
    return saved


def changed(folder: Path, tmp_path: Path, part: str, **settings: object) -> Path:
    for config in folder.rglob("*.json"):
        copy = tmp_path / config.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        said: dict[str, Any] = json.loads(config.read_text("utf-8"))
        if copy.parent.name == part and "config" in copy.name:
            said |= settings
        copy.write_text(json.dumps(said), "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"in_channels": 9}, "an inpainting UNet"),
        ({"in_channels": 8}, "InstructPix2Pix"),
        ({"in_channels": 12}, "12 input channels"),
        ({"time_cond_proj_dim": 256}, "latent consistency UNet"),
        ({"class_embed_type": "projection"}, "told a class"),
        ({"num_class_embeds": 1000}, "told a class"),
        ({"encoder_hid_dim_type": "text_proj"}, "'text_proj' before its text"),
        ({"addition_embed_type": "text"}, "told 'text' beside its text"),
        (
            XL | {"projection_class_embeddings_input_dim": 2560, "cross_attention_dim": 1280},
            "the SDXL refiner",
        ),
        ({"_class_name": "UNetMotionModel"}, "class UNetMotionModel"),
    ],
)
def test_unets_of_other_kinds_are_named(
    folder: Path, tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(BackboneError, match=f"{words}.*accepted are"):
        load_backbone(changed(folder, tmp_path, "unet", **settings), device="cpu")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"prediction_type": "sample"}, "prediction_type 'sample'.*'epsilon' or 'v_prediction'"),
        ({"prediction_type": "flow_prediction"}, "prediction_type 'flow_prediction'"),
        ({"timestep_spacing": "cosine"}, "timestep_spacing 'cosine'.*'trailing'"),
        ({"thresholding": True}, "thresholding True"),
        ({"final_sigmas_type": "sigma_min"}, "final_sigmas_type 'sigma_min'"),
        ({"timestep_type": "continuous"}, "timestep_type 'continuous'"),
        ({"rescale_betas_zero_snr": True}, "zero terminal SNR .* and no v_prediction"),
        ({"_class_name": "EDMEulerScheduler"}, "EDMEulerScheduler, of another form"),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, "FlowMatchEuler"),
    ],
)
def test_schedulers_that_cannot_be_honoured_are_named(
    folder: Path, tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    with pytest.raises(BackboneError, match=words):
        load_backbone(changed(folder, tmp_path, "scheduler", **settings), device="cpu")


def tiny(tmp_path: Path) -> Path:
    return save_tiny(tmp_path / "tiny")


def test_a_folder_of_16_bit_weights_alone_loads(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    for weights in [*folder.rglob("*.safetensors")]:
        weights.rename(weights.with_suffix(".fp16.safetensors"))
    assert load_backbone(folder, device="cpu", family="tiny").native == 32


def test_a_folder_with_a_safety_checker_loads_without_it(tmp_path: Path) -> None:
    folder = tiny(tmp_path)
    (folder / "safety_checker").mkdir()
    (folder / "safety_checker" / "model.safetensors").write_bytes(b"not read")
    assert load_backbone(folder, device="cpu", family="tiny").native == 32


@pytest.mark.parametrize(
    ("name", "said", "words"),
    [
        ("model_index.json", {"_class_name": "FluxPipeline"}, "is a FluxPipeline"),
        ("model_index.json", {"_class_name": "StableDiffusion3Pipeline"}, "Diffusion3Pipeline"),
        ("model_index.json", {"_class_name": "StableDiffusionXLInpaintPipeline"}, "XLInpaint"),
        ("config.json", {"_class_name": "ControlNetModel"}, "is a ControlNetModel"),
        ("adapter_config.json", {"peft_type": "LORA"}, "an adapter .PEFT., which is a style"),
    ],
)
def test_folders_of_other_kinds_are_named(
    tmp_path: Path, name: str, said: dict[str, str], words: str
) -> None:
    (tmp_path / name).write_text(json.dumps(said), "utf-8")
    with pytest.raises(BackboneError, match=words):
        load_backbone(tmp_path, device="cpu")
