"""What every fusion must do, as a test that any plugin can run on its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image
from torch import Tensor

from locstyle.edit import Edit, Fusing, Region
from locstyle.editor import Editor
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.call import Call
from locstyle.engine.plan import Plan, Predictions
from locstyle.engine.progress import OnStep, Step, ignore
from locstyle.engine.scene import Scene
from locstyle.engine.trajectory import Inversion
from locstyle.job.styles import SETTINGS, heeds
from locstyle.plugin.hookspecs import Register, hookimpl
from locstyle.plugin.host import Host
from locstyle.plugin.protocols import Fusion
from locstyle.result import Result
from locstyle.style import Style
from locstyle.testing.factories import with_defaults
from locstyle.testing.tiny import random_style, random_tokens, random_words, tiny_backbone
from locstyle.testing.traces import unchanged

CARRIED: Mapping[str, Callable[[UNetBackbone, int], Style]] = {
    "deltas": random_style,
    "tokens": random_tokens,
    "words": random_words,
    "reference": lambda backbone, seed: Style.from_pictures(f"picture-{seed}", [_picture(seed)]),
}
"""A random style of every kind."""

SIDE = 32  # of the photo
LEFT, RIGHT, MIDDLE = "box:0,0,16,32", "box:16,0,32,32", "box:16,0,24,32"


def check_fusion(
    make: Callable[..., Fusion],
    *,
    tolerance: float = 1e-3,
    backbone: UNetBackbone | None = None,
) -> None:
    """Hold a fusion against what locstyle relies on, on the tiny backbone; for its plugin's tests.

    One region everywhere is the style everywhere, however it is cut into regions (pictures apart,
    whose colours may be fitted to each region by itself); rows in chunks give what they give
    together; outside the regions nothing changes; the same edit gives the same
    picture; the order of regions that do not overlap does not matter; every row's prediction is
    finite; and the backbone and the process are left as they were. Tried with every kind of style
    it carries, alone and beside another.

    Args:
        make: the fusion's class, or what makes a new one each time; options have their defaults.
        tolerance: how far latents may lie apart that should be equal; they are about 1.
        backbone: None for `tiny_backbone()`; another of its size, such as `tiny_xl()`.

    Raises:
        AssertionError: what is not as promised.
        PluginError: a plan that cannot be run, or weights that were changed.
    """
    make = with_defaults(make)
    _check_words(make())
    backbone = backbone or tiny_backbone()
    check = _Check(make, backbone, tolerance)
    kinds = sorted(make().carries)
    with unchanged(backbone=backbone):
        for kind in kinds:
            check.everywhere(CARRIED[kind](backbone, 1), CARRIED[kind](backbone, 2), kind)
        for one, other in zip(kinds, kinds[1:] + kinds[:1], strict=True):
            check.apart(CARRIED[one](backbone, 1), CARRIED[other](backbone, 2), f"{one}, {other}")
    with unchanged(backbone=backbone):
        check.cancelled(CARRIED[kinds[0]](backbone, 1))


def _check_words(fusion: Fusion) -> None:
    """What it says about itself."""
    carries, roles = fusion.carries, fusion.requires_roles
    assert isinstance(carries, frozenset), f"carries is a frozenset, not a {type(carries).__name__}"
    assert carries and carries <= CARRIED.keys(), f"carries is of {sorted(CARRIED)}; got {carries}"
    assert isinstance(roles, frozenset), f"requires_roles is a {type(roles).__name__}"
    in_faces = getattr(fusion, "in_faces", None)
    assert in_faces is None or 0 <= in_faces <= 1, f"in_faces is in [0, 1]; got {in_faces!r}"
    assert in_faces is None or "structure" in heeds(fusion), "in_faces needs structure in heeds"
    assert heeds(fusion) <= set(SETTINGS), f"heeds is of {SETTINGS}; got {sorted(heeds(fusion))}"
    assert isinstance(fusion.inversion, Inversion), f"inversion is {fusion.inversion!r}"


class _Check:
    def __init__(self, make: Callable[[], Fusion], backbone: UNetBackbone, near: float) -> None:
        self.backbone, self.near = backbone, near
        self.host = Host(allow=())
        self.offer = _Offer(make)

    def everywhere(self, style: Style, other: Style, kind: str) -> None:
        whole = self.run([_region("all", style)])
        if kind != "reference":  # a picture's colours may be fitted to each region by itself
            halves = self.run([_region(LEFT, style), _region(RIGHT, style)])
            self.same(whole, halves, f"{kind}: a style in two halves is not that style everywhere")
        if _distance(whole, self.run([_region("all", other)])) == 0:
            raise AssertionError(f"{kind}: it carries that kind, but nothing comes of it")

    def apart(self, one: Style, other: Style, kinds: str) -> None:
        regions = [_region(LEFT, one), _region(MIDDLE, other)]
        whole = self.run(regions)
        share = whole.report.outside_identical
        assert share == 1, f"{kinds}: outside the regions only {share:.1%} of the pixels are kept"
        if _distance(whole, self.run(regions[::-1], max_rows=1)) > self.near:  # why?
            self.same(whole, self.run(regions), f"{kinds}: another picture the second time")
            self.same(whole, self.run(regions, max_rows=1), f"{kinds}: rows in chunks differ")
            raise AssertionError(f"{kinds}: the order of regions matters")

    def cancelled(self, style: Style) -> None:
        try:
            self.run([_region("all", style)], on_step=_cancel)
        except _Cancelled:
            return
        raise AssertionError("an edit that was cancelled while denoising went on")

    def run(
        self,
        regions: Sequence[Region],
        *,
        max_rows: int | None = None,
        on_step: OnStep = ignore,
    ) -> Result:
        edit = Edit(_picture(0), tuple(regions), fusion=Fusing("checked"), steps=2, feather=0.0)
        with self.host.temporarily(self.offer, name="checked") as host:
            return Editor(self.backbone, host).run(edit, max_rows=max_rows, on_step=on_step)

    def same(self, one: Result, other: Result, wrong: str) -> None:
        distance = _distance(one, other)
        if distance > self.near:
            raise AssertionError(f"{wrong}; latents lie {distance:.2g} apart")


@dataclass(frozen=True)
class _Offer:
    """A plugin that offers the fusion, whose every prediction is looked at."""

    make: Callable[[], Fusion]

    @hookimpl
    def register_fusions(self, register: Register) -> None:
        register("checked", self.watched)

    def watched(self) -> _Watched:
        fusion = self.make()
        return _Watched(
            fusion, fusion.carries, fusion.requires_roles, fusion.inversion, heeds(fusion)
        )


@dataclass(frozen=True)
class _Watched:
    fusion: Fusion
    carries: frozenset[str]
    requires_roles: frozenset[str]
    inversion: Inversion
    heeds: frozenset[str]

    def plan(self, scene: Scene) -> Plan:
        plan = self.fusion.plan(scene)

        def compose(predictions: Predictions, call: Call) -> Tensor:
            for name, prediction in predictions.items():
                assert bool(prediction.isfinite().all()), f"row {name!r} is not finite at {call.t}"
            return plan.compose(predictions, call)

        return replace(plan, compose=compose)


class _Cancelled(Exception):
    pass


def _cancel(step: Step) -> None:
    if step.phase == "denoise":
        raise _Cancelled


def _region(mask: str, style: Style) -> Region:
    """The words are the same whatever the style, unless the style is words."""
    return Region(mask, style, prompt=None if style.words else "a house")


def _distance(one: Result, other: Result) -> float:
    return float((one.latent - other.latent).abs().max())


def _picture(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return Image.fromarray(pixels)
