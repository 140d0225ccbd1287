"""A CLIP text encoder and its tokenizer: how one encoder hears a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from locstyle.engine.backbone import TextDeltas
from locstyle.engine.backbones.marks import Parts
from locstyle.engine.backbones.words import Spelling, Words, numbers, spell, spell_parts, spoken
from locstyle.engine.sites import Site
from locstyle.style import Delta


class Heard(NamedTuple):
    """A prompt as one encoder has it: `states` [1, tokens, dim], and of the whole prompt `pooled`
    [1, dim], None of an encoder without a projection."""

    spelling: Spelling
    states: Tensor
    pooled: Tensor | None


@dataclass(frozen=True, eq=False)
class Clip:
    """One text encoder with its tokenizer.

    `penultimate`: its states are those of the last layer but one, before the final norm, as SDXL
    reads them (arXiv:2307.01952 §2.1); else the last, normed.
    """

    encoder: Any  # transformers is untyped
    tokenizer: Any
    penultimate: bool = False

    @property
    def width(self) -> int:
        """How many numbers a state and a word have."""
        width: int = self.encoder.config.hidden_size
        return width

    def hear(self, prompt: str, words: Words, deltas: TextDeltas | None = None) -> Heard:
        """The encoded prompt; `words` [n, width] stand in it, and `deltas` by the names of its own
        layers act, for the length of the call."""
        with adapted(self.encoder, deltas or {}):
            return self._spoken(spell(self.tokenizer, prompt, words, self.window))

    def hear_parts(
        self, parts: Parts, words: Words, most: int, deltas: TextDeltas | None = None
    ) -> Heard:
        """As `hear`, of a prompt that was read with its marks, in `most` windows at most: their
        states lie one after another, and `pooled` is the first one's.

        A token that weighs w is moved from the same token of "" to w times as far, as ComfyUI does,
        and compel where it is more than 1: state = empty + w (state - empty).
        """
        spellings = spell_parts(self.tokenizer, parts, words, self.window, most)
        with adapted(self.encoder, deltas or {}):
            heard = [self._spoken(one) for one in spellings]
            if any(one.weights for one in spellings):
                empty = self._spoken(spell(self.tokenizer, "", {}, self.window)).states
                heard = [one._replace(states=_weighed(one, empty)) for one in heard]
        states = torch.cat([one.states for one in heard], 1) if len(heard) > 1 else heard[0].states
        return Heard(_as_one(spellings, self.window), states, heard[0].pooled)

    @property
    def window(self) -> int:
        """How many tokens it hears at once, both ends included."""
        window: int = self.encoder.config.max_position_embeddings
        return window

    def _spoken(self, spelling: Spelling) -> Heard:
        encoder = self.encoder
        with spoken(encoder.get_input_embeddings(), spelling):
            ids = torch.tensor([spelling.ids], device=encoder.device)
            if not self.penultimate:
                return Heard(spelling, encoder(ids).last_hidden_state, None)
            with _before_the_last_layer(encoder) as states:
                said = encoder(ids)
        return Heard(spelling, states[0], getattr(said, "text_embeds", None))

    def sites(self, part: str) -> list[Site]:
        """The linear layers that its states pass, called as in diffusers' files: `part`, then
        where the layer is, whether or not the library has `text_model` around it."""
        return [
            Site(f"{part}.{_bare(name)}", "linear", "io", 0, 1, "text", tuple(layer.weight.shape))
            for name, layer in self.encoder.named_modules()
            if isinstance(layer, nn.Linear) and "encoder.layers." in name
        ]

    def layer(self, name: str) -> nn.Module:
        """The layer of a site, by its name behind the part."""
        return next(one for own, one in self.encoder.named_modules() if _bare(own) == name)

    def word_vectors(self, text: str) -> Tensor:
        """What the token embedding has for the words of a text: [tokens, width], a copy."""
        table: Tensor = self.encoder.get_input_embeddings().weight
        return table[numbers(self.tokenizer, text)].detach().clone()


def _weighed(heard: Heard, empty: Tensor) -> Tensor:
    """The states of a window, each as far from those of the empty text as it weighs."""
    if not heard.spelling.weights:
        return heard.states
    weights = heard.states.new_tensor(heard.spelling.weights)[None, :, None]
    moved = empty + weights * (heard.states - empty)
    return torch.where(weights == 1, heard.states, moved)


def _as_one(spellings: Sequence[Spelling], window: int) -> Spelling:
    """Windows one after another, as one says where things stand."""
    if len(spellings) == 1:
        return spellings[0]
    last = len(spellings) - 1
    spans: dict[str, tuple[int, int]] = {}
    for number, one in enumerate(spellings):
        for name, (start, stop) in one.spans.items():
            spans.setdefault(name, (start + number * window, stop + number * window))
    ids = [number for one in spellings for number in one.ids]
    end = spellings[last]
    return Spelling(ids, last * window + end.used, end.cut, spans=spans)


@contextmanager
def adapted(encoder: nn.Module, deltas: TextDeltas) -> Iterator[None]:
    """The encoder's layers with updates beside them, inside the `with` only; by layer names."""
    with ExitStack() as stack:
        for name, layer in encoder.named_modules():
            if acting := deltas.get(_bare(name)):
                stack.callback(layer.register_forward_hook(_beside(acting)).remove)
        yield


def _beside(acting: Sequence[tuple[Delta, float]]) -> Callable[..., Tensor]:
    def add(_layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> Tensor:
        for delta, strength in acting:
            inner = F.linear(given[0], delta.down.to(output))
            scaled = (strength * delta.scale * delta.up.float()).to(output)
            output = output + F.linear(inner, scaled)
            if delta.bias is not None:
                output = output + strength * delta.bias.to(output)
        return output

    return add


def _bare(name: str) -> str:
    return name.removeprefix("text_model.")


@contextmanager
def _before_the_last_layer(encoder: Any) -> Iterator[list[Tensor]]:
    """What enters an encoder's last layer, inside the `with`.

    Asked for all hidden states, transformers would leave hooks of its own behind.
    """
    found: list[Tensor] = []

    def note(_layer: object, given: tuple[Tensor, ...], named: Mapping[str, Tensor]) -> None:
        found.append(given[0] if given else named["hidden_states"])

    layers = [one for one in encoder.modules() if type(one).__name__ == "CLIPEncoderLayer"]
    handle = layers[-1].register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()


def shared_out(words: Words, clips: Sequence[Clip]) -> list[Mapping[str, Tensor]]:
    """Each encoder's part of words whose vectors lie side by side, in the encoders' order."""
    if len(clips) == 1:
        return [words]
    widths = [clip.width for clip in clips]
    parts = {name: vectors.split(widths, -1) for name, vectors in words.items()}
    return [{name: part[number] for name, part in parts.items()} for number in range(len(clips))]
