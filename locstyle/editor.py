"""The street an edit goes down: resolve, invert, plan, denoise, decode, paste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import or_
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import torch
from torch import Tensor

from locstyle import __version__
from locstyle.edit import Edit
from locstyle.engine.backbone import Backbone
from locstyle.engine.backbones.load import Memory, configured, load_backbone
from locstyle.engine.denoise import FEWEST
from locstyle.engine.noise import generator
from locstyle.engine.progress import Clock, OnStep, ignore
from locstyle.errors import RecipeError
from locstyle.job.draw import Drawing, Rendered, draw
from locstyle.job.forecast import Forecast, forecasts
from locstyle.job.grain import grain_for
from locstyle.job.inversions import machine
from locstyle.job.make_scene import inverter_of
from locstyle.job.paste import Grain, Piece, kept, paste
from locstyle.job.resolve import Job, resolve
from locstyle.job.telling import Telling
from locstyle.photo import boxes
from locstyle.result import MACHINE, Report, Result

if TYPE_CHECKING:
    from locstyle.engine.backbones.whereabouts import Whereabouts
    from locstyle.job.inversions import KeepsInversions
    from locstyle.job.shelf import Shelf
    from locstyle.job.speed import Speed
    from locstyle.plugin.host import Host


class Editor:
    """Runs edits on one backbone, which is loaded once and never changed.

    With a `cache`, a picture inverted before in the same way is not inverted again. Threads may
    share an editor, and editors a backbone: what runs on it runs one after another, in any order.
    With `memory` "low" it takes as little as it can, in more time: on a GPU only those parts of the
    backbone stay that are used just now, and as few rows as can run alone run at once; on a CPU
    only the latter. "auto": so where a GPU does not hold the backbone.
    """

    def __init__(
        self,
        backbone: Backbone,
        host: Host | None = None,
        *,
        cache: KeepsInversions | None = None,
        memory: Memory = "auto",
    ) -> None:
        from locstyle.plugin.host import default_host

        if memory not in get_args(Memory):
            raise RecipeError(f"memory: got {memory!r}; give auto or low")
        # A plugin's backbone may have no parts that can be sent away.
        parts: Whereabouts | None = getattr(backbone, "whereabouts", None)
        if memory == "low" and parts is not None and not parts.spares:
            parts.spare()

        self.backbone = backbone
        self.host = host or default_host()
        self.cache = cache
        self.spares = memory == "low" or (parts is not None and parts.spares)
        self._spent: dict[str, float] = {}  # seconds on loading, for the first report

    def __repr__(self) -> str:
        backbone = self.backbone
        return f"Editor({backbone.name!r}, {backbone.device}, {backbone.dtype})"

    @classmethod
    def load(
        cls,
        name: str | Path = "mini",
        *,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        host: Host | None = None,
        cache: KeepsInversions | None = None,
        download: bool = True,
        config: str | Path | None = None,
        memory: Memory = "auto",
    ) -> Editor:
        """An editor on a registered backbone ("mini"), a diffusers folder, a checkpoint or a hub
        name, which is fetched unless `download` is false and nothing is there yet.

        `config`: a diffusers folder or hub name with the configuration of a checkpoint in one file;
        None: what ships with locstyle for its family.

        Raises:
            BackboneError: nothing of that name can be loaded.
        """
        from locstyle.plugin.host import default_host

        clock = Clock("load")
        host = host or default_host()
        if str(name) in host.names("backbones"):
            if config is not None:
                raise configured(str(name))
            backbone = host.backbone(str(name))(str(name), device, dtype)
        else:
            backbone = load_backbone(
                name,
                device=device,
                dtype=dtype,
                download=download,
                config=config,
                memory=memory,
            )
        editor = cls(backbone, host, cache=cache, memory=memory)
        editor._spent = clock.read()
        return editor

    def resolve(
        self, edit: Edit, *, output: str | Path | None = None, shelf: Shelf | None = None
    ) -> Job:
        """Every name found, every file read, every mask made; `run` takes the job in its place.

        Args:
            output: where the result is to be saved, refused now if it could not be.
            shelf: what is shared with the edits before and after on this editor.

        Raises:
            LocstyleError: whatever is wrong with the request; its `place` says where in the edit.
        """
        clock = Clock("resolve")
        with torch.no_grad():
            job = resolve(edit, self.backbone, self.host, output=output, shelf=shelf)
        return replace(job, seconds=clock.read()["resolve"])

    def forecast(
        self,
        edit: Edit | Job,
        *,
        speed: Speed | None = None,
        check_inversion: bool = False,
        max_rows: int | None = None,
    ) -> tuple[Forecast, ...]:
        """What each frame of an edit, or of the job it was resolved to, will take if `run` so.

        `speed`: `Speed.of` the backbone; without, seconds and memory are left open.

        Raises:
            LocstyleError: whatever is wrong with the request.
            BusyError: called in the middle of a run.
        """
        job = edit if isinstance(edit, Job) else self.resolve(edit)
        who = self.host.whose("fusions", job.edit.fusion.name)
        _check_check(job, check_inversion)
        drawing = self._drawing(who, max_rows, check_inversion, Clock("forecast"))
        with self.backbone.turns.take("a forecast", alone=True), torch.inference_mode():
            inverter = inverter_of(job, self.backbone, None)
            return tuple(forecasts(job, inverter, drawing, speed))

    def run(
        self,
        edit: Edit | Job,
        on_step: OnStep | None = None,
        *,
        check_inversion: bool = False,
        max_rows: int | None = None,
    ) -> Result:
        """Run an edit, or the job it was resolved to; a user's mistake surfaces before any
        denoising.

        `check_inversion` also denoises the inverted photo back unstyled, with the edit's own solver
        and for one more row per step, reports both PSNRs and warns of poor ones. `max_rows` bounds
        the rows of one forward pass, to save memory; None: all at once, or with little memory as
        few as can run alone.

        Raises:
            LocstyleError: see its kinds; raising from `on_step` cancels and leaves nothing behind.
            BusyError: called from `on_step`, or from anything else in the middle of a run.
            PluginError: the fusion planned what cannot be run, or changed the backbone's weights;
                such a backbone is refused by a BackboneError until it is loaded again.
        """
        turns = self.backbone.turns
        tell = turns.told(on_step or ignore)
        job = edit if isinstance(edit, Job) else self.resolve(edit)
        who = self.host.whose("fusions", job.edit.fusion.name)
        _check_check(job, check_inversion)
        with turns.take("an edit", alone=True), torch.inference_mode():
            spent, self._spent = self._spent, {}
            # Only now: waiting for other threads is no part of what this edit takes.
            clock = Clock("report", spent | {"resolve": job.seconds})
            self.backbone.seal.check()
            drawing = self._drawing(who, max_rows, check_inversion, clock)
            pieces, drawn = self._draw(job, drawing, tell)
            with clock.phase("paste"):
                photo = paste(job.photo, pieces, _grain(job))
                weight = reduce(or_, (piece.placed for piece in pieces))
                found: dict[str, Any] = kept(job.photo, photo, weight)._asdict()
        digests = {"backbone": self.backbone.digest, **job.digests()}
        digests[MACHINE] = machine(self.backbone.device)
        made = replace(job.edit, digests=digests)
        frames = tuple(one.drawn_frame for one in drawn)
        report = self._report(job, drawn, clock, found | _gates(drawn))
        return Result(photo, job.photo, job.masks, job.styles, frames, made, report)

    def _drawing(self, who: str, max_rows: int | None, check: bool, clock: Clock) -> Drawing:
        most = FEWEST if max_rows is None and self.spares else max_rows
        return Drawing(who, most, check, clock.phase)

    def _draw(
        self, job: Job, drawing: Drawing, on_step: OnStep
    ) -> tuple[list[Piece], list[Rendered]]:
        """Every frame, one after another; each as if it were alone."""
        inverter = inverter_of(job, self.backbone, self.cache)
        telling = Telling(on_step, job.photo, job.frames)
        pieces, drawn = [], []
        for number, frame in enumerate(job.frames):
            with drawing.phase("paste"):
                weight = job.layers(frame, "paste_feather").weight
            one = draw(job, frame, inverter, drawing, telling.of(number, weight))
            pieces.append(Piece(frame.canvas, one.picture, weight))
            drawn.append(one)
            telling.finish(number, pieces[-1])
        return pieces, drawn

    def _report(
        self, job: Job, drawn: Sequence[Rendered], clock: Clock, found: dict[str, Any]
    ) -> Report:
        return Report(
            rows=sum(one.done.rows for one in drawn),
            inversion_rows=sum(one.inverted.rows for one in drawn),
            cached_inversions=sum(one.inverted.cached for one in drawn),
            coverage=job.coverage,
            overlap=job.overlap,
            frames=tuple(one.report for one in drawn),
            device=str(self.backbone.device),
            dtype=str(self.backbone.dtype).removeprefix("torch."),
            versions=_versions(),
            **found,
            seconds=clock.read(),  # last, so that all of the above is in it
        )


def _check_check(job: Job, is_asked: bool) -> None:
    """Refuses to check an inversion where there is none."""
    if is_asked and job.settled.renoises:
        raise RecipeError(
            f"--check: solver {job.settled.solver!r} inverts nothing, so there is nothing to "
            "check; leave it out"
        )


def _gates(drawn: Sequence[Rendered]) -> dict[str, Any]:
    """What checking the inversions found: of the frame that came back worst."""
    gates = [one.gate for one in drawn if one.gate is not None]
    if not gates:
        return {}
    worst = min(gates, key=lambda gate: gate.reconstruction)
    worst.warn()
    return {
        "autoencoder_psnr": worst.autoencoder,
        "reconstruction_psnr": worst.reconstruction,
        "check_rows": sum(gate.rows for gate in gates),
    }


def _grain(job: Job) -> Grain | None:
    """What the paste adds to each frame's fine scale, where the edit asks for it."""
    asked = job.edit.grain
    amount = {"off": 0.0, "auto": 1.0}.get(str(asked), asked)
    if not amount:
        return None

    def grain(piece: Piece) -> Tensor:
        draw = generator(job.edit.seed, "grain")
        photo = job.photo.working(*boxes.slices(piece.canvas.box))
        styled, weight = piece.canvas.grow(piece.work), piece.weight.values
        return float(amount) * grain_for(styled, photo, weight, piece.canvas, draw)

    return grain


def _versions() -> dict[str, str]:
    import diffusers

    return {
        "locstyle": __version__,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
    }
