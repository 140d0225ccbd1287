"""ENCODER:PICTURE as a style: read, moved, made when the edit runs, and refused by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import locstyle as ls
from locstyle.cli.regions import read_regions
from locstyle.edit import FromPicture
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.instant import instant_encoders, instant_style
from locstyle.replay import compare, embedded_edit
from locstyle.testing import random_tokens


class Glance:
    """Tokens that depend on the picture's first pixel; nothing is learned."""

    makes = frozenset({"tokens"})
    instant = True

    def encode(
        self,
        images: Sequence[Image.Image],
        backbone: UNetBackbone,
        request: ls.StyleRequest,
        on_step: ls.OnStep,
    ) -> ls.Style:
        if images[0].size == (1, 1):
            raise ls.StyleError(f"style {request.name!r}: too small")
        first = np.asarray(images[0].convert("L"))[0, 0]
        tokens = random_tokens(backbone, int(first)).tokens
        return ls.Style(request.name, backbone.family, tokens=tokens)


class Offers:
    @staticmethod
    @ls.hookimpl
    def register_style_encoders(register: ls.Register) -> None:
        register("glance", Glance)


@pytest.fixture
def host() -> Iterator[ls.Host]:
    with ls.Host().temporarily(Offers, name="offers") as host:
        yield host


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, colour in (("photo", "teal"), ("one", "red"), ("two", "white")):
        Image.new("RGB", (32, 32), colour).save(f"{name}.png")
    return tmp_path


@pytest.mark.parametrize("text", ["glance:one.png", "q-former:C:/a b/one.png", "qformer:./x:y.jpg"])
def test_an_encoder_and_a_picture_are_read(text: str) -> None:
    found = FromPicture.read(text)
    assert found is not None and str(found) == text
    assert (found.encoder, found.picture) == tuple(text.split(":", 1))


@pytest.mark.parametrize(
    "text",
    ["neon", "c:one.png", r"C:\one.png", "./a:b.png", "/x/a:b.png", "at:", "One:a.png", 3, None],
)
def test_paths_and_names_stay_what_they_are(text: object) -> None:
    assert FromPicture.read(text) is None


def test_a_style_is_made_of_the_picture(
    backbone: UNetBackbone, host: ls.Host, folder: Path
) -> None:
    one, again, two = (
        instant_style(FromPicture("glance", name), backbone, host)
        for name in ("one.png", str(folder / "one.png"), "two.png")
    )
    assert one.name == "one" and one.kinds == {"tokens"}
    assert one.digest == again.digest != two.digest


def test_encoders_that_need_no_training_are_known(host: ls.Host) -> None:
    found = instant_encoders(host)
    assert found["glance"] == {"tokens"} and found["reference"] == {"reference"}
    assert "qformer" in found and "lora" not in found and "concept" not in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("glnce:one.png", "style encoder 'glnce': nobody offers it; did you mean 'glance'"),
        ("glance:on.png", "'on.png' is not a file; did you mean 'one.png'"),
        ("glance:none.webp", "'none.webp' is not a file"),
        ("glance:text.png", "text.png: not a picture"),
        ("glance:small.png", "style 'small': too small"),
        ("lora:one.png", "learns by training; do that once, `locstyle train lora one.png -o mine"),
        ("art:one.png", "nobody offers it; .*; the file of that name is './art:one.png'"),
    ],
)
def test_what_cannot_be_made_is_refused(
    backbone: UNetBackbone, host: ls.Host, folder: Path, text: str, message: str
) -> None:
    Path("text.png").write_text("no picture")
    Image.new("RGB", (1, 1)).save("small.png")
    Path("art:one.png").touch()
    given = FromPicture.read(text)
    assert given is not None
    with pytest.raises(ls.LocstyleError, match=message):
        instant_style(given, backbone, host)


# In an edit


def edit_of(*styles: str, fusion: str = "deadiff") -> ls.Edit:
    boxes = ("box:4,4,12,20", "box:18,14,28,30")
    regions = [ls.Region(box, style) for box, style in zip(boxes, styles, strict=False)]
    return ls.Edit("photo.png", regions, fusion=ls.Fusing(fusion), steps=2)


def test_an_edit_makes_its_styles(backbone: UNetBackbone, host: ls.Host, folder: Path) -> None:
    editor = ls.Editor(backbone, host)
    result = editor.run(edit_of("glance:one.png", "glance:two.png"))
    made = instant_style(FromPicture("glance", "two.png"), backbone, host)
    assert result.edit.digests["regions[1].style"] == made.digest
    assert result.report.outside_identical == 1 and result.report.inside_change > 0
    made.save("mine.safetensors")
    again = editor.run(edit_of("glance:one.png", "mine.safetensors"))
    assert np.array_equal(result.photo.pixels, again.photo.pixels)


def test_the_path_moves_with_the_recipe(folder: Path) -> None:
    edit = edit_of("glance:one.png", "neon")
    assert edit.files == ["photo.png", "one.png"]
    moved = edit.beside(Path("there"))
    assert moved.regions[0].style == f"glance:{Path('there', 'one.png')}"
    assert moved.seen_from(Path("there")) == edit
    assert ls.Edit.from_dict(edit.to_dict()) == edit
    for plain in ("neon", r"C:\one.png", "./a:b.png"):
        assert ls.Region("all", plain).files == ([] if plain == "neon" else [plain])


def test_a_finished_picture_can_be_replayed(
    backbone: UNetBackbone, host: ls.Host, folder: Path
) -> None:
    editor = ls.Editor(backbone, host)
    editor.run(edit_of("glance:one.png")).save("out.png")
    edit = embedded_edit("out.png")
    made = ls.Photo.open("out.png")
    assert compare(made, edit, editor.run(edit)).is_identical
    Image.new("RGB", (32, 32), "lime").save("one.png")
    assert compare(made, edit, editor.run(edit)).changed == ("regions[0].style",)


def test_the_place_is_that_in_the_recipe(
    backbone: UNetBackbone, host: ls.Host, folder: Path
) -> None:
    with pytest.raises(ls.PhotoError, match=r"regions\[1\]\.style: 'on.png' is not a file"):
        ls.Editor(backbone, host).resolve(edit_of("glance:one.png", "glance:on.png"))


def test_a_fusion_that_reads_tokens_says_who_makes_them(
    backbone: UNetBackbone, host: ls.Host, folder: Path
) -> None:
    """A plain picture is refused where tokens are read, with the way to get them."""
    editor = ls.Editor(backbone, host)
    with pytest.raises(ls.RecipeError, match=r"or write 'glance:one\.png'"):
        editor.resolve(edit_of("one.png"))
    with pytest.raises(ls.RecipeError, match="carries reference") as raised:
        editor.resolve(edit_of("one.png", fusion="diffstyler"))
    assert "glance:" not in str(raised.value)


def test_the_command_line_takes_it() -> None:
    (region,) = read_regions(["sky.png=qformer:a b/painting.jpg@0.8"])
    assert (region.style, region.strength) == ("qformer:a b/painting.jpg", 0.8)
