"""Joint training of the UNet and the text encoder on latents of the world."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # diffusers and transformers are untyped

import torch
from locstyle_plugins.world import HELD_OUT_WORLD
from torch import Tensor

from . import components
from .lessons import STAGES, Bucket, Examples, Stage, encoded, examples
from .pictures import Dataset, dataset
from .training import Rates, Run, Trainee, log_line

_RATES = Rates(peak=8e-4, plateau=0.3, floor=0.03, warm_up=150)
_REPORT_SECONDS = 300
_SNR_CAP = 5.0  # min-SNR weighting, arXiv:2303.09556, for a network that predicts noise
_HELD_OUT_SCENES = 48
PROBE = Bucket(32, 32, 16, 64)  # the size that is asked about
_VARIANT_SHARES = torch.tensor((0.70, 0.12, 0.08, 0.10))  # full, things, medium, no words


@dataclass(frozen=True)
class Exercise:
    """What the networks are asked: latents under noise, the steps, the words; and the answer."""

    noisy: Tensor  # [B, 4, side, side]
    steps: Tensor  # [B], 0 to 999
    tokens: Tensor  # [B, TOKENS]
    noise: Tensor  # [B, 4, side, side]


@dataclass(frozen=True)
class Lesson:
    """One stage with what is learned in it, and the held-out question asked now and then."""

    stage: Stage
    examples: list[Examples]  # by bucket
    probe: Exercise
    tokenizer: Any


def train_unet(
    run: Run,
    sizes: components.Sizes = components.Sizes(),  # noqa: B008 — frozen
    stages: Sequence[Stage] = STAGES,
) -> None:
    """Train for the given minutes and write UNet, text encoder and tokenizer to the output."""
    torch.manual_seed(run.seed)
    tokenizer = _tokenizer(run, dataset(run.work, scenes=run.scenes))
    trainee = _trainee(run, sizes, tokenizer)
    state = run.work / "unet-state.safetensors"
    if state.exists():
        trainee.load(state)
    asked = probe(tokenizer, run, PROBE)
    for stage in stages:
        if trainee.fraction < stage.until:
            with trainee.paused():
                autoencoder = _autoencoder(run)
                known = [examples(run, b, autoencoder, tokenizer) for b in stage.buckets]
            _learn(trainee, Lesson(stage, known, asked, tokenizer), run)
    _report(trainee, asked, run)
    export(trainee, tokenizer, run, run.out)
    state.unlink(missing_ok=True)


def _learn(trainee: Trainee, lesson: Lesson, run: Run) -> None:
    """One stage: learn until its time is up, with a checkpoint now and then."""
    dice = torch.Generator().manual_seed(run.seed + trainee.step)
    shares = torch.tensor([bucket.share for bucket in lesson.stage.buckets])
    due = trainee.seconds + _REPORT_SECONDS
    while trainee.fraction < lesson.stage.until:
        turn = int(torch.multinomial(shares, 1, generator=dice))
        count = lesson.stage.buckets[turn].batch
        question = _draw(lesson.examples[turn], count, dice, run.device)
        with run.autocast():
            loss = weighted(errors(trainee.modules, question), question.steps)
        trainee.learn(loss)
        if trainee.seconds >= due:
            due = trainee.seconds + _REPORT_SECONDS
            trainee.save(run.work / "unet-state.safetensors")
            _report(trainee, lesson.probe, run)
            export(trainee, lesson.tokenizer, run, run.work / "export")


def _tokenizer(run: Run, world: Dataset) -> Any:
    """The tokenizer learned from the prompts of this work folder's world."""
    from transformers import CLIPTokenizer

    if not (run.work / "tokenizer").exists():
        tokenizer = components.new_tokenizer([variants[0] for variants in world.prompts])
        components.save_part(run.work, "tokenizer", tokenizer)
    return CLIPTokenizer.from_pretrained(run.work / "tokenizer")


def _trainee(run: Run, sizes: components.Sizes, tokenizer: Any) -> Trainee:
    from diffusers import UNet2DConditionModel

    if run.init is not None and (run.init / "unet").exists():
        kind = torch.float32
        unet = UNet2DConditionModel.from_pretrained(run.init / "unet", torch_dtype=kind)
        text = components.text_encoder_for(tokenizer, run.init)
    else:
        unet, text = components.new_unet(sizes), components.new_text_encoder(sizes, tokenizer)
    unet = unet.to(run.device, memory_format=torch.channels_last).train()
    modules = {"unet": unet, "text_encoder": text.to(run.device).train()}
    return Trainee(modules, _RATES, run.minutes)


def _autoencoder(run: Run) -> Any:
    """The autoencoder this run has written, or else the one it started from."""
    trained = (run.out / "vae").exists()
    folder = run.out if trained or run.init is None else run.init
    return components.load_autoencoder(folder).to(run.device, memory_format=torch.channels_last)


def _draw(examples: Examples, count: int, dice: torch.Generator, device: str) -> Exercise:
    """A batch with steps spread evenly over the schedule and now and then fewer words."""
    index = torch.randint(len(examples.latents), (count,), generator=dice)
    variant = torch.multinomial(_VARIANT_SHARES, count, replacement=True, generator=dice)
    strata = (torch.arange(count) + torch.rand(count, generator=dice)) / count
    steps = (strata * components.TRAIN_STEPS).long().clamp(0, components.TRAIN_STEPS - 1)
    latents = examples.latents[index.to(examples.latents.device)]
    noise = torch.randn(latents.shape, generator=dice)
    return _ask(latents, steps, examples.tokens[index, variant], noise, device)


def _ask(latents: Tensor, steps: Tensor, tokens: Tensor, noise: Tensor, device: str) -> Exercise:
    steps, noise = steps.to(device), noise.to(device)
    share = components.signal_shares(device)[steps].view(-1, 1, 1, 1)
    noisy = share.sqrt() * latents.to(device) + (1 - share).sqrt() * noise
    noisy = noisy.contiguous(memory_format=torch.channels_last)
    return Exercise(noisy, steps, tokens.to(device), noise)


def errors(modules: dict[str, Any], question: Exercise) -> Tensor:
    """Mean squared error of the predicted noise of each row [B]."""
    words = modules["text_encoder"](question.tokens).last_hidden_state
    predicted = modules["unet"](question.noisy, question.steps, words).sample
    return (predicted.float() - question.noise).square().mean((1, 2, 3))


def weighted(error: Tensor, steps: Tensor) -> Tensor:
    """The mean error under min-SNR weights, leaning half way towards those of v-prediction.

    *Deviation* from arXiv:2303.09556: times √(1 + 1/SNR). With the plain weights the words for a
    style were learned, but those for things and colours, settled while noise is strong, were not.
    """
    share = components.signal_shares(str(error.device))[steps]
    noise_to_signal = (1 - share) / share
    weight = (_SNR_CAP * noise_to_signal).clamp(max=1) * (1 + noise_to_signal).sqrt()
    return (error * weight).mean()


def probe(tokenizer: Any, run: Run, bucket: Bucket) -> Exercise:
    """A fixed question about scenes the training never sees."""
    scenes = min(_HELD_OUT_SCENES, run.scenes)
    held_out = dataset(run.work, scenes=scenes, seed=HELD_OUT_WORLD)
    examples = encoded(
        held_out, bucket, _autoencoder(run), tokenizer, device=run.device, seed=run.seed
    )
    dice = torch.Generator().manual_seed(0)
    count = len(examples.latents)
    steps = ((torch.arange(count) + 0.5) / count * components.TRAIN_STEPS).long()
    steps = steps[torch.randperm(count, generator=dice)]
    noise = torch.randn(examples.latents.shape, generator=dice)
    return _ask(examples.latents, steps, examples.tokens[:, 0], noise, run.device)


@torch.no_grad()
def held_out_loss(modules: dict[str, Any], asked: Exercise) -> list[float]:
    """Mean squared error of the predicted noise by quarter of the schedule, low noise first."""
    rows = [
        errors(modules, Exercise(*(part[start : start + 16] for part in vars(asked).values())))
        for start in range(0, len(asked.steps), 16)
    ]
    error, quarter = torch.cat(rows), asked.steps * 4 // components.TRAIN_STEPS
    return [round(float(error[quarter == number].mean()), 4) for number in range(4)]


def _report(trainee: Trainee, asked: Exercise, run: Run) -> None:
    with trainee.averaged():
        quarters = held_out_loss(trainee.modules, asked)
    log_line(
        run.work / "unet-log.jsonl",
        step=trainee.step,
        minutes=round(trainee.seconds / 60, 2),
        held_out=round(sum(quarters) / len(quarters), 4),
        quarters=quarters,
    )


def export(trainee: Trainee, tokenizer: Any, run: Run, pipeline: Path) -> None:
    """Write a complete pipeline folder with the averaged weights."""
    pipeline.mkdir(parents=True, exist_ok=True)
    with trainee.averaged():
        for name, network in trainee.modules.items():
            components.save_part(pipeline, name, network)
    components.save_part(pipeline, "tokenizer", tokenizer)
    components.save_part(pipeline, "scheduler", components.new_scheduler())
    if not (pipeline / "vae").exists():
        components.save_part(pipeline, "vae", _autoencoder(run))
    components.save_index(pipeline)
