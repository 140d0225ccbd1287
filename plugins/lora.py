"""The style encoder `lora`: low-rank updates of the UNet, learned from one style image or a few.

LoRA: arXiv:2106.09685. One per style image: DiffStyler, arXiv:2403.18461 eq. 1, whose settings in
`lishaoxu1994/DiffStyler` lora_train.py are the preset `paper`.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import locstyle as ls

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FULL = (*ATTENTION, "conv1", "conv2", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
TARGETS = {"attention": ATTENTION, "full": FULL}
MIN_SNR = 5.0  # γ, arXiv:2303.09556


class LoRA:
    """Trains a LoRA on pictures of one style; the backbone is left exactly as it was.

    `encode` returns a whole Style or raises: a cancelled training leaves nothing behind, save for
    its bookmark where the request has one.
    """

    makes = frozenset({"deltas"})

    @dataclass(frozen=True)
    class Options:
        rank: int = 16
        steps: int = 300
        lr: float = 2e-3
        targets: Literal["attention", "full"] = "full"  # full: convolutions and feed-forward too
        batch: int = 4
        min_snr: bool = False  # weigh noise levels by min-SNR-5 instead of all alike
        crops: int = 64  # random crops made beforehand; 0: whole pictures only
        zoom: float = 1.0  # crops are enlarged up to this much; 1: strokes keep their size
        flips: bool = False  # mirror every other crop; a hatching's direction is lost
        hues: bool = False  # swap the colour channels of the crops: learns texture, not palette
        size: int | None = None  # side of a training picture in pixels; None: the backbone's own,
        # of crops the half
        caption: str = ""  # what the style image shows: its content is then left to these words
        caption_dropout: float = 0.1  # share of the batch trained without any prompt
        warmup: int = 20  # steps over which the learning rate rises
        decay: float = 0.8  # share of the learning rate lost by the last step
        weight_decay: float = 1e-3
        stratified: bool = True  # spread the timesteps of a batch evenly
        resample: bool = False  # draw the latents from the VAE's posterior anew at every step
        scale: float = 0.7  # share of what was learned that is applied: the rest drowns the photo
        half: bool = True  # keep the result in float16

        def __post_init__(self) -> None:
            if self.rank < 1 or self.batch < 1 or self.crops < 0:
                raise ls.RecipeError(
                    f"options: rank {self.rank}, batch {self.batch}, crops {self.crops}; "
                    "give at least 1, 1 and 0"
                )
            if not 0 < self.scale < math.inf:
                raise ls.RecipeError(
                    f"options: scale {self.scale}; give a factor above 0; 1 is all it learned"
                )
            if not (1 <= self.zoom < math.inf and 0 <= self.caption_dropout < 1):
                raise ls.RecipeError(
                    f"options: zoom {self.zoom}, caption_dropout {self.caption_dropout}; "
                    "give a factor from 1 on, and a share from 0 up to, not including, 1"
                )

    PRESETS: Mapping[str, Options] = {
        "paper": Options(
            rank=16,
            steps=200,
            lr=2e-4,
            targets="attention",
            batch=1,
            crops=0,
            flips=False,
            caption_dropout=0.0,
            warmup=0,
            decay=0.0,
            weight_decay=1e-2,
            stratified=False,
            resample=True,
            scale=1.0,
            half=False,
        ),
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()

    def encode(
        self,
        images: Sequence[Image],
        backbone: Any,  # an ls.Backbone with a diffusers `unet`, beyond the protocol
        request: ls.StyleRequest,
        on_step: ls.OnStep | None = None,
    ) -> ls.Style:
        """A style from pictures of it, trained under `request.prompt`.

        Raises:
            StyleError: no picture.
            DenoiseError: the training diverged.
        """
        if not images:
            raise ls.StyleError(f"style {request.name!r}: no style image; give one or more")
        images = [ls.style_picture(image) for image in images]
        prompt = request.prompt or f"a painting in {request.name} style"
        options = json.dumps(asdict(self.options), sort_keys=True)
        batches = _Batches(images, prompt, self.options, backbone, request.seed)
        keeper = request.keeper("lora", prompt, options, backbone.digest, images=images)
        deltas, loss = self._learn(backbone, batches, request.seed, keeper, on_step)
        meta = request.header(
            trigger=prompt,
            encoder=f"lora {ls.__version__}",
            options=options,
            base_digest=backbone.digest,
            seed=str(request.seed),
            loss=f"{loss:.5f}",
        )
        return ls.Style(request.name, backbone.family, deltas, meta).with_preview(images[0])

    def _learn(
        self,
        backbone: Any,
        batches: _Batches,
        seed: int,
        keeper: ls.Bookmark | None,
        on_step: ls.OnStep | None,
    ) -> tuple[dict[str, ls.Delta], float]:
        """What the layers learned, and the mean loss of the last fifth of the steps."""
        o = self.options
        training = ls.Training(
            steps=o.steps,
            lr=o.lr,
            warmup=o.warmup,
            decay=o.decay,
            weight_decay=o.weight_decay,
            min_snr=MIN_SNR if o.min_snr else None,
            stratified=o.stratified,
            seed=seed,
        )
        more: dict[str, Any] = {"keeper": keeper, "dice": batches.dice}
        more |= {} if on_step is None else {"on_step": on_step}
        with (
            backbone.turns.take("a LoRA's training"),
            adapted(backbone, o.rank, TARGETS[o.targets], seed) as layers,
        ):
            parameters = [p for layer in layers.values() for p in _factors(layer)]
            losses = ls.train(backbone, parameters, draw=batches, training=training, **more)
            deltas = {name: _delta(layer, o.scale, o.half) for name, layer in layers.items()}
        if not all(_is_finite(delta) for delta in deltas.values()):
            raise ls.DenoiseError(
                f"training: the weights are not finite after {o.steps} steps; use a learning rate "
                f"below {o.lr:g}"
            )
        tail = losses[-max(1, o.steps // 5) :]
        return deltas, sum(tail) / len(tail)


@contextmanager
def adapted(
    backbone: Any, rank: int, targets: Sequence[str], seed: int
) -> Iterator[dict[str, nn.Module]]:
    """Fresh PEFT LoRA layers on the UNet for the length of the `with`, by site name.

    Afterwards the UNet holds the modules, flags and attributes it had before. `down` is drawn from
    N(0, 1/rank²) and `up` is 0, as PEFT's "gaussian" and the paper's code.
    """
    import torch

    unet = backbone.unet
    names = [site.name for site in backbone.sites if site.shape and _is_target(site.name, targets)]
    originals = {name: unet.get_submodule(name) for name in names}
    flags = {parameter: parameter.requires_grad for parameter in unet.parameters()}
    attributes = set(vars(unet))
    try:
        layers = _inject(
            unet, names, rank, [] if backbone.device.type == "cpu" else [backbone.device]
        )
        drawn = ls.generator(seed, "init")
        with torch.no_grad():
            for layer in layers.values():
                down, _ = _factors(layer)
                down.copy_(torch.randn(down.shape, generator=drawn) / rank)
        yield layers
    finally:
        for name, module in originals.items():
            parent, _, child = name.rpartition(".")
            setattr(unet.get_submodule(parent), child, module)
        for attribute in set(vars(unet)) - attributes:
            delattr(unet, attribute)
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag)


def _is_target(name: str, targets: Sequence[str]) -> bool:
    return any(name.endswith(f".{target}") for target in targets)


def _inject(
    unet: nn.Module, names: Sequence[str], rank: int, devices: Sequence[torch.device]
) -> dict[str, nn.Module]:
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=list(names), init_lora_weights="gaussian"
    )
    with torch.random.fork_rng(devices=devices):  # PEFT draws from the global generator
        inject_adapter_in_model(config, unet, adapter_name="default")
    return {name: unet.get_submodule(name) for name in names}


def _factors(layer: Any) -> tuple[Tensor, Tensor]:
    """The two trainable factors of a PEFT layer: down, up."""
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


def _delta(layer: Any, scale: float, half: bool) -> ls.Delta:
    import torch

    dtype = torch.float16 if half else torch.float32
    down, up = (p.detach().to("cpu", dtype, copy=True).contiguous() for p in _factors(layer))
    return ls.Delta(down, up, scale * float(layer.scaling["default"]))


def _is_finite(delta: ls.Delta) -> bool:
    return bool(delta.down.isfinite().all() and delta.up.isfinite().all())


class _Batches:
    """Draws batches of latents and of text states."""

    def __init__(
        self, images: Sequence[Image], prompt: str, options: LoRA.Options, backbone: Any, seed: int
    ) -> None:
        import torch

        how = ls.Views(options.crops, options.zoom, options.flips, options.hues, options.size)
        self._latents = ls.Latents(
            how.of(images, backbone, seed), backbone, seed, resample=options.resample
        )
        self._rows = options.batch
        prompts = _prompts(prompt, options)
        self._states = torch.cat([_states(backbone, text) for text in prompts])
        self._shares = torch.tensor(list(prompts.values()))

    @property
    def dice(self) -> tuple[torch.Generator, ...]:
        return self._latents.dice, self._latents.posterior

    def __call__(self) -> tuple[Tensor, Tensor]:
        import torch

        latents = self._latents.draw(self._rows)
        words = torch.multinomial(
            self._shares, self._rows, replacement=True, generator=self._latents.dice
        )
        return latents, self._states[words]


def _prompts(prompt: str, options: LoRA.Options) -> dict[str, float]:
    """The prompts of a training and the share of each; "" trains the style without words."""
    none = options.caption_dropout
    shares = {"": none, prompt: 1 - none}
    if options.caption:
        shares |= {prompt: (1 - none) / 3, f"{prompt} of {options.caption}": (1 - none) * 2 / 3}
    return {text: share for text, share in shares.items() if share > 0}


def _states(backbone: Any, prompt: str) -> Tensor:
    text = backbone.text(prompt)
    if text.cut:
        warnings.warn(
            f"prompt: longer than the text window, trained without its end {text.cut!r}",
            stacklevel=2,
        )
    states: Tensor = text.states
    return states


@ls.hookimpl
def register_style_encoders(register: Any) -> None:
    register("lora", LoRA)
