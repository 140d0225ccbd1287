"""Recipes of 0.1: what they left open still means what 0.1 made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from locstyle import Edit, Editor, Host, RecipeError, hookimpl
from locstyle.cli import main
from locstyle.edit import version_1
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.photo import read_text

MADE = Path(__file__).parent / "made_by_0.1"
OLD = {"locstyle": 1, "image": "a.png", "regions": [{"mask": "all", "style": "neon"}]}


@pytest.fixture(scope="module")
def host(backbone: UNetBackbone) -> Iterator[Host]:
    class Tiny:
        @hookimpl
        def register_backbones(self, register: object) -> None:
            register("tiny", lambda name, device, dtype: backbone)  # type: ignore[operator]

    host = Host()
    with host.temporarily(Tiny()):
        yield host


def test_a_picture_made_by_0_1_replays_as_it_was(host: Host, tmp_path: Path) -> None:
    """To the bit on the machine that made it; on another the last bits of a sum may round apart."""
    shutil.copytree(MADE, tmp_path / "made")
    text = read_text(tmp_path / "made/singlepass.png", "locstyle")
    assert text is not None and json.loads(text)["locstyle"] == 1
    done = CliRunner().invoke(
        main, ["replay", str(tmp_path / "made/singlepass.png"), "--json"], obj=host
    )
    outcome = json.loads(done.stdout)
    assert outcome["changed"] == []
    assert outcome["identical"] or (
        outcome["largest"] <= 1.01 / 255 and outcome["differing"] < 0.01
    )


def test_what_it_left_open_is_written_out() -> None:
    edit = Edit.from_dict(OLD)
    assert (edit.solver, edit.steps, edit.inversion_refine, edit.size) == ("ddim", 50, 0, 128)
    assert edit.fusion.name == "singlepass" and edit.fusion.options["structure"] == 0.4
    assert edit.to_dict()["locstyle"] == 2
    assert Edit.from_dict(edit.to_dict()) == edit


def test_what_it_said_stays() -> None:
    fusion = {"name": "vct", "preset": "reference", "options": {"guidance": 5.0, "refine": 2}}
    edit = Edit.from_dict(
        OLD | {"steps": 20, "size": 64, "backbone": "sd", "fusion": fusion, "segmenter": "sam"}
    )
    assert (edit.steps, edit.size, edit.inversion_refine) == (20, 64, 2)
    assert edit.fusion.preset == "reference" and edit.segmenter.name == "sam"
    assert edit.fusion.options["guidance"] == 5.0  # given
    assert edit.fusion.options["equaliser"] == 0.5  # the preset's
    assert edit.fusion.options["self_share"] == 0.9  # 0.1's default
    assert Edit.from_dict(OLD | {"inversion_refine": 3}).inversion_refine == 3
    assert Edit.from_dict(OLD | {"backbone": "sd"}).size == "native"


def test_fusions_from_elsewhere_keep_their_own_defaults() -> None:
    edit = Edit.from_dict(OLD | {"fusion": {"name": "theirs", "options": {"x": 1}}})
    assert edit.fusion.options == {"x": 1}


@pytest.mark.parametrize("key", version_1.NEW)
def test_what_it_did_not_know_is_refused(key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key}: no such key in a recipe of version 1; write"):
        Edit.from_dict(OLD | {key: "ddim"})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("fusion", 3, "fusion: got 3"),
        ("fusion", {"options": 3}, "fusion.options: got 3"),
        ("fusion", {"nam": "a"}, "fusion.nam: no such key"),
        ("steps", "many", "steps: got 'many'"),
    ],
)
def test_wrong_values_are_refused_with_their_path(key: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Edit.from_dict(OLD | {key: value})
    assert str(caught.value).startswith(message)


def test_the_table_knows_every_option_of_the_fusions_that_came_with_it(host: Host) -> None:
    """Who adds an option to one of these says here what 0.1 did."""
    for name in ("diffstyler", "singlepass", "magicstyle", "vct", "deadiff"):
        factory = host.find("fusions", name).factory
        for preset in (None, *getattr(factory, "PRESETS", {})):
            edit = Edit.from_dict(OLD | {"fusion": {"name": name, "preset": preset}})
            options = host.options("fusions", name, edit.fusion.options, preset=preset)
            assert set(edit.fusion.options) == set(options), f"{name} {preset}"


def test_a_recipe_of_0_1_resolves_to_what_0_1_ran(
    host: Host, backbone: UNetBackbone, tmp_path: Path
) -> None:
    shutil.copytree(MADE, tmp_path / "made")
    data = OLD | {"image": str(tmp_path / "made/photo.png")}
    data["regions"] = [{"mask": "all", "style": str(tmp_path / "made/style.safetensors")}]
    for name, steps in (("singlepass", None), ("diffstyler", 999), ("vct", None)):
        preset = "reference" if name != "singlepass" else None
        edit = Edit.from_dict(data | {"fusion": {"name": name, "preset": preset}})
        job = Editor(backbone, host).resolve(edit)
        assert (job.settled.solver, job.settled.steps, job.settled.refine) == ("ddim", 50, 0)
        assert job.inversion.steps == steps
        assert (job.inversion.pivot is not None) == (name == "vct")
