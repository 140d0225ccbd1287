"""Reading style files: safetensors only, read once, checked before anything is believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from locstyle import files
from locstyle.errors import PhotoError, StyleError
from locstyle.files import PICTURES
from locstyle.kinds import UNKNOWN, is_embedding, kind_of
from locstyle.photo import Photo
from locstyle.style.embedding import read_embedding
from locstyle.style.fit import FLOATS, Coverage, Match
from locstyle.style.foreign import read_foreign
from locstyle.style.header import file_of, unreadable
from locstyle.style.own import read_own
from locstyle.style.style import Style
from locstyle.style.tensors import read_tensors
from locstyle.style.updates import Beside, Layered

if TYPE_CHECKING:
    from locstyle.engine.sites import Sites


def read_style(
    path: str | Path,
    *,
    sites: Sites | None = None,
    family: str | None = None,
    backbone: Layered | None = None,
) -> tuple[Style, Coverage]:
    """The style in a file or adapter folder, checked against a backbone, and what of it applies.

    A picture is a style of one reference. `sites` and `family` are the backbone's; our own files
    are read without them too, a LoRA of another tool is not. `backbone` stands for both, and
    updates that depend on the weights they change (DoRA, OFT, GLoRA, IA3) need it.

    Raises:
        StyleError: neither safetensors nor a picture, broken, not finite, of another family, or
            nothing applies.
    """
    if backbone is not None:
        sites, family = backbone.sites, backbone.family
    if Path(path).suffix.lower() in PICTURES:
        return _picture(Path(path))
    file = file_of(Path(path))
    _check_kind(file, family)
    header, tensors = _load(file)
    if "locstyle.format" in header:
        match = Match(file, header.get("family", ""), family)
        text_sites = None if backbone is None else backbone.text_sites
        return read_own(match, header, tensors, sites, text_sites)
    if is_embedding({key: tuple(tensor.shape) for key, tensor in tensors.items()}):
        return read_embedding(file, header, tensors, family)
    if sites is None:
        raise StyleError(
            f"{file}: a LoRA from another tool; its layers are only known beside a backbone, "
            "give it or its sites"
        )
    return read_foreign(file, header, tensors, Beside(sites, family, backbone))


def _check_kind(file: Path, family: str | None) -> None:
    """Refuses a file that is something else than a style, before it is read.

    Raises:
        StyleError: says what it is, and what to do with it.
    """
    if (found := other_kind(file)) is None:
        return
    name, hint = found
    meets = f", this backbone is {family!r}" if family else ""
    raise StyleError(
        f"{file} is {name}, which is no style for a backbone of Stable Diffusion's kind"
        f"{meets}{f'; {hint}' if hint else ''}"
    )


def other_kind(file: Path) -> tuple[str, str] | None:
    """What a file is that is known to be no style, and what to do with it; that may be "".

    None: a style, or nothing known, of which its reader says more.
    """
    try:
        kind = kind_of(files.read_contents(file))
    except (OSError, ValueError):
        return None
    if kind.use == "style" or kind is UNKNOWN:
        return None
    return kind.name, "it is a backbone: --backbone FILE" if kind.use == "backbone" else kind.hint


def _picture(path: Path) -> tuple[Style, Coverage]:
    try:
        style = Style.from_pictures(path.stem, [Photo.open(path)])
    except PhotoError as error:
        raise StyleError(str(error)) from error
    except StyleError as error:
        raise StyleError(f"{path}: {error}") from error
    return style, Coverage(tuple(style.tensors))


def _load(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors, every float among them finite as a network has it."""
    try:
        header, tensors = read_tensors(file)
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from error
    for key, tensor in tensors.items():
        if tensor.dtype in FLOATS and not torch.isfinite(tensor.float()).all():
            raise StyleError(
                f"{file}: {key!r} holds numbers that are not finite in 32 bits; its training "
                "diverged or the file is damaged"
            )
    return header, tensors
