"""`locstyle stylize --vary`: a grid of pictures, each as its own command would make it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import locstyle as ls
from locstyle.cli import main
from locstyle.testing import random_style, tiny_backbone

PAIRS = [("one", 1), ("one", 2), ("two", 1), ("two", 2)]
STYLIZE = ("stylize", "photo.png", "--backbone", "tiny", "--steps", 2, "-r", "all=one")


@pytest.fixture
def locstyle(tmp_path, monkeypatch):
    """Runs the command line on the tiny backbone, in a folder with a photo and two styles."""
    tiny = tiny_backbone()

    class Tiny:
        @ls.hookimpl
        def register_backbones(self, register):
            register("tiny", lambda name, device, dtype: tiny)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))  # others inverted this photo, too
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    Image.fromarray(noise).save("photo.png")
    Path("loras").mkdir()
    for seed, name in enumerate(("one", "two")):
        random_style(tiny, seed).save(f"loras/{name}.safetensors")
    with ls.Host(allow=("singlepass",)).temporarily(Tiny(), name="tiny") as host:
        yield lambda *args: CliRunner().invoke(main, [str(a) for a in args], obj=host)


def test_each_picture_of_the_grid_is_what_its_own_command_makes(locstyle):
    varied = ("--vary", "style=one,two", "--vary", "1.structure=0.2,0.6")
    done = locstyle(
        *STYLIZE, *varied, "-o", "g.png", "--each", "{style}-{1.structure}.png", "--json"
    )
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert [one["vary"] for one in told][1] == {"style": "one", "1.structure": 0.6}
    assert [one["report"]["cached_inversions"] for one in told] == [0, 1, 1, 1]
    alone = locstyle(*STYLIZE[:-1], "all=two", "--set", "1.structure=0.6", "-o", "alone.png")
    assert alone.exit_code == 0
    assert Path("two-0.6.png").read_bytes() == Path("alone.png").read_bytes()
    with Image.open("g.png") as grid:
        assert grid.width == pytest.approx(grid.height, abs=60)  # two beside two
    assert len({Path(one["output"]).read_bytes() for one in told}) == 4


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--vary", "sed=1..2", "-o", "g.png"), "did you mean 'seed'"),
        (("--vary", "seed=1..2"), "-o: is missing"),
        (("--vary", "seed=1..2", "-o", "g.gif"), "cannot write '.gif'"),
        (("--vary", "seed=1..2", "-o", "g.png", "--each", "x.png"), "have {seed} in it"),
        (("--vary", "seed=1..2", "-o", "g.png", "--contact-sheet", "s.png"), "of one edit"),
        (("--vary", "1.structure=0.5,2", "-o", "g.png"), r"regions[0].structure"),
        (("--vary", "style=one,three", "-o", "g.png"), "'three' is not a file"),
        (("--each", "x.png", "-o", "g.png"), "--vary"),
        (("--each", "x.png", "-o", "g.png", "--dry-run"), "--vary"),
        (("--vary", "seed=1..2", "-o", "g.gif", "--dry-run"), "cannot write '.gif'"),
        (("--vary", "seed=1..2", "-o", "no/g.png", "--dry-run"), "does not exist; create it"),
        (("--vary", "style=one,three", "--dry-run"), "'three' is not a file"),
        (("--vary", "seed=1..2000", "-o", "g.png"), "2000 pictures"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(locstyle, more, said):
    done = locstyle(*STYLIZE, *more)
    assert done.exit_code != 0 and said in done.stderr and " of 2:" not in done.stderr
    assert not Path("g.png").exists()


def test_a_dry_run_says_what_would_be_drawn_and_draws_nothing(locstyle):
    before = set(Path().iterdir())
    asked = (*STYLIZE, "--vary", "style=one,two", "--vary", "seed=1,2")
    dry = locstyle(*asked, "-o", "g.png", "--each", "{style}-{seed}.png", "--dry-run")
    assert dry.exit_code == 0, dry.stderr
    assert set(Path().iterdir()) - before <= {Path("cache")}
    labels = [f"{n} of 4: style {s}, seed {seed}" for n, (s, seed) in enumerate(PAIRS, 1)]
    assert [line for line in dry.stderr.splitlines() if " of 4: " in line] == labels
    assert dry.stderr.count("frame 1: region 1 at") == 4
    recipes = dry.stdout.split("--- # ")[1:]
    assert [one.splitlines()[0] for one in recipes] == labels
    Path("mine.yaml").write_text(recipes[3].partition("\n")[2])
    told = json.loads(locstyle(*asked, "--dry-run", "--json").stdout)
    assert [(one["vary"]["style"], one["vary"]["seed"]) for one in told] == PAIRS
    alone = json.loads(locstyle("run", "mine.yaml", "--dry-run", "--json").stdout)
    assert alone["edit"] == told[3]["edit"]
    known = [{k: v for k, v in f.items() if k != "seconds"} for f in alone["frames"]]
    assert known == [{k: v for k, v in f.items() if k != "seconds"} for f in told[3]["frames"]]


def test_one_key_with_many_values_fills_a_square(locstyle):
    assert locstyle(*STYLIZE, "--vary", "seed=1..7", "--steps", 1, "-o", "g.png").exit_code == 0
    with Image.open("g.png") as grid:  # three beside each other, three rows
        assert grid.width < grid.height < 2 * grid.width
