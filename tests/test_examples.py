"""The examples run, on the tiny backbone under the name of the shipped one and random styles."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from locstyle.cli import main
from locstyle.plugin.hookspecs import hookimpl
from locstyle.plugin.host import Host
from locstyle.style import Style
from locstyle.testing import random_style, random_tokens, random_words, tiny_backbone

EXAMPLES = Path(__file__).parents[1] / "examples"
STYLES = ("embroidery", "engraving", "neon", "stained-glass", "swirl")
WORDS = ("engraving-word", "stained-glass-word")


class Glance:
    """Stands in for the Q-Former, whose weights fit the real `mini` alone."""

    makes = frozenset({"tokens"})
    instant = True

    def encode(self, images, backbone, request, on_step):
        return Style(request.name, backbone.family, tokens=random_tokens(backbone).tokens)


@pytest.fixture(scope="module")
def mini():
    return tiny_backbone(family="mini")


@pytest.fixture
def host(mini, tmp_path, monkeypatch):
    """A working folder whose ./loras hides the shipped styles, and a host whose mini is tiny."""

    class Mini:
        @hookimpl
        def register_backbones(self, register):
            register("mini", lambda name, device, dtype: mini)

        @hookimpl
        def register_style_encoders(self, register):
            register("qformer", Glance)

    monkeypatch.chdir(tmp_path)
    Path("loras").mkdir()
    for seed, name in enumerate(STYLES):
        random_style(mini, seed).save(f"loras/{name}.safetensors")
    for seed, name in enumerate(WORDS):
        random_words(mini, seed).save(f"loras/{name}.safetensors")
    host = Host(allow=["lora", "diffstyler", "singlepass", "magicstyle", "classic"])
    monkeypatch.setattr("locstyle.plugin.host.default_host", lambda: host)
    with host.temporarily(Mini()):
        yield host


@pytest.mark.filterwarnings("ignore:.*text window")  # sixteen letters, on the tiny backbone
@pytest.mark.parametrize("recipe", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_recipes_run(recipe, host):
    done = CliRunner().invoke(
        main, ["run", str(recipe), "--steps", "2", "-o", "out.png", "--no-check"], obj=host
    )
    assert done.exit_code == 0, done.output
    assert "100.0000% of the pixels identical" in done.stderr


@pytest.mark.filterwarnings("ignore:.*text window")
@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_scripts_run_and_are_short(script, host, monkeypatch, capsys):
    output = "." if script.stem == "learn_style" else "out.png"
    monkeypatch.setattr(sys, "argv", [script.name, "--steps", "2", "-o", output])
    runpy.run_path(str(script), run_name="__main__")
    assert "wrote" in capsys.readouterr().out
    assert list(Path(".").glob("*.png"))
    assert len(script.read_text().splitlines()) <= 32


def test_every_example_is_in_the_readme():
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        if path.suffix in (".py", ".yaml"):
            assert f"examples/{path.name}" in page
