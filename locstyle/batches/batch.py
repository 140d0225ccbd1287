"""Many edits: photos, a recipe and what is varied, as tasks that are done once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from locstyle.batches.launchers import open_launcher
from locstyle.batches.manifest import Manifest
from locstyle.batches.plan import Axes, check_tasks, manifest_folder, plan_tasks, without_outputs
from locstyle.batches.ready import Ready
from locstyle.batches.run import Foreman
from locstyle.batches.task import Batching, Ended, Task
from locstyle.edit import Edit
from locstyle.edit.recipe import Plain
from locstyle.errors import OutputError, RecipeError
from locstyle.files import check_folder, make_folder

if TYPE_CHECKING:
    from locstyle.plugin.host import Host


def batch(
    photos: Iterable[str | Path] | str | Path,
    recipe: str | Path | Edit | Mapping[str, Plain],
    output: str,
    *,
    matrix: Axes | None = None,
    how: Batching | None = None,
) -> Iterator[Ended]:
    """Runs a recipe on many photos, and gives what becomes of each task as it ends.

    What an earlier run of the same did is not done again, and met first. Breaking off ends the
    workers; whatever is not finished then, the next call does. Workers are processes of their own
    that load the plugins that are installed.

    Args:
        photos: files, folders, patterns ("shop/**/*.jpg"), and "@list.txt".
        recipe: its file, or an edit of any photo; places in its paths, such as
            "masks/{stem}.png", are filled for each photo.
        output: where pictures go, such as "out/{stem}-{style}.png": of a photo stem, name, suffix
            and folder, and each key of the matrix.
        matrix: keys of the recipe with the values to take: {"seed": [1, 2], "2.structure": [0.2]}.
        how: workers, launcher, and what to do about failures.

    Raises:
        LocstyleError: what is wrong with the request, before anything runs; a full disk; or
            workers that cannot begin.
    """
    planned = Batch.plan(photos, recipe, output, matrix=matrix, how=how)
    yield from planned.run()


@dataclass
class Batch:
    """A batch that can be run, or looked at; see `batch`. `groups` are its tasks by photo."""

    groups: list[list[Task]]
    manifest: Manifest
    host: Host
    how: Batching
    current: Foreman | None = field(default=None, repr=False)

    @classmethod
    def plan(
        cls,
        photos: Iterable[str | Path] | str | Path,
        recipe: str | Path | Edit | Mapping[str, Plain],
        output: str,
        *,
        matrix: Axes | None = None,
        how: Batching | None = None,
        host: Host | None = None,
    ) -> Batch:
        """The batch of a request; nothing is written yet.

        Raises:
            LocstyleError: what is wrong with the request.
        """
        from locstyle.plugin.host import default_host

        how, host = how or Batching(), host or default_host()
        given = [photos] if isinstance(photos, str | Path) else photos
        manifest = Manifest(manifest_folder(output, how))
        groups = without_outputs(plan_tasks(given, recipe, output, matrix), manifest)
        check_tasks(groups, manifest, host)
        if how.shard is not None:
            number, count = how.shard
            if not 0 <= number < count:
                raise RecipeError(f"shard: got {number} of {count}; give 0 to {count - 1}")
            groups = groups[number::count]
        return cls(groups, manifest, host, how)

    @property
    def count(self) -> int:
        """How many tasks there are."""
        return sum(map(len, self.groups))

    def run(self, *, dry: bool = False) -> Iterator[Ended]:
        """What becomes of each task; of a `dry` run, what would, and nothing is written.

        Raises:
            LocstyleError: see `batch`.
        """
        if not self.groups:
            return
        from locstyle.batches.worker import Setting

        how, template = self.how, self.groups[0][0].template
        config = how.backbone_config or template.backbone_config
        setting = Setting(
            template.backbone,
            str(Path.cwd()),
            str(self.manifest.folder.absolute()),
            device=how.device,
            dtype=how.dtype,
            threads=how.threads,
            carries=how.carries,
            download=how.download,
            filter_empty=how.filter_empty,
            thumbnails=how.thumbnails,
            timeout=how.timeout,
            backbone_config=str(config) if config else None,
            max_rows=how.max_rows,
            memory=how.memory,
        )
        if not dry:
            make_folder(self.manifest.folder)
        check_folder(self.manifest.folder)
        ready = Ready(self.groups, self.manifest, self.host, how)
        ready.is_dry = dry
        self.current = Foreman(ready, open_launcher(how, setting), self.manifest, how)
        try:
            yield from self.current
        finally:
            ready.close()
            if not dry:
                self.manifest.refresh()
                with suppress(OutputError):  # of a full disk is told elsewhere; it is made anew
                    self.manifest.write_union()
