"""One softmax over text and image tokens (arXiv:2403.06951 eq. 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

import locstyle as ls


@dataclass(frozen=True, eq=False)
class Beside:
    """Image keys and values beside the text's, each row its own: [rows, n, inner] by site name.

    For learning; an edit's regions go through `locstyle.ExtraTokens`.
    """

    tokens: Mapping[str, tuple[Tensor, Tensor]]

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        return [sites[name] for name in self.tokens]

    def attend(self, site: ls.Site, call: ls.Call, reads: list[ls.Read]) -> list[ls.Read]:
        return [
            read._replace(
                k=torch.cat([read.k, _heads(key, read.k)], 2),
                v=torch.cat([read.v, _heads(value, read.v)], 2),
            )
            for read in reads
            for key, value in [self.tokens[site.name]]
        ]

    @contextmanager
    def attached(self, backbone: Any, x: Tensor) -> Iterator[None]:
        """On `backbone` for one forward pass of latents `x`."""
        rows = tuple(ls.Row(str(index), 0) for index in range(len(x)))
        with backbone.attach([self]) as attachment:
            attachment.call = ls.Call(0.0, 0, rows, (x.shape[-2], x.shape[-1]))
            yield


def _heads(tokens: Tensor, like: Tensor) -> Tensor:
    """[rows, n, inner] as [rows, heads, n, dim]."""
    return tokens.unflatten(-1, (like.shape[1], -1)).transpose(1, 2).to(like)
