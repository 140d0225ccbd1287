"""Style files that claim, overflow or loop: refused by name, before anything is set aside."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import time
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.sites import Sites
from locstyle.style import read_style
from locstyle.style.patterns import Patterns
from locstyle.style.preview import opened
from locstyle.testing import random_style

SITE = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q"


@pytest.fixture
def sites(backbone: UNetBackbone) -> Sites:
    return backbone.sites


@pytest.fixture
def saved(tmp_path: Path, backbone: UNetBackbone) -> Path:
    return random_style(backbone, 0).save(tmp_path / "a.safetensors")


def changed(path: Path, **tensors: torch.Tensor) -> None:
    """One tensor of each kind replaced, the header kept."""
    data = load_file(path)
    raw = path.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    for part, tensor in tensors.items():
        name = next(name for name in data if name.endswith(part))
        data[name] = tensor.to(data[name].dtype) if tensor.numel() == 0 else tensor
    save_file(data, path, header)


@pytest.mark.parametrize(
    "scale",
    [
        torch.ones(3), torch.ones(0), torch.tensor(1e300, dtype=torch.float64),
        torch.tensor(1e37), torch.tensor(float("nan")), torch.tensor(1j),
    ],
)  # fmt: skip
def test_a_scale_is_one_number_that_a_network_can_hold(
    saved: Path, sites: Sites, scale: torch.Tensor
) -> None:
    changed(saved, scale=scale, up=torch.full_like(load_file(saved)[f"deltas.{SITE}.up"], 1e3))
    with pytest.raises(ls.StyleError, match=r"finite|can hold"):
        read_style(saved, sites=sites, family="tiny")


def test_a_rank_beyond_any_layer_is_refused(saved: Path, sites: Sites) -> None:
    width = sites[SITE].shape[0]
    up, down = torch.zeros(width, 5000), torch.zeros(5000, sites[SITE].shape[1])
    data = {f"unet.{SITE}.lora.up.weight": up, f"unet.{SITE}.lora.down.weight": down}
    save_file(data, saved)
    with pytest.raises(ls.StyleError, match="rank 5000; read are at most 4096"):
        read_style(saved, sites=sites, family="tiny")


def test_a_file_that_goes_or_changes_afterwards_changes_no_style(saved: Path, sites: Sites) -> None:
    style = read_style(saved, sites=sites, family="tiny")[0]
    digest = ls.Style(style.name, style.family, style.deltas).digest
    saved.write_bytes(bytes(saved.stat().st_size))
    os.truncate(saved, 10)
    assert ls.Style(style.name, style.family, style.deltas).digest == digest


def test_a_style_that_is_no_regular_file_is_not_waited_for(tmp_path: Path, sites: Sites) -> None:
    os.mkfifo(tmp_path / "a.safetensors")
    (tmp_path / "b.safetensors").symlink_to(tmp_path / "b.safetensors")
    for name in ("a", "b", "c" * 300, "d\0"):
        with pytest.raises(ls.StyleError):
            read_style(tmp_path / f"{name}.safetensors", sites=sites, family="tiny")


def peft(path: Path, sites: Sites, config: object) -> Path:
    out, inner = sites[SITE].shape
    data = {
        f"base_model.model.{SITE}.lora_A.weight": torch.ones(2, inner),
        f"base_model.model.{SITE}.lora_B.weight": torch.ones(out, 2),
    }
    text = config if isinstance(config, str) else json.dumps(config)
    save_file(data, path, {"lora_adapter_metadata": text})
    return path


@pytest.mark.parametrize(
    "config",
    [
        {"lora_alpha": 10**400}, {"lora_alpha": None}, {"lora_alpha": True}, "[" * 100_000,
        {"lora_alpha": 1, "alpha_pattern": {"to_q": "x"}},
        {"lora_alpha": 1, "alpha_pattern": {"to_q": {}}},
        {"lora_alpha": 1, "alpha_pattern": {"(": 1}},
        {"lora_alpha": 1, "alpha_pattern": {"(([a-z_0-9.])+)+!": 1}},
        {"lora_alpha": 1, "alpha_pattern": ["to_q"]},
        {"lora_alpha": 1, "alpha_pattern": {f"{i}": 1 for i in range(3000)}},
        {"lora_alpha": 1, "alpha_pattern": {".*" * 300: 1}},
    ],
)  # fmt: skip
def test_adapter_configurations_that_say_no_alpha(
    tmp_path: Path, sites: Sites, config: object
) -> None:
    with pytest.raises(ls.StyleError, match="no usable lora_alpha"):
        read_style(peft(tmp_path / "a.safetensors", sites, config), sites=sites, family="tiny")


def test_patterns_match_as_peft_matches_them(tmp_path: Path, sites: Sites) -> None:
    for pattern, is_meant in {
        "to_q": True, "attn1.to_q": True, f"^{re.escape(SITE)}": True, "o_q": False, "^to_q": False,
        r".*attn\d+\.to_[qk]": True, "to_v|to_q": True, "to_q|": True, "x*to_q": True,
        "attn2.to_q": False, r"down_blocks\.\d+\..*to_k": False, "": False,
    }.items():  # fmt: skip
        assert bool(re.match(rf"(.*\.)?({pattern})$", SITE)) == is_meant
        config = {"lora_alpha": 4, "alpha_pattern": {pattern: 6}}
        path = peft(tmp_path / "a.safetensors", sites, config)
        scale = read_style(path, sites=sites, family="tiny")[0].deltas[SITE].scale
        assert scale == (3 if is_meant else 2), pattern


@given(st.text("ab.*+?|^$\\\\d[]", max_size=8), st.text("ab.1", max_size=8))
def test_what_a_pattern_matches_python_would_match(pattern: str, name: str) -> None:
    try:
        found = Patterns({pattern: 1}).find(name) == 1
    except ValueError:
        return  # not read, which is said
    assert found == bool(re.match(rf"(.*\.)?({pattern})$", name))


def test_matching_takes_no_longer_than_name_times_pattern() -> None:
    patterns = Patterns({f"{'a*' * 120}b": 1})
    start = time.perf_counter()
    for _ in range(20):
        assert patterns.find("a" * 100) is None
    assert time.perf_counter() - start < 60  # Python's own engine would not end


@pytest.mark.parametrize("side", [5000, 20_000])
def test_a_preview_that_unfolds_to_a_large_picture_is_none(side: int) -> None:
    file = io.BytesIO()
    Image.new("L", (side, 40)).save(file, "PNG")
    assert opened(base64.b64encode(file.getvalue()).decode()) is None
    assert opened("x" * 5 * 2**20) is None
