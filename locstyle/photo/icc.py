"""ICC profiles made of a matrix and curves: read to full precision, and written.

littleCMS as Pillow offers it has 8 bits a channel, which would band a 16-bit photo; these profiles,
almost all that photos carry, are three curves and a matrix (ICC.1:2022 F.3) and need no more than
arithmetic. Everything else goes through littleCMS, see `locstyle.photo.colour`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from locstyle.files import bounds

Matrix = NDArray[np.float64]

_D50 = (0.9642, 1.0, 0.8249)  # the white of the connection space
# Bradford: von Kries' adaptation of what the eye's cones see (ICC.1:2022 annex E).
_CONES = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_PARAMETERS = (1, 3, 4, 5, 7)  # of each kind of parametric curve


@dataclass(frozen=True, eq=False)
class Curve:
    """From a channel's values to light, both in [0, 1].

    From `start` on it is (a x + b)^power + c, below it slope x + offset (ICC.1:2022 10.18); with a
    `table` [n] of light at equal steps it is that, and the rest does not count.
    """

    power: float = 1.0
    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    start: float = 0.0
    slope: float = 0.0
    offset: float = 0.0
    table: NDArray[np.float64] | None = None

    def light(self, values: Tensor) -> Tensor:
        """Light of values, any shape."""
        if self.table is not None:
            return _between(values, np.linspace(0, 1, len(self.table)), self.table)
        high = (self.a * values + self.b).clamp(min=0).pow(self.power) + self.c
        return torch.where(values >= self.start, high, self.slope * values + self.offset)

    def values(self, light: Tensor) -> Tensor:
        """The inverse of `light`."""
        if self.table is not None:
            rising, first = np.unique(np.maximum.accumulate(self.table), return_index=True)
            return _between(light, rising, first / (len(self.table) - 1))
        # In place: photos are large, and these are their costliest steps.
        high = (light - self.c).clamp_(min=0).pow_(1 / self.power).sub_(self.b).div_(self.a)
        if self.start <= 0 or self.slope <= 0:
            return high
        is_low = light < self.slope * self.start + self.offset
        return torch.where(is_low, (light - self.offset).div_(self.slope), high)


@dataclass(frozen=True, eq=False)
class Matrixed:
    """A profile of a matrix and curves: `matrix` [3, 3] takes light, RGB, to XYZ as seen in D50."""

    matrix: Matrix
    curves: tuple[Curve, Curve, Curve]


SRGB_CURVE = Curve(2.4, 1 / 1.055, 0.055 / 1.055, 0.0, 0.04045, 1 / 12.92)
"""IEC 61966-2-1."""


def matrix_of(primaries: Sequence[float], white: Sequence[float]) -> Matrix:
    """Light to XYZ in D50, of chromaticities: x, y of red, green and blue, and of the white.

    Raises:
        ValueError: they are no triangle with the white in it.
    """
    x, y = np.array(primaries, float).reshape(3, 2).T
    if min(*y, white[1]) <= 0:
        raise ValueError("chromaticities without light")
    xyz = np.stack([x / y, np.ones(3), (1 - x - y) / y])
    target = np.array([white[0] / white[1], 1, (1 - white[0] - white[1]) / white[1]])
    try:
        shares = np.linalg.solve(xyz, target)
    except np.linalg.LinAlgError as error:
        raise ValueError("chromaticities on one line") from error
    if (shares <= 0).any():
        raise ValueError("a white outside its primaries")
    scale = (_CONES @ np.array(_D50)) / (_CONES @ target)
    adapted: Matrix = np.linalg.inv(_CONES) @ np.diag(scale) @ _CONES @ (xyz * shares)
    return adapted


SRGB_MATRIX = matrix_of((0.64, 0.33, 0.30, 0.60, 0.15, 0.06), (0.3127, 0.3290))
SRGB = Matrixed(SRGB_MATRIX, (SRGB_CURVE,) * 3)


def read(icc: bytes) -> Matrixed | None:
    """What a profile of a matrix and curves, or of one curve for grey, says.

    None for all others, tables of colours included. Grey is three equal channels.

    Raises:
        ValueError: a profile of such a kind that is broken.
    """
    tags = _tags(icc)
    if icc[12:16] == b"link" or any(name in tags for name in (b"A2B0", b"A2B1")):
        return None
    try:
        if icc[16:20] == b"GRAY" and b"kTRC" in tags:
            return Matrixed(SRGB_MATRIX, (_grey(_curve(tags[b"kTRC"]), icc[20:24]),) * 3)
        wanted = [name + kind for kind in (b"XYZ", b"TRC") for name in (b"r", b"g", b"b")]
        if icc[16:20] != b"RGB " or icc[20:24] != b"XYZ " or not all(x in tags for x in wanted):
            return None
        columns = [struct.unpack_from(">3i", tags[name], 8) for name in wanted[:3]]
        red, green, blue = (_curve(tags[name]) for name in wanted[3:])
    except struct.error as error:
        raise ValueError("a tag is cut short") from error
    matrix = np.array(columns).T / 65536
    if abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("its primaries lie on one line")
    return Matrixed(matrix, (red, green, blue))


def _tags(icc: bytes) -> dict[bytes, bytes]:
    """Tags by name; those that lie outside the profile are left out."""
    if not 132 <= len(icc) <= bounds.PROFILE_BYTES or icc[36:40] != b"acsp":
        raise ValueError("not an ICC profile")
    count = int.from_bytes(icc[128:132], "big")
    if count > bounds.PROFILE_TAGS or 132 + 12 * count > len(icc):
        raise ValueError(f"a table of {count} tags")
    table = (struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(count))
    return {name: icc[at : at + size] for name, at, size in table if at + size <= len(icc)}


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        kind = int.from_bytes(tag[8:10], "big")
        if kind >= len(_PARAMETERS):
            raise ValueError(f"a parametric curve of kind {kind}")
        numbers = struct.unpack_from(f">{_PARAMETERS[kind]}i", tag, 12)
        curve = _parametric(kind, [n / 65536 for n in numbers])
    elif tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count > (len(tag) - 12) // 2:
            raise ValueError("a curve is cut short")
        steps = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
        if count > 1:
            curve = Curve(table=steps / 65535)
        else:
            curve = Curve(float(steps[0]) / 256) if count else Curve()
    else:
        raise ValueError(f"a curve of type {tag[:4]!r}")
    ends = curve.light(torch.tensor([0.0, 1.0]))
    if not (bool(torch.isfinite(ends).all()) and float(ends[1] - ends[0]) > 0.1):
        raise ValueError("a curve that does not rise")
    return curve


def _parametric(kind: int, numbers: Sequence[float]) -> Curve:
    g, a, b, c, d, e, f = (*numbers, *[0.0] * (7 - len(numbers)))
    if g <= 0 or (kind and a <= 0):
        raise ValueError("a parametric curve that does not rise")
    if kind == 0:
        return Curve(g)
    if kind in (1, 2):  # below it the curve stays at c
        return Curve(g, a, b, c, start=-b / a, offset=c)
    return Curve(g, a, b, e, start=d, slope=c, offset=f)


def _grey(curve: Curve, connection: bytes) -> Curve:
    """Grey's curve to light: where the profile connects by Lab it gives lightness."""
    if connection != b"Lab ":
        return curve
    steps = torch.linspace(0, 1, 4096, dtype=torch.float64)
    lightness = curve.light(steps) * 100
    light = torch.where(
        lightness > 8, ((lightness + 16) / 116).pow(3), lightness * (27 / 24389)
    )  # CIE 15, the inverse of L*
    return Curve(table=light.numpy())


def _between(at: Tensor, places: NDArray[np.float64], values: NDArray[np.float64]) -> Tensor:
    found = np.interp(at.numpy(), places, values)
    return torch.from_numpy(np.asarray(found)).to(at.dtype)


def write(name: str, profile: Matrixed) -> bytes:
    """The bytes of a display profile, ICC version 4."""
    said = name.encode("utf-16-be")
    text = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(said), 28) + said
    none = "no rights reserved".encode("utf-16-be")
    rights = struct.pack(">4sIII2s2sII", b"mluc", 0, 1, 12, b"en", b"US", len(none), 28) + none
    tags = {b"desc": text, b"cprt": rights, b"wtpt": _xyz(_D50)}
    for letter, column, curve in zip(
        (b"r", b"g", b"b"), profile.matrix.T, profile.curves, strict=True
    ):
        tags[letter + b"XYZ"] = _xyz(column)
        tags[letter + b"TRC"] = _packed(curve)
    table, body, at = b"", b"", 132 + 12 * len(tags)
    for key, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        table += struct.pack(">4sII", key, at + len(body), len(tag))
        body += tag
    head = struct.pack(">I4xI4s4s4s", at + len(body), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    # A fixed date, so that equal photos have equal files.
    head += struct.pack(">6H4s28x", 2026, 1, 1, 0, 0, 0, b"acsp") + _xyz(_D50)[8:] + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body


def _xyz(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(float(v) * 65536) for v in values))


def _packed(curve: Curve) -> bytes:
    if curve.table is not None:
        steps = (curve.table.clip(0, 1) * 65535).round().astype(">u2")
        return struct.pack(">4sII", b"curv", 0, len(steps)) + steps.tobytes()
    c = curve
    numbers = (c.power, c.a, c.b, c.slope, c.start, c.c, c.offset)
    return struct.pack(">4sIHH7i", b"para", 0, 4, 0, *(round(n * 65536) for n in numbers))
