"""Style files: exact round trips, other tools' layouts by name, nothing dropped in silence."""

from __future__ import annotations

import base64
import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.sites import Sites
from locstyle.style import Coverage, find_style, list_styles, read_header, read_style, thumbnail
from locstyle.style.keys import spellings
from locstyle.testing import tiny_backbone

RANK, ALPHA = 3, 6.0
ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
LAYERS = (*ATTENTION, "proj_in", "proj_out", "ff.net.0.proj", "conv1", "conv2", "conv_shortcut")


@pytest.fixture
def sites(backbone: UNetBackbone) -> Sites:
    return backbone.sites


def deltas_on(sites: Sites, layers: tuple[str, ...], scale: float = 1.0) -> dict[str, ls.Delta]:
    drawn = torch.Generator().manual_seed(0)
    found = {}
    for site in sites:
        if site.shape and site.name.endswith(tuple(f".{layer}" for layer in layers)):
            out, *inner = site.shape
            down = torch.randn(RANK, *inner, generator=drawn)
            up = torch.randn(out, RANK, *([1] * (len(inner) - 1)), generator=drawn)
            found[site.name] = ls.Delta(down, up, scale)
    return found


def style_of(sites: Sites, layers: tuple[str, ...] = LAYERS, **meta: str) -> ls.Style:
    return ls.Style("ink", "tiny", deltas_on(sites, layers, scale=0.3), meta)


def assert_same(found: Mapping[str, ls.Delta], wanted: Mapping[str, ls.Delta]) -> None:
    assert set(found) == set(wanted)
    for name, delta in wanted.items():
        assert torch.equal(found[name].down, delta.down), name
        assert torch.equal(found[name].up, delta.up), name
        assert found[name].scale == delta.scale, name


# Our own format


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_saved_style_comes_back_exactly(tmp_path: Path, sites: Sites, dtype: torch.dtype) -> None:
    meta = {"trigger": "in ink style", "licence": "CC0", "ключ": "значение"}
    style = style_of(sites, **meta).to(dtype)
    path = style.save(tmp_path / "ink.safetensors")
    found, coverage = read_style(path, sites=sites, family="tiny")
    assert_same(found.deltas, style.deltas)
    assert (found.name, found.family, dict(found.meta)) == ("ink", "tiny", meta)
    assert found.digest == style.digest
    assert found.trigger == "in ink style"
    assert coverage.is_complete and len(coverage.applied) == 3 * len(style.deltas)


def test_a_style_opens_without_a_backbone(tmp_path: Path, sites: Sites) -> None:
    style = style_of(sites)
    assert_same(ls.read_style(style.save(tmp_path / "a.safetensors"))[0].deltas, style.deltas)


def test_the_header_says_what_the_file_is(tmp_path: Path, sites: Sites) -> None:
    path = style_of(sites, trigger="t", seed="7").save(tmp_path / "ink.safetensors")
    assert read_header(path) == {
        "locstyle.format": "1", "name": "ink", "family": "tiny", "kind": "deltas",
        "rank": "3", "trigger": "t", "seed": "7",
        "modelspec.sai_model_spec": "1.0.0", "modelspec.title": "ink",
        "modelspec.trigger_phrase": "t", "ss_output_name": "ink",
    }  # fmt: skip


def test_the_same_style_gives_the_same_bytes(tmp_path: Path, sites: Sites) -> None:
    # The library itself writes the header in a new random order every time.
    style = style_of(sites, **{f"key{i}": "value" for i in range(20)})
    one, two = (style.save(tmp_path / f"{name}.safetensors").read_bytes() for name in "ab")
    assert one == two


def test_the_digest_is_of_what_the_style_does(sites: Sites) -> None:
    style = style_of(sites)
    assert style.digest == style.with_meta(trigger="other").digest
    assert style.digest != style.to(torch.float16).digest
    name, delta = next(iter(style.deltas.items()))
    changed = {**style.deltas, name: ls.Delta(delta.down, delta.up, 0.31)}
    assert style.digest != ls.Style("ink", "tiny", changed, {}).digest


def test_saving_keeps_the_old_file_when_it_fails(
    tmp_path: Path, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = style_of(sites).save(tmp_path / "ink.safetensors")
    before = path.read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(ls.OutputError, match="No space left"):
        style_of(sites).to(torch.float16).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_style_is_written_as_safetensors_only(tmp_path: Path, sites: Sites) -> None:
    with pytest.raises(ls.OutputError, match=r"\.safetensors, not '\.bin'"):
        style_of(sites).save(tmp_path / "ink.bin")


def test_the_weight_of_a_delta_is_scale_times_up_times_down() -> None:
    down, up = torch.randn(2, 3, 3, 3), torch.randn(5, 2, 1, 1)
    x = torch.randn(1, 3, 6, 6)
    two = torch.conv2d(torch.conv2d(x, down), up) * 0.5
    assert torch.allclose(torch.conv2d(x, ls.Delta(down, up, 0.5).weight), two, atol=1e-5)


def test_the_preview_is_small_and_comes_back(sites: Sites) -> None:
    picture = Image.linear_gradient("L").resize((300, 200))
    preview = style_of(sites, preview=thumbnail(picture)).preview
    assert preview is not None and preview.size == (96, 64)
    assert style_of(sites, preview="not a picture").preview is None
    assert style_of(sites).preview is None


def test_a_style_shows_itself_in_a_notebook_without_trusting_its_header(sites: Sites) -> None:
    shown = style_of(sites, trigger="<script>")._repr_html_()
    assert "&lt;script&gt;" in shown and "<script>" not in shown
    assert "<img" in style_of(sites, preview=thumbnail(Image.new("RGB", (8, 8))))._repr_html_()


def test_meta_cannot_pose_as_the_format(sites: Sites) -> None:
    with pytest.raises(ls.StyleError, match="family"):
        style_of(sites, family="sd1")


# Files that are broken, unsafe or of another family


def test_another_family_is_refused(tmp_path: Path, sites: Sites) -> None:
    path = style_of(sites).save(tmp_path / "ink.safetensors")
    with pytest.raises(ls.StyleError, match="made for family 'tiny', this backbone is 'mini'"):
        read_style(path, sites=sites, family="mini")


def test_wrong_shapes_name_the_site_and_both_shapes(tmp_path: Path, sites: Sites) -> None:
    name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    wrong = ls.Delta(torch.zeros(2, 768), torch.zeros(sites[name].shape[0], 2))
    path = ls.Style("n", "tiny", {name: wrong}, {}).save(tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError) as caught:
        read_style(path, sites=sites, family="tiny")
    assert name in str(caught.value) and "(2, 768)" in str(caught.value)
    assert str(sites[name].shape) in str(caught.value)


@pytest.mark.parametrize("suffix", [".ckpt", ".pt", ".pth", ".bin", ".PT"])
def test_pickles_are_refused_with_the_reason(tmp_path: Path, sites: Sites, suffix: str) -> None:
    path = tmp_path / f"lora{suffix}"
    path.write_bytes(b"\x80\x02cos\nsystem\n")
    with pytest.raises(ls.StyleError, match="run code"):
        read_style(path, sites=sites, family="tiny")


@pytest.mark.parametrize("start", [b"PK\x03\x04", b"\x80\x02}q\x00", b"\x80\x05"])
def test_a_renamed_pickle_is_recognised(tmp_path: Path, sites: Sites, start: bytes) -> None:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(start + b"x" * 100)
    with pytest.raises(ls.StyleError, match="pickle under the name"):
        read_style(path, sites=sites, family="tiny")


@pytest.mark.parametrize("keep", [0, 4, 8, 50, 2000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, sites: Sites, keep: int) -> None:
    path = style_of(sites).save(tmp_path / "ink.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ls.StyleError, match="not a readable safetensors file"):
        read_style(path, sites=sites, family="tiny")


def test_garbage_is_refused(tmp_path: Path, sites: Sites) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(ls.StyleError, match=r"a\.safetensors: not a readable"):
        read_style(path, sites=sites, family="tiny")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_refused(
    tmp_path: Path, sites: Sites, value: float
) -> None:
    style = style_of(sites)
    next(iter(style.deltas.values())).up[0, 0] = value
    path = style.save(tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError, match="not finite"):
        read_style(path, sites=sites, family="tiny")


def test_a_newer_format_is_refused(tmp_path: Path, sites: Sites) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={"locstyle.format": "2", "family": "tiny"})
    with pytest.raises(ls.StyleError, match="format '2'"):
        read_style(path, sites=sites, family="tiny")


def test_half_an_update_is_refused(tmp_path: Path, sites: Sites) -> None:
    path = style_of(sites).save(tmp_path / "a.safetensors")
    tensors, header = load_file(path), read_header(path)
    del tensors[next(key for key in tensors if key.endswith(".up"))]
    save_file(tensors, path, metadata=header)
    with pytest.raises(ls.StyleError, match="no 'up' factor"):
        read_style(path, sites=sites, family="tiny")


def test_layers_this_backbone_lacks_are_reported(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, ATTENTION)
    stray = ls.Delta(torch.zeros(1, 2), torch.zeros(2, 1))
    path = ls.Style("n", "tiny", {**deltas, "extra.to_q": stray}, {}).save(
        tmp_path / "a.safetensors"
    )
    style, coverage = read_style(path, sites=sites, family="tiny")
    assert set(style.deltas) == set(deltas)
    assert sorted(coverage.unmatched) == [f"deltas.extra.to_q.{p}" for p in ("down", "scale", "up")]


# Other tools' layouts


def peft(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    keys = {}
    for site, delta in deltas.items():
        keys[f"base_model.model.{site}.lora_A.weight"] = delta.down
        keys[f"base_model.model.{site}.lora_B.weight"] = delta.up
    return keys


def peft_with_adapter_name(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    return {key.replace(".weight", ".default.weight"): value for key, value in peft(deltas).items()}


def diffusers(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    return {key.replace("base_model.model.", "unet."): v for key, v in peft(deltas).items()}


def diffusers_down_up(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    names = {"lora_A": "lora.down", "lora_B": "lora.up"}
    found = {}
    for key, value in diffusers(deltas).items():
        for peft_name, name in names.items():
            key = key.replace(peft_name, name)
        found[key] = value
    return found


def diffusers_processors(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    found = {}
    for site, delta in deltas.items():
        attention, _, layer = site.removesuffix(".0").rpartition(".")
        found[f"unet.{attention}.processor.{layer}_lora.down.weight"] = delta.down
        found[f"unet.{attention}.processor.{layer}_lora.up.weight"] = delta.up
    return found


def attention_processors(deltas: Mapping[str, ls.Delta]) -> dict[str, Tensor]:
    return {k.removeprefix("unet."): v for k, v in diffusers_processors(deltas).items()}


def kohya(
    deltas: Mapping[str, ls.Delta], names: Mapping[str, str] | None = None
) -> dict[str, Tensor]:
    found = {}
    for site, delta in deltas.items():
        module = "lora_unet_" + (names or {}).get(site, site).replace(".", "_")
        found[f"{module}.lora_down.weight"] = delta.down
        found[f"{module}.lora_up.weight"] = delta.up
        found[f"{module}.alpha"] = torch.tensor(delta.scale * delta.rank)
    return found


def ldm_names(sites: Sites) -> dict[str, str]:
    """Site name → its name in the original latent-diffusion code."""
    starts = ("input_blocks.", "middle_block.", "output_blocks.", "time_embed.", "out.")
    # An upsampler is listed with and without an attention before it; the first block has none.
    names: dict[str, str] = {}
    for spelling, name in spellings(site.name for site in sites if site.shape).items():
        without = name.startswith("up_blocks.0.upsamplers")
        if spelling.startswith(starts) and not (without and ".2.conv" in spelling):
            names[name] = spelling
    return names


def read_foreign(
    tmp_path: Path,
    sites: Sites,
    tensors: Mapping[str, Tensor],
    header: dict[str, str] | None = None,
) -> tuple[ls.Style, Coverage]:
    path = tmp_path / "foreign.safetensors"
    save_file({k: v.clone() for k, v in tensors.items()}, path, metadata=header)
    return read_style(path, sites=sites, family="tiny")


@pytest.mark.parametrize(
    "layout", [peft, peft_with_adapter_name, diffusers, diffusers_down_up], ids=lambda f: f.__name__
)
def test_layouts_without_alpha_load_by_name(tmp_path: Path, sites: Sites, layout) -> None:
    deltas = deltas_on(sites, LAYERS)
    tensors = layout(deltas)
    backwards = dict(reversed(tensors.items()))  # by name, never by order
    style, coverage = read_foreign(tmp_path, sites, backwards)
    assert_same(style.deltas, deltas)
    assert set(coverage.applied) == set(tensors) and coverage.is_complete
    assert "scale 1" in coverage.notes[0]
    assert (style.name, style.family) == ("foreign", "tiny")


@pytest.mark.parametrize("layout", [diffusers_processors, attention_processors])
def test_layouts_of_attention_processors_load_by_name(tmp_path: Path, sites: Sites, layout) -> None:
    deltas = deltas_on(sites, ATTENTION)
    style, coverage = read_foreign(tmp_path, sites, layout(deltas))
    assert_same(style.deltas, deltas)
    assert coverage.is_complete


def test_kohya_loads_by_name_with_alpha_over_rank(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, LAYERS, scale=ALPHA / RANK)
    style, coverage = read_foreign(tmp_path, sites, kohya(deltas))
    assert_same(style.deltas, deltas)
    assert coverage.is_complete and not coverage.notes


def test_kohya_with_the_original_block_numbers_loads(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, (*LAYERS, "time_emb_proj", "0.conv", "linear_1"))
    tensors = kohya(deltas, ldm_names(sites))
    assert not any("down_blocks" in key or "up_blocks" in key for key in tensors)
    style, coverage = read_foreign(tmp_path, sites, tensors)
    assert set(style.deltas) == set(deltas) and coverage.is_complete


def test_original_block_numbers_agree_with_the_converter_of_diffusers(sites: Sites) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    names = ldm_names(sites)
    marks = {site: torch.tensor(float(i)) for i, site in enumerate(names)}
    checkpoint = {f"{names[site]}.weight": mark for site, mark in marks.items()}
    # The converter also looks for biases and the last norm, which no site is.
    checkpoint |= {key.replace(".weight", ".bias"): torch.tensor(-1.0) for key in checkpoint}
    checkpoint |= {f"out.0.{part}": torch.tensor(-1.0) for part in ("weight", "bias")}
    config = {"layers_per_block": 2, "class_embed_type": None, "addition_embed_type": None}
    renamed = convert_ldm_unet_checkpoint(
        {f"model.diffusion_model.{key}": mark for key, mark in checkpoint.items()}, config
    )
    found = {float(mark): key.removesuffix(".weight") for key, mark in renamed.items()}
    assert {site: found[float(mark)] for site, mark in marks.items()} == {
        site: site for site in names
    }
    assert set(names) == {site.name for site in sites if site.shape}


def test_a_linear_update_fits_a_pointwise_convolution(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, ("proj_in",), scale=1.0)
    flat = {k: v.flatten(1) if v.ndim == 4 else v for k, v in kohya(deltas).items()}
    style, _ = read_foreign(tmp_path, sites, flat)
    assert_same(style.deltas, deltas)


def test_a_pointwise_convolution_fits_a_linear_layer(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, ("to_q",), scale=1.0)
    wide = {k: v[..., None, None] if v.ndim == 2 else v for k, v in kohya(deltas).items()}
    assert_same(read_foreign(tmp_path, sites, wide)[0].deltas, deltas)


def test_an_adapter_folder_written_by_peft_loads(tmp_path: Path, sites: Sites) -> None:
    from peft import LoraConfig, get_peft_model

    unet = tiny_backbone().unet
    config = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=["to_q", "conv1"], alpha_pattern={"conv1": 1.5}
    )
    model = get_peft_model(unet, config)
    model.save_pretrained(tmp_path / "adapter")
    style, coverage = read_style(tmp_path / "adapter", sites=sites, family="tiny")
    assert coverage.is_complete and not coverage.notes
    for name, delta in style.deltas.items():
        layer = unet.get_submodule(name)
        assert torch.equal(delta.down, layer.lora_A["default"].weight)
        assert torch.equal(delta.up, layer.lora_B["default"].weight)
        assert delta.scale == layer.scaling["default"]
    assert {delta.scale for delta in style.deltas.values()} == {ALPHA / RANK, 1.5 / RANK}


def test_a_file_written_by_diffusers_loads_with_its_alpha(tmp_path: Path, sites: Sites) -> None:
    from peft import LoraConfig

    unet = tiny_backbone().unet
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=["to_out.0", "proj_in"]))
    unet.save_lora_adapter(tmp_path)
    style, coverage = read_style(tmp_path, sites=sites, family="tiny")
    assert coverage.is_complete and not coverage.notes
    assert {delta.scale for delta in style.deltas.values()} == {ALPHA / RANK}
    for name, delta in style.deltas.items():
        assert torch.equal(delta.down, unet.get_submodule(name).lora_A["default"].weight)


def test_rank_stabilised_scale_is_kept(tmp_path: Path, sites: Sites) -> None:
    header = {"lora_adapter_metadata": json.dumps({"unet.lora_alpha": 6, "unet.use_rslora": True})}
    style, _ = read_foreign(tmp_path, sites, diffusers(deltas_on(sites, ("to_q",))), header)
    assert {delta.scale for delta in style.deltas.values()} == {6 / math.sqrt(RANK)}


@pytest.mark.parametrize("text", ["{", "[]", '{"r": 4}', '{"lora_alpha": "much"}'])
def test_a_broken_adapter_configuration_is_an_error(
    tmp_path: Path, sites: Sites, text: str
) -> None:
    with pytest.raises(ls.StyleError, match="adapter configuration"):
        read_foreign(
            tmp_path, sites, diffusers(deltas_on(sites, ("to_q",))), {"lora_adapter_metadata": text}
        )


UNSUPPORTED = {
    "lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight": "text encoder",
    "lora_te1_text_model_encoder_layers_0_mlp_fc1.alpha": "text encoder",
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight": "text encoder",
    "base_model.model.text_model.encoder.layers.0.mlp.fc1.lora_B.weight": "text encoder",
    "lora_unet_conv_in.w_norm": "trained norm",
    "lora_unet_conv_in.lambda_layer": "T-LoRA",
    "unet.conv_in.lora_embedding_A": "embedding",
}


@pytest.mark.parametrize("key", UNSUPPORTED)
def test_keys_in_other_forms_are_reported_with_the_reason(
    tmp_path: Path, sites: Sites, key: str
) -> None:
    tensors = {**kohya(deltas_on(sites, ATTENTION)), key: torch.zeros(2, 2)}
    _, coverage = read_foreign(tmp_path, sites, tensors)
    assert coverage.unsupported == (key,) and not coverage.unmatched
    assert UNSUPPORTED[key] in coverage.describe()
    assert f"applied{len(coverage.applied):>11}" in coverage.describe()


@pytest.mark.parametrize("extra", ["dora_scale", "lora_mid.weight"])
def test_an_update_that_needs_more_than_two_factors_is_not_half_applied(
    tmp_path: Path, sites: Sites, extra: str
) -> None:
    deltas = deltas_on(sites, ("to_q",))
    name = next(iter(deltas))
    key = f"lora_unet_{name.replace('.', '_')}.{extra}"
    with pytest.raises(ls.StyleError, match=name):
        read_foreign(tmp_path, sites, {**kohya(deltas), key: torch.zeros(2, 2)})


def test_keys_of_unknown_layers_are_unmatched(tmp_path: Path, sites: Sites) -> None:
    stray = ["lora_unet_no_such_layer.lora_down.weight", "something.else"]
    tensors = {**kohya(deltas_on(sites, ATTENTION)), **{key: torch.zeros(2, 2) for key in stray}}
    _, coverage = read_foreign(tmp_path, sites, tensors)
    assert sorted(coverage.unmatched) == sorted(stray)
    assert "no such layer" in coverage.describe()


def test_a_file_that_fits_nothing_is_an_error_with_the_table(tmp_path: Path, sites: Sites) -> None:
    tensors = {"transformer.blocks.0.attn.to_q.lora_A.weight": torch.zeros(2, 2)}
    with pytest.raises(ls.StyleError, match=r"nothing in it applies[\s\S]*unmatched"):
        read_foreign(tmp_path, sites, tensors)


@pytest.mark.parametrize(
    ("width", "header", "family"),
    [
        (768, None, "sd1"),
        (1024, None, "sd2"),
        (2048, None, "sdxl"),
        (64, {"ss_base_model_version": "sdxl_base_v1-0"}, "sdxl"),
        (64, {"modelspec.architecture": "stable-diffusion-v1/lora"}, "sd1"),
    ],
)
def test_a_lora_of_another_model_says_which(
    tmp_path: Path, sites: Sites, width: int, header: dict[str, str] | None, family: str
) -> None:
    module = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k"
    tensors = {
        f"{module}.lora_down.weight": torch.zeros(4, width),
        f"{module}.lora_up.weight": torch.zeros(1280, 4),
    }
    with pytest.raises(ls.StyleError, match=f"made for family '{family}', this backbone is 'tiny'"):
        read_foreign(tmp_path, sites, tensors, header)


def test_half_an_update_from_elsewhere_is_an_error(tmp_path: Path, sites: Sites) -> None:
    tensors = peft(deltas_on(sites, ("to_q",)))
    tensors.popitem()
    with pytest.raises(ls.StyleError, match="no 'up' factor; the file is incomplete"):
        read_foreign(tmp_path, sites, tensors)


def test_two_updates_for_one_layer_are_an_error(tmp_path: Path, sites: Sites) -> None:
    deltas = deltas_on(sites, ("to_q",))
    with pytest.raises(ls.StyleError, match="several updates"):
        read_foreign(tmp_path, sites, {**peft(deltas), **kohya(deltas)})


def test_whole_numbers_are_no_update(tmp_path: Path, sites: Sites) -> None:
    tensors = {k: v.to(torch.int32) for k, v in peft(deltas_on(sites, ("to_q",))).items()}
    with pytest.raises(ls.StyleError, match="int32"):
        read_foreign(tmp_path, sites, tensors)


def test_other_tools_headers_are_read(tmp_path: Path, sites: Sites) -> None:
    header = {
        "modelspec.trigger_phrase": "in ink style",
        "modelspec.license": "CC0",
        "modelspec.thumbnail": f"data:image/png;base64,{thumbnail(Image.new('RGB', (9, 9)))}",
    }
    style, _ = read_foreign(tmp_path, sites, kohya(deltas_on(sites, ("to_q",))), header)
    assert (style.trigger, style.meta["licence"]) == ("in ink style", "CC0")
    assert style.preview is not None and style.preview.size == (9, 9)


def test_a_foreign_file_needs_the_backbones_sites(tmp_path: Path, sites: Sites) -> None:
    path = tmp_path / "a.safetensors"
    save_file(kohya(deltas_on(sites, ("to_q",))), path)
    with pytest.raises(ls.StyleError, match="sites"):
        ls.read_style(path)


def test_a_foreign_file_saved_as_ours_comes_back_exactly(tmp_path: Path, sites: Sites) -> None:
    style, _ = read_foreign(tmp_path, sites, kohya(deltas_on(sites, LAYERS, scale=1 / 3)))
    again = ls.read_style(style.save(tmp_path / "ours.safetensors"), sites=sites, family="tiny")[0]
    assert_same(again.deltas, style.deltas)


def test_a_folder_with_pickles_only_is_refused(tmp_path: Path, sites: Sites) -> None:
    with pytest.raises(ls.StyleError, match=r"no adapter_model\.safetensors"):
        read_style(tmp_path, sites=sites, family="tiny")
    (tmp_path / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(ls.StyleError, match="run code"):
        read_style(tmp_path, sites=sites, family="tiny")


@pytest.mark.parametrize("others", [0, 1])
def test_a_folder_of_one_file_names_it(tmp_path: Path, sites: Sites, others: int) -> None:
    lone = style_of(sites).save(tmp_path / "neon.safetensors")
    for number in range(others):
        style_of(sites).save(tmp_path / f"{number}.safetensors")
    message = f"give {str(lone)!r}" if not others else "no adapter_model"
    with pytest.raises(ls.StyleError, match=re.escape(message)):
        read_style(tmp_path, sites=sites, family="tiny")
    if not others:
        with pytest.raises(
            ls.BackboneError, match=re.escape(f"give the file in it, {str(lone)!r}")
        ):
            ls.load_backbone(tmp_path, device="cpu")


# Finding styles


def test_styles_are_found_by_path_and_by_name(
    tmp_path: Path, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loras").mkdir()
    path = style_of(sites).save(tmp_path / "loras" / "ukiyo-e.safetensors")
    assert find_style(path) == path
    for name in ("ukiyo-e", "ukiyo-e.safetensors", "loras/ukiyo-e.safetensors"):
        assert find_style(name).resolve() == path
    assert "ukiyo-e" in [p.stem for p in list_styles()]


def test_an_unknown_style_offers_the_nearest_name(
    tmp_path: Path, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loras").mkdir()
    style_of(sites).save(tmp_path / "loras" / "ukiyo-e.safetensors")
    with pytest.raises(ls.StyleError, match=r"'ukio-e' is not a file .* did you mean 'ukiyo-e'\?"):
        find_style("ukio-e")


def test_the_preview_of_the_header_is_base64_png(sites: Sites) -> None:
    data = base64.b64decode(thumbnail(Image.new("RGBA", (400, 10), "red")))
    assert data.startswith(b"\x89PNG")
