"""Makes docs/pictures/portrait.jpg: a face at the default and with `--preset portrait`.

    python scripts/make_portrait.py

The photo is `astronaut` of scikit-image, whose package has it: Eileen Collins, by NASA, in the
public domain as the package's documentation of `skimage.data.astronaut` says.
"""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image

import locstyle as ls
from locstyle.sheet import contact_sheet

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs/pictures/portrait.jpg"
FACE = "lasso:" + ";".join(
    (
        *("175,100", "190,72", "224,62", "258,74", "275,104"),
        *("274,145", "258,178", "226,193", "194,180", "177,148"),
    )
)
STYLES = {
    "the LoRA stained-glass": "stained-glass",
    "the picture swirl.png": ROOT / "loras/swirl.png",
}
SHOWN = (100, 10, 350, 230)


def main() -> None:
    photo, editor = Image.fromarray(skimage.data.astronaut()), ls.Editor.load("mini", device="cpu")
    pictures = [("photo", photo.crop(SHOWN))]
    for name, style in STYLES.items():
        for preset in (None, "portrait"):
            fusing = ls.Fusing("singlepass", preset=preset)
            result = editor.run(ls.Edit(photo, (ls.Region(FACE, style),), fusion=fusing))
            label = f"{name}, {preset or 'the default'}"
            pictures.append((label, result.image.convert("RGB").crop(SHOWN)))
            print(label, flush=True)
    contact_sheet(pictures, 5, cell=300).save(PICTURE, quality=85, optimize=True)


if __name__ == "__main__":
    main()
