"""An edit as a command and as Python: what they make is the same edit."""

from __future__ import annotations

import shlex
from dataclasses import fields
from importlib import import_module

import pytest
from click.testing import CliRunner

import locstyle as ls
from locstyle.cli import main

EDITS = {
    "plain": ls.Edit("photo.jpg", [ls.Region("auto:3", "neon")]),
    "every option": ls.Edit(
        "my photo's.jpg",
        (
            ls.Region("brush:12:1,2;3,4/!5~0.25:2,2", "a=b, c.safetensors", 1 / 3, "it's a tree"),
            ls.Region(
                'sky.png - "a | b.png"|feather:2.5',
                styles=(
                    ls.Styling("swirl", 0.1 + 0.2, (0.0, 1 / 3)),
                    ls.Styling("qformer:painting.jpg"),
                ),
                negative='say "no"',
                guidance=3.5,
                structure=0.1,
                palette=0.25,
                paste_feather=1e-7,
                feather=0,
                detail=0.5,
            ),
        ),
        backbone="sd15",
        backbone_config="./sd15-config",
        accelerator="fast/lcm.safetensors",
        fusion=ls.Fusing("diffstyler", "reference", {"rate": 0.1, "cuts": [1, 2], "hard": True}),
        segmenter=ls.Segmenting("sam", "fast", {"weights": "a b.pth"}),
        segments="parts/segments.json",
        prompt="a house $HOME",
        negative="-blur",
        prompts="plain",
        solver="ddim",
        steps=7,
        quick=True,
        seed=2**62 + 1,
        grain="auto",
        palette="drawn",
        feather=1 / 7,
        paste_feather=0,
        inversion_refine=0,
    ),
    "other ways": ls.Edit(
        "a.png",
        (ls.Region("rest", "neon", 0.5, window=(0.1, 0.9)),),
        detail=0.1 + 0.2,
    ),
    "a size": ls.Edit("-photo.jpg", [ls.Region("all", "x.png")], size=256),
}


def test_every_key_of_a_recipe_is_tried():
    """A new one has to find its option, too."""
    said = [edit.to_dict() for edit in EDITS.values()]
    regions = [region for one in said for region in one["regions"]]
    assert set().union(*said) >= {f.name for f in fields(ls.Edit)} - {"frames", "digests"}
    assert set().union(*regions) >= {f.name for f in fields(ls.Region)}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_command_of_an_edit_makes_the_same_edit(edit, monkeypatch):
    asked = []
    module = import_module("locstyle.cli.stylize")  # its name in the package is the command's
    monkeypatch.setattr(module, "print_plan", lambda host, edit, running: asked.append(edit))
    words = shlex.split(ls.as_command(edit, output="my out.png"))
    assert words[:2] == ["locstyle", "stylize"] and words[-2:] == ["-o", "my out.png"]
    done = CliRunner().invoke(main, [*words[1:], "--dry-run"])
    assert done.exit_code == 0, done.output
    (made,) = asked
    assert made.to_dict() == edit.to_dict() | {"image": made.image}
    assert made.image in (edit.image, f"./{edit.image}")


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_python_of_an_edit_makes_the_same_edit(edit):
    code = ls.as_python(edit)
    assert max(map(len, code.splitlines())) < 140
    names: dict[str, ls.Edit] = {}
    exec(code.partition("\nresult")[0], names)
    assert names["edit"] == edit


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_the_text_of_an_edit_reads_back(edit):
    assert ls.Edit.from_text(edit.to_yaml()) == edit


def test_a_recipe_as_json_is_read_too():
    assert ls.Edit.from_text(' {"locstyle": 2, "image": "a.png", "regions": [{"mask": "all", '
                             '"style": "neon"}]}').image == "a.png"  # fmt: skip
    with pytest.raises(ls.RecipeError, match="pasted: not valid JSON"):
        ls.Edit.from_text("{", "pasted")


ALL = ls.Region("all", "neon")
ASKED = ls.Region({"segmenter": "sam", "text": "x"}, "neon")
FRAME = ls.Framing((0, 0, 9, 9), (8, 8), (0,))


@pytest.mark.parametrize(
    ("edit", "place"),
    [
        (ls.Edit("a.png", [ASKED]), "regions[0].mask"),
        (ls.Edit("a.png", [ls.Region("all", prompt="a tree")]), "regions[0].style"),
        (ls.Edit("a.png", [ALL], size=(64, 96)), "size"),
        (ls.Edit("a.png", [ALL], frames=(FRAME,)), "frames"),
    ],
    ids=["mapping", "no style", "size", "frames"],
)
def test_what_has_no_option_is_refused_at_its_place(edit, place):
    with pytest.raises(ls.RecipeError, match="save it as a recipe") as caught:
        ls.as_command(edit)
    assert caught.value.place == place
    names: dict[str, ls.Edit] = {}
    exec(ls.as_python(edit).partition("\nresult")[0], names)
    assert names["edit"] == edit
