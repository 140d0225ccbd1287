"""DEADiff: the published sizes, the published file's layout, and what reads what."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from locstyle_plugins.deadiff import official
from locstyle_plugins.deadiff.command import convert, describe
from locstyle_plugins.deadiff.encoder import QFormer
from locstyle_plugins.deadiff.fusion import DEADiff
from locstyle_plugins.deadiff.joint import beside
from locstyle_plugins.deadiff.networks import SEMANTIC, ImageAdapter, QFormerSizes, inner_widths
from locstyle_plugins.deadiff.towers import BackboneTower, ClipTower, clip_model, look
from locstyle_plugins.deadiff.trained import Trained, load
from PIL import Image
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import CONTEXT, random_style, random_tokens, tiny_scene

SMALL = QFormerSizes(
    vision=8, width=CONTEXT, layers=2, heads=2, inner=8, queries=4, words=9, positions=4,
    told_style=(0, 1, 2), told_content=(0, 3, 2),
)  # fmt: skip
SD1 = (320,) * 2 + (640,) * 2 + (1280,) * 6 + (640,) * 3 + (320,) * 3


def pictures(count: int = 1) -> list[Image.Image]:
    draw = torch.Generator().manual_seed(3)
    shape = (count, 20, 24, 3)
    noise = torch.randint(0, 256, shape, generator=draw, dtype=torch.uint8)
    return [Image.fromarray(picture.numpy()) for picture in noise]


def trained(backbone: UNetBackbone, family: str = "tiny") -> Trained:
    """Random networks that look through the backbone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        seen = BackboneTower(backbone)(torch.rand(1, 3, 32, 32))
        network = ImageAdapter(replace(SMALL, vision=seen.shape[-1]), inner_widths(backbone))
    return Trained(network.eval().requires_grad_(False), family, {}, {
        "mean": torch.zeros(seen.shape[-1]), "spread": torch.ones(seen.shape[-1]),
    })  # fmt: skip


def test_the_published_sizes() -> None:
    """19 169 280 new keys' and values' weights, as counted in the published model."""
    with torch.device("meta"):
        network = ImageAdapter(QFormerSizes(), SD1)
        tower = clip_model()
    assert sum(p.numel() for p in network.ways.parameters()) == 19_169_280
    assert network.style.query_tokens.shape == (1, 16, 768)
    layers = network.content.qformer.encoder.layer
    assert len(layers) == 12 and all(layer.has_cross_attention for layer in layers)
    assert layers[0].crossattention.attention.key.in_features == 1024
    assert len(tower.encoder.layers) == 23 and tower.embeddings.num_positions == 257


def test_the_layers_are_numbered_from_input_to_output(backbone: UNetBackbone) -> None:
    sites = ls.cross_sites(backbone.sites)
    coarse = [sites[number].name.removesuffix(".transformer_blocks.0.attn2") for number in SEMANTIC]
    assert len(sites) == 16 and coarse == [
        "down_blocks.2.attentions.0",
        "down_blocks.2.attentions.1",
        "mid_block.attentions.0",
        "up_blocks.1.attentions.0",
        "up_blocks.1.attentions.1",
    ]
    assert ls.content_sites(backbone.sites) == [sites[number] for number in SEMANTIC]


def test_style_and_content_reach_their_own_layers(backbone: UNetBackbone) -> None:
    network = trained(backbone).network
    style, content, other = torch.randn(3, 1, 4, CONTEXT)

    def changed(one: list[tuple[Tensor, Tensor]], two: list[tuple[Tensor, Tensor]]) -> set[int]:
        pairs = enumerate(zip(one, two, strict=True))
        return {n for n, (a, b) in pairs if not all(map(torch.equal, a, b))}

    base = network.keys(style, content)
    assert changed(base, network.keys(other, content)) == set(range(16)) - set(SEMANTIC)
    assert changed(base, network.keys(style, other)) == set(SEMANTIC)


def test_an_absent_picture_is_keys_and_values_of_zeros(backbone: UNetBackbone) -> None:
    network, nothing = trained(backbone).network, torch.zeros(1, 4, CONTEXT)
    assert not any(part.any() for pair in network.keys(nothing, nothing) for part in pair)


def test_it_starts_from_the_text_projections(backbone: UNetBackbone) -> None:
    network = ImageAdapter(SMALL, inner_widths(backbone))
    network.start_from(backbone)
    tokens = torch.randn(1, 4, CONTEXT)
    for site, (key, value) in zip(
        ls.cross_sites(backbone.sites), network.keys(tokens, tokens), strict=True
    ):
        attention = backbone.unet.get_submodule(site.name)
        assert torch.equal(key, attention.to_k(tokens))
        assert torch.equal(value, attention.to_v(tokens))


def test_the_instruction_matters() -> None:
    """The Q-Former reads the word for what is asked in its own attention."""
    network = ImageAdapter(SMALL, (8,) * 16).eval()
    network.content.load_state_dict(network.style.state_dict())
    seen = torch.randn(1, 5, 8)
    assert not torch.allclose(network.style(seen), network.content(seen))


def test_the_tower_is_clip_without_its_last_block() -> None:
    """As CLIPVisionModel's hidden_states[-2]: before the last block, no norm after it."""
    whole = clip_model(width=64, layers=3, patch=8, side=16)
    short = clip_model(width=64, layers=2, patch=8, side=16)
    short.load_state_dict(whole.state_dict(), strict=False)
    images = look(pictures(2), 16)
    seen = ClipTower(short)(images)
    mean = torch.tensor((0.48145466, 0.4578275, 0.40821073)).view(3, 1, 1)
    deviation = torch.tensor((0.26862954, 0.26130258, 0.27577711)).view(3, 1, 1)
    states = whole((images - mean) / deviation, output_hidden_states=True).hidden_states
    assert seen.shape == (2, 5, 64) and torch.allclose(seen, states[-2], atol=1e-6)


def test_the_backbone_as_tower_leaves_no_trace(backbone: UNetBackbone) -> None:
    before, tower = backbone.weights_digest(), BackboneTower(backbone)
    first = tower(look(pictures(), 32))
    assert first.shape[:2] == (1, 65) and first.isfinite().all()
    assert torch.equal(first, tower(look(pictures(), 32)))
    assert backbone.weights_digest() == before
    assert not any(m._forward_hooks for m in backbone.unet.modules())


def test_weights_come_back_as_they_went(backbone: UNetBackbone, tmp_path: Path) -> None:
    one = trained(backbone)
    one.save(tmp_path / "w.safetensors", torch.float32)
    two = load(tmp_path / "w.safetensors")
    assert two.family == "tiny" and two.network.sizes == one.network.sizes
    seen = torch.randn(1, 65, one.network.sizes.vision)
    assert torch.equal(one.network.style(seen), two.network.style(seen))
    assert torch.equal(one.calibration["mean"], two.calibration["mean"])


# --- the published checkpoint's layout


def published(
    *, sizes: QFormerSizes = SMALL, inner: tuple[int, ...] = (8,) * 16
) -> dict[str, Tensor]:
    """A random checkpoint with the published names, written out by hand."""
    draw = torch.Generator().manual_seed(0)

    def new(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw)

    width, wide, vision = sizes.width, sizes.inner, sizes.vision
    state: dict[str, Tensor] = {"betas": new(10), "ctx_embeddings_cache": new(1, 4, width)}

    def norm(name: str, size: int) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = new(size), new(size)

    def linear(name: str, into: int, out: int) -> None:
        state[f"{name}.weight"], state[f"{name}.bias"] = new(out, into), new(out)

    for part in ("style", "content"):
        blip, proj = f"{part}_blip", f"{part}_proj_layer"
        state[f"{blip}.query_tokens"] = new(1, sizes.queries, width)
        norm(f"{blip}.ln_vision", vision)
        state[f"{blip}.temp"] = new(1)[0]
        for unused in ("vision_proj", "text_proj", "itm_head", "Qformer.cls.predictions.decoder"):
            linear(f"{blip}.{unused}", width, 2)
        bert = f"{blip}.Qformer.bert"
        state[f"{bert}.embeddings.position_ids"] = torch.arange(sizes.positions)[None]
        state[f"{bert}.embeddings.word_embeddings.weight"] = new(sizes.words, width)
        state[f"{bert}.embeddings.position_embeddings.weight"] = new(sizes.positions, width)
        norm(f"{bert}.embeddings.LayerNorm", width)
        for number in range(sizes.layers):
            layer = f"{bert}.encoder.layer.{number}"
            for kind, source in (("attention", width), ("crossattention", vision)):
                linear(f"{layer}.{kind}.self.query", width, width)
                linear(f"{layer}.{kind}.self.key", source, width)
                linear(f"{layer}.{kind}.self.value", source, width)
                linear(f"{layer}.{kind}.output.dense", width, width)
                norm(f"{layer}.{kind}.output.LayerNorm", width)
            for kind in ("", "_query"):
                linear(f"{layer}.intermediate{kind}.dense", width, wide)
                linear(f"{layer}.output{kind}.dense", wide, width)
                norm(f"{layer}.output{kind}.LayerNorm", width)
        linear(f"{proj}.dense1", width, wide)
        linear(f"{proj}.dense2", wide, width)
        norm(f"{proj}.LayerNorm", width)
        eye = f"{blip}.visual_encoder"
        state[f"{eye}.conv1.weight"] = new(vision, 3, 8, 8)
        state[f"{eye}.class_embedding"] = new(vision)
        state[f"{eye}.positional_embedding"] = new(5, vision)
        norm(f"{eye}.ln_pre", vision)
        for number in range(2):
            block = f"{eye}.transformer.resblocks.{number}"
            state[f"{block}.attn.in_proj_weight"] = new(3 * vision, vision)
            state[f"{block}.attn.in_proj_bias"] = new(3 * vision)
            linear(f"{block}.attn.out_proj", vision, vision)
            linear(f"{block}.mlp.c_fc", vision, 4 * vision)
            linear(f"{block}.mlp.c_proj", 4 * vision, vision)
            norm(f"{block}.ln_1", vision)
            norm(f"{block}.ln_2", vision)
    places = ["input_blocks.1", "input_blocks.2", "input_blocks.4", "input_blocks.5"]
    places += ["input_blocks.7", "input_blocks.8", "middle_block"]
    places += [f"output_blocks.{number}" for number in range(3, 12)]
    for place, size in zip(places, inner, strict=True):
        attention = f"model.diffusion_model.{place}.1"
        for name, into in (("i_to_k", width), ("i_to_v", width), ("to_q", size)):
            state[f"{attention}.transformer_blocks.0.attn2.{name}.weight"] = new(size, into)
    state["cond_stage_model.transformer.text_model.final_layer_norm.weight"] = new(4)
    state["first_stage_model.decoder.conv_in.weight"] = new(4, 4, 3, 3)
    return state


def test_every_key_of_the_published_layout_is_accounted_for() -> None:
    state = published()
    keys = official.read(state).keys
    assert keys.missing == () and keys.strange == ()
    assert set(keys.used) | set(keys.unused) == set(state) and not set(keys.used) & set(keys.unused)
    mine = {key for key in state if "_blip." in key or "_proj_layer." in key or "i_to_" in key}
    others = ("vision_proj", "text_proj", "itm_head", ".temp", ".cls.", "position_ids")
    assert set(keys.used) == {key for key in mine if not any(part in key for part in others)}


def test_values_land_where_they_belong() -> None:
    state = published()
    found = official.read(state)
    layer = found.network.content.qformer.encoder.layer[1]
    bert = "content_blip.Qformer.bert.encoder.layer.1"
    assert torch.equal(
        layer.crossattention.attention.key.weight, state[f"{bert}.crossattention.self.key.weight"]
    )
    assert torch.equal(
        layer.output_query.LayerNorm.bias, state[f"{bert}.output_query.LayerNorm.bias"]
    )
    sixth = "model.diffusion_model.middle_block.1.transformer_blocks.0.attn2.i_to_v.weight"
    assert torch.equal(found.network.ways[6].i_to_v.weight, state[sixth])
    third = state["style_blip.visual_encoder.transformer.resblocks.0.attn.in_proj_weight"][16:]
    block = found.towers["style"].encoder.layers[0]
    assert torch.equal(block.self_attn.v_proj.weight, third)


def test_unknown_and_missing_keys_are_named() -> None:
    state = published() | {"style_blip.visual_encoder.novelty": torch.zeros(1)}
    gone = "style_blip.Qformer.bert.encoder.layer.1.output_query.dense.weight"
    del state[gone]
    keys = official.read(state).keys
    assert keys.strange == ("style_blip.visual_encoder.novelty",)
    assert keys.missing == ("network.style.qformer.encoder.layer.1.output_query.dense.weight",)
    assert describe(keys)[1:] == [
        "unknown: style_blip.visual_encoder.novelty", f"missing: {keys.missing[0]}",
    ]  # fmt: skip


def test_another_checkpoint_is_refused() -> None:
    with pytest.raises(ls.StyleError, match=r"no 'style_blip\.query_tokens'"):
        official.read({"model.diffusion_model.out.2.bias": torch.zeros(4)})


def test_a_shape_that_does_not_fit_is_refused() -> None:
    state = published() | {"content_blip.query_tokens": torch.zeros(1, 9, CONTEXT)}
    with pytest.raises(ls.StyleError, match=r"content_blip\.query_tokens"):
        official.read(state)


def test_convert_writes_what_the_encoder_reads(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(published(), tmp_path / "in.safetensors")
    out = tmp_path / "out.safetensors"
    done = CliRunner().invoke(convert, [str(tmp_path / "in.safetensors"), "-o", str(out)])
    assert done.exit_code == 0, done.output
    one, two = official.read(published()), load(out)
    assert two.family == "sd1" and set(two.towers) == {"style", "content"}
    for first, second in (
        (one.network.state_dict(), two.network.state_dict()),
        (one.towers["content"].state_dict(), two.towers["content"].state_dict()),
    ):
        assert first.keys() == second.keys()
        assert all(torch.allclose(first[k], second[k], atol=2e-3) for k in first)


def test_a_pickle_is_read_only_when_allowed(tmp_path: Path) -> None:
    path, out = tmp_path / "deadiff.ckpt", tmp_path / "out.safetensors"
    torch.save({"state_dict": published(), "global_step": 3}, path)
    refused = CliRunner().invoke(convert, [str(path), "-o", str(out)])
    assert isinstance(refused.exception, ls.StyleError) and not out.exists()
    done = CliRunner().invoke(convert, [str(path), "-o", str(out), "--allow-ckpt"])
    assert done.exit_code == 0 and out.exists()


class Malice:
    """Runs code when it is unpickled by a loader that lets it."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (Path("touched-by-a-pickle"),))


def test_a_pickle_that_runs_code_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "bad.ckpt"
    torch.save({"state_dict": Malice()}, path)
    Path("old.ckpt").write_bytes(pickle.dumps(Malice(), 2))
    for name in ("bad.ckpt", "old.ckpt"):
        done = CliRunner().invoke(convert, [name, "-o", "out.safetensors", "--allow-ckpt"])
        assert isinstance(done.exception, ls.StyleError)
    assert not Path("touched-by-a-pickle").exists() and not Path("out.safetensors").exists()


# --- the style encoder and the fusion


@pytest.fixture
def encoder(backbone: UNetBackbone, tmp_path: Path) -> QFormer:
    trained(backbone).save(tmp_path / "w.safetensors", torch.float32)
    return QFormer(QFormer.Options(weights=str(tmp_path / "w.safetensors")))


REQUEST = ls.StyleRequest("noise", "")


def test_a_style_has_tokens_for_every_cross_attention(
    backbone: UNetBackbone, encoder: QFormer
) -> None:
    style = encoder.encode(pictures(), backbone, REQUEST)
    assert style.kinds == {"tokens"} and style.family == "tiny"
    assert set(style.tokens) == {site.name for site in ls.cross_sites(backbone.sites)}


def test_several_pictures_count_alike(backbone: UNetBackbone, encoder: QFormer) -> None:
    """Equal pictures give what one gives; two give the mean of their tokens."""
    first, second = pictures(2)
    one, two, both, twice = (
        encoder.encode(some, backbone, REQUEST).tokens
        for some in ([first], [second], [first, second], [first, first])
    )
    for name in one:
        assert torch.allclose(one[name].k, twice[name].k, atol=1e-5)
        assert torch.allclose((one[name].v + two[name].v) / 2, both[name].v, atol=1e-5)


def test_two_towers_see_for_themselves(backbone: UNetBackbone, tmp_path: Path) -> None:
    """As in the published model: a CLIP for style, another for content."""
    network = ImageAdapter(SMALL, inner_widths(backbone)).eval().requires_grad_(False)
    towers = {
        part: clip_model(width=8, layers=1, patch=8, side=16) for part in ("style", "content")
    }
    sites = ls.cross_sites(backbone.sites)
    coarse = {sites[number].name for number in SEMANTIC}

    def tokens() -> dict[str, Tensor]:
        Trained(network, "tiny", {}, towers=towers).save(tmp_path / "w.safetensors", torch.float32)
        encoder = QFormer(QFormer.Options(weights=str(tmp_path / "w.safetensors")))
        found = encoder.encode(pictures(), backbone, REQUEST).tokens
        return {name: part.k for name, part in found.items()}

    before = tokens()
    towers["content"].embeddings.class_embedding.neg_()  # a shift would be normalised away
    after = tokens()
    assert {name for name in before if not torch.equal(before[name], after[name])} == coarse


def test_what_is_hidden_under_alpha_is_not_seen(backbone: UNetBackbone, encoder: QFormer) -> None:
    digests = set()
    for hidden in (0, 250):
        picture = pictures()[0].convert("RGBA")
        picture.paste((hidden, 0, 0, 0), (0, 0, 20, 20))
        digests.add(encoder.encode([picture], backbone, REQUEST).digest)
    assert len(digests) == 1


def test_weights_of_another_family_are_refused(backbone: UNetBackbone, tmp_path: Path) -> None:
    trained(backbone, "sd1").save(tmp_path / "w.safetensors")
    encoder = QFormer(QFormer.Options(weights=str(tmp_path / "w.safetensors")))
    with pytest.raises(ls.StyleError, match="made for 'sd1'"):
        encoder.encode(pictures(), backbone, REQUEST)
    with pytest.raises(ls.StyleError, match="ships weights for mini only"):
        QFormer().encode(pictures(), backbone, REQUEST)


def run(scene: ls.Scene, fusion: DEADiff) -> Tensor:
    with torch.no_grad():
        plan = fusion.plan(scene)
        start = plan.start if plan.start is not None else scene.content.at(scene.schedule.noisiest)
        return ls.denoise(scene.backbone, plan, scene.schedule, start).latent


def only(style: ls.Style, sites: set[str]) -> ls.Style:
    return replace(style, tokens={k: v for k, v in style.tokens.items() if k in sites})


@pytest.mark.parametrize("mode", ["style", "content", "both"])
def test_modes_read_their_own_layers(backbone: UNetBackbone, mode: str) -> None:
    """In style mode the content tokens change nothing, and the other way round."""
    one, two = random_tokens(backbone, 1), random_tokens(backbone, 2)
    names = [site.name for site in ls.cross_sites(backbone.sites)]
    coarse = {names[number] for number in SEMANTIC}
    mixed = {n: (two if n in coarse else one).tokens[n] for n in names}
    fusion = DEADiff(DEADiff.Options(mode=mode))  # type: ignore[arg-type]
    found = [
        run(tiny_scene(backbone, [style]), fusion)
        for style in (one, two, replace(one, tokens=mixed))
    ]
    assert torch.equal(found[2], found[0]) == (mode == "style")
    assert torch.equal(found[2], found[1]) == (mode == "content")


def test_outside_the_photo_stays_as_it_is(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [random_tokens(backbone, 1)])
    there = run(scene, DEADiff())
    untouched = scene.shares()[0] == 1
    assert untouched.any() and torch.equal(
        there.masked_select(untouched), scene.latent.masked_select(untouched)
    )


def test_beside_a_lora_each_keeps_to_itself(backbone: UNetBackbone) -> None:
    """With all tokens silent, a LoRA's region is what it is without them."""
    lora, tokens = random_style(backbone, 1), random_tokens(backbone, 2)
    quiet = {"attention_share": 0.0, "feature_share": 0.0}
    scene = tiny_scene(backbone, [lora, tokens])
    mixed = run(scene, DEADiff(DEADiff.Options(**quiet)))
    other = tiny_scene(backbone, [lora, random_tokens(backbone, 3)])
    assert not torch.equal(mixed, run(other, DEADiff(DEADiff.Options(**quiet))))
    without = tiny_scene(backbone, [random_style(backbone, 9), tokens])
    assert not torch.equal(mixed, run(without, DEADiff(DEADiff.Options(**quiet))))


def test_one_softmax_is_the_same_edit_on_hard_masks(backbone: UNetBackbone) -> None:
    scene = tiny_scene(
        backbone,
        [random_tokens(backbone, 1), random_tokens(backbone, 2)],
        [ls.Mask.box((0, 0, 16, 32), size=(32, 32)), ls.Mask.box((16, 0, 32, 32), size=(32, 32))],
    )
    found = [run(scene, DEADiff(DEADiff.Options(one_softmax=form))) for form in (False, True)]
    assert torch.allclose(*found, atol=1e-4)


def test_the_reference_preset_starts_from_noise_alone(backbone: UNetBackbone) -> None:
    """Text to image: with a mask of everything no trace of the photo is left."""
    everywhere = [ls.Mask.everywhere((32, 32))]
    scene = tiny_scene(backbone, [random_tokens(backbone, 1)], everywhere)
    other = replace(scene, content=replace(scene.content, latents={
        t: latent + 1 for t, latent in scene.content.latents.items()
    }))  # fmt: skip
    fusion = DEADiff(DEADiff.PRESETS["reference"])
    assert torch.equal(run(scene, fusion), run(other, fusion))


def test_an_edit_reads_what_was_learned(backbone: UNetBackbone) -> None:
    """A region that covers everything reads its tokens as the training's rows read theirs."""
    sites = ls.cross_sites(backbone.sites)
    tokens = random_tokens(backbone, 1).tokens
    ways = [(tokens[site.name].k[None], tokens[site.name].v[None]) for site in sites]
    scene = tiny_scene(backbone, [random_tokens(backbone, 1)], [ls.Mask.everywhere((32, 32))])
    (extra,) = (
        part for part in DEADiff(DEADiff.Options(mode="both")).plan(scene).interventions
        if isinstance(part, ls.ExtraTokens)
    )  # fmt: skip
    x, states = scene.latent, scene.regions[0].text.states
    with torch.no_grad():
        with beside(backbone, x, ways):
            learned = backbone.predict(x, 500, states)
        with backbone.attach([extra]) as attachment:
            attachment.call = ls.Call(0.0, 500, (ls.Row("+", ls.MIXED),), x.shape[-2:], 1)
            edited = backbone.predict(x, 500, states)
        plain = backbone.predict(x, 500, states)
    assert len(tokens) == len(sites) and not torch.allclose(learned, plain, atol=1e-4)
    assert torch.allclose(learned, edited, atol=1e-5)
