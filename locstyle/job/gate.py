"""The reconstruction gate: how well a photo survives its inversion, before any style."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from locstyle import measure
from locstyle.engine.denoise import denoise
from locstyle.engine.plan import Branch, Plan
from locstyle.engine.progress import OnStep, Step
from locstyle.job.make_scene import decoded

if TYPE_CHECKING:
    from locstyle.engine.scene import Scene
    from locstyle.job.frames import Frame
    from locstyle.job.resolve import Job

POOR = 6.0
"""dB that inversion may lose beyond the autoencoder before an edit is warned of."""


@dataclass(frozen=True)
class Gate:
    """PSNRs in dB against the photo at its working size, and the rows they took.

    `autoencoder`: of encoding and decoding alone; `reconstruction`: of inverting and denoising back
    unstyled, with the edit's own solver.
    """

    autoencoder: float
    reconstruction: float
    rows: int

    def warn(self) -> None:
        """Says so where inversion loses much, and what helps."""
        if self.autoencoder - self.reconstruction > POOR:
            warnings.warn(
                f"the photo comes back from its inversion at {self.reconstruction:.1f} dB, where "
                f"the autoencoder alone gives {self.autoencoder:.1f}: what the edit should keep of "
                "it may drift; refine the inversion further (--refine-inversion 4), go back with "
                "--solver ddim, or work at the size the backbone was trained at",
                stacklevel=3,
            )


def reconstruct(job: Job, frame: Frame, scene: Scene, on_step: OnStep) -> Gate:
    """Denoises the inverted photo back unstyled: one row a step.

    Raises:
        DenoiseError: the latent is not finite after a step.
    """

    def tell(step: Step) -> None:
        on_step(replace(step, phase="check"))

    backbone, schedule = scene.backbone, scene.schedule
    plan = Plan((Branch("source", scene.empty),), job.under, lambda seen, call: seen["source"])
    start = scene.content.at(schedule.noisiest)
    back = denoise(
        backbone, plan, schedule, start, solver=job.solver, tiles=frame.tiles, on_step=tell
    )
    seen = _array(job.photo.on(frame.canvas))
    autoencoder, reconstruction = (
        measure.psnr(_array(decoded(backbone, latent, frame.tiles)), seen)
        for latent in (scene.latent, back.latent)
    )
    return Gate(autoencoder, reconstruction, back.rows)


def _array(picture: Tensor) -> np.ndarray[Any, Any]:
    return picture.permute(1, 2, 0).numpy()
