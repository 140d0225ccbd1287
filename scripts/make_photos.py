"""Makes docs/real-photos.md: real photos in our styles, by every fusion and every baseline.

    python scripts/make_photos.py [--side PIXELS] [--out OUT]        # make photos

The photos are scikit-image's, in the public domain or CC0; the masks are what `--segmenter classic`
finds, by number. What is drawn stays in OUT, so that the same command goes on where it stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import skimage.data
import torch
from locstyle_plugins.bench.baselines import Bench
from locstyle_plugins.bench.cases import Case, StylePicture
from locstyle_plugins.bench.methods import Method, methods
from locstyle_plugins.bench.settings import Settings
from PIL import Image

import locstyle as ls
from locstyle import measure
from locstyle.sheet import contact_sheet

ROOT = Path(__file__).parent.parent
PAGE, PICTURES, LORAS = ROOT / "docs/real-photos.md", ROOT / "docs/pictures", ROOT / "loras"
LOOKED = 256  # longer side of the photos as the segmenter sees them


@dataclass(frozen=True)
class Shot:
    """A photo, its number-by-number masks and their styles, and what went wrong with them."""

    name: str
    by: str
    prompt: str
    regions: dict[int, str]  # number of a segment, name of a style
    wrong: str  # one sentence, after looking


NASA = "NASA, in the public domain"
SHOTS = (
    Shot("coffee", "Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0",
         "a cup of coffee on a table", {4: "watercolor", 1: "pencil"},
         "the default draws cracks and a cloud onto the table, the cloud from the picture its "
         "pencil was learned from; `diffstyler` cracks the wood as well, the untrained ones turn "
         "it into lines of wood; the saucer's reflections are gone, and its shadow, which the mask "
         "left out, stays a photo."),
    Shot("astronaut", NASA, "a portrait of a woman", {4: "watercolor", 1: "pencil"},
         "the mask takes half of a space shuttle for background and half of the suit for the "
         "suit, and the default makes hooks of the shuttle; the watercolor is pale under all but "
         "`magicstyle`, and the badge loses its writing."),
    Shot("rocket", "SpaceX, released into the public domain", "a rocket at night", {3: "swirl"},
         "the default's strokes keep the night's blue and blur the tips of the masts; `magicstyle` "
         "hangs the picture's meadow and house into the sky, `vct` rules it into lines."),
    Shot("chelsea", "Stéfan van der Walt, CC0", "a cat", {2: "embroidery"},
         "the mask takes the wall behind for fur, and the LoRAs' stitches are seams as wide as an "
         "ear, across whiskers and the outline of the head; `deadiff` has the finest thread."),
)  # fmt: skip
WAYS = {
    "recolour": "recoloured",
    "adain paste": "AdaIN, pasted",
    "img2img paste": "img2img with the LoRA, pasted",
    "singlepass + lora": "singlepass, LoRAs (the default)",
    "diffstyler + lora": "diffstyler, LoRAs",
    "magicstyle + reference": "magicstyle, pictures",
    "vct + concept": "vct, words mini knows",
    "deadiff + qformer": "deadiff, looks at pictures",
}
HEAD = """# Real photos

What a visitor judges us by: photos that `mini`, the small model in this repository, was never
made for, in styles of ours, by every fusion and by what needs none. `make photos` draws them
all. Masks are automatic, those of `--segmenter classic` by number; photos are {side} pixels long,
and drawn pixel for pixel; all options are at their defaults. One seed, one try,
nothing picked.

*Edges* says whether edges inside the regions still run as the photo's do (1: all of them),
*texture* and *colour* are [distances](metrics.md) to the style's picture, lower is nearer. There
is no truth on real photos, and the style's picture shows another scene: the figures tell less
than the pictures.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out/photos")
    parser.add_argument("--side", type=int, default=256, help="of the photos, in pixels")
    wanted = parser.parse_args()
    out = wanted.out / str(wanted.side)
    editor = ls.Editor.load("mini", device="cpu")
    settings = Settings(out, methods=tuple(WAYS), real=(out, LORAS))
    found = {one.name: one for one in methods(editor.host, editor.backbone, settings)[0]}
    bench = Bench(editor, settings, lambda step: None)
    page = [HEAD.format(side=wanted.side)]
    for shot in SHOTS:
        case = case_of(shot, editor.host, wanted.side)
        drawn = {way: painted(bench, found[way], case, out) for way in WAYS}
        picture = f"photos-{shot.name}.jpg"
        sheet(case, drawn).save(PICTURES / picture, quality=88, optimize=True)
        page += section(shot, case, drawn, picture)
    PAGE.write_text("\n".join(page), "utf-8")


def case_of(shot: Shot, host: ls.Host, side: int) -> Case:
    """The photo, small, with its masks."""
    whole = Image.fromarray(getattr(skimage.data, shot.name)()).convert("RGB")
    looked, photo = (fitted(whole, pixels) for pixels in (LOOKED, side))
    segments = host.segmenter("classic").segment(looked, ls.Prompt())
    masks, taken = [], np.zeros((photo.height, photo.width), bool)
    for number in shot.regions:
        mask = Image.fromarray(segments[number - 1].inside)
        masks.append(np.asarray(mask.resize(photo.size, Image.Resampling.NEAREST)) & ~taken)
        taken |= masks[-1]
    styles = tuple(StylePicture(name, shown(name)) for name in shot.regions.values())
    numbers = tuple(f"auto:{number}" for number in shot.regions)
    return Case(shot.name, shot.name, shot.prompt, np.asarray(photo), numbers, tuple(masks), styles)


def fitted(photo: Image.Image, side: int) -> Image.Image:
    small = photo.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return small


def shown(style: str) -> np.ndarray:
    """The picture that a shipped style was learned from."""
    return np.asarray(Image.open(LORAS / f"{style}.png").convert("RGB"))


def painted(bench: Bench, method: Method, case: Case, out: Path) -> Image.Image:
    """What a method makes of a case; read again if it was made before."""
    path = out / case.name / f"{method.name.replace(' ', '-')}.png"
    if not path.exists():
        with torch.inference_mode():
            encoder = method.encoder
            styles = [style_of(bench, encoder, one) for one in case.styles] if encoder else []
            attempt = method.run(bench, case, styles)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(attempt.picture).save(path)
        print(path, flush=True)
    return Image.open(path).convert("RGB")


def style_of(bench: Bench, encoder: str, one: StylePicture) -> ls.Style:
    """A style as the repository ships it, as a word that mini knows, or made of its picture."""
    backbone = bench.editor.backbone
    if encoder == "lora":
        return ls.read_style(ls.find_style(one.name), backbone=backbone)[0]
    if encoder == "concept":
        word, meta = f"<{one.name}>", {"trigger": f"a painting in <{one.name}> style"}
        vectors = {word: backbone.word_vectors(one.name).float()}
        return ls.Style(one.name, backbone.family, meta=meta, words=vectors)
    maker = bench.editor.host.style_encoder(encoder, None)
    request = ls.StyleRequest(one.name, one.prompt)
    return maker.encode([Image.fromarray(one.picture)], backbone, request, None)


def sheet(case: Case, drawn: dict[str, Image.Image]) -> Image.Image:
    """The photo, where its regions are, their styles' pictures, and what every method made."""
    pictures = [("photo", Image.fromarray(case.photo)), ("regions", outlined(case))]
    pictures += [(f"style: {one.name}", Image.fromarray(one.picture)) for one in case.styles]
    while len(pictures) < 4:
        pictures.append(("", Image.new("RGB", (256, 256), "white")))
    pictures += [(WAYS[way], picture) for way, picture in drawn.items()]
    return contact_sheet([(label, larger(one)) for label, one in pictures], 4)


def larger(picture: Image.Image) -> Image.Image:
    """As wide or high as a cell, smoothly."""
    factor = 256 / max(picture.size)
    size = (round(picture.width * factor), round(picture.height * factor))
    return picture.resize(size, Image.Resampling.LANCZOS)


def outlined(case: Case) -> Image.Image:
    """The regions in their own light, the rest pale."""
    inks = np.array([[235, 120, 60], [60, 120, 220]], float)
    picture = 0.3 * case.photo + 0.7 * 245
    for mask, ink in zip(case.masks, inks, strict=False):
        picture[mask] = 0.55 * case.photo[mask] + 0.45 * ink
    return Image.fromarray(picture.astype(np.uint8))


def section(shot: Shot, case: Case, drawn: dict[str, Image.Image], picture: str) -> Iterator[str]:
    """A photo's part of the page."""
    where = ", ".join(f"`auto:{number}` in {style}" for number, style in shot.regions.items())
    yield f"## {shot.name}\n"
    yield f"scikit-image's `{shot.name}`: {shot.by}. {where}.\n"
    yield f"![{shot.name}](pictures/{picture})\n"
    yield f"**What is wrong:** {shot.wrong}\n"
    yield "| | edges | texture | colour |\n|---|---|---|---|"
    for way, made in drawn.items():
        edges, texture, colour = np.mean(list(figures(case, np.asarray(made))), axis=0)
        yield f"| {WAYS[way]} | {edges:.2f} | {texture:.2f} | {colour:.2f} |"
    yield ""


def figures(case: Case, made: np.ndarray) -> Iterator[tuple[float, float, float]]:
    """Of each region: edges kept, and how far its style's picture is."""
    for mask, style in zip(case.masks, case.styles, strict=True):
        whole = np.ones(style.picture.shape[:2], bool)
        yield (
            measure.edge_agreement(case.photo, made, mask),
            measure.texture_distance(made, style.picture, mask, whole),
            measure.colour_distance(made, style.picture, mask, whole),
        )


if __name__ == "__main__":
    main()
