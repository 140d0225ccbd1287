"""The algebra of the standard interventions, against PEFT, against materialised attention, and each
other."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor

from locstyle import (
    MIXED,
    Call,
    Delta,
    Deltas,
    Intervention,
    Mask,
    Ownership,
    Partition,
    Read,
    RegionalText,
    Row,
    SceneRegion,
    SceneStyle,
    Share,
    ShareFeature,
    Style,
    Window,
    combine,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.interventions.stacks import PixelBox, Stack
from locstyle.testing import ATTENTION, random_style, strips

EVERYWHERE = Ownership(Partition.of([Mask.everywhere((32, 32))]))
HALVES = Ownership(
    Partition.of(
        [Mask.box((0, 0, 16, 32), size=(32, 32)), Mask.box((16, 0, 32, 32), size=(32, 32))]
    )
)
ALL_PARTS = (*ATTENTION, "conv1", "conv2", "conv", "proj_in", "proj_out", "proj", "ff.net.2", "2")


def region(backbone: UNetBackbone, style: Style | None, strength: float = 1.0) -> SceneRegion:
    text = backbone.text("")
    return SceneRegion(() if style is None else (SceneStyle(style, strength),), text, text)


def predict(
    backbone: UNetBackbone,
    interventions: list[Intervention],
    rows: tuple[Row, ...],
    *,
    texts: int = 1,
    step: int = 0,
    t: int = 500,
) -> Tensor:
    """Predictions for equal latents and texts in every row, so that rows differ by intervention
    only."""
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 8, 8, generator=draw).expand(len(rows), -1, -1, -1)
    states = torch.randn(1, 16, 16, generator=draw).repeat(len(rows), texts, 1)
    with torch.no_grad(), backbone.attach(interventions) as attachment:
        attachment.call = Call(step / 4, t, rows, (8, 8), texts)
        return backbone.predict(x, t, states)


def test_full_ownership_equals_peft(backbone: UNetBackbone) -> None:
    unet = copy.deepcopy(backbone.unet)
    config = LoraConfig(
        r=4,
        lora_alpha=8,
        init_lora_weights=False,
        target_modules=[
            "to_q",
            "to_k",
            "to_v",
            "to_out.0",
            "conv1",
            "conv2",
            "proj_in",
            "ff.net.2",
        ],
    )
    inject_adapter_in_model(config, unet, "a")
    deltas = {
        name: Delta(
            module.lora_A["a"].weight.detach(),
            module.lora_B["a"].weight.detach(),
            module.scaling["a"],
        )
        for name, module in unet.named_modules()
        if hasattr(module, "lora_A") and "a" in module.lora_A
    }
    style = Style("a", "tiny", deltas, {})
    acting = Deltas([region(backbone, style)], EVERYWHERE)
    for owner in (1, MIXED):
        ours = predict(backbone, [acting], (Row("x", owner),))
        draw = torch.Generator().manual_seed(0)
        x = torch.randn(1, 4, 8, 8, generator=draw)
        states = torch.randn(1, 16, 16, generator=draw)
        with torch.no_grad():
            if owner == MIXED:  # each owner has a text: region 1's own is the second one
                two = Deltas([region(backbone, style)], EVERYWHERE)
                ours = predict(
                    backbone, [two, RegionalText(EVERYWHERE)], (Row("x", MIXED),), texts=2
                )
            theirs = unet(x, 500, states).sample
            plain = backbone.predict(x, 500, states)
        assert (theirs - plain).abs().max() > 0.01
        assert torch.allclose(ours, theirs, atol=1e-5)


def test_a_rows_style_does_not_reach_other_rows(backbone: UNetBackbone) -> None:
    acting = Deltas(
        [region(backbone, random_style(backbone, s, parts=ALL_PARTS)) for s in (1, 2)], HALVES
    )
    base, first, second = predict(backbone, [acting], (Row("0", 0), Row("1", 1), Row("2", 2)))
    plain = predict(backbone, [], (Row("0", 0),) * 3)
    assert torch.equal(base, plain[0])
    assert (first - base).abs().max() > 0.01
    assert (first - second).abs().max() > 0.01


def test_the_same_style_in_all_regions_is_that_style_everywhere(backbone: UNetBackbone) -> None:
    style = random_style(backbone, 1, parts=ALL_PARTS)
    halves = Deltas([region(backbone, style)] * 2, HALVES)
    mixed = predict(backbone, [halves, RegionalText(HALVES)], (Row("x", MIXED),), texts=3)
    everywhere = Deltas([region(backbone, style)], EVERYWHERE)
    single = predict(backbone, [everywhere], (Row("x", 1),))
    assert torch.allclose(mixed, single, atol=1e-4)


def test_region_order_does_not_matter(backbone: UNetBackbone) -> None:
    one, two = (region(backbone, random_style(backbone, s, parts=ALL_PARTS)) for s in (1, 2))
    left, right = strips(2)
    results = []
    for regions, masks in (([one, two], [left, right]), ([two, one], [right, left])):
        owners = Ownership(Partition.of(masks))
        acting = [Deltas(regions, owners), RegionalText(owners)]
        results.append(predict(backbone, acting, (Row("x", MIXED),), texts=3))
    assert torch.allclose(*results, atol=1e-5)


def test_strength_scales_and_zero_is_unstyled(backbone: UNetBackbone) -> None:
    style = random_style(backbone, 1)
    off = predict(backbone, [Deltas([region(backbone, style, 0.0)], EVERYWHERE)], (Row("x", 1),))
    assert torch.equal(off, predict(backbone, [], (Row("x", 1),)))
    deltas = {name: Delta(d.down, d.up, d.scale * 0.5) for name, d in style.deltas.items()}
    half = Style("half", "tiny", deltas, {})
    strengths = [
        predict(backbone, [Deltas([region(backbone, s, w)], EVERYWHERE)], (Row("x", 1),))
        for s, w in ((style, 0.5), (half, 1.0))
    ]
    assert torch.allclose(*strengths, atol=1e-6)


def test_a_style_acts_inside_its_window_only(backbone: UNetBackbone) -> None:
    text = backbone.text("")
    early = SceneRegion((SceneStyle(random_style(backbone, 1), 1.0, Window(0, 0.5)),), text, text)
    acting = [Deltas([early], EVERYWHERE)]
    plain = predict(backbone, [], (Row("x", 1),))
    assert not torch.equal(predict(backbone, acting, (Row("x", 1),), step=1), plain)
    assert torch.equal(predict(backbone, acting, (Row("x", 1),), step=2), plain)


def test_sites_left_out_stay_unstyled(backbone: UNetBackbone) -> None:
    style = random_style(backbone, 1)
    acting = Deltas([region(backbone, style)], EVERYWHERE, without=set(style.deltas))
    assert torch.equal(
        predict(backbone, [acting], (Row("x", 1),)), predict(backbone, [], (Row("x", 1),))
    )


def test_equal_texts_give_plain_cross_attention(backbone: UNetBackbone) -> None:
    rows = (Row("-", 0), Row("x", MIXED))
    split = predict(backbone, [RegionalText(HALVES)], rows, texts=3)
    assert torch.allclose(split, predict(backbone, [], rows), atol=1e-5)


def test_sharing_q_and_k_is_sharing_the_attention_map() -> None:
    q, k, v = torch.randn(3, 2, 2, 9, 8, generator=torch.Generator().manual_seed(0))
    shared = combine([Read(q[:1], k[:1], v[1:])])
    probabilities = torch.softmax(q[:1] @ k[:1].transpose(-1, -2) / 8**0.5, -1)
    assert torch.allclose(shared, probabilities @ v[1:], atol=1e-5)


def test_a_refined_cross_map_is_two_reads() -> None:
    draw = torch.Generator().manual_seed(1)
    q, k, v, q2, k2 = torch.randn(5, 1, 2, 9, 8, generator=draw)
    mapper = torch.tensor([0, 1, 3, 2, 4, 5, 5, 7, 8])
    alpha = torch.rand(9, generator=draw)

    def probabilities(q: Tensor, k: Tensor) -> Tensor:
        return torch.softmax(q @ k.transpose(-1, -2) / 8**0.5, -1)

    wanted = (probabilities(q, k)[..., mapper] * alpha + probabilities(q2, k2) * (1 - alpha)) @ v
    scattered = torch.zeros_like(v).index_add(2, mapper, alpha[:, None] * v)
    ours = combine([Read(q, k, scattered), Read(q2, k2, (1 - alpha)[:, None] * v)])
    assert torch.allclose(ours, wanted, atol=1e-6)


def test_sharing_changes_only_the_rows_it_names(backbone: UNetBackbone) -> None:
    rows = (Row("source", 0), Row("-", 1), Row("+", 1))
    styled = Deltas([region(backbone, random_style(backbone, 1))], EVERYWHERE)
    attentions = tuple(backbone.sites.where(role="self", stage="up"))
    convs = tuple(s for s in backbone.sites.where(role="conv", stage="up") if s.part == "conv2")
    plain = predict(backbone, [styled], rows)
    for share in (Share("source", ("+",), attentions), ShareFeature("source", ("+",), convs)):
        shared = predict(backbone, [styled, share], rows)
        assert torch.allclose(shared[:2], plain[:2], atol=1e-6)
        assert (shared[2] - plain[2]).abs().max() > 1e-3


def test_sharing_a_part_at_rate_zero_or_outside_its_window_is_nothing(
    backbone: UNetBackbone,
) -> None:
    rows = (Row("source", 0), Row("+", 1))
    styled = Deltas([region(backbone, random_style(backbone, 1))], EVERYWHERE)
    attentions = tuple(backbone.sites.where(role="self", stage="up"))
    plain = predict(backbone, [styled], rows)
    never = Share("source", ("+",), attentions, window=Window(0.5, 1))
    nothing = Share("source", ("+",), attentions, rate=lambda t: 0.0)
    for share in (never, nothing):
        assert torch.equal(predict(backbone, [styled, share], rows), plain)


@pytest.mark.parametrize("soft", [False, True])
def test_at_owned_tokens_deltas_are_what_they_are_at_all(
    backbone: UNetBackbone, monkeypatch: pytest.MonkeyPatch, soft: bool
) -> None:
    """Convolutions, strided ones too, projections of image and text tokens, feed-forward."""
    masks = [Mask.box((0, 0, 9, 20), size=(32, 32)), Mask.box((14, 8, 31, 32), size=(32, 32))]
    owners = Ownership(Partition.of([mask.feather(3) if soft else mask for mask in masks]))
    styles = [random_style(backbone, s, parts=ALL_PARTS) for s in (1, 2)]
    found = []
    for each in (-(10**12), 10**12):  # always apart, always together
        monkeypatch.setattr("locstyle.engine.interventions.deltas.EACH", each)
        acting = Deltas([region(backbone, style) for style in styles], owners)
        rows = (Row("source", 0), Row("x", MIXED), Row("-", 2))
        found.append(predict(backbone, [acting, RegionalText(owners)], rows, texts=3))
    assert torch.allclose(*found, atol=1e-4)
    assert not torch.equal(*found)


@pytest.mark.parametrize(("side", "stride", "kernel"), [(8, 1, 3), (8, 2, 3), (8, 1, 1), (9, 2, 3)])
@pytest.mark.parametrize("box", [(0, 0, 4, 4), (1, 2, 3, 4), (0, 1, 1, 4)])
def test_a_box_of_a_convolution_is_that_part_of_it(
    box: tuple[int, int, int, int], side: int, stride: int, kernel: int
) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 5, side, side, generator=draw)
    delta = Delta(
        torch.randn(3, 5, kernel, kernel, generator=draw), torch.randn(7, 3, 1, 1, generator=draw)
    )
    stack = Stack.of([(delta, 0.5)], x)
    y = torch.zeros(2, 7, side // stride, side // stride)
    top, left, bottom, right = box
    area = torch.zeros(y.shape[-2:])
    area[top:bottom, left:right] = 1
    place = PixelBox.of(area)
    assert place is not None and place[:4] == box
    place.add(y, stack, x, slice(1, 2))
    wanted = stack.expand(stack.shrink(x, stride))[..., : y.shape[-2], : y.shape[-1]]
    assert torch.allclose(y[1], wanted[1] * area, atol=1e-5)
    assert not y[0].any()
