"""The page's JavaScript: its types hold, and its files stay as small as the house wants them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "plugins" / "page"
TSC = shutil.which("tsc")


@pytest.mark.skipif(TSC is None, reason="TYPES OF THE PAGE NOT CHECKED: no tsc (npm: typescript)")
def test_types_hold() -> None:
    found = subprocess.run(
        [str(TSC), "-p", str(PAGE / "tsconfig.json")], capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


def test_modules_are_small_and_everything_vendored_says_what_it_is() -> None:
    for path in (PAGE / "static").glob("*.js"):
        assert path.read_text("utf-8").count("\n") <= 250, path
    vendored = sorted((PAGE / "static" / "vendor").glob("*.js"))
    assert [path.stem for path in vendored] == ["core", "hooks", "htm", "preact", "signals"]
    for path in vendored:
        first = path.read_text("utf-8").split("\n")[0]
        package = first.removeprefix("/*! ").split(" ")[0].removeprefix("@").replace("/", "-")
        assert (path.parent / f"{package}.LICENSE").is_file(), first
