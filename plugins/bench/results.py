"""What a benchmark run found, as plain data: figures, facts about the cases, scores.

Light to import: neither torch nor numpy is needed to read a finished run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["baseline", "edit", "ceiling"]
Better = Literal["higher", "lower", "neutral"]
Of = Literal["region", "edit", "case"]

METRIC = "metric:"  # a learned metric's key is this and its name
GATE = "gate"  # the method under which a case's reconstruction gate is scored


@dataclass(frozen=True)
class Figure:
    """One column: what it is called, counted in, and which way is good.

    `of` says what one number belongs to: a region, a whole edit, or the case before any edit.
    """

    key: str
    label: str
    unit: str  # "", "dB", "s", "MiB", "rows" or "%"; "%" is a share in [0, 1]
    better: Better
    digits: int
    of: Of
    says: str


FIGURES: tuple[Figure, ...] = (
    Figure("texture_truth", "texture to truth", "", "lower", 3, "region",
           "Texture distance to the true rendering; 0 is equal, 1 two different paintings."),
    Figure("colour_truth", "colour to truth", "", "lower", 3, "region",
           "Distance of the Lab histograms to the true rendering, in [0, 1]; recolouring wins it."),
    Figure("psnr_truth", "PSNR to truth", "dB", "higher", 2, "region",
           "Pixel agreement with the true rendering; strokes that fell elsewhere count as wrong."),
    Figure("texture_style", "texture to style", "", "lower", 3, "region",
           "Texture distance to the one style picture, which shows something else."),
    Figure("colour_style", "colour to style", "", "lower", 3, "region",
           "Distance of the Lab histograms to the one style picture, in [0, 1]."),
    Figure("beyond_recolour", "beyond recolour", "", "higher", 3, "region",
           "Share of the texture gap closed that recolouring towards the reference leaves open."),
    Figure("closed", "closed", "", "higher", 3, "region",
           "Share of the way from recolouring (0) to the ceiling (1) gone in texture."),
    Figure("edges", "edges kept", "", "higher", 3, "region",
           "Do edges run as in the photo? 1 the same, 0 unrelated; the photo itself wins it."),
    Figure("ssim", "SSIM to photo", "", "higher", 3, "region",
           "Lightness structure as in the photo, up to 1; the photo itself wins it."),
    Figure("seam", "seam", "", "lower", 2, "region",
           "Contrast across the border over that beside it, and over the photo's; 1 is no seam."),
    Figure("leak_texture", "texture leak", "", "lower", 3, "region",
           "How much nearer to the last region's style its presence brings the others; 0 is none."),
    Figure("leak_colour", "colour leak", "", "lower", 3, "region",
           "The same in colour; near 0 whatever its sign."),
    Figure("outside_identical", "outside identical", "%", "higher", 4, "edit",
           "Share of the pixels outside all feathered masks whose bits are the photo's."),
    Figure("outside_psnr", "outside PSNR", "dB", "higher", 2, "edit",
           "Pixel agreement with the photo outside; absent where every pixel is identical."),
    Figure("rows", "rows", "rows", "lower", 0, "edit",
           "Rows the network evaluated while denoising."),
    Figure("inversion_rows", "inversion rows", "rows", "lower", 0, "edit",
           "Rows the network evaluated while inverting the photo."),
    Figure("seconds", "time", "s", "lower", 1, "edit",
           "Time of the edit on this machine, styles already made."),
    Figure("memory", "memory", "MiB", "lower", 0, "edit",
           "Peak memory, models included: resident on a CPU, allocated on a GPU."),
    Figure("setup_seconds", "setup", "s", "lower", 1, "edit",
           "Time to make the styles it uses, once for all edits; absent for ready-made ones."),
    Figure("autoencoder_psnr", "autoencoder PSNR", "dB", "higher", 2, "case",
           "The photo through the autoencoder: no edit keeps more inside."),
    Figure("reconstruction_psnr", "reconstruction PSNR", "dB", "higher", 2, "case",
           "The photo inverted and denoised back unstyled."),
    Figure("gate_gap", "gate gap", "dB", "lower", 2, "case",
           "What inversion loses beyond the autoencoder; above 1 dB the edits start from ruins."),
)  # fmt: skip


@dataclass(frozen=True)
class RegionFacts:
    """A region as a report names it."""

    name: str  # what it shows
    style: str
    area: float  # share of the picture, in [0, 1]


@dataclass(frozen=True)
class CaseFacts:
    """A photo with its regions; `group` is the scene, the unit that is resampled."""

    name: str
    caption: str
    regions: tuple[RegionFacts, ...]
    group: str = ""


@dataclass(frozen=True)
class Score:
    """What one method got in one region (from 0) of a case, or for the whole edit (None).

    A figure that cannot be measured there is absent.
    """

    case: str
    method: str
    region: int | None
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Results:
    """A run: everything the tables, plots and reports are made of."""

    title: str
    settings: dict[str, Any]  # plain data
    methods: dict[str, Kind]  # in the order they are shown
    cases: list[CaseFacts]
    scores: list[Score]
    has_truth: bool
    extra_figures: list[Figure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what was left out, and why

    @property
    def figures(self) -> tuple[Figure, ...]:
        """All figures, learned ones last."""
        return (*FIGURES, *self.extra_figures)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; figures that are not finite are left out."""
        plain = asdict(self)
        for score in plain["scores"]:
            score["figures"] = finite(score["figures"])
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Results:
        """What `to_dict` gave."""
        cases = [
            CaseFacts(**{**case, "regions": tuple(RegionFacts(**one) for one in case["regions"])})
            for case in data["cases"]
        ]
        return cls(**{
            **data,
            "cases": cases,
            "scores": [Score(**score) for score in data["scores"]],
            "extra_figures": [Figure(**one) for one in data.get("extra_figures", [])],
        })  # fmt: skip


def finite(figures: Mapping[str, float | None]) -> dict[str, float]:
    """The figures that are numbers; JSON has no nan and no infinity."""
    return {
        key: float(value)
        for key, value in figures.items()
        if value is not None and math.isfinite(value)
    }
