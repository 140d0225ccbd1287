"""`locstyle doctor`: versions, devices, weights, and what is missing."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from typing import TYPE_CHECKING

import click

from locstyle.cli.shared import json_option, print_json
from locstyle.errors import LocstyleError
from locstyle.extras import pip_line, requirements

if TYPE_CHECKING:
    from locstyle.plugin.host import Host

PACKAGES = (
    "locstyle",
    "torch",
    "diffusers",
    "transformers",
    "peft",
    "safetensors",
    "pillow",
    "numpy",
)
EXTRAS = ("fastsam", "sam", "heic", "bench", "edit", "eye", "ray")
DEFAULT_BACKBONE = "mini"


@click.command()
@json_option
@click.pass_obj
def doctor(host: Host, as_json: bool) -> None:
    """Show versions, devices, weights and what is missing."""
    found = {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "devices": _devices(),
        "backbones": {name: _weights(host, name) for name in host.names("backbones")},
        "styles": _styles(),
        "inversions": _inversions(),
        "segmenters": {name: _segmenter(host, name) for name in host.names("segmenters")},
        "extras": {name: _extra(name) for name in EXTRAS},
        "failed_plugins": {p.name: p.failure for p in host.plugins if p.failure},
    }
    if as_json:
        print_json(found)
        return
    for section, facts in found.items():
        for line in _lines(section.replace("_", " "), facts):
            click.echo(line)


def _lines(section: str, facts: object) -> Iterator[str]:
    if isinstance(facts, dict):
        for name, fact in facts.items():
            yield f"{section:<15} {name}: {fact}"
    else:
        yield f"{section:<15} {facts}"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return f"missing; pip install {package}"


def _devices() -> dict[str, str]:
    import torch

    devices = {"cpu": f"{torch.get_num_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        devices[f"cuda:{index}"] = f"{facts.name}, {facts.total_memory / 2**30:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "present, not supported"
    return devices


def _weights(host: Host, name: str) -> str:
    """Loads the default backbone, the only honest test; others may be large or far away."""
    from locstyle.editor import Editor

    if name != DEFAULT_BACKBONE:
        return f"offered by plugin {host.find('backbones', name).plugin}"
    try:
        backbone = Editor.load(name, device="cpu", host=host).backbone
    except LocstyleError as error:
        return f"missing: {error}"
    return f"found, family {backbone.family}, {backbone.native} pixels, {backbone.digest[:12]}"


def _segmenter(host: Host, name: str) -> str:
    """Asks for a disc in a small picture, the only honest test: it needs packages and weights."""
    from PIL import Image, ImageDraw

    from locstyle.plugin.protocols import Prompt

    picture = Image.new("RGB", (96, 96), "navy")
    ImageDraw.Draw(picture).ellipse((24, 24, 72, 72), "gold")
    try:
        segmenter = host.segmenter(name)
        prompts = sorted(segmenter.prompts)
        centre = Prompt(points=((48.0, 48.0),))
        segmenter.segment(picture, centre if "points" in prompts else Prompt())
    except Exception as error:  # a foreign plugin must not take the doctor down
        return f"cannot run here: {_words(error)}"
    return f"runs, answers {', '.join(prompts)}"


def _styles() -> str:
    from locstyle.style import list_styles

    return ", ".join(path.stem for path in list_styles()) or "none"


def _inversions() -> str:
    from locstyle.job.cache import TrajectoryCache

    return TrajectoryCache().describe()


def _words(error: Exception) -> str:
    name = "" if isinstance(error, LocstyleError) else f"{type(error).__name__}: "
    return name + "; ".join(line.strip() for line in str(error).splitlines())


def _extra(extra: str) -> str:
    """Whether an extra's packages are there, by the requirements of our own distribution."""
    wanted = [re.split(r"[^\w.-]", line)[0] for line in requirements(extra)]
    missing = [name for name in wanted if find_spec(name.replace("-", "_")) is None]
    return f"missing {', '.join(missing)}; {pip_line(extra)}" if missing else "present"
