"""Reading style files: safetensors only, read once, checked before anything is believed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from locstyle.errors import PhotoError, StyleError
from locstyle.files import PHOTO_FORMATS, is_file, is_folder, open_file
from locstyle.photo import Photo
from locstyle.style.embedding import is_embedding, read_embedding
from locstyle.style.fit import FLOATS, Coverage, Match
from locstyle.style.foreign import read_foreign
from locstyle.style.own import read_own
from locstyle.style.style import Style
from locstyle.style.tensors import read_tensors

if TYPE_CHECKING:
    from locstyle.engine.sites import Sites

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"})
_ADAPTER_FILES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")


def read_style(
    path: str | Path, *, sites: Sites | None = None, family: str | None = None
) -> tuple[Style, Coverage]:
    """The style in a file or adapter folder, checked against a backbone, and what of it applies.

    A picture is a style of one reference. `sites` and `family` are the backbone's; our own files
    are read without them too, a LoRA of another tool is not.

    Raises:
        StyleError: neither safetensors nor a picture, broken, not finite, of another family, or
            nothing applies.
    """
    if Path(path).suffix.lower() in PHOTO_FORMATS:
        return _picture(Path(path))
    file = _file_of(Path(path))
    header, tensors = _load(file)
    if "locstyle.format" in header:
        return read_own(Match(file, header.get("family", ""), family), header, tensors, sites)
    if is_embedding(tensors):
        return read_embedding(file, header, tensors, family)
    if sites is None:
        raise StyleError(
            f"{file}: a LoRA from another tool; its layers are only known beside a backbone, "
            "give its sites"
        )
    return read_foreign(file, header, tensors, sites, family)


def _picture(path: Path) -> tuple[Style, Coverage]:
    try:
        style = Style.from_pictures(path.stem, [Photo.open(path)])
    except PhotoError as error:
        raise StyleError(str(error)) from error
    except StyleError as error:
        raise StyleError(f"{path}: {error}") from error
    return style, Coverage(tuple(style.tensors))


def read_header(path: Path) -> dict[str, str]:
    """The text header of a style file; reads no tensor.

    Raises:
        StyleError: not a readable safetensors file.
    """
    file = _file_of(path)
    try:
        with safe_open(str(file), framework="pt") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(file, error) from error


def _file_of(path: Path) -> Path:
    """The safetensors file meant by a path or an adapter folder; pickles are refused unread."""
    if is_folder(path):
        for name in _ADAPTER_FILES:
            if is_file(path / name):
                return path / name
        pickled = sorted(p.name for p in path.iterdir() if p.suffix.lower() in PICKLES)
        if pickled:
            return _file_of(path / pickled[0])
        raise StyleError(f"{path}: no {' or '.join(_ADAPTER_FILES)} in this folder")
    if path.suffix.lower() in PICKLES:
        raise StyleError(
            f"{path}: {path.suffix} files are Python pickles, and opening one can run code hidden "
            "in it; convert it to .safetensors where you trust it"
        )
    if path.suffix.lower() != ".safetensors":
        got = repr(path.suffix) if path.suffix else "a file without suffix"
        pictures = ", ".join(PHOTO_FORMATS)
        raise StyleError(
            f"{path}: a style is a .safetensors file or a picture ({pictures}), not {got}"
        )
    if not is_file(path):
        raise StyleError(f"{path}: no such file, or no regular one")
    return path


def _load(file: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Header and tensors, every float among them finite as a network has it."""
    try:
        header, tensors = read_tensors(file)
    except (OSError, ValueError) as error:
        raise _unreadable(file, error) from error
    for key, tensor in tensors.items():
        if tensor.dtype in FLOATS and not torch.isfinite(tensor.float()).all():
            raise StyleError(
                f"{file}: {key!r} holds numbers that are not finite in 32 bits; its training "
                "diverged or the file is damaged"
            )
    return header, tensors


def _unreadable(file: Path, error: Exception) -> StyleError:
    try:
        with open_file(file) as opened:
            start = opened.read(2)
    except OSError:
        start = b""
    if start == b"PK" or start[:1] == b"\x80":
        return StyleError(
            f"{file}: a pickle under the name of a safetensors file; opening one can run code "
            "hidden in it"
        )
    return StyleError(f"{file}: not a readable safetensors file ({error}); fetch or train it again")
