"""A style's card for a hub of models: what its header says, as Markdown under a YAML head."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from locstyle.edit.recipe import to_yaml
from locstyle.errors import StyleError
from locstyle.inspection import Inspection, inspect_file
from locstyle.kinds import ACCELERATOR, NAMES

PREVIEW = "preview.png"
"""What the picture beside a card is called."""


def card(path: Path) -> str:
    """The card of a style file of any tool, from its header alone.

    It names trigger, family, licence, who made it and how, and the command to use it; a line for
    whatever the header says, none for what it does not.

    Raises:
        StyleError: no style, or nothing that can be read.
    """
    found = inspect_file(path)
    if found.kind.use != "style":
        raise StyleError(f"{path} is {found.kind.name}; cards are made of styles")
    parts = [f"---\n{to_yaml(_head(found)).strip()}\n---", f"# {_plain(path.stem)}"]
    if "preview" in found.says:
        parts.append(f"![{_plain(path.stem)}]({PREVIEW})")
    parts += [_facts(found), "## Use", _command(path, found)]
    return "\n\n".join(parts) + "\n"


def _head(found: Inspection) -> dict[str, Any]:
    """What hubs sort by: licence, tags and the prompt."""
    what = "textual-inversion" if "words" in found.kind.name else "lora"
    use = "accelerator" if found.kind.name == ACCELERATOR else "style"
    head: dict[str, Any] = {"tags": [what, use, "image-to-image", "locstyle"]}
    if licence := found.says.get("licence"):
        if re.fullmatch(r"[a-z0-9.+-]+", licence.lower()):  # as hubs name them
            head["license"] = licence.lower()
        else:
            head |= {"license": "other", "license_name": licence}
    if trigger := found.says.get("trigger"):
        head["instance_prompt"] = trigger
    return head


def _facts(found: Inspection) -> str:
    family = NAMES.get(found.kind.family, found.kind.family)
    facts = {"What": found.kind.name, "For": family} | {
        name.capitalize(): said for name, said in found.says.items() if name != "preview"
    }
    return "\n".join(f"- {name}: {_plain(said)}" for name, said in facts.items() if said)


def _command(path: Path, found: Inspection) -> str:
    backbone = " --backbone CHECKPOINT" if found.kind.family in NAMES else ""
    style = f"-r sky.png={path.name}"
    if found.kind.name == ACCELERATOR:
        style = f"-r sky.png=STYLE --accelerator {path.name}"
    return f"```sh\nlocstyle stylize photo.jpg {style}{backbone} -o out.png\n```"


def _plain(text: str) -> str:
    """A header's text in one line of Markdown that says itself."""
    line = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#!" else c for c in line)
