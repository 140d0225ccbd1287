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
from locstyle.testing import CONTEXT


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


def test_words_for_two_encoders_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "xl.safetensors", clip_l=table(), clip_g=table(2, 1280))
    with pytest.raises(ls.StyleError, match="two text encoders of SDXL"):
        read_style(path, sites=None, family=None)


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
