"""The reconstruction gate: what a backbone does to a photo before anybody edits it."""

from __future__ import annotations

import numpy as np

import locstyle as ls

from .baselines import Bench, canvas_of, encoded
from .cases import Case, Picture


def gate(bench: Bench, case: Case) -> tuple[Picture, dict[str, float]]:
    """The photo inverted and denoised back unstyled, and how much of it was lost on which way.

    The same as `Editor.run(check_inversion=True)` reports, without an edit.
    """
    backbone, canvas = bench.editor.backbone, canvas_of(bench, case.photo)
    solver, steps = bench.settings.sampling
    schedule, empty, refine = backbone.schedule(steps), backbone.text(""), ls.Inversion().refine
    latent = encoded(bench, case.photo)
    there = ls.invert(backbone, latent, schedule, text=empty, refine=refine, on_step=bench.on_step)
    plan = ls.Plan((ls.Branch("source", empty),), (), lambda seen, call: seen["source"])
    start = there.at(schedule.noisiest)
    done = ls.denoise(backbone, plan, schedule, start, solver=solver, on_step=bench.on_step)
    pictures = [
        canvas.grow(backbone.decode(x)[0].float().cpu()).clamp(0, 1).permute(1, 2, 0).numpy()
        for x in (latent, done.latent)
    ]
    seen = case.photo.astype(np.float32) / 255
    autoencoder, reconstruction = (ls.measure.psnr(one, seen) for one in pictures)
    figures = {
        "autoencoder_psnr": autoencoder,
        "reconstruction_psnr": reconstruction,
        "gate_gap": autoencoder - reconstruction,
    }
    return np.round(255 * pictures[1]).astype(np.uint8), figures
