"""What DEADiff adds to a diffusion model: two Q-Formers and a second way into its attention.

arXiv:2403.06951 §3; sizes, order and constants as in `bytedance/DEADiff`, its release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

import locstyle as ls

Part = Literal["style", "content"]
SEMANTIC = range(4, 9)  # the numbers of `ls.content_sites` among `ls.cross_sites`
EPS = 1e-12  # of BERT's norms


@dataclass(frozen=True)
class QFormerSizes:
    """Widths of the Q-Formers; the defaults are the published ones."""

    vision: int = 1024  # of a vision tower's tokens
    width: int = 768  # of the queries, of the backbone's text states
    layers: int = 12
    heads: int = 12
    inner: int = 3072
    queries: int = 16
    words: int = 30523  # bert-base-uncased and [DEC]
    positions: int = 512
    # The instruction between [CLS] and [SEP] as token numbers; these are bert-base-uncased's.
    told_style: tuple[int, ...] = (101, 2806, 102)
    told_content: tuple[int, ...] = (101, 4180, 102)


class Projection(nn.Module):
    """y = x + dropout(W2 quickgelu(W1 norm(x))), the last step of a Q-Former's tokens."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.dense1, self.dense2 = nn.Linear(width, inner), nn.Linear(inner, width)
        self.LayerNorm = nn.LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(0.1)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dense1(self.LayerNorm(x))
        turned: Tensor = self.dense2(inner * torch.sigmoid(1.702 * inner))
        return x + self.dropout(turned)


class ImageTokens(nn.Module):
    """What a picture is like in one respect: a vision tower's tokens read by a few queries.

    The Q-Former sees queries and the instruction word together (full mutual self-attention); only
    the queries look at the picture, in every layer.
    """

    def __init__(self, sizes: QFormerSizes, part: Part) -> None:
        super().__init__()
        from transformers import InstructBlipQFormerConfig, InstructBlipQFormerModel

        config = InstructBlipQFormerConfig(
            vocab_size=sizes.words,
            max_position_embeddings=sizes.positions,
            hidden_size=sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            intermediate_size=sizes.inner,
            encoder_hidden_size=sizes.vision,
            cross_attention_frequency=1,
            layer_norm_eps=EPS,
        )
        self.ln_vision = nn.LayerNorm(sizes.vision, eps=1e-5)
        self.query_tokens = nn.Parameter(0.02 * torch.randn(1, sizes.queries, sizes.width))
        self.qformer: Any = InstructBlipQFormerModel(config)
        self.proj = Projection(sizes.width, sizes.inner)
        told = torch.tensor([sizes.told_style if part == "style" else sizes.told_content])
        self.register_buffer("instruction", told, persistent=False)

    def forward(self, seen: Tensor) -> Tensor:
        """Tokens [B, queries, width] of a vision tower's tokens [B, n, vision]."""
        rows, queries = len(seen), self.query_tokens.shape[1]
        out = self.qformer(
            input_ids=self.instruction.expand(rows, -1),
            query_embeds=self.query_tokens.expand(rows, -1, -1),
            encoder_hidden_states=self.ln_vision(seen),
        ).last_hidden_state[:, :queries]
        projected: Tensor = self.proj(out)
        return projected


class Way(nn.Module):
    """Keys and values of image tokens for one cross-attention (`i_to_k`, `i_to_v`), bias-free."""

    def __init__(self, inner: int, width: int) -> None:
        super().__init__()
        self.i_to_k = nn.Linear(width, inner, bias=False)
        self.i_to_v = nn.Linear(width, inner, bias=False)


class ImageAdapter(nn.Module):
    """All that is learned: an encoder for style, one for content, a way into every attention.

    `inner` are the widths of the backbone's cross-attentions in the order of `ls.cross_sites`.
    """

    def __init__(self, sizes: QFormerSizes, inner: tuple[int, ...]) -> None:
        super().__init__()
        self.sizes, self.inner = sizes, inner
        self.style = ImageTokens(sizes, "style")
        self.content = ImageTokens(sizes, "content")
        self.ways = nn.ModuleList(Way(width, sizes.width) for width in inner)

    def keys(self, style: Tensor, content: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Keys and values [B, queries, inner] that every layer reads beside the text's.

        Of tokens [B, queries, width], either of them zeros where that image is absent.
        """
        parts = (content if index in SEMANTIC else style for index in range(len(self.ways)))
        return [
            (way.i_to_k(part), way.i_to_v(part)) for way, part in zip(self.ways, parts, strict=True)
        ]

    @torch.no_grad()
    def start_from(self, backbone: Any) -> None:
        """Begin with the backbone's own text projections, as DEADiff does."""
        for way, site in zip(self.ways, ls.cross_sites(backbone.sites), strict=True):
            attention = backbone.unet.get_submodule(site.name)
            way.i_to_k.weight.copy_(attention.to_k.weight)
            way.i_to_v.weight.copy_(attention.to_v.weight)


def inner_widths(backbone: Any) -> tuple[int, ...]:
    """The widths of a backbone's cross-attentions, in the order of `ls.cross_sites`."""
    modules = (backbone.unet.get_submodule(site.name) for site in ls.cross_sites(backbone.sites))
    return tuple(module.to_k.out_features for module in modules)
