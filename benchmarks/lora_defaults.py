"""Which LoRA settings learn a style from one picture: trains variants, measures, writes a table.

    python benchmarks/lora_defaults.py --work /tmp/lora-defaults --table docs/lora-defaults.md

One scene of the paired world in a style that `mini` never saw is the style image; other scenes in
the same style are the truth. Finished variants stay in the work folder and are not trained again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any  # rows of JSON

import numpy as np
import torch
from locstyle_plugins.bench.cases import STYLE_SCENE
from locstyle_plugins.lora import LoRA
from locstyle_plugins.world import HELD_OUT_WORLD, World, WorldScene
from numpy.typing import NDArray
from PIL import Image

import locstyle as ls
from locstyle import measure
from locstyle.engine.training import noise_loss

TRUTHS = (21, 34)  # scenes of the held-out world
LEVELS = 10  # timesteps at which the held-out loss is taken
STEPS = 20  # of an edit
Options = LoRA.Options

VARIANTS = {
    "paper": LoRA.PRESETS["paper"],
    "defaults": Options(),
    "attention": Options(targets="attention"),
    "steps-200": Options(steps=200),
    "steps-400": Options(steps=400),
    "lr-1e-3": Options(lr=1e-3),
    "lr-4e-3": Options(lr=4e-3),
    "rank-8": Options(rank=8),
    "rank-32": Options(rank=32),
    "min-snr": Options(min_snr=True),
    "hues": Options(hues=True),
    "flips": Options(flips=True),
    "zoom-1.4": Options(zoom=1.4),
    "caption": Options(),  # with the words of the style image, see `options_for`
    "batch-8": Options(batch=8, steps=150),
    "96-px": Options(size=96, steps=200),
    "whole": Options(crops=0, steps=100),
}


REPORT = f"""\
# LoRA settings on `mini`, measured

One style image each, in a style that the backbone never saw. CPU seconds are those of all threads.
Made by `python benchmarks/lora_defaults.py --work WORK --table docs/lora-defaults.md`.

*Own* and *other*: noise loss on the style image and on other scenes in the style, with the LoRA
over without it (below 1 it has learned, own far below other it has memorised). *Colour*, *texture*
(0 is equal) and *PSNR*: from an edit of a photo of another scene to that scene as the style would
have it, {STEPS} steps. Changes are against the encoder's defaults.
"""


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--backbone", default="mini")
    asked.add_argument("--styles", nargs="+", default=["stained glass", "neon"])
    asked.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    asked.add_argument("--work", type=Path, required=True)
    asked.add_argument("--table", type=Path, help="Write the table of all finished variants here.")
    given = asked.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    editor = ls.Editor.load(given.backbone, device="cpu")
    for style in given.styles:
        for variant in given.only:
            if not (given.work / f"{style}-{variant}.json").exists():
                run(editor, style, variant, given.work)
        contact_sheet(style, given.only, given.work)
    if given.table:
        given.table.write_text(table(given.styles, given.work), "utf-8")


def run(editor: ls.Editor, style: str, variant: str, work: Path) -> None:
    """Trains one variant and keeps its numbers and pictures."""
    world = World(HELD_OUT_WORLD)
    shown, truths = world.scene(STYLE_SCENE), [world.scene(number) for number in TRUTHS]
    options = options_for(variant, shown)
    path = work / f"{style}-{variant}.safetensors"
    if not path.exists():
        learn(editor.backbone, style, shown, options).save(path)
    learned = ls.read_style(path)[0]
    row: dict[str, object] = {
        "variant": variant,
        "seconds": float(learned.meta["cpu_seconds"]),
        "megabytes": round(path.stat().st_size / 1e6, 2),
        "options": asdict(options),
        "own": loss_ratio(editor.backbone, learned, [shown], style),
        "other": loss_ratio(editor.backbone, learned, truths, style),
    }
    strip = [shown.render(style)]
    scores = []
    for scene in truths:
        output = edit(editor, learned, scene)
        strip += [scene.photo, output, scene.render(style)]
        scores.append(distances(output, scene.render(style)))
    row |= {key: mean(score[key] for score in scores) for key in scores[0]}
    strip += list(samples(editor.backbone, learned, truths))
    Image.fromarray(np.concatenate(strip, 1)).save(work / f"{style}-{variant}.png")
    (work / f"{style}-{variant}.json").write_text(json.dumps(row, indent=1))
    print(style, json.dumps({k: v for k, v in row.items() if k != "options"}), flush=True)


def learn(backbone: ls.Backbone, style: str, shown: WorldScene, options: Options) -> ls.Style:
    """A style from one picture; its header says what it cost."""
    picture = Image.fromarray(shown.render(style))
    request = ls.StyleRequest(style, f"a painting in {style} style")
    started = time.process_time()  # of all threads, whatever else the machine is doing
    learned = LoRA(options).encode([picture], backbone, request)
    return learned.with_meta(cpu_seconds=f"{time.process_time() - started:.1f}")


def options_for(variant: str, shown: WorldScene) -> Options:
    options = VARIANTS[variant]
    if variant.endswith("caption"):
        return Options(**(asdict(options) | {"caption": shown.caption}))
    return options


def distances(output: NDArray[np.uint8], truth: NDArray[np.uint8]) -> dict[str, float]:
    return {
        "colour": measure.colour_distance(output, truth),
        "texture": measure.texture_distance(output, truth),
        "psnr": measure.psnr(output, truth),
    }


def edit(editor: ls.Editor, style: ls.Style, scene: WorldScene) -> NDArray[np.uint8]:
    """The photo of a scene, all of it in the style."""
    asked = ls.Edit(
        image=scene.photo,
        regions=(ls.Region(mask="all", style=style),),
        prompt=scene.caption,
        steps=STEPS,
        feather=0.0,
        paste_feather=0.0,
    )
    return np.asarray(editor.run(asked).image.convert("RGB"))


def acting(style: ls.Style, text: ls.Text) -> tuple[ls.Deltas, tuple[ls.Row, ...]]:
    """The style on every row of a pass of `text`."""
    region = ls.SceneRegion((ls.SceneStyle(style),), text, text)
    everywhere = ls.Partition.of([ls.Mask.everywhere((8, 8))])
    return ls.Deltas([region], ls.Ownership(everywhere)), (ls.Row("styled", 1),)


@torch.inference_mode()
def loss_ratio(
    backbone: ls.Backbone, style: ls.Style, scenes: Sequence[WorldScene], name: str
) -> float:
    """Noise loss on scenes in the style, with the LoRA over without it; below 1 it has learned."""
    with_style, without = [], []
    for scene in scenes:
        picture = torch.from_numpy(scene.render(name)).permute(2, 0, 1)[None] / 255
        latents = backbone.encode(picture)
        text = backbone.text(f"{style.trigger} of {scene.caption}")
        deltas, rows = acting(style, text)
        for level in range(LEVELS):
            t = torch.tensor([(2 * level + 1) * len(backbone.alphas) // (2 * LEVELS)])
            for found, interventions in ((without, []), (with_style, [deltas])):
                with backbone.attach(interventions) as attachment:
                    size = (latents.shape[-2], latents.shape[-1])
                    attachment.call = ls.Call(0.0, int(t), rows, size)
                    noise = ls.generator(level, "held out")
                    found.append(
                        float(
                            noise_loss(
                                backbone,
                                latents,
                                text.states,
                                t,
                                noise=noise,
                                training=ls.Training(),
                            )
                        )
                    )
    return mean(with_style) / mean(without)


@torch.inference_mode()
def samples(
    backbone: ls.Backbone, style: ls.Style, scenes: Sequence[WorldScene], guidance: float = 4.0
) -> Iterator[NDArray[np.uint8]]:
    """Pictures from noise and words alone, for the eye."""
    empty, schedule = backbone.text(""), backbone.schedule(STEPS)
    for number, scene in enumerate(scenes):
        text = backbone.text(f"{style.trigger} of {scene.caption}")
        deltas, _ = acting(style, text)
        plan = ls.Plan(
            (ls.Branch("-", empty, 1), ls.Branch("+", text, 1)),
            (deltas,),
            lambda found, call: ls.guide(found["-"], found["+"], guidance),
        )
        side = backbone.native // backbone.factor
        start = torch.randn((1, 4, side, side), generator=ls.generator(number, "noise"))
        picture = backbone.decode(ls.denoise(backbone, plan, schedule, start).latent)[0]
        pixels = (picture.permute(1, 2, 0) * 255).round().byte().numpy()
        yield np.asarray(Image.fromarray(pixels).resize(scene.photo.shape[1::-1]))


def contact_sheet(style: str, variants: Sequence[str], work: Path) -> None:
    """One variant a row: style image; photo, edit, truth of two scenes; two samples from words."""
    paths = [work / f"{style}-{variant}.png" for variant in variants]
    rows = [np.asarray(Image.open(path)) for path in paths if path.exists()]
    if rows:
        Image.fromarray(np.concatenate(rows)).save(work / f"{style}.png")


def table(styles: Sequence[str], work: Path) -> str:
    """The report: a table for every style, with the variants that are finished for it."""
    return REPORT + "".join(_section(style, work) for style in styles)


def _section(style: str, work: Path) -> str:
    scenes = [World(HELD_OUT_WORLD).scene(number) for number in TRUTHS]
    baseline = [distances(scene.photo, scene.render(style)) for scene in scenes]
    photo = (f"{mean(d[key] for d in baseline):.2f}" for key in ("colour", "texture"))
    decibels = f"{mean(d['psnr'] for d in baseline):.1f}"
    lines = [
        f"\n## {style}\n",
        "| variant | changes | CPU seconds | MB | own | other | colour | texture | PSNR |",
        "|---|---|---|---|---|---|---|---|---|",
        f"| the photo itself | | | | 1.00 | 1.00 | {' | '.join(photo)} | {decibels} |",
    ]
    for variant in VARIANTS:
        path = work / f"{style}-{variant}.json"
        if path.exists():
            lines.append(_line(variant, json.loads(path.read_text())))
    return "\n".join(lines) + "\n"


def _line(variant: str, row: dict[str, Any]) -> str:
    options, plain = row.pop("options"), asdict(Options())
    changes = ", ".join(f"{k} {v}" for k, v in options.items() if v != plain[k])
    digits = {"seconds": 0, "megabytes": 1, "psnr": 1}
    cells = (f"{row[k]:.{digits.get(k, 2)}f}" for k in row if k != "variant")
    return f"| {variant} | {changes} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
