"""Contact sheets."""

from __future__ import annotations

import numpy as np
from PIL import Image

from locstyle.sheet import contact_sheet


def test_pictures_stand_in_rows_of_columns():
    pictures = [(str(n), Image.new("RGB", (64, 64), "red")) for n in range(5)]
    one, two = contact_sheet(pictures), contact_sheet(pictures, 3)
    assert one.width > 5 * 256 and one.height < 2 * 256
    assert 3 * 256 < two.width < 4 * 256 and 2 * 256 < two.height < 3 * 256


def test_small_pictures_grow_by_whole_pixels_and_large_ones_shrink():
    noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    sheet = np.asarray(contact_sheet([("", Image.fromarray(noise))], cell=40))
    grown = noise.repeat(2, 0).repeat(2, 1)
    assert any(
        (sheet[y : y + 32, x : x + 32] == grown).all()
        for y in range(sheet.shape[0] - 31)
        for x in range(sheet.shape[1] - 31)
    )
    assert contact_sheet([("", Image.new("RGB", (900, 300)))], cell=40).width < 60


def test_a_row_is_as_high_as_its_highest():
    wide, tall = Image.new("RGB", (900, 300), "red"), Image.new("RGB", (300, 900), "red")
    rows = contact_sheet([("", wide), ("", wide), ("", wide), ("", tall)], 2, cell=90)
    alone = contact_sheet([("", wide), ("", wide)], 2, cell=90)
    assert 30 < alone.height < 90 < 120 < rows.height < 200 and rows.width == alone.width
    red = np.asarray(rows)[..., 1] == 0
    assert red.sum() == 4 * 90 * 30


def test_every_mode_and_any_label_fits():
    modes = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
    pictures = [
        ("a label longer than its picture is wide " * 3, Image.new(m, (9, 5))) for m in modes
    ]
    assert contact_sheet(pictures, 4).mode == "RGB"


def test_transparent_pixels_stand_on_white():
    sheet = np.asarray(contact_sheet([("", Image.new("RGBA", (8, 8)))], cell=8))
    assert (sheet == 255).all()
