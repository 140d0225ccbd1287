"""Styles that are pictures, words or tokens: odd pictures made right, files that come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from safetensors.torch import load_file, save_file

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.style import read_header, read_style


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def reference(picture: Image.Image, **given: object) -> ls.Reference:
    return ls.Reference.of(picture, **given)  # type: ignore[arg-type]


def every_kind(backbone: UNetBackbone) -> ls.Style:
    draw = torch.Generator().manual_seed(1)
    name = next(site.name for site in backbone.sites.where(role="cross"))
    keys = backbone.sites[f"{name}.to_k"]
    area = torch.zeros(5, 4, dtype=torch.uint8)
    area[1:3] = 200
    pixels = [torch.from_numpy(noise(5, 4, seed=seed)) for seed in range(11)]
    return ls.Style(
        "all",
        backbone.family,
        {keys.name: ls.Delta(torch.randn(2, keys.shape[1]), torch.randn(keys.shape[0], 2), 0.1)},
        {"trigger": "<ink> drawing"},
        references=(*(ls.Reference(p) for p in pixels[:10]), ls.Reference(pixels[10], area)),
        words={"<ink>": torch.randn(3, 16, generator=draw), "<a.b>": torch.randn(1, 16)},
        tokens={name: ls.Tokens(torch.randn(4, keys.shape[0]), torch.randn(4, keys.shape[0]))},
    )


# References of pictures


def test_a_plain_picture_is_its_own_reference() -> None:
    pixels = noise(30, 40)
    found = reference(Image.fromarray(pixels))
    assert np.array_equal(found.pixels.numpy(), pixels)
    assert found.area is None and found.size == (30, 40)
    assert np.array_equal(np.asarray(found.image), pixels)


def test_a_picture_of_a_camera_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by a quarter
    Image.fromarray(noise(30, 40)).save(tmp_path / "a.png", exif=exif)
    found = ls.Reference.of(ls.Photo.open(tmp_path / "a.png"))
    assert np.array_equal(found.pixels.numpy(), np.rot90(noise(30, 40), -1))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "RGBA"])
def test_modes_come_out_as_they_are_seen(mode: str) -> None:
    picture = Image.fromarray(noise(20, 20)).convert(mode)
    found = reference(picture)
    assert np.array_equal(found.pixels.numpy(), np.asarray(picture.convert("RGB")))
    assert found.area is None


def test_sixteen_bits_are_rounded_to_eight() -> None:
    deep = noise(20, 20).astype(np.uint16) * 257
    found = ls.Reference.of(ls.Photo.from_image(deep))
    assert np.array_equal(found.pixels.numpy(), noise(20, 20))


def test_what_is_transparent_is_no_part_of_the_style() -> None:
    pixels = noise(20, 20, 4)
    pixels[..., 3] = 255
    pixels[:10, :, 3] = 0
    pixels[10:, :, :3] = (200, 100, 50)
    found = reference(Image.fromarray(pixels))
    assert found.area is not None
    assert np.array_equal(found.area.numpy() > 0, pixels[..., 3] > 0)
    assert (found.pixels == torch.tensor([200, 100, 50])).all()  # the hidden colours are gone
    pixels[..., 3] = 0
    with pytest.raises(ls.StyleError, match="wholly transparent"):
        reference(Image.fromarray(pixels))


def test_an_area_follows_the_picture_and_must_leave_something() -> None:
    picture = Image.fromarray(noise(40, 80))
    area = ls.Mask.box((0, 0, 40, 40), size=(40, 80))
    found = reference(picture, area=area, side=28)
    assert found.size == (20, 40) and found.area is not None
    assert (found.area[:, :20] == 255).all() and not found.area[:, 20:].any()
    with pytest.raises(ls.StyleError, match=r"\(9, 9\), the picture \(40, 80\)"):
        reference(picture, area=ls.Mask.everywhere((9, 9)))
    clear = noise(40, 80, 4)
    clear[:, :40, 3] = 0
    with pytest.raises(ls.StyleError, match="covers nothing"):
        reference(Image.fromarray(clear), area=area)


@pytest.mark.parametrize(
    ("size", "made"), [((1, 1), (1, 1)), ((3000, 2000), (941, 627)), ((4, 20000), (4, 20000))]
)
def test_tiny_and_large_pictures_come_at_about_the_side_squared(
    size: tuple[int, int], made: tuple[int, int]
) -> None:
    picture = Image.new("RGB", size[::-1], (10, 200, 30))
    found = reference(picture)
    assert found.size == made
    assert (found.pixels == torch.tensor([10, 200, 30])).all()


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with its red and blue primaries swapped, under another name; greys mean the same."""
    swapped = SRGB.replace(b"rXYZ", b"....").replace(b"bXYZ", b"rXYZ").replace(b"....", b"bXYZ")
    return swapped.replace("sRGB".encode("utf-16-be"), "BGRs".encode("utf-16-be"))


def test_colours_of_another_profile_are_converted() -> None:
    picture = Image.fromarray(noise(20, 20))
    picture.info["icc_profile"] = SRGB
    assert np.array_equal(reference(picture).pixels.numpy(), noise(20, 20))
    picture.info["icc_profile"] = swapped_profile()
    found = reference(picture).pixels.numpy().astype(int)
    assert np.abs(found - noise(20, 20)[..., ::-1]).max() <= 2


def test_a_broken_profile_warns_and_is_taken_as_srgb() -> None:
    picture = Image.fromarray(noise(20, 20))
    picture.info["icc_profile"] = b"not a profile"
    with pytest.warns(UserWarning, match="taken as sRGB"):
        found = reference(picture)
    assert np.array_equal(found.pixels.numpy(), noise(20, 20))


# Styles of every kind


def test_pictures_make_a_style_that_fits_every_backbone() -> None:
    style = ls.Style.from_pictures("two", [Image.new("RGB", (8, 8), c) for c in ("red", "blue")])
    assert style.kinds == {"reference"} and len(style.references) == 2
    assert style.fits("sd1") and style.fits("mini")
    assert style.preview is not None and style.preview.getpixel((0, 0)) == (255, 0, 0)
    assert repr(style) == "Style('two', family='any', 2 references)"
    assert "<img" in style._repr_html_()


def test_every_kind_comes_back_exactly(tmp_path: Path, backbone: UNetBackbone) -> None:
    style = every_kind(backbone)
    path = style.save(tmp_path / "all.safetensors")
    found, coverage = read_style(path, sites=backbone.sites, family=backbone.family)
    assert coverage.is_complete
    assert found.digest == style.digest
    assert found.kinds == style.kinds == {"deltas", "reference", "words", "tokens"}
    assert read_header(path)["kind"] == "deltas,reference,tokens,words"
    for one, other in zip(found.references, style.references, strict=True):
        assert torch.equal(one.pixels, other.pixels)
    assert torch.equal(found.references[10].area, style.references[10].area)
    assert {k: v.tolist() for k, v in found.words.items()} == {
        k: v.tolist() for k, v in style.words.items()
    }
    (site,) = style.tokens
    assert torch.equal(found.tokens[site].k, style.tokens[site].k)
    assert torch.equal(found.tokens[site].v, style.tokens[site].v)


def test_the_digest_is_of_every_kind(backbone: UNetBackbone) -> None:
    from dataclasses import replace

    style = every_kind(backbone)
    without = {
        replace(style, **{kind: empty}).digest
        for kind, empty in (("deltas", {}), ("references", ()), ("words", {}), ("tokens", {}))
    }
    no_area = replace(style.references[10], area=None)
    other = replace(style, references=(*style.references[:10], no_area))
    assert len({style.digest, other.digest, *without}) == 6


def test_half_precision_halves_numbers_and_leaves_pictures(backbone: UNetBackbone) -> None:
    half = every_kind(backbone).to(torch.float16)
    (tokens,) = half.tokens.values()
    assert half.words["<ink>"].dtype == tokens.k.dtype == tokens.v.dtype == torch.float16
    assert half.references[0].pixels.dtype == torch.uint8


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "carries nothing"),
        ({"family": "any", "words": {"<a>": torch.zeros(1, 2)}}, "one family of backbones"),
        ({"words": {"": torch.zeros(1, 2)}}, "give one word"),
        ({"words": {"<a b>": torch.zeros(1, 2)}}, "give one word"),
        ({"words": {"<a>": torch.zeros(2)}}, r"floats \[n, d\]"),
        ({"words": {"<a>": torch.zeros(1, 2, dtype=torch.int64)}}, r"floats \[n, d\]"),
    ],
)
def test_a_style_that_cannot_be_used_is_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ls.StyleError, match=message):
        ls.Style(**{"name": "s", "family": "tiny", **given})  # type: ignore[arg-type]


def test_parts_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ls.StyleError, match=r"uint8 \[height, width, 3\]"):
        ls.Reference(torch.zeros(4, 4, 3))
    with pytest.raises(ls.StyleError, match="its area is"):
        ls.Reference(torch.zeros(4, 4, 3).byte(), torch.ones(4, 5).byte())
    with pytest.raises(ls.StyleError, match="covers nothing"):
        ls.Reference(torch.zeros(4, 4, 3).byte(), torch.zeros(4, 4).byte())
    with pytest.raises(ls.StyleError, match=r"\[n, inner\]"):
        ls.Tokens(torch.zeros(2, 3), torch.zeros(3, 3))


# Files


def changed(path: Path, **tensors: torch.Tensor | None) -> Path:
    """The file with tensors put in or (None) left out, by name with __ for a dot."""
    held, header = load_file(path), read_header(path)
    for key, tensor in tensors.items():
        held.pop(key.replace("__", "."), None)
        if tensor is not None:
            held[key.replace("__", ".")] = tensor
    save_file(held, path, metadata=header)
    return path


def test_a_damaged_file_says_what_is_wrong_and_where(
    tmp_path: Path, backbone: UNetBackbone
) -> None:
    (site,) = every_kind(backbone).tokens
    cases = {
        "references__3__pixels": (None, "reference 3 has no pixels"),
        "references__0__pixels": (torch.zeros(2, 2), "reference: .* uint8"),
        "words__<ink>": (torch.zeros(3), "words"),
        f"tokens.{site}.k": (None, "need k and v"),
        f"tokens.{site}.v": (torch.zeros(1, 1), "keys .* and values"),
    }
    for key, (tensor, message) in cases.items():
        path = every_kind(backbone).save(tmp_path / "a.safetensors")
        if key == "references__3__pixels":  # its area alone is left
            changed(path, references__3__area=torch.ones(5, 4).byte())
        with pytest.raises(ls.StyleError, match=f"a.safetensors: .*{message}"):
            ls.read_style(
                changed(path, **{key: tensor}), sites=backbone.sites, family=backbone.family
            )


def test_tokens_must_fit_the_backbone(tmp_path: Path, backbone: UNetBackbone) -> None:
    (site,) = every_kind(backbone).tokens
    wide = ls.Tokens(torch.zeros(2, 999), torch.zeros(2, 999))
    path = ls.Style("t", "tiny", tokens={site: wide}).save(tmp_path / "a.safetensors")
    with pytest.raises(ls.StyleError, match="999 wide"):
        ls.read_style(path, sites=backbone.sites, family="tiny")
    stray = ls.Style("t", "tiny", tokens={"no.such.layer": wide}, words={"<a>": torch.zeros(1, 16)})
    _, coverage = read_style(stray.save(path), sites=backbone.sites, family="tiny")
    assert sorted(coverage.unmatched) == ["tokens.no.such.layer.k", "tokens.no.such.layer.v"]


def test_a_file_of_pictures_fits_every_backbone(tmp_path: Path, backbone: UNetBackbone) -> None:
    style = ls.Style.from_pictures("p", [Image.fromarray(noise(8, 8))])
    path = style.save(tmp_path / "p.safetensors")
    assert ls.read_style(path, sites=backbone.sites, family="mini")[0].digest == style.digest
    assert "rank" not in read_header(path)
