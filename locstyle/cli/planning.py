"""From an edit to its plan, on stderr, and then to its result or its recipe."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self  # Any: plain data

import click

from locstyle.cli.shared import CLOCK, Running, print_json
from locstyle.edit.recipe import to_yaml
from locstyle.engine.progress import Clock
from locstyle.errors import RecipeError
from locstyle.files import check_output
from locstyle.uncollected import uncollected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from locstyle.edit import Edit
    from locstyle.editor import Editor
    from locstyle.engine.backbones.load import Memory
    from locstyle.job.forecast import Forecast
    from locstyle.job.resolve import Job
    from locstyle.job.speed import Speed
    from locstyle.plugin.host import Host
    from locstyle.result import Result


@dataclass(frozen=True)
class Loading:
    """Where an edit's backbone comes from and runs, and how many rows at once."""

    device: str
    dtype: str
    cache: bool
    download: bool
    config: str | None = None
    max_rows: int | None = None
    memory: Memory = "auto"

    @classmethod
    def of(cls, running: Running, download: bool) -> Self:
        """As a command's options have it."""
        where = running.device, running.dtype, running.cache, download
        return cls(*where, running.backbone_config, running.max_rows, running.memory)


def run_edit(
    host: Host, edit: Edit, loading: Loading, *, check: bool, explained: Path | None = None
) -> Result:
    """The result of an edit; what its regions cover, its plan, and then its progress, on stderr."""
    from locstyle.cli.progress import progress

    editor = load_editor(host, edit, loading)
    job, plan = planned(editor, edit, loading, check=check, explained=explained)
    with progress() as on_step:
        result = editor.run(job, on_step, check_inversion=check, max_rows=loading.max_rows)
    _learn_speed(editor, plan, result)
    return result


def run_and_save(
    host: Host,
    edit: Edit,
    running: Running,
    *,
    inputs: tuple[Path, ...] = (),
    download: bool = True,
) -> None:
    """Runs an edit, writes its pictures, and reports; unwritable outputs are refused first."""
    clock: Clock = click.get_current_context().meta.get(CLOCK) or Clock("start")
    from locstyle.cli.report import report_lines, with_all_seconds
    from locstyle.photo import Photo
    from locstyle.sheet import result_sheet

    if (output := running.output) is None:
        raise RecipeError("-o: is missing; name the picture to write")
    _check_outputs(edit, running, inputs)
    with uncollected():
        host.fusion(edit.fusion.name, edit.fusion.options, preset=edit.fusion.preset)
    with clock.phase("run"):
        result = run_edit(
            host,
            edit,
            Loading.of(running, download),
            check=running.check,
            explained=running.explain_frames,
        )
    with clock.phase("save"):
        result.save(output, recipe=running.carries)
        if running.contact_sheet:
            Photo.from_image(result_sheet(result)).save(running.contact_sheet)
        written = result.read_back(output)
    result = replace(result, report=with_all_seconds(result.report, clock.read()))
    for line in report_lines(result.report, written):
        click.echo(line, err=True)
    if running.as_json:
        print_json({"output": str(output), "file": asdict(written), **result_data(result)})
    else:
        click.echo(output)


def result_data(result: Result) -> dict[str, Any]:
    """A result as plain data: the resolved edit and the report."""
    return {"edit": result.edit.to_dict(), "report": result.report.to_dict()}


def print_plan(
    host: Host,
    edit: Edit,
    running: Running,
    *,
    inputs: tuple[Path, ...] = (),
    download: bool = True,
) -> None:
    """Prints the recipe of an edit, and on stderr what it would take; nothing is run."""
    _check_outputs(edit, running, inputs)
    loading = Loading.of(running, download)
    editor = load_editor(host, edit, loading)
    _, plan = planned(editor, edit, loading, check=running.check, explained=running.explain_frames)
    if running.as_json:
        print_json({"edit": edit.to_dict(), "frames": [asdict(one) for one in plan]})
    else:
        click.echo(to_yaml(edit.to_dict()), nl=False)


def _check_outputs(edit: Edit, running: Running, inputs: Sequence[Path]) -> None:
    """Refuses pictures that could not be written, of those that are asked for."""
    from locstyle.photo import Photo

    output, files = running.output, [*map(Path, edit.files), *inputs]
    if output is not None:
        check_output(output, files)
    taken = files if output is None else [*files, output]
    for extra in (running.contact_sheet, running.explain_frames):
        if extra:
            check_output(extra, taken)
    if output is not None and isinstance(edit.image, str):
        check_output(output, files, photo=Photo.open(edit.image))


def planned(
    editor: Editor,
    edit: Edit | Job,
    loading: Loading,
    *,
    check: bool,
    explained: Path | None = None,
) -> tuple[Job, tuple[Forecast, ...]]:
    """The job of an edit, where it is none yet, and what its frames will take; both are told on
    stderr.

    `explained`: where to draw its frames over the photo.
    """
    from locstyle.cli.report import plan_lines, region_lines
    from locstyle.job.resolve import Job

    job = edit if isinstance(edit, Job) else editor.resolve(edit)
    for line in region_lines(job):
        click.echo(line, err=True)
    speed = _speed(editor) if loading.cache else None
    rows = loading.max_rows
    plan = editor.forecast(job, speed=speed, check_inversion=check, max_rows=rows)
    for line in plan_lines(job, plan):
        click.echo(line, err=True)
    if explained:
        _explain(job, explained)
    return job, plan


def load_editor(host: Host, edit: Edit, loading: Loading) -> Editor:
    """The editor on an edit's backbone."""
    with uncollected():
        import torch

        from locstyle.editor import Editor
        from locstyle.job.cache import TrajectoryCache

        return Editor.load(
            edit.backbone,
            device=loading.device,
            dtype=None if loading.dtype == "auto" else getattr(torch, loading.dtype),
            host=host,
            cache=TrajectoryCache() if loading.cache else None,
            download=loading.download,
            config=loading.config or edit.backbone_config,
            memory=loading.memory,
        )


def _speed(editor: Editor) -> Speed:
    """How fast the backbone is here, measured where that is not known yet."""
    from locstyle.job.speed import Speed

    if (kept := Speed.kept(editor.backbone)) is not None:
        return kept
    click.echo(f"measuring how fast {editor.backbone.name!r} is here, once", err=True)
    return Speed.of(editor.backbone)


def _learn_speed(editor: Editor, plan: Sequence[Forecast], result: Result) -> None:
    """Keeps how fast a run was, where that is faster than was foretold."""
    from locstyle.job.speed import Speed

    told, report = [one.seconds for one in plan if one.seconds is not None], result.report
    as_told = not report.cached_inversions and report.inversion_rows == sum(
        one.inversion_rows for one in plan
    )
    if len(told) < len(plan) or not as_told or (kept := Speed.kept(editor.backbone)) is None:
        return
    taken = sum(
        report.seconds.get(phase, 0.0) for phase in ("invert", "denoise", "decode", "check")
    )
    if (better := kept.seen(sum(told), taken)) != kept:
        better.keep(editor.backbone)


def _explain(job: Job, path: Path) -> None:
    """Draws the frames of a job over its photo."""
    from locstyle.frame_sheet import frame_sheet
    from locstyle.photo import Photo

    Photo.from_image(frame_sheet(job.photo.srgb, job.frames)).save(path)
