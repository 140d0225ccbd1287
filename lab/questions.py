"""What a Q-Former is asked: pictures under noise, a reference each, and words that leave out what
the reference has to say (arXiv:2403.06951 §3.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from . import components
from .seen import Seen
from .triples import Drawn

Task = Literal["style", "content", "both"]
TASKS: tuple[Task, ...] = ("style", "content", "both")
_DROPPED = 0.15  # references left out, except where both are read
_PLAIN = ("", "", "a picture of ", "a photo of ", "a painting of ")  # say nothing about a style
_WHOLE = 0.7  # of the captions name everything


@dataclass(frozen=True)
class Asked:
    """One batch."""

    noisy: Tensor  # [B, 4, h, w]
    steps: Tensor  # [B]
    noise: Tensor  # [B, 4, h, w]
    states: Tensor  # [B, tokens, width], of the words
    reference: Tensor  # [B, n, width], what the vision tower sees
    style: Tensor  # [B] bool: the reference's style tokens are read
    content: Tensor  # [B] bool: its content tokens are


@dataclass(frozen=True)
class Pair:
    """A picture to be painted, what it is to be learned from, and the words."""

    target: int
    reference: int
    prompt: str
    task: Task


def draw_pair(seen: Seen, task: Task, dice: np.random.Generator, target: int | None = None) -> Pair:
    """STRE, SERE or reconstruction, as the task is "style", "content" or "both"."""
    triples = seen.triples
    target = int(dice.integers(len(triples.drawn))) if target is None else target
    if task == "both":
        return Pair(target, target, "", task)
    if task == "content":
        # the target's medium has to have words: the photo or the named style of its scene
        while triples.drawn[target].medium is None:
            target = int(dice.integers(len(triples.drawn)))
    alike = (triples.same_style if task == "style" else triples.same_scene)[target]
    reference = int(dice.choice(alike)) if alike else target
    return Pair(target, reference, _prompt(triples.drawn[target], task, dice), task)


def _prompt(drawn: Drawn, task: Task, dice: np.random.Generator) -> str:
    whole = dice.random() < _WHOLE
    if task == "content":
        return f"{drawn.medium}" if whole else f"{drawn.medium} of {drawn.things or drawn.caption}"
    opening = str(dice.choice(_PLAIN))
    return opening + (drawn.caption if whole or not drawn.things else drawn.things)


def draw(
    seen: Seen, count: int, side: int, dice: np.random.Generator, tasks: Sequence[Task] = TASKS
) -> Asked:
    """A batch that holds the tasks in turn; windows of `side` latent pixels, anywhere."""
    pairs = [draw_pair(seen, tasks[number % len(tasks)], dice) for number in range(count)]
    read = dice.random(count) >= [_DROPPED * (pair.task != "both") for pair in pairs]
    steps = (np.arange(count) + dice.random(count)) / count * components.TRAIN_STEPS
    latents = _windows(seen.latents[[pair.target for pair in pairs]], side, dice)
    # the tasks take turns and the steps are in order, so every task meets every amount of noise
    return ask(
        seen, pairs, latents, torch.from_numpy(steps.astype(np.int64)), torch.from_numpy(read)
    )


def ask(seen: Seen, pairs: list[Pair], latents: Tensor, steps: Tensor, read: Tensor) -> Asked:
    """The question about `latents` with fresh noise from torch's own dice."""
    device = seen.backbone.device
    latents, steps = latents.float().to(device), steps.to(device)
    noise = torch.randn(latents.shape).to(device)
    share = components.signal_shares(str(device))[steps].view(-1, 1, 1, 1)
    tasks = [pair.task for pair in pairs]
    return Asked(
        share.sqrt() * latents + (1 - share).sqrt() * noise,
        steps,
        noise,
        states(seen.backbone, [pair.prompt for pair in pairs]),
        seen.tokens([pair.reference for pair in pairs]).to(device),
        read.to(device) & torch.tensor([task != "content" for task in tasks], device=device),
        read.to(device) & torch.tensor([task != "style" for task in tasks], device=device),
    )


@torch.no_grad()
def states(backbone: Any, prompts: Sequence[str]) -> Tensor:
    """Text states [n, tokens, width] of prompts."""
    numbers = components.token_ids(backbone.tokenizer, prompts).to(backbone.device)
    found: Tensor = backbone.text_encoder(numbers).last_hidden_state
    return found


def _windows(latents: Tensor, side: int, dice: np.random.Generator) -> Tensor:
    """A window of each of `latents` [B, 4, h, w]."""
    height, width = latents.shape[-2:]
    tops = dice.integers(height - side + 1, size=len(latents))
    lefts = dice.integers(width - side + 1, size=len(latents))
    return torch.stack(
        [
            latent[:, top : top + side, left : left + side]
            for latent, top, left in zip(latents, tops, lefts, strict=True)
        ]
    )
