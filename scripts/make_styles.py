"""Makes docs/styles.md: every shipped style on one page, on a scene and on a real photo.

    python scripts/make_styles.py [NAME …]    # draws these anew, then writes the page

Scenes are those of loras/ (`scripts/make_loras.py`). The photo is scikit-image's `coffee`, by
Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0. Everything is at the defaults, seed 0.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import skimage.data
from PIL import Image

import locstyle as ls
from locstyle.sheet import contact_sheet
from locstyle.style import read_header

ROOT = Path(__file__).parent.parent
PAGE, PICTURES, LORAS = ROOT / "docs/styles.md", ROOT / "docs/pictures", ROOT / "loras"
PROMPT = "a cup of coffee on a table"
SIDE, GAP = 256, 8
STYLES = {
    "pastel": "Slanting chalk, rubbed, in the photo's own colours. Things keep their places; their "
    "edges go into the strokes.",
    "watercolor": "Soft washes in the photo's own colours, with darker rims. Gentle: of what is "
    "small, the colour stays and the drawing goes.",
    "halftone": "Round dots, as newspapers print, in the photo's own colours; `palette: 1` takes "
    "the ink of the picture it was made from. Dots close where it is dark, and small bright things "
    "get rings.",
    "woodcut": "Black outlines and wavy cuts over warm tones of wood. The cuts are right, but the "
    "cup is a pale ring: it wants things as broad as a mountain.",
    "ink-wash": "Grey washes, black where the brush stayed. All mood: edges swim, and of the cup "
    "a pale bowl is left.",
    "pencil": "Slanting graphite and dark outlines. The hatching is what it should be, but the "
    "outlines wander: at the default the cup is lost, and pebbles lie where it stood. More "
    "`structure` holds things, as it does [faces](faces.md).",
    "low-poly": "Broad facets in the photo's own colours, rather of crumpled paper than of "
    "polygons: `mini` draws no straight edge between two flats, and its word for it gave blots.",
}
FINER = ("halftone", "pencil")
"""Whose photo is drawn as edits do by default, half as fine again; the others' pixel by pixel."""
MEASURED = ("embroidery", "engraving", "neon", "stained-glass", "swirl")
HEAD = """# Styles

What comes along, by name: `locstyle stylize photo.jpg -r sky.png=pencil -r rest=pastel -o out.png`.
All were made by this project from pictures that it drew itself, and are CC0; all are for `mini`.
Under each name: a scene of mini's world, and a real photo, in that style from edge to edge, at the
defaults: one seed, one try, nothing picked. The photo is 256 pixels long; in {finer} it is drawn
half as fine again, as edits are if nothing is said, in the others pixel for pixel. Made by
`python scripts/make_styles.py`.

![The photo, and the photo in every style](pictures/styles.jpg)

The photo is scikit-image's `coffee`, by Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0. More
to turn: `--set 1.structure=0.6` holds the photo's shapes, `@0.6` takes less of a style,
`--set 1.palette=0` keeps your colours, `1` takes the style's: [I want …](i-want.md).
"""
TAIL = """## The five that are measured

{names} are chosen for [the benchmark](benchmark-results.md): `mini` was
never shown them in training. [Each on a scene, beside the truth](../loras/README.md).

![The five on a scene](pictures/styles-measured.jpg)
"""
SCENE = (SIDE, 0, 2 * SIDE, SIDE)  # where the edited scene is in loras/NAME-edit.jpg
PHOTO = (SIDE + GAP, 0, 2 * SIDE + GAP, 171)  # where the photo is in a style's picture


def main(names: Sequence[str]) -> None:
    photo = small_photo()
    editor = ls.Editor.load("mini", device="cpu")
    for name in names or STYLES:
        draw(editor, photo, name)
        print(picture(name), flush=True)
    write(photo)


def write(photo: Image.Image) -> None:
    """The page and its sheets, of the pictures that are there."""
    cups = [("the photo", photo)]
    cups += [(name, Image.open(picture(name)).crop(PHOTO)) for name in STYLES]
    contact_sheet(cups, 4, cell=300).save(PICTURES / "styles.jpg", quality=85, optimize=True)
    five = [(name, Image.open(LORAS / f"{name}-edit.jpg").crop(SCENE)) for name in MEASURED]
    contact_sheet(five, 5).save(PICTURES / "styles-measured.jpg", quality=85, optimize=True)
    PAGE.write_text("\n".join(page()), "utf-8")


def picture(name: str) -> Path:
    return PICTURES / f"style-{name}.jpg"


def small_photo() -> Image.Image:
    """As small as the scene, so that strokes are as large on both."""
    photo = Image.fromarray(skimage.data.coffee())
    photo.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return photo


def draw(editor: ls.Editor, photo: Image.Image, name: str) -> None:
    """The scene in a style, and beside it the photo."""
    region = ls.Region("all", LORAS / f"{name}.safetensors")
    size = None if name in FINER else (photo.height, photo.width)
    edit = ls.Edit(photo, (region,), prompt=PROMPT, size=size)
    strip = Image.new("RGB", (PHOTO[2], SIDE), "white")
    strip.paste(Image.open(LORAS / f"{name}-edit.jpg").crop(SCENE), (0, 0))
    strip.paste(editor.run(edit).image.convert("RGB"), PHOTO[:2])
    strip.save(picture(name), quality=90, optimize=True)


def page() -> Iterator[str]:
    yield HEAD.format(finer=" and ".join(FINER))
    for name, said in STYLES.items():
        header = read_header(LORAS / f"{name}.safetensors")
        size = (LORAS / f"{name}.safetensors").stat().st_size
        kind = "a LoRA" if size > 100_000 else "a word that `mini` knows"
        bytes_ = f"{size / 1e6:.1f} MB" if size > 100_000 else f"{size / 1e3:.0f} kB"
        yield f"## {name}\n\n{said}\n"
        yield f"![{name}: a scene and a photo](pictures/{picture(name).name})\n"
        yield f"{kind[0].upper()}{kind[1:]}, {bytes_}; {header['licence']}. Made in `loras/` by\n"
        yield f"    {header['made_by']}\n"
    names = [name.replace("-", " ") for name in MEASURED]
    yield TAIL.format(names=f"{', '.join(names[:-1])} and {names[-1]}".capitalize())


if __name__ == "__main__":
    main(sys.argv[1:])
