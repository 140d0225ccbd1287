"""Does the same scene give the same edit whatever its file's numbers are in?

    python benchmarks/colour.py [--steps N] [--out OUT]

The example's scene and its style picture as sRGB, Display P3, Adobe RGB and ProPhoto files, and as
files converted back to sRGB by littleCMS beforehand, which is as near as anything comes. Prints the
CIELAB distance (ΔE 1976) of each edit to that of the sRGB file inside the regions, median and 95th
percentile, and how far a selection by colour is another one. With OUT the edits are written there.
"""

from __future__ import annotations

import argparse
import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms
from rich.console import Console
from rich.table import Table
from skimage.color import rgb2lab

import locstyle as ls
from locstyle.photo.icc import SRGB_CURVE, Curve, Matrixed, matrix_of, write

PICTURES = Path(__file__).parents[1] / "examples" / "pictures"
D65 = (0.3127, 0.3290)
P3 = matrix_of((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), D65)
ADOBE = matrix_of((0.64, 0.33, 0.21, 0.71, 0.15, 0.06), D65)
PROPHOTO = matrix_of((0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001), (0.3457, 0.3585))
PROFILES = {
    "Display P3": write("P3", Matrixed(P3, (SRGB_CURVE,) * 3)),
    "Adobe RGB": write("Adobe", Matrixed(ADOBE, (Curve(563 / 256),) * 3)),
    "ProPhoto": write("ProPhoto", Matrixed(PROPHOTO, (Curve(1.8),) * 3)),
}
SKY = "color:#6fb1e0~25"


@dataclass(frozen=True)
class Way:
    """How the scene and the style picture are given."""

    name: str
    icc: bytes | None = None
    is_undone: bool = False  # converted back to sRGB by hand


def ways() -> Iterator[Way]:
    yield Way("sRGB")
    for name, icc in PROFILES.items():
        yield Way(name, icc)
        yield Way(f"{name}, converted by hand", icc, True)


def converted(image: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    """littleCMS's conversion; None is sRGB."""
    made = [
        ImageCms.createProfile("sRGB") if icc is None else ImageCms.ImageCmsProfile(io.BytesIO(icc))
        for icc in (source, target)
    ]
    found = ImageCms.profileToProfile(
        image, *made, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC
    )
    assert found is not None
    return found


def given(name: str, way: Way) -> Image.Image:
    """One of the example's pictures, as a way has it."""
    image = Image.open(PICTURES / name).convert("RGB")
    if way.icc is None:
        return image
    there = converted(image, None, way.icc)
    if way.is_undone:
        there = converted(there, way.icc, None)
        there.info.pop("icc_profile", None)
    else:
        there.info["icc_profile"] = way.icc
    return there


def shown(image: Image.Image) -> NDArray[np.float64]:
    """CIELAB [h, w, 3] of a picture in whatever profile it carries."""
    icc = image.info.get("icc_profile")
    return rgb2lab(np.asarray(image.convert("RGB") if icc is None else converted(image, icc, None)))


def edits(way: Way, steps: int | None) -> dict[str, ls.Edit]:
    photo = given("scene.png", way)
    house = Image.open(PICTURES / "house.png")
    more = {} if steps is None else {"steps": steps}
    return {
        "a LoRA": ls.Edit(photo, [ls.Region(house, "swirl")], seed=7, **more),
        "a picture": ls.Edit(photo, [ls.Region(house, given("neon.png", way))], seed=7, **more),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    editor = ls.Editor.load("mini")
    wanted: dict[str, NDArray[np.float64]] = {}
    sky: NDArray[np.bool_] | None = None
    table = Table("the file's numbers", "a LoRA: ΔE, 95 %", "a picture: ΔE, 95 %", "color: differs")
    for way in ways():
        row = []
        for name, edit in edits(way, asked.steps).items():
            result = editor.run(edit)
            inside = result.masks[0].values.numpy() > 0.5
            lab = shown(result.image)[inside]
            away = np.linalg.norm(lab - wanted.setdefault(name, lab), axis=-1)
            row.append(f"{np.median(away):.2f}, {np.percentile(away, 95):.2f}")
            if asked.out:
                asked.out.mkdir(parents=True, exist_ok=True)
                result.save(asked.out / f"{way.name}, {name}.png")
        photo = ls.Photo.from_image(given("scene.png", way))
        try:
            mask = ls.select_mask(photo, SKY).values.numpy() > 0.5
        except ls.MaskError:
            mask = np.zeros(photo.size, bool)
        sky = mask if sky is None else sky
        row.append(f"{(mask != sky).sum() / sky.sum():.1%}")
        table.add_row(way.name, *row)
    Console().print(table)


if __name__ == "__main__":
    main()
