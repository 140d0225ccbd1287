"""How well does `vct` put another subject in a masked one's place, and with which settings?

    python benchmarks/subject.py --out OUT [--train-steps 100] [--steps 20]

Learns a concept from one picture of a subject, whose surroundings its prompt tells, and edits a
photo of another subject, in a box around it, with a prompt that tells the photo's. The world draws
the same photo with the new subject: the truth. Prints PSNR to it inside the box, and `seen as`:
what `mini` takes the picture for, 0 as it does the photo, 1 as it does the truth (noise loss of the
old subject's words less that of the new one's). Writes OUT/subject.png, and keeps what it learned.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from locstyle_plugins.bench.cases import Picture, slug
from locstyle_plugins.world import HELD_OUT_WORLD, WorldScene, scenery, things
from locstyle_plugins.world.sketch import Sketch
from PIL import Image

import locstyle as ls
from locstyle.engine.training import noise_loss
from locstyle.sheet import contact_sheet

SIDE = 128
SWAPS = (  # the old subject, the new one, ground and sky of the photo
    ("pine tree", "orange tree", ("meadow", "blue")),
    ("green tree", "yellow house", ("field", "cloudy")),
)
REFERENCE = ("sand", "blue")  # ground and sky of the picture a concept is learned from
SETTINGS: tuple[dict[str, float], ...] = (
    {},
    {"self_share": 0.3},
    {"fresh_noise": 0.7, "self_share": 0.3},
    {"fresh_noise": 1.0, "self_share": 0.3},
    {"fresh_noise": 1.0, "self_share": 0.0},
)
CONTROL = SETTINGS[2]  # tried with the words `mini` has for the new subject, too


def scene(subject: str, backdrop: tuple[str, str]) -> WorldScene:
    """One thing before a backdrop that does not depend on it."""
    ground, sky = backdrop
    sketch = Sketch(2 * SIDE, np.random.default_rng((HELD_OUT_WORLD, 7)))
    scenery.paint_sky(sketch, sky, 0.4)
    scenery.paint_ground(sketch, ground, 0.4)
    if subject.endswith("tree"):
        things.paint_tree(sketch, 0.5, 0.94, 0.74, subject)
    else:
        things.paint_house(sketch, 0.44, 0.94, 0.56, subject.split()[0])
    place = f"{scenery.GROUND_WORDS[ground]} under a {sky} sky"
    return WorldScene(sketch, f"a large {subject}", place, (HELD_OUT_WORLD, 7))


def box_around(shown: WorldScene) -> ls.Mask:
    """A box around the subject, with room for another shape."""
    y, x = np.nonzero(shown.masks[shown.things.split()[-1]])
    corners = (x.min() - 12, y.min() - 6, x.max() + 13, min(y.max() + 7, SIDE))
    return ls.Mask.box(tuple(map(int, corners)), size=(SIDE, SIDE))


def spoken(shown: WorldScene) -> str:
    """The scene's prompt with a placeholder for its subject."""
    subject = shown.things.removeprefix("a large ")
    return shown.prompt().replace(subject, f"<{slug(subject)}>")


def concept(editor: ls.Editor, out: Path, subject: str, steps: int) -> ls.Style:
    """The subject's concept, from one picture; its words start as the kind of thing it is."""
    path = out / f"{slug(subject)}.safetensors"
    if not path.exists():
        options = {"steps": steps, "batch": 2, "crops": 0, "init": subject.split()[-1]}
        shown = scene(subject, REFERENCE)
        request = ls.StyleRequest(slug(subject), spoken(shown))
        encoder = editor.host.style_encoder("concept", options)
        picture = Image.fromarray(shown.photo)
        encoder.encode([picture], editor.backbone, request).save(path)
    return ls.read_style(path)[0]


def edited(
    editor: ls.Editor, old: WorldScene, region: ls.Region, options: dict[str, float], steps: int
) -> Picture:
    edit = ls.Edit(
        image=ls.Photo.from_image(old.photo),
        regions=(region,),
        fusion=ls.Fusing("vct", options=options),
        steps=steps,
        size=(SIDE, SIDE),
    )
    return np.asarray(editor.run(edit).image.convert("RGB"))


@torch.no_grad()
def evidence(backbone: ls.Backbone, picture: Picture, old: WorldScene, new: WorldScene) -> float:
    """Noise loss under the old subject's words less that under the new one's, on equal noise."""
    pixels = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    latents, t, losses = backbone.encode(pixels).expand(8, -1, -1, -1), torch.arange(8), []
    for shown in (old, new):
        states = backbone.text(shown.prompt()).states.expand(8, -1, -1)
        how = {"noise": ls.generator(0, "bench"), "training": ls.Training()}
        losses.append(float(noise_loss(backbone, latents, states, 150 + 100 * t, **how)))
    return losses[0] - losses[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-steps", type=int, default=100, help="of each concept")
    parser.add_argument("--steps", type=int, default=20, help="of every edit")
    parser.add_argument("--device", default="cpu")
    wanted = parser.parse_args()
    wanted.out.mkdir(parents=True, exist_ok=True)
    editor = ls.Editor.load("mini", device=wanted.device)
    found: list[tuple[str, float, float]] = []
    pictures: list[tuple[str, Image.Image]] = []
    for subject, other, backdrop in SWAPS:
        old, new = scene(subject, backdrop), scene(other, backdrop)
        style = concept(editor, wanted.out, other, wanted.train_steps)
        box = box_around(old)
        learned, known = (
            ls.Region(box, style, prompt=spoken(new)),
            ls.Region(box, prompt=new.prompt()),
        )
        made = {"the photo": old.photo}
        for options in SETTINGS:
            made[label(options)] = edited(editor, old, learned, options, wanted.steps)
        made["known words, " + label(CONTROL)] = edited(editor, old, known, CONTROL, wanted.steps)
        made["the truth"] = new.photo
        inside = box.values.numpy() > 0.5
        low, high = (evidence(editor.backbone, end.photo, old, new) for end in (old, new))
        for name, picture in made.items():
            seen = (evidence(editor.backbone, picture, old, new) - low) / (high - low)
            found.append((name, ls.measure.psnr(picture, new.photo, inside), seen))
            print(subject, other, *found[-1], flush=True)
        pictures += [("learned from", Image.fromarray(scene(other, REFERENCE).photo))]
        pictures += [(name, Image.fromarray(picture)) for name, picture in made.items()]
        contact_sheet(pictures, len(made) + 1).save(wanted.out / "subject.png")
    print("| options | PSNR to the truth, dB | seen as | the least |\n|---|---|---|---|")
    for name in made:
        psnr, seen = zip(*(row[1:] for row in found if row[0] == name), strict=True)
        print(f"| {name} | {np.mean(psnr):.1f} | {np.mean(seen):.2f} | {min(seen):.2f} |")


def label(options: dict[str, float]) -> str:
    return " ".join(f"{key} {value:g}" for key, value in options.items()) or "the defaults"


if __name__ == "__main__":
    main()
