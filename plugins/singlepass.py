"""Single pass: all regions and styles in one pair of rows, each token styled by its owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import locstyle as ls


class SinglePass:
    """One negative and one positive row for any number of regions.

    LoRA deltas act on the tokens their region owns, every image token attends to its own region's
    text, and outside all masks the latent follows the photo's trajectory. The cost in rows does not
    depend on the number of regions. Ours; no published method.
    """

    carries = frozenset({"deltas", "words"})
    requires_roles = frozenset({"self", "cross", "conv"})

    @dataclass(frozen=True)
    class Options:
        guidance: float = 2.0  # w in eps_- + w (eps_+ - eps_-); 1 leaves the negative row out
        style_in_negative: bool = False  # False: guidance strengthens the style, not words alone
        attention_share: float = 0.5  # first part of the schedule with the photo's queries and keys
        feature_share: float = 0.6  # first part of the schedule with the photo's decoder feature
        fresh_noise: float = 0.0  # share of new noise in the regions' start; loosens the layout

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or self.Options()
        self.inversion = ls.Inversion()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        o, ownership = self.options, ls.Ownership(scene.partition)
        return ls.Plan(
            branches=tuple(self._branches(scene)),
            interventions=(
                ls.Deltas(scene.regions, ownership, plain=self._plain),
                ls.RegionalText(ownership),
                *ls.keep_layout(
                    scene.backbone.sites,
                    "source",
                    ("-", "+"),
                    attention=o.attention_share,
                    feature=o.feature_share,
                ),
            ),
            compose=ls.guided("-", "+", o.guidance),
            hold=scene.outside(),
            start=scene.start(o.fresh_noise),
        )

    @property
    def _plain(self) -> tuple[str, ...]:
        return () if self.options.style_in_negative else ("-",)

    def _branches(self, scene: ls.Scene) -> Iterator[ls.Branch]:
        share = max(self.options.attention_share, self.options.feature_share)
        if share > 0:
            yield ls.Branch("source", scene.empty, 0, scene.content, ls.Window(0, share))
        if self.options.guidance != 1:
            yield ls.Branch("-", scene.negatives, ls.MIXED)
        yield ls.Branch("+", scene.texts, ls.MIXED)


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("singlepass", SinglePass)
