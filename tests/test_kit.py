"""Our own plugins pass the kit that everybody's are to pass, and the kit sees what is wrong."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.testing import (
    check_backbone,
    check_fusion,
    check_metric,
    check_style_encoder,
    random_style,
    tiny_backbone,
)
from locstyle.testing.traces import unchanged

HOST = ls.Host()
SHORT = {"lora": {"steps": 2, "crops": 2, "rank": 2}, "concept": {"steps": 2, "crops": 2}}
"""Options that make a training short."""


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if name in ("deadiff", "vct") else [])
        for name in HOST.names("fusions")
    ],
)
def test_our_fusions_pass(name: str) -> None:
    check_fusion(HOST.find("fusions", name).factory)


@pytest.fixture(scope="module")
def mini() -> ls.Backbone:
    tiny_backbone()  # what libraries set when first imported is not the loader's doing
    with unchanged():
        loaded: ls.Backbone = HOST.backbone("mini")("mini", "cpu", None)
    return loaded


@pytest.mark.parametrize("name", HOST.names("style_encoders"))
def test_our_style_encoders_pass(name: str, request: pytest.FixtureRequest) -> None:
    backbone = request.getfixturevalue("mini") if name == "qformer" else None  # made for mini alone
    check_style_encoder(lambda: HOST.style_encoder(name, SHORT.get(name)), backbone=backbone)


def test_our_backbones_pass(mini: ls.Backbone) -> None:
    assert HOST.names("backbones") == ["mini"]
    check_backbone(mini)
    check_backbone(tiny_backbone())
    check_backbone(tiny_backbone(1, prediction="v_prediction"))


def test_our_segmenters_and_metrics_are_held_to_the_kit_in_their_own_tests() -> None:
    """They need a picture of what they know, or weights; tests/plugins has both."""
    assert HOST.names("segmenters") == ["classic", "fastsam", "sam"]
    assert HOST.names("metrics") == ["eye", "eye-style"]


# What the kit sees.


class Plain:
    """A fusion as simple as can be."""

    carries = frozenset({"deltas"})
    requires_roles = frozenset({"self", "cross"})

    def __init__(self) -> None:
        self.inversion = ls.Inversion()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        owners = ls.Ownership(scene.partition)
        return ls.Plan(
            branches=(ls.Branch("+", scene.texts, ls.MIXED), ls.Branch("photo", scene.empty)),
            interventions=(ls.Deltas(scene.regions, owners), ls.RegionalText(owners)),
            compose=lambda predictions, call: predictions["+"],
            hold=scene.outside(),
        )


def test_a_plain_fusion_passes() -> None:
    check_fusion(Plain)


@dataclass(frozen=True)
class Everywhere:
    """An intervention on the last convolution, given as a function of its output."""

    change: Callable[[ls.Call, Tensor], Tensor]

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        return sites.where(role="conv")[-1:]

    def feature(self, site: ls.Site, call: ls.Call, layer: object, x: Tensor, y: Tensor) -> Tensor:
        return self.change(call, y)


def spoiled(call: ls.Call, y: Tensor) -> Tensor:
    rows = torch.tensor([row.name == "photo" for row in call.rows])
    return torch.where(rows[:, None, None, None], torch.nan, y)


def of_first(plan: ls.Plan, scene: ls.Scene) -> ls.Plan:
    one = (scene.regions[0],) * len(scene.regions)
    deltas = ls.Deltas(one, ls.Ownership(scene.partition))
    return replace(plan, interventions=(deltas, *plan.interventions[1:]))


def by_count(plan: ls.Plan, scene: ls.Scene) -> ls.Plan:
    share = 1 / len(scene.regions)
    return replace(plan, start=scene.start(0) * share)


def hooked(plan: ls.Plan, scene: ls.Scene) -> ls.Plan:
    scene.backbone.unet.conv_in.register_forward_hook(lambda *given: None)  # type: ignore[attr-defined]
    return plan


def drawn(plan: ls.Plan, scene: ls.Scene) -> ls.Plan:
    return replace(plan, start=torch.randn_like(scene.latent))


FUSIONS: dict[str, Callable[[ls.Plan, ls.Scene], ls.Plan]] = {
    "deltas: it carries that kind, but nothing comes of it": lambda plan, scene: replace(
        plan, interventions=plan.interventions[1:]
    ),
    "deltas, deltas: the order of regions matters": of_first,
    "deltas: a style in two halves is not that style everywhere": by_count,
    "deltas, deltas: rows in chunks differ": lambda plan, scene: replace(
        plan, interventions=(*plan.interventions, Everywhere(lambda call, y: y + y.mean(0)))
    ),
    "row 'photo' is not finite at": lambda plan, scene: replace(
        plan, interventions=(*plan.interventions, Everywhere(spoiled))
    ),
    "changed: hooks": hooked,
    "a style in two halves is not that": drawn,
}


@pytest.mark.parametrize("message", FUSIONS)
def test_a_fusion_that_is_wrong_is_told_so(message: str) -> None:
    class Wrong(Plain):
        def plan(self, scene: ls.Scene) -> ls.Plan:
            return FUSIONS[message](super().plan(scene), scene)

    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError, match=message):
        check_fusion(Wrong)


def test_a_fusion_that_says_what_nobody_knows_is_told_so() -> None:
    for name, said in {"carries": {"deltas"}, "heeds": {"mood"}, "inversion": None}.items():
        wrong = Plain()
        setattr(wrong, name, said)
        with pytest.raises(AssertionError, match=name):
            check_fusion(lambda wrong=wrong: wrong)


class Shuffle:
    makes = frozenset({"deltas"})

    def encode(
        self, images: Any, backbone: Any, request: ls.StyleRequest, on_step: ls.OnStep
    ) -> ls.Style:
        if not images:
            raise ls.StyleError("no picture")
        on_step(ls.Step("train", 1, 1))
        return replace(random_style(backbone, request.seed), name=request.name)


class Moody(Shuffle):
    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        self.seed = 1 + getattr(Moody, "seed", 0)
        Moody.seed = self.seed
        return super().encode(images, backbone, replace(request, seed=self.seed), on_step)


class Unnamed(Shuffle):
    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        return replace(super().encode(images, backbone, request, on_step), name="x")


class Deaf(Shuffle):
    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        try:
            on_step(ls.Step("train", 1, 1))
        except Exception:
            pass
        return super().encode(images, backbone, request, lambda step: None)


class Careless(Shuffle):
    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        backbone.unet.requires_grad_(True)
        return super().encode(images, backbone, request, on_step)


class Undaunted(Shuffle):
    def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
        return super().encode(images or [1], backbone, request, on_step)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Moody, "another style the second time"),
        (Unnamed, "the style is named 'x'"),
        (Deaf, "went on to its end though it was stopped"),
        (Careless, "changed: which weights take gradients"),
        (Undaunted, "made a style of no picture"),
    ],
)
def test_a_style_encoder_that_is_wrong_is_told_so(wrong: type[Shuffle], message: str) -> None:
    assert check_style_encoder(Shuffle).kinds == {"deltas"}
    with pytest.raises(AssertionError, match=message):
        check_style_encoder(wrong)


class Likeness:
    label, better, needs = "likeness", "higher", "photo"

    def measure(self, output: Any, reference: Any, mask: Any) -> float:
        if not mask.any():
            return math.nan
        return 1 - float(np.abs(output.astype(float) - reference)[mask].mean()) / 255


METRICS: dict[str, Callable[[Any, Any, Any], Any]] = {
    "an empty mask scores": lambda output, reference, mask: float((output == reference).mean()),
    "another picture scores": lambda output, reference, mask: float((output != reference).mean()),
    "the score is a": lambda output, reference, mask: np.float32(1),
    "it wrote into": lambda output, reference, mask: float(output.fill(1) or 1),
    "scores nan": lambda output, reference, mask: math.nan,
}


@pytest.mark.parametrize("message", METRICS)
def test_a_metric_that_is_wrong_is_told_so(message: str) -> None:
    check_metric(Likeness)
    wrong = type("Wrong", (Likeness,), {"measure": lambda self, *given: METRICS[message](*given)})
    with pytest.raises(AssertionError, match=message):
        check_metric(wrong)
    with pytest.raises(AssertionError, match="better is 'more'"):
        check_metric(type("Wrong", (Likeness,), {"better": "more"}))


def half(self: Any, x: Tensor, t: Any, states: Tensor) -> Tensor:
    return type(self).whole(self, x, t, states).half()


def crowded(self: Any, x: Tensor, t: Any, states: Tensor) -> Tensor:
    made: Tensor = type(self).whole(self, x, t, states)
    return made + made.mean(0, keepdim=True)


def blind(self: Any, x: Tensor, t: Any, states: Tensor) -> Tensor:
    return torch.zeros_like(x)


BACKBONES: dict[str, dict[str, Any]] = {
    "predicts torch.float16": {"predict": half},
    "a row's prediction depends on the others": {"predict": crowded},
    "predicts the same whatever": {"predict": blind},
    "preview gives a NoneType": {"preview": lambda self, latent: lambda: None},
    "encode does not draw by the generator": {
        "encode": lambda self, images, sample=None: torch.randn(len(images), 4, 16, 24)
    },
    r"decodes outside of \[0, 1\]": {
        "decode": lambda self, latents: latents.new_ones(1, 3, 64, 96) * 2
    },
    "a long prompt is not cut": {
        "text": lambda self, prompt, words=None: replace(self.said(prompt, words), cut="")
    },
    "decode passes no gradient": {"decode": lambda self, latents: self.seen(latents.detach())},
    "replacing the layer .* changes nothing": {"replacing": lambda self, layers: nullcontext()},
    "interventions that change nothing do": {"attach": lambda self, interventions: self.left()},
    "an intervention on .* is never asked": {
        "attach": lambda self, interventions: self.attached([])
    },
}


@pytest.mark.parametrize("message", BACKBONES)
def test_a_backbone_that_is_wrong_is_told_so(message: str) -> None:
    @contextmanager
    def left(self: Any) -> Iterator[Any]:
        with self.attached([]) as attachment:
            yield attachment
        self.unet.conv_in.register_forward_hook(lambda layer, x, y: y * 1.1)

    kept = {
        "whole": UNetBackbone.predict,
        "said": UNetBackbone.text,
        "seen": UNetBackbone.decode,
        "attached": UNetBackbone.attach,
        "left": left,
    }
    wrong = tiny_backbone()
    wrong.__class__ = type("Wrong", (UNetBackbone,), kept | BACKBONES[message])
    with torch.random.fork_rng(devices=[]), pytest.raises(AssertionError, match=message):
        check_backbone(wrong)
