"""What is known of each task, from what all writers of a folder told.

A writer tells `claim` before a file takes its place, then `done`; or `filtered`, `failed`, or
`crash` where the task took its worker down. Nothing that is told is ever taken back, so the union
of all journals needs no order and no lock.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from locstyle.files import digest_of, write_atomic
from locstyle.files.journal import Journals, Record

State = Literal["done", "filtered", "failed", "poison", "open"]

FOLDER = ".locstyle-batch"
"""Where a batch keeps its manifest, beside its outputs, unless it is told otherwise."""

POISON = 2
"""How often a task may take its worker down."""

_UNION = "manifest.json"
_LASTING = ("output", "state", "id", "photo", "vary", "sha256", "bytes", "rows", "error")


@dataclass
class Standing:
    """All that was told of one task."""

    done: Record | None = None
    filtered: Record | None = None
    failed: Record | None = None
    claims: list[Record] = field(default_factory=list)
    crashes: list[Record] = field(default_factory=list)
    pardons: int = 0

    @property
    def is_poison(self) -> bool:
        return len(self.crashes) >= POISON * (1 + self.pardons)

    @property
    def state(self) -> State:
        """As it was told; whether a file is still there is for others to look at."""
        if self.done is not None:
            return "done"
        if self.filtered is not None:
            return "filtered"
        if self.is_poison:
            return "poison"
        return "failed" if self.failed is not None else "open"

    @property
    def record(self) -> Record:
        """What says most about its state."""
        last = self.crashes[-1] if self.crashes else None
        if self.is_poison and self.state == "poison":
            return last or {}
        return self.done or self.filtered or self.failed or last or {}


class Manifest:
    """The tasks of one folder by id and output, which is written as seen from beside the folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._journals = Journals(folder)
        self._standings: defaultdict[tuple[str, str], Standing] = defaultdict(Standing)
        self._owned: defaultdict[str, set[str]] = defaultdict(set)
        self.refresh()

    def name(self, output: str | Path) -> str:
        """An output as the manifest writes it."""
        try:
            found = os.path.relpath(output, self.folder.parent)
        except ValueError:  # another drive
            found = os.path.abspath(output)
        return found.replace(os.sep, "/")

    def refresh(self) -> None:
        """Reads what was told since."""
        for record in self._journals.new():
            self.take(record)

    def take(self, record: Record) -> None:
        """Counts in what was told."""
        task, output, kind = record.get("id"), record.get("output"), record.get("is")
        if not (isinstance(task, str) and isinstance(output, str)):
            return
        standing = self._standings[task, output]
        if kind in ("claim", "done") and isinstance(record.get("sha256"), str):
            self._owned[output].add(record["sha256"])
        match kind:
            case "done" | "filtered" | "failed":
                setattr(standing, str(kind), record)
            case "claim":
                standing.claims.append(record)
            case "crash":
                standing.crashes.append(record)
            case "pardon":
                standing.pardons += 1

    def standing(self, task: str, output: str | Path) -> Standing:
        """What is known of a task; nothing, of one that is new."""
        return self._standings.get((task, self.name(output))) or Standing()

    def knows(self, output: str | Path) -> bool:
        """Whether any task ever wrote that file, or was about to."""
        return self.name(output) in self._owned

    def owns(self, output: str | Path) -> bool:
        """Whether the file that is there holds what a task wrote."""
        owned = self._owned.get(self.name(output))
        if not owned:
            return False
        try:
            return digest_of(Path(output)) in owned
        except OSError:
            return False

    def write_union(self) -> None:
        """Writes all of it into one file, by output, without what differs from run to run.

        Raises:
            OutputError: it cannot be written.
        """
        rows = (json.dumps(row, ensure_ascii=False) for row in self._rows())
        text = "[\n" + ",\n".join(rows) + "\n]\n"
        write_atomic(self.folder / _UNION, text.encode("utf-8", "surrogatepass"))

    def _rows(self) -> Iterator[Record]:
        for (task, output), standing in sorted(self._standings.items(), key=lambda x: x[0][::-1]):
            told = {**standing.record, "id": task, "output": output, "state": standing.state}
            yield {key: told[key] for key in _LASTING if told.get(key) is not None}


def is_whole(record: Record, output: Path) -> bool:
    """Whether the file that a record is of is there, by its size: it took its place whole."""
    try:
        return output.is_file() and output.stat().st_size == record.get("bytes")
    except OSError:
        return False
