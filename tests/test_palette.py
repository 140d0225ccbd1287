"""Whose colours a region gets: the photo's, the style's, or those that were drawn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

import locstyle as ls
from locstyle.job.palette import Palette, Spread, palettes_of, recoloured, settled_palettes
from locstyle.testing import random_words, tiny_backbone

SIZE = 48


def _picture(seed: int, colour: tuple[float, float, float] = (0.5, 0.5, 0.5)) -> torch.Tensor:
    """Muted colours around one, no pixel near the rim of what sRGB can show."""
    noise = torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)) - 0.5
    return torch.tensor(colour)[:, None, None] + 0.3 * noise


def _lab(picture: torch.Tensor) -> np.ndarray:
    return rgb2lab(picture.permute(1, 2, 0).numpy())


def _half() -> torch.Tensor:
    shares = torch.zeros(1, SIZE, SIZE)
    shares[0, :, : SIZE // 2] = 1
    return shares


DRAWN, PHOTO, STYLE = _picture(1, (0.4, 0.5, 0.6)), _picture(2), _picture(3, (0.6, 0.5, 0.4))


def _spread(picture: torch.Tensor) -> Spread:
    colours = _lab(picture).reshape(-1, 3).astype(np.float32)
    return Spread.of(colours, np.ones(len(colours), np.float32))


def test_at_0_hue_and_colourfulness_are_the_photos_and_lightness_is_as_drawn() -> None:
    out = recoloured(DRAWN, PHOTO, _half(), [Palette(0.0)])
    inside = np.s_[:, : SIZE // 2]
    assert np.abs(_lab(out)[inside][..., 0] - _lab(DRAWN)[inside][..., 0]).max() < 0.5
    assert np.abs(_lab(out)[inside][..., 1:] - _lab(PHOTO)[inside][..., 1:]).max() < 0.5


def test_at_1_mean_and_covariance_are_the_style_pictures() -> None:
    wanted = _spread(STYLE)
    out = recoloured(DRAWN, PHOTO, torch.ones(1, SIZE, SIZE), [Palette(1.0, wanted)])
    found = _spread(out)
    assert np.abs(found.mean - wanted.mean).max() < 0.2
    assert np.abs(found.covariance - wanted.covariance).max() < 0.03 * wanted.covariance.max()


def test_what_no_region_owns_stays_and_a_region_without_a_palette_too() -> None:
    out = recoloured(DRAWN, PHOTO, _half(), [Palette(0.0)])
    assert torch.equal(out[:, :, SIZE // 2 :], DRAWN[:, :, SIZE // 2 :])
    assert recoloured(DRAWN, PHOTO, _half(), [None]) is DRAWN
    assert recoloured(DRAWN, PHOTO, torch.zeros(1, SIZE, SIZE), [Palette(0.0)]) is DRAWN


def test_a_style_whose_colours_nobody_knows_keeps_those_that_were_drawn() -> None:
    out = recoloured(DRAWN, PHOTO, _half(), [Palette(1.0)])
    assert (out - DRAWN).abs().max() < 1 / 255


def test_the_way_between_the_ends_is_straight() -> None:
    near, far = (
        _lab(recoloured(DRAWN, PHOTO, torch.ones(1, SIZE, SIZE), [Palette(share, _spread(STYLE))]))
        for share in (0.0, 1.0)
    )
    middle = Palette(0.5, _spread(STYLE))
    out = _lab(recoloured(DRAWN, PHOTO, torch.ones(1, SIZE, SIZE), [middle]))
    assert np.abs(out - (near + far) / 2).max() < 1


def test_regions_do_not_see_each_others_colours() -> None:
    shares = torch.cat([_half(), 1 - _half()])
    both = [Palette(1.0, _spread(STYLE)), Palette(1.0, _spread(PHOTO))]
    out = recoloured(DRAWN, PHOTO, shares, both)
    other = recoloured(DRAWN, PHOTO, shares, [both[0], None])
    assert torch.equal(out[:, :, : SIZE // 2], other[:, :, : SIZE // 2])


def test_a_flat_style_does_not_flatten_and_a_loud_one_is_bounded() -> None:
    flat = _spread(torch.full((3, SIZE, SIZE), 0.5))
    for style in (flat, _spread(_picture(4) * 3 - 1)):
        out = recoloured(torch.full((3, SIZE, SIZE), 0.4), PHOTO, _half(), [Palette(1.0, style)])
        assert bool(torch.isfinite(out).all()) and 0 <= float(out.min()) and float(out.max()) <= 1


@pytest.fixture
def style() -> ls.Style:
    return ls.Style.from_pictures("s", [Image.new("RGB", (64, 64), (200, 30, 30))])


@pytest.mark.parametrize(
    ("of_region", "of_edit", "of_style", "settled"),
    [
        (0.25, 0.5, "1", 0.25),
        ("drawn", 0.5, "1", "drawn"),
        (None, 0.5, "1", 0.5),
        (None, None, "1", 1.0),
        (None, None, "drawn", "drawn"),
        (None, None, None, "drawn"),
    ],
)
def test_the_region_says_then_the_edit_then_the_style(
    style: ls.Style, of_region: object, of_edit: object, of_style: str | None, settled: object
) -> None:
    said = style if of_style is None else style.with_meta(palette=of_style)
    edit = ls.Edit("a.png", (ls.Region("all", said, palette=of_region),), palette=of_edit)
    assert settled_palettes(edit, [(said,)]).regions[0].palette == settled


def test_of_several_styles_the_strongest_says(style: ls.Style) -> None:
    styles = (style.with_meta(palette="1"), style.with_meta(palette="0"), style)
    stylings = tuple(
        ls.Styling(one, strength) for one, strength in zip(styles, (0.5, 0.9, 1.0), strict=True)
    )
    edit = ls.Edit("a.png", (ls.Region("all", styles=stylings),))
    assert settled_palettes(edit, [styles]).regions[0].palette == 0.0


def test_words_of_the_negative_prompt_have_no_say() -> None:
    words = random_words(tiny_backbone()).with_preview(Image.new("RGB", (8, 8), "red"))
    words = replace(words, meta={**words.meta, "palette": "1"})
    asked = ls.Edit("a.png", (ls.Region("all", words),), negative=f"blur, {words.trigger}")
    assert settled_palettes(asked, [(words,)]).regions[0].palette == "drawn"
    own = replace(asked, regions=(replace(asked.regions[0], palette=1.0),))
    assert palettes_of(own, [(words,)]) == (Palette(1.0),)


@pytest.mark.parametrize("word", ["purple", "2.0", "nan", ""])
def test_a_header_that_says_nonsense_is_refused_by_name(style: ls.Style, word: str) -> None:
    said = style.with_meta(palette=word)
    edit = ls.Edit("a.png", (ls.Region("all", said),))
    with pytest.raises(ls.StyleError, match=rf"'s'.*'{word}'.*0, the photo's own"):
        settled_palettes(edit, [(said,)])
    asked = replace(edit, palette=0.5)  # whoever is not asked may say what it likes
    assert settled_palettes(asked, [(said,)]).regions[0].palette == 0.5


@pytest.mark.parametrize("value", [-0.1, 1.5, "style", True, float("nan")])
def test_values_without_a_meaning_are_refused(value: object) -> None:
    with pytest.raises(ls.RecipeError, match="palette: got"):
        ls.Edit("a.png", (ls.Region("all", "neon"),), palette=value)
    with pytest.raises(ls.RecipeError, match="palette: got"):
        ls.Region("all", "neon", palette=value)


def test_an_edit_is_coloured_inside_and_identical_outside(
    tiny_editor: ls.Editor, style: ls.Style
) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(60, 200, (48, 64, 3), np.uint8))
    region = ls.Region("box:0,0,32,48", style)
    drawn = tiny_editor.run(ls.Edit(photo, (region,), palette="drawn", steps=2))
    plain = tiny_editor.run(ls.Edit(photo, (region,), steps=2))
    own = tiny_editor.run(ls.Edit(photo, (replace(region, palette=0),), steps=2))
    assert np.array_equal(np.asarray(drawn.image), np.asarray(plain.image))
    away = np.abs(np.asarray(own.image, int) - np.asarray(drawn.image, int)).max(axis=2)
    assert away[:, :28].any() and not away[:, 40:].any()
    assert (own.edit.regions[0].palette, plain.edit.regions[0].palette) == (0.0, "drawn")
    again = tiny_editor.run(own.edit)
    assert np.array_equal(np.asarray(again.image), np.asarray(own.image))
    assert palettes_of(own.edit, [(style,)])[0] == Palette(0.0)


def test_a_training_writes_down_what_it_is_told() -> None:
    assert ls.StyleRequest("s", "p", palette="0.0").header()["palette"] == "0.0"
    assert "palette" not in ls.StyleRequest("s", "p").header()


def test_a_preview_on_the_way_has_the_colours_of_the_result(
    tiny_editor: ls.Editor, style: ls.Style
) -> None:
    photo = Image.fromarray(np.random.default_rng(0).integers(60, 200, (32, 32, 3), np.uint8))
    seen = []
    for palette in ("drawn", 0):
        steps: list[ls.Step] = []
        edit = ls.Edit(photo, (ls.Region("all", style),), palette=palette, steps=1)
        result = tiny_editor.run(edit, steps.append)
        preview = steps[-1].preview
        assert preview is not None
        away = np.abs(np.asarray(preview(), int) - np.asarray(result.image, int))
        assert away.mean() < 1 and preview().size == result.image.size
        seen.append(np.asarray(preview(), int))
    assert np.abs(seen[0] - seen[1]).mean() > 3
