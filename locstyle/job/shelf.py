"""What edits that run one after another on one backbone share: each thing is read once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from locstyle.job.answers import Answers
from locstyle.photo import Photo

if TYPE_CHECKING:
    from torch import Tensor

    from locstyle.plugin.host import Host
    from locstyle.style import Style

Stamp = tuple[tuple[str, int, int, int], ...]

LIMIT = 2**30
"""Bytes that styles, and as many that inversions, may take in memory."""


class Shelf:
    """The photo read last with what segmenters found in it, and styles within a bound.

    A file is read again once it has changed. `limit`: bytes of styles; what was used longest ago
    goes first. Any thread may ask for the photo and its answers; whoever asks while another reads
    the same file waits for it, and nobody else does.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._photo: tuple[str, Stamp, Photo] | None = None
        self._answers: Answers | None = None
        self._styles: OrderedDict[tuple[str, Stamp], Style] = OrderedDict()
        self._lock = Lock()
        # A turn is kept by those who read the file, or wait to.
        self._turns: WeakValueDictionary[str, Lock] = WeakValueDictionary()

    def photo(self, path: str | Path) -> Photo:
        """The photo in a file.

        Raises:
            PhotoError: as `Photo.open`.
        """
        key, stamp = str(path), stamp_of(Path(path))
        with self._lock:
            if (held := self._held(key, stamp)) is not None:
                return held
            turn = self._turns.setdefault(key, Lock())
        with turn:
            with self._lock:
                if (held := self._held(key, stamp)) is not None:
                    return held
                self._photo = self._answers = None  # the one before goes first
            photo = Photo.open(path)
            with self._lock:
                self._photo = key, stamp, photo
            return photo

    def answers(self, photo: Photo, host: Host) -> Answers:
        """What segmenters found in a photo so far."""
        with self._lock:
            if self._answers is None or (self._answers.photo, self._answers.host) != (photo, host):
                self._answers = Answers(photo, host)
            return self._answers

    def style(self, name: str, path: Path, make: Callable[[], Style]) -> Style:
        """The style that `make` reads or makes from the file `path` under that name."""
        key = name, stamp_of(path)
        if key not in self._styles:
            self._styles[key] = make()
        self._styles.move_to_end(key)
        while len(self._styles) > 1 and self.bytes > self.limit:
            self._styles.popitem(last=False)
        return self._styles[key]

    def _held(self, key: str, stamp: Stamp) -> Photo | None:
        if self._photo is None or self._photo[:2] != (key, stamp):
            return None
        return self._photo[2]

    @property
    def bytes(self) -> int:
        """What the styles on it take."""
        return sum(size_of(style.tensors) for style in self._styles.values())


class KeptInversions:
    """Trajectories in memory, within `limit` bytes; what was used longest ago goes first.

    As exact as a `TrajectoryCache`, whose place it takes where the next edits are known.
    """

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._kept: OrderedDict[str, dict[int, Tensor]] = OrderedDict()

    def get(self, key: str) -> dict[int, Tensor] | None:
        """The latents kept under `key` by timestep; None if there are none."""
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, latents: Mapping[int, Tensor]) -> None:
        """Keeps latents [1, channels, h, w] by timestep, where they are."""
        self._kept[key] = dict(latents)
        while self._kept and self.bytes > self.limit:
            self._kept.popitem(last=False)

    @property
    def bytes(self) -> int:
        """What it holds."""
        return sum(map(size_of, self._kept.values()))


def size_of(tensors: Mapping[int, Tensor] | Mapping[str, Tensor]) -> int:
    """The bytes of some tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def stamp_of(path: Path) -> Stamp:
    """What changes when a file does, or any in a folder; empty for what is not there."""
    try:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        facts = [(file.name, file.stat()) for file in files]
    except (OSError, ValueError):
        return ()
    return tuple((name, one.st_ino, one.st_size, one.st_mtime_ns) for name, one in facts)
