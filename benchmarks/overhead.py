"""What does styling cost beside the network itself? Denoising over exactly its bare forward passes.

    python benchmarks/overhead.py [--shape mini|mid|sd] [--side 128] [--steps 6] [--repeats 5]

`singlepass` with 1, 2, 4 and 8 LoRAs of rank 16 on every layer, in upright bands that cover four
fifths of the picture. Every forward pass of a run is noted and made again with the same latents,
timestep and texts and nothing attached; the ratio is the whole denoising's time over that. "mid" is
a random UNet of half Stable Diffusion's width, "sd" one of its own: their time does not depend on
their weights. Runs and replays take turns, and the median of each counts. CPU seconds of one
thread, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from locstyle.engine.backbones.unet import UNetBackbone

LORAS = (1, 2, 4, 8)
PARTS = (
    *("to_q", "to_k", "to_v", "to_out", "conv1", "conv2"),
    *("ff.net.0.proj", "0.proj", "ff.net.2", "2", "proj_in", "proj_out"),
)
WIDTHS = {"mid": (160, 320, 640, 640), "sd": (320, 640, 1280, 1280)}
TEXT = {"mid": 768, "sd": 768}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=("mini", *WIDTHS), default="mini")
    parser.add_argument("--side", type=int, default=128, help="side of the picture in pixels")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--loras", type=int, nargs="+", default=LORAS)
    wanted = parser.parse_args()
    torch.set_num_threads(1)
    backbone = backbone_of(wanted.shape)
    table = Table("LoRAs", "rows", "bare, s", "styled, s", "ratio", title=title(wanted))
    with torch.inference_mode():
        for count in wanted.loras:
            rows, bare, styled = measured(backbone, count, wanted)
            ratio = f"{styled / bare:.3f}"
            table.add_row(str(count), str(rows), f"{bare:.2f}", f"{styled:.2f}", ratio)
    Console(width=100).print(table)


def title(wanted: Any) -> str:
    return f"singlepass, {wanted.shape}, {wanted.side} pixels, {wanted.steps} steps"


def measured(backbone: UNetBackbone, count: int, wanted: Any) -> tuple[int, float, float]:
    """Rows, and the median CPU seconds of the bare forward passes and of the denoising."""
    from locstyle_plugins.singlepass import SinglePass

    scene = scene_of(backbone, count, wanted.side, wanted.steps)
    plan = SinglePass().plan(scene)
    start = scene.start(0) if plan.start is None else plan.start

    def styled() -> int:
        return ls.denoise(backbone, plan, scene.schedule, start).rows

    with noted(backbone) as calls:
        rows = styled()

    def bare() -> None:
        for call in calls:
            backbone.predict(*call)

    bare()
    times = [(seconds(bare), seconds(styled)) for _ in range(wanted.repeats)]
    return rows, *(statistics.median(each) for each in zip(*times, strict=True))  # type: ignore[return-value]  # of two


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


@contextmanager
def noted(backbone: UNetBackbone) -> Iterator[list[tuple[Any, ...]]]:
    """What the network is asked inside the `with`."""
    calls: list[tuple[Any, ...]] = []
    predict = backbone.predict

    def asked(*given: Any) -> torch.Tensor:
        calls.append(given)
        return predict(*given)

    with patch.object(backbone, "predict", asked):
        yield calls


def backbone_of(shape: str) -> UNetBackbone:
    if shape == "mini":
        return ls.Editor.load("mini", device="cpu").backbone  # type: ignore[return-value]  # it is one
    from diffusers import UNet2DConditionModel

    from locstyle.engine.backbones.unet import UNetBackbone

    parts = testing.tiny_parts()
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=64, block_out_channels=WIDTHS[shape], cross_attention_dim=TEXT[shape]
    )
    return UNetBackbone(parts._replace(unet=unet), name=shape, device=torch.device("cpu"))


def scene_of(backbone: UNetBackbone, count: int, side: int, steps: int) -> ls.Scene:
    """A scene of noise, which costs what any other does."""
    draw = torch.Generator().manual_seed(0)
    schedule, size = backbone.schedule(steps), side // backbone.factor
    noise = torch.randn(3 + steps, 1, backbone.channels, size, size, generator=draw)
    points = (ls.CLEAN, *schedule.timesteps)
    content = ls.Trajectory(dict(zip(points, noise[2:], strict=True)))
    texts = [text_of(backbone, draw) for _ in range(count + 3)]
    styles = (testing.random_style(backbone, seed, rank=16, parts=PARTS) for seed in range(count))
    regions = tuple(
        ls.SceneRegion((ls.SceneStyle(style, 0.1),), text, texts[-1])
        for style, text in zip(styles, texts, strict=False)
    )
    partition = ls.Partition.of(bands(side, count)).feather(2)
    empty, text, negative = texts[-3:]
    return ls.Scene(
        backbone, noise[2], content, noise[1], regions, partition, schedule, empty, text, negative
    )


def text_of(backbone: UNetBackbone, draw: torch.Generator) -> ls.Text:
    width = backbone.unet.config.cross_attention_dim
    return ls.Text("", torch.randn(1, 77, width, generator=draw))


def bands(side: int, count: int) -> list[ls.Mask]:
    edges = np.linspace(0, 0.8 * side, count + 1).round().astype(int).tolist()
    return [
        ls.Mask.box((left, 0, right, side), size=(side, side))
        for left, right in itertools.pairwise(edges)
    ]


if __name__ == "__main__":
    main()
