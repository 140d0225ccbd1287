"""Running a finished picture again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from locstyle.cli import main
from locstyle.edit import Edit, Region
from locstyle.editor import Editor
from locstyle.errors import RecipeError
from locstyle.photo import Photo
from locstyle.plugin.hookspecs import hookimpl
from locstyle.plugin.host import Host
from locstyle.replay import compare, embedded_edit
from locstyle.testing import random_style


@pytest.fixture(scope="module")
def host(backbone):
    class Tiny:
        @hookimpl
        def register_backbones(self, register):
            register("tiny", lambda name, device, dtype: backbone)

    host = Host(allow=["singlepass"])
    with host.temporarily(Tiny()):
        yield host


@pytest.fixture
def made(tmp_path, monkeypatch, host, backbone):
    """out/made.png in the working folder, made of photo.png, mask.png and style.safetensors."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    Image.fromarray(noise).save("photo.png")
    mask = Image.new("L", (40, 32))
    mask.paste(255, (0, 0, 20, 32))
    mask.save("mask.png")
    random_style(backbone, 1).save("style.safetensors")
    regions = (Region("mask.png", "style.safetensors"),)
    edit = Edit("photo.png", regions, backbone="tiny", fusion="singlepass", steps=2)
    Path("out").mkdir()
    return Editor(backbone, host).run(edit).save("out/made.png")


@pytest.fixture
def replay(host):
    return lambda *args: CliRunner().invoke(main, ["replay", *map(str, args)], obj=host)


def test_the_same_pixels_come_out_identical(replay, made):
    done = replay(made)
    assert done.exit_code == 0, done.output
    assert done.stdout == "identical: every pixel came out the same\n"


def test_replay_works_from_anywhere(replay, made, monkeypatch, tmp_path_factory):
    made = made.resolve()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert replay(made).exit_code == 0


def test_changed_parts_are_named(replay, made, backbone):
    random_style(backbone, 2).save("style.safetensors")
    done = replay(made, "--json")
    data = json.loads(done.stdout)
    assert done.exit_code == 1 and data["identical"] is False
    assert data["changed"] == ["regions[0].style"] and 0 < data["differing"] <= 0.7
    assert "different: " in replay(made).stdout


def test_a_changed_pixel_in_the_picture_shows(replay, made):
    with Image.open(made) as image:
        text = image.text["locstyle"]
    photo = Photo.open(made)
    pixels = photo.pixels.copy()
    pixels[0, 0, 0] ^= 1
    Photo.from_image(pixels).save(made, text={"locstyle": text})
    done = replay(made, "--json")
    data = json.loads(done.stdout)
    assert data["changed"] == [] and data["differing"] == pytest.approx(1 / (32 * 40))
    assert data["largest"] == pytest.approx(1 / 255)


def test_a_picture_of_another_size_is_different(made, host, backbone):
    edit = embedded_edit(made)
    result = Editor(backbone, host).run(edit)
    shutil.copy("photo.png", "other.png")
    with Image.open("photo.png") as image:
        image.crop((0, 0, 20, 20)).save("other.png")
    outcome = compare("other.png", edit, result)
    assert not outcome.is_identical and outcome.changed == ("the picture's size or depth",)


def test_pictures_without_an_edit_say_so(replay, made):
    done = replay("photo.png")
    assert done.exit_code == 2 and "carries no edit" in done.stderr
    Photo.open("photo.png").save("x.png", text={"locstyle": "{"})
    with pytest.raises(RecipeError, match=r"x.png: not valid JSON"):
        embedded_edit("x.png")
    Photo.open("photo.png").save("x.png", text={"locstyle": '{"locstyle": 9}'})
    with pytest.raises(RecipeError, match="got 9"):
        embedded_edit("x.png")
