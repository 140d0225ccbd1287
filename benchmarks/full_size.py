"""Memory and time of one edit on a random model of full size, beside bare forwards of its network.

    python benchmarks/full_size.py --family sdxl --steps 2
    python benchmarks/full_size.py --family sd1 --dtype float32 --steps 2

Real configurations, names and sizes, random weights: the picture means nothing, what it costs does.
The two styles are LoRA files under kohya's names, so names are checked too.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

import locstyle as ls
from locstyle.engine.backbones.checkpoint import Parts
from locstyle.engine.backbones.single_file import KNOWN, _tokenizers
from locstyle.engine.backbones.unet import UNetBackbone
from locstyle.engine.tiles import Tile
from locstyle.job.speed import Speed
from locstyle.style import read_style

SIDES = {"sd1": 512, "sdxl": 1024}
RANK = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=SIDES, default="sdxl")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument(
        "--side", type=int, help="photo and working size in pixels, the family's own"
    )
    parser.add_argument("--refine", type=int, default=0, help="refinements of the inversion a step")
    parser.add_argument("--foretell", action="store_true", help="say first what it will take")
    parser.add_argument("--max-rows", type=int, help="rows of a pass at most")
    given = parser.parse_args()
    given.side = given.side or SIDES[given.family]
    clock = time.monotonic()
    made = parts(given.family, getattr(torch, given.dtype))
    backbone = UNetBackbone(made, name=f"random {given.family}", device=torch.device("cpu"))
    weights = {name: gigabytes(module) for name, module in backbone.modules.items()}
    say(f"made in {time.monotonic() - clock:.0f} s; GB of weights: {weights}")
    styles = [style(backbone, seed) for seed in (1, 2)]
    bare(backbone, given.side)
    edit(backbone, styles, given)


def parts(family: str, dtype: torch.dtype) -> Parts:
    """A family's modules with small random weights, made in the type they run in."""
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    folder, is_xl = KNOWN / family, family == "sdxl"

    def diffusers(kind: Any, part: str) -> nn.Module:
        return kind.from_config(kind.load_config(folder, subfolder=part))

    def text(kind: Any, part: str) -> nn.Module:
        return kind(CLIPTextConfig.from_pretrained(folder / part))

    found = _tokenizers(folder, is_xl=is_xl)
    if is_xl:
        second = "text_encoder_2"
        found[second] = filled(lambda: text(CLIPTextModelWithProjection, second), dtype)
    return Parts(
        unet=filled(lambda: diffusers(UNet2DConditionModel, "unet"), dtype),
        # SDXL's stays in float32, as it is loaded.
        vae=filled(lambda: diffusers(AutoencoderKL, "vae"), torch.float32 if is_xl else dtype),
        text_encoder=filled(lambda: text(CLIPTextModel, "text_encoder"), dtype),
        scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
        **found,
    )


def filled(make: Any, dtype: torch.dtype) -> nn.Module:
    """A module with weights drawn small enough that nothing overflows; norms are plain."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            module = make()
    finally:
        torch.set_default_dtype(default)
    module = module.to(dtype).to_empty(device="cpu")
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if weight.ndim > 1:
                weight.normal_(std=0.7 / weight[0].numel() ** 0.5, generator=draw)
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
        for name, buffer in module.named_buffers():
            if name.endswith("position_ids"):
                buffer.copy_(torch.arange(buffer.shape[-1]).expand(buffer.shape))
    return module


def style(backbone: UNetBackbone, seed: int) -> ls.Style:
    """A LoRA of every attention and feed-forward layer, from a file under kohya's names."""
    draw, found = torch.Generator().manual_seed(seed), {}
    for site in backbone.sites:
        if ".transformer_blocks." not in site.name or len(site.shape) != 2:
            continue
        stem, (out, into) = kohya(site.name, backbone.family), site.shape
        found[f"{stem}.lora_down.weight"] = torch.randn(RANK, into, generator=draw) / into**0.5
        found[f"{stem}.lora_up.weight"] = torch.randn(out, RANK, generator=draw) / 10
        found[f"{stem}.alpha"] = torch.tensor(float(RANK))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"style-{seed}.safetensors")
        save_file({key: value.half() for key, value in found.items()}, path)
        made, coverage = read_style(path, backbone=backbone)
        size = path.stat().st_size / 2**20
    say(f"style {seed}: {size:.0f} MiB, {len(coverage.applied)} of {len(found)} keys applied")
    return made


def kohya(name: str, family: str) -> str:
    """The layer's name as sd-scripts writes it: flattened, for SDXL that in the original code."""
    if family != "sdxl":
        return f"lora_unet_{name.replace('.', '_')}"
    parts, block = name.split("."), ""
    if parts[0] == "mid_block":
        block, rest = "middle_block_1", parts[3:]
    else:
        level, index, rest = int(parts[1]), int(parts[3]), parts[4:]
        down = parts[0] == "down_blocks"
        number = 3 * level + index + 1 if down else 3 * level + index
        block = f"{'input' if down else 'output'}_blocks_{number}_1"
    return f"lora_unet_{block}_{'_'.join(rest)}"


def bare(backbone: UNetBackbone, side: int) -> None:
    """One row of the network at that size, without anything of ours around it but the call."""
    latent, states = torch.randn(1, 4, side // 8, side // 8), backbone.text("a photo").states
    tile = Tile.all_of((side // 8, side // 8))
    with torch.inference_mode():
        for turn in ("first", "second"):
            clock, spent = time.monotonic(), time.process_time()
            made: Tensor = backbone.predict(latent, 501, states, [tile])
            took = f"{time.monotonic() - clock:.1f} s, {time.process_time() - spent:.1f} of CPU"
            say(f"bare forward of one row, the {turn} time: {took}; {peak()}")
    say(f"finite: {bool(made.isfinite().all())}")


def edit(backbone: UNetBackbone, styles: list[ls.Style], given: argparse.Namespace) -> None:
    """A photo with two regions side by side, each with its own LoRA."""
    side = given.side
    pixels = np.random.default_rng(0).integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    photo = Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)
    half = side // 2
    edit = ls.Edit(
        photo,
        (
            ls.Region(f"box:0,0,{half},{side - 64}", styles[0]),
            ls.Region(f"box:{half},0,{side},{side - 64}", styles[1]),
        ),
        steps=given.steps,
        inversion_refine=given.refine,
        size="native" if side == backbone.native else side,
    )
    editor = ls.Editor(backbone)
    if given.foretell:
        for told in editor.forecast(edit, speed=Speed.measured(backbone), max_rows=given.max_rows):
            memory, model = ((part or 0) / 2**30 for part in (told.memory, told.model))
            say(f"foretold: {told.seconds:.0f} s, {memory:.1f} GiB beside {model:.1f} of weights")
    clock, before = time.monotonic(), time.process_time()

    def on_step(step: ls.Step) -> None:
        spent = time.process_time() - before
        say(f"  {step.phase} {step.index}/{step.total} after {spent:.0f} s of CPU")

    result = editor.run(edit, on_step, max_rows=given.max_rows)
    report, took = result.report, f"{time.monotonic() - clock:.0f} s"
    took += f", {time.process_time() - before:.0f} of CPU"
    say(f"edit: {took}, for {report.rows} + {report.inversion_rows} rows; {peak()}")
    say(f"seconds by phase: {dict(report.seconds)}")
    say(f"outside identical: {report.outside_identical}; finite: {result.latent.isfinite().all()}")


def gigabytes(module: nn.Module) -> float:
    return round(sum(p.numel() * p.element_size() for p in module.parameters()) / 1e9, 2)


def peak() -> str:
    return f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"


def say(words: str) -> None:
    print(words, flush=True)


if __name__ == "__main__":
    main()
