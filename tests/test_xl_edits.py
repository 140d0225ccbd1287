"""All fusions and trainings on SDXL's layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from locstyle_plugins.concept import Concept
from locstyle_plugins.deadiff.fusion import DEADiff
from locstyle_plugins.diffstyler import DiffStyler
from locstyle_plugins.lora import LoRA
from locstyle_plugins.magicstyle import MagicStyle
from locstyle_plugins.singlepass import SinglePass
from locstyle_plugins.vct import VCT
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.sites import Site
from locstyle.testing import check_fusion, check_style_encoder, tiny_backbone, tiny_xl
from locstyle.testing.fusions import CARRIED


@pytest.fixture(scope="module")
def xl() -> UNetBackbone:
    return tiny_xl()


NAMES = {
    SinglePass: "singlepass",
    DiffStyler: "diffstyler",
    MagicStyle: "magicstyle",
    VCT: "vct",
    DEADiff: "deadiff",
}
FUSIONS = tuple(NAMES)


@pytest.mark.slow
@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_keeps_its_promises(xl: UNetBackbone, fusion: Any) -> None:
    check_fusion(fusion, backbone=xl)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_draws_two_regions(xl: UNetBackbone, fusion: Any) -> None:
    kinds = sorted(fusion.carries)
    styles = [CARRIED[kind](xl, seed) for seed, kind in enumerate((kinds[0], kinds[-1]))]
    masks = ("box:0,0,10,32", "box:10,0,20,32")
    regions = tuple(map(ls.Region, masks, styles))
    edit = ls.Edit(photo(32), regions, fusion=ls.Fusing(NAMES[fusion]), steps=2, feather=0.0)
    editor = ls.Editor(xl, ls.Host())
    together, alone = editor.run(edit), editor.run(edit, max_rows=1)
    assert together.report.outside_identical == 1
    assert float((together.latent - alone.latent).abs().max()) < 1e-3


def test_the_decoders_layers_but_the_first_hold_a_layout(xl: UNetBackbone) -> None:
    """The rule that gives Plug-and-Play's layers 4 to 11 on the layout it was made for."""
    attentions, features = ls.layout_sites(tiny_backbone().sites)
    assert [site.depth for site in attentions] == [4, 5, 6, 7, 8, 9, 10, 11]
    assert [site.name for site in features] == ["up_blocks.1.resnets.1.conv2"]
    attentions, features = ls.layout_sites(xl.sites)
    assert {site.depth for site in attentions} == {1, 2, 3, 4, 5}
    assert [site.name for site in features] == ["up_blocks.0.resnets.1.conv2"]


def places(sites: list[Site]) -> set[tuple[str, int]]:
    return {(site.stage, site.depth) for site in sites}


def test_the_middle_reads_what_a_picture_shows(xl: UNetBackbone) -> None:
    assert places(ls.content_sites(xl.sites)) == {("down", 5), ("mid", 0), ("up", 0)}
    known = {("down", 4), ("down", 5), ("mid", 0), ("up", 3), ("up", 4)}
    assert places(ls.content_sites(tiny_backbone().sites)) == known


def test_late_layers_are_those_of_the_finer_scales(xl: UNetBackbone) -> None:
    late = MagicStyle(MagicStyle.Options(layers="late"))
    assert {site.depth for site in late._sites(xl)} == {3, 4, 5}
    assert {site.depth for site in late._sites(tiny_backbone())} == {6, 7, 8, 9, 10, 11}
    with pytest.raises(ls.RecipeError, match=r"6 is no decoder layer.*0, 1, 2, 3, 4, 5"):
        MagicStyle(MagicStyle.Options(layers=(6,))).check(xl)


def test_a_lora_is_learned(xl: UNetBackbone) -> None:
    o = LoRA.Options(steps=2, batch=1, crops=2, rank=2)
    style = check_style_encoder(lambda: LoRA(o), backbone=xl)
    assert style.family == xl.family
    assert {site.scale for site in (xl.sites[name] for name in style.deltas)} == {1, 2, 4}


def test_a_concept_is_learned_in_both_encoders(xl: UNetBackbone) -> None:
    o = Concept.Options(steps=2, batch=1, crops=2, words=2)
    style = check_style_encoder(lambda: Concept(o), backbone=xl)
    (vectors,) = style.words.values()
    moved = (vectors - xl.word_vectors("mine style")[:2]).abs() > 0
    assert vectors.shape == (2, 40)
    assert bool(moved[:, :16].any() and moved[:, 16:].any())


def test_deltas_on_what_the_network_is_told_cannot_be_limited(xl: UNetBackbone) -> None:
    site = xl.sites["add_embedding.linear_1"]
    factors = torch.ones(1, site.shape[1]), torch.ones(site.shape[0], 1)
    style = ls.Style("told", xl.family, {site.name: ls.Delta(*factors, 1.0)})
    edit = ls.Edit(photo(32), (ls.Region("all", style),))
    with pytest.raises(ls.StyleError, match=r"nothing but .*add_embedding\.linear_1, a"):
        ls.Editor(xl, ls.Host()).resolve(edit)


def test_a_picture_is_a_style_in_a_frame_of_several_tiles(xl: UNetBackbone) -> None:
    """Rows of the frame are told its tile, the picture's row all of itself; outside is kept."""
    style = ls.Style.from_pictures("picture", [photo(32, seed=1)])
    edit = ls.Edit(photo(64), (ls.Region("box:0,0,64,40", style),), steps=1, detail=1.0)
    editor = ls.Editor(xl, ls.Host())
    result = editor.run(edit)
    assert len(editor.resolve(edit).frames[0].tiles.tiles) > 1
    assert result.report.outside_identical == 1


def photo(side: int, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    return Image.fromarray(pixels)
