"""A server of the page in a process of its own, a real Chromium, and what both take."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # playwright's, JSON

import cv2
import numpy as np

MB = 1e6


def drawn(path: Path, width: int, height: int) -> Path:
    """A photo with objects to find: blobs of colour on a soft ground, and some grain."""
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 200, (4, 6, 3), np.uint8)
    pixels = cv2.resize(ground, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(12):
        centre = (int(rng.uniform(0, width)), int(rng.uniform(0, height)))
        size = int(width * rng.uniform(0.03, 0.12))
        cv2.circle(pixels, centre, size, rng.integers(0, 256, 3).tolist(), -1)
    grain = np.tile(rng.integers(0, 10, (512, 512, 1), np.uint8), (24, 32, 3))
    pixels = cv2.add(pixels, np.ascontiguousarray(grain[:height, :width]))
    cv2.imwrite(str(path), pixels, [cv2.IMWRITE_JPEG_QUALITY, 90])
    return path


@dataclass
class Served:
    """A server in a process of its own."""

    address: str
    process: int  # its id
    began: float

    @property
    def held(self) -> float:
        """MB."""
        return held_by(self.process)

    @property
    def cpu(self) -> float:
        return cpu_of([self.process])

    def ask(self, path: str, data: Any = None) -> tuple[int, bytes]:
        """The status and the body; 0 where nobody answers within a minute."""
        origin, _, token = self.address.partition("/#token=")
        body = None if data is None else json.dumps(data).encode()
        asked = urllib.request.Request(f"{origin}/api/{path}", body, {"Locstyle-Token": token})
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return int(answer.status), answer.read()
        except urllib.error.HTTPError as error:
            return error.code, b""
        except (OSError, http.client.HTTPException):  # reset, refused, cut short, too late
            return 0, b""

    @property
    def is_idle(self) -> bool:
        """Whether it answers, and no job waits or runs."""
        status, body = self.ask("jobs")
        jobs = json.loads(body)["jobs"] if status == 200 else [{"state": "running"}]
        return not any(job["state"] in ("waiting", "running") for job in jobs)

    def rest(self, seconds: float = 600) -> None:
        """Waits until no job waits or runs."""
        ends = time.monotonic() + seconds
        while not self.is_idle:
            if time.monotonic() > ends:
                raise TimeoutError("the server's jobs do not end")
            time.sleep(0.3)


@contextlib.contextmanager
def serving(photo: Path) -> Iterator[Served]:
    began = time.time()
    command = [sys.executable, "-m", "locstyle", "edit", "--no-browser", photo.name]
    with subprocess.Popen(
        command, cwd=photo.parent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Served(process.stdout.readline().strip(), process.pid, began)
        finally:
            process.terminate()


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


def tab_of(browser: Any) -> Any:
    return browser.new_context(viewport={"width": 1280, "height": 820}).new_page()


def opened(browser: Any, address: str) -> Any:
    page = tab_of(browser)
    page.goto(address, wait_until="commit")
    return page


def until(page: Any, code: str, seconds: float = 300) -> Any:
    """Waits for a value of the page's own; it may not `eval`, so it is asked again and again."""
    ends = time.monotonic() + seconds
    inside = f"window.locstyle && (({{store, pictures, segments}}) => {code})(window.locstyle)"
    while time.monotonic() < ends:
        if found := page.evaluate(inside):
            return found
        time.sleep(0.04)
    raise TimeoutError(code)


def browsers() -> list[int]:
    """The ids of all processes that this one has begun, and they, that are Chromium's."""
    parents, named = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            head, _, rest = path.read_text().rpartition(")")
            number = int(head.split(" ")[0])
            parents[number], named[number] = int(rest.split()[1]), "chrom" in head
    found, new = set(), {os.getpid()}
    while new:
        found |= new
        new = {one for one, parent in parents.items() if parent in new} - found
    return [one for one in found if named.get(one)]


def cpu_of(processes: list[int]) -> float:
    """Seconds of the CPU they have taken; those that ended meanwhile count nothing."""
    ticks = 0
    for one in processes:
        with contextlib.suppress(OSError):
            said = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += int(said[11]) + int(said[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def held_by(process: int) -> float:
    """MB in memory."""
    with contextlib.suppress(OSError):
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / MB
    return 0.0


def threads_of(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))
