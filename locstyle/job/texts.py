"""What a region says, and when: its own prompt, or what its styles were trained with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import torch
from torch import Tensor

from locstyle.engine.plan import Timed, Window
from locstyle.errors import LocstyleWarning

if TYPE_CHECKING:
    from locstyle.edit import Edit, Region
    from locstyle.engine.backbone import Backbone, Text, TextDeltas
    from locstyle.engine.schedule import Schedule
    from locstyle.style import Delta, Style


Groups: TypeAlias = "Sequence[Sequence[Style]]"
"""The styles of each region of an edit."""


def region_texts(
    edit: Edit, styles: Groups, backbone: Backbone, schedule: Schedule, index: int
) -> tuple[Timed, Timed]:
    """The text and the negative text of region number `index`; one per timestep where its styles
    come and go. `styles`: of each region of the edit."""
    speaker = _Speaker(edit, styles, backbone, index)
    region = edit.regions[index]
    text = _over_time(region, schedule, speaker.text)
    if any(style.text for style in styles[index]):
        return text, _over_time(region, schedule, speaker.negative)
    return text, speaker.negative(())


def negative_text(edit: Edit, styles: Groups, backbone: Backbone) -> Text:
    """The edit's own negative text, which what no region owns has."""
    pairs = zip(edit.regions, styles, strict=True)
    words = _negative_words(edit.negative, [s for pair in pairs for s in _acting_in(*pair)])
    return text_of(backbone, edit.negative, "negative", words)


def _acting_in(region: Region, styles: Sequence[Style]) -> list[Style]:
    """A region's styles but those of strength 0, which are none."""
    return [s for one, s in zip(region.stylings, styles, strict=True) if one.strength]


def _negative_words(prompt: str, styles: Sequence[Style]) -> dict[str, Tensor]:
    """The words in a negative prompt that any style of the edit has learned; the first counts.

    Negative prompts are said of whole edits, and so are the words that were learned for them.
    """
    found: dict[str, Tensor] = {}
    for style in styles:
        found |= {name: v for name, v in style.words.items() if name in prompt} | found
    return found


def is_negative(style: Style, prompt: str) -> bool:
    """Whether a style is words that a negative prompt says, and nothing else."""
    return style.kinds == {"words"} and any(name in prompt for name in style.words)


def _over_time(region: Region, schedule: Schedule, said: Callable[[Sequence[int]], Text]) -> Timed:
    """What is said of the numbers of those styles that act."""
    texts: dict[tuple[int, ...], Text] = {}
    over_time = {}
    for t in schedule.timesteps:
        acting = tuple(
            number
            for number, one in enumerate(region.stylings)
            if Window(*one.window).holds(schedule.fraction(t))
        )
        if acting not in texts:
            texts[acting] = said(acting)
        over_time[t] = texts[acting]
    return over_time if len(texts) > 1 else over_time[schedule.noisiest]


def text_of(
    backbone: Backbone,
    prompt: str,
    where: str,
    words: Mapping[str, Tensor] | None = None,
    deltas: TextDeltas | None = None,
) -> Text:
    """A prompt's text; warns of one that is too long, with its place in the recipe."""
    text = backbone.text(prompt, words, deltas) if deltas else backbone.text(prompt, words)
    if text.cut:
        said = f"longer than the text window; cut: {text.cut!r}"
        warnings.warn(LocstyleWarning(said, place=where), stacklevel=2)
    return text


class _Speaker:
    """Makes the text of one region for any choice of its styles."""

    def __init__(self, edit: Edit, styles: Groups, backbone: Backbone, index: int) -> None:
        self._region, self._edit, self._backbone = edit.regions[index], edit, backbone
        own = self._region.negative
        self._negative = edit.negative if own is None else own
        self._styles = styles[index]
        own_first = sorted(range(len(styles)), key=lambda number: number != index)
        self._all = [style for n in own_first for style in _acting_in(edit.regions[n], styles[n])]
        self._where = f"regions[{index}]"

    def text(self, acting: Sequence[int]) -> Text:
        """The region's prompt, else the mean of its acting styles' texts, by their strengths.

        A style's text is its trigger with the edit's prompt as the subject. Pictures for styles
        that have no words of their own are given none: the photo's description would pull against
        them. What a style has learned counts as much as its strength says.
        """
        strengths = [one.strength for one in self._region.stylings]
        said = [not is_negative(style, self._negative) for style in self._styles]
        acting = [n for n in acting if said[n]]
        if self._region.prompt is not None:
            learned = [n for n, style in enumerate(self._styles) if style.words and said[n]]
            words = {k: v for number in learned for k, v in self._styles[number].words.items()}
            heard = max((strengths[n] for n in learned if n in acting), default=0.0)
            return self._said(self._region.prompt, words, heard if learned else 1.0, acting)
        spoken = [n for n in acting if self._styles[n].trigger]
        if not spoken:
            pictures = [self._styles[n].kinds == {"reference"} for n in acting]
            silent = bool(pictures) and all(pictures)
            return self._said("" if silent else self._edit.prompt, {}, 1.0, acting)
        texts = [self._triggered(n) for n in spoken]
        return _mean(texts, [strengths[n] for n in spoken])

    def negative(self, acting: Sequence[int]) -> Text:
        """The region's negative prompt, else the edit's, as the acting styles hear it."""
        words = _negative_words(self._negative, self._all)
        place = f"{self._where}.negative"
        return text_of(self._backbone, self._negative, place, words, self._heard_by(acting))

    def _heard_by(self, acting: Sequence[int]) -> TextDeltas:
        """What these styles change in the text encoders, each as strongly as it acts."""
        found: dict[str, list[tuple[Delta, float]]] = {}
        for number in acting:
            strength = self._region.stylings[number].strength
            for site, delta in self._styles[number].text.items() if strength else ():
                found.setdefault(site, []).append((delta, strength))
        return found

    def _triggered(self, number: int) -> Text:
        prompt, style = self._edit.prompt, self._styles[number]
        said = f"{style.trigger} of {prompt}" if prompt else style.trigger
        strength = self._region.stylings[number].strength if style.words else 1.0
        return self._said(said, style.words, strength, [number])

    def _said(
        self, prompt: str, words: Mapping[str, Tensor], strength: float, acting: Sequence[int]
    ) -> Text:
        place = f"{self._where}.prompt"
        text = text_of(self._backbone, prompt, place, words, self._heard_by(acting))
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
