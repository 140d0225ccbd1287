"""What is missing is named so that pip finds it, from a checkout and from a wheel."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from locstyle import pip_line
from locstyle.extras import requirements

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
    "optional-dependencies"
]


@pytest.mark.parametrize("extra", sorted(set(EXTRAS) - {"dev", "all"}))
def test_the_line_names_the_packages_of_the_extra(extra: str) -> None:
    assert sorted(requirements(extra)) == sorted(EXTRAS[extra])
    assert pip_line(extra) == "pip install " + " ".join(f"'{one}'" for one in requirements(extra))


def test_no_message_asks_an_index_for_locstyle() -> None:
    for folder in ("locstyle", "plugins", "lab"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not re.search(r"pip install '?locstyle", path.read_text("utf-8")), path
