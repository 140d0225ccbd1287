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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import locstyle as ls

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor


class MagicStyle:
    """Each region takes texture and colour from its own reference pictures, layout from the photo.

    One row each for the photo, for every reference, and for the edit; no training, and nothing is
    kept from step to step. Regions with a LoRA, learned words, or a prompt alone may stand beside
    them: those attend as the photo does for a part of the schedule, and are guided.
    """

    carries = frozenset({"reference", "deltas", "words"})
    heeds = frozenset({"guidance"})
    requires_roles = frozenset({"self", "cross"})

    @dataclass(frozen=True)
    class Options:
        form: Literal["concat", "blend"] = "concat"  # one softmax over both pictures, or a blend
        beta: float = 24.0  # concat: how much a style key weighs beside a content key; 0 is none
        lam: float = 1.0  # blend: the style's share of the output, 0 to 1
        gamma: float = 0.25  # the photo's share of the queries, 0 to 1; more holds its structure
        temperature: float = 1.5  # multiplies the logits; above 1 attends to fewer places
        adain: bool = True  # give the start the reference's mean and spread, per channel
        # where features are fused: "all" self-attention, the "decoder", its layers from 6 on
        # ("late", as StyleID), or decoder layers by number
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
                raise ls.RecipeError(f"fusion.options.{name}: got {getattr(o, name)}; {asked}")
        self.inversion = ls.Inversion(aligned=o.aligned)

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
                    reading=Reading(scene.regions, FeatureFusion(self.options, styles)),
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

    def _sites(self, backbone: ls.Backbone) -> tuple[ls.Site, ...]:
        layers, sites = self.options.layers, backbone.sites.where(role="self")
        if layers == "all":
            return tuple(sites)
        decoder = [site for site in sites if site.stage == "up"]
        known = sorted({site.depth for site in decoder})
        if isinstance(layers, str):
            layers = tuple(known) if layers == "decoder" else tuple(d for d in known if d >= 6)
        for layer in layers:
            if layer not in known:
                raise ls.RecipeError(
                    f"fusion.options.layers: {layer} is no decoder layer of {backbone.name!r} with "
                    f"self-attention; it has {', '.join(map(str, known))}"
                )
        return tuple(site for site in decoder if site.depth in layers)

    def _guidance(self, scene: ls.Scene) -> list[float]:
        """Regions with pictures alone are not guided: that strengthens what is learned or said."""
        o = self.options
        return [1.0 if region.kinds == {"reference"} else o.guidance for region in scene.regions]


@dataclass(frozen=True, eq=False)
class FeatureFusion:
    """FFA: what queries read that take their style from pictures.

    With q̂ = γ q_content + (1 - γ) q and T the temperature, either
    concat: softmax([T q̂ k_contentᵀ, T q̂ k_styleᵀ + log β]) [v_content; v_style], or
    blend: (1 - λ) A(q̂, k_content, v_content) + λ A(q̂, k_style, v_style).
    A style's strength multiplies β or λ, its references share them, and style keys outside a
    reference's area do not count. `rows` are the names of the references' rows.
    """

    options: MagicStyle.Options
    rows: Mapping[ls.SceneReference, str]
    _areas: dict[Hashable, Tensor] = field(default_factory=dict, repr=False)

    def plain(self, mine: ls.Read, content: ls.Donor) -> ls.Read:
        """A(q̂, k_content, v_content)."""
        o = self.options
        q = o.temperature * (o.gamma * content.q + (1 - o.gamma) * mine.q)
        return mine.taking(q=q, k=content.k, v=content.v)

    def __call__(
        self,
        styles: Sequence[ls.SceneStyle],
        site: ls.Site,
        call: ls.Call,
        mine: ls.Read,
        content: ls.Donor,
        donors: Mapping[str, ls.Donor],
    ) -> list[ls.Read]:
        """The reads for styles that act in this step; without any, the plain one."""
        o, plain = self.options, self.plain(mine, content)
        if not styles:
            return [plain]
        keys = self._keys(styles, site, call, donors)
        if o.form == "concat":
            return [_one_softmax(plain, keys, o.beta)]
        share = min(1.0, o.lam * sum(one.strength for one in styles))
        bias = None if keys.alike else keys.weight.log()[None, None, None]
        styled = plain.taking(k=keys.k, v=keys.v)._replace(bias=bias)
        return [_weighed(plain, 1 - share), _weighed(styled, share)]

    def _keys(
        self,
        styles: Sequence[ls.SceneStyle],
        site: ls.Site,
        call: ls.Call,
        donors: Mapping[str, ls.Donor],
    ) -> _Keys:
        """Keys and values of all references of some styles."""
        import torch

        used = [(one, reference) for one in styles for reference in one.references]
        k, v = (
            torch.cat([getattr(donors[self.rows[reference]], part) for _, reference in used], 2)
            for part in "kv"
        )
        grid = call.grid(site)
        weights = [
            one.strength / len(one.references) * self._area(reference, grid, k)
            for one, reference in used
        ]
        alike = len({one.strength / len(one.references) for one, _ in used}) == 1
        return _Keys(k, v, torch.cat(weights), alike and all(ref.area is None for _, ref in used))

    def _area(self, reference: ls.SceneReference, grid: ls.Grid, like: Tensor) -> Tensor:
        """How much each of its tokens counts [n], kept for the whole edit."""
        size = grid.height, grid.width  # a reference is read whole, whichever tile reads it
        key = (reference, size, like.device, like.dtype)
        if key not in self._areas:
            self._areas[key] = reference.at(*size).flatten().to(like)
        return self._areas[key]


class _Keys(NamedTuple):
    """Keys and values [1, heads, keys, dim], how much each counts [keys], and whether alike."""

    k: Tensor
    v: Tensor
    weight: Tensor
    alike: bool


@dataclass(frozen=True, eq=False)
class Reading:
    """FFA for regions with pictures and, plain, for what is in no region; others follow the photo's
    attention for a while, on values of their own, as Plug-and-Play does."""

    regions: Sequence[ls.SceneRegion]
    fuse: FeatureFusion

    def __call__(
        self,
        owner: int,
        site: ls.Site,
        call: ls.Call,
        mine: ls.Read,
        donors: Mapping[str, ls.Donor],
    ) -> list[ls.Read]:
        content, region = donors["content"], self.regions[owner - 1] if owner else None
        if region is not None and not region.references:
            holds = call.fraction < self.fuse.options.attention_share
            return [mine.taking(q=content.q, k=content.k)] if holds else [mine]
        return self.fuse(region.showing(call) if region else [], site, call, mine, content, donors)


def _one_softmax(content: ls.Read, style: _Keys, beta: float) -> ls.Read:
    """One read over the keys of both pictures, a style key weighing β times its own weight."""
    import torch

    if beta == 0:
        return content
    rows = content.taking(k=style.k, v=style.v)
    k, v = torch.cat([content.k, rows.k], 2), torch.cat([content.v, rows.v], 2)
    if beta == 1 and style.alike and bool(style.weight[0] == 1):
        return content._replace(k=k, v=v)  # without a bias the fastest kernels stay possible
    lean = torch.zeros(1, 1, 1, k.shape[2], dtype=k.dtype, device=k.device)
    if content.bias is not None:
        lean[..., : content.k.shape[2]] = content.bias
    lean[..., content.k.shape[2] :] = math.log(beta) + style.weight.log()
    return content._replace(k=k, v=v, bias=lean)


def _weighed(read: ls.Read, share: float) -> ls.Read:
    return read._replace(weight=share * read.weight)


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("magicstyle", MagicStyle)
