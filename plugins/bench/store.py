"""A run's folder: records that appear whole or not at all, so that a run can stop anywhere.

A ledger says which files are a run's: no other is ever replaced or thrown away.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any  # JSON

import numpy as np
from PIL import Image

import locstyle as ls

from .cases import Case, Picture, slug
from .results import Results, Score, finite
from .settings import Settings

FORMAT = 2  # of a record; raise it when figures change their meaning
MAKER = "locstyle bench quality"
PARTS = ("runs", "pictures", "settings.json", "results.json", "report.html", "sheet.png")


class Store:
    """The folder of a run; `Store.open` checks it, everything else assumes it is fine."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.ledger = ls.Ledger(out, MAKER)

    @classmethod
    def open(cls, settings: Settings, *, fresh: bool = False) -> Store:
        """The folder of these settings, made if need be.

        `fresh` throws away what an earlier run left there; styles stay, they know if they fit.

        Raises:
            OutputError: it cannot be written, holds a run with other settings, or something of
                these names that no run wrote.
        """
        try:
            settings.out.mkdir(parents=True, exist_ok=True)
            store = cls(settings.out)
            store.ledger.check(store._there())
            if fresh:
                store.ledger.remove(store._there())
        except OSError as error:
            raise ls.OutputError(
                f"{settings.out}: cannot be written ({error.strerror or error}); choose another "
                "folder"
            ) from error
        store._agree(settings.decisive)
        return store

    def read(self, case: str, method: str, key: str) -> list[Score] | None:
        """A finished record; None if there is none, or one of other settings or inputs."""
        try:
            record = json.loads(self._record(case, method).read_text("utf-8"))
            if record["key"] == key and record["picture"] == self._seen(case, method):
                return [Score(**score) for score in record["scores"]]
        except (OSError, ValueError, KeyError, TypeError):  # not there, cut off, or foreign
            pass
        return None

    def write(self, case: str, method: str, key: str, scores: Sequence[Score]) -> None:
        """A finished record; its picture must be there already."""
        plain = [{**asdict(score), "figures": finite(score.figures)} for score in scores]
        record = {"key": key, "picture": self._seen(case, method), "scores": plain}
        self._write(self._record(case, method), _json(record))

    def picture(self, case: str, name: str, picture: Picture) -> None:
        """OUT/pictures/<case>/<name>.png."""
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "PNG")
        self._write(self._picture(case, name), file.getvalue())

    def case(self, case: Case) -> None:
        """What a case consists of, as pictures."""
        masks = [ls.Mask.from_image(mask.astype("float32")) for mask in case.masks]
        self.picture(case.name, "photo", case.photo)
        regions = ls.Partition.of(masks).image.convert("RGB")
        self.picture(case.name, "regions", np.asarray(regions))
        for index, style in enumerate(case.styles):
            self.picture(case.name, f"style-{index}", style.picture)
        if case.truths is not None:
            truth = case.photo.copy()
            for mask, one in zip(case.masks, case.truths, strict=True):
                truth[mask] = one[mask]
            self.picture(case.name, "truth", truth)

    def finish(self, results: Results) -> Path:
        """OUT/results.json."""
        self._write(self.out / "results.json", _json(results.to_dict()))
        return self.out / "results.json"

    def _agree(self, decisive: Mapping[str, Any]) -> None:
        path = self.out / "settings.json"
        wanted = json.loads(json.dumps(decisive))
        try:
            there = json.loads(path.read_text("utf-8")) if path.exists() else None
        except (OSError, ValueError) as error:
            raise ls.OutputError(f"{path}: cannot be read; give --fresh to begin anew") from error
        if there is None:
            self._write(path, _json(wanted))
            return
        other = [key for key in {**there, **wanted} if there.get(key) != wanted.get(key)]
        if other:
            said = ", ".join(f"{key} {there.get(key)!r}, now {wanted.get(key)!r}" for key in other)
            raise ls.OutputError(
                f"{self.out}: holds a run with other settings ({said}); choose another folder, or "
                "give --fresh to throw that run away"
            )

    def _there(self) -> Iterator[str]:
        """What is in the folder under names that a run would write."""
        for name in PARTS:
            path = self.out / name
            if path.is_dir() and not path.is_symlink():
                found = (one for one in sorted(path.rglob("*")) if one.suffix in (".png", ".json"))
                yield from (one.relative_to(self.out).as_posix() for one in found)
            elif os.path.lexists(path):
                yield name

    def _record(self, case: str, method: str) -> Path:
        return self.out / "runs" / case / f"{slug(method)}.json"

    def _picture(self, case: str, name: str) -> Path:
        return self.out / "pictures" / case / f"{slug(name)}.png"

    def _seen(self, case: str, method: str) -> str | None:
        """Digest of a method's picture; None for one that makes none."""
        path = self._picture(case, method)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None

    def _write(self, path: Path, data: bytes) -> None:
        self.ledger.write(path.relative_to(self.out).as_posix(), data)


def _json(data: Mapping[str, Any]) -> bytes:
    return json.dumps(data, indent=1, allow_nan=False).encode()


def record_key(*facts: object) -> str:
    """One digest of everything a record depends on; `facts` are plain data."""
    return hashlib.sha256(json.dumps([FORMAT, *facts], sort_keys=True).encode()).hexdigest()
