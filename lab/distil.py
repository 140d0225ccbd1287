"""Distilling an accelerator for `mini`: a LoRA under which one step does what several did.

One round of progressive distillation (arXiv:2202.00512) into few steps, in the form in which
accelerators are shared: a LoRA (arXiv:2311.05556). Nobody is asked whether pictures look real, so
nothing is added to what `mini` knows.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import safetensors.torch
import torch
from locstyle_plugins.lora import FULL, adapted
from locstyle_plugins.world import HELD_OUT_WORLD
from torch import Tensor, nn

import locstyle as ls

from . import components
from .pictures import LARGE, Dataset, dataset
from .training import Rates, Run, Trainee, WindowStage, log_line, write_tensors

TARGETS = (*FULL, "time_emb_proj")
"""All that style LoRAs change, and what the network is told of the noise: nobody owns a part."""

_RATES = Rates(peak=1.5e-3, plateau=0.4, floor=0.03, warm_up=30)
_REPORT_SECONDS = 300
_PROBED = 12  # scenes, each as a photo and in two styles
_VARIANTS = torch.tensor((0.5, 0.15, 0.15, 0.2))  # captions: full, things, medium, none


STAGES = (WindowStage(0.5, 16, 24), WindowStage(1.0, 32, 6))
_ASKED = WindowStage(1.0, 32, 8)


@dataclass(frozen=True)
class Distilling:
    """What is distilled into what.

    `steps`: of the student over the whole schedule; `inner`: the teacher's in each of them.
    `rank`: of each layer's update.
    """

    steps: int = 4
    inner: int = 3
    rank: int = 15
    stages: tuple[WindowStage, ...] = STAGES


@dataclass(frozen=True)
class Material:
    """What is learned from: scaled latents [N, 4, h, w] and the states of their captions."""

    latents: Tensor
    states: Tensor  # [M, tokens, width]
    captions: Tensor  # [N, 4], which states


@dataclass(frozen=True)
class Leap:
    """Latents [B, 4, h, w] at timesteps [B], with text states: where does one step lead?"""

    noisy: Tensor
    steps: Tensor
    states: Tensor


def distil(run: Run, how: Distilling = Distilling()) -> None:
    """Train for the given minutes and write `accelerator.safetensors` to the output folder.

    `run.init` is the pipeline folder of the backbone. A run that was stopped goes on.
    """
    torch.manual_seed(run.seed)
    backbone = ls.load_backbone(run.init, device=run.device, dtype=torch.float32, family="mini")
    known = _known(run, backbone, dataset(run.work, scenes=run.scenes, size=LARGE), "known")
    held = dataset(run.work, scenes=min(_PROBED, run.scenes), seed=HELD_OUT_WORLD, size=LARGE)
    asked = _probe(_known(run, backbone, held, "held-out"), how)
    with adapted(backbone, how.rank, TARGETS, run.seed) as layers:
        student = Student(backbone, layers)
        trainee = Trainee({"lora": student.factors}, _RATES, run.minutes, decay=0.99)
        state = run.work / "distil-state.safetensors"
        if state.exists():
            trainee.load(state)
        due = trainee.seconds + _REPORT_SECONDS
        while (fraction := trainee.fraction) < 1:
            stage = next(one for one in how.stages if fraction < one.until)
            question = _draw(known, how, stage, run.seed + trainee.step)
            trainee.learn(_loss(student, question, how).mean())
            if trainee.seconds >= due:
                due = trainee.seconds + _REPORT_SECONDS
                trainee.save(state)
                _report(trainee, student, asked, how, run)
                _export(trainee, student, how, run)
        trainee.save(state)
        _report(trainee, student, asked, how, run)
        _export(trainee, student, how, run)


class Student:
    """A backbone with trainable LoRA layers, and without them the teacher."""

    def __init__(self, backbone: Any, layers: dict[str, Any]) -> None:
        self.backbone, self.layers = backbone, layers
        self.factors = nn.ModuleList(
            part
            for one in layers.values()
            for part in (one.lora_A["default"], one.lora_B["default"])
        )

    @contextmanager
    def teaching(self) -> Iterator[None]:
        """Without the LoRA, and without gradients."""
        for layer in self.layers.values():
            layer.enable_adapters(False)
        try:
            with torch.no_grad():
                yield
        finally:
            for layer in self.layers.values():
                layer.enable_adapters(True)

    def deltas(self) -> dict[str, ls.Delta]:
        """What was learned, in half precision."""
        found = {}
        for name, layer in self.layers.items():
            down, up = (
                part["default"].weight.detach().to("cpu", torch.float16, copy=True).contiguous()
                for part in (layer.lora_A, layer.lora_B)
            )
            found[name] = ls.Delta(down, up, float(layer.scaling["default"]))
        return found


def _loss(student: Student, asked: Leap, how: Distilling) -> Tensor:
    """How far one step of the student's ends from where several of the teacher's do: [B].

    Measured on the prediction, and so on the latent arrived at, but for a factor.
    """
    with student.teaching():
        there = walk(student.backbone, asked, how)
    predicted = student.backbone.predict(asked.noisy, asked.steps, asked.states)
    a, b = _levels(asked.steps), _levels(_ends(asked.steps, how))
    kept = (b / a).sqrt()
    added = (1 - b).sqrt() - kept * (1 - a).sqrt()
    target = (there - kept * asked.noisy) / added
    return ((predicted - target).square() * added.abs()).mean((1, 2, 3))


def walk(backbone: Any, asked: Leap, how: Distilling) -> Tensor:
    """Where one step leads, taken as several of DPM-Solver++(2M), arXiv:2211.01095 alg. 2."""
    x, first, last = asked.noisy, asked.steps, _ends(asked.steps, how)
    grid = [first + (last - first) * number // how.inner for number in range(how.inner + 1)]
    before: tuple[Tensor, Tensor] | None = None
    for t, end in pairwise(grid):
        a, b = _levels(t), _levels(end)
        predicted = backbone.predict(x, t, asked.states)
        clean = aim = (x - (1 - a).sqrt() * predicted) / a.sqrt()
        if before is not None:
            ratio = (_lambda(a) - before[1]) / (_lambda(b) - _lambda(a))
            further = clean + (clean - before[0]) / (2 * ratio)
            # towards the clean latent it is of first order, as in the library's own solver
            aim = torch.where(end.view(-1, 1, 1, 1) > 0, further, clean)
        x = b.sqrt() * aim + ((1 - b) / (1 - a)).sqrt() * (x - a.sqrt() * aim)
        before = clean, _lambda(a)
    return x


def _ends(steps: Tensor, how: Distilling) -> Tensor:
    """Where the student's steps from these lead: as far on in the schedule, or its clean end."""
    return (steps - components.TRAIN_STEPS // how.steps).clamp(min=0)


def _levels(t: Tensor) -> Tensor:
    """Signal shares [B, 1, 1, 1]."""
    return components.signal_shares(str(t.device))[t].view(-1, 1, 1, 1)


def _lambda(a: Tensor) -> Tensor:
    return 0.5 * (a / (1 - a)).log()


def _known(run: Run, backbone: Any, world: Dataset, name: str) -> Material:
    """Latents and caption states of a world's pictures, worked out once."""
    path = run.work / f"{name}-{len(world.pictures)}.safetensors"
    if not path.exists():
        # an autoencoder's latents as the network sees them, in half precision
        latents = [
            backbone.encode(torch.from_numpy(np.array(part)).permute(0, 3, 1, 2) / 255).half()
            for part in np.array_split(world.pictures, max(1, len(world.pictures) // 8))
        ]
        captions = [(*prompts, "") for prompts in world.prompts]
        texts = list(dict.fromkeys(text for four in captions for text in four))
        states = torch.cat([backbone.text(text).states.half() for text in texts])
        numbers = torch.tensor([[texts.index(text) for text in four] for four in captions])
        held = {"latents": torch.cat(latents), "states": states, "captions": numbers}
        write_tensors(path, held, {})
    return Material(**safetensors.torch.load_file(path))


def _draw(known: Material, how: Distilling, stage: WindowStage, seed: int) -> Leap:
    """Windows under noise at levels spread evenly over the schedule."""
    dice, count = torch.Generator().manual_seed(seed), stage.batch
    chosen = torch.randint(len(known.latents), (count,), generator=dice)
    room = known.latents.shape[-1] - stage.side
    corners = torch.randint(room + 1, (count, 2), generator=dice).tolist()
    windows = [
        known.latents[n, :, top : top + stage.side, left : left + stage.side]
        for n, (top, left) in zip(chosen.tolist(), corners, strict=True)
    ]
    latents = torch.stack(windows).float()
    flips = torch.rand(count, generator=dice) < 0.5
    latents = torch.where(flips.view(-1, 1, 1, 1), latents.flip(-1), latents)
    variants = torch.multinomial(_VARIANTS, count, replacement=True, generator=dice)
    strata = (torch.arange(count) + torch.rand(count, generator=dice)) / count
    first = 2 * how.inner  # nearer to the end its steps would be shorter than one level
    steps = (first + strata * (components.TRAIN_STEPS - first)).long()
    share = _levels(steps)
    noise = torch.randn(latents.shape, generator=dice)
    noisy = share.sqrt() * latents + (1 - share).sqrt() * noise
    return Leap(noisy, steps, known.states[known.captions[chosen, variants]].float())


def _probe(known: Material, how: Distilling) -> list[Leap]:
    """Fixed questions about scenes that no training sees."""
    return [_draw(known, how, _ASKED, seed) for seed in range(4)]


@torch.no_grad()
def _report(
    trainee: Trainee, student: Student, asked: list[Leap], how: Distilling, run: Run
) -> None:
    """The held-out error of one step, over all and by quarter of the schedule, low noise first."""
    with trainee.averaged():
        errors = torch.stack([_loss(student, one, how) for one in asked])
    log_line(
        run.work / "distil-log.jsonl",
        step=trainee.step,
        minutes=round(trainee.seconds / 60, 2),
        held_out=round(float(errors.mean()), 5),
        quarters=[round(float(part.mean()), 5) for part in errors.chunk(4, 1)],
    )


def _export(trainee: Trainee, student: Student, how: Distilling, run: Run) -> None:
    """Write the averaged weights."""
    with trainee.averaged():
        deltas = student.deltas()
    meta = {"solver": "ddim", "steps": str(how.steps), "spacing": "trailing", "guidance": "kept"}
    meta |= {"minutes": f"{trainee.seconds / 60:.0f}", "trained_steps": str(trainee.step)}
    ls.Style("accelerator", "mini", deltas, meta).save(run.out / "accelerator.safetensors")
