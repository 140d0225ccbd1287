"""The attention processor that turns a diffusers UNet layer into reads."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from locstyle.engine.attend import Read, combine
from locstyle.engine.intervene import AtSite, Processor
from locstyle.engine.sites import Site
from locstyle.errors import SiteError

_UNSUPPORTED = ("group_norm", "spatial_norm", "norm_q", "norm_k", "norm_cross", "add_k_proj")


def processor(unet: nn.Module) -> Processor:
    """Makes processors for the attention sites of `unet`, refusing variants they cannot mirror."""
    modules = dict(unet.named_modules())

    def make(at: AtSite) -> UNetProcessor:
        _check(at.site, modules[at.site.name])
        return UNetProcessor(at)

    return make


class UNetProcessor:
    """Computes q, k, v as diffusers' own processor does, and lets interventions rewrite the
    reads."""

    def __init__(self, at: AtSite) -> None:
        self._at = at

    def __call__(
        self,
        attn: Any,  # diffusers' Attention, untyped
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        temb: Tensor | None = None,
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (
            projected.unflatten(-1, (attn.heads, -1)).transpose(1, 2)
            for projected in (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        )
        reads = self._at.reads(Read(q, k, v, bias=attention_mask))
        out = combine(reads, q.shape[2]).transpose(1, 2).flatten(2)
        projected_out: Tensor = attn.to_out[1](attn.to_out[0](out))
        return projected_out / attn.rescale_output_factor


def _check(site: Site, attn: Any) -> None:
    extra = [name for name in _UNSUPPORTED if getattr(attn, name, None) not in (None, False)]
    if attn.residual_connection:
        extra.append("residual_connection")
    if extra:
        raise SiteError(
            f"{site.name}: an attention layer with {', '.join(extra)} cannot be intervened on; "
            "only plain self- and cross-attention as in Stable Diffusion 1.x, 2.x and XL can"
        )
