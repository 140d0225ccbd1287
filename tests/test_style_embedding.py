"""Embeddings of other tools: the forms they come in, and those that are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.style import read_style
from locstyle.testing import CONTEXT, tiny_xl


def table(rows: int = 2, width: int = CONTEXT) -> Tensor:
    return torch.randn(rows, width, generator=torch.Generator().manual_seed(0))


def saved(path: Path, **tensors: Tensor) -> Path:
    save_file(tensors, path)
    return path


@pytest.mark.parametrize(
    ("key", "vectors", "placeholder"),
    [
        ("emb_params", table(), "<inky>"),  # A1111, kohya
        ("<cat-toy>", table(1)[0], "<cat-toy>"),  # diffusers, one vector
        ("midjourney style", table(3), "<midjourney-style>"),
        ("v1.5", table(), "<v1.5>"),
    ],
)
def test_an_embedding_is_a_style_of_words(
    tmp_path: Path, backbone: UNetBackbone, key: str, vectors: Tensor, placeholder: str
) -> None:
    path = saved(tmp_path / "inky.safetensors", **{key: vectors})
    style, coverage = read_style(path, sites=backbone.sites, family=backbone.family)
    assert style.kinds == {"words"} and style.trigger == placeholder
    assert torch.equal(style.words[placeholder], vectors.reshape(-1, CONTEXT))
    assert coverage.is_complete and coverage.applied == (key,)
    assert backbone.text(style.trigger, style.words).spans[placeholder][0] == 1


def test_an_embedding_needs_no_backbone_to_be_read(tmp_path: Path) -> None:
    path = saved(tmp_path / "inky.safetensors", emb_params=table(width=768))
    assert ls.read_style(path)[0].family == "sd1"


def test_an_embedding_of_another_family_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "inky.safetensors", emb_params=table(width=1024))
    with pytest.raises(ls.StyleError, match="made for family 'sd2', this backbone is 'sd1'"):
        read_style(path, sites=None, family="sd1")


def test_words_for_two_encoders_lie_side_by_side(tmp_path: Path) -> None:
    first, second = table(width=768), table(width=1280)
    path = saved(tmp_path / "xl.safetensors", clip_g=second, clip_l=first)
    style, coverage = read_style(path, sites=None, family="sdxl")
    assert style.family == "sdxl" and set(coverage.applied) == {"clip_l", "clip_g"}
    assert torch.equal(style.words["<xl>"], torch.cat([first, second], 1))
    with pytest.raises(ls.StyleError, match="made for family 'sdxl', this backbone is 'sd1'"):
        read_style(path, sites=None, family="sd1")


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({"clip_l": (2, 768)}, "are two tables, clip_l and clip_g; it has 'clip_l'"),
        ({"clip_l": (2, 768), "clip_g": (3, 1280)}, "2 vectors and clip_g 3"),
    ],
)
def test_half_a_pair_of_words_is_refused(
    tmp_path: Path, tables: dict[str, tuple[int, ...]], words: str
) -> None:
    path = saved(tmp_path / "xl.safetensors", **{k: torch.ones(v) for k, v in tables.items()})
    with pytest.raises(ls.StyleError, match=words):
        read_style(path, sites=None, family="sdxl")


def test_a_table_of_whole_numbers_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "ids.safetensors", emb_params=torch.ones(2, 16, dtype=torch.int64))
    with pytest.raises(ls.StyleError, match=r"torch\.int64.*table of floats"):
        read_style(path, sites=None, family=None)


@pytest.mark.parametrize("suffix", [".pt", ".bin"])
def test_pickled_embeddings_are_refused_unread(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"inky{suffix}"
    path.write_bytes(b"never read")
    with pytest.raises(ls.StyleError, match="can run code hidden"):
        ls.read_style(path)


def test_several_words_are_one_style(tmp_path: Path, backbone: UNetBackbone) -> None:
    path = saved(tmp_path / "two.safetensors", **{"<a>": table(1)[0], "<b.2>": table(2)})
    style, coverage = read_style(path, backbone=backbone)
    assert {name: len(v) for name, v in style.words.items()} == {"<a>": 1, "<b.2>": 2}
    assert set(style.trigger.split()) == {"<a>", "<b.2>"} and coverage.is_complete


def test_one_vector_for_each_of_two_encoders_is_a_word(tmp_path: Path) -> None:
    path = saved(tmp_path / "xl.safetensors", clip_l=torch.ones(768), clip_g=torch.ones(1280))
    assert read_style(path)[0].words["<xl>"].shape == (1, 2048)


def test_words_for_other_networks_are_refused(tmp_path: Path) -> None:
    tables = {"clip_l": table(width=768), "t5xxl": table(width=4096)}
    with pytest.raises(ls.StyleError, match="Stable Diffusion 3 or FLUX"):
        read_style(saved(tmp_path / "t5.safetensors", **tables))


def test_words_bundled_with_a_lora_are_read_with_it(tmp_path: Path) -> None:
    xl, stem = tiny_xl(), "bundle_emb.<ink>"
    first, second = (clip.width for clip in xl._clips)
    site = next(site for site in xl.sites if site.name.endswith("attn1.to_q"))
    layer = f"lora_unet_{site.name.replace('.', '_')}"
    pair = {f"{stem}.clip_l": table(2, first), f"{stem}.clip_g": table(2, second)}
    lora = {"lora_down": torch.ones(1, site.shape[1]), "lora_up": torch.ones(site.shape[0], 1)}
    tensors = pair | {f"{layer}.{part}.weight": tensor for part, tensor in lora.items()}
    path = saved(tmp_path / "bundle.safetensors", **tensors)
    style, coverage = read_style(path, backbone=xl)
    assert style.kinds == {"words", "deltas"} and coverage.is_complete
    assert style.trigger == "<ink>" and style.words["<ink>"].shape == (2, first + second)
