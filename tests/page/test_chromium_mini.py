"""`locstyle edit photo.jpg` from the command to the saved file, on the model that ships."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from chrome import Tab
from PIL import Image
from scenes import IN_SKY, write_scene

Open = Callable[..., Tab]
pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The command as somebody types it, and the address it prints; it opens "the browser" itself,
    which here is a program that writes down what it was asked to open."""
    write_scene(tmp_path)
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened.txt\n')
    browser.chmod(0o755)
    around = os.environ | {"BROWSER": f"{browser} %s", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-m", "locstyle", "edit", "photo.png"],
        cwd=tmp_path, env=around, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.kill()


def test_from_the_command_to_the_saved_file(
    command: tuple[str, subprocess.Popen[str]], opened: Open, tmp_path: Path
) -> None:
    address, process = command
    tab = opened(address).ready()
    assert (tmp_path / "opened.txt").read_text().strip() == address
    tab.page.mouse.click(*tab.at(*IN_SKY))
    tab.page.get_by_role("button", name="swirl LoRA").click()
    tab.until("store.results.value.length && !store.run.value", seconds=180)
    tab.press("Control+s")
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="File").fill("out.png")
    dialog.get_by_role("button", name="Save").click()
    dialog.get_by_text("100.0 % identical").wait_for(timeout=180_000)
    before, after = (np.asarray(Image.open(tmp_path / f"{n}.png")) for n in ("photo", "out"))
    assert np.array_equal(before[190:], after[190:])  # the meadow, bit for bit
    assert (before[:60] != after[:60]).mean() > 0.5
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    tab.page.get_by_text("The server does not answer").wait_for()
