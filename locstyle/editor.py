"""The street an edit goes down: resolve, invert, plan, denoise, decode, paste."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from locstyle import __version__
from locstyle.edit import Edit
from locstyle.engine.backbone import Backbone
from locstyle.engine.backbones.load import load_backbone
from locstyle.engine.denoise import Denoised, denoise
from locstyle.engine.progress import Clock, OnStep, ignore
from locstyle.engine.scene import Scene
from locstyle.job.check_plan import checked_plan
from locstyle.job.gate import reconstruct
from locstyle.job.inversions import machine
from locstyle.job.make_scene import make_scene
from locstyle.job.paste import kept, paste
from locstyle.job.resolve import Job, resolve
from locstyle.result import MACHINE, Report, Result

if TYPE_CHECKING:
    from locstyle.job.cache import TrajectoryCache
    from locstyle.job.inversions import Inversions
    from locstyle.plugin.host import Host


class Editor:
    """Runs edits on one backbone, which is loaded once and never changed.

    With a `cache`, a picture inverted before in the same way is not inverted again. Threads may
    share an editor, and editors a backbone: what runs on it runs one after another, in any order.
    """

    def __init__(
        self, backbone: Backbone, host: Host | None = None, *, cache: TrajectoryCache | None = None
    ) -> None:
        from locstyle.plugin.host import default_host

        self.backbone = backbone
        self.host = host or default_host()
        self.cache = cache
        self._spent: dict[str, float] = {}  # seconds on loading, for the first report

    @classmethod
    def load(
        cls,
        name: str | Path = "mini",
        *,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        host: Host | None = None,
        cache: TrajectoryCache | None = None,
        download: bool = True,
    ) -> Editor:
        """An editor on a registered backbone ("mini"), a diffusers folder, a checkpoint or a hub
        name, which is fetched unless `download` is false and nothing is there yet.

        Raises:
            BackboneError: nothing of that name can be loaded.
        """
        from locstyle.plugin.host import default_host

        clock = Clock("load")
        host = host or default_host()
        if str(name) in host.names("backbones"):
            backbone = host.backbone(str(name))(str(name), device, dtype)
        else:
            backbone = load_backbone(name, device=device, dtype=dtype, download=download)
        editor = cls(backbone, host, cache=cache)
        editor._spent = clock.read()
        return editor

    def resolve(self, edit: Edit) -> Job:
        """Every name found, every file read, every mask made; `run` takes the job in its place.

        Raises:
            LocstyleError: whatever is wrong with the request; its message names the place.
        """
        clock = Clock("resolve")
        with torch.no_grad():
            job = resolve(edit, self.backbone, self.host)
        return replace(job, seconds=clock.read()["resolve"])

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
        the rows of one forward pass, to save memory.

        Raises:
            LocstyleError: see its kinds; raising from `on_step` cancels and leaves nothing behind.
            BusyError: called from `on_step`, or from anything else in the middle of a run.
            PluginError: the fusion planned what cannot be run, or changed the backbone's weights;
                such a backbone is refused by a BackboneError until it is loaded again.
        """
        turns = self.backbone.turns
        tell = turns.told(on_step or ignore)
        job = edit if isinstance(edit, Job) else self.resolve(edit)
        spent, self._spent = self._spent, {}
        clock = Clock("report", spent | {"resolve": job.seconds})
        who = self.host.whose("fusions", job.edit.fusion.name)
        with turns.take("an edit", alone=True), torch.inference_mode():
            self.backbone.seal.check()
            with clock.phase("invert"):
                scene, inverted = make_scene(job, self.backbone, self.cache, tell)
            with clock.phase("denoise"), self.backbone.seal.kept(who):
                plan = checked_plan(job.fusion.plan(scene), scene, who)
                start = scene.start(0) if plan.start is None else plan.start
                done = denoise(
                    self.backbone,
                    plan,
                    scene.schedule,
                    start,
                    solver=job.solver,
                    max_rows=max_rows,
                    on_step=tell,
                )
            with clock.phase("paste"):
                styled = self.backbone.decode(done.latent)[0].float().cpu()
                weight = job.layers("paste_feather").weight
                photo = paste(job.photo, job.canvas, styled, weight)
                found: dict[str, Any] = kept(job.photo, photo, weight)._asdict()
            if check_inversion:
                with clock.phase("check"):
                    found |= _gate(job, scene, tell)
        digests = {"backbone": self.backbone.digest, **job.digests()}
        digests[MACHINE] = machine(self.backbone.device)
        made = replace(job.edit, digests=digests)
        report = self._report(job, inverted, done, clock, found)
        latent = done.latent.clone()  # not an inference tensor, so a caller may go on with it
        return Result(
            photo, job.photo, job.masks, scene.partition, job.styles, latent, made, report
        )

    def _report(
        self, job: Job, inverted: Inversions, done: Denoised, clock: Clock, found: dict[str, Any]
    ) -> Report:
        return Report(
            rows=done.rows,
            inversion_rows=inverted.rows,
            cached_inversions=inverted.cached,
            coverage=job.coverage,
            overlap=job.overlap,
            working_size=job.canvas.padded,
            device=str(self.backbone.device),
            dtype=str(self.backbone.dtype).removeprefix("torch."),
            versions=_versions(),
            **found,
            seconds=clock.read(),  # last, so that all of the above is in it
        )


def _gate(job: Job, scene: Scene, on_step: OnStep) -> dict[str, Any]:
    gate = reconstruct(job, scene, on_step)
    gate.warn()
    return {
        "autoencoder_psnr": gate.autoencoder,
        "reconstruction_psnr": gate.reconstruction,
        "check_rows": gate.rows,
    }


def _versions() -> dict[str, str]:
    import diffusers

    return {
        "locstyle": __version__,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
    }
