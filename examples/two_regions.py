"""Two regions, two styles, in Python: python examples/two_regions.py [--steps N] [-o OUT]"""

import argparse
from pathlib import Path

import locstyle as ls

pictures = Path(__file__).parent / "pictures"
parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--steps", type=int)
parser.add_argument("-o", "--output", type=Path, default=Path("two-regions.png"))
asked = parser.parse_args()

edit = ls.Edit(
    image=pictures / "scene.png",
    regions=[
        ls.Region(pictures / "house.png", "engraving"),
        ls.Region("box:0,0,256,90", "neon", strength=0.9),
    ],
    prompt="a brown house in a meadow by a lake under a blue sky",
    steps=asked.steps,
)
editor = ls.Editor.load("mini")  # once, for any number of edits
result = editor.run(edit, on_step=lambda step: print(step.phase, step.index, "of", step.total))
print(f"{result.report.outside_identical:.0%} of the pixels outside the masks are identical")
print("wrote", result.save(asked.output))
