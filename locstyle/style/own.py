"""Our own layout of style files, read back."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor

from locstyle.errors import StyleError
from locstyle.style.data import Delta
from locstyle.style.fit import Coverage, Match
from locstyle.style.style import Style
from locstyle.style.tensors import FORMAT, STRUCTURE

if TYPE_CHECKING:
    from locstyle.engine.sites import Sites

_KEY = re.compile(r"^deltas\.(.+)\.(down|up|scale)$")


def read_own(
    match: Match, header: Mapping[str, str], tensors: Mapping[str, Tensor], sites: Sites | None
) -> tuple[Style, Coverage]:
    """A file in our own format; the backbone's own checks apply only where one is given."""
    if header["locstyle.format"] != FORMAT:
        raise StyleError(
            f"{match.file}: style format {header['locstyle.format']!r}; this locstyle reads "
            f"{FORMAT!r}, a newer one may read it"
        )
    if match.family is not None and match.made_for != match.family:
        raise StyleError(f"{match.file}: {match}; train the style again for this backbone")
    parts, coverage = _parts(tensors, sites)
    deltas = {}
    for name, part in parts.items():
        down, up = match.pair(name, part)
        if sites is not None:
            down, up = match.fit(sites[name], down, up)
        scale = float(part["scale"]) if "scale" in part else math.nan
        if not math.isfinite(scale):
            raise StyleError(f"{match.file}: {name!r} has no finite scale; the file is incomplete")
        deltas[name] = Delta(down, up, scale)
    match.require_some(deltas, coverage)
    meta = {key: value for key, value in header.items() if key not in STRUCTURE}
    return Style(header.get("name", match.file.stem), match.made_for, deltas, meta), coverage


def _parts(
    tensors: Mapping[str, Tensor], sites: Sites | None
) -> tuple[dict[str, dict[str, Tensor]], Coverage]:
    parts: dict[str, dict[str, Tensor]] = {}
    applied, unmatched, unsupported = [], [], []
    for key, tensor in tensors.items():
        found = _KEY.match(key)
        if found is None:
            unsupported.append(key)
        elif sites is not None and (found[1] not in sites or not sites[found[1]].shape):
            unmatched.append(key)
        else:
            parts.setdefault(found[1], {})[found[2]] = tensor
            applied.append(key)
    return parts, Coverage(tuple(applied), tuple(unmatched), tuple(unsupported))
