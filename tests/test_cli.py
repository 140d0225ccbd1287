"""The command line on real files, with the tiny backbone registered as a plugin."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import click
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from locstyle.bookmark import Bookmark
from locstyle.cli import main
from locstyle.cli.regions import read_regions
from locstyle.cli.shared import read_options
from locstyle.edit import Edit, Fusing, Region, Segmenting, Styling
from locstyle.edit.recipe import from_yaml
from locstyle.errors import RecipeError
from locstyle.photo import Photo
from locstyle.plugin.hookspecs import hookimpl
from locstyle.plugin.host import Host
from locstyle.style import read_style
from locstyle.testing import random_style


class Tiny:
    """A plugin with the tiny backbone, a fusion that is interrupted, and a command."""

    def __init__(self, backbone) -> None:
        self.backbone = backbone
        self.loads = 0

    def load(self, name, device, dtype):
        self.loads += 1
        return self.backbone

    @hookimpl
    def register_backbones(self, register):
        register("tiny", self.load)

    @hookimpl
    def register_fusions(self, register):
        register("interrupted", Interrupted)
        register("broken", Broken)

    @hookimpl
    def register_segmenters(self, register):
        register("halves", Halves)

    @hookimpl
    def register_commands(self, cli):
        @cli.command()
        @click.pass_obj
        def hello(host):
            """Say hello."""
            click.echo(f"hello from {', '.join(host.names('backbones'))}")


class Halves:
    """A segmenter that finds the left part of a picture and the right one."""

    prompts = frozenset({"points", "boxes", "everything"})

    @dataclass(frozen=True)
    class Options:
        share: float = 0.5

    PRESETS: ClassVar = {"third": Options(1 / 3)}

    def __init__(self, options):
        self.share = options.share

    def segment(self, image, prompt):
        from locstyle import Segment, hit, order_segments

        left = np.zeros((image.height, image.width), bool)
        left[:, : round(image.width * self.share)] = True
        found = order_segments([Segment.of(left), Segment.of(~left)])
        return found if prompt.everything else hit(found, prompt, name="halves")


class Interrupted:
    carries = frozenset({"deltas"})
    requires_roles = frozenset()

    def __init__(self):
        from locstyle import Inversion

        self.inversion = Inversion()

    def plan(self, scene):
        raise KeyboardInterrupt


class Broken(Interrupted):
    def plan(self, scene):
        raise RecipeError("fusion: two\n  lines")


@pytest.fixture(scope="module")
def tiny(backbone):
    return Tiny(backbone)


@pytest.fixture(scope="module")
def host(tiny):
    host = Host(allow=["lora", "reference", "diffstyler", "singlepass"])
    with host.temporarily(tiny, name="tiny-plugin"):
        yield host


@pytest.fixture
def locstyle(host):
    """Runs the command line and returns exit_code, stdout and stderr."""
    return lambda *args: CliRunner().invoke(main, [str(a) for a in args], obj=host)


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny):
    """A working folder with photo.png, left.png and the styles one and two in loras/."""
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (40, 48, 3), np.uint8)
    Image.fromarray(noise).save("photo.png")
    left = Image.new("L", (48, 40))
    left.paste(255, (0, 0, 20, 40))
    left.save("left.png")
    Path("loras").mkdir()
    for seed, name in enumerate(("one", "two")):
        random_style(tiny.backbone, seed).save(f"loras/{name}.safetensors")
    return tmp_path


STYLIZE = ("stylize", "photo.png", "--backbone", "tiny", "--steps", 2)
REGIONS = ("-r", "left.png=one", "-r", "box:30,4,44,30=two@0.8")


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


# stylize, run


def test_stylize_styles_the_regions_and_keeps_the_rest(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png")
    assert done.exit_code == 0, done.output
    assert done.stdout == "out.png\n"
    before, after = pixels("photo.png"), pixels("out.png")
    assert (before[:, 24:28] == after[:, 24:28]).all() and (
        before[35:, 30:] == after[35:, 30:]
    ).all()
    assert (before[:, :16] != after[:, :16]).any() and (
        before[8:26, 34:40] != after[8:26, 34:40]
    ).any()
    for words in ("region 1:", "left.png=one", "two@0.8", "rows:", "100.0000%"):
        assert words in done.stderr
    assert "invert" in done.stderr and "denoise" in done.stderr
    assert "reconstruction:" not in done.stderr and "check" not in done.stderr


def test_checking_the_inversion_is_counted_and_timed(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--check")
    assert done.exit_code == 0, done.output
    assert "reconstruction:" in done.stderr
    assert " 2 checking; " in done.stderr and ", check " in done.stderr


def test_reported_seconds_add_up_to_the_command_s(locstyle, folder):
    start = time.perf_counter()
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--json", "--contact-sheet", "sheet.png")
    spent = time.perf_counter() - start
    seconds = json.loads(done.stdout)["report"]["seconds"]
    assert {"start", "load", "resolve", "invert", "denoise", "paste", "save"} <= seconds.keys()
    assert sum(seconds.values()) == pytest.approx(spent, rel=0.2, abs=0.3)
    assert "start " in done.stderr and ", save " in done.stderr


def test_a_preview_is_marked_in_its_recipe(locstyle, folder):
    arguments = [one for one in STYLIZE if one not in ("--steps", 2)]
    done = locstyle(*arguments, *REGIONS, "--quick", "--solver", "ddim", "--dry-run")
    data = from_yaml(done.stdout, "here")
    assert data["quick"] is True and data["solver"] == "ddim"
    assert "steps" not in data and "size" not in data
    Path("recipe.yaml").write_text(done.stdout)
    done = locstyle("run", "recipe.yaml", "-o", "out.png", "--json")
    edit = json.loads(done.stdout)["edit"]
    assert (edit["quick"], edit["steps"], edit["solver"]) == (True, 6, "ddim")
    full = locstyle(*STYLIZE, *REGIONS, "--dry-run").stdout
    assert "quick" not in full
    Path("recipe.yaml").write_text(full)
    done = locstyle("run", "recipe.yaml", "--quick", "--steps", 3, "-o", "out.png", "--json")
    edit = json.loads(done.stdout)["edit"]
    assert (edit["quick"], edit["steps"], edit["solver"]) == (True, 3, "dpm++2m")


def test_json_on_stdout_is_the_resolved_edit_and_the_report(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--json", "--no-check")
    data = json.loads(done.stdout)
    assert data["output"] == "out.png"
    assert data["report"]["outside_identical"] == 1.0
    assert data["report"]["reconstruction_psnr"] is None
    assert Edit.from_dict(data["edit"]).digests["image"]


@pytest.mark.parametrize("name", ["out.tif", "out.webp", "out.jpg"])
def test_what_is_promised_is_measured_on_the_file(locstyle, folder, name):
    done = locstyle(*STYLIZE, *REGIONS, "-o", name, "--json", "--no-check")
    held = json.loads(done.stdout)["file"]
    assert (held["outside_identical"] == 1) == held["is_exact"] == (name != "out.jpg")
    if name == "out.jpg":
        assert f"{held['outside_identical']:.4%} of the pixels identical in the file" in done.stderr
        assert "JPEG is lossy" in done.stderr and 0 < held["off"] < 0.2
    else:
        assert "outside the masks: 100.0000% of the pixels identical\n" in done.stderr


def test_sixteen_bits_that_become_eight_are_said(locstyle, folder):
    deep = pixels("photo.png").astype(np.uint16) * 257 + 3
    Photo.from_image(deep).save("photo.png")
    for name in ("out.webp", "out.jpg"):
        done = locstyle(*STYLIZE, *REGIONS, "-o", name, "--no-check")
        assert done.exit_code == 0, done.output
        assert f"warning: {name}: 16 bits a channel became 8" in done.stderr
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.webp", "--no-check")
    assert (
        "outside the masks: 100.0000% of the pixels identical, at 8 bits a channel" in done.stderr
    )
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--no-check")
    assert "became" not in done.stderr and pixels("out.png").shape == (40, 48, 3)


def test_what_reading_changed_is_said_once(locstyle, folder):
    with Image.open("photo.png") as image:
        frames = [image.quantize(), image.transpose(Image.Transpose.ROTATE_180).quantize()]
    frames[0].save("photo.gif", save_all=True, append_images=frames[1:])
    asked = ["photo.gif" if word == "photo.png" else word for word in STYLIZE]
    done = locstyle(*asked, *REGIONS, "-o", "out.png", "--no-check")
    assert done.exit_code == 0, done.output
    assert done.stderr.count("an animation of 2 frames, of which the first is taken") == 1


def test_a_dry_run_prints_a_recipe_that_runs_to_the_same_pixels(locstyle, folder, tiny):
    arguments = (*STYLIZE, *REGIONS, "--fusion", "singlepass", "-O", "guidance=3", "--seed", 5)
    arguments += (
        "--prompt",
        "a street",
        "--region-prompt",
        "2=a door",
        "--feather",
        1,
        "-o",
        "a.png",
    )
    dry = locstyle(*arguments, "--dry-run")
    assert dry.exit_code == 0 and not Path("a.png").exists()
    Path("recipe.yaml").write_text(dry.stdout)
    edit = Edit.open("recipe.yaml")
    assert edit.fusion == Fusing("singlepass", options={"guidance": 3})
    assert edit.regions[1] == Region("box:30,4,44,30", "two", strength=0.8, prompt="a door")
    assert locstyle(*arguments).exit_code == 0
    assert locstyle("run", "recipe.yaml", "-o", "b.png").exit_code == 0
    assert (pixels("a.png") == pixels("b.png")).all()


PLAN = (
    r"frame 1: regions 1, 2 at 64 × 32, of 48 × 40 photo pixels at 0,0; "
    r"9 rows, about [\d.]+ s and [\d.]+ MiB\n"
)


def test_a_run_and_a_dry_run_tell_the_plan_first(locstyle, folder):
    dry = locstyle(*STYLIZE, *REGIONS, "--dry-run", "--explain-frames", "frames.png")
    assert dry.exit_code == 0 and re.search(PLAN, dry.stderr), dry.stderr
    assert Path("frames.png").exists()
    run = locstyle(*STYLIZE, *REGIONS, "-o", "a.png")
    assert re.search(PLAN, run.stderr) and "measuring" not in run.stderr
    data = json.loads(locstyle(*STYLIZE, *REGIONS, "--dry-run", "--json").stdout)
    (frame,) = data["frames"]
    assert frame["regions"] == [0, 1] and frame["rows"] + frame["inversion_rows"] == 9
    assert frame["seconds"] > 0 and frame["memory"] > 0
    assert Edit.from_dict(data["edit"]).steps == 2
    Path("recipe.yaml").write_text(dry.stdout)
    again = locstyle("run", "recipe.yaml", "--dry-run", "--json")
    assert json.loads(again.stdout) == data


def test_a_dry_run_refuses_what_could_not_be_written(locstyle, folder):
    for output, said in (("no/a.png", "does not exist"), ("a.gif", "cannot write")):
        for more in ((), ("--dry-run",)):
            done = locstyle(*STYLIZE, *REGIONS, "-o", output, *more)
            assert done.exit_code != 0 and said in done.stderr


def test_fewer_rows_at_once_need_less_memory_and_give_the_same(locstyle, folder):
    asked = (*STYLIZE, *REGIONS, "--json")
    all_, few = (
        json.loads(locstyle(*asked, "--dry-run", *rows).stdout)["frames"][0]
        for rows in ((), ("--max-rows", 1))
    )
    assert few["rows"] == all_["rows"] and few["memory"] < all_["memory"]
    for name, rows in (("a.png", ()), ("b.png", ("--max-rows", 1))):
        assert locstyle(*asked, "-o", name, *rows).exit_code == 0
    made = [np.asarray(Image.open(name), int) for name in ("a.png", "b.png")]
    assert abs(made[0] - made[1]).max() <= 1
    assert "--max-rows" in locstyle(*asked, "-o", "c.png", "--max-rows", 0).stderr


def test_run_reads_paths_beside_the_recipe_and_takes_other_steps(locstyle, folder, monkeypatch):
    dry = locstyle(*STYLIZE, "-r", "left.png=loras/one.safetensors", "--dry-run")
    Path("recipe.yaml").write_text(dry.stdout)
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    done = locstyle("run", "../recipe.yaml", "--steps", 1, "-o", "out.png", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["edit"]["steps"] == 1


def test_a_contact_sheet_has_a_column_a_region_beside_input_and_result(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--contact-sheet", "sheet.png")
    assert done.exit_code == 0, done.output
    height, width = pixels("sheet.png").shape[:2]
    assert 3 * 256 < width < 4 * 256 and 2 * 256 < height < 600


@pytest.mark.parametrize(
    ("given", "mask", "style", "strength"),
    [
        ("sky.png=neon", "sky.png", "neon", 1.0),
        ("sky.png=neon@0.8", "sky.png", "neon", 0.8),
        ("a=b.png=neon@1e-1", "a=b.png", "neon", 0.1),
        ("me@home.png=a@b.safetensors", "me@home.png", "a@b.safetensors", 1.0),
        ("me@2.png=a@b@2", "me@2.png", "a@b", 2.0),
        (r"C:\a\sky.png=C:\b\x.safetensors@.5", r"C:\a\sky.png", r"C:\b\x.safetensors", 0.5),
        ("box:1,2,3,4=neon", "box:1,2,3,4", "neon", 1.0),
        ("all=loras/x.safetensors", "all", "loras/x.safetensors", 1.0),
        ("file:all=neon@", "file:all", "neon@", 1.0),
        ("point:212,160=ukiyo-e@0.8", "point:212,160", "ukiyo-e", 0.8),
        ("text:a = b|grow:2=neon", "text:a = b|grow:2", "neon", 1.0),
        ("my mask (1).png - b#1.png=neon", "my mask (1).png - b#1.png", "neon", 1.0),
    ],
)  # fmt: skip
def test_regions_are_read_from_the_end(given, mask, style, strength):
    assert read_regions([given]) == [Region(mask, style, strength=strength)]


def test_a_region_may_have_several_styles_and_settings():
    (plain, region) = read_regions(
        ["all=neon:0.2-1", r"sky.png=swirl@0.6:0-.5, C:\b\x.safetensors,ink@2"],
        ["2=a sky"],
        ["2.structure=0.3", "2.guidance=4", "1.window=[0, 0.5]", "2.feather=3"],
    )
    assert plain == Region("all", "neon", window=(0, 0.5))
    styles = [Styling("swirl", 0.6, (0, 0.5)), Styling(r"C:\b\x.safetensors"), Styling("ink", 2)]
    settings = {"prompt": "a sky", "structure": 0.3, "guidance": 4, "feather": 3}
    assert region == Region("sky.png", styles=styles, **settings)
    assert [one.strength for one in region.stylings] == [0.6, 1.0, 2.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-r", "all=one:0.5-0.2"], "window: got (0.5, 0.2); give [start, end]"),
        (["-r", "all=one,,two"], "an empty style between commas"),
        (["-r", "all=one", "--set", "1.structre=1"], "no such key; did you mean 'structure'?"),
        (["-r", "all=one", "--set", "1.style=two"], "--set '1.style=two': no such key"),
        (["-r", "all=one", "--set", "2.guidance=3"], "give N.KEY=VALUE with N from 1 to 1"),
        (["-r", "all=one", "--set", "1.guidance=99"], "guidance: got 99; give a number in [1, 30]"),
        (["-r", "all=one", *["--set", "1.guidance=3"] * 2], "region 1 has a guidance already"),
        (
            ["-r", "all=one", "--set", "1.structure=1", "--fusion", "diffstyler"],
            "regions[0].structure: fusion 'diffstyler' has no structure of a region's own; "
            "--fusion singlepass has",
        ),
        (["-r", "sky.png"], "-r 'sky.png': give SELECTION=STYLE, SELECTION=STYLE@STRENGTH or"),
        (["-r", "=neon"], "-r '=neon': give SELECTION=STYLE"),
        (["-r", "left.png="], "-r 'left.png=': give SELECTION=STYLE"),
        (["-r", "left.png=one@3"], "-r 'left.png=one@3': strength: got 3.0; give"),
        ([], "regions: zero regions"),
        (["-r", "all=one", "--region-prompt", "2=x"], "'2=x': give N=TEXT with N from 1 to 1"),
        (["-r", "all=one", "--region-prompt", "x"], "--region-prompt 'x': give N=TEXT"),
        (["-r", "all=one", *["--region-prompt", "1=x"] * 2], "region 1 has a prompt already"),
        (["-r", "all=one", "--steps", "0"], "steps: got 0"),
        (["-r", "all=one", "--fusion", "difstyler"], "did you mean 'diffstyler'?"),
        (
            ["-r", "all=one", "--fusion", "diffstyler", "--preset", "referense"],
            "did you mean 'reference'?",
        ),
        (["-r", "all=one", "-O", "guidence=3"], "no such option; did you mean 'guidance'?"),
        (["-r", "all=one", "-O", "guidance=high"], "options.guidance: got 'high'; give a number"),
        (["-r", "all=one", "-O", "guidance"], "-O 'guidance': give KEY=VALUE"),
        (["-r", "all=one", "--segmenter", "halfs"], "'halfs': nobody offers it; did you mean 'ha"),
        (["-r", "auto:1=one", "--segmenter", "halves", "-S", "shar=1"], "did you mean 'share'?"),
        (["-r", "auto:1=one", "--segmenter", "halves", "-S", "share"], "-S 'share': give KEY=VAL"),
        (["-r", "all=one", "-O", "guidance=[1"], "-O 'guidance=[1': not valid YAML"),
    ],
)  # fmt: skip
def test_mistakes_in_the_request_exit_with_2_and_one_sentence(locstyle, folder, arguments, message):
    done = locstyle(*STYLIZE, *arguments, "-o", "out.png")
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert message in done.stderr and done.stdout == ""
    assert not Path("out.png").exists()


@pytest.mark.parametrize(
    ("photo", "region", "output", "message"),
    [
        ("photo.png", "all=one", "photo.png", "is also an input"),
        ("photo.png", "left.png=one", "left.png", "is also an input"),
        ("photo.png", "file:left.png=one", "left.png", "is also an input"),
        ("photo.png", "all=one", "nowhere/out.png", "does not exist"),
        ("photo.png", "all=one", "out.gif", "cannot write '.gif'"),
        ("photo.png", "all=one", "out", "a file without ending"),
        ("missing.png", "all=one", "out.png", "missing.png: no such file"),
    ],
)
def test_outputs_are_refused_before_any_work(
    locstyle, folder, tiny, photo, region, output, message
):
    loads = tiny.loads
    done = locstyle("stylize", photo, "--backbone", "tiny", "-r", region, "-o", output)
    assert done.exit_code == 1 and message in done.stderr and tiny.loads == loads


def test_a_format_that_would_lose_alpha_is_refused_before_any_work(locstyle, folder, tiny):
    Image.new("RGBA", (48, 40)).save("clear.png")
    loads = tiny.loads
    done = locstyle("stylize", "clear.png", "--backbone", "tiny", "-r", "all=one", "-o", "out.jpg")
    assert done.exit_code == 1 and "JPEG holds no alpha" in done.stderr and tiny.loads == loads


def test_an_output_must_be_named(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS)
    assert (
        done.exit_code == 2 and done.stderr == "error: -o: is missing; name the picture to write\n"
    )


def test_the_contact_sheet_may_not_replace_the_output(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "-o", "out.png", "--contact-sheet", "out.png")
    assert done.exit_code == 1 and "is also an input" in done.stderr


def test_errors_of_the_editor_name_the_region(locstyle, folder):
    done = locstyle(*STYLIZE, "-r", "all=one", "-r", "skye.png=two", "-o", "out.png")
    assert done.exit_code == 1 and "regions[1].mask" in done.stderr
    done = locstyle(*STYLIZE, "-r", "all=onne", "-o", "out.png")
    assert done.exit_code == 1 and "did you mean 'one'" in done.stderr


def test_ctrl_c_leaves_nothing_and_exits_with_130(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "--fusion", "interrupted", "-o", "out.png")
    assert done.exit_code == 130
    assert done.stderr.endswith("cancelled; nothing was written\n")
    assert not [p for p in folder.iterdir() if "out" in p.name or "locstyle" in p.name]


def test_an_error_of_two_lines_is_told_in_one(locstyle, folder):
    done = locstyle(*STYLIZE, *REGIONS, "--fusion", "broken", "-o", "out.png")
    assert done.stderr.endswith("error: fusion: two; lines\n") and done.exit_code == 2


def test_traceback_raises_the_error_itself(locstyle, folder):
    done = locstyle("--traceback", *STYLIZE, "-o", "out.png")
    assert isinstance(done.exception, RecipeError)


def test_warnings_are_one_line(locstyle, folder):
    done = locstyle(*STYLIZE, "-r", "all=one", "--prompt", "a long story " * 9, "-o", "out.png")
    assert done.exit_code == 0, done.output
    (line,) = {line for line in done.stderr.splitlines() if line.startswith("warning: prompt")}
    assert "cut" in line
    assert warnings.showwarning.__module__ != "locstyle.cli"


# selections

FOUND = (*STYLIZE, "--segmenter", "halves")


def test_coverage_and_overlap_are_told_before_the_run(locstyle, folder):
    regions = ("-r", "point:3,3=one", "-r", "box:12,0,36,40=two@0.8", "-r", "rest=one")
    done = locstyle(*FOUND, *regions, "-o", "out.png", "--no-check")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[:4] == [
        "region 1:  50.00% of the picture  point:3,3=one",
        "region 2:  50.00% of the picture  box:12,0,36,40=two@0.8",
        "region 3:  25.00% of the picture  rest=one",
        "overlap:  25.00% of the picture is in regions 1 and 2; 2 lies on top, over 50% of 1",
    ]


def test_a_dry_run_keeps_the_segmenter_and_its_list(locstyle, folder):
    from locstyle.photo import Photo
    from locstyle.segments import Segment
    from locstyle.segments.file import write_segments

    boxes = np.zeros((2, 40, 48), bool)
    boxes[0, :, :9] = boxes[1, :, 30:] = True
    Path("found").mkdir()
    listed = [Segment.of(box) for box in boxes]
    write_segments("found/segments.json", listed, Photo.open("photo.png"), {"name": "hand"})
    arguments = (
        *FOUND, "-r", "auto:2 - left.png|shrink:1=one", "-r", "point:3,3=two", "-S", "share=0.25",
        "--segmenter-preset", "third", "--segments", "found/segments.json",
    )  # fmt: skip
    dry = locstyle(*arguments, "--dry-run")
    assert dry.exit_code == 0, dry.output
    Path("recipe.yaml").write_text(dry.stdout)
    edit = Edit.open("recipe.yaml")
    assert edit.segmenter == Segmenting("halves", "third", {"share": 0.25})
    assert edit.segments == "found/segments.json"
    assert edit.files == ["photo.png", "left.png", "found/segments.json"]
    assert locstyle(*arguments, "-o", "a.png", "--no-check").exit_code == 0
    again = locstyle("run", "recipe.yaml", "-o", "b.png", "--no-check")
    assert again.exit_code == 0 and (pixels("a.png") == pixels("b.png")).all()
    assert again.stderr.startswith("region 1:  35.42% of the picture  auto:2 - left.png|shrink:1")
    same = locstyle("replay", "a.png")
    assert same.exit_code == 0 and same.stdout.startswith("identical"), same.output
    listed[1] = Segment.of(~boxes[1])
    write_segments("found/segments.json", listed, Photo.open("photo.png"), {"name": "hand"})
    other = json.loads(locstyle("replay", "a.png", "--json").stdout)
    assert {"segments", "regions[0].mask"} <= set(other["changed"]) and not other["identical"]


@pytest.mark.parametrize("option", ["found.json", "missing.json"])
def test_an_unread_list_is_refused_even_where_nothing_asks_it(locstyle, folder, option):
    Path("found.json").write_text("{}")
    done = locstyle(*STYLIZE, "-r", "all=one", "--segments", option, "-o", "out.png")
    assert done.exit_code == 1 and "segments: " in done.stderr and "found.json" in done.stderr


def test_a_selection_that_cannot_be_read_shows_the_character(locstyle, folder):
    done = locstyle(*STYLIZE, "-r", "left.png + pont:3,3=one", "-o", "out.png")
    assert done.exit_code == 2
    first, shown, caret = done.stderr.splitlines()
    assert first.startswith("error: -r 'left.png + pont:3,3=one': mask: no source 'pont'; did you")
    assert (shown, caret) == ("  left.png + pont:3,3", " " * 13 + "^")
    Path("bad.yaml").write_text(
        "locstyle: 1\nimage: photo.png\nregions:\n- {mask: left.png|gorw:3, style: one}\n"
    )
    done = locstyle("run", "bad.yaml", "-o", "out.png")
    assert done.exit_code == 2 and done.stderr.splitlines()[2] == " " * 11 + "^"


@pytest.mark.parametrize("name", ["my mask.png", "a+b-c.png", "left#1 (2).png", "a=b&c.png"])
def test_files_with_odd_names_are_masks(locstyle, folder, name):
    Path("left.png").rename(name)
    done = locstyle(*STYLIZE, "-r", f"{name}=one", "-o", "out.png", "--no-check")
    assert done.exit_code == 0, done.output
    assert "region 1:  41.67%" in done.stderr
    assert locstyle("replay", "out.png").exit_code == 0


def test_regions_nobody_will_see_are_told(locstyle, folder):
    done = locstyle(*STYLIZE, "-r", "box:0,0,1,1=one", "-r", "all=two", "-o", "out.png")
    assert "warning: regions[0].mask: covers 0.052% of the picture, about 1 pixels" in done.stderr
    assert "warning: regions[0].mask: region 2 lies on top of 100% of region 1" in done.stderr
    done = locstyle(*STYLIZE, "-r", "rest=one", "-r", "all=two", "-o", "out.png")
    assert done.exit_code == 1 and "'rest' covers nothing" in done.stderr


# train, styles


def test_train_writes_a_style_that_can_be_named(locstyle, folder):
    done = locstyle(
        "train", "lora", "photo.png", "-o", "loras/mine.safetensors", "--backbone", "tiny",
        "--prompt", "a painting in mine style", "--licence", "CC0", "--seed", 3, "-O", "steps=2",
        "-O", "rank=2", "-O", "lr=1e-4", "-O", "crops=2", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert (facts["name"], facts["family"], facts["rank"]) == ("mine", "tiny", 2)
    assert facts["trigger"] == "a painting in mine style"
    assert facts["meta"]["licence"] == "CC0"
    assert facts["meta"]["made_by"].startswith("locstyle train lora photo.png -o mine.safetensors")
    assert "-O steps=2 -O rank=2" in facts["meta"]["made_by"]
    assert facts["meta"]["made_by"].endswith("--json")  # a flag, without a value
    assert "train" in done.stderr and "loss" in done.stderr
    listed = json.loads(locstyle("styles", "--json").stdout)
    here = [style for style in listed if style["path"].startswith("loras")]
    assert [style["name"] for style in here] == ["mine", "one", "two"]
    assert here[0]["scale"] == "1.25"  # 40 pixels, where the tiny backbone draws 32
    assert any("1:1.25" in line for line in locstyle("styles").stdout.splitlines())
    styled = locstyle(*STYLIZE, "-r", "all=mine", "-o", "out.png")
    assert styled.exit_code == 0, styled.output


def test_a_folder_is_the_pictures_in_it_by_name(locstyle, folder, monkeypatch):
    from locstyle_plugins.lora import LoRA

    seen = []

    def encode(self, images, *rest):
        seen.append([image.getpixel((0, 0)) for image in images])
        raise KeyboardInterrupt

    monkeypatch.setattr(LoRA, "encode", encode)
    works = folder / "works"
    (works / "more").mkdir(parents=True)
    for name, red in (("b.png", 2), ("a.JPG.png", 1), ("._a.png", 9), ("more/c.png", 9)):
        Image.new("RGB", (40, 40), (red, 0, 0)).save(works / name)
    (works / "notes.txt").write_text("of 1888")
    Image.new("RGB", (40, 40), (3, 0, 0)).save("z.png")
    quick = ("--backbone", "tiny", "-o", "mine.safetensors")
    locstyle("train", "lora", "works", "z.png", *quick)
    locstyle("train", "lora", "works/a.JPG.png", "works/b.png", "z.png", *quick)
    assert seen == [[(1, 0, 0), (2, 0, 0), (3, 0, 0)]] * 2


def test_a_folder_is_named_in_the_header(locstyle, folder):
    (folder / "works").mkdir()
    Image.new("RGB", (40, 40)).save("works/a.png")
    made = ("train", "reference", "works", "--backbone", "tiny", "-o", "mine.safetensors")
    assert locstyle(*made).exit_code == 0
    style = read_style("mine.safetensors")[0]
    assert style.meta["made_by"].startswith("locstyle train reference works ")
    assert len(style.references) == 1


def test_a_stopped_training_goes_on_and_leaves_only_the_style(locstyle, folder, monkeypatch):
    import locstyle.cli.progress as bars

    class Stopped(bars._Bars):
        def show(self, step):
            if step.index == 26:
                raise KeyboardInterrupt
            super().show(step)

    asked = (
        "train", "lora", "photo.png", "-o", "mine.safetensors", "--backbone", "tiny",
        "--prompt", "mine", "-O", "steps=27", "-O", "rank=1", "-O", "crops=1", "-O", "batch=1",
    )  # fmt: skip
    with monkeypatch.context() as patched:
        patched.setattr(bars, "_Bars", Stopped)
        stopped = locstyle(*asked)
    assert stopped.stderr.endswith("cancelled; written before that: mine.resume\n")
    assert [path.name for path in folder.glob("mine*")] == ["mine.resume"]
    done = locstyle(*asked)
    assert done.exit_code == 0, done.stderr
    assert [path.name for path in folder.glob("mine*")] == ["mine.safetensors"]


def test_a_file_that_is_only_called_like_a_bookmark_stays(locstyle, folder):
    """Also a bookmark of another training: its hours are not this one's to throw away."""
    quick = ("-O", "steps=1", "-O", "rank=1", "-O", "crops=1", "-O", "batch=1")
    lora = ("train", "lora", "photo.png", "--backbone", "tiny", *quick)
    assert locstyle(*lora, "-o", "old.safetensors").exit_code == 0
    keeper = Bookmark(folder / "old.resume", "another training")
    keeper.keep({"losses": torch.zeros(1)})
    for name in ("old", "mine"):
        if name == "mine":
            (folder / "mine.resume").write_text("my notes")
        before = (folder / f"{name}.resume").read_bytes()
        done = locstyle(
            "train", "reference", "photo.png", "-o", f"{name}.safetensors", "--backbone", "tiny"
        )
        assert done.exit_code == 0, done.stderr
        assert (folder / f"{name}.resume").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["lora", "photo.png", "-o", "x.pt"], 1, "cannot write '.pt'"),
        (["lora", "photo.png", "-o", "no/x.safetensors"], 1, "does not exist"),
        (["lora", "nothing.png", "-o", "x.safetensors"], 1, "no such file"),
        (["lora", "empty", "-o", "x.safetensors"], 1, "'empty': no picture in it; accepted: .avif"),
        (["lora", "photo.png", "many", "-o", "x.safetensors"], 1, "201 pictures; give at most 200"),
        (["lorra", "photo.png", "-o", "x.safetensors"], 2, "did you mean 'lora'?"),
        (["lora", "photo.png", "-o", "x.safetensors", "-O", "rnak=3"], 2, "did you mean 'rank'?"),
        (["lora", "photo.png", "-o", "x.safetensors", "--preset", "x"], 2, "no preset 'x'"),
        (["lora", "photo.png", "-o", "x.safetensors", "--seed", f"{2**63}"], 2, "not in the range"),
    ],
)
def test_train_refuses_mistakes_before_any_work(locstyle, folder, tiny, arguments, code, message):
    loads = tiny.loads
    for name, count in (("empty", 0), ("many", 200)):
        (folder / name).mkdir()
        for number in range(count):
            (folder / name / f"{number}.png").touch()
    done = locstyle("train", *arguments, "--backbone", "tiny")
    assert done.exit_code == code and message in done.stderr and tiny.loads == loads
    assert not list(folder.glob("x.*"))


def test_styles_lists_unreadable_files_too(locstyle, folder):
    Path("loras/bad.safetensors").write_bytes(b"nothing")
    done = locstyle("styles")
    assert done.exit_code == 0
    assert "unreadable" in next(li for li in done.stdout.splitlines() if li.startswith("bad"))
    assert any(line.startswith("one ") and "tiny" in line for line in done.stdout.splitlines())


# plugins, doctor, the program itself


def test_plugins_lists_what_is_offered(locstyle):
    data = {p["name"]: p for p in json.loads(locstyle("plugins", "--json").stdout)}
    assert data["tiny-plugin"]["offers"]["backbones"] == {"tiny": {"options": {}, "presets": []}}
    assert data["tiny-plugin"]["offers"]["commands"] == ["hello"]
    assert data["diffstyler"]["distribution"] == "locstyle"
    offered = data["diffstyler"]["offers"]["fusions"]["diffstyler"]
    assert "reference" in offered["presets"]
    assert offered["options"]["guidance"]["type"] == "a number"
    text = locstyle("plugins").stdout
    assert "fusions: diffstyler" in text and "diffstyler presets: reference" in text


def test_plugins_shows_failed_ones(tmp_path):
    failed = Host(allow=["nobody"])
    done = CliRunner().invoke(main, ["plugins"], obj=failed)
    assert done.exit_code == 0 and "failed and was skipped: PluginError" in done.stdout
    assert json.loads(CliRunner().invoke(main, ["plugins", "--json"], obj=failed).stdout)[0][
        "error"
    ]


def test_plugin_commands_are_ours_too(locstyle):
    assert "hello from tiny" in locstyle("hello").stdout
    assert "Say hello." in locstyle("--help").stdout
    assert "hello" not in CliRunner().invoke(main, ["--help"], obj=Host(allow=())).stdout


class Mini:
    """A plugin whose backbone `mini` is what `load` gives."""

    def __init__(self, load):
        self.load = load

    @hookimpl
    def register_backbones(self, register):
        register("mini", self.load)


def test_doctor_tells_versions_weights_and_what_is_missing(locstyle, host, tiny, folder):
    with host.temporarily(Mini(tiny.load)):
        data = json.loads(locstyle("doctor", "--json").stdout)
    assert data["versions"]["torch"] and data["devices"]["cpu"]
    assert data["backbones"]["mini"].startswith("found, family tiny, 32 pixels")
    assert data["backbones"]["tiny"].startswith("offered by plugin 'tiny-plugin'")
    assert set(data["extras"]) == {"bench", "edit", "eye", "fastsam", "heic", "ray", "sam"}
    assert {"one", "two"} <= set(data["styles"].split(", "))
    for fact in data["extras"].values():
        assert fact == "present" or "; pip install '" in fact
    assert "cpu:" in locstyle("doctor").stdout


def test_doctor_says_which_weights_are_missing(locstyle, host, folder):
    from locstyle import load_backbone

    with host.temporarily(Mini(lambda name, device, dtype: load_backbone(folder / "none"))):
        data = json.loads(locstyle("doctor", "--json").stdout)
    assert data["backbones"]["mini"].startswith("missing:")


def test_the_module_runs_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "locstyle", "--version"], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stdout.startswith("locstyle, version")


def test_every_command_explains_itself(locstyle):
    for name in main.commands:
        done = locstyle(name, "--help")
        assert done.exit_code == 0 and done.stdout.startswith("Usage:")


def test_options_are_read_as_yaml():
    assert read_options(("a=1", "b=x=y", "c=[0, 0.5]", "d=", "e=1e-4")) == {
        "a": 1,
        "b": "x=y",
        "c": [0, 0.5],
        "d": None,
        "e": 1e-4,
    }
    with pytest.raises(RecipeError, match="'a' is given twice"):
        read_options(("a=1", "a=2"))
