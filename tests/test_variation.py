"""One edit many times over: what a key means, and which values a text stands for."""

from __future__ import annotations

import pytest

import locstyle as ls
from locstyle.edit import Edit
from locstyle.edit.variation import combinations, described, read_axes, varied
from locstyle.files.pattern import file_name, filled, filled_where_known, places

DATA = {
    "locstyle": 2,
    "image": "photo.png",
    "regions": [{"mask": "a.png", "style": "swirl"}, {"mask": "rest", "style": "neon"}],
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("seed=1..4", [1, 2, 3, 4]),
        ("seed=7,1..2", [7, 1, 2]),
        ("style=swirl,qformer:a b.jpg", ["swirl", "qformer:a b.jpg"]),
        ('prompt="a, b",c', ["a, b", "c"]),
        ("1.structure=0.2,1e-4", [0.2, 1e-4]),
        ("quick=true", [True]),
    ],
)
def test_values_are_read_as_yaml_and_ranges(text, values):
    assert read_axes([text], "--vary") == {text.partition("=")[0]: values}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["seed"], "give KEY=VALUE"),
        (["seed="], "give KEY=VALUE"),
        (["seed=1", "seed=2"], "varied already"),
        (["seed=4..1"], "counts up"),
        (["seed=1..99999999"], "at most"),
        (["seed=[1"], "not valid YAML"),
    ],
)
def test_what_cannot_be_read_is_refused(given, said):
    with pytest.raises(ls.RecipeError, match=said):
        read_axes(given, "--vary")


def test_every_combination_comes_once_the_last_key_fastest():
    found = combinations({"seed": [1, 2], "1.structure": [0.25, 0.5]})
    assert [described(one) for one in found] == [
        "seed 1, 1.structure 0.25",
        "seed 1, 1.structure 0.5",
        "seed 2, 1.structure 0.25",
        "seed 2, 1.structure 0.5",
    ]
    assert combinations({}) == [{}]
    with pytest.raises(ls.RecipeError, match="at most 10000"):
        combinations({"seed": range(101), "steps": range(100)})
    for values in ("ab", []):
        with pytest.raises(ls.RecipeError, match="a list of values"):
            combinations({"seed": values})


def test_a_key_stands_for_the_edits_a_regions_or_every_regions():
    def made(**values):
        return Edit.from_dict(varied(DATA, {k.replace("_", "."): v for k, v in values.items()}))

    assert made(seed=4).seed == 4
    assert [r.style for r in made(style="a.jpg").regions] == ["a.jpg", "a.jpg"]
    assert [r.structure for r in made(**{"2.structure": 0.5}).regions] == [None, 0.5]
    assert made(feather=4).feather == 4 and made(feather=4).regions[0].feather is None
    assert made(fusion="vct").fusion == ls.Fusing("vct")
    assert made(**{"fusion.options.guidance": 3}).fusion.options == {"guidance": 3}
    assert made(**{"segmenter.preset": "x"}).segmenter == ls.Segmenting("classic", "x")
    assert DATA["regions"][0]["style"] == "swirl", "the recipe itself stays"


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("sead", "did you mean 'seed'"),
        ("3.style", "N from 1 to 2"),
        ("1.stile", "did you mean 'style'"),
        ("image", "no such key; known: accelerator, backbone_config, detail, feather"),
        ("backbone", "no such key"),
        ("fusion.guidance", "fusion.options.NAME"),
        ("fusion.options", "fusion.options.NAME"),
    ],
)
def test_a_key_that_means_nothing_is_refused(key, said):
    with pytest.raises(ls.RecipeError, match=said):
        varied(DATA, {key: 1})


def test_places_in_braces_are_filled():
    values = {"stem": "a b", "1.structure": "0.2"}
    assert places("{stem}/{{x}}-{1.structure}") == ["stem", "1.structure"]
    assert filled("{stem}/{{x}}-{1.structure}", values, "-o") == "a b/{x}-0.2"
    assert filled_where_known("{stem}-{other}{}", values) == "a b-{other}{}"
    with pytest.raises(ls.RecipeError, match=r"-o: .* no meaning for \{stm\}; did you mean 'stem'"):
        filled("{stm}", values, "-o")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("swirl", "swirl"),
        ("paintings/old one.jpg", "old-one"),
        ("C:\\art\\a.safetensors", "a"),
        ("0.25", "0.25"),
        ("-5", "-5"),
        ("-0.5", "-0.5"),
        ("#ff", "ff"),
        ("../..", "none"),
        ("", "none"),
        ("a/" + "x" * 300, "x" * 80),
        ("ручка", "ручка"),
        ("a:b*c", "a-b-c"),
    ],
)
def test_a_value_in_a_files_name_holds_no_folder(value, name):
    assert file_name(value) == name
