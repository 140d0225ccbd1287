"""Training DEADiff's Q-Formers for `mini`: its own networks are the eye, and stay as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.deadiff.joint import beside
from locstyle_plugins.deadiff.networks import ImageAdapter, QFormerSizes, inner_widths
from locstyle_plugins.deadiff.trained import Trained
from torch import Tensor

import locstyle as ls

from . import components
from .questions import TASKS, Asked, Pair, Task, ask, draw, draw_pair
from .seen import Seen, calibrated, seen
from .train_unet import weighted
from .training import Rates, Run, Trainee, WindowStage, log_line
from .triples import Drawn, held_out, triples

SIZES = QFormerSizes(
    vision=0,  # the tower's width
    width=128,
    layers=2,
    heads=4,
    inner=512,
    words=4,  # [CLS], [SEP], "style", "content"
    positions=4,
    told_style=(0, 2, 1),
    told_content=(0, 3, 1),
)
_RATES = Rates(peak=7e-4, plateau=0.4, floor=0.03, warm_up=100)
_REPORT_SECONDS = 420
_PROBED = 5  # scenes, in every held-out style


# What a style is shows in a part of a picture, and a quarter of it costs a quarter.
STAGES = (WindowStage(0.62, 16, 24), WindowStage(1.0, 32, 12))


def train_qformer(
    run: Run,
    sizes: QFormerSizes = SIZES,
    stages: Sequence[WindowStage] = STAGES,
    tasks: Sequence[Task] = TASKS,
) -> None:
    """Train for the given minutes and write `qformer.safetensors` to the output folder.

    `run.init` is the pipeline folder of the backbone. A run that was stopped goes on.
    """
    torch.manual_seed(run.seed)
    backbone = ls.load_backbone(run.init, device=run.device, dtype=torch.float32, family="mini")
    drawn = triples(run.work, scenes=run.scenes)
    scale = calibrated(drawn, backbone, run.work / "calibration.safetensors")
    known = seen(drawn, backbone, run.work / f"seen-{run.scenes}", scale)
    probe = Probe.of(run, backbone, scale)
    network = new_network(known, sizes).to(run.device).train()
    trainee = Trainee({"qformer": network}, _RATES, run.minutes)
    state = run.work / "qformer-state.safetensors"
    if state.exists():
        trainee.load(state)
    for stage in stages:
        if trainee.fraction < stage.until:
            _learn(trainee, QFormerLesson(known, stage, tasks, probe), run)
    _report(trainee, backbone, probe, run)
    _export(trainee, known, run.out)


def new_network(known: Seen, sizes: QFormerSizes) -> ImageAdapter:
    """An untrained network for this backbone, its ways into attention the backbone's own."""
    vision = known.kept.shape[-1]
    network = ImageAdapter(replace(sizes, vision=vision), inner_widths(known.backbone))
    network.start_from(known.backbone)
    return network


@dataclass(frozen=True)
class QFormerLesson:
    """One stage with what is learned in it, and what is asked now and then."""

    known: Seen
    stage: WindowStage
    tasks: Sequence[Task]
    probe: "Probe"


def _learn(trainee: Trainee, lesson: QFormerLesson, run: Run) -> None:
    """One stage: learn until its time is up, with a checkpoint now and then."""
    known, stage = lesson.known, lesson.stage
    dice = np.random.default_rng((run.seed, trainee.step))
    torch.manual_seed(run.seed + trainee.step)
    due = trainee.seconds + _REPORT_SECONDS
    while trainee.fraction < stage.until:
        question = draw(known, stage.batch, stage.side, dice, lesson.tasks)
        with run.autocast():
            error = errors(known.backbone, trainee.modules["qformer"], question)
        trainee.learn(weighted(error, question.steps))
        if trainee.seconds >= due:
            due = trainee.seconds + _REPORT_SECONDS
            trainee.save(run.work / "qformer-state.safetensors")
            _report(trainee, known.backbone, lesson.probe, run)
            _export(trainee, known, run.work / "export")


def errors(backbone: Any, network: Any, asked: Asked) -> Tensor:
    """Mean squared error of the predicted noise of each row [B]."""
    style = _read(network.style, asked.reference, asked.style, network)
    content = _read(network.content, asked.reference, asked.content, network)
    with beside(backbone, asked.noisy, network.keys(style, content)):
        predicted = backbone.predict(asked.noisy, asked.steps, asked.states)
    return (predicted - asked.noise).square().mean((1, 2, 3))


def _read(encoder: Any, reference: Tensor, rows: Tensor, network: ImageAdapter) -> Tensor:
    """The tokens of some rows' references, zeros in the others."""
    tokens = reference.new_zeros(len(reference), network.sizes.queries, network.sizes.width)
    if not rows.any():
        return tokens
    return tokens.index_put((rows.nonzero()[:, 0],), encoder(reference[rows]).float())


@dataclass(frozen=True)
class Probe:
    """Questions about styles nobody learned: the right reference, another style's, none."""

    right: Asked
    wrong: Asked
    none: Asked

    @classmethod
    def of(cls, run: Run, backbone: Any, calibration: dict[str, Tensor]) -> "Probe":
        known = seen(held_out(_PROBED), backbone, run.work / "seen-held-out", calibration)
        dice, drawn = np.random.default_rng(0), known.triples.drawn
        pairs = [draw_pair(known, "style", dice, target) for target in range(len(drawn))]
        other = [replace(pair, reference=_strange(pair, drawn)) for pair in pairs]
        read = torch.ones(len(pairs), dtype=torch.bool)
        steps = (torch.arange(len(pairs)) + 0.5) / len(pairs) * components.TRAIN_STEPS
        steps = steps.long()[torch.randperm(len(pairs))]
        latents = known.latents[[pair.target for pair in pairs]]
        asked = []
        for questions, reads in ((pairs, read), (other, read), (pairs, ~read)):
            torch.manual_seed(0)
            asked.append(ask(known, questions, latents, steps, reads))
        return cls(*asked)


def _strange(pair: Pair, drawn: list[Drawn]) -> int:
    """A picture in another style than the reference's, of its scene."""
    own = drawn[pair.reference]
    return next(
        number
        for number, other in enumerate(drawn)
        if other.scene == own.scene and other.style != own.style
    )


@torch.no_grad()
def _report(trainee: Trainee, backbone: Any, probe: Probe, run: Run) -> None:
    """The held-out error with the right reference, another style's, and none."""
    network = trainee.modules["qformer"]
    with trainee.averaged():
        network.eval()
        found = {
            name: round(float(torch.cat([*_errors(backbone, network, asked)]).mean()), 4)
            for name, asked in vars(probe).items()
        }
        network.train()
    minutes = round(trainee.seconds / 60, 2)
    log_line(run.work / "qformer-log.jsonl", step=trainee.step, minutes=minutes, **found)


def _errors(backbone: Any, network: Any, asked: Asked) -> Iterator[Tensor]:
    for start in range(0, len(asked.steps), 16):
        part = Asked(*(part[start : start + 16] for part in vars(asked).values()))
        yield errors(backbone, network, part)


def _export(trainee: Trainee, known: Seen, folder: Path) -> None:
    """Write the averaged weights."""
    folder.mkdir(parents=True, exist_ok=True)
    meta = {"steps": str(trainee.step), "minutes": f"{trainee.seconds / 60:.0f}"}
    with trainee.averaged():
        trained = Trained(trainee.modules["qformer"], "mini", meta, known.calibration)
        trained.save(folder / "qformer.safetensors")
