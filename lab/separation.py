"""Whether a Q-Former tells style from content: one picture's style, another scene's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from locstyle_plugins.deadiff.joint import beside
from locstyle_plugins.deadiff.trained import Trained
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World
from torch import Tensor

import locstyle as ls

from .pictures import SIZE, Pictures
from .questions import states
from .seen import pixels
from .triples import held_out

_STYLES = HELD_OUT_STYLES
_FIRST = 2000  # scene of the held-out world
_KNOWN = 8  # scenes that show what the styles look like
_LEVELS = (150, 350, 550)  # noise at which words are told apart
_ASKED = (0, 4, 6, 9)  # scenes whose words are painted, past the first


@dataclass(frozen=True)
class Painted:
    """References [S, …], and for every prompt a picture without and one with each reference's
    style.

    `style`: share of pictures that look like the reference's style rather than another held-out
    one; by chance 1/S. `words`: share that their own prompt explains better than the others;
    by chance 1/P. `plain_words`: the same for pictures of words alone.
    """

    prompts: list[str]
    references: Pictures
    plain: Pictures  # [P, H, W, 3]
    styled: Pictures  # [P, S, H, W, 3]
    style: float
    words: float
    plain_words: float

    @property
    def sheet(self) -> Pictures:
        """The references on top; below a row for each prompt, the plain picture first."""
        white = np.full_like(self.plain[0], 255)
        rows = [[white, *self.references]]
        rows += [[plain, *row] for plain, row in zip(self.plain, self.styled, strict=True)]
        return np.concatenate([np.concatenate(row, 1) for row in rows])


@torch.no_grad()
def separation(
    backbone: Any, trained: Trained, *, steps: int = 25, guidance: float = 3.0, asked: int = 4
) -> Painted:
    """Paint the words of scenes in the styles of pictures of other scenes, none of them learned."""
    world = World(HELD_OUT_WORLD, SIZE)
    references = np.stack([world.scene(_FIRST + 20 + n).render(s) for n, s in enumerate(_STYLES)])
    prompts = [f"a picture of {world.scene(_FIRST + n).caption}" for n in _ASKED[:asked]]
    tower = trained.tower(backbone, "style")
    tokens = trained.network.style(tower(pixels(references).to(backbone.device)))
    rows = [_Row(prompt, None) for prompt in prompts]
    rows += [_Row(prompt, token) for prompt in prompts for token in tokens]
    latents = _paint(backbone, trained, rows, steps=steps, guidance=guidance)
    images = backbone.decode(latents).cpu()
    pictures = (images.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    count, styles = len(prompts), len(references)
    named = _nearest_style(tower, images[count:].to(backbone.device))
    own = torch.arange(count).repeat_interleave(styles)
    explained = _explained(backbone, latents, prompts)
    return Painted(
        prompts,
        references,
        pictures[:count],
        pictures[count:].reshape(count, styles, *pictures.shape[1:]),
        style=float(np.mean([name == _STYLES[n % styles] for n, name in enumerate(named)])),
        words=float((explained[count:] == own).float().mean()),
        plain_words=float((explained[:count] == torch.arange(count)).float().mean()),
    )


@dataclass(frozen=True)
class _Row:
    prompt: str
    style: Tensor | None  # [queries, width]


def _paint(
    backbone: Any, trained: Trained, rows: Sequence[_Row], *, steps: int, guidance: float
) -> Tensor:
    """Latents from equal noise in all rows; no picture is beside the empty words."""
    sizes, count = trained.network.sizes, len(rows)
    zeros = torch.zeros(sizes.queries, sizes.width, device=backbone.device)
    style = torch.stack([zeros] * count + [zeros if r.style is None else r.style for r in rows])
    keys = trained.network.keys(style, torch.zeros_like(style))
    words = states(backbone, [""] * count + [row.prompt for row in rows])
    schedule, side = backbone.schedule(steps), backbone.native // backbone.factor
    start = torch.randn((1, 4, side, side), generator=torch.Generator().manual_seed(1))
    x = start.to(backbone.device).expand(count, -1, -1, -1)
    for index, t in enumerate(schedule.timesteps):
        both = torch.cat([x, x])
        with beside(backbone, both, keys):
            blank, worded = backbone.predict(both, t, words).chunk(2)
        x = schedule.move(x, ls.guide(blank, worded, guidance), t, schedule.after(index))
    return x


def _nearest_style(tower: Any, images: Tensor) -> list[str]:
    """Which held-out style the tower finds each picture nearest to, by its mean token."""

    def mean(pictures: Tensor) -> Tensor:
        return torch.cat([tower(part.to(images))[:, 0] for part in pictures.split(8)])

    known = held_out(_KNOWN)
    seen, found = mean(pixels(known.pictures)), mean(images)
    return [known.drawn[int(number)].style for number in torch.cdist(found, seen).argmin(1)]


def _explained(backbone: Any, latents: Tensor, prompts: Sequence[str]) -> Tensor:
    """Which prompt helps most to take noise off each picture (arXiv:2303.16203): [n]."""
    dice, words = torch.Generator().manual_seed(0), states(backbone, prompts)
    total = torch.zeros(len(latents), len(prompts))
    for t in _LEVELS:
        share = float(backbone.alphas[t])
        noise = torch.randn(latents.shape[1:], generator=dice).to(latents)
        noisy = share**0.5 * latents + (1 - share) ** 0.5 * noise
        for number, word in enumerate(words):
            told = backbone.predict(noisy, t, word.expand(len(latents), -1, -1))
            total[:, number] += (told - noise).square().mean((1, 2, 3)).cpu()
    return total.argmin(1)


def measure(weights: Path, pipeline: Path, *, steps: int, guidance: float) -> Painted:
    """`separation` of a weights file on the backbone of a pipeline folder."""
    from locstyle_plugins.deadiff.trained import load

    backbone = ls.load_backbone(pipeline, dtype=torch.float32, family="mini")
    trained = load(weights)
    trained.network.to(backbone.device)
    return separation(backbone, trained, steps=steps, guidance=guidance)
