"""How fast a backbone is on this machine: a few bare passes, measured once and kept."""

from __future__ import annotations

import hashlib
import json
import math
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self  # Any: JSON

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from locstyle import __version__
from locstyle.errors import LocstyleError
from locstyle.files import cache_folder, read_file, write_atomic
from locstyle.files.bounds import TEXT_BYTES
from locstyle.job.inversions import machine

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone

_FORM = "1"  # of kept files; counts up when one would mean something else
_TIMES, _ENOUGH = 6, 0.4
"""So many runs, or seconds of runs, are enough to tell how long one takes."""

_KERNELS = 2.2
"""What a bare pass takes on a CPU, of the bytes of the tensors it makes: `mini` at 256 pixels took
2.1 times, its decoder 2.4."""


@dataclass(frozen=True)
class Spent:
    """What something of `size` (latent pixels, or pixels) took: `seconds`, and `bytes` at its peak
    beyond what was there before."""

    size: int
    seconds: float
    bytes: int


@dataclass(frozen=True)
class Speed:
    """What a backbone takes on one machine.

    `passes`: one row of the network by the latent's pixels, the smallest first. `more`: what each
    row more in a pass takes of that. `encode`, `decode`: one picture.
    """

    passes: tuple[Spent, ...]
    more: float
    encode: Spent
    decode: Spent

    @classmethod
    def of(cls, backbone: Backbone) -> Self:
        """That of a backbone where it is, as it was kept, or measured now and kept.

        Measuring takes a second or two on `mini`, and about a step of an edit on any.
        """
        made = cls.kept(backbone)
        if made is None:
            made = cls.measured(backbone)
            made.keep(backbone)
        return made

    def keep(self, backbone: Backbone) -> None:
        """Has later runs find it; where there is no place for it, they measure again."""
        path = _place(backbone)
        with suppress(OSError, RuntimeError, LocstyleError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(path, json.dumps(asdict(self)).encode())

    def seen(self, told: float, taken: float) -> Self:
        """The speed once something that it `told` so many seconds for has `taken` so many.

        Faster is believed, for what was measured on a busy machine would stay slow for ever; slower
        is not, for it may be the machine that is busy now.
        """
        share = taken / told if told > 0 else 1.0
        if not 0 < share < 1:
            return self

        def scaled(one: Spent) -> Spent:
            return replace(one, seconds=one.seconds * share)

        passes = tuple(map(scaled, self.passes))
        return replace(self, passes=passes, encode=scaled(self.encode), decode=scaled(self.decode))

    @classmethod
    def kept(cls, backbone: Backbone) -> Self | None:
        """What an earlier run measured; None for nothing, or for what is damaged."""
        try:
            held: Any = json.loads(read_file(_place(backbone), TEXT_BYTES))
            passes = tuple(Spent(**one) for one in held["passes"])
            made = cls(passes, held["more"], Spent(**held["encode"]), Spent(**held["decode"]))
            numbers = [made.more, *(one.seconds for one in (*passes, made.encode, made.decode))]
            bytes_ = [one.bytes for one in (*passes, made.encode, made.decode)]
            is_sound = len(passes) > 0 and all(math.isfinite(n) and n > 0 for n in numbers)
            is_sound = is_sound and all(isinstance(n, int) for n in bytes_)
        except (OSError, RuntimeError, ValueError, TypeError, KeyError):
            return None
        return made if is_sound else None

    @classmethod
    def measured(cls, backbone: Backbone) -> Self:
        """Measured now, by bare passes at a quarter of the backbone's working size, at half and at
        all of it."""
        with backbone.turns.take("a measurement of speed"), torch.inference_mode():
            states = backbone.text("").states
            sides = _sides(backbone)
            middle = sides[len(sides) // 2]
            encode = _spent(backbone, middle**2, lambda: _encoded(backbone, middle))
            clean = _encoded(backbone, middle)
            decode = _spent(backbone, middle**2, lambda: backbone.decode(clean))

            def predicted(side: int, rows: int) -> Spent:
                shape = (rows, clean.shape[1], side // backbone.factor, side // backbone.factor)
                x = torch.zeros(shape, device=backbone.device)
                said = states.expand(rows, -1, -1)
                size = shape[2] * shape[3]
                return _spent(backbone, size, lambda: backbone.predict(x, 500, said))

            passes = tuple(predicted(side, 1) for side in sides)
            one, three = passes[len(sides) // 2].seconds, predicted(middle, 3).seconds
        return cls(passes, min(1.5, max(0.05, (three / one - 1) / 2)), encode, decode)

    def seconds(self, size: int, rows: int = 1) -> float:
        """Of one pass over a latent of `size` pixels."""
        points = [(one.size, one.seconds) for one in self.passes]
        return _between(points, size) * (1 + self.more * (rows - 1))

    def memory(self, size: int, rows: int = 1) -> float:
        """Bytes of the same."""
        return _between([(one.size, one.bytes) for one in self.passes], size) * rows


def _place(backbone: Backbone) -> Path:
    """Where it is kept, under a key of all that speed depends on, but for what else runs."""
    facts = (_FORM, __version__, backbone.digest, backbone.dtype, machine(backbone.device))
    sides = (backbone.working, backbone.native, backbone.factor, backbone.multiple)
    key = hashlib.sha256("\n".join(map(str, (*facts, *sides))).encode()).hexdigest()
    return cache_folder() / "speeds" / f"{key}.json"


def _sides(backbone: Backbone) -> list[int]:
    """Sides of pictures in pixels, the smallest first."""
    multiple, working = backbone.multiple, backbone.working
    found = {max(multiple, side // multiple * multiple) for side in (working // 4, working // 2)}
    # A model so small that one side is all of these grows, too.
    return sorted({*found, max(working, 2 * min(found))})


def _encoded(backbone: Backbone, side: int) -> torch.Tensor:
    return backbone.encode(torch.full((1, 3, side, side), 0.5))


def _spent(backbone: Backbone, size: int, work: Callable[[], object]) -> Spent:
    """The least seconds of a few runs, of one where that is long, and its memory."""
    with _watched(backbone.device) as peak:
        found = [_timed(backbone.device, work)]
    while len(found) < _TIMES and sum(found) < _ENOUGH:  # the first finds its kernels
        found.append(_timed(backbone.device, work))
    return Spent(size, max(min(found), 1e-6), peak())


def _timed(device: torch.device, work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


@contextmanager
def _watched(device: torch.device) -> Iterator[Callable[[], int]]:
    """Hands out what tells the bytes that the work inside needed at once: on a GPU what was set
    aside there, elsewhere of tensors and what kernels need beside them."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: torch.cuda.max_memory_allocated(device) - before
    else:
        with _Alive() as alive:
            yield lambda: round(_KERNELS * alive.most)


class _Alive(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own has no types
    """Counts the bytes of tensors made inside: a process's own memory tells nothing of them where
    what was given back before is used again."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        self.most = 0
        self._now = 0
        self._known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,  # as torch has it
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, torch.Tensor):
                self._enter(tensor.untyped_storage())
        return made

    def _enter(self, storage: torch.UntypedStorage) -> None:
        address, size = storage._cdata, storage.nbytes()
        if address not in self._known:
            self._known.add(address)
            self._now += size
            self.most = max(self.most, self._now)
            weakref.finalize(storage, self._leave, address, size)

    def _leave(self, address: int, size: int) -> None:
        self._known.discard(address)
        self._now -= size


def _between(points: Sequence[tuple[int, float]], size: int) -> float:
    """The value at `size` of points (size, value), by powers between two and beyond the last."""
    sizes = [at for at, _ in points]
    if len(points) == 1:
        return points[0][1] * size / sizes[0]
    pairs = list(pairwise(points))
    (low, one), (high, other) = next((p for p in pairs if size <= p[1][0]), pairs[-1])
    if one <= 0 or other <= 0:
        return max(one, other) * size / high
    power = max(0.5, math.log(other / one) / math.log(high / low))
    return one * math.pow(size / low, power)
