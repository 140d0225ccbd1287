"""Single pass: every kind of style at once, in one pair of rows, each token styled by its owner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import locstyle as ls

if TYPE_CHECKING:
    from collections.abc import Hashable

    from torch import Tensor


GUIDANCE = {"deltas": 2.0, "tokens": 3.0, "words": 4.0}
"""What each kind of style wants: the milder it is, the more."""


def guidance_of(region: ls.SceneRegion) -> float:
    """What the strongest of its kinds wants; a prompt alone is guided as a LoRA is.

    Pictures alone are not: guidance strengthens what is learned or said.
    """
    if region.kinds == {"reference"}:
        return 1.0
    return min((w for kind, w in GUIDANCE.items() if kind in region.kinds), default=2.0)


STRUCTURE = 0.25
"""Keeps about as much of the photo's edges as true renderings of the world's styles do."""

IN_FACES = 0.6
"""Eyes and mouth stay where they are."""


class Layout(NamedTuple):
    """How a region keeps the photo's layout: what `structure` means."""

    attention: float  # first part of the schedule with the photo's queries and keys
    feature: float  # first part of the schedule with the photo's decoder feature
    queries: float  # the photo's share of the queries that read pictures
    fresh: float  # share of new noise in the start

    @classmethod
    def of(cls, structure: float) -> Layout:
        """0 lets go of the photo, start included; 1 attends as the photo does to the end."""
        loose = max(0.0, 1 - 2 * structure)
        return cls(structure, min(1.0, 1.2 * structure), structure**2, loose)


class SinglePass:
    """One negative and one positive row for any number of regions and styles.

    LoRA deltas act on the tokens their region owns; every image token reads its own region's text,
    learned words in it, and beside it its region's style tokens, as in DEADiff; a region with
    pictures reads their rows in self-attention, as in MagicStyle. One row of the photo gives all
    regions their layout, as Plug-and-Play does, and outside all masks the latent follows the
    photo's trajectory. Only pictures cost rows, one each. Ours; no published method.
    """

    carries = frozenset({"deltas", "words", "tokens", "reference"})
    heeds = frozenset({"guidance", "structure"})
    sides = frozenset({"image", "text"})
    requires_roles = frozenset({"self", "cross", "conv"})

    @dataclass(frozen=True)
    class Options:
        guidance: float | None = None  # w in eps_- + w (eps_+ - eps_-); None: by kind of style
        structure: float | None = None  # of the photo's layout, 0 to 1; None: 0.25, in faces 0.6
        style_in_negative: bool = False  # False: guidance strengthens the style, not words alone
        apart: bool = True  # in self-attention a region sees none of another style
        norms_apart: bool | None = None  # GroupNorm by style; None: but for pictures alone
        beta: float = 24.0  # how much a picture's key weighs beside one of the photo's
        temperature: float = 1.5  # of attention to pictures; above 1 attends to fewer places
        adain: bool = True  # give the start a picture's mean and spread, per channel
        tone: float = 1.0  # how far the start goes to the tone that a palette asks; 0: not at all

    PRESETS: ClassVar[dict[str, Options]] = {
        "portrait": Options(structure=IN_FACES),  # as in faces, whatever the regions show
    }

    def __init__(self, options: Options | None = None) -> None:
        self.options = o = options or self.Options()
        if o.structure is not None and not 0 <= o.structure <= 1:
            raise ls.RecipeError(
                f"got {o.structure}; give a number in [0, 1]", place="options.structure"
            )
        self.inversion = ls.Inversion()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        o, ownership, layouts = self.options, ls.Ownership(scene.partition), self._layouts(scene)
        start = scene.start([layout.fresh for layout in layouts[1:]])
        start = ls.tinted(scene, start, o.tone)
        return ls.Plan(
            branches=tuple(self._branches(scene, layouts)),
            interventions=(
                *self._norms(scene, ownership),  # before what a style's norms gain
                ls.Deltas(scene.regions, ownership, plain=self._plain),
                self._texts(scene, ownership),
                *self._layout(scene, ownership, layouts),
            ),
            compose=ls.guided("-", "+", scene.guidance(self._guidance(scene))),
            hold=scene.outside(),
            start=ls.toned(scene, start) if o.adain else start,
        )

    @property
    def in_faces(self) -> float | None:
        """The structure of regions that show a face, where nobody says how much."""
        return IN_FACES if self.options.structure is None else None

    @property
    def _plain(self) -> tuple[str, ...]:
        return () if self.options.style_in_negative else ("-",)

    def _norms(self, scene: ls.Scene, ownership: ls.Ownership) -> list[ls.Intervention]:
        """Statistics of each style's own tokens; regions of pictures alone share the photo's."""
        apart, kin = self.options.norms_apart, _kin(scene.regions)
        if apart is None:
            alone = [False, *(region.kinds == {"reference"} for region in scene.regions)]
            kin = [0 if only else first for only, first in zip(alone, kin, strict=True)]
            apart = any(kin)
        return [ls.RegionalNorm(ownership, kin)] if apart else []

    def _layouts(self, scene: ls.Scene) -> list[Layout]:
        """By owner, unstyled first."""
        default = STRUCTURE if self.options.structure is None else self.options.structure
        own = [default if r.structure is None else r.structure for r in scene.regions]
        return [Layout.of(structure) for structure in (default, *own)]

    def _guidance(self, scene: ls.Scene) -> list[float]:
        """By region: as asked, where the region is guided at all."""
        asked, own = self.options.guidance, [guidance_of(region) for region in scene.regions]
        return own if asked is None else [w if w == 1 else asked for w in own]

    def _branches(self, scene: ls.Scene, layouts: Sequence[Layout]) -> Iterator[ls.Branch]:
        """The photo's row as long as anybody looks at it, the pictures' rows, and the pair."""
        shown = [one for region in scene.regions for one in region.styles if one.references]
        looks = [max(layout.attention, layout.feature) for layout in layouts]
        looks += [one.window.stop for one in shown]
        if max(looks) > 0:
            yield ls.Branch("source", scene.empty, 0, scene.content, ls.Window(0, max(looks)))
        for reference, name in scene.reference_rows.items():
            used = [one.window for one in shown if reference in one.references]
            window = ls.Window(min(w.start for w in used), max(w.stop for w in used))
            yield ls.Branch(name, scene.empty, 0, reference.trajectory, window)
        if scene.guides(self._guidance(scene)):
            yield ls.Branch("-", scene.negatives, ls.MIXED)
        yield ls.Branch("+", scene.texts, ls.MIXED)

    def _texts(self, scene: ls.Scene, ownership: ls.Ownership) -> ls.Intervention:
        """Each region's text and, where there are any, style tokens in the same softmax."""
        if not any("tokens" in region.kinds for region in scene.regions):
            return ls.RegionalText(ownership)
        styled = ("+", "-") if self.options.style_in_negative else ("+",)
        return ls.ExtraTokens(
            scene.regions,
            ownership,
            to=styled,
            absent=self._plain,
            without={site.name for site in ls.content_sites(scene.backbone.sites)},
        )

    def _layout(
        self, scene: ls.Scene, ownership: ls.Ownership, layouts: Sequence[Layout]
    ) -> Iterator[ls.Intervention]:
        o, pictures = self.options, scene.reference_rows
        attentions, features = ls.layout_sites(scene.backbone.sites)
        everywhere = bool(pictures) or o.apart
        fuse = ls.PictureFusion("source", pictures, beta=o.beta, temperature=o.temperature)
        reading = SelfReads(
            scene.regions,
            ownership,
            [layout.attention for layout in layouts],
            frozenset(attentions),
            [replace(fuse, gamma=layout.queries) for layout in layouts],
            _kin(scene.regions),
            o.apart,
        )
        yield ls.RegionalReads(
            donors=("source", *pictures.values()),
            to=("-", "+"),
            sites=tuple(scene.backbone.sites.where(role="self")) if everywhere else attentions,
            ownership=ownership,
            reading=reading,
        )
        alone = [False, *(region.kinds == {"reference"} for region in scene.regions)]
        windows = tuple(
            ls.Window(0, 0 if only else layout.feature)
            for only, layout in zip(alone, layouts, strict=True)
        )
        yield ls.ShareFeature("source", ("-", "+"), features, windows, ownership)


@dataclass(frozen=True, eq=False)
class SelfReads:
    """What a region's queries read in self-attention.

    While a picture acts, the photo and the picture (MagicStyle's fusion); else, in the first part
    of the schedule and the layers that hold a layout, with the photo's attention map; else as they
    would. `attention`, `fuse` and `kin` are by owner, unstyled first. `kin` says which owners are
    alike in style, by the first of them; `apart`: they see no others.
    """

    regions: Sequence[ls.SceneRegion]
    ownership: ls.Ownership
    attention: Sequence[float]
    sites: frozenset[ls.Site]
    fuse: Sequence[ls.PictureFusion]
    kin: Sequence[int]
    apart: bool

    def alike(self, owner: int, site: ls.Site, call: ls.Call) -> Hashable:
        if self._showing(owner, call):
            return self.kin[owner], self.attention[owner]
        return self.apart and self.kin[owner], self._holds(owner, site, call)

    def __call__(
        self,
        owner: int,
        site: ls.Site,
        call: ls.Call,
        mine: ls.Read,
        donors: Mapping[str, ls.Donor],
    ) -> list[ls.Read]:
        source = donors.get("source")
        seen = self._seen(owner, site, call, mine) if self.apart else None

        def sight(part: Tensor) -> Tensor:
            return part if seen is None else seen.of(part)

        if seen is not None:
            mine = mine._replace(bias=seen.bias)
        if source is not None and (acting := self._showing(owner, call)):
            photo = source._replace(k=sight(source.k), v=sight(source.v))
            return self.fuse[owner](acting, site, call, mine, {**donors, "source": photo})
        if source is not None and self._holds(owner, site, call):
            return [mine.taking(q=source.q, k=sight(source.k))._replace(v=sight(mine.v))]
        return [mine._replace(k=sight(mine.k), v=sight(mine.v))]

    def _showing(self, owner: int, call: ls.Call) -> list[ls.SceneStyle]:
        return self.regions[owner - 1].showing(call) if owner else []

    def _holds(self, owner: int, site: ls.Site, call: ls.Call) -> bool:
        return site in self.sites and call.fraction < self.attention[owner]

    def _seen(self, owner: int, site: ls.Site, call: ls.Call, mine: ls.Read) -> ls.Held:
        """The keys an owner sees: those it and its kin have a share in, as far as they have."""
        held = self.ownership.held(self.kin, call.grid(site), mine.q)
        return next(one for one in held if one.first == self.kin[owner])


def _kin(regions: Sequence[ls.SceneRegion]) -> list[int]:
    """By owner, unstyled first: the first owner with the same styles."""
    looks: list[Hashable] = [None]
    for region in regions:
        looks.append(tuple((s.style.digest, s.strength, s.window) for s in region.styles))
    return [looks.index(look) for look in looks]


@ls.hookimpl
def register_fusions(register: ls.Register) -> None:
    register("singlepass", SinglePass)
