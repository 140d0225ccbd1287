"""Running a finished picture again."""

from __future__ import annotations

import json
import shutil
import socket
from dataclasses import replace
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


REGIONS = (Region("mask.png", "style.safetensors"),)


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
    edit = Edit("photo.png", REGIONS, backbone="tiny", fusion="singlepass", steps=2)
    Path("out").mkdir()
    return Editor(backbone, host).run(edit).save("out/made.png")


@pytest.fixture
def replay(host):
    return lambda *args: CliRunner().invoke(main, ["replay", *map(str, args)], obj=host)


def test_the_same_pixels_come_out_identical(replay, made):
    done = replay(made)
    assert done.exit_code == 0, done.output
    assert done.stdout == "identical: every pixel came out the same\n"


def test_little_memory_draws_the_same_picture(replay, made):
    for more in (["--memory", "low"], ["--max-rows", "2"]):
        done = replay(made, *more)
        assert done.exit_code == 0 and done.stdout.startswith(("identical", "same within"))


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
    assert data["largest"] == pytest.approx(1 / 255) and data["same"] and not data["identical"]
    assert done.exit_code == 0
    assert replay(made).stdout.startswith("same within 1/255: 0.08% of the pixels differ by that")


def rewritten(made, change):
    """The picture with another recipe."""
    with Image.open(made) as image:
        data = json.loads(image.text["locstyle"])
    change(data)
    Photo.from_image(Photo.open(made).pixels).save(made, text={"locstyle": json.dumps(data)})


def test_another_machine_is_named_and_what_is_not_known_is_not(replay, made):
    rewritten(made, lambda data: data["digests"].update(machine="torch 1, cpu AVX2, 64 threads"))
    assert replay(made).stdout == "identical: every pixel came out the same\n"
    pixels = Photo.open(made).pixels.copy()
    pixels[0, 0, 0] ^= 1
    with Image.open(made) as image:
        Photo.from_image(pixels).save(made, text={"locstyle": image.text["locstyle"]})
    done = replay(made)
    assert "; made with torch 1, cpu AVX2, 64 threads, this run with torch " in done.stdout
    rewritten(made, lambda data: data.pop("digests"))
    done = replay(made)
    assert "changed" not in done.stdout and "made with" not in done.stdout and done.exit_code == 0


def test_a_picture_of_another_size_is_different(made, host, backbone):
    edit = embedded_edit(made)
    result = Editor(backbone, host).run(edit)
    shutil.copy("photo.png", "other.png")
    with Image.open("photo.png") as image:
        image.crop((0, 0, 20, 20)).save("other.png")
    outcome = compare(Photo.open("other.png"), edit, result)
    assert not outcome.is_identical and outcome.changed == ("the picture's size or depth",)


def carried(path):
    with Image.open(path) as image:
        return image.text.get("locstyle")


def test_a_picture_says_how_it_was_made_in_full_by_names_or_not_at_all(made, host, backbone):
    result = Editor(backbone, host).run(embedded_edit(made))
    full = json.loads(carried(result.save("out/full.png")))
    assert full["image"] == "../photo.png" and full["regions"][0]["mask"] == "../mask.png"
    names = json.loads(carried(result.save("out/names.png", recipe="names")))
    assert names["image"] == "photo.png" and names["regions"][0]["style"] == "style.safetensors"
    assert names["digests"] == full["digests"]
    assert carried(result.save("out/none.png", recipe="none")) is None
    with pytest.raises(RecipeError, match="full or names"):
        result.save("out/x.png", recipe="some")
    assert not Path("out/x.png").exists()


def test_no_folder_is_carried_that_nobody_typed(made, host, backbone, tmp_path, monkeypatch):
    client = tmp_path / "somebody" / "a client"
    client.mkdir(parents=True)
    for name in ("photo.png", "mask.png", "style.safetensors"):
        shutil.copy(name, client / name)
    typed = replace(embedded_edit(made), image="photo.png", regions=REGIONS)
    monkeypatch.chdir(client)
    apart = Editor(backbone, host).run(typed).save(tmp_path / "out" / "apart.png")
    assert "client" not in carried(apart)
    assert embedded_edit(apart).image == "photo.png"  # found from where it was typed
    known = replace(typed, image=str(client / "photo.png"))
    named = Editor(backbone, host).run(known).save(tmp_path / "out" / "named.png")
    assert json.loads(carried(named))["image"] == "../somebody/a client/photo.png"


def test_a_finished_picture_runs_as_a_recipe(made, host):
    done = CliRunner().invoke(main, ["run", str(made), "-o", "again.png"], obj=host)
    assert done.exit_code == 0, done.output
    assert (Photo.open("again.png").pixels == Photo.open(made).pixels).all()


@pytest.mark.parametrize("command", ["replay", "run"])
def test_nothing_is_fetched_because_a_picture_names_it(made, host, monkeypatch, command):
    def refuse(*_, **__):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    rewritten(made, lambda data: data.update(backbone="some-owner/some-model"))
    arguments = [command, str(made)] + (["-o", "again.png"] if command == "run" else [])
    done = CliRunner().invoke(main, arguments, obj=host)
    assert done.exit_code == 1, done.output
    assert "not on this machine, and nothing is fetched because a picture names it" in done.stderr


def test_pictures_without_an_edit_say_so(replay, made):
    done = replay("photo.png")
    assert done.exit_code == 2 and "carries no edit" in done.stderr
    Photo.open("photo.png").save("x.png", text={"locstyle": "{"})
    with pytest.raises(RecipeError, match=r"x.png: not valid JSON"):
        embedded_edit("x.png")
    Photo.open("photo.png").save("x.png", text={"locstyle": '{"locstyle": 9}'})
    with pytest.raises(RecipeError, match="got 9"):
        embedded_edit("x.png")
