"""From photos, a recipe and a matrix to tasks: what is wrong with the request is said here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from locstyle.batches.manifest import FOLDER, Manifest
from locstyle.batches.photos import Found, find_photos
from locstyle.batches.task import Batching, Task
from locstyle.edit import Edit, FromPicture
from locstyle.edit.checks import PLAIN
from locstyle.edit.recipe import Plain, read_recipe
from locstyle.edit.variation import Variation, combinations, varied, written
from locstyle.errors import OutputError, PhotoError, RecipeError, at
from locstyle.files import PHOTO_FORMATS, check_output, is_file
from locstyle.files.pattern import file_name, filled, places

if TYPE_CHECKING:
    from locstyle.plugin.host import Host

Axes = Mapping[str, Sequence[Plain]]


def plan_tasks(
    photos: Iterable[str | Path],
    recipe: str | Path | Edit | Mapping[str, Plain],
    output: str,
    axes: Axes | None = None,
) -> list[list[Task]]:
    """The tasks of each photo, in order.

    Raises:
        LocstyleError: photos that are not there, a recipe that cannot be read, a key that cannot be
            varied, or an output pattern that names a file twice.
    """
    chosen = combinations(axes or {})
    base = _base(recipe, chosen[0])
    found = find_photos(photos)
    if not found:
        raise PhotoError("photos: none are named; give files, folders, patterns, or @list.txt")
    _check_pattern(output, chosen)
    templates = [Edit.from_dict(varied(base, one)) for one in chosen]
    groups = [
        [
            Task(photo, template, _output(photo, one, output), one)
            for one, template in zip(chosen, templates, strict=True)
        ]
        for photo in found
    ]
    _check_apart([task for group in groups for task in group], output)
    return groups


def manifest_folder(output: str, how: Batching) -> Path:
    """Where the manifest lies: in the folder above the first of the pattern with a place in it."""
    if how.manifest is not None:
        return Path(how.manifest)
    parts = Path(output).parent.parts
    fixed = [part for part, rest in zip(parts, _joined(parts), strict=True) if not places(rest)]
    return Path(*fixed) / FOLDER


def without_outputs(groups: list[list[Task]], manifest: Manifest) -> list[list[Task]]:
    """The groups without those whose photo is an output of this batch, which lies beside it."""
    return [group for group in groups if not manifest.knows(group[0].photo)]


def check_tasks(groups: Sequence[Sequence[Task]], manifest: Manifest, host: Host) -> None:
    """Refuses what cannot work for any photo, and outputs that would replace what is not ours.

    Raises:
        LocstyleError: names it.
    """
    for task in groups[0] if groups else ():
        _check_names(task.template, host)
    strangers = [t.output for g in groups for t in g if _is_strange(t.output, manifest)]
    if strangers:
        raise OutputError(
            f"{strangers[0]}: is there already, as are {len(strangers)} outputs in all, and no run "
            "of this batch wrote it; move it away, or choose another -o"
        )


def _base(recipe: str | Path | Edit | Mapping[str, Plain], first: Variation) -> dict[str, Plain]:
    """The recipe's data with its paths as seen from here, and nothing that is of one photo."""
    folder = Path()
    if isinstance(recipe, Edit):
        data = recipe.to_dict()
    elif isinstance(recipe, Mapping):
        data = dict(recipe)
    elif Path(recipe).suffix.lower() == ".png":
        from locstyle.replay import embedded_edit

        data = embedded_edit(recipe).to_dict()
    else:
        folder, data = Path(recipe).parent, _mapping(read_recipe(recipe), str(recipe))
    of_one = ("image", "frames", "digests")
    bare = {key: value for key, value in data.items() if key not in of_one}
    if data.get("digests"):  # finished, perhaps before marks had a meaning: as `Edit.from_dict`
        bare.setdefault("prompts", PLAIN)
    # What is varied need not stand in the recipe, so the first of its values stand in for it.
    edit = Edit.from_dict(varied({**bare, "image": "photo"}, first)).beside(folder)
    return edit.to_dict()


def _mapping(data: Plain, where: str) -> dict[str, Plain]:
    if not isinstance(data, Mapping):
        raise RecipeError(f"{where}: is no recipe; give a mapping of keys to values")
    return dict(data)


def _output(photo: Found, one: Variation, output: str) -> str:
    names = {**photo.places, **{key: file_name(written(value)) for key, value in one.items()}}
    return os.path.normpath(filled(output, names, "-o"))


def _check_pattern(output: str, chosen: Sequence[Variation]) -> None:
    path = Path(_output(Found("photo.png", ""), chosen[0], output))
    if path.suffix.lower() not in PHOTO_FORMATS:
        check_output(path, [])


def _check_apart(tasks: Sequence[Task], output: str) -> None:
    """Refuses two tasks with one file, also where only the case of letters parts them."""
    seen: dict[str, Task] = {}
    for task in tasks:
        other = seen.setdefault(os.path.abspath(task.output).casefold(), task)
        if other is task:
            continue
        if other.photo == task.photo:
            hint = f"have {' and '.join(f'{{{key}}}' for key in task.variation)} in it"
        elif not {"stem", "name"}.intersection(places(output)):
            hint = "it is one name for all photos; have {stem} in it"
        else:
            hint = f"{other.photo!r} and {task.photo!r} are called alike; have {{folder}} in it"
            if "folder" in places(output):
                above = "'above/**/*.jpg'"
                hint += f", and name a folder above both, as in {above}: it leads from there"
        raise OutputError(f"-o {output!r}: {task.output!r} is named twice; {hint}")


def _check_names(edit: Edit, host: Host) -> None:
    """Refuses plugins and styles that are not there, of those that every photo needs."""
    from locstyle.job.prompts import check_weights
    from locstyle.job.styles import style_places
    from locstyle.style import find_style

    with at("fusion"):
        host.fusion(edit.fusion.name, edit.fusion.options, preset=edit.fusion.preset)
    with at("segmenter"):
        host.find("segmenters", edit.segmenter.name)
    check_weights(edit)
    if edit.accelerator is not None:
        with at("accelerator"):
            find_style(str(edit.accelerator))
    for index, region in enumerate(edit.regions):
        for place, one in zip(style_places(region, index), region.stylings, strict=True):
            name, made = str(one.style), FromPicture.read(one.style)
            if places(name):
                continue
            with at(place):
                if made is None:
                    find_style(name)
                elif not is_file(made.picture):
                    raise PhotoError(f"{made.picture!r} is not a file; give a picture")


def _is_strange(output: str, manifest: Manifest) -> bool:
    return is_file(output) and not manifest.knows(output)


def _joined(parts: Sequence[str]) -> Iterator[str]:
    """Each part with all before it."""
    return (os.path.join(*parts[: count + 1]) for count in range(len(parts)))
