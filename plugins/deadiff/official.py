"""The layout of the published checkpoint (`deadiff_v1.ckpt`), mapped by name.

What it is has been worked out from the published code; the file itself was not at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

import locstyle as ls

from .networks import ImageAdapter, QFormerSizes
from .towers import clip_model

_UNET = "model.diffusion_model."
_BLOCKS = (
    *(f"input_blocks.{number}.1" for number in (1, 2, 4, 5, 7, 8)),
    "middle_block.1",
    *(f"output_blocks.{number}.1" for number in range(3, 12)),
)
"""Where the original layout has the cross-attentions, in DEADiff's order."""
_UNUSED_BLIP = ("vision_proj", "text_proj", "itm_head", "temp", "Qformer.cls")  # of BLIP-2's losses
_VISION = {
    "conv1.weight": "embeddings.patch_embedding.weight",
    "class_embedding": "embeddings.class_embedding",
    "positional_embedding": "embeddings.position_embedding.weight",
    "ln_pre": "pre_layrnorm",
    "attn.out_proj": "self_attn.out_proj",
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}
"""OpenAI's names in CLIP and transformers', whole or in front."""


@dataclass(frozen=True)
class Keys:
    """What became of a checkpoint's keys; `missing` are ours that nothing was found for."""

    used: tuple[str, ...]
    unused: tuple[str, ...]
    missing: tuple[str, ...]

    @property
    def strange(self) -> tuple[str, ...]:
        """Unused keys that the layout does not account for."""
        return tuple(key for key in self.unused if not _known(key))


@dataclass(frozen=True)
class Official:
    """A published DEADiff: its networks, one vision tower for style and one for content."""

    network: ImageAdapter
    towers: dict[str, Any]  # "style", "content": CLIPVisionModel
    keys: Keys


def read(state: Mapping[str, Tensor]) -> Official:
    """The networks of a `state_dict` in the published layout, in the sizes it has.

    Raises:
        StyleError: parts are missing or have shapes that do not fit together.
    """
    network = ImageAdapter(*_sizes(state))
    towers = {part: clip_model(**_tower_sizes(state, part)) for part in ("style", "content")}
    targets = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    for part, tower in towers.items():
        targets |= {f"tower.{part}.{name}": t for name, t in tower.state_dict().items()}
    used, found = [], set()
    for key, tensor in state.items():
        for ours, value in _ours(key, tensor):
            if ours not in targets:
                continue
            if targets[ours].shape != value.shape:
                raise ls.StyleError(
                    f"deadiff: {key!r} has the shape {tuple(value.shape)}, but the other parts "
                    f"of this checkpoint ask for {tuple(targets[ours].shape)}"
                )
            targets[ours].copy_(value)
            used.append(key)
            found.add(ours)
    missing = tuple(sorted(name for name in set(targets) - found if not _spare(name)))
    unused = tuple(sorted(set(state) - set(used)))
    keys = Keys(tuple(sorted(set(used))), unused, missing)
    return Official(network.eval().requires_grad_(False), towers, keys)


def _sizes(state: Mapping[str, Tensor]) -> tuple[QFormerSizes, tuple[int, ...]]:
    """The sizes of the Q-Formers and the widths of the cross-attentions."""
    blip = "style_blip.Qformer.bert."
    queries = _get(state, "style_blip.query_tokens").shape
    words = _get(state, f"{blip}embeddings.word_embeddings.weight")
    inner = _get(state, f"{blip}encoder.layer.0.intermediate_query.dense.weight")
    sizes = QFormerSizes(
        vision=_get(state, "style_blip.ln_vision.weight").shape[0],
        width=queries[2],
        layers=_count(state, r"style_blip\.Qformer\.bert\.encoder\.layer\.(\d+)\."),
        heads=max(1, queries[2] // 64),
        inner=inner.shape[0],
        queries=queries[1],
        words=words.shape[0],
        positions=_get(state, f"{blip}embeddings.position_embeddings.weight").shape[0],
    )
    widths = (_get(state, f"{_UNET}{block}{_WAY}.i_to_k.weight").shape[0] for block in _BLOCKS)
    return sizes, tuple(widths)


_WAY = ".transformer_blocks.0.attn2"


def _tower_sizes(state: Mapping[str, Tensor], part: str) -> dict[str, int]:
    tower = f"{part}_blip.visual_encoder."
    patches = _get(state, f"{tower}conv1.weight")
    places = _get(state, f"{tower}positional_embedding").shape[0] - 1
    return {
        "width": patches.shape[0],
        "patch": patches.shape[-1],
        "side": round(places**0.5) * patches.shape[-1],
        "layers": _count(state, rf"{part}_blip\.visual_encoder\.transformer\.resblocks\.(\d+)\."),
    }


def _get(state: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in state:
        raise ls.StyleError(
            f"deadiff: the checkpoint has no {key!r}, so it is not in the published layout; "
            f"{ls.did_you_mean(key, state)}"
        )
    return state[key]


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many numbered parts there are."""
    numbers = {int(found[1]) for key in state if (found := re.match(pattern, key))}
    return 1 + max(numbers, default=-1)


def _ours(key: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Our names for a key of the published layout with what belongs there; none for a foreign
    one."""
    part, _, rest = key.partition("_")
    if part in ("style", "content") and rest.startswith("proj_layer."):
        yield f"network.{part}.proj.{rest.removeprefix('proj_layer.')}", tensor
    elif part in ("style", "content") and rest.startswith("blip.visual_encoder."):
        for name, value in _vision(rest.removeprefix("blip.visual_encoder."), tensor):
            yield f"tower.{part}.{name}", value
    elif part in ("style", "content") and rest.startswith("blip."):
        yield f"network.{part}.{_qformer(rest.removeprefix('blip.'))}", tensor
    elif way := re.fullmatch(rf"{re.escape(_UNET)}(.*){re.escape(_WAY)}\.(i_to_[kv]\.weight)", key):
        if way[1] in _BLOCKS:
            yield f"network.ways.{_BLOCKS.index(way[1])}.{way[2]}", tensor


def _vision(name: str, tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """transformers' names for OpenAI's; its queries, keys and values lie in one matrix there."""
    block = re.match(r"transformer\.resblocks\.(\d+)\.", name)
    front = f"encoder.layers.{block[1]}." if block else ""
    inner = name[block.end() :] if block else name
    if inner.startswith("attn.in_proj_"):
        kind = inner.removeprefix("attn.in_proj_")
        for letter, third in zip("qkv", tensor.chunk(3), strict=True):
            yield f"{front}self_attn.{letter}_proj.{kind}", third
        return
    for theirs, ours in _VISION.items():
        if inner == theirs or inner.startswith(f"{theirs}."):
            yield front + ours + inner.removeprefix(theirs), tensor


def _qformer(name: str) -> str:
    """transformers' names for LAVIS' Q-Former."""
    name = name.replace("Qformer.bert.", "qformer.")
    name = name.replace("embeddings.LayerNorm.", "embeddings.layernorm.")
    return re.sub(r"(attention)\.self\.", r"\1.attention.", name)


def _known(key: str) -> bool:
    """Whether an unused key is one the layout is known to have beside what is used."""
    others = (
        _UNET,
        "cond_stage_model.",
        "first_stage_model.",
        "model_ema.",
        "ctx_embeddings_cache",
    )
    blip = re.match(r"(?:style|content)_blip\.(.*)", key)
    if blip:
        return blip[1].startswith(_UNUSED_BLIP) or blip[1].endswith("position_ids")
    return key.startswith(others) or "." not in key  # the schedule's constants have no dot


def _spare(name: str) -> bool:
    """Whether a weight of ours is run by nothing: the norm after a tower's last block."""
    return "post_layernorm" in name
