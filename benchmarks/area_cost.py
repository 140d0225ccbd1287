"""What does a smaller region cost? Time of edits of one photo at one detail, by the region's area.

    python benchmarks/area_cost.py [--side 512] [--steps 2] [--repeats 3]

The backbone is random, of Stable Diffusion 1.5's topology at a quarter of its weights (block widths
160, 320, 640, 640; eight pixels a latent pixel); pictures mean nothing, costs do. At `detail` 1 the
whole photo is one frame of 64 × 64 latent pixels; a region's frame has its margin of context. Rows
run in one process, in turn, so that ratios stand on one machine's one mood; each time is the least
of the repeats. Bare forward passes of the same sizes stand beside them. Ends with status 1 where
5 % of the photo costs more than a sixth of the whole, or 1 % more than a tenth.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any  # the modules of diffusers have no types

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, tiny_parts

SHARES = (1.0, 0.25, 0.05, 0.01)
LIMITS = {0.05: 1 / 6, 0.01: 1 / 10}
FACTOR = 8


@dataclass(frozen=True)
class Cost:
    """Seconds of an edit, of its inversion and its denoising alone, and its latent's size."""

    seconds: float
    network: float
    latent: tuple[int, int]
    rows: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="side of the photo in pixels")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    wanted = parser.parse_args()
    editor = ls.Editor(middling(wanted.side))
    edits = {share: edit_of(editor, wanted, share) for share in SHARES}
    editor.run(edits[min(SHARES)])  # warms up
    runs = [{share: timed(editor, edits[share]) for share in SHARES} for _ in range(wanted.repeats)]
    best = {share: min((run[share] for run in runs), key=lambda c: c.network) for share in SHARES}
    bare = {share: forward(editor.backbone, best[share]) for share in SHARES}
    report(best, bare)
    return int(any(best[s].network / best[1.0].network > limit for s, limit in LIMITS.items()))


def middling(side: int) -> UNetBackbone:
    """A random backbone of 220 million weights whose native side is `side`."""
    from diffusers import AutoencoderKL, UNet2DConditionModel

    parts = tiny_parts()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet: Any = UNet2DConditionModel(
            sample_size=side // FACTOR,
            block_out_channels=(160, 320, 640, 640),
            cross_attention_dim=parts.text_encoder.config.hidden_size,
            attention_head_dim=8,
        )
        vae: Any = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            block_out_channels=(8,) * 4,
            layers_per_block=1,
            norm_num_groups=4,
        )
    parts = parts._replace(unet=unet, vae=vae)
    return UNetBackbone(parts, name="middling", device=torch.device("cpu"), family="middling")


def edit_of(editor: ls.Editor, wanted: argparse.Namespace, share: float) -> ls.Edit:
    """A square of the photo's middle, under a LoRA of rank 4."""
    side = wanted.side
    photo = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    half = round(side * share**0.5 / 2)
    low, high = max(0, side // 2 - half), min(side, side // 2 + half)
    mask = ls.Mask.box((low, low, high, high), (side, side))
    style = random_style(editor.backbone, rank=4)  # type: ignore[arg-type]  # a UNetBackbone
    return ls.Edit(photo, (ls.Region(mask, style, 0.1),), steps=wanted.steps, detail=1.0)


def timed(editor: ls.Editor, edit: ls.Edit) -> Cost:
    start = time.perf_counter()
    result = editor.run(edit)
    seconds, report = time.perf_counter() - start, result.report
    network = report.seconds["invert"] + report.seconds["denoise"]
    height, width = result.frames[0].working_size
    return Cost(
        seconds, network, (height // FACTOR, width // FACTOR), report.rows + report.inversion_rows
    )


def forward(backbone: ls.Backbone, cost: Cost) -> float:
    """Seconds of one bare forward pass of three rows at the edit's size; the least of three."""
    x = torch.randn(3, 4, *cost.latent)
    states = backbone.text("").states.expand(3, -1, -1)
    times = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            backbone.predict(x, 500, states)
            times.append(time.perf_counter() - start)
    return min(times)


def report(best: dict[float, Cost], bare: dict[float, float]) -> None:
    table = Table("region", "latent", "rows", "seconds", "of the whole", "bare forward", "of it")
    for share, cost in best.items():
        table.add_row(
            f"{share:.0%}",
            f"{cost.latent[0]} × {cost.latent[1]}",
            str(cost.rows),
            f"{cost.network:.2f}",
            f"1/{best[1.0].network / cost.network:.1f}",
            f"{bare[share]:.3f} s",
            f"1/{bare[1.0] / bare[share]:.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    raise SystemExit(main())
