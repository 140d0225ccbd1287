"""The loop shared by style encoders that learn: noise a latent, predict, step a few parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from locstyle.engine.backbone import Backbone
from locstyle.engine.noise import generator
from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.errors import DenoiseError, StyleError

Draw = Callable[[], tuple[Tensor, Tensor]]
"""The next batch: clean latents [B, channels, h, w] and text states [B, tokens, dim]."""


@dataclass(frozen=True)
class Training:
    """How `train` runs. The defaults are DiffStyler's: `lishaoxu1994/DiffStyler` lora_train.py."""

    steps: int = 200
    lr: float = 2e-4
    warmup: int = 0  # steps over which the learning rate rises
    decay: float = 0.0  # share of the learning rate lost, linearly, by the last step
    weight_decay: float = 1e-2
    min_snr: float | None = (
        None  # γ of min-SNR weighting, arXiv:2303.09556; None weighs all t alike
    )
    clean_l1: float = 0.0  # weight of the L1 distance between predicted and true clean picture
    clean_space: Literal["latent", "pixel"] = "latent"  # where that distance is taken
    stratified: bool = False  # spread the timesteps of a batch evenly over the schedule
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or not 0 < self.lr < math.inf or not 0 <= self.decay <= 1:
            raise StyleError(
                f"training: steps {self.steps}, lr {self.lr}, decay {self.decay}; "
                "give at least 1 step, a positive lr and a decay between 0 and 1"
            )
        if self.min_snr is not None and not self.min_snr > 0:
            raise StyleError(f"training: min_snr {self.min_snr}; give a positive γ (5 is usual)")
        if not 0 <= self.clean_l1 < math.inf:
            raise StyleError(f"training: clean_l1 {self.clean_l1}; give a weight of 0 or more")


class Keeper(Protocol):
    """Keeps how far a training got, so that a later one can go on; see `locstyle.Bookmark`."""

    @property
    def every(self) -> int:
        """After how many steps it wants to keep."""
        ...

    def restore(self) -> Mapping[str, Tensor] | None:
        """What was kept last, if anything was."""
        ...

    def keep(self, state: Mapping[str, Tensor]) -> None:
        """Keeps this in place of what was kept before."""
        ...


def train(
    backbone: Backbone,
    parameters: Sequence[Tensor],
    *,
    draw: Draw,
    training: Training,
    keeper: Keeper | None = None,
    dice: Sequence[torch.Generator] = (),
    on_step: OnStep = ignore,
) -> list[float]:
    """Trains `parameters`, which must act inside `backbone.predict`, and returns the losses.

    The parameters are changed in place; nothing else is. The same seed gives the same numbers on
    the same device. Raising from `on_step` stops the training. With a `keeper` it goes on where it
    stopped, with the numbers it would have had without the stop; `dice` are the generators `draw`
    uses, which that needs.

    Raises:
        DenoiseError: a loss that is not finite; names the step.
        BusyError: called in the middle of a run or of another training on this backbone.
    """
    tell = backbone.turns.told(on_step)
    optimizer = torch.optim.AdamW(parameters, training.lr, weight_decay=training.weight_decay)
    # Gradients of a half-precision network underflow unless they are scaled up on their way.
    halves = backbone.dtype == torch.float16
    scaler = torch.amp.GradScaler(backbone.device.type, enabled=halves)
    noise, time = generator(training.seed, "noise"), generator(training.seed, "time")
    progress = _Progress(parameters, optimizer, (noise, time, *dice))
    # A caller inside `torch.inference_mode()` must not make the training impossible.
    with backbone.turns.take("a training"), torch.inference_mode(False), torch.enable_grad():
        losses = progress.restored(keeper)
        for index in range(len(losses) + 1, training.steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(training, index)
            latents, states = draw()
            t = _timesteps(len(latents), len(backbone.alphas), training.stratified, time)
            loss = noise_loss(backbone, latents, states, t, noise=noise, training=training)
            losses.append(float(loss.detach()))
            if not math.isfinite(losses[-1]):
                raise DenoiseError(
                    f"training: the loss is {losses[-1]} at step {index} of {training.steps}; "
                    f"use a learning rate below {training.lr:g}"
                )
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            if keeper is not None and (index % keeper.every == 0 or index == training.steps):
                keeper.keep(progress.state(losses))
            tell(Step("train", index, training.steps, loss=losses[-1]))
    return losses


class _Progress:
    """How far a training got, as tensors: parameters, AdamW's moments, dice, losses."""

    def __init__(
        self,
        parameters: Sequence[Tensor],
        optimizer: torch.optim.Optimizer,
        dice: Sequence[torch.Generator],
    ) -> None:
        self._parameters, self._optimizer, self._dice = parameters, optimizer, dice

    def state(self, losses: Sequence[float]) -> dict[str, Tensor]:
        found = {"losses": torch.tensor(losses, dtype=torch.float64)}
        for i, one in enumerate(self._dice):
            found[f"dice.{i}"] = one.get_state()
        for i, parameter in enumerate(self._parameters):
            found[f"parameters.{i}"] = parameter.detach()
            for name, value in self._optimizer.state[parameter].items():
                found[f"moments.{i}.{name}"] = value
        return found

    def restored(self, keeper: Keeper | None) -> list[float]:
        """Takes up what was kept, if anything, and returns the losses so far."""
        kept = None if keeper is None else keeper.restore()
        if kept is None:
            return []
        for i, one in enumerate(self._dice):
            one.set_state(kept[f"dice.{i}"])
        for i, parameter in enumerate(self._parameters):
            with torch.no_grad():
                parameter.copy_(kept[f"parameters.{i}"])
            lead = f"moments.{i}."
            self._optimizer.state[parameter] = {
                # the number of steps stays on the CPU, as AdamW keeps it
                name.removeprefix(lead): value.to(parameter) if value.ndim else value.clone()
                for name, value in kept.items()
                if name.startswith(lead)
            }
        return [float(loss) for loss in kept["losses"]]


def noise_loss(
    backbone: Backbone,
    latents: Tensor,
    states: Tensor,
    t: Tensor,
    *,
    noise: torch.Generator,
    training: Training,
) -> Tensor:
    """Mean squared error of the network's prediction at timesteps `t` [B]; its target is ε or v.

    `noise` is a CPU generator. Of `training`: with `min_snr` = γ every row is weighted as
    arXiv:2303.09556 §3.4; `clean_l1` adds that much of the mean L1 distance of the clean picture
    the prediction implies, as DreamArtist (arXiv:2211.11337) and VCT (arXiv:2307.14352) do.
    """
    epsilon = torch.randn(latents.shape, generator=noise).to(latents)
    alpha = backbone.alphas[t.cpu()].to(latents)[:, None, None, None]
    noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * epsilon
    is_v = backbone.prediction == "v_prediction"
    target = alpha.sqrt() * epsilon - (1 - alpha).sqrt() * latents if is_v else epsilon
    predicted = backbone.predict(noisy, t.to(latents.device), states)
    errors = (predicted - target).square().mean((1, 2, 3))
    if training.min_snr is not None:
        snr = (alpha / (1 - alpha)).flatten()
        errors = errors * snr.clamp(max=training.min_snr) / (snr + 1 if is_v else snr)
    if training.clean_l1:
        spread = (1 - alpha).sqrt() * predicted
        clean = alpha.sqrt() * noisy - spread if is_v else (noisy - spread) / alpha.sqrt()
        if training.clean_space == "pixel":
            clean, latents = backbone.decode(clean), backbone.decode(latents)
        errors = errors + training.clean_l1 * (clean - latents).abs().mean((1, 2, 3))
    return errors.mean()


def learning_rate(training: Training, index: int) -> float:
    """The learning rate of step `index`, counted from 1."""
    rise = min(1.0, index / training.warmup) if training.warmup else 1.0
    fall = 1 - training.decay * (index - 1) / max(1, training.steps - 1)
    return training.lr * rise * fall


def _timesteps(rows: int, levels: int, stratified: bool, time: torch.Generator) -> Tensor:
    drawn = torch.rand(rows, generator=time)
    if stratified:
        drawn = (torch.arange(rows) + drawn) / rows
    return (drawn * levels).long().clamp(max=levels - 1)
