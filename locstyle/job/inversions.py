"""The inversions of one edit: each picture's once, and from the cache where it is there."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor

from locstyle import __version__
from locstyle.engine.noise import Fresh
from locstyle.engine.progress import OnStep, Step
from locstyle.engine.tiles import Tiles
from locstyle.engine.trajectory import Inversion, Trajectory, invert, noised

if TYPE_CHECKING:
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.engine.schedule import Schedule
    from locstyle.job.accelerator import Accelerator

_FORM = "1"  # of keys; counts up when the same key would mean another trajectory


class KeepsInversions(Protocol):
    """Who keeps latents by timestep under a key of all they depend on, and may lose them."""

    def get(self, key: str) -> dict[int, Tensor] | None: ...

    def put(self, key: str, latents: Mapping[int, Tensor]) -> None: ...


@dataclass(frozen=True, eq=False)
class Inversions:
    """Trajectories in the order of their latents, equal latents sharing one.

    `rows` is what the network evaluated for them, `cached` how many came from the cache.
    """

    trajectories: tuple[Trajectory, ...]
    rows: int
    cached: int

    def replaced(self, first: Trajectory) -> Inversions:
        """The same with `first`, which was made of the first trajectory, in its place."""
        was, *others = self.trajectories
        return Inversions((first, *others), self.rows + first.rows - was.rows, self.cached)


@dataclass(frozen=True, eq=False)
class Inverter:
    """How the pictures of an edit are inverted: without words and without guidance.

    References are inverted once for all frames: `references` are those of this edit so far. Under
    an `accelerator` they are, too: its network leads back what it led there. With `fresh` noise,
    which a solver will bring to every step, they are put under that instead, and cost no row.
    """

    backbone: Backbone
    schedule: Schedule
    inversion: Inversion
    empty: Text
    cache: KeepsInversions | None = None
    accelerator: Accelerator | None = None
    fresh: Fresh | None = None
    references: dict[str, Trajectory] = field(default_factory=dict, repr=False)

    def invert(
        self, latents: Sequence[Tensor], on_step: OnStep, *, tiles: Tiles | None = None
    ) -> Inversions:
        """The trajectories of clean latents [1, channels, h, w]: a window's, and its references'.

        `tiles`: those of the first; each reference is as large as one of them.

        Raises:
            DenoiseError: a latent is not finite.
            BackboneError: the backbone's weights are not those it was loaded with.
        """
        parts = [_shown(x, None if n else tiles) for n, x in enumerate(latents)]
        asked = [_Asked(self._key(*one), *one) for one in zip(latents, parts, strict=True)]
        keys = list(dict.fromkeys(one.key for one in asked))
        found = {key: self.references[key] for key in keys if key in self.references}
        by_key = {one.key: one for one in reversed(asked)}
        cached = {k: kept for k in keys if k not in found and (kept := self._kept(by_key[k]))}
        found |= cached
        missing = {key: one for key, one in by_key.items() if key not in found}
        rows = 0
        for number, key in enumerate(key for key in keys if key in missing):
            told = _part(on_step, number, len(missing))
            found[key] = self._inverted(missing[key], told)
            rows += found[key].rows
            if self.cache is not None:
                self.backbone.seal.check()  # what changed weights make is kept for nobody
                self.cache.put(key, found[key].latents)
        self.references.update({one.key: found[one.key] for one in asked[1:]})
        return Inversions(tuple(found[one.key] for one in asked), rows, len(cached))

    def rows(self, tiles: int = 1) -> int:
        """How many rows the inversion of a picture of so many tiles takes."""
        if self.fresh is not None:
            return 0
        return self.schedule.steps * (1 + self.inversion.refine) * tiles

    def _inverted(self, asked: _Asked, on_step: OnStep) -> Trajectory:
        if self.fresh is not None:
            photo = asked.tiles.tiles[0].photo
            return noised(asked.latent, self.schedule, self.fresh, photo=photo)
        return invert(
            self.backbone,
            asked.latent,
            self.schedule,
            text=self.empty,
            aligned=self.inversion.aligned,
            refine=self.inversion.refine,
            tiles=asked.tiles,
            under=() if self.accelerator is None else (self.accelerator.intervention,),
            on_step=on_step,
        )

    def _kept(self, asked: _Asked) -> Trajectory | None:
        latents = None if self.cache is None else self.cache.get(asked.key)
        if latents is None:
            return None
        here = {t: latent.to(self.backbone.device) for t, latent in latents.items()}
        return Trajectory(here, photo=asked.tiles.tiles[0].photo)

    def _key(self, latent: Tensor, tiles: Tiles) -> str:
        """SHA-256 of all that a trajectory depends on, to the last bit."""
        total = hashlib.sha256()
        for fact in (*self._facts(), *(() if tiles.is_one else (tiles,))):
            total.update(f"{fact}\n".encode())
        told = self.backbone.told(tiles.tiles)
        for tensor in (latent, self.empty.states, self.schedule.alphas, *told):
            total.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            total.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
        return total.hexdigest()

    def _facts(self) -> Iterator[object]:
        schedule = self.schedule
        yield from (_FORM, __version__, self.backbone.digest, self.backbone.dtype)
        yield from (schedule.timesteps, schedule.final_alpha, schedule.prediction)
        yield self.inversion.aligned, self.inversion.refine
        if self.accelerator is not None:
            yield self.accelerator.style.digest
        if self.fresh is not None:
            yield self.fresh
        yield from _machine(self.backbone.device)


def machine(device: torch.device) -> str:
    """What decides the last bits besides the numbers, in words."""
    version, *where = _machine(device)
    if device.type != "cuda":
        kind, capability, threads = where
        where = [f"{kind} {capability}", f"{threads} thread{'s' * (threads != 1)}"]
    return ", ".join([f"torch {version}", *map(str, where)])


class _Asked(NamedTuple):
    """A latent to be inverted, and the key of its trajectory."""

    key: str
    latent: Tensor
    tiles: Tiles


def _shown(latent: Tensor, tiles: Tiles | None) -> Tiles:
    return tiles or Tiles.whole((latent.shape[-2], latent.shape[-1]))


def _machine(device: torch.device) -> Iterator[object]:
    """What decides the last bits besides the numbers: the library and what it runs on."""
    yield torch.__version__
    if device.type == "cuda":
        yield torch.cuda.get_device_name(device)
    else:
        yield from (device.type, torch.backends.cpu.get_cpu_capability(), torch.get_num_threads())


def _part(on_step: OnStep, number: int, count: int) -> OnStep:
    """Steps of inversion `number` of `count`, told as those of one long phase."""

    def tell(step: Step) -> None:
        on_step(replace(step, index=number * step.total + step.index, total=count * step.total))

    return tell
