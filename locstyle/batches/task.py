"""What a batch consists of, and what became of each part."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from locstyle.batches.photos import Found
from locstyle.edit import Edit
from locstyle.edit.checks import number, refusal, whole
from locstyle.edit.variation import Variation
from locstyle.files.pattern import filled_where_known

if TYPE_CHECKING:
    from locstyle.engine.backbones.load import Memory

Carries = Literal["full", "names", "none"]
MakeLauncher = Callable[["Batching", Any], Any]
"""Makes a `Launcher` for a batch and the `Setting` of its workers."""

_MOST = 100_000
"""Workers, or threads of one: far beyond any cluster."""


@dataclass(frozen=True)
class Task:
    """One edit of one photo, and the file it is to become.

    `template` is the edit of all photos under this `variation`; places in its paths, such as
    `masks/{stem}.png`, are not filled yet.
    """

    found: Found
    template: Edit
    output: str
    variation: Variation = field(default_factory=dict)

    @property
    def photo(self) -> str:
        """The photo's path."""
        return self.found.path

    @property
    def edit(self) -> Edit:
        """The edit of this photo; made anew each time, since there may be a million."""
        known = self.found.places
        filled = self.template.moved(lambda path: filled_where_known(path, known))
        return replace(filled, image=self.photo)


@dataclass(frozen=True)
class Known:
    """A task whose identity is known: the `id`, and the digest of the photo's bytes in it.

    `told` is what every record of it says: id, output as the manifest has it, photo, variation.
    """

    task: Task
    id: str
    photo_sha256: str
    told: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """What became of a task of a batch.

    `state`: "done"; "filtered", a region means nothing on this photo and that was to be left out;
    "failed", with the `error`, tried again by the next run; "poison", it took its worker down
    twice and is not tried again; "planned", of a dry run. `is_new`: it ended in this run, not in
    one before. `rows` and `seconds` are what it cost, or in a dry run what it will, as far as that
    is known. `remarks` are the warnings.
    """

    state: Literal["done", "filtered", "failed", "poison", "planned"]
    photo: str
    output: str
    id: str
    variation: Variation = field(default_factory=dict)
    error: str | None = None
    is_new: bool = True
    rows: int | None = None
    seconds: float | None = None
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, known: Known, state: Any, **more: Any) -> Ended:  # Any: a Literal, and fields
        """What became of that task."""
        task = known.task
        return cls(state, task.photo, task.output, known.id, task.variation, **more)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what is not known."""
        told: Mapping[str, Any] = {
            "state": self.state,
            "photo": self.photo,
            "output": self.output,
            "id": self.id,
            "vary": dict(self.variation),
            "error": self.error,
            "new": self.is_new,
            "rows": self.rows,
            "seconds": self.seconds,
            "remarks": list(self.remarks) or None,
        }
        return {key: value for key, value in told.items() if value is not None}


@dataclass(frozen=True)
class Batching:
    """How a batch is run.

    Attributes:
        launcher: "local", processes of this machine, "ray", actors of a cluster, or what makes
            another `Launcher`.
        jobs: workers at once; None is one for each CUDA device, else as many as this machine's
            cores have room for, or the cluster's.
        threads: of each worker on a CPU. They decide the last bits, so they are part of what a
            task is.
        device: "auto", "cpu", "cuda" or "cuda:1".
        dtype: "auto", "float32", "float16" or "bfloat16".
        backbone_config: where a backbone in one file has its configuration from.
        max_rows: rows of one pass at most. They decide the last bits, as threads do.
        memory: "auto" or "low", as an `Editor` has it.
        shard: (number, count): only the photos of part `number`, counted from 0.
        manifest: the folder that says what was done; None is beside the outputs.
        timeout: seconds that one task may take.
        skip_failed: leave alone what failed in an earlier run.
        retry_poison: try once more what took workers down.
        filter_empty: photos on which a region means nothing are filtered, not failed.
        replace: outputs of other recipes that this manifest knows may be replaced.
        carries: what a PNG says of how it was made: "full", "names" or "none".
        download: whether a hub may be asked for a model that is not there yet.
        thumbnails: keep small pictures for a contact sheet.
        ray_address: a running cluster; None is the one the environment names, else one is started.
        gpus: of each actor, a share allowed; None is 1 where the cluster has any.
    """

    launcher: str | MakeLauncher = "local"
    jobs: int | None = None
    threads: int = 1
    device: str = "auto"
    dtype: str = "auto"
    backbone_config: str | None = None
    max_rows: int | None = None
    memory: Memory = "auto"
    shard: tuple[int, int] | None = None
    manifest: str | None = None
    timeout: float | None = None
    skip_failed: bool = False
    retry_poison: bool = False
    filter_empty: bool = False
    replace: bool = False
    carries: Carries = "full"
    download: bool = True
    thumbnails: bool = False
    ray_address: str | None = None
    gpus: float | None = None

    def __post_init__(self) -> None:
        """Refuses what no batch can have.

        Raises:
            RecipeError: a number out of range, or of Ray without it.
        """
        whole(self.threads, "threads", 1, _MOST)
        if self.jobs is not None:
            whole(self.jobs, "jobs", 1, _MOST)
        if self.max_rows is not None:
            whole(self.max_rows, "max_rows", 1, _MOST)
        for name in ("timeout", "gpus"):
            if getattr(self, name) is not None:
                number(getattr(self, name), name, 0)
        for name in ("ray_address", "gpus"):
            if self.launcher == "local" and (given := getattr(self, name)) is not None:
                fit = "none beside launcher 'local', which it says nothing to, or launcher 'ray'"
                raise refusal(name, given, fit)
