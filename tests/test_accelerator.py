"""An accelerator is the network's own for the length of an edit, in every row, and fits or is
refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from originals import original_checkpoint
from PIL import Image
from safetensors.torch import save_file

from locstyle import Edit, Editor, Fusing, Host, LocstyleWarning, RecipeError, Region, StyleError
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.interventions.everywhere import Everywhere
from locstyle.engine.solvers import SOLVERS
from locstyle.job.settle import Settled
from locstyle.replay import embedded_edit
from locstyle.style import Delta, Style
from locstyle.style.tempo import USUAL, tempo_of
from locstyle.testing import random_style, random_tokens, random_words
from locstyle.testing.tiny import ATTENTION, tiny_parts

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
SAYS = {"solver": "ddim", "steps": "3", "spacing": "trailing", "guidance": "off"}
STYLES: Mapping[str, Callable[[Any], Any]] = {
    "deltas": lambda backbone: random_style(backbone, 1),
    "tokens": lambda backbone: random_tokens(backbone, 1),
    "words": lambda backbone: random_words(backbone, 1),
    "reference": lambda _: Image.fromarray(PHOTO[::-1].copy()),
}
FUSIONS = {
    "singlepass": "deltas",
    "diffstyler": "deltas",
    "vct": "words",
    "deadiff": "tokens",
    "magicstyle": "reference",
}


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> Editor:
    return Editor(backbone, Host())


def accelerator(backbone: UNetBackbone, seed: int = 9, **said: str) -> Style:
    """A random LoRA of all its layers, those of the time embedding among them."""
    styled = random_style(backbone, seed, parts=(*ATTENTION, "conv1", "ff.net.2"))
    deltas = {name: replace(delta, scale=0.1) for name, delta in styled.deltas.items()}
    draw = torch.Generator().manual_seed(seed)
    for site in backbone.sites:
        if site.side == "none" and site.shape:
            out, into = site.shape[:2]
            down = torch.randn(1, into, generator=draw) / into
            deltas[site.name] = Delta(down, torch.randn(out, 1, generator=draw), 0.1)
    return Style("fast", backbone.family, deltas, {**SAYS, **said})


def zeros(style: Style) -> Style:
    none = {name: replace(d, up=torch.zeros_like(d.up)) for name, d in style.deltas.items()}
    return replace(style, deltas=none)


def edit_of(backbone: UNetBackbone, kind: str = "deltas", **given: Any) -> Edit:
    style = STYLES[kind](backbone)
    regions = (Region("box:4,4,20,28", style), Region("box:20,4,36,28", style))
    return Edit(PHOTO, regions, **given)


def merged(style: Style) -> UNetBackbone:
    """A backbone whose very weights have the deltas in them."""
    parts = tiny_parts()
    with torch.no_grad():
        for name, delta in style.deltas.items():
            layer: Any = parts.unet.get_submodule(name)
            up, down = delta.up.flatten(1), delta.down.flatten(1)
            layer.weight += delta.scale * (up @ down).view_as(layer.weight)
    return UNetBackbone(parts, name="merged", device=torch.device("cpu"), family="tiny")


def test_a_delta_everywhere_is_the_merged_weight(backbone: UNetBackbone) -> None:
    style = accelerator(backbone)
    other, x = merged(style), torch.randn(2, 4, 8, 8)
    states = backbone.text("a").states.expand(2, -1, -1)
    from locstyle import Call, Row

    with torch.no_grad(), backbone.attach([Everywhere(style.deltas)]) as attachment:
        attachment.call = Call(0.0, 500, (Row("a", 0), Row("b", 1)), (8, 8))
        got = backbone.predict(x, 500, states)
    with torch.no_grad():
        assert torch.allclose(got, other.predict(x, 500, states), atol=1e-4)
        assert not torch.allclose(got, backbone.predict(x, 500, states), atol=1e-2)


@pytest.mark.parametrize("solver", sorted(SOLVERS))
def test_an_edit_under_it_is_the_edit_of_merged_weights(editor: Editor, solver: str) -> None:
    """In the inversion, in the photo's own row, in edited rows."""
    style, options = accelerator(editor.backbone), Fusing(options={"guidance": 1.0})  # type: ignore[arg-type]
    asked = {"solver": solver, "steps": 3, "seed": 4}
    fast = editor.run(edit_of(editor.backbone, accelerator=style, **asked))  # type: ignore[arg-type]
    other = Editor(merged(style), Host())
    slow = other.resolve(edit_of(other.backbone, fusion=options, **asked))  # type: ignore[arg-type]
    slow = replace(slow, settled=replace(slow.settled, spacing="trailing"))
    assert torch.allclose(fast.latent, other.run(slow).latent, atol=2e-3)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_of_zeros_changes_nothing_to_the_bit(editor: Editor, fusion: str) -> None:
    """In any fusion; all but what it says of steps and guidance, which the other edit says too."""
    backbone: Any = editor.backbone
    none = zeros(accelerator(backbone, spacing="leading", guidance="kept"))
    plain = edit_of(backbone, FUSIONS[fusion], fusion=Fusing(fusion), solver="ddim", steps=3)
    one, other = editor.run(plain), editor.run(replace(plain, accelerator=none, steps=None))
    assert torch.equal(one.latent, other.latent)
    assert one.report.rows == other.report.rows


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_takes_it_and_leaves_guidance_off(editor: Editor, fusion: str) -> None:
    backbone: Any = editor.backbone
    plain = edit_of(backbone, FUSIONS[fusion], fusion=Fusing(fusion), steps=3)
    fast = replace(plain, accelerator=accelerator(backbone, solver="lcm", spacing="lcm"))
    done = editor.run(fast)
    assert done.report.inversion_rows == 0 and done.edit.solver == "lcm"
    assert done.edit.fusion.options["guidance"] == 1.0
    assert done.report.outside_identical == 1.0
    assert not torch.equal(done.latent, editor.run(plain).latent)
    guided = replace(fast, fusion=Fusing(fusion, options={"guidance": 3.0}))
    assert editor.resolve(guided).edit.fusion.options["guidance"] == 3.0


def test_steps_solver_and_spacing_follow_the_file_unless_the_edit_says(editor: Editor) -> None:
    backbone: Any = editor.backbone

    def settled(**given: Any) -> Settled:
        fast = accelerator(backbone, **given.pop("said", {}))
        return editor.resolve(edit_of(backbone, accelerator=fast, **given)).settled

    assert settled() == Settled("ddim", 3, 1, 1.0, "trailing")
    assert settled(quick=True) == Settled("ddim", 3, 1, 0.75, "trailing")
    assert settled(solver="dpm++2m", steps=5) == Settled("dpm++2m", 5, 1, 1.0, "trailing")
    lcm = {"solver": "lcm", "spacing": "lcm", "steps": "6"}
    assert settled(said=lcm) == Settled("lcm", 6, 0, 1.0, "lcm")
    assert settled(said=lcm).schedule(backbone).timesteps == (999, 839, 679, 499, 339, 179)


@pytest.mark.parametrize(
    ("name", "said", "tempo"),
    [
        ("lcm-lora-sdv1-5", {}, ("LCM", "lcm", 8, "lcm", False)),
        ("lcm-lora-sdxl/pytorch_lora_weights", {}, ("LCM", "lcm", 8, "lcm", False)),
        ("Hyper-SD15-8steps-lora", {}, ("Hyper-SD", "ddim", 8, "trailing", False)),
        ("Hyper-SD15-12steps-CFG-lora", {}, ("Hyper-SD", "ddim", 12, "trailing", True)),
        ("sdxl_lightning_4step_lora", {}, ("Lightning", "ddim", 4, "trailing", False)),
        ("sdxl_lightning_8step_lora", {}, ("Lightning", "ddim", 8, "trailing", False)),
        ("dmd2_sdxl_4step_lora_fp16", {}, ("DMD2", "lcm", 4, "trailing", False)),
        ("x", {"ss_output_name": "my_lightning_2steps"}, ("Lightning", "ddim", 2, "trailing", 0)),
        ("fast", {}, ("", "lcm", 8, "lcm", False)),
        ("fast", {**SAYS, "guidance": "kept"}, ("its own", "ddim", 3, "trailing", True)),
    ],
)
def test_files_are_known_by_header_and_name(
    name: str, said: Mapping[str, str], tempo: tuple[Any, ...]
) -> None:
    found = tempo_of(said, Path("/somewhere") / f"{name}.safetensors")
    assert (found.kind, found.solver, found.steps, found.spacing, found.guided) == tempo


def test_what_cannot_be_one_is_refused_before_the_first_row(editor: Editor, tmp_path: Path) -> None:
    backbone: Any = editor.backbone
    steps: list[object] = []

    def refused(given: Any, message: str, **more: Any) -> None:
        with pytest.raises((RecipeError, StyleError), match=message) as error:
            editor.run(edit_of(backbone, accelerator=given, **more), steps.append)
        assert error.value.place == "accelerator" and not steps

    own = random_style(backbone, 1)
    refused(str(own.save(tmp_path / "neon.safetensors")), "is a style, and no accelerator")
    refused(
        str(tmp_path / "neon.safetensors"), r"neon\.safetensors: is a style.*--region MASK=FILE"
    )
    fast = accelerator(backbone)
    other = replace(fast, family="sdxl").save(tmp_path / "other.safetensors")
    refused(str(other), "made for family 'sdxl', this backbone is 'tiny'")
    words = STYLES["words"](backbone).with_meta(**SAYS)
    refused(words, "carries words; an accelerator is a LoRA of the denoising network")
    refused(str(tmp_path / "none.safetensors"), "is not a file or a known style")
    Image.fromarray(PHOTO).save(tmp_path / "a.png")
    refused(str(tmp_path / "a.png"), "is a picture; give a LoRA file")
    save_file(original_checkpoint(tiny_parts()), tmp_path / "whole.safetensors")
    refused(
        str(tmp_path / "whole.safetensors"),
        "is a checkpoint of .*, and no accelerator; it is a backbone: --backbone FILE",
    )
    lone = tmp_path / "folder" / "fast.safetensors"
    lone.parent.mkdir()
    fast.save(lone)
    refused(str(lone.parent), f"is a folder, and no adapter's; give {str(lone)!r}")
    refused(fast.with_meta(solver="euler"), "asks for '3' steps of 'euler'")
    refused(fast.with_meta(steps="9999"), "asks for '9999' steps")
    refused(fast.with_meta(guidance="some"), "asks for guidance 'some'; this locstyle knows kept")
    unspaced = {name: value for name, value in fast.meta.items() if name != "spacing"}
    refused(replace(fast, meta=unspaced), "its header lacks spacing")
    refused(fast, "learns how to come back", fusion=Fusing("vct", options={"source": "pivot"}))
    reference = Fusing("diffstyler", preset="reference")
    refused(fast, "inverts in 999 steps", fusion=reference)


def test_one_that_does_not_say_is_taken_for_lcms_with_a_warning(
    editor: Editor, tmp_path: Path
) -> None:
    backbone: Any = editor.backbone
    nameless = replace(accelerator(backbone), meta={})
    with pytest.warns(LocstyleWarning, match="taken for a LoRA of LCM's kind: 8 steps of lcm"):
        job = editor.resolve(edit_of(backbone, accelerator=nameless))
    assert (job.settled.solver, job.settled.steps) == (USUAL.solver, USUAL.steps)


def test_a_replay_is_identical_and_says_all(
    editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    backbone: Any = editor.backbone
    random_style(backbone, 1).save("one.safetensors")
    accelerator(backbone, solver="lcm", spacing="lcm").save("fast.safetensors")
    Image.fromarray(PHOTO).save("photo.png")
    regions = (Region("box:4,4,30,28", "one.safetensors"),)
    edit = Edit("photo.png", regions, accelerator="fast.safetensors", seed=3)
    result = editor.run(edit)
    again = embedded_edit(result.save("out.png"))
    assert again == result.edit and again.accelerator == "fast.safetensors"
    assert "accelerator" in again.digests
    replayed = editor.run(again)
    assert torch.equal(replayed.latent, result.latent)
    assert np.array_equal(replayed.photo.pixels, result.photo.pixels)
    assert replayed.edit == result.edit
    assert not torch.equal(editor.run(replace(edit, seed=4)).latent, result.latent)
    assert json.loads(json.dumps(again.to_dict()))["accelerator"] == "fast.safetensors"


@pytest.mark.parametrize("solver", ["ddim", "lcm"])
def test_rows_in_chunks_and_the_forecast_say_the_same(editor: Editor, solver: str) -> None:
    backbone: Any = editor.backbone
    edit = edit_of(backbone, accelerator=accelerator(backbone, solver=solver))
    whole, chunks = editor.run(edit), editor.run(edit, max_rows=1)
    assert torch.allclose(whole.latent, chunks.latent, atol=1e-4)
    (told,) = editor.forecast(edit)
    assert (told.rows, told.inversion_rows) == (whole.report.rows, whole.report.inversion_rows)
    assert whole.report.inversion_rows == (0 if solver == "lcm" else 6)


def test_what_lcm_has_no_use_for_is_refused(editor: Editor) -> None:
    backbone: Any = editor.backbone
    edit = edit_of(backbone, solver="lcm", steps=2)
    with pytest.raises(RecipeError, match="--check: solver 'lcm' inverts nothing"):
        editor.run(edit, check_inversion=True)
    with pytest.raises(RecipeError, match="inversion_refine: got 2, but solver 'lcm' inverts no"):
        editor.run(replace(edit, inversion_refine=2))
    with pytest.raises(RecipeError, match=r"steps: got 51; .* takes 1 to 50"):
        editor.run(replace(edit, steps=51))


def test_the_outside_of_an_edit_by_lcm_is_the_photos(editor: Editor) -> None:
    backbone: Any = editor.backbone
    edit = edit_of(backbone, solver="lcm", steps=3, feather=0, paste_feather=0)
    one, other = editor.run(edit), editor.run(replace(edit, seed=5))
    changed = (one.photo.pixels != other.photo.pixels).any(-1)
    assert changed.any() and not changed[:4].any() and not changed[:, 36:].any()
    assert one.report.outside_identical == 1.0


def test_one_given_to_a_region_is_named_for_what_it_is(editor: Editor, tmp_path: Path) -> None:
    backbone: Any = editor.backbone
    fast = accelerator(backbone)
    for given in (fast, str(fast.save(tmp_path / "fast.safetensors"))):
        edit = Edit(PHOTO, (Region("all", given),), backbone="tiny")
        with pytest.raises(
            StyleError, match=r"is an accelerator, and no style.*--accelerator FILE"
        ):
            editor.resolve(edit)
