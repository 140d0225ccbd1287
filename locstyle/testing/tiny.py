"""A tiny random backbone of Stable Diffusion's layout, and scenes, masks and styles for it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import torch

from locstyle.engine.backbone import Text
from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.progress import ignore
from locstyle.engine.scene import Scene, SceneRegion, SceneStyle
from locstyle.engine.sites import Site
from locstyle.engine.trajectory import Inversion
from locstyle.job.inversions import Inverter
from locstyle.job.references import cut, paired
from locstyle.masks import Mask, Partition
from locstyle.style import Delta, Style, Tokens

CONTEXT = 16
"""Width of the tiny backbone's text states."""

TINY_VAE: Mapping[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 3,
    "up_block_types": ("UpDecoderBlock2D",) * 3,
    "block_out_channels": (8, 8, 8),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "sample_size": 32,
}
"""The configuration of tiny autoencoders."""


def tiny_backbone(
    seed: int = 0, *, prediction: str = "epsilon", family: str = "tiny", device: str = "cpu"
) -> UNetBackbone:
    """A random UNet with Stable Diffusion 1.x's topology and layer names, a few thousand weights a
    layer.

    Native side 32 pixels, 4 pixels per latent pixel, text window 16 tokens. Its pictures mean
    nothing; its algebra is the real one. The same `seed` gives the same weights.
    """
    return UNetBackbone(
        tiny_parts(seed, prediction=prediction),
        name="tiny",
        device=torch.device(device),
        family=family,
    )


def tiny_parts(seed: int = 0, *, prediction: str = "epsilon") -> Parts:
    """The modules of a tiny random Stable Diffusion, to save, convert or wrap."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel

    tokenizer = tiny_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = UNet2DConditionModel(
            sample_size=8,
            block_out_channels=(8, 8, 16, 16),
            layers_per_block=2,
            cross_attention_dim=CONTEXT,
            attention_head_dim=2,
            norm_num_groups=4,
        )
        vae = AutoencoderKL(**TINY_VAE)
        text_encoder = CLIPTextModel(tiny_clip_config(tokenizer, CONTEXT))
    return Parts(unet, vae, text_encoder, tokenizer, tiny_scheduler(prediction))


def tiny_clip_config(tokenizer: Any, width: int, layers: int = 1, pooled: int = CONTEXT) -> Any:
    """The configuration of a text encoder of that `width` for a tiny tokenizer."""
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=pooled,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )


def tiny_scheduler(prediction: str = "epsilon") -> Any:
    """Stable Diffusion's noise levels."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
        prediction_type=prediction,
    )


def tiny_tokenizer(pad: str = "<|endoftext|>") -> Any:
    """A CLIP tokenizer that knows single bytes only: every prompt works, letter by letter."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import CLIPTokenizer

    alphabet = sorted(ByteLevel.alphabet())
    words = [*alphabet, *(f"{c}</w>" for c in alphabet), "<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary, merges = Path(folder, "vocab.json"), Path(folder, "merges.txt")
        vocabulary.write_text(json.dumps({word: i for i, word in enumerate(words)}), "utf-8")
        merges.write_text("#version: 0.2\n", "utf-8")
        return CLIPTokenizer.from_pretrained(folder, model_max_length=16, pad_token=pad)


def save_tiny(folder: Path, seed: int = 0) -> Path:
    """Write the tiny model as a diffusers folder, as `load_backbone` reads it."""
    return save_parts(folder, tiny_parts(seed), "StableDiffusionPipeline")


def save_parts(folder: Path, parts: Parts, pipeline: str) -> Path:
    """Write modules as a diffusers folder whose index names `pipeline`."""
    index: dict[str, Any] = {"_class_name": pipeline}
    for name, part in parts._asdict().items():
        if part is not None:
            part.save_pretrained(folder / name)
            index[name] = [type(part).__module__.split(".")[0], type(part).__name__]
    (folder / "model_index.json").write_text(json.dumps(index), "utf-8")
    return folder


ATTENTION = ("to_q", "to_k", "to_v", "to_out")
"""The parts of attention layers that the paper's LoRAs act on."""


def random_style(
    backbone: UNetBackbone, seed: int = 0, *, rank: int = 2, parts: tuple[str, ...] = ATTENTION
) -> Style:
    """A style with random deltas on every layer named by `parts`, strong enough to show.

    `parts` may also name convolutions (`conv1`, `conv2`) and projections (`proj_in`, `ff.net.2`,
    …).
    """
    draw = torch.Generator().manual_seed(seed)
    deltas = {
        site.name: _random_delta(site, rank, draw)
        for site in backbone.sites
        if site.shape and site.part in parts
    }
    return Style(f"random-{seed}", backbone.family, deltas, {"trigger": f"style {seed}"})


def random_tokens(backbone: UNetBackbone, seed: int = 0, *, count: int = 4) -> Style:
    """A style with `count` random tokens for every cross-attention, strong enough to show."""
    draw = torch.Generator().manual_seed(seed)
    tokens = {}
    for site in backbone.sites.where(role="cross"):
        inner = backbone.sites[f"{site.name}.to_k"].shape[0]
        tokens[site.name] = Tokens(*torch.randn(2, count, inner, generator=draw))
    return Style(f"tokens-{seed}", backbone.family, tokens=tokens)


def random_words(backbone: UNetBackbone, seed: int = 0, *, count: int = 2) -> Style:
    """A style of `count` random word vectors, under a placeholder of its own."""
    draw = torch.Generator().manual_seed(seed)
    name, width = f"<word-{seed}>", backbone.text("").states.shape[-1]
    words = {name: torch.randn(count, width, generator=draw)}
    return Style(f"words-{seed}", backbone.family, meta={"trigger": name}, words=words)


def tiny_scene(
    backbone: UNetBackbone,
    styles: Sequence[Style | Sequence[Style] | None],
    masks: Sequence[Mask] | None = None,
    *,
    steps: int = 4,
    inversion: Inversion | None = None,
) -> Scene:
    """A scene on a random picture of 32 x 32 pixels, one region per style, or group of styles.

    `masks` default to vertical strips of equal width that leave the last strip unstyled. Styles
    that are pictures come with their references inverted.
    """
    draw = torch.Generator().manual_seed(99)
    latent = backbone.encode(torch.rand(1, 3, 32, 32, generator=draw))
    schedule = backbone.schedule(steps)
    inversion = inversion or Inversion()
    visited = schedule if inversion.steps is None else backbone.schedule(inversion.steps)
    empty = backbone.text("")
    groups = [_group(style) for style in styles]
    cuts = [[cut(r, (32, 32)) for r in style.references] for style in chain(*groups)]
    with torch.no_grad():
        latents = [latent, *(backbone.encode(one.picture[None]) for one in chain(*cuts))]
        inverter = Inverter(backbone, visited, inversion, empty)
        content, *others = inverter.invert(latents, ignore).trajectories
    references = iter(paired(cuts, others))
    return Scene(
        backbone=backbone,
        latent=latent,
        content=content,
        noise=torch.randn(latent.shape, generator=draw),
        regions=tuple(
            SceneRegion(
                tuple(SceneStyle(style, references=next(references)) for style in group),
                _spoken(backbone, group, i),
                backbone.text("bad"),
            )
            for i, group in enumerate(groups)
        ),
        partition=Partition.of(masks or strips(len(styles))),
        schedule=schedule,
        empty=empty,
        text=backbone.text("a"),
        negative=backbone.text("bad"),
    )


def _group(styles: Style | Sequence[Style] | None) -> Sequence[Style]:
    if isinstance(styles, Style):
        return [styles]
    return styles or ()


def _spoken(backbone: UNetBackbone, styles: Sequence[Style], index: int) -> Text:
    """The words the styles have learned, or any others."""
    words = {k: v for style in styles for k, v in style.words.items()}
    if not words:
        return backbone.text(f"r{index}")
    return backbone.text(" ".join(style.trigger for style in styles if style.words), words)


def strips(count: int, size: tuple[int, int] = (32, 32)) -> list[Mask]:
    """Masks of `count` vertical strips side by side, which leave one more strip free at the
    right."""
    edges = [round(size[1] * i / (count + 1)) for i in range(count + 1)]
    return [Mask.box((left, 0, right, size[0]), size=size) for left, right in pairwise(edges)]


def _random_delta(site: Site, rank: int, draw: torch.Generator) -> Delta:
    out, into, *kernel = site.shape
    down = torch.randn(rank, into, *kernel, generator=draw) / into**0.5
    up = torch.randn(out, rank, *[1] * len(kernel), generator=draw) / rank**0.5
    return Delta(down, up, 0.5)
