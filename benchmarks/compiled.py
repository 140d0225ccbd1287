"""What torch.compile makes of an edit: graphs, breaks and seconds, traced without a compiler.

    python benchmarks/compiled.py

On the tiny backbone, 12 steps, two regions under two LoRAs. The backend is "eager", so that the
seconds are those of tracing and of going in and out of graphs; a compiler would come on top.
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import torch

import locstyle as ls
from locstyle.testing import random_style, tiny_backbone


def main() -> None:
    from torch._dynamo.utils import counters

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    backbone = tiny_backbone()
    photo = np.random.default_rng(0).integers(0, 256, (32, 40, 3), np.uint8)
    styles = [random_style(backbone, seed) for seed in (1, 2)]
    regions = tuple(map(ls.Region, ("box:0,0,20,32", "box:20,0,40,32"), styles))
    edit = ls.Edit(photo, regions, steps=12, size="native")
    editor = ls.Editor(backbone, ls.Host())
    timed(editor, edit, "first")
    plain = timed(editor, edit, "plain")
    compiled = torch.compile(backbone.unet.forward, backend="eager", dynamic=False)
    # A number would be a graph of its own for every timestep.
    backbone.unet.forward = lambda x, t, *given, **named: compiled(
        x, torch.as_tensor(t), *given, **named
    )
    for turn in ("first", "second"):
        made = timed(editor, edit, f"compiled, the {turn} time")
    print(f"equal to the bit: {torch.equal(made.latent, plain.latent)}")
    print(f"graphs: {counters['stats']['unique_graphs']}")
    breaks: Any = counters["graph_break"]
    print(f"graph breaks: {sum(breaks.values())}")
    for why, count in breaks.items():
        print(f"  {count}: {why.splitlines()[0]}")


def timed(editor: ls.Editor, edit: ls.Edit, what: str) -> ls.Result:
    clock = time.perf_counter()
    made = editor.run(edit)
    print(f"{what}: {time.perf_counter() - clock:.2f} s; {dict(made.report.seconds)}", flush=True)
    return made


if __name__ == "__main__":
    main()
