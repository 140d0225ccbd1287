"""Runs the gallery's recipes of examples/ and writes docs/gallery.md and its pictures.

python scripts/make_gallery.py           # a few minutes on two idle cores
python scripts/make_gallery.py --busy    # other work goes on: leaves out seconds

The page's scores compare each edit with what the world draws: the same scene, in that style.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import make_examples
import numpy as np
from locstyle_plugins.world import World
from numpy.typing import NDArray
from PIL import Image

import locstyle as ls
from locstyle import measure
from locstyle.sheet import contact_sheet, result_sheet

ROOT = Path(__file__).parent.parent
EXAMPLES, PAGE, PICTURES = ROOT / "examples", ROOT / "docs/gallery.md", ROOT / "docs/pictures"
MIXED = "four-kinds"
ALONE = {
    "kind-lora": "a LoRA",
    "kind-picture": "a reference picture",
    "kind-word": "a learned word",
    "kind-tokens": "tokens of a picture",
}
HEAD = """# Gallery: four kinds of style, mixed and alone

Made by `python scripts/make_gallery.py` from the recipes in [examples/](../examples/README.md).
The backbone is `mini`, our small one, which was trained in none of these styles; each was taken
from one picture of another scene. The photo is a scene of mini's world, which can draw it in every
style: that is the truth the scores are against, inside the region. *Texture* and *colour* are
[distances](metrics.md), lower is better; *PSNR* is in dB, higher is better. {times}
"""
TIMES = {
    False: "Seconds are those of one machine with {cores} cores, inversion included.",
    True: "Other work went on while it ran, so seconds are left out here.",
}


@dataclass(frozen=True, eq=False)
class Score:
    """How near a region is to the truth."""

    texture: float
    colour: float
    psnr: float

    @classmethod
    def of(cls, picture: Image.Image, truth: Image.Image, mask: NDArray[np.bool_]) -> Score:
        seen, goal = np.asarray(picture.convert("RGB")), np.asarray(truth)
        return cls(
            measure.texture_distance(seen, goal, mask),
            measure.colour_distance(seen, goal, mask),
            measure.psnr(seen, goal, mask),
        )

    def __str__(self) -> str:
        return f"{self.texture:.2f} | {self.colour:.2f} | {self.psnr:.1f}"


def main(*, busy: bool = False) -> None:
    editor = ls.Editor.load("mini", device="cpu")
    results = {}
    for name in (MIXED, *ALONE):
        print(f"{name}.yaml", flush=True)
        results[name] = editor.run(ls.Edit.open(EXAMPLES / f"{name}.yaml"))
    for name, result in results.items():
        save(name, result_sheet(result) if name == MIXED else strip(result, results[MIXED]))
    page = "\n".join(lines(results, busy=busy))
    PAGE.write_text(page, "utf-8")


def lines(results: dict[str, ls.Result], *, busy: bool) -> Iterator[str]:
    """The page."""
    mixed = results[MIXED]
    yield HEAD.format(times=TIMES[busy].format(cores=os.cpu_count()))
    yield "## All four in one edit, one denoising, one file\n"
    yield from shown(MIXED, mixed, busy=busy)
    scores = list(scored(results))
    yield from table(
        ["region", "style", "", "texture", "colour", "PSNR"],
        (
            [f"{number}", style, by, str(score)]
            for number, (style, found) in enumerate(scores, 1)
            for by, score in found.items()
        ),
    )
    yield f"No nearer to the truth than the photo as it is: {losses(scores)}.\n"
    for name, kind in ALONE.items():
        yield f"## {kind[0].upper()}{kind[1:]} alone\n"
        yield from shown(name, results[name], busy=busy)


def scored(results: dict[str, ls.Result]) -> Iterator[tuple[str, dict[str, Score]]]:
    """What each of the mixed edit's regions is, and how near photo, mixed edit and the kind alone
    come."""
    mixed, alone = results[MIXED], {}
    for name, kind in ALONE.items():
        (mask,) = results[name].masks
        alone[mask.sha256] = kind, results[name].image
    for mask, (style,) in zip(mixed.masks, mixed.styles, strict=True):
        kind, picture = alone[mask.sha256]
        pictures = {"the photo": mixed.source.image, "mixed": mixed.image, "alone": picture}
        goal, inside = truth(style), mask.values.numpy() > 0.5
        found = {by: Score.of(picture, goal, inside) for by, picture in pictures.items()}
        yield f"{style.name}, {kind}", found


def losses(scores: Sequence[tuple[str, dict[str, Score]]]) -> str:
    """Where the mixed edit gained nothing, by figure and region."""
    lost: dict[str, list[str]] = {"texture": [], "colour": [], "PSNR": []}
    for number, (_, found) in enumerate(scores, 1):
        photo, mixed = found["the photo"], found["mixed"]
        if mixed.texture >= photo.texture:
            lost["texture"].append(str(number))
        if mixed.colour >= photo.colour:
            lost["colour"].append(str(number))
        if mixed.psnr <= photo.psnr:
            lost["PSNR"].append(str(number))
    said = [f"{figure} of {', '.join(where)}" for figure, where in lost.items() if where]
    return "; ".join(said) or "nothing"


def shown(name: str, result: ls.Result, *, busy: bool) -> Iterator[str]:
    """An edit's picture, cost and recipe."""
    report = result.report
    kept = "" if report.outside_identical is None else f"{report.outside_identical:.4%}"
    took = "" if busy else f" {sum(report.seconds.values()):.0f} seconds."
    recipe = (EXAMPLES / f"{name}.yaml").read_text("utf-8")
    yield f"![{name}](pictures/gallery-{name}.jpg)\n"
    yield (
        f"[examples/{name}.yaml](../examples/{name}.yaml): {report.rows} rows of the network, "
        f"{report.inversion_rows} more to invert.{took} Outside the region{'s' * (name == MIXED)} "
        f"{kept} of the pixels are identical.\n"
    )
    yield f"```sh\nlocstyle run examples/{name}.yaml -o {name}.png --contact-sheet sheet.png\n```\n"
    yield f"```yaml\n{recipe}```\n"


def strip(alone: ls.Result, mixed: ls.Result) -> Image.Image:
    """The style's picture, the edit, the mixed edit and the truth."""
    ((style,),), (mask,) = alone.styles, alone.masks
    drawn = Image.composite(truth(style), alone.source.image.convert("RGB"), mask.image)
    pictures = [
        (f"the style: {style.name}", style.preview or drawn),
        ("alone", alone.image),
        ("with the three others", mixed.image),
        ("what the world draws", drawn),
    ]
    return contact_sheet(pictures)


def truth(style: ls.Style) -> Image.Image:
    """The examples' scene in a style, by the world's own renderer."""
    scene = World(make_examples.SEED, make_examples.SIZE).scene(make_examples.SCENE)
    name = style.name.removesuffix("-word").replace("-", " ")
    return Image.fromarray(scene.render(name))


def table(heads: Sequence[str], rows: Iterator[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "|" + "---|" * len(heads)
    for cells in rows:
        yield f"| {' | '.join(cells)} |"
    yield ""


def save(name: str, picture: Image.Image) -> None:
    path = PICTURES / f"gallery-{name}.jpg"
    picture.convert("RGB").save(path, quality=88, optimize=True)


if __name__ == "__main__":
    main(busy="--busy" in sys.argv[1:])
