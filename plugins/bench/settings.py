"""What a run was asked for, and which of it decides its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # plain data

import yaml

import locstyle as ls


@dataclass(frozen=True)
class Settings:
    """One benchmark run."""

    out: Path
    scenes: int = 3
    regions: tuple[int, ...] = (1, 2, 3, 4)
    solver: str | None = None  # each fusion's own, as all its options
    steps: int | None = None
    seed: int = 0
    size: int = 128
    backbone: str = "mini"
    backbone_config: str | None = None
    device: str = "auto"
    methods: tuple[str, ...] = ()  # all
    styles: Path | None = None
    encoders: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # options by encoder
    leak: bool = True
    shipped: bool = False
    real: tuple[Path, Path] | None = None

    @property
    def sampling(self) -> tuple[ls.Solver, int]:
        """How what needs no fusion is denoised: as asked for, else as is usual."""
        solver, steps = ls.Sampling().asked(self.solver, self.steps)
        return ls.SOLVERS[solver], steps

    @property
    def _usual(self) -> str:
        """What fusions that ask for nothing else do where nothing is given."""
        solver, steps = ls.Sampling().asked(self.solver, self.steps)
        return f"{solver}, {steps} steps, inversion refined {ls.Inversion().refine}"

    @property
    def decisive(self) -> dict[str, Any]:
        """What all numbers of a folder must have in common, as plain data.

        More scenes, regions or methods may be asked for later; what is there stays.
        """
        return {
            "solver": self.solver,
            "steps": self.steps,
            "usual": self._usual,
            "seed": self.seed,
            "size": self.size,
            "backbone": self.backbone,
            "encoder options": {name: dict(given) for name, given in self.encoders.items()},
            "leak": self.leak,
            "shipped": self.shipped,
            "styles": None if self.styles is None else self.styles.name,
            "real": self.real and [folder.name for folder in self.real],
        }

    @property
    def plain(self) -> dict[str, Any]:
        """Everything, for the report; folders by name, since a run is shown to others."""
        return {
            **self.decisive,
            "scenes": None if self.real else self.scenes,
            "regions": list(self.regions),
            "methods": list(self.methods) or "all",
        }


def read_regions(text: str) -> tuple[int, ...]:
    """ "1,2,4" as numbers of regions, 1 to 4.

    Raises:
        RecipeError: anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word in ("1", "2", "3", "4") for word in words):
        raise ls.RecipeError(f"--regions {text!r}: give numbers from 1 to 4, as in 1,2,4")
    return tuple(sorted({int(word) for word in words}))


def read_encoder_options(given: Sequence[str]) -> dict[str, dict[str, Any]]:
    """ENCODER:KEY=VALUE texts as options by encoder, values read as YAML.

    Raises:
        RecipeError: not of that form.
    """
    options: dict[str, dict[str, Any]] = {}
    for text in given:
        encoder, colon, pair = text.partition(":")
        key, equals, value = pair.partition("=")
        if not (encoder and colon and key and equals):
            raise ls.RecipeError(
                f"--encoder-option {text!r}: give ENCODER:KEY=VALUE, as in lora:steps=100"
            )
        try:
            options.setdefault(encoder, {})[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ls.RecipeError(f"--encoder-option {text!r}: cannot read the value") from error
    return options
