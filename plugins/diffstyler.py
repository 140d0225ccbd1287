"""DiffStyler: one LoRA per region, features shared with the photo's own trajectory
(arXiv:2403.18461)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor


def adaptive(t: int) -> float:
    """How much of the source's queries and keys enters at timestep `t`: r = min(1, 2t/1000)."""
    return min(1.0, 2 * t / 1000)


class DiffStyler:
    """Every region has its own rows under its own LoRA; predictions are fused by the masks.

    Per region r there are three rows: the source at its stored latent, and the edited latent with
    the negative and with the region's prompt. In the decoder's self-attention the edited rows take
    queries and keys, and in one layer features, from the source row.
    """

    carries = frozenset({"deltas", "words"})
    heeds = frozenset({"guidance"})
    requires_roles = frozenset({"self", "cross", "conv"})

    @dataclass(frozen=True)
    class Options:
        guidance: float = 3.0  # w in eps_- + w (eps_+ - eps_-); 1 leaves the negative rows out
        style_in_negative: bool = False  # False: guidance strengthens the style, not words alone
        attention_share: float = 0.5  # first part of the schedule with shared q, k in region rows
        feature_share: float = 0.6  # first part of the schedule with shared features in region rows
        base_attention_share: float = 1.0  # the same for rows of the background
        base_feature_share: float = 1.0  # the same for their features
        feature_source: Literal["self", "base"] = (
            "base"  # whose source row: the region's LoRA, or none
        )
        lora_in_injected_layers: bool = (
            True  # False: LoRA sleeps where q, k are shared, as published
        )
        masks: Literal["soft", "hard"] = "soft"  # hard: a latent pixel belongs to one region
        background: Literal["trajectory", "base"] = (
            "trajectory"  # follow the photo, or denoise unstyled
        )
        fresh_noise: float = 0.0  # share of new noise in the regions' start; loosens the layout
        # None: the edit's own steps, each refined; a number: that many, unrefined
        inversion_steps: int | None = None
        # solver and steps where the edit names neither; None: the usual
        sampling: tuple[str, int] | None = None

    # The published code's schedules and constants, as in its run at 50 steps.
    PRESETS: ClassVar[dict[str, Options]] = {
        "reference": Options(
            guidance=10.5,
            style_in_negative=True,
            feature_source="self",
            lora_in_injected_layers=False,
            masks="hard",
            background="base",
            inversion_steps=999,
            sampling=("ddim", 50),
        )
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = o = options or self.Options()
        own = o.inversion_steps
        self.inversion = ls.Inversion() if own is None else ls.Inversion(steps=own, refine=0)
        self.sampling = ls.Sampling(*o.sampling or ())

    def plan(self, scene: ls.Scene) -> ls.Plan:
        owners = [*range(1, len(scene.regions) + 1)]
        if self.options.background == "base":
            owners.insert(0, 0)
        return ls.Plan(
            branches=tuple(self._branches(scene, owners)),
            interventions=(self._deltas(scene), *self._injection(scene, owners)),
            compose=self._fusion(scene, owners),
            hold=scene.outside(hard=self._hard)
            if self.options.background == "trajectory"
            else None,
            start=scene.start(self.options.fresh_noise, hard=self._hard),
        )

    @property
    def _hard(self) -> bool:
        return self.options.masks == "hard"

    def _branches(self, scene: ls.Scene, owners: list[int]) -> Iterator[ls.Branch]:
        """The rows of docs/methods.md eq. 1.2, once per model: source, negative, positive."""
        for source, users in self._sources(owners).items():
            until = max(max(self._until(owner)) for owner in users)
            yield ls.Branch(
                f"source {source}", scene.empty, source, scene.content, ls.Window(0, until)
            )
        for owner in owners:
            region = scene.regions[owner - 1] if owner else None
            if self._guidance(scene, owner) != 1:
                yield ls.Branch(f"- {owner}", region.negative if region else scene.negative, owner)
            yield ls.Branch(f"+ {owner}", region.text if region else scene.text, owner)

    def _sources(self, owners: list[int]) -> dict[int, list[int]]:
        """Which owners take from which source row, named by the owner it runs under."""
        if self.options.feature_source == "self":
            return {owner: [owner] for owner in owners}
        return {0: owners}

    def _until(self, owner: int) -> tuple[float, float]:
        """The parts of the schedule in which an owner's rows take attention, and the feature."""
        o = self.options
        if owner:
            return o.attention_share, o.feature_share
        return o.base_attention_share, o.base_feature_share

    def _deltas(self, scene: ls.Scene) -> ls.Intervention:
        asleep: set[str] = set()
        if not self.options.lora_in_injected_layers:
            sites = scene.backbone.sites
            inside = tuple(f"{site.name}." for site in ls.layout_sites(sites)[0])
            asleep = {site.name for site in sites if site.name.startswith(inside)}
        plain: set[str] = set()
        if not self.options.style_in_negative:
            plain = {f"- {owner}" for owner in range(len(scene.regions) + 1)}
        return ls.Deltas(scene.regions, ls.Ownership(scene.partition), asleep, plain)

    def _injection(self, scene: ls.Scene, owners: list[int]) -> Iterator[ls.Intervention]:
        """docs/methods.md eqs. 1.3-1.5: q and k blended, one layer's feature replaced."""
        attentions, features = ls.layout_sites(scene.backbone.sites)
        for source, users in self._sources(owners).items():
            for owner in users:
                attention, feature = (ls.Window(0, until) for until in self._until(owner))
                rows = f"source {source}", (f"- {owner}", f"+ {owner}")
                yield ls.Share(*rows, attentions, rate=adaptive, window=attention)
                yield ls.ShareFeature(*rows, features, feature)

    def _fusion(self, scene: ls.Scene, owners: list[int]) -> ls.Compose:
        """docs/methods.md eqs. 1.6-1.7: each owner's guided prediction where the masks say so."""
        own = scene.shares(hard=self._hard)[owners]
        # With the background held to the trajectory, the regions alone make up the prediction.
        own = own / own.sum(0).clamp_min(1e-6)

        def compose(predictions: ls.Predictions, call: ls.Call) -> Tensor:
            total = 0 * own[0]
            for area, owner in zip(own, owners, strict=True):
                scale = self._guidance(scene, owner)
                fused = ls.guided(f"- {owner}", f"+ {owner}", scale)(predictions, call)
                total = total + area * fused
            return total

        return compose

    def _guidance(self, scene: ls.Scene, owner: int) -> float:
        own = scene.regions[owner - 1].guidance if owner else None
        return self.options.guidance if own is None else own


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("diffstyler", DiffStyler)
