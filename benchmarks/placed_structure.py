"""Is a face a face where only what stands out in it, eyes and mouth, keeps the photo's layout?

    python benchmarks/placed_structure.py --out OUT [--face collins] [--tried '{"until": 0.5}, …']

Gives the places of a face whose contrast stands out from the rest a region of their own, in the
face's own style, with more `structure`; or holds the latent there to the photo's trajectory for the
first part `until` of the schedule. Prints edges kept in the face, edges kept in boxes around eyes
and mouth, and texture's distance to the style's picture, beside all else and `portrait`; writes
OUT/placed.md and OUT/placed.png. The faces are those of `scripts/make_portrait.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from locstyle_plugins.singlepass import SinglePass
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import locstyle as ls
from locstyle import measure
from locstyle.job.cache import TrajectoryCache
from locstyle.sheet import contact_sheet

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
from make_portrait import ROOT, STYLES, Box, Face, faces, named

# "structure" of what stands out, "until" when its latent is held, "widened" by how many latent
# pixels it is smoothed and strengthened
TRIED = (
    {"structure": 0.6},
    {"until": 0.5, "widened": 2.0},
    {"structure": 0.6, "until": 0.75, "widened": 1.2},
)
SIDE = 256  # of the face as it is looked at, in pixels: about what it is drawn at
LOW, HIGH = 1.4, 2.2  # times a region's mean contrast: from where a place stands out, and wholly
SMOOTH = 1.0  # of the contrast, in latent pixels
Plane = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--face", default="collins", choices=sorted(faces()))
    parser.add_argument("--tried", help="variants to try, as JSON objects one after another")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    tried = TRIED if wanted.tried is None else json.loads(f"[{wanted.tried}]")
    cache = TrajectoryCache(wanted.out / "inversions")
    editor, face = ls.Editor.load("mini", device="cpu", cache=cache), faces()[wanted.face]
    lines = ["| style | | edges, face | edges, eyes and mouth | texture |", "|---|---|---|---|---|"]
    pictures = [("photo", face.photo.crop(face.shown))]
    for style in STYLES:
        for way, image in drawn(editor, face, style, tried):
            pictures.append((f"{named(style)}, {way}", image.crop(face.shown)))
            cells = " | ".join(f"{value:.2f}" for value in figures(face, image, style))
            lines.append(f"| {style} | {way} | {cells} |")
            print(lines[-1], flush=True)
    (wanted.out / "placed.md").write_text("\n".join(lines) + "\n")
    contact_sheet(pictures, 3, cell=300).save(wanted.out / "placed.png")


def drawn(
    editor: ls.Editor, face: Face, style: str, tried: Sequence[Mapping[str, float]]
) -> Iterator[tuple[str, Image.Image]]:
    """The face in a style: as all else, by the preset, and every variant."""
    region = ls.Region(face.outline, STYLES[style])
    usual = {"structure": 0.25}  # as all else: a face is seen to be one and gets more
    plain = ls.Edit(face.photo, (region,), fusion=ls.Fusing("singlepass", options=usual))
    yield "as all else", editor.run(plain).image.convert("RGB")
    preset = replace(plain, fusion=ls.Fusing("singlepass", preset="portrait"))
    yield "`--preset portrait`", editor.run(preset).image.convert("RGB")
    for one in tried:
        places = standing_out(editor, face, one.get("widened", 0.0))
        placed = ls.Region(places, STYLES[style], structure=one.get("structure"), feather=0)
        edit = replace(plain, regions=(region, placed), fusion=ls.Fusing("held", options=usual))
        with editor.host.temporarily(Holding(one.get("until", 0.0)), name="holding"):
            image = editor.run(edit).image.convert("RGB")
        yield " ".join(f"{key} {value}" for key, value in one.items()), image


class Held(SinglePass):
    """Single pass that holds the second region to the photo's trajectory at first."""

    until = 0.0

    def plan(self, scene: ls.Scene) -> ls.Plan:
        plan, (outside, _, second) = super().plan(scene), scene.shares()
        at = scene.schedule.timesteps
        until = round(self.until * len(at))
        hold = HeldAtFirst(outside + second, scene.content, outside, set(at[1:until]))
        start = hold.apply(plan.start, at[0]) if until and plan.start is not None else plan.start
        return replace(plan, hold=hold, start=start)


@dataclass(frozen=True, eq=False)
class HeldAtFirst(ls.Hold):
    """Holds `weight` at some timesteps, `later` at the others."""

    later: Tensor
    early: set[int]

    def apply(self, x: Tensor, t: int) -> Tensor:
        if t in self.early:
            return super().apply(x, t)
        return ls.Hold(self.later, self.trajectory).apply(x, t)


@dataclass(frozen=True)
class Holding:
    """The plugin that offers `held`."""

    until: float

    @ls.hookimpl
    def register_fusions(self, register: ls.Register) -> None:
        register("held", type("Held", (Held,), {"until": self.until}))


def standing_out(editor: ls.Editor, face: Face, widened: float) -> Plane:
    """How far each place of a face stands out from it, [H, W] in [0, 1] of the photo.

    By the latent's contrast inside the face, smoothed, against its mean there.
    """
    outline = ls.select_mask(ls.Photo.from_image(face.photo), face.outline).values
    inside = np.asarray(outline, np.float32)
    box = around(inside)
    cut = np.asarray(face.photo.crop(box).resize((SIDE, SIDE)), np.float32) / 255
    with torch.inference_mode():
        latent = editor.backbone.encode(torch.from_numpy(cut).permute(2, 0, 1)[None])[0]
    size = latent.shape[-1], latent.shape[-2]
    left, top, right, bottom = box
    own = cv2.resize(inside[top:bottom, left:right], size, interpolation=cv2.INTER_AREA)
    found = contrast((latent / latent.std((1, 2), keepdim=True)).numpy(), own)
    times = found * own.sum() / (found * own).sum()
    out = np.clip((times - LOW) / (HIGH - LOW), 0, 1)
    out = out * out * (3 - 2 * out)
    if widened:
        out = np.clip(2.5 * cv2.GaussianBlur(out, (0, 0), widened), 0, 1)
    places = np.zeros_like(inside)
    grown = cv2.resize(out, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
    places[top:bottom, left:right] = grown
    return np.asarray(places * inside, np.float32)


def around(inside: Plane) -> Box:
    """A square around what is inside, with a margin."""
    rows, columns = (np.flatnonzero(inside.max(axis) > 0.5) for axis in (1, 0))
    x, y = (columns[0] + columns[-1]) // 2, (rows[0] + rows[-1]) // 2
    half = max(columns[-1] - columns[0], rows[-1] - rows[0]) // 2 + 12
    return (
        max(0, int(x - half)),
        max(0, int(y - half)),
        min(inside.shape[1], int(x + half)),
        min(inside.shape[0], int(y + half)),
    )


def contrast(latent: Plane, own: Plane) -> Plane:
    """The size of a latent's steps [h, w] between places that both belong to the region."""
    total, count = np.zeros_like(own), np.zeros_like(own)
    for axis in (0, 1):
        before, after = [slice(None)] * 2, [slice(None)] * 2
        before[axis], after[axis] = slice(None, -1), slice(1, None)
        both = own[tuple(before)] * own[tuple(after)]
        energy = (np.diff(latent, axis=axis + 1) ** 2).sum(0) * both
        for places in (tuple(before), tuple(after)):
            total[places] += energy
            count[places] += both
    smooth, counted = (cv2.GaussianBlur(one, (0, 0), SMOOTH) for one in (total, count))
    return np.where(counted > 1e-3, np.sqrt(smooth / np.maximum(counted, 1e-3)), 0)


def figures(face: Face, image: Image.Image, style: str) -> Iterator[float]:
    """Edges kept in the face, and in eyes and mouth; distance to the style's picture."""
    photo, made = np.asarray(face.photo), np.asarray(image)
    inside = np.asarray(ls.select_mask(ls.Photo.from_image(face.photo), face.outline).values) > 0.5
    boxes = np.zeros_like(inside)
    for left, top, right, bottom in face.features:
        boxes[top:bottom, left:right] = True
    picture = np.asarray(Image.open(ROOT / f"loras/{named(style)}.png").convert("RGB"))
    yield measure.edge_agreement(photo, made, inside)
    yield measure.edge_agreement(photo, made, inside & boxes)
    yield measure.texture_distance(made, picture, inside, np.ones(picture.shape[:2], bool))


if __name__ == "__main__":
    main()
