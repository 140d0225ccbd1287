"""Finding styles: a path, or a name in this folder, in ./loras or among the shipped ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from pathlib import Path

from locstyle.errors import StyleError, did_you_mean
from locstyle.files import PICTURES, is_file, is_folder
from locstyle.style.header import read_header


def find_style(name: str | Path) -> Path:
    """The file of a style: a path as given, or a name: of a .safetensors file in this folder or in
    ./loras, or of a shipped style.

    Raises:
        StyleError: nothing there; offers the nearest name.
    """
    path = Path(name)
    if is_file(path) or (is_folder(path) and not is_file(f"{path}.safetensors")):
        return path
    for folder in (Path(), *_folders()):
        for candidate in (folder / f"{path}.safetensors", folder / path):
            if is_file(candidate) or is_folder(candidate):
                return candidate
    known = [style.stem for style in list_styles()]
    near = nearest_file(path, {".safetensors", *PICTURES})
    hint = f"did you mean {near!r}?" if near else did_you_mean(path.stem, known)
    raise StyleError(f"{str(name)!r} is not a file or a known style; {hint}")


def nearest_file(path: Path, endings: Collection[str]) -> str | None:
    """The file with one of these endings, in the same folder, that is called most like it."""
    if not (path.suffix and is_folder(path.parent)):
        return None
    there = {x.stem: x for x in path.parent.iterdir() if x.suffix.lower() in endings}
    close = get_close_matches(path.stem, there, n=1)
    return str(path.with_name(there[close[0]].name)) if close else None


def list_styles() -> list[Path]:
    """The styles in this folder, in ./loras, and the shipped ones; the first hide namesakes.

    In this folder only what we wrote counts: other tools keep whole models in such files.
    """
    found: dict[str, Path] = {}
    for folder in (Path(), *_folders()):
        for path in sorted(folder.glob("*.safetensors")):
            if folder != Path() or _is_ours(path):
                found.setdefault(path.stem, path)
    return [found[name] for name in sorted(found)]


def _is_ours(path: Path) -> bool:
    try:
        return "locstyle.format" in read_header(path)
    except StyleError:
        return False


def _folders() -> Iterator[Path]:
    local = Path("loras")
    if local.is_dir():
        yield local
    spec = importlib.util.find_spec("locstyle_loras")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if not (local.is_dir() and Path(place).samefile(local)):
            yield Path(place)
