"""Workers as processes of this machine: each told through its input, heard through its output.

A worker's input ends when the process that has the other end does, `kill -9` included, on every
platform; then it ends at once.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import IO, TYPE_CHECKING, Any

from locstyle.batches.launch import News

if TYPE_CHECKING:
    from locstyle.batches.task import Batching
    from locstyle.batches.worker import Message, Setting

_TAIL = 2000  # bytes of what a dead worker said last
_PATIENCE = 5  # seconds for a worker to end


@dataclass(frozen=True)
class _Child:
    """A worker's process, and the file that its complaints go to."""

    process: subprocess.Popen[str]
    complaints: IO[bytes]

    def last_words(self) -> str:
        """How it ended, and the last that it said."""
        code = self.process.wait()
        how = f"signal {_signal(-code)}" if code < 0 else f"status {code}"
        size = self.complaints.seek(0, os.SEEK_END)
        self.complaints.seek(max(0, size - _TAIL))
        lines = self.complaints.read().decode(errors="replace").strip().splitlines()
        said = "; ".join(line.strip() for line in lines[-3:])
        return f"its worker ended with {how}" + (f" ({said})" if said else "")


class Local:
    """A `Launcher` of processes."""

    def __init__(self, how: Batching, setting: Setting) -> None:
        self._devices = _devices(how.device)
        self.seats = how.jobs or _usual_jobs(self._devices, how.threads)
        self._setting = setting
        self._news: queue.SimpleQueue[tuple[_Child, News]] = queue.SimpleQueue()
        self._children: dict[int, _Child] = {}

    def start(self, seat: int) -> None:
        """See `Launcher`."""
        device = self._devices[seat % len(self._devices)]
        words = json.dumps(asdict(replace(self._setting, device=device)))
        complaints = tempfile.TemporaryFile()  # lives as long as the worker
        process = subprocess.Popen(
            # -P: no module is taken from the folder of the photos.
            [sys.executable, "-P", "-m", "locstyle.batches.seat", words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            encoding="utf-8",
            errors="surrogatepass",
            **_apart(),
        )
        child = self._children[seat] = _Child(process, complaints)
        threading.Thread(target=self._attend, args=(seat, child), daemon=True).start()

    def send(self, seat: int, message: Message) -> None:
        """See `Launcher`."""
        stdin = self._children[seat].process.stdin
        try:
            assert stdin is not None
            stdin.write(json.dumps(message) + "\n")
            stdin.flush()
        except OSError:  # it died; that is told where it is heard
            pass

    def wait(self, seconds: float) -> list[News]:
        """See `Launcher`."""
        found: list[News] = []
        try:
            child, news = self._news.get(timeout=seconds)
            while True:
                if self._children.get(news.seat) is child:  # else it was stopped meanwhile
                    found.append(news)
                child, news = self._news.get_nowait()
        except queue.Empty:
            return found

    def stop(self, seat: int) -> None:
        """See `Launcher`."""
        child = self._children.pop(seat, None)
        if child is not None:
            child.process.kill()
            child.process.wait()
            _close_input(child)

    def close(self) -> None:
        """See `Launcher`."""
        for seat in list(self._children):
            self.stop(seat)

    def _attend(self, seat: int, child: _Child) -> None:
        """Hears a worker to its end, which is its process's: what that has begun itself may live
        on, and hold its output open."""
        ear = threading.Thread(target=self._listen, args=(seat, child), daemon=True)
        ear.start()
        child.process.wait()
        ear.join(_PATIENCE)
        with child.complaints:
            error = child.last_words()
        self._news.put((child, News(seat, "died", {"error": error})))

    def _listen(self, seat: int, child: _Child) -> None:
        """Hands on what a worker says, line by line; one that cannot be heard any more is ended."""
        stdout = child.process.stdout
        assert stdout is not None
        with suppress(OSError, ValueError), stdout:
            for line in stdout:
                said = json.loads(line)
                kind = "hello" if said["is"] in ("hello", "refused") else "answer"
                self._news.put((child, News(seat, kind, said)))  # type: ignore[arg-type]  # a Literal
        with suppress(subprocess.TimeoutExpired):  # it may still be saying why
            child.process.wait(_PATIENCE)
        child.process.kill()


def _close_input(child: _Child) -> None:
    with suppress(OSError):  # what was never sent goes nowhere
        if child.process.stdin is not None:
            child.process.stdin.close()


def _devices(asked: str) -> list[str]:
    """One for each worker in turn."""
    import torch

    count = torch.cuda.device_count() if asked in ("auto", "cuda") else 0
    return [f"cuda:{index}" for index in range(count)] or [asked]


def _usual_jobs(devices: list[str], threads: int) -> int:
    """One worker a CUDA device; on a CPU, as many as its cores have room for."""
    if devices[0].startswith("cuda"):
        return len(devices)
    ask = getattr(os, "sched_getaffinity", None)  # the cores we may use, where a system says so
    cores = len(ask(0)) if ask else os.cpu_count() or 1
    return max(1, cores // threads)


def _apart() -> Mapping[str, Any]:
    """Ctrl-C is for whoever runs the batch, who lets workers finish."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _signal(number: int) -> str:
    try:
        return f"{number}, {signal.Signals(number).name}"
    except ValueError:
        return str(number)
