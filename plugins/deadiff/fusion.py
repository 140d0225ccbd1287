"""DEADiff at work: text and image tokens in one softmax, in a photo or from noise alone
(arXiv:2403.06951)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import locstyle as ls

QUERIES = 16  # tokens of zeros that stand for an absent picture


class DEADiff:
    """One negative and one positive row; every region reads its text beside its style's tokens.

    The layers of the middle read what a picture shows, all others how it is made, so either can be
    left out; a region's strength is the published `img_weight`. The negative row reads no picture.
    LoRA deltas of other regions act as in `singlepass`. The published method starts from noise
    (preset `reference`); holding on to a photo, by its inversion and the features of its own row,
    is ours.
    """

    carries = frozenset({"tokens", "deltas", "words"})
    heeds = frozenset({"guidance"})
    sides = frozenset({"image", "text"})
    requires_roles = frozenset({"self", "cross", "conv"})

    @dataclass(frozen=True)
    class Options:
        guidance: float = 3.0  # w in eps_- + w (eps_+ - eps_-); 1 leaves the negative row out
        mode: Literal["style", "content", "both"] = "style"  # what is taken from the picture
        outside: Literal["plain", "zeros"] = "plain"  # what regions without tokens read beside text
        attention_share: float = 0.5  # first part of the schedule with the photo's queries and keys
        feature_share: float = 0.6  # first part of the schedule with the photo's decoder feature
        fresh_noise: float = 0.0  # share of new noise in the regions' start; loosens the layout
        one_softmax: bool = False  # one attention for all regions where no two share a token
        # solver and steps where the edit names neither; None: the usual
        sampling: tuple[str, int] | None = None

    # 50 steps from pure noise, the guidance of the published `inference.py`.
    PRESETS: ClassVar[dict[str, Options]] = {
        "reference": Options(
            guidance=7.5,
            outside="zeros",
            attention_share=0,
            feature_share=0,
            fresh_noise=1.0,
            sampling=("ddim", 50),
        )
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()
        self.inversion = ls.Inversion()
        self.sampling = ls.Sampling(*self.options.sampling or ())

    def plan(self, scene: ls.Scene) -> ls.Plan:
        o, ownership = self.options, ls.Ownership(scene.partition)
        return ls.Plan(
            branches=tuple(self._branches(scene)),
            interventions=(
                ls.Deltas(scene.regions, ownership, plain=("-",)),
                self._tokens(scene, ownership),
                *ls.keep_layout(
                    scene.backbone.sites,
                    "source",
                    ("-", "+"),
                    attention=o.attention_share,
                    feature=o.feature_share,
                ),
            ),
            compose=ls.guided("-", "+", scene.guidance(o.guidance)),
            hold=scene.outside(),
            start=scene.start(o.fresh_noise),
        )

    def _branches(self, scene: ls.Scene) -> Iterator[ls.Branch]:
        share = max(self.options.attention_share, self.options.feature_share)
        if share > 0:
            yield ls.Branch("source", scene.empty, 0, scene.content, ls.Window(0, share))
        if scene.guides(self.options.guidance):
            yield ls.Branch("-", scene.negatives, ls.MIXED)
        yield ls.Branch("+", scene.texts, ls.MIXED)

    def _tokens(self, scene: ls.Scene, ownership: ls.Ownership) -> ls.Intervention:
        """Joint text-image cross-attention by region, docs/methods.md eqs. 2.1-2.3."""
        sites = scene.backbone.sites
        coarse = {site.name for site in ls.content_sites(sites)}
        fine = {site.name for site in ls.cross_sites(sites)} - coarse
        return ls.ExtraTokens(
            scene.regions,
            ownership,
            to=("+",),
            absent=("-",),
            without={"style": coarse, "content": fine, "both": set()}[self.options.mode],
            outside=QUERIES if self.options.outside == "zeros" else 0,
            form="bias" if self.options.one_softmax else "reads",
        )
