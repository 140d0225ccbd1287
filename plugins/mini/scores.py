"""How good a weights folder is: reconstruction, inversion, held-out loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any  # diffusers and transformers are untyped

import cv2
import numpy as np
import torch
from torch import Tensor

from . import models
from .data import HELD_OUT_SEED, SIZE, Pictures, read_photo
from .train_unet import PROBE, held_out_loss, probe
from .train_vae import psnr, reconstruction, to_tensor
from .training import Run
from .world import HELD_OUT_STYLES, STYLES, TRAINING_STYLES, World

_FIRST_SCENE = 1000  # of the held-out world: past those that training reports on
_SCENES = 8
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
        return cls(models.load_autoencoder(folder).eval(), unet, text, tokenizer)

    def words(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings of prompts [n, TOKENS, width]."""
        return self.text_encoder(models.token_ids(self.tokenizer, prompts)).last_hidden_state

    def decode(self, latents: Tensor) -> Pictures:
        """Pictures [n, H, W, 3] of scaled latents."""
        pixels = self.autoencoder.decode(latents / self.autoencoder.config.scaling_factor).sample
        return ((pixels.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()

    def encode(self, pictures: Pictures) -> Tensor:
        """Scaled latents [n, 4, H/4, W/4] of pictures."""
        latents = self.autoencoder.encode(to_tensor(pictures, "cpu")).latent_dist.mode()
        return latents * self.autoencoder.config.scaling_factor


def measure(weights: Path, photos: Path | None = None) -> dict[str, Any]:
    """All scores of a weights folder; `photos` is a folder of real photos to add."""
    pipeline = Pipeline.load(weights)
    scenes = [World(HELD_OUT_SEED, SIZE).scene(_FIRST_SCENE + n) for n in range(_SCENES)]
    pictures = {"photo scenes": np.stack([scene.photo for scene in scenes])}
    for style in STYLES:
        pictures[style] = np.stack([scene.render(style) for scene in scenes])
    pictures["real photos"] = _real(photos)
    rebuilt = {
        name: round(psnr(batch, reconstruction(pipeline.autoencoder, batch)), 2)
        for name, batch in pictures.items()
    }
    groups = {"training styles": TRAINING_STYLES, "held-out styles": HELD_OUT_STYLES}
    means = {name: _mean(rebuilt, styles) for name, styles in groups.items()}
    return {
        "autoencoder PSNR, dB": rebuilt | means,
        "inversion PSNR against the autoencoder, dB": {
            name: inversion(pipeline, pictures[name][:4])
            for name in ("photo scenes", "mosaic", "real photos")
        },
        "held-out loss by quarter of the schedule": _held_out_loss(pipeline, weights),
    }


def _held_out_loss(pipeline: Pipeline, weights: Path) -> list[float]:
    modules = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    with TemporaryDirectory() as work:
        question = probe(pipeline.tokenizer, Run(0, Path(work), weights), PROBE)
    return held_out_loss(modules, question)


def _mean(scores: dict[str, float], names: Sequence[str]) -> float:
    return round(sum(scores[name] for name in names) / len(names), 2)


def _real(folder: Path | None) -> Pictures:
    """Real photos that `data` leaves out, their middle square at 128 pixels."""
    import skimage.data

    paths = [Path(skimage.data.__file__).parent / "chelsea.png"]
    paths += sorted(p for p in folder.iterdir() if p.suffix == ".jpg") if folder else []
    return np.stack([_square(read_photo(path)) for path in paths])


def _square(photo: Pictures) -> Pictures:
    side = min(photo.shape[:2])
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    square = photo[top : top + side, left : left + side]
    return cv2.resize(square, (SIZE, SIZE), interpolation=cv2.INTER_AREA)


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
    pipeline: Pipeline, prompts: Sequence[str], *, guidance: float = 5, seed: int = 0
) -> Pictures:
    """Pictures [n, 128, 128, 3] of prompts, with DDIM and classifier-free guidance."""
    dice = torch.Generator().manual_seed(seed)
    x = torch.randn((len(prompts), 4, SIZE // 4, SIZE // 4), generator=dice)
    guide = Guide(pipeline.words(prompts), pipeline.words([""] * len(prompts)), guidance)
    for later, now in pairwise(_times(_STEPS)[::-1]):
        x = _move(x, guide.noise(pipeline.unet, x, later), later, now)
    return pipeline.decode(x)


def _times(steps: int) -> list[int]:
    """Training steps from the picture up; it has the first one's share of signal."""
    return [0, *range(1, models.TRAIN_STEPS, models.TRAIN_STEPS // steps)]


def _move(x: Tensor, noise: Tensor, start: int, end: int) -> Tensor:
    """One DDIM step between any two times (arXiv:2010.02502 eq. 12 without its noise)."""
    shares = models.signal_shares()
    here, there = shares[start], shares[end]
    clean = (x - (1 - here).sqrt() * noise) / here.sqrt()
    return there.sqrt() * clean + (1 - there).sqrt() * noise
