"""Edits of a real photo, where nobody knows the truth: each style is learned from one picture."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from board import Area, Board, Picture, Row, pasted, to_bytes
from PIL import Image

import locstyle as ls
from locstyle import measure


def run(board: Board, editor: ls.Editor, wanted: argparse.Namespace) -> int:
    """Learn the styles that are missing, edit by every fusion, score; the sheet's columns."""
    photo = np.asarray(ls.Photo.open(wanted.photo).image.convert("RGB"))
    paintings = [np.asarray(Image.open(path).convert("RGB")) for path in wanted.style]
    files = [learned(editor, number, wanted) for number in range(len(wanted.style))]
    masks = [_inside(path, photo) for path in wanted.mask]
    board.show("input", photo)
    for path, mask, painting in zip(wanted.style, masks, paintings, strict=True):
        board.show(f"mask, {mask.mean():.1%}", np.repeat(mask[..., None], 3, 2) * np.uint8(255))
        board.show(path.stem, painting)
    found = {"input": photo, "recolour": _recoloured(photo, paintings, masks)}
    for fusion in wanted.fusion:
        result = board.run(editor, edit(fusion, files, wanted), wanted.photo.stem)
        result.save(wanted.out / f"{wanted.photo.stem}-{fusion}.png")
        found[fusion] = np.asarray(result.image.convert("RGB"))
        working = result.report.working_size
        if result.report.outside_identical is None:
            # the masks leave nothing outside, so one of them has to show that outside is kept
            alone = board.run(
                editor, edit(fusion, files[:1], wanted), f"{wanted.style[0].stem} alone"
            )
            board.show(f"{fusion}, {wanted.style[0].stem} alone", np.asarray(alone.image))
    for name, picture in found.items():
        for path, mask, painting in zip(wanted.style, masks, paintings, strict=True):
            figures = score(picture, found, painting, mask, working)
            board.regions.append(Row(wanted.photo.stem, name, path.stem, figures))
        if name != "input":
            board.show(name, picture)
    return 1 + 2 * len(masks)


def learned(editor: ls.Editor, number: int, wanted: argparse.Namespace) -> Path:
    """The LoRA of a style picture, trained unless it is there."""
    picture: Path = wanted.style[number]
    file: Path = wanted.loras / f"{picture.stem}.safetensors"
    if not file.exists():
        name = picture.stem.replace("_", " ")
        options = dict(wanted.encoder)
        if wanted.caption:
            options["caption"] = wanted.caption[number]
        request = ls.StyleRequest(picture.stem, f"a painting in {name} style", seed=wanted.seed)
        encoder = ls.default_host().style_encoder("lora", options)
        image = Image.open(picture).convert("RGB")
        style = encoder.encode([image], editor.backbone, request, _on_step)
        file.parent.mkdir(parents=True, exist_ok=True)
        style.save(file)
    return file


def _on_step(step: ls.Step) -> None:
    if step.index % 50 == 0:
        print(f"{step.phase} {step.index} of {step.total}, loss {step.loss}", file=sys.stderr)


def edit(fusion: str, files: list[Path], wanted: argparse.Namespace) -> ls.Edit:
    """The first regions, as many as there are style files."""
    return ls.Edit(
        image=wanted.photo,
        regions=tuple(
            ls.Region(str(mask), file) for mask, file in zip(wanted.mask, files, strict=False)
        ),
        fusion=ls.Fusing(fusion, options=wanted.options),
        prompt=wanted.prompt,
        steps=wanted.steps,
        seed=wanted.seed,
        size=wanted.size,
    )


def score(
    picture: Picture,
    found: dict[str, Picture],
    painting: Picture,
    mask: Area,
    working: tuple[int, int],
) -> dict[str, float]:
    """Against the style picture, at the size the backbone worked at; the seam in photo pixels."""
    scale = min(working) / min(picture.shape[:2])
    small, before, baseline = (
        _shrunk(one, scale) for one in (picture, found["input"], found["recolour"])
    )
    target = _shrunk(painting, min(working) / min(painting.shape[:2]))
    inside = _shrunk(mask.astype(np.uint8), scale) > 0
    everywhere = np.ones(target.shape[:2], bool)
    texture, gap = (
        measure.texture_distance(one, target, inside, everywhere) for one in (small, baseline)
    )
    return {
        "colour": measure.colour_distance(small, target, inside, everywhere),
        "texture": texture,
        "beyond recolour": 1 - texture / gap,
        "edges as photo": measure.edge_agreement(small, before, inside),
        "ssim with photo": measure.ssim_luminance(small, before, inside),
        "seam": measure.seam_index(picture, found["input"], mask),
    }


def _recoloured(photo: Picture, paintings: list[Picture], masks: list[Area]) -> Picture:
    def painted() -> Iterator[Picture]:
        for painting, mask in zip(paintings, masks, strict=True):
            everywhere = np.ones(painting.shape[:2], bool)
            yield to_bytes(measure.recolour(photo, painting, mask, everywhere))

    return pasted(photo, masks, painted())


def _inside(path: Path, photo: Picture) -> Area:
    mask = ls.Mask.open(path, photo.shape[:2])
    inside: Area = (mask.values > 0.5).numpy()
    return inside


def _shrunk(picture: Picture, scale: float) -> Picture:
    height, width = (round(side * scale) for side in picture.shape[:2])
    small: Picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return small
