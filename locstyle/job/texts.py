"""What a region says, and when: its own prompt, or what its styles were trained with."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from math import lcm
from typing import TYPE_CHECKING, Self, TypeAlias

import torch
from torch import Tensor

from locstyle.edit.checks import PLAIN
from locstyle.engine.backbones.marks import escaped, read_marks, unmarked
from locstyle.engine.plan import Timed, Window
from locstyle.errors import LocstyleWarning, at

if TYPE_CHECKING:
    from locstyle.edit import Edit, Region, Styling
    from locstyle.engine.backbone import Backbone, Text, TextDeltas
    from locstyle.engine.schedule import Schedule
    from locstyle.plugin.protocols import Fusion
    from locstyle.style import Delta, Style


Groups: TypeAlias = "Sequence[Sequence[Style]]"
"""The styles of each region of an edit."""


WINDOWS = 4
"""Windows of text that a prompt may take. Texts of several lengths are repeated to the least that
all of theirs divide, which is 12 with these."""


FEW, LONGEST = 12, 120
"""Words, and characters, that a warning quotes of what was cut."""


@dataclass(frozen=True)
class Reading:
    """How a backbone is given prompts: in so many `windows` with marks in them understood, or with
    None as they stand, in one."""

    backbone: Backbone
    windows: int | None = None

    @classmethod
    def of(cls, edit: Edit, fusion: Fusion, backbone: Backbone) -> Self:
        """As an edit asks, in as many windows as its fusion can use."""
        most = None if edit.prompts == PLAIN else getattr(fusion, "windows", WINDOWS)
        return cls(backbone, most)

    def text(
        self,
        prompt: str,
        where: str,
        words: Mapping[str, Tensor] | None = None,
        deltas: TextDeltas | None = None,
    ) -> Text:
        """A prompt's text; warns of one that is too long, with its place in the recipe.

        A prompt that fits into a window and in which all weighs alike is one and the same text
        either way, to the bit.
        """
        text = self._plain(prompt, words, deltas)
        if text is None or (text.cut and (self.windows or 0) > 1):
            with at(where):
                text = self.backbone.text(prompt, words, deltas, windows=self.windows)
        if text.cut:
            said = f"{self._why_cut(prompt, words or ())}; cut: {_in_short(text.cut)}"
            warnings.warn(LocstyleWarning(said, place=where), stacklevel=2)
        return text

    def _why_cut(self, prompt: str, words: Collection[str]) -> str:
        """Too long, or in more parts than there are windows."""
        most = self.windows
        if most is not None and len(read_marks(prompt, words)) > most:
            room = "one text window" if most == 1 else f"{most} text windows"
            return f"BREAK begins another text window, and the fusion reads {room}; leave it out"
        return f"longer than {'' if most in (None, 1) else f'{most} times '}the text window"

    def literally(self, text: str) -> str:
        """A text as it is to be written into a prompt, where nothing of it is a mark."""
        return text if self.windows is None else escaped(text)

    def _plain(
        self, prompt: str, words: Mapping[str, Tensor] | None, deltas: TextDeltas | None
    ) -> Text | None:
        """The text of a prompt as it stands; None of one with marks that are to be understood."""
        said = prompt if self.windows is None else unmarked(prompt, words or ())
        if said is None:
            return None
        say = self.backbone.text
        return say(said, words, deltas) if deltas else say(said, words)


def _in_short(cut: str) -> str:
    """The words that were cut, and of many the first and how many more they are."""
    words = cut.split()
    start = " ".join(words[:FEW])[:LONGEST]
    return repr(cut) if start == cut else f"{start!r} … ({len(words)} words)"


def region_texts(
    edit: Edit, styles: Groups, reading: Reading, schedule: Schedule, index: int
) -> tuple[Timed, Timed]:
    """The text and the negative text of region number `index`; one per timestep where its styles
    come and go. `styles`: of each region of the edit."""
    speaker = _Speaker(edit, styles, reading, index)
    region = edit.regions[index]
    text = _over_time(region, schedule, speaker.text)
    if any(style.text for style in styles[index]):
        return text, _over_time(region, schedule, speaker.negative)
    return text, speaker.negative(())


def negative_text(edit: Edit, styles: Groups, reading: Reading) -> Text:
    """The edit's own negative text, which what no region owns has."""
    pairs = zip(edit.regions, styles, strict=True)
    words = _negative_words(edit.negative, [s for pair in pairs for s in _acting_in(*pair)])
    return reading.text(edit.negative, "negative", words)


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


def acting_styles(
    edit: Edit, region: Region, styles: Sequence[Style]
) -> list[tuple[int, Styling, Style]]:
    """The styles that are to be seen in a region, each with its number: one of strength 0 is none,
    and so are words that stand in the negative prompt."""
    negative = edit.negative if region.negative is None else region.negative
    return [
        (number, one, style)
        for number, (one, style) in enumerate(zip(region.stylings, styles, strict=True))
        if one.strength and not is_negative(style, negative)
    ]


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


class _Speaker:
    """Makes the text of one region for any choice of its styles."""

    def __init__(self, edit: Edit, styles: Groups, reading: Reading, index: int) -> None:
        self._region, self._edit, self._reading = edit.regions[index], edit, reading
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
        return self._reading.text(self._negative, place, words, self._heard_by(acting))

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
        trigger = self._reading.literally(style.trigger)
        said = f"{trigger} of {prompt}" if prompt else trigger
        strength = self._region.stylings[number].strength if style.words else 1.0
        return self._said(said, style.words, strength, [number])

    def _said(
        self, prompt: str, words: Mapping[str, Tensor], strength: float, acting: Sequence[int]
    ) -> Text:
        place = f"{self._where}.prompt"
        text = self._reading.text(prompt, place, words, self._heard_by(acting))
        if strength == 1:
            return text
        empty = self._reading.backbone.text("")
        if strength == 0:
            return empty
        nothing = _copied(empty.states, text.states.shape[1])
        return replace(text, states=torch.lerp(nothing, text.states, strength))


def _mean(texts: Sequence[Text], weights: Sequence[float]) -> Text:
    """Texts as one, token by token, those in fewer windows repeated; the first where no weight
    counts."""
    total = sum(weights)
    if len(texts) == 1 or not total:
        return texts[0]
    tokens = lcm(*(text.states.shape[1] for text in texts))
    alike = [_copied(text.states, tokens) for text in texts]
    states = sum(
        (weight / total * one for weight, one in zip(weights, alike, strict=True)),
        torch.zeros_like(alike[0]),
    )
    spans = {name: span for text in texts for name, span in text.spans.items()}
    return replace(
        texts[0],
        prompt=" + ".join(text.prompt for text in texts),
        states=states,
        used=max(text.used for text in texts),
        spans=spans,
    )


def _copied(states: Tensor, tokens: int) -> Tensor:
    """States one after another until there are so many."""
    return states.repeat(1, tokens // states.shape[1], 1)
