"""Edits drawn in several frames and tiles: every promise of one frame holds for many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from locstyle import (
    Edit,
    Editor,
    Fusing,
    Host,
    LocstyleError,
    Mask,
    Photo,
    RecipeError,
    Region,
    Step,
    Style,
)
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.job.cache import TrajectoryCache
from locstyle.testing import random_style, random_tokens, random_words

SIZE = (150, 200)
NEAR, FAR = (10, 12, 34, 40), (150, 100, 186, 140)
FUSIONS = {
    "singlepass": ("deltas", "reference", "tokens", "words"),
    "diffstyler": ("deltas",),
    "magicstyle": ("reference",),
    "deadiff": ("tokens",),
    "vct": ("words",),
}


@pytest.fixture(scope="module")
def editor(backbone: UNetBackbone) -> Editor:
    return Editor(backbone, Host())


def photo(depth: str = "uint8") -> Photo:
    rng = np.random.default_rng(3)
    coarse = rng.random((15, 20, 3))
    pixels = np.kron(coarse, np.ones((10, 10, 1))) * np.iinfo(depth).max
    return Photo.from_image(pixels.astype(depth))


def style(backbone: UNetBackbone, kind: str, seed: int) -> Style:
    rng = np.random.default_rng(seed)
    makers: dict[str, Any] = {
        "deltas": lambda: random_style(backbone, seed),
        "tokens": lambda: random_tokens(backbone, seed),
        "words": lambda: random_words(backbone, seed),
        "reference": lambda: Style.from_pictures(
            f"p{seed}", [rng.integers(0, 256, (40, 40, 3), np.uint8)]
        ),
    }
    made: Style = makers[kind]()
    return made


def edit_of(
    backbone: UNetBackbone,
    boxes: Sequence[tuple[int, int, int, int]] = (NEAR, FAR),
    kinds: Sequence[str] = ("deltas",),
    **given: Any,
) -> Edit:
    regions = tuple(
        Region(Mask.box(box, SIZE), style(backbone, kinds[seed % len(kinds)], seed))
        for seed, box in enumerate(boxes)
    )
    return Edit(photo(), regions, **({"steps": 2} | given))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_region_comes_out_the_same_whatever_is_edited_far_away(
    editor: Editor, backbone: UNetBackbone, fusion: str
) -> None:
    both = edit_of(backbone, kinds=FUSIONS[fusion][:1], fusion=Fusing(fusion))
    made = editor.run(both)
    assert len(made.frames) == 2
    for number, (x0, y0, x1, y1) in enumerate((NEAR, FAR)):
        alone = editor.run(replace(both, regions=(both.regions[number],)))
        around = slice(max(0, y0 - 9), y1 + 9), slice(max(0, x0 - 9), x1 + 9)
        assert np.array_equal(made.photo.pixels[around], alone.photo.pixels[around])
        assert torch.equal(made.frames[number].latent, alone.latent)
        inside = slice(y0 + 4, y1 - 4), slice(x0 + 4, x1 - 4)
        assert not np.array_equal(made.photo.pixels[inside], made.source.pixels[inside])


def test_outside_all_frames_regions_every_bit_is_the_photos(
    editor: Editor, backbone: UNetBackbone
) -> None:
    for depth in ("uint8", "uint16"):
        edit = replace(edit_of(backbone), image=photo(depth))
        result = editor.run(edit)
        kept = np.ones(SIZE, bool)
        for x0, y0, x1, y1 in (NEAR, FAR):
            kept[y0 - 2 : y1 + 2, x0 - 2 : x1 + 2] = False
        assert np.array_equal(result.photo.pixels[kept], result.source.pixels[kept])
        assert result.report.outside_identical == 1.0


def test_touching_frames_meet_in_the_paste(editor: Editor, backbone: UNetBackbone) -> None:
    """The photo does not shine through where one frame ends and the next begins."""
    white = replace(
        edit_of(backbone, [(20, 20, 60, 60), (60, 20, 100, 60)], feather=4, paste_feather=4),
        image=Photo.from_image(np.full((*SIZE, 3), 255, np.uint8)),
    )
    apart = replace(white, regions=(white.regions[0], replace(white.regions[1], detail=0.5)))
    result = editor.run(apart)
    assert [frame.regions for frame in result.frames] == [(0,), (1,)]
    weights = [
        editor.resolve(apart).layers(f, "paste_feather") for f in editor.resolve(apart).frames
    ]
    total = torch.zeros(SIZE)
    for frame, layers in zip(editor.resolve(apart).frames, weights, strict=True):
        x0, y0, x1, y1 = frame.canvas.box
        total[y0:y1, x0:x1] += layers.weight.values
    assert float(total[30:50, 30:90].min()) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_finished_edit_draws_the_same_frames_again(
    editor: Editor, backbone: UNetBackbone, fusion: str
) -> None:
    made = editor.run(edit_of(backbone, kinds=FUSIONS[fusion], fusion=Fusing(fusion)))
    again = editor.run(made.edit)
    assert np.array_equal(made.photo.pixels, again.photo.pixels)
    assert [f.box for f in made.edit.frames] == [f.box for f in made.frames]
    assert again.edit == made.edit


LARGE = (5, 5, 95, 60)
"""A box that takes a dozen tiles of the tiny backbone at the photo's own pixels."""


MOST = [
    fusion if fusion == "singlepass" else pytest.param(fusion, marks=pytest.mark.slow)
    for fusion in FUSIONS
]
"""One of all in CI: the others take ten seconds each."""


@pytest.mark.parametrize("fusion", MOST)
def test_a_frame_too_large_for_one_pass_is_drawn_in_tiles(
    editor: Editor, backbone: UNetBackbone, fusion: str
) -> None:
    kinds = FUSIONS[fusion]
    edit = edit_of(backbone, [LARGE], kinds[:1], fusion=Fusing(fusion), detail=1, steps=1)
    result = editor.run(edit)
    (frame,) = result.report.frames
    assert frame.tiles > 2 and result.report.outside_identical == 1.0
    assert bool(torch.isfinite(result.latent).all())
    assert result.latent.shape[-1] * backbone.factor == result.working_size[1] > 90
    in_chunks = editor.run(result.edit, max_rows=1)
    assert torch.allclose(in_chunks.latent, result.latent, atol=1e-4)


def test_inversions_of_frames_and_tiles_are_kept_apart(
    backbone: UNetBackbone, tmp_path: Any
) -> None:
    editor = Editor(backbone, Host(), cache=TrajectoryCache(tmp_path))
    tiled = edit_of(backbone, [(5, 5, 55, 45)], detail=1, steps=1)
    first, second = editor.run(tiled), editor.run(tiled)
    assert first.report.frames[0].tiles > 1
    assert first.report.cached_inversions == 0 and second.report.cached_inversions == 1
    assert torch.equal(first.latent, second.latent)
    frames = edit_of(backbone)
    assert editor.run(frames).report.cached_inversions == 0
    assert editor.run(frames).report.cached_inversions == 2


def test_a_reference_is_inverted_once_for_frames_of_one_size(
    editor: Editor, backbone: UNetBackbone
) -> None:
    picture = style(backbone, "reference", 5)
    boxes = [(10, 12, 34, 36), (150, 100, 174, 124)]
    regions = tuple(Region(Mask.box(box, SIZE), picture) for box in boxes)
    result = editor.run(Edit(photo(), regions, steps=2, fusion=Fusing("magicstyle")))
    first, second = result.report.frames
    assert first.working_size == second.working_size
    assert first.inversion_rows == 2 * second.inversion_rows


def test_steps_count_over_all_frames_and_show_the_photo(
    editor: Editor, backbone: UNetBackbone
) -> None:
    steps: list[Step] = []
    editor.run(edit_of(backbone), steps.append)
    for phase in ("invert", "denoise"):
        told = [(step.index, step.total) for step in steps if step.phase == phase]
        assert [index for index, _ in told] == list(range(1, len(told) + 1))
        assert {total for _, total in told} == {len(told)}
    last = [step for step in steps if step.phase == "denoise"][-1]
    assert last.preview is not None and last.preview().size == (200, 150)


def test_one_frames_fields_are_refused_for_several(editor: Editor, backbone: UNetBackbone) -> None:
    result = editor.run(edit_of(backbone))
    for name in ("latent", "partition", "working_size"):
        with pytest.raises(LocstyleError, match=f"result.{name}: .* in 2 frames"):
            getattr(result, name)


def test_frames_of_another_edit_are_refused(editor: Editor, backbone: UNetBackbone) -> None:
    made = editor.run(edit_of(backbone)).edit
    other = edit_of(backbone, [(40, 60, 120, 120), FAR])
    with pytest.raises(RecipeError, match="frames: no frame that draws region 0 holds all"):
        editor.resolve(replace(other, frames=made.frames))


def test_grain_changes_only_the_fine_scale_inside(editor: Editor, backbone: UNetBackbone) -> None:
    rng = np.random.default_rng(0)
    noisy = Photo.from_image(rng.integers(90, 160, (*SIZE, 3)).astype(np.uint8))
    edit = replace(edit_of(backbone, [(40, 40, 140, 120)], detail=0.25, steps=1), image=noisy)
    plain, grained = editor.run(edit), editor.run(replace(edit, grain="auto"))
    assert torch.equal(plain.latent, grained.latent)
    assert grained.report.outside_identical == 1.0
    inside = slice(50, 110), slice(50, 130)
    soft, rough = (
        np.abs(np.diff(result.photo.pixels[inside].astype(int), axis=0)).mean()
        for result in (plain, grained)
    )
    assert rough > 1.5 * soft
