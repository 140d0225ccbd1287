"""Style out of reference pictures, fused in self-attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from locstyle.engine.attend import Read
from locstyle.engine.call import Call, Grid
from locstyle.engine.interventions.regional import Donor
from locstyle.engine.kept import Kept
from locstyle.engine.scene import SceneReference, SceneStyle
from locstyle.engine.sites import Site


@dataclass(frozen=True, eq=False)
class PictureFusion:
    """What queries read that take their style from pictures: FFA of MagicStyle (arXiv:2409.08156),
    whose formula is not public, as docs/methods.md has it.

    With q̂ = γ q_photo + (1 - γ) q and T the temperature (eq. 4.2), either
    concat: softmax([T q̂ k_photoᵀ, T q̂ k_styleᵀ + log β]) [v_photo; v_style] (eq. 4.3), or
    blend: (1 - λ) A(T q̂, k_photo, v_photo) + λ A(T q̂, k_style, v_style) (eq. 4.4).
    A style's strength multiplies β or λ, its references share them, and style keys outside a
    reference's area do not count. `photo` and `rows` are the names of the photo's and of the
    references' rows, which whoever asks has to take from.
    """

    photo: str
    rows: Mapping[SceneReference, str]
    form: Literal["concat", "blend"] = "concat"
    beta: float = 1.0
    lam: float = 1.0
    gamma: float = 0.0
    temperature: float = 1.0
    _kept: Kept = field(default_factory=Kept, init=False, repr=False)

    def __call__(
        self,
        styles: Sequence[SceneStyle],
        site: Site,
        call: Call,
        mine: Read,
        donors: Mapping[str, Donor],
    ) -> list[Read]:
        """The reads for styles that act in this step; without any, A(T q̂, k_photo, v_photo)."""
        photo = donors[self.photo]
        q = self.temperature * (self.gamma * photo.q + (1 - self.gamma) * mine.q)
        plain = mine.taking(q=q, k=photo.k, v=photo.v)
        if not styles:
            return [plain]
        keys = self._keys(styles, call.grid(site), donors)
        if self.form == "concat":
            return [one_softmax(plain, keys, self.beta)]
        share = min(1.0, self.lam * sum(one.strength for one in styles))
        bias = None if keys.alike else keys.weight.log()[None, None, None]
        styled = plain.taking(k=keys.k, v=keys.v)._replace(bias=bias)
        return [_weighed(plain, 1 - share), _weighed(styled, share)]

    def _keys(
        self, styles: Sequence[SceneStyle], grid: Grid, donors: Mapping[str, Donor]
    ) -> StyleKeys:
        """Keys and values of all references of some styles."""
        used = [(one, reference) for one in styles for reference in one.references]
        k, v = (
            torch.cat([getattr(donors[self.rows[reference]], part) for _, reference in used], 2)
            for part in "kv"
        )
        weights = [
            one.strength / len(one.references) * self._area(reference, grid, k)
            for one, reference in used
        ]
        alike = len({one.strength / len(one.references) for one, _ in used}) == 1
        whole = all(reference.area is None for _, reference in used)
        return StyleKeys(k, v, torch.cat(weights), alike and whole)

    def _area(self, reference: SceneReference, grid: Grid, like: Tensor) -> Tensor:
        """How much each of a reference's tokens counts [n]."""
        return self._kept.get(
            (reference, grid),
            like,
            lambda: reference.at(grid.height, grid.width).flatten().to(like),
            grid.tile,
        )


class StyleKeys(NamedTuple):
    """Keys and values [1, heads, keys, dim], how much each counts [keys], and whether alike."""

    k: Tensor
    v: Tensor
    weight: Tensor
    alike: bool


def one_softmax(photo: Read, style: StyleKeys, beta: float) -> Read:
    """One read over the keys of both pictures, a style key weighing β times its own weight."""
    if beta == 0:
        return photo
    rows = photo.taking(k=style.k, v=style.v)
    k, v = torch.cat([photo.k, rows.k], 2), torch.cat([photo.v, rows.v], 2)
    if beta == 1 and style.alike and bool(style.weight[0] == 1):
        return photo._replace(k=k, v=v)  # without a bias the fastest kernels stay possible
    lean = torch.zeros(1, 1, 1, k.shape[2], dtype=k.dtype, device=k.device)
    if photo.bias is not None:
        lean[..., : photo.k.shape[2]] = photo.bias
    lean[..., photo.k.shape[2] :] = math.log(beta) + style.weight.log()
    return photo._replace(k=k, v=v, bias=lean)


def _weighed(read: Read, share: float) -> Read:
    return read._replace(weight=share * read.weight)
