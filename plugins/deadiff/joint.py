"""Tokens beside the text while they are being learned (arXiv:2403.06951; docs/methods.md eq. 2.1).

What a training sees is what an edit does: `locstyle.ExtraTokens`, with a region for every row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor


@contextmanager
def beside(
    backbone: ls.Backbone, x: Tensor, ways: Sequence[tuple[Tensor, Tensor]]
) -> Iterator[None]:
    """For one forward pass of latents `x`, each row reads tokens of its own beside its text.

    `ways`: keys and values [rows, n, inner] of every cross-attention, in the order of
    `ls.cross_sites`. Gradients reach them.
    """
    names = [site.name for site in ls.cross_sites(backbone.sites)]
    rows = tuple(ls.Row(str(number), number + 1) for number in range(len(x)))
    silent = ls.Text("", x.new_zeros(1, 0, 0))
    regions = []
    for number in range(len(x)):
        own = [ls.Tokens(k[number], v[number]) for k, v in ways]
        style = ls.Style("tokens", backbone.family, tokens=dict(zip(names, own, strict=True)))
        regions.append(ls.SceneRegion((ls.SceneStyle(style),), silent, silent))
    nowhere = ls.Ownership(ls.Partition.of([ls.Mask.everywhere((8, 8))]))  # no row is mixed
    extra = ls.ExtraTokens(regions, nowhere, to=[row.name for row in rows])
    with backbone.attach([extra]) as attachment:
        attachment.call = ls.Call(0.0, 0, rows, (x.shape[-2], x.shape[-1]))
        yield
