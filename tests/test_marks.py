"""Marks in prompts: weights, BREAK and long prompts, against what the encoders themselves say."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import locstyle as ls
from locstyle.edit.checks import PLAIN
from locstyle.engine.backbones.marks import escaped, read_marks, unmarked
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.prompts import warn_of_marks
from locstyle.job.texts import WINDOWS, Reading, region_texts
from locstyle.testing import random_style, random_tokens, tiny_backbone, tiny_xl

ROOM = 14
"""Tokens of a prompt in a window of the tiny backbones, which has 16: letters, one each."""


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a house, in  a meadow", [[("a house, in  a meadow", 1.0)]]),
        ("a (b) c", [[("a ", 1.0), ("b", 1.1), (" c", 1.0)]]),
        ("((b))", [[("b", 1.21)]]),
        ("[b]", [[("b", 1 / 1.1)]]),
        ("(a b:1.3) c", [[("a b", 1.3), (" c", 1.0)]]),
        ("([a] b:2)", [[("a", 2 / 1.1), (" b", 2.0)]]),
        ("(a:.5)(b:0)", [[("a", 0.5), ("b", 0.0)]]),
        (r"a \(b\) \[c\]", [[("a (b) [c]", 1.0)]]),
        ("never (closed", [[("never ", 1.0), ("closed", 1.1)]]),
        ("never opened) 12:30)", [[("never opened) 12:30)", 1.0)]]),
        ("a BREAK b", [[("a", 1.0)], [("b", 1.0)]]),
        ("(a BREAK b:1.5)", [[("a", 1.5)], [("b", 1.5)]]),
        ("BREAK a BREAK BREAK b BREAK", [[("a", 1.0)], [("b", 1.0)]]),
        ("BREAKING a", [[("BREAKING a", 1.0)]]),
        ("(<x(1)>:2)", [[("<x(1)>", 2.0)]]),
        ("", [[("", 1.0)]]),
    ],
)
def test_marks_are_those_of_the_web_uis(prompt: str, parts: list[list[Any]]) -> None:
    found = read_marks(prompt, ["<x(1)>"])
    assert [[piece.text for piece in part] for part in found] == [
        [text for text, _ in part] for part in parts
    ]
    weights = [piece.weight for part in found for piece in part]
    assert weights == pytest.approx([weight for part in parts for _, weight in part])


def test_nothing_of_an_escaped_text_is_a_mark() -> None:
    for text in ("saber (fate) [x]", "a\\b(", "((1:2))"):
        assert unmarked(escaped(text)) == text


@pytest.mark.parametrize("prompt", ["(a:11)", "(a:-99)", "((a:9):9)"])
def test_weights_beyond_all_measure_are_refused_at_their_place(
    prompt: str, backbone: UNetBackbone
) -> None:
    edit = edit_of(backbone, prompt=prompt)
    with pytest.raises(ls.RecipeError, match=r"regions\[0\].prompt: 'a' weighs -?\d+; give weig"):
        ls.Editor(backbone, ls.Host()).resolve(edit)


def spoken(backbone: UNetBackbone, letters: str) -> Tensor:
    """One window as diffusers encodes it: of SDXL the last states but one, side by side."""
    found = []
    for number in ("", "_2"):
        encoder = backbone.modules.get(f"text_encoder{number}")
        if encoder is None:
            continue
        tokenizer = backbone._encoders[f"text_encoder{number}"].tokenizer
        ids = tokenizer(letters, padding="max_length", return_tensors="pt").input_ids
        with torch.no_grad():
            said = encoder(ids, output_hidden_states=True)
        is_xl = len(backbone._encoders) > 1
        found.append(said.hidden_states[-2] if is_xl else said.last_hidden_state)
    return torch.cat(found, -1)


@pytest.mark.parametrize("make", [tiny_backbone, tiny_xl])
def test_weights_move_states_from_those_of_the_empty_text(
    make: Callable[[], UNetBackbone],
) -> None:
    backbone = make()
    plain, empty = spoken(backbone, "a b c"), spoken(backbone, "")
    weights = torch.ones(16)
    weights[2], weights[3] = 1.5, 0.4
    wanted = empty + weights[None, :, None] * (plain - empty)
    text = backbone.text("a(b:1.5)(c:0.4)", windows=4)
    assert torch.allclose(text.states, wanted, atol=1e-6) and not text.cut
    assert torch.equal(text.states[:, [0, 1]], backbone.text("a b c").states[:, [0, 1]])  # weigh 1
    nothing = backbone.text("a(b:0)", windows=4).states
    assert torch.allclose(nothing[:, 2], empty[:, 2], atol=1e-6)


@pytest.mark.parametrize("make", [tiny_backbone, tiny_xl])
def test_long_prompts_go_on_in_the_next_window(make: Callable[[], UNetBackbone]) -> None:
    backbone = make()
    letters = [chr(97 + n % 26) for n in range(2 * ROOM + 3)]
    windows = [letters[:ROOM], letters[ROOM : 2 * ROOM], letters[2 * ROOM :]]
    text = backbone.text(" ".join(letters), windows=4)
    wanted = [spoken(backbone, " ".join(one)) for one in windows]
    assert torch.allclose(text.states, torch.cat(wanted, 1), atol=1e-6)
    assert (text.used, text.cut) == (2 * 16 + 3 + 2, "")
    two = backbone.text(" ".join(letters), windows=2)
    assert two.states.shape[1] == 32 and two.cut == "c d e"
    broken = backbone.text("a b BREAK c", windows=4)
    wanted = [spoken(backbone, "a b"), spoken(backbone, "c")]
    assert torch.allclose(broken.states, torch.cat(wanted, 1), atol=1e-6)


def test_a_word_is_not_torn_and_a_learned_one_weighs(backbone: UNetBackbone) -> None:
    """The tiny tokenizer knows letters alone: what a space does not part is one word."""
    text = backbone.text("abcdefghij klmnopq", windows=4)
    wanted = torch.cat([spoken(backbone, "abcdefghij"), spoken(backbone, "klmnopq")], 1)
    assert torch.allclose(text.states, wanted, atol=1e-6)
    words = {"<ink>": backbone.word_vectors("xyz")}
    said = backbone.text("abcdefghijkl (<ink>:1.5)", words, windows=4)
    assert said.spans == {"<ink>": (17, 20)} and said.states.shape[1] == 32
    alone = backbone.text("<ink>", words).states
    empty = backbone.text("").states
    moved = empty + 1.5 * (alone - empty)
    assert torch.allclose(said.states[:, 17:20], moved[:, 1:4], atol=1e-6)


def edit_of(backbone: UNetBackbone, **given: Any) -> ls.Edit:
    photo = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    first = ls.Region("box:0,0,20,32", random_style(backbone, 1), **given)
    second = ls.Region("box:20,0,40,32", random_style(backbone, 2), prompt="b")
    return ls.Edit(photo, (first, second), prompt="a", steps=2, feather=0.0, size="native")


def states_of(edit: ls.Edit, backbone: UNetBackbone, windows: int | None) -> list[Tensor]:
    schedule = backbone.schedule(2)
    reading, styles = Reading(backbone, windows), [[one.style] for one in edit.regions]
    found = [region_texts(edit, styles, reading, schedule, n) for n in (0, 1)]  # type: ignore[arg-type]
    return [text.states for pair in found for text in pair]  # type: ignore[union-attr]


def test_without_marks_nothing_changes_by_a_bit(backbone: UNetBackbone) -> None:
    edit = edit_of(backbone, prompt="a, b.  c!", negative="bad")
    weighted, plain = (states_of(edit, backbone, windows) for windows in (WINDOWS, None))
    assert all(map(torch.equal, weighted, plain))
    editor = ls.Editor(backbone, ls.Host())
    one, other = editor.run(edit), editor.run(replace(edit, prompts=PLAIN))
    assert torch.equal(one.latent, other.latent)
    assert one.edit.prompts == "weighted" and other.edit.prompts == "plain"


@pytest.mark.parametrize("fusion", ["singlepass", "diffstyler", "vct"])
def test_a_regions_marks_are_its_own(backbone: UNetBackbone, fusion: str) -> None:
    """The other region is drawn as if its neighbour said nothing in particular."""
    editor = ls.Editor(backbone, ls.Host())
    alone = {"apart": True, "structure": 0.0} if fusion == "singlepass" else {}
    how = ls.Fusing(fusion, options=alone)
    results = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ls.LocstyleWarning)  # vct has one window
        for prompt in ("a", "(a:3)", "a b BREAK c", "a " * 30):
            edit = replace(edit_of(backbone, prompt=prompt), fusion=how)
            results[prompt] = texts_seen(editor, edit)
    plain = results.pop("a")
    for prompt, found in results.items():
        assert not equal(found[0], plain[0]) or (fusion == "vct" and "BREAK" not in prompt), prompt
        assert equal(found[1], plain[1]), prompt


def texts_seen(editor: ls.Editor, edit: ls.Edit) -> list[Tensor]:
    with torch.inference_mode():
        job = editor.resolve(edit)
        reading = Reading.of(job.edit, job.fusion, editor.backbone)
        schedule = editor.backbone.schedule(2)
        pairs = [region_texts(job.edit, job.styles, reading, schedule, n) for n in (0, 1)]
    editor.run(job)  # and such texts run together
    return [text.states for text, _ in pairs]  # type: ignore[union-attr]


def equal(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


@pytest.mark.parametrize("tokens", [False, True])
def test_a_text_in_fewer_windows_is_read_as_if_it_were_alone(
    backbone: UNetBackbone, tokens: bool
) -> None:
    """Beside a neighbour of three windows, and where style tokens share its softmax."""
    edit = edit_of(backbone, prompt="a")
    if tokens:
        first, second = edit.regions
        edit = replace(edit, regions=(replace(first, style=random_tokens(backbone)), second))
    with torch.inference_mode():
        scene = make_scene_of(backbone, edit)
        assert torch.allclose(
            predicted(backbone, scene, 3), predicted(backbone, scene, 1), atol=1e-4
        )


def make_scene_of(backbone: UNetBackbone, edit: ls.Edit) -> ls.Scene:
    from locstyle.job.make_scene import inverter_of, make_scene

    job = ls.Editor(backbone, ls.Host()).resolve(edit)
    inverter = inverter_of(job, backbone, None)
    return make_scene(job, job.frames[0], inverter, lambda step: None)[0]


def predicted(backbone: UNetBackbone, scene: ls.Scene, copies: int) -> Tensor:
    """What is drawn where the second region's negative text stands `copies` times."""
    fusion = ls.Host().fusion("singlepass", {})
    text = scene.regions[1].negative
    assert isinstance(text, ls.Text)
    longer = replace(text, states=text.states.repeat(1, copies, 1))
    regions = (scene.regions[0], replace(scene.regions[1], negative=longer))
    plan = fusion.plan(replace(scene, regions=regions))
    return ls.denoise(backbone, plan, scene.schedule, scene.start(0)).latent


def test_what_was_finished_before_marks_had_a_meaning_replays_as_it_was() -> None:
    bare = {"locstyle": 2, "image": "p.png", "regions": [{"mask": "all", "style": "neon"}]}
    assert ls.Edit.from_dict(bare).prompts is None
    assert ls.Edit.from_dict({**bare, "digests": {"image": "0"}}).prompts == "plain"
    said = {**bare, "digests": {"image": "0"}, "prompts": "weighted"}
    assert ls.Edit.from_dict(said).prompts == "weighted"
    assert ls.Edit.from_dict({**bare, "locstyle": 1}).prompts == "plain"
    with pytest.raises(ls.RecipeError, match="prompts: got 'a1111'; give weighted or plain"):
        ls.Edit.from_dict({**bare, "prompts": "a1111"})


def test_a_trigger_is_no_mark(backbone: UNetBackbone) -> None:
    style = ls.Style("s", "tiny", random_style(backbone).deltas, {"trigger": "x (y) [z]"})
    edit = replace(edit_of(backbone), regions=(ls.Region("all", style),), prompt="a")
    reading = Reading(backbone, WINDOWS)
    text, _ = region_texts(edit, [[style]], reading, backbone.schedule(2), 0)
    assert isinstance(text, ls.Text)
    assert torch.equal(text.states, backbone.text("x (y) [z] of a").states)


@pytest.mark.parametrize(
    "prompt",
    [
        "a" + " " * 300_000 + "b",
        "a:" + "1" * 300_000,
        "(a" * 100_000 + ":1)" * 100_000,
        "(a[b" * 60_000,
    ],
    ids=["spaces", "digits", "nested", "open"],
)
def test_marks_of_any_text_are_read_at_once(prompt: str) -> None:
    start = time.process_time()
    with suppress(ls.RecipeError):  # weighs too much, of those that stay open
        read_marks(prompt)
    assert time.process_time() - start < 5


def test_of_a_text_that_is_far_too_long_a_warning_quotes_some() -> None:
    reading = Reading(tiny_backbone(), WINDOWS)
    with pytest.warns(ls.LocstyleWarning, match=r"prompt: longer than 4 times .* words\)$") as said:
        reading.text("a b c d " * 5000, "prompt")
    assert len(str(said[0].message)) < 300


def test_a_break_that_has_no_window_is_named_as_the_reason() -> None:
    one = Reading(tiny_backbone(), 1)
    with pytest.warns(ls.LocstyleWarning, match=r"BREAK begins .* reads one text window.*cut: 'b'"):
        one.text("a BREAK b", "prompt")
    with pytest.warns(ls.LocstyleWarning, match="prompt: longer than the text window"):
        one.text("a b c d " * 50, "prompt")
    with pytest.warns(ls.LocstyleWarning, match=r"reads 4 text windows; .*cut: 'e'"):
        Reading(tiny_backbone(), WINDOWS).text(" BREAK ".join("abcde"), "prompt")


@pytest.mark.parametrize(
    ("prompt", "mark"), [("(ink:1.3) style", "(ink:1.3)"), ("a BREAK b", "BR")]
)
def test_marks_in_the_prompt_of_a_training_are_said_to_be_none(prompt: str, mark: str) -> None:
    with pytest.warns(ls.LocstyleWarning, match=f"{re.escape(mark)}.* has no meaning in a trai"):
        warn_of_marks(prompt)


def test_a_prompt_without_marks_is_learned_in_silence() -> None:
    warn_of_marks("a painting (1889) in [ink], AND <s>")
