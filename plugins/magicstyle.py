"""MagicStyle: the style of a reference picture, fused in self-attention (arXiv:2409.08156).

A reconstruction. Known from the paper: content and style are inverted, and their self-attention
features are fused while denoising (FFA). Not public: its formula, layers, steps, start and
settings. The two forms of FFA here follow the closest published relatives, ZePo (one softmax over
the keys of both pictures) and Portrait Diffusion (a blend of two outputs); the mixed queries and
the start follow StyleID (arXiv:2312.09008). Defaults are ours, chosen in docs/fusion-defaults.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import locstyle as ls

if TYPE_CHECKING:
    from torch import Tensor


class MagicStyle:
    """Each region takes texture and colour from its own reference pictures, layout from the photo.

    One row each for the photo, for every reference, and for the edit; no training, and nothing is
    kept from step to step. Regions with a LoRA, learned words, or a prompt alone may stand beside
    them: those attend as the photo does for a part of the schedule, and are guided.
    """

    carries = frozenset({"reference", "deltas", "words"})
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
        styles = _style_rows(scene)
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
                    reading=FeatureFusion(self.options, scene.regions, styles),
                    window=ls.Window(self.options.start, self.options.stop),
                ),
            ),
            compose=self._composition(scene),
            hold=scene.outside(),
            start=self._start(scene) if self.options.adain else None,
        )

    def _branches(
        self, scene: ls.Scene, styles: Mapping[ls.SceneReference, str]
    ) -> Iterator[ls.Branch]:
        """Content, style 1..J and edit; a negative row only where something is guided."""
        yield ls.Branch("content", scene.empty, 0, scene.content)
        for reference, name in styles.items():
            yield ls.Branch(name, scene.empty, 0, reference.trajectory)
        if self._guides(scene):
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

    def _start(self, scene: ls.Scene) -> Tensor:
        """The photo's noise with the statistics of the references' noise, region by region."""
        x = scene.start(0)
        shares = scene.shares()
        moved = shares[0] * x
        for share, region in zip(shares[1:], scene.regions, strict=True):
            like = [
                adain(x, share, r.trajectory.at(scene.schedule.noisiest), r.at(*scene.size))
                for r in region.references
            ]
            moved = moved + share * (sum(like[1:], like[0]) / len(like) if like else x)
        return moved

    def _guides(self, scene: ls.Scene) -> bool:
        return self.options.guidance != 1 and any(map(_is_guided, scene.regions))

    def _composition(self, scene: ls.Scene) -> ls.Compose:
        """The edit's row; guided where a region has more than pictures, or other than them."""
        if not self._guides(scene):
            return lambda predictions, call: predictions["edit"]
        guided = [_is_guided(region) for region in scene.regions]
        scale = 1 + (self.options.guidance - 1) * scene.shares()[1:][guided].sum(0)
        return lambda predictions, call: ls.guide(predictions["-"], predictions["edit"], scale)


@dataclass(frozen=True, eq=False)
class FeatureFusion:
    """FFA, for the queries of one region.

    With q̂ = γ q_content + (1 - γ) q and T the temperature, a region with references reads either
    concat: softmax([T q̂ k_contentᵀ, T q̂ k_styleᵀ + log β]) [v_content; v_style], or
    blend: (1 - λ) A(q̂, k_content, v_content) + λ A(q̂, k_style, v_style).
    Its strength multiplies β or λ, several references share them, and style keys outside a
    reference's area do not count. Unstyled queries read A(q̂, k_content, v_content).
    """

    options: MagicStyle.Options
    regions: tuple[ls.SceneRegion, ...]
    styles: Mapping[ls.SceneReference, str]

    def __call__(
        self,
        owner: int,
        site: ls.Site,
        call: ls.Call,
        mine: ls.Read,
        donors: Mapping[str, ls.Donor],
    ) -> list[ls.Read]:
        o, content = self.options, donors["content"]
        region = self.regions[owner - 1] if owner else None
        if region and not region.references:
            # as Plug-and-Play: the photo's attention map on the row's own values
            holds = call.fraction < o.attention_share
            return [_given(mine, q=content.q, k=content.k)] if holds else [mine]
        q = o.temperature * (o.gamma * content.q + (1 - o.gamma) * mine.q)
        plain = _given(mine, q=q, k=content.k, v=content.v)
        strength = region.strength if region and region.window.holds(call.fraction) else 0.0
        if not (region and strength):
            return [plain]
        styled = _given(mine, q=q, **self._keys(region, site, call, donors))
        if o.form == "concat":
            return [_one_softmax(plain, styled, strength * o.beta / len(region.references))]
        share = min(1.0, strength * o.lam)
        return [_weighed(plain, 1 - share), _weighed(styled, share)]

    def _keys(
        self, region: ls.SceneRegion, site: ls.Site, call: ls.Call, donors: Mapping[str, ls.Donor]
    ) -> dict[str, Tensor]:
        """Keys and values of all references of a region, and which of them count."""
        import torch

        given = [donors[self.styles[reference]] for reference in region.references]
        parts = {part: torch.cat([getattr(one, part) for one in given], 2) for part in "kv"}
        if all(reference.area is None for reference in region.references):
            return parts
        size = (call.size[0] // site.scale, call.size[1] // site.scale)
        areas = torch.cat([reference.at(*size).flatten() for reference in region.references])
        return parts | {"bias": areas.to(parts["k"]).log()[None, None, None]}


def _one_softmax(content: ls.Read, style: ls.Read, beta: float) -> ls.Read:
    """One read over the keys of both pictures, a style key weighing β times a content key."""
    import torch

    if beta == 0:
        return content
    k, v = (torch.cat([a, b], 2) for a, b in ((content.k, style.k), (content.v, style.v)))
    if beta == 1 and style.bias is None:
        return content._replace(k=k, v=v)  # without a bias the fastest kernels stay possible
    lean = torch.zeros(1, 1, 1, k.shape[2], dtype=k.dtype, device=k.device)
    lean[..., content.k.shape[2] :] = math.log(beta) + (0 if style.bias is None else style.bias)
    return content._replace(k=k, v=v, bias=lean)


def _given(read: ls.Read, **parts: Tensor) -> ls.Read:
    """The read with some parts replaced by those of one other row, the same for all of its rows."""
    rows = read.q.shape[0]
    return read._replace(
        **{name: part.expand(rows, *part.shape[1:]) for name, part in parts.items()}
    )


def _weighed(read: ls.Read, share: float) -> ls.Read:
    return read._replace(weight=share * read.weight)


def _is_guided(region: ls.SceneRegion) -> bool:
    """Whether a LoRA or words act in it, which guidance strengthens; a picture needs none."""
    learned = region.style is not None and region.style.kinds & {"deltas", "words"}
    return bool(learned) or not region.references


def _style_rows(scene: ls.Scene) -> dict[ls.SceneReference, str]:
    """The name of every reference's row; a picture used by several regions has one."""
    found = dict.fromkeys(r for region in scene.regions for r in region.references)
    return {reference: f"style {number}" for number, reference in enumerate(found, start=1)}


def adain(x: Tensor, share: Tensor, style: Tensor, area: Tensor) -> Tensor:
    """`x` [1, C, h, w] with the mean and spread of `style` per channel (arXiv:1703.06868 eq. 8).

    Its own are taken where `share` [1, 1, h, w] says, the style's where `area` [h, w] does.
    """
    (mean, spread), (new_mean, new_spread) = _statistics(x, share), _statistics(style, area)
    return (x - mean) / spread * new_spread + new_mean


def _statistics(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    share = (weight / weight.sum().clamp_min(1e-12)).to(x)
    mean = (share * x).sum((-2, -1), keepdim=True)
    variance = (share * (x - mean) ** 2).sum((-2, -1), keepdim=True)
    return mean, variance.sqrt().clamp_min(1e-6)


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("magicstyle", MagicStyle)
