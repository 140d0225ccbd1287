"""Malformed files before every reader: is each read, or refused in our words, and in time?

    python benchmarks/fuzz.py [--count 200] [--seed 0] [--kind NAME …] [--keep FOLDER]

Each input is made from `--seed`, its kind and its number by `fuzz_inputs.py`, takes the place of
one file of an honest job (a photo, masks, a list, a style, a recipe) and is given to what reads it,
in a process that is watched. An input fails if it raises anything but a LocstyleError, takes more
than 5 seconds, ends the process, or if any file beside it is gone or changed. Failures are printed
and, with `--keep`, kept. Ends with status 1 if there is one.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import json
import random
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # JSON

import numpy as np
from fuzz_inputs import KINDS, RECIPE, SIZE
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table

SLOWEST = 5.0  # seconds
STARTUP = 600.0  # seconds until a reader's process must be ready
MEMORY = 6 * 2**30  # bytes a reader's process may ask for


@dataclass
class Tally:
    """What became of the inputs of one kind."""

    read: int = 0
    refused: int = 0
    slowest: float = 0.0
    failures: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=[*KINDS, "folder"], help="only these")
    parser.add_argument("--keep", type=Path, help="where failing inputs are kept")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work()
        return
    tallies = fuzz(given.kind or [*KINDS, "folder"], given.count, given.seed, given.keep)
    show(tallies)
    sys.exit(any(tally.failures for tally in tallies.values()))


def fuzz(kinds: Sequence[str], count: int, seed: int, keep: Path | None = None) -> dict[str, Tally]:
    """`count` inputs of each kind, one after the other, before a reader's process."""
    tallies = {}
    with tempfile.TemporaryDirectory() as named:
        folder = Path(named) / "job"
        folder.mkdir()
        reader = Reader()
        try:
            for kind in kinds:
                tallies[kind] = Tally()
                for number in range(count):
                    _try(
                        reader,
                        folder,
                        kind,
                        random.Random(f"{seed} {kind} {number}"),
                        tallies[kind],
                    )
                    _keep(tallies[kind], folder, keep, f"{kind} {number}")
        finally:
            reader.stop()
    return tallies


def _try(reader: Reader, folder: Path, kind: str, dice: random.Random, tally: Tally) -> None:
    known = len(tally.failures)
    honest_files(folder)
    if kind in KINDS:
        (folder / KINDS[kind].suffix).write_bytes(KINDS[kind].make(dice))
    before = state(folder)
    reader.start()
    start = time.perf_counter()
    said = reader.ask({"kind": kind, "folder": str(folder), "seed": dice.random()})
    tally.slowest = max(tally.slowest, time.perf_counter() - start)
    if said.get("failure"):
        tally.failures.append(said["failure"])
    elif kind in KINDS and state(folder) != before:
        tally.failures.append("files beside it were lost or changed")
    if len(tally.failures) == known:
        tally.read += said["read"]
        tally.refused += not said["read"]


def _keep(tally: Tally, folder: Path, keep: Path | None, name: str) -> None:
    """A failure's input beside its words; the words get the input's number."""
    if tally.failures and not tally.failures[-1].startswith("("):
        tally.failures[-1] = f"({name}) {tally.failures[-1]}"
        if keep is not None:
            shutil.copytree(
                folder, keep / name.replace(", ", "-").replace(" ", "-"), dirs_exist_ok=True
            )


def state(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def show(tallies: dict[str, Tally]) -> None:
    table = Table("kind", "inputs", "read", "refused", "failed", "slowest, s")
    for kind, tally in tallies.items():
        counts = tally.read, tally.refused, len(tally.failures)
        table.add_row(kind, str(sum(counts)), *map(str, counts), f"{tally.slowest:.2f}")
    console = Console()
    console.print(table)
    for tally in tallies.values():
        for failure in tally.failures:
            console.print(failure[-1500:], markup=False)
    total = sum(t.read + t.refused + len(t.failures) for t in tallies.values())
    console.print(f"{total} inputs, {sum(len(t.failures) for t in tallies.values())} failed")


class Reader:
    """The process that reads, started anew when an input has ended or stopped it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        process = self.start()
        assert process.stdin is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
        line = self._line(process, SLOWEST)
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        how = "no answer" if line is None else f"ended the process ({process.wait()})"
        self.stop()
        return {"failure": f"{how} after {SLOWEST:g} s" if line is None else how}

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def start(self) -> subprocess.Popen[str]:
        """Ready to be asked."""
        if self._process is not None:
            return self._process
        command = [sys.executable, __file__, "--worker"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True
        )
        if self._line(self._process, STARTUP) is None:
            raise SystemExit("the reader's process does not start")
        return self._process

    @staticmethod
    def _line(process: subprocess.Popen[str], seconds: float) -> str | None:
        """One line, "" where the process has ended, None where it says nothing in time."""
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], seconds)
        return process.stdout.readline() if ready else None


# The reader's process


def work() -> None:
    """Reads one question a line and answers it; stdout is the parent's alone."""
    import contextlib
    import warnings

    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    out, sys.stdout = sys.stdout, sys.stderr
    warnings.simplefilter("ignore")
    readers = made_readers()
    print("{}", file=out, flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        folder = Path(question["folder"])
        if question["kind"] == "folder":
            read = lambda at: folder_kept(at, random.Random(question["seed"]))  # noqa: B023, E731
        else:
            read = readers[question["kind"]]
        print(json.dumps(answer(read, folder)), file=out, flush=True)


def answer(read: Callable[[Path], object], folder: Path) -> dict[str, Any]:
    """Whether what is in the folder was read, refused in our words, or broke the reader."""
    import traceback

    import locstyle as ls

    try:
        read(folder)
        return {"read": True}
    except ls.LocstyleError as error:
        words = str(error)
        if len(words) > 4000 or not words.strip():
            return {"failure": f"a message of {len(words)} characters: {words[:300]}"}
        return {"read": False}
    except BaseException:
        return {"failure": traceback.format_exc()}


def made_readers() -> dict[str, Callable[[Path], object]]:
    """What reads each kind, on the tiny backbone."""
    import locstyle as ls
    from locstyle.cli.regions import read_regions
    from locstyle.cli.shared import read_options
    from locstyle.replay import embedded_edit
    from locstyle.segments.file import read_segment_file
    from locstyle.segments.mask_files import open_alpha, open_map, open_mask, open_scribble
    from locstyle.style import read_style
    from locstyle.testing import tiny_backbone

    backbone = tiny_backbone()
    editor = ls.Editor(backbone, ls.Host(allow=["classic", "singlepass", "reference"]))

    def photo(path: Path) -> None:
        opened = ls.Photo.open(path)
        assert opened.pixels.size and opened.image.size and opened.rgb().ndim == 3

    def masks(folder: Path) -> None:
        path = folder / "mask.png"
        _any(
            [
                lambda: open_mask(path, SIZE),
                lambda: open_alpha(path, SIZE),
                lambda: open_map(path, SIZE, 255),
                lambda: open_map(path, SIZE, "#ff0000"),
                lambda: open_scribble(path, SIZE),
            ]
        )

    def style(folder: Path) -> None:
        read = read_style(folder / "style.safetensors", sites=backbone.sites, family="tiny")[0]
        assert read.digest and read.kinds and repr(read) and read._repr_html_()
        _ = read.preview

    def recipe(folder: Path, name: str) -> None:
        edit = ls.Edit.open(folder / name)
        ls.Edit.from_dict(edit.to_dict())
        editor.resolve(edit)

    def segments(folder: Path) -> None:
        found = read_segment_file(folder / "segments.json", SIZE, photo="photo.png")
        for segment in found.numbered.values():
            assert segment.area >= 0 and segment.inside.shape == SIZE

    def option(folder: Path) -> None:
        text = (folder / "option.txt").read_text("utf-8")
        _any(
            [
                lambda: read_options((text,)),
                lambda: read_regions(["all=x"], (), [text]),
                lambda: read_regions([text]),
            ]
        )

    def selection(folder: Path) -> None:
        text = (folder / "selection.txt").read_text("utf-8")
        for name in ("mask.png", "mask.npy", "segments.json"):
            text = text.replace(name, f'"{folder / name}"')
        ls.select_mask(
            folder / "photo.png", text, segments=folder / "segments.json", host=editor.host
        )

    return {
        "photo, PNG": lambda at: photo(at / "photo.png"),
        "photo, other": lambda at: photo(at / "photo.tif"),
        "mask, picture": masks,
        "mask, array": lambda at: _any(
            [functools.partial(open_mask, at / "mask.npy", SIZE, pick=p) for p in (None, "1", "2")]
        ),
        "segments": segments,
        "style": style,
        "recipe, YAML": lambda at: recipe(at, "recipe.yaml"),
        "recipe, JSON": lambda at: recipe(at, "recipe.json"),
        "recipe in a PNG": lambda at: editor.resolve(embedded_edit(at / "made.png")),
        "selection": selection,
        "option": option,
    }


def _any(readers: Sequence[Callable[[], object]]) -> None:
    """Each of them; refused if all refuse."""
    import locstyle as ls

    errors = []
    for read in readers:
        try:
            read()
        except ls.LocstyleError as error:
            errors.append(error)
    if len(errors) == len(readers):
        raise errors[0]


def folder_kept(folder: Path, dice: random.Random) -> None:
    """Writes segments where somebody has been at an earlier run's; foreign files must stay."""
    import locstyle as ls
    from locstyle.segments.folder import write_folder

    out = folder / "parts"
    photo = ls.Photo.open(folder / "photo.png")
    ours: dict[str, str] = {}
    if dice.random() < 0.8:
        write_folder(out, photo, _bands(dice.randint(1, 4)), {"name": "fuzz"})
        ours = state(out)
    out.mkdir(exist_ok=True)
    for path in _touched(out, dice):
        if dice.random() < 0.4 and path.exists():
            path.unlink()
        else:
            path.write_bytes(dice.randbytes(dice.randint(0, 99)))
    before = state(out)
    foreign = {name: digest for name, digest in before.items() if ours.get(name) != digest}
    for name in (".locstyle.sha256", ".locstyle-0123456789ab.png"):  # the marker; litter
        foreign.pop(name, None)
    try:
        write_folder(out, photo, _bands(dice.randint(1, 5)), {"name": "fuzz"})
    finally:
        after = state(out)
        lost = [name for name, digest in foreign.items() if after.get(name) != digest]
        assert not lost, f"lost {lost}"
    listed = json.loads((out / "segments.json").read_text())["annotations"]
    assert len([name for name in after if name[:3].isdigit()]) >= len(listed)


def _touched(out: Path, dice: random.Random) -> Iterator[Path]:
    names = ["001.png", "002.png", "009.png", "segments.json", "sheet.png", ".locstyle.sha256"]
    names += ["notes.txt", ".locstyle-0123456789ab.png", ".locstyle-mine", "1.png", "0001.png"]
    yield from (out / name for name in dice.sample(names, dice.randint(0, 3)))


def _bands(count: int) -> list[Any]:
    import locstyle as ls

    insides = np.zeros((count, *SIZE), bool)
    for index, inside in enumerate(insides):
        inside[2 * index : 2 * index + 2] = True
    return [ls.Segment.of(inside) for inside in insides]


def honest_files(folder: Path) -> None:
    """The job that every input is put into."""
    if not _HONEST:
        _HONEST.update(_honest())
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in _HONEST:
            path.unlink()
    for name, data in _HONEST.items():
        (folder / name).write_bytes(data)


_HONEST: dict[str, bytes] = {}


def _disc() -> bytes:
    """A photo that a segmenter finds something in."""
    image, file = Image.new("RGB", SIZE[::-1], "navy"), io.BytesIO()
    ImageDraw.Draw(image).ellipse((10, 6, 31, 26), "gold")
    image.save(file, "PNG")
    return file.getvalue()


def _honest() -> dict[str, bytes]:
    from locstyle.photo import png
    from locstyle.testing import random_style, tiny_backbone

    inside = np.zeros(SIZE, np.uint8)
    inside[5:20, 5:30] = 255
    array = io.BytesIO()
    np.save(array, inside > 0)
    runs = {"size": list(SIZE), "counts": [100, 50, 1130]}
    with tempfile.TemporaryDirectory() as folder:
        style = random_style(tiny_backbone(), 0).save(Path(folder) / "a.safetensors").read_bytes()
    return {
        "photo.png": _disc(),
        "mask.png": png.encode_png(inside[..., None]),
        "mask.npy": array.getvalue(),
        "segments.json": json.dumps({"annotations": [{"id": 1, "segmentation": runs}]}).encode(),
        "style.safetensors": style,
        "recipe.json": json.dumps(RECIPE).encode(),
    }


if __name__ == "__main__":
    main()
