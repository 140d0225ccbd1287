"""How near each form of LoRA file comes to the library that defines it, layer by layer.

    python benchmarks/wild_loras.py

Files are written as LyCORIS writes them, for five layers of the tiny backbone; each layer is run
with LyCORIS' own module on it, and with what we made of the file beside it. The error is of the
change: |ours - theirs| / |theirs - unchanged|, the largest of the layers.
"""

from __future__ import annotations

import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch

from locstyle.testing import tiny_backbone

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import test_wild_loras as wild  # whose files and layers these are


def main() -> None:
    warnings.simplefilter("ignore")
    backbone = tiny_backbone()
    print("| form | largest error of a layer | kept as |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for kind in wild.LYCORIS:
            path = Path(folder, "wild.safetensors")
            wanted = wild.of_lycoris(backbone, kind, path)
            style, coverage = wild.read(backbone, path)
            errors = [
                error(style.deltas[site], backbone.layer(site), wild.given(site, layer), expected)
                for site, expected in wanted.items()
                for layer in [backbone.layer(site)]
            ]
            kept = "; ".join(coverage.notes) or "two factors, as in the file"
            print(f"| {kind} | {max(errors):.0e} | {kept} |")


def error(delta: Any, layer: Any, x: torch.Tensor, expected: torch.Tensor) -> float:
    found, plain = wild.acted(delta, layer, x), layer(x)
    return float((found - expected).norm() / (expected - plain).norm())


if __name__ == "__main__":
    main()
