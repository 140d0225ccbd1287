"""`locstyle batch` as it is typed: processes of its own, killed and given again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import batch_kit as kit
import pytest

WORDS = ("photos", "--recipe", "recipe.yaml", "-o", "out/{stem}.png", "--jobs", 1)
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    kit.make_folder(tmp_path, 3)
    return tmp_path


def start(folder: Path, *more: object) -> subprocess.Popen[str]:
    command = kit.command("batch", *WORDS, *more)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=folder, env=kit.environment(folder), **pipes)


def told(process: subprocess.Popen[str]) -> tuple[dict[str, dict], dict, str]:
    """What `--json` told of each photo, the summary, and what was said beside it."""
    stdout, stderr = process.communicate(timeout=500)
    *ended, last = map(json.loads, stdout.splitlines())
    return {Path(one["photo"]).stem: one for one in ended}, last["summary"], stderr


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


@posix
@pytest.mark.slow
def test_killed_it_takes_its_worker_along_and_given_again_it_goes_on(shop):
    killed = start(shop)
    first, journals = shop / "out" / "000.png", shop / "out" / ".locstyle-batch"
    while not first.exists():
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.05)
    (writer,) = journals.glob("*.jsonl")
    worker = int(writer.name.split("-")[-2])
    killed.kill()
    killed.communicate()
    until = time.monotonic() + 60
    while is_alive(worker) and time.monotonic() < until:
        time.sleep(0.1)
    assert not is_alive(worker), "a worker outlived its parent"
    kept = first.read_bytes()
    (shop / "photos" / "001.png").write_text("no picture")
    again = start(shop, "--json", "--contact-sheet", "sheet.html")
    ended, summary, said = told(again)
    states = {name: one["state"] for name, one in ended.items()}
    assert states == {"000": "done", "001": "failed", "002": "done"}, said
    assert again.returncode == 1 and "failed: out/001.png: photos/001.png" in said
    assert summary["failed"] == 1 and summary["left"] == 0
    assert not ended["000"]["new"] and first.read_bytes() == kept
    assert "photos/001.png" in (shop / "sheet.html").read_text()


@posix
@pytest.mark.slow
def test_a_photo_that_takes_its_worker_down_is_poison_among_good_ones(shop):
    kit.photo(shop / "photos" / "001.png", 1, kit.DEADLY)
    first = start(shop, "--json")
    ended, summary, said = told(first)
    states = {name: one["state"] for name, one in ended.items()}
    assert states == {"000": "done", "001": "poison", "002": "done"} and first.returncode == 1
    assert "ended with signal 9, SIGKILL" in said and summary["poison"] == 1
    again = start(shop, "--json", "--skip-failed")
    ended, _, _ = told(again)
    assert ended["001"]["state"] == "poison" and again.returncode == 0


@posix
@pytest.mark.slow
def test_the_first_ctrl_c_finishes_what_is_in_flight_and_the_next_run_the_rest(shop):
    stopped = start(shop, "--json")
    while not (shop / "out" / "000.png").exists():
        time.sleep(0.01)
    stopped.send_signal(signal.SIGINT)
    ended, summary, said = told(stopped)
    assert stopped.returncode == 130 and "the same command goes on from here" in said
    assert 1 <= summary["done"] == len(ended) < 3
    ended, summary, _ = told(start(shop, "--json"))
    assert summary["done"] == 3 and summary["new"] == 3 - len(
        [one for one in ended.values() if not one["new"]]
    )
