"""Which file a style is in, and the text header of one: what is known of it without its tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open

from locstyle.errors import StyleError
from locstyle.files import PICTURES, is_file, is_folder, lone_file, open_file

PICKLES = frozenset({".ckpt", ".pt", ".pth", ".bin", ".pkl", ".pickle"})
_BASES = {
    "sd1": ("stable-diffusion-v1", "sd_v1"),
    "sd2": ("stable-diffusion-v2", "sd_v2"),
    "sdxl": ("stable-diffusion-xl-v1-base", "sdxl_base_v1-0"),
}
_SAME = {
    "modelspec.trigger_phrase": "trigger",
    "modelspec.license": "licence",
    "modelspec.author": "author",
    "modelspec.implementation": "encoder",
}
Meta = dict[str, str]
_ADAPTER_FILES = ("adapter_model.safetensors", "pytorch_lora_weights.safetensors")


def for_others(name: str, family: str, kinds: Collection[str], meta: Mapping[str, str]) -> Meta:
    """A style's header in the words that other tools read: Stability AI's model metadata standard
    1.0.0, and kohya's `ss_*` for the base model."""
    found = {"modelspec.sai_model_spec": "1.0.0", "modelspec.title": name, "ss_output_name": name}
    if family in _BASES:
        base, version = _BASES[family]
        what = "textual-inversion" if set(kinds) == {"words"} else "lora"
        found |= {"modelspec.architecture": f"{base}/{what}", "ss_base_model_version": version}
    for theirs, ours in _SAME.items():
        if meta.get(ours):
            found[theirs] = meta[ours]
    return found


def is_for_others(key: str) -> bool:
    """Whether a key of a header is one of those."""
    return key.startswith(("modelspec.", "ss_"))


def read_header(path: Path) -> dict[str, str]:
    """The text header of a style file; reads no tensor.

    Raises:
        StyleError: not a readable safetensors file.
    """
    file = file_of(path)
    try:
        with safe_open(str(file), framework="np") as opened:
            return dict(opened.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise unreadable(file, error) from error


def file_of(path: Path) -> Path:
    """The safetensors file meant by a path or an adapter folder; pickles are refused unread."""
    if is_folder(path):
        for name in _ADAPTER_FILES:
            if is_file(path / name):
                return path / name
        if (lone := lone_file(path, ".safetensors")) is not None:
            raise StyleError(f"{path}: is a folder, and no adapter's; give {str(lone)!r}")
        pickled = sorted(p.name for p in path.iterdir() if p.suffix.lower() in PICKLES)
        if pickled:
            return file_of(path / pickled[0])
        raise StyleError(f"{path}: no {' or '.join(_ADAPTER_FILES)} in this folder")
    if path.suffix.lower() in PICKLES:
        raise StyleError(
            f"{path}: {path.suffix} files are Python pickles, and opening one can run code hidden "
            "in it; convert it to .safetensors where you trust it"
        )
    if path.suffix.lower() != ".safetensors":
        got = repr(path.suffix) if path.suffix else "a file without suffix"
        pictures = ", ".join(sorted(PICTURES))
        raise StyleError(
            f"{path}: a style is a .safetensors file or a picture ({pictures}), not {got}"
        )
    if not is_file(path):
        raise StyleError(f"{path}: no such file, or no regular one")
    return path


def unreadable(file: Path, error: Exception) -> StyleError:
    """The error of a file that is no safetensors file."""
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
