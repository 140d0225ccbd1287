"""The trained networks at work: encode, decode, invert, paint from words."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any  # diffusers and transformers are untyped

import torch
from torch import Tensor

from . import components
from .pictures import SIZE, Pictures
from .train_vae import psnr, to_tensor

_STEPS = 50


@dataclass(frozen=True)
class Pipeline:
    """The networks of a weights folder in float32 on the CPU."""

    autoencoder: Any
    unet: Any
    text_encoder: Any
    tokenizer: Any

    @classmethod
    def load(cls, folder: Path) -> "Pipeline":
        from diffusers import UNet2DConditionModel
        from transformers import CLIPTextModel, CLIPTokenizer

        unet = UNet2DConditionModel.from_pretrained(
            folder / "unet", torch_dtype=torch.float32
        ).eval()
        text = CLIPTextModel.from_pretrained(folder / "text_encoder", dtype=torch.float32).eval()
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
        return cls(components.load_autoencoder(folder).eval(), unet, text, tokenizer)

    def words(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings of prompts [n, TOKENS, width]."""
        return self.text_encoder(components.token_ids(self.tokenizer, prompts)).last_hidden_state

    def decode(self, latents: Tensor) -> Pictures:
        """Pictures [n, H, W, 3] of scaled latents."""
        pixels = self.autoencoder.decode(latents / self.autoencoder.config.scaling_factor).sample
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()

    def encode(self, pictures: Pictures) -> Tensor:
        """Scaled latents [n, 4, H/4, W/4] of pictures."""
        latents = self.autoencoder.encode(to_tensor(pictures, "cpu")).latent_dist.mode()
        return latents * self.autoencoder.config.scaling_factor


@dataclass(frozen=True)
class Guide:
    """The words that steer the noise, and how much further than no words they push."""

    words: Tensor  # [n, TOKENS, width]
    empty: Tensor | None = None  # [n, TOKENS, width]
    guidance: float = 1

    def noise(self, unet: Any, x: Tensor, time: int) -> Tensor:
        """The predicted noise [n, 4, h, w] at a training step."""
        steered = unet(x, time, self.words).sample
        if self.empty is None:
            return steered
        blank = unet(x, time, self.empty).sample
        return blank + self.guidance * (steered - blank)


@torch.inference_mode()
def inversion(pipeline: Pipeline, pictures: Pictures) -> float:
    """How well 50 DDIM steps up and down again return to the latents, as PSNR of pictures."""
    latents = x = pipeline.encode(pictures)
    guide = Guide(pipeline.words([""]).expand(len(pictures), -1, -1))
    times = _times(_STEPS)
    for now, later in pairwise(times):
        x = _move(x, guide.noise(pipeline.unet, x, now), now, later)
    for later, now in pairwise(times[::-1]):
        x = _move(x, guide.noise(pipeline.unet, x, later), later, now)
    return round(psnr(pipeline.decode(latents), pipeline.decode(x)), 2)


@torch.inference_mode()
def sample(
    pipeline: Pipeline,
    prompts: Sequence[str],
    *,
    guidance: float = 5,
    seed: int = 0,
    size: int = SIZE,
) -> Pictures:
    """Pictures [n, size, size, 3] of prompts, with DDIM and classifier-free guidance."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn((len(prompts), 4, size // 4, size // 4), generator=dice)
    guide = Guide(pipeline.words(prompts), pipeline.words([""] * len(prompts)), guidance)
    for later, now in pairwise(_times(_STEPS)[::-1]):
        x = _move(x, guide.noise(pipeline.unet, x, later), later, now)
    return pipeline.decode(x)


def _times(steps: int) -> list[int]:
    """Training steps from the picture up; it has the first one's share of signal."""
    return [0, *range(1, components.TRAIN_STEPS, components.TRAIN_STEPS // steps)]


def _move(x: Tensor, noise: Tensor, start: int, end: int) -> Tensor:
    """One DDIM step between any two times (arXiv:2010.02502 eq. 12 without its noise)."""
    shares = components.signal_shares()
    here, there = shares[start], shares[end]
    clean = (x - (1 - here).sqrt() * noise) / here.sqrt()
    return there.sqrt() * clean + (1 - there).sqrt() * noise
