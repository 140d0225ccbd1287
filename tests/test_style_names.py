"""Styles by name: any name can be written on the command line, and those of this folder count."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import locstyle as ls
from locstyle.cli import main
from locstyle.cli.regions import read_regions
from locstyle.edit.written import write_styling
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.style import find_style, list_styles
from locstyle.testing import random_style

TRICKY = st.text(st.sampled_from('=,:@"-0.5 abé./\\'), min_size=1).filter(lambda t: t.strip() == t)
PLAIN = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1)
NAMES = TRICKY | PLAIN.filter(lambda t: t.strip() == t)
WINDOWS = st.sampled_from([(0.0, 1.0), (0.0, 0.5), (0.25, 1.0)])
STYLINGS = st.builds(ls.Styling, NAMES, st.sampled_from([1.0, 0.5, 2.0, 1e-05]), WINDOWS)


@given(st.lists(STYLINGS, min_size=1, max_size=3), st.sampled_from(["all", '"a=b.png"', "rest"]))
def test_what_is_written_is_read_back(stylings: list[ls.Styling], mask: str) -> None:
    text = f"{mask}={','.join(map(write_styling, stylings))}"
    (region,) = read_regions([text])
    assert region.mask == mask.strip('"')
    assert list(region.stylings) == stylings


@pytest.mark.parametrize(
    ("text", "mask", "styles"),
    [
        ('all="a=b"', "all", ["a=b"]),
        ('"sky=1.png"="a=b"@0.5', "sky=1.png", ["a=b"]),
        ('all="one, two@0.5",three', "all", ["one, two@0.5", "three"]),
        ('all="say ""ink"""', "all", ['say "ink"']),
        ('all=qformer:"a,b=c.png"', "all", ["qformer:a,b=c.png"]),
        ('all="lora:one.png"', "all", ["./lora:one.png"]),  # in quotes stands a file or a name
        ('all=5"pipe', "all", ['5"pipe']),
        ("light:0..0.5=neon", "light:0..0.5", ["neon"]),
    ],
)
def test_quotes_work_on_the_side_of_the_style(text: str, mask: str, styles: list[str]) -> None:
    (region,) = read_regions([text])
    assert str(region.mask) == mask
    assert [one.style for one in region.stylings] == styles


@pytest.mark.parametrize("text", ["all=", 'all=""', "=neon", "all", "all=a,,b"])
def test_an_empty_style_is_refused(text: str) -> None:
    with pytest.raises(ls.RecipeError, match=r"^-r ") as caught:
        read_regions(["all=neon", text])
    assert caught.value.place is not None and caught.value.place.startswith("regions[1]")


def test_a_style_of_this_folder_is_found_by_its_name_and_listed(
    tmp_path: Path, backbone: UNetBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("loras").mkdir()
    for place in ("mine.safetensors", "loras/mine.safetensors", "loras/other.safetensors"):
        random_style(backbone, 1).save(Path(place))
    Path("model.safetensors").write_bytes(b"a whole model")
    assert find_style("mine") == Path("mine.safetensors")
    assert find_style("other") == Path("loras/other.safetensors")
    listed = {path.stem: path for path in list_styles()}
    assert listed["mine"] == Path("mine.safetensors")
    assert "model" not in listed and "other" in listed
    done = CliRunner().invoke(main, ["styles", "--json"])
    assert {"mine", "other"} <= {style["name"] for style in json.loads(done.stdout)}
    Path("mine").mkdir()  # no adapter: the file of that name is meant
    assert find_style("mine") == Path("mine.safetensors")
