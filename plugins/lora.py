"""The style encoder `lora`: low-rank updates of the UNet, learned from one style image or a few.

LoRA: arXiv:2106.09685. One per style image (docs/methods.md eq. 1.1): DiffStyler, arXiv:2403.18461,
whose settings in `lishaoxu1994/DiffStyler` lora_train.py are the preset `paper`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import locstyle as ls

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
FULL = (*ATTENTION, "conv1", "conv2", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
TARGETS = {"attention": ATTENTION, "full": FULL}
MOST = 4096  # no layer of the supported backbones has a wider side
MIN_SNR = 5.0  # γ, arXiv:2303.09556


class LoRA:
    """Trains a LoRA on pictures of one style; the backbone is left exactly as it was.

    `encode` returns a whole Style or raises: a cancelled training leaves nothing behind, save for
    its bookmark where the request has one.
    """

    makes = frozenset({"deltas"})

    @dataclass(frozen=True)
    class Options(ls.Learning):
        rank: int = 16  # of each layer's update: more holds more, and a larger file
        targets: Literal["attention", "full"] = "full"  # full: convolutions and feed-forward too
        min_snr: bool = False  # weigh noise levels by min-SNR-5 instead of all alike
        zoom: float = 1.0  # crops are enlarged up to this much; 1: strokes keep their size
        hues: bool = False  # swap the colour channels of the crops: learns texture, not palette
        caption: str = ""  # what the style image shows: its content is then left to these words
        caption_dropout: float = 0.1  # share of the batch trained without any prompt
        warmup: int = 20  # steps over which the learning rate rises
        decay: float = 0.8  # share of the learning rate lost by the last step
        weight_decay: float = 1e-3
        scale: float = 0.7  # share of what was learned that is applied: the rest drowns the photo
        half: bool = True  # keep the result in float16

        def __post_init__(self) -> None:
            super().__post_init__()
            if not 1 <= self.rank <= MOST:
                raise ls.RecipeError(f"options: rank {self.rank}; give 1 to {MOST}")
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
        backbone: ls.Backbone,
        request: ls.StyleRequest,
        on_step: ls.OnStep | None = None,
    ) -> ls.Style:
        """A style from pictures of it, trained under `request.prompt`.

        Raises:
            StyleError: no picture.
            DenoiseError: the training diverged.
        """
        o, pictures = self.options, [ls.style_picture(image) for image in images]
        course = ls.Course(f"lora {ls.__version__}", o, pictures, backbone, request)
        prompt = request.prompt or f"a painting in {request.name} style"
        latents = course.latents(replace(course.views, zoom=o.zoom, hues=o.hues))
        training = replace(course.training, min_snr=MIN_SNR if o.min_snr else None)
        keeper = course.keeper(prompt)
        batches = ls.Batches(latents, o.batch, _Captions(prompt, o, backbone, latents.dice))
        with adapted(backbone, o.rank, TARGETS[o.targets], request.seed) as layers:
            parameters = [p for layer in layers.values() for p in _factors(layer)]
            loss = course.learn(parameters, batches, training, keeper=keeper, on_step=on_step)
            deltas = {name: _delta(layer, o.scale, o.half) for name, layer in layers.items()}
        if not all(_is_finite(delta) for delta in deltas.values()):
            raise ls.DenoiseError(
                f"training: the weights are not finite after {o.steps} steps; use a learning rate "
                f"below {o.lr:g}"
            )
        meta = course.header(prompt, loss)
        return ls.Style(request.name, backbone.family, deltas, meta).with_preview(pictures[0])


@contextmanager
def adapted(
    backbone: ls.Backbone, rank: int, targets: Sequence[str], seed: int
) -> Iterator[dict[str, nn.Module]]:
    """Fresh PEFT LoRA layers in a backbone for the length of the `with`, by site name.

    `down` is drawn from N(0, 1/rank²) and `up` is 0, as PEFT's "gaussian" and the paper's code.
    """
    import torch

    names = [site.name for site in backbone.sites if site.shape and _is_target(site.name, targets)]
    layers = _around({name: backbone.layer(name) for name in names}, rank, backbone.device)
    drawn = ls.generator(seed, "init")
    with torch.no_grad():
        for layer in layers.values():
            down, _ = _factors(layer)
            down.copy_(torch.randn(down.shape, generator=drawn) / rank)
    with backbone.replacing(layers):
        yield layers


def _is_target(name: str, targets: Sequence[str]) -> bool:
    return any(name.endswith(f".{target}") for target in targets)


def _around(
    layers: Mapping[str, nn.Module], rank: int, device: torch.device
) -> dict[str, nn.Module]:
    """PEFT's LoRA layers around these, which stay as they are: PEFT never sees the network."""
    import torch
    from peft import LoraConfig, inject_adapter_in_model

    apart = torch.nn.ModuleDict({str(number): one for number, one in enumerate(layers.values())})
    config = LoraConfig(
        r=rank, lora_alpha=rank, target_modules=list(apart), init_lora_weights="gaussian"
    )
    devices = [] if device.type == "cpu" else [device]
    with torch.random.fork_rng(devices=devices):  # PEFT draws from the global generator
        inject_adapter_in_model(config, apart)
    return dict(zip(layers, apart.values(), strict=True))


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


class _Captions:
    """The text states of a batch, each row's prompt drawn by its share."""

    def __init__(
        self, prompt: str, options: LoRA.Options, backbone: ls.Backbone, dice: torch.Generator
    ) -> None:
        import torch

        prompts = _prompts(prompt, options)
        self._states = torch.cat([_states(backbone, text) for text in prompts])
        self._shares, self._dice = torch.tensor(list(prompts.values())), dice

    def __call__(self, rows: int) -> Tensor:
        import torch

        drawn = torch.multinomial(self._shares, rows, replacement=True, generator=self._dice)
        return self._states[drawn]


def _prompts(prompt: str, options: LoRA.Options) -> dict[str, float]:
    """The prompts of a training and the share of each; "" trains the style without words."""
    none = options.caption_dropout
    shares = {"": none, prompt: 1 - none}
    if options.caption:
        shares |= {prompt: (1 - none) / 3, f"{prompt} of {options.caption}": (1 - none) * 2 / 3}
    return {text: share for text, share in shares.items() if share > 0}


def _states(backbone: ls.Backbone, prompt: str) -> Tensor:
    text = backbone.text(prompt)
    if text.cut:
        warnings.warn(
            f"prompt: longer than the text window, trained without its end {text.cut!r}",
            stacklevel=2,
        )
    return text.states


@ls.hookimpl
def register_style_encoders(register: ls.Register) -> None:
    register("lora", LoRA)
