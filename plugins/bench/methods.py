"""What is compared: every installed fusion with every style encoder, between floor and ceiling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any  # the host's encoders

import numpy as np

import locstyle as ls

from . import baselines
from .baselines import PASTE_FEATHER, Attempt, Bench
from .cases import Case
from .gatys import gatys
from .results import Kind
from .settings import Settings
from .styles import Styles, code_of, setup_seconds

Run = Callable[[Bench, Case, Sequence[ls.Style]], Attempt]


@dataclass(frozen=True)
class Method:
    """A way to style a case.

    `encoder` names who makes the styles it is given, if it takes any; `code` changes when a plugin
    does. One that is `spare` runs only where it is asked for by name.
    """

    name: str
    kind: Kind
    run: Run
    encoder: str | None = None
    code: str = ""
    spare: bool = False

    def styles(self, case: Case, styles: Styles) -> list[ls.Style]:
        """One per region."""
        return [styles.get(self.encoder, one) for one in case.styles] if self.encoder else []


def methods(host: ls.Host, backbone: ls.Backbone, settings: Settings) -> tuple[
    list[Method], list[str]
]:  # fmt: skip
    """All methods in the order they are shown, and notes on what had to be left out.

    Raises:
        RecipeError: a method was asked for that nobody offers.
    """
    encoders = {
        name: host.style_encoder(name, settings.encoders.get(name))
        for name in host.names("style_encoders")
    }
    for name in settings.encoders:
        if name not in encoders:
            hint = ls.did_you_mean(name, encoders)
            raise ls.RecipeError(f"--encoder-option {name!r}: no such style encoder; {hint}")
    edits, notes = _edits(host, backbone, encoders)
    plain = [name for name, encoder in encoders.items() if encoder.makes <= {"deltas"}]
    found = [
        Method("input", "baseline", baselines.unchanged),
        Method("recolour", "baseline", baselines.recoloured),
    ]
    if plain:
        chosen = "lora" if "lora" in plain else plain[0]
        found.append(Method("img2img paste", "baseline", baselines.img2img, chosen))
    else:
        notes.append("img2img paste: no style encoder makes deltas")
    found.append(Method("adain paste", "baseline", baselines.adain))
    if "eye" in host.names("metrics"):  # its network is the one that looks
        code = code_of(host, "metrics", "eye")
        found.append(Method("gatys", "baseline", gatys, code=code, spare=True))
    found += edits
    if settings.real is None:
        found += [
            Method("oracle", "ceiling", baselines.oracle),
            Method("redrawn", "ceiling", baselines.redrawn),
        ]
    return _wanted(found, settings.methods), notes


def edit(bench: Bench, case: Case, fusion: str, styles: Sequence[ls.Style]) -> ls.Edit:
    """A case as an edit, all of the fusion's options at their defaults."""
    height, width = case.photo.shape[:2]
    return ls.Edit(
        image=ls.Photo.from_image(case.photo),
        regions=tuple(
            ls.Region(mask.astype(np.float32), style)
            for mask, style in zip(case.masks, styles, strict=True)
        ),
        backbone=bench.settings.backbone,
        fusion=ls.Fusing(fusion),
        prompt=case.caption,
        solver=bench.settings.solver,
        steps=bench.settings.steps,
        seed=bench.settings.seed,
        size=(height, width),
        paste_feather=PASTE_FEATHER,
    )


@dataclass(frozen=True)
class _Edits:
    """Runs a case as an edit by one fusion."""

    fusion: str

    def __call__(self, bench: Bench, case: Case, styles: Sequence[ls.Style]) -> Attempt:
        wanted = edit(bench, case, self.fusion, styles)
        result = bench.editor.run(wanted, bench.on_step)
        rows, inverting = result.report.rows, result.report.inversion_rows
        setup = setup_seconds(list(styles))
        figures = {"rows": float(rows), "inversion_rows": float(inverting)}
        figures |= {} if setup is None else {"setup_seconds": setup}
        return Attempt(np.asarray(result.photo.srgb.convert("RGB")), figures)


def _edits(
    host: ls.Host, backbone: ls.Backbone, encoders: dict[str, Any]
) -> tuple[list[Method], list[str]]:
    found, notes = [], []
    for name in host.names("fusions"):
        fusion = host.fusion(name)
        missing = sorted(fusion.requires_roles - backbone.sites.roles)
        if missing:
            notes.append(f"{name}: backbone {backbone.name!r} has no {', '.join(missing)} layers")
            continue
        fitting = [one for one, encoder in encoders.items() if encoder.makes <= fusion.carries]
        if not fitting:
            notes.append(f"{name}: no style encoder makes what it carries")
        code = code_of(host, "fusions", name)
        found += [Method(f"{name} + {one}", "edit", _Edits(name), one, code) for one in fitting]
    return found, notes


def _wanted(found: list[Method], names: Sequence[str]) -> list[Method]:
    """Those asked for by their whole name, or by that of a fusion or an encoder; else the usual."""
    known = {word for one in found for word in (one.name, *one.name.split(" + "))}
    for name in names:
        if name not in known:
            raise ls.RecipeError(
                f"--method {name!r}: no such method; {ls.did_you_mean(name, known)}"
            )
    asked = set(names)
    if not asked:
        return [method for method in found if not method.spare]
    return [m for m in found if asked & {m.name, *m.name.split(" + ")}]
