"""VCT: its maps are the paper's, its source branch is its own, its words stay in their regions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from locstyle_plugins.vct import VCT, AttentionRefinement, alignment, concept_tokens
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import CONTEXT, random_style, strips, tiny_scene

SIZE = (32, 32)
EVERYWHERE = [ls.Mask.everywhere(SIZE)]
QUIET = VCT.Options(guidance=7.5, self_share=0, cross_share=0)


def concept(backbone: UNetBackbone, seed: int = 0, name: str = "<ink>", count: int = 2) -> ls.Style:
    vectors = torch.randn(count, CONTEXT, generator=torch.Generator().manual_seed(seed))
    return ls.Style(name, backbone.family, meta={"trigger": name}, words={name: vectors})


def whole(backbone: UNetBackbone, style: ls.Style | None = None, **more: object) -> ls.Scene:
    """A scene with one region over the whole picture."""
    style = style or concept(backbone)
    return tiny_scene(backbone, [style], EVERYWHERE, **more)  # type: ignore[arg-type]


def pivoted(scene: ls.Scene, guidance: float = 7.5, iterations: int = 3, **more: float) -> ls.Scene:
    how = ls.Pivot(guidance, iterations, **more)  # type: ignore[arg-type]
    content = ls.pivot(scene.backbone, scene.content, scene.schedule, text=scene.empty, how=how)
    return replace(scene, content=content)


def run(
    scene: ls.Scene,
    options: VCT.Options,
    *,
    max_rows: int | None = None,
    watch: Callable[[ls.Predictions, ls.Call], None] | None = None,
) -> tuple[Tensor, int]:
    plan = VCT(options).plan(scene)
    if watch is not None:
        compose = plan.compose

        def watched(predictions: ls.Predictions, call: ls.Call) -> Tensor:
            watch(predictions, call)
            return compose(predictions, call)

        plan = replace(plan, compose=watched)
    with torch.no_grad():
        start = scene.start(0)
        done = ls.denoise(scene.backbone, plan, scene.schedule, start, max_rows=max_rows)
    return done.latent, done.rows


class Spy:
    """Notes what attention sites read, after everything else has acted."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, ls.Site, list[ls.Read], tuple[ls.Row, ...]]] = []

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        return [site for site in sites if site.role in ("self", "cross")]

    def attend(self, site: ls.Site, call: ls.Call, reads: list[ls.Read]) -> list[ls.Read]:
        self.seen.append((call.t, site, reads, call.rows))
        return reads


class Path:
    """Notes where the edit is after every step, and holds nothing."""

    def __init__(self) -> None:
        self.latents: dict[int, Tensor] = {}

    def apply(self, x: Tensor, t: int) -> Tensor:
        self.latents[t] = x
        return x


def spied(scene: ls.Scene, options: VCT.Options) -> Spy:
    spy, plan = Spy(), VCT(options).plan(scene)
    plan = replace(plan, interventions=(*plan.interventions, spy))
    with torch.no_grad():
        ls.denoise(scene.backbone, plan, scene.schedule, scene.start(0))
    return spy


def test_every_attention_layer_is_seen_once_a_step(backbone: UNetBackbone) -> None:
    """32 attention modules a forward, one step a forward."""
    spy = spied(whole(backbone, steps=3), VCT.Options())
    first, second, third = backbone.schedule(3).timesteps
    assert [t for t, *_ in spy.seen] == [first] * 32 + [second] * 32 + [third] * 32
    scene = SimpleNamespace(size=(64, 64), backbone=backbone)
    shared = VCT()._self_maps(scene).where(backbone.sites)  # type: ignore[arg-type]
    assert len(shared) == 11  # layers 2 to 12 of 16; those of 64 x 64 tokens are left alone
    assert all(site.role == "self" and site.scale > 1 for site in shared)
    assert (
        len(AttentionRefinement("source", "+", lambda t: [], ls.Window()).where(backbone.sites))
        == 16
    )


@pytest.mark.parametrize("shares", [(0.0, 0.0), (0.9, 0.2), (1.0, 1.0)])
@pytest.mark.parametrize("iterations", [0, 3])
def test_the_same_text_in_both_branches_follows_the_source(
    backbone: UNetBackbone, shares: tuple[float, float], iterations: int
) -> None:
    """An empty text in both keeps x_t = x*_t at every step, whatever is shared."""
    scene = whole(backbone)
    scene = replace(scene, regions=(replace(scene.regions[0], styles=(), text=scene.empty),))
    scene = pivoted(replace(scene, text=scene.empty), iterations=iterations)
    options = VCT.Options(7.5, self_share=shares[0], cross_share=shares[1])
    path = Path()
    with torch.no_grad():
        plan = replace(VCT(options).plan(scene), hold=path)
        ls.denoise(backbone, plan, scene.schedule, scene.start(0))
    assert len(path.latents) == scene.schedule.steps
    for t, latent in path.latents.items():  # rounding, times the guidance, comes to 3e-5
        assert torch.allclose(latent, scene.content.at(t), atol=1e-4)


def test_the_source_branch_does_not_notice_concept_or_shares(backbone: UNetBackbone) -> None:
    found: list[list[Tensor]] = []
    for seed, shares in ((0, (1.0, 1.0)), (1, (1.0, 0.2)), (2, (1.0, 0.0))):
        rows: list[Tensor] = []
        options = VCT.Options(self_share=shares[0], cross_share=shares[1])
        scene = whole(backbone, concept(backbone, seed))
        run(scene, options, watch=lambda p, call, rows=rows: rows.append(p["source"]))
        found.append(rows)
    for other in found[1:]:
        for one, again in zip(found[0], other, strict=True):
            assert torch.allclose(one, again, atol=1e-6)


def test_a_self_share_of_one_gives_the_edit_the_sources_maps_at_every_step(
    backbone: UNetBackbone,
) -> None:
    spy = spied(whole(backbone), VCT.Options(self_share=1.0, cross_share=0))
    checked = 0
    for _, site, (read, *_), rows in spy.seen:
        if site.role == "self":
            source, edit = ([row.name for row in rows].index(name) for name in ("source", "+"))
            assert torch.equal(read.q[edit], read.q[source])
            assert torch.equal(read.k[edit], read.k[source])
            checked += 1
    assert checked == 16 * 4


def test_without_shares_it_is_plain_guided_sampling(backbone: UNetBackbone) -> None:
    """With the source's learned text in the unconditional row."""
    scene = pivoted(whole(backbone))
    assert scene.content.unconditional is not None
    x = scene.start(0)
    with torch.no_grad():
        for index, t in enumerate(scene.schedule.timesteps):
            one, other = (
                backbone.predict(x, t, text.states)
                for text in (scene.content.unconditional[t], scene.regions[0].text)
            )
            x = scene.schedule.move(x, -6.5 * one + 7.5 * other, t, scene.schedule.after(index))
    assert torch.allclose(run(scene, QUIET)[0], x, atol=1e-3)


def test_refined_attention_is_the_papers_map_written_out(backbone: UNetBackbone) -> None:
    """docs/methods.md eq. 3.6 against P_B and P_B* as matrices."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 4, generator=draw) for n in (10, 16, 16))
    text = backbone.text("a <ink>", concept(backbone).words)
    assert text.used == 5 and text.spans["<ink>"] == (2, 4)
    pair = alignment(text, frozenset({2, 3}), 0.5)
    site = backbone.sites.where(role="cross")[0]
    given = {("source", "q"): q[:1], ("source", "k"): k[:1]}
    call = ls.Call(0.0, 981, (ls.Row("source", 0), ls.Row("+", 1)), (8, 8), given=given)
    refined = AttentionRefinement("source", "+", lambda t: [pair], ls.Window()).attend(
        site, call, [ls.Read(q, k, v)]
    )
    source, mine = (torch.softmax(q @ k.transpose(-1, -2) / 2, -1)).unbind()
    wanted = mine.clone()
    for j in range(16):  # the empty text has its ends at 0 and 1, this one at 0 and 4
        if j in (0, 4) or j > 4:
            wanted[..., j] = source[..., 1 if j == 4 else j]
        if j in (2, 3):
            wanted[..., j] = 0.5 * mine[..., j]
    out = ls.combine(refined)
    assert torch.allclose(out[1], wanted @ v[1], atol=1e-5)
    assert torch.allclose(out[0], source @ v[0], atol=1e-5)


@pytest.mark.parametrize(("shifted", "tokens"), [(False, {1, 2, 3}), (True, {0, 1, 2})])
def test_the_equaliser_stands_at_the_words_or_where_the_reference_has_it(
    backbone: UNetBackbone, shifted: bool, tokens: set[int]
) -> None:
    style = concept(backbone, count=3)
    text = backbone.text("<ink>", style.words)
    assert concept_tokens(text, tuple(style.words), shifted=shifted) == tokens
    own, aligned = alignment(text, frozenset(tokens), 0.5)
    halved = {j for j in range(16) if float(own[j] + aligned[:, j].sum()) == 0.5}
    assert halved == tokens
    assert concept_tokens(text, ("<other>",), shifted=shifted) == frozenset()


def test_the_same_concept_in_two_regions_is_one_region(backbone: UNetBackbone) -> None:
    style = concept(backbone)
    halves = [ls.Mask.box((0, 0, 16, 32), size=SIZE), ls.Mask.box((16, 0, 32, 32), size=SIZE)]
    two = tiny_scene(backbone, [style, style], halves)
    options = VCT.Options(guidance=3)
    assert torch.allclose(run(two, options)[0], run(whole(backbone, style), options)[0], atol=1e-4)


def test_regions_have_concepts_of_their_own(backbone: UNetBackbone) -> None:
    """Equal placeholders in two styles are still two concepts, each where its region is."""
    styles = [concept(backbone, 1), concept(backbone, 2)]
    scene = tiny_scene(backbone, styles, strips(2))
    both, again = (run(scene, VCT.Options())[0] for _ in range(2))
    swapped = run(tiny_scene(backbone, styles[::-1], strips(2)), VCT.Options())[0]
    one = run(tiny_scene(backbone, [styles[0], styles[0]], strips(2)), VCT.Options())[0]
    assert torch.equal(both, again)
    assert not torch.allclose(both, swapped, atol=1e-3)
    assert not torch.allclose(both, one, atol=1e-3)


def test_a_lora_may_stand_beside_a_concept(backbone: UNetBackbone) -> None:
    styles = [concept(backbone), random_style(backbone, 1)]
    scene = tiny_scene(backbone, styles, strips(2))
    bare = replace(scene, regions=tuple(replace(r, styles=()) for r in scene.regions))
    with_lora, without = run(scene, VCT.Options())[0], run(bare, VCT.Options())[0]
    assert not torch.allclose(with_lora, without, atol=1e-3)
    assert torch.equal(with_lora[..., 6:], scene.latent[..., 6:])  # held outside both


@pytest.mark.parametrize("is_pivoted", [False, True])
def test_rows_in_chunks_give_the_same(backbone: UNetBackbone, is_pivoted: bool) -> None:
    scene = tiny_scene(backbone, [concept(backbone, 1), concept(backbone, 2)], strips(2))
    scene = pivoted(scene, 3.0) if is_pivoted else scene
    options = VCT.Options(guidance=3)
    assert torch.allclose(run(scene, options, max_rows=1)[0], run(scene, options)[0], atol=1e-4)


@pytest.mark.parametrize("count", [1, 3])
def test_three_rows_a_step_however_many_regions(backbone: UNetBackbone, count: int) -> None:
    """The reference counts 4 a step, and 2 more that it throws away."""
    scene = tiny_scene(backbone, [concept(backbone, s) for s in range(count)], steps=4)
    assert run(scene, VCT.Options(self_share=0.5))[1] == 4 + 4 + 2
    assert run(scene, replace(QUIET, guidance=1))[1] == 4


def test_the_reference_preset_is_the_references() -> None:
    import locstyle_plugins.vct as plugin

    with ls.Host(allow=()).temporarily(plugin) as host:
        fusion = host.fusion("vct", preset="reference")
    o = fusion.options
    assert (o.guidance, o.self_share, o.cross_share, o.most_tokens) == (7.5, 0.9, 0.2, 1024)
    assert (o.equaliser, o.equaliser_shifted, o.source) == (0.5, True, "pivot")
    assert fusion.inversion.pivot == ls.Pivot(7.5, 50, 1e-2, 1e-5, 1e-3)


def test_the_subject_preset_starts_from_new_noise_in_its_region(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [concept(backbone)])
    start, outside = VCT(VCT.PRESETS["subject"]).plan(scene).start, scene.shares()[0, 0, 0]
    assert torch.equal(start[..., outside == 0], scene.noise[..., outside == 0])
    assert torch.equal(start[..., outside == 1], scene.start(0)[..., outside == 1])
    assert {0.0, 1.0} <= set(outside.unique().tolist())
