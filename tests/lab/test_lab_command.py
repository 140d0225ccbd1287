"""`locstyle mini` is cheap to offer and writes what it says."""

import subprocess
import sys
from pathlib import Path

import click
import locstyle_lab
import pytest
from click.testing import CliRunner
from locstyle_lab.command import mini
from locstyle_plugins.world import STYLES
from PIL import Image


def test_importing_the_commands_loads_no_network_library() -> None:
    code = "import sys, locstyle_lab.command; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"torch", "diffusers", "transformers", "scipy", "skimage", "cv2"}
    assert not heavy & set(result.stdout.split())


def test_the_lab_registers_its_commands() -> None:
    cli = click.Group("locstyle")
    locstyle_lab.register_commands(cli)
    assert set(cli.commands) == {"mini"} and set(mini.commands) == {
        "distil",
        "train",
        "train-fastsam",
        "train-qformer",
        "world",
        "scores",
        "samples",
        "separates",
    }


def test_world_writes_a_sheet_of_scenes_and_styles(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    options = ["world", "-o", str(sheet), "--count", "2", "--size", "32"]
    result = CliRunner().invoke(mini, options, catch_exceptions=False)
    assert result.output.count("a photo of") == 2
    with Image.open(sheet) as image:
        assert image.size == (2 * 32, (1 + len(STYLES)) * 32)


@pytest.mark.parametrize("option", [["--device", "tpu"], ["--part", "clip"]])
def test_train_refuses_what_it_does_not_know(option: list[str], tmp_path: Path) -> None:
    needed = ["--minutes", "1", "--work", str(tmp_path), "--out", str(tmp_path)]
    assert CliRunner().invoke(mini, ["train", *needed, *option]).exit_code == 2
