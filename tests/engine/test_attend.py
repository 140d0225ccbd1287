"""Reads: limited to some rows, weighted, and added up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch

from locstyle import (
    MIXED,
    Branch,
    Call,
    Donor,
    Mask,
    Ownership,
    Partition,
    Plan,
    Read,
    RegionalReads,
    Row,
    Share,
    Site,
    Takes,
    Window,
    combine,
)
from locstyle.engine.backbones.unet import UNetBackbone

SITE = Site("here", "self", "up", 6, 1)
HALVES = Ownership(
    Partition.of([Mask.box((0, 0, 2, 4), size=(4, 4)), Mask.box((2, 0, 4, 4), size=(4, 4))])
)


def random_read(rows: int = 3, seed: int = 0) -> Read:
    q, k, v = torch.randn(3, rows, 2, 16, 8, generator=torch.Generator().manual_seed(seed)).unbind()
    return Read(q, k, v)


def test_rows_apart_are_the_rows_together() -> None:
    read = random_read()
    apart = [read.only({0, 2}), read.only({1})]
    assert torch.allclose(combine(apart), combine([read]), atol=1e-6)
    assert apart[0].only({2}).batch_rows == (2,)
    assert apart[0].only({1}).batch_rows == ()


def test_weights_and_biases_go_with_their_rows() -> None:
    draw = torch.Generator().manual_seed(1)
    weight, bias = torch.rand(3, 1, 16, 1, generator=draw), torch.randn(3, 1, 1, 16, generator=draw)
    read = random_read()._replace(weight=weight, bias=bias)
    apart = [read.only({row}) for row in (2, 0, 1)]
    assert torch.allclose(combine(apart), combine([read]), atol=1e-6)


def test_tokens_apart_are_the_tokens_together() -> None:
    draw = torch.Generator().manual_seed(1)
    weight, bias = (
        torch.rand(1, 1, 16, 1, generator=draw),
        torch.randn(1, 1, 16, 16, generator=draw),
    )
    read = random_read()._replace(weight=weight, bias=bias)
    order = torch.randperm(16, generator=draw)
    apart = [read.at(order[:5]).only({0, 2}), read.at(order[5:]), read.at(order[:5]).only({1})]
    assert torch.allclose(combine(apart, 16), combine([read]), atol=1e-6)


def test_parts_add_to_what_is_read_by_all() -> None:
    read, other = random_read(), random_read(seed=1)
    total = combine([read, other.only({1})])
    wanted = combine([read])
    wanted[1] += combine([other])[1]
    assert torch.allclose(total, wanted, atol=1e-6)


def regional(read: object, *, window: Window | None = None) -> RegionalReads:
    return RegionalReads(("a",), ("x",), (SITE,), HALVES, read, window or Window())  # type: ignore[arg-type]  # a function below


ROWS = (Row("a", 0), Row("x", MIXED), Row("b", 0))


def calling(read: Read, fraction: float = 0.0) -> Call:
    """The call that hands in what row "a" projects."""
    given = {("a", "q"): read.q[:1], ("a", "k"): read.k[:1], ("a", "v"): read.v[:1]}
    return Call(fraction, 500, ROWS, (4, 4), given=given)  # type: ignore[arg-type]  # its parts


def own(*given: object) -> Iterable[Read]:
    return [given[3]]  # type: ignore[list-item]  # the row's own read


def test_a_reading_for_every_owner_is_that_reading() -> None:
    read = random_read()
    new = regional(own).attend(SITE, calling(read), [read])
    assert torch.allclose(combine(new), combine([read]), atol=1e-6)


def test_queries_read_by_their_owner_and_other_rows_stay() -> None:
    read = random_read()

    def of_the_donor(
        owner: int, site: Site, call: Call, mine: Read, donors: dict[str, Donor]
    ) -> list[Read]:
        return [mine._replace(k=donors["a"].k, v=donors["a"].v) if owner == 2 else mine]

    new = combine(regional(of_the_donor).attend(SITE, calling(read), [read]))
    plain = combine([read])
    donated = combine([Read(read.q[1:2], read.k[:1], read.v[:1])])
    right = torch.arange(16) % 4 >= 2
    assert torch.allclose(new[[0, 2]], plain[[0, 2]], atol=1e-6)
    assert torch.allclose(new[1:2, :, ~right], plain[1:2, :, ~right], atol=1e-6)
    assert torch.allclose(new[1:2, :, right], donated[:, :, right], atol=1e-6)


def test_a_donor_is_handed_in_with_the_queries_in_question() -> None:
    read, seen = random_read(), []

    def look(
        owner: int, site: Site, call: Call, mine: Read, donors: dict[str, Donor]
    ) -> list[Read]:
        seen.append(donors["a"])
        return [mine]

    regional(look).attend(SITE, calling(read), [read])
    right = torch.arange(16) % 4 >= 2
    assert [torch.equal(one.v, read.v[:1]) for one in seen] == [True, True]
    assert torch.equal(seen[0].q, read.q[:1, :, ~right])
    assert torch.equal(seen[1].q, read.q[:1, :, right])


def test_regional_reads_of_regional_reads_add_up() -> None:
    """Queries that are cut up already are cut again, each part weighted by both."""
    soft = Mask.box((0, 0, 2, 4), size=(4, 4)).feather(2)
    other = replace(regional(own), ownership=Ownership(Partition.of([soft])))
    read = random_read()
    once = regional(own).attend(SITE, calling(read), [read])
    twice = other.attend(SITE, calling(read), once)
    assert len(twice) > len(once)
    assert torch.allclose(combine(twice), combine([read]), atol=1e-6)


def test_outside_its_window_it_changes_nothing() -> None:
    def never(*given: object) -> list[Read]:
        raise AssertionError("asked outside the window")

    read = random_read()
    acting = regional(never, window=Window(0, 0.5))
    assert acting.attend(SITE, calling(read, 0.5), [read]) == [read]


def test_a_plan_knows_what_every_kind_takes(backbone: UNetBackbone) -> None:
    text = backbone.text("")
    acting = (Share("source", ("x",), ()), regional(None))
    plan = Plan((Branch("x", text),), acting, lambda predictions, call: predictions["x"])
    assert plan.takes == (
        Takes(("source",), ("x",), ("q", "k")),
        Takes(("a",), ("x",), ("q", "k", "v")),
    )
