"""UNets of the Stable Diffusion 1.x and 2.x family, as diffusers ships them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from locstyle.engine.backbone import Text
from locstyle.engine.backbones.atlas import unet_sites
from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.processor import processor
from locstyle.engine.backbones.words import Words, check_words, numbers, spell, spoken
from locstyle.engine.intervene import Attachment, Intervention, attach
from locstyle.engine.schedule import Schedule, leading_timesteps
from locstyle.engine.seal import Seal
from locstyle.engine.turns import Turns
from locstyle.errors import BackboneError

if TYPE_CHECKING:
    from PIL.Image import Image

FAMILIES = {768: "sd1", 1024: "sd2"}
"""Families by the width of their text states."""


class UNetBackbone:
    """A latent diffusion UNet with its autoencoder and text encoder; see `Backbone`."""

    def __init__(
        self, parts: Parts, *, name: str, device: torch.device, family: str | None = None
    ) -> None:
        for module in (parts.unet, parts.vae, parts.text_encoder):
            module.requires_grad_(False).eval().to(device)
        if device.type == "cpu":  # convolutions run up to 1.5x faster in this layout
            parts.unet.to(memory_format=torch.channels_last)
            parts.vae.to(memory_format=torch.channels_last)
        self.unet, self.vae, self.text_encoder, self.tokenizer, scheduler = parts
        self.name = name
        self.family = family or _family(self.unet, name)
        self.factor: int = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.native: int = _side(self.unet.config.sample_size) * self.factor
        self.working: int = self.native
        self.multiple: int = self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        self.channels: int = self.unet.config.in_channels
        self.alphas: Tensor = scheduler.alphas_cumprod.double()
        self.prediction = scheduler.config.prediction_type
        self._offset: int = scheduler.config.steps_offset
        self._final = 1.0 if scheduler.config.set_alpha_to_one else float(self.alphas[0])
        self.sites = unet_sites(self.unet)
        self.seal = Seal({"unet": self.unet, "vae": self.vae, "text_encoder": self.text_encoder})
        self.turns = Turns()
        self._speaking = Turns()

    @property
    def device(self) -> torch.device:
        device: torch.device = self.unet.conv_in.weight.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        dtype: torch.dtype = self.unet.conv_in.weight.dtype  # `unet.dtype` walks all modules
        return dtype

    @cached_property
    def digest(self) -> str:
        return self.weights_digest()

    def weights_digest(self) -> str:
        """SHA-256 of the UNet's weights as they are now; equal before and after every edit."""
        found = hashlib.sha256()
        for name, tensor in sorted(self.unet.state_dict().items()):
            found.update(name.encode())
            found.update(tensor.contiguous().cpu().flatten().view(torch.uint8).numpy().tobytes())
        return found.hexdigest()

    @torch.no_grad()
    def encode(self, images: Tensor, sample: torch.Generator | None = None) -> Tensor:
        posterior = self.vae.encode(
            (images * 2 - 1).to(self.vae.device, self.vae.dtype)
        ).latent_dist
        latents = posterior.mode().float()
        if sample is not None:
            noise = torch.randn(latents.shape, generator=sample)
            latents = latents + posterior.std.float() * noise.to(latents)
        return latents * float(self.vae.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        scaled = latents / float(self.vae.config.scaling_factor)
        with torch.set_grad_enabled(torch.is_grad_enabled() and latents.requires_grad):
            images: Tensor = self.vae.decode(scaled.to(self.vae.dtype)).sample
            return (images.float() / 2 + 0.5).clamp(0, 1)

    def text(self, prompt: str, words: Words | None = None) -> Text:
        words = words or {}
        encoder = self.text_encoder
        check_words(words, encoder.config.hidden_size)
        window = encoder.config.max_position_embeddings
        spelling = spell(self.tokenizer, prompt, words, window)
        is_learning = torch.is_grad_enabled() and any(v.requires_grad for v in words.values())
        # The embedding is shared, and learned words stand in it for a while.
        with (
            self._speaking.take("a text"),
            torch.set_grad_enabled(is_learning),
            spoken(encoder.get_input_embeddings(), spelling),
        ):
            ids = torch.tensor([spelling.ids], device=encoder.device)
            states = encoder(ids).last_hidden_state
        return Text(prompt, states, spelling.cut, spelling.used, spelling.spans)

    def word_vectors(self, text: str) -> Tensor:
        table: Tensor = self.text_encoder.get_input_embeddings().weight
        return table[numbers(self.tokenizer, text)].detach().clone()

    def predict(self, x: Tensor, t: int | Tensor, states: Tensor) -> Tensor:
        # Rows advance in float32 whatever the network runs in, so steps do not lose bits.
        with self.turns.take("a prediction"):
            noise: Tensor = self.unet(x.to(self.dtype), t, states.to(self.dtype)).sample
        return noise.float()

    def schedule(self, steps: int) -> Schedule:
        timesteps = leading_timesteps(steps, train_steps=len(self.alphas), offset=self._offset)
        return Schedule(timesteps, self.alphas, self._final, self.prediction)

    def preview(self, latent: Tensor) -> Callable[[], Image]:
        def picture() -> Image:
            from PIL import Image

            pixels = self.decode(latent[:1])[0].permute(1, 2, 0).mul(255).round().byte()
            return Image.fromarray(pixels.cpu().numpy())

        return picture

    def layer(self, name: str) -> nn.Module:
        module: nn.Module = self.unet.get_submodule(self.sites[name].name)
        return module

    @contextmanager
    def replacing(self, layers: Mapping[str, nn.Module]) -> Iterator[None]:
        with self.turns.take("an adaptation"), ExitStack() as stack:
            for name, layer in layers.items():
                parent, _, child = self.sites[name].name.rpartition(".")
                around = self.unet.get_submodule(parent)
                stack.callback(setattr, around, child, self.layer(name))
                setattr(around, child, layer)
            yield

    @contextmanager
    def attach(self, interventions: Sequence[Intervention]) -> Iterator[Attachment]:
        with self.turns.take("an attachment"):
            modules = dict(self.unet.named_modules())
            with attach(modules, self.sites, interventions, processor(self.unet)) as attachment:
                yield attachment


def _family(unet: Any, name: str) -> str:
    if unet.config.addition_embed_type is not None:
        raise BackboneError(f"backbone: {name!r} is an SDXL-like UNet, which is not supported yet")
    width = unet.config.cross_attention_dim
    return FAMILIES.get(width, f"unet{width}")


def _side(size: int | Sequence[int]) -> int:
    return size if isinstance(size, int) else min(size)
