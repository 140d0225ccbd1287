"""Edits of two adjacent regions, kept on disk, and what each region does to the other's pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple  # of what a backbone of diffusers has beyond the protocol
from unittest.mock import patch

import cv2
import numpy as np
import torch
from locstyle_plugins.bench.baselines import Bench, pasted, weights
from locstyle_plugins.bench.cases import Area, Case, Picture, slug, style_picture
from locstyle_plugins.bench.methods import edit
from locstyle_plugins.bench.scoring import goal_of, leaked
from locstyle_plugins.bench.styles import Styles
from locstyle_plugins.world import HELD_OUT_STYLES, HELD_OUT_WORLD, World
from norm_statistics import Statistics, statistics
from torch import Tensor

import locstyle as ls
from locstyle import measure
from locstyle.files import atomic_file

ENCODERS = {"deltas": "lora", "words": "concept", "tokens": "qformer", "reference": "reference"}
FIRST_SCENE = 4000
NEAR = 12  # pixels from the other region


@dataclass(frozen=True)
class Variant:
    """How an edit is run; without anything, as `singlepass` does by default."""

    name: str = "as it is"
    options: dict[str, object] = field(default_factory=dict)
    feather: float = 2.0  # an Edit's default
    statistics: Statistics = "shared"


class Done(NamedTuple):
    """A picture, and the latent [1, channels, h, w] it was decoded from."""

    picture: Picture
    latent: Tensor


def sky_cases(count: int, size: int) -> Iterator[Case]:
    """Scenes of sky and ground, cut in two by the sky's border; styles rotate."""
    world, found, number = World(HELD_OUT_WORLD, size), 0, FIRST_SCENE
    while found < count:
        scene = world.scene(number)
        masks = scene.masks
        if all(name in masks and masks[name].mean() >= 0.3 for name in ("sky", "ground")):
            names = [HELD_OUT_STYLES[(2 * found + i) % len(HELD_OUT_STYLES)] for i in range(2)]
            yield Case(
                name=f"scene-{number}",
                group=f"scene-{number}",
                caption=scene.caption,
                photo=scene.photo,
                shown=("sky", "all else"),
                masks=(masks["sky"], ~masks["sky"]),
                styles=tuple(style_picture(name, size) for name in names),
                truths=tuple(scene.render(name) for name in names),
            )
            found += 1
        number += 1


def turned(case: Case) -> Case:
    """The same with its two regions in the other order."""
    parts = {key: getattr(case, key)[::-1] for key in ("shown", "masks", "styles")}
    return replace(case, **parts, truths=(case.truths or ())[::-1])


@dataclass(frozen=True, eq=False)
class Runs:
    """Edits of cases, kept in OUT/runs under what they were made of."""

    bench: Bench
    styles: Styles
    options: dict[str, object] = field(default_factory=dict)  # of the fusion, in every variant
    _known: dict[tuple[object, ...], list[dict[str, float]]] = field(default_factory=dict)

    def get(self, case: Case, kinds: Sequence[str], variant: Variant) -> Done:
        """The case with the style of a kind in each of its regions."""
        pairs = zip(kinds, case.styles, strict=True)
        styles = [self.styles.get(ENCODERS[kind], style) for kind, style in pairs]
        facts = [case.digest, *(style.digest for style in styles), self.bench.settings.steps]
        facts += [self.options | variant.options, variant.feather, variant.statistics]
        stamp = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:12]
        name = slug(" ".join([case.name, *kinds, *case.shown, variant.name]))
        path = self.bench.settings.out / "runs" / f"{name}-{stamp}.npz"
        if not path.exists():
            made = self._run(case, styles, variant)
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_file(path) as half:
                np.savez(half, picture=made.picture, latent=made.latent.cpu().numpy())
            print(path.name, flush=True)
        with np.load(path) as kept:
            return Done(kept["picture"], torch.from_numpy(kept["latent"]))

    def _run(self, case: Case, styles: Sequence[ls.Style], variant: Variant) -> Done:
        wanted = replace(
            edit(self.bench, case, "singlepass", styles),
            fusion=ls.Fusing("singlepass", options=self.options | variant.options),
            feather=variant.feather,
        )
        backbone: Any = self.bench.editor.backbone
        decode, latents = backbone.decode, []

        def noted(latent: Tensor) -> Tensor:
            latents.append(latent)
            return decode(latent)

        with patch.object(backbone, "decode", noted), statistics(backbone, variant.statistics):
            picture = np.asarray(self.bench.editor.run(wanted).image.convert("RGB"))
        return Done(picture, latents[-1])

    def figures(self, case: Case, kinds: Sequence[str], variant: Variant) -> list[dict[str, float]]:
        """Of each region."""
        key = (case.name, *kinds, variant.name)
        if key not in self._known:
            self._known[key] = self._figures(case, kinds, variant)
        return self._known[key]

    def _figures(
        self, case: Case, kinds: Sequence[str], variant: Variant
    ) -> list[dict[str, float]]:
        both = self.get(case, kinds, variant)
        alone = [self.get(one.without_last(), kind, variant) for one, kind in
                 ((case, kinds[:1]), (turned(case), kinds[1:]))]  # fmt: skip
        border = measure.seam_index(both.picture, case.photo, case.masks[0])
        single = pasted(case, [one.picture for one in alone])
        seam_pasted = measure.seam_index(single, case.photo, case.masks[0])
        found = []
        for index, seen in enumerate((case, turned(case))):
            mask, goal = case.masks[index], goal_of(case, index, index)
            figures = {
                **changed(seen, both.picture, alone[index].picture, variant.feather),
                **self._decoded(seen, both.latent, alone[index].latent, variant.feather),
                "own": difference(alone[index].picture, case.photo, mask),
                **leaked(seen, both.picture, alone[index].picture)[0],
                "seam": border,
                "seam_pasted": seam_pasted,
                "texture": goal.texture(both.picture, mask),
                "colour": goal.colour(both.picture, mask),
                "edges": measure.edge_agreement(both.picture, case.photo, mask),
            }
            found.append(figures)
        return found

    def _decoded(self, case: Case, both: Tensor, alone: Tensor, feather: float) -> dict[str, float]:
        """The change that is the decoder's: the first region's latent alone, beside the other's."""
        backbone = self.bench.editor.backbone
        other = torch.from_numpy(case.masks[1].astype(np.float32))[None, None]
        other = torch.nn.functional.adaptive_avg_pool2d(other, both.shape[-2:]) > 0
        latents = torch.where(other, both, alone), alone
        beside, single = (
            (255 * backbone.decode(x.to(backbone.device))[0]).permute(1, 2, 0).cpu().numpy()
            for x in latents
        )
        found = changed(case, beside, single, feather)
        return {f"decoder_{name}": value for name, value in found.items()}


def changed(case: Case, both: Picture, alone: Picture, feather: float) -> dict[str, float]:
    """Mean absolute change of the first region by the second, of 255, where neither the edit's
    feather nor the paste mixes them."""
    masks = [ls.Mask.from_image(mask.astype(np.float32)) for mask in case.masks]
    soft = ls.Partition.of(masks).feather(feather).values[2].numpy()
    mixed = (soft > 0) | (weights(case).values[2].numpy() > 0)
    away = cv2.distanceTransform((~case.masks[1]).astype(np.uint8), cv2.DIST_L2, 5)
    mine = case.masks[0] & ~mixed
    places = {"near": mine & (away <= NEAR), "far": mine & (away > NEAR)}
    return {name: difference(both, alone, place) for name, place in places.items()}


def difference(one: Picture, other: Picture, place: Area) -> float:
    """Mean absolute difference; nan where there is no such place."""
    apart = np.abs(one.astype(np.float32) - other.astype(np.float32))[place]
    return float(apart.mean()) if apart.size else float("nan")
