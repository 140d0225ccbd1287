"""How good a weights folder is: reconstruction, inversion, held-out loss, pictures from words."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any  # plain data for JSON

import cv2
import numpy as np
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, STYLES, TRAINING_STYLES, World

from .pictures import LARGE, SIZE, Pictures, read_photo
from .pipeline import Pipeline, inversion, sample
from .train_unet import PROBE, held_out_loss, probe
from .train_vae import psnr, reconstruction
from .training import Run

_FIRST_SCENE = 1000  # of the held-out world: past those that training reports on
_SCENES = 8
_INVERTED = 4  # pictures of a kind


def measure(weights: Path, photos: Path | None = None) -> dict[str, Any]:
    """All scores of a weights folder; `photos` is a folder of real photos to add."""
    pipeline = Pipeline.load(weights)
    pictures = _pictures(photos)
    rebuilt = {
        name: round(psnr(batch, reconstruction(pipeline.autoencoder, batch)), 2)
        for name, batch in pictures.items()
    }
    groups = {"training styles": TRAINING_STYLES, "held-out styles": HELD_OUT_STYLES}
    means = {name: _mean(rebuilt, styles) for name, styles in groups.items()}
    inverted = [name for name in pictures if name not in STYLES or name == "mosaic"]
    return {
        "autoencoder PSNR, dB": rebuilt | means,
        "inversion PSNR against the autoencoder, dB": {
            name: inversion(pipeline, pictures[name][:_INVERTED]) for name in inverted
        },
        "held-out loss by quarter of the schedule": _held_out_loss(pipeline, weights),
    }


def caption_sheet(
    weights: Path, count: int, *, guidance: float = 5, seed: int = 0
) -> tuple[list[str], Pictures]:
    """What the words of `count` held-out scenes give, beside the scenes they were written for.

    Every second prompt asks for a style of the training. Returns the prompts, and pictures
    [2, count, H, W, 3]: the scenes as they are and what the words gave.
    """
    scenes = [World(HELD_OUT_WORLD, SIZE).scene(_FIRST_SCENE + n) for n in range(count)]
    styles = [TRAINING_STYLES[n % len(TRAINING_STYLES)] if n % 2 else None for n in range(count)]
    asked = list(zip(scenes, styles, strict=True))
    prompts = [scene.prompt(style) for scene, style in asked]
    truth = [scene.render(style) if style else scene.photo for scene, style in asked]
    painted = sample(Pipeline.load(weights), prompts, guidance=guidance, seed=seed)
    return prompts, np.stack([np.stack(truth), painted])


def _pictures(photos: Path | None) -> dict[str, Pictures]:
    """Batches by what they show: the held-out world in every style, and real photos."""
    scenes = [World(HELD_OUT_WORLD, SIZE).scene(_FIRST_SCENE + n) for n in range(_SCENES)]
    pictures = {"photo scenes": np.stack([scene.photo for scene in scenes])}
    for style in STYLES:
        pictures[style] = np.stack([scene.render(style) for scene in scenes])
    for size in (SIZE, LARGE):
        pictures[f"real photos at {size}"] = _real(photos, size)
    return pictures


def _held_out_loss(pipeline: Pipeline, weights: Path) -> list[float]:
    modules = {"unet": pipeline.unet, "text_encoder": pipeline.text_encoder}
    with TemporaryDirectory() as work:
        question = probe(pipeline.tokenizer, Run(0, Path(work), weights), PROBE)
    return held_out_loss(modules, question)


def _mean(scores: dict[str, float], names: Sequence[str]) -> float:
    return round(sum(scores[name] for name in names) / len(names), 2)


def _real(folder: Path | None, size: int) -> Pictures:
    """Real photos that `data` leaves out, their middle square at `size` pixels."""
    import skimage.data

    paths = [Path(skimage.data.__file__).parent / "chelsea.png"]
    paths += sorted(p for p in folder.iterdir() if p.suffix == ".jpg") if folder else []
    return np.stack([_square(read_photo(path), size) for path in paths])


def _square(photo: Pictures, size: int) -> Pictures:
    side = min(photo.shape[:2])
    top, left = ((length - side) // 2 for length in photo.shape[:2])
    square = photo[top : top + side, left : left + side]
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_AREA)
