"""The four parts of the backbone: autoencoder, tokenizer, text encoder, UNet; and their folder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any  # diffusers and transformers are untyped

import torch
from torch import Tensor

from .training import replaced_folder

TOKENS = 48  # the longest prompt in tokens, both ends included
TRAIN_STEPS = 1000
_BETAS = (0.00085, 0.012)  # as Stable Diffusion 1.x, "scaled_linear"

# Splitting text into words as OpenAI's CLIP does (openai/CLIP clip/simple_tokenizer.py).
_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
_START, _END = "<|startoftext|>", "<|endoftext|>"
_WORD_END = "</w>"


@dataclass(frozen=True)
class Sizes:
    """Widths of the networks; the tests use smaller ones."""

    autoencoder: tuple[int, ...] = (32, 64, 128)
    unet: tuple[int, ...] = (48, 96, 144, 192)
    heads: tuple[int, ...] = (2, 4, 4, 4)
    groups: int = 16
    text: int = 128
    text_layers: int = 2


def new_autoencoder(sizes: Sizes) -> Any:
    """A KL autoencoder from [N, 3, H, W] in [-1, 1] to 4 channels at a quarter of the side."""
    from diffusers import AutoencoderKL

    stages = len(sizes.autoencoder)
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        block_out_channels=sizes.autoencoder,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=128,
        mid_block_add_attention=False,
    )


def new_unet(sizes: Sizes) -> Any:
    """A UNet with the block layout of Stable Diffusion 1.x."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=32,
        in_channels=4,
        out_channels=4,
        layers_per_block=2,
        block_out_channels=sizes.unet,
        down_block_types=("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        cross_attention_dim=sizes.text,
        attention_head_dim=sizes.heads,
        norm_num_groups=sizes.groups,
    )


def new_text_encoder(sizes: Sizes, tokenizer: Any) -> Any:
    """A small CLIP text encoder for this tokenizer's vocabulary."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=sizes.text,
        intermediate_size=4 * sizes.text,
        num_hidden_layers=sizes.text_layers,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        projection_dim=sizes.text,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return CLIPTextModel(config)


def new_tokenizer(prompts: Sequence[str], *, size: int = 1200) -> Any:
    """A byte-level BPE tokenizer of at most `size` merges learned from `prompts`.

    Every byte is in the vocabulary, so any text can be written in it.
    """
    from transformers import CLIPTokenizer

    alphabet, merges = _learn_merges(prompts, size)
    pieces = [*alphabet, *(letter + _WORD_END for letter in alphabet)]
    pieces += [first + second for first, second in merges]
    pieces += [_START, _END]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    return CLIPTokenizer(vocab=vocabulary, merges=merges, model_max_length=TOKENS)


def _learn_merges(prompts: Sequence[str], size: int) -> tuple[list[str], list[tuple[str, str]]]:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=_WORD_END, unk_token=_END))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        initial_alphabet=alphabet,
        end_of_word_suffix=_WORD_END,
        show_progress=False,
    )
    tokenizer.train_from_iterator(prompts, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    merges = [tuple(m) if isinstance(m, list) else tuple(m.split(" ")) for m in learned]
    return alphabet, merges


def text_encoder_for(tokenizer: Any, pipeline: Path) -> Any:
    """A pipeline folder's text encoder in float32, brought to another tokenizer's vocabulary.

    A piece the old tokenizer does not have starts as the mean of the pieces it is spelled with.
    """
    from transformers import CLIPTextModel, CLIPTokenizer

    text = CLIPTextModel.from_pretrained(pipeline / "text_encoder", dtype=torch.float32)
    old = CLIPTokenizer.from_pretrained(pipeline / "tokenizer")
    known, wanted = old.get_vocab(), tokenizer.get_vocab()
    if known == wanted:
        return text
    table = text.get_input_embeddings().weight.detach()
    rows = torch.empty(len(wanted), table.shape[1])
    for piece, number in wanted.items():
        spelled = [known[piece]] if piece in known else _spelled(old, piece)
        rows[number] = table[spelled].mean(0)
    text.resize_token_embeddings(len(wanted), mean_resizing=False)
    text.get_input_embeddings().weight.data.copy_(rows)
    text.config.bos_token_id = tokenizer.bos_token_id
    text.config.eos_token_id = tokenizer.eos_token_id
    text.config.pad_token_id = tokenizer.pad_token_id
    return text


def _spelled(tokenizer: Any, piece: str) -> list[int]:
    """A piece's letters as the tokenizer knows them, merged as far as it can."""
    numbers: list[int] = tokenizer(
        piece.removesuffix(_WORD_END), add_special_tokens=False
    ).input_ids
    return numbers or [tokenizer.eos_token_id]


def token_ids(tokenizer: Any, prompts: Sequence[str]) -> Tensor:
    """Token numbers of prompts [n, TOKENS], padded or cut."""
    batch = tokenizer(list(prompts), padding="max_length", max_length=TOKENS, truncation=True)
    return torch.tensor(batch.input_ids)


def new_scheduler() -> Any:
    """Stable Diffusion 1.x's schedule of noise."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=TRAIN_STEPS,
        beta_start=_BETAS[0],
        beta_end=_BETAS[1],
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )


def signal_shares(device: str = "cpu") -> Tensor:
    """Cumulative share of signal at every training step [TRAIN_STEPS] (ᾱ in arXiv:2006.11239)."""
    roots = torch.linspace(_BETAS[0] ** 0.5, _BETAS[1] ** 0.5, TRAIN_STEPS, device=device)
    return torch.cumprod(1 - roots**2, 0)


def save_part(pipeline: Path, name: str, part: Any) -> None:
    """Write one part of a pipeline folder, half precision, all of it or nothing."""
    from copy import deepcopy

    if isinstance(part, torch.nn.Module):
        part = deepcopy(part).half().to("cpu", memory_format=torch.contiguous_format)
    with replaced_folder(pipeline / name) as folder:
        part.save_pretrained(folder)
        _forget_origin(folder / "config.json")


def _forget_origin(config: Path) -> None:
    """Take out the path that diffusers notes of where a network was loaded from."""
    if config.exists():
        facts = json.loads(config.read_text("utf-8"))
        facts.pop("_name_or_path", None)
        config.write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", "utf-8")


def save_index(pipeline: Path) -> None:
    """Write the model_index.json that makes the folder a StableDiffusionPipeline."""
    import diffusers

    parts = {
        "scheduler": ("diffusers", "DDIMScheduler"),
        "text_encoder": ("transformers", "CLIPTextModel"),
        "tokenizer": ("transformers", "CLIPTokenizer"),
        "unet": ("diffusers", "UNet2DConditionModel"),
        "vae": ("diffusers", "AutoencoderKL"),
        "feature_extractor": (None, None),
        "image_encoder": (None, None),
        "safety_checker": (None, None),
    }
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": diffusers.__version__,
        "requires_safety_checker": False,
        **{name: list(kind) for name, kind in parts.items()},
    }
    partial = pipeline / "model_index.json.part"
    partial.write_text(json.dumps(index, indent=2) + "\n")
    partial.replace(pipeline / "model_index.json")


def load_autoencoder(pipeline: Path) -> Any:
    """The autoencoder of a pipeline folder in float32."""
    from diffusers import AutoencoderKL

    return AutoencoderKL.from_pretrained(pipeline / "vae", torch_dtype=torch.float32)
