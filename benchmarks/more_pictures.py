"""Does a LoRA draw a style better when it learns from several pictures?

    python benchmarks/more_pictures.py --out OUT [--only swirl,neon] [--ways "six pictures"]

Learns every style in every way (kept in OUT, so that a stopped run goes on) and edits the published
benchmark's eight scenes with it, by `singlepass` at 256 pixels. A style is scored in its own
regions; other regions take the shipped styles. Prints the means by style and OUT/edits keeps the
pictures. The pictures learned from show scenes of the held-out world that no benchmark uses.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from locstyle_plugins.bench.baselines import Bench
from locstyle_plugins.bench.cases import STYLE_SCENE, Case, slug, world_cases
from locstyle_plugins.bench.methods import edit
from locstyle_plugins.bench.scoring import Scorer
from locstyle_plugins.bench.settings import Settings
from locstyle_plugins.bench.statistics import interval
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World, WorldScene
from PIL import Image
from rich.console import Console
from rich.table import Table

import locstyle as ls
from locstyle import measure

SIDE = 256
OTHERS = (601, 602, 603, 604, 605)  # scenes of the pictures beside the usual one
PALETTES = {"swirl": "0", "embroidery": "0", "engraving": "1", "neon": "0.5"}  # as shipped
FIGURES = ("texture_truth", "colour_truth", "closed", "edges", "texture_style", "places")


@dataclass(frozen=True)
class Way:
    """How a style is learned: from pictures of which scenes, with what changed."""

    scenes: tuple[int, ...] = (STYLE_SCENE, *OTHERS)
    options: tuple[str, ...] = ()
    shipped: bool = False


WAYS = {
    "one picture": Way((STYLE_SCENE,), shipped=True),
    "six pictures": Way(options=("crops=192",)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default=",".join(HELD_OUT_STYLES), help="styles, with commas")
    parser.add_argument("--ways", default=",".join(WAYS), help="with commas")
    wanted = parser.parse_args()
    settings = Settings(wanted.out, shipped=True, device="cpu", size=SIDE)
    bench = Bench(ls.Editor.load("mini", device="cpu"), settings, lambda _: None)
    cases = list(world_cases(2, (1, 2, 3, 4), SIDE))
    table = Table("style", "way", "regions", *FIGURES)
    for style in wanted.only.split(","):
        for name in wanted.ways.split(","):
            found = list(scored(bench, cases, style, name))
            print(style, name, json.dumps(found), file=sys.stderr, flush=True)
            table.add_row(style, name, str(len(found)), *means(found))
    Console(width=120).print(table)


def means(found: Sequence[dict[str, float]]) -> Iterator[str]:
    """The figures' means over scenes, each ± half a 95 % interval."""
    for figure in FIGURES:
        seen = [(str(one["case"]), one.get(figure, math.nan)) for one in found]
        seen = [(case, value) for case, value in seen if math.isfinite(value)]
        mean = interval([value for _, value in seen], [case for case, _ in seen])
        yield f"{mean.mean:.3f} ±{mean.half:.3f}"


def scored(bench: Bench, cases: Sequence[Case], style: str, way: str) -> Iterator[dict[str, float]]:
    """The figures of each region in a style learned so."""
    own = str(learned(bench.settings.out, style, WAYS[way]) or slug(style))
    for number, case in enumerate(cases):
        names = [one.name for one in case.styles]
        if style not in names:
            continue
        kept = bench.settings.out / "edits" / f"{case.name}-{slug(style)}-{slug(way)}.png"
        if not kept.exists():
            files = [own if name == style else slug(name) for name in names]
            styles = [ls.read_style(ls.find_style(file))[0] for file in files]
            result = bench.editor.run(edit(bench, case, "singlepass", styles))
            kept.parent.mkdir(parents=True, exist_ok=True)
            result.photo.srgb.convert("RGB").save(kept)
        picture = np.asarray(Image.open(kept))
        figures = Scorer(case).regions(picture)
        for index in (index for index, name in enumerate(names) if name == style):
            known = [case.photo, case.truths[index]] if case.truths else [case.photo]
            shown = case.styles[index].picture
            there = measure.things_taken(picture, shown, known, case.masks[index])
            yield {"case": number, **figures[index], "places": there.places}


def learned(out: Path, style: str, way: Way) -> Path | None:
    """The style's file, made by the plain command line; None is the shipped one."""
    if way.shipped:
        return None
    folder = out / "learned" / slug(" ".join(map(str, (*way.scenes, *way.options))))
    file = folder / f"{slug(style)}.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        world, pictures = World(HELD_OUT_WORLD, SIDE), []
        for number in way.scenes:
            pictures.append(f"{slug(style)}-{number}.png")
            draw(world.scene(number), style).save(folder / pictures[-1])
        command = [sys.executable, "-m", "locstyle", "train", "lora", *pictures, "-o", file.name]
        command += ["--prompt", f"a painting in {style} style"]
        for option in (f"drawn_at={SIDE}", "size=96", *way.options):
            command += ["-O", option]
        if style in PALETTES:
            command += ["--palette", PALETTES[style]]
        subprocess.run(command, cwd=folder, check=True)
    return file


def draw(scene: WorldScene, style: str) -> Image.Image:
    return Image.fromarray(scene.render(style))


if __name__ == "__main__":
    main()
