"""What the UNet learns from: stages of the training, their sizes, their encoded pictures."""

from dataclasses import dataclass
from typing import Any  # diffusers and transformers are untyped

import numpy as np
import torch
from torch import Tensor

from . import components
from .pictures import LARGE, LARGE_SHARE, SIZE, Dataset, Pictures, dataset
from .train_vae import encode
from .training import Run

_FEWEST_WORDS = ""  # what the picture is called when nothing is said
_FACTOR = 4  # pixels a latent pixel


@dataclass(frozen=True)
class Bucket:
    """Pictures of one size, which make a batch of their own."""

    height: int  # latent pixels
    width: int
    batch: int
    pictures: int  # how many are encoded; encoding one costs about half of learning from it once
    share: float = 1.0  # of the batches, relative to the other buckets


@dataclass(frozen=True)
class Stage:
    """A part of the time, spent on some sizes."""

    until: float  # fraction of the time
    buckets: tuple[Bucket, ...]


# Small first: where things stand and what words mean is learned four times faster there. Latents
# above 32 come from scenes rendered large, so they show detail that small ones do not have.
STAGES = (
    Stage(0.38, (Bucket(16, 16, 32, 12000),)),
    Stage(
        0.58,
        (
            Bucket(24, 24, 16, 4000),
            Bucket(16, 24, 24, 1200, 0.3),
            Bucket(24, 16, 24, 1200, 0.3),
        ),
    ),
    Stage(
        1.0,
        (
            Bucket(32, 32, 16, 3600, 0.62),
            Bucket(24, 32, 20, 800, 0.1),
            Bucket(32, 24, 20, 800, 0.1),
            Bucket(48, 48, 7, 400, 0.06),
            Bucket(48, 32, 10, 300, 0.03),
            Bucket(32, 48, 10, 300, 0.03),
            Bucket(64, 64, 4, 300, 0.06),
        ),
    ),
)


@dataclass(frozen=True)
class Examples:
    """Scaled latents [N, 4, height, width] and their prompts' tokens."""

    latents: Tensor
    tokens: Tensor  # [N, 4, TOKENS]: full, things only, medium only, no words


def examples(run: Run, bucket: Bucket, autoencoder: Any, tokenizer: Any) -> Examples:
    """The latents of a bucket, cut from pictures of all over the training world."""
    largest = max(bucket.height, bucket.width) * _FACTOR
    if largest <= SIZE:
        world = dataset(run.work, scenes=run.scenes)
    else:
        world = dataset(run.work, scenes=max(1, run.scenes // LARGE_SHARE), size=LARGE)
    return encoded(world, bucket, autoencoder, tokenizer, device=run.device, seed=run.seed)


def encoded(
    world: Dataset, bucket: Bucket, autoencoder: Any, tokenizer: Any, *, device: str, seed: int
) -> Examples:
    """Up to `bucket.pictures` pictures of `world`, cut to shape, every second one mirrored."""
    rng = np.random.default_rng((seed, bucket.height, bucket.width))
    chosen = np.sort(rng.permutation(len(world.pictures))[: bucket.pictures])
    size = bucket.height * _FACTOR, bucket.width * _FACTOR
    parts = []
    for start in range(0, len(chosen), 64):
        pictures = np.array(world.pictures[chosen[start : start + 64]])
        pictures[::2] = pictures[::2, :, ::-1]
        parts.append(encode(autoencoder, _cut(pictures, size, rng), device=device, size=size))
    latents = torch.cat(parts) * autoencoder.config.scaling_factor
    variants = [(*world.prompts[index], _FEWEST_WORDS) for index in chosen]
    flat = components.token_ids(tokenizer, [prompt for four in variants for prompt in four])
    return Examples(latents.clone(), flat.view(len(chosen), len(variants[0]), -1))


def _cut(pictures: Pictures, size: tuple[int, int], rng: np.random.Generator) -> Pictures:
    """The largest window of that shape, anywhere in the pictures."""
    side = pictures.shape[1]
    height, width = (round(side * length / max(size)) for length in size)
    top, left = rng.integers(side - height + 1), rng.integers(side - width + 1)
    return pictures[:, top : top + height, left : left + width]
