"""Profiles of colours that a file names without one: PNG's chunks, video's codes, EXIF."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image

from locstyle.errors import PhotoError
from locstyle.files import bounds

_D65 = (0.3127, 0.3290)
_SRGB_GAMMA = 45455  # of 100 000: what goes with sRGB in a PNG, whose curve it approximates
_ALIKE = 1e-3  # of a chromaticity
_GAMMAS = range(10_000, 500_000)
# ITU-T H.273 table 2: x, y of red, green and blue, then of the white.
_PRIMARIES = {
    1: (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *_D65),
    4: (0.67, 0.33, 0.21, 0.71, 0.14, 0.08, 0.310, 0.316),
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *_D65),
    6: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    7: (0.63, 0.34, 0.31, 0.595, 0.155, 0.07, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
_ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *_D65)
# Table 3. Video's own curves (1, 6, 14, 15) are how a camera codes light; screens show what is
# coded so about as they show sRGB, and so does everybody who shows such pictures.
_GAMMA = {**dict.fromkeys((1, 6, 13, 14, 15)), 4: 2.2, 5: 2.8, 8: 1.0}  # None: sRGB's curve
_HDR = {16: "PQ", 18: "HLG"}


def of_png(chunks: Mapping[bytes, bytes]) -> bytes | None:
    """The profile of a PNG by what counts first: cICP, iCCP, sRGB, gAMA with cHRM (PNG 3, 4.3).

    None for sRGB.

    Raises:
        PhotoError: high dynamic range.
        ValueError: a profile that cannot be unpacked.
    """
    codes = chunks.get(b"cICP", b"")
    if len(codes) == 4 and codes[0] in _PRIMARIES:
        return of_codes(codes[0], codes[1])
    if b"iCCP" in chunks:
        return _unpacked(chunks[b"iCCP"])
    if b"sRGB" in chunks:
        return None
    gamma, places = chunks.get(b"gAMA", b""), chunks.get(b"cHRM", b"")
    return of_gamma(
        int.from_bytes(gamma, "big") if len(gamma) == 4 else 0,
        [v / 100_000 for v in struct.unpack(">8I", places)] if len(places) == 32 else None,
    )


def of_gamma(gamma: int, chromaticities: list[float] | None) -> bytes | None:
    """The profile of a gamma in 100 000ths, 0 if it is not said, and x, y of white, red, green,
    blue; None for sRGB."""
    is_said = gamma in _GAMMAS and gamma != _SRGB_GAMMA
    if not is_said and chromaticities is None:
        return None
    white: tuple[float, ...] = _D65
    primaries: tuple[float, ...] = _PRIMARIES[1][:6]
    if chromaticities is not None:
        white, primaries = (chromaticities[0], chromaticities[1]), tuple(chromaticities[2:])
    return _made("PNG", primaries, white, 100_000 / gamma if is_said else None)


def of_codes(primaries: int, transfer: int) -> bytes | None:
    """The profile of H.273's codes for primaries and transfer; None for sRGB, and for codes that
    say nothing.

    Raises:
        PhotoError: high dynamic range.
    """
    if transfer in _HDR:
        raise PhotoError(
            f"a picture of high dynamic range ({_HDR[transfer]}); export it for standard screens "
            "(SDR), as sRGB, Display P3 or the like"
        )
    places = _PRIMARIES.get(primaries, _PRIMARIES[1])
    gamma = _GAMMA.get(transfer)
    return _made(f"H.273 {primaries}/{transfer}", places[:6], places[6:], gamma)


def of_exif(block: bytes | None) -> bytes | None:
    """Adobe RGB where a camera says so by the name of its files' rules (DCF 2.0), else None."""
    if block is None or b"R03" not in block:
        return None
    try:
        read = Image.Exif()
        read.load(block)
        inner = read.get_ifd(0xA005)
        said = str(inner.get(1, "")).rstrip("\0 ")
    except Exception:  # metadata written by anybody: a broken field must not cost the photo
        return None
    return _made("Adobe RGB", _ADOBE_RGB[:6], _D65, 563 / 256) if said == "R03" else None


def _made(
    name: str, primaries: tuple[float, ...], white: tuple[float, ...], gamma: float | None
) -> bytes | None:
    """The profile of primaries, a white and a gamma, None for sRGB's curve; None if it is sRGB."""
    if gamma is None and max(abs(np.subtract((*primaries, *white), _PRIMARIES[1]))) < _ALIKE:
        return None
    from locstyle.photo import icc  # which needs torch, as most photos do not

    curve = icc.SRGB_CURVE if gamma is None else icc.Curve(gamma)
    try:
        matrix = icc.matrix_of(primaries, white)
    except ValueError:  # chromaticities written by anybody
        if gamma is None:
            return None
        matrix = icc.SRGB_MATRIX
    return icc.write(f"{name}, as an ICC profile", icc.Matrixed(matrix, (curve,) * 3))


def _unpacked(body: bytes) -> bytes | None:
    """The profile of an iCCP chunk, read by ourselves: Pillow's limit of 1 MiB is no mistake of
    the file's."""
    _, _, packed = body.partition(b"\0")
    unpacker = zlib.decompressobj()
    try:
        profile = unpacker.decompress(packed[1:], bounds.PROFILE_BYTES)
    except zlib.error as error:
        raise ValueError("a damaged colour profile, whose colours count as sRGB") from error
    if unpacker.unconsumed_tail:
        raise ValueError(
            f"a colour profile over {bounds.PROFILE_BYTES} bytes, whose colours count as sRGB"
        )
    return profile or None
