"""What a model file holds and fits, told by its header; no backbone is loaded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from locstyle.errors import BackboneError, StyleError
from locstyle.files import PICTURES, Contents, bounds, is_folder, read_contents, read_text
from locstyle.kinds import ACCELERATOR, FAMILIES, NAMES, Kind, is_embedding, kind_of
from locstyle.style.header import file_of, unreadable
from locstyle.style.keys import form_of, is_text_key, part_of, reason, spellings
from locstyle.style.preview import opened
from locstyle.style.tempo import Tempo, tempo_of

TAGS = 5
"""How many of the words a LoRA was trained with are told, the most frequent ones."""

_LEVELS: tuple[str, ...] = ("prediction_type", "timestep_spacing", "rescale_betas_zero_snr")
_SAID = {
    "trigger": ("trigger", "modelspec.trigger_phrase", "ss_output_trigger"),
    "base": ("ss_base_model_version", "modelspec.architecture", "ss_sd_model_name"),
    "licence": ("licence", "modelspec.license"),
    "author": ("author", "modelspec.author"),
    "made with": ("encoder", "ss_network_module", "modelspec.implementation"),
    "date": ("modelspec.date",),
    "made by": ("made_by",),
}


@dataclass(frozen=True)
class Inspection:
    """What is known of a file without its tensors.

    `says` is what its header says, by what it is about. `keys` counts tensors by family of
    backbones and then by what becomes of them there. `use` says how to use it, or why not.
    """

    path: str
    kind: Kind
    use: str
    bytes: Mapping[str, int] = field(default_factory=dict)
    says: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """As plain data."""
        kind = {"kind": self.kind.name, "family": self.kind.family, "used as": self.kind.use}
        return {"path": self.path, **kind, "use": self.use} | {
            name: dict(getattr(self, name)) for name in ("bytes", "says", "keys")
        }

    def describe(self) -> str:
        """A line for every fact."""
        size = ", ".join(f"{n / 2**20:.1f} MiB of {kind}" for kind, n in self.bytes.items())
        lines = [("is", self.kind.name), ("family", self.kind.family), ("holds", size)]
        lines += self.says.items()
        for family, counts in self.keys.items():
            words = ", ".join(f"{count} {what}" for what, count in counts.items())
            lines.append((f"on {NAMES[family]}", words))
        lines.append(("use", self.use))
        return "\n".join(f"{name:<24}{value}" for name, value in lines if value)


def inspect_file(path: str | Path) -> Inspection:
    """What a style, a checkpoint or any other safetensors file is, and what it fits.

    A folder is a PEFT adapter, or a diffusers model.

    Raises:
        StyleError: nothing is there, a pickle, or no safetensors file.
    """
    path = Path(path)
    if path.suffix.lower() in PICTURES:
        kind = Kind("a picture, which is a style as it is", "style", "any")
        return Inspection(str(path), kind, "as a style of a region: --region MASK=FILE")
    if is_folder(path) and (path / "unet" / "config.json").is_file():
        return _folder(path)
    file = file_of(path)
    try:
        contents = read_contents(file)
    except (OSError, ValueError) as error:
        raise unreadable(file, error) from error
    kind = kind_of(contents)
    is_lora = kind.use == "style" and "locstyle.format" not in contents.meta
    keys = _keys(contents) if is_lora and not is_embedding(contents.shapes) else {}
    use = _use(kind, _tempo(kind, contents, file if file == path else path / path.name))
    return Inspection(str(path), kind, use, contents.bytes, _says(contents), keys)


def _folder(path: Path) -> Inspection:
    """A diffusers model: what its configuration says."""
    from locstyle.engine.backbones.accepted import check_scheduler, check_unet

    unet = _config(path / "unet" / "config.json")
    scheduler = _config(path / "scheduler" / "scheduler_config.json")
    family = FAMILIES.get(int(unet.get("cross_attention_dim") or 0), "")
    says = {key: str(scheduler[key]) for key in _LEVELS if key in scheduler}
    name = f"a diffusers folder of {NAMES.get(family, 'a UNet')}"
    try:
        check_unet(unet, str(path))
        check_scheduler(scheduler, str(path))
    except BackboneError as error:
        return Inspection(str(path), Kind(name, "none", family), f"refused: {error}", says=says)
    return Inspection(str(path), Kind(name, "backbone", family), "--backbone FOLDER", says=says)


def _config(path: Path) -> dict[str, Any]:
    try:
        said = json.loads(read_text(path, bounds.TEXT_BYTES))
    except (OSError, ValueError) as error:
        raise StyleError(f"{path}: is no readable configuration ({error})") from error
    return said if isinstance(said, dict) else {}


def _tempo(kind: Kind, contents: Contents, path: Path) -> Tempo | None:
    """What it is made for as an accelerator, if its header or its name tells that it is one."""
    if kind.use != "style" or is_embedding(contents.shapes):
        return None
    try:
        tempo = tempo_of(contents.meta, path)
    except StyleError:  # our own styles, and headers that `--accelerator` refuses
        return None
    return tempo if tempo.kind else None


def _use(kind: Kind, tempo: Tempo | None) -> str:
    if kind.use == "backbone":
        return "--backbone FILE"
    few = tempo and f"--accelerator FILE: {tempo.steps} steps of {tempo.solver}"
    if few and kind.name == ACCELERATOR:
        return few
    if kind.use == "style":
        style = "as a style of a region: --region MASK=FILE"
        return f"{style}; if it is {tempo.kind}'s, {few}" if tempo else style
    return f"none here; {kind.hint}" if kind.hint else "none here"


def _says(contents: Contents) -> dict[str, str]:
    """What the header says, in our words for it."""
    meta, found = contents.meta, {}
    for name, keys in _SAID.items():
        if said := next((meta[key] for key in keys if meta.get(key)), ""):
            found[name] = said
    if tags := _tags(meta.get("ss_tag_frequency", "")):
        found["trained with"] = ", ".join(tags)
    if forms := {form.name: None for key in contents.shapes if (form := form_of(key))}:
        found["form"] = ", ".join(forms)
    if ranks := _ranks(contents):
        found["rank"] = " to ".join(str(rank) for rank in sorted({ranks[0], ranks[-1]}))
    if marks := [mark for mark in ("v_pred", "ztsnr") if mark in contents.shapes]:
        found["marks"] = ", ".join(marks)
    shown = opened(meta.get("preview") or meta.get("modelspec.thumbnail") or "")
    if shown is not None:
        found["preview"] = f"{shown.width} × {shown.height} pixels"
    return found


def _ranks(contents: Contents) -> list[int]:
    """The ranks of its updates, ascending."""
    if (own := contents.meta.get("rank")) and own.isdecimal():
        return [int(own)]
    shapes = contents.shapes.items()
    return sorted(shape[0] for key, shape in shapes if shape and part_of(key).name == "down")


def _tags(text: str) -> list[str]:
    """The most frequent words a LoRA was trained with, as kohya's header counts them."""
    try:
        folders = json.loads(text)
        counts: Counter[str] = Counter()
        for tags in folders.values():
            counts.update({str(tag).strip(): int(count) for tag, count in tags.items()})
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []
    return [tag for tag, _ in counts.most_common(TAGS)]


def _keys(contents: Contents) -> dict[str, dict[str, int]]:
    """By family, what becomes of the file's tensors on it."""
    found = {family: dict(Counter(_fates(contents, _shapes(family)))) for family in NAMES}
    return {family: counts for family, counts in found.items() if counts.get("applied")}


def _fates(contents: Contents, sites: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    table, parts = spellings(sites), {key: part_of(key) for key in contents.shapes}
    misfits = {
        part.module
        for key, part in parts.items()
        if (name := table.get(part.module)) is not None
        and not _fits(part.name, contents.shapes[key], sites[name])
    }
    for key, part in parts.items():
        site = table.get(part.module)
        if is_text_key(key):
            yield "of text encoders"
        elif site is None:
            yield "of no layer there"
        elif part.name == "other" and not ((form := form_of(key)) and form.is_change):
            yield f"unsupported: {reason(key)}"
        else:
            yield "of another shape" if part.module in misfits else "applied"


def _fits(part: str, shape: tuple[int, ...], site: tuple[int, ...]) -> bool:
    if part == "down":
        return len(shape) > 1 and shape[1] == site[1]
    return part != "up" or shape[:1] == site[:1]


def _shapes(family: str) -> dict[str, tuple[int, ...]]:
    """The layers of a family's network that styles may change, without a weight in memory."""
    import torch
    from diffusers import UNet2DConditionModel

    from locstyle.engine.backbones.atlas import unet_sites
    from locstyle.engine.backbones.single_file import KNOWN

    config = UNet2DConditionModel.load_config(KNOWN / family, subfolder="unet")
    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(config)
    return {site.name: site.shape for site in unet_sites(unet) if site.shape}
