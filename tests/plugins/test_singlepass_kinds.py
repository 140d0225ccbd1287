"""Every kind of style in one pass: alone as its own method has it, and beside the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from locstyle_plugins.deadiff.fusion import DEADiff
from locstyle_plugins.magicstyle import MagicStyle
from locstyle_plugins.singlepass import Layout, SinglePass
from PIL import Image
from torch import Tensor

from locstyle import (
    MIXED,
    Call,
    Fusion,
    Mask,
    Read,
    RecipeError,
    RegionalReads,
    Row,
    Scene,
    SceneRegion,
    SceneStyle,
    Style,
    Window,
    combine,
    denoise,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, random_tokens, random_words, strips, tiny_scene

SIZE = (32, 32)
EVERYWHERE = [Mask.everywhere(SIZE)]
HALVES = [Mask.box((0, 0, 16, 32), size=SIZE), Mask.box((16, 0, 32, 32), size=SIZE)]
KINDS = ("deltas", "words", "tokens", "reference")


def of_kind(backbone: UNetBackbone, kind: str, seed: int = 0) -> Style:
    if kind == "deltas":
        return random_style(backbone, seed)
    if kind == "tokens":
        return random_tokens(backbone, seed)
    if kind == "words":
        return random_words(backbone, seed)
    draw = torch.Generator().manual_seed(seed)
    pixels = (torch.rand(32, 32, 3, generator=draw) * 255).byte().numpy()
    return Style.from_pictures(f"picture-{seed}", [Image.fromarray(pixels)])


def run(scene: Scene, fusion: Fusion | None = None, *, max_rows: int | None = None) -> Tensor:
    return rows_and_latent(scene, fusion or SinglePass(), max_rows=max_rows)[1]


def rows_and_latent(
    scene: Scene, fusion: Fusion, *, max_rows: int | None = None
) -> tuple[int, Tensor]:
    plan = fusion.plan(scene)
    start = scene.start(0) if plan.start is None else plan.start
    with torch.no_grad():
        done = denoise(scene.backbone, plan, scene.schedule, start, max_rows=max_rows)
    return done.rows, done.latent


def edited(scene: Scene, number: int, **changes: object) -> Scene:
    """The scene with something else about one region."""
    regions = [*scene.regions]
    regions[number] = replace(regions[number], **changes)  # type: ignore[arg-type]  # its fields
    return replace(scene, regions=tuple(regions))


def with_styles(scene: Scene, number: int, **changes: object) -> Scene:
    """The scene with something else about all styles of one region."""
    styles = tuple(replace(one, **changes) for one in scene.regions[number].styles)  # type: ignore[arg-type]
    return edited(scene, number, styles=styles)


def quiet(scene: Scene) -> Scene:
    """Without prompts, as pictures have none of their own."""
    regions = tuple(replace(r, text=scene.empty, negative=scene.empty) for r in scene.regions)
    return replace(scene, regions=regions, text=scene.empty, negative=scene.empty)


def mixed(backbone: UNetBackbone, masks: Sequence[Mask] | None = None) -> Scene:
    return tiny_scene(backbone, [of_kind(backbone, kind, n) for n, kind in enumerate(KINDS)], masks)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_style_in_all_regions_is_that_style_everywhere(
    backbone: UNetBackbone, kind: str
) -> None:
    style = of_kind(backbone, kind)
    one = tiny_scene(backbone, [style], EVERYWHERE)
    two = tiny_scene(backbone, [style, style], HALVES)
    two = edited(two, 1, text=two.regions[0].text, negative=two.regions[0].negative)
    start = SinglePass(SinglePass.Options(adain=False))  # statistics are a region's own
    assert torch.allclose(run(two, start), run(one, start), atol=1e-4)
    plain = edited(one, 0, styles=(), text=one.empty)
    assert not torch.allclose(run(one, start), run(plain, start), atol=1e-2)


def test_pictures_alone_are_magicstyle(backbone: UNetBackbone) -> None:
    scene = quiet(tiny_scene(backbone, [of_kind(backbone, "reference")], EVERYWHERE))
    same = SinglePass(SinglePass.Options(structure=0.5))  # γ is its square
    assert torch.allclose(run(scene, same), run(scene, MagicStyle()), atol=1e-4)


def test_tokens_alone_are_deadiff(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [of_kind(backbone, "tokens")], EVERYWHERE)
    guided = SinglePass(SinglePass.Options(guidance=3.0, structure=0.5))
    assert torch.allclose(
        run(scene, guided), run(scene, DEADiff(DEADiff.Options(guidance=3.0))), atol=1e-4
    )


def test_each_of_four_kinds_acts_in_its_own_region(backbone: UNetBackbone) -> None:
    scene = mixed(backbone)
    whole = run(scene)
    for number in range(4):
        apart = (run(edited(scene, number, styles=(), text=scene.empty)) - whole).abs().amax((0, 1))
        share = scene.shares()[number + 1, 0, 0]
        inside, outside = ((apart * w).sum() / w.sum() for w in (share, 1 - share))
        assert inside > 1.5 * outside, KINDS[number]


def test_a_style_of_no_strength_leaves_tokens_of_zeros(backbone: UNetBackbone) -> None:
    """As published: an absent picture still has its place in the softmax."""
    scene = tiny_scene(backbone, [of_kind(backbone, "tokens")])
    weak, early = with_styles(scene, 0, strength=0.0), with_styles(scene, 0, window=Window(0, 0))
    assert torch.allclose(run(weak), run(early), atol=1e-5)


def test_the_order_of_regions_and_chunks_of_rows_do_not_matter(backbone: UNetBackbone) -> None:
    scene = mixed(backbone)
    whole = run(scene)
    assert torch.allclose(run(scene, max_rows=1), whole, atol=1e-4)
    turned = mixed(backbone, strips(4)[::-1])
    back = tiny_scene(
        backbone, [one.style for r in turned.regions[::-1] for one in r.styles], strips(4)
    )
    texts = {"text": 0, "negative": 0}
    for number, region in enumerate(turned.regions[::-1]):
        back = edited(back, number, **{name: getattr(region, name) for name in texts})
    assert torch.allclose(run(turned), run(back), atol=1e-4)


def test_rows_stay_flat_and_each_picture_adds_one(backbone: UNetBackbone) -> None:
    steps = 10
    kinds = [of_kind(backbone, kind) for kind in KINDS[:3]]
    for count in (1, 3):
        scene = tiny_scene(backbone, kinds[:count], steps=steps)
        assert rows_and_latent(scene, SinglePass())[0] == 23  # the photo's for the first 30 %
    pictures = [of_kind(backbone, "reference", seed) for seed in (0, 1, 0)]
    scene = tiny_scene(backbone, [*kinds, *pictures], steps=steps)
    assert rows_and_latent(scene, SinglePass())[0] == steps * (3 + 2)
    late = tiny_scene(backbone, [of_kind(backbone, "reference")], steps=steps)
    late = with_styles(late, 0, window=Window(0.5, 1.0))
    assert rows_and_latent(late, SinglePass())[0] == steps * 2 + 5  # source, + and half of style 1


@pytest.mark.parametrize("kind", ["deltas", "reference"])
def test_a_style_acts_in_its_window_alone(backbone: UNetBackbone, kind: str) -> None:
    """Early and late together make the whole; each by itself is something else."""
    style, fusion = of_kind(backbone, kind), SinglePass(SinglePass.Options(adain=False))
    scene = quiet(tiny_scene(backbone, [style]))
    (whole,) = scene.regions[0].styles
    halves = [replace(whole, window=w) for w in (Window(0, 0.5), Window(0.5, 1))]
    both = edited(scene, 0, styles=tuple(halves))
    assert torch.allclose(run(both, fusion), run(scene, fusion), atol=1e-4)
    for half in halves:
        assert not torch.allclose(
            run(edited(scene, 0, styles=(half,)), fusion), run(scene, fusion), atol=1e-3
        )


@pytest.mark.parametrize("kind", ["deltas", "reference"])
def test_styles_of_one_region_add_up_by_their_strengths(backbone: UNetBackbone, kind: str) -> None:
    scene = quiet(tiny_scene(backbone, [of_kind(backbone, kind)]))
    (one,) = scene.regions[0].styles
    parts = tuple(replace(one, strength=strength) for strength in (0.3, 0.7))
    split = edited(scene, 0, styles=parts)
    assert torch.allclose(run(split), run(scene), atol=1e-4)
    twice = edited(scene, 0, styles=(one, one))
    assert not torch.allclose(run(twice), run(scene), atol=1e-3)


def test_kinds_may_share_a_region(backbone: UNetBackbone) -> None:
    styles = [of_kind(backbone, kind) for kind in KINDS]
    scene = tiny_scene(backbone, [styles])
    whole = run(scene)
    assert scene.regions[0].kinds == frozenset(KINDS)
    for number in (0, 2, 3):
        fewer = [one for n, one in enumerate(scene.regions[0].styles) if n != number]
        assert not torch.allclose(run(edited(scene, 0, styles=tuple(fewer))), whole, atol=1e-3)


def test_each_region_has_its_guidance_and_structure(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [of_kind(backbone, "deltas", n) for n in (0, 1)], HALVES)
    common = SinglePass(SinglePass.Options(guidance=4.0, structure=0.6))
    own = scene
    for number in (0, 1):
        own = edited(own, number, guidance=4.0, structure=0.6)
    assert torch.allclose(run(own), run(scene, common), atol=1e-4)
    for setting in ({"guidance": 4.0}, {"structure": 0.6}):
        one = run(edited(scene, 0, **setting))
        apart = (one - run(scene)).abs().amax((0, 1))
        assert apart[:, :4].mean() > 1.5 * apart[:, 4:].mean()


def test_guidance_is_by_kind_where_nobody_sets_it(backbone: UNetBackbone) -> None:
    wanted = {"deltas": 2.0, "words": 4.0, "tokens": 3.0, "reference": 1.0}
    for kind, w in wanted.items():
        scene = tiny_scene(backbone, [of_kind(backbone, kind)], EVERYWHERE)
        own = edited(scene, 0, guidance=w)
        assert torch.equal(run(scene), run(own)), kind
        common = SinglePass(SinglePass.Options(guidance=2.5))
        assert torch.equal(run(scene, common), run(own, common)) == (kind == "reference")
    both = tiny_scene(backbone, [[of_kind(backbone, kind) for kind in KINDS]], EVERYWHERE)
    assert torch.equal(run(both), run(edited(both, 0, guidance=2.0)))


def test_structure_goes_from_new_noise_to_the_photos_attention() -> None:
    assert Layout.of(0.0) == Layout(attention=0.0, feature=0.0, queries=0.0, fresh=1.0)
    assert Layout.of(0.5) == Layout(attention=0.5, feature=0.6, queries=0.25, fresh=0.0)
    assert Layout.of(1.0) == Layout(attention=1.0, feature=1.0, queries=1.0, fresh=0.0)


def self_attention(scene: Scene, q: Tensor, k: Tensor, v: Tensor, **options: bool) -> Tensor:
    """What the late steps' only row reads at the finest self-attention: [1, heads, 64, dim]."""
    plan = SinglePass(SinglePass.Options(**options)).plan(scene)  # type: ignore[arg-type]
    reading = next(one for one in plan.interventions if isinstance(one, RegionalReads))
    site = next(site for site in reading.sites if site.scale == 1)
    call = Call(0.9, 1, (Row("+", MIXED),), scene.size)
    return combine(reading.attend(site, call, [Read(q, k, v)]), q.shape[2])


def test_regions_of_other_styles_do_not_see_each_other(backbone: UNetBackbone) -> None:
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(1, 2, 64, 4, generator=draw) for _ in range(3))
    left = (torch.arange(64) % 8) < 4
    styles = [of_kind(backbone, "deltas", n) for n in (0, 1)]
    apart = self_attention(tiny_scene(backbone, styles, HALVES), q, k, v)
    for half in (left, ~left):
        wanted = combine([Read(*(part[:, :, half] for part in (q, k, v)))])
        assert torch.allclose(apart[:, :, half], wanted, atol=1e-6)
    whole = combine([Read(q, k, v)])
    kin = self_attention(tiny_scene(backbone, [styles[0]] * 2, HALVES), q, k, v)
    assert torch.allclose(kin, whole, atol=1e-6)
    together = self_attention(tiny_scene(backbone, styles, HALVES), q, k, v, apart=False)
    assert torch.equal(together, whole)


def test_structure_out_of_range_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"structure: got 1.5; give a number in \[0, 1\]"):
        SinglePass(SinglePass.Options(structure=1.5))


def test_regions_know_their_kinds(backbone: UNetBackbone) -> None:
    style = of_kind(backbone, "tokens")
    text = backbone.text("")
    region = SceneRegion((SceneStyle(style), SceneStyle(of_kind(backbone, "deltas"))), text, text)
    assert region.kinds == {"tokens", "deltas"} and region.references == ()
