"""`locstyle stylize --vary`: one photo many times over, as one labelled grid."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from math import ceil, prod, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from locstyle.cli.planning import Loading, load_editor, planned
from locstyle.cli.shared import Running, print_json
from locstyle.edit import Edit
from locstyle.edit.recipe import to_yaml
from locstyle.edit.variation import (
    Variation,
    combinations,
    described,
    read_axes,
    varied,
    written,
)
from locstyle.errors import OutputError, RecipeError
from locstyle.files import check_output
from locstyle.files.pattern import file_name, filled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from PIL.Image import Image

    from locstyle.editor import Editor
    from locstyle.job.shelf import Shelf
    from locstyle.plugin.host import Host

WIDEST = 6
"""Pictures beside each other where only one key is varied."""

MOST = 900
"""Pictures in one grid, so that at 512 pixels a side each it is a photo that we read."""

_LARGEST = 512  # pixels a side of a picture in the grid


@dataclass(frozen=True)
class Varying:
    """What is varied, as it was typed, and where each picture goes by itself."""

    axes: tuple[str, ...]
    each: str | None


def vary_and_save(host: Host, edit: Edit, varying: Varying, running: Running) -> None:
    """Runs every combination in one process, so that the photo is read and inverted once."""
    from locstyle.photo import Photo
    from locstyle.sheet import contact_sheet

    grid = running.output
    if grid is None:
        raise RecipeError("-o: is missing; name the picture to write the grid to")
    axes, chosen, edits, singles = _asked(edit, varying, running)
    editor, shelf = _ready(host, edits, Loading.of(running, download=True))
    cells = []
    for number, one in enumerate(chosen):
        with _told(number, len(chosen), one):
            job = editor.resolve(edits[number], shelf=shelf)
            result = editor.run(job, check_inversion=running.check, max_rows=running.max_rows)
        facts: dict[str, object] = {"vary": dict(one), "report": result.report.to_dict()}
        if singles:
            result.save(singles[number], recipe=running.carries)
            facts["output"] = str(singles[number])
        cells.append((described(one), _small(result.photo.srgb), facts))
    cell, pictures = max(cells[0][1].size), [(label, picture) for label, picture, _ in cells]
    Photo.from_image(contact_sheet(pictures, columns(axes), cell=cell)).save(grid)
    if running.as_json:
        print_json([facts for *_, facts in cells])
    else:
        click.echo(grid)


def print_variations(host: Host, edit: Edit, varying: Varying, running: Running) -> None:
    """Prints the recipe of every combination, and on stderr what each would take; nothing is
    run."""
    _, chosen, edits, _ = _asked(edit, varying, running)
    loading, told = Loading.of(running, download=True), []
    editor, shelf = _ready(host, edits, loading)
    for number, (one, asked) in enumerate(zip(chosen, edits, strict=True), start=1):
        label = f"{number} of {len(chosen)}: {described(one)}"
        click.echo(label, err=True)
        _, plan = planned(editor, editor.resolve(asked, shelf=shelf), loading, check=running.check)
        if not running.as_json:
            click.echo(f"--- # {' '.join(label.split())}\n{to_yaml(asked.to_dict())}", nl=False)
        frames = [asdict(frame) for frame in plan]
        told.append({"vary": dict(one), "edit": asked.to_dict(), "frames": frames})
    if loading.cache:
        click.echo("each plan counts inverting; what inverts alike is inverted once", err=True)
    if running.as_json:
        print_json(told)


class _Asked(NamedTuple):
    """What is varied, every combination with its edit, and the file each gets by itself."""

    axes: dict[str, list[object]]
    chosen: list[Variation]
    edits: list[Edit]
    singles: list[Path]


def _asked(edit: Edit, varying: Varying, running: Running) -> _Asked:
    """The combinations, of which all can be read and all pictures that are named can be written."""
    axes = read_axes(varying.axes, "--vary")
    chosen = combinations(axes)
    if len(chosen) > MOST:
        raise RecipeError(
            f"--vary: {len(chosen)} pictures; a grid holds {MOST} at most; give fewer values, "
            "or the same keys to locstyle batch --matrix"
        )
    data = edit.to_dict()
    edits = [Edit.from_dict(varied(data, one)) for one in chosen]
    _refuse(running)
    singles = _singles(varying.each, chosen)
    for path in (*([running.output] if running.output else ()), *singles):
        check_output(path, [file for one in edits for file in one.files])
    return _Asked(axes, chosen, edits, singles)


def _ready(host: Host, edits: list[Edit], loading: Loading) -> tuple[Editor, Shelf]:
    """Their editor and styles; what is wrong with any of them is said before the first is run."""
    from locstyle.job.shelf import Shelf

    editor, shelf = load_editor(host, edits[0], loading), Shelf()
    for asked in edits:
        editor.resolve(asked, shelf=shelf)
    return editor, shelf


def columns(axes: dict[str, list[object]]) -> int:
    """How many pictures stand beside each other: the last key's values, or of one key about as
    many as stand below each other."""
    counts = [len(values) for values in axes.values()]
    if len(counts) > 1:
        return counts[-1]
    count = prod(counts)
    return count if count <= WIDEST else ceil(sqrt(count))


def _refuse(running: Running) -> None:
    for flag, given in (
        ("--contact-sheet", running.contact_sheet),
        ("--explain-frames", running.explain_frames),
    ):
        if given:
            raise RecipeError(f"{flag}: is of one edit; leave it out beside --vary")


def _singles(pattern: str | None, chosen: list[Variation]) -> list[Path]:
    if pattern is None:
        return []
    found = [
        Path(filled(pattern, {k: file_name(written(v)) for k, v in one.items()}, "--each"))
        for one in chosen
    ]
    if len({str(path).casefold() for path in found}) < len(found):
        names = " and ".join(f"{{{key}}}" for key in chosen[0])
        raise OutputError(f"--each: {pattern!r} names some file twice; have {names} in it")
    return found


@contextmanager
def _told(number: int, count: int, one: Variation) -> Iterator[None]:
    """Says on stderr how long one of them took."""
    since = time.perf_counter()
    yield
    seconds = time.perf_counter() - since
    click.echo(f"{number + 1} of {count}: {described(one)}: {seconds:.1f} s", err=True)


def _small(picture: Image) -> Image:
    """A copy that is no larger than the grid shows it."""
    from PIL.Image import Resampling

    small = picture.copy()
    small.thumbnail((_LARGEST, _LARGEST), Resampling.LANCZOS)
    return small
