"""What do people run instead, and what does it cost? CPU seconds, memory and rows, side by side.

    python benchmarks/rivals.py [--side 256] [--steps 12] [--case together|small|apart] [--ours]

One photo, 1, 2, 4 and 8 regions, each with a LoRA of rank 16 on every layer, on `mini`, one thread;
as many steps for everyone, encoding and decoding included, models loaded.

- ours: `singlepass`, its inversion included; and again, with the inversion an earlier edit kept.
- img2img: the photo renoised by 0.6 and denoised under one LoRA, merged into the weights as PEFT
  does, with guidance; cut out and pasted; region by region (SDEdit, arXiv:2108.01073).
- a run per LoRA: every step once unstyled and once per LoRA, each with guidance, predictions
  blended by the masks, as ComfyUI's masked conditioning with hooked LoRAs does; weights are kept
  merged, a copy of the network per LoRA, which is the fastest way.
- batched rows: one unguided row and one row per LoRA in one batch, as regional LoRAs in kohya's
  scripts; each row's own update beside the frozen layers.

Cases: `together`, upright bands over four fifths of the photo; `small`, as many bands that cover a
tenth of it together, where ours draws one frame; `apart`, boxes of 2 % far from each other, where
ours draws a frame for each; to the rivals, who draw the whole photo, they are one: --ours leaves
them out. Ours works at one detail, that of the rivals' whole photo. Rivals are
our own loops over the bare network, without their programs' overhead.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.bench.cost import held, measured
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

import locstyle as ls
from locstyle import testing
from locstyle.job.cache import TrajectoryCache

COUNTS = (1, 2, 4, 8)
GUIDANCE = 3.0
STRENGTH = 0.6
PARTS = (
    *("to_q", "to_k", "to_v", "to_out", "conv1", "conv2"),
    *("ff.net.0.proj", "0.proj", "ff.net.2", "2", "proj_in", "proj_out"),
)
Box = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Task:
    """What everybody is given: a photo [1, 3, H, W], boxes, a style and a text for each."""

    editor: ls.Editor
    photo: Tensor
    boxes: Sequence[Box]
    styles: Sequence[ls.Style]
    steps: int

    @property
    def backbone(self) -> Any:
        return self.editor.backbone

    @property
    def masks(self) -> Tensor:
        """[R, 1, h, w], which latent pixels are whose."""
        height, width = (side // self.backbone.factor for side in self.photo.shape[2:])
        found = torch.zeros(len(self.boxes), 1, height, width)
        for index, box in enumerate(self.boxes):
            left, top, right, bottom = (round(edge / self.backbone.factor) for edge in box)
            found[index, :, top:bottom, left:right] = 1
        return found


Run = Callable[[Task], int]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--case", choices=sorted(CASES), default="together")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--ours", action="store_true", help="leave the rivals out")
    wanted = parser.parse_args()
    runs = dict(itertools.islice(RUNS.items(), 2)) if wanted.ours else RUNS
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as kept:
        compare(
            wanted, runs, ls.Editor.load("mini", device="cpu", cache=TrajectoryCache(Path(kept)))
        )


def compare(wanted: argparse.Namespace, runs: Mapping[str, Run], editor: ls.Editor) -> None:
    photo = torch.rand(1, 3, wanted.side, wanted.side, generator=ls.generator(0, "photo"))
    styles = [
        testing.random_style(editor.backbone, seed, rank=16, parts=PARTS) for seed in range(8)
    ]
    table = Table("regions", *runs, title=f"{wanted.case}: CPU seconds / MiB above / rows")
    for count in wanted.counts:
        boxes = CASES[wanted.case](wanted.side, count)
        task = Task(editor, photo, boxes, styles[:count], wanted.steps)
        with torch.inference_mode():
            ours_again(task)  # keeps the inversion
            table.add_row(str(count), *(cost(run, task) for run in runs.values()))
        Console(width=120).print(table)


def cost(run: Run, task: Task) -> str:
    """Of one run, after a short one that warms up."""
    run(replace(task, steps=2))
    before, begun = held(task.backbone.device), time.process_time()
    with measured(task.backbone.device) as found:
        rows = run(task)
    seconds = time.process_time() - begun
    return f"{seconds:.2f} / {max(0.0, found.memory - before):.0f} / {rows}"


def ours(task: Task) -> int:
    return _edited(task, ls.Editor(task.backbone))


def ours_again(task: Task) -> int:
    return _edited(task, task.editor)


def _edited(task: Task, editor: ls.Editor) -> int:
    height, width = task.photo.shape[2:]
    regions = tuple(
        ls.Region(ls.Mask.box(box, size=(height, width)), style, prompt="a photo")
        for box, style in zip(task.boxes, task.styles, strict=True)
    )
    pixels = (task.photo[0] * 255).byte().permute(1, 2, 0).numpy()
    edit = ls.Edit(
        ls.Photo.from_image(np.ascontiguousarray(pixels)),
        regions,
        steps=task.steps,
        detail=1.0,
        fusion=ls.Fusing("singlepass", options={"guidance": GUIDANCE}),
    )
    report = editor.run(edit).report
    return report.rows + report.inversion_rows


def img2img(task: Task) -> int:
    backbone, schedule = task.backbone, task.backbone.schedule(task.steps)
    latent = backbone.encode(task.photo)
    texts = _texts(backbone)
    steps = schedule.timesteps[task.steps - round(task.steps * STRENGTH) :]
    pictures = []
    for style in task.styles:
        with merged(backbone, style):
            x = schedule.alpha(steps[0]) ** 0.5 * latent + torch.randn_like(latent)
            for t in steps:
                x = _stepped(x, _guided(backbone, x, t, texts), schedule, t)
            pictures.append(backbone.decode(x))
    _pasted(task, pictures)
    return 2 * len(steps) * len(task.styles)


def run_per_lora(task: Task) -> int:
    backbone, schedule = task.backbone, task.backbone.schedule(task.steps)
    masks = torch.cat([1 - task.masks.amax(0, keepdim=True), task.masks])
    networks = [backbone.unet, *(copy.deepcopy(backbone.unet) for _ in task.styles)]
    for network, style in zip(networks[1:], task.styles, strict=True):
        _merge(network, style)
    x, texts = torch.randn_like(backbone.encode(task.photo)), _texts(backbone)
    for t in schedule.timesteps:
        x_twice = x.expand(2, -1, -1, -1)
        seen = [network(x_twice, t, texts).sample for network in networks]
        noise = sum(
            mask * (minus + GUIDANCE * (plus - minus))
            for mask, (minus, plus) in zip(masks, seen, strict=True)
        )
        x = _stepped(x, noise, schedule, t)
    _pasted(task, [backbone.decode(x)] * len(task.styles))
    return 2 * task.steps * len(networks)


def batched_rows(task: Task) -> int:
    backbone, schedule = task.backbone, task.backbone.schedule(task.steps)
    x, texts = torch.randn_like(backbone.encode(task.photo)), _texts(backbone)
    rows = 1 + len(task.styles)
    states = torch.cat([texts[:1], texts[1:].expand(rows - 1, -1, -1)])
    with beside(backbone, task.styles):
        for t in schedule.timesteps:
            minus, *plus = backbone.unet(x.expand(rows, -1, -1, -1), t, states).sample
            blended = minus + GUIDANCE * sum(
                mask * (one - minus) for mask, one in zip(task.masks, plus, strict=True)
            )
            x = _stepped(x, blended[None], schedule, t)
    _pasted(task, [backbone.decode(x)] * len(task.styles))
    return rows * task.steps


@contextmanager
def merged(backbone: Any, style: ls.Style) -> Iterator[None]:
    """The network with a LoRA in its weights, inside the `with`."""
    was = {site: _weight(backbone.unet, site).clone() for site in style.deltas}
    _merge(backbone.unet, style)
    yield
    for site, weight in was.items():
        _weight(backbone.unet, site).copy_(weight)


@contextmanager
def beside(backbone: Any, styles: Sequence[ls.Style]) -> Iterator[None]:
    """Row 1 + r of a batch gets LoRA r at every layer, inside the `with`."""
    hooks = []
    for site in styles[0].deltas:
        layer = backbone.unet.get_submodule(site)
        deltas = [style.deltas[site] for style in styles]
        hooks.append(layer.register_forward_hook(_by_row(layer, deltas)))
    yield
    for hook in hooks:
        hook.remove()


def _by_row(layer: nn.Module, deltas: Sequence[ls.Delta]) -> Callable[..., Tensor]:
    def hook(_: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> Tensor:
        for row, delta in enumerate(deltas, 1):
            x = given[0][row : row + 1]
            if isinstance(layer, nn.Conv2d):
                low = nn.functional.conv2d(x, delta.down, None, layer.stride, layer.padding)
                out[row : row + 1] += delta.scale * nn.functional.conv2d(low, delta.up)
            else:
                out[row : row + 1] += delta.scale * (x @ delta.down.T @ delta.up.T)
        return out

    return hook


def _merge(unet: nn.Module, style: ls.Style) -> None:
    for site, delta in style.deltas.items():
        _weight(unet, site).add_(delta.weight)


def _weight(unet: nn.Module, site: str) -> Tensor:
    weight: Tensor = unet.get_submodule(site).weight.data
    return weight


def _texts(backbone: Any) -> Tensor:
    return torch.cat([backbone.text("").states, backbone.text("a photo").states])


def _guided(backbone: Any, x: Tensor, t: int, texts: Tensor) -> Tensor:
    minus, plus = backbone.unet(x.expand(2, -1, -1, -1), t, texts).sample.chunk(2)
    return minus + GUIDANCE * (plus - minus)


def _stepped(x: Tensor, noise: Tensor, schedule: ls.Schedule, t: int) -> Tensor:
    """One DDIM step."""
    return schedule.move(x, noise, t, schedule.after(schedule.timesteps.index(t)))


def _pasted(task: Task, pictures: Sequence[Tensor]) -> Tensor:
    out = task.photo.clone()
    for (left, top, right, bottom), picture in zip(task.boxes, pictures, strict=True):
        out[..., top:bottom, left:right] = picture[..., top:bottom, left:right]
    return out


def together(side: int, count: int) -> list[Box]:
    edges = np.linspace(0, 0.8 * side, count + 1).round().astype(int).tolist()
    return [(edges[i], 0, edges[i + 1], side) for i in range(count)]


def small(side: int, count: int) -> list[Box]:
    edge = round(0.1**0.5 * side)
    edges = np.linspace(0, edge, count + 1).round().astype(int).tolist()
    return [(64 + edges[i], 64, 64 + edges[i + 1], 64 + edge) for i in range(count)]


def apart(side: int, count: int) -> list[Box]:
    edge = round(0.02**0.5 * side)
    places = [(x, y) for y in (0.1, 0.75) for x in (0.0, 0.28, 0.57, 0.86)]
    return [
        (round(x * side), round(y * side), round(x * side) + edge, round(y * side) + edge)
        for x, y in places[:count]
    ]


CASES = {"together": together, "small": small, "apart": apart}
RUNS = {
    "ours": ours,
    "ours again": ours_again,
    "img2img a region": img2img,
    "a run per LoRA": run_per_lora,
    "batched rows": batched_rows,
}

if __name__ == "__main__":
    main()
