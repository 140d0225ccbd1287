"""Training pictures: at the scale an edit sees them, drawn from the seed alone."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from PIL import Image

import locstyle as ls
from locstyle.engine.backbones.unet import UNetBackbone


def picture(size: tuple[int, int] = (48, 40), seed: int = 0) -> Image.Image:
    drawn = torch.randint(0, 256, (*size[::-1], 3), generator=torch.Generator().manual_seed(seed))
    return Image.fromarray(drawn.to(torch.uint8).numpy())


@pytest.mark.parametrize("zoom", [1.0, 1.5])
def test_crops_show_strokes_as_large_as_an_edit_does(zoom: float) -> None:
    """A ramp over the whole picture has the slope 1/native in every crop, or less enlarged."""
    native = 64
    backbone = SimpleNamespace(native=native, multiple=8, device=torch.device("cpu"))
    ramp = torch.linspace(0, 255, 2 * native).round().to(torch.uint8)
    image = Image.fromarray(ramp.expand(2 * native, -1)[..., None].expand(-1, -1, 3).numpy())
    (crops,) = ls.Views(crops=8, zoom=zoom).of([image], backbone, 0)  # type: ignore[arg-type]
    assert crops.shape == (8, 3, native // 2, native // 2)
    inner = crops[:, 0, native // 4, 2:-2]  # resampling bends the ends
    slope = (inner[:, -1] - inner[:, 0]) / (inner.shape[1] - 1) * native
    if zoom == 1:
        assert torch.allclose(slope, torch.ones(8), atol=0.1)
    else:
        assert slope.max() < 1.1 and slope.min() < 0.95
    assert len({crop.sum().item() for crop in crops}) > 1


@pytest.mark.parametrize("drawn_at", [None, 96])
def test_crops_are_at_the_scale_that_is_said(drawn_at: int | None) -> None:
    """A ramp of one grey a pixel rises by `scale` from one working pixel to the next."""
    backbone = SimpleNamespace(native=32, multiple=8, device=torch.device("cpu"))
    ramp = torch.arange(192).to(torch.uint8).expand(192, -1)[..., None].expand(-1, -1, 3)
    views, images = ls.Views(crops=4, drawn_at=drawn_at), [Image.fromarray(ramp.numpy())]
    (crops,) = views.of(images, backbone, 0)  # type: ignore[arg-type]
    slope = 255 * (crops[:, 0, 8, 12] - crops[:, 0, 8, 4]) / 8
    scale = views.scale(images, backbone)  # type: ignore[arg-type]
    assert scale == 192 / (drawn_at or 32)
    assert torch.allclose(slope, torch.full((4,), scale), rtol=0.1)
    assert crops.shape[-1] == (drawn_at or 32) // 2


def test_whole_pictures_keep_their_shape_and_stand_by_size(backbone: UNetBackbone) -> None:
    images = [picture((64, 32)), picture((40, 40)), picture((33, 33), seed=1)]
    wide, square = ls.Views(crops=0).of(images, backbone, 0)
    assert wide.shape == (1, 3, 32, 64) and square.shape == (2, 3, 32, 32)
    assert 0 <= float(wide.min()) and float(wide.max()) <= 1


def test_whole_pictures_are_mirrored_by_a_coin_a_draw(backbone: UNetBackbone) -> None:
    """`CrystalNeuro/visual-concept-translator` tosses it whenever a picture is loaded."""
    (pair,) = ls.Views(crops=0, flips=True).of([picture((32, 32))], backbone, 0)
    assert len(pair) == 2 and torch.equal(pair[0].flip(-1), pair[1])
    latents = ls.Latents([pair], backbone, 0)
    way = backbone.encode(pair[:1])
    seen = [bool(torch.equal(latents.draw(1), way)) for _ in range(64)]
    assert 16 < sum(seen) < 48
    (hues,) = ls.Views(crops=0, hues=True).of([picture((32, 32))], backbone, 0)
    assert len({tuple(one.mean((1, 2)).tolist()) for one in hues}) == 6


def test_views_and_draws_come_from_the_seed_alone(backbone: UNetBackbone) -> None:
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed + 100)  # the global generator plays no part
        views = ls.Views(crops=4, zoom=1.5, flips=True, hues=True).of([picture()], backbone, seed)
        return ls.Latents(views, backbone, seed, resample=True).draw(3)

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_latents_are_encoded_once_unless_they_are_drawn_anew(backbone: UNetBackbone) -> None:
    views = ls.Views(crops=0).of([picture()], backbone, 0)
    fixed, anew = (ls.Latents(views, backbone, 0, resample=again) for again in (False, True))
    assert torch.equal(fixed.draw(1), fixed.draw(1))
    assert torch.equal(fixed.draw(1), backbone.encode(views[0]))
    assert not torch.equal(anew.draw(1), anew.draw(1))
