"""Training of the autoencoder on crops of the world and of public photos."""

from pathlib import Path
from typing import Any  # diffusers is untyped

import numpy as np
import torch
import torch.nn.functional as F
from locstyle_plugins.world import HELD_OUT_WORLD
from torch import Tensor

from . import components
from .pictures import Crops, Pictures, dataset, public_photos
from .training import Rates, Run, Trainee, log_line

CROP = 64  # pixels
BATCH = 16
KL_WEIGHT = 2e-4
_RATES = Rates(peak=1.0e-3, plateau=0.25, floor=0.02)
_REPORT_SECONDS = 120


def train_autoencoder(run: Run, sizes: components.Sizes = components.Sizes()) -> None:  # noqa: B008
    """Train for the given minutes and write `vae/` into the output folder."""
    torch.manual_seed(run.seed)
    autoencoder = _start(run, sizes).to(run.device, memory_format=torch.channels_last)
    trainee = Trainee({"vae": autoencoder}, _RATES, run.minutes)
    state = run.work / "vae-state.safetensors"
    if state.exists():
        trainee.load(state)
    world = dataset(run.work, scenes=run.scenes).pictures
    held_out = dataset(run.work, scenes=min(48, run.scenes), seed=HELD_OUT_WORLD).pictures
    rng = np.random.default_rng((run.seed, trainee.step))
    crops = Crops(world, public_photos(), CROP, rng)
    due = trainee.seconds
    while trainee.fraction < 1:
        pictures = to_tensor(crops.batch(BATCH), run.device)
        with run.autocast():
            loss = autoencoder_loss(autoencoder, pictures)
        trainee.learn(loss)
        if trainee.seconds >= due + _REPORT_SECONDS:
            due = trainee.seconds
            trainee.save(state)
            _report(trainee, held_out, run)
    _finish(trainee, held_out, run)
    state.unlink(missing_ok=True)


def _start(run: Run, sizes: components.Sizes) -> Any:
    if run.init is not None and (run.init / "vae").exists():
        return components.load_autoencoder(run.init)
    return components.new_autoencoder(sizes)


def to_tensor(pictures: Pictures, device: str) -> Tensor:
    """Pictures [N, H, W, 3] as a tensor [N, 3, H, W] in [-1, 1]."""
    tensor = torch.from_numpy(np.array(pictures)).to(device).permute(0, 3, 1, 2)
    return (tensor.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def autoencoder_loss(autoencoder: Any, pictures: Tensor) -> Tensor:
    """How far the reconstruction is, in colour, in edges and coarsely, plus a little KL."""
    posterior = autoencoder.encode(pictures).latent_dist
    away = autoencoder.decode(posterior.sample()).sample.float() - pictures
    across = (away[..., 1:] - away[..., :-1]).abs().mean()
    down = (away[..., 1:, :] - away[..., :-1, :]).abs().mean()
    colour = away.abs().mean() + 2 * away.square().mean()
    coarse = F.avg_pool2d(away, 4).abs().mean()
    divergence = posterior.kl().mean() / posterior.mean[0].numel()
    return colour + 0.3 * (across + down) + 0.5 * coarse + KL_WEIGHT * divergence


@torch.inference_mode()
def reconstruction(autoencoder: Any, pictures: Pictures, device: str = "cpu") -> Pictures:
    """Pictures [N, H, W, 3] encoded and decoded again."""
    rebuilt = []
    for start in range(0, len(pictures), 16):
        batch = to_tensor(pictures[start : start + 16], device)
        decoded = autoencoder.decode(autoencoder.encode(batch).latent_dist.mode()).sample
        rebuilt.append(((decoded.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1))
    return torch.cat(rebuilt).cpu().numpy()


def psnr(pictures: Pictures, others: Pictures) -> float:
    """Mean over pictures of the peak signal to noise ratio in dB."""
    difference = pictures.astype(np.float32) - others.astype(np.float32)
    squared = np.square(difference / 255).mean((1, 2, 3))
    return float(np.mean(-10 * np.log10(squared + 1e-12)))


def _report(trainee: Trainee, held_out: Pictures, run: Run) -> None:
    autoencoder = trainee.modules["vae"]
    with trainee.averaged():
        rebuilt = reconstruction(autoencoder, held_out, run.device)
    log_line(
        run.work / "vae-log.jsonl",
        step=trainee.step,
        minutes=round(trainee.seconds / 60, 2),
        photo_psnr=round(psnr(held_out[::3], rebuilt[::3]), 2),
        psnr=round(psnr(held_out, rebuilt), 2),
    )


def _finish(trainee: Trainee, held_out: Pictures, run: Run) -> None:
    """Write the averaged weights with the factor that brings latents to deviation 1."""
    autoencoder: Any = trainee.modules["vae"]
    _report(trainee, held_out, run)
    with trainee.averaged():
        latents = encode(autoencoder, held_out, device=run.device)
        autoencoder.register_to_config(scaling_factor=float(1 / latents.std()))
        components.save_part(Path(run.out), "vae", autoencoder)


@torch.inference_mode()
def encode(
    autoencoder: Any, pictures: Pictures, *, device: str, size: tuple[int, int] | None = None
) -> Tensor:
    """Unscaled latents [N, 4, h, w] of pictures, first resized to `size` = (height, width)."""
    latents = []
    for start in range(0, len(pictures), 64):
        batch = to_tensor(pictures[start : start + 64], device)
        if size is not None and size != tuple(batch.shape[-2:]):
            batch = F.interpolate(batch, size=size, mode="bilinear", antialias=True)
        latents.append(autoencoder.encode(batch).latent_dist.mode())
    return torch.cat(latents)
