"""What plugins return is checked where it enters, and the plugin is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import locstyle as ls
from locstyle.cli import main
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.check_plan import checked_plan
from locstyle.job.returned import check_segments, check_style
from locstyle.testing import random_style, random_tokens, random_words, tiny_backbone, tiny_scene

WHO = "fusion 'x' of plugin 'acme'"
PHOTO = Image.new("RGB", (32, 24), "teal")


def plugin(kind: str, name: str, factory: object) -> ModuleType:
    module = ModuleType("acme")
    module.__dict__["factory"] = factory
    source = f"""
import locstyle as ls
@ls.hookimpl
def register_{kind}(register):
    register("{name}", factory)
"""
    exec(source, module.__dict__)
    return module


class Plain:
    """The fusion of the plugin page."""

    carries = frozenset({"deltas", "tokens", "words"})
    requires_roles = frozenset({"self", "cross"})

    def __init__(self) -> None:
        self.inversion = ls.Inversion()

    def plan(self, scene: ls.Scene) -> ls.Plan:
        owners = ls.Ownership(scene.partition)
        return ls.Plan(
            branches=(ls.Branch("+", scene.texts, ls.MIXED),),
            interventions=(ls.Deltas(scene.regions, owners), ls.RegionalText(owners)),
            compose=lambda predictions, call: predictions["+"],
            hold=scene.outside(),
        )


# Segments.


def segment(height: int = 24, width: int = 32, **facts: Any) -> ls.Segment:
    return ls.Segment.of(np.ones((height, width), bool), **facts)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (None, r"returned a NoneType; return a list of ls\.Segment"),
        ([np.ones((24, 32), bool)], "segment 1 of 1 is a ndarray; return ls.Segment"),
        ([segment(), segment(32, 24)], "segment 2 of 2 is 32 x 24, the photo 24 x 32"),
        ([segment(score=7.0)], r"segment 1 of 1 has score 7\.0; give a number in \[0, 1\]"),
        ([segment(label=3)], "has label 3; give a text or None"),
        ([ls.Segment("x", (24, 32))], "has broken run lengths"),  # type: ignore[arg-type]
    ],
)
def test_every_segment_is_looked_at(found: object, message: str) -> None:
    with pytest.raises(ls.PluginError, match=message):
        check_segments(found, (24, 32), WHO)


def test_empty_segments_are_left_out() -> None:
    empty = ls.Segment.of(np.zeros((24, 32), bool))
    whole = segment(score=0.5, label="sky")
    assert check_segments((empty, whole), (24, 32), WHO) == [whole]


def test_a_segmenter_is_named_with_its_plugin_and_the_region(backbone: UNetBackbone) -> None:
    class Turned:
        prompts = frozenset({"everything"})

        def segment(self, image: Image.Image, prompt: ls.Prompt) -> list[ls.Segment]:
            return [segment(), segment(image.width, image.height)]

    region = ls.Region({"segmenter": "turned"}, random_style(backbone))
    with ls.Host(allow=("singlepass",)).temporarily(plugin("segmenters", "turned", Turned)) as host:
        with pytest.raises(
            ls.PluginError,
            match=r"^regions\[0\].mask: segmenter 'turned' of plugin 'acme' \(acme, no distri"
            r"bution\): segment 2 of 2 is 32 x 24",
        ):
            ls.Editor(backbone, host).resolve(ls.Edit(PHOTO, [region], steps=1))


# Plans.


def rows(*branches: ls.Branch) -> dict[str, Any]:
    return {"branches": branches}


def wrong_plans(scene: ls.Scene) -> dict[str, tuple[Mapping[str, Any], str]]:
    text, latent = scene.text, scene.latent
    start = scene.schedule.noisiest
    short = ls.Trajectory({start: latent})
    weight = torch.zeros(1, 1, 8, 8)
    return {
        "no rows": (rows(), "branches is"),
        "no row": (rows("+"), "a str among the branches"),  # type: ignore[arg-type]
        "twice": (rows(ls.Branch("+", text), ls.Branch("+", text)), r"two rows named '\+'"),
        "owner": (rows(ls.Branch("+", text, 2)), r"row '\+': owner 2; give ls.MIXED, 0"),
        "texts": (
            rows(ls.Branch("+", (text,) * 3, ls.MIXED)),
            r"row '\+': 3 texts; give one, or 2",
        ),
        "one text": (rows(ls.Branch("+", (text,) * 2)), r"row '\+': 2 texts; give one"),
        "no text": (rows(ls.Branch("+", "a house")), "text is a str"),  # type: ignore[arg-type]
        "gap": (rows(ls.Branch("+", {start: text})), "its text has nothing to say at timestep"),
        "path": (rows(ls.Branch("+", text, 0, short)), "trajectory has no latent for timestep"),
        "latent": (rows(ls.Branch("+", text, 0, latent)), "latent is a Tensor"),  # type: ignore[arg-type]
        "asleep": (
            rows(ls.Branch("+", text, window=ls.Window(0, 0.5))),
            "no row is evaluated at timestep",
        ),
        "intervention": ({"interventions": (3,)}, "intervention int has no method `where`"),
        "compose": ({"compose": 3}, "compose is 3"),
        "start": ({"start": latent[..., :4]}, r"start has the shape \[1, 4, 8, 4\]"),
        "no start": ({"start": 3}, r"start is a int; give a tensor \[1, 4, 8, 8\]"),
        "hold": ({"hold": scene.content}, "hold is a Trajectory"),
        "weight": ({"hold": ls.Hold(weight[0], scene.content)}, "the weight of hold has the shape"),
        "share": ({"hold": ls.Hold(weight + 2, scene.content)}, r"hold is not in \[0, 1\]"),
    }


@pytest.fixture(scope="module")
def scene(backbone: UNetBackbone) -> ls.Scene:
    return tiny_scene(backbone, [random_style(backbone)], steps=2)


def test_a_plan_that_cannot_be_run_is_refused_before_the_first_row(scene: ls.Scene) -> None:
    good = Plain().plan(scene)
    assert checked_plan(good, scene, WHO).branches == good.branches
    for name, (change, message) in wrong_plans(scene).items():
        with pytest.raises(ls.PluginError, match=rf"^{WHO}: .*{message}"):
            checked_plan(replace(good, **change), scene, WHO)
            pytest.fail(name)
    with pytest.raises(ls.PluginError, match=r"plan returned a NoneType; return an ls\.Plan"):
        checked_plan(None, scene, WHO)


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (lambda p, call: p["+"][0], r"at timestep \d+ has the shape \[4, 8, \d+\]; give \[1, 4,"),
        (lambda p, call: p["+"].double(), "is torch.float64; give torch.float32"),
        (lambda p, call: None, "is a NoneType; give a tensor"),
    ],
)
def test_what_is_composed_is_looked_at_in_every_step(
    backbone: UNetBackbone, compose: Callable[..., Any], message: str
) -> None:
    class Odd(Plain):
        def plan(self, scene: ls.Scene) -> ls.Plan:
            return replace(super().plan(scene), compose=compose)

    region = ls.Region("box:0,0,16,24", random_style(backbone))
    edit = ls.Edit(PHOTO, [region], fusion=ls.Fusing("odd"), steps=2)
    with ls.Host(allow=()).temporarily(plugin("fusions", "odd", Odd)) as host:
        with pytest.raises(ls.PluginError, match=rf"fusion 'odd' of plugin 'acme'.*{message}"):
            ls.Editor(backbone, host).run(edit)


# Weights.


@dataclass(frozen=True)
class Scribbling:
    """An intervention that writes into the layer it should leave alone."""

    layer: torch.nn.Module
    through_data: bool

    def where(self, sites: ls.Sites) -> list[ls.Site]:
        return sites.where(role="conv")[:1]

    def feature(self, site: ls.Site, call: ls.Call, *given: Any) -> torch.Tensor:
        weight = self.layer.weight
        (weight.data if self.through_data else weight).mul_(1.5)
        return given[-1]  # type: ignore[no-any-return]


@pytest.mark.parametrize("through_data", [False, True])
def test_a_fusion_that_changes_weights_is_named_and_poisons_nothing(
    tmp_path: Path, through_data: bool
) -> None:
    model = tiny_backbone()

    class Rude(Plain):
        def plan(self, scene: ls.Scene) -> ls.Plan:
            wrong = Scribbling(model.unet.conv_in, through_data)
            return replace(super().plan(scene), interventions=(wrong,))

    region = ls.Region("box:0,0,16,24", random_style(model))
    edit = ls.Edit(PHOTO, [region], fusion=ls.Fusing("rude"), steps=2)
    other = replace(edit, image=PHOTO.rotate(180), fusion=ls.Fusing("singlepass"))
    with ls.Host(allow=("singlepass",)).temporarily(plugin("fusions", "rude", Rude)) as host:
        cache = ls.TrajectoryCache(tmp_path / "cache")
        editor = ls.Editor(model, host, cache=cache)
        with pytest.raises(
            ls.PluginError, match=r"fusion 'rude' of plugin 'acme'.* conv_in|conv_in"
        ):
            editor.run(edit)
        kept = [path.name for path in cache.folder.iterdir()]
        for refused in (editor, ls.Editor(model, host, cache=cache)):
            with pytest.raises(ls.BackboneError, match=r"fusion 'rude' .* load the backbone again"):
                refused.run(replace(other, image=PHOTO.resize((40, 24))))
        assert [path.name for path in cache.folder.iterdir()] == kept
        fresh = ls.Editor(tiny_backbone(), host, cache=cache).run(
            replace(edit, fusion="singlepass")
        )
        assert fresh.report.cached_inversions == 1  # of the photo, made before anything was changed
    clean = ls.Editor(tiny_backbone(), ls.Host(allow=("singlepass",))).run(fresh.edit)
    assert np.array_equal(np.asarray(clean.image), np.asarray(fresh.image))


def test_weights_changed_outside_of_a_run_are_kept_from_the_cache(tmp_path: Path) -> None:
    model = tiny_backbone()
    cache = ls.TrajectoryCache(tmp_path / "cache")
    region = ls.Region("box:0,0,16,24", random_style(model))
    edit = ls.Edit(PHOTO, [region], steps=2)

    def spoil(step: ls.Step) -> None:
        model.unet.conv_in.weight.data.add_(1)

    with pytest.raises(ls.BackboneError, match="something outside of a run changed the weight"):
        ls.Editor(model, ls.Host(allow=("singlepass",)), cache=cache).run(edit, spoil)
    assert not cache.folder.exists()


# Styles.


def wrong_styles(backbone: UNetBackbone) -> dict[str, tuple[object, str]]:
    style, tokens, words = (make(backbone) for make in (random_style, random_tokens, random_words))
    site, delta = next(iter(style.deltas.items()))
    cross, token = next(iter(tokens.tokens.items()))

    def with_delta(name: str, *factors: torch.Tensor) -> ls.Style:
        return replace(style, deltas={name: ls.Delta(*factors)})

    return {
        "none": (None, "returned a NoneType; return an ls.Style"),
        "kind": (ls.Style.from_pictures("x", [PHOTO]), "made a style of reference but says"),
        "family": (replace(style, family="sd1"), "for family 'sd1' on a backbone of family 'tiny'"),
        "meta": (replace(style, meta={"seed": 3}), "meta 'seed' is 3"),  # type: ignore[dict-item]
        "layer": (with_delta("nowhere", delta.down, delta.up), "for 'nowhere', which is no layer"),
        "shape": (with_delta(site, delta.down[:, 1:], delta.up), "which is a layer whose weight"),
        "rank": (with_delta(site, delta.down, delta.up[:, :1]), "which is a layer whose weight"),
        "nan": (with_delta(site, delta.down * torch.nan, delta.up), "`down` at .* is not finite"),
        "tokens": (
            replace(tokens, tokens={cross: ls.Tokens(token.k[:, 1:], token.v[:, 1:])}),
            "which is 8 wide",
        ),
        "place": (replace(tokens, tokens={"here": token}), "'here', which is no cross-attention"),
        "words": (replace(words, words={"<x>": torch.ones(2, 3)}), "'<x>' is vectors of 3"),
    }


def test_a_style_no_file_should_hold_is_refused(backbone: UNetBackbone) -> None:
    makes = frozenset({"deltas", "tokens", "words"})
    for name, (style, message) in wrong_styles(backbone).items():
        with pytest.raises(ls.PluginError, match=rf"^{WHO}: .*{message}"):
            check_style(style, makes, backbone, WHO)
            pytest.fail(name)
    for make in (random_style, random_tokens, random_words):
        good = make(backbone)
        assert check_style(good, makes, backbone, WHO) is good


def test_train_writes_nothing_of_an_encoder_that_returns_nonsense_or_changes_weights(
    tmp_path: Path,
) -> None:
    class Nonsense:
        makes = frozenset({"deltas"})

        def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
            style = random_style(backbone)
            return replace(style, deltas={"nowhere": next(iter(style.deltas.values()))})

    class Rude(Nonsense):
        def encode(self, images: Any, backbone: Any, request: Any, on_step: Any) -> ls.Style:
            backbone.unet.conv_in.weight.data.add_(1)
            return random_style(backbone)

    class Tiny:
        @ls.hookimpl
        def register_backbones(self, register: Any) -> None:
            register("tiny", lambda name, device, dtype: tiny_backbone())

        @ls.hookimpl
        def register_style_encoders(self, register: Any) -> None:
            register("nonsense", Nonsense)
            register("rude", Rude)

    PHOTO.save(tmp_path / "photo.png")
    output = tmp_path / "mine.safetensors"
    for name, message in {"nonsense": "which is no layer", "rude": "changed the weight"}.items():
        words = [
            "train",
            name,
            str(tmp_path / "photo.png"),
            "-o",
            str(output),
            "--backbone",
            "tiny",
        ]
        with ls.Host(allow=()).temporarily(Tiny(), name="acme") as host:
            done = CliRunner().invoke(main, words, obj=host)
        assert done.exit_code != 0, done.output
        text = str(done.exception) + done.output
        assert f"style encoder '{name}' of plugin 'acme'" in text and message in text
    assert not output.exists()
