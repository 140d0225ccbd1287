"""Contact sheets."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageFont

from locstyle.sheet import _DRAWN, contact_sheet, drawable


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


def test_labels_are_of_signs_that_the_font_has():
    assert drawable("Café Zürich — 3 × 4…") == "Cafe Zurich - 3 x 4..."
    assert drawable("日本") == r"\u65e5\u672c" and drawable("a\nb") == "a b"
    font = ImageFont.load_default(size=14)
    missing = bytes(font.getmask("\uffff"))
    for one in {*_DRAWN, *"".join(map(drawable, map(chr, range(32, 0x3000))))}:
        assert one == " " or bytes(font.getmask(one)) != missing, repr(one)


def test_names_that_differ_are_labelled_apart():
    blank = Image.new("RGB", (8, 8))
    sheets = [contact_sheet([(name, blank)]).tobytes() for name in ("é", "日", "本", "ж")]
    assert len(set(sheets)) == 4
