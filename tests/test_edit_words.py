"""Learned words and finer inversions, all the way from a recipe to a picture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.scene import SceneStyle
from locstyle.job.texts import Reading, region_texts
from locstyle.testing import CONTEXT, random_style

FUSIONS = ["vct", "singlepass", "diffstyler"]


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> ls.Editor:
    return ls.Editor(backbone, ls.Host())


def photo() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8))


def ink(backbone: ls.Backbone, seed: int = 0) -> ls.Style:
    vectors = torch.randn(2, CONTEXT, generator=torch.Generator().manual_seed(seed))
    words = {"<ink>": vectors}
    return ls.Style("ink", backbone.family, meta={"trigger": "<ink>"}, words=words)


def run(editor: ls.Editor, *regions: ls.Region, **given: object) -> ls.Result:
    settings: dict[str, object] = {"fusion": ls.Fusing("vct"), "steps": 2, "paste_feather": 0}
    return editor.run(ls.Edit(photo(), regions, **(settings | given)))  # type: ignore[arg-type]


@pytest.mark.parametrize("fusion", FUSIONS)
def test_words_change_their_region_and_nothing_else(editor: ls.Editor, fusion: str) -> None:
    made = [
        run(editor, ls.Region("box:0,0,16,32", ink(editor.backbone, seed)), fusion=fusion)
        for seed in (0, 1)
    ]
    assert all(result.report.outside_identical == 1 for result in made)
    assert not np.array_equal(made[0].photo.pixels, made[1].photo.pixels)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_words_of_strength_zero_are_no_words(editor: ls.Editor, fusion: str) -> None:
    nothing = run(editor, ls.Region("all", ink(editor.backbone), strength=0), fusion=fusion)
    empty = run(editor, ls.Region("all", prompt=""), fusion=fusion)
    assert torch.allclose(nothing.latent, empty.latent, atol=1e-4)
    half, whole = (
        run(editor, ls.Region("all", ink(editor.backbone), strength=s), fusion=fusion)
        for s in (0.5, 1)
    )
    assert not torch.allclose(half.latent, whole.latent, atol=1e-3)


def test_concepts_and_a_lora_share_an_edit_and_its_file(editor: ls.Editor, tmp_path: Path) -> None:
    """Two concepts under one placeholder, a LoRA beside them, from files, replayed exactly."""
    backbone = editor.backbone
    for seed in (0, 1):
        ink(backbone, seed).save(tmp_path / f"ink{seed}.safetensors")
    random_style(backbone).save(tmp_path / "lora.safetensors")  # type: ignore[arg-type]
    photo().save(tmp_path / "photo.png")
    names = ("ink0", "ink1", "lora")
    edit = ls.Edit(
        tmp_path / "photo.png",
        [
            ls.Region(f"box:{10 * i},0,{10 * i + 10},32", str(tmp_path / f"{name}.safetensors"))
            for i, name in enumerate(names)
        ],
        fusion=ls.Fusing("vct", options={"source": "pivot", "pivot_iterations": 1}),
        steps=2,
        inversion_refine=1,
    )
    result = editor.run(edit)
    again = editor.run(ls.Edit.from_dict(result.edit.to_dict()))
    assert np.array_equal(result.photo.pixels, again.photo.pixels)
    assert again.edit.digests == result.edit.digests
    assert result.report.inversion_rows == 2 * 2 + 2 * (1 + 2)


def test_an_edit_refines_any_fusions_inversion(editor: ls.Editor) -> None:
    region = ls.Region("box:0,0,16,32", random_style(editor.backbone))  # type: ignore[arg-type]
    for fusion in ("singlepass", "diffstyler"):
        rows = [
            run(editor, region, fusion=fusion, inversion_refine=n).report.inversion_rows
            for n in (None, 0, 3)
        ]
        assert rows == [4, 2, 8]


def test_a_prompt_that_does_not_mention_the_words_is_refused(editor: ls.Editor) -> None:
    with pytest.raises(ls.RecipeError, match=r"regions\[0\]\.prompt: got 'a hut'.*put '<ink>'"):
        run(editor, ls.Region("all", ink(editor.backbone), prompt="a hut"))
    run(editor, ls.Region("all", ink(editor.backbone), prompt="a <ink> hut"))


def test_words_act_in_their_window_alone(editor: ls.Editor) -> None:
    """Early the one, late the other, in the same region: what the row says changes once."""
    first, second = (
        ls.Style("s", "tiny", meta={"trigger": f"<{n}>"}, words={f"<{n}>": one.words["<ink>"]})
        for n, one in (("a", ink(editor.backbone, 0)), ("b", ink(editor.backbone, 1)))
    )
    parts = [ls.Styling(first, 1, (0, 0.5)), ls.Styling(second, 1, (0.5, 1))]
    alone = [run(editor, ls.Region("all", styles=[part]), steps=4).latent for part in parts]
    both = run(editor, ls.Region("all", styles=parts), steps=4).latent
    whole = run(editor, ls.Region("all", first), steps=4).latent
    for other in (*alone, whole):
        assert not torch.allclose(both, other, atol=1e-3)
    again = [ls.Styling(first, 1, (0, 0.5)), ls.Styling(first, 1, (0.5, 1))]
    joined = run(editor, ls.Region("all", styles=again), steps=4).latent
    assert torch.allclose(joined, whole, atol=1e-4)


def test_one_placeholder_of_two_styles_is_refused_in_a_prompt(editor: ls.Editor) -> None:
    styles = [ls.Styling(ink(editor.backbone, seed)) for seed in (0, 1)]
    with pytest.raises(ls.RecipeError, match=r"regions\[0\]\.prompt: '<ink>' is a word of two"):
        run(editor, ls.Region("all", styles=styles, prompt="a cat in <ink>"))
    run(editor, ls.Region("all", styles=styles))


def test_words_of_another_backbone_are_refused(editor: ls.Editor) -> None:
    words = {"<ink>": torch.zeros(1, 768)}
    style = ls.Style("ink", editor.backbone.family, meta={"trigger": "<ink>"}, words=words)
    with pytest.raises(ls.StyleError, match=r"'<ink>': vectors of shape \(1, 768\)"):
        run(editor, ls.Region("all", style))


def test_words_may_stand_in_negative_prompts(editor: ls.Editor) -> None:
    """The most used embeddings are said in negatives alone: the positive text stays as it was."""
    backbone, style = editor.backbone, ink(editor.backbone)
    schedule = backbone.schedule(2)
    own = ls.Region("all", style)
    edit = ls.Edit(photo(), [own, ls.Region("all", prompt="a")], prompt="a", negative="bad <ink>")
    for index in (0, 1):  # said of the whole edit
        text, negative = region_texts(edit, [[style], []], Reading(backbone), schedule, index)
        assert isinstance(text, ls.Text) and isinstance(negative, ls.Text)
        assert torch.equal(text.states, backbone.text("a").states)
        assert torch.equal(negative.states, backbone.text("bad <ink>", style.words).states)
    none = replace(edit, regions=(ls.Region("all", style, 0.0), edit.regions[1]))
    _, negative = region_texts(none, [[style], []], Reading(backbone), schedule, 0)
    assert isinstance(negative, ls.Text)  # a style of strength 0 is no style
    assert torch.equal(negative.states, backbone.text("bad <ink>").states)
    said = ls.Edit(photo(), [ls.Region("all", style, prompt="b")], negative="<ink>")
    text, _ = region_texts(said, [[style]], Reading(backbone), schedule, 0)
    assert isinstance(text, ls.Text) and torch.equal(text.states, backbone.text("b").states)
    found = run(editor, own, negative="bad <ink>", fusion="singlepass", prompt="a")
    plain = run(
        editor, ls.Region("all", prompt="a"), negative="bad", fusion="singlepass", prompt="a"
    )
    assert not torch.allclose(found.latent, plain.latent, atol=1e-3)


@pytest.mark.parametrize("timesteps", [None, (901, 861, 601, 401, 181, 81, 41, 21, 1)])
@pytest.mark.parametrize("steps", [10, 50])
def test_texts_and_interventions_switch_at_the_same_noise(
    editor: ls.Editor, steps: int, timesteps: tuple[int, ...] | None
) -> None:
    """A window is counted in noise by one function, however many steps there are and where."""
    schedule = editor.backbone.schedule(steps)
    schedule = schedule if timesteps is None else replace(schedule, timesteps=timesteps)
    parts = [
        ls.Style(name, "tiny", random_style(editor.backbone).deltas, {"trigger": name})  # type: ignore[arg-type]
        for name in ("early", "late")
    ]
    region = ls.Region(
        "all", styles=[ls.Styling(parts[0], 1, (0, 0.5)), ls.Styling(parts[1], 1, (0.5, 1))]
    )
    edit = ls.Edit(np.zeros((32, 32, 3), np.uint8), (region,))
    text = region_texts(edit, [parts], Reading(editor.backbone), schedule, 0)[0]
    for t in schedule.timesteps:
        call = ls.Call(schedule.fraction(t), t, (), (8, 8))
        acting = [
            SceneStyle(style, window=ls.Window(*one.window)).acts(call)
            for style, one in zip(parts, region.styles, strict=True)
        ]
        early = schedule.noisiest - t < 500
        assert acting == [early, not early]
        assert ls.said(text, t).prompt == ("early" if early else "late")
