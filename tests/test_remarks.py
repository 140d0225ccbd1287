"""What still runs but was hardly meant is said, at resolve and with its place."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import locstyle as ls
from locstyle.cli.report import region_lines
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, random_words


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> ls.Editor:
    return ls.Editor(backbone, ls.Host())


@pytest.fixture
def edit(backbone: UNetBackbone) -> ls.Edit:
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
    regions = (
        ls.Region("box:0,0,20,40", random_style(backbone, 1)),
        ls.Region("box:20,0,40,40", random_words(backbone, 2)),
    )
    return ls.Edit(photo, regions, steps=1)


def remarks(editor: ls.Editor, edit: ls.Edit) -> list[tuple[str | None, str]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        editor.resolve(edit)
    found = [one.message for one in caught if isinstance(one.message, ls.LocstyleWarning)]
    return [(one.place, str(one)) for one in found]


def second(edit: ls.Edit, **given: object) -> ls.Edit:
    return replace(edit, regions=(edit.regions[0], replace(edit.regions[1], **given)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("prompt", "found"),
    [
        ("a [sky:sea:0.5]", "'[sky:sea:0.5]' has no meaning here"),
        ("a [sky|sea]", "'[sky|sea]' has no meaning here"),
        ("a (sky:1,3)", "'(sky:1,3)' has no meaning here"),
        ("a sky AND a house", "'AND' has no meaning here"),
        ("a sky <lora:ink:0.8>", "'<lora:ink:0.8>' has no meaning here"),
        ("a sky in <ink>", "'<ink>' has no meaning here"),
    ],
)
def test_what_other_tools_read_in_a_prompt_warns(
    editor: ls.Editor, edit: ls.Edit, prompt: str, found: str
) -> None:
    for place, asked in [
        ("prompt", replace(edit, prompt=prompt)),
        ("negative", replace(edit, negative=prompt)),
        ("regions[1].prompt", second(edit, prompt=f"{prompt} <word-2>")),
        ("regions[1].negative", second(edit, negative=prompt)),
    ]:
        ((where, words),) = remarks(editor, asked)
        assert where == place
        assert words.startswith(f"{place}: {found}")


@pytest.mark.parametrize("prompt", ["a (stormy sky:1.3)", "a sky BREAK a house"])
def test_marks_warn_where_prompts_are_read_as_they_stand(
    editor: ls.Editor, edit: ls.Edit, prompt: str
) -> None:
    assert remarks(editor, replace(edit, prompt=prompt)) == []
    ((place, words),) = remarks(editor, replace(edit, prompt=prompt, prompts="plain"))
    assert place == "prompt" and words.endswith("read as it stands; give `prompts: weighted`")


@pytest.mark.parametrize(
    "prompt", ["a sky (at night): 2 clouds", "in <word-2>", "a < b > c", "1:2"]
)
def test_plain_prompts_warn_of_nothing(editor: ls.Editor, edit: ls.Edit, prompt: str) -> None:
    assert remarks(editor, replace(edit, prompt=prompt)) == []


@pytest.mark.parametrize("black", [1, 3, 5])
def test_a_mask_whose_black_is_not_black_warns(
    editor: ls.Editor, edit: ls.Edit, tmp_path: Path, black: int
) -> None:
    pixels = np.full((40, 40), black, np.uint8)
    pixels[:, 20:] = 255
    Image.fromarray(pixels).save(tmp_path / "m.png")
    ((place, words),) = remarks(editor, second(edit, mask=str(tmp_path / "m.png")))
    assert place == "regions[1].mask"
    assert words.startswith("regions[1].mask: 50% of it is nearly black, up to 5 of 255")
    sharp = second(edit, mask=f"{tmp_path / 'm.png'}|above:0.1")
    assert remarks(editor, sharp) == []
    assert editor.resolve(sharp).coverage[1] == 0.5


def test_soft_masks_warn_of_nothing(editor: ls.Editor, edit: ls.Edit) -> None:
    ramp = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32), (40, 40)).copy()
    for mask in (ramp, ls.Mask.box((0, 0, 20, 20), (40, 40)).feather(40), np.eye(40) * 0.5 + 0.5):
        assert remarks(editor, second(edit, mask=mask)) == []


def test_a_region_that_another_hides_is_warned_of(editor: ls.Editor, edit: ls.Edit) -> None:
    job = editor.resolve(second(edit, mask="box:0,0,30,40"))
    with pytest.warns(ls.LocstyleWarning, match="region 2 lies on top of 100% of region 1") as told:
        assert len(list(region_lines(job))) == 2
    assert told[0].message.place == "regions[0].mask"  # type: ignore[union-attr]
    half = editor.resolve(second(edit, mask="box:10,0,40,40"))
    assert [line for line in region_lines(half) if "over 50% of 1" in line]


def test_what_had_to_be_assumed_of_a_lora_is_said_though_all_of_it_applies(
    editor: ls.Editor, edit: ls.Edit, backbone: UNetBackbone, tmp_path: Path
) -> None:
    style = random_style(backbone, 1, parts=("to_q",))
    keys = {}
    for name, delta in style.deltas.items():
        keys |= {f"unet.{name}.lora_A.weight": delta.down, f"unet.{name}.lora_B.weight": delta.up}
    save_file({k: torch.clone(v) for k, v in keys.items()}, tmp_path / "foreign.safetensors")
    ((place, words),) = remarks(editor, second(edit, style=str(tmp_path / "foreign.safetensors")))
    assert place == "regions[1].style"
    assert "alpha" in words and "rank" in words


def test_a_segmenter_that_cannot_says_which_can(editor: ls.Editor, edit: ls.Edit) -> None:
    class Reader:
        prompts = frozenset({"text"})

        def segment(self, image: Image.Image, prompt: ls.Prompt) -> list[ls.Segment]:
            return []

    class Plugin:
        @ls.hookimpl
        def register_segmenters(self, register: ls.Register) -> None:
            register("reader", Reader)

    with editor.host.temporarily(Plugin(), name="reader-plugin"):
        with pytest.raises(ls.SegmenterError, match=r"--segmenter .*reader.* does$") as caught:
            editor.resolve(second(edit, mask="text:the dog"))
    assert caught.value.place == "regions[1].mask"
