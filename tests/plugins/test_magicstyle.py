"""MagicStyle's reconstruction: what FFA does exactly, and what regions may not do to each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from locstyle_plugins.magicstyle import MagicStyle
from PIL import Image
from torch import Tensor

from locstyle import (
    CLEAN,
    Mask,
    Read,
    RecipeError,
    Scene,
    SceneReference,
    SceneRegion,
    SceneStyle,
    Style,
    Trajectory,
    adain,
    combine,
    denoise,
    invert,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, tiny_scene

SIZE = (32, 32)
EVERYWHERE = [Mask.everywhere(SIZE)]


def run(scene: Scene, fusion: MagicStyle, *, max_rows: int | None = None) -> Tensor:
    plan = fusion.plan(scene)
    start = scene.start(0) if plan.start is None else plan.start
    with torch.no_grad():
        return denoise(scene.backbone, plan, scene.schedule, start, max_rows=max_rows).latent


def with_options(**given: Any) -> MagicStyle:
    """Without AdaIN and sharpening, which move the start and the unstyled features too."""
    return MagicStyle(MagicStyle.Options(**{"adain": False, "temperature": 1.0} | given))


NONE = with_options(beta=0.0)


def reference(
    backbone: UNetBackbone, scene: Scene, seed: int, area: Tensor | None = None
) -> SceneReference:
    """A random picture, inverted as the scene's photo is."""
    draw = torch.Generator().manual_seed(seed)
    latent = backbone.encode(torch.rand(1, 3, *SIZE, generator=draw))
    with torch.no_grad():
        return SceneReference(invert(backbone, latent, scene.schedule, text=scene.empty), area)


def scene_of(
    backbone: UNetBackbone,
    references: Sequence[Sequence[int]],
    masks: Sequence[Mask] | None = None,
    styles: Sequence[Style | None] | None = None,
) -> Scene:
    """One region per entry, each with random references of these seeds, and no words anywhere."""
    scene = tiny_scene(backbone, styles or [None] * len(references), masks)
    known = {seed: reference(backbone, scene, seed) for seeds in references for seed in seeds}
    regions = tuple(
        replace(
            region,
            styles=(*region.styles, *shown(tuple(known[seed] for seed in seeds))),
            text=scene.empty,
            negative=scene.empty,
        )
        for region, seeds in zip(scene.regions, references, strict=True)
    )
    return replace(scene, regions=regions, text=scene.empty, negative=scene.empty)


def shown(references: tuple[SceneReference, ...]) -> tuple[SceneStyle, ...]:
    """A style of these pictures, if there are any."""
    if not references:
        return ()
    grey = Image.new("RGB", (8, 8), "grey")
    return (SceneStyle(Style.from_pictures("grey", [grey]), references=references),)


def weakened(region: SceneRegion) -> SceneRegion:
    return replace(region, styles=tuple(replace(one, strength=0.0) for one in region.styles))


def plain_pass(scene: Scene) -> Trajectory:
    """What the network itself makes of the inverted photo, at every timestep."""
    x = scene.content.at(scene.schedule.noisiest)
    latents = {scene.schedule.noisiest: x}
    with torch.no_grad():
        for index, t in enumerate(scene.schedule.timesteps):
            after = scene.schedule.after(index)
            eps = scene.backbone.predict(x, t, scene.empty.states)
            x = latents[after] = scene.schedule.move(x, eps, t, after)
    return Trajectory(latents)


@pytest.mark.parametrize(
    "options",
    [
        {"beta": 0.0},
        {"beta": 0.0, "gamma": 0.0},
        {"beta": 0.0, "layers": "decoder"},
        {"form": "blend", "lam": 0.0, "gamma": 1.0, "layers": (6, 9)},
    ],
)
def test_no_style_is_the_plain_pass(backbone: UNetBackbone, options: dict[str, Any]) -> None:
    """With the features of the plain pass itself: exact for any queries and any layers."""
    scene = scene_of(backbone, [[1]], EVERYWHERE)
    plain = plain_pass(scene)
    out = run(replace(scene, content=plain), with_options(**options))
    assert torch.allclose(out, plain.at(CLEAN), atol=1e-4)


def test_style_only_is_the_limit_of_both_forms(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1]], EVERYWHERE)
    most = run(scene, with_options(beta=1e30))
    assert torch.allclose(most, run(scene, with_options(form="blend", lam=1.0)), atol=1e-4)
    assert not torch.allclose(most, run(scene, NONE), atol=1e-2)


@pytest.mark.parametrize(
    "options",
    [{"beta": 0.2}, {"beta": 5.0}, {"form": "blend", "lam": 0.7}, {"adain": True}],
)
def test_the_photo_as_its_own_style_changes_nothing(
    backbone: UNetBackbone, options: dict[str, Any]
) -> None:
    scene = scene_of(backbone, [[]], EVERYWHERE)
    itself = (SceneReference(scene.content, None),)
    own = replace(scene, regions=(replace(scene.regions[0], styles=shown(itself)),))
    assert torch.allclose(run(own, with_options(**options)), run(own, NONE), atol=1e-4)


@given(st.floats(0.01, 50), st.integers(0, 1000))
@settings(deadline=None, max_examples=30)
def test_one_softmax_is_a_blend_with_its_own_share_per_query(beta: float, seed: int) -> None:
    """λ(p) = β Z_style / (Z_content + β Z_style), Z the sum of exp logits: eqs. 4.3 and 4.4 of
    docs/methods.md."""
    from locstyle.engine.interventions.pictures import StyleKeys, one_softmax

    draw = torch.Generator().manual_seed(seed)
    q, kc, vc, ks, vs = (torch.randn(1, 2, 6, 4, generator=draw).double() for _ in range(5))
    content, style = Read(q, kc, vc), StyleKeys(ks, vs, torch.ones(6).double(), alike=True)
    masses = [(q @ k.mT / 4**0.5).exp().sum(-1, keepdim=True) for k in (kc, ks)]
    share = beta * masses[1] / (masses[0] + beta * masses[1])
    blend = (1 - share) * combine([content]) + share * combine([Read(q, ks, vs)])
    assert torch.allclose(combine([one_softmax(content, style, beta)]), blend, atol=1e-9)


def test_adain_gives_the_statistics_of_the_style() -> None:
    draw = torch.Generator().manual_seed(0)
    x, style = (torch.randn(1, 4, 8, 8, generator=draw) * s + s for s in (1.0, 3.0))
    everywhere = torch.ones(8, 8)
    moved = adain(x, everywhere[None, None], style, everywhere)
    assert torch.allclose(moved.mean((-2, -1)), style.mean((-2, -1)), atol=1e-5)
    assert torch.allclose(
        moved.std((-2, -1), correction=0), style.std((-2, -1), correction=0), atol=1e-5
    )
    assert torch.allclose(
        adain(x, everywhere[None, None], x, everywhere), x, atol=1e-5
    )  # its own statistics
    half = everywhere.clone()
    half[:, 4:] = 0
    inside = adain(x, half[None, None], style, half)[..., :4]
    assert torch.allclose(inside.mean((-2, -1)), style[..., :4].mean((-2, -1)), atol=1e-5)


def test_one_style_in_every_region_is_that_style_everywhere(backbone: UNetBackbone) -> None:
    halves = [Mask.box((0, 0, 16, 32), size=SIZE), Mask.box((16, 0, 32, 32), size=SIZE)]
    fusion = with_options(beta=2.0)
    two = run(scene_of(backbone, [[1], [1]], halves), fusion)
    one = run(scene_of(backbone, [[1]], EVERYWHERE), fusion)
    assert torch.allclose(two, one, atol=1e-4)


def test_empty_masks_are_no_style(backbone: UNetBackbone) -> None:
    """And since everything outside is held to its trajectory, they leave the photo."""
    nowhere = [Mask.box((0, 0, 1, 1), size=SIZE) - Mask.everywhere(SIZE)]
    scene = scene_of(backbone, [[1]], nowhere)
    assert torch.equal(run(scene, with_options()), scene.content.at(CLEAN))
    loose = replace(with_options().plan(scene), hold=None)
    with torch.no_grad():
        out = denoise(backbone, loose, scene.schedule, scene.start(0)).latent
    assert torch.allclose(out, run(scene_of(backbone, [[1]], EVERYWHERE), NONE), atol=1e-5)


def test_a_donor_without_a_latent_for_a_step_is_an_error(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1]])
    other = backbone.schedule(3)
    assert set(other.timesteps) != set(scene.schedule.timesteps)
    with torch.no_grad():
        strange = SceneReference(invert(backbone, scene.latent, other, text=scene.empty))
    odd = replace(scene, regions=(replace(scene.regions[0], styles=shown((strange,))),))
    with pytest.raises(ValueError, match="not on this trajectory"):
        run(odd, with_options())


def test_strength_nought_is_no_style(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1]], EVERYWHERE)
    weak = replace(scene, regions=(weakened(scene.regions[0]),))
    for form in ("concat", "blend"):
        off = run(weak, with_options(form=form))
        assert torch.allclose(off, run(scene, NONE), atol=1e-5)


def test_rows_are_content_one_per_reference_and_edit(backbone: UNetBackbone) -> None:
    """The same picture in two regions is one row."""
    scene = scene_of(backbone, [[1], [2, 3], [1]])
    names = [branch.name for branch in MagicStyle().plan(scene).branches]
    assert names == ["content", "style 1", "style 2", "style 3", "edit"]


def test_chunks_of_rows_change_nothing(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1], [2, 3]])
    whole = run(scene, MagicStyle())
    for rows in (1, 2, 3):
        assert torch.allclose(run(scene, MagicStyle(), max_rows=rows), whole, atol=1e-5)


def test_the_order_of_regions_and_references_does_not_matter(backbone: UNetBackbone) -> None:
    left, right = Mask.box((0, 0, 16, 32), size=SIZE), Mask.box((16, 0, 32, 32), size=SIZE)
    one = run(scene_of(backbone, [[1], [2, 3]], [left, right]), MagicStyle())
    other = run(scene_of(backbone, [[3, 2], [1]], [right, left]), MagicStyle())
    assert torch.allclose(one, other, atol=1e-4)


def test_style_keys_outside_the_area_do_not_count(backbone: UNetBackbone) -> None:
    area = torch.zeros(SIZE)
    area[:, :16] = 1
    scene = scene_of(backbone, [[]], EVERYWHERE)
    masked, whole, full = (
        reference(backbone, scene, 1, kept) for kept in (area, None, torch.ones(SIZE))
    )
    plan, outputs = MagicStyle(), {}
    for name, given_one in (("masked", masked), ("whole", whole), ("full", full)):
        region = replace(scene.regions[0], styles=shown((given_one,)))
        outputs[name] = run(replace(scene, regions=(region,)), plan)
    assert torch.allclose(outputs["whole"], outputs["full"], atol=1e-4)
    assert not torch.allclose(outputs["whole"], outputs["masked"], atol=1e-3)


def test_a_lora_stands_beside_a_reference(backbone: UNetBackbone) -> None:
    """Its deltas act, and it is guided in its own region only."""
    style = random_style(backbone, 1)
    scene = scene_of(backbone, [[1], []], styles=[None, style])
    plan = MagicStyle().plan(scene)
    assert [b.name for b in plan.branches] == ["content", "style 1", "-", "edit"]
    shares = scene.shares()
    low, high = torch.zeros_like(scene.latent), torch.ones_like(scene.latent)
    call: Any = None
    composed = plan.compose({"-": low, "edit": high}, call)
    inside = (1 - shares[0]).clamp_min(1e-6)
    scale = torch.where(shares[0] < 1, (shares[1] + 2 * shares[2]) / inside, 1)
    assert torch.allclose(composed, scale.expand_as(composed))
    out = run(scene, MagicStyle())
    weak = replace(scene, regions=(scene.regions[0], weakened(scene.regions[1])))
    assert not torch.allclose(out, run(weak, MagicStyle()), atol=1e-3)


def test_a_region_of_words_alone_is_guided_by_them(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1], []])
    plan = MagicStyle().plan(scene)
    assert [b.name for b in plan.branches] == ["content", "style 1", "-", "edit"]
    said = replace(scene.regions[1], text=backbone.text("a wolf"))
    spoken = replace(scene, regions=(scene.regions[0], said))
    there = scene.shares()[2].expand_as(scene.latent) == 1
    change = (run(spoken, MagicStyle()) - run(scene, MagicStyle())).abs()
    assert change[there].max() > 1e-3


def test_outside_all_regions_is_the_photo(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1], [2]])
    outside = (scene.shares()[0] == 1).expand_as(scene.latent)
    assert torch.equal(run(scene, MagicStyle())[outside], scene.content.at(CLEAN)[outside])


def test_a_layer_that_is_not_there_is_named(backbone: UNetBackbone) -> None:
    scene = scene_of(backbone, [[1]])
    with pytest.raises(RecipeError, match=r"layers: 2 is no decoder layer .* it has 3, 4, 5"):
        with_options(layers=(2, 9)).plan(scene)


@pytest.mark.parametrize(
    ("name", "value", "asked"),
    [("gamma", 1.1, r"in \[0, 1\]"), ("lam", -0.1, r"in \[0, 1\]"), ("beta", -1.0, "0 or more")],
)
def test_options_out_of_range_are_named(name: str, value: float, asked: str) -> None:
    with pytest.raises(RecipeError, match=f"options.{name}: got {value}.*{asked}"):
        with_options(**{name: value})


def test_outside_its_window_nothing_is_fused(backbone: UNetBackbone) -> None:
    """An empty window leaves the edit row to itself: the plain pass."""
    scene = scene_of(backbone, [[1]], EVERYWHERE)
    off = run(scene, with_options(start=0.0, stop=0.0))
    assert torch.allclose(off, plain_pass(scene).at(CLEAN), atol=1e-4)
    early = run(scene, with_options(stop=0.5))
    assert not torch.allclose(early, off, atol=1e-3)
