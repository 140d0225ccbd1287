"""`locstyle edit` and `locstyle serve` as they are typed, and what is installed of the page."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import zipfile
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from click.testing import CliRunner

from locstyle.cli import main

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "plugins" / "page" / "static"


def test_edit_opens_the_browser_prints_the_address_and_ends_with_ctrl_c(folder, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    command = [sys.executable, "-m", "locstyle", "edit", "photo.png"]
    seen = {**os.environ, "BROWSER": str(browser), "LOCSTYLE_CACHE": str(tmp_path / "cache")}
    with subprocess.Popen(
        command, cwd=folder, env=seen, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        address = process.stdout.readline().strip()
        origin, _, token = address.partition("/#token=")
        assert origin.startswith("http://127.0.0.1:") and len(token) > 20
        asked = Request(f"{origin}/api/hello", headers={"Locstyle-Token": token})
        with urlopen(asked, timeout=60) as answer:
            assert b'"image":"photo.png"' in answer.read()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err, err
    assert (tmp_path / "opened").read_text().strip() == address and out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nobody.png"], "'nobody.png' is not a file"),
        (["photo.png", "--root", "sub"], "photo.png: lies outside --root"),
        (["--root", "nowhere"], "--root 'nowhere': no such folder"),
        (["--port", "99999"], "99999 is not in the range"),
    ],
)
def test_what_cannot_be_served_is_refused_first(folder, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(main, ["serve", *words])
    assert done.exit_code != 0 and message in done.output


def test_a_port_that_is_taken_is_said(served, folder, monkeypatch):
    monkeypatch.chdir(folder)
    port = served.origin.rpartition(":")[2]
    done = CliRunner().invoke(main, ["serve", "--port", port])
    assert done.exit_code == 1 and f"--port {port}: Address already in use" in done.output


def test_without_the_extra_it_says_what_to_install(folder, monkeypatch):
    from locstyle_plugins.page import command

    monkeypatch.setattr(command, "find_spec", lambda name: None)
    done = CliRunner().invoke(main, ["edit"])
    assert done.exit_code == 1 and "pip install 'starlette" in done.output


def test_the_first_picture_needs_neither_torch_nor_numpy(folder, tmp_path):
    """Nor does the list of styles, which the page asks for next, need torch."""
    code = f"""
import os, sys, threading
from pathlib import Path
import locstyle as ls
from locstyle_plugins.page import desk
from locstyle_plugins.page.serving import serve
from locstyle_plugins.page.startup import Startup
sys.path.insert(0, {str(Path(__file__).parent)!r})
from calling import Client
from types import SimpleNamespace
desk.WAKES_AFTER = 60
def told(address):
    threading.Thread(target=look, args=(address,)).start()
def look(address):
    origin, _, token = address.partition("/#token=")
    client = Client(SimpleNamespace(origin=origin, token=token))
    photo = client.get("/api/hello").data["photo"]
    assert client.get(f"/api/photos/{{photo['id']}}/preview").status == 200
    heavy = {{"torch", "numpy", "cv2"}} & set(sys.modules)
    assert client.get("/api/styles").status == client.get("/api/segmenters").status == 200
    os._exit(17 if heavy or "torch" in sys.modules else 0)
startup = Startup(Path({str(folder)!r}), "photo.jpg", kept=Path({str(tmp_path)!r}))
serve(startup, ls.Host(), 0, told)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.returncode, done.stderr)


def test_a_wheel_holds_the_page(tmp_path):
    """Of a copy without weights, which take their time to pack."""
    skipped = shutil.ignore_patterns("weights", "__pycache__", "*.safetensors", ".*")
    for name in ("locstyle", "plugins", "lab", "loras"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    code = "from setuptools import build_meta; build_meta.build_wheel('out')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = (tmp_path / "out").glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    page = [file.relative_to(STATIC).as_posix() for file in STATIC.rglob("*") if file.is_file()]
    assert "index.html" in page
    assert {f"locstyle_plugins/page/static/{name}" for name in page} <= names
