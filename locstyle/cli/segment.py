"""`locstyle segment`: what there is in a photo, numbered."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any  # Any: what click parsed, by option

import click

from locstyle.cli.shared import PATH, fusion_options, json_option, read_options
from locstyle.edit import Segmenting
from locstyle.errors import SelectionError, at
from locstyle.selection import Object, Points, parse

if TYPE_CHECKING:
    from locstyle.engine.progress import OnStep
    from locstyle.photo import Photo
    from locstyle.plugin.host import Host
    from locstyle.plugin.protocols import Prompt
    from locstyle.segments import Segment


@dataclass(frozen=True)
class Question:
    """One thing asked of the segmenter, and how a selection would say it."""

    words: str
    prompt: Prompt


@click.command()
@click.argument("photo", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, help="The folder to write.")
@click.option("--segmenter", default="classic", show_default=True, help="See `locstyle plugins`.")
@click.option("--preset", help="A preset of the segmenter.")
@fusion_options("-O")
@click.option(
    "--points",
    multiple=True,
    metavar="X,Y[;!X,Y]…",
    help="One object: pixels in it, after '!' not in it; repeatable.",
)
@click.option(
    "--box", "boxes", multiple=True, metavar="X0,Y0,X1,Y1", help="One object; repeatable."
)
@click.option("--text", "texts", multiple=True, help="What it is, in words; repeatable.")
@click.option(
    "--scribble", "scribbles", multiple=True, type=PATH, help="White on it, black beside it."
)
@click.option("--limit", type=click.IntRange(1), help="Keep the first N of each answer.")
@click.option("--masks/--no-masks", default=True, show_default=True, help="Write 001.png, …")
@json_option
@click.pass_obj
def segment(host: Host, /, photo: Path, output: Path, **given: Any) -> None:
    """Find the objects in PHOTO and number them.

    Writes numbered masks, a contact sheet and a JSON into a folder. Every --points, --box, --text
    and --scribble asks for one object; without them everything is asked for.
    """
    from locstyle.cli.progress import progress
    from locstyle.photo import Photo
    from locstyle.segments.folder import LIST, check_folder, write_folder

    check_folder(output)
    opened = Photo.open(photo)
    asked = Segmenting(given["segmenter"], given["preset"], read_options(given["options"]))
    questions = _questions(given, opened)
    with progress() as on_step:
        found = _found(host, asked, opened, questions, limit=given["limit"], on_step=on_step)
        made_by = {**asdict(asked), "asked": [question.words for question in questions]}
        write_folder(output, opened, found, made_by, masks=given["masks"], on_step=on_step)
    if given["as_json"]:
        click.echo((output / LIST).read_text("utf-8"), nl=False)
        return
    for line in segment_lines(found):
        click.echo(line)
    click.echo(_hint(photo, output, min(3, len(found))), err=True)


def segment_lines(segments: Sequence[Segment]) -> Iterator[str]:
    """A table: number, share of the picture, box, score, label."""
    from locstyle.segments.sheet import spoken_share

    rows = [("number", "share", "box x0,y0,x1,y1", "score", "label")]
    for number, segment in enumerate(segments, start=1):
        score = "" if segment.score is None else f"{segment.score:.2f}"
        box = ",".join(map(str, segment.box))
        rows.append((str(number), spoken_share(segment.share), box, score, segment.label or ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        sides = zip(row, widths, ">><<<", strict=True)
        yield "  ".join(f"{word:{side}{width}}" for word, width, side in sides).rstrip()


def _questions(given: Mapping[str, Any], photo: Photo) -> list[Question]:
    """One for each prompt given; one for everything if there is none."""
    from locstyle.plugin.protocols import Prompt

    questions = []
    for text in given["points"]:
        points = _read("point", text, "--points", Points)
        questions.append(
            Question(str(points), Prompt(points=points.inside, outside=points.outside))
        )
    for text in given["boxes"]:
        box = _read("object", text, "--box", Object)
        questions.append(Question(str(box), Prompt(boxes=box.boxes)))
    questions += [Question(f"text:{text}", Prompt(text=text)) for text in given["texts"]]
    for path in given["scribbles"]:
        from locstyle.segments.mask_files import open_scribble  # brings torch

        marks = open_scribble(path, photo.size, where="--scribble")
        questions.append(Question(f"scribble:{path}", Prompt(scribble=marks)))
    return questions or [Question("everything", Prompt())]


def _read(source: str, text: str, flag: str, kind: type) -> Any:  # Any: an instance of `kind`
    """What a flag says, by the grammar of selections."""
    with at(None, f"{flag} {text!r}"):
        found = parse(f"{source}:{text}")
    if not isinstance(found, kind):
        raise SelectionError(f"{flag} {text!r}: give numbers only; refine in the recipe")
    return found


def _found(
    host: Host,
    asked: Segmenting,
    photo: Photo,
    questions: Sequence[Question],
    *,
    limit: int | None,
    on_step: OnStep,
) -> list[Segment]:
    """The answers to all questions, one after the other; what answers a prompt is labelled so."""
    from locstyle.engine.progress import Step
    from locstyle.job.answers import Answers

    answers, found = Answers(photo, host), []
    click.echo(f"looking at {photo.path} with segmenter {asked.name!r} …", err=True)
    for index, question in enumerate(questions, start=1):
        named = not question.prompt.everything
        where = question.words if named else str(photo.path)
        with at(None, where):
            answer = answers.found(asked, question.prompt)[:limit]
        found += [replace(s, label=s.label or question.words) if named else s for s in answer]
        on_step(Step("segment", index, len(questions)))
    return found


def _hint(photo: Path, output: Path, number: int) -> str:
    """Where to look, and how an edit takes one of the numbers."""
    from locstyle.segments.folder import LIST, SHEET

    words = ["locstyle", "stylize", str(photo), "-r", f"auto:{number}=neon"]
    words += ["--segments", str(output / LIST), "-o", "out.png"]
    return f"look at {output / SHEET}; to style number {number}: {shlex.join(words)}"
