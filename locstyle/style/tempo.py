"""How few steps an accelerator is made for, told by its header or by what it is called."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from locstyle.engine.schedule import LCM_LEVELS, Spacing
from locstyle.engine.solvers import SOLVERS
from locstyle.errors import StyleError


@dataclass(frozen=True)
class Tempo:
    """How pictures are drawn under an accelerator where the edit does not say.

    `kind`: whose it is, "" where nothing told. `spacing`: how its timesteps lie. `guided`: whether
    edits are guided as they are without it; most such files were distilled from guided pictures,
    and guiding those again burns them.
    """

    kind: str
    solver: str
    steps: int
    spacing: Spacing
    guided: bool = False


USUAL = Tempo("", "lcm", 8, "lcm")
"""Of a file that does not say."""

_KINDS: tuple[tuple[str, Tempo], ...] = (
    (r"dmd", Tempo("DMD2", "lcm", 4, "trailing")),  # arXiv:2405.14867
    (r"hyper", Tempo("Hyper-SD", "ddim", 8, "trailing")),  # arXiv:2404.13686
    (r"lightning", Tempo("Lightning", "ddim", 4, "trailing")),  # arXiv:2402.13929
    (r"lcm", Tempo("LCM", "lcm", 8, "lcm")),  # arXiv:2311.05556
)
_STEPS = re.compile(r"(?<!\d)(\d{1,2})[-_ ]?steps?(?![a-z])")
_SAID = ("ss_output_name", "modelspec.title")
_OWN = ("solver", "steps", "spacing", "guidance")


def tempo_of(meta: Mapping[str, str], path: Path | None) -> Tempo:
    """The tempo of an accelerator with this header, in this file.

    Our own say all of it. Of others, the first that tells counts: its name, what its header calls
    it, the folder it lies in.

    Raises:
        StyleError: our own, but a style, or with a tempo that cannot be.
    """
    if "locstyle.format" in meta or "solver" in meta:
        return _own(meta, f"{path}: " if path else "")
    for name in _names(meta, path):
        for sign, tempo in _KINDS:
            if re.search(sign, name):
                steps = _STEPS.search(name)
                count = int(steps[1]) if steps and int(steps[1]) else tempo.steps
                # Hyper-SD's "CFG" files keep guidance
                return replace(tempo, steps=count, guided=bool(re.search(r"\d*cfg", name)))
    return USUAL


def _names(meta: Mapping[str, str], path: Path | None) -> Iterator[str]:
    if path is not None:
        yield path.stem.lower()
    yield from (meta.get(key, "").lower() for key in _SAID)
    if path is not None:
        yield path.absolute().parent.name.lower()


def is_accelerator(meta: Mapping[str, str]) -> bool:
    """Whether a style's header says that it is one: of ours, a style's never does."""
    return all(key in meta for key in _OWN)


def _own(meta: Mapping[str, str], lead: str) -> Tempo:
    missing = [key for key in _OWN if key not in meta]
    if missing == list(_OWN):
        raise StyleError(
            f"{lead}is a style, and no accelerator: its header says neither solver nor steps; "
            "give it to a region, --region MASK=FILE"
        )
    if missing:
        raise StyleError(
            f"{lead}its header lacks {', '.join(missing)}; an accelerator's says {', '.join(_OWN)}"
        )
    solver, steps, spacing = meta["solver"], meta["steps"], meta["spacing"]
    counts = steps.isdecimal() and 1 <= int(steps) <= LCM_LEVELS
    spacings = get_args(Spacing)
    if solver not in SOLVERS or not counts or spacing not in spacings:
        raise StyleError(
            f"{lead}its header asks for {steps[:20]!r} steps of {solver[:20]!r}, spaced "
            f"{spacing[:20]!r}; this locstyle knows 1 to {LCM_LEVELS} of {', '.join(SOLVERS)}, "
            f"spaced {', '.join(spacings)}"
        )
    if meta["guidance"] not in ("kept", "off"):
        raise StyleError(
            f"{lead}its header asks for guidance {meta['guidance'][:20]!r}; this locstyle knows "
            "kept, off"
        )
    made_by, guided = meta.get("encoder", "its own"), meta["guidance"] == "kept"
    return Tempo(made_by, solver, int(steps), cast(Spacing, spacing), guided)
