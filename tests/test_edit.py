"""The request as data: checks, paths into the recipe, the way through YAML and JSON and back."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import names, selections, texts

from locstyle.edit import Edit, Fusing, Region, Segmenting, Styling
from locstyle.edit.recipe import from_json, from_yaml, to_json, to_yaml
from locstyle.errors import RecipeError, SelectionError
from locstyle.selection import File, parse

MINIMAL = {"locstyle": 2, "image": "a.png", "regions": [{"mask": "all", "style": "neon"}]}

shares = st.floats(0, 1)
softness = st.floats(0, 1e6)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
options = st.dictionaries(texts, scalars | st.lists(scalars, max_size=3), max_size=3)
points = st.lists(st.lists(st.integers(0, 99), min_size=2, max_size=2), max_size=2)
segmenting = st.fixed_dictionaries(
    {"segmenter": names},
    optional={
        "preset": names,
        "points": points,
        "outside": points,
        "text": texts,
        "options": options,
        "refine": st.sampled_from(["fill", "grow:4|feather:8"]),
    },
)
choices = {"name": names, "preset": st.none() | texts, "options": options}
stylings = {
    "style": names,
    "strength": st.floats(0, 2),
    "window": st.tuples(shares, shares).map(sorted).filter(lambda w: w[0] < w[1]),
}
settled = {
    "mask": selections | selections.map(str) | segmenting,
    "prompt": st.none() | texts,
    "negative": st.none() | texts,
    "feather": st.none() | softness,
    "paste_feather": st.none() | softness,
    "guidance": st.none() | st.floats(1, 30),
    "structure": st.none() | st.floats(0, 1),
}
several = st.lists(st.builds(Styling, **stylings), min_size=1, max_size=3)
regions = st.builds(Region, **settled, **stylings) | st.builds(Region, **settled, styles=several)
edits = st.builds(
    Edit,
    image=names | names.map(Path),
    regions=st.lists(regions, min_size=1, max_size=3),
    backbone=names,
    backbone_config=st.none() | names,
    fusion=names | st.builds(Fusing, **choices),
    segmenter=names | st.builds(Segmenting, **choices),
    segments=st.none() | names | names.map(Path),
    prompt=texts,
    negative=texts,
    prompts=st.sampled_from(["weighted", "plain"]),
    accelerator=st.none() | names,
    solver=st.none() | texts,
    steps=st.none() | st.integers(1, 999),
    quick=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    size=st.none() | st.integers(8, 4096) | st.tuples(st.integers(8, 99), st.integers(8, 99)),
    feather=softness,
    paste_feather=softness,
    inversion_refine=st.none() | st.integers(0, 50),
    digests=st.dictionaries(texts, texts, max_size=2),
)


@settings(deadline=None)  # other programs share the machine
@given(edits)
def test_an_edit_survives_plain_data_yaml_and_json(edit):
    data = edit.to_dict()
    assert Edit.from_dict(data) == edit
    assert from_yaml(to_yaml(data), "here") == data
    assert from_json(to_json(data), "here") == data
    assert Edit.from_dict(data).to_dict() == data


def test_a_full_recipe_is_the_identity():
    data = {
        "locstyle": 2,
        "image": "photo.jpg",
        "regions": [
            {
                "mask": {
                    "segmenter": "sam",
                    "preset": "small",
                    "points": [[212, 160]],
                    "outside": [[3, 4]],
                    "boxes": [[0, 0, 300, 300]],
                    "text": "the dog",
                    "options": {"points": 8},
                    "refine": "grow:4|feather:8",
                },
                "style": "ukiyo-e.safetensors",
                "strength": 0.9,
                "prompt": "",
                "negative": "blur",
                "window": [0.1, 0.8],
                "feather": 6.0,
                "paste_feather": 0.0,
                "guidance": 4.0,
                "structure": 0.3,
                "palette": "drawn",
            },
            {
                "mask": "sky.png",
                "styles": [
                    {"style": "neon", "strength": 0.4, "window": [0.0, 0.5]},
                    {"style": "painting.jpg", "strength": 1.0, "window": [0.5, 1.0]},
                ],
            },
        ],
        "backbone": "./a.safetensors",
        "backbone_config": "./config",
        "fusion": {"name": "singlepass", "preset": "sharp", "options": {"guidance": 6.0}},
        "segmenter": {"name": "fastsam", "options": {"size": 640}},
        "segments": "found/segments.json",
        "prompt": "a street",
        "negative": "people",
        "prompts": "weighted",
        "accelerator": "fast.safetensors",
        "solver": "ddim",
        "steps": 20,
        "quick": True,
        "seed": 7,
        "detail": "auto",
        "size": [512, 768],
        "frames": [{"box": [0, 0, 90, 60], "size": [60, 90], "draws": [0, 1]}],
        "grain": 0.5,
        "palette": 0.25,
        "feather": 3.0,
        "paste_feather": 1.0,
        "inversion_refine": 2,
        "digests": {"image": "0f"},
    }
    assert Edit.from_dict(data).to_dict() == data
    assert set(data) - {"locstyle"} == {f.name for f in fields(Edit)}
    assert {*data["regions"][0], "styles", "detail"} == {f.name for f in fields(Region)}


def test_what_is_not_said_has_the_documented_defaults():
    edit = Edit.from_dict(MINIMAL)
    assert edit == Edit("a.png", (Region("all", "neon"),))
    assert (edit.backbone, edit.fusion.name, edit.seed) == ("mini", "singlepass", 0)
    assert (edit.solver, edit.steps, edit.inversion_refine, edit.quick) == (None, None, None, False)
    assert (edit.feather, edit.paste_feather, edit.size) == (2.0, 2.0, None)
    assert (edit.segmenter, edit.segments) == (Segmenting("classic"), None)


def changed(path: str, value: object) -> dict[str, object]:
    """MINIMAL with one value set; "regions.0.x" reaches into lists and mappings."""
    data = json.loads(json.dumps(MINIMAL))
    *way, last = path.split(".")
    place = data
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("locstyle", 3, "locstyle: got 3; give the recipe version, `locstyle: 2`"),
        ("locstyle", None, "locstyle: got None"),
        ("locstyle", True, "locstyle: got True"),
        ("stpes", 5, "stpes: no such key; did you mean 'steps'?"),
        ("regions", [], "regions: zero regions"),
        ("regions", {}, "regions: got {}; give a list"),
        ("regions", [3], "regions[0]: got 3; give a mapping"),
        ("regions.0.strenght", 1, "regions[0].strenght: no such key; did you mean 'strength'?"),
        ("regions.0.strength", 3, "regions[0].strength: got 3; give a number in [0, 2]"),
        ("regions.0.strength", True, "regions[0].strength: got True"),
        ("regions.0.strength", "1", "regions[0].strength: got '1'"),
        ("regions.0.strength", float("nan"), "regions[0].strength: got nan"),
        ("regions.0.style", "", "regions[0].style: got ''; give a file or a known name"),
        ("regions.0.style", None, "regions[0].style: is missing; give a style, or a prompt"),
        ("regions.0.mask", 5, "regions[0].mask: got 5"),
        ("regions.0.mask", {"points": []}, "regions[0].mask.segmenter: got None; give a text"),
        ("regions.0.mask", {"file": "a"}, "regions[0].mask.file: no such key"),
        (
            "regions.0.mask",
            {"segmenter": "s", "points": [[1]]},
            "regions[0].mask.points[0]: got [1]; give [x, y] in photo pixels",
        ),
        ("regions.0.mask", {"segmenter": "s", "box": [0, 0, 1]}, "regions[0].mask.box: got"),
        ("regions.0.mask", {"segmenter": "s", "boxes": [[0]]}, "regions[0].mask.boxes[0]: got [0]"),
        (
            "regions.0.mask",
            {"segmenter": "s", "box": [0, 0, 1, 1], "boxes": []},
            "regions[0].mask.box: stands beside boxes; give one of them",
        ),
        (
            "regions.0.mask",
            {"segmenter": "s", "refine": "gorw:3"},
            "regions[0].mask.refine: no refinement 'gorw'; did you mean 'grow'?",
        ),
        ("regions.0.mask", "pont:1,2", "regions[0].mask: no source 'pont'; did you mean 'point'?"),
        ("segmenter", 3, "segmenter: got 3; give a name"),
        ("segmenter", {"preset": 3}, "segmenter.preset: got 3; give a text"),
        ("segments", 3, "segments: got 3; give a file that `locstyle segment` wrote"),
        ("regions.0.window", [0.5, 0.5], "regions[0].window: got [0.5, 0.5]"),
        ("regions.0.window", [0, 1.5], "regions[0].window[1]: got 1.5"),
        ("regions.0.window", 0.5, "regions[0].window: got 0.5; give [start, end]"),
        ("regions.0.feather", -1, "regions[0].feather: got -1; give a number ≥ 0"),
        ("regions.0.prompt", 4, "regions[0].prompt: got 4; give a text"),
        (
            "regions.0.negative",
            "\udce9",
            "regions[0].negative: got '\\udce9'; give a text in UTF-8",
        ),
        ("prompt", "a \ud83d", "prompt: got 'a \\ud83d'; give a text in UTF-8"),
        ("image", "", "image: got ''; give a picture file"),
        ("image", ["a"], "image: got ['a']"),
        ("steps", 0, "steps: got 0; give a whole number in [1, 999]"),
        ("steps", 1001, "steps: got 1001"),
        ("steps", 5.0, "steps: got 5.0"),
        ("solver", 2, "solver: got 2; give a text"),
        ("quick", "yes", "quick: got 'yes'; give true or false"),
        ("seed", -1, "seed: got -1"),
        ("seed", 2**63, "seed: got 9223372036854775808"),
        ("size", [64], "size: got [64]"),
        ("size", "big", "size: got 'big'"),
        ("size", [64, 1], "size[1]: got 1"),
        ("feather", float("inf"), "feather: got inf"),
        ("fusion", 3, "fusion: got 3; give a name"),
        ("fusion", {"name": ""}, "fusion.name: got ''"),
        ("fusion", {"nam": "a"}, "fusion.nam: no such key; did you mean 'name'?"),
        ("fusion", {"options": {"a": {1: 2}}}, "fusion.options.a: got {1: 2}"),
        ("digests", {"image": 5}, "digests.image: got 5"),
    ],
)
def test_wrong_values_are_refused_with_their_path(path, value, message):
    with pytest.raises(RecipeError) as caught:
        Edit.from_dict(changed(path, value))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("key", ["image", "regions"])
def test_missing_keys_are_named(key):
    with pytest.raises(RecipeError, match=f"{key}: is missing"):
        Edit.from_dict({k: v for k, v in MINIMAL.items() if k != key})
    with pytest.raises(RecipeError, match=r"regions\[0\].mask: is missing"):
        Edit.from_dict(changed("regions", [{"style": "neon"}]))
    with pytest.raises(RecipeError, match="recipe: got 'text'"):
        Edit.from_dict("text")


def test_a_region_may_have_a_prompt_and_no_style():
    assert Region("all", prompt="a red door").style is None


def test_pictures_in_memory_are_taken_but_not_written():
    photo, mask = Image.new("RGB", (8, 8)), np.ones((8, 8))
    with pytest.raises(RecipeError, match=r"image: a Image in memory .* save it to a file"):
        Edit(photo, [Region(mask, "neon")]).to_dict()
    with pytest.raises(RecipeError, match=r"regions\[0\].mask: a ndarray in memory"):
        Edit("a.png", [Region(mask, "neon")]).to_dict()


def test_python_may_write_names_and_lists():
    edit = Edit(
        Path("a.png"), [Region("all", Path("b.safetensors"), window=[0, 0.5])], fusion="singlepass"
    )
    assert Region(Path("a - b.png"), "neon").mask == '"a - b.png"'
    assert Region(File("a.png"), "neon") == Region("file:a.png", "neon") == Region("a.png", "neon")
    assert edit.image == "a.png" and edit.regions[0].style == "b.safetensors"
    assert edit.fusion == Fusing("singlepass") and edit.regions[0].window == (0.0, 0.5)


def test_paths_are_relative_to_the_recipe_and_names_stay_names(tmp_path):
    recipe = tmp_path / "edit.yaml"
    elsewhere = str(tmp_path.parent / "c.png")
    data = changed("regions", [
        {"mask": "sky.png", "style": "neon"},
        {"mask": "file:sky.png - a b.json#3|grow:4", "style": "../loras/x.safetensors"},
        {"mask": "box:0,0,4,4", "style": "./own"},
        {"mask": "all", "style": "own.safetensors"},
        {"mask": elsewhere, "style": "neon"},
        {"mask": {"segmenter": "s", "text": "sky"}, "style": "neon"},
    ])  # fmt: skip
    recipe.write_text(to_yaml(data))
    edit = Edit.open(recipe)
    assert edit.image == str(tmp_path / "a.png") and edit.backbone == "mini"
    assert [r.mask for r in edit.regions] == [
        str(tmp_path / "sky.png"),
        f"{tmp_path / 'sky.png'} - {tmp_path / 'a b.json'}#3|grow:4",
        "box:0,0,4,4",
        "all",
        elsewhere,
        {"segmenter": "s", "text": "sky"},
    ]
    assert [r.style for r in edit.regions] == [
        "neon",
        str(tmp_path / "../loras/x.safetensors"),
        str(tmp_path / "own"),
        str(tmp_path / "own.safetensors"),
        "neon",
        "neon",
    ]


def test_paths_may_be_told_from_elsewhere_and_back(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    regions = (Region("file:a/m.png", "loras/x.safetensors"), Region("all", "neon"))
    edit = Edit(tmp_path / "photo.png", regions, segments="found/segments.json")
    seen = edit.seen_from(Path("out"))
    assert seen.image == "../photo.png" and seen.regions[1] == edit.regions[1]
    assert seen.regions[0] == Region("file:../a/m.png", "../loras/x.safetensors")
    assert seen.segments == "../found/segments.json"
    back = seen.beside(Path("out"))
    assert [Path(f).resolve() for f in back.files] == [Path(f).resolve() for f in edit.files]


@settings(deadline=None)
@given(selections)
def test_a_region_keeps_the_selection_it_was_given(selection):
    region = Region(str(selection), "neon")
    assert region.selection == selection == parse(region.mask)


def test_a_selection_that_cannot_be_read_shows_the_character():
    with pytest.raises(SelectionError) as caught:
        Edit.from_dict(changed("regions.0.mask", "sky.png + pont:1,2"))
    assert str(caught.value).split("\n")[1:] == ["  sky.png + pont:1,2", "            ^"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "image: [", "not valid YAML (line 1"),
        ("a.yaml", "image: a\nimage: b", "key 'image' stands twice"),
        ("a.yaml", "1: a", "key 1 is no text"),
        ("a.yaml", "a: !!python/name:os.system", "not valid YAML"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", '{"a": 1, "a": 2}', "key 'a' stands twice"),
        ("a.yaml", "", "recipe: got None"),
        ("missing.yaml", None, "missing.yaml: cannot be read as a recipe"),
    ],
)
def test_unreadable_recipes_say_where(tmp_path, name, text, message):
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(RecipeError) as caught:
        Edit.open(tmp_path / name)
    assert message in str(caught.value)


def test_yaml_is_read_without_its_traps():
    text = "a: 1e-4\nb: on\nc: no\nd: 010\ne: 10:20\nf: 2024-01-01\ng: 5.\nh: -.5\ni: ~\n"
    assert from_yaml(text, "here") == {
        "a": 1e-4,
        "b": "on",
        "c": "no",
        "d": 10,
        "e": "10:20",
        "f": "2024-01-01",
        "g": 5.0,
        "h": -0.5,
        "i": None,
    }


BOMB = "\n".join(
    ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    + [f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
)

CHAIN = "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 40))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{BOMB}\nregions: *a11", "more than 20000 values, aliases counted"),
        ("fusion: &a {name: x, options: {b: *a}}", "an alias for something that holds it"),
        ("a: &a [1]\nb: [*a, *a]", "a: no such key|locstyle: got None"),
        ("\n".join(f"{' ' * i}a:" for i in range(40)), "more than 32 lists and mappings"),
        (
            "\n".join(["a0: &a0 [x]", *(f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 40))]),
            "32 lists",
        ),
        ("a: " + "[" * 5000, "not valid YAML"),
        ("a: !!timestamp abc", r"'!!timestamp' is not read"),
        ("a: !!int [1]", r"'!!int' is not read"),
        ("a: !!bool maybe", r"'!!bool' is not read"),
        ("a: !!python/object:os.system x", "is not read; leave it out"),
        ("a: " + "1" * 5000, "not valid YAML"),
        ("#" * 200_000, "200000 characters; a recipe has at most"),
    ],
)
def test_recipes_that_mean_more_than_they_say_are_refused_at_once(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=message.replace("200000 characters", "MiB|characters")):
        Edit.open(tmp_path / "r.yaml")
    with pytest.raises(RecipeError, match=message):
        Edit.from_dict(from_yaml(text, "text"))


def test_json_recipes_have_the_same_bounds() -> None:
    for text, message in {
        "[" * 40 + "]" * 40: "more than 32 lists and mappings inside each other",
        "[" * 100_000: "not valid JSON",
        '{"a": 1, "a": 2}': "key 'a' stands twice",
        '"' + "x" * 3 * 2**20 + '"': "a recipe has at most",
        f"[{'0,' * 30_000}0]": "more than 20000 values",
    }.items():
        with pytest.raises(RecipeError, match=message):
            from_json(text, "text")
    many = {f"k{i}": i for i in range(8_000)}
    assert from_json(json.dumps(many), "text") == many


def test_more_regions_than_anybody_draws_are_refused() -> None:
    region = Region("all", "x")
    assert len(Edit("a.png", [region] * 1000).regions) == 1000
    with pytest.raises(RecipeError, match="1001 regions; give at most 1000"):
        Edit("a.png", [region] * 1001)
    with pytest.raises(SelectionError) as caught:
        parse("box:" + "9" * 100_000 + ",1,1,1")
    assert len(str(caught.value)) < 1500


def test_refusals_of_endless_values_are_short() -> None:
    deep: Any = "x"
    for _ in range(40):
        deep = [deep] * 10
    for value in (deep, {"k": deep}, "x" * 10**6, 10**5000, 10**400, -(10**400)):
        with pytest.raises(RecipeError) as caught:
            Edit("a.png", [Region("all", "x")], feather=value)
        assert len(str(caught.value)) < 1500
    for key in ("steps", "seed", "size"):
        with pytest.raises(RecipeError, match=f"{key}: got"):
            Edit("a.png", [Region("all", "x")], **{key: 10**400})


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_recipes_with_a_byte_order_mark_are_read(tmp_path: Path, encoding: str) -> None:
    text = "locstyle: 1\nimage: ä.png\nregions: [{mask: all, style: x}]\n"
    (tmp_path / "r.yaml").write_text(text, encoding)
    if encoding in ("utf-8-sig", "utf-16"):
        assert Edit.open(tmp_path / "r.yaml").image == str(tmp_path / "ä.png")
    else:
        with pytest.raises(RecipeError, match=r"cannot be read as a recipe|not valid YAML"):
            Edit.open(tmp_path / "r.yaml")


def test_a_recipe_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with open(tmp_path / "sparse.yaml", "wb") as file:
        file.truncate(20 * 2**30)
    for name, message in {
        "pipe.yaml": "no regular file",
        "sparse.yaml": "read are at most",
    }.items():
        with pytest.raises(RecipeError, match=message):
            Edit.open(tmp_path / name)
