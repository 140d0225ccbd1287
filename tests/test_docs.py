"""What the pages say is true: their code runs, their tables are complete."""

from __future__ import annotations

import re
import sys
from dataclasses import fields, is_dataclass, replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

import locstyle as ls
import locstyle.testing as kit
from locstyle.edit import Edit, Region
from locstyle.edit.recipe import from_yaml

DOCS = Path(__file__).parents[1] / "docs"


def script(name: str) -> ModuleType:
    """A module of scripts/."""
    spec = spec_from_file_location(name, DOCS.parent / "scripts" / f"{name}.py")
    assert spec and spec.loader
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


write_docs = script("write_docs")


def blocks(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def modules() -> dict[str, str]:
    """The plugin page's modules, by the name in their first line."""
    named = [re.match(r"# (\w+)\.py\n", code) for code in blocks("plugins.md", "python")]
    return {m[1]: m.string for m in named if m}


@pytest.fixture
def module(monkeypatch):
    """A module of the plugin page, imported under its name."""

    def load(name: str) -> ModuleType:
        made = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, made)
        exec(compile(modules()[name], name, "exec"), made.__dict__)
        return made

    return load


@pytest.fixture
def photo() -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    return Image.fromarray(noise)


def test_the_segmenter_of_the_plugin_page_masks(module, photo, backbone):
    from locstyle.testing import random_style

    photo = photo.point(lambda value: value // 4)
    photo.paste("white", (4, 4, 16, 24))
    asked = {"segmenter": "contrast", "options": {"threshold": 0.5}, "points": [[10, 10]]}
    edit = ls.Edit(
        photo, [ls.Region(asked, random_style(backbone))], fusion=ls.Fusing("plain"), steps=1
    )
    host = ls.Host(allow=())
    with host.temporarily(module("acme_contrast")), host.temporarily(module("acme_plain")):
        (mask,) = ls.Editor(backbone, host).run(edit).masks
        assert mask.area == pytest.approx(12 * 20 / 32**2)
        with pytest.raises(ls.SegmenterError, match="all is equally bright"):
            host.segmenter("contrast").segment(Image.new("L", (8, 8)), ls.Prompt())


def test_what_the_plugin_page_offers_passes_the_kit(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("likeness.npy", np.random.default_rng(1).normal(size=(3, 8)))
    kit.check_segmenter(module("acme_contrast").Contrast)
    kit.check_style_encoder(module("acme_shuffle").Shuffle)
    kit.check_metric(module("acme_likeness").Likeness)


def test_the_generated_parts_of_the_pages_are_as_the_code_says():
    for page, parts in write_docs.generated().items():
        text = (DOCS.parent / page).read_text(encoding="utf-8")
        for mark, part in parts.items():
            assert write_docs.replaced(text, mark, part) == text, (
                f"{page}: run python scripts/write_docs.py"
            )


def test_the_plugin_page_has_every_public_name_with_its_fields():
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `ls\.(\w+)` \| (.*?) \|", page, re.MULTILINE))
    assert set(ls.__all__) == set(rows)
    for name in ls.__all__:
        public = getattr(ls, name)
        named = [f.name for f in fields(public)] if is_dataclass(public) else []
        for field in (*named, *getattr(public, "_fields", ())):
            assert field.startswith("_") or f"`{field}`" in rows[name], f"{name}.{field}"


def test_the_plugin_page_shows_the_whole_kit():
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    checks = [name for name in kit.__all__ if name.startswith("check_")]
    assert len(checks) == 5
    for name in checks:
        assert f"| `{name}(" in page, name


def test_the_style_encoder_of_the_plugin_page_makes_a_style(module, photo, backbone, tmp_path):
    with ls.Host(allow=()).temporarily(module("acme_shuffle")) as host:
        encoder = host.style_encoder("shuffle")
    style = encoder.encode([photo], backbone, ls.StyleRequest("mine", "mine style"), print)
    assert style.kinds == encoder.makes and style.deltas
    assert ls.read_style(style.save(tmp_path / "x.safetensors"))[0].digest == style.digest


def test_the_intervention_of_the_plugin_page_takes_what_it_declares(module, backbone):
    import torch

    from locstyle.testing import tiny_scene

    scene = tiny_scene(backbone, [None], steps=2)
    echo = module("acme_echo").Echo("source", "+")
    source = ls.Branch("source", scene.empty, 0, scene.content)
    plan = ls.Plan((ls.Branch("+", scene.text), source), (echo,), lambda rows, call: rows["+"])
    with torch.no_grad():
        found = [
            ls.denoise(backbone, plan, scene.schedule, scene.noise, max_rows=rows).latent
            for rows in (None, 1)
        ]
        plain = ls.denoise(backbone, replace(plan, interventions=()), scene.schedule, scene.noise)
    assert torch.allclose(*found, atol=1e-5) and not torch.allclose(found[0], plain.latent)


def test_the_fusion_of_the_plugin_page_passes_its_own_tests(module, plugin_host, tiny_editor):
    module("acme_plain")
    page = module("test_acme_plain")
    page.test_plain_styles_the_region_and_nothing_else(plugin_host, tiny_editor)
    page.test_plain_keeps_what_fusions_promise()


def test_the_metric_of_the_plugin_page_measures_once_its_weights_are_there(
    module, photo, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with ls.Host(allow=()).temporarily(module("acme_likeness")) as host:
        metric = host.metric("likeness")
    assert metric.better in ("higher", "lower") and metric.needs in ("truth", "style", "photo")
    picture, mask = np.asarray(photo), np.ones((32, 32), bool)
    with pytest.raises(ls.LocstyleError, match="no weights in likeness"):
        metric.measure(picture, picture, mask)
    np.save("likeness.npy", np.random.default_rng(1).normal(size=(3, 8)))
    assert metric.measure(picture, picture, mask) == pytest.approx(1)
    assert metric.measure(255 - picture, picture, mask) < 1


def test_the_backbone_and_command_of_the_plugin_page_register(module):
    import click

    group = click.Group()
    with ls.Host(allow=()).temporarily(module("acme_backbone")) as host:
        assert host.names("backbones") == ["acme"]
        host.add_commands(group)
    assert list(group.commands) == ["acme"]


def test_every_module_of_the_plugin_page_is_used_here():
    named = {
        "acme_contrast",
        "acme_echo",
        "acme_shuffle",
        "acme_plain",
        "acme_likeness",
        "acme_backbone",
    }
    assert set(modules()) == named | {"test_acme_plain"}


def test_the_recipe_page_shows_a_recipe_with_every_key():
    (text,) = blocks("recipes.md", "yaml")
    data = from_yaml(text, "recipes.md")
    edit = Edit.from_dict(data)
    # `size` stands in place of `detail`; the last two are written by a finished edit
    shown = {f.name for f in fields(Edit)} - {"size", "frames", "digests"}
    assert set(data) == {"locstyle"} | shown
    assert {*data["regions"][1], *data["regions"][2]} == {f.name for f in fields(Region)}
    assert Edit.from_dict(edit.to_dict()) == edit


def test_the_recipe_page_lists_every_key_and_default():
    text = (DOCS / "recipes.md").read_text(encoding="utf-8")
    edit_part, region_part = (
        text.split(f"\n## {title}\n")[1].split("\n## ")[0] for title in ("The edit", "A region")
    )
    for kind, part in ((Edit, edit_part), (Region, region_part)):
        rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", part, re.MULTILINE))
        assert set(rows) - {"locstyle"} == {f.name for f in fields(kind)}
        for f in fields(kind):
            if isinstance(f.default, bool):
                assert rows[f.name] == str(f.default).lower(), f.name
            elif isinstance(f.default, int | float):
                assert float(rows[f.name]) == f.default, f.name


def test_the_python_of_the_recipe_page_runs():
    for code in blocks("recipes.md", "python"):
        exec(code, {})


def test_every_example_of_the_selection_page_is_read():
    from locstyle.selection import parse

    (examples,) = blocks("selections.md", "selection")
    for text in examples.splitlines():
        assert parse(str(parse(text))) == parse(text)
    page = (DOCS / "selections.md").read_text(encoding="utf-8")
    shown = re.findall(r"-r '([^']*)=[\w@.-]+'", page)
    assert shown
    for text in shown:
        if "pont:" not in text:
            parse(text)
        else:
            with pytest.raises(ls.SelectionError):
                parse(text)


def test_the_selection_page_knows_every_source_and_refinement():
    from locstyle.selection import REFINEMENTS
    from locstyle.selection.grammar import SOURCES

    page = (DOCS / "selections.md").read_text(encoding="utf-8")
    (examples,), (grammar,) = blocks("selections.md", "selection"), blocks("selections.md", "ebnf")
    for name in SOURCES:
        assert re.search(rf"^\| .*`{name}:", page, re.MULTILINE), name
        assert f"{name}:" in examples and f'"{name}:"' in grammar
    rows = dict(re.findall(r"^\| `(\w+)(?::[\d.]+)?` \| ([^;|]*)", page, re.MULTILINE))
    for name, refinement in REFINEMENTS.items():
        assert rows[name].strip() == refinement.does and f'"{name}"' in grammar


def test_the_python_of_the_selection_page_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (64, 64), "#87ceeb").save("photo.jpg")
    (code,) = blocks("selections.md", "python")
    exec(compile(code, "selections.md", "exec"), {})
    assert ls.Mask.open("sky.png", (64, 64)).area == 1


def test_the_gallery_shows_the_recipes_it_was_made_from():
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(
        r"^\[examples/(\S+)\.yaml\]\(\.\./examples/\1\.yaml\).*?^```yaml\n(.*?)^```",
        page,
        re.MULTILINE | re.DOTALL,
    )
    examples = DOCS.parent / "examples"
    kinds = {path.stem for path in examples.glob("kind-*.yaml")}
    assert {name for name, _ in shown} == {"four-kinds", *kinds}
    for name, recipe in shown:
        assert recipe == (examples / f"{name}.yaml").read_text(encoding="utf-8")
        assert (DOCS / f"pictures/gallery-{name}.jpg").stat().st_size < 4e5


def test_every_kind_of_file_says_which_test_holds_it():
    """Each row of the two tables of docs/checkpoints.md names a test file, or those above it."""
    text = (DOCS / "checkpoints.md").read_text("utf-8")
    named = 0
    for title in ("## As a backbone", "## As a style"):
        table = text.split(f"{title}\n\n")[1].split("\n\n")[0].splitlines()[2:]
        for row in table:
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
            assert len(cells) == 3, row
            files = re.findall(r"`(tests/[\w/]+\.py)`", cells[2])
            assert files or "the same" in cells[2] or cells[2] == "not checked", row
            assert all((DOCS.parent / file).is_file() for file in files), row
            named += len(files)
    assert named > 20
