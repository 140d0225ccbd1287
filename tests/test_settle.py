"""What an edit leaves open, and who decides it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from locstyle import SOLVERS, Edit, Editor, Fusing, Host, RecipeError, Region, Result
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.solvers import STEPS, Sampling
from locstyle.job.settle import QUICK_SIDE, QUICK_STEPS, Settled, settle
from locstyle.replay import embedded_edit
from locstyle.testing import random_style

PHOTO = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> Editor:
    return Editor(backbone, Host())


def edit_of(backbone: UNetBackbone, **given: object) -> Edit:
    regions = (Region("box:4,4,30,28", random_style(backbone, 1)),)
    return Edit(PHOTO, regions, **given)  # type: ignore[arg-type]


def settled(editor: Editor, **given: object) -> Settled:
    return editor.resolve(edit_of(editor.backbone, **given)).settled  # type: ignore[arg-type]


def test_the_usual_where_nobody_says(editor: Editor) -> None:
    usual = Sampling()
    assert settled(editor) == Settled(usual.solver, STEPS[usual.solver], 1, 1.0)
    assert set(STEPS) == set(SOLVERS)


def test_the_edit_says_first(editor: Editor) -> None:
    said = settled(editor, solver="ddim", steps=7, inversion_refine=0, size=(24, 24))
    assert said == Settled("ddim", 7, 0, 1.0)


def test_a_fusions_presets_say_how_they_were_published(editor: Editor) -> None:
    """Named in the code, not in the edit: DDIM, 50 steps."""
    for name in ("diffstyler", "deadiff", "vct"):
        fusing = Fusing(name, preset="reference")
        found = settled(editor, fusion=fusing)
        assert (found.solver, found.steps) == ("ddim", 50), name
        assert settled(editor, fusion=fusing, steps=9).steps == 9
    assert settled(editor, fusion=Fusing("diffstyler", preset="reference")).refine == 0
    assert settled(editor, fusion=Fusing("vct", preset="reference")).refine == 0


def test_another_solver_than_the_fusions_takes_its_own_number_of_steps(editor: Editor) -> None:
    fusing = Fusing("diffstyler", preset="reference")
    found = settled(editor, fusion=fusing, solver="dpm++2m")
    assert (found.solver, found.steps) == ("dpm++2m", STEPS["dpm++2m"])
    assert settled(editor, solver="ddim").steps == STEPS["ddim"]


def test_a_fusion_that_says_nothing_gets_the_usual(backbone: UNetBackbone) -> None:
    class Plain:
        inversion = Host().fusion("singlepass").inversion

    found = settle(edit_of(backbone), Plain(), backbone)  # type: ignore[arg-type]
    assert (found.solver, found.steps) == ("dpm++2m", STEPS["dpm++2m"])


def test_what_cannot_be_is_refused(editor: Editor) -> None:
    with pytest.raises(RecipeError, match=r"solver: got 'ddmi'; did you mean 'ddim'\?"):
        settled(editor, solver="ddmi")
    pivot = Fusing("vct", options={"source": "pivot"})
    with pytest.raises(RecipeError, match=r"solver: got 'dpm\+\+2m', but fusion 'vct' .* give 'dd"):
        settled(editor, fusion=pivot, solver="dpm++2m")
    assert settled(editor, fusion=pivot).solver == "ddim"
    assert settled(editor, fusion=pivot, quick=True).solver == "ddim"


def test_a_preview_is_small_short_and_marked(editor: Editor, tmp_path: Path) -> None:
    found = settled(editor, quick=True)
    assert found.steps == QUICK_STEPS and found.side == QUICK_SIDE < 1
    assert settled(editor, quick=True, steps=9) == replace(found, steps=9)
    result = editor.run(edit_of(editor.backbone, quick=True))
    assert (
        result.edit.quick and result.report.rows < editor.run(edit_of(editor.backbone)).report.rows
    )
    finished = editor.run(edit_of(editor.backbone)).edit
    assert finished.frames and not finished.previewed().frames  # a preview's are its own
    with pytest.raises(RecipeError, match="in memory"):
        result.edit.to_dict()
    full = edit_of(editor.backbone, solver="ddim", steps=40, inversion_refine=3, size=32, seed=5)
    assert full.previewed() == Edit(PHOTO, full.regions, seed=5, quick=True)


@pytest.mark.parametrize(
    "fusing", [Fusing(), Fusing("vct"), Fusing("diffstyler", options={"guidance": 3.0})]
)
def test_a_finished_edit_says_everything_and_runs_the_same(editor: Editor, fusing: Fusing) -> None:
    done = editor.run(edit_of(editor.backbone, fusion=fusing, steps=2))
    edit = done.edit
    assert (edit.solver, edit.steps, edit.inversion_refine) == ("dpm++2m", 2, 1)
    assert edit.size is None and [frame.draws for frame in edit.frames] == [(0,)]
    factory = editor.host.find("fusions", fusing.name).factory
    assert set(edit.fusion.options) == set(factory.Options.__dataclass_fields__)  # type: ignore[attr-defined]
    assert edit.fusion.options["guidance"] == fusing.options.get(
        "guidance", factory.Options().guidance
    )  # type: ignore[attr-defined]
    again = editor.run(edit)
    assert torch.equal(again.latent, done.latent)
    assert again.edit == edit


def test_a_preset_is_written_out_with_its_options(editor: Editor) -> None:
    job = editor.resolve(edit_of(editor.backbone, fusion=Fusing("vct", preset="subject")))
    assert job.edit.fusion.preset == "subject"
    assert job.edit.fusion.options["self_share"] == 0.3
    assert job.edit.fusion.options["most_tokens"] == 1024


def test_a_solver_changes_the_regions_and_nothing_else(editor: Editor) -> None:
    one, other = (
        editor.run(edit_of(editor.backbone, solver=solver, steps=5, feather=0, paste_feather=0))
        for solver in ("ddim", "dpm++2m")
    )
    changed = (one.photo.pixels != other.photo.pixels).any(-1)
    assert changed.any() and not changed[:4].any() and not changed[:, 30:].any()
    assert one.report.rows == other.report.rows
    assert one.report.inversion_rows == other.report.inversion_rows == 10


def test_the_recipe_in_a_picture_reads_back_to_the_edit_that_made_it(
    editor: Editor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random_style(editor.backbone, 1).save("one.safetensors")  # type: ignore[arg-type]
    Image.fromarray(PHOTO).save("photo.png")
    edit = Edit("photo.png", (Region("box:4,4,30,28", "one.safetensors"),), steps=2)
    result: Result = editor.run(edit)
    assert embedded_edit(result.save("out.png")) == result.edit


def test_a_window_between_two_steps_is_warned_of(editor: Editor) -> None:
    style = random_style(editor.backbone, 1)  # type: ignore[arg-type]
    late = (Region("all", style, window=(0.9, 1.0)),)
    with pytest.warns(UserWarning, match=r"regions\[0\]\.window: none of the 5 steps begins in \["):
        editor.resolve(Edit(PHOTO, late, steps=5))
    editor.resolve(Edit(PHOTO, late, steps=10))
    editor.resolve(Edit(PHOTO, (replace(late[0], strength=0.0),), steps=5))
