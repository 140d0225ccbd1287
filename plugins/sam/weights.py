"""Where weights are looked for, and how they become a model."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any  # both libraries are untyped

import locstyle as ls

if TYPE_CHECKING:
    from .models import Model

Registry = Mapping[str, Callable[..., Any]]
_WHERE = "segmenter 'sam'"
_SOURCE = "https://dl.fbaipublicfiles.com/segment_anything/"
CHECKPOINTS = {
    "vit_b": "sam_vit_b_01ec64.pth",
    "vit_l": "sam_vit_l_0b3195.pth",
    "vit_h": "sam_vit_h_4b8939.pth",
}
_WEIGHTS = {"vit_b": 93_735_728, "vit_l": 312_343_088, "vit_h": 641_090_864}
_HUB = {  # model_type in config.json → classes of transformers; video folders hold an image model
    "sam": ("SamModel", "SamImageProcessor"),
    "sam2": ("Sam2Model", "Sam2ImageProcessor"),
    "sam2_video": ("Sam2Model", "Sam2ImageProcessor"),
}


def load(name: str, *, kind: str = "auto", device: str = "auto") -> Model:
    """The model of a checkpoint file or a transformers folder, ready on `device`.

    Raises:
        SegmenterError: not found, not readable or not safe, of an unknown kind, packages missing.
    """
    import torch

    path = find(name)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    need("torchvision")
    return load_folder(path, device) if path.is_dir() else load_checkpoint(path, kind, device)


def find(name: str) -> Path:
    """The file or folder of that name: as given, in the working folder, in the cache folder.

    Raises:
        SegmenterError: says where it was looked for and how to get it.
    """
    places = [Path.cwd(), ls.cache_folder()]
    for place in places:
        path = place / Path(name).expanduser()  # an absolute one stays as it is
        if path.exists():
            return path
    looked = " or ".join(str(place) for place in places)
    raise ls.SegmenterError(
        f"{_WHERE}: no weights {name!r} in {looked}; download {_SOURCE}{CHECKPOINTS['vit_b']} "
        "(375 MB, Apache-2.0) into one of these, or give the option weights=PATH: a checkpoint of "
        "segment-anything, or a folder of SAM or SAM 2 in transformers' format "
        "(hf download facebook/sam2.1-hiera-tiny --local-dir FOLDER)"
    )


def load_checkpoint(path: Path, kind: str, device: str, registry: Registry | None = None) -> Model:
    """A checkpoint, loaded by segment-anything's own registry.

    The registry unpickles with `weights_only`, torch's default, so code in a file does not run.
    That default can be turned off by torch's environment variable, so a file that names anything
    but tensors is refused before it is opened.

    Raises:
        SegmenterError: not a checkpoint, not safe, of another kind, or the package is missing.
    """
    registry = registry or need("segment_anything").sam_model_registry
    _refuse_code(path)
    kind = _kind(path, registry) if kind == "auto" else kind
    try:
        sam = registry[kind](checkpoint=path)
    except Exception as error:  # whatever torch raises on a file of another layout
        raise ls.SegmenterError(
            f"{_WHERE}: {path.name!r} is no {kind} checkpoint of segment-anything "
            f"({_brief(error)}); give the option kind: {', '.join(_WEIGHTS)}"
        ) from error
    from .models import Original

    return Original(sam.to(device).requires_grad_(False))


def load_folder(path: Path, device: str) -> Model:
    """A folder of SAM or SAM 2 in transformers' format; safetensors only.

    Raises:
        SegmenterError: of another model, incomplete, or the weights are not all there.
    """
    import transformers

    kind = _model_type(path)
    if kind not in _HUB:
        raise ls.SegmenterError(
            f"{_WHERE}: {path} holds a model of type {kind!r}; it takes {', '.join(_HUB)}"
        )
    model, processor = (getattr(transformers, name) for name in _HUB[kind])
    try:
        sam, report = model.from_pretrained(
            path, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
        pictures = processor.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, RuntimeError) as error:
        raise ls.SegmenterError(
            f"{_WHERE}: cannot load {path} ({_brief(error)}); it needs config.json, "
            "model.safetensors and preprocessor_config.json"
        ) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ls.SegmenterError(
            f"{_WHERE}: {path} lacks {len(missing)} weights, among them {missing[0]!r}; "
            "download it anew"
        )
    from .models import Hub

    return Hub(sam.to(device).eval().requires_grad_(False), pictures)


def need(package: str) -> Any:  # a module
    """The module of an optional package.

    Raises:
        SegmenterError: not installed; says the pip line.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except (ImportError, RuntimeError) as error:  # RuntimeError: built for another torch
        raise ls.SegmenterError(
            f"{_WHERE}: needs {package} ({_brief(error)}); {ls.pip_line('sam')}"
        ) from error


def _refuse_code(path: Path) -> None:
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        names = get_unsafe_globals_in_checkpoint(path)
    except Exception as error:  # whatever torch raises on a file of another format
        raise ls.SegmenterError(
            f"{_WHERE}: {path.name!r} is no checkpoint that torch.save wrote ({_brief(error)})"
        ) from error
    if names:
        raise ls.SegmenterError(
            f"{_WHERE}: {path.name!r} is a pickle that names {', '.join(sorted(names))}; loading "
            "it could run code, so it was not opened; give a checkpoint that holds tensors only"
        )


def _kind(path: Path, registry: Registry) -> str:
    """By name, as published, else by size: 4 or 2 bytes a weight, and little besides."""
    for kind in registry:
        if kind in path.name.replace("-", "_"):
            return kind
    size = path.stat().st_size
    for kind, weights in _WEIGHTS.items():
        if any(abs(size / (width * weights) - 1) < 0.01 for width in (2, 4)):
            return kind
    raise ls.SegmenterError(
        f"{_WHERE}: cannot tell which model {path.name!r} is by its name or size; give the option "
        f"kind: {', '.join(_WEIGHTS)}"
    )


def _model_type(path: Path) -> str:
    try:
        return str(json.loads((path / "config.json").read_text("utf-8"))["model_type"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ls.SegmenterError(
            f"{_WHERE}: {path} has no config.json of transformers; give a checkpoint file, or a "
            "folder with config.json, model.safetensors and preprocessor_config.json"
        ) from error


def _brief(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
