"""MagicStyle: the style of a reference picture, fused in self-attention (arXiv:2409.08156).

A reconstruction. Known from the paper: content and style are inverted, and their self-attention
features are fused while denoising (FFA). Not public: its formula, layers, steps, start and
settings. The two forms of FFA here follow the closest published relatives, ZePo (one softmax over
the keys of both pictures) and Portrait Diffusion (a blend of two outputs); the mixed queries and
the start follow StyleID (arXiv:2312.09008). Defaults are ours, chosen in docs/fusion-defaults.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import locstyle as ls

FINE = 2  # latent pixels a token spans in StyleID's layers, at most: those of number 6 to 11


class MagicStyle:
    """Each region takes texture and colour from its own reference pictures, layout from the photo.

    One row each for the photo, for every reference, and for the edit; no training, and nothing is
    kept from step to step. Regions with a LoRA, learned words, or a prompt alone may stand beside
    them: those attend as the photo does for a part of the schedule, and are guided.
    """

    carries = frozenset({"reference", "deltas", "words"})
    heeds = frozenset({"guidance"})
    sides = frozenset({"image", "text"})
    requires_roles = frozenset({"self", "cross"})

    @dataclass(frozen=True)
    class Options:
        form: Literal["concat", "blend"] = "concat"  # one softmax over both pictures, or a blend
        beta: float = 24.0  # concat: how much a style key weighs beside a content key; 0 is none
        lam: float = 1.0  # blend: the style's share of the output, 0 to 1
        gamma: float = 0.25  # the photo's share of the queries, 0 to 1; more holds its structure
        temperature: float = 1.5  # multiplies the logits; above 1 attends to fewer places
        adain: bool = True  # give the start the reference's mean and spread, per channel
        # where features are fused: "all" self-attention, the "decoder", its layers at half and full
        # size ("late", from 6 on, as StyleID; in SDXL from 3 on), or decoder layers by number
        layers: Literal["all", "decoder", "late"] | tuple[int, ...] = "all"
        start: float = 0.0  # features are fused from this part of the schedule
        stop: float = 1.0  # to this one
        aligned: bool = True  # invert by the network's output at the latent's own timestep
        attention_share: float = 0.5  # regions without pictures: how long the photo's attention
        guidance: float = 2.0  # what is learned or said: w in eps_- + w (eps_+ - eps_-)

    PRESETS: ClassVar[dict[str, Options]] = {
        "portrait": Options(beta=2.0, gamma=0.75),
        # as StyleID sets what the paper leaves open
        "styleid": Options(form="blend", lam=1.0, gamma=0.75, layers="late"),
    }

    def __init__(self, options: Options | None = None) -> None:
        o = self.options = options or self.Options()
        for name, most in (("gamma", 1), ("lam", 1), ("beta", math.inf), ("temperature", math.inf)):
            if not 0 <= getattr(o, name) <= most:
                asked = "give 0 or more" if most == math.inf else f"give a number in [0, {most}]"
                got = getattr(o, name)
                raise ls.RecipeError(f"got {got}; {asked}", place=f"options.{name}")
        self.inversion = ls.Inversion(aligned=o.aligned)

    def check(self, backbone: ls.Backbone) -> None:
        """Refuses layers that the backbone does not have."""
        self._sites(backbone)

    def plan(self, scene: ls.Scene) -> ls.Plan:
        ownership = ls.Ownership(scene.partition)
        styles = scene.reference_rows
        return ls.Plan(
            branches=tuple(self._branches(scene, styles)),
            interventions=(
                ls.Deltas(scene.regions, ownership, plain=("-",)),
                ls.RegionalText(ownership),
                ls.RegionalReads(
                    donors=("content", *styles.values()),
                    to=("-", "edit"),
                    sites=self._sites(scene.backbone),
                    ownership=ownership,
                    reading=self._reads(scene),
                    window=ls.Window(self.options.start, self.options.stop),
                ),
            ),
            compose=ls.guided("-", "edit", scene.guidance(self._guidance(scene))),
            hold=scene.outside(),
            start=ls.toned(scene, scene.start(0)) if self.options.adain else None,
        )

    def _branches(
        self, scene: ls.Scene, styles: Mapping[ls.SceneReference, str]
    ) -> Iterator[ls.Branch]:
        """Content, style 1..J and edit; a negative row only where something is guided."""
        yield ls.Branch("content", scene.empty, 0, scene.content)
        for reference, name in styles.items():
            yield ls.Branch(name, scene.empty, 0, reference.trajectory)
        if scene.guides(self._guidance(scene)):
            yield ls.Branch("-", scene.negatives, ls.MIXED)
        yield ls.Branch("edit", scene.texts, ls.MIXED)

    def _reads(self, scene: ls.Scene) -> FusedReads:
        o = self.options
        fuse = ls.PictureFusion(
            "content",
            scene.reference_rows,
            form=o.form,
            beta=o.beta,
            lam=o.lam,
            gamma=o.gamma,
            temperature=o.temperature,
        )
        return FusedReads(scene.regions, fuse, o.attention_share)

    def _sites(self, backbone: ls.Backbone) -> tuple[ls.Site, ...]:
        layers, sites = self.options.layers, backbone.sites.where(role="self")
        if layers == "all":
            return tuple(sites)
        decoder = [site for site in sites if site.stage == "up"]
        known = sorted({site.depth for site in decoder})
        if isinstance(layers, str):
            fine = {site.depth for site in decoder if site.scale <= FINE}
            layers = tuple(d for d in known if layers == "decoder" or d in fine)
        for layer in layers:
            if layer not in known:
                raise ls.RecipeError(
                    f"{layer} is no decoder layer of {backbone.name!r} with self-attention; it has "
                    f"{', '.join(map(str, known))}",
                    place="options.layers",
                )
        return tuple(site for site in decoder if site.depth in layers)

    def _guidance(self, scene: ls.Scene) -> list[float]:
        """Regions with pictures alone are not guided: that strengthens what is learned or said."""
        o = self.options
        return [1.0 if region.kinds == {"reference"} else o.guidance for region in scene.regions]


@dataclass(frozen=True, eq=False)
class FusedReads:
    """FFA for regions with pictures and, plain, for what is in no region; others follow the photo's
    attention for a while, on values of their own, as Plug-and-Play does."""

    regions: Sequence[ls.SceneRegion]
    fuse: ls.PictureFusion
    until: float  # of the schedule, for regions without pictures

    def __call__(
        self,
        owner: int,
        site: ls.Site,
        call: ls.Call,
        mine: ls.Read,
        donors: Mapping[str, ls.Donor],
    ) -> list[ls.Read]:
        region = self.regions[owner - 1] if owner else None
        if region is None or region.references:
            return self.fuse(region.showing(call) if region else [], site, call, mine, donors)
        photo = donors["content"]
        return [mine.taking(q=photo.q, k=photo.k) if call.fraction < self.until else mine]


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("magicstyle", MagicStyle)
