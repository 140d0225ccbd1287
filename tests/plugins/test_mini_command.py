"""`locstyle mini` is cheap to offer and writes what it says."""

import subprocess
import sys
from pathlib import Path

import locstyle_plugins.mini
import pytest
from click.testing import CliRunner
from locstyle_plugins.mini.command import mini
from locstyle_plugins.mini.world import STYLES
from PIL import Image


def test_importing_the_plugin_loads_no_network_library() -> None:
    code = "import sys, locstyle_plugins.mini; print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    heavy = {"diffusers", "transformers", "scipy", "skimage"}
    assert not heavy & set(result.stdout.split())


def test_the_plugin_registers_its_backbone_and_its_commands() -> None:
    import click

    found: dict[str, object] = {}
    locstyle_plugins.mini.register_backbones(found.__setitem__)
    assert found == {"mini": locstyle_plugins.mini.load}
    cli = click.Group("locstyle")
    locstyle_plugins.mini.register_commands(cli)
    assert set(cli.commands) == {"mini"} and set(mini.commands) == {
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
