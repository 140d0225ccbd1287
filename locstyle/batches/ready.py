"""What is still to do: tasks are known by what they read, and looked up in the manifest."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TYPE_CHECKING, Any

from locstyle.batches.identity import Facts, Identities
from locstyle.batches.manifest import Manifest, Standing, is_whole
from locstyle.batches.task import Batching, Ended, Known, Task
from locstyle.files import is_file
from locstyle.files.journal import Journal

if TYPE_CHECKING:
    from pathlib import Path

    from locstyle.plugin.host import Host

AHEAD = 16
"""Photos whose bytes are read before somebody asks for their tasks."""


class Ready:
    """Groups of tasks, photo by photo, as far as they are still to do.

    `is_dry`: nothing is written, into the manifest either.
    """

    def __init__(
        self, groups: Sequence[Sequence[Task]], manifest: Manifest, host: Host, how: Batching
    ) -> None:
        self._groups = iter(groups)
        self._manifest, self._host, self._how = manifest, host, how
        self._journal = Journal(manifest.folder)
        self._returned: deque[Known] = deque()
        self._ahead: deque[Future[list[Known]]] = deque()
        self._readers = ThreadPoolExecutor(2)
        self._identities: Identities | None = None
        self.is_dry = False

    def begin(self, facts: Facts) -> None:
        """From now on, what workers are is known, and with it what tasks are."""
        self._identities = Identities(self._host, facts, self._how.carries)
        self._read_ahead()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to begin."""
        return not self._ahead and not self._returned

    def next_group(self) -> Generator[Ended, None, list[Known]]:
        """The tasks of a photo that are to be done, none where nothing is left; gives what is
        passed over on the way."""
        while self._ahead:
            group = self._ahead.popleft().result()
            self._read_ahead()
            left = []
            for known in group:
                ended = self._ended(known)
                if ended is None:
                    left.append(known)
                else:
                    yield ended
            if left:
                return left
        return [self._returned.popleft()] if self._returned else []

    def look_again(self, known: Known) -> tuple[Ended | None, dict[str, Any]]:
        """Just before a task begins: what became of it elsewhere meanwhile, and what to send."""
        output = known.task.output
        return self._ended(known) if is_file(output) else None, {
            "edit": known.task.edit.to_dict(),
            "output": output,
            "photo_sha256": known.photo_sha256,
            "replaces": is_file(output),
            "told": dict(known.told),
        }

    def give_back(self, known: Known) -> None:
        """A task that is to be begun again, after all others."""
        self._returned.append(known)

    def tell(self, known: Known, kind: str, **more: Any) -> None:
        """Enters into the manifest what no worker could."""
        record = {"is": kind, **known.told, **more}
        if not self.is_dry:
            self._journal.write(record)
        self._manifest.take(record)

    def close(self) -> None:
        """Lets go of files and threads."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._journal.close()

    def _read_ahead(self) -> None:
        for group in islice(self._groups, AHEAD - len(self._ahead)):
            self._ahead.append(self._readers.submit(self._known, group))

    def _known(self, group: Sequence[Task]) -> list[Known]:
        assert self._identities is not None
        found = []
        for task in group:
            digest, name = self._identities.digest(task.photo), self._identities.of(task.edit)
            told = {"id": name, "output": self._manifest.name(task.output), "photo": task.photo}
            vary = {"vary": dict(task.variation)} if task.variation else {}
            found.append(Known(task, name, digest, {**told, **vary}))
        return found

    def _ended(self, known: Known) -> Ended | None:
        """What became of a task before; None if it is to be done."""
        output, how = known.task.output, self._how
        standing = self._manifest.standing(known.id, output)
        if standing.done is None and is_file(output):  # another process may be at it as well
            self._manifest.refresh()
            standing = self._manifest.standing(known.id, output)
        if self._is_done(known, standing):
            record = self._manifest.standing(known.id, output).record
            rows, seconds = record.get("rows"), record.get("run")
            return Ended.of(known, "done", is_new=False, rows=rows, seconds=seconds)
        error = standing.record.get("error")
        if standing.state == "filtered" and how.filter_empty:
            return Ended.of(known, "filtered", error=error, is_new=False)
        if standing.state == "poison":
            if not how.retry_poison:
                return Ended.of(known, "poison", error=error, is_new=False)
            self.tell(known, "pardon")
        if standing.failed is not None and how.skip_failed:
            return Ended.of(known, "failed", error=error, is_new=False)
        if (taken := self._taken(output)) is not None:
            return Ended.of(known, "failed", error=taken)
        return None

    def _is_done(self, known: Known, standing: Standing) -> bool:
        """Whether its file is there: told of, or in place when its writer was killed before it
        could tell."""
        from pathlib import Path

        output = Path(known.task.output)
        if standing.done is not None and is_whole(standing.done, output):
            return True
        for claim in standing.claims if standing.done is None else ():
            if is_whole(claim, output) and _digest(output) == claim.get("sha256"):
                kept = {key: value for key, value in claim.items() if key != "is"}
                self.tell(known, "done", **kept)
                return True
        return False

    def _taken(self, output: str) -> str | None:
        """Why the file that is there must stay; None if there is none, or it may be replaced."""
        if not is_file(output):
            return None
        if not self._manifest.owns(output):
            return f"{output}: is there and is not as this batch wrote it; move it away"
        if self._how.replace:
            return None
        return (
            f"{output}: was made by another recipe or setting of this batch; have another -o, "
            "or --replace"
        )


def _digest(path: Path) -> str | None:
    from locstyle.files import digest_of

    try:
        return digest_of(path)
    except OSError:
        return None


def flattened(groups: Sequence[Sequence[Task]]) -> Iterator[Task]:
    """All tasks of all photos."""
    return (task for group in groups for task in group)
