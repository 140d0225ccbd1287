"""`locstyle segment` on real files, with a segmenter that finds areas of one colour."""

from __future__ import annotations

import json
import re
import shlex
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageColor

import locstyle as ls
from locstyle.cli import main
from locstyle.cli.regions import read_regions
from locstyle.job.select import select_mask
from locstyle.photo import Photo
from locstyle.plugin.host import Host

WIDTH, HEIGHT = 48, 32
COLOURS = {"sky": "#8080ff", "meadow": "#00c000", "house": "#c04000", "door": "#400000"}
BOXES = {
    "sky": (0, 0, 48, 20),
    "meadow": (0, 20, 48, 32),
    "house": (30, 8, 44, 28),
    "door": (34, 18, 38, 28),
}


def scene() -> np.ndarray:
    picture = Image.new("RGB", (WIDTH, HEIGHT))
    for name, box in BOXES.items():
        picture.paste(COLOURS[name], box)
    return np.asarray(picture)


class Colours:
    """Areas of one colour, by name; it looks at a picture once for all prompts."""

    prompts = frozenset({"everything", "points", "boxes", "text", "scribble"})
    looks = 0

    def embed(self, image):
        Colours.looks += 1
        assert image.mode == "RGB"
        pixels, found = np.asarray(image), []
        for name, colour in COLOURS.items():
            inside = (pixels == ImageColor.getrgb(colour)).all(-1)
            found.append(ls.Segment.of(inside, score=0.5, label=name))
        return Found(ls.order_segments(found))

    def segment(self, image, prompt):
        return self.embed(image).segment(prompt)


class Found:
    def __init__(self, segments):
        self.segments = segments

    def segment(self, prompt):
        if prompt.text is not None:
            return [s for s in self.segments if s.label == prompt.text]
        if prompt.scribble is not None:
            return [s for s in self.segments if (s.inside & (prompt.scribble > 0)).any()]
        return self.segments if prompt.everything else ls.hit(self.segments, prompt, name="colours")


class Nothing:
    prompts = frozenset({"everything"})

    def segment(self, image, prompt):
        return []


class Plugin:
    @ls.hookimpl
    def register_segmenters(self, register):
        register("colours", Colours)
        register("nothing", Nothing)


@pytest.fixture
def locstyle(tmp_path, monkeypatch):
    """Runs the command line in a folder with photo.png."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(scene()).save("photo.png")
    host = Host(allow=["classic"])
    with host.temporarily(Plugin()):
        yield lambda *args: CliRunner().invoke(main, [str(a) for a in args], obj=host)


SEGMENT = ("segment", "photo.png", "-o", "out", "--segmenter", "colours")


def listed(folder="out"):
    return json.loads(Path(folder, "segments.json").read_text("utf-8"))


def test_everything_is_numbered_by_size_listed_and_drawn(locstyle):
    done = locstyle(*SEGMENT)
    assert done.exit_code == 0, done.output
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["number", "1", "2", "3", "4"]
    assert rows[3][1:] == ["15.6%", "30,8,44,28", "0.50", "house"]
    assert Photo.open("out/sheet.png").size[1] > 1000
    door = Photo.open("out/004.png").pixels[..., 0]
    assert (door[18:28, 34:38] == 255).all() and door.sum() == 255 * 40
    data = listed()
    assert data["segmenter"]["name"] == "colours" and data["photo"]["size"] == [HEIGHT, WIDTH]
    assert [a["category_name"] for a in data["annotations"]] == ["sky", "meadow", "house", "door"]


def test_json_on_stdout_is_the_file(locstyle):
    done = locstyle(*SEGMENT, "--json", "--no-masks")
    assert json.loads(done.stdout) == listed()
    assert sorted(p.name for p in Path("out").glob("[!.]*")) == ["segments.json", "sheet.png"]


def test_it_says_how_to_style_a_number_and_that_works(locstyle, monkeypatch):
    asked = []
    module = import_module("locstyle.cli.stylize")  # its name in the package is the command's
    monkeypatch.setattr(module, "print_plan", lambda host, edit, running: asked.append(edit))
    Image.fromarray(scene()).save("a photo.png")
    done = locstyle("segment", "a photo.png", "-o", "my out", "--segmenter", "colours")
    words = shlex.split(done.stderr[done.stderr.index("locstyle stylize") :])
    assert words[1:5] == ["stylize", "a photo.png", "-r", "auto:3=neon"]
    dry = locstyle(*words[1:], "--dry-run")
    assert dry.exit_code == 0, dry.output
    (edit,) = asked
    assert edit.regions[0].mask == "auto:3" and edit.segments == "my out/segments.json"


def test_numbers_mean_the_same_segments_when_read_back(locstyle):
    locstyle(*SEGMENT)
    mask = select_mask("photo.png", "auto:3", segments="out/segments.json", host=Host(allow=()))
    assert (mask.values.numpy() == (scene() == ImageColor.getrgb(COLOURS["house"])).all(-1)).all()


def test_every_prompt_asks_for_one_object_and_the_photo_is_looked_at_once(locstyle):
    marks = Image.new("L", (WIDTH, HEIGHT), 128)
    marks.paste(255, (35, 20, 37, 24))
    marks.save("marks.png")
    looks = Colours.looks
    done = locstyle(
        *SEGMENT, "--points", "1,1", "--points", "32,10;!36,20", "--box", "34,18,38,28",
        "--text", "meadow", "--scribble", "marks.png", "--limit", 1,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    labels = [a["category_name"] for a in listed()["annotations"]]
    assert labels == ["sky", "house", "door", "meadow", "door"] and Colours.looks == looks + 1
    asked = ["point:1,1", "point:32,10;!36,20", "object:34,18,38,28", "text:meadow"]
    assert listed()["segmenter"]["asked"][:4] == asked


def test_limit_keeps_the_largest_and_their_numbers(locstyle):
    assert len(locstyle(*SEGMENT, "--limit", 2).stdout.splitlines()) == 3
    assert [a["category_name"] for a in listed()["annotations"]] == ["sky", "meadow"]


TURNED = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNED)
def test_masks_of_a_turned_photo_are_as_people_see_it(locstyle, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(scene()).transpose(TURNED[orientation]).save("photo.png", exif=exif)
    assert locstyle(*SEGMENT).exit_code == 0
    assert Photo.open("photo.png").size == Photo.open("out/003.png").size == (HEIGHT, WIDTH)
    assert listed()["annotations"][2]["bbox"] == [30, 8, 14, 20]


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.astype(np.uint16) * 257,
        lambda a: np.dstack([a, np.full(a.shape[:2], 128, np.uint8)]),
    ],
    ids=["16 bit", "alpha"],
)
def test_photos_of_every_depth_and_alpha_are_segmented_alike(locstyle, change):
    Photo.from_image(change(scene())).save("photo.png")
    assert locstyle(*SEGMENT).exit_code == 0
    assert len(listed()["annotations"]) == 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--points", "48,3"], ["point 48,3 lies outside", "x lies in 0-48"]),
        (["--points", "1"], ["--points '1': expected ','"]),
        (["--points", "!3,3"], ["give one inside, too"]),
        (["--points", "1,1|grow:4"], ["--points '1,1|grow:4': give numbers only"]),
        (["--box", "5,5,2,9"], ["box 5,5,2,9 covers nothing"]),
        (["--box", "a,b,c,d"], ["--box 'a,b,c,d': expected a number, got 'a'"]),
        (["--text", "cat"], ["text:cat: segmenter 'colours' found nothing"]),
        (["--scribble", "none.png"], ["none.png"]),
        (["-O", "size=3"], ["segmenter 'colours': takes no options; got size"]),
        (["--preset", "fast"], ["no preset 'fast'"]),
        (["--segmenter", "colors"], ["nobody offers it; did you mean 'colours'?"]),
        (["--segmenter", "nothing"], ["photo.png: segmenter 'nothing' found nothing"]),
        (["--segmenter", "nothing", "--text", "x"], ["does not answer text; it answers"]),
    ],
)  # fmt: skip
def test_mistakes_are_named_and_nothing_is_written(locstyle, arguments, words):
    done = locstyle(*SEGMENT, *arguments)
    assert done.exit_code in (1, 2) and done.stdout == ""
    for word in words:
        assert word in done.stderr
    assert not Path("out").exists()


def test_a_photo_or_folder_that_is_none_is_named(locstyle):
    assert "none.png: no such file" in locstyle("segment", "none.png", "-o", "out").stderr
    assert "photo.png: is a file" in locstyle("segment", "photo.png", "-o", "photo.png").stderr
    Image.new("L", (4, 4)).save("001.png")
    done = locstyle("segment", "photo.png", "-o", ".", "--segmenter", "colours")
    assert "001.png: is not as `locstyle segment` writes it" in done.stderr


def commands():
    page = Path(__file__).parents[1] / "docs" / "segmenters.md"
    for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.M | re.S):
        yield from (line for line in block.splitlines() if line.startswith("locstyle "))


@pytest.mark.parametrize("line", list(commands()))
def test_commands_of_the_segmenter_page_are_accepted(line):
    name, *arguments = shlex.split(line, comments=True)[1:]
    with main.commands[name].make_context(name, arguments) as context:
        for region in context.params.get("regions", ()):
            read_regions([region])
