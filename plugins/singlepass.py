"""Single pass: all regions and styles in one pair of rows, each token styled by its owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor


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
        ownership = ls.Ownership(scene.partition)
        return ls.Plan(
            branches=tuple(self._branches(scene)),
            interventions=(
                ls.Deltas(scene.regions, ownership, plain=self._plain),
                ls.RegionalText(ownership),
                *self._structure(scene.backbone.sites),
            ),
            compose=self._compose,
            hold=scene.outside(),
            start=scene.start(self.options.fresh_noise),
        )

    @property
    def _plain(self) -> tuple[str, ...]:
        return () if self.options.style_in_negative else ("-",)

    def _branches(self, scene: ls.Scene) -> Iterator[ls.Branch]:
        share = max(self.options.attention_share, self.options.feature_share)
        if share > 0:
            yield ls.Branch("source", scene.empty, 0, scene.content, ls.Window(0, share))
        if self.options.guidance != 1:
            negatives = (scene.negative, *(region.negative for region in scene.regions))
            yield ls.Branch("-", negatives, ls.MIXED)
        yield ls.Branch("+", (scene.text, *(region.text for region in scene.regions)), ls.MIXED)

    def _structure(self, sites: ls.Sites) -> Iterator[ls.Intervention]:
        """The photo's layout, held as Plug-and-Play does (arXiv:2211.12572)."""
        attentions, features = ls.layout_sites(sites)
        attention = ls.Window(0, self.options.attention_share)
        yield ls.Share("source", ("-", "+"), attentions, window=attention)
        yield ls.ShareFeature(
            "source", ("-", "+"), features, ls.Window(0, self.options.feature_share)
        )

    def _compose(self, predictions: ls.Predictions, call: ls.Call) -> Tensor:
        if self.options.guidance == 1:
            return predictions["+"]
        return ls.guide(predictions["-"], predictions["+"], self.options.guidance)


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("singlepass", SinglePass)
