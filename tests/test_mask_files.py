"""Every kind of mask file gives the same mask, turned as the photo is; others say what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from locstyle import Mask, MaskError, Photo
from locstyle.masks.ranges import colour_range, luminance_range
from locstyle.segments.mask_files import open_alpha, open_map, open_mask, open_scribble

SIZE = (20, 30)
INSIDE = np.zeros(SIZE, bool)
INSIDE[2:9, 4:14] = True
RED, BLUE = (255, 0, 0), (0, 0, 255)


def coloured(inside: Any = RED, outside: Any = BLUE) -> Image.Image:
    return Image.fromarray(np.where(INSIDE[..., None], inside, outside).astype(np.uint8))


def saved(path: Path, image: Image.Image, **given: Any) -> Path:
    image.save(path, **given)
    return path


def equals(mask: Mask) -> None:
    np.testing.assert_array_equal(mask.values.numpy(), INSIDE)


@pytest.mark.parametrize(
    ("name", "array", "pick"),
    [
        ("bool.npy", INSIDE, None),
        ("float.npy", INSIDE.astype(np.float32), None),
        ("byte.npy", INSIDE.astype(np.uint8) * 255, None),
        ("int.npy", INSIDE.astype(np.int64), None),
        ("labels.npy", INSIDE * np.int32(7), "7"),
        ("bytes.npy", INSIDE * np.uint8(3), "3"),
        ("one.npy", INSIDE[None], None),
        ("stack.npy", np.stack([~INSIDE, INSIDE]), "2"),
    ],
)
def test_arrays(tmp_path: Path, name: str, array: np.ndarray, pick: str | None) -> None:
    np.save(tmp_path / name, array)
    equals(open_mask(tmp_path / name, SIZE, pick=pick))


def test_pictures_alpha_and_maps(tmp_path: Path) -> None:
    white = saved(tmp_path / "white.png", Image.fromarray(INSIDE.astype(np.uint8) * 255))
    equals(open_mask(white, SIZE))
    cut = coloured()
    cut.putalpha(Image.fromarray(INSIDE.astype(np.uint8) * 255))
    equals(open_alpha(saved(tmp_path / "cut.png", cut), SIZE))
    colours = saved(tmp_path / "map.png", coloured())
    equals(open_map(colours, SIZE, "#ff0000"))
    equals(open_map(colours, SIZE, "FF0000"))
    indexed = Image.fromarray(INSIDE.astype(np.uint8) * 3 + 1)
    numbers = saved(tmp_path / "numbers.png", indexed)
    equals(open_map(numbers, SIZE, 4))
    indexed = indexed.copy()
    indexed.putpalette([0, 0, 0, *BLUE, 9, 9, 9, 8, 8, 8, *RED])
    palette = saved(tmp_path / "palette.png", indexed)
    equals(open_map(palette, SIZE, 4))
    equals(open_map(palette, SIZE, "#ff0000"))
    deep = Image.fromarray(INSIDE.astype(np.uint16) * 300)
    equals(open_map(saved(tmp_path / "deep.png", deep), SIZE, 300))


def test_segments_by_number_and_label(tmp_path: Path) -> None:
    box = [[4, 2, 14, 2, 14, 9, 4, 9]]
    whole = [[0, 0, 30, 0, 30, 20, 0, 20]]
    both = [
        {"segmentation": whole, "category_name": "all"},
        {"segmentation": box, "category_name": "dog"},
    ]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(both), "utf-8")
    equals(open_mask(path, SIZE, pick="2"))
    equals(open_mask(path, SIZE, pick="dog"))
    with pytest.raises(MaskError, match=r"holds 2 segments; say which .* as coco\.json#1"):
        open_mask(path, SIZE)
    path.write_text(json.dumps(both[1:]), "utf-8")
    equals(open_mask(path, SIZE))


TURNS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180,
         6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}  # as stored  # fmt: skip


@pytest.mark.parametrize("orientation", [1, *TURNS])
@pytest.mark.parametrize("mode", ["RGB", "P"])
def test_a_photo_and_its_mask_agree_whatever_their_orientation(
    tmp_path: Path, orientation: int, mode: str
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = coloured().convert(mode)
    if orientation in TURNS:
        stored = stored.transpose(TURNS[orientation])
    turned = saved(tmp_path / "turned.png", stored, exif=exif)
    photo = Photo.open(turned)
    assert photo.size == SIZE
    equals(open_map(turned, photo.size, "#ff0000"))
    if mode == "P":
        index = (
            stored.getpixel((0, 0))
            if orientation == 1
            else coloured().convert("P").getpixel((0, 0))
        )
        equals(~open_map(turned, photo.size, index))
    upright = saved(tmp_path / "mask.png", Image.fromarray(INSIDE.astype(np.uint8) * 255))
    equals(open_mask(upright, photo.size))
    equals(colour_range(photo, "#ff0000", 5))


def test_a_mask_turned_by_a_quarter_is_refused(tmp_path: Path) -> None:
    turned = coloured().transpose(Image.Transpose.ROTATE_90)
    turned.putalpha(255)
    path = saved(tmp_path / "turned.png", turned)
    np.save(tmp_path / "turned.npy", INSIDE.T)
    for read in (
        lambda: open_mask(path, SIZE),
        lambda: open_alpha(path, SIZE),
        lambda: open_map(path, SIZE, "#ff0000"),
        lambda: open_scribble(path, SIZE),
        lambda: open_mask(tmp_path / "turned.npy", SIZE),
    ):
        with pytest.raises(MaskError, match=r"20 × 30 but the photo is 30 × 20.*turned"):
            read()


def test_scribbles(tmp_path: Path) -> None:
    layer = np.zeros((*SIZE, 4), np.uint8)
    layer[3, 5:9] = (255, 255, 255, 255)
    layer[4, 5:9] = (0, 255, 0, 200)
    layer[15, 5:9] = (0, 0, 0, 255)
    layer[16, 5:9] = (255, 0, 0, 255)
    layer[18, 5:9] = (255, 255, 255, 40)
    marks = open_scribble(saved(tmp_path / "s.png", Image.fromarray(layer)), SIZE)
    expected = np.zeros(SIZE, np.int8)
    expected[3:5, 5:9], expected[15:17, 5:9] = 1, -1
    np.testing.assert_array_equal(marks, expected)
    grey = np.full(SIZE, 128, np.uint8)
    grey[3:5, 5:9], grey[15:17, 5:9] = 255, 0
    marks = open_scribble(saved(tmp_path / "g.png", Image.fromarray(grey)), SIZE)
    np.testing.assert_array_equal(marks, expected)


def test_files_that_are_no_such_mask(tmp_path: Path) -> None:
    colours = saved(tmp_path / "map.png", coloured())
    mask = saved(tmp_path / "mask.png", Image.fromarray(INSIDE.astype(np.uint8) * 255))
    np.save(tmp_path / "labels.npy", INSIDE * np.int32(7))
    np.save(tmp_path / "stack.npy", np.stack([~INSIDE, INSIDE]))
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    clear = Image.new("RGBA", SIZE[::-1])
    cases = [
        (lambda: open_map(colours, SIZE, "#00ff00"), r"nothing is #00ff00; it has #0000ff \(88"),
        (lambda: open_map(colours, SIZE, "#ff"), "'#ff' is no colour; give #rrggbb"),
        (lambda: open_map(colours, SIZE, 3), "has colours, not numbers"),
        (lambda: open_map(mask, SIZE, 3), r"nothing is 3; it has 0 \(88\.3%\), 255"),
        (lambda: open_alpha(colours, SIZE), "has no alpha channel"),
        (lambda: open_alpha(saved(tmp_path / "c.png", clear), SIZE), "transparent all over"),
        (lambda: open_scribble(mask, SIZE), "every pixel is marked, so it is a mask"),
        (lambda: open_scribble(tmp_path / "c.png", SIZE), "no stroke inside"),
        (lambda: open_mask(mask, SIZE, pick="3"), r"is one mask.*map:mask\.png#3"),
        (lambda: open_mask(tmp_path / "labels.npy", SIZE), r"say which, as labels\.npy#7"),
        (lambda: open_mask(tmp_path / "labels.npy", SIZE, pick="2"), "nothing is 2; it has 0"),
        (lambda: open_mask(tmp_path / "labels.npy", SIZE, pick="dog"), "is no number"),
        (lambda: open_mask(tmp_path / "stack.npy", SIZE), "holds 2 masks; say which, as #1 to #2"),
        (lambda: open_mask(tmp_path / "stack.npy", SIZE, pick="3"), "holds 2 masks"),
        (lambda: open_mask(tmp_path / "pickle.npy", SIZE), "an array of 'object'; give booleans"),
        (lambda: open_mask(tmp_path / "none.npy", SIZE), "cannot be read: no such file"),
        (lambda: open_map(tmp_path / "none.png", SIZE, 1), r"none\.png"),
    ]
    for read, message in cases:
        with pytest.raises(MaskError, match=message):
            read()


def test_colour_ranges() -> None:
    photo = Photo(np.asarray(coloured((200, 60, 50), (40, 60, 200))))
    equals(colour_range(photo, "#c83c32", 0))
    equals(colour_range(photo, (8, 5), 10))
    equals(~colour_range(photo, (25, 15), 10))
    assert colour_range(photo, "#c83c32", 200).area == 1
    with pytest.raises(MaskError, match=r"within 5 of #00ff00; the nearest is \d+\.\d away"):
        colour_range(photo, "#00ff00", 5)
    with pytest.raises(MaskError, match="'red' is no colour"):
        colour_range(photo, "red")
    with pytest.raises(MaskError, match=r"point 5,25 lies outside .* x lies in 0-30, y in 0-20"):
        colour_range(photo, (5, 25))


def test_luminance_ranges() -> None:
    photo = Photo(np.asarray(coloured((250, 250, 250), (30, 30, 30))))
    equals(luminance_range(photo, 0.6, 1))
    equals(~luminance_range(photo, 0, 0.4))
    assert luminance_range(Photo(np.full((2, 2, 1), 255, np.uint8)), 1, 1).area == 1
    with pytest.raises(MaskError, match=r"as light as 0\.4 to 0\.5; the photo has 0\.11 to 0\.98"):
        luminance_range(photo, 0.4, 0.5)
    with pytest.raises(MaskError, match="is no range"):
        luminance_range(photo, 0.5, 0.4)


def npy(path: Path, header: str, data: bytes = b"") -> Path:
    """A file with any header, also one that its data does not bear out."""
    text = header.encode() + b" " * (118 - len(header) % 64) + b"\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data)
    return path


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("{'descr': '<f8', 'fortran_order': False, 'shape': (40, 1000000000)}", "has 3200000"),
        ("{'descr': '<f4', 'fortran_order': True, 'shape': (10**6, 10**6)}", "is no array"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 30)}", "a shape of"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (True, 30)}", "a shape of|bytes, but"),
        ("{'descr': '<f4', 'fortran_order': False, 'shape': (9, 9)", "its header is cut off"),
        ("{'descr': '|O', 'fortran_order': False, 'shape': (20, 30)}", "'object'; give booleans"),
        ("{'descr': '<U5', 'fortran_order': False, 'shape': (20, 30)}", "U5'; give booleans"),
        ("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (20, 30)}", "give booleans"),
        ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (20, 30)}", "give booleans"),
        ("[" * 90, "is no array of numbers"),
    ],
)
def test_arrays_are_not_believed_before_their_header_is_checked(
    tmp_path: Path, header: str, message: str
) -> None:
    with pytest.raises(MaskError, match=message):
        open_mask(npy(tmp_path / "a.npy", header, bytes(4 * 600)), SIZE)


def test_one_layer_of_a_stack_is_read_as_it_lies(tmp_path: Path) -> None:
    stack = np.stack([~INSIDE, INSIDE, INSIDE & False])
    for name, array in {"rows": stack, "columns": np.asfortranarray(stack)}.items():
        np.save(tmp_path / f"{name}.npy", array)
        mask = open_mask(tmp_path / f"{name}.npy", SIZE, pick="2")
        assert (mask.values.numpy() == INSIDE).all()
    np.savez(tmp_path / "a.npz", INSIDE)
    (tmp_path / "a.npz").rename(tmp_path / "archive.npy")
    with pytest.raises(MaskError, match=r"an archive of arrays \(\.npz\)"):
        open_mask(tmp_path / "archive.npy", SIZE)


def test_numbers_that_are_none_are_not_listed(tmp_path: Path) -> None:
    for value in (np.inf, np.nan, -1.0):
        np.save(tmp_path / "a.npy", np.full(SIZE, value))
        with pytest.raises(MaskError, match="nothing is 1; it has no number"):
            open_mask(tmp_path / "a.npy", SIZE, pick="1")
