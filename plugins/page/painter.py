"""What errands do with the model: previews, renders, saving, training."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import RLock
from typing import Any  # plain data

import locstyle as ls

from . import pictures
from .easel import Easel
from .errands import Errand
from .fence import Fence, with_paths_of
from .library import Library
from .pace import Pace
from .pictures import ScreenPicture
from .portfolio import Portfolio, Work
from .refusals import refuse_existing


@dataclass(frozen=True)
class Saving:
    """Where a result goes, and what a PNG of it says: "full", "names" or "none"."""

    path: Path
    shown: str
    carries: Any = "full"


class Painter:
    """Painter edits on the easel; only ever called from the thread that owns it."""

    def __init__(self, easel: Easel, library: Library, fence: Fence, results: Portfolio) -> None:
        self._easel, self._library, self._fence = easel, library, fence
        self._results = results
        self._resolving = RLock()
        self.pace = Pace()
        self._speed: ls.Speed | None = None

    def warm_up(self, errand: Errand) -> None:
        """Loads the model before anybody waits for it."""
        errand.phase("load")
        self._easel.editor()

    def measure(self) -> None:
        """Learns how fast the model is on this machine, if no run before has."""
        self._speed = ls.Speed.of(self._easel.editor().backbone)

    def foretell(self, asked: ls.Edit, errand: Errand) -> dict[str, float]:
        """How many seconds a preview and a render will take, before anything ran."""
        errand.check()
        editor = self._easel.editor()
        if self._speed is None:
            self.measure()
        found = {}
        for kind, edit in (("preview", asked.previewed()), ("render", asked)):
            frames = editor.forecast(self.resolve(edit, editor), speed=self._speed)
            found[kind] = round(sum(frame.seconds or 0.0 for frame in frames), 1)
        return found

    def draw(self, asked: ls.Edit, quick: bool, errand: Errand) -> dict[str, Any]:
        """A preview or a render, kept among the results."""
        if not quick:
            self._results.let_go()
        result = self._result(asked.previewed() if quick else asked, errand)
        return self._keep(result, asked, quick).facts

    def save(self, drawn: Work | None, asked: ls.Edit, to: Saving, errand: Errand) -> Any:
        """A file of a result, which is rendered first unless its pixels are held."""
        result = None if drawn is None else self._results.held(drawn.facts["id"])
        if result is None:
            self._results.let_go()
            result = self._result(asked, errand)
            self._keep(result, asked, False)
        errand.phase("write")
        result = replace(result, edit=self._carried(result.edit))
        result.save(to.path, recipe=self._how(result.edit, to.carries))
        written = result.read_back(to.path)
        return {
            "path": to.shown,
            "bytes": to.path.stat().st_size,
            "format": written.format,
            "depth": written.depth,
            "is_exact": written.is_exact,
            "outside_identical": written.outside_identical,
            "off": written.off,
            "words": words_of(written.outside_identical, written.off, written.format),
        }

    def train(self, asked: TrainingOrder, tell: Callable[[Path], Any], errand: Errand) -> Any:
        """A style file of pictures; what `tell` says of it."""
        errand.phase("load")
        editor = self._easel.editor()
        backbone, resume = self._easel.exact(editor), asked.output.with_suffix(".resume")
        photos = [ls.Photo.open(path) for path in asked.pictures]
        request = replace(asked.request, resume=resume)
        errand.check()
        style = ls.learn_style(
            asked.encoder, photos, backbone, request, host=editor.host, on_step=errand.on_step
        )
        style.save(asked.output)
        resume.unlink(missing_ok=True)
        return tell(asked.output)

    def resolve(self, edit: ls.Edit, editor: ls.Editor, output: Path | None = None) -> Any:
        """The job of an edit whose paths lead from the root."""
        with self._resolving:  # one at a time: the shelf's styles are for one thread
            fenced = self._fence.edit(edit)
            return editor.resolve(fenced, output=output, shelf=self._library.shelf)

    def _result(self, edit: ls.Edit, errand: Errand) -> ls.Result:
        errand.phase("load")
        editor = self._easel.editor()
        errand.phase("resolve")
        job = self.resolve(edit, editor)
        if len(job.frames) == 1 and job.frames[0].canvas.is_whole:
            errand.progress.content = job.frames[0].canvas.content
        began = time.monotonic()
        result = editor.run(job, errand.on_step)
        self.pace.learn(job, time.monotonic() - began)
        return replace(result, edit=with_paths_of(result.edit, edit))

    def _keep(self, result: ls.Result, asked: ls.Edit, quick: bool) -> Work:
        height, width = result.photo.size
        facts = {
            "id": secrets.token_hex(8),
            "kind": "preview" if quick else "render",
            "image": str(asked.image),
            "photo": result.source.sha256[:16],
            "width": width,
            "height": height,
            "made": time.time(),
            "asked": asked.to_dict(),
            "recipe": result.edit.to_dict(),
            "quick": quick or asked.quick,
            "levels": pictures.levels(result.photo.size),
            "tile": pictures.TILE,
            "report": result.report.to_dict(),
        }
        shown: ScreenPicture = pictures.preview(result.photo)
        return self._results.add(Work(facts, shown, asked), None if quick else result)

    def _carried(self, edit: ls.Edit) -> ls.Edit:
        """As a picture may carry it: with paths that lead from here, unless they are uploads'."""
        return edit.beside(self._fence.root)

    def _how(self, edit: ls.Edit, carries: Any) -> Any:
        """Uploads lie in a folder that nobody typed; a picture names such files alone."""
        is_kept = any(Path(path).is_relative_to(self._fence.kept) for path in edit.paths)
        return "names" if carries == "full" and is_kept else carries


@dataclass(frozen=True)
class TrainingOrder:
    """What a style is to be learned from, by whom, and where it goes."""

    encoder: tuple[str, Any]
    pictures: tuple[Path, ...]
    request: ls.StyleRequest
    output: Path


def words_of(share: float | None, off: float, kind: str) -> str:
    """What a file keeps of the photo outside the masks."""
    if share is None:
        return "the masks cover everything"
    same = f"outside: {100 * share:.1f} % identical"
    if share == 1:
        return same
    others = f"{same}, the others off by {255 * off:.1f} of 255 on average"
    return f"{others}: JPEG is lossy, PNG, TIFF and WebP are not" if kind == "JPEG" else others


def preview_errand(runs: Painter, asked: ls.Edit, client: str) -> Errand:
    return Errand("preview", client, partial(runs.draw, asked, True))


def render_errand(runs: Painter, asked: ls.Edit, client: str) -> Errand:
    return Errand("render", client, partial(runs.draw, asked, False))


def check_saving(path: Path, shown: str, force: bool, edit: ls.Edit, photo: ls.Photo) -> None:
    """Refuses a place for a result before anything is run.

    Raises:
        OutputError: the photo itself, another input, a format that cannot hold it, no such folder.
        Refusal: something is there already and may not be replaced.
    """
    ls.check_output(path, [Path(file) for file in edit.files], photo=photo)
    refuse_existing(path, shown, force)
