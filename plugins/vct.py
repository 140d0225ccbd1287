"""VCT, Visual Concept Translator: a learned concept on a photo's layout (arXiv:2307.14352)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, Literal

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor

ALIGNED_ENDS = 2
"""Tokens of the empty text that are not padding: its two ends."""


class VCT:
    """The concept's words guide the edit; the photo's own row gives it its attention maps.

    Three rows for any number of regions: the source with the empty text, which is the content
    branch B* of the paper; the edit with the source's learned unconditional text, or the empty one;
    and the edit with every region's words. The last is the main branch B: it attends with B*'s
    maps, in self-attention of few tokens and, at first, in cross-attention to all but its own
    words. Regions may carry LoRAs, too. *Deviations:* B* follows the stored trajectory in place of
    being denoised beside B, which is the same path and saves its unconditional row; regions are
    told apart by who owns a query, where the paper has one concept for the whole picture.
    """

    carries = frozenset({"words", "deltas"})
    heeds = frozenset({"guidance"})
    sides = frozenset({"image", "text"})
    windows = 1  # its alignment is of texts as long as the empty one
    requires_roles = frozenset({"self", "cross"})

    @dataclass(frozen=True)
    class Options:
        guidance: float = 4.0  # w in (1 - w) eps_source + w eps_concept
        self_share: float = 0.9  # first part of the schedule with B*'s self-attention maps
        cross_share: float = 0.2  # the same for cross-attention to everything but the new words
        most_tokens: int = 1024  # self-attention of more tokens than this is never replaced
        equaliser: float = 1.0  # factor on attention to the concept's words while maps are shared
        equaliser_shifted: bool = False  # True: one token too early, as the published code has it
        source: Literal["trajectory", "pivot"] = (
            "trajectory"  # pivot: learn an unconditional text per step that leads back
        )
        fresh_noise: float = 0.0  # share of new noise in the regions' start; lets go of the subject
        refine: int = 1  # fixed-point iterations a step of the inversion
        pivot_iterations: int = 50  # updates of a step's text at most

    PRESETS: ClassVar[dict[str, Options]] = {
        # the settings of `CrystalNeuro/visual-concept-translator`, at 50 steps
        "reference": Options(
            guidance=7.5, equaliser=0.5, equaliser_shifted=True, source="pivot", refine=0
        ),
        # for another subject in a region's place: the photo's layout, and nothing of its noise
        "subject": Options(self_share=0.3, fresh_noise=1.0),
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = o = options or self.Options()
        pivot = ls.Pivot(o.guidance, o.pivot_iterations) if o.source == "pivot" else None
        self.inversion = ls.Inversion(refine=o.refine, pivot=pivot)
        # what is learned leads back in DDIM's steps, and few are too long to learn for
        self.sampling = ls.Sampling("ddim", 50) if pivot else ls.Sampling()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        ownership = ls.Ownership(scene.partition)
        return ls.Plan(
            branches=tuple(self._branches(scene)),
            interventions=(
                ls.Deltas(scene.regions, ownership, plain=("-",)),
                ls.RegionalText(ownership),
                self._self_maps(scene),
                self._cross_maps(scene),
            ),
            compose=ls.guided("-", "+", scene.guidance(self.options.guidance)),
            hold=scene.outside(),
            start=scene.start(self.options.fresh_noise),
        )

    def _branches(self, scene: ls.Scene) -> Iterator[ls.Branch]:
        o, learned = self.options, scene.content.unconditional
        share = max(o.self_share, o.cross_share)
        if share > 0:
            yield ls.Branch("source", scene.empty, 0, scene.content, ls.Window(0, share))
        if learned is not None:
            yield ls.Branch("-", learned)
        elif scene.guides(o.guidance):
            yield ls.Branch("-", scene.negatives, ls.MIXED)
        yield ls.Branch("+", scene.texts, ls.MIXED)

    def _self_maps(self, scene: ls.Scene) -> ls.Intervention:
        """docs/methods.md eq. 3.5: P_B ← P_B*, by sharing what the maps are made of."""
        height, width = scene.size
        small = tuple(
            site
            for site in scene.backbone.sites.where(role="self")
            if (height // site.scale) * (width // site.scale) <= self.options.most_tokens
        )
        return ls.Share("source", ("+",), small, window=ls.Window(0, self.options.self_share))

    def _cross_maps(self, scene: ls.Scene) -> ls.Intervention:
        """docs/methods.md eq. 3.6, for every region's text beside the source's empty one."""
        o = self.options
        words = [
            tuple(w for one in region.styles for w in one.style.words) for region in scene.regions
        ]

        @cache
        def aligned(text: ls.Text, names: tuple[str, ...]) -> tuple[Tensor, Tensor]:
            concept = concept_tokens(text, names, shifted=o.equaliser_shifted)
            return alignment(text, concept, o.equaliser)

        def alignments(t: int) -> list[tuple[Tensor, Tensor]]:
            pairs = zip(scene.texts, [(), *words], strict=True)
            return [aligned(ls.said(text, t), names) for text, names in pairs]

        return AttentionRefinement("source", "+", alignments, ls.Window(0, o.cross_share))


@dataclass(frozen=True, eq=False)
class AttentionRefinement:
    """Row `to` keeps its own attention to new tokens and takes the donor's to all that align.

    docs/methods.md eq. 3.6, without writing out the maps: column j of B's is eq_j P_B*[:, map(j)]
    where token j aligns and eq_j P_B[:, j] where it does not, so the output is one read with the
    donor's q and k, whose values are B's moved to the columns they align with, and one with B's own
    q and k, whose aligned values are 0. As the reference, columns are not made to sum to 1 again.
    Stands after RegionalText: `alignments` gives, for a timestep, one `alignment` per text of the
    row.
    """

    donor: str
    to: str
    alignments: Callable[[int], Sequence[tuple[Tensor, Tensor]]]
    window: ls.Window

    @property
    def takes(self) -> ls.Takes:
        return ls.Takes((self.donor,), (self.to,), ("q", "k"))

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        return sites.where(role="cross")

    def attend(self, site: ls.Site, call: ls.Call, reads: list[ls.Read]) -> list[ls.Read]:
        q, k = (call.given.get((self.donor, part)) for part in ("q", "k"))
        row = call.index(self.to)
        if q is None or k is None or row is None or not self.window.holds(call.fraction):
            return reads
        rest = set(range(len(call.rows))) - {row}
        refined = [read.only(rest) for read in reads if rest.intersection(read.batch_rows)]
        for read in reads:
            if row in read.batch_rows:
                refined += self._refined(call, read.only({row}), q, k.chunk(call.texts, 2)[0])
        return refined

    def _refined(self, call: ls.Call, mine: ls.Read, q: Tensor, k: Tensor) -> list[ls.Read]:
        """Two reads of one text: with its own map, and with the donor's."""
        own, aligned = self.alignments(call.t)[mine.text or 0]
        q = q if mine.tokens is None else q[:, :, mine.tokens]
        return [
            mine._replace(v=own.to(mine.v) * mine.v),
            mine._replace(q=q, k=k, v=aligned.to(mine.v) @ mine.v),
        ]


def alignment(text: ls.Text, concept: frozenset[int], equaliser: float) -> tuple[Tensor, Tensor]:
    """Which tokens of `text` are its own, and which align with one of the empty text.

    Its ends and its padding align (the last end with the empty text's, the padding place by place);
    its words are its own. Returned as what multiplies the values: [tokens, 1] for its own, and
    [tokens of the empty text, tokens] for the others, both with `equaliser` at `concept`'s tokens.
    """
    import torch

    tokens, last = text.states.shape[1], text.used - 1
    own, aligned = torch.zeros(tokens, 1), torch.zeros(tokens, tokens)
    for j in range(tokens):
        factor = equaliser if j in concept else 1.0
        if 0 < j < last:
            own[j] = factor
        else:
            aligned[ALIGNED_ENDS - 1 if j == last else j, j] = factor
    return own, aligned


def concept_tokens(text: ls.Text, words: tuple[str, ...], *, shifted: bool) -> frozenset[int]:
    """The tokens at which a text's learned words stand.

    `shifted`: one too early, first of them the start of the text, because the reference's finder of
    words leaves out the start token that Prompt-to-Prompt counts.
    """
    spans = (text.spans[name] for name in words if name in text.spans)
    return frozenset(j - shifted for start, stop in spans for j in range(start, stop))


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("vct", VCT)
