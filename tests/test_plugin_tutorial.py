"""The tutorial of the plugin page, followed word for word in an environment of its own.

Where the page makes that environment and installs locstyle in it, which takes minutes and a
network, this one gets what the tests' own environment has; everything after is as it stands there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
START, END = "## From an empty folder", "## The hooks"


def tutorial() -> list[tuple[str, str]]:
    """The blocks between the two headings: language and text."""
    text = PAGE.read_text(encoding="utf-8").split(START)[1].split(END)[0]
    return re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def environment(folder: Path) -> dict[str, str]:
    """What `python3 -m venv .venv && . .venv/bin/activate` makes, with our packages in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / ".venv"], check=True)
    tools = folder / ".venv" / "bin"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / ".venv" / "lib" / version / "site-packages"
    places = sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})
    lines = [f"import site; site.addsitedir({place!r})" for place in places]
    (site / "shared.pth").write_text("\n".join(lines) + "\n")
    for name, words in {"pip": "-m pip", "locstyle": "-m locstyle"}.items():
        (tools / name).write_text(f'#!/bin/sh\nexec "{tools}/python" {words} "$@"\n')
        (tools / name).chmod(0o755)
    # Layers this small are slower on two threads than on one.
    one = {"OMP_NUM_THREADS": "1"}
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_CACHE_DIR": "1"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return {**kept, **one, **offline, "PATH": f"{tools}:{os.environ['PATH']}"}


@pytest.mark.skipif(
    not (find_spec("pip") and find_spec("setuptools")), reason="installs with pip and setuptools"
)
def test_the_tutorial_leads_from_an_empty_folder_to_a_fusion_that_runs(tmp_path: Path) -> None:
    (made, *_), *blocks = [(text, language) for language, text in tutorial()]
    assert made.splitlines()[0] == "mkdir acme-plain && cd acme-plain"
    folder = tmp_path / "acme-plain"
    folder.mkdir()
    shell = environment(folder)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    Image.fromarray(noise).save(folder / "photo.png")
    shown = ""
    for text, language in blocks:
        if named := re.match(r"# ([\w.]+)\n", text):
            (folder / named[1]).write_text(text, encoding="utf-8")
        elif language == "sh":
            done = subprocess.run(
                ["bash", "-e", "-c", text], cwd=folder, env=shell, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
            shown += done.stdout
        else:
            assert text in shown, f"{text}is not in\n{shown}"
    assert "2 passed" in shown or ".." in shown
    before, after = (np.asarray(Image.open(folder / name)) for name in ("photo.png", "out.png"))
    differs = (before != after).any(-1)
    assert differs[:64, :64].mean() > 0.9 and not differs[70:].any() and not differs[:, 70:].any()
