"""Pairs of the world say what they should, and the Q-Former's training goes on where it stopped."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from locstyle_lab import questions, separation, train_qformer
from locstyle_lab.seen import Seen, calibrated, seen
from locstyle_lab.training import Run, WindowStage
from locstyle_lab.triples import held_out, triples
from locstyle_plugins.deadiff.encoder import MINI, QFormer
from locstyle_plugins.deadiff.networks import SEMANTIC, QFormerSizes
from locstyle_plugins.deadiff.trained import Trained, load
from locstyle_plugins.mini import WEIGHTS
from locstyle_plugins.world import HELD_OUT_STYLES, TRAINING_STYLES, World, endless
from PIL import Image
from safetensors import safe_open

import locstyle as ls

SMALL = replace(train_qformer.SIZES, width=128, layers=1, inner=16)
STAGES = (WindowStage(0.5, 8, 6), WindowStage(1.0, 16, 3))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    work, out = tmp_path_factory.mktemp("work"), tmp_path_factory.mktemp("out")
    return Run(minutes=0.02, work=work, out=out, init=WEIGHTS, scenes=3)


@pytest.fixture(scope="module")
def known(run: Run) -> Seen:
    backbone = ls.load_backbone(WEIGHTS, device="cpu", family="mini")
    drawn = triples(run.work, scenes=run.scenes)
    scale = calibrated(drawn, backbone, run.work / "calibration.safetensors")
    return seen(drawn, backbone, run.work / "seen-3", scale)


@pytest.fixture
def few_probes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(train_qformer, "_PROBED", 1)
    yield


def pairs(known: Seen, task: questions.Task) -> list[questions.Pair]:
    dice = np.random.default_rng(0)
    return [questions.draw_pair(known, task, dice) for _ in range(40)]


def test_a_style_without_a_name_is_the_same_everywhere() -> None:
    """A number is a style: it gives the same picture again, and another number another one."""
    scene = World(0, 64).scene(3)
    first, again, other = (scene.painted(endless(number), 0) for number in (7, 7, 8))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_scenes_are_drawn_in_a_named_and_in_nameless_styles(known: Seen) -> None:
    drawn = known.triples.drawn
    assert known.triples.pictures.shape == (15, 128, 128, 3) and len(drawn) == 15
    assert [picture.medium for picture in drawn[:1]] == ["a photo"]
    assert drawn[1].style in TRAINING_STYLES and drawn[1].style in str(drawn[1].medium)
    assert all(picture.medium is None for picture in drawn[2:5])


def test_no_held_out_style_is_learned_from(known: Seen) -> None:
    assert not {picture.style for picture in known.triples.drawn} & set(HELD_OUT_STYLES)
    assert {picture.style for picture in held_out(1).drawn} == set(HELD_OUT_STYLES)


def test_pairs_share_what_their_task_says(known: Seen) -> None:
    drawn = known.triples.drawn
    for pair in pairs(known, "style"):
        assert drawn[pair.target].style == drawn[pair.reference].style
        alone = not known.triples.same_style[pair.target]
        assert (drawn[pair.target].scene != drawn[pair.reference].scene) or alone
    for pair in pairs(known, "content"):
        assert drawn[pair.target].scene == drawn[pair.reference].scene
        assert drawn[pair.target].style != drawn[pair.reference].style
    assert all(pair.target == pair.reference for pair in pairs(known, "both"))


def test_words_leave_out_what_the_reference_has_to_say(known: Seen) -> None:
    """No style in the words where style is to be learned, its words where content is, and none."""
    drawn = known.triples.drawn
    for pair in pairs(known, "style"):
        assert not any(f"{style} style" in pair.prompt for style in TRAINING_STYLES)
        assert drawn[pair.target].things in pair.prompt
    for pair in pairs(known, "content"):
        assert pair.prompt.startswith(str(drawn[pair.target].medium))
    assert {pair.prompt for pair in pairs(known, "both")} == {""}


def test_a_batch_reads_what_its_tasks_say(known: Seen) -> None:
    asked = questions.draw(known, 6, 8, np.random.default_rng(0))
    assert asked.noisy.shape == (6, 4, 8, 8)
    assert asked.reference.shape == (6, *known.kept.shape[1:])
    assert not asked.content[[0, 3]].any() and not asked.style[[1, 4]].any()
    assert asked.style[[2, 5]].all() and asked.content[[2, 5]].all()


def test_what_was_seen_is_read_again(run: Run, known: Seen) -> None:
    written = (run.work / "seen-3" / "tokens.npy").stat().st_mtime_ns
    again = seen(known.triples, known.backbone, run.work / "seen-3", known.calibration)
    assert torch.equal(again.latents, known.latents)
    assert (run.work / "seen-3" / "tokens.npy").stat().st_mtime_ns == written


def test_only_what_is_new_learns(known: Seen) -> None:
    """The backbone's weights stay as they are and get no gradients; every task reaches the new."""
    before = known.backbone.weights_digest()
    network = train_qformer.new_network(known, SMALL)
    asked = questions.draw(known, 6, 8, np.random.default_rng(0))
    train_qformer.errors(known.backbone, network, asked).sum().backward()
    assert all(way.i_to_v.weight.grad.abs().sum() > 0 for way in network.ways)
    for part in (network.style, network.content):
        assert part.query_tokens.grad is not None and part.query_tokens.grad.abs().sum() > 0
    assert all(p.grad is None for p in known.backbone.unet.parameters())
    assert known.backbone.weights_digest() == before


@pytest.mark.slow
@pytest.mark.usefixtures("few_probes")
def test_training_writes_weights_and_goes_on(run: Run, known: Seen) -> None:
    train_qformer.train_qformer(run, SMALL, STAGES)
    first = load(run.out / "qformer.safetensors")
    assert first.family == "mini" and set(first.calibration) == {"mean", "spread"}
    said = json.loads((run.work / "qformer-log.jsonl").read_text("utf-8").splitlines()[-1])
    assert np.isfinite([said[key] for key in ("right", "wrong", "none")]).all()
    train_qformer.train_qformer(replace(run, minutes=0.04), SMALL, STAGES)
    second = load(run.out / "qformer.safetensors")
    assert int(second.meta["steps"]) > int(first.meta["steps"])


def test_sizes_fit_the_backbone(known: Seen) -> None:
    sizes: QFormerSizes = train_qformer.SIZES
    width = known.backbone.unet.config.cross_attention_dim
    network = train_qformer.new_network(known, sizes)
    assert sizes.width == width and len(network.ways) == 16
    assert sum(p.numel() for p in network.parameters()) < 4e6


@pytest.mark.slow
def test_a_sheet_shows_references_and_what_they_give(
    known: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step: the picture of words alone is the one of absent tokens, so nothing leaks in."""
    for name, value in (("_KNOWN", 1), ("_LEVELS", (350,)), ("_STYLES", HELD_OUT_STYLES[:2])):
        monkeypatch.setattr(separation, name, value)
    network = train_qformer.new_network(known, SMALL).eval()
    trained = Trained(network, "mini", {}, known.calibration)
    painted = separation.separation(known.backbone, trained, steps=1, asked=2)
    assert painted.sheet.shape == (3 * 128, 3 * 128, 3) and len(painted.prompts) == 2
    assert 0 <= painted.style <= 1 and painted.words in (0, 0.25, 0.5, 0.75, 1)
    other = Trained(train_qformer.new_network(known, SMALL).eval(), "mini", {}, known.calibration)
    again = separation.separation(known.backbone, other, steps=1, asked=2)
    assert np.array_equal(painted.plain, again.plain)
    assert not np.array_equal(painted.styled, again.styled)


@pytest.mark.slow
def test_shipped_weights_tell_styles_from_scenes(known: Seen) -> None:
    """Styles never learned: two scenes in one style are nearer than one scene in two."""
    encoder, world = QFormer(), World(5000, 128)
    fine = {
        site.name
        for n, site in enumerate(ls.cross_sites(known.backbone.sites))
        if n not in SEMANTIC
    }
    found = {}
    for number in (0, 1):
        for style in HELD_OUT_STYLES[:3]:
            picture = Image.fromarray(world.scene(number).render(style))
            tokens = encoder.encode([picture], known.backbone, ls.StyleRequest("x", "")).tokens
            assert len(tokens) == 16 and all(part.k.shape[0] == 16 for part in tokens.values())
            found[style, number] = torch.cat([tokens[name].v.flatten() for name in sorted(fine)])
    for style in HELD_OUT_STYLES[:3]:
        apart = torch.dist(found[style, 0], found[style, 1])
        others = [
            torch.dist(found[style, 0], found[o, 0]) for o in HELD_OUT_STYLES[:3] if o != style
        ]
        assert apart < min(others)


def test_shipped_weights_are_small_and_half_precision() -> None:
    with safe_open(MINI, "pt") as file:
        kinds = {key: file.get_slice(key).get_dtype() for key in file.keys()}
    assert {kind for key, kind in kinds.items() if key.startswith("network.")} == {"F16"}
    assert MINI.stat().st_size < 8e6 and MINI.suffix == ".safetensors"
