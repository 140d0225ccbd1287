"""Attaching leaves no trace, and attaching nothing changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from locstyle import MIXED, Call, Read, Row, Site, SiteError, Sites
from locstyle.engine.backbones.unet import UNetBackbone

CALL = Call(0.0, 500, (Row("a", 0), Row("b", MIXED)), (8, 8))


@dataclass
class Nothing:
    """Touches every site and changes none."""

    fail: bool = False

    def where(self, sites: Sites) -> Iterable[Site]:
        return sites

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        if self.fail:
            raise KeyboardInterrupt
        return reads

    def feature(self, site: Site, call: Call, layer: object, x: Tensor, y: Tensor) -> Tensor:
        return y


def _inputs() -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 16, 16, generator=draw)


def _fingerprint(backbone: UNetBackbone) -> list[object]:
    hooks = [module for module in backbone.unet.modules() if module._forward_hooks]
    return [*backbone.unet.attn_processors.items(), hooks]


def test_attaching_nothing_is_bit_identical(backbone: UNetBackbone) -> None:
    x, states = _inputs()
    with torch.no_grad():
        plain = backbone.predict(x, 500, states)
        with backbone.attach([Nothing()]) as attachment:
            attachment.call = CALL
            attached = backbone.predict(x, 500, states)
    assert torch.equal(plain, attached)


def test_detaching_restores_every_object(backbone: UNetBackbone) -> None:
    before, digest = _fingerprint(backbone), backbone.weights_digest()
    x, states = _inputs()
    with (
        pytest.raises(KeyboardInterrupt),
        torch.no_grad(),
        backbone.attach([Nothing(fail=True)]) as attachment,
    ):
        attachment.call = CALL
        backbone.predict(x, 500, states)
    assert all(a is b or a == b for a, b in zip(before, _fingerprint(backbone), strict=True))
    assert backbone.weights_digest() == digest


def test_a_site_that_is_not_there_is_named_with_its_neighbour(backbone: UNetBackbone) -> None:
    @dataclass
    class Lost(Nothing):
        def where(self, sites: Sites) -> Iterable[Site]:
            return [Site("mid_block.attentions.0.transformer_blocks.0.attn3", "self", "mid", 0, 8)]

    with pytest.raises(SiteError, match=r"did you mean 'mid_block.*attn[12]'"):
        with backbone.attach([Lost()]):
            pass


def test_an_attention_variant_we_cannot_mirror_is_refused(backbone: UNetBackbone) -> None:
    attention = backbone.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    attention.residual_connection = True
    try:
        with pytest.raises(SiteError, match="residual_connection"):
            with backbone.attach([Nothing()]):
                pass
    finally:
        attention.residual_connection = False
    assert not [m for m in backbone.unet.modules() if m._forward_hooks]


def test_an_intervention_without_the_method_its_site_needs_is_refused(
    backbone: UNetBackbone,
) -> None:
    class Silent:
        def where(self, sites: Sites) -> Iterable[Site]:
            return sites.where(role="self")

    with pytest.raises(SiteError, match="no method 'project' or 'attend'"):
        with backbone.attach([Silent()]):
            pass


def test_sites_follow_the_published_layer_table(backbone: UNetBackbone) -> None:
    selfs = backbone.sites.where(role="self")
    assert {s.name.split(".transformer")[0] for s in selfs} == {
        *(f"down_blocks.{i}.attentions.{j}" for i in range(3) for j in range(2)),
        *(f"up_blocks.{i}.attentions.{j}" for i in (1, 2, 3) for j in range(3)),
        "mid_block.attentions.0",
    }
    decoder = [s for s in backbone.sites.where(role="self", stage="up") if s.depth >= 4]
    assert len(decoder) == 8
    feature = [
        s.name
        for s in backbone.sites.where(role="conv", stage="up")
        if s.depth == 4 and s.part == "conv2"
    ]
    assert feature == ["up_blocks.1.resnets.1.conv2"]
    to_out = backbone.sites["mid_block.attentions.0.transformer_blocks.0.attn1.to_out.0"]
    assert (to_out.part, to_out.side, to_out.scale) == ("to_out", "image", 8)
    assert backbone.sites[to_out.name.replace("attn1.to_out.0", "attn2.to_k")].side == "text"
