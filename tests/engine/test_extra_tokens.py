"""Image tokens beside the text's: what DEADiff's attention promises (arXiv:2403.06951)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from locstyle import (
    MIXED,
    Call,
    ExtraTokens,
    Intervention,
    Mask,
    Ownership,
    Partition,
    Read,
    RegionalText,
    Row,
    SceneRegion,
    SceneStyle,
    Style,
    Tokens,
    Window,
    combine,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, random_tokens

SIZE = (32, 32)
EVERYWHERE = Ownership(Partition.of([Mask.everywhere(SIZE)]))
HALVES = Ownership(
    Partition.of([Mask.box((0, 0, 16, 32), size=SIZE), Mask.box((16, 0, 32, 32), size=SIZE)])
)
LEFT = Ownership(Partition.of([Mask.box((0, 0, 16, 32), size=SIZE)]))
PLUS, MINUS = Row("+", MIXED), Row("-", MIXED)


def region(backbone: UNetBackbone, style: Style | None, strength: float = 1.0) -> SceneRegion:
    text = backbone.text("")
    return SceneRegion(() if style is None else (SceneStyle(style, strength),), text, text)


def predict(
    backbone: UNetBackbone,
    interventions: Sequence[Intervention],
    rows: tuple[Row, ...] = (PLUS,),
    texts: int = 2,
) -> Tensor:
    """Predictions for equal latents in every row, each segment another text."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 8, 8, generator=draw).expand(len(rows), -1, -1, -1)
    states = torch.randn(1, 16 * texts, 16, generator=draw).expand(len(rows), -1, -1)
    with torch.no_grad(), backbone.attach(interventions) as attachment:
        attachment.call = Call(0.0, 500, rows, (8, 8), texts)
        return backbone.predict(x, 500, states)


def beside(backbone: UNetBackbone, *styles: Style | None, strength: float = 1.0) -> ExtraTokens:
    regions = tuple(region(backbone, style, strength) for style in styles)
    ownership = EVERYWHERE if len(styles) == 1 else HALVES
    return ExtraTokens(regions, ownership, to=("+",), absent=("-",))


def test_the_order_of_the_tokens_does_not_matter(backbone: UNetBackbone) -> None:
    style = random_tokens(backbone, 1)
    turned = {name: Tokens(part.k.flip(0), part.v.flip(0)) for name, part in style.tokens.items()}
    kept = predict(backbone, [beside(backbone, style)])
    swapped = predict(backbone, [beside(backbone, replace(style, tokens=turned))])
    assert torch.allclose(kept, swapped, atol=1e-5)


def test_strength_nothing_is_tokens_of_zeros(backbone: UNetBackbone) -> None:
    style = random_tokens(backbone, 1)
    zeros = {
        name: Tokens(torch.zeros_like(part.k), torch.zeros_like(part.v))
        for name, part in style.tokens.items()
    }
    silent = predict(backbone, [beside(backbone, style, strength=0)])
    assert torch.equal(silent, predict(backbone, [beside(backbone, replace(style, tokens=zeros))]))
    assert not torch.allclose(silent, predict(backbone, [RegionalText(EVERYWHERE)]), atol=1e-5)


def test_an_absent_picture_takes_its_share_of_the_softmax(backbone: UNetBackbone) -> None:
    """arXiv:2403.06951, absent images: S / (S + n) of the attention stays with the text."""
    site = backbone.sites.where(role="cross")[0]
    style = random_tokens(backbone, 1)
    extra = beside(backbone, style, strength=0)
    q, k = torch.randn(1, 2, 64, 4), torch.randn(1, 2, 10, 4)
    call = Call(0.0, 500, (PLUS,), (8, 8))
    (read,) = extra.attend(site, call, [Read(q, k, torch.ones(1, 2, 10, 4))])
    mass = torch.exp(q @ k.transpose(-1, -2) / 2).sum(-1, keepdim=True)
    count = style.tokens[site.name].k.shape[0]
    assert torch.allclose(combine([read]), (mass / (mass + count)).expand(-1, -1, -1, 4))


def test_without_tokens_it_is_regional_text(backbone: UNetBackbone) -> None:
    """Regions that carry something else, or nothing, read as they would without it."""
    plain = beside(backbone, None, random_style(backbone, 1))
    there = predict(backbone, [plain], texts=3)
    assert torch.allclose(there, predict(backbone, [RegionalText(HALVES)], texts=3), atol=1e-5)


def test_one_text_without_tokens_is_the_network_itself(backbone: UNetBackbone) -> None:
    there = predict(backbone, [beside(backbone, None)], texts=1)
    assert torch.allclose(there, predict(backbone, [], texts=1), atol=1e-5)


def test_tokens_made_of_the_text_are_more_text(backbone: UNetBackbone) -> None:
    """With the backbone's own projections of 4 text tokens, attention over 16 + 4 of them."""
    draw = torch.Generator().manual_seed(0)
    torch.randn(1, 4, 8, 8, generator=draw)  # what `predict` draws first
    states = torch.randn(1, 16, 16, generator=draw)
    tokens = {}
    for site in backbone.sites.where(role="cross"):
        attention = backbone.unet.get_submodule(site.name)
        tokens[site.name] = Tokens(attention.to_k(states[0, :4]), attention.to_v(states[0, :4]))
    style = Style("text", backbone.family, tokens=tokens)
    there = predict(backbone, [beside(backbone, style)], texts=1)
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 8, 8, generator=draw)
    with torch.no_grad():
        more = backbone.predict(x, 500, torch.cat([states, states[:, :4]], 1))
    assert torch.allclose(there, more, atol=1e-5)


@pytest.mark.parametrize("second", [None, 2])
def test_one_softmax_equals_one_per_region(backbone: UNetBackbone, second: int | None) -> None:
    """docs/methods.md eq. 2.3, where every token has one owner: a biased softmax over all."""
    other = None if second is None else random_tokens(backbone, second)
    apart = beside(backbone, random_tokens(backbone, 1), other)
    apart = replace(apart, outside=16)
    at_once = replace(apart, form="bias")
    rows = (PLUS, MINUS)
    assert torch.allclose(
        predict(backbone, [apart], rows, 3), predict(backbone, [at_once], rows, 3), atol=1e-5
    )


def test_one_softmax_is_taken_where_tokens_have_one_owner(backbone: UNetBackbone) -> None:
    extra = beside(backbone, random_tokens(backbone, 1), random_tokens(backbone, 2))
    extra, call = replace(extra, form="bias"), Call(0.0, 500, (PLUS,), (8, 8), 3)
    reads = []
    for site in backbone.sites.where(role="cross"):
        side = 8 // site.scale
        size = backbone.sites[f"{site.name}.to_k"].shape[0] // 2
        text = torch.randn(1, 2, 48, size)
        given = [Read(torch.randn(1, 2, side * side, size), text, text)]
        reads.append((side, len(extra.attend(site, call, given))))
    assert set(reads) == {(8, 1), (4, 1), (2, 1), (1, 2)}  # the middle's one token is shared


def test_equal_regions_are_one(backbone: UNetBackbone) -> None:
    style = random_tokens(backbone, 1)
    two = predict(backbone, [beside(backbone, style, style)], texts=1)
    one = predict(backbone, [beside(backbone, style)], texts=1)
    assert torch.allclose(two, one, atol=1e-5)


def test_a_region_reads_its_own_tokens_only(backbone: UNetBackbone) -> None:
    """In one layer, with the queries given: what the other region reads cannot be seen."""
    site = backbone.sites.where(role="cross")[0]
    q, k = torch.randn(1, 2, 64, 4), torch.randn(1, 2, 10, 4)
    read, call = Read(q, k, k), Call(0.0, 500, (PLUS,), (8, 8))
    first, second, third = (random_tokens(backbone, seed) for seed in (1, 2, 3))
    found = [
        combine(beside(backbone, first, right).attend(site, call, [read]), 64).unflatten(2, (8, 8))
        for right in (second, third)
    ]
    assert torch.equal(found[0][..., :4, :], found[1][..., :4, :])
    assert not torch.allclose(found[0][..., 4:, :], found[1][..., 4:, :])


def test_the_absent_row_knows_no_picture(backbone: UNetBackbone) -> None:
    rows = (MINUS, PLUS)
    first, second = (
        predict(backbone, [beside(backbone, random_tokens(backbone, seed))], rows)
        for seed in (1, 2)
    )
    assert torch.equal(first[0], second[0]) and not torch.allclose(first[1], second[1])


def test_other_rows_are_left_alone(backbone: UNetBackbone) -> None:
    extra = beside(backbone, random_tokens(backbone, 1))
    rows = (Row("source", 0), PLUS)
    there = predict(backbone, [extra], rows, 1)
    assert torch.allclose(there[:1], predict(backbone, [], (Row("source", 0),), 1), atol=1e-5)


def test_sites_left_out_read_zeros(backbone: UNetBackbone) -> None:
    every = [site.name for site in backbone.sites.where(role="cross")]
    loud = beside(backbone, random_tokens(backbone, 1))
    silent = beside(backbone, random_tokens(backbone, 1), strength=0)
    assert torch.equal(
        predict(backbone, [replace(loud, without=every)]), predict(backbone, [silent])
    )


def test_a_region_outside_its_window_reads_zeros(backbone: UNetBackbone) -> None:
    style = random_tokens(backbone, 1)
    late = replace(region(backbone, style), styles=(SceneStyle(style, window=Window(0.5, 1.0)),))
    waiting = ExtraTokens((late,), EVERYWHERE, to=("+",))
    silent = beside(backbone, style, strength=0)
    assert torch.equal(predict(backbone, [waiting]), predict(backbone, [silent]))
