"""Pictures as styles on the command line, and the inversions it keeps."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pictures_fusion
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from locstyle.cli import main
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.plugin.hookspecs import hookimpl
from locstyle.plugin.host import Host
from locstyle.style import read_style

Locstyle = Callable[..., Result]
EDIT = (
    "stylize", "photo.png", "-r", "box:4,4,30,28=painting.png", "--backbone", "tiny", "--steps",
    "2", "--fusion", "pictures", "--no-check",
)  # fmt: skip


class Tiny:
    def __init__(self, backbone: UNetBackbone) -> None:
        self.backbone = backbone

    @hookimpl
    def register_backbones(self, register: Callable[..., None]) -> None:
        register("tiny", lambda name, device, dtype: self.backbone)


@pytest.fixture
def locstyle(
    backbone: UNetBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Locstyle]:
    """Runs a command in a folder with a photo and a painting, and a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOCSTYLE_CACHE", str(tmp_path / "cache"))
    draw = np.random.default_rng(0)
    for name, size in (("photo", (32, 40)), ("painting", (60, 50))):
        pixels = draw.integers(0, 256, (*size, 3), np.uint8)
        Image.fromarray(pixels).save(f"{name}.png")
    host = Host(allow=["reference", "diffstyler"])
    with host.temporarily(Tiny(backbone), name="tiny"), host.temporarily(pictures_fusion):
        yield lambda *words: CliRunner().invoke(main, list(words), obj=host)


def test_a_second_run_takes_its_inversions_from_the_cache(locstyle: Locstyle) -> None:
    first, second = (locstyle(*EDIT, "-o", f"{name}.png") for name in "ab")
    assert first.exit_code == 0, first.output
    assert "8 inverting;" in first.stderr
    assert "0 inverting (2 from the cache);" in second.stderr
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()
    assert len(list(Path("cache/trajectories").iterdir())) == 2
    replayed = locstyle("replay", "b.png")
    assert replayed.exit_code == 0 and replayed.stdout.startswith("identical")


def test_without_the_cache_nothing_is_kept_or_used(locstyle: Locstyle) -> None:
    assert locstyle(*EDIT, "-o", "a.png", "--no-cache").exit_code == 0
    assert not Path("cache").exists()
    locstyle(*EDIT, "-o", "a.png")
    assert "8 inverting;" in locstyle(*EDIT, "-o", "a.png", "--no-cache").stderr


def test_a_cache_that_cannot_be_written_is_one_warning(locstyle: Locstyle) -> None:
    Path("cache").write_text("in the way")
    ran = locstyle(*EDIT, "-o", "a.png")
    assert ran.exit_code == 0 and Path("a.png").exists()
    assert ran.stderr.count("warning:") == 1 and "not kept for later runs" in ran.stderr


def test_the_picture_of_a_style_is_not_overwritten(locstyle: Locstyle) -> None:
    before = Path("painting.png").read_bytes()
    refused = locstyle(*EDIT, "-o", "painting.png")
    assert refused.exit_code == 1 and "is also an input" in refused.stderr
    assert Path("painting.png").read_bytes() == before


def test_a_recipe_of_it_can_be_printed_and_run(locstyle: Locstyle) -> None:
    Path("recipe.yaml").write_text(locstyle(*EDIT, "--dry-run").stdout)
    assert "style: painting.png" in Path("recipe.yaml").read_text()
    locstyle(*EDIT, "-o", "a.png")
    assert locstyle("run", "recipe.yaml", "-o", "b.png", "--no-check").exit_code == 0
    assert Path("a.png").read_bytes() == Path("b.png").read_bytes()


def test_a_fusion_without_pictures_says_what_to_type(locstyle: Locstyle) -> None:
    refused = locstyle(*EDIT, "-o", "a.png", "--fusion", "diffstyler")
    assert refused.exit_code == 2
    assert "--fusion pictures can use it" in refused.stderr


def test_pictures_are_made_a_style_file_and_listed(locstyle: Locstyle) -> None:
    Path("loras").mkdir()
    made = locstyle(
        "train", "reference", "painting.png", "photo.png", "-O", "area=box:0,0,20,20",
        "--backbone", "tiny", "-o", "loras/mine.safetensors", "--licence", "CC0",
    )  # fmt: skip
    assert made.exit_code == 0, made.output
    assert "Style('mine', family='any', 2 references)" in made.stderr
    style = read_style("loras/mine.safetensors")[0]
    for reference in style.references:
        assert reference.area is not None and int((reference.area == 255).sum()) == 400
    assert style.meta["made_by"].startswith("locstyle train reference painting.png photo.png")
    (line,) = [row for row in locstyle("styles").stdout.splitlines() if row.startswith("mine")]
    assert line.split()[:3] == ["mine", "any", "reference"]
    listed = {found["name"]: found for found in json.loads(locstyle("styles", "--json").stdout)}
    assert listed["mine"]["kind"] == "reference"
    edit = [word.replace("painting.png", "mine") for word in EDIT]
    assert locstyle(*edit, "-o", "a.png").exit_code == 0


def test_the_doctor_says_where_inversions_are_kept(locstyle: Locstyle, tmp_path: Path) -> None:
    locstyle(*EDIT, "-o", "a.png")
    (line,) = [row for row in locstyle("doctor").stdout.splitlines() if "inversions" in row]
    assert str(tmp_path / "cache" / "trajectories") in line
    assert "2 inversions, 0.0 MiB of at most 1024 MiB" in line
