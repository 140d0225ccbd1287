"""A style from one picture, and its use: python examples/learn_style.py [--steps N] [-o FOLDER]"""

import argparse
from pathlib import Path

import locstyle as ls

pictures = Path(__file__).parent / "pictures"
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int, default=200, help="of training")
parser.add_argument("-o", "--output", type=Path, default=Path("."))
asked = parser.parse_args()

editor = ls.Editor.load("mini")
encoder = editor.host.style_encoder("lora", {"steps": asked.steps})
picture = ls.Photo.open(pictures / "swirl.png").image
request = ls.StyleRequest("my-swirl", "a painting in swirl style", licence="CC0-1.0")
style = encoder.encode(
    [picture],
    editor.backbone,
    request,
    lambda step: print(f"{step.index} of {step.total}: loss {step.loss:.3f}"),
)
print("wrote", style.save(asked.output / "my-swirl.safetensors"))

edit = ls.Edit(
    pictures / "scene.png", [ls.Region(pictures / "sky.png", style)], steps=min(12, asked.steps)
)
print("wrote", editor.run(edit).save(asked.output / "my-swirl.png"))
