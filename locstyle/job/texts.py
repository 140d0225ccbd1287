"""What a region says, and when: its own prompt, or what its styles were trained with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle.engine.plan import Timed, Window
from locstyle.errors import LocstyleWarning

if TYPE_CHECKING:
    from locstyle.edit import Edit, Region
    from locstyle.engine.backbone import Backbone, Text
    from locstyle.engine.schedule import Schedule
    from locstyle.style import Style


def region_text(
    region: Region,
    styles: Sequence[Style],
    edit: Edit,
    backbone: Backbone,
    schedule: Schedule,
    index: int,
) -> Timed:
    """The text of region number `index`; one per timestep where its styles come and go."""
    speaker = _Speaker(region, styles, edit, backbone, f"regions[{index}].prompt")
    texts: dict[tuple[int, ...], Text] = {}
    over_time = {}
    for t in schedule.timesteps:
        acting = tuple(
            number
            for number, one in enumerate(region.stylings)
            if Window(*one.window).holds(schedule.fraction(t))
        )
        if acting not in texts:
            texts[acting] = speaker.text(acting)
        over_time[t] = texts[acting]
    return over_time if len(texts) > 1 else over_time[schedule.noisiest]


def text_of(
    backbone: Backbone, prompt: str, where: str, words: Mapping[str, Tensor] | None = None
) -> Text:
    """A prompt's text; warns of one that is too long, with its place in the recipe."""
    text = backbone.text(prompt, words)
    if text.cut:
        said = f"longer than the text window; cut: {text.cut!r}"
        warnings.warn(LocstyleWarning(said, place=where), stacklevel=2)
    return text


class _Speaker:
    """Makes the text of one region for any choice of its styles."""

    def __init__(
        self, region: Region, styles: Sequence[Style], edit: Edit, backbone: Backbone, where: str
    ) -> None:
        self._region, self._styles, self._edit = region, styles, edit
        self._backbone, self._where = backbone, where

    def text(self, acting: Sequence[int]) -> Text:
        """The region's prompt, else the mean of its acting styles' texts, by their strengths.

        A style's text is its trigger with the edit's prompt as the subject. Pictures for styles
        that have no words of their own are given none: the photo's description would pull against
        them. What a style has learned counts as much as its strength says.
        """
        strengths = [one.strength for one in self._region.stylings]
        if self._region.prompt is not None:
            learned = [number for number, style in enumerate(self._styles) if style.words]
            words = {k: v for number in learned for k, v in self._styles[number].words.items()}
            heard = max((strengths[n] for n in learned if n in acting), default=0.0)
            return self._said(self._region.prompt, words, heard if learned else 1.0)
        spoken = [n for n in acting if self._styles[n].trigger]
        if not spoken:
            pictures = [self._styles[n].kinds == {"reference"} for n in acting]
            silent = bool(pictures) and all(pictures)
            return self._said("" if silent else self._edit.prompt, {}, 1.0)
        texts = [self._triggered(self._styles[n], strengths[n]) for n in spoken]
        return _mean(texts, [strengths[n] for n in spoken])

    def _triggered(self, style: Style, strength: float) -> Text:
        prompt = self._edit.prompt
        said = f"{style.trigger} of {prompt}" if prompt else style.trigger
        return self._said(said, style.words, strength if style.words else 1.0)

    def _said(self, prompt: str, words: Mapping[str, Tensor], strength: float) -> Text:
        text = text_of(self._backbone, prompt, self._where, words)
        if strength == 1:
            return text
        empty = self._backbone.text("")
        if strength == 0:
            return empty
        return replace(text, states=torch.lerp(empty.states, text.states, strength))


def _mean(texts: Sequence[Text], weights: Sequence[float]) -> Text:
    """Texts as one, token by token; the first where no weight counts."""
    total = sum(weights)
    if len(texts) == 1 or not total:
        return texts[0]
    states = sum(
        (weight / total * text.states for weight, text in zip(weights, texts, strict=True)),
        torch.zeros_like(texts[0].states),
    )
    spans = {name: span for text in texts for name, span in text.spans.items()}
    return replace(
        texts[0],
        prompt=" + ".join(text.prompt for text in texts),
        states=states,
        used=max(text.used for text in texts),
        spans=spans,
    )
