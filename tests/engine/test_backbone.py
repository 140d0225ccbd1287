"""Loading checkpoints in every form, and what a loaded backbone promises."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from originals import original_checkpoint
from safetensors.torch import save_file

from locstyle import BackboneError, Inversion, load_backbone
from locstyle.engine.backbones import load
from locstyle.engine.backbones.load import LARGE
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import save_tiny, tiny_backbone, tiny_parts, tiny_scene


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
    with pytest.raises(
        BackboneError, match=r"weights as a pickle \(unet/diffusion_pytorch_model\.bin\)"
    ):
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
