"""What interventions may rely on: any order works or is refused by name, chunked rows or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from locstyle import (
    MIXED,
    Branch,
    Call,
    Deltas,
    DenoiseError,
    Donor,
    ExtraTokens,
    Intervention,
    Ownership,
    Plan,
    Read,
    RegionalNorm,
    RegionalReads,
    RegionalText,
    Scene,
    Share,
    ShareFeature,
    Site,
    SiteError,
    Sites,
    Takes,
    Window,
    denoise,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import random_style, random_tokens, tiny_scene

ROWS = ("-", "+")


def run(scene: Scene, acting: Sequence[Intervention], max_rows: int | None = None) -> Tensor:
    """One step of a plan in which takers stand before those they take from."""
    plan = Plan(
        branches=(
            Branch("+", scene.texts, MIXED),
            Branch("-", scene.negatives, MIXED),
            Branch("styled", scene.regions[0].text, 1, scene.content),
            Branch("source", scene.empty, 0, scene.content),
        ),
        interventions=tuple(acting),
        compose=lambda rows, call: rows["-"] + 2 * (rows["+"] - rows["-"]) + 0.1 * rows["styled"],
    )
    with torch.no_grad():
        return denoise(
            scene.backbone, plan, scene.schedule, scene.start(0.2), max_rows=max_rows
        ).latent


def taken(
    owner: int, site: Site, call: Call, mine: Read, donors: Mapping[str, Donor]
) -> Iterable[Read]:
    """Region 1 reads what the source reads, all others as they would."""
    source = donors["source"]
    return [mine.taking(k=source.k, v=source.v) if owner == 1 else mine]


def itself(*given: object) -> Iterable[object]:
    return [given[3]]


Making = Callable[[Scene, Ownership], Intervention]


def of(scene: Scene, **where: str) -> tuple[Site, ...]:
    return tuple(scene.backbone.sites.where(**where))  # type: ignore[arg-type]  # roles, stages


PUBLIC: dict[str, Making] = {
    "Deltas": lambda scene, own: Deltas(scene.regions, own, plain=("-",)),
    "RegionalText": lambda scene, own: RegionalText(own),
    "ExtraTokens": lambda scene, own: ExtraTokens(scene.regions, own, to=("+",), absent=("-",)),
    "ExtraTokens, one softmax": lambda scene, own: ExtraTokens(
        scene.regions, own, to=("+",), form="bias"
    ),
    "Share, self": lambda scene, own: Share(
        "source", ROWS, of(scene, role="self", stage="up"), rate=lambda t: 0.5
    ),
    "Share, cross": lambda scene, own: Share("source", ("+",), of(scene, role="cross"), "kv"),
    "Share of a taker": lambda scene, own: Share("-", ("+",), of(scene, role="self"), "q"),
    "ShareFeature": lambda scene, own: ShareFeature("styled", ROWS, of(scene, role="conv")),
    "ShareFeature, norms": lambda scene, own: ShareFeature("source", ROWS, of(scene, role="norm")),
    "ShareFeature by region": lambda scene, own: ShareFeature(
        "source", ROWS, of(scene, role="conv", stage="up"),
        (Window(0, 0), Window(), Window(0, 0)), own,
    ),
    "RegionalNorm": lambda scene, own: RegionalNorm(own, (0, 1, 2)),
    "RegionalReads, self": lambda scene, own: RegionalReads(
        ("source",), ROWS, of(scene, role="self"), own, taken
    ),
    "RegionalReads, cross": lambda scene, own: RegionalReads(
        ("styled",), ("+",), of(scene, role="cross"), own, itself
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def scene(backbone: UNetBackbone) -> Scene:
    return tiny_scene(backbone, [random_style(backbone, 1), random_tokens(backbone, 2)], steps=1)


CUTS_TEXT = {"RegionalText", "ExtraTokens", "ExtraTokens, one softmax"}
REFUSED = {
    *product(CUTS_TEXT, CUTS_TEXT),
    *(("RegionalReads, cross", name) for name in CUTS_TEXT),
    ("ShareFeature, norms", "RegionalNorm"),
    ("RegionalNorm", "RegionalNorm"),
}


@pytest.mark.parametrize(("first", "second"), list(product(PUBLIC, PUBLIC)), ids=str)
def test_any_order_works_or_is_refused_by_name(scene: Scene, first: str, second: str) -> None:
    own = Ownership(scene.partition)
    acting = [PUBLIC[name](scene, own) for name in (first, second)]
    if (first, second) in REFUSED:
        with pytest.raises(SiteError, match=f"{type(acting[1]).__name__}.* first in the plan"):
            run(scene, acting)
        return
    whole = run(scene, acting)
    assert whole.isfinite().all()
    for max_rows in (1, 3):
        assert torch.allclose(run(scene, acting, max_rows), whole, atol=1e-4)


@pytest.mark.parametrize("name", PUBLIC)
def test_each_does_something(scene: Scene, name: str) -> None:
    own = Ownership(scene.partition)
    plain = run(scene, [])
    if name != "RegionalReads, cross":  # whose reading is the rows' own
        assert not torch.allclose(run(scene, [PUBLIC[name](scene, own)]), plain, atol=1e-4)


def test_what_projects_goes_before_what_reads_in_any_order(scene: Scene) -> None:
    own = Ownership(scene.partition)
    for reads, shares in (("ExtraTokens", "Share, cross"), ("RegionalReads, self", "Share, self")):
        acting = [PUBLIC[name](scene, own) for name in (reads, shares)]
        assert torch.equal(run(scene, acting), run(scene, acting[::-1]))


@dataclass(frozen=True)
class Borrowed:
    """What a third party might write: its fields have names of its own."""

    source: str
    borrower: str
    part: str

    @property
    def takes(self) -> Takes:
        return Takes((self.source,), (self.borrower,), (self.part,))  # type: ignore[arg-type]  # "v" or "y"

    def where(self, sites: Sites) -> list[Site]:
        return sites.where(role="self" if self.part == "v" else "conv", stage="up")

    def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
        row = call.index(self.borrower)
        if row is None:
            return reads
        (read,) = reads
        v = read.v.clone()
        v[row] = call.given[self.source, "v"][0]
        return [read._replace(v=v)]

    def feature(self, site: Site, call: Call, layer: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        row = call.index(self.borrower)
        if row is None:
            return y
        y = y.clone()
        y[row] = call.given[self.source, "y"][0]
        return y


@pytest.mark.parametrize("part", ["v", "y"])
def test_a_third_party_takes_from_rows_of_another_chunk(scene: Scene, part: str) -> None:
    borrowed = Borrowed("styled", "+", part)
    whole = run(scene, [borrowed])
    assert torch.allclose(run(scene, [borrowed], 1), whole, atol=1e-5)
    assert not torch.allclose(run(scene, []), whole, atol=1e-3)


def test_rows_that_take_in_a_chain_run_in_its_order(scene: Scene) -> None:
    """ "+" takes from "-", which takes from the source, and both stand before it in the plan."""
    chain = [Borrowed("-", "+", "y"), Borrowed("source", "-", "y")]
    assert torch.allclose(run(scene, chain, 1), run(scene, chain), atol=1e-5)


def test_rows_that_take_from_each_other_run_together_or_not_at_all(scene: Scene) -> None:
    each = [Borrowed("-", "+", "v"), Borrowed("+", "-", "v")]
    assert torch.allclose(run(scene, each, 4), run(scene, each), atol=1e-5)
    with pytest.raises(DenoiseError, match=r"'[-+]' and '[-+]' take from each other.* max_rows 1"):
        run(scene, each, 1)


def test_a_row_asleep_gives_nothing(scene: Scene) -> None:
    seen: list[object] = []

    @dataclass(frozen=True)
    class Looks(Borrowed):
        def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
            seen.append(dict(call.given))
            return reads

    text = scene.empty
    asleep = Branch("styled", text, window=Window(0.5, 1))
    plan = Plan((asleep, Branch("+", text)), (Looks("styled", "+", "v"),), lambda r, c: r["+"])
    with torch.no_grad():
        denoise(scene.backbone, plan, scene.schedule, scene.start(0))
    assert seen and not any(seen)


def test_what_is_kept_of_a_step_is_not_there_in_the_next(backbone: UNetBackbone) -> None:
    scene = tiny_scene(backbone, [None], steps=2)
    given: list[tuple[float, bool]] = []

    @dataclass(frozen=True)
    class Looks(Borrowed):
        def attend(self, site: Site, call: Call, reads: list[Read]) -> list[Read]:
            if call.index("+") is not None:
                given.append((call.fraction, bool(call.given)))
            return reads

    early = Branch("styled", scene.empty, window=Window(0, 0.5))
    plan = Plan(
        (early, Branch("+", scene.empty)), (Looks("styled", "+", "v"),), lambda r, c: r["+"]
    )
    with torch.no_grad():
        denoise(backbone, plan, scene.schedule, scene.start(0), max_rows=1)
    assert set(given) == {(0.0, True), (0.5, False)}


def test_frozen_interventions_stay_equal_to_what_they_were(scene: Scene) -> None:
    """Whatever they work out by the way is kept apart from their fields."""
    own = Ownership(scene.partition)
    for name, make in PUBLIC.items():
        acting = make(scene, own)
        before = {k: id(v) for k, v in vars(acting).items()}
        run(scene, [acting])
        assert {k: id(v) for k, v in vars(acting).items()} == before, name
        assert not any(isinstance(value, dict) for value in vars(acting).values()), name


def test_an_output_made_anew_is_refused_before_the_first_row(scene: Scene) -> None:
    own = Ownership(scene.partition)
    late = [PUBLIC["ShareFeature, norms"](scene, own), RegionalNorm(own, (0, 1, 2))]
    with pytest.raises(SiteError, match="RegionalNorm makes this layer's output anew"):
        with scene.backbone.attach(late):
            pass
    assert replace(late[1], kin=(0, 0, 0))
