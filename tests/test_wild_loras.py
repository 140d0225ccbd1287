"""LoRA files in forms beside two factors: each acts as the library that defines it applies it."""

from __future__ import annotations

import copy
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.interventions.stacks import Stack
from locstyle.style import Coverage, Delta, read_style
from locstyle.style.addition import Addition, as_delta
from locstyle.style.data import Gain

LINEAR = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_k"
WIDE = "down_blocks.0.attentions.0.transformer_blocks.0.ff.net.0.proj"
CONV = "down_blocks.0.resnets.0.conv1"
SQUARE = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"
STRIDED = "down_blocks.0.downsamplers.0.conv"
SITES = (LINEAR, WIDE, CONV, SQUARE, STRIDED)


def module(name: str) -> Any:
    import lycoris.modules as modules

    return getattr(modules, name)


LYCORIS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "LoCon": ("LoConModule", {}),
    "LoCon in Tucker form": ("LoConModule", {"use_tucker": True}),
    "DoRA": ("LoConModule", {"weight_decompose": True}),
    "DoRA of inputs": ("LoConModule", {"weight_decompose": True, "wd_on_out": False}),
    "LoHa": ("LohaModule", {}),
    "LoHa in Tucker form": ("LohaModule", {"use_tucker": True}),
    "LoHa with a magnitude": ("LohaModule", {"weight_decompose": True}),
    "LoKr": ("LokrModule", {"factor": 2}),
    "LoKr in Tucker form": ("LokrModule", {"factor": 2, "use_tucker": True}),
    "LoKr of four factors": ("LokrModule", {"factor": 4, "lora_dim": 1, "decompose_both": True}),
    "LoKr of whole factors": ("LokrModule", {"factor": 2, "full_matrix": True}),
    "LoKr with a magnitude": ("LokrModule", {"factor": 2, "weight_decompose": True}),
    "GLoRA": ("GLoRAModule", {}),
    "OFT": ("DiagOFTModule", {"constraint": 0.0}),
    "OFT, constrained and rescaled": ("DiagOFTModule", {"constraint": 0.01, "rescaled": True}),
    "BOFT": ("ButterflyOFTModule", {}),
    "IA3": ("IA3Module", {}),
    "IA3 on inputs": ("IA3Module", {"train_on_input": True}),
}


def shaken(made: nn.Module, scale: float = 0.2) -> None:
    draw = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in made.parameters():
            if weight.requires_grad:
                weight.add_(scale * torch.randn(weight.shape, generator=draw))


def given(site: str, layer: Any) -> Tensor:
    shape = (2, layer.in_channels, 8, 8) if layer.weight.ndim == 4 else (2, 5, layer.in_features)
    return torch.randn(shape, generator=torch.Generator().manual_seed(len(site)))


def acted(delta: Delta, layer: Any, x: Tensor) -> Tensor:
    """What a delta makes of a layer, as it does in an edit."""
    y = layer(x)
    return y + Stack.of([(delta, 1.0)], y).at(x, y)


def of_lycoris(backbone: UNetBackbone, kind: str, path: Path) -> dict[str, Tensor]:
    """Writes a file as LyCORIS does; what its own layers then give, by site."""
    name, options = LYCORIS[kind]
    tensors, wanted = {}, {}
    for site in SITES:
        layer = copy.deepcopy(backbone.layer(site))
        stem = f"lora_unet_{site.replace('.', '_')}"
        settings = {"lora_dim": 4, "alpha": 2, "bypass_mode": False} | options
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            made = module(name)(stem, layer, 1.0, **settings)
        shaken(made)
        for part, tensor in made.state_dict().items():
            tensors[f"{stem}.{part}"] = tensor.detach().clone().contiguous()
        made.eval().apply_to()
        with torch.no_grad():
            wanted[site] = layer(given(site, layer))
    save_file(tensors, path)
    return wanted


def read(backbone: UNetBackbone, path: Path) -> tuple[ls.Style, Coverage]:
    return read_style(path, backbone=backbone)


@pytest.mark.parametrize("kind", LYCORIS)
def test_a_file_of_lycoris_acts_as_lycoris_applies_it(
    backbone: UNetBackbone, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "wild.safetensors"
    wanted = of_lycoris(backbone, kind, path)
    style, coverage = read(backbone, path)
    assert coverage.is_complete and style.deltas.keys() == wanted.keys()
    for site, expected in wanted.items():
        layer: Any = backbone.layer(site)
        x = given(site, layer)
        with torch.no_grad():
            found, plain = acted(style.deltas[site], layer, x), layer(x)
        assert (expected - plain).abs().max() > 1e-3, site
        error = (found - expected).norm() / (expected - plain).norm()
        assert error < 2e-5, (site, error)


def peft_config(kind: str) -> Any:
    import peft

    targets = {"target_modules": [LINEAR, WIDE, CONV]}
    linear = {"target_modules": [LINEAR, SQUARE]}
    return {
        "DoRA": lambda: peft.LoraConfig(r=2, lora_alpha=3, use_dora=True, **targets),
        "LoRA with biases": lambda: peft.LoraConfig(
            r=2, lora_alpha=3, lora_bias=True, target_modules=[OUT, CONV]
        ),
        "LoHa": lambda: peft.LoHaConfig(r=2, alpha=3, **targets),
        "LoKr": lambda: peft.LoKrConfig(r=2, alpha=3, rank_pattern={LINEAR: 1}, **targets),
        "OFT": lambda: peft.OFTConfig(r=0, oft_block_size=4, **linear),
        "BOFT": lambda: peft.BOFTConfig(boft_block_size=4, **linear),
        "BOFT of two factors": lambda: peft.BOFTConfig(
            boft_block_size=4, boft_n_butterfly_factor=2, **linear
        ),
        "IA3": lambda: peft.IA3Config(feedforward_modules=[LINEAR], **linear),
    }[kind]()


PEFT = ("DoRA", "LoRA with biases", "LoHa", "LoKr", "OFT", "BOFT", "BOFT of two factors", "IA3")


@pytest.mark.parametrize("kind", PEFT)
def test_an_adapter_of_peft_is_what_peft_merges(
    backbone: UNetBackbone, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from peft import get_peft_model

    # It would build an extension for the second factor, and begin to for the first.
    monkeypatch.setattr(
        "peft.tuners.boft.layer.get_fbd_cuda", lambda: Extension if "two" in kind else None
    )

    unet = copy.deepcopy(backbone.unet).to(memory_format=torch.contiguous_format)
    before = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of biases
        made = get_peft_model(unet, peft_config(kind))
        shaken(made)
        made.save_pretrained(tmp_path)
    monkeypatch.setattr("peft.tuners.boft.layer.get_fbd_cuda", refuse)
    style, coverage = read(backbone, tmp_path)
    monkeypatch.setattr("peft.tuners.boft.layer.get_fbd_cuda", lambda: Extension)
    after = made.merge_and_unload().state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert coverage.is_complete
    assert {name.rpartition(".")[0] for name in changed} == style.deltas.keys()
    for name in changed:
        site, _, part = name.rpartition(".")
        delta, wanted = style.deltas[site], after[name] - before[name]
        found = delta.weight if part == "weight" else delta.bias
        assert found is not None, name
        assert (found - wanted).norm() < 1e-4 * wanted.norm() + 1e-7, name


class Extension:
    """What PEFT's extension for BOFT does, number by number."""

    @staticmethod
    def forward(blocks: Tensor) -> list[Tensor]:
        count, number, side, _ = blocks.shape
        made = blocks.new_zeros(count, number * side, number * side)
        for block in range(number):
            place = slice(block * side, (block + 1) * side)
            made[:, place, place] = blocks[:, block]
        return [made]


def refuse() -> None:
    """As setuptools does, once the standard library's distutils is there."""
    raise AssertionError("distutils")


def test_what_fails_in_peft_itself_is_not_blamed_on_the_file(
    backbone: UNetBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_file(
        {f"base_model.model.{LINEAR}.hada_w1_a": torch.ones(8, 2)},
        tmp_path / "adapter_model.safetensors",
    )
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LOHA", "r": 2}')
    monkeypatch.setattr("peft.inject_adapter_in_model", lambda *_: refuse())
    with pytest.raises(ls.StyleError, match="PEFT does not work here, install it anew"):
        read(backbone, tmp_path)


def test_a_dylora_is_a_locon_of_its_whole_rank(backbone: UNetBackbone, tmp_path: Path) -> None:
    layer, stem = copy.deepcopy(backbone.layer(LINEAR)), f"lora_unet_{LINEAR.replace('.', '_')}"
    made = module("DyLoraModule")(stem, layer, 1.0, lora_dim=4, alpha=2, block_size=2)
    shaken(made)
    parts = {name: tensor.detach().clone() for name, tensor in made.custom_state_dict().items()}
    save_file(
        {f"{stem}.{name}": tensor for name, tensor in parts.items()}, tmp_path / "a.safetensors"
    )
    style, coverage = read(backbone, tmp_path / "a.safetensors")
    wanted = 2 / 4 * parts["lora_up.weight"] @ parts["lora_down.weight"]
    assert coverage.is_complete and torch.allclose(style.deltas[LINEAR].weight, wanted, atol=1e-6)


def test_a_full_difference_and_that_of_a_bias_act(backbone: UNetBackbone, tmp_path: Path) -> None:
    draw, path = torch.Generator().manual_seed(1), tmp_path / "full.safetensors"
    layer: Any = backbone.layer(CONV)
    change = torch.randn(layer.weight.shape, generator=draw)
    bias = torch.randn(layer.bias.shape, generator=draw)
    stem = f"lora_unet_{CONV.replace('.', '_')}"
    save_file({f"{stem}.diff": change, f"{stem}.diff_b": bias}, path)
    style, coverage = read_style(path, sites=backbone.sites, family="tiny")
    assert "whole" in coverage.notes[0]
    x, other = given(CONV, layer), copy.deepcopy(layer)
    with torch.no_grad():
        other.weight.add_(change), other.bias.add_(bias)
        assert torch.allclose(acted(style.deltas[CONV], layer, x), other(x), atol=2e-5)
    style.save(tmp_path / "ours.safetensors")
    again = ls.read_style(tmp_path / "ours.safetensors")[0]
    assert again.digest == style.digest and torch.equal(again.deltas[CONV].bias, bias)


def test_what_is_nearly_of_low_rank_is_kept_as_two_factors_and_says_what_it_lost() -> None:
    draw = torch.Generator().manual_seed(2)
    weight = torch.randn(96, 8, generator=draw) @ torch.randn(8, 64, generator=draw)
    noise = torch.randn(96, 64, generator=draw)
    noisy = weight + noise * (3e-4 * weight.norm() / noise.norm())
    delta, lost = as_delta(Addition(noisy), (96, 64), torch.float32)
    assert delta.rank == 8 and 2e-4 < lost < 4e-4
    assert (delta.weight - noisy).norm() / noisy.norm() == pytest.approx(lost, rel=1e-2)
    whole, lost = as_delta(Addition(noise), (96, 64), torch.float32)
    assert lost == 0 and torch.equal(whole.weight, noise)


@pytest.mark.parametrize("kind", ["OFT", "DoRA"])
def test_an_update_of_the_weight_itself_needs_the_weight(
    backbone: UNetBackbone, tmp_path: Path, kind: str
) -> None:
    of_lycoris(backbone, kind, tmp_path / "wild.safetensors")
    with pytest.raises(ls.StyleError, match=rf"{kind}.*read_style"):
        read_style(tmp_path / "wild.safetensors", sites=backbone.sites)


def test_the_library_that_is_missing_is_named(
    backbone: UNetBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_lycoris(backbone, "LoHa", tmp_path / "wild.safetensors")
    monkeypatch.setitem(sys.modules, "lycoris.functional.loha", None)
    with pytest.raises(ls.StyleError, match=r"LoHa.*pip install 'lycoris-lora"):
        read(backbone, tmp_path / "wild.safetensors")


def test_factors_of_a_huge_weight_are_refused_before_it_is_made(
    backbone: UNetBackbone, tmp_path: Path
) -> None:
    stem = f"lora_unet_{LINEAR.replace('.', '_')}"
    parts = {"lokr_w1": torch.zeros(1000, 1000), "lokr_w2": torch.zeros(1000, 1000)}
    save_file(
        {f"{stem}.{part}": tensor for part, tensor in parts.items()}, tmp_path / "a.safetensors"
    )
    with pytest.raises(ls.StyleError, match=r"no update of a weight of shape \(8, 16\)"):
        read(backbone, tmp_path / "a.safetensors")


@pytest.mark.parametrize(
    ("key", "word"),
    [
        ("lora_te_text_model_encoder_layers_0_layer_norm1.w_norm", "text encoder"),
        ("lora_unet_conv_in.q_layer.weight", "T-LoRA"),
        ("base_model.model.conv_in.vera_lambda_b", "VeRA"),
    ],
)
def test_what_is_no_change_of_a_weight_is_named(
    backbone: UNetBackbone, tmp_path: Path, key: str, word: str
) -> None:
    save_file({key: torch.zeros(2, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError, match=f"nothing in it applies[\\s\\S]*{word}"):
        read(backbone, tmp_path / "a.safetensors")


PARTS: Mapping[str, Mapping[str, Tensor]] = {
    "incomplete": {"dora_scale": torch.ones(8, 1), "alpha": torch.tensor(1.0)},
    "no update of a weight": {"hada_w1_a": torch.ones(8, 2), "alpha": torch.tensor(1.0)},
    "not finite": {
        "lokr_w1": torch.full((2, 2), 1e30),
        "lokr_w2": torch.full((4, 8), 1e30),
    },
    r"shape \(0,": {"lora_mid.weight": torch.ones(0, 0), "alpha": torch.tensor(1.0)},
}


@pytest.mark.parametrize("words", PARTS)
def test_a_damaged_update_is_an_error_that_names_the_layer(
    backbone: UNetBackbone, tmp_path: Path, words: str
) -> None:
    stem = f"lora_unet_{LINEAR.replace('.', '_')}"
    tensors = {f"{stem}.{part}": tensor for part, tensor in PARTS[words].items()}
    save_file(tensors, tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError, match=rf"{LINEAR}[\s\S]*({words}|no update)"):
        read(backbone, tmp_path / "a.safetensors")


def test_an_adapter_configuration_of_anybodys_is_refused(
    backbone: UNetBackbone, tmp_path: Path
) -> None:
    tensors = {f"base_model.model.{LINEAR}.hada_w1_a": torch.ones(8, 2)}
    save_file(tensors, tmp_path / "adapter_model.safetensors")
    for said in ('{"peft_type": "LOHA", "r": "two"}', '{"peft_type": "VERA", "r": 2}'):
        (tmp_path / "adapter_config.json").write_text(said)
        with pytest.raises(ls.StyleError, match=LINEAR):
            read(backbone, tmp_path)


NORMS = (
    "down_blocks.0.resnets.0.norm1",  # GroupNorms
    "mid_block.attentions.0.norm",
    "up_blocks.1.attentions.0.transformer_blocks.0.norm2",  # a LayerNorm
)


def of_norms(backbone: UNetBackbone, path: Path) -> UNetBackbone:
    """Writes a file of trained norms as LyCORIS does, and the backbone with them everywhere."""
    changed, tensors = copy.deepcopy(backbone), {}
    for name in NORMS:
        layer: Any = changed.layer(name)
        stem = f"lora_unet_{name.replace('.', '_')}"
        made = module("NormModule")(stem, layer, 1.0)
        shaken(made)
        for part, tensor in made.state_dict().items():
            tensors[f"{stem}.{part}"] = tensor.detach().clone().contiguous()
        with torch.no_grad():
            layer.weight += made.w_norm
            layer.bias += made.b_norm
    save_file(tensors, path)
    return changed


def test_trained_norms_act_as_lycoris_merges_them(backbone: UNetBackbone, tmp_path: Path) -> None:
    changed = of_norms(backbone, tmp_path / "wild.safetensors")
    style, coverage = read(backbone, tmp_path / "wild.safetensors")
    assert coverage.is_complete and set(style.norms) == set(NORMS) and style.kinds == {"deltas"}
    saved = style.save(tmp_path / "own.safetensors")
    again, kept = read(backbone, saved)
    assert kept.is_complete and again.digest == style.digest
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    states = backbone.text("a").states.expand(2, -1, -1)
    regions = [ls.SceneRegion((ls.SceneStyle(again, 1.0),), backbone.text("a"), backbone.text(""))]
    halves = torch.zeros(2, 32, 32)
    halves[0, :, :16], halves[1, :, 16:] = 1, 1
    acting = ls.Deltas(regions, ls.Ownership(ls.Partition(halves)))
    rows = (ls.Row("styled", 1), ls.Row("plain", 0))
    with torch.no_grad(), backbone.attach([acting]) as attachment:
        attachment.call = ls.Call(0.0, 500, rows, (8, 8))
        made = backbone.predict(x, 500, states)
    with torch.no_grad():
        wanted, plain = (one.predict(x, 500, states) for one in (changed, backbone))
    assert torch.allclose(made[0], wanted[0], atol=1e-5)
    assert torch.equal(made[1], plain[1])
    assert (wanted[0] - plain[0]).abs().max() > 1e-3
    layer: Any = backbone.layer(NORMS[0])
    site, y = backbone.sites[NORMS[0]], torch.randn(1, 8, 8, 8)
    mixed = ls.Call(0.0, 500, (ls.Row("+", ls.MIXED),), (8, 8))
    found = acting.feature(site, mixed, layer, y, y)
    assert torch.equal(found[..., :4], y[..., :4]) and not torch.equal(found[..., 4:], y[..., 4:])
    whole = acting.feature(site, ls.Call(0.0, 500, rows[:1], (8, 8)), layer, y, y)
    assert torch.allclose(found[..., 4:], whole[..., 4:], atol=1e-6)


@pytest.mark.parametrize("fusion", ["singlepass", "diffstyler", "vct"])
def test_a_style_of_trained_norms_draws_its_region(
    backbone: UNetBackbone, tmp_path: Path, fusion: str
) -> None:
    of_norms(backbone, tmp_path / "wild.safetensors")
    photo = torch.randint(0, 256, (32, 40, 3), generator=torch.Generator().manual_seed(3))
    apart = {"norms_apart": True} if fusion == "singlepass" else {}
    how = {"steps": 1, "size": "native", "fusion": ls.Fusing(fusion, options=apart)}
    styled, none = (
        ls.Editor(backbone, ls.Host()).run(
            ls.Edit(
                photo.byte().numpy(),
                (ls.Region("box:0,0,20,32", tmp_path / "wild.safetensors", strength),),
                **how,  # type: ignore[arg-type]
            )
        )
        for strength in (1.0, 0.0)
    )
    assert styled.report.outside_identical == 1.0
    assert not torch.equal(styled.latent, none.latent)


def test_norms_of_another_width_are_refused(backbone: UNetBackbone, tmp_path: Path) -> None:
    key = f"lora_unet_{NORMS[0].replace('.', '_')}.w_norm"
    save_file({key: torch.zeros(5)}, tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError, match=r"'w_norm' of .*norm1.* its norm has 8 channels"):
        read(backbone, tmp_path / "a.safetensors")
    gain = {NORMS[0]: Gain(torch.zeros(5), torch.zeros(5))}
    style = ls.Style("n", backbone.family, norms=gain)
    edit = ls.Edit(torch.zeros(32, 32, 3).byte().numpy(), (ls.Region("all", style),))
    with pytest.raises(ls.StyleError, match=r"norm1 has 8 channels, the style's gain 5"):
        ls.Editor(backbone, ls.Host()).resolve(edit)
