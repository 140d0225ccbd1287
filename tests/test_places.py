"""Mistakes surface at resolve, each with its place as data, and read as they always did."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.errors import at
from locstyle.segments.file import write_segments
from locstyle.testing import random_style

Made = Callable[[], object]


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> ls.Editor:
    return ls.Editor(backbone, ls.Host())


@pytest.fixture
def edit(tmp_path: Path, backbone: UNetBackbone, monkeypatch: pytest.MonkeyPatch) -> ls.Edit:
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (30, 40, 4), dtype=np.uint8)
    Image.fromarray(pixels).save("photo.png")
    random_style(backbone, 1).save(Path("s.safetensors"))
    return ls.Edit("photo.png", (ls.Region("box:0,0,20,30", "s.safetensors"),), steps=2)


def test_a_place_is_joined_from_inside_out() -> None:
    def raised(error: ls.LocstyleError, *ways: tuple[Any, ...]) -> ls.LocstyleError:
        try:
            for way in ways:
                inner, error = error, ls.LocstyleError()
                with pytest.raises(ls.LocstyleError) as caught, at(*way):
                    raise inner
                error = caught.value
        except ls.LocstyleError:
            raise AssertionError from error
        return error

    plain, placed = ls.RecipeError("got 3"), ls.RecipeError("got 3", place="strength")
    for error, ways, place, words in [
        (plain, [], None, "got 3"),
        (placed, [], "strength", "strength: got 3"),
        (ls.RecipeError("got 3"), [("seed",)], "seed", "seed: got 3"),
        (placed, [("styles[1]",), ("regions[0]",)], "regions[0].styles[1].strength", None),
        (ls.RecipeError("no", place="[2]"), [("size",)], "size[2]", "size[2]: no"),
        (ls.RecipeError("seed: no"), [("seed",)], "seed", "seed: no"),
        (ls.RecipeError("fusion 'x': no"), [("fusion",)], "fusion", "fusion 'x': no"),
        (ls.RecipeError("my own words"), [("image", "")], "image", "my own words"),
        (ls.RecipeError("own"), [("options.a", ""), ("fusion",)], "fusion.options.a", "own"),
        (
            ls.RecipeError("got 3", place="strength"),
            [("regions[0]", "-r 'a=b'")],
            "regions[0].strength",
            "-r 'a=b': strength: got 3",
        ),
        (ls.RecipeError("no"), [(None, "--box '1'")], None, "--box '1': no"),
    ]:
        found = raised(error, *ways)
        assert found is error
        assert found.place == place
        assert str(found) == (words or f"{place}: got 3")


def test_a_place_survives_what_carries_errors_between_processes() -> None:
    error = ls.StyleError("broken", place="style")
    with pytest.raises(ls.StyleError), at("regions[1]"):
        raise error
    again = pickle.loads(pickle.dumps(error))
    assert (again.place, str(again)) == ("regions[1].style", "regions[1].style: broken")


REQUESTS: list[tuple[Made, str, str]] = [
    (lambda: ls.Edit("a.png", ()), "regions", "regions: zero regions; give at least one"),
    (lambda: ls.Region("all"), "style", "style: is missing; give a style, or a prompt"),
    (lambda: ls.Region("al:l", "s"), "mask", "mask: "),
    (lambda: ls.Region("all", "s", 3.0), "strength", r"strength: got 3.0; give a number in \[0, 2"),
    (
        lambda: ls.Region({"segmenter": "x", "points": [[1]]}, "s"),
        "mask.points[0]",
        r"mask.points\[0\]: got \[1\]; give \[x, y\] in photo pixels",
    ),
    (
        lambda: ls.Region({"segmenter": "x", "refine": "grow:"}, "s"),
        "mask.refine",
        "mask.refine: ",
    ),
    (lambda: ls.Edit.from_dict({"locstyle": 9}), "locstyle", "locstyle: got 9; give the recipe"),
    (lambda: ls.Edit.from_dict({"locstyle": 2}), "image", "image: is missing"),
]
INSIDE: list[tuple[dict[str, Any], str, str]] = [
    ({"mask": "all", "styel": 1}, "regions[1].styel", "no such key; did you mean 'style'?"),
    ({"style": "s"}, "regions[1].mask", "is missing"),
    ({"mask": "all", "style": "s", "strength": "x"}, "regions[1].strength", "got 'x'; give a num"),
    (
        {"mask": "all", "styles": [{"style": "s"}, {"style": "s", "window": [1, 0]}]},
        "regions[1].styles[1].window",
        r"got \[1, 0\]; give \[start, end\]",
    ),
]


@pytest.mark.parametrize(("make", "place", "message"), REQUESTS)
def test_a_request_says_where_it_is_wrong(make: Made, place: str, message: str) -> None:
    with pytest.raises(ls.RecipeError, match=f"^{message}") as caught:
        make()
    assert caught.value.place == place


@pytest.mark.parametrize(("region", "place", "message"), INSIDE)
def test_a_recipe_says_in_which_region_it_is_wrong(
    region: dict[str, Any], place: str, message: str
) -> None:
    good = {"mask": "all", "style": "s"}
    with pytest.raises(ls.RecipeError, match=message) as caught:
        ls.Edit.from_dict({"locstyle": 2, "image": "a.png", "regions": [good, region]})
    assert caught.value.place == place
    assert str(caught.value).startswith(f"{place}: ")


def foreign_style() -> ls.Style:
    return ls.Style("alien", "sd1", words={"<alien>": torch.zeros(1, 768)})


def two(edit: ls.Edit, **given: Any) -> ls.Edit:
    """The edit with a second region that differs from the first in what is given."""
    return replace(edit, regions=(edit.regions[0], replace(edit.regions[0], **given)))


def fusing(name: str, **options: Any) -> dict[str, Any]:
    return {"fusion": ls.Fusing(name, options=options)}


CASES: list[tuple[str, Callable[[ls.Edit], ls.Edit], type[ls.LocstyleError], str, str]] = [
    ("no photo", lambda e: replace(e, image="no.png"), ls.PhotoError, "image", "no.png: "),
    ("fusion", lambda e: replace(e, **fusing("x")), ls.RecipeError, "fusion", "fusion 'x': nobody"),
    (
        "preset",
        lambda e: replace(e, fusion=ls.Fusing("vct", "x")),
        ls.RecipeError,
        "fusion.preset",
        "fusion 'vct': no preset 'x'; ",
    ),
    (
        "option",
        lambda e: replace(e, **fusing("vct", guidanc=3)),
        ls.RecipeError,
        "fusion.options.guidanc",
        "fusion 'vct' options.guidanc: no such option; did you mean 'guidance'?",
    ),
    (
        "option out of range",
        lambda e: replace(e, **fusing("singlepass", structure=2.0)),
        ls.RecipeError,
        "fusion.options.structure",
        r"fusion.options.structure: got 2.0; give a number in \[0, 1\]",
    ),
    (
        "layers this backbone lacks",
        lambda e: replace(e, **fusing("magicstyle", layers=[99])),
        ls.RecipeError,
        "fusion.options.layers",
        "fusion.options.layers: 99 is no decoder layer of 'tiny' with self-attention; it has ",
    ),
    ("solver", lambda e: replace(e, solver="x"), ls.RecipeError, "solver", "solver: got 'x'; "),
    (
        "segmenter",
        lambda e: replace(e, segmenter=ls.Segmenting("x")),
        ls.RecipeError,
        "segmenter",
        "segmenter 'x': nobody offers it; ",
    ),
    (
        "segments",
        lambda e: replace(e, segments="gone.json"),
        ls.MaskError,
        "segments",
        "segments: 'gone.json' is no file; ",
    ),
    (
        "mask file",
        lambda e: two(e, mask="sky.png"),
        ls.MaskError,
        "regions[1].mask",
        r"regions\[1\].mask: 'sky.png' is no file; ",
    ),
    (
        "refinement",
        lambda e: two(e, mask="all|grow:500"),
        ls.MaskError,
        "regions[1].mask",
        r"regions\[1\].mask: grow: got 500.0; give 0 to 40 pixels, the longer side$",
    ),
    (
        "nothing under the selection",
        lambda e: two(e, mask="!all"),
        ls.MaskError,
        "regions[1].mask",
        r"regions\[1\].mask: '!all' covers nothing; alone, its parts cover ",
    ),
    (
        "a segmenter of its own",
        lambda e: two(e, mask={"segmenter": "classic", "points": [[99, 99]]}),
        ls.SegmenterError,
        "regions[1].mask",
        r"regions\[1\].mask: ",
    ),
    (
        "style",
        lambda e: two(e, style="no-such"),
        ls.StyleError,
        "regions[1].style",
        r"regions\[1\].style: 'no-such' is not a file or a known style; ",
    ),
    (
        "one of several styles",
        lambda e: two(e, style=None, styles=(ls.Styling("s.safetensors"), ls.Styling("no-such"))),
        ls.StyleError,
        "regions[1].styles[1].style",
        r"regions\[1\].styles\[1\].style: 'no-such' is not ",
    ),
    (
        "another family",
        lambda e: two(e, style=foreign_style()),
        ls.RecipeError,
        "regions[1].style",
        r"regions\[1\].style: 'alien' was made for backbone family 'sd1'; ",
    ),
    (
        "an encoder that nobody offers",
        lambda e: two(e, style="xyz:photo.png"),
        ls.RecipeError,
        "regions[1].style",
        r"regions\[1\].style: style encoder 'xyz': nobody offers it; ",
    ),
    (
        "an encoder's picture",
        lambda e: two(e, style="qformer:no.png"),
        ls.PhotoError,
        "regions[1].style",
        r"regions\[1\].style: 'no.png' is not a file; ",
    ),
    (
        "a kind the fusion cannot use",
        lambda e: two(replace(e, **fusing("vct")), style="photo.png"),
        ls.RecipeError,
        "regions[1].style",
        r"regions\[1\].style: 'photo' carries reference, fusion 'vct' uses ",
    ),
    (
        "a setting the fusion does not heed",
        lambda e: two(replace(e, **fusing("diffstyler")), structure=0.5),
        ls.RecipeError,
        "regions[1].structure",
        r"regions\[1\].structure: fusion 'diffstyler' has no structure of a region's own; "
        "--fusion singlepass has",
    ),
    (
        "feather",
        lambda e: replace(e, feather=41.0),
        ls.MaskError,
        "feather",
        "feather: got 41.0; give 0 to 40 pixels, the longer side",
    ),
    (
        "a region's feather",
        lambda e: two(e, paste_feather=41.0),
        ls.MaskError,
        "regions[1].paste_feather",
        r"regions\[1\].paste_feather: got 41.0; give 0 to 40 pixels, the longer side",
    ),
]


@pytest.mark.parametrize(
    ("change", "kind", "place", "message"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_mistakes_surface_at_resolve_with_their_place(
    editor: ls.Editor,
    edit: ls.Edit,
    change: Callable[[ls.Edit], ls.Edit],
    kind: type[ls.LocstyleError],
    place: str,
    message: str,
) -> None:
    editor.resolve(edit)
    with pytest.raises(kind, match=f"^{message}") as caught:
        editor.resolve(change(edit))
    assert caught.value.place == place


MIXED = ["singlepass", "vct", "deadiff", "magicstyle"]


@pytest.mark.parametrize("fusion", MIXED)
def test_deltas_that_cannot_be_limited_are_left_out_and_told(
    editor: ls.Editor, edit: ls.Edit, backbone: UNetBackbone, fusion: str
) -> None:
    """As the usual LoRA with convolutions has them, beside much that can."""
    style = random_style(backbone, 1, parts=("time_emb_proj", "to_q"))
    lost = {name for name in style.deltas if backbone.sites[name].side == "none"}
    numbers = {name: delta.down.numel() + delta.up.numel() for name, delta in style.deltas.items()}
    share = sum(numbers[name] for name in lost) / sum(numbers.values())
    asked = two(replace(edit, fusion=ls.Fusing(fusion)), style=style)
    words = rf"time_emb_proj and .* more.*left out, {share:.1%} of the file; --fusion diffstyler"
    with pytest.warns(ls.LocstyleWarning, match=words) as told:
        job = editor.resolve(asked)
    assert told[0].message.place == "regions[1].style"
    assert job.styles[1][0].deltas.keys() == style.deltas.keys() - lost
    editor.resolve(two(asked, style=style, strength=0.0))
    whole = editor.resolve(replace(asked, fusion=ls.Fusing("diffstyler")))
    assert whole.styles[1][0].deltas.keys() == style.deltas.keys()


def test_a_style_of_nothing_else_is_refused(
    editor: ls.Editor, edit: ls.Edit, backbone: UNetBackbone
) -> None:
    style = random_style(backbone, 1, parts=("time_emb_proj",))
    with pytest.raises(ls.StyleError, match=r"nothing but .*use --fusion diffstyler") as found:
        editor.resolve(two(edit, style=style))
    assert found.value.place == "regions[1].style"


OUTPUTS = [
    ("out.jpg", "out.jpg: JPEG holds no alpha"),
    ("out.gif", "cannot write '.gif'"),
    ("no/out.png", "does not exist"),
    ("photo.png", "photo.png: is also an input"),
    ("s.safetensors", "cannot write '.safetensors'"),
]


@pytest.mark.parametrize(("output", "message"), OUTPUTS)
def test_an_output_that_cannot_be_written_is_refused_at_resolve(
    editor: ls.Editor, edit: ls.Edit, output: str, message: str
) -> None:
    with pytest.raises(ls.OutputError, match=message) as caught:
        editor.resolve(edit, output=output)
    assert caught.value.place == "output"
    before = sorted(Path().iterdir())
    editor.resolve(edit, output="out.png")
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (2, 1), (3, 1)])
@pytest.mark.parametrize("fusion", ["singlepass", "diffstyler"])
def test_the_usual_feather_is_cut_to_what_fits(
    editor: ls.Editor, edit: ls.Edit, size: tuple[int, int], fusion: str
) -> None:
    photo = Image.fromarray(np.full((*size, 3), 99, np.uint8))
    small = replace(edit, image=photo, regions=(replace(edit.regions[0], mask="all"),))
    small = replace(small, fusion=ls.Fusing(fusion))
    assert editor.run(small).image.size == size[::-1]
    with pytest.raises(ls.MaskError, match=f"feather: got 4.0; give 0 to {max(size)} pixels"):
        editor.resolve(replace(small, feather=4.0))


def test_a_list_that_goes_while_an_edit_runs_loses_no_work(
    editor: ls.Editor, edit: ls.Edit, tmp_path: Path
) -> None:
    segment = ls.Segment.of(np.eye(30, 40, dtype=bool) | np.eye(30, 40, 1, dtype=bool))
    write_segments("list.json", [segment], ls.Photo.open("photo.png"), {"name": "x"})
    listed = replace(edit, segments="list.json", regions=(replace(edit.regions[0], mask="auto:1"),))

    def on_step(step: ls.Step) -> None:
        (tmp_path / "list.json").unlink(missing_ok=True)

    assert len(editor.run(listed, on_step).edit.digests["segments"]) == 64


def test_a_warning_has_a_place_too(editor: ls.Editor, edit: ls.Edit) -> None:
    small = two(edit, mask="box:0,0,1,1")
    with pytest.warns(ls.LocstyleWarning) as caught:
        editor.resolve(small)
    covers, smears = (one.message for one in caught)
    assert isinstance(covers, ls.LocstyleWarning) and isinstance(smears, ls.LocstyleWarning)
    assert str(covers).startswith("regions[1].mask: covers 0.083%")
    assert (covers.place, smears.place) == ("regions[1].mask", "regions[1].detail")
