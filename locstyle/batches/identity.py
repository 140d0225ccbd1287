"""What a task is: everything its picture's bits depend on, as one digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from locstyle.edit import Edit, FromPicture
from locstyle.edit.fields import plain_fields
from locstyle.errors import LocstyleError
from locstyle.files import digest_of, is_folder
from locstyle.job.accelerator import tempo_asked, unguided
from locstyle.job.settle import asked
from locstyle.job.shelf import Stamp, stamp_of
from locstyle.style import find_style

if TYPE_CHECKING:
    from locstyle.plugin.host import Host
    from locstyle.style.tempo import Tempo

MISSING = "missing"
"""In place of the digest of a file that is not there: once it is, the task is another."""

_ANY = "any"
_FORM = "1"  # counts up when the same facts would be another task


@dataclass(frozen=True)
class Facts:
    """What workers have in common that decides bits: see `Worker.facts`.

    `rows`: at most so many in one pass, `config`: where a backbone in one file has its
    configuration from; None, as usual, counts for nothing.
    """

    backbone: str
    dtype: str
    device: str
    threads: int
    version: str
    rows: int | None = None
    config: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain data, without what is None."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@dataclass
class Identities:
    """Digests of tasks; of each file once, unless it changes meanwhile.

    `facts` are those of the workers, `carries` what a PNG says of how it was made.
    """

    host: Host
    facts: Facts
    carries: str
    _files: dict[str, tuple[Stamp, str]] = field(default_factory=dict)
    _settled: dict[str, list[Any]] = field(default_factory=dict)

    def of(self, edit: Edit) -> str:
        """The digest of an edit; whatever file it reads counts with its bytes.

        Raises:
            LocstyleError: a plugin that is not there, or options that it does not take.
        """
        stripped = replace(edit, backbone=_ANY).moved(self._name)  # it may be large, and is known
        styles = [self._style(one.style) for region in edit.regions for one in region.stylings]
        styles += [] if edit.accelerator is None else [self._style(edit.accelerator)]
        told: list[Any] = [_FORM, plain_fields(stripped), styles, self._choices(edit), self.carries]
        told.append(self.facts.to_dict())
        text = json.dumps(told, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _name(self, path: str) -> str:
        """A file by what it holds; the ending says how it is read."""
        return self.digest(path) + Path(path).suffix

    def digest(self, path: str) -> str:
        """The digest of a file's bytes, or of a folder's files; MISSING where there is none."""
        stamp = stamp_of(Path(path))
        known = self._files.get(path)
        if known is None or known[0] != stamp:
            self._files[path] = known = stamp, _digest(Path(path))
        return known[1]

    def _style(self, style: object) -> list[str]:
        """A style by what its file holds; one that an encoder makes, by encoder and picture too."""
        if made := FromPicture.read(style):
            return [self.host.whose("style_encoders", made.encoder), self.digest(made.picture)]
        try:
            return [self.digest(str(find_style(str(style))))]
        except LocstyleError:
            return [MISSING]

    def _choices(self, edit: Edit) -> list[Any]:
        """What the edit leaves open, as it will be settled, and whose plugins it uses."""
        asking = (edit.fusion, edit.segmenter, edit.solver, edit.steps, edit.quick)
        key = repr((*asking, edit.inversion_refine, edit.accelerator))
        if key not in self._settled:
            self._settled[key] = [*self._settle(edit)]
        return self._settled[key]

    def _settle(self, edit: Edit) -> Iterator[Any]:
        tempo = self._tempo(edit)
        chosen = unguided(edit.fusion, tempo, self.host)
        fusion = self.host.fusion(chosen.name, chosen.options, preset=chosen.preset)
        settled = asked(edit, fusion, tempo)
        yield [settled.solver, settled.steps, settled.refine, settled.side]
        if settled.spacing is not None:
            yield settled.spacing
        for kind, one in (("fusions", chosen), ("segmenters", edit.segmenter)):
            yield self.host.whose(kind, one.name)
            yield repr(self.host.options(kind, one.name, one.options, preset=one.preset))

    @staticmethod
    def _tempo(edit: Edit) -> Tempo | None:
        """What the edit's accelerator asks for; nothing where there is none, which its task says
        when it runs."""
        try:
            return tempo_asked(edit)
        except LocstyleError:
            return None


def _digest(path: Path) -> str:
    try:
        if not is_folder(path):
            return digest_of(path)
        total = hashlib.sha256()
        for file in sorted(x for x in path.iterdir() if x.is_file()):
            total.update(f"{file.name} {digest_of(file)}\n".encode())
        return total.hexdigest()
    except (OSError, ValueError):
        return MISSING
