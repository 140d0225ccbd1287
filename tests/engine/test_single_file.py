"""Single files offline: SDXL, what files say of their noise levels, our own configurations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from originals import original_checkpoint
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from locstyle import BackboneError, Editor, load_backbone
from locstyle.cli import main
from locstyle.engine.backbones.single_file import KNOWN, V_SIGN, _folder, _tokenizers
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.files import read_contents
from locstyle.kinds import kind_of
from locstyle.replay import embedded_edit
from locstyle.testing import save_tiny, save_tiny_xl, tiny_xl, tiny_xl_parts


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return original_checkpoint(tiny_xl_parts())


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_xl(tmp_path_factory.mktemp("xl"), seed=5)


def test_an_sdxl_file_loads_offline_as_its_folder_does(
    state: dict[str, Tensor], config: Path, tmp_path: Path
) -> None:
    save_file(state, tmp_path / "xl.safetensors")
    path = tmp_path / "xl.safetensors"
    backbone = Editor.load(path, device="cpu", dtype=torch.bfloat16, config=config).backbone
    assert isinstance(backbone, UNetBackbone)
    assert (backbone.dtype, backbone.vae.dtype) == (torch.bfloat16, torch.float32)
    loaded = load_backbone(path, device="cpu", config=config)
    other, x = tiny_xl(), torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(loaded.text("a").states, other.text("a").states, atol=1e-6)
    with torch.no_grad():
        states = other.text("a house").states
        ours, theirs = (one.predict(x, 501, states) for one in (loaded, other))
        assert torch.allclose(ours, theirs, atol=1e-5)
        assert torch.allclose(loaded.decode(x), other.decode(x), atol=1e-5)
        assert torch.equal(backbone.decode(x), loaded.decode(x))  # read in full, not widened


@pytest.mark.parametrize(("marks", "zero"), [(("v_pred",), False), (("v_pred", "ztsnr"), True)])
def test_files_say_what_they_predict_by_empty_tensors(
    state: dict[str, Tensor], config: Path, tmp_path: Path, marks: tuple[str, ...], zero: bool
) -> None:
    path = tmp_path / "v.safetensors"
    save_file(state | {mark: torch.empty(0) for mark in marks}, path)
    schedule = load_backbone(path, device="cpu", config=config).schedule(4)
    assert schedule.prediction == "v_prediction"
    assert (schedule.alpha(999) == 0) is zero
    assert schedule.noisiest == (999 if zero else 751)


def test_a_file_of_no_family_of_ours_asks_for_a_configuration(
    state: dict[str, Tensor], tmp_path: Path
) -> None:
    save_file(state, tmp_path / "xl.safetensors")
    with pytest.raises(BackboneError, match=r"texts 40 wide, whose .* --backbone-config"):
        load_backbone(tmp_path / "xl.safetensors", device="cpu")


def test_a_picture_carries_the_configuration_its_backbone_needs(
    state: dict[str, Tensor], config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(state, tmp_path / "xl.safetensors")
    (tmp_path / "config").symlink_to(config)
    picture = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "p.png")
    monkeypatch.chdir(tmp_path)
    told = "stylize p.png -r box:4,4,30,28=./p.png --backbone ./xl.safetensors --steps 1"
    words = [*told.split(), "--backbone-config", "./config", "--device", "cpu", "-o", "out.png"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert embedded_edit("out.png").backbone_config == "./config"
    replayed = CliRunner().invoke(main, ["replay", "out.png", "--device", "cpu"])
    assert replayed.exit_code == 0, replayed.output


def test_a_backbone_with_a_configuration_takes_no_other(config: Path) -> None:
    for name in ("mini", config):
        with pytest.raises(BackboneError, match="has a configuration of its own, leave it out"):
            Editor.load(name, device="cpu", config=config)


def test_a_configuration_of_another_kind_is_said(state: dict[str, Tensor], tmp_path: Path) -> None:
    save_file(state, tmp_path / "xl.safetensors")
    other = save_tiny(tmp_path / "sd")
    with pytest.raises(BackboneError, match="does not fit its configuration"):
        load_backbone(tmp_path / "xl.safetensors", device="cpu", config=other)


def heads(width: int, **more: Tensor) -> dict[str, Tensor]:
    """As much of a checkpoint as tells its family."""
    stem = "model.diffusion_model.input_blocks."
    return {
        f"{stem}0.0.weight": torch.zeros(8, 4, 3, 3),
        f"{stem}1.1.transformer_blocks.0.attn2.to_k.weight": torch.zeros(8, width),
        "first_stage_model.decoder.conv_in.weight": torch.zeros(8, 4, 3, 3),
        "cond_stage_model.x": torch.zeros(1),
        **more,
    }


@pytest.mark.parametrize(
    ("width", "spread", "name"),
    [(768, None, "sd1"), (1024, 0.03, "sd2"), (1024, 0.2, "sd2-v"), (2048, None, "sdxl")],
)
def test_a_files_own_keys_choose_what_ships_with_us(
    tmp_path: Path, width: int, spread: float | None, name: str
) -> None:
    more = {} if spread is None else {V_SIGN: torch.tensor([-spread, spread])}
    if width == 2048:
        more["model.diffusion_model.label_emb.0.0.weight"] = torch.zeros(8, 2816)
    path = tmp_path / "file.safetensors"
    save_file(heads(width, **more), path)
    header = read_contents(path)
    assert _folder(path, header, kind_of(header), None, download=False) == KNOWN / name


@pytest.mark.parametrize("name", ["sd1", "sd2", "sd2-v", "sdxl"])
def test_configurations_make_networks_of_the_published_sizes(name: str) -> None:
    from diffusers import UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    millions = {"sd1": 859.5, "sd2": 865.9, "sd2-v": 865.9, "sdxl": 2567.5}[name]
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(
            UNet2DConditionModel.load_config(KNOWN / name, subfolder="unet")
        )
        config = json.loads((KNOWN / name / "text_encoder" / "config.json").read_text("utf-8"))
        text = CLIPTextModel(CLIPTextConfig(**config))
        width = text.config.hidden_size
        if name == "sdxl":
            second = KNOWN / name / "text_encoder_2" / "config.json"
            settings = CLIPTextConfig(**json.loads(second.read_text("utf-8")))
            width += CLIPTextModelWithProjection(settings).config.hidden_size
    assert sum(p.numel() for p in unet.parameters()) / 1e6 == pytest.approx(millions, abs=0.05)
    assert unet.config.cross_attention_dim == width


def test_the_tokenizer_is_clips() -> None:
    found = _tokenizers(KNOWN / "sdxl", is_xl=True)
    ids = [49406, 320, 1125, 539, 320, 2368, 49407]
    assert all(one("a photo of a cat").input_ids == ids for one in found.values())
    assert [one.pad_token_id for one in found.values()] == [49407, 0]
    assert _tokenizers(KNOWN / "sd2", is_xl=False)["tokenizer"].pad_token_id == 0
    assert found["tokenizer"].model_max_length == 77
