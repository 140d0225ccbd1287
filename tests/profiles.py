"""ICC profiles made for tests, of every kind that pictures carry, and scenes in their colours."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
_D50 = (0.9642, 1.0, 0.8249)
_TEXT = b"text\0\0\0\0none\0"


def profile(
    tags: Mapping[bytes, bytes], space: bytes = b"RGB ", connection: bytes = b"XYZ "
) -> bytes:
    """A display profile of ICC version 2 with these tags."""
    named = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"made\0" + bytes(78)
    tags = {b"desc": named, b"cprt": _TEXT, b"wtpt": xyz(_D50), **tags}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for key, tag in tags.items():
        tag += bytes(-len(tag) % 4)
        table += key + struct.pack(">II", start + len(body), len(tag))
        body += tag
    head = bytearray(128)
    struct.pack_into(">I", head, 0, start + len(body))
    head[8:24] = b"\x02\x40\0\0" + (b"prtr" if space == b"CMYK" else b"mntr") + space + connection
    struct.pack_into(">6H4s", head, 24, 2020, 1, 1, 0, 0, 0, b"acsp")
    head[68:80] = xyz(_D50)[8:]
    return bytes(head) + struct.pack(">I", len(tags)) + table + body


def xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def curve(*numbers: float) -> bytes:
    """A gamma, or a table of light in [0, 1]."""
    if len(numbers) == 1:
        return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(numbers[0] * 256))
    steps = np.rint(np.array(numbers) * 65535).astype(">u2")
    return b"curv\0\0\0\0" + struct.pack(">I", len(steps)) + steps.tobytes()


def parametric(kind: int, *numbers: float) -> bytes:
    packed = struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))
    return b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + packed


def matrix(columns: Sequence[Sequence[float]], trc: bytes) -> bytes:
    """RGB by the XYZ of its primaries and one curve."""
    tags = {name + b"XYZ": xyz(c) for name, c in zip((b"r", b"g", b"b"), columns, strict=True)}
    return profile({**tags, **{name + b"TRC": trc for name in (b"r", b"g", b"b")}})


_P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
_ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
_PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
P3 = matrix(_P3, parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045))
P3_GAMMA = matrix(_P3, curve(2.2))
ADOBE = matrix(_ADOBE, curve(563 / 256))
PROPHOTO = matrix(_PROPHOTO, curve(1.8))
TABLES = matrix(_ADOBE, curve(*(np.linspace(0, 1, 300) ** 2.1)))
WIDE = {"P3": P3, "P3 of gamma 2.2": P3_GAMMA, "Adobe RGB": ADOBE, "ProPhoto": PROPHOTO}

GREY = profile({b"kTRC": curve(1.8)}, b"GRAY")
DOT_GAIN = profile({b"kTRC": curve(*(np.linspace(0, 1, 256) ** 1.75))}, b"GRAY")


def table(inputs: int, lattice: NDArray[np.float64]) -> bytes:
    """An 'mft2' tag: a lattice [n, …, n, outputs] in [0, 1] with straight curves around it."""
    outputs, steps = lattice.shape[-1], lattice.shape[0]
    head = b"mft2\0\0\0\0" + bytes((inputs, outputs, steps, 0))
    head += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9))) + struct.pack(">HH", 2, 2)
    straight = struct.pack(">HH", 0, 65535)
    values = np.rint(lattice.clip(0, 1) * 65535).astype(">u2").tobytes()
    return head + straight * inputs + values + straight * outputs


def opened(icc: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(icc))


def converted(image: Image.Image, source: bytes, target: bytes, mode: str = "RGB") -> Image.Image:
    """A picture in another profile's numbers, by littleCMS."""
    found = ImageCms.profileToProfile(
        image, opened(source), opened(target), ImageCms.Intent.RELATIVE_COLORIMETRIC, mode
    )
    assert found is not None
    return found


def lab_of(image: Image.Image, icc: bytes = SRGB) -> NDArray[np.float64]:
    """8-bit Lab [h, w, 3] of an RGB picture, by littleCMS: L* 0-255, a* and b* modulo 256."""
    way = ImageCms.buildTransform(opened(icc), ImageCms.createProfile("LAB"), "RGB", "LAB")
    found: Any = ImageCms.applyTransform(image, way)
    return np.asarray(found).astype(np.float64)


def _nodes(axes: int, steps: int) -> NDArray[np.float64]:
    return np.stack(np.meshgrid(*[np.linspace(0, 1, steps)] * axes, indexing="ij"), -1)


def _to_lab(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """sRGB in [0, 1], any shape, as the numbers of a version 2 table."""
    flat = np.rint(rgb * 255).astype(np.uint8).reshape(1, -1, 3)
    lab = lab_of(Image.fromarray(flat)).reshape(rgb.shape)
    lab = np.concatenate([lab[..., :1], (lab[..., 1:] + 128) % 256], -1)  # Pillow's are signed
    return lab * 256 / 65535


def _squared(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a device with darker reds shows, in sRGB."""
    return np.stack([rgb[..., 0] ** 1.5, rgb[..., 1], 0.9 * rgb[..., 2]], -1)


ONE_WAY = profile({b"A2B0": table(3, _to_lab(_squared(_nodes(3, 9))))}, connection=b"Lab ")
"""RGB by a table that leads only to what is seen, as scanners' profiles do."""

_INK = _nodes(4, 7)
_PAPER = np.array([0.98, 0.96, 0.9])
CMYK = profile(
    {b"A2B0": table(4, _to_lab((1 - _INK[..., :3]) * (1 - 0.9 * _INK[..., 3:]) * _PAPER))},
    b"CMYK",
    b"Lab ",
)

BROKEN = {
    "noise": b"not a profile",
    "empty": b"",
    "cut": P3[:200],
    "no tags": P3[:128] + bytes(4),
    "flat": matrix([(0.3, 0.3, 0.3)] * 3, curve(2.2)),
    "falling": matrix(_P3, curve(1, 0.5, 0)),
    "unknown curve": matrix(_P3, b"abcd" + bytes(20)),
    "a million tags": P3[:128] + struct.pack(">I", 1_000_000) + P3[132:],
    "for CMYK": CMYK,
    "for grey": GREY,
}
"""Profiles no RGB picture can have."""


def muted(size: tuple[int, int], seed: int = 0) -> NDArray[np.uint8]:
    """A smooth picture [h, w, 3] whose colours every profile has."""
    rows, columns = np.mgrid[: size[0], : size[1]] / max(size)
    waves = [np.sin(5 * rows + 3 * columns * (i + 1) + seed + i) for i in range(3)]
    return (128 + 60 * np.stack(waves, -1)).astype(np.uint8)
