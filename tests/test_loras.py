"""The shipped styles: readable, small, for `mini`, and indexed as they are."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

import locstyle as ls
from locstyle.style import list_styles, read_header

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "loras").glob("*.safetensors"))


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_at_least_four_styles_are_shipped_and_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    assert {file.stem for file in FILES} <= {path.stem for path in list_styles()}
    assert len(FILES) >= 4


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_style_is_small_and_says_how_it_was_made(file: Path) -> None:
    style, header = ls.read_style(file)[0], read_header(file)
    assert style.family == "mini" and style.preview is not None
    assert file.stat().st_size < 5e6
    picture = f"{file.stem}.png"
    encoder = {frozenset({"deltas"}): "lora", frozenset({"words"}): "concept"}[style.kinds]
    assert header["made_by"].startswith(f"locstyle train {encoder} {picture}")
    assert header["licence"] and style.trigger
    assert file.with_name(picture).exists()


def test_the_index_of_the_shipped_styles_is_up_to_date() -> None:
    assert script("index_loras").main(check=True) == 0


def test_the_index_is_written_from_the_files_alone(tmp_path: Path) -> None:
    import torch

    delta = ls.Delta(torch.zeros(2, 3), torch.zeros(4, 2))
    style = ls.Style("ink", "mini", {"site": delta}, {"made_by": "locstyle train", "trigger": "t"})
    style.save(tmp_path / "ink.safetensors")
    index = script("index_loras")
    (tmp_path / "gone.yaml").write_text("name: gone")
    assert index.main(tmp_path, check=True) == 1
    assert index.main(tmp_path) == 0 and index.main(tmp_path, check=True) == 0
    assert "**ink**" in (tmp_path / "README.md").read_text("utf-8")
    assert "command: locstyle train" in (tmp_path / "ink.yaml").read_text("utf-8")
    assert not (tmp_path / "gone.yaml").exists()


def test_the_page_of_styles_shows_every_one_and_how_it_was_made() -> None:
    styles = script("make_styles")
    page = styles.PAGE.read_text("utf-8")
    for name in (*styles.STYLES, *styles.MEASURED):
        assert name.replace("-", " ") in page.lower().replace("-", " ")
    for name in styles.STYLES:
        assert styles.picture(name).exists()
        assert read_header(ROOT / "loras" / f"{name}.safetensors")["made_by"] in page
    shown = {*styles.STYLES, *styles.MEASURED}
    assert {file.stem.removesuffix("-word") for file in FILES} == shown


def test_a_shipped_style_keeps_whose_colours_its_script_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "scripts")
    palettes = {name: float(said) for name, said in script("make_loras").PALETTES.items()}
    found = {file.stem: read_header(file) for file in FILES if file.stem in palettes}
    assert {name: float(header["palette"]) for name, header in found.items()} == palettes
