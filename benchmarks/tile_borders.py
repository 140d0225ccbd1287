"""Do tiles show? Borders and tone of an edit drawn in tiles, and its autoencoder beside untiled.

    python benchmarks/tile_borders.py [--side 512] [--steps 6] [--styles swirl,neon] [--out OUT]

A scene of the paired world, the whole of it in one style at detail 1, by `mini`. Where a tile
begins or ends inside the picture is a line; beside it lie parallel lines, 12 to 40 pixels away.
`border`: the lightness's gradient energy across the tiles' lines, over that of the lines beside
them. `tone`: how much lightness differs between the 24 pixels on either side of a line, by
stretches of 64 pixels, in the same way. 1 is no more of a border than anywhere; `anywhere` is what
as many lines at random give, their 95th percentile. Ends with status 1 where a border or a tone
lies above that, or decoding or encoding in tiles is less than 45 dB from that of the whole.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from locstyle_plugins.world import World
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage.color import rgb2lab

import locstyle as ls
from locstyle import measure
from locstyle.engine.tiles import Tiles
from locstyle.job.make_scene import decoded, encoded

WORLD, SCENE = 2027, 35
BESIDE = (12, 18, 24, 32, 40)
"""How far from a border its parallel lines lie, in pixels, to both sides."""
LEAST = 45.0
"""dB between a tiled and an untiled pass of the autoencoder."""

Plane = NDArray[np.float32]
Energy = Callable[[Plane, int], float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=512, help="side of the photo in pixels")
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--styles", default="swirl,stained-glass")
    parser.add_argument("--out", type=Path, help="where to write the pictures")
    wanted = parser.parse_args()
    editor = ls.Editor.load("mini", device="cpu")
    photo = Image.fromarray(World(WORLD, wanted.side).scene(SCENE).photo)
    coded = autoencoder(editor.backbone, photo, wanted.side)
    print(", ".join(f"{name} {value:.1f} dB from untiled" for name, value in coded.items()))
    table, shown = Table("picture", "tiles", "border", "anywhere", "tone", "anywhere"), False
    for style in wanted.styles.split(","):
        edit = ls.Edit(photo, (ls.Region("all", style),), detail=1.0, steps=wanted.steps)
        job = editor.resolve(edit)
        result = editor.run(job)
        tiles = job.frames[0].tiles
        lines = borders(tiles, editor.backbone.factor)
        for name, picture in (("photo", photo), (style, result.image)):
            row = shown_by(picture, lines)
            table.add_row(name, str(len(tiles.tiles)), *(f"{value:.2f}" for value in row))
            shown |= name == style and (row[0] > row[1] or row[2] > row[3])
        if wanted.out:
            wanted.out.mkdir(parents=True, exist_ok=True)
            result.save(wanted.out / f"{style}.png")
    Console().print(table)
    return int(shown or min(coded.values()) < LEAST)


def autoencoder(backbone: ls.Backbone, photo: Image.Image, side: int) -> dict[str, float]:
    """PSNRs in dB of what tiles give beside what one pass does: of decoding one latent, and of the
    pictures that two encodings decode to."""
    small = side // backbone.factor
    cut = Tiles.of(
        (small, small), backbone.working // backbone.factor, backbone.multiple // backbone.factor
    )
    whole = Tiles.whole((small, small))
    picture = torch.from_numpy(np.array(photo)).permute(2, 0, 1) / 255
    with torch.inference_mode():
        latent = encoded(backbone, picture, whole)
        seen = decoded(backbone, latent, whole)
        pieces = decoded(backbone, latent, cut)
        other = decoded(backbone, encoded(backbone, picture, cut), whole)
    return {"decoded": _psnr(pieces, seen), "encoded": _psnr(other, seen)}


def _psnr(one: torch.Tensor, other: torch.Tensor) -> float:
    return measure.psnr(*(each.permute(1, 2, 0).numpy() for each in (one, other)))


def borders(tiles: Tiles, factor: int) -> tuple[list[int], list[int]]:
    """Where tiles begin or end inside the picture, in pixels: across columns, and across rows."""
    found = []
    for axis, length in enumerate(tiles.size):
        starts = {(tile.top, tile.left)[axis] for tile in tiles.tiles}
        extent = tiles.tiles[0].size[axis]
        places = {*starts, *(start + extent for start in starts)} - {0, length}
        found.append(sorted(place * factor for place in places))
    return found[1], found[0]


def shown_by(picture: Image.Image, lines: tuple[Sequence[int], Sequence[int]]) -> list[float]:
    """Border, what any lines have at most, tone, and the same."""
    lightness = rgb2lab(np.asarray(picture.convert("RGB")))[..., 0].astype(np.float32)
    planes = [lightness, np.ascontiguousarray(lightness.T)]
    rng, found = np.random.default_rng(0), []
    for energy in (_gradient, _step):
        margin = max(BESIDE) + 25
        anywhere = [
            _ratio(planes, [rng.integers(margin, p.shape[1] - margin, len(at)) for p, at in
                            zip(planes, lines, strict=True)], energy)
            for _ in range(200)
        ]  # fmt: skip
        found += [_ratio(planes, lines, energy), float(np.quantile(anywhere, 0.95))]
    return found


def _ratio(planes: Sequence[Plane], lines: Sequence[Sequence[int]], energy: Energy) -> float:
    """The energy of lines across columns of each plane, over that of lines beside them."""
    own, beside = [], []
    for plane, places in zip(planes, lines, strict=True):
        for place in map(int, places):
            own.append(energy(plane, place))
            near = (place + sign * far for far in BESIDE for sign in (-1, 1))
            beside += [energy(plane, at) for at in near if 24 <= at <= plane.shape[1] - 24]
    return float(np.mean(own) / np.mean(beside))


def _gradient(plane: Plane, place: int) -> float:
    """Squared differences across a line, of the two pixels on either side of it."""
    near = np.diff(plane[:, place - 2 : place + 2], axis=1)
    return float((near**2).mean())


def _step(plane: Plane, place: int) -> float:
    """Squared differences between the means of both sides, by stretches of 64 pixels."""
    rows = plane.shape[0] // 64 * 64
    left, right = plane[:rows, place - 24 : place], plane[:rows, place : place + 24]
    step = (left.mean(1) - right.mean(1)).reshape(-1, 64).mean(1)
    return float((step**2).mean())


if __name__ == "__main__":
    sys.exit(main())
