"""UNets of the Stable Diffusion family, 1.x, 2.x and XL, as diffusers ships them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from locstyle.engine.backbone import Text, TextDeltas
from locstyle.engine.backbones.as_one import as_one
from locstyle.engine.backbones.atlas import unet_sites
from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.clip import Clip, shared_out
from locstyle.engine.backbones.marks import read_marks
from locstyle.engine.backbones.processor import processor
from locstyle.engine.backbones.told import Told
from locstyle.engine.backbones.whereabouts import Whereabouts
from locstyle.engine.backbones.words import Words, check_words
from locstyle.engine.intervene import Attachment, Intervention, attach
from locstyle.engine.schedule import Schedule, spaced_timesteps
from locstyle.engine.seal import Seal
from locstyle.engine.sites import Sites
from locstyle.engine.tiles import Tile
from locstyle.engine.turns import Turns

if TYPE_CHECKING:
    from PIL.Image import Image

FAMILIES = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Families by the width of their text states."""


class UNetBackbone:
    """A latent diffusion UNet with its autoencoder and text encoders; see `Backbone`.

    With two encoders it is SDXL's kind, arXiv:2307.01952: their states lie side by side, and so do
    the vectors of learned words; the network is told sizes, and the pooled text of "" (`Told`).
    `spares`: parts are on the device only while they are used (`Whereabouts`).
    """

    def __init__(
        self,
        parts: Parts,
        *,
        name: str,
        device: torch.device,
        family: str | None = None,
        spares: bool = False,
    ) -> None:
        self.modules: dict[str, nn.Module] = parts.modules
        for module in self.modules.values():
            module.requires_grad_(False).eval()
        self.whereabouts = Whereabouts(self.modules, device, spares=spares)
        if device.type == "cpu":  # convolutions run up to 1.5x faster in this layout
            parts.unet.to(memory_format=torch.channels_last)
            parts.vae.to(memory_format=torch.channels_last)
        self.unet, self.vae, scheduler = parts.unet, parts.vae, parts.scheduler
        self.text_encoder, self.tokenizer = parts.text_encoder, parts.tokenizer
        self._encoders = _clips(parts)
        self._clips = list(self._encoders.values())
        self.name = name
        self.family = family or _family(self.unet)
        self.factor: int = 2 ** (len(self.vae.config.block_out_channels) - 1)
        self.native: int = _side(self.unet.config.sample_size) * self.factor
        self.working: int = self.native
        self.multiple: int = self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        self.channels: int = self.unet.config.in_channels
        self.alphas: Tensor = scheduler.alphas_cumprod.double()
        self.prediction = scheduler.config.prediction_type
        self._offset: int = scheduler.config.steps_offset
        self._spacing = scheduler.config.timestep_spacing
        self._final = 1.0 if scheduler.config.set_alpha_to_one else float(self.alphas[0])
        self.sites = unet_sites(self.unet)
        self.text_sites = Sites(
            site for part, clip in self._encoders.items() for site in clip.sites(part)
        )
        self.seal = Seal(self.modules)
        self.turns = Turns()
        self._speaking = Turns()

    @property
    def device(self) -> torch.device:
        return self.whereabouts.device

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
        with self.whereabouts.using("vae"):
            posterior = self.vae.encode(
                (images * 2 - 1).to(self.vae.device, self.vae.dtype)
            ).latent_dist
        latents = posterior.mode().float()
        if sample is not None:
            noise = torch.randn(latents.shape, generator=sample)
            latents = latents + posterior.std.float() * noise.to(latents)
        return latents * float(self.vae.config.scaling_factor)

    def decode(self, latents: Tensor) -> Tensor:
        with self.whereabouts.using("vae"):
            return self._decoded(latents)

    def _decoded(self, latents: Tensor) -> Tensor:
        scaled = latents / float(self.vae.config.scaling_factor)
        with torch.set_grad_enabled(torch.is_grad_enabled() and latents.requires_grad):
            images: Tensor = self.vae.decode(scaled.to(self.vae.dtype)).sample
            return (images.float() / 2 + 0.5).clamp(0, 1)

    def as_one(self, parts: Sequence[Callable[[], Tensor]]) -> list[Tensor]:
        with self.turns.take("a coding of parts"):
            return as_one(self.vae, parts)

    def text(
        self,
        prompt: str,
        words: Words | None = None,
        deltas: TextDeltas | None = None,
        *,
        windows: int | None = None,
    ) -> Text:
        words = words or {}
        parts = None if windows is None else read_marks(prompt, words)
        check_words(words, sum(clip.width for clip in self._clips))
        is_learning = torch.is_grad_enabled() and any(v.requires_grad for v in words.values())
        # The embeddings are shared, and learned words stand in them for a while.
        with (
            self._speaking.take("a text"),
            self.whereabouts.using(*self._encoders),
            torch.set_grad_enabled(is_learning),
        ):
            heard = []
            for name, own in zip(self._encoders, shared_out(words, self._clips), strict=True):
                clip, acting = self._encoders[name], _within(name, deltas or {})
                if parts is None or windows is None:
                    heard.append(clip.hear(prompt, own, acting))
                else:
                    heard.append(clip.hear_parts(parts, own, windows, acting))
        first, states = heard[0].spelling, [one.states for one in heard]
        joined = states[0] if len(states) == 1 else torch.cat(states, -1)
        return Text(prompt, joined, first.cut, first.used, first.spans)

    def word_vectors(self, text: str) -> Tensor:
        found = [clip.word_vectors(text) for clip in self._clips]
        return found[0] if len(found) == 1 else torch.cat(found, -1)

    def predict(
        self, x: Tensor, t: int | Tensor, states: Tensor, tiles: Sequence[Tile] | None = None
    ) -> Tensor:
        beside = None
        if self._told is not None:
            shown = tiles or [Tile.all_of((x.shape[-2], x.shape[-1]))] * len(x)
            beside = self._told.beside(shown, len(x))
        # Rows advance in float32 whatever the network runs in, so steps do not lose bits.
        with self.turns.take("a prediction"), self.whereabouts.using("unet"):
            noise: Tensor = self.unet(
                x.to(self.dtype), t, states.to(self.dtype), added_cond_kwargs=beside
            ).sample
        return noise.float()

    def told(self, tiles: Sequence[Tile]) -> tuple[Tensor, ...]:
        return () if self._told is None else tuple(self._told.beside(tiles, len(tiles)).values())

    @cached_property
    def _told(self) -> Told | None:
        if len(self._clips) == 1:
            return None
        last = tuple(self._encoders)[-1]
        with self._speaking.take("a text"), torch.inference_mode(False), torch.no_grad():
            with self.whereabouts.using(last):
                pooled = self._encoders[last].hear("", {}).pooled
        return None if pooled is None else Told(pooled.to(self.dtype), self.factor)

    def schedule(self, steps: int) -> Schedule:
        timesteps = spaced_timesteps(
            self._spacing, steps, train_steps=len(self.alphas), offset=self._offset
        )
        return Schedule(timesteps, self.alphas, self._final, self.prediction)

    def preview(self, latent: Tensor) -> Callable[[], Image]:
        def picture() -> Image:
            from PIL import Image

            with self.whereabouts.using("vae", beside=("unet",)):  # which goes on after it
                pixels = self._decoded(latent[:1])[0].permute(1, 2, 0).mul(255).round().byte()
            return Image.fromarray(pixels.cpu().numpy())

        return picture

    def layer(self, name: str) -> nn.Module:
        if name in self.text_sites:
            part, _, rest = name.partition(".")
            return self._encoders[part].layer(rest)
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


def _clips(parts: Parts) -> dict[str, Clip]:
    """The text encoders, by the names of their parts."""
    first = parts.text_encoder, parts.tokenizer
    if parts.text_encoder_2 is None:
        return {"text_encoder": Clip(*first)}
    second = parts.text_encoder_2, parts.tokenizer_2
    pairs = {"text_encoder": first, "text_encoder_2": second}
    return {name: Clip(*pair, penultimate=True) for name, pair in pairs.items()}


def _within(part: str, deltas: TextDeltas) -> TextDeltas:
    """The deltas of one text encoder, by the names of its layers."""
    stem = f"{part}."
    return {name.removeprefix(stem): d for name, d in deltas.items() if name.startswith(stem)}


def _family(unet: Any) -> str:
    width = unet.config.cross_attention_dim
    return FAMILIES.get(width, f"unet{width}")


def _side(size: int | Sequence[int]) -> int:
    return size if isinstance(size, int) else min(size)
