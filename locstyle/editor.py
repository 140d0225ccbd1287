"""The street an edit goes down: resolve, segment, invert, plan, denoise, decode, paste."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from locstyle import __version__, measure
from locstyle.edit import Edit, Region
from locstyle.engine.backbone import Backbone, Text, load_backbone
from locstyle.engine.denoise import denoise
from locstyle.engine.plan import Branch, Plan, Scene, SceneRegion, Window
from locstyle.engine.progress import OnStep, ignore
from locstyle.engine.trajectory import invert
from locstyle.errors import MaskError, RecipeError
from locstyle.masks import Mask, Partition, read_mask
from locstyle.photo import Canvas, Photo
from locstyle.protocols import Fusion, Prompt
from locstyle.result import Report, Result
from locstyle.style import Style, find_style, read_style

if TYPE_CHECKING:
    from locstyle.host import Host


class Editor:
    """Runs edits on one backbone, which is loaded once and never changed."""

    def __init__(self, backbone: Backbone, host: Host | None = None) -> None:
        from locstyle.host import default_host

        self.backbone = backbone
        self.host = host or default_host()

    @classmethod
    def load(
        cls,
        name: str | Path = "mini",
        *,
        device: str = "auto",
        dtype: torch.dtype | None = None,
        host: Host | None = None,
    ) -> Editor:
        """An editor on a registered backbone ("mini"), a diffusers folder, a checkpoint or a hub
        name.

        Raises:
            BackboneError: nothing of that name can be loaded.
        """
        from locstyle.host import default_host

        host = host or default_host()
        if str(name) in host.names("backbones"):
            backbone = host.backbone(str(name))(str(name), device, dtype)
        else:
            backbone = load_backbone(name, device=device, dtype=dtype)
        return cls(backbone, host)

    def run(
        self,
        edit: Edit,
        on_step: OnStep | None = None,
        *,
        check_inversion: bool = False,
        max_rows: int | None = None,
    ) -> Result:
        """Run an edit; a user's mistake surfaces before any denoising.

        `check_inversion` also denoises the inverted photo back unstyled and reports both PSNRs, for
        one more row per step. `max_rows` bounds the rows of one forward pass, to save memory.

        Raises:
            LocstyleError: see its kinds; raising from `on_step` cancels and leaves nothing behind.
        """
        clock = _Clock()
        report_step = on_step or ignore
        with torch.inference_mode():
            job = self._resolve(edit)
            with clock.phase("invert"):
                scene, inversion_rows = self._scene(job, report_step)
            with clock.phase("denoise"):
                plan = job.fusion.plan(scene)
                start = scene.content.at(scene.schedule.noisiest)
                done = denoise(
                    self.backbone,
                    plan,
                    scene.schedule,
                    start,
                    max_rows=max_rows,
                    on_step=report_step,
                )
            with clock.phase("paste"):
                decoded = self.backbone.decode(done.latent)[0].float().cpu()
                weight = _union([mask.feather(feather) for mask, feather in job.paste_masks])
                photo = job.photo.pasted(job.canvas.grow(decoded), weight)
            checks = self._check(job, scene) if check_inversion else {}
            report = Report(
                rows=done.rows,
                inversion_rows=inversion_rows,
                seconds=clock.seconds,
                coverage=tuple(mask.area for mask in job.masks),
                overlap=_overlap(job.masks),
                **_kept(job.photo, photo, weight),
                working_size=job.canvas.padded,
                device=str(self.backbone.device),
                dtype=str(self.backbone.dtype).removeprefix("torch."),
                versions=_versions(),
                **checks,
            )
        return Result(
            photo,
            job.photo,
            job.masks,
            scene.partition,
            job.styles,
            done.latent.clone(),
            replace(edit, digests=self._digests(job)),
            report,
        )

    def _resolve(self, edit: Edit) -> _Job:
        """Everything that can be wrong with a request, found out before any denoising."""
        fusing = edit.fusion
        fusion = self.host.fusion(fusing.name, fusing.options, preset=fusing.preset)
        self._check_roles(fusion, fusing.name)
        if edit.steps > (most := len(self.backbone.alphas) - 1):
            raise RecipeError(
                f"steps: got {edit.steps}; backbone {self.backbone.name!r} takes 1 to {most}"
            )
        photo = _photo(edit.image)
        masks = tuple(self._mask(region, photo, i) for i, region in enumerate(edit.regions))
        styles = tuple(
            self._style(region, fusion, fusing.name, i) for i, region in enumerate(edit.regions)
        )
        canvas = Canvas.fit(
            photo.size, size=edit.size, native=self.backbone.native, multiple=self.backbone.multiple
        )
        return _Job(edit, fusion, photo, masks, styles, canvas)

    def _check_roles(self, fusion: Fusion, name: str) -> None:
        missing = sorted(fusion.requires_roles - self.backbone.sites.roles)
        if missing:
            raise RecipeError(
                f"fusion: {name!r} needs {', '.join(missing)} layers, which backbone "
                f"{self.backbone.name!r} does not have"
            )

    def _mask(self, region: Region, photo: Photo, index: int) -> Mask:
        where = f"regions[{index}].mask"
        if not isinstance(region.mask, dict):
            return read_mask(region.mask, photo, where=where)
        asked = region.mask
        segmenter = self.host.segmenter(asked["segmenter"], asked.get("options"))
        prompt = Prompt(
            points=tuple((float(x), float(y)) for x, y in asked.get("points", ())),
            box=tuple(map(float, asked["box"])) if "box" in asked else None,  # type: ignore[arg-type]  # four, checked by Region
            text=asked.get("text"),
        )
        found = segmenter.segment(photo.image, prompt)
        if not found:
            raise MaskError(f"{where}: segmenter {asked['segmenter']!r} found nothing")
        return read_mask(found[0], photo, where=where)

    def _style(self, region: Region, fusion: Fusion, fusing: str, index: int) -> Style | None:
        if region.style is None:
            return None
        where = f"regions[{index}].style"
        style = region.style
        if not isinstance(style, Style):
            path = find_style(style)
            style, coverage = read_style(
                path, sites=self.backbone.sites, family=self.backbone.family
            )
            if not coverage.is_complete:
                warnings.warn(
                    f"{where}: part of {path} does not apply\n{coverage.describe()}", stacklevel=4
                )
        stray = sorted(style.kinds - fusion.carries)
        if stray:
            raise RecipeError(f"{where}: fusion {fusing!r} cannot carry {', '.join(stray)}")
        return style

    def _scene(self, job: _Job, on_step: OnStep) -> tuple[Scene, int]:
        """The photo encoded and inverted, its masks as a partition, its texts encoded."""
        backbone, edit = self.backbone, job.edit
        schedule = backbone.schedule(edit.steps)
        wanted = job.fusion.inversion
        steps = schedule if wanted.steps is None else backbone.schedule(wanted.steps)
        picture = job.canvas.shrink(job.photo.rgb())
        latent = backbone.encode(picture[None])
        empty = backbone.text("")
        content = invert(
            backbone, latent, steps, text=empty, aligned=wanted.aligned, on_step=on_step
        )
        scene = Scene(
            backbone=backbone,
            latent=latent,
            content=content,
            regions=tuple(self._regions(job)),
            partition=_partition(job),
            schedule=schedule,
            empty=empty,
            text=self._text(edit.prompt, "prompt"),
            negative=self._text(edit.negative, "negative"),
        )
        return scene, steps.steps

    def _regions(self, job: _Job) -> Iterator[SceneRegion]:
        for index, (region, style) in enumerate(zip(job.edit.regions, job.styles, strict=True)):
            negative = job.edit.negative if region.negative is None else region.negative
            yield SceneRegion(
                style=style,
                strength=region.strength,
                text=self._text(region_prompt(region, style, job.edit), f"regions[{index}].prompt"),
                negative=self._text(negative, f"regions[{index}].negative"),
                window=Window(*region.window),
            )

    def _text(self, prompt: str, where: str) -> Text:
        text = self.backbone.text(prompt)
        if text.cut:
            warnings.warn(f"{where}: longer than the text window; cut: {text.cut!r}", stacklevel=2)
        return text

    def _check(self, job: _Job, scene: Scene) -> dict[str, float]:
        """The reconstruction gate: how well the photo survives the autoencoder, and inversion."""
        branch = Branch("source", scene.empty)
        plan = Plan((branch,), (), lambda predictions, call: predictions["source"])
        start = scene.content.at(scene.schedule.noisiest)
        back = denoise(self.backbone, plan, scene.schedule, start).latent
        seen = _array(job.canvas.shrink(job.photo.rgb()))
        autoencoded, reconstructed = (
            measure.psnr(_array(self.backbone.decode(latent)[0].float().cpu()), seen)
            for latent in (scene.latent, back)
        )
        return {"autoencoder_psnr": autoencoded, "reconstruction_psnr": reconstructed}

    def _digests(self, job: _Job) -> dict[str, str]:
        found = {"image": job.photo.sha256, "backbone": self.backbone.digest}
        for index, (mask, style) in enumerate(zip(job.masks, job.styles, strict=True)):
            found[f"regions[{index}].mask"] = mask.sha256
            if style is not None:
                found[f"regions[{index}].style"] = style.digest
        return found


@dataclass(frozen=True, eq=False)
class _Job:
    """An edit whose every name and file has been found and checked."""

    edit: Edit
    fusion: Fusion
    photo: Photo
    masks: tuple[Mask, ...]
    styles: tuple[Style | None, ...]
    canvas: Canvas

    @property
    def paste_masks(self) -> list[tuple[Mask, float]]:
        return [
            (
                mask,
                self.edit.paste_feather if region.paste_feather is None else region.paste_feather,
            )
            for mask, region in zip(self.masks, self.edit.regions, strict=True)
        ]


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - start, 3)


def region_prompt(region: Region, style: Style | None, edit: Edit) -> str:
    """A region's own prompt, else its style's trigger with the edit's prompt as its subject."""
    if region.prompt is not None:
        return region.prompt
    trigger = style.trigger if style else ""
    return f"{trigger} of {edit.prompt}" if trigger and edit.prompt else trigger or edit.prompt


def _photo(image: object) -> Photo:
    if isinstance(image, Photo):
        return image
    if isinstance(image, str | Path):
        return Photo.open(image)
    return Photo.from_image(image)  # type: ignore[arg-type]  # a PIL image or an array, checked there


def _partition(job: _Job) -> Partition:
    """The masks, feathered for denoising, at the working size; later regions on top."""
    working = []
    for mask, region in zip(job.masks, job.edit.regions, strict=True):
        feather = job.edit.feather if region.feather is None else region.feather
        values = job.canvas.shrink(mask.feather(feather).values[None])[0]
        working.append(Mask(values.clamp(0, 1)))
    return Partition.of(working)


def _union(masks: list[Mask]) -> Tensor:
    outside = torch.ones_like(masks[0].values)
    for mask in masks:
        outside = outside * (1 - mask.values)
    return 1 - outside


def _overlap(masks: tuple[Mask, ...]) -> float:
    covered = sum((mask.values > 0).int() for mask in masks)
    return float((torch.as_tensor(covered) > 1).float().mean())


def _kept(before: Photo, after: Photo, weight: Tensor) -> dict[str, Any]:
    """What really happened to the pixels, measured on the result."""
    outside = (weight == 0).numpy()
    change = (after.rgb() - before.rgb()).abs().mean(0)
    same = measure.identical_share(before.widened(after), after.pixels, outside)
    return {
        "outside_identical": same if outside.any() else None,
        "inside_change": float(change[weight > 0].mean()),
    }


def _array(picture: Tensor) -> np.ndarray[Any, Any]:
    return picture.permute(1, 2, 0).numpy()


def _versions() -> dict[str, str]:
    import diffusers

    return {
        "locstyle": __version__,
        "torch": str(torch.__version__),
        "diffusers": diffusers.__version__,
    }
