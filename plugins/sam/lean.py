"""Segment Anything's attention without its matrix of 4096 x 4096 weights per head."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any  # segment-anything is untyped

import torch
from torch import Tensor
from torch.nn import functional


@contextmanager
def lean_attention(encoder: Any) -> Iterator[None]:
    """Inside the `with`, the encoder's global attention needs little memory: of ViT-B's forward
    pass 2.5 GB are these matrices."""
    layers = [block.attn for block in encoder.blocks if block.window_size == 0]
    layers = [layer for layer in layers if layer.use_rel_pos]
    for layer in layers:
        layer.forward = partial(attend, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward  # the class's own shows again


def attend(layer: Any, x: Tensor) -> Tensor:
    """segment_anything.modeling.image_encoder.Attention on tokens [rows, h, w, dim].

    The weight of key (i, j) for a query q is q·k + q·R_i + q·S_j with relative positions R and S.
    That is one product, of (q, q·R, q·S) and (k, one-hot i, one-hot j), so fused attention can do
    it, which never holds the weights of all pairs.
    """
    from segment_anything.modeling.image_encoder import get_rel_pos

    rows, height, width, _ = x.shape
    q, k, v = layer.qkv(x).view(rows, height * width, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
    grid = q.unflatten(2, (height, width))
    up = torch.einsum("bnhwc,hkc->bnhwk", grid, get_rel_pos(height, height, layer.rel_pos_h))
    across = torch.einsum("bnhwc,wkc->bnhwk", grid, get_rel_pos(width, width, layer.rel_pos_w))
    places = _places(height, width, x).expand(*k.shape[:2], -1, -1)
    query = torch.cat([q * layer.scale, up.flatten(2, 3), across.flatten(2, 3)], -1)
    # Values are widened to the keys' width: the fused kernels ask for one width.
    wide = functional.pad(v, (0, height + width))
    mixed = functional.scaled_dot_product_attention(
        query, torch.cat([k, places], -1), wide, scale=1.0
    )[..., : v.shape[-1]]
    return layer.proj(mixed.unflatten(2, (height, width)).permute(0, 2, 3, 1, 4).flatten(3))


def _places(height: int, width: int, like: Tensor) -> Tensor:
    """Each token's row and column, one-hot side by side: [height * width, height + width]."""
    rows, columns = torch.eye(height).to(like), torch.eye(width).to(like)
    return torch.cat([rows.repeat_interleave(width, 0), columns.repeat(height, 1)], 1)
