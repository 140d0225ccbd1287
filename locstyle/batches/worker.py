"""Who does tasks: one backbone, loaded once, and one task after another.

It is given plain data and gives plain data back; pixels go from file to file.
"""

from __future__ import annotations

import errno
import hashlib
import os
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from locstyle import __version__
from locstyle.batches.identity import Facts
from locstyle.batches.thumbs import keep_thumbnails
from locstyle.edit import Edit
from locstyle.editor import Editor
from locstyle.engine.backbones.load import Memory
from locstyle.engine.denoise import FEWEST
from locstyle.engine.progress import Step
from locstyle.errors import BackboneError, LocstyleError, NothingError, OutputError
from locstyle.files import (
    check_folder,
    check_format,
    check_output,
    digest_of,
    is_file,
    is_folder,
    make_folder,
    write_atomic,
)
from locstyle.files.journal import Journal
from locstyle.job.inversions import machine
from locstyle.job.resolve import Job
from locstyle.job.shelf import KeptInversions, Shelf
from locstyle.uncollected import uncollected

Message = dict[str, Any]
"""Plain data, as JSON has it."""

_LONGEST = 2000  # characters of an error that are kept
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True)
class Setting:
    """What all workers of a batch are told; `folder` is where relative paths lead from."""

    backbone: str
    folder: str
    manifest: str
    device: str = "auto"
    dtype: str = "auto"
    threads: int = 1
    carries: str = "full"
    download: bool = True
    filter_empty: bool = False
    thumbnails: bool = False
    timeout: float | None = None
    backbone_config: str | None = None
    max_rows: int | None = None
    memory: Memory = "auto"


class Worker:
    """One worker: `facts` say what it is, `do` does what a message asks.

    `editor`: None loads the setting's backbone, with the plugins that are installed.

    Raises:
        LocstyleError: the backbone cannot be loaded.
    """

    def __init__(self, setting: Setting, editor: Editor | None = None) -> None:
        os.chdir(setting.folder)
        _use_threads(setting.threads)
        self.setting = setting
        loaded = editor or _loaded(setting)
        self._editor = Editor(
            loaded.backbone, loaded.host, cache=KeptInversions(), memory=setting.memory
        )
        self._shelf = Shelf()
        self._counted: tuple[str, set[object]] = "", set()  # a photo, and what of it is inverted
        self._journal = Journal(Path(setting.manifest))

    @property
    def facts(self) -> Message:
        """What decides the bits of its pictures, and where it runs, in words."""
        backbone = self._editor.backbone
        dtype, device = str(backbone.dtype).removeprefix("torch."), backbone.device.type
        threads = torch.get_num_threads() if device == "cpu" else 0
        asked = self.setting
        rows = FEWEST if asked.max_rows is None and self._editor.spares else asked.max_rows
        known = backbone.digest, dtype, device, threads, __version__
        facts = Facts(*known, rows=rows, config=asked.backbone_config)
        return {"is": "hello", "facts": asdict(facts), "machine": machine(backbone.device)}

    def do(self, message: Message) -> Message:
        """What became of the task in a message; `is` says it in a word, as the manifest has it."""
        since, remarks = time.perf_counter(), list[str]()
        act = {"task": self._draw, "look": self._look, "measure": self._measure}[message["do"]]
        with warnings.catch_warnings():
            warnings.filterwarnings("always", module="locstyle")
            warnings.showwarning = partial(_note, remarks)
            answer = self._answered(act, message)
        seconds = round(time.perf_counter() - since, 3)
        return {**answer, "seconds": seconds, "remarks": list(dict.fromkeys(remarks))}

    def _answered(self, act: Callable[[Message], Message], message: Message) -> Message:
        try:
            return act(message)
        except LocstyleError as error:
            return self._refused(message, error)
        except Exception as error:  # a plugin's, or a bug: one task's, and not the batch's
            return self._refused(message, error)

    def _draw(self, task: Message) -> Message:
        """The task done: its file in place, and its line in the manifest."""
        output = Path(task["output"])
        make_folder(output.parent)
        job = self._resolved(task)
        check_output(output, job.edit.files)
        result = self._editor.run(job, self._in_time(), max_rows=self.setting.max_rows)
        data = result.encoded(output, recipe=self.setting.carries)  # type: ignore[arg-type]  # checked
        digest = hashlib.sha256(data).hexdigest()
        report = result.report
        told = {"sha256": digest, "bytes": len(data), "rows": report.rows}
        told["run"] = round(sum(report.seconds.values()), 3)
        # Asked first: what another process puts there in between is the same to the bit.
        is_taken = is_file(output) and not task.get("replaces")
        if not _holds(output, digest):
            if is_taken:
                raise OutputError(
                    f"{output}: came to be there meanwhile, and no run of this batch wrote it; "
                    "move it away"
                )
            self._tell(task, "claim", told)
            write_atomic(output, data)
        if self.setting.thumbnails:
            keep_thumbnails(Path(self.setting.manifest), task, result)
        self._tell(task, "done", told)
        return {"is": "done", **told}

    def _look(self, task: Message) -> Message:
        """What the task would cost, and whether it can work; nothing is drawn or written."""
        folder = Path(task["output"]).parent
        check_folder(folder)
        job = self._resolved(task)
        if is_folder(folder):
            check_output(task["output"], job.edit.files)
        return {"is": "look", "frames": len(job.frames), "rows": self._rows(job)}

    def _rows(self, job: Job) -> int:
        """The rows a job will take; what the photo's tasks before it inverted is inverted."""
        if self._counted[0] != job.photo.sha256:
            self._counted = job.photo.sha256, set()
        found, how = 0, (job.inversion, job.settled.steps)
        for one in self._editor.forecast(job):
            key = (one.box, one.working_size, how)
            found += one.rows + (0 if key in self._counted[1] else one.inversion_rows)
            self._counted[1].add(key)
        return found

    def _measure(self, task: Message) -> Message:
        """As `_look`, and the task is drawn, to see how long it takes."""
        answer = self._look(task)
        since = time.perf_counter()
        job, most = self._resolved(task), self.setting.max_rows
        report = self._editor.run(job, self._in_time(), max_rows=most).report
        seconds = time.perf_counter() - since
        return {**answer, "measured": [report.rows + report.inversion_rows, seconds]}

    def _resolved(self, task: Message) -> Job:
        edit = Edit.from_dict(task["edit"])
        job = self._editor.resolve(edit, shelf=self._shelf)
        check_format(Path(task["output"]), job.photo)
        if job.photo.sha256 != task["photo_sha256"]:
            raise LocstyleError(f"{edit.image}: changed since the batch began; run it again")
        return job

    def _refused(self, task: Message, error: Exception) -> Message:
        """The answer of a task that failed, which goes into the manifest as well."""
        is_nothing = isinstance(error, NothingError) and self.setting.filter_empty
        kind = "filtered" if is_nothing else "failed"
        words = str(error) if isinstance(error, LocstyleError) else _unexpected(error)
        answer: Message = {"is": kind, "error": words[:_LONGEST]}
        if _is_full(error):
            return {**answer, "is": "full"}
        if task["do"] == "task":
            try:
                self._tell(task, kind, {"error": answer["error"]})
            except OutputError as late:
                return {**answer, "is": "full" if _is_full(late) else kind}
        return {**answer, "spent": _is_spent(error, self._editor.backbone.device)}

    def _tell(self, task: Message, kind: str, told: Mapping[str, Any]) -> None:
        self._journal.write({"is": kind, **task["told"], **told})

    def _in_time(self) -> Callable[[Step], None] | None:
        """Stops a run after its time, at the end of a step."""
        most, since = self.setting.timeout, time.monotonic()
        if most is None:
            return None

        def check(step: Step) -> None:
            if time.monotonic() - since > most:
                raise LocstyleError(f"took longer than {most:g} s; give more with --timeout")

        return check


def _loaded(setting: Setting) -> Editor:
    dtype = None if setting.dtype == "auto" else getattr(torch, setting.dtype)
    with uncollected():
        return Editor.load(
            setting.backbone,
            device=setting.device,
            dtype=dtype,
            download=setting.download,
            config=setting.backbone_config,
            memory=setting.memory,
        )


def _use_threads(count: int) -> None:
    import cv2

    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def _note(remarks: list[str], message: Warning | str, *_: object) -> None:
    remarks.append("; ".join(line.strip() for line in str(message).splitlines())[:_LONGEST])


def _unexpected(error: Exception) -> str:
    return f"{type(error).__name__}: {error}; no error of ours, so perhaps of a plugin"


def _is_full(error: BaseException | None) -> bool:
    """Whether a full disk is behind it."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, OutputError) and _is_full(error.__cause__)


def _is_spent(error: Exception, device: torch.device) -> bool:
    """Whether this process had better not be used any more: its weights were changed, or a CUDA
    kernel failed, after which each following one does."""
    if isinstance(error, torch.OutOfMemoryError):
        return False
    is_ours = isinstance(error, LocstyleError)
    return isinstance(error, BackboneError) or (device.type == "cuda" and not is_ours)


def _holds(output: Path, digest: str) -> bool:
    try:
        return digest_of(output) == digest
    except OSError:
        return False
